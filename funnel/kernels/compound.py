"""The distribution of booked money: a constant plus independent deals, each won or lost.

X = constant + sum_i B_i A_i with B_i ~ Bernoulli(p_i), or Poisson(r_i) where deals may come in any
number, and A_i a known amount, one of two amounts where it may change until the deal is won, or one
drawn from a distribution that deals of unknown amount share. Chances may depend on a state that all
deals share. `deal_law` takes deals as they are; `law` takes what is kept of them: large deals
exactly, the others as cumulants, which add up over months, owners and segments. Both return a
`Law`, read with `cdf`, `survival` and `quantile`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.kernels._between import apart, between
from funnel.kernels._book import NO_UNKNOWN, Unknown, fold, window
from funnel.kernels._bulk import (
    EMPTY_BULK,
    SMALL_BOOK,
    Bulk,
    split_large,
    standard_deviation,
    stray,
    summarize_bulk,
)
from funnel.kernels._cos import cos_law
from funnel.kernels._cumulants import (
    compound_cumulants,
    deal_cumulants,
    grouped_compound_cumulants,
    grouped_deal_cumulants,
)
from funnel.kernels._lattice import enumerated_law, lattice_law
from funnel.kernels._law import CELLS, Law, cdf, mix, moved, quantile, survival
from funnel.kernels._poisson import NO_POISSON, Poisson, poisson
from funnel.kernels._spread import normal_form, parted
from funnel.kernels._units import common_unit
from funnel.kernels._wins import poisson_binomial

if TYPE_CHECKING:
    from funnel.kernels._book import Book
    from funnel.typing import FloatArray, IntArray

__all__ = [
    "LARGE_BOOK",
    "NO_POISSON",
    "SMALL_BOOK",
    "Bulk",
    "Law",
    "Poisson",
    "Unknown",
    "between",
    "cdf",
    "common_unit",
    "compound_cumulants",
    "deal_cumulants",
    "deal_law",
    "grouped_compound_cumulants",
    "grouped_deal_cumulants",
    "law",
    "mix",
    "normal_form",
    "poisson",
    "poisson_binomial",
    "quantile",
    "split_large",
    "stray",
    "summarize_bulk",
    "survival",
]

MANY_WHALES, FAR = 4, 0.05
"""Up to this many deals are taken apart when the others' standard deviation is that small a part
of the whole."""

ONE_STATE = np.ones(1)

FEW = 64
"""Beyond this many deals the cosine series is tried before the lattice."""

LARGE_BOOK = 8192
TOLERABLE = 1e-5
"""Up to this many deals, all are kept exactly where cumulants would cost a larger error."""


def deal_law(
    constant: float,
    p: FloatArray,
    a: FloatArray,
    *,
    unknown: Unknown = NO_UNKNOWN,
    sd: FloatArray | None = None,
    new: Poisson = NO_POISSON,
    weights: FloatArray = ONE_STATE,
) -> Law:
    """Return the law of a constant plus deals that are independent, or so given a shared state.

    ``float, (n,) | (m, n), (n,) -> Law``

    Parameters
    ----------
    constant : float
        What is certain, major units.
    p : FloatArray
        (n,) probabilities of the deals, or (m, n) in each of m states.
    a : FloatArray
        (n,) amounts >= 0 of the deals, major units.
    unknown : Unknown
        Deals whose amounts are drawn; none by default.
    sd : FloatArray or None
        (n,) standard deviations of the amounts if booked, `a` being their means; None for amounts
        that are certain.
    new : Poisson
        Deals that come in Poisson numbers, from `poisson`; none by default.
    weights : FloatArray
        (m,) probabilities of the states; by default there is one state.

    Returns
    -------
    Law
        See `law`.

    Notes
    -----
    An amount with a standard deviation is a - sd or a + sd, each as likely: the law of fewest atoms
    with this mean and variance. Where sd > a it is 0 or (a^2 + sd^2) / a, which has them too and is
    never negative. An amount of 0 stays 0.

    Examples
    --------
    >>> two = deal_law(10.0, np.array([0.5, 0.5]), np.array([1.0, 2.0]))
    >>> two.method, two.support.tolist(), two.cumulative.tolist()
    ('enumeration', [10.0, 11.0, 12.0, 13.0], [0.25, 0.5, 0.75, 1.0])
    >>> one = deal_law(0.0, np.array([0.5]), np.array([8.0]), sd=np.array([2.0]))
    >>> one.support.tolist(), one.cumulative.tolist()
    ([0.0, 6.0, 10.0], [0.5, 0.75, 1.0])

    Good times or bad ones, each as likely; and deals of 1 of which 0.1 are expected.

    >>> found = deal_law(0.0, np.array([[0.7], [0.3]]), np.array([2.0]), weights=np.full(2, 0.5))
    >>> found.cumulative.tolist()
    [0.5, 1.0]
    >>> new = poisson(np.array([0.1]), np.array([1.0]))
    >>> cdf(deal_law(0.0, np.empty(0), np.empty(0), new=new), np.zeros(1)).round(6).tolist()
    [0.904837]
    """
    constant, p, a, sd = normal_form(constant, p, a, sd)
    rest: dict[str, Any] = {"unknown": unknown, "new": new, "weights": weights}
    if len(a) <= SMALL_BOOK:
        return law(constant, p, a, sd=sd, **rest)
    states = np.atleast_2d(p)
    exact = np.any(
        [split_large(one, a, standard_deviation(one, a, sd=sd), sd=sd) for one in states], axis=0
    )
    bulk = _joined([summarize_bulk(one, a, exact, sd=sd) for one in states])
    kept = None if sd is None else sd[exact]
    found = law(constant, p[..., exact], a[exact], bulk=bulk, sd=kept, **rest)
    if found.error > TOLERABLE and len(a) <= LARGE_BOOK and bulk.total:
        return law(constant, p, a, sd=sd, **rest)
    return found


def _joined(bulks: list[Bulk]) -> Bulk:
    """Return the bulk of the same deals in several states."""
    cumulants = np.array([bulk.cumulants for bulk in bulks])
    return bulks[0]._replace(cumulants=cumulants, stray=max(bulk.stray for bulk in bulks))


def law(
    constant: float,
    p: FloatArray,
    a: FloatArray,
    *,
    bulk: Bulk = EMPTY_BULK,
    unknown: Unknown = NO_UNKNOWN,
    sd: FloatArray | None = None,
    new: Poisson = NO_POISSON,
    weights: FloatArray = ONE_STATE,
) -> Law:
    """Return the law of a constant, deals kept exactly, and a bulk of small ones.

    ``float, (k,) | (m, k), (k,) -> Law``

    Parameters
    ----------
    constant : float
        What is certain, major units.
    p, a : FloatArray
        (k,) or (m, k) probabilities and (k,) amounts >= 0 (major units) of the deals kept exactly.
    bulk : Bulk
        Summary of the others (see `split_large` for which these may be); none by default.
    unknown, sd, new, weights
        As in `deal_law`.

    Returns
    -------
    Law
        With its method, a bound or estimate of its error, and exact cumulants.

    Notes
    -----
    Up to 2^16 outcomes are enumerated. Most other books go by a cosine series of the characteristic
    function. Where it would converge too slowly, up to four deals that dwarf all others are taken
    apart, and what is left is convolved on a lattice, as are small books. Lattice and series are
    exact where amounts are multiples of a common unit that is not too small. What depends on the
    state alone is done for each; where the laws of the states stand apart, see `between`.

    Examples
    --------
    >>> p, a = np.full(1000, 0.5), np.full(1000, 10.0)
    >>> wins = law(0.0, p, a)
    >>> wins.method, quantile(wins, np.array([0.1, 0.9])).tolist()
    ('cos', [4800.0, 5200.0])
    """
    constant, p, a, sd = normal_form(constant, p, a, sd)
    deals = parted(p, a, sd)
    return _best(fold(constant, deals, bulk, unknown=unknown, new=new, weights=weights))


def _best(book: Book) -> Law:
    """Return the law of a book by the most exact method that it allows."""
    if apart(book.states[:, 0], book.states[:, 1]):
        return between(_each(book), book.weights)
    if not (book.bulk.total or len(book.new.a)) and _outcomes(book) <= np.log2(CELLS):
        return enumerated_law(book)
    low, high = window(book)
    on_steps = book.on_steps(high - low)
    if book.bulk.total or book.kept > (SMALL_BOOK if on_steps else FEW):
        found = cos_law(book, low, high)
        if found is not None:
            return found
    if on_steps or not (whales := _whales(book)).size:
        return lattice_law(book, low, high)
    if len(book.weights) > 1:
        return mix(_each(book), book.weights)
    return _given_whales(book, whales)


def _each(book: Book) -> list[Law]:
    """Return the law in each state."""
    return [_best(book.alone(state)) for state in range(len(book.weights))]


def _outcomes(book: Book) -> float:
    """Return the binary logarithm of the number of outcomes of a book without bulk."""
    drawn = book.unknown.p.shape[1] * float(np.log2(1.0 + len(book.unknown.atoms)))
    return float(len(book.a) + len(book.spread.low) * np.log2(3.0) + drawn)


def _whales(book: Book) -> IntArray:
    """Return the few deals beside which the spread of all others is small, if there are any.

    Those with two amounts count after the others.
    """
    variance = np.append(book.p * (1.0 - book.p) * book.a**2, book.spread.variance, axis=1)
    variance, whole = book.weights @ variance, float(book.weights @ book.states[:, 1])
    order = np.argsort(-variance)[:MANY_WHALES]
    few = np.flatnonzero(whole - np.cumsum(variance[order]) < FAR**2 * whole)
    return order[: few[0] + 1] if few.size else order[:0]


def _given_whales(book: Book, whales: IntArray) -> Law:
    """Return the mixture, over the outcomes of a few deals, of the law of the others."""
    n = len(book.a)
    others = np.ones(n + len(book.spread.low), dtype=np.bool_)
    others[whales] = False
    one, two = others[:n], others[n:]
    deals = book.p[:, one], book.a[one], book.spread.select(two)
    left: dict[str, Any] = {"unknown": book.unknown, "new": book.new, "weights": book.weights}
    rest = _best(fold(book.constant, deals, book.bulk, **left))
    offsets, mass = np.zeros(1), np.ones(1)
    plain = whales[whales < n]
    for p, amount in zip(book.p[0, plain], book.a[plain], strict=True):
        offsets = np.append(offsets, offsets + amount)
        mass = np.append(mass * (1.0 - p), mass * p)
    for p, low, high in zip(
        book.spread.p[0, ~two], book.spread.low[~two], book.spread.high[~two], strict=True
    ):
        offsets = np.concatenate([offsets, offsets + low, offsets + high])
        mass = np.concatenate([mass * (1.0 - p), 0.5 * mass * p, 0.5 * mass * p])
    mixed = mix([moved(rest, offset) for offset in offsets], mass)
    return mixed._replace(cumulants=book.cumulants)
