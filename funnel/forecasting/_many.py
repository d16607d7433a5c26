"""The law of many deals, from their sums by cell and the largest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.forecasting._states import TOGETHER
from funnel.kernels import compound
from funnel.kernels.cells import COUNT, UNKNOWN

if TYPE_CHECKING:
    from funnel.forecasting._books import CellBook
    from funnel.forecasting._lots import Lots
    from funnel.forecasting._rows import ForecastDeals
    from funnel.forecasting._states import States
    from funnel.forecasting.amounts import Amounts
    from funnel.kernels.compound import Law
    from funnel.typing import BoolArray, FloatArray, IntArray

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
    As `compound.deal_law` of all deals: the large ones exactly, the others by their cumulants in
    each state, which are those of all lots less those of the large ones.
    """
    mine = book.existing.money
    if not _many(mine):
        return None
    number = mine.power(UNKNOWN).astype(np.int64)
    if number.sum() * len(shared.shock) > TOGETHER and len(shared.shock) > 1:
        laws = [many_deals_law(book, unknown, one) for one in shared.each()]
        found = [one for one in laws if one is not None]
        return compound.between(found, shared.weights) if len(found) == len(laws) else None
    new = compound.NO_POISSON if book.more is None else coming(book.more, unknown, shared)
    certain = (mine.chance[:, 0] >= 1.0) & (mine.ratio == 0.0)
    for count in LOOKED_AT:
        large = _undecided(book.largest(count), shared)
        floor = book.source.floor(count)
        parts = _parted(mine, large, shared, new, certain=certain, floor=floor)
        if parts is not None:
            break
    else:
        return None
    kept, bulk = parts
    bulk = bulk._replace(unit=book.source.unit(vague=bool(mine.ratio.any())))
    nameless = np.repeat(np.arange(len(number)), number)
    return compound.law(
        float(mine.power(1) @ certain) + kept.constant,
        kept.p,
        kept.a,
        bulk=bulk._replace(stray=_stray(book, shared, kept, bulk)),
        unknown=compound.Unknown(_chances(mine, shared, nameless), unknown.atoms, unknown.weights),
        sd=kept.sd if kept.sd.any() else None,
        new=new,
        weights=shared.weights,
    )


def _many(lots: Lots) -> bool:
    """Tell whether many deals may be won: by Cauchy and Schwarz, n sum a^2 >= (sum a)^2."""
    alive = lots.chance[:, 0] > 0.0
    whole, square = (float(lots.power(order)[alive].sum()) for order in (1, 2))
    if whole * whole > compound.LARGE_BOOK * square:
        return True  # without a count, which would take a pass of its own
    return bool(lots.power(COUNT)[alive].sum() > compound.LARGE_BOOK)


class _Kept(NamedTuple):
    """What is certain, and deals that are looked at one by one."""

    constant: float
    p: FloatArray
    a: FloatArray
    sd: FloatArray


def _chances(lots: Lots, shared: States, some: IntArray | None = None) -> FloatArray:
    """Return the chances of the lots, or of some, in each state, (m, l)."""
    chance, response = lots.chance[:, 0], lots.response
    if some is not None:
        chance, response = chance[some], response[some]
    return chance * (1.0 + np.multiply.outer(shared.shock, response))


def _parted(
    lots: Lots,
    large: Deals,
    shared: States,
    new: compound.Poisson,
    *,
    certain: BoolArray,
    floor: float,
) -> tuple[_Kept, compound.Bulk] | None:
    """Part all deals into those to be looked at one by one, and the bulk of the others.

    None where deals have to be looked at that are not among the large ones.
    """
    constant, chance, amount, spread = compound.normal_form(0.0, *large)
    sd = np.zeros(len(amount)) if spread is None else spread
    whole = np.array(
        [
            lot_cumulants(lots, np.where(certain, 0.0, _chances(lots, one)[0]))
            for one in shared.each()
        ]
    )
    sigma = np.sqrt(np.maximum(whole[:, 1] + new.cumulants()[:, 1], 0.0)).tolist()
    exact = np.any(
        [
            compound.split_large(one, amount, deviation, sd=spread)
            for one, deviation in zip(chance, sigma, strict=True)
        ],
        axis=0,
    )
    top = amount + sd
    limit = float(top[~exact].max(initial=0.0))
    if floor > limit:
        return None
    own = compound.deal_cumulants(chance[:, exact].T, amount[exact], sd=sd[exact])
    live = (lots.chance[:, 0] > 0.0) & ~certain
    most = lots.power(1) * (1.0 + lots.ratio)
    total = float(most[live].sum()) - float(top[exact].sum())
    bulk = compound.Bulk(whole - own, limit, max(total, limit), 0.0, 0.0)
    return _Kept(constant, chance[:, exact], amount[exact], sd[exact]), bulk


def _stray(book: CellBook, shared: States, kept: _Kept, bulk: compound.Bulk) -> float:
    """Return `compound.stray` of all deals in the worst state; a sample stands for the bulk."""
    chance, amount, spread = _undecided(book.sample, shared)
    left = amount + spread <= bulk.largest
    chance = np.concatenate((kept.p, chance[:, left]), axis=1)
    amount = np.concatenate((kept.a, amount[left]))
    spread = np.concatenate((kept.sd, spread[left]))
    times = np.where(np.arange(len(amount)) < len(kept.a), 1.0, book.source.step)
    sd = spread if spread.any() else None
    return max(compound.stray(one, amount, times, bulk, sd=sd) for one in chance)


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


def _undecided(deals: Lots, shared: States) -> Deals:
    """Return chances, amounts and spreads of deals that are neither certain nor impossible.

    Those of unknown amount are left out.
    """
    chance = deals.chance[:, 0]
    some = np.flatnonzero((chance > 0.0) & (chance < 1.0) & (deals.power(UNKNOWN) == 0.0))
    amount = deals.power(1)[some]
    return _chances(deals, shared, some), amount, amount * deals.ratio[some]
