"""Counts behind sales velocity, and how it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import CurrencyMismatchError, ValidationError
from funnel.kernels.labels import texts
from funnel.metrics._ages import AgeCounts, Counts, incidence
from funnel.metrics._groups import GroupedTable, Scope, check_level
from funnel.metrics._lmdi import FACTORS, decompose, product

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["CENSORED", "WON", "SalesVelocity", "VelocityChange", "VelocitySummary"]

WON, CENSORED = 0, 3  # causes; 1 and 2 are lost and removed


@attrs.frozen(eq=False)
class VelocitySummary:
    """Deals created, won money, and exposure by age, of each cell; merges with that of others."""

    scope: Scope
    groups: IntArray
    created: Counts
    won: Counts
    money: dict[int, tuple[float, float]]
    currencies: frozenset[str]
    ages: AgeCounts

    def merge(self, other: VelocitySummary, /) -> VelocitySummary:
        """Add the counts and sums of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, windows, columns or periods.
        """
        self.scope.require_same(other.scope)
        money = dict(self.money)
        for cell, (total, squares) in other.money.items():
            mine = money.get(cell, (0.0, 0.0))
            money[cell] = (mine[0] + total, mine[1] + squares)
        return VelocitySummary(
            scope=self.scope,
            groups=np.union1d(self.groups, other.groups),
            created=self.created.merge(other.created),
            won=self.won.merge(other.won),
            money=money,
            currencies=self.currencies | other.currencies,
            ages=self.ages.merge(other.ages),
        )

    def table(self, *, level: float = 0.95) -> SalesVelocity:
        """Return one row for each group and period.

        Raises
        ------
        CurrencyMismatchError
            When won amounts are in several currencies.
        """
        check_level(level)
        if len(self.currencies) > 1:
            raise CurrencyMismatchError(sorted(self.currencies))
        cells = self.scope.shown(self.groups)
        number, won = (_spread(counts, cells) for counts in (self.created, self.won))
        sums = np.array([self.money.get(cell, (0.0, 0.0)) for cell in cells.tolist()])
        rate, spread, cycle, cycle_spread, wins = _lifetimes(self.ages, cells)
        some = won > 0
        amount = np.divide(sums[:, 0], won, out=np.full(len(cells), np.nan), where=some)
        amount_spread = sums[:, 1] / np.maximum(won, 1) - amount**2
        seen_at_all = self.scope.observed()[cells % self.scope.n_periods] > 0.0
        deals = np.where(seen_at_all, number, np.nan)
        factors = np.stack([deals, rate, amount, cycle], axis=1)
        relative = np.stack(
            [
                1.0 / np.maximum(number, 1),
                spread / np.where(rate > 0.0, rate, np.nan) ** 2,
                amount_spread / np.maximum(won, 1) / np.where(amount > 0.0, amount, np.nan) ** 2,
                cycle_spread / np.maximum(wins, 1) / np.where(cycle > 0.0, cycle, np.nan) ** 2,
            ],
            axis=1,
        )
        low, high = _interval(product(factors), relative.sum(axis=1), level)
        return SalesVelocity(
            scope=self.scope,
            cells=cells,
            factors=factors,
            won=won,
            low=low,
            high=high,
            notes=(*self.scope.notes(), *_short(self.scope, cells, cycle)),
        )


def _lifetimes(ages: AgeCounts, cells: IntArray) -> tuple[FloatArray, ...]:
    """(c,) -> (c,) x 5: win rate, its variance, mean age at winning, variance of ages, wins."""
    rate, spread, cycle, cycle_spread = np.full((4, len(cells)), np.nan)
    wins = np.zeros(len(cells))
    for part, events, risk in ages.blocks(cells):
        found = incidence(events, risk)
        curve = found.curve[:, WON]
        seen, days = found.end > 0, np.arange(curve.shape[1] - 1)
        rate[part] = np.where(seen, curve[:, -1], np.nan)
        spread[part] = found.variance[:, WON, -1]
        wins[part] = events[:, WON].sum(axis=1)
        share = np.diff(curve, axis=1) / np.where(curve[:, -1:] > 0.0, curve[:, -1:], np.nan)
        cycle[part] = share @ days
        cycle_spread[part] = share @ days.astype(np.float64) ** 2 - cycle[part] ** 2
    return rate, spread, cycle, cycle_spread, wins


def _spread(counts: Counts, cells: IntArray) -> IntArray:
    """(c,) -> (c,): the count of each cell."""
    found = np.zeros(len(cells), dtype=np.int64)
    found[np.searchsorted(cells, counts.key)] = counts.count
    return found


def _interval(
    velocity: FloatArray, relative: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """(c,), (c,) -> (c,) x 2: bounds that are symmetric in the logarithm."""
    from statistics import NormalDist  # noqa: PLC0415  (it loads decimal and fractions)

    reach = NormalDist().inv_cdf(0.5 + level / 2.0) * np.sqrt(np.maximum(relative, 0.0))
    factor = np.exp(np.minimum(reach, 700.0))
    return velocity / factor, velocity * factor


def _short(scope: Scope, cells: IntArray, cycle: FloatArray) -> tuple[str, ...]:
    """Say where the window is shorter than the cycle that was measured in it."""
    if scope.periods is None:
        length = np.array([scope.window[1] - scope.window[0] + 1])
    else:
        length = np.diff(scope.periods.edges.astype(np.int64))
    short = cycle > length[cells % scope.n_periods]
    if not short.any():
        return ()
    said = (
        f"the sales cycle is longer than the window in {np.count_nonzero(short):,} of "
        f"{len(cells):,} rows (up to {np.max(cycle[short]):,.0f} days): deals created there close "
        "later, and wins there were created before. Choose longer periods"
    )
    return (said,)


@attrs.frozen(eq=False)
class SalesVelocity(GroupedTable):
    """Velocity and its factors by group and period, see `sales_velocity`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    cells : (c,) int64
        Group and period of each row.
    factors : (c, 4) float64
        Number, win rate, amount and cycle; NaN where unknown.
    won : (c,) int64
        Deals won in the period, with a known amount.
    low, high : (c,) float64
        Interval of the velocity.
    notes : tuple of str
        What to mind.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"observed", "win_rate"})

    scope: Scope
    cells: IntArray
    factors: FloatArray
    won: IntArray
    low: FloatArray
    high: FloatArray
    notes: tuple[str, ...]

    @property
    def velocity(self) -> FloatArray:
        """Number x win rate x amount / cycle: money per day, (c,)."""
        return product(self.factors)

    def change(self) -> VelocityChange:
        """Split the change from each period to the next one into the four factors.

        Raises
        ------
        ValidationError
            With fewer than two periods.
        """
        k = self.scope.n_periods
        if k < 2:
            rule = "must be at least two for a change"
            raise ValidationError.from_value("periods", rule, k, "Pass period=, or a Horizon.")
        blocks = self.factors.reshape(-1, k, len(FACTORS))
        velocity = self.velocity.reshape(-1, k)
        parts = decompose(blocks[:, :-1], blocks[:, 1:]).reshape(-1, len(FACTORS))
        return VelocityChange(
            scope=self.scope,
            cells=self.cells.reshape(-1, k)[:, 1:].ravel(),
            before=velocity[:, :-1].ravel(),
            after=velocity[:, 1:].ravel(),
            parts=parts,
            notes=self.notes,
        )

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and period."""
        found = self.scope.columns(self.cells)
        found["won"] = self.won
        for place, name in enumerate(FACTORS):
            found[name] = self.factors[:, place]
        return {**found, "velocity": self.velocity, "low": self.low, "high": self.high}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Sales velocity: number x win rate x amount / cycle, money per day"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what to mind."""
        return self.notes


@attrs.frozen(eq=False)
class VelocityChange(GroupedTable):
    """Why velocity changed from one period to the next, by group; see `decompose`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    cells : (m,) int64
        Group and later period of each row.
    before, after : (m,) float64
        Velocity in the period before, and in this one.
    parts : (m, 4) float64
        What number, win rate, amount and cycle contribute; they add up to after - before.
    notes : tuple of str
        What to mind.
    """

    hidden: ClassVar[frozenset[str]] = frozenset({"observed"})

    scope: Scope
    cells: IntArray
    before: FloatArray
    after: FloatArray
    parts: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and pair of periods."""
        found = self.scope.columns(self.cells)
        labels = texts(self.scope.periods.labels if self.scope.periods else ())
        found["from"] = labels[self.cells % self.scope.n_periods - 1]
        found["before"] = self.before
        for place, name in enumerate(FACTORS):
            found[name] = self.parts[:, place]
        return {**found, "after": self.after}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Change of sales velocity by factor, money per day"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what to mind."""
        return self.notes
