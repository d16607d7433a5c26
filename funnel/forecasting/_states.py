"""What deals share, as a few equally likely states, each with a law of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.forecasting.dependence import NEGLIGIBLE, NORMAL

if TYPE_CHECKING:
    from funnel.forecasting.dependence import Shock
    from funnel.typing import FloatArray, IntArray

__all__ = ["FEW", "MANY", "TOGETHER", "States", "states"]

FEW, MANY = 4, 16
"""Numbers of states for which both factors can be paired without correlation."""


TOGETHER = 2**22
"""Most chances, of deals in states, that are held at once."""


class States(NamedTuple):
    """Equally likely states: the shared shock, and the factor on the number of new deals.

    Attributes
    ----------
    shock : FloatArray
        (m,) in [-1, 1], mean 0.
    new : FloatArray
        (m,) >= 0, mean 1.
    """

    shock: FloatArray
    new: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Their probabilities, (m,)."""
        return np.full(len(self.shock), 1.0 / len(self.shock))

    def each(self) -> tuple[States, ...]:
        """Return each of the states alone."""
        pairs = zip(self.shock, self.new, strict=True)
        return tuple(States(np.array([shock]), np.array([new])) for shock, new in pairs)


def states(shock: Shock | None, dispersion: float, count: int = MANY) -> States:
    """Return states that stand for the shock and for a Gamma factor of variance `dispersion`.

    New deals come in numbers ``(1 + shock) * factor``. Means, the variances of shock and factor and
    their covariance are exact. The factors are paired by the bits of their ranks, reversed (a
    Hammersley set), half of them flipped, so that ranks are not correlated.
    """
    if shock is None or shock.scale < NEGLIGIBLE:
        factor = np.ones(1) if dispersion <= 0.0 else gamma_nodes(dispersion, count)
        return States(np.zeros(len(factor)), factor)
    s = shock_nodes(shock, count)
    if dispersion <= 0.0:
        return States(s, 1.0 + s)
    number = (1.0 + s) * gamma_nodes(dispersion, count)[_partners(count)]
    # A correction linear in the shock makes mean and covariance exact.
    spread = float(np.sqrt(s @ s / count))
    unit = s / spread
    mean, cross, square = (float(np.mean(number * unit**order)) for order in range(3))
    lift, tilt = np.linalg.solve([[mean, cross], [cross, square]], [1.0, spread])
    return States(s, np.maximum(number * (lift + tilt * unit), 0.0))


def _partners(count: int) -> IntArray:
    """(m,): for each state of one factor, that of the other; m is 4 or 16."""
    bits = count.bit_length() - 1
    rank = np.arange(count)
    turned = sum(((rank >> bit) & 1) << (bits - 1 - bit) for bit in range(bits))
    return np.asarray(turned ^ (count // 3))  # ..0101: every other bit flipped


def shock_nodes(shock: Shock, count: int) -> FloatArray:
    """Return the means of slices of equal probability; those at the ends make the variance exact.

    That of a slice from x to y is m (g(x) - g(y)), with g(t) = df / (df - 1) (1 + t^2 / df) f(t)
    and the density f of Student's t.
    """
    from scipy.special import gammaln, ndtr, ndtri, stdtr, stdtrit  # noqa: PLC0415 - slow

    cut, df = 1.0 / shock.scale, shock.df
    normal = df > NORMAL
    outside = float(ndtr(-cut) if normal else stdtr(df, -cut))
    levels = outside + (1.0 - 2.0 * outside) * np.linspace(0.0, 1.0, count + 1)[1:-1]
    edges = np.concatenate(([-cut], ndtri(levels) if normal else stdtrit(df, levels), [cut]))
    if normal:
        mass = np.exp(-0.5 * edges**2) / math.sqrt(2.0 * math.pi)
    else:
        log = gammaln(0.5 * (df + 1.0)) - gammaln(0.5 * df) - 0.5 * math.log(df * math.pi)
        mass = df / (df - 1.0) * np.exp(log - 0.5 * (df - 1.0) * np.log1p(edges**2 / df))
    nodes = -np.diff(mass) * count / (1.0 - 2.0 * outside) * shock.scale
    nodes = 0.5 * (nodes - nodes[::-1])
    missing = 0.5 * (shock.variance * count - float(nodes[1:-1] @ nodes[1:-1]))
    nodes[-1] = min(math.sqrt(max(missing, nodes[-1] ** 2)), 1.0)
    nodes[0] = -nodes[-1]
    return np.asarray(nodes)


def gamma_nodes(variance: float, count: int) -> FloatArray:
    """Return the means of slices of a Gamma factor of mean 1; the last makes the variance exact.

    The others shrink in proportion, so that the mean stays 1. A variance of more than
    ``count - 1`` cannot be had.
    """
    from scipy.special import gammainc, gammaincinv  # noqa: PLC0415 - slow to import

    shape = 1.0 / variance
    edges = gammaincinv(shape, np.linspace(0.0, 1.0, count + 1))
    nodes = np.diff(gammainc(shape + 1.0, edges)) * count
    others = float(nodes[:-1].sum())
    ratio = float(nodes[:-1] @ nodes[:-1]) / others**2
    # The last node x solves (count - x)^2 ratio + x^2 = count (1 + variance).
    excess = (1.0 + ratio) * count * (1.0 + variance) - ratio * count**2
    last = min((ratio * count + math.sqrt(max(excess, 0.0))) / (1.0 + ratio), float(count))
    nodes[:-1] *= (count - last) / others
    nodes[-1] = last
    return np.asarray(nodes)
