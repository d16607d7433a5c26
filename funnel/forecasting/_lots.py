"""Lots: deals that share their chances, as sums of powers of their amounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.forecasting._parts import NEW
from funnel.kernels.cells import COUNT, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from funnel.forecasting._rows import ForecastDeals
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["Lots", "joined", "of_rows", "powers", "within_horizon"]


def within_horizon(chance: FloatArray, part: IntArray) -> FloatArray:
    """(n, k), (n,) -> (n,): chance (expected number, where new) to be booked in any period."""
    whole = chance.sum(axis=1)
    return np.asarray(np.where(part == NEW, whole, np.minimum(whole, 1.0)))


@attrs.frozen(eq=False)
class Lots:
    """Deals of a forecast, those together that have the same chances; whatever their number.

    Parameters
    ----------
    chance : (l, k) float64
        Chance of each deal of a lot to be booked in each period.
    part, group : (l,) int
        As in `ForecastDeals`.
    response : (l,) float64
        As in `ForecastDeals`.
    ratio : (l,) float64
        Standard deviation of the amount of a deal that is won, over its mean.
    power : callable
        The sum of a power, 1 to 4, of the mean amounts of the deals of each lot, (l,), unknown ones
        left out; and the number of deals (`COUNT`), and of those of unknown amount (`UNKNOWN`).
    """

    chance: FloatArray
    part: IntArray
    group: IntArray
    response: FloatArray
    ratio: FloatArray
    power: Callable[[int], FloatArray]

    @property
    def is_new(self) -> BoolArray:
        """Mask of the lots of deals which do not exist yet, (l,)."""
        return np.asarray(self.part == NEW)

    @property
    def within(self) -> FloatArray:
        """Chance (expected number, where new) to be booked within the whole horizon, (l,)."""
        return within_horizon(self.chance, self.part)

    def select(self, lots: BoolArray | IntArray) -> Lots:
        """Return some of the lots."""
        power = self.power
        return Lots(
            self.chance[lots],
            self.part[lots],
            self.group[lots],
            self.response[lots],
            self.ratio[lots],
            lambda order: power(order)[lots],
        )

    def merged(self, first: int, last: int) -> Lots:
        """Return the lots with one period instead of some: `first` to `last`, both included."""
        chance = self.chance[:, first : last + 1].sum(axis=1)
        chance = np.where(self.is_new, chance, np.minimum(chance, 1.0))
        return attrs.evolve(self, chance=chance[:, None])


def of_rows(deals: ForecastDeals) -> Lots:
    """Return the lots of single deals."""
    power = powers(deals.amount)
    amount = power(1)
    spread = np.where(amount > 0.0, deals.spread, 0.0)  # an amount of mean 0 is 0
    ratio = np.divide(spread, amount, out=np.zeros(len(amount)), where=spread > 0.0)
    return Lots(deals.chance, deals.part, deals.group, deals.response, ratio, power)


def powers(amounts: FloatArray) -> Callable[[int], FloatArray]:
    """Return what gives a power of each amount as `Lots.power` does; NaN is unknown."""
    nameless = np.isnan(amounts)
    known = np.where(nameless, 0.0, amounts)

    def power(order: int) -> FloatArray:
        if order == COUNT:
            return np.ones(len(known))
        return nameless.astype(np.float64) if order == UNKNOWN else np.asarray(known**order)

    return power


def joined(lots: Sequence[Lots]) -> Lots:
    """Return all lots of several."""
    if len(lots) == 1:
        return lots[0]
    names = ("chance", "part", "group", "response", "ratio")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(some, name) for some in lots]) for name in names
    }
    return Lots(**columns, power=lambda order: np.concatenate([some.power(order) for some in lots]))
