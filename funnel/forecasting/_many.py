"""The law of many deals, from their sums by cell and the largest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.kernels import compound
from funnel.kernels.cells import COUNT, UNKNOWN

if TYPE_CHECKING:
    from funnel.forecasting._books import CellBook
    from funnel.forecasting._lots import Lots
    from funnel.forecasting._rows import ForecastDeals
    from funnel.forecasting.amounts import Amounts
    from funnel.kernels.compound import Law
    from funnel.typing import FloatArray

    Deals = tuple[FloatArray, FloatArray, FloatArray]

__all__ = ["many_deals_law", "moved_deals"]

LOOKED_AT = (2_048, 16_384)
"""How many of the largest deals are looked at one by one; more where these are not enough."""

SMALL = 0.02  # a Poisson number is split into chances of at most this size


def moved_deals(
    deals: ForecastDeals, shock: float, factor: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return chances, amounts and spreads of independent deals in a state of what they share."""
    chance, new = deals.chance[:, 0], deals.is_new
    chance = np.where(new, chance * factor, chance * (1.0 + shock * deals.response))
    copies = np.where(new, np.maximum(np.ceil(chance / SMALL), 1.0), 1.0).astype(np.int64)
    rows = np.repeat(np.arange(len(chance)), copies)
    return (chance / copies)[rows], deals.amount[rows], deals.spread[rows]


def many_deals_law(book: CellBook, unknown: Amounts, shock: float, factor: float) -> Law | None:
    """Return the law of the one period in a state of what deals share.

    None where there are few deals, or so many of them are large that each has to be looked at.

    Notes
    -----
    As `compound.deal_law` of all deals: the large ones exactly, the others by their cumulants,
    which are those of all lots less those of the large ones.
    """
    mine = attrs.evolve(book, more=None).lots
    p = mine.chance[:, 0] * (1.0 + shock * mine.response)
    if mine.power(COUNT) @ (p > 0.0) <= compound.LARGE_BOOK:
        return None
    certain = (p >= 1.0) & (mine.ratio == 0.0)
    live = np.where(certain, 0.0, p)
    nothing = np.empty(0), np.empty(0), np.empty(0)
    more = nothing if book.more is None else moved_deals(book.more, shock, factor)
    for count in LOOKED_AT:
        some = moved_deals(book.largest(count), shock, factor)
        parts = _parted(mine, live, some, more, book.source.floor(count))
        if parts is not None:
            break
    else:
        return None
    kept, bulk = parts
    unit = book.source.unit(np.unique(np.stack((1.0 - mine.ratio, 1.0 + mine.ratio))))
    bulk = _with_unit(bulk, unit)
    chance, amount, spread = _undecided(moved_deals(book.sample, shock, factor))
    left = amount + spread <= bulk.largest
    both = [
        np.concatenate((one, other[left]))
        for one, other in zip((kept.p, kept.a, kept.sd), (chance, amount, spread), strict=True)
    ]
    times = np.append(np.ones(len(kept.p)), np.full(np.count_nonzero(left), book.source.step))
    sd = both[2] if both[2].any() else None
    bulk = bulk._replace(stray=compound.stray(both[0], both[1], times, bulk, sd=sd))
    nameless = np.repeat(p, mine.power(UNKNOWN).astype(np.int64))
    drawn = np.concatenate((nameless, more[0][np.isnan(more[1])]))
    return compound.law(
        float(mine.power(1) @ certain) + kept.constant,
        kept.p,
        kept.a,
        bulk=bulk,
        unknown=compound.Unknown(drawn, unknown.atoms, unknown.weights),
        sd=kept.sd if kept.sd.any() else None,
    )


class _Kept(NamedTuple):
    """What is certain, and deals that are looked at one by one."""

    constant: float
    p: FloatArray
    a: FloatArray
    sd: FloatArray


def _parted(
    lots: Lots, p: FloatArray, large: Deals, more: Deals, floor: float
) -> tuple[_Kept, compound.Bulk] | None:
    """Part all deals into those to be looked at one by one, and the bulk of the others.

    None where deals have to be looked at that are not among the large ones.
    """
    few = [_undecided(large), _undecided(more)]
    columns = [np.concatenate(column) for column in zip(*few, strict=True)]
    constant, chance, amount, spread = compound.normal_form(0.0, *columns)
    sd = np.zeros(len(amount)) if spread is None else spread
    old = np.arange(len(amount)) < len(few[0][0])
    whole, new = (
        lot_cumulants(lots, p),
        compound.deal_cumulants(chance[~old], amount[~old], sd=sd[~old]),
    )
    sigma = float(np.sqrt(max(whole[1] + new[1], 0.0)))
    exact = compound.split_large(chance, amount, sigma, sd=spread)
    top = amount + sd
    limit = float(top[old & ~exact].max(initial=0.0))
    if floor > limit:
        return None
    own = compound.deal_cumulants(chance[exact & old], amount[exact & old], sd=sd[exact & old])
    total = float((lots.power(1) * (1.0 + lots.ratio)) @ (p > 0.0)) - float(top[exact & old].sum())
    rest = compound.summarize_bulk(chance[~old], amount[~old], exact[~old], sd=sd[~old])
    bulk = compound.Bulk(
        whole - own + rest.cumulants,
        max(limit, rest.largest),
        max(total, limit) + rest.total,
        rest.unit if rest.total else np.inf,
        0.0,
    )
    return _Kept(constant, chance[exact], amount[exact], sd[exact]), bulk


def lot_cumulants(lots: Lots, p: FloatArray) -> FloatArray:
    """Return the first four cumulants of the sum of all deals of known amount, (4,).

    With m_j the raw moments of an amount over its mean to the power j.
    """
    square = lots.ratio**2
    wide = square > 1.0  # such an amount is 0 or larger
    m2 = 1.0 + square
    m3 = np.where(wide, m2**2, 1.0 + 3.0 * square)
    m4 = np.where(wide, m2**3, 1.0 + square * (6.0 + square))
    terms = (
        p,
        p * m2 - p**2,
        p * m3 - 3.0 * p**2 * m2 + 2.0 * p**3,
        p * m4 - p**2 * (4.0 * m3 + 3.0 * m2**2) + 12.0 * p**3 * m2 - 6.0 * p**4,
    )
    return np.array([term @ lots.power(order) for order, term in enumerate(terms, 1)])


def _undecided(deals: Deals) -> Deals:
    """Return the deals of known amount that are neither certain nor impossible."""
    p, a, sd = deals
    some = (p > 0.0) & (p < 1.0) & ~np.isnan(a)
    return p[some], a[some], sd[some]


def _with_unit(bulk: compound.Bulk, unit: float) -> compound.Bulk:
    """Return the bulk with the unit of all amounts, where there is one."""
    if np.isinf(bulk.unit):
        return bulk._replace(unit=unit)
    both = compound.common_unit(np.array([bulk.unit, unit])) if bulk.unit and unit else 0.0
    return bulk._replace(unit=both)
