"""What is measured on a history and on forecasts of it."""

from funnel.metrics.accuracy import bias, mae, mase, rmse, rmsse, wape
from funnel.metrics.chances import (
    BrierDecomposition,
    CalibrationCurve,
    auc,
    brier_decomposition,
    brier_score,
    calibration_curve,
    calibration_error,
    log_score,
)
from funnel.metrics.comparison import (
    Comparison,
    DieboldMariano,
    ValueAdded,
    compare,
    diebold_mariano,
    overlap_of,
    value_added,
)
from funnel.metrics.noise import NoiseFloor, brier_noise, log_noise, wape_noise
from funnel.metrics.scores import (
    coverage,
    crps_draws,
    crps_law,
    crps_quantiles,
    interval_score,
    pinball_loss,
    pit,
    weighted_interval_score,
)
from funnel.metrics.summaries import DealScores, MoneyScores

__all__ = [
    "BrierDecomposition",
    "CalibrationCurve",
    "Comparison",
    "DealScores",
    "DieboldMariano",
    "MoneyScores",
    "NoiseFloor",
    "ValueAdded",
    "auc",
    "bias",
    "brier_decomposition",
    "brier_noise",
    "brier_score",
    "calibration_curve",
    "calibration_error",
    "compare",
    "coverage",
    "crps_draws",
    "crps_law",
    "crps_quantiles",
    "diebold_mariano",
    "interval_score",
    "log_noise",
    "log_score",
    "mae",
    "mase",
    "overlap_of",
    "pinball_loss",
    "pit",
    "rmse",
    "rmsse",
    "value_added",
    "wape",
    "wape_noise",
    "weighted_interval_score",
]
