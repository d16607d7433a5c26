"""The law of many deals, from their sums by cell and the largest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels import compound
from funnel.kernels.cells import COUNT, UNKNOWN

if TYPE_CHECKING:
    from funnel.forecasting._books import CellBook
    from funnel.forecasting._lots import Lots
    from funnel.forecasting._rows import ForecastDeals
    from funnel.forecasting._states import States
    from funnel.forecasting.amounts import Amounts
    from funnel.kernels.compound import Law
    from funnel.typing import FloatArray

    Deals = tuple[FloatArray, FloatArray, FloatArray]

__all__ = ["coming", "many_deals_law"]

LOOKED_AT = (2_048, 16_384)
"""How many of the largest deals are looked at one by one; more where these are not enough."""


def coming(new: ForecastDeals, unknown: Amounts, shared: States) -> compound.Poisson:
    """Return deals that do not exist yet, which come in Poisson numbers."""
    rate, known = new.chance[:, 0], ~np.isnan(new.amount)
    drawn = float(rate[~known].sum()) * unknown.weights
    return compound.poisson(
        np.concatenate((rate[known], drawn)),
        np.concatenate((new.amount[known], unknown.atoms)),
        sd=np.concatenate((new.spread[known], np.zeros(len(drawn)))),
        factor=shared.new,
    )


def many_deals_law(book: CellBook, unknown: Amounts, shared: States) -> Law | None:
    """Return the law of the one period, mixed over some states of what deals share.

    None where there are few deals, or so many of them are large that each has to be looked at.

    Notes
    -----
    In each state as `compound.deal_law` of all deals: the large ones exactly, the others by their
    cumulants, which are those of all lots less those of the large ones.
    """
    mine = book.existing.money
    if mine.power(COUNT) @ (mine.chance[:, 0] > 0.0) <= compound.LARGE_BOOK:
        return None
    laws = []
    for one in shared.each():
        new = compound.NO_POISSON if book.more is None else coming(book.more, unknown, one)
        found = _given(book, mine, unknown, float(one.shock[0]), new)
        if found is None:
            return None
        laws.append(found)
    return compound.between(laws, shared.weights)


def _given(
    book: CellBook, mine: Lots, unknown: Amounts, shock: float, new: compound.Poisson
) -> Law | None:
    """Return the law in one state; `mine` are the lots of the deals that exist."""
    p = mine.chance[:, 0] * (1.0 + shock * mine.response)
    certain = (p >= 1.0) & (mine.ratio == 0.0)
    live = np.where(certain, 0.0, p)
    for count in LOOKED_AT:
        some = _undecided(book.largest(count), shock)
        parts = _parted(mine, live, some, new, book.source.floor(count))
        if parts is not None:
            break
    else:
        return None
    kept, bulk = parts
    bulk = bulk._replace(unit=book.source.unit(vague=bool(mine.ratio.any())))
    chance, amount, spread = _undecided(book.sample, shock)
    left = amount + spread <= bulk.largest
    both = [
        np.concatenate((one, other[left]))
        for one, other in zip((kept.p, kept.a, kept.sd), (chance, amount, spread), strict=True)
    ]
    times = np.append(np.ones(len(kept.p)), np.full(np.count_nonzero(left), book.source.step))
    sd = both[2] if both[2].any() else None
    bulk = bulk._replace(stray=compound.stray(both[0], both[1], times, bulk, sd=sd))
    nameless = np.repeat(p, mine.power(UNKNOWN).astype(np.int64))
    return compound.law(
        float(mine.power(1) @ certain) + kept.constant,
        kept.p,
        kept.a,
        bulk=bulk,
        unknown=compound.Unknown(nameless, unknown.atoms, unknown.weights),
        sd=kept.sd if kept.sd.any() else None,
        new=new,
    )


class _Kept(NamedTuple):
    """What is certain, and deals that are looked at one by one."""

    constant: float
    p: FloatArray
    a: FloatArray
    sd: FloatArray


def _parted(
    lots: Lots, p: FloatArray, large: Deals, new: compound.Poisson, floor: float
) -> tuple[_Kept, compound.Bulk] | None:
    """Part all deals into those to be looked at one by one, and the bulk of the others.

    None where deals have to be looked at that are not among the large ones.
    """
    constant, chance, amount, spread = compound.normal_form(0.0, *large)
    sd = np.zeros(len(amount)) if spread is None else spread
    whole = lot_cumulants(lots, p)
    sigma = float(np.sqrt(max(whole[1] + new.cumulants()[0, 1], 0.0)))
    exact = compound.split_large(chance, amount, sigma, sd=spread)
    top = amount + sd
    limit = float(top[~exact].max(initial=0.0))
    if floor > limit:
        return None
    own = compound.deal_cumulants(chance[exact], amount[exact], sd=sd[exact])
    total = float((lots.power(1) * (1.0 + lots.ratio)) @ (p > 0.0)) - float(top[exact].sum())
    bulk = compound.Bulk(whole - own, limit, max(total, limit), 0.0, 0.0)
    return _Kept(constant, chance[exact], amount[exact], sd[exact]), bulk


def lot_cumulants(lots: Lots, p: FloatArray) -> FloatArray:
    """Return the first four cumulants of the sum of all deals of known amount, (4,).

    With m_j the raw moments of an amount over its mean to the power j.
    """
    square = lots.ratio**2
    wide = square > 1.0  # such an amount is 0 or larger
    m2 = 1.0 + square
    m3 = np.where(wide, m2 * m2, 1.0 + 3.0 * square)
    m4 = np.where(wide, m2 * m2 * m2, 1.0 + square * (6.0 + square))
    terms = (
        p,
        p * (m2 - p),
        p * (m3 - p * (3.0 * m2 - 2.0 * p)),
        p * (m4 - p * (4.0 * m3 + 3.0 * m2 * m2 - p * (12.0 * m2 - 6.0 * p))),
    )
    return np.array([term @ lots.power(order) for order, term in enumerate(terms, 1)])


def _undecided(deals: Lots, shock: float) -> Deals:
    """Return chances, amounts and spreads of deals that are neither certain nor impossible.

    Those of unknown amount are left out.
    """
    p = deals.chance[:, 0] * (1.0 + shock * deals.response)
    some = (p > 0.0) & (p < 1.0) & (deals.power(UNKNOWN) == 0.0)
    amount = deals.power(1)[some]
    return p[some], amount, amount * deals.ratio[some]
