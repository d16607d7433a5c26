"""The rows of a forecast: deals with their chances by period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.forecasting._lots import of_rows, within_horizon
from funnel.forecasting._parts import BOOKED, NEW, OPEN, PARTS, REOPENED

if TYPE_CHECKING:
    from funnel.forecasting._lots import Lots
    from funnel.typing import BoolArray, FloatArray, IntArray, StringArray

__all__ = ["BOOKED", "NEW", "OPEN", "PARTS", "REOPENED", "ForecastDeals"]


def _certain(deals: ForecastDeals) -> FloatArray:
    """Amounts do not vary."""
    return np.zeros(len(deals.ids))


def _response(deals: ForecastDeals) -> FloatArray:
    """Respond as `ForecastDeals.response` says, where the whole horizon is at hand."""
    existing = np.where(deals.part == BOOKED, 0.0, 1.0 - deals.within)
    return np.where(deals.is_new, 1.0, existing)


@attrs.frozen(eq=False)
class ForecastDeals:
    """The deals behind a forecast, one row each.

    A row of the part ``"new"`` stands for any number of deals like it: its `chance` is the expected
    number of them that are booked, and the number is Poisson.

    Parameters
    ----------
    ids : (n,) str
        Deals; for new ones, the recent deal that they are like.
    chance : (n, k) float64
        Chance that the deal is booked in each period; 1 in one period for a booked deal.
    amount : (n,) float64
        Major units; NaN unknown.
    part, group : (n,) int
        Positions in `PARTS` and in the keys of the forecast.
    category : (n,) int8
        Position in ``tuple(ForecastCategory)``, -1 none.
    promised : (n,) int32
        Period that the expected close falls into, -1 none.
    spread : (n,) float64
        Standard deviation of the amount if the deal is won; 0 (the default) where it is certain.
    response : (n,) float64
        Relative change of the chance for each unit of a shared shock: ``1 - W`` for a deal with the
        chance W to be won within the horizon, 1 for new deals, 0 for booked ones. So chances stay
        in [0, 1], and what is nearly certain hardly moves.
    """

    ids: StringArray
    chance: FloatArray
    amount: FloatArray
    part: IntArray
    group: IntArray
    category: IntArray
    promised: IntArray
    spread: FloatArray = attrs.field(default=attrs.Factory(_certain, takes_self=True))
    response: FloatArray = attrs.field(default=attrs.Factory(_response, takes_self=True))

    @property
    def is_new(self) -> BoolArray:
        """Mask of the rows that stand for deals which do not exist yet, (n,)."""
        return np.asarray(self.part == NEW)

    @property
    def within(self) -> FloatArray:
        """Chance (expected number, where new) to be booked within the whole horizon, (n,)."""
        return within_horizon(self.chance, self.part)

    @property
    def lots(self) -> Lots:
        """Each deal as a lot of its own."""
        return of_rows(self)

    @property
    def money(self) -> Lots:
        """The same, as every deal is looked at."""
        return of_rows(self)

    @property
    def rows(self) -> ForecastDeals:
        """The deals themselves."""
        return self

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)

    def of_part(self, part: int) -> ForecastDeals:
        """Return the deals of one part."""
        return self.select(self.part == part)

    def of_group(self, group: int) -> ForecastDeals:
        """Return the deals of one group, which becomes the only one."""
        picked = self.select(self.group == group)
        return attrs.evolve(picked, group=np.zeros(len(picked.ids), dtype=np.int32))

    def merged(self, first: int, last: int) -> ForecastDeals:
        """Return the deals with one period instead of some: `first` to `last`, both included."""
        chance = self.chance[:, first : last + 1].sum(axis=1)
        inside = (self.promised >= first) & (self.promised <= last)
        return attrs.evolve(
            self,
            chance=np.where(self.is_new, chance, np.minimum(chance, 1.0))[:, None],
            promised=np.where(inside, 0, -1).astype(np.int32),
        )

    def with_rows(self, more: ForecastDeals) -> ForecastDeals:
        """Return these rows and `more` after them."""
        names = [field.name for field in attrs.fields(type(self))]
        return ForecastDeals(
            *(np.concatenate((getattr(self, name), getattr(more, name))) for name in names)
        )

    def select(self, rows: Any) -> ForecastDeals:  # noqa: ANN401 - a mask or positions
        """Return some of the deals."""
        return ForecastDeals(
            *(getattr(self, field.name)[rows] for field in attrs.fields(type(self)))
        )
