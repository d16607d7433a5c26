"""A book of independent deals as its law needs it, and bounds on its characteristic function."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels._bulk import EMPTY_BULK, Bulk, recurrence
from funnel.kernels._cumulants import blocks, compound_cumulants, deal_cumulants
from funnel.kernels._law import CELLS, mixed_cumulants, total_cumulants
from funnel.kernels._units import common_unit

if TYPE_CHECKING:
    from collections.abc import Callable

    from funnel.kernels._poisson import Poisson
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

GONE, NOTHING = 7.0, 2e-10
"""At so many over its standard deviation, a normal bulk leaves nothing: what `recurrence` says."""

EXPONENTS = 12
"""How many exponents of either sign Chernoff's bound is tried at."""

STEEPEST = 700.0
"""Exponents beyond are cut, so that exp does not overflow; no bound is lowest there."""


class Unknown(NamedTuple):
    """Deals whose amounts are not known but drawn, each on its own, from one distribution.

    Attributes
    ----------
    p : FloatArray
        (u,) probabilities that each deal is booked, or (m, u) in each of m states.
    atoms, weights : FloatArray
        (k,) amounts (major units, >= 0) and their probabilities, which add up to 1.
    """

    p: FloatArray
    atoms: FloatArray
    weights: FloatArray

    def moments(self) -> FloatArray:
        """Return the raw moments (4,) of an amount."""
        return np.array([self.weights @ self.atoms**order for order in range(1, 5)])


NO_UNKNOWN = Unknown(np.empty(0), np.empty(0), np.empty(0))


class Book(NamedTuple):
    """Deals in m states, what is certain being moved to the constant, what is impossible left out.

    All that depends on the state has a first axis for it: chances (m, n), cumulants (m, 4).
    """

    constant: float
    weights: FloatArray
    p: FloatArray
    a: FloatArray
    spread: Spread
    bulk: Bulk
    unknown: Unknown
    new: Poisson
    states: FloatArray
    total: float
    unit: float

    @property
    def kept(self) -> int:
        """Number of deals that are kept exactly."""
        rows = (self.a, self.spread.low, self.unknown.p[0], self.new.a)
        return sum(map(len, rows))

    @property
    def cumulants(self) -> FloatArray:
        """Exact cumulants (4,) over all states."""
        return mixed_cumulants(self.states, self.weights)

    @property
    def amounts(self) -> FloatArray:
        """All amounts that are kept exactly."""
        both = self.spread.low, self.spread.high
        return np.concatenate([self.a, *both, self.unknown.atoms, self.new.a])

    @property
    def largest(self) -> float:
        """The largest amount of a deal that is kept exactly."""
        return float(self.amounts.max(initial=0.0))

    def on_steps(self, width: float) -> bool:
        """Whether all amounts lie on a lattice with few enough points in this width."""
        return self.unit > 0.0 and width / self.unit + 2.0 <= CELLS

    @property
    def bounds(self) -> tuple[float, float]:
        """The smallest and the largest possible value."""
        return self.constant, self.constant + self.total

    def alone(self, state: int) -> Book:
        """Return the book in one of its states."""
        only = slice(state, state + 1)
        return self._replace(
            weights=np.ones(1),
            p=self.p[only],
            spread=self.spread._replace(p=self.spread.p[only]),
            bulk=self.bulk._replace(cumulants=self.bulk.cumulants[only]),
            unknown=self.unknown._replace(p=self.unknown.p[only]),
            new=self.new._replace(factor=self.new.factor[only]),
            states=self.states[only],
        )


def fold(
    constant: float,
    deals: tuple[FloatArray, FloatArray, Spread],
    bulk: Bulk,
    *,
    unknown: Unknown,
    new: Poisson,
    weights: FloatArray,
) -> Book:
    """Move certain deals to the constant, and leave out impossible ones and those of amount 0."""
    m = len(weights)
    p, a, spread = deals
    p, spread = _rows(p, m), spread._replace(p=_rows(spread.p, m))
    bulk = bulk._replace(cumulants=_rows(bulk.cumulants, m))
    unknown = _possible(unknown._replace(p=_rows(unknown.p, m)))
    new = new._replace(factor=np.broadcast_to(new.factor, m))
    if len(unknown.atoms) == 1:
        p = np.concatenate([p, unknown.p], axis=1)
        a = np.append(a, np.full(unknown.p.shape[1], unknown.atoms[0]))
        unknown = NO_UNKNOWN._replace(p=p[:, :0])
    certain = (p >= 1.0).all(axis=0)
    constant += float(a[certain].sum())
    random = (p > 0.0).any(axis=0) & ~certain & (a > 0.0)
    p, a = p[:, random], a[random]
    if bulk.cumulants[:, 1].max() <= 0.0:
        constant += float(bulk.cumulants[0, 0])
        bulk = EMPTY_BULK._replace(cumulants=np.zeros((m, 4)))
    drawn = compound_cumulants(unknown.p.T, unknown.moments())
    known = deal_cumulants(p.T, a) + spread.cumulants()
    states = total_cumulants(constant, known, drawn, bulk.cumulants, new.cumulants())
    total = float(a.sum() + spread.high.sum()) + bulk.total
    total += unknown.p.shape[1] * float(unknown.atoms.max(initial=0.0))
    total = np.inf if len(new.a) else total
    book = Book(constant, weights, p, a, spread, bulk, unknown, new, states, total, 0.0)
    if bulk.total and not bulk.unit:
        return book
    return book._replace(unit=common_unit(np.append(book.amounts, bulk.unit)))


def _rows(values: FloatArray, m: int) -> FloatArray:
    """Return one row for each of m states."""
    return np.broadcast_to(values, (m, values.shape[-1]))


def _possible(unknown: Unknown) -> Unknown:
    """Leave out deals and atoms that cannot happen."""
    possible, there = unknown.weights > 0.0, (unknown.p > 0.0).any(axis=0)
    p, atoms = unknown.p[:, there], unknown.atoms[possible]
    if not (there.any() and atoms.any()):
        return NO_UNKNOWN._replace(p=p[:, :0])
    return Unknown(p, atoms, unknown.weights[possible])


def window(book: Book) -> tuple[float, float]:
    """Return the range above the constant outside of which each side has at most `TAIL`.

    Chernoff's bound at a few exponents s: P(X >= x) <= exp(K(s) - s x), with Bennett's bound
    on the cumulant generating function K of the bulk; the widest range of all states.
    """
    largest = max(book.largest, book.bulk.largest)
    sigma = np.maximum(np.sqrt(book.states[:, 1]), 1e-9 * largest)
    first = min(1.0 / sigma.max(), 3.0 / largest)
    last = max(12.0 / sigma.min(), 30.0 / largest)
    exponents = first * (last / first) ** (np.arange(EXPONENTS) / (EXPONENTS - 1))
    signed = np.append(exponents, -exponents)
    ends = (_log_mgf(book, signed) - np.log(TAIL)) / signed
    high, low = ends[:, :EXPONENTS].min(axis=1), ends[:, EXPONENTS:].max(axis=1)
    return max(0.0, float(low.min())), min(book.total, float(high.max()))


def _log_mgf(book: Book, s: FloatArray) -> FloatArray:
    """Return an upper bound on log E exp(s (X - constant)), (m, e), for exponents s."""
    value = _log_mgf_known(book, s)
    for rows in blocks(len(book.spread.low), 512):
        low = np.multiply.outer(book.spread.low[rows], s)
        high = np.multiply.outer(book.spread.high[rows], s)
        value += _log_factors(book.spread.p[:, rows], np.logaddexp(low, high) - np.log(2.0))
    if book.unknown.p.shape[1]:
        power = np.multiply.outer(s, book.unknown.atoms)
        top = power.max(axis=1)
        drawn = top + np.log(np.exp(power - top[:, np.newaxis]) @ book.unknown.weights)
        for rows in blocks(book.unknown.p.shape[1], 512):
            value += _log_factors(book.unknown.p[:, rows], drawn[np.newaxis])
    if len(book.new.a):
        reach = np.expm1(np.minimum(np.multiply.outer(s, book.new.a), STEEPEST))
        value += np.multiply.outer(book.new.factor, reach @ book.new.rate)
    if book.bulk.largest > 0.0:
        for state, (mean, variance, *_) in enumerate(book.bulk.cumulants):
            value[state] += _bennett(mean, variance, book.bulk.largest, s)
    return value


def _log_mgf_known(book: Book, s: FloatArray) -> FloatArray:
    """Return `_log_mgf` of the deals with one amount."""
    value = np.zeros((len(book.weights), len(s)))
    if len(book.a) <= 4096:
        for rows in blocks(len(book.a), 512):
            value += _log_factors(book.p[:, rows], np.multiply.outer(book.a[rows], s))
        return value
    top = book.a.max()
    share = np.floor(4.0 * np.log2(top / book.a)).astype(np.intp)
    for state, p in enumerate(book.p):
        mean = np.bincount(share, p * book.a)
        variance = np.bincount(share, p * (1.0 - p) * book.a**2)
        for size in np.flatnonzero(variance):
            value[state] += _bennett(mean[size], variance[size], top * 2.0 ** (-size / 4.0), s)
    return value


def _bennett(mean: float, variance: float, largest: float, s: FloatArray) -> FloatArray:
    """Return Bennett's bound on log E exp(s Y) for a sum Y of terms that vary by `largest`."""
    reach = np.minimum(np.abs(s) * largest, 500.0)
    return mean * s + variance / largest**2 * (np.expm1(reach) - reach)


def _log_factors(p: FloatArray, x: FloatArray) -> FloatArray:
    """Return the sum over deals of log(1 - p + p exp(x)), without overflow: (m, n), (n, e)."""
    p = p[:, :, np.newaxis]
    # The chance of what x makes unlikely, not below 1e-15: no log(0), and the bound stays one.
    other = np.maximum(np.where(x > 0.0, p, 1.0 - p), 1e-15)
    tilted = np.maximum(x, 0.0) + np.log(other + (1.0 - other) * np.exp(-np.abs(x)))
    return np.asarray(tilted.sum(axis=1))


def _waves(book: Book) -> tuple[FloatArray, FloatArray]:
    """Return amounts (j,) and masses (m, j) with |phi(u)| <= exp(-sum_j mass (1 - cos u amount)).

    The bulk is left out.
    """
    apart, mass = book.spread.differences()
    varies = (book.unknown.p * (1.0 - book.unknown.p)).sum(axis=1)
    masses = (
        book.p * (1.0 - book.p),
        mass,
        np.multiply.outer(varies, book.unknown.weights),
        np.multiply.outer(book.new.factor, book.new.rate),
    )
    amounts = np.concatenate([book.a, apart, book.unknown.atoms, book.new.a])
    return amounts, np.concatenate(masses, axis=1)


def screen(book: Book, limit: float) -> Callable[[float], float]:
    """Return how much of the law may stand from a frequency on, the bulk being nearly normal."""
    if book.largest == 0.0:
        return lambda _: 0.0
    spread = np.sqrt(book.bulk.cumulants[:, 1])

    @functools.cache
    def bounds() -> list[tuple[FloatArray, FloatArray]]:
        """Return the recurrence in each state."""
        amounts, masses = _waves(book)
        pairs = zip(masses, spread.tolist(), strict=True)
        return [recurrence(amounts, mass, sigma, limit) for mass, sigma in pairs]

    def beyond(u: float) -> float:
        """Return the mean over the states."""
        if u * spread.min() >= GONE:
            return NOTHING
        left = [some[np.searchsorted(frequency, u)] for frequency, some in bounds()]
        return float(book.weights @ left)

    return beyond


def bulk_exponent(book: Book, state: int, u: FloatArray) -> ComplexArray:
    """Return the logarithm of the bulk's characteristic function from its four cumulants."""
    k1, k2, k3, k4 = book.bulk.cumulants[state]
    normal = 1j * u * k1 - 0.5 * k2 * u**2
    # Beyond the reach of the series only the normal law's decay is sure not to explode.
    within = u * book.bulk.largest <= 1.0
    return np.asarray(normal + np.where(within, k4 * u**4 / 24.0 - 1j * k3 * u**3 / 6.0, 0.0))


def bulk_error(
    book: Book, state: int, u: FloatArray, others: ComplexArray, bulk: ComplexArray
) -> float:
    """Return what the law may miss of the bulk at frequencies u, which are consecutive.

    Taylor's remainder after the fourth cumulant, times what the characteristic function of the
    others leaves of it; a characteristic function cannot err by more than 2.
    """
    fifth = book.bulk.cumulants[state, 1] * book.bulk.largest**3 * u**5 / 100.0
    missed = np.minimum(np.abs(bulk) * np.expm1(np.minimum(fifth, 50.0)), 2.0)
    return float((np.abs(others) * missed / u).sum() * (u[1] - u[0]) / np.pi)


def ripple(book: Book) -> float:
    """Return how far the bulk's amounts may make the distribution function wave unseen.

    The cumulants of amounts that are multiples of one unit do not show that their characteristic
    function comes back at 2 pi / unit; what the other deals leave of it there is estimated.
    """
    unit = book.bulk.unit
    if unit == 0.0 or abs(book.unit - unit) <= 1e-9 * unit:
        return book.bulk.stray
    amounts, masses = _waves(book)
    angles = 2.0 * np.pi * np.multiply.outer(np.arange(1, 5), amounts / unit)
    waves = np.exp(-(1.0 - np.cos(angles)) @ masses.T) @ book.weights / np.arange(1, 5)
    return book.bulk.stray + float(waves.sum() * unit / (4.0 * np.sqrt(book.cumulants[1])))


def powers(a: FloatArray, step: float, start: int, count: int) -> ComplexArray:
    """Return exp(i k step a) for k = start .. start + count - 1, one row an amount."""
    block = np.empty((len(a), count), dtype=np.complex128)
    block[:, 0] = np.exp(1j * start * step * a)
    done, factor = 1, np.exp(1j * step * a)
    while done < count:
        more = min(done, count - done)
        np.multiply(block[:, :more], factor[:, np.newaxis], out=block[:, done : done + more])
        done, factor = done + more, factor * factor
    return block
