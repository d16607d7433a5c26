"""The distribution of the money of one period, from the deals behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.forecasting._books import CellBook
from funnel.forecasting._many import coming, many_deals_law
from funnel.forecasting._moments import variance
from funnel.forecasting._rows import NEW, ForecastDeals
from funnel.forecasting._states import FEW, MANY, TOGETHER, States, states
from funnel.forecasting.amounts import Amounts
from funnel.kernels import compound
from funnel.kernels.labels import texts

if TYPE_CHECKING:
    from funnel.forecasting._books import Book
    from funnel.forecasting.dependence import Shock
    from funnel.kernels.compound import Law
    from funnel.typing import FloatArray

__all__ = ["enough_states", "from_moments", "given", "law"]

WEAK = 0.3  # where what is shared spreads less than that much of the rest, few states do


def law(book: Book, unknown: Amounts, shock: Shock | None, dispersion: float) -> Law:
    """Return the law of the one period of these deals.

    It is a mixture over the states of what deals share; within each, existing deals are won or not
    and new ones come in Poisson numbers, all independent.
    """
    found = enough_states(book, unknown, shock, dispersion)
    many = many_deals_law(book, unknown, found) if isinstance(book, CellBook) else None
    return given(book.rows, unknown, found) if many is None else many


def enough_states(book: Book, unknown: Amounts, shock: Shock | None, dispersion: float) -> States:
    """Return the states that the law of the one period needs: the fewer, the less they matter."""
    if shock is None and dispersion <= 0.0:
        return States(np.zeros(1), np.ones(1))
    split = variance(book.money, unknown, shock, dispersion)
    shared, within = float((split.level + split.shock)[0]), float(split.within[0])
    if shared <= 1e-12 * within:
        return States(np.zeros(1), np.ones(1))
    return states(shock, dispersion, FEW if shared < WEAK**2 * within else MANY)


def given(deals: ForecastDeals, unknown: Amounts, shared: States) -> Law:
    """Return the law of the one period, mixed over some states of what deals share."""
    if len(deals) * len(shared.shock) > TOGETHER and len(shared.shock) > 1:
        return compound.between(
            [given(deals, unknown, one) for one in shared.each()], shared.weights
        )
    old = deals.select(~deals.is_new)
    chance = old.chance[:, 0] * (1.0 + np.multiply.outer(shared.shock, old.response))
    known = ~np.isnan(old.amount)
    return compound.deal_law(
        0.0,
        chance[:, known],
        old.amount[known],
        unknown=compound.Unknown(chance[:, ~known], unknown.atoms, unknown.weights),
        sd=old.spread[known],
        new=coming(deals.select(deals.is_new), unknown, shared),
        weights=shared.weights,
    )


def from_moments(
    booked: FloatArray, mean: FloatArray, variance: FloatArray, name: str
) -> tuple[ForecastDeals, Amounts]:
    """(g, k) x 3 -> rows that have these moments, see `Forecast.from_moments`."""
    random = (mean > 0.0) & (variance > 0.0)
    certain = booked + np.where(random, 0.0, mean)
    rows, columns = [], []
    for code, cells in ((0, certain > 0.0), (NEW, random)):
        group, period = np.nonzero(cells)
        size, spread = mean[group, period], variance[group, period]
        number = size**2 / spread if code == NEW else np.ones(len(group))
        chance = np.zeros((len(group), mean.shape[1]))
        chance[np.arange(len(group)), period] = number
        rows.append(chance)
        worth = spread / size if code == NEW else certain[group, period]
        columns.append(np.stack((worth, np.full(len(group), code), group)))
    chance = np.concatenate(rows)
    amount, part, group = np.concatenate(columns, axis=1)
    none = np.full(len(amount), -1)
    deals = ForecastDeals(
        ids=texts([name] * len(amount)),
        chance=chance,
        amount=amount,
        part=part.astype(np.int8),
        group=group.astype(np.int32),
        category=none.astype(np.int8),
        promised=none.astype(np.int32),
    )
    return deals, Amounts(np.empty(0), np.empty(0))
