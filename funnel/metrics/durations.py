"""Durations: days in each stage, between two stages, and of the whole sales cycle."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal

import numpy as np

from funnel.errors import ValidationError
from funnel.metrics import _journeys
from funnel.metrics._ages import AgeCounts, Counts
from funnel.metrics._groups import STANDARD, Scope, check_level, check_shares
from funnel.metrics._times import DurationSummary, DurationTable, TimeSummary, TimeTable
from funnel.stages import Outcome
from funnel.summary import summarize
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import BoolArray, IntArray

__all__ = [
    "DurationSummary",
    "DurationTable",
    "Per",
    "TimeSummary",
    "TimeTable",
    "sales_cycle",
    "stage_durations",
    "summarize_durations",
    "time_between",
]

Per = Literal["visit", "deal"]
"""Days of one stay in a stage, or of all stays of a deal together."""

SHARES = (0.5, 0.9)


def summarize_durations(
    history: History,
    /,
    *,
    per: Per = "visit",
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    calendar: Calendar = STANDARD,
) -> DurationSummary:
    """Count the stays in each stage of a history, or of a chunk, by their days.

    Parameters are those of `stage_durations`. Summaries of chunks merge to that of the whole.

    Examples
    --------
    >>> from funnel.testing import fixtures
    >>> summary = summarize_durations(fixtures.history())
    >>> summary.table().stays[0].tolist()
    [208, 153, 0, 105, 28]
    """
    if per not in {"visit", "deal"}:
        raise ValidationError.from_value("per", "must be 'visit' or 'deal'", per, "")
    scope = Scope.of(history, by, period, calendar)
    whole = per == "deal"
    found = _journeys.visits(history) if whole else _journeys.counted_visits(history, scope)
    used = np.flatnonzero(found.stage < history.funnel.n_stages)
    number = None if found.number is None else found.number[used]
    rows, start, stage = found.row[used], found.start[used], found.stage[used]
    seen, last = found.clock_in[used], found.clock_out[used]
    left = found.target[used] >= 0
    dated = seen >= 0
    if whole:
        first, seen, last, left, dated = _totals(history, found, used)
        rows, start, stage = rows[first], start[first], stage[first]
    cell = scope.cells(history, rows, start)
    states = len(history.funnel.ids)
    where = np.where(cell >= 0, cell * states + stage, -1)
    age = _journeys.first_age(seen, last, leaves=left)
    inside = where >= 0
    return DurationSummary(
        scope=scope,
        per=per,
        groups=scope.seen(history, rows),
        stays=Counts.of(
            where[inside] * 2 + left[inside], None if number is None else number[inside]
        ),
        ages=AgeCounts.of(
            np.where(dated, where, -1), age, last, np.where(left, 0, 1), 2, count=number
        ),
        outside=_journeys.how_many(~inside, number),
        undated=_journeys.how_many(~dated & inside, number),
    )


def _totals(
    history: History, found: _journeys.Visits, used: IntArray
) -> tuple[IntArray, IntArray, IntArray, BoolArray, BoolArray]:
    """Add the visits of each deal to each stage up: first visit, days before it, in all, ..."""
    states = len(history.funnel.ids)
    key = found.deal[used].astype(np.int64) * states + found.stage[used]
    pair, first, place = np.unique(key, return_index=True, return_inverse=True)
    seen, last = found.clock_in[used], found.clock_out[used]
    dated = np.bincount(place, seen < 0, minlength=len(pair)) == 0
    days = np.bincount(place, last - seen, minlength=len(pair)).astype(np.int64)
    before = np.where(dated, seen[first], -1)
    final = history.funnel.outcomes[history.stage[history.bounds[1:] - 1]]
    closed = final[pair // states] != Outcome.OPEN
    return first, before, days + np.maximum(before, 0), closed, dated


def stage_durations(
    source: History | HistorySource,
    /,
    *,
    per: Per = "visit",
    shares: Sequence[float] = SHARES,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> DurationTable:
    """Measure how many days deals stay in each stage.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    per : {"visit", "deal"}
        One stay, or all stays of a deal in the stage together.
    shares : sequence of float
        Quantiles: 0.5 asks for the day by whose end half of the deals have left.
    by : sequence of str
        Category columns, with their values at the entry.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        Rows by the period of the (first) entry.
    level, calendar, executor
        As for `conversion`.

    Returns
    -------
    DurationTable
        Kaplan-Meier quantiles and the restricted mean, with intervals.

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`.

    Notes
    -----
    Days on hold do not count, and a deal that comes back from hold to the stage it left goes on
    with its stay. Who is still there is censored (``per="deal"``: who is still open, since the deal
    may come back). Deals first seen in mid-stage are at risk from the days they had spent there by
    then; where the day of entry is unknown the stay is in the counts and in no quantile. A quantile
    that was not reached is infinite (NaN in a frame). Kaplan & Meier 1958,
    doi:10.1080/01621459.1958.10501452; intervals after Brookmeyer & Crowley 1982,
    doi:10.2307/2530286, on the log-log scale. The restricted mean is the area under the curve
    up to the highest age seen (`up_to`), with the variance of Kaplan & Meier. Where the last age
    belongs to a stay that goes on, the curve does not come down to 0: a share ``outlasting`` is
    longer than any stay that was seen to end, and the mean is above the restricted one, by how much
    nobody can say. A note names the rows.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "B", "B", "C"],
    ...     stage=["Qualify", "Won", "Qualify", "Lost", "Qualify"],
    ...     at=["2026-01-05", "2026-01-15", "2026-01-05", "2026-01-25", "2026-01-15"],
    ... )
    >>> found = stage_durations(history)
    >>> found.days[0, 0].tolist(), found.restricted_mean[0].tolist()  # C stayed
    ([20.0, 20.0], [16.66...])
    """
    check_level(level)
    check_shares(shares)
    count = functools.partial(summarize_durations, per=per, by=by, period=period, calendar=calendar)
    return summarize(source, count, executor=executor).table(shares=shares, level=level)


def _between(
    history: History,
    *,
    start: str,
    end: str,
    by: Sequence[str],
    period: Unit | Horizon | None,
    calendar: Calendar,
) -> TimeSummary:
    """Count the days from the first entry into one state to the next into another."""
    scope = Scope.of(history, by, period, calendar)
    funnel = history.funnel
    origin, goal = funnel.code(start), funnel.code(end)
    found, life = _journeys.visits(history), _journeys.lives(history)
    begun = np.flatnonzero(found.stage == origin)
    begun = begun[np.unique(found.deal[begun], return_index=True)[1]]
    goals = np.append(np.flatnonzero(found.stage == goal), len(found.stage))
    after = goals[np.searchsorted(goals, begun, side="right").clip(max=len(goals) - 1)]
    deal = found.deal[begun]
    arrival = np.append(found.start, NO_DAY)[after]
    arrived = np.append(found.deal, -1)[after] == deal
    closed = life.outcome[deal] != Outcome.OPEN
    stop = np.where(closed, life.closed[deal], history.observed_until)
    cause = np.where(arrived, 0, np.where(closed, 1, 2))
    entered = found.entered[begun].astype(np.int64)
    dated = entered != NO_DAY
    last = np.where(arrived, arrival, stop) - entered
    first = _journeys.first_age(found.start[begun] - entered, last, leaves=cause < 2)
    began = (found.row[begun], found.start[begun])
    return TimeSummary.of(
        history, scope, (f"{start} to {end}",), began, (first, last, cause), dated
    )


def time_between(
    source: History | HistorySource,
    start: str,
    end: str,
    /,
    *,
    shares: Sequence[float] = SHARES,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> TimeTable:
    """Measure the days from the first entry into one state to the next entry into another.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    start, end : str
        States, closed ones included, by id, label or alias.
    shares, by, period, level, calendar, executor
        As for `stage_durations`; rows by the period of the entry into `start`.

    Returns
    -------
    TimeTable
        Deals that entered `start`, how many arrived and which share will, and quantiles of the days
        of those that arrive.

    Raises
    ------
    UnknownStageError
        When a state is not in the funnel.
    UnknownColumnError, ValidationError
        As `conversion`.

    Notes
    -----
    With F the Aalen-Johansen incidence of arriving (closing elsewhere competes, open deals are
    censored), the quantiles are those of F divided by its value at the highest age seen. So slow
    arrivals are not underrated because they are still on their way, as far as that age reaches.
    Without censoring they are the plain quantiles of those that arrived; the interval is that of a
    Kaplan-Meier curve of as many arrivals. Late deals are at risk from the age at which they were
    first seen; with an unknown day of entry they are left out, and a note says how many. Days are
    calendar days: days on hold count.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]), id=["A", "A", "A", "B", "B"],
    ...     stage=["Qualify", "Propose", "Won", "Qualify", "Lost"],
    ...     at=["2026-01-05", "2026-01-15", "2026-01-19", "2026-01-05", "2026-01-25"],
    ... )
    >>> time_between(history, "Qualify", "Won").days[0, 0].tolist()
    [14.0, 14.0]
    """
    check_level(level)
    check_shares(shares)
    count = functools.partial(
        _between, start=start, end=end, by=by, period=period, calendar=calendar
    )
    return summarize(source, count, executor=executor).table(shares=shares, level=level)


def _cycle(
    history: History, *, by: Sequence[str], period: Unit | Horizon | None, calendar: Calendar
) -> TimeSummary:
    """Count the days from creation to the outcome."""
    scope = Scope.of(history, by, period, calendar)
    life = _journeys.lives(history)
    cause = np.array([3, 0, 1, 2])[life.outcome]  # won, lost, removed; open is censored
    seen = life.first >= 0
    ages = (life.first, life.last, cause)
    return TimeSummary.of(
        history, scope, ("won", "lost"), (life.first_row, life.created), ages, seen
    )


def sales_cycle(
    source: History | HistorySource,
    /,
    *,
    shares: Sequence[float] = SHARES,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> TimeTable:
    """Measure the days from creation to winning, and to losing.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    shares, by, period, level, calendar, executor
        As for `stage_durations`; rows by the period of creation, columns as they were then.

    Returns
    -------
    TimeTable
        One row for won and one for lost deals.

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`.

    Notes
    -----
    Outcomes are net of reopening: a deal that was won twice counts once, on the later day. Open
    deals are censored and late ones at risk from when they were first seen, see `time_between`;
    deals that were already closed when first seen are left out, and a note says how many.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "B", "B"],
    ...     stage=["Qualify", "Won", "Qualify", "Lost"],
    ...     at=["2026-01-05", "2026-01-15", "2026-01-05", "2026-01-25"],
    ... )
    >>> sales_cycle(history).days[0, :, 0].tolist()
    [10.0, 20.0]
    """
    check_level(level)
    check_shares(shares)
    count = functools.partial(_cycle, by=by, period=period, calendar=calendar)
    return summarize(source, count, executor=executor).table(shares=shares, level=level)
