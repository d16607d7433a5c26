"""The law of a small or uneven book: enumeration, and convolution on a lattice of amounts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels._book import TAIL, bulk_error, bulk_exponent, ripple
from funnel.kernels._law import CELLS, Law, step_law
from funnel.kernels._wins import poisson_binomial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.kernels._book import Book
    from funnel.kernels._spread import Spread
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["enumerated_law", "lattice_law"]

SEVERAL = 512
"""Beyond this many deals, those with a small or large probability are convolved at once."""

UNLIKELY = 0.25
"""Up to this probability, and from 1 minus it, the series of the logarithm converges fast."""

MARGIN = 256
"""Cells at each end of the window for what rounding moves beyond it."""

SLIP = 1e-9
"""Probability that rounding to the lattice moves the sum by more than is stated."""


def enumerated_law(book: Book) -> Law:
    """Return the law from all outcomes of a few deals: exact.

    ``Book -> Law``
    """
    values, mass = np.zeros(1), np.ones(1)
    for p, amounts, weights in _deals(book):
        values = np.add.outer(np.append(0.0, amounts), values).ravel()
        mass = np.multiply.outer(np.append(1.0 - p, p * weights), mass).ravel()
        # A stable sort merges what is sorted already: sorting late would cost more.
        order = np.argsort(values, kind="stable")
        values, mass = values[order], mass[order]
    return step_law(
        "enumeration",
        book.constant + values,
        mass,
        book.cumulants,
        bounds=book.bounds,
        error=1e-13,
    )


def _deals(book: Book) -> Iterator[tuple[float, FloatArray, FloatArray]]:
    """Yield probability, amounts and their weights of each deal."""
    for p, amount in zip(book.p, book.a, strict=True):
        yield p, np.array([amount]), np.ones(1)
    for p, *two in zip(*book.spread, strict=True):
        yield p, np.array(two), np.full(2, 0.5)
    for p in book.unknown.p:
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

    Of many deals, those with p <= 1/4 enter by log(1 - p + p z^a) = log(1 - p) +
    sum_l (-1)^(l+1) / l (p / (1 - p))^l z^(l a): one FFT convolves them all (those with p >= 3/4
    in the same way, counted from the amount booked). Of deals with two amounts, so do the rare.

    References
    ----------
    P. S. Kornya, "Distribution of aggregate claims in the individual risk theory model", Trans.
    Soc. Actuaries 35, 1983, 823-858.
    """
    cut = low > 0.0 or high < book.total
    exact, cell = book.on_steps(high - low), book.unit
    if not exact:
        cell = (high - low) / (CELLS - 2 * MARGIN - 2)
        low, high = low - MARGIN * cell, high + MARGIN * cell
    cells = 1 << (int(np.ceil((high - low) / cell - 1e-6)) + 1).bit_length()
    grid = _Grid(cell, cells, exact)
    origin, pmf, missed = _circle(book, grid)
    index = np.arange(cells) + int(np.floor((low - origin) / cell + 1e-9))
    shift = 0.0 if exact else _shift(book, grid)
    return step_law(
        "lattice",
        book.constant + origin + cell * index.astype(np.float64),
        pmf[index % cells],
        book.cumulants,
        bounds=book.bounds,
        error=1e-13 + 4.0 * TAIL * cut + SLIP * (not exact) + missed,
        shift=shift,
    )


class _Grid(NamedTuple):
    """A circle of amounts: width and number of cells, and whether all amounts lie on it."""

    cell: float
    cells: int
    exact: bool

    def split(self, a: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the point below each amount, and the part of its mass for the point above."""
        position = a / self.cell
        if self.exact:
            return np.rint(position).astype(np.int64), np.zeros(len(a))
        below = np.floor(position + 1e-9)
        return below.astype(np.int64), np.maximum(position - below, 0.0)

    def measure(self, a: FloatArray, mass: FloatArray) -> FloatArray:
        """Return the mass of amounts on the circle."""
        below, part = self.split(a)
        low = np.bincount(below % self.cells, mass * (1.0 - part), minlength=self.cells)
        if not self.exact:
            low = low + np.bincount((below + 1) % self.cells, mass * part, minlength=self.cells)
        return low.astype(np.float64)


def _circle(book: Book, grid: _Grid) -> tuple[float, FloatArray, float]:
    """Return the origin above the constant, the mass counted from there, and what it misses."""
    several = book.kept > SEVERAL
    rare = (book.p <= UNLIKELY) & several
    usual = (book.p >= 1.0 - UNLIKELY) & several
    unusual = (book.spread.p <= UNLIKELY) & several
    origin, pmf = _shift_add(book, ~rare & ~usual, grid)
    _add_spread(pmf, book.spread.select(~unusual), grid)
    if not (several or book.bulk.total or len(book.unknown.p)):
        return origin, pmf, 0.0
    odds = book.p / (1.0 - book.p)
    log = _log_measure(book.a[rare], odds[rare], grid)
    log += _log_measure(-book.a[usual], 1.0 / odds[usual], grid)
    log += _log_spread(book.spread.select(unusual), grid)
    phi = np.exp(np.fft.rfft(log) - log.sum()) * np.fft.rfft(pmf)
    if len(book.unknown.p):
        phi *= _unknown_factor(book, grid)
    origin += float(book.a[usual].sum())
    missed = 0.0
    if book.bulk.total:
        mean = float(book.bulk.cumulants[0])
        moved = float(np.rint(mean / grid.cell)) * grid.cell if grid.exact else mean
        step = 2.0 * np.pi / (grid.cell * grid.cells)
        u = step * np.arange(len(phi), dtype=np.float64)
        bulk = np.exp(bulk_exponent(book, u) - 1j * u * moved).conj()
        missed = ripple(book) + bulk_error(book, u[1:], step, phi[1:], bulk[1:])
        phi *= bulk
        origin += moved
    return origin, np.fft.irfft(phi, grid.cells), missed


def _shift_add(book: Book, which: BoolArray, grid: _Grid) -> tuple[float, FloatArray]:
    """Return origin and mass of the sum of some deals, added one by one from the smallest.

    The loop over deals is over few of them, each step being one pass over the lattice in use.
    """
    order = np.flatnonzero(which)[np.argsort(book.a[which], kind="stable")]
    origin, jumps, mass = _jumps(book.p[order], book.a[order], grid)
    pmf, top = np.zeros(grid.cells), 1
    pmf[0] = 1.0
    for (near, far), (stay, nearly, fully) in zip(jumps.tolist(), mass.tolist(), strict=True):
        # Nothing lies beyond `top`; once the circle is full, all of it is in use.
        used = min(top, grid.cells) if top + far <= grid.cells else grid.cells
        moved, gone = pmf[:used] * nearly, pmf[:used] * fully
        pmf[:used] *= stay
        _add_turned(pmf, moved, near % grid.cells)
        if fully:
            _add_turned(pmf, gone, far % grid.cells)
        top += far
    return origin, pmf


def _add_spread(pmf: FloatArray, spread: Spread, grid: _Grid) -> None:
    """Add deals with two amounts to the mass on the circle, one by one from the smallest."""
    spread = spread.select(np.argsort(spread.high, kind="stable"))
    low, low_part = grid.split(spread.low)
    high, high_part = grid.split(spread.high)
    jumps = np.stack([low, low + 1, high, high + 1], axis=1)
    parts = np.stack([1.0 - low_part, low_part, 1.0 - high_part, high_part], axis=1)
    mass = 0.5 * spread.p[:, np.newaxis] * parts
    top = int(np.flatnonzero(pmf)[-1]) + 1
    for p, to, won in zip(spread.p.tolist(), jumps.tolist(), mass.tolist(), strict=True):
        used = min(top, grid.cells) if top + to[-1] <= grid.cells else grid.cells
        before = pmf[:used].copy()
        pmf[:used] *= 1.0 - p
        for jump, part in zip(to, won, strict=True):
            if part:
                _add_turned(pmf, before * part, jump % grid.cells)
        top += to[-1]


def _jumps(p: FloatArray, a: FloatArray, grid: _Grid) -> tuple[float, IntArray, FloatArray]:
    """Return the origin, and for each deal two jumps and the mass of none, the first, the second.

    It is the rarer of won and lost whose amount is split between two points, so that what is
    likely stays where it is: for p > 1/2, losing means 0 or 1 and winning one cell more than the
    amount rounded down.
    """
    below, part = grid.split(a)
    likely = (p > 0.5) & (not grid.exact)
    jumps = np.stack([np.where(likely, 1, below), below + 1], axis=1)
    q = 1.0 - p
    mass = np.where(likely, [q * part, q * (1.0 - part), p], [q, p * (1.0 - part), p * part])
    origin = float((a - grid.cell * jumps[:, 1])[likely].sum())
    return origin, jumps, mass.T


def _add_turned(pmf: FloatArray, mass: FloatArray, jump: int) -> None:
    """Add mass to the circle, moved on by `jump` cells."""
    straight = min(len(mass), len(pmf) - jump)
    pmf[jump : jump + straight] += mass[:straight]
    pmf[: len(mass) - straight] += mass[straight:]


def _log_measure(a: FloatArray, odds: FloatArray, grid: _Grid) -> FloatArray:
    """Return the signed mass whose transform is sum log(1 + odds z^a), for odds <= 1/3."""
    total, power, order = np.zeros(grid.cells), odds, 1
    while power.sum() > 1e-13:
        total += grid.measure(order * a, power * ((-1.0) ** (order + 1) / order))
        order += 1
        power = power * odds
    return total


def _log_spread(spread: Spread, grid: _Grid) -> FloatArray:
    """Return `_log_measure` of deals with two amounts: powers of a binomial, for odds <= 1/3."""
    odds = spread.p / (1.0 - spread.p)
    total, power, order = np.zeros(grid.cells), odds, 1
    while power.sum() > 1e-13:
        for high in range(order + 1):
            part = (-1.0) ** (order + 1) / order * math.comb(order, high) / 2.0**order
            amount = high * spread.high + (order - high) * spread.low
            total += grid.measure(amount, power * part)
        order += 1
        power = power * odds
    return total


def _unknown_factor(book: Book, grid: _Grid) -> FloatArray:
    """Return the transform of the deals of unknown amount: a polynomial in that of one amount."""
    drawn = np.fft.rfft(grid.measure(book.unknown.atoms, book.unknown.weights))
    count = poisson_binomial(book.unknown.p)
    likely = np.flatnonzero(count > 1e-17)
    value = np.zeros(len(drawn), dtype=np.complex128)
    for mass in count[likely[0] : likely[-1] + 1][::-1]:
        value *= drawn
        value += mass
    return np.asarray(value * drawn ** int(likely[0]))


def _shift(book: Book, grid: _Grid) -> float:
    """Return how far rounding moves the sum at most but with probability `SLIP` (Bernstein)."""
    part = grid.split(book.a)[1]
    variance = float((np.minimum(book.p, 1.0 - book.p) * part * (1.0 - part)).sum())
    part = grid.split(book.unknown.atoms)[1]
    mean = float(book.unknown.weights @ (part * (1.0 - part))) if len(part) else 0.0
    variance += float(book.unknown.p.sum()) * mean
    for amounts in (book.spread.low, book.spread.high):
        part = grid.split(amounts)[1]
        variance += 0.5 * float((book.spread.p * part * (1.0 - part)).sum())
    level = np.log(2.0 / SLIP)
    cells = level / 3.0 + np.sqrt((level / 3.0) ** 2 + 2.0 * level * variance)
    return float(min(cells, book.kept) * grid.cell)
