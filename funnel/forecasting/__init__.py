"""Forecasters and forecasts: distributions of what is booked in each period."""

from funnel.forecasting._rows import ForecastDeals
from funnel.forecasting._tables import LargestDeals, RollUp
from funnel.forecasting.amounts import Amounts
from funnel.forecasting.api import forecast
from funnel.forecasting.arrivals import Arrivals, Cohort, FittedArrivals
from funnel.forecasting.base import FittedForecaster, Forecaster
from funnel.forecasting.baselines import FittedBaseline, LastPeriod, RunRate, Seasonal
from funnel.forecasting.deals import DealForecaster, FittedDealForecaster
from funnel.forecasting.forecast import Forecast

__all__ = [
    "Amounts",
    "Arrivals",
    "Cohort",
    "DealForecaster",
    "FittedArrivals",
    "FittedBaseline",
    "FittedDealForecaster",
    "FittedForecaster",
    "Forecast",
    "ForecastDeals",
    "Forecaster",
    "LargestDeals",
    "LastPeriod",
    "RollUp",
    "RunRate",
    "Seasonal",
    "forecast",
]
