"""When forecasts are made, what they are about, and what really happened."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Literal

import attrs
import numpy as np

from funnel.calendars import Calendar, Horizon, to_date, to_dates, to_day
from funnel.errors import InsufficientDataError, ValidationError
from funnel.summary import first_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import DateArray, DateLike

PERIODS = {
    "week": Horizon.weeks,
    "month": Horizon.months,
    "quarter": Horizon.quarters,
    "year": Horizon.years,
}

__all__ = [
    "Dropped",
    "Span",
    "Task",
    "at_least",
    "cutoffs_before",
    "cutoffs_every",
    "tasks",
]

Span = int | Literal["week", "month", "quarter", "year"]
"""What is forecast: so many days from the cutoff, or the period that the next day lies in."""


@attrs.frozen
class Task:
    """One window to be forecast.

    Parameters
    ----------
    cutoff : int
        The forecast is made at the end of this day.
    horizon : Horizon
        One period.
    """

    cutoff: int
    horizon: Horizon

    @property
    def last(self) -> int:
        """Last day of the window."""
        return int(self.horizon.edges[-1]) - 1

    @property
    def lead(self) -> int:
        """Days from the cutoff to the end of the window."""
        return self.last - self.cutoff


@attrs.frozen
class Dropped:
    """A cutoff that could not be scored.

    Parameters
    ----------
    cutoff : int
    reason : str
    """

    cutoff: int
    reason: str


def cutoffs_every(
    history: History | HistorySource,
    days: int,
    /,
    *,
    horizon: int,
    first: DateLike | None = None,
) -> DateArray:
    """Return cutoffs at equal distances, as late as whole windows allow.

    Parameters
    ----------
    history : History or HistorySource
        What will be backtested.
    days : int
        From one cutoff to the next.
    horizon : int
        Days of the windows, all of which end by ``history.observed_until``.
    first : date, optional
        No cutoff is before; by default the middle of the history.

    Returns
    -------
    (c,) datetime64[D]
        Ascending.

    Raises
    ------
    InsufficientDataError
        When no window fits.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(300, rng=1).history
    >>> found = cutoffs_every(history, 28, horizon=30, first="2026-01-01")
    >>> found[-2:].astype(str).tolist()
    ['2026-05-03', '2026-05-31']
    """
    at_least("days", days, 1)
    at_least("horizon", horizon, 1)
    known = first_of(history)
    middle = (known.observed_from + known.observed_until) // 2
    begin = middle if first is None else max(to_day(first, name="first"), known.observed_from)
    last = known.observed_until - horizon
    found = np.arange(last, begin - 1, -days, dtype=np.int32)[::-1]
    if not len(found):
        what = f"windows of {horizon} days from {to_date(begin)} to {to_date(known.observed_until)}"
        remedy = "Shorten the horizon, or begin earlier."
        raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
    return to_dates(found)


def cutoffs_before(
    history: History | HistorySource,
    unit: Literal["week", "month", "quarter", "year"],
    /,
    *,
    weeks: int = 13,
    calendar: Calendar | None = None,
) -> DateArray:
    """Return the days that lie 0 to `weeks` weeks before the end of each whole period observed.

    Parameters
    ----------
    history : History or HistorySource
        What will be backtested.
    unit : str
        Kind of period, as in ``backtest(..., horizon=unit)``.
    weeks : int
        The longest lead time; days before the period begins are left out.
    calendar : Calendar, optional
        Fiscal years and the like.

    Returns
    -------
    (c,) datetime64[D]
        Ascending. Zero weeks is the day before the last one: at its end a day is still to come.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(300, rng=1).history
    >>> len(cutoffs_before(history, "quarter", weeks=2))
    42
    """
    at_least("weeks", weeks, 0)
    used, known = calendar or Calendar(), first_of(history)
    count = (known.observed_until - known.observed_from) // 7 + 2
    first = np.datetime64(known.observed_from, "D")
    edges = used.periods(first, count, unit).astype("datetime64[D]").astype(np.int64)
    found: set[int] = set()
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        inside = begin >= known.observed_from and end - 1 <= known.observed_until
        leads = [max(7 * week, 1) for week in range(weeks + 1)] if inside else []
        earliest = max(begin - 1, known.observed_from)
        found.update(end - 1 - lead for lead in leads if end - 1 - lead >= earliest)
    return to_dates(np.array(sorted(found), dtype=np.int32))


def at_least(name: str, value: object, least: int) -> None:
    """Demand a whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        rule = f"must be a whole number >= {least}"
        raise ValidationError.from_value(name, rule, value, "")


def tasks(
    history: History, cutoffs: Sequence[DateLike], span: Span, calendar: Calendar
) -> tuple[tuple[Task, ...], tuple[Dropped, ...]]:
    """Return the windows that can be scored, and the cutoffs that cannot, with reasons."""
    given: object = cutoffs
    if isinstance(given, str) or not isinstance(given, Iterable):
        rule = "must be a sequence of dates"
        raise ValidationError.from_value("cutoffs", rule, cutoffs, "Put it in a list.")
    found, dropped = [], []
    for day in sorted({to_day(one, name="cutoffs") for one in cutoffs}):
        task = Task(day, _horizon(day, span, calendar))
        if not history.observed_from <= day <= history.observed_until:
            first, last = to_date(history.observed_from), to_date(history.observed_until)
            reason = f"the history is from {first} to {last}"
            dropped.append(Dropped(day, reason))
        elif task.last > history.observed_until:
            reason = f"its window ends on {to_date(task.last)}, after the history does"
            dropped.append(Dropped(day, reason))
        else:
            found.append(task)
    return tuple(found), tuple(dropped)


def _horizon(cutoff: int, span: Span, calendar: Calendar) -> Horizon:
    """Return the window of a cutoff as a horizon of one period."""
    if isinstance(span, str):
        if span not in PERIODS:
            rule = f"must be a number of days or one of {', '.join(PERIODS)}"
            raise ValidationError.from_value("horizon", rule, span, "")
        return PERIODS[span](np.datetime64(cutoff + 1, "D"), 1, calendar=calendar)
    at_least("horizon", span, 1)
    return Horizon.custom(np.array([cutoff + 1, cutoff + 1 + span], dtype=np.int32))
