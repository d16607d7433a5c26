"""Win rates: the curve by age, beside the three figures that pass for it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.metrics import _journeys
from funnel.metrics._ages import AgeCounts, Counts, at_age, certain, incidence
from funnel.metrics._groups import STANDARD, Scope, check_days, check_level
from funnel.metrics._win_tables import WinCurve, WinRates
from funnel.stages import Outcome
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import IntArray

__all__ = [
    "WinRatesSummary",
    "summarize_win_rates",
    "win_curve",
    "win_rates",
]

WON, LOST, REMOVED, CENSORED = range(4)
CAUSE = np.array([CENSORED, WON, LOST, REMOVED])  # by code of `Outcome`
AGES = (30, 60, 90, 180, 360)


def summarize_win_rates(
    history: History,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    calendar: Calendar = STANDARD,
) -> WinRatesSummary:
    """Count the deals of a history, or of a chunk, by outcome and age; see `win_rates`.

    Examples
    --------
    >>> from funnel.testing import fixtures
    >>> summary = summarize_win_rates(fixtures.history())
    >>> summary.merge(summary).table().created.tolist()
    [480]
    """
    scope = Scope.of(history, by, period, calendar)
    found = _journeys.lives(history)
    cell = scope.cells(history, found.first_row, found.created)
    closed = scope.cells(history, found.last_row, found.closed)
    cause = CAUSE[found.outcome]
    done = np.flatnonzero((closed >= 0) & (found.outcome != Outcome.OPEN))
    here = np.flatnonzero(cell >= 0)
    groups = (scope.groups(history, rows) for rows in (found.first_row, found.last_row))
    return WinRatesSummary(
        scope=scope,
        groups=np.union1d(*groups),
        cohort=Counts.of(cell[here] * 4 + found.outcome[here]),
        closed=Counts.of(closed[done] * 4 + found.outcome[done]),
        ages=AgeCounts.of(cell, found.first, found.last, cause, CENSORED + 1),
        outside=int(np.count_nonzero(cell < 0)),
        unseen=int(np.count_nonzero((found.first < 0) & (cell >= 0))),
    )


@attrs.frozen(eq=False)
class WinRatesSummary:
    """Counts of deals by outcome, of the cohort and of the closing period, and by age.

    It merges with that of other deals; `table` and `curve` turn it into results.
    """

    scope: Scope
    groups: IntArray
    cohort: Counts
    closed: Counts
    ages: AgeCounts
    outside: int
    unseen: int

    def merge(self, other: WinRatesSummary, /) -> WinRatesSummary:
        """Add the counts of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, windows, columns or periods.
        """
        self.scope.require_same(other.scope)
        return WinRatesSummary(
            scope=self.scope,
            groups=np.union1d(self.groups, other.groups),
            cohort=self.cohort.merge(other.cohort),
            closed=self.closed.merge(other.closed),
            ages=self.ages.merge(other.ages),
            outside=self.outside + other.outside,
            unseen=self.unseen + other.unseen,
        )

    def _notes(self) -> tuple[str, ...]:
        """Say what is not in the table."""
        notes = list(self.scope.notes())
        if self.outside:
            notes.append(f"{self.outside:,} deals were created outside of the periods")
        if self.unseen:
            notes.append(
                f"{self.unseen:,} deals were already closed when first seen: they are in the "
                "counts, and not in the rate by age"
            )
        return tuple(notes)

    def table(self, *, within: int | None = None, level: float = 0.95) -> WinRates:
        """Return one row for each group and period."""
        check_level(level)
        if within is not None:
            check_days(within, "within")
        cells = self.scope.shown(self.groups)
        cohort, closed = (_by_outcome(counts, cells) for counts in (self.cohort, self.closed))
        rate, variance, undecided = np.full((3, len(cells)), np.nan)
        for part, events, risk in self.ages.blocks(cells):
            found = incidence(events, risk)
            at, known = at_age(found, within)
            row = np.arange(len(at))
            rate[part] = np.where(known, found.curve[row, WON, at], np.nan)
            variance[part] = np.where(known, found.variance[row, WON, at], np.nan)
            undecided[part] = np.where(known, found.survival[row, at], np.nan)
        low, high = certain(rate, variance, cohort.sum(axis=1), level)
        return WinRates(
            scope=self.scope,
            within=within,
            cells=cells,
            cohort=cohort,
            closed=closed,
            rate=rate,
            low=low,
            high=high,
            undecided=undecided,
            notes=self._notes(),
        )

    def curve(self, ages: Sequence[int] = AGES, *, level: float = 0.95) -> WinCurve:
        """Return one row for each group, period and age."""
        check_level(level)
        for age in ages:
            check_days(age, "ages")
        cells = self.scope.shown(self.groups)
        shape = (len(cells), len(ages))
        at_risk = np.zeros(shape, dtype=np.int64)
        won, variance, lost, still = np.full((4, *shape), np.nan)
        for part, events, risk in self.ages.blocks(cells):
            found = incidence(events, risk)
            row = np.arange(len(risk))
            for place, age in enumerate(ages):
                at, known = at_age(found, int(age))
                curve = np.where(known[:, None], found.curve[row, :, at], np.nan)
                won[part, place], lost[part, place] = curve[:, WON], curve[:, LOST]
                variance[part, place] = np.where(known, found.variance[row, WON, at], np.nan)
                still[part, place] = np.where(known, found.survival[row, at], np.nan)
                at_risk[part, place] = risk[:, age] if age < risk.shape[1] else 0
        n = _by_outcome(self.cohort, cells).sum(axis=1)
        low, high = certain(won, variance, n[:, None], level)
        return WinCurve(
            scope=self.scope,
            cells=cells,
            ages=np.array(ages, dtype=np.int64),
            deals=n,
            at_risk=at_risk,
            won=won,
            low=low,
            high=high,
            lost=lost,
            still_open=still,
            notes=self._notes(),
        )


def _by_outcome(counts: Counts, cells: IntArray) -> IntArray:
    """(c,) -> (c, 4): deals of each cell by code of `Outcome`."""
    found = np.zeros((len(cells), 4), dtype=np.int64)
    cell, outcome = np.divmod(counts.key, 4)
    found[np.searchsorted(cells, cell), outcome] = counts.count
    return found


def win_rates(
    source: History | HistorySource,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    within: int | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> WinRates:
    """Measure win rates: by age, and as the three naive definitions, each by its name.

    ``won_of_closed``
        Won / (won + lost) of the deals that closed in the period, whenever they were created. Too
        high where wins come faster than losses and deals become more, and the other way round.
    ``won_of_created``
        Won so far / created, of the deals created in the period. Too low while deals are open.
    ``won_of_decided``
        Won / (won + lost) so far, of the deals created in the period. As biased as the first.
    ``rate``
        The Aalen-Johansen share of the deals created in the period that is won within `within`
        days, or by the highest age seen; ``undecided`` is the share still open at that age.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    by : sequence of str
        Category columns: values of the first row of a deal for what counts by creation, of the
        last row for ``won_of_closed``.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        Rows by period. A unit cuts the whole observed window.
    within : int, optional
        Age in days at which ``rate``, its interval and ``undecided`` are read; it bounds no other
        column, and a note of the table says so.
    level, calendar, executor
        As for `conversion`.

    Returns
    -------
    WinRates

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`.

    Notes
    -----
    Outcomes are net of reopening, as `funnel.outcomes` gives them. Open deals are censored in
    ``rate``; deals first seen long after their creation are at risk from then on only; those that
    were already closed when first seen are in the counts and not in ``rate``. Removed deals are a
    third outcome there: neither won nor lost.

    References
    ----------
    .. [1] H. Putter, M. Fiocco, R. B. Geskus, "Tutorial in biostatistics: competing risks and
       multi-state models", Statistics in Medicine 26, 2007, https://doi.org/10.1002/sim.2712.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "B", "B", "C"],
    ...     stage=["Qualify", "Won", "Qualify", "Lost", "Qualify"],
    ...     at=["2026-01-05", "2026-01-20", "2026-01-05", "2026-02-10", "2026-01-31"],
    ... )
    >>> found = win_rates(history)
    >>> found.won_of_closed.tolist(), found.won_of_created.tolist(), found.rate.tolist()
    ([0.5], [0.33...], [0.5])
    """
    count = functools.partial(summarize_win_rates, by=by, period=period, calendar=calendar)
    return summarize(source, count, executor=executor).table(within=within, level=level)


def win_curve(
    source: History | HistorySource,
    /,
    *,
    ages: Sequence[int] = AGES,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> WinCurve:
    """Measure which share of the deals is won by each age in days since creation.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    ages : sequence of int
        Days since creation; the share is that at the end of the day.
    by, period, level, calendar, executor
        As for `win_rates`; rows by the period of creation.

    Returns
    -------
    WinCurve
        NaN beyond the highest age seen, unless all deals had closed by then.

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`.

    Notes
    -----
    The Aalen-Johansen estimator, with open, late-entered and removed deals as in `win_rates`.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "B", "B"],
    ...     stage=["Qualify", "Won", "Qualify", "Lost"],
    ...     at=["2026-01-05", "2026-01-20", "2026-01-05", "2026-02-10"],
    ... )
    >>> win_curve(history, ages=(14, 15, 90)).won[0].tolist()
    [0.0, 0.5, 0.5]
    """
    if isinstance(ages, int):
        rule = "must be a sequence of days"
        raise ValidationError.from_value("ages", rule, ages, f"Write ages=({ages},).")
    count = functools.partial(summarize_win_rates, by=by, period=period, calendar=calendar)
    return summarize(source, count, executor=executor).curve(ages, level=level)
