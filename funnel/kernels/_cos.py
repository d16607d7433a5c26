"""The law of a large book from its characteristic function, by cosine series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels._book import TAIL, bulk_error, bulk_exponent, powers, ripple, screen
from funnel.kernels._cumulants import blocks
from funnel.kernels._law import Law, step_law

if TYPE_CHECKING:
    from funnel.kernels._book import Book
    from funnel.typing import ComplexArray, FloatArray

__all__ = ["cos_law"]

BLOCK = 48
"""Terms of the series that are added at once."""

ROWS = 512
"""Deals whose powers are worked out at once: these stay in the cache, and cost no page faults."""

MAX_TERMS = 2048
WORK = 2**25
"""Most terms of the series, and most deals times terms; beyond, the lattice takes over."""

STRAY = 1e-6
"""Most of the distribution function that may stand beyond the last term."""

NODES = 2048
"""Fewest cells of the table of a smooth law: interpolation then costs less than 1e-11."""


def cos_law(book: Book, low: float, high: float) -> Law | None:
    """Return the law by Fang and Oosterlee's cosine series, or None if the series is too long.

    ``Book, float, float -> Law | None``

    Parameters
    ----------
    book : Book
        Deals kept exactly and the cumulants of the others.
    low, high : float
        Range above the constant that holds all but a negligible part of the probability.

    Returns
    -------
    Law or None
        Smooth; of steps where all amounts are multiples of a unit that is not too small.

    Notes
    -----
    With u_k = k pi / W on a range of width W from A, F(x) = ((x - A) + 2 sum_k Re(phi(u_k)
    exp(-i u_k A)) sin(u_k (x - A)) / u_k) / W. On multiples of a unit h, with A and x half-way
    between two multiples, 1 / u_k becomes (h / 2) / sin(u_k h / 2) and the series is exact with
    the W / h - 1 terms below the frequency pi / h: all others repeat these.

    References
    ----------
    F. Fang and C. W. Oosterlee, "A novel pricing method for European options based on
    Fourier-cosine series expansions", SIAM J. Sci. Comput. 31(2), 2008, 826-848,
    doi:10.1137/080718061.
    """
    if book.on_steps(high - low):
        return _steps(book, int(np.floor(low / book.unit)), int(np.ceil(high / book.unit)))
    return _smooth(book, low, high)


def _steps(book: Book, first: int, last: int) -> Law | None:
    """Return the law on the multiples first..last of the unit above the constant."""
    cells = _easy_size(last - first + 1)
    low, width = (first - 0.5) * book.unit, cells * book.unit
    step = np.pi / width
    found = _series(book, step, cells)
    if found is None:
        return None
    phi, stray = found
    u = step * np.arange(1, len(phi) + 1)
    wave = (phi * np.exp(-1j * u * low)).real * book.unit / (width * np.sin(0.5 * book.unit * u))
    cumulative = np.linspace(0.0, 1.0, cells + 1) + _on_grid(-1j * wave, cells)
    return step_law(
        "cos",
        book.constant + book.unit * np.arange(first, first + cells, dtype=np.float64),
        np.diff(cumulative),
        book.cumulants,
        bounds=book.bounds,
        error=4.0 * TAIL + stray,
    )


def _smooth(book: Book, low: float, high: float) -> Law | None:
    """Return the smooth law between low and high above the constant."""
    width = high - low
    step = np.pi / width
    found = _series(book, step, 0)
    if found is None:
        return None
    phi, stray = found
    u = step * np.arange(1, len(phi) + 1)
    # A unit that is too fine for a table: read the steps half-way between two of them.
    wave = 2.0 * (phi * np.exp(-1j * u * low)).real / (width * np.sinc(0.5 / np.pi * book.unit * u))
    nodes = max(NODES, 1 << (16 * len(phi) - 1).bit_length())
    share = np.linspace(0.0, 1.0, nodes + 1)
    rise, density = _on_grid(np.stack((-1j * wave / u, wave)), nodes)
    return Law(
        "cos",
        4.0 * TAIL + stray,
        0.5 * book.unit,
        *book.bounds,
        book.cumulants,
        book.constant + low + width * share,
        np.maximum.accumulate(np.clip(share + rise, 0.0, 1.0)),
        np.maximum(1.0 / width + density, 0.0),
    )


def _series(book: Book, step: float, cells: int) -> tuple[ComplexArray, float] | None:
    """Return the characteristic function at k * step, k = 1.., and an estimate of what it misses.

    None when more than the affordable terms would be needed; on a lattice of `cells` points there
    are cells - 1 terms, and nothing beyond.
    """
    most = min(MAX_TERMS, max(WORK // max(book.kept, 1), 2 * BLOCK))
    complete = 0 < cells <= most
    beyond = screen(book, np.pi / book.unit if cells else np.inf)
    if not complete and beyond(step * most) > STRAY:
        return None
    phi, missed = np.empty(0, dtype=np.complex128), ripple(book)
    while len(phi) < most and len(phi) != cells - 1:
        block = min(BLOCK, (cells - 1 if complete else most) - len(phi))
        terms, size, left = _terms(book, step, len(phi) + 1, block)
        missed += left
        phi = np.append(phi, terms)
        # The last terms tell of the first decay, the bound of all that may follow.
        if size[-8:].max() <= TAIL and (stray := beyond(step * len(phi))) <= STRAY:
            return phi, missed + stray
    return (phi, missed) if complete else None


def _terms(
    book: Book, step: float, start: int, count: int
) -> tuple[ComplexArray, FloatArray, float]:
    """Return the characteristic function at k * step, k = start .. , and what it may miss.

    It is the mean over the states; between both, the mean of its moduli.
    """
    u = step * np.arange(start, start + count, dtype=np.float64)
    phi, size, missed = np.zeros(count, dtype=np.complex128), np.zeros(count), 0.0
    factors = _factors(book, step, start, count)
    for state, (weight, kept) in enumerate(zip(book.weights.tolist(), factors, strict=True)):
        bulk = np.exp(bulk_exponent(book, state, u))
        missed += weight * bulk_error(book, state, u, kept, bulk)
        both = weight * kept * bulk
        phi += both
        size += np.abs(both)
    return phi, size, missed


def _factors(book: Book, step: float, start: int, count: int) -> ComplexArray:
    """Return the product of the exact deals' factors at k * step, k = start .. , (m, count)."""
    phi = np.ones((len(book.weights), count), dtype=np.complex128)
    for rows in blocks(len(book.a), ROWS):
        _multiply(phi, book.p[:, rows], powers(book.a[rows], step, start, count))
    for rows in blocks(len(book.spread.low), ROWS):
        either = powers(book.spread.low[rows], step, start, count)
        either += powers(book.spread.high[rows], step, start, count)
        either *= 0.5
        _multiply(phi, book.spread.p[:, rows], either)
    if book.unknown.p.shape[1]:
        drawn = _mean_power(book.unknown.atoms, book.unknown.weights, step, start, count)
        for rows in blocks(book.unknown.p.shape[1], ROWS):
            _multiply(phi, book.unknown.p[:, rows], drawn[np.newaxis])
    if len(book.new.a):
        came = _mean_power(book.new.a, book.new.rate, step, start, count)
        phi *= np.exp(np.multiply.outer(book.new.factor, came - book.new.rate.sum()))
    return phi


def _multiply(phi: ComplexArray, p: FloatArray, won: ComplexArray) -> None:
    """Multiply by the factors 1 - p + p w of some deals, of which w (n, count) is if they win."""
    for state, chance in enumerate(p):
        factor = won * chance[:, np.newaxis]
        factor += 1.0 - chance[:, np.newaxis]
        phi[state] *= np.multiply.reduce(factor, axis=0)


def _mean_power(
    a: FloatArray, mass: FloatArray, step: float, start: int, count: int
) -> ComplexArray:
    """Return sum_j mass_j exp(i k step a_j) for k = start .. , (count,)."""
    total = np.zeros(count, dtype=np.complex128)
    for rows in blocks(len(a), ROWS):
        total += mass[rows] @ powers(a[rows], step, start, count)
    return total


def _easy_size(count: int) -> int:
    """Return the next size that an FFT likes: 4, 5, 6 or 8 times a power of two."""
    power = 1 << max(count.bit_length() - 3, 0)
    return next(factor * power for factor in (1, 2, 4, 5, 6, 8) if factor * power >= count)


def _on_grid(coefficients: ComplexArray, cells: int) -> FloatArray:
    """Return the real part of sum_k c_k exp(i pi k j / cells), k = 1.., at j = 0 .. cells."""
    spectrum = np.zeros((*coefficients.shape[:-1], cells + 1), dtype=np.complex128)
    spectrum[..., 1 : coefficients.shape[-1] + 1] = coefficients
    return np.fft.irfft(spectrum, 2 * cells)[..., : cells + 1] * cells
