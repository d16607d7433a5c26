"""When forecasts are made, what they are about, and what really happened."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Literal

import attrs
import numpy as np

from funnel.calendars import Calendar, Horizon, to_date, to_dates, to_day
from funnel.errors import InsufficientDataError, ValidationError
from funnel.forecasting._chances import joined
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, DateArray, DateLike, FloatArray, IntArray

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
    "Truth",
    "at_least",
    "cutoffs_before",
    "cutoffs_every",
    "tasks",
    "truth",
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


@attrs.frozen(eq=False)
class Truth:
    """What happened in a window, as it was known when it ended.

    Parameters
    ----------
    keys : tuple of tuple of str
        Groups. A deal belongs to the one it was in at the cutoff; one that did not exist then, to
        the one it was in when the window ended.
    total, open : (g,) float64
        Money booked in the window by all deals, and by those that were open at the cutoff.
    wins : (g,) int64
        Number of deals booked.
    won : (n,) bool
        Which of the deals that were open at the cutoff were won in the window.
    unknown : int
        Won deals whose amount was never recorded; each counts as the mean of the known ones.
    """

    keys: tuple[tuple[str, ...], ...]
    total: FloatArray
    open: FloatArray
    wins: IntArray
    won: BoolArray
    unknown: int


def cutoffs_every(
    history: History,
    days: int,
    /,
    *,
    horizon: int,
    first: DateLike | None = None,
) -> DateArray:
    """Return cutoffs at equal distances, as late as whole windows allow.

    Parameters
    ----------
    history : History
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
    middle = (history.observed_from + history.observed_until) // 2
    begin = middle if first is None else max(to_day(first, name="first"), history.observed_from)
    last = history.observed_until - horizon
    found = np.arange(last, begin - 1, -days, dtype=np.int32)[::-1]
    if not len(found):
        what = (
            f"windows of {horizon} days from {to_date(begin)} to {to_date(history.observed_until)}"
        )
        remedy = "Shorten the horizon, or begin earlier."
        raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
    return to_dates(found)


def cutoffs_before(
    history: History,
    unit: Literal["week", "month", "quarter", "year"],
    /,
    *,
    weeks: int = 13,
    calendar: Calendar | None = None,
) -> DateArray:
    """Return the days that lie 0 to `weeks` weeks before the end of each whole period observed.

    Parameters
    ----------
    history : History
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
    used = calendar or Calendar()
    count = (history.observed_until - history.observed_from) // 7 + 2
    first = np.datetime64(history.observed_from, "D")
    edges = used.periods(first, count, unit).astype("datetime64[D]").astype(np.int64)
    found: set[int] = set()
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        inside = begin >= history.observed_from and end - 1 <= history.observed_until
        leads = [max(7 * week, 1) for week in range(weeks + 1)] if inside else []
        earliest = max(begin - 1, history.observed_from)
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


def truth(history: History, pipeline: Pipeline, task: Task, by: tuple[str, ...]) -> Truth:
    """Return what happened in a window; `pipeline` is the snapshot at the cutoff.

    Raises
    ------
    CurrencyMismatchError
        When won amounts are of several currencies.
    """
    end = history.snapshot(np.datetime64(task.last, "D"))
    is_won = end.outcome == Outcome.WON
    end.select(np.flatnonzero(is_won)).currency  # noqa: B018 - raises unless there is one
    won = is_won & (task.horizon.period_of(end.closed_on) == 0)
    nameless = np.isnan(end.amount)
    known = end.amount[is_won & ~nameless]
    worth = float(known.mean()) if len(known) else 0.0
    money = np.where(nameless, worth, end.amount) * won
    before = np.flatnonzero(end.first_seen <= task.cutoff)  # the rows of the earlier snapshot
    is_open = pipeline.outcome == Outcome.OPEN
    keys, group, earlier = joined(end.groups(by), pipeline.groups(by))
    group = group.astype(np.int64)
    group[before] = earlier
    used, group = np.unique(group, return_inverse=True)
    size, mine = len(used), before[is_open]
    return Truth(
        keys=tuple(keys[place] for place in used.tolist()),
        total=np.bincount(group, money, minlength=size).astype(np.float64),
        open=np.bincount(group[mine], money[mine], minlength=size).astype(np.float64),
        wins=np.bincount(group[won], minlength=size),
        won=won[mine],
        unknown=int(np.count_nonzero(won & nameless)),
    )
