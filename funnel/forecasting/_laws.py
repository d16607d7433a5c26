"""The distribution of the money of one period, from the deals behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.forecasting._rows import NEW, ForecastDeals
from funnel.forecasting.amounts import Amounts
from funnel.kernels import compound
from funnel.kernels.labels import texts

if TYPE_CHECKING:
    from funnel.kernels.compound import Law
    from funnel.typing import FloatArray

NODES = 8  # states of the factor that new deals share
SMALL = 0.02  # a Poisson number is split into chances of at most this size


def law(deals: ForecastDeals, period: int, unknown: Amounts, dispersion: float) -> Law:
    """Return the law of one period: existing deals won or not, new ones in Poisson numbers."""
    chance = deals.chance[:, period]
    new = deals.is_new
    if not np.any(chance[new] > 0.0):
        return _law(chance[~new], deals.amount[~new], unknown)
    factors = gamma_nodes(dispersion)
    laws = []
    for factor in factors.tolist():
        number = chance[new] * factor
        copies = np.maximum(np.ceil(number / SMALL), 1.0).astype(np.int64)
        split = np.repeat(number / copies, copies)
        laws.append(
            _law(
                np.concatenate((chance[~new], split)),
                np.concatenate((deals.amount[~new], np.repeat(deals.amount[new], copies))),
                unknown,
            )
        )
    return laws[0] if len(laws) == 1 else compound.mix(laws, np.full(len(laws), 1.0 / len(laws)))


def _law(chance: FloatArray, amount: FloatArray, unknown: Amounts) -> Law:
    """Return the law of independent deals, unknown amounts being drawn."""
    known = ~np.isnan(amount)
    drawn = compound.Unknown(chance[~known], unknown.atoms, unknown.weights)
    return compound.deal_law(0.0, chance[known], amount[known], unknown=drawn)


def gamma_nodes(variance: float) -> FloatArray:
    """Return equally likely values with mean 1 that stand for a Gamma factor of this variance.

    Each is the mean of a slice of equal probability, so that the mean is exact; the variance is
    that of the slices, a little less than asked for.
    """
    if variance <= 0.0:
        return np.ones(1)
    from scipy.special import gammainc, gammaincinv  # noqa: PLC0415 - slow to import

    shape = 1.0 / variance
    edges = gammaincinv(shape, np.linspace(0.0, 1.0, NODES + 1))
    return np.asarray(np.diff(gammainc(shape + 1.0, edges)) * NODES)


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
