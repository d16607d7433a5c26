"""The rows of a forecast: deals with their chances by period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray, StringArray

__all__ = ["NEW", "PARTS", "ForecastDeals"]

PARTS = ("booked", "open", "reopened", "new")
"""What a forecast is made of: deals won already, deals open at `as_of`, lost deals that come back,
and deals that do not exist yet."""


NEW = PARTS.index("new")


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
    """

    ids: StringArray
    chance: FloatArray
    amount: FloatArray
    part: IntArray
    group: IntArray
    category: IntArray
    promised: IntArray

    @property
    def is_new(self) -> BoolArray:
        """Mask of the rows that stand for deals which do not exist yet, (n,)."""
        return np.asarray(self.part == NEW)

    @property
    def within(self) -> FloatArray:
        """Chance (expected number, where new) to be booked within the whole horizon, (n,)."""
        whole = self.chance.sum(axis=1)
        return np.asarray(np.where(self.is_new, whole, np.minimum(whole, 1.0)))

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
