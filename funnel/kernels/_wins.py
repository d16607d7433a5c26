"""The number of wins: the Poisson-binomial distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels._cumulants import blocks

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = ["poisson_binomial"]

DIRECT = 48
"""Up to this many counts, distributions are convolved by multiplication, beyond by FFT."""

WIDE, FAR, GONE = 30.0, 10.0, 9.0
"""Standard deviation from which powers may do; how far a distribution, and the modulus of its
characteristic function, reach in standard deviations."""

MOST, MISSED = 16, 1e-15
"""Sums of powers that are worth their time, and what they may miss."""

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
    Where many wins may vary, from the logarithm of the characteristic function, sum_i
    log(1 + p_i (e^(iu) - 1)) = sum_j (-1)^(j+1) / j S_j (e^(iu) - 1)^j, of which the first few sums
    of powers S_j of the probabilities say all before it is gone, and one FFT.

    Otherwise divide and conquer: the distributions of halves of the deals are convolved, all pairs
    of one level at once, each on the range that holds its mass. Deals are dealt out to the halves
    in turn, so that these ranges agree.

    Examples
    --------
    >>> poisson_binomial(np.array([0.5, 0.5, 1.0])).tolist()
    [0.0, 0.25, 0.5, 0.25]
    """
    mean = float(p.sum())
    sd = float(np.sqrt(max(mean - float(p @ p), 0.0)))
    if sd >= WIDE:
        for count in range(2, MOST + 1):
            # The first term left out, where it is largest beside exp(-(sd u)^2 / 2).
            missed = mean * (float(p.max()) / sd * np.sqrt(count / np.e)) ** count / float(p.max())
            if missed <= MISSED:
                return _by_powers(p, mean, sd, count - 1)
    return _by_halves(p)


def _by_powers(p: FloatArray, mean: float, sd: float, count: int) -> FloatArray:
    """Return the distribution from so many sums of powers of the probabilities."""
    sums = np.zeros(count)
    for rows in blocks(len(p)):
        power = p[rows].copy()
        for order in range(count):
            sums[order] += power.sum()
            power *= p[rows]
    first = max(int(mean - FAR * sd), 0)
    cells = 1 << int(2.0 * FAR * sd + 2.0).bit_length()
    u = 2.0 * np.pi / cells * np.arange(int(GONE / sd * cells / (2.0 * np.pi)) + 1)
    turn = np.expm1(1j * u)
    log = np.zeros(len(u), dtype=np.complex128)
    for order in range(count, 0, -1):
        log = (log + (-1.0) ** (order + 1) / order * sums[order - 1]) * turn
    spectrum = np.zeros(cells // 2 + 1, dtype=np.complex128)
    spectrum[: len(u)] = np.exp(log - 1j * u * first).conj()
    found = np.maximum(np.fft.irfft(spectrum, cells), 0.0)
    wins = np.zeros(len(p) + 1)
    some = wins[first : first + cells]
    some[:] = found[: len(some)]
    return wins


def _by_halves(p: FloatArray) -> FloatArray:
    """Return the distribution by convolving those of halves."""
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
