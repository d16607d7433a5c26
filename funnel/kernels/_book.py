"""A book of independent deals as its law needs it, and bounds on its characteristic function."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels._bulk import EMPTY_BULK, Bulk, recurrence
from funnel.kernels._cumulants import blocks, compound_cumulants, deal_cumulants
from funnel.kernels._law import CELLS, total_cumulants
from funnel.kernels._units import common_unit

if TYPE_CHECKING:
    from funnel.kernels._spread import Spread
    from funnel.typing import ComplexArray, FloatArray

__all__ = [
    "NO_UNKNOWN",
    "TAIL",
    "Book",
    "Unknown",
    "bulk_error",
    "bulk_exponent",
    "fold",
    "powers",
    "ripple",
    "screen",
    "window",
]

TAIL = 1e-10
"""Probability beyond each end of the window in which a law is tabulated."""


class Unknown(NamedTuple):
    """Deals whose amounts are not known but drawn, each on its own, from one distribution.

    Attributes
    ----------
    p : FloatArray
        (u,) probabilities that each deal is booked.
    atoms, weights : FloatArray
        (m,) amounts (major units, >= 0) and their probabilities, which add up to 1.
    """

    p: FloatArray
    atoms: FloatArray
    weights: FloatArray

    def moments(self) -> FloatArray:
        """Return the raw moments (4,) of an amount."""
        return np.array([self.weights @ self.atoms**order for order in range(1, 5)])


NO_UNKNOWN = Unknown(np.empty(0), np.empty(0), np.empty(0))


class Book(NamedTuple):
    """Deals with what is certain moved to the constant and what is impossible left out."""

    constant: float
    p: FloatArray
    a: FloatArray
    spread: Spread
    bulk: Bulk
    unknown: Unknown
    cumulants: FloatArray
    total: float
    unit: float

    @property
    def kept(self) -> int:
        """Number of deals that are kept exactly."""
        return len(self.p) + len(self.spread.p) + len(self.unknown.p)

    @property
    def largest(self) -> float:
        """The largest amount of a deal that is kept exactly."""
        amounts = (self.a, self.spread.high, self.unknown.atoms)
        return float(max(among.max(initial=0.0) for among in amounts))

    def on_steps(self, width: float) -> bool:
        """Whether all amounts lie on a lattice with few enough points in this width."""
        return self.unit > 0.0 and width / self.unit + 2.0 <= CELLS

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest possible value."""
        return self.constant, self.constant + self.total


def fold(
    constant: float, deals: tuple[FloatArray, FloatArray, Spread], bulk: Bulk, unknown: Unknown
) -> Book:
    """Move certain deals to the constant, and leave out impossible ones and those of amount 0."""
    p, a, spread = deals
    unknown = _possible(unknown)
    if len(unknown.atoms) == 1:
        p = np.concatenate([p, unknown.p])
        a = np.concatenate([a, np.full(len(unknown.p), unknown.atoms[0])])
        unknown = NO_UNKNOWN
    constant += float(a[p >= 1.0].sum())
    random = (p > 0.0) & (p < 1.0) & (a > 0.0)
    p, a = p[random], a[random]
    if bulk.cumulants[1] <= 0.0:
        constant += float(bulk.cumulants[0])
        bulk = EMPTY_BULK
    unit = 0.0
    if bulk.total == 0.0 or bulk.unit > 0.0:
        amounts = (a, spread.low, spread.high, unknown.atoms, np.array([bulk.unit]))
        unit = common_unit(np.concatenate(amounts))
    drawn = compound_cumulants(unknown.p, unknown.moments())
    known = deal_cumulants(p, a) + spread.cumulants()
    cumulants = total_cumulants(constant, known, drawn, bulk.cumulants)
    total = float(a.sum()) + bulk.total + len(unknown.p) * float(unknown.atoms.max(initial=0.0))
    total += float(spread.high.sum())
    return Book(constant, p, a, spread, bulk, unknown, cumulants, total, unit)


def _possible(unknown: Unknown) -> Unknown:
    """Leave out deals and atoms that cannot happen."""
    possible = unknown.weights > 0.0
    p, atoms = unknown.p[unknown.p > 0.0], unknown.atoms[possible]
    return Unknown(p, atoms, unknown.weights[possible]) if len(p) and atoms.any() else NO_UNKNOWN


def window(book: Book) -> tuple[float, float]:
    """Return the range above the constant outside of which each side has at most `TAIL`.

    Chernoff's bound at a few exponents s: P(X >= x) <= exp(K(s) - s x), with Bennett's bound
    on the cumulant generating function K of the bulk.
    """
    largest = max(book.largest, book.bulk.largest)
    sigma = max(float(np.sqrt(book.cumulants[1])), 1e-9 * largest)
    exponents = np.geomspace(min(1.0 / sigma, 3.0 / largest), max(12.0 / sigma, 30.0 / largest), 12)
    need = -np.log(TAIL)
    high = ((_log_mgf(book, exponents) + need) / exponents).min()
    low = (-(_log_mgf(book, -exponents) + need) / exponents).max()
    return max(0.0, float(low)), min(book.total, float(high))


def _log_mgf(book: Book, s: FloatArray) -> FloatArray:
    """Return an upper bound on log E exp(s (X - constant)) for exponents s of one sign."""
    value = np.zeros(len(s))
    if len(book.p) <= 4096:
        value += _log_factors(book.p, np.multiply.outer(book.a, s))
    else:
        top = book.a.max()
        share = np.floor(4.0 * np.log2(top / book.a)).astype(np.intp)
        mean = np.bincount(share, book.p * book.a)
        variance = np.bincount(share, book.p * (1.0 - book.p) * book.a**2)
        for size in np.flatnonzero(variance):
            value += _bennett(mean[size], variance[size], top * 2.0 ** (-size / 4.0), s)
    for rows in blocks(len(book.spread.p), 4096):
        low = np.multiply.outer(book.spread.low[rows], s)
        high = np.multiply.outer(book.spread.high[rows], s)
        value += _log_factors(book.spread.p[rows], np.logaddexp(low, high) - np.log(2.0))
    if len(book.unknown.p):
        power = np.multiply.outer(s, book.unknown.atoms)
        top = power.max(axis=1)
        drawn = top + np.log(np.exp(power - top[:, np.newaxis]) @ book.unknown.weights)
        for rows in blocks(len(book.unknown.p), 4096):
            value += _log_factors(book.unknown.p[rows], drawn)
    if book.bulk.largest > 0.0:
        mean, variance = book.bulk.cumulants[:2]
        value += _bennett(float(mean), float(variance), book.bulk.largest, s)
    return value


def _bennett(mean: float, variance: float, largest: float, s: FloatArray) -> FloatArray:
    """Return Bennett's bound on log E exp(s Y) for a sum Y of terms that vary by `largest`."""
    reach = np.minimum(np.abs(s) * largest, 500.0)
    return mean * s + variance / largest**2 * (np.expm1(reach) - reach)


def _log_factors(p: FloatArray, x: FloatArray) -> FloatArray:
    """Return the sum over deals of log(1 - p + p exp(x)), without overflow."""
    p = p[:, np.newaxis]
    # The chance of what x makes unlikely, not below 1e-15: no log(0), and the bound stays one.
    other = np.maximum(np.where(x > 0.0, p, 1.0 - p), 1e-15)
    tilted = np.maximum(x, 0.0) + np.log1p((1.0 - other) * np.expm1(-np.abs(x)))
    return np.asarray(tilted.sum(axis=0))


def screen(book: Book, limit: float) -> tuple[FloatArray, FloatArray]:
    """Return `recurrence` of the deals kept exactly, the bulk being nearly normal."""
    if book.largest == 0.0:
        return np.zeros(1), np.zeros(2)
    drawn = float((book.unknown.p * (1.0 - book.unknown.p)).sum()) * book.unknown.weights
    apart, mass = book.spread.differences()
    return recurrence(
        np.concatenate([book.a, apart, book.unknown.atoms]),
        np.concatenate([book.p * (1.0 - book.p), mass, drawn]),
        float(np.sqrt(book.bulk.cumulants[1])),
        limit,
    )


def bulk_exponent(book: Book, u: FloatArray) -> ComplexArray:
    """Return the logarithm of the bulk's characteristic function from its four cumulants."""
    k1, k2, k3, k4 = book.bulk.cumulants
    normal = 1j * u * k1 - 0.5 * k2 * u**2
    # Beyond the reach of the series only the normal law's decay is sure not to explode.
    within = u * book.bulk.largest <= 1.0
    return np.asarray(normal + np.where(within, k4 * u**4 / 24.0 - 1j * k3 * u**3 / 6.0, 0.0))


def bulk_error(
    book: Book, u: FloatArray, step: float, others: ComplexArray, bulk: ComplexArray
) -> float:
    """Return what the law may miss of the bulk at frequencies u = k step.

    Taylor's remainder after the fourth cumulant, times what the characteristic function of the
    others leaves of it; a characteristic function cannot err by more than 2.
    """
    fifth = book.bulk.cumulants[1] * book.bulk.largest**3 * u**5 / 100.0
    missed = np.minimum(np.abs(bulk) * np.expm1(np.minimum(fifth, 50.0)), 2.0)
    return float((np.abs(others) * missed / u).sum()) * step / np.pi


def ripple(book: Book) -> float:
    """Return how far the bulk's amounts may make the distribution function wave unseen.

    The cumulants of amounts that are multiples of one unit do not show that their characteristic
    function comes back at 2 pi / unit; what the other deals leave of it there is estimated.
    """
    unit = book.bulk.unit
    if unit == 0.0 or abs(book.unit - unit) <= 1e-9 * unit:
        return book.bulk.stray
    apart, mass = book.spread.differences()
    amounts = np.concatenate([book.a, apart])
    angles = 2.0 * np.pi * np.multiply.outer(np.arange(1, 5), amounts / unit)
    decay = (1.0 - np.cos(angles)) @ np.concatenate([book.p * (1.0 - book.p), mass])
    waves = np.exp(-decay) / np.arange(1, 5)
    return book.bulk.stray + float(waves.sum() * unit / (4.0 * np.sqrt(book.cumulants[1])))


def powers(a: FloatArray, step: float, start: int, count: int) -> ComplexArray:
    """Return exp(i k step a) for k = start .. start + count - 1, one row an amount."""
    block = np.empty((len(a), count), dtype=np.complex128)
    block[:, 0] = np.exp(1j * start * step * a)
    done = 1
    while done < count:
        more = min(done, count - done)
        factor = np.exp(1j * done * step * a)
        np.multiply(block[:, :more], factor[:, np.newaxis], out=block[:, done : done + more])
        done += more
    return block
