"""Forecasters and forecasts: distributions of what is booked in each period."""

from funnel.forecasting._amount_changes import StageRatios
from funnel.forecasting._joint import JointProbability
from funnel.forecasting._rows import ForecastDeals
from funnel.forecasting._tables import LargestDeals, RollUp
from funnel.forecasting.amounts import (
    Amounts,
    ClosingAmounts,
    ClosingSummary,
    summarize_closing,
)
from funnel.forecasting.api import forecast
from funnel.forecasting.arrivals import Arrivals, Cohort, FittedArrivals
from funnel.forecasting.base import FittedForecaster, Forecaster, HasFits, HasStageModel
from funnel.forecasting.baselines import FittedBaseline, LastPeriod, RunRate, Seasonal
from funnel.forecasting.basis import Basis, HasBasis
from funnel.forecasting.bridge import Bridge, BridgeDeals, bridge, bridge_history
from funnel.forecasting.deals import DealForecaster, FittedDealForecaster
from funnel.forecasting.dependence import Shock, fit_shock
from funnel.forecasting.explain import Explanation, explain
from funnel.forecasting.forecast import Forecast
from funnel.forecasting.overrides import FittedOverridden, Layers, Overridden, Overrides
from funnel.forecasting.sources import DecidingDeals, Sources
from funnel.forecasting.submissions import (
    MANAGERS_CALL,
    CommitCorrected,
    FittedHumanForecaster,
    HumanForecaster,
    SubmissionBias,
    Submissions,
    submission_bias,
)

__all__ = [
    "MANAGERS_CALL",
    "Amounts",
    "Arrivals",
    "Basis",
    "Bridge",
    "BridgeDeals",
    "ClosingAmounts",
    "ClosingSummary",
    "Cohort",
    "CommitCorrected",
    "DealForecaster",
    "DecidingDeals",
    "Explanation",
    "FittedArrivals",
    "FittedBaseline",
    "FittedDealForecaster",
    "FittedForecaster",
    "FittedHumanForecaster",
    "FittedOverridden",
    "Forecast",
    "ForecastDeals",
    "Forecaster",
    "HasBasis",
    "HasFits",
    "HasStageModel",
    "HumanForecaster",
    "JointProbability",
    "LargestDeals",
    "LastPeriod",
    "Layers",
    "Overridden",
    "Overrides",
    "RollUp",
    "RunRate",
    "Seasonal",
    "Shock",
    "Sources",
    "StageRatios",
    "SubmissionBias",
    "Submissions",
    "bridge",
    "bridge_history",
    "explain",
    "fit_shock",
    "forecast",
    "submission_bias",
    "summarize_closing",
]
