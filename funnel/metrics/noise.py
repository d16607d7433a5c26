"""The noise floor: the error that a forecaster would make who knows every chance.

Which of the deals are won remains luck. An error near its floor cannot be improved on, and
differences within the band of the floor mean nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import InsufficientDataError
from funnel.kernels import bootstrap, calibration, compound, scores
from funnel.metrics import _score_checks as _checks
from funnel.metrics.chances import CLIP

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from funnel.kernels.compound import Law

__all__ = ["NoiseFloor", "brier_noise", "log_noise", "wape_noise"]

BAND = 1.6448536269514722
"""Standard deviations from the mean to the 5 % and 95 % points of a normal law."""


@attrs.frozen
class NoiseFloor:
    """The score to be expected where the forecast is right, and its band by luck.

    Parameters
    ----------
    expected : float
        NaN where nothing is expected to be won.
    low, high : float
        Within which the score lies in 90 of 100 cases (5 % and 95 % points).
    """

    expected: float
    low: float
    high: float


def wape_noise(
    laws: Sequence[Law],
    /,
    *,
    overlap: int = 1,
    draws: int = 4000,
    rng: np.random.Generator | int = 0,
) -> NoiseFloor:
    """Return the WAPE that the medians of these laws make when the outcomes are drawn from them.

    Parameters
    ----------
    laws : sequence of Law
        The law of the money of each cutoff, in the order of time: `deal_law(constant, p, a)` of
        `funnel.kernels.compound` for independent deals with chances p and amounts a.
    overlap : int, default 1
        How many windows in a row have a day in common (`overlap_of`): they share their luck.
    draws : int, default 4000
        Of all cutoffs, for the band.
    rng : numpy.random.Generator or int
        Generator or seed.

    Returns
    -------
    NoiseFloor
        `expected` is `sum E|X - median| / sum E X`, without simulation; the band is simulated, of
        draws in which something is won.

    Raises
    ------
    InsufficientDataError
        Without laws.

    Examples
    --------
    A hundred deals of equal size with chance 0.5: the distance from 50 wins is 3.98 on average.

    >>> import numpy as np
    >>> from funnel.kernels.compound import deal_law
    >>> floor = wape_noise([deal_law(0.0, np.full(100, 0.5), np.full(100, 1000.0))])
    >>> floor.expected, floor.low, 0.15 < floor.high < 0.22
    (0.0796, 0.0, True)
    """
    if not laws:
        raise InsufficientDataError(
            "a noise floor", needed=1, found=0, remedy="Give the law of at least one cutoff."
        )
    medians = np.array([float(compound.quantile(law, np.array(0.5))) for law in laws])
    distances = [
        scores.distance(median[None], law.support, law.cumulative, smooth=len(law.density) > 0)[0]
        for law, median in zip(laws, medians, strict=True)
    ]
    total = float(sum(law.cumulants[0] for law in laws))
    chances = bootstrap.overlapping_uniforms(
        len(laws),
        _checks.whole("overlap", overlap),
        _checks.whole("draws", draws),
        _checks.generator(rng),
    )
    drawn = np.stack(
        [compound.quantile(law, chances[:, row]) for row, law in enumerate(laws)], axis=1
    )
    missed, won = np.abs(drawn - medians).sum(axis=1), drawn.sum(axis=1)
    some = won > 0.0
    low, high = float("nan"), float("nan")
    if some.any():
        low, high = np.quantile(missed[some] / won[some], [0.05, 0.95]).tolist()
    return NoiseFloor(scores.ratio(float(sum(distances)), total), low, high)


def floor_of_mean(mean: float, variance: float, count: int, overlap: int) -> NoiseFloor:
    """Return the floor of the mean of scores, each counted in several windows, from their sums."""
    windows = _checks.whole("overlap", overlap)
    expected = scores.ratio(mean, count)
    half = scores.ratio(BAND * math.sqrt(variance * windows), count)
    return NoiseFloor(expected, max(expected - half, 0.0), expected + half)


def brier_noise(chance: npt.ArrayLike, /, *, overlap: int = 1) -> NoiseFloor:
    """Return the Brier score to be expected where each chance is right, mean p (1 - p).

    Parameters
    ----------
    chance : (n,) array_like
        In [0, 1], of all deals of all cutoffs.
    overlap : int, default 1
        How many windows in a row have a day in common, so that a deal is scored as often.

    Returns
    -------
    NoiseFloor
        With a normal band; the variance of one deal's score is p (1 - p) (1 - 2 p)^2.

    References
    ----------
    Spiegelhalter 1986, doi:10.1002/sim.4780050506.

    Examples
    --------
    >>> floor = brier_noise([0.2] * 100)
    >>> floor.expected, floor.low, floor.high
    (0.16, 0.1205, 0.1995)
    """
    p = _checks.chances("chance", chance)
    mean, variance = p * (1.0 - p), calibration.brier_variance(p)
    return floor_of_mean(float(mean.sum()), float(variance.sum()), len(p), overlap)


def log_noise(chance: npt.ArrayLike, /, *, overlap: int = 1) -> NoiseFloor:
    """Return the log score to be expected where each chance is right, the mean entropy.

    Parameters
    ----------
    chance : (n,) array_like
        In [0, 1], of all deals of all cutoffs; clipped as in `log_score`.
    overlap : int, default 1
        How many windows in a row have a day in common, so that a deal is scored as often.

    Returns
    -------
    NoiseFloor
        With a normal band; the variance of one deal's score is p (1 - p) (log p / (1 - p))^2.

    Examples
    --------
    >>> log_noise([0.5, 0.5]).expected
    0.6931
    """
    p = _checks.chances("chance", chance)
    mean, variance = calibration.entropy(p, CLIP), calibration.log_variance(p, CLIP)
    return floor_of_mean(float(mean.sum()), float(variance.sum()), len(p), overlap)
