"""Arrays that nobody can change, and what their values span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.kernels import threads

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["frozen", "span_of"]

CHUNK = 131_072
"""Rows looked at twice while they are in the cache."""


def frozen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the array read-only; a view of somebody else's memory is copied first."""
    if array.base is not None or not array.flags.owndata:
        array = array.copy()
    array.flags.writeable = False
    return array


def span_of(column: IntArray | FloatArray) -> tuple[float, float]:
    """Return the lowest and the highest value, (0, -1) where there is none: (n,) -> (), ().

    Both are NaN where any value is.

    Examples
    --------
    >>> span_of(np.array([3, -1, 2])), span_of(np.array([3.0, np.nan]))
    ((-1, 3), (nan, nan))
    """
    if not len(column):
        return 0, -1

    def some(begin: int, end: int) -> list[tuple[float, float]]:
        parts = (column[first : min(first + CHUNK, end)] for first in range(begin, end, CHUNK))
        return [(part.min(), part.max()) for part in parts]

    lows, highs = np.concatenate(threads.shared(some, len(column))).T
    return lows.min().item(), highs.max().item()
