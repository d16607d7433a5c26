"""Intervals of counts, ratios, means and shapes, so that noise is not diagnosed."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.metrics._ages import ratio, wilson

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = ["Bounds", "mean_days", "odds", "poisson", "product", "shape_distance", "total"]

FEW = 10  # exits below which the spread of the stays is not estimated
DRAWS = 5_000


class Bounds(NamedTuple):
    """A value with its interval; NaN unknown."""

    actual: FloatArray
    low: FloatArray
    high: FloatArray


def normal(level: float) -> float:
    """Return the normal quantile of a two-sided interval."""
    return NormalDist().inv_cdf(0.5 + level / 2.0)


def poisson(count: FloatArray, level: float) -> Bounds:
    """(...), () -> (...) x 3: exact bounds of a Poisson mean.

    Garwood 1936, doi:10.2307/2333958.
    """
    from scipy.special import gammaincinv  # noqa: PLC0415 - slow to import

    tail = (1.0 - level) / 2.0
    known = np.where(np.isnan(count), 0.0, count)
    low = np.where(known > 0.0, gammaincinv(np.maximum(known, 1.0), tail), 0.0)
    high = gammaincinv(known + 1.0, 1.0 - tail)
    gone = np.isnan(count)
    return Bounds(count, np.where(gone, np.nan, low), np.where(gone, np.nan, high))


def odds(above: FloatArray, below: FloatArray, level: float) -> Bounds:
    """(...), (...) -> (...) x 3: ratio of two Poisson counts.

    Given their sum, one of them is binomial (Przyborowski & Wilenski 1940, doi:10.2307/2332612);
    Wilson's bounds of its share give those of the ratio. NaN where both are 0.
    """
    low, high = wilson(above, above + below, level)
    with np.errstate(divide="ignore"):
        return Bounds(ratio(above, below), low / (1.0 - low), high / (1.0 - high))


def mean_days(
    mean: FloatArray, variance: FloatArray, exits: FloatArray, exposure: FloatArray, level: float
) -> Bounds:
    """(...) x 4 -> (...) x 3: mean stay, on the logarithmic scale.

    With fewer than 10 exits, whose spread says little, stays are taken as exponential: exact
    bounds of the exits, for the days at risk.
    """
    count = poisson(np.where(np.isnan(mean), np.nan, exits), level)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        reach = np.exp(normal(level) * np.sqrt(variance) / np.maximum(mean, 0.5))
        fewest, most = exposure / count.high, exposure / count.low
    few = exits < FEW
    low = np.where(few, np.fmin(fewest, mean), mean / reach)
    high = np.where(few, np.fmax(most, mean), mean * reach)
    return Bounds(mean, low, np.where(few & (exits == 0), np.inf, high))


def product(parts: Bounds) -> Bounds:
    """(c, s) x 3 -> (c,) x 3: product of independent shares, errors added up as logarithms."""
    actual = parts.actual.prod(axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        down = np.sqrt((np.log(parts.actual / parts.low) ** 2).sum(axis=1))
        up = np.sqrt((np.log(parts.high / parts.actual) ** 2).sum(axis=1))
        low, high = actual * np.exp(-down), np.minimum(actual * np.exp(up), 1.0)
    nothing = actual == 0.0
    most = parts.high.prod(axis=1)
    return Bounds(actual, np.where(nothing, 0.0, low), np.where(nothing, most, high))


def total(parts: Bounds) -> Bounds:
    """(c, s) x 3 -> (c,) x 3: sum of independent means; half widths add up in squares."""
    actual = parts.actual.sum(axis=1)
    down = np.sqrt(((parts.actual - parts.low) ** 2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        up = np.sqrt(((parts.high - parts.actual) ** 2).sum(axis=1))
    return Bounds(actual, actual - down, actual + up)


def shape_distance(counts: FloatArray, shape: FloatArray, level: float) -> Bounds:
    """(c, s), (s,) -> (c,) x 3: share of the deals that would have to be elsewhere.

    The distance is ``sum |p - q| / 2``. Chance alone gives a distance to as many deals as these,
    drawn from the standard (parametric bootstrap); its quantile is the half width of the interval.
    """
    number = counts.sum(axis=1)
    actual = np.abs(ratio(counts, number[:, None]) - shape).sum(axis=1) / 2.0
    noise = np.full(len(counts), np.nan)
    rng = np.random.default_rng(0)  # the same answer each time
    for size in np.unique(number[number > 0.0]).tolist():
        drawn = rng.multinomial(int(size), shape, size=DRAWS) / size
        reach = np.quantile(np.abs(drawn - shape).sum(axis=1) / 2.0, level)
        noise[number == size] = reach
    return Bounds(actual, np.maximum(actual - noise, 0.0), np.minimum(actual + noise, 1.0))
