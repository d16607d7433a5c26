"""Multipliers of expected counts by group, shrunk to 1: empirical Bayes for rates of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = ["bounds", "gamma_poisson_strength", "shrunk"]

WEAKEST, STRONGEST, STEPS = 1.0, 10_000.0, 81


def gamma_poisson_strength(observed: FloatArray, expected: FloatArray) -> float:
    """(g,), (g,) -> (): how many expected events each group leans on.

    Group g has ``observed ~ Poisson(m_g expected)`` with ``m_g ~ Gamma(a, a)``, multipliers of
    mean 1 and variance 1/a; a maximises the likelihood of the observed counts, which are then
    negative binomial, on a logarithmic grid from 1 to 10,000 (Clayton & Kaldor 1987,
    doi:10.2307/2532003). Groups that differ no more than chance give 10,000, and so do fewer than
    two groups.
    """
    from scipy.special import gammaln  # noqa: PLC0415 - scipy is slow to import

    seen = expected > 0.0
    o, e = observed[seen], expected[seen]
    if len(o) < 2:
        return STRONGEST
    grid = np.geomspace(WEAKEST, STRONGEST, STEPS)[:, None]
    terms = gammaln(o + grid) - gammaln(grid) + grid * np.log(grid) - (o + grid) * np.log(e + grid)
    # A flat likelihood says that there is no difference: take the strongest of the best.
    total = terms.sum(axis=1)
    return float(grid[len(grid) - 1 - int(np.argmax(total[::-1])), 0])


def shrunk(observed: FloatArray, expected: FloatArray, strength: float) -> FloatArray:
    """(g,), (g,), () -> (g,): multipliers ``(observed + a) / (expected + a)``."""
    return np.asarray((observed + strength) / (expected + strength))


def bounds(
    observed: FloatArray, expected: FloatArray, strength: FloatArray | float, level: float
) -> tuple[FloatArray, FloatArray]:
    """(g,), (g,), (g,), () -> (g,), (g,): interval of each multiplier.

    Quantiles of its distribution given the counts, Gamma(observed + a, expected + a).
    """
    from scipy.special import gammaincinv  # noqa: PLC0415 - scipy is slow to import

    tail = (1.0 - level) / 2.0
    shape, rate = observed + strength, expected + strength
    return gammaincinv(shape, tail) / rate, gammaincinv(shape, 1.0 - tail) / rate
