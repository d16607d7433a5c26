"""Scores of forecasts of money and counts, one value a row: the smaller, the better.

All are proper: on average a forecaster does best by saying what it believes. Those of whole
distributions are areas between distribution functions, exact for the law that they are given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from funnel.typing import FloatArray

__all__ = [
    "crps_draws",
    "crps_law",
    "crps_quantiles",
    "distance",
    "interval",
    "pinball",
    "pit",
    "ratio",
]


def ratio(part: float, whole: float) -> float:
    """Divide; NaN where the whole is not positive, so that nothing is divided by nothing."""
    return float(part / whole) if whole > 0.0 else float("nan")


def pinball(actual: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """(n,), (n, q), (q,) -> (n, q): loss of each quantile; at level 1/2 half the distance."""
    gap = actual[:, None] - quantiles
    return np.maximum(levels * gap, (levels - 1.0) * gap)


def interval(actual: FloatArray, low: FloatArray, high: FloatArray, level: float) -> FloatArray:
    """(n,), (n,), (n,), () -> (n,): width of an interval, and what lies outside at 2 / alpha."""
    outside = np.maximum(low - actual, 0.0) + np.maximum(actual - high, 0.0)
    return np.asarray((high - low) + 2.0 / (1.0 - level) * outside)


def crps_quantiles(actual: FloatArray, quantiles: FloatArray, levels: FloatArray) -> FloatArray:
    """(n,), (n, q), (q,) -> (n,): twice the integral of the pinball loss over the levels.

    Each level stands for those nearer to it than to its neighbours, so that the ends of a coarse
    and uneven set of levels count for what they cover.
    """
    edges = np.concatenate(([0.0], (levels[1:] + levels[:-1]) / 2.0, [1.0]))
    return np.asarray(2.0 * pinball(actual, quantiles, levels) @ np.diff(edges))


def crps_draws(actual: FloatArray, draws: FloatArray, *, fair: bool) -> FloatArray:
    """(n,), (n, m) -> (n,): E|X - y| - E|X - X'| / 2, by sorting.

    Pairs of different draws only where `fair`, which is without bias in m (Ferro 2014,
    doi:10.1002/qj.2270); all pairs otherwise, which scores the m draws as the forecast itself.
    """
    m = draws.shape[1]
    # Seen from the outcome, so that large amounts do not cancel.
    gap = np.sort(draws - actual[:, None], axis=1)
    pairs = gap @ (2.0 * np.arange(m) - (m - 1.0))
    return np.asarray(np.abs(gap).mean(axis=1) - pairs / (m * (m - 1 if fair else m)))


def crps_law(
    actual: FloatArray, support: FloatArray, cumulative: FloatArray, *, smooth: bool
) -> FloatArray:
    """(n,), (g,), (g,) -> (n,): the integral of (F(x) - 1{x >= y})^2 for one law.

    F is given at increasing points; between them it is a straight line where `smooth`, and keeps
    its value up to the next point otherwise. Below the first point F is 0, from the last on 1.
    """
    return _areas(actual, support, cumulative, smooth, _mean_square)


def distance(
    actual: FloatArray, support: FloatArray, cumulative: FloatArray, *, smooth: bool
) -> FloatArray:
    """(n,), (g,), (g,) -> (n,): E|X - y| for one law, see `crps_law`."""
    return _areas(actual, support, cumulative, smooth, _mean)


def pit(below: FloatArray, up_to: FloatArray, uniform: FloatArray) -> FloatArray:
    """(n,), (n,), (n,) -> (n,): a random point between P(X < y) and P(X <= y)."""
    return below + uniform * (up_to - below)


def _mean(start: FloatArray, stop: FloatArray) -> FloatArray:
    """Mean of a straight line between two values."""
    return (start + stop) / 2.0


def _mean_square(start: FloatArray, stop: FloatArray) -> FloatArray:
    """Mean square of a straight line between two values."""
    return np.asarray((start * start + start * stop + stop * stop) / 3.0)


def _areas(
    actual: FloatArray,
    support: FloatArray,
    cumulative: FloatArray,
    smooth: bool,  # noqa: FBT001 - private
    mean: Callable[[FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    """Area under (a power of) F below the outcome, and under that of 1 - F above it."""
    if len(support) == 1:
        return np.asarray(np.abs(actual - support[0]))
    start, width = cumulative[:-1], np.diff(support)
    stop = cumulative[1:] if smooth else start
    below = np.concatenate(([0.0], np.cumsum(width * mean(start, stop))))
    above = np.cumsum((width * mean(1.0 - start, 1.0 - stop))[::-1])[::-1]
    above = np.concatenate((above, [0.0]))
    inside = np.clip(actual, support[0], support[-1])
    cell = np.minimum(np.searchsorted(support, inside, "right") - 1, len(width) - 1)
    part = inside - support[cell]
    rest = width[cell] - part
    first, last = start[cell], stop[cell]
    level = first + (last - first) * part / width[cell]
    found = below[cell] + part * mean(first, level)
    found += above[cell + 1] + rest * mean(1.0 - level, 1.0 - last)
    return np.asarray(found + np.abs(actual - inside))
