"""The number of wins: the Poisson-binomial distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = ["poisson_binomial"]

DIRECT = 48
"""Up to this many counts, distributions are convolved by multiplication, beyond by FFT."""

NEGLIGIBLE = 1e-18
"""Counts at both ends to which no distribution gives more are cut off."""


def poisson_binomial(p: FloatArray) -> FloatArray:
    """Return the distribution of the number of deals that are won.

    ``(n,) -> (n + 1,)``

    Parameters
    ----------
    p : FloatArray
        (n,) probabilities that each deal is won.

    Returns
    -------
    FloatArray
        (n + 1,) probabilities of 0..n wins; absolute error below 1e-12.

    Notes
    -----
    Divide and conquer: the distributions of halves of the deals are convolved, all pairs of one
    level at once, each on the range that holds its mass. Deals are dealt out to the halves in
    turn, so that these ranges agree.

    Examples
    --------
    >>> poisson_binomial(np.array([0.5, 0.5, 1.0])).tolist()
    [0.0, 0.25, 0.5, 0.25]
    """
    n = len(p)
    table = np.zeros((2, 1 << max(n - 1, 0).bit_length()))
    table[0] = 1.0
    table[0, :n] -= p
    table[1, :n] = p
    offset = 0
    while table.shape[1] > 1:
        half = table.shape[1] // 2
        table = _convolve(table[:, :half], table[:, half:])
        filled = np.flatnonzero(table.max(axis=1) > NEGLIGIBLE)
        offset = 2 * offset + int(filled[0])
        table = table[filled[0] : filled[-1] + 1]
    wins = np.zeros(n + 1)
    wins[offset : offset + len(table)] = table[: n + 1 - offset, 0]
    return wins


def _convolve(left: FloatArray, right: FloatArray) -> FloatArray:
    """Convolve the columns of two tables of one shape pair by pair."""
    rows = len(left)
    size = 2 * rows - 1
    if rows > DIRECT:
        length = 1 << (size - 1).bit_length()
        product = np.fft.rfft(left.T, length) * np.fft.rfft(right.T, length)
        # Rounding leaves about 1e-17 everywhere, which is not to be kept as mass.
        result = np.fft.irfft(product, length)[:, :size].T
        return np.where(result > 1e-17, result, 0.0)
    result = np.zeros((size, left.shape[1]))
    for row in range(rows):
        result[row : row + rows] += left[row] * right
    return result
