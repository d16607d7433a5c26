"""The common unit of amounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels._cumulants import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from funnel.typing import FloatArray

__all__ = ["common_unit", "unit_of"]

DECIMALS = (1.0, 1e2, 1e4)
"""Amounts are tried as whole numbers of these fractions of the currency's major unit."""

NOISE = 8.0 * float(np.finfo(np.float64).eps)
"""How far, relatively, a stored decimal may lie from a whole number of its unit."""

FINEST = 1e-6
"""Smallest unit, relative to the largest amount, that is looked for among other numbers."""


def common_unit(a: FloatArray) -> float:
    """Return the largest amount of which every amount is a whole multiple.

    ``(n,) -> float``

    Parameters
    ----------
    a : FloatArray
        (n,) amounts >= 0, major units.

    Returns
    -------
    float
        The unit; 0.0 when the amounts are neither decimals of up to four places nor multiples of
        one number that is not tiny beside them (such as whole thousands at one exchange rate).

    Examples
    --------
    >>> common_unit(np.array([12_000.0, 30_000.0, 0.0]))
    6000.0
    >>> common_unit(np.array([19.99, 5.0])), common_unit(np.array([1.0, 2.0**0.5]))
    (0.01, 0.0)
    >>> common_unit(np.array([1000.0, 2500.0, 4000.0]) / 7.0) * 7.0
    500.0
    """
    return unit_of(lambda: (a[rows] for rows in (slice(0, 1024), *blocks(len(a)))))


def unit_of(chunks: Callable[[], Iterable[FloatArray]]) -> float:
    """Return the common unit of the amounts that `chunks()` yields; it is called repeatedly."""
    for scale in DECIMALS:
        divisor = _whole_divisor(chunks(), scale)
        if divisor >= 0:
            return divisor / scale
    return _real_divisor(chunks())


def _whole_divisor(chunks: Iterable[FloatArray], scale: float) -> int:
    """Return the greatest common divisor of amounts * scale, or -1 when these are not whole."""
    divisor = 0
    for chunk in chunks:
        scaled = chunk * scale
        whole = np.rint(scaled)
        if (np.abs(scaled - whole) > NOISE * whole).any() or whole.max(initial=0.0) > 2.0**53:
            return -1
        # A division is much cheaper than a greatest common divisor, and nearly always enough.
        if divisor:
            multiple = whole / divisor
            if (multiple == np.rint(multiple)).all():
                continue
        divisor = int(np.gcd.reduce(whole.astype(np.int64), initial=divisor))
    return divisor


def _real_divisor(chunks: Iterable[FloatArray]) -> float:
    """Return the common unit by Euclid's algorithm on remainders of either sign, or 0.0."""
    unit, largest = 0.0, 0.0
    for chunk in chunks:
        largest = max(largest, float(chunk.max(initial=0.0)))
        # Remainders of remainders lose digits, so that the search is wide and the proof narrow.
        rest = _remainder(chunk, unit) if unit else chunk
        while (left := rest[rest > 1e-9 * largest]).size:
            unit = float(left.min())
            if unit < FINEST * largest:
                return 0.0
            rest = _remainder(chunk, unit)
        if unit:
            # The largest multiple tells the unit best.
            unit = largest / float(np.rint(largest / unit))
            if _remainder(chunk, unit).max(initial=0.0) > 1e-12 * largest:
                return 0.0
    return unit


def _remainder(a: FloatArray, unit: float) -> FloatArray:
    """Return how far each amount is from the nearest multiple of the unit."""
    return np.abs(a - unit * np.rint(a / unit))
