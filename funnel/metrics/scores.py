"""Scores of distributions of money and counts.

Outcomes come first, then the forecast, row by row; the result is one number a row, to be averaged
or compared (see `funnel.metrics.comparison`). All are better the smaller they are, and proper: on
average nobody does better than by saying what it believes. Coverage and PIT say in which way a
forecast is wrong. Point forecasts are in `funnel.metrics.accuracy`, chances in
`funnel.metrics.chances`, sums that add up over cutoffs in `funnel.metrics.summaries`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import InsufficientDataError, ValidationError
from funnel.kernels import scores
from funnel.metrics import _score_checks as _checks

if TYPE_CHECKING:
    import numpy.typing as npt

    from funnel.kernels.compound import Law
    from funnel.typing import FloatArray

__all__ = [
    "coverage",
    "crps_draws",
    "crps_law",
    "crps_quantiles",
    "interval_score",
    "pinball_loss",
    "pit",
    "weighted_interval_score",
]


def pinball_loss(
    actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike, /
) -> FloatArray:
    """Return the loss of each quantile: q (a - x) above it, (1 - q) (x - a) below.

    Parameters
    ----------
    actual : (n,) array_like
    quantiles : (n, q) array_like
        Forecast quantiles of each outcome.
    levels : (q,) array_like
        Their levels, increasing, each between 0 and 1.

    Returns
    -------
    (n, q) float64

    References
    ----------
    Koenker & Bassett 1978, doi:10.2307/1913643.

    Examples
    --------
    >>> pinball_loss([10.0], [[5.0, 12.0]], [0.1, 0.5]).tolist()
    [[0.5, 1.0]]
    """
    grid = _checks.levels("levels", levels)
    outcome = _checks.column("actual", actual)
    return scores.pinball(outcome, _checks.quantiles(quantiles, len(outcome), len(grid)), grid)


def _interval(low: object, high: object, rows: int) -> tuple[FloatArray, FloatArray]:
    """Return both ends of intervals."""
    lower, upper = _checks.column("low", low, rows), _checks.column("high", high, rows)
    _checks.demand("low", lower, lower > upper, "must be <= high", "Swap the two ends.")
    return lower, upper


def interval_score(
    actual: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, /, *, level: float
) -> FloatArray:
    """Return the score of central intervals: their width, and 2 / (1 - level) times what is missed.

    Parameters
    ----------
    actual, low, high : (n,) array_like
    level : float
        Chance that the interval is meant to hold, such as 0.8.

    Returns
    -------
    (n,) float64

    References
    ----------
    Winkler 1972, doi:10.2307/2284720; Gneiting & Raftery 2007, doi:10.1198/016214506000001437.

    Examples
    --------
    >>> interval_score([5.0, 12.0], [4.0, 4.0], [10.0, 10.0], level=0.8).tolist()
    [6.0, 26.0]
    """
    outcome = _checks.column("actual", actual)
    ends = _interval(low, high, len(outcome))
    return scores.interval(outcome, *ends, _checks.unit("level", level))


def weighted_interval_score(
    actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike, /
) -> FloatArray:
    """Return the weighted interval score of the median and central intervals.

    Parameters
    ----------
    actual : (n,) array_like
    quantiles : (n, 2 k + 1) array_like
        Lower ends, median and upper ends, by increasing level.
    levels : (2 k + 1,) array_like
        Their levels, symmetric about 0.5.

    Returns
    -------
    (n,) float64
        Twice the mean pinball loss: with many levels, the CRPS.

    Notes
    -----
    ``(|a - median| / 2 + sum of alpha / 2 * interval score) / (k + 1 / 2)``, intervals at the
    level 1 - alpha: alpha / 2 times its score is the sum of the pinball losses of its two ends.

    References
    ----------
    Bracher, Ray, Gneiting & Reich 2021, doi:10.1371/journal.pcbi.1008618.

    Examples
    --------
    >>> weighted_interval_score([12.0], [[4.0, 7.0, 10.0]], [0.1, 0.5, 0.9]).tolist()
    [3.4]
    """
    grid = _checks.levels("levels", levels)
    if len(grid) % 2 == 0 or not np.allclose(grid + grid[::-1], 1.0, rtol=0.0, atol=1e-9):
        rule = "must be symmetric about 0.5 and hold 0.5"
        raise ValidationError.from_value("levels", rule, grid.tolist(), "")
    outcome = _checks.column("actual", actual)
    found = _checks.quantiles(quantiles, len(outcome), len(grid))
    return np.asarray(2.0 * scores.pinball(outcome, found, grid).mean(axis=1))


def coverage(actual: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, /) -> float:
    """Return the share of outcomes inside of their intervals, both ends included.

    Examples
    --------
    >>> coverage([5.0, 12.0], [4.0, 4.0], [10.0, 10.0])
    0.5
    """
    outcome = _checks.column("actual", actual)
    lower, upper = _interval(low, high, len(outcome))
    return float(np.mean((lower <= outcome) & (outcome <= upper)))


def crps_quantiles(
    actual: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike, /
) -> FloatArray:
    """Return the continuous ranked probability score as far as quantiles tell it.

    Parameters
    ----------
    actual : (n,) array_like
    quantiles : (n, q) array_like
    levels : (q,) array_like
        Increasing, each between 0 and 1; the middles of q equal parts are best.

    Returns
    -------
    (n,) float64
        In the unit of the outcomes.

    Notes
    -----
    CRPS = 2 x the integral of the pinball loss over all levels; each level stands for those that
    are nearer to it than to its neighbours.

    References
    ----------
    Laio & Tamea 2007, doi:10.5194/hess-11-1267-2007.

    Examples
    --------
    >>> crps_quantiles([12.0], [[6.0, 10.0]], [0.25, 0.75]).tolist()
    [3.0]
    """
    grid = _checks.levels("levels", levels)
    outcome = _checks.column("actual", actual)
    return scores.crps_quantiles(
        outcome, _checks.quantiles(quantiles, len(outcome), len(grid)), grid
    )


def crps_draws(actual: npt.ArrayLike, draws: npt.ArrayLike, /, *, fair: bool = True) -> FloatArray:
    """Return the continuous ranked probability score of draws from the forecast.

    Parameters
    ----------
    actual : (n,) array_like
    draws : (n, m) array_like
        In any order.
    fair : bool, default True
        Score the distribution that was drawn from, without bias for few draws; False scores the m
        draws as if they were the whole forecast.

    Returns
    -------
    (n,) float64
        In the unit of the outcomes; the fair one may be below 0 by chance.

    Raises
    ------
    InsufficientDataError
        Without draws, or when a fair score is asked of a single one.

    References
    ----------
    Gneiting & Raftery 2007, doi:10.1198/016214506000001437; Ferro 2014, doi:10.1002/qj.2270.

    Examples
    --------
    >>> crps_draws([5.0], [[6.0, 2.0]]).tolist()
    [0.0]
    >>> crps_draws([5.0], [[6.0, 2.0]], fair=False).tolist()
    [1.0]
    """
    outcome = _checks.column("actual", actual)
    found = _checks.table("draws", draws, len(outcome))
    needed = 2 if fair else 1
    if found.shape[1] < needed:
        remedy = "Draw more, or give quantiles."
        what = "a fair CRPS of draws" if fair else "a CRPS of draws"
        raise InsufficientDataError(what, needed=needed, found=found.shape[1], remedy=remedy)
    return scores.crps_draws(outcome, found, fair=fair)


def crps_law(actual: npt.ArrayLike, law: Law, /) -> FloatArray:
    """Return the continuous ranked probability score of one law, exact for its table.

    Parameters
    ----------
    actual : (n,) array_like
        Outcomes, each scored with the same law.
    law : Law
        From `funnel.kernels.compound`; its steps, or the straight lines between its nodes.

    Returns
    -------
    (n,) float64
        In the unit of the outcomes.

    References
    ----------
    Matheson & Winkler 1976, doi:10.1287/mnsc.22.10.1087.

    Examples
    --------
    A deal of 10 with chance 0.5 scores 2.5 either way; an outcome of 4 is inside of its step.

    >>> import numpy as np
    >>> from funnel.kernels.compound import deal_law
    >>> crps_law([0.0, 10.0, 4.0], deal_law(0.0, np.array([0.5]), np.array([10.0]))).tolist()
    [2.5, 2.5, 2.5]
    """
    outcome = _checks.column("actual", actual)
    smooth = len(law.density) > 0
    return scores.crps_law(outcome, law.support, law.cumulative, smooth=smooth)


def pit(
    below: npt.ArrayLike, up_to: npt.ArrayLike, /, *, rng: np.random.Generator | int = 0
) -> FloatArray:
    """Return the randomised probability integral transform: uniform where the forecasts are right.

    Parameters
    ----------
    below, up_to : (n,) array_like
        Forecast chances P(X < a) and P(X <= a) of each outcome a. They differ where the forecast
        has an atom, as that of money has at 0.
    rng : numpy.random.Generator or int
        Generator or seed, for the place within an atom.

    Returns
    -------
    (n,) float64
        In [0, 1].

    References
    ----------
    Brockwell 2007, doi:10.1016/j.spl.2007.02.008; Czado, Gneiting & Held 2009,
    doi:10.1111/j.1541-0420.2009.01191.x.

    Examples
    --------
    >>> pit([0.0, 0.3], [0.0, 0.3]).tolist()
    [0.0, 0.3]
    """
    lower = _checks.chances("below", below)
    upper = _checks.chances("up_to", up_to, len(lower))
    _checks.demand("below", lower, lower > upper, "must be <= up_to", "Swap the two.")
    return scores.pit(lower, upper, _checks.generator(rng).random(len(lower)))
