"""Errors of point forecasts of money and counts: one number for all rows.

Outcomes come first, then the forecast, row by row. WAPE and MAE reward the median of a forecast,
bias and RMSE its mean: score each with its own. `funnel.metrics.summaries.MoneyScores` holds them
as sums that add up over chunks and cutoffs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import scores
from funnel.metrics import _score_checks as _checks

if TYPE_CHECKING:
    import numpy.typing as npt

    from funnel.typing import FloatArray

__all__ = ["bias", "mae", "mase", "rmse", "rmsse", "wape"]


def _pair(actual: object, forecast: object) -> tuple[FloatArray, FloatArray]:
    """Return outcomes and errors (forecast minus outcome)."""
    outcome = _checks.column("actual", actual)
    return outcome, _checks.column("forecast", forecast, len(outcome)) - outcome


def wape(actual: npt.ArrayLike, forecast: npt.ArrayLike, /) -> float:
    """Return the weighted absolute percentage error, `sum |f - a| / sum a`.

    Parameters
    ----------
    actual, forecast : (n,) array_like
        What happened, and the median of what was forecast, in one unit.

    Returns
    -------
    float
        A share; NaN where the outcomes do not add up to more than 0 (`MoneyScores.undefined` gives
        this reason).

    Raises
    ------
    ValidationError
        When the arrays differ in length or hold what is not finite.
    InsufficientDataError
        Without rows.

    References
    ----------
    Kolassa & Schütz 2007, Foresight 6, 40-43; Hyndman & Koehler 2006,
    doi:10.1016/j.ijforecast.2006.03.001.

    Examples
    --------
    >>> wape([100.0, 0.0, 300.0], [80.0, 20.0, 300.0])
    0.1
    """
    outcome, error = _pair(actual, forecast)
    return scores.ratio(float(np.abs(error).sum()), float(outcome.sum()))


def bias(actual: npt.ArrayLike, forecast: npt.ArrayLike, /) -> float:
    """Return the relative bias, sum (f - a) / sum a: above 0 for too optimistic.

    Give the mean of the forecast. NaN where the outcomes do not add up to more than 0.

    Examples
    --------
    >>> bias([100.0, 0.0, 300.0], [80.0, 60.0, 300.0])
    0.1
    """
    outcome, error = _pair(actual, forecast)
    return scores.ratio(float(error.sum()), float(outcome.sum()))


def mae(actual: npt.ArrayLike, forecast: npt.ArrayLike, /) -> float:
    """Return the mean absolute error, in the unit of the outcomes; give the median.

    Examples
    --------
    >>> mae([100.0, 0.0, 300.0], [80.0, 10.0, 300.0])
    10.0
    """
    return float(np.abs(_pair(actual, forecast)[1]).mean())


def rmse(actual: npt.ArrayLike, forecast: npt.ArrayLike, /) -> float:
    """Return the root mean square error, in the unit of the outcomes; give the mean.

    Examples
    --------
    >>> rmse([0.0, 0.0], [1.0, 7.0])
    5.0
    """
    return float(np.sqrt(np.square(_pair(actual, forecast)[1]).mean()))


def mase(actual: npt.ArrayLike, forecast: npt.ArrayLike, /, *, scale: float) -> float:
    """Return the mean absolute scaled error, MAE / scale.

    Parameters
    ----------
    actual, forecast : (n,) array_like
    scale : float
        The mean absolute error of the naive forecast on the history before the cutoff, > 0.

    References
    ----------
    Hyndman & Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001.

    Examples
    --------
    >>> mase([100.0, 300.0], [80.0, 300.0], scale=20.0)
    0.5
    """
    return mae(actual, forecast) / _checks.positive("scale", scale)


def rmsse(actual: npt.ArrayLike, forecast: npt.ArrayLike, /, *, scale: float) -> float:
    """Return the root mean squared scaled error, RMSE / scale.

    Parameters
    ----------
    actual, forecast : (n,) array_like
    scale : float
        The root mean square error of the naive forecast on the history before the cutoff, > 0.

    References
    ----------
    Makridakis, Spiliotis & Assimakopoulos 2022, doi:10.1016/j.ijforecast.2021.11.013.

    Examples
    --------
    >>> rmsse([0.0, 0.0], [1.0, 7.0], scale=10.0)
    0.5
    """
    return rmse(actual, forecast) / _checks.positive("scale", scale)
