"""League tables: groups ranked by win rates that lean on the whole where they are small."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels import survival
from funnel.kernels.shrinkage import beta_binomial_strength
from funnel.metrics._ages import at_age, certain, incidence
from funnel.metrics._groups import STANDARD, GroupedTable, Scope, check_days, check_level
from funnel.metrics._win_rates import REMOVED, WON, WinRatesSummary, summarize_win_rates
from funnel.stages import Outcome
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import FloatArray, IntArray

__all__ = ["League", "league"]


@attrs.frozen(eq=False)
class League(GroupedTable):
    """Groups ranked by their shrunk win rate, see `league`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    within : int or None
        Age at which the rates are read.
    cells : (c,) int64
        Group and period of each row, best first within each period.
    rank : (c,) int64
        1 for the best of the period; 0 where the group has no deals.
    outcomes : (c, 4) int64
        Deals created in the period by how they stand: open, won, lost, removed.
    raw : (c,) float64
        Aalen-Johansen share won of the group's deals alone; NaN where unknown.
    rate, low, high : (c,) float64
        The same with the weight of the whole, and its interval; NaN without deals.
    strength : float
        How many deals of the whole each group leans on.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"observed", "raw", "rate", "low", "high"})

    scope: Scope
    within: int | None
    cells: IntArray
    rank: IntArray
    outcomes: IntArray
    raw: FloatArray
    rate: FloatArray
    low: FloatArray
    high: FloatArray
    strength: float
    notes: tuple[str, ...]

    @property
    def deals(self) -> IntArray:
        """Deals created, (c,)."""
        return np.asarray(self.outcomes.sum(axis=1))

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and period, the best first."""
        found = self.scope.columns(self.cells)
        found["rank"] = self.rank
        found["deals"] = self.deals
        for outcome in (Outcome.WON, Outcome.LOST, Outcome.OPEN):
            found[outcome.name.lower()] = self.outcomes[:, outcome]
        for name in ("raw", "rate", "low", "high"):
            found[name] = getattr(self, name)
        return found

    @property
    def _title(self) -> str:
        """Return the heading."""
        bound = "" if self.within is None else f" within {self.within:,} days"
        return f"Win rates{bound}, each group with the weight of {self.strength:,.0f} average deals"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table, and which columns are of what age."""
        if self.within is None:
            return self.notes
        bound = f"raw, rate, low and high are within {self.within:,} days; counts are all so far"
        return (*self.notes, bound)


def _strength(summary: WinRatesSummary, cells: IntArray) -> tuple[float, IntArray]:
    """-> (), (c,): how much the groups differ, in deals of the whole, and the closed deals."""
    cell, outcome = np.divmod(summary.cohort.key, 4)
    row = np.searchsorted(cells, cell)
    count = summary.cohort.count
    won, closed = np.zeros((2, len(cells)), dtype=np.int64)
    np.add.at(won, row, count * (outcome == Outcome.WON))
    np.add.at(closed, row, count * (outcome != Outcome.OPEN))
    return beta_binomial_strength(won[closed > 0], closed[closed > 0]), closed


def _whole(summary: WinRatesSummary, cells: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(c,) -> (3, d), (d,), (d + 1,): of all groups: hazards, chance to be open, variance."""
    days = summary.ages.days
    events, at_risk = np.zeros((REMOVED + 1, days)), np.zeros(days)
    for _, gone, risk in summary.ages.blocks(cells):
        events += gone.sum(axis=0)
        at_risk += risk.sum(axis=0)
    hazards = np.divide(events, at_risk, out=np.zeros_like(events), where=at_risk > 0)
    alive = survival.kaplan_meier(events.sum(axis=0), at_risk)[0][:-1]
    return hazards, alive, survival.aalen_johansen(events, at_risk)[1][WON]


def _ranked(summary: WinRatesSummary, within: int | None, level: float) -> League:
    """Turn counts into the league."""
    plain = summary.table(within=within, level=level)
    cells = plain.cells
    strength, closed = _strength(summary, cells)
    # The whole is an estimate too, and no more certain than the deals that it was made from.
    worth = min(strength, max(float(closed.sum()), 1.0))
    weight = strength / (closed + strength)
    hazards, alive, doubt = _whole(summary, cells)
    rate, variance = np.full((2, len(cells)), np.nan)
    for part, gone, risk in summary.ages.blocks(cells):
        prior = strength * alive
        found = incidence(gone + prior * hazards, risk + prior)
        at, known = at_age(found, within)
        pick = (np.arange(len(at)), WON, at)
        known = known & (plain.created[part] > 0)
        rate[part] = np.where(known, found.curve[pick], np.nan)
        prior = worth * alive
        own = incidence(gone + prior * hazards, risk + prior).variance[pick]
        variance[part] = np.where(known, own + weight[part] ** 2 * doubt[at], np.nan)
    n = np.minimum(plain.created + strength, plain.created.sum(), dtype=np.float64)
    low, high = certain(rate, variance, n, level)
    period = cells % summary.scope.n_periods
    order = np.lexsort((cells, -np.nan_to_num(rate, nan=-1.0), period))
    first = np.searchsorted(period[order], period[order])
    rank = np.where(np.isnan(rate[order]), 0, np.arange(len(order)) - first + 1)
    return League(
        scope=summary.scope,
        within=within,
        cells=cells[order],
        rank=rank,
        outcomes=plain.cohort[order],
        raw=plain.rate[order],
        rate=rate[order],
        low=low[order],
        high=high[order],
        strength=strength,
        notes=plain.notes,
    )


def league(
    source: History | HistorySource,
    /,
    *,
    by: Sequence[str],
    period: Unit | Horizon | None = None,
    within: int | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> League:
    """Rank groups by their win rate, each shrunk to the whole by as much as chance demands.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    by : sequence of str
        Category columns, at least one, with their values in the first row of a deal.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        A ranking for each period of creation.
    within : int, optional
        Age in days at which the rates are read; the highest age seen by default.
    level, calendar, executor
        As for `conversion`.

    Returns
    -------
    League
        Groups without deals come last, with rank 0 and NaN.

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`, and when `by` is empty.

    Notes
    -----
    Each group is given k further deals that behave like all groups together, day by day of age; k
    maximises the beta-binomial likelihood of the won among the closed deals of the groups (Casella
    1985, doi:10.1080/00031305.1985.10479400). Without censoring the rate is
    ``(won + k m) / (n + k)``, with m the rate of the whole. Open deals are censored, late ones at
    risk from the age at which they were first seen; where a group is young, the whole says how its
    deals go on.

    The variance of the interval is that of the group with its further deals, plus
    ``(k / (n + k))^2 Var(m)`` with n the closed deals of the group, for m is estimated too;
    without censoring ``Var(m) = m (1 - m) / N``. Where the groups hardly differ k may exceed all
    N closed deals together; in the first term it counts for N at most, as the further deals cannot
    know more than the data. The error of k itself is not in the interval: with six groups of 40
    deals whose rates differ by a standard deviation of 6 to 12 points, simulated 95 % intervals
    cover 85 to 88 %.

    Examples
    --------
    >>> import funnel as fn
    >>> deals = [f"D{i}" for i in range(42)]
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=deals * 2, owner=(["Ann"] * 40 + ["Bo"] * 2) * 2,
    ...     at=["2026-01-01"] * 42 + ["2026-01-11"] * 42,
    ...     stage=["Qualify"] * 42 + ["Won"] * 20 + ["Lost"] * 20 + ["Won"] * 2,
    ... )
    >>> found = league(history, by=("owner",))
    >>> found.raw.tolist(), bool(found.rate[0] < 0.9)  # two wins out of two prove little
    ([1.0, 0.5], True)
    """
    if not by:
        rule, remedy = "must name at least one column", "A league ranks groups."
        raise ValidationError.from_value("by", rule, tuple(by), remedy)
    check_level(level)
    if within is not None:
        check_days(within, "within")
    count = functools.partial(summarize_win_rates, by=by, period=period, calendar=calendar)
    return _ranked(summarize(source, count, executor=executor), within, level)
