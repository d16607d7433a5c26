"""What a plan needs of a forecaster: deals that exist, and what new ones will bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import attrs

from funnel.forecasting.base import FittedForecaster

if TYPE_CHECKING:
    from funnel.calendars import Horizon
    from funnel.forecasting.deals import FittedDealForecaster
    from funnel.forecasting.dependence import Shock
    from funnel.forecasting.forecast import Forecast
    from funnel.tables import Pipeline

__all__ = ["Basis", "HasBasis"]


@attrs.frozen(eq=False)
class Basis:
    """What is known of deals that exist, and of each that does not exist yet.

    Parameters
    ----------
    deals : FittedDealForecaster
        Its model, arrivals and amounts tell of new deals.
    existing : Forecast
        Of the deals that exist, independent of one another.
    money : float
        Factor on the amounts to come; it is in `existing`.
    shock : Shock or None
        The error that all money to come shares, where the past has told it; None leaves it to draws
        of the model's parameters.
    """

    deals: FittedDealForecaster
    existing: Forecast
    money: float = 1.0
    shock: Shock | None = None


@runtime_checkable
class HasBasis(FittedForecaster, Protocol):
    """A fitted forecaster by deal, on which the entries that a target needs can be planned."""

    def basis(self, pipeline: Pipeline, horizon: Horizon, /) -> Basis:
        """Return what is known for a horizon."""
        ...
