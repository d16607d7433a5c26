"""A fitted forecaster whose chances, money and width are repaired."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.forecasting import Basis
from funnel.forecasting._rows import PARTS
from funnel.kernels import levels
from funnel.kernels.arrays import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.calendars import Horizon
    from funnel.forecasting import FittedDealForecaster, Forecast, Shock
    from funnel.models import FittedModel
    from funnel.tables import Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["FittedLevelled", "FittedRepaired"]

BOOKED = PARTS.index("booked")


@attrs.frozen(eq=False)
class FittedLevelled:
    """A fitted stage model at repaired levels.

    Parameters
    ----------
    model : FittedModel
    leads, levels
        As in `FittedRepaired`.
    """

    model: FittedModel
    leads: IntArray = attrs.field(converter=frozen)
    levels: FloatArray = attrs.field(converter=frozen)

    @property
    def trained_until(self) -> int:
        """Last day of the history."""
        return self.model.trained_until

    @property
    def needs(self) -> tuple[str, ...]:
        """What the model needs."""
        return self.model.needs

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date: (n, k)."""
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        found = self.model.win_curve(pipeline, dates)
        moved = levels.shifted(found, np.interp(ahead, self.leads, self.levels))
        return np.maximum.accumulate(moved, axis=1)


@attrs.frozen(eq=False)
class FittedRepaired:
    """A fitted forecaster for one horizon, with what the past teaches about it.

    It holds no history: pools of fitted models, arrivals and amounts are all that it needs.

    Parameters
    ----------
    name : str
        Of the combinator.
    deals : FittedDealForecaster
        Around the pool of models.
    leads : (m,) int64
        Days ahead, ascending, at which `levels` are known.
    levels : (m,) float64
        What is added to the logits of deals that exist; linear between leads, constant beyond
        them. Deals that do not exist yet are not judged by it: few windows tell about them.
    money : float
        Factor of the amounts of deals that are not booked yet.
    shock : Shock or None
        The error of the total that deals share; None leaves what the forecaster says.
    notes : tuple of str
        What was chosen and repaired.
    """

    name: str
    deals: FittedDealForecaster
    leads: IntArray = attrs.field(converter=frozen)
    levels: FloatArray = attrs.field(converter=frozen)
    money: float
    shock: Shock | None
    notes: tuple[str, ...]

    @property
    def trained_until(self) -> int:
        """Last day of the history."""
        return self.deals.trained_until

    def stage_model(self, last: int, as_of: int, /) -> FittedModel:
        """Return the pool of models, at repaired levels."""
        model = self.deals.stage_model(last, as_of)
        return FittedLevelled(model, self.leads, self.levels) if len(self.leads) else model

    def basis(self, pipeline: Pipeline, horizon: Horizon, /) -> Basis:
        """Return what a plan of new deals needs to know: repaired as forecasts are."""
        deals = attrs.evolve(self.deals, name=self.name)
        alone = attrs.evolve(deals, arrivals=None, spread="independent", notes=())
        existing = attrs.evolve(self, deals=alone, shock=None).forecast(pipeline, horizon)
        return Basis(deals, existing, self.money, self.shock)

    def forecast(
        self, pipeline: Pipeline, horizon: Horizon, /, *, by: Sequence[str] = ()
    ) -> Forecast:
        """Forecast what is booked in each period; see `FittedDealForecaster.forecast`."""
        outlook = self.deals.forecast(pipeline, horizon, by=by)
        amount, spread = self._amounts(outlook)
        changed = attrs.evolve(
            outlook.deals, chance=self._chance(outlook), amount=amount, spread=spread
        )
        repaired = attrs.evolve(
            outlook,
            deals=changed,
            unknown=attrs.evolve(outlook.unknown, atoms=outlook.unknown.atoms * self.money),
            model=self.name,
            notes=(*outlook.notes, *self.notes),
        )
        return repaired if self.shock is None else repaired.with_shock(self.shock)

    def _amounts(self, outlook: Forecast) -> tuple[FloatArray, FloatArray]:
        """(n,), (n,): amounts and their spreads, repaired where they are not booked yet.

        A booked deal of unknown amount keeps mean and variance of those that are not repaired.
        """
        rows, unknown = outlook.deals, outlook.unknown
        booked = rows.part == BOOKED
        factor = np.where(booked, 1.0, self.money)
        nameless = booked & np.isnan(rows.amount)
        sd = np.sqrt(max(unknown.square - unknown.mean**2, 0.0)) if nameless.any() else 0.0
        amount = np.where(nameless, unknown.mean, rows.amount * factor)
        return amount, np.where(nameless, sd, rows.spread * factor)

    def _chance(self, outlook: Forecast) -> FloatArray:
        """(n, k): chances by period, those of existing deals at the repaired level."""
        rows = outlook.deals
        if not len(self.leads):
            return rows.chance
        ahead = outlook.horizon.edges[1:].astype(np.int64) - 1 - outlook.as_of
        by_then = np.minimum(np.cumsum(rows.chance, axis=1), 1.0)
        moved = levels.shifted(by_then, np.interp(ahead, self.leads, self.levels))
        moved = np.maximum.accumulate(moved, axis=1)
        existing = (rows.part != BOOKED) & ~rows.is_new
        return np.where(existing[:, None], np.diff(moved, axis=1, prepend=0.0), rows.chance)
