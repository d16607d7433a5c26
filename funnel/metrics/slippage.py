"""Promised closing days: how often they are moved, and how often they are kept."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.arrays import frozen
from funnel.metrics._ages import AgeCounts, Counts, certain, incidence, ratio, wilson
from funnel.metrics._groups import STANDARD, GroupedTable, Scope, check_level
from funnel.metrics._kept import KEPT, SHORTEST, chances
from funnel.metrics._promises import ENDS, check_leads, lead_names, promises
from funnel.metrics._slippage_tally import Factors, Tally, level_columns
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import FloatArray, IntArray

__all__ = ["ENDS", "KEPT", "KeptPromises", "PromiseEnds", "kept_promises", "slippage"]

Factor = Literal["period", "lead", "stage", "pushes"]
"""What promises are told apart by, besides columns and periods."""

LEADS = (7, 30, 90)


@attrs.frozen(eq=False, str=False)
class PromiseEnds(GroupedTable):
    """What became of promised closing days, by group, period and factor; see `slippage`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    factors : Factors
        What promises are told apart by besides.
    cells : (c,) int64
        Group and period of each block of rows.
    ends : (r, 7) int64
        Promises by what became of them, in the order of `ENDS`.
    late : (r, 2) int64
        Deals won after the promised day, and promises that stand past it.
    days : (r,) float64
        Mean days by which pushed promises were moved; NaN without any.
    rate, low, high : (r,) float64
        Share of promises that come to be pushed, with its interval; NaN where unknown.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"rate", "low", "high"})

    scope: Scope
    factors: Factors
    cells: IntArray
    ends: IntArray
    late: IntArray
    days: FloatArray
    rate: FloatArray
    low: FloatArray
    high: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and combination of factors."""
        return {
            **level_columns(self.scope, self.factors, self.cells),
            "promises": self.ends.sum(axis=1),
            **{name: self.ends[:, place] for place, name in enumerate(ENDS)},
            "won_late": self.late[:, 0],
            "overdue": self.late[:, 1],
            "days_pushed": self.days,
            "rate": self.rate,
            "low": self.low,
            "high": self.high,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "What became of promised closing days"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


@attrs.frozen(eq=False, str=False)
class KeptPromises(GroupedTable):
    """Chance to be won by the end of the promised period; see `kept_promises`.

    Parameters
    ----------
    scope : Scope
        The groups behind the rows.
    factors : Factors
        What promises are told apart by besides.
    cells : (c,) int64
        Group of each block of rows.
    outcomes : (r, 4) int64
        Cases by how the deal stood at the end of the period, in the order of `KEPT`.
    chance, low, high : (r,) float64
        Share won, with Wilson's interval; NaN without cases.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"chance", "low", "high"})

    scope: Scope
    factors: Factors
    cells: IntArray
    outcomes: IntArray
    chance: FloatArray
    low: FloatArray
    high: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and combination of factors."""
        return {
            **level_columns(self.scope, self.factors, self.cells),
            "n": self.outcomes.sum(axis=1),
            **{name: self.outcomes[:, place] for place, name in enumerate(KEPT)},
            "chance": self.chance,
            "low": self.low,
            "high": self.high,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Deals won by the end of the promised period"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


def _slipped(
    history: History,
    *,
    per: Sequence[str],
    by: Sequence[str],
    period: Unit | Horizon | None,
    calendar: Calendar,
) -> Tally:
    """Count the promises of one chunk by what became of them."""
    scope, factors = Scope.of(history, by, period, calendar), Factors.of(history, per, {})
    found = promises(history)
    cell = scope.cells(history, found.row, found.promise.astype(np.int32))
    codes = {"stage": found.stage, "pushes": found.pushes}
    key = cell * factors.size + factors.levels(codes, len(cell))
    inside = cell >= 0
    pushed, standing = found.end == ENDS.index("pushed"), found.end == ENDS.index("standing")
    late, moved = inside & found.late, inside & pushed
    cause = np.where(pushed, 0, np.where(found.over, 1, 2))
    sums, place = np.unique(key[moved], return_inverse=True)
    days = np.zeros(len(sums), dtype=np.int64)
    np.add.at(days, place, found.moved[moved])
    return Tally(
        scope=scope,
        factors=factors,
        groups=scope.seen(history, found.row),
        counts=Counts.of(key[inside] * len(ENDS) + found.end[inside]),
        late=Counts.of(key[late] * 2 + standing[late]),
        days=Counts(sums, days),
        ages=AgeCounts.of(np.where(inside, key, -1), np.ones_like(key), found.days, cause, 3),
        outside=int(np.count_nonzero(~inside)),
        pending=0,
    )


def slippage(
    source: History | HistorySource,
    /,
    *,
    per: Sequence[Literal["stage", "pushes"]] = (),
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> PromiseEnds:
    """Say what became of promised closing days: pushed, pulled, withdrawn, kept or still standing.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    per : sequence of {"stage", "pushes"}
        Rows by the stage in which the promise was made, or by the pushes before it.
    by : sequence of str
        Category columns, with their values when the promise was made.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        Rows by the period of the promised day; a unit covers the observed window.
    level : float
        Of the intervals.
    calendar : Calendar
        Fiscal year and weeks of `period`.
    executor : concurrent.futures.Executor, optional
        Where chunks are summarized.

    Returns
    -------
    PromiseEnds

    Raises
    ------
    UnknownColumnError, ValidationError
        When a column or factor does not exist, or only the last promise is known.

    Notes
    -----
    A promise is an expected close as it stood at the end of a day, until another one is given or
    the deal closes. It is pushed when the next one is for a later day: each push begins a new
    promise, and the counts of pushes are the sums of `History.pushes`. A promise that is taken back
    and given again is compared with the last one; ``withdrawn`` are those that were not given again
    before the deal closed, or so far. A closed deal has no promise, so that its first one after a
    reopening is new, and no push. Every promise is in one of the seven counts. ``rate`` is the
    Aalen-Johansen share of promises that come to be pushed by the highest age seen: those of open
    deals are censored, and closing competes.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "A", "B"],
    ...     stage=["Qualify", "Qualify", "Won", "Qualify"],
    ...     at=["2026-01-05", "2026-01-20", "2026-02-10", "2026-02-01"],
    ...     expected_close=["2026-01-31", "2026-02-28", "2026-02-28", "2026-03-31"],
    ... )
    >>> found = slippage(history)
    >>> dict(zip(ENDS, found.ends[0].tolist()))["pushed"], found.days.tolist()
    (1, [28.0])
    """
    check_level(level)
    count = functools.partial(_slipped, per=per, by=by, period=period, calendar=calendar)
    tally = summarize(source, count, executor=executor)
    cells, where = tally.where()
    ends = tally.dense(tally.counts, where, len(ENDS))
    rate, variance = np.full((2, len(where)), np.nan)
    for part, events, risk in tally.ages.blocks(where):
        found = incidence(events, risk)
        seen = found.end > 0
        rate[part] = np.where(seen, found.curve[:, 0, -1], np.nan)
        variance[part] = np.where(seen, found.variance[:, 0, -1], np.nan)
    low, high = certain(rate, variance, ends.sum(axis=1), level)
    days = tally.dense(tally.days, where, 1)[:, 0]
    return PromiseEnds(
        scope=tally.scope,
        factors=tally.factors,
        cells=frozen(cells),
        ends=frozen(ends),
        late=frozen(tally.dense(tally.late, where, 2)),
        days=frozen(ratio(days, ends[:, 0])),
        rate=frozen(rate),
        low=frozen(low),
        high=frozen(high),
        notes=tally.notes(),
    )


def _kept(
    history: History,
    *,
    per: Sequence[str],
    by: Sequence[str],
    period: Unit,
    leads: tuple[int, ...],
    calendar: Calendar,
) -> Tally:
    """Count the cases of one chunk by how they ended."""
    timed = not isinstance(per, str) and tuple(per).count("period") == 1
    scope = Scope.of(history, by, period if timed else None, calendar)
    others = tuple(name for name in per if name != "period") if timed else per
    factors = Factors.of(history, others, {"lead": lead_names(leads)})
    found = chances(history, leads, period, calendar)
    codes = {"stage": found.stage, "pushes": found.pushes, "lead": found.lead}
    cell = scope.cells(history, found.row, found.promise.astype(np.int32))
    key = cell * factors.size + factors.levels(codes, len(cell))
    nothing, inside = Counts.of(key[:0]), cell >= 0
    return Tally(
        scope=scope,
        factors=factors,
        groups=scope.seen(history, found.row),
        counts=Counts.of((key * len(KEPT) + found.kept)[found.decided & inside]),
        late=nothing,
        days=nothing,
        ages=AgeCounts(3, nothing, nothing),
        outside=int(np.count_nonzero(~inside & found.decided)),
        pending=int(np.count_nonzero(~found.decided)),
    )


def kept_promises(
    source: History | HistorySource,
    /,
    *,
    per: Sequence[Factor] = ("lead",),
    by: Sequence[str] = (),
    period: Unit = "quarter",
    leads: Sequence[int] = LEADS,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> KeptPromises:
    """Measure the chance to be won by the end of the promised period.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    per : sequence of {"period", "lead", "stage", "pushes"}
        Rows by the promised period (those of the observed window), by days left to the promise, by
        stage, and by pushes before.
    by : sequence of str
        Category columns, with their values on the day of the case.
    period : {"week", "month", "quarter", "year"}
        The period in which the promised day lies, and by whose end the deal is to be won.
    leads : sequence of int
        Longest lead of each group in days; the last group is beyond.
    level : float
        Of the intervals.
    calendar : Calendar
        Fiscal year and weeks of `period`.
    executor : concurrent.futures.Executor, optional
        Where chunks are summarized.

    Returns
    -------
    KeptPromises

    Raises
    ------
    UnknownColumnError, ValidationError
        When a column or factor does not exist, or only the last promise is known.

    Notes
    -----
    A case is a promise at the end of the first day on which it stood within a group of lead times;
    a promise counts once in each group that it reached. Cases whose period is not over on
    `observed_until` are left out whatever has become of them, and a note counts them: to keep those
    that closed early would make the chance too high or too low. Won before the period counts as
    won; a win that was reversed by the end of the period does not. Intervals are Wilson's
    (doi:10.1080/01621459.1927.10502953).

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "B"], stage=["Qualify", "Won", "Qualify"],
    ...     at=["2026-01-05", "2026-02-10", "2026-02-01"], expected_close=["2026-02-15"] * 3,
    ...     observed_until="2026-03-31",
    ... )
    >>> kept_promises(history, per=()).chance.tolist()  # A at 41, 30 and 7 days; B at 14 and 7
    [0.6]
    """
    check_level(level)
    if period not in SHORTEST:
        rule = f"must be one of {', '.join(SHORTEST)}"
        raise ValidationError.from_value("period", rule, period, "'quarter' is the default.")
    count = functools.partial(
        _kept, per=per, by=by, period=period, leads=check_leads(leads), calendar=calendar
    )
    tally = summarize(source, count, executor=executor)
    cells, where = tally.where()
    outcomes = tally.dense(tally.counts, where, len(KEPT))
    n = outcomes.sum(axis=1)
    low, high = wilson(outcomes[:, 0], n, level)
    return KeptPromises(
        scope=tally.scope,
        factors=tally.factors,
        cells=frozen(cells),
        outcomes=frozen(outcomes),
        chance=frozen(ratio(outcomes[:, 0], n)),
        low=frozen(low),
        high=frozen(high),
        notes=tally.notes(),
    )
