"""The law of a random sum of money as a table: distribution function, survival, quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.typing import FloatArray, IntArray

__all__ = [
    "Law",
    "cdf",
    "mix",
    "mixed_cumulants",
    "moved",
    "quantile",
    "step_law",
    "survival",
    "total_cumulants",
]

TIE = 64.0 * float(np.finfo(np.float64).eps)
"""Amounts closer than this, relative to the largest of them, are one amount."""

SETTLED = 1e-8
"""A step of Newton's method that is so small a part of a cell leaves nothing to the next one."""

CELLS = 65_536
"""Most points in the table of a law."""


class Law(NamedTuple):
    """A distribution of money, either of steps or smooth.

    The true distribution function F(x) lies between ``cdf(law, x - shift) - error`` and
    ``cdf(law, x + shift) + error``. This is a bound where every deal was kept exactly and
    enumerated or convolved; otherwise it is an estimate from what a series leaves out.

    Attributes
    ----------
    method : str
        ``"enumeration"``, ``"lattice"``, ``"cos"`` or ``"mixture"``.
    error : float
        Bound or estimate of the error in probability.
    shift : float
        How far amounts were moved at most, major units; 0.0 where none was moved.
    lower, upper : float
        Smallest and largest possible value, major units; infinity where deals of any number may
        come.
    cumulants : FloatArray
        (4,) exact mean, variance, third and fourth cumulant.
    support : FloatArray
        (g,) increasing values: the atoms of a law of steps, the nodes of a smooth one.
    cumulative : FloatArray
        (g,) probability of a value up to and including each point of the support.
    density : FloatArray
        (g,) density at the nodes of a smooth law; (0,) for a law of steps.
    """

    method: str
    error: float
    shift: float
    lower: float
    upper: float
    cumulants: FloatArray
    support: FloatArray
    cumulative: FloatArray
    density: FloatArray


def step_law(
    method: str,
    values: FloatArray,
    mass: FloatArray,
    cumulants: FloatArray,
    *,
    bounds: tuple[float, float],
    error: float,
    shift: float = 0.0,
) -> Law:
    """Build a law of steps from values in increasing order and their mass."""
    lower, upper = bounds
    values = np.clip(values, lower, upper)
    values, mass = merge_ties(values, np.maximum(mass, 0.0), _tie(values))
    cumulative = np.cumsum(mass)
    cumulative /= cumulative[-1]
    return Law(method, error, shift, lower, upper, cumulants, values, cumulative, np.empty(0))


def _tie(values: FloatArray) -> float:
    """Return how far apart one amount may be found twice; values are sorted."""
    return TIE * float(max(abs(values[0]), abs(values[-1])))


def merge_ties(values: FloatArray, mass: FloatArray, width: float) -> tuple[FloatArray, FloatArray]:
    """Merge values (sorted) closer than `width`, and drop those without mass."""
    values, mass = values[mass > 0.0], mass[mass > 0.0]
    first = np.flatnonzero(np.diff(values, prepend=-np.inf) > width)
    return values[first], np.add.reduceat(mass, first)


def cdf(law: Law, x: FloatArray) -> FloatArray:
    """Return P(X <= x).

    ``Law, (...) -> (...)``

    Parameters
    ----------
    law : Law
        From `law`, `deal_law` or `mix`.
    x : FloatArray
        (...) values, major units.

    Returns
    -------
    FloatArray
        (...) probabilities; an atom within rounding of `x` is included.

    Examples
    --------
    >>> from funnel.kernels.compound import deal_law
    >>> booked = deal_law(1.0, np.array([0.25]), np.array([2.0]))
    >>> cdf(booked, np.array([0.0, 1.0, 2.9, 3.0])).tolist()
    [0.0, 0.75, 0.75, 1.0]
    """
    points = np.asarray(x, dtype=np.float64)
    if law.density.size:
        return _smooth_cdf(law, points)
    return _step_cdf(law, points, "right")


def survival(law: Law, x: FloatArray) -> FloatArray:
    """Return P(X >= x), the chance to reach a target.

    ``Law, (...) -> (...)``

    Parameters
    ----------
    law : Law
        From `law`, `deal_law` or `mix`.
    x : FloatArray
        (...) targets, major units.

    Returns
    -------
    FloatArray
        (...) probabilities; an atom at `x` counts as reached.

    Examples
    --------
    >>> from funnel.kernels.compound import deal_law
    >>> booked = deal_law(1.0, np.array([0.25]), np.array([2.0]))
    >>> survival(booked, np.array([1.0, 1.1, 3.0, 3.1])).tolist()
    [1.0, 0.25, 0.25, 0.0]
    """
    points = np.asarray(x, dtype=np.float64)
    if law.density.size:
        return np.where(points <= law.lower, 1.0, 1.0 - _smooth_cdf(law, points))
    return 1.0 - _step_cdf(law, points, "left")


def quantile(law: Law, q: FloatArray) -> FloatArray:
    """Return the smallest value x with P(X <= x) >= q.

    ``Law, (...) -> (...)``

    Parameters
    ----------
    law : Law
        From `law`, `deal_law` or `mix`.
    q : FloatArray
        (...) probabilities in [0, 1].

    Returns
    -------
    FloatArray
        (...) values, major units; the smallest and largest possible one for q = 0 and q = 1.

    Examples
    --------
    >>> from funnel.kernels.compound import deal_law
    >>> booked = deal_law(1.0, np.array([0.25]), np.array([2.0]))
    >>> quantile(booked, np.array([0.0, 0.75, 0.76, 1.0])).tolist()
    [1.0, 1.0, 3.0, 3.0]
    """
    levels = np.asarray(q, dtype=np.float64)
    if law.density.size:
        values = _smooth_quantile(law, levels)
    else:
        # A level that the law reaches up to its own error counts as reached.
        index = np.searchsorted(law.cumulative, levels - min(law.error, 1e-9))
        values = law.support[np.minimum(index, len(law.support) - 1)]
    values = np.where(levels >= 1.0, law.upper, np.where(levels <= 0.0, law.lower, values))
    return np.minimum(np.maximum(values, law.lower), law.upper)


def mix(laws: Sequence[Law], weights: FloatArray) -> Law:
    """Return the law that is drawn from these laws with these weights.

    ``M laws, (M,) -> Law``

    Parameters
    ----------
    laws : sequence of Law
        One law for each state of what the deals share.
    weights : FloatArray
        (M,) probabilities of the states, adding up to 1.

    Returns
    -------
    Law
        A law of steps when one of them is, otherwise smooth.

    Examples
    --------
    >>> from funnel.kernels.compound import deal_law
    >>> p, a = np.ones(1), np.ones(1)
    >>> good, bad = deal_law(3.0, p, a), deal_law(0.0, p, a)
    >>> both = mix([good, bad], np.array([0.25, 0.75]))
    >>> both.support.tolist(), both.cumulative.tolist(), both.cumulants.tolist()[:2]
    ([1.0, 4.0], [0.75, 1.0], [1.75, 1.6875])
    """
    bounds = min(law.lower for law in laws), max(law.upper for law in laws)
    error = float(sum(weight * law.error for law, weight in zip(laws, weights, strict=True)))
    cumulants = mixed_cumulants(np.stack([law.cumulants for law in laws]), weights)
    if all(law.density.size for law in laws):
        table = _mixed_tables(laws, weights)
        return Law("mixture", error, max(law.shift for law in laws), *bounds, cumulants, *table)
    steps = [_as_steps(law) for law in laws]
    values = np.concatenate([law.support for law in steps])
    mass = np.concatenate(
        [
            weight * np.diff(law.cumulative, prepend=0.0)
            for law, weight in zip(steps, weights, strict=True)
        ]
    )
    order = np.argsort(values, kind="stable")
    shift = max(law.shift for law in steps)
    return step_law(
        "mixture", values[order], mass[order], cumulants, bounds=bounds, error=error, shift=shift
    )


def moved(law: Law, amount: float) -> Law:
    """Return the law with an amount added."""
    return law._replace(
        lower=law.lower + amount,
        upper=law.upper + amount,
        cumulants=total_cumulants(amount, law.cumulants),
        support=law.support + amount,
    )


def total_cumulants(constant: float, *parts: FloatArray) -> FloatArray:
    """Return the cumulants of a constant plus independent parts."""
    cumulants = np.array([constant, 0.0, 0.0, 0.0])  # (4,), or (m, 4) by adding such
    for part in parts:
        cumulants = cumulants + part
    return cumulants


def _step_cdf(law: Law, x: FloatArray, side: str) -> FloatArray:
    """Return the mass of the atoms up to x, those at x included on the right side only."""
    tie = _tie(law.support)
    padded = np.concatenate([np.zeros(1), law.cumulative])
    if side == "right":
        return padded[np.searchsorted(law.support, x + tie, "right")]
    return padded[np.searchsorted(law.support, x - tie, "left")]


def _smooth_cdf(law: Law, x: FloatArray) -> FloatArray:
    """Return the interpolated distribution function, 0 below and 1 above what is possible."""
    values = np.clip(_hermite(law, x)[0], 0.0, 1.0)
    return np.where(x < law.support[0], 0.0, np.where(x >= law.support[-1], 1.0, values))


def _cell(law: Law, index: IntArray) -> tuple[FloatArray, ...]:
    """Return the width of each cell, and value and slope per width at its ends."""
    width = law.support[index + 1] - law.support[index]
    left, right = law.cumulative[index], law.cumulative[index + 1]
    return width, left, right, law.density[index] * width, law.density[index + 1] * width


def _cubic(ends: tuple[FloatArray, ...], t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return value and derivative at 0 <= t <= 1 of the cubic with these ends."""
    left, right, start, stop = ends
    rise = right - left
    square = 3.0 * rise - 2.0 * start - stop
    cube = start + stop - 2.0 * rise
    return left + t * (start + t * (square + t * cube)), start + t * (2.0 * square + 3.0 * t * cube)


def _hermite(law: Law, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return distribution function and density at x, by cubic Hermite interpolation."""
    index = np.clip(np.searchsorted(law.support, x, "right") - 1, 0, len(law.support) - 2)
    width, *ends = _cell(law, index)
    value, slope = _cubic(tuple(ends), np.clip((x - law.support[index]) / width, 0.0, 1.0))
    inside = (x >= law.support[0]) & (x <= law.support[-1])
    return value, np.where(inside, slope / width, 0.0)


def _smooth_quantile(law: Law, q: FloatArray) -> FloatArray:
    """Invert the interpolated distribution function: find the cell, then Newton's method."""
    index = np.searchsorted(law.cumulative, q) - 1
    index = np.minimum(np.maximum(index, 0), len(law.support) - 2)
    width, *ends = _cell(law, index)
    rise = np.maximum(ends[1] - ends[0], np.finfo(np.float64).tiny)
    t = np.minimum(np.maximum((q - ends[0]) / rise, 0.0), 1.0)
    for _ in range(4):
        value, slope = _cubic(tuple(ends), t)
        step = np.divide(value - q, slope, out=np.zeros_like(t), where=slope > 0.0)
        t = np.minimum(np.maximum(t - step, 0.0), 1.0)  # faster than clip where there are few
        if np.abs(step).max(initial=0.0) <= SETTLED:
            break
    return np.asarray(law.support[index] + t * width)


def _shared_nodes(laws: Sequence[Law]) -> FloatArray:
    """Return the nodes of all laws, or as many over their range when these are too many."""
    nodes = np.unique(np.concatenate([law.support for law in laws]))
    return nodes if len(nodes) <= CELLS else np.linspace(nodes[0], nodes[-1], CELLS)


def _mixed_tables(laws: Sequence[Law], weights: FloatArray) -> tuple[FloatArray, ...]:
    """Return nodes, distribution function and density of a mixture of smooth laws."""
    nodes = _shared_nodes(laws)
    cumulative, density = np.zeros(len(nodes)), np.zeros(len(nodes))
    for law, weight in zip(laws, weights, strict=True):
        value, slope = _hermite(law, nodes)
        cumulative += weight * value
        density += weight * slope
    return nodes, cumulative, density


def _as_steps(law: Law) -> Law:
    """Return a law of steps, each cell of a smooth one cut into pieces."""
    if not law.density.size:
        return law
    pieces = max(CELLS // len(law.support), 1)
    count = pieces * (len(law.support) - 1) + 1
    edges = np.interp(np.arange(count) / pieces, np.arange(len(law.support)), law.support)
    cumulative = cdf(law, edges)
    width = np.diff(edges)
    filled = np.diff(cumulative) > 1e-12 / count
    return law._replace(
        support=edges[1:] - 0.5 * width,
        cumulative=cumulative[1:],
        shift=law.shift + 0.5 * float(width[filled].max()),
        density=np.empty(0),
    )


def mixed_cumulants(cumulants: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the cumulants (4,) of a mixture from those of its parts (M, 4)."""
    mean = float(weights @ cumulants[:, 0])
    away = cumulants[:, 0] - mean
    k2, k3, k4 = cumulants[:, 1], cumulants[:, 2], cumulants[:, 3]
    second = weights @ (k2 + away**2)
    third = weights @ (k3 + 3.0 * away * k2 + away**3)
    fourth = weights @ (k4 + 3.0 * k2**2 + 4.0 * away * k3 + 6.0 * away**2 * k2 + away**4)
    return np.array([mean, second, third, fourth - 3.0 * second**2])
