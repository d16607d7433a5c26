"""Cumulants of sums of deals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from funnel.typing import FloatArray, IntArray

__all__ = [
    "blocks",
    "compound_cumulants",
    "deal_cumulants",
    "grouped_compound_cumulants",
    "grouped_deal_cumulants",
    "known_terms",
    "spread_terms",
]

CHUNK = 8_192
"""Rows worked on at once: results of 64 KiB stay in the cache and cost no page faults."""


def blocks(count: int, size: int = CHUNK) -> Iterator[slice]:
    """Cut `count` rows into slices of at most `size`."""
    return (slice(start, start + size) for start in range(0, count, size))


def known_terms(p: FloatArray, a: FloatArray) -> Iterator[FloatArray]:
    """Yield kappa_1..kappa_4 of each deal whose amount is known."""
    yield p * a
    q = 1.0 - p
    term = p * q
    bend = 1.0 - 6.0 * term
    term *= a
    term *= a
    yield term
    term *= a
    yield term * (q - p)
    term *= a
    yield term * bend


def spread_terms(p: FloatArray, a: FloatArray, sd: FloatArray) -> Iterator[FloatArray]:
    """Yield kappa_1..kappa_4 of each deal whose amount varies by `sd`, see `deal_cumulants`."""
    a2, s2 = a * a, sd * sd
    m2 = a2 + s2
    m3, m4 = a * (a2 + 3.0 * s2), a2 * a2 + s2 * (6.0 * a2 + s2)
    # An amount that is not negative and varies by more than its mean is 0 or m2 / a.
    wide = sd > a
    if wide.any():
        top = np.divide(m2, a, out=np.zeros_like(m2), where=a > 0.0)
        m2 = np.where(a > 0.0, m2, 0.0)
        m3, m4 = np.where(wide, m2 * top, m3), np.where(wide, m2 * top * top, m4)
    yield from _compound(p, np.stack((a, m2, m3, m4), axis=-1))


def _compound(p: FloatArray, moments: FloatArray) -> Iterator[FloatArray]:
    """Yield kappa_1..kappa_4 of each deal whose amount has these raw moments, (4,) or (c, 4)."""
    m1, m2, m3, m4 = (p * moments[..., order] for order in range(4))
    square = m1 * m1
    yield m1
    yield m2 - square
    yield m3 - 3.0 * m2 * m1 + 2.0 * square * m1
    yield m4 - 4.0 * m3 * m1 - 3.0 * m2 * m2 + 12.0 * m2 * square - 6.0 * square * square


def _accumulate(
    p: FloatArray,
    terms: Callable[[FloatArray, slice], Iterable[FloatArray]],
    groups: IntArray | None,
    count: int,
) -> FloatArray:
    """Add up the deals' cumulants by group, in chunks of rows, column by column of `p`."""
    columns = p[:, np.newaxis] if p.ndim == 1 else p
    total = np.zeros((count, columns.shape[1], 4))
    for rows in blocks(len(p), max(CHUNK, count)):
        for column in range(columns.shape[1]):
            chunk = np.ascontiguousarray(columns[rows, column])
            for order, term in enumerate(terms(chunk, rows)):
                if groups is None:
                    total[0, column, order] += term.sum()
                else:
                    added = np.bincount(groups[rows], weights=term, minlength=count)
                    total[:, column, order] += added
    return total.reshape(count, *p.shape[1:], 4)


def deal_cumulants(p: FloatArray, a: FloatArray, *, sd: FloatArray | None = None) -> FloatArray:
    """Return the first four cumulants of the sum of independent deals.

    ``(n,), (n,) -> (4,)`` or ``(n, k), (n,) -> (k, 4)``

    Parameters
    ----------
    p : FloatArray
        (n,) or (n, k) probabilities that each deal is booked, one column a period.
    a : FloatArray
        (n,) amounts if booked, major units; their means where they vary.
    sd : FloatArray or None
        (n,) standard deviations of the amounts if booked; None for amounts that are certain.

    Returns
    -------
    FloatArray
        (4,) or (k, 4): mean, variance, third and fourth cumulant.

    Notes
    -----
    With q = 1 - p: kappa_1 = p a, kappa_2 = p q a^2, kappa_3 = p q (q - p) a^3 and
    kappa_4 = p q (1 - 6 p q) a^4, added up over the deals. An amount that varies is a - sd or
    a + sd, each as likely, or 0 or (a^2 + sd^2) / a where sd > a; the cumulants follow from its raw
    moments.

    Examples
    --------
    >>> deal_cumulants(np.array([0.5, 1.0]), np.array([2.0, 10.0])).tolist()
    [11.0, 1.0, 0.0, -2.0]
    >>> deal_cumulants(np.ones(1), np.array([10.0]), sd=np.array([2.0])).tolist()[:2]
    [10.0, 4.0]
    """
    return np.asarray(_accumulate(p, _deal_terms(a, sd), None, 1)[0])


def grouped_deal_cumulants(
    p: FloatArray, a: FloatArray, groups: IntArray, count: int, *, sd: FloatArray | None = None
) -> FloatArray:
    """Return `deal_cumulants` for each group of deals.

    ``(n,), (n,), (n,) -> (G, 4)`` or ``(n, k), (n,), (n,) -> (G, k, 4)``

    Parameters
    ----------
    p : FloatArray
        (n,) or (n, k) probabilities.
    a : FloatArray
        (n,) amounts if booked, major units.
    groups : IntArray
        (n,) codes 0 <= g < count.
    count : int
        Number of groups G.
    sd : FloatArray or None
        (n,) standard deviations of the amounts if booked; None for amounts that are certain.

    Returns
    -------
    FloatArray
        (G, 4) or (G, k, 4) cumulants; zero for a group without deals.

    Examples
    --------
    >>> p, a = np.array([0.5, 0.5, 1.0]), np.array([2.0, 4.0, 3.0])
    >>> grouped_deal_cumulants(p, a, np.array([0, 0, 1]), 2)[:, :2].tolist()
    [[3.0, 5.0], [3.0, 0.0]]
    """
    return _accumulate(p, _deal_terms(a, sd), groups, count)


def compound_cumulants(p: FloatArray, moments: FloatArray) -> FloatArray:
    """Return the first four cumulants of the sum of deals whose amounts are random.

    ``(n,), (4,) | (n, 4) -> (4,)`` or ``(n, k), (4,) | (n, 4) -> (k, 4)``

    Parameters
    ----------
    p : FloatArray
        (n,) or (n, k) probabilities that each deal is booked.
    moments : FloatArray
        (4,) shared or (n, 4) own raw moments E[A], E[A^2], E[A^3], E[A^4] of the amounts.

    Returns
    -------
    FloatArray
        (4,) or (k, 4) cumulants.

    Notes
    -----
    The raw moments of a deal are m_j = p E[A^j]; cumulants follow from raw moments as usual.

    Examples
    --------
    >>> compound_cumulants(np.array([0.5]), np.array([2.0, 4.0, 8.0, 16.0])).tolist()
    [1.0, 1.0, 0.0, -2.0]
    """
    return np.asarray(_accumulate(p, _moment_terms(moments), None, 1)[0])


def grouped_compound_cumulants(
    p: FloatArray, moments: FloatArray, groups: IntArray, count: int
) -> FloatArray:
    """Return `compound_cumulants` for each group of deals.

    ``(n,), (4,) | (n, 4), (n,) -> (G, 4)`` or ``(n, k), ... -> (G, k, 4)``

    Parameters
    ----------
    p : FloatArray
        (n,) or (n, k) probabilities.
    moments : FloatArray
        (4,) or (n, 4) raw moments of the amounts.
    groups : IntArray
        (n,) codes 0 <= g < count.
    count : int
        Number of groups G.

    Returns
    -------
    FloatArray
        (G, 4) or (G, k, 4) cumulants; zero for a group without deals.

    Examples
    --------
    >>> moments = np.array([2.0, 4.0, 8.0, 16.0])
    >>> grouped_compound_cumulants(np.array([0.5]), moments, np.array([1]), 2)[:, 0].tolist()
    [0.0, 1.0]
    """
    return _accumulate(p, _moment_terms(moments), groups, count)


def _deal_terms(
    a: FloatArray, sd: FloatArray | None
) -> Callable[[FloatArray, slice], Iterable[FloatArray]]:
    """Return what yields the cumulants of a chunk of deals of certain amounts, or not."""
    if sd is None or not sd.any():
        return lambda chunk, rows: known_terms(chunk, a[rows])
    return lambda chunk, rows: spread_terms(chunk, a[rows], sd[rows])


def _moment_terms(moments: FloatArray) -> Callable[[FloatArray, slice], Iterable[FloatArray]]:
    """Return what yields the cumulants of a chunk of deals of random amount."""
    if moments.ndim == 1:
        return lambda chunk, _: _compound(chunk, moments)
    return lambda chunk, rows: _compound(chunk, moments[rows])
