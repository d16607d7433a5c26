"""The law of a small or uneven book: enumeration, and convolution on a lattice of amounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels._book import TAIL, bulk_error, bulk_exponent, ripple
from funnel.kernels._circle import Circle, added, jumps_of, log_measure
from funnel.kernels._law import Law, step_law
from funnel.kernels._wins import poisson_binomial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.kernels._book import Book
    from funnel.typing import BoolArray, ComplexArray, FloatArray

__all__ = ["enumerated_law", "lattice_law"]

SEVERAL = 512
"""Beyond this many deals, those with a small or large probability are convolved at once."""

UNLIKELY = 0.25
"""Up to this probability, and from 1 minus it, the series of the logarithm converges fast."""

RARE = 1 / 8
"""Up to this probability it does so even where all points that rounding may hit are followed."""

FEW, MANY = 32_768, 65_536
"""Cells where amounts do not lie on a lattice, for few deals and for several."""

MARGIN = 256
"""Cells at each end of the window for what rounding moves beyond it."""

SLIP = 1e-9
"""Probability that rounding to the lattice moves the sum by more than is stated."""


def enumerated_law(book: Book) -> Law:
    """Return the law from all outcomes of a few deals: exact.

    ``Book -> Law``
    """
    values, mass = np.zeros(1), np.ones((len(book.weights), 1))
    for p, amounts, weights in _deals(book):
        values = np.add.outer(np.append(0.0, amounts), values).ravel()
        outcome = np.concatenate([(1.0 - p)[:, np.newaxis], np.multiply.outer(p, weights)], axis=1)
        mass = (outcome[:, :, np.newaxis] * mass[:, np.newaxis]).reshape(len(mass), -1)
        # A stable sort merges what is sorted already: sorting late would cost more.
        order = np.argsort(values, kind="stable")
        values, mass = values[order], mass[:, order]
    return step_law(
        "enumeration",
        book.constant + values,
        book.weights @ mass,
        book.cumulants,
        bounds=book.bounds,
        error=1e-13,
    )


def _deals(book: Book) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Yield probabilities by state, amounts and their weights of each deal."""
    for p, amount in zip(book.p.T, book.a, strict=True):
        yield p, np.array([amount]), np.ones(1)
    for p, *two in zip(book.spread.p.T, book.spread.low, book.spread.high, strict=True):
        yield p, np.array(two), np.full(2, 0.5)
    for p in book.unknown.p.T:
        yield p, book.unknown.atoms, book.unknown.weights


def lattice_law(book: Book, low: float, high: float) -> Law:
    """Return the law by convolution on a circle of amounts: ``Book, float, float -> Law``.

    Parameters
    ----------
    book : Book
        Deals kept exactly, and the cumulants of the others.
    low, high : float
        Range above the constant that holds all but a negligible part of the probability.

    Returns
    -------
    Law
        Of steps; exact on multiples of a unit, else with the `shift` that rounding may cost.

    Notes
    -----
    An amount between two points of the lattice is split between them so that its mean stays. The
    sum then moves by independent errors of mean zero, and Bernstein's inequality bounds their sum.
    A sum beyond the circle comes back at its other end, where the window has no mass.

    Rare deals enter by log(1 - p + p z^a) = log(1 - p) + sum_l (-1)^(l+1) / l (p / (1 - p))^l
    z^(l a): one FFT convolves them all. Of many deals, so do those with p <= 1/4, and with
    p >= 3/4, counted from the amount booked. Deals in Poisson numbers are the first term alone. All
    states share the lattice; their transforms are averaged.

    References
    ----------
    P. S. Kornya, "Distribution of aggregate claims in the individual risk theory model", Trans.
    Soc. Actuaries 35, 1983, 823-858.
    """
    cut = low > 0.0 or high < book.total
    exact, cell = book.on_steps(high - low), book.unit
    if not exact:
        cell = (high - low) / ((MANY if book.kept > SEVERAL else FEW) - 2 * MARGIN - 2)
        low, high = low - MARGIN * cell, high + MARGIN * cell
    cells = 1 << (int(np.ceil((high - low) / cell - 1e-6)) + 1).bit_length()
    circle = Circle(cell, cells, exact)
    origin, pmf, missed = _convolved(book, circle)
    index = np.arange(cells) + int(np.floor((low - origin) / cell + 1e-9))
    shift = 0.0 if exact else _shift(book, circle)
    return step_law(
        "lattice",
        book.constant + origin + cell * index.astype(np.float64),
        pmf[index % cells],
        book.cumulants,
        bounds=book.bounds,
        error=1e-13 + 4.0 * TAIL * cut + SLIP * (not exact) + missed,
        shift=shift,
    )


def _convolved(book: Book, circle: Circle) -> tuple[float, FloatArray, float]:
    """Return the origin above the constant, the mass counted from there, and what it misses."""
    several = book.kept > SEVERAL
    unlikely, likely = (UNLIKELY, 1.0 - UNLIKELY) if several else (RARE, np.inf)
    rare, usual = np.all(book.p <= unlikely, axis=0), np.all(book.p >= likely, axis=0)
    unusual = np.all(book.spread.p <= unlikely, axis=0)
    jumps = jumps_of(
        circle,
        book.weights,
        (book.p[:, ~rare & ~usual], book.a[~rare & ~usual]),
        book.spread.select(~unusual),
    )
    log = _log(book, circle, rare, usual, unusual)
    origin = jumps.origin + float(book.a[usual].sum())
    nameless = book.unknown.p.shape[1] > 0
    if not (log.any() or book.bulk.total or nameless):
        pmf = [added(circle, jumps.to, mass) for mass in jumps.mass]
        return origin, book.weights @ np.array(pmf), 0.0
    drawn = np.fft.rfft(circle.measure(book.unknown.atoms, book.unknown.weights))
    moved, missed = 0.0, 0.0
    if book.bulk.total:
        moved, missed = float(book.weights @ book.bulk.cumulants[:, 0]), ripple(book)
        moved = float(np.rint(moved / circle.cell)) * circle.cell if circle.exact else moved
    phi = np.zeros(circle.cells // 2 + 1, dtype=np.complex128)
    for state, weight in enumerate(book.weights.tolist()):
        one = np.exp(np.fft.rfft(log[state]) - log[state].sum())
        one *= np.fft.rfft(added(circle, jumps.to, jumps.mass[state]))
        if nameless:
            _times_drawn(one, book.unknown.p[state], drawn)
        if book.bulk.total:
            missed += weight * _times_bulk(one, book, state, circle, moved)
        one *= weight
        phi += one
    return origin + moved, np.fft.irfft(phi, circle.cells), missed


def _log(
    book: Book, circle: Circle, rare: BoolArray, usual: BoolArray, unusual: BoolArray
) -> FloatArray:
    """Return, by state, the signed mass whose transform is the logarithm of some deals' factor."""
    new, spread = book.new, book.spread.select(unusual)
    total = np.zeros((len(book.weights), circle.cells))
    if len(new.a):
        total += np.multiply.outer(new.factor, circle.measure(new.a, new.rate))
    odds, other = (p / (1.0 - p) for p in (book.p[:, rare], spread.p))
    within = book.kept <= SEVERAL  # follow all points that rounding may hit
    log_measure(total, circle, book.a[rare, np.newaxis], odds, within=within)
    both = np.stack([spread.low, spread.high], axis=1)
    log_measure(total, circle, both, other, within=within)
    lost = 1.0 / book.p[:, usual] - 1.0
    log_measure(total, circle, -book.a[usual, np.newaxis], lost, within=False)
    return total


def _times_bulk(phi: ComplexArray, book: Book, state: int, circle: Circle, moved: float) -> float:
    """Multiply by the transform of the bulk, less an amount; return what the law may miss of it."""
    u = 2.0 * np.pi / (circle.cell * circle.cells) * np.arange(len(phi), dtype=np.float64)
    bulk = np.exp(bulk_exponent(book, state, u) - 1j * u * moved).conj()
    missed = bulk_error(book, state, u[1:], phi[1:], bulk[1:])
    phi *= bulk
    return missed


def _times_drawn(phi: ComplexArray, p: FloatArray, drawn: ComplexArray) -> None:
    """Multiply by the transform of deals of unknown amount: a polynomial in that of one amount."""
    count = poisson_binomial(p)
    likely = np.flatnonzero(count > 1e-17)
    value = np.zeros(len(drawn), dtype=np.complex128)
    for mass in count[likely[0] : likely[-1] + 1][::-1]:
        value *= drawn
        value += mass
    phi *= value
    phi *= drawn ** int(likely[0])


def _shift(book: Book, circle: Circle) -> float:
    """Return how far rounding moves the sum at most but with probability `SLIP` (Bernstein)."""

    def varies(amounts: FloatArray) -> FloatArray:
        """Return the variance of the error of each amount, in cells."""
        part = circle.split(amounts)[1]
        return part * (1.0 - part)

    either = varies(book.spread.low) + varies(book.spread.high)
    variance = (
        np.minimum(book.p, 1.0 - book.p) @ varies(book.a)
        + book.unknown.p.sum(axis=1) * float(book.unknown.weights @ varies(book.unknown.atoms))
        + 0.5 * book.spread.p @ either
        + book.new.factor * float(book.new.rate @ varies(book.new.a))
    )
    level = np.log(2.0 / SLIP)
    cells = level / 3.0 + np.sqrt((level / 3.0) ** 2 + 2.0 * level * float(variance.max()))
    return float(min(cells, np.inf if len(book.new.a) else book.kept) * circle.cell)
