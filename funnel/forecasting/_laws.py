"""The distribution of the money of one period, from the deals behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.forecasting._books import CellBook
from funnel.forecasting._many import many_deals_law, moved_deals
from funnel.forecasting._moments import variance
from funnel.forecasting._rows import NEW, ForecastDeals
from funnel.forecasting._states import FEW, MANY, States, states
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
PIECES = 8  # most pieces into which the space between two states is cut


def law(book: Book, unknown: Amounts, shock: Shock | None, dispersion: float) -> Law:
    """Return the law of the one period of these deals.

    It is a mixture over the states of what deals share; within each, existing deals are won or not
    and new ones come in Poisson numbers, all independent.
    """
    found = enough_states(book, unknown, shock, dispersion)
    laws = [
        _given(book, unknown, one, factor)
        for one, factor in zip(found.shock.tolist(), found.new.tolist(), strict=True)
    ]
    return _mixed(laws) if len(laws) > 1 else laws[0]


def enough_states(book: Book, unknown: Amounts, shock: Shock | None, dispersion: float) -> States:
    """Return the states that the law of the one period needs: the fewer, the less they matter."""
    split = variance(book.lots, unknown, shock, dispersion)
    shared, within = float((split.level + split.shock)[0]), float(split.within[0])
    if shared <= 1e-12 * within:
        return States(np.zeros(1), np.ones(1))
    return states(shock, dispersion, FEW if shared < WEAK**2 * within else MANY)


def _given(book: Book, unknown: Amounts, shock: float, factor: float) -> Law:
    """Return the law of the one period in a state, from sums by cell where there are many deals."""
    found = None
    if isinstance(book, CellBook):
        found = many_deals_law(book, unknown, shock, factor)
    return given(book.rows, unknown, shock, factor) if found is None else found


def given(deals: ForecastDeals, unknown: Amounts, shock: float, factor: float) -> Law:
    """Return the law of the one period in a state of what deals share."""
    chance, amount, spread = moved_deals(deals, shock, factor)
    known = ~np.isnan(amount)
    drawn = compound.Unknown(chance[~known], unknown.atoms, unknown.weights)
    return compound.deal_law(0.0, chance[known], amount[known], unknown=drawn, sd=spread[known])


def _mixed(laws: list[Law]) -> Law:
    """Return the mixture of equally likely laws, the space between them being filled.

    A large book hardly varies within a state, so that its laws stand apart like teeth: each is
    spread over its share of the space between their means.
    """
    means = np.array([found.cumulants[0] for found in laws])
    order = np.argsort(means)
    gaps = np.empty(len(laws))
    # Half of the distance between the neighbours, and at the ends that to the only one.
    steps = np.diff(means[order])
    gaps[order] = 0.5 * (np.append(steps[0], steps) + np.append(steps, steps[-1]))
    pieces: list[Law] = []
    weights: list[float] = []
    for found, gap in zip(laws, gaps.tolist(), strict=True):
        spread = max(float(found.cumulants[1]), 0.0) ** 0.5
        count = int(min(max(np.ceil(gap / max(spread, 1e-300)), 1), PIECES))
        for step in ((np.arange(count) + 0.5) / count - 0.5).tolist():
            pieces.append(_beside(found, step * gap))
            weights.append(1.0 / (count * len(laws)))
    return compound.mix(pieces, np.array(weights))


def _beside(found: Law, distance: float) -> Law:
    """Return a law moved a little: its steps stay on their lattice, its bounds where they are."""
    if not found.density.size:
        unit = float(np.diff(found.support).min(initial=np.inf))
        distance = float(np.rint(distance / unit)) * unit if unit < np.inf else 0.0
    if distance == 0.0:
        return found
    cumulants = found.cumulants + np.array([distance, 0.0, 0.0, 0.0])
    return found._replace(support=found.support + distance, cumulants=cumulants)


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
