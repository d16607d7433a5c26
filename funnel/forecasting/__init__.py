"""Forecasters and forecasts: distributions of what is booked in each period."""

from funnel.forecasting._rows import ForecastDeals
from funnel.forecasting._tables import LargestDeals, RollUp
from funnel.forecasting.amounts import Amounts
from funnel.forecasting.api import forecast
from funnel.forecasting.base import FittedForecaster, Forecaster
from funnel.forecasting.deals import DealForecaster, FittedDealForecaster
from funnel.forecasting.forecast import Forecast

__all__ = [
    "Amounts",
    "DealForecaster",
    "FittedDealForecaster",
    "FittedForecaster",
    "Forecast",
    "ForecastDeals",
    "Forecaster",
    "LargestDeals",
    "RollUp",
    "forecast",
]
