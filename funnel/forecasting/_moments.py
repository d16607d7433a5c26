"""Mean and variance of the money by period, split by where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.forecasting._parts import BOOKED, REOPENED
from funnel.kernels.cells import COUNT, UNKNOWN

if TYPE_CHECKING:
    from funnel.forecasting._lots import Lots
    from funnel.forecasting._rows import ForecastDeals
    from funnel.forecasting.amounts import Amounts
    from funnel.forecasting.dependence import Shock
    from funnel.typing import BoolArray, FloatArray

__all__ = [
    "Variance",
    "amount_moments",
    "expected",
    "expected_by_group",
    "leverage",
    "variance",
    "wins",
]


class Variance(NamedTuple):
    """Variance of the money by period, (k,) each; the terms add up.

    Attributes
    ----------
    open, reopened : FloatArray
        Which of the deals are won.
    new : FloatArray
        How many deals are created and won.
    amounts : FloatArray
        What the won deals are worth, where that is not known.
    level : FloatArray
        The factor that new deals share.
    shock : FloatArray
        The shock that all deals share.
    """

    open: FloatArray
    reopened: FloatArray
    new: FloatArray
    amounts: FloatArray
    level: FloatArray
    shock: FloatArray

    @property
    def within(self) -> FloatArray:
        """Variance of independent deals, given what they share, (k,)."""
        return self.open + self.reopened + self.new + self.amounts

    @property
    def total(self) -> FloatArray:
        """Variance of the money, (k,)."""
        return np.maximum(self.within + self.level + self.shock, 0.0)


def expected(lots: Lots, unknown: Amounts) -> FloatArray:
    """Return the expected money by period, (k,)."""
    return np.asarray(_sums(lots, unknown, 1) @ lots.chance)


def expected_by_group(lots: Lots, groups: int, unknown: Amounts) -> FloatArray:
    """Return the expected money by group and period, (g, k)."""
    money = _sums(lots, unknown, 1)[:, None] * lots.chance
    found = np.zeros((groups, money.shape[1]))
    np.add.at(found, lots.group, money)
    return found


def wins(lots: Lots) -> FloatArray:
    """Return the expected number of deals won by period, (k,)."""
    return np.asarray(lots.power(COUNT) @ lots.chance)


def _sums(lots: Lots, unknown: Amounts, order: int) -> FloatArray:
    """Return the sum of the mean amounts of the deals of each lot, or of their squares, (l,)."""
    nameless = lots.power(UNKNOWN)
    known = lots.power(order)
    return known + nameless * unknown.mean**order if nameless.any() else known


def amount_moments(deals: ForecastDeals, unknown: Amounts) -> tuple[FloatArray, FloatArray]:
    """(n,), (n,): mean and variance of the amount of each deal if it is won."""
    nameless = np.isnan(deals.amount)
    mean = np.where(nameless, unknown.mean, deals.amount)
    known = np.where(mean > 0.0, deals.spread**2, 0.0)  # an amount of mean 0 is 0
    return mean, np.where(nameless, unknown.square - unknown.mean**2, known)


def variance(lots: Lots, unknown: Amounts, shock: Shock | None, dispersion: float) -> Variance:
    """Split the variance of the money of each period.

    Notes
    -----
    Given the shock s (variance v) and the level g of new deals (variance d), deals are independent
    and won with the chance p (1 + s r). By the law of total variance, a deal of mean amount a
    brings ``a^2 (p - p^2 (1 + v r^2))`` by being won or not, and p times the variance of its
    amount; new deals, whose number is Poisson with mean p, bring ``a^2 p``. What is shared adds
    ``v (sum p r a)^2`` and, of new deals, ``d (1 + v) (sum p a)^2``.
    """
    mean, square = (_sums(lots, unknown, order) for order in (1, 2))
    nameless, vague = lots.power(UNKNOWN), lots.ratio**2 * lots.power(2)
    if nameless.any():
        vague = vague + nameless * (unknown.square - unknown.mean**2)
    moved = 0.0 if shock is None else shock.variance
    chance, new = lots.chance, lots.is_new
    both = np.where(new, 0.0, square * (1.0 + moved * lots.response**2))

    def won_or_not(rows: BoolArray) -> FloatArray:
        """Return what some deals bring by being won or not."""
        return np.asarray((square * rows) @ chance - (both * rows) @ chance**2)

    again = lots.part == REOPENED
    number = (mean * new) @ chance
    return Variance(
        open=won_or_not(~new & ~again),
        reopened=won_or_not(again),
        new=won_or_not(new),
        amounts=np.asarray(vague @ chance),
        level=np.asarray(dispersion * (1.0 + moved) * number**2),
        shock=np.asarray(moved * ((mean * lots.response) @ chance) ** 2),
    )


def leverage(lots: Lots, unknown: Amounts, part: int | None) -> float:
    """Return by how much a shared shock has to exceed the relative error that it makes.

    It is the expected money still to come (of one part, or of all) over what a shock of one adds
    to it; 0 where there is nothing that could move.
    """
    some = lots.part != BOOKED if part is None else lots.part == part
    to_come = np.where(some, _sums(lots, unknown, 1) * lots.within, 0.0)
    swing = float(to_come @ lots.response)
    return float(to_come.sum()) / swing if swing > 0.0 else 0.0
