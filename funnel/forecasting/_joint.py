"""The joint law of periods and groups, by simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.forecasting._states import states

if TYPE_CHECKING:
    from funnel.forecasting._rows import ForecastDeals
    from funnel.forecasting.amounts import Amounts
    from funnel.forecasting.forecast import Forecast
    from funnel.typing import FloatArray, IntArray

__all__ = ["JointProbability", "reached", "simulate", "whole"]

CELLS = 2**21
"""Most deals times draws that are looked at together."""


@attrs.frozen
class JointProbability:
    """The chance of several events together, from simulation.

    Parameters
    ----------
    value : float
        The probability.
    standard_error : float
        How far it may be off: one standard deviation of the simulation.
    draws : int
        How many draws it rests on.
    """

    value: float
    standard_error: float
    draws: int


def whole(value: object, name: str, least: int) -> int:
    """Demand a whole number of at least some size."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        rule = f"must be a whole number >= {least}"
        raise ValidationError.from_value(name, rule, value, "")
    return int(value)


class Wins(NamedTuple):
    """Deals won in some draws: the draw, the period and the deal of each, (w,)."""

    draw: IntArray
    period: IntArray
    deal: IntArray


def simulate(
    forecast: Forecast, draws: int, rng: np.random.Generator | int, *, groups: bool = False
) -> FloatArray:
    """Draw the booked money by group (or all together, as one) and period: (draws, g, k)."""
    whole(draws, "draws", 1)
    if not isinstance(rng, np.random.Generator):
        rng = np.random.default_rng(whole(rng, "rng", 0))
    deals, k = forecast.deals, len(forecast.horizon)
    count = len(forecast.keys) if groups else 1
    if not groups:
        deals = attrs.evolve(deals, group=np.zeros(len(deals.ids), dtype=np.int32))
    shared = states(forecast.shock, forecast.dispersion)
    state = rng.integers(len(shared.new), size=draws)
    old, new = deals.select(~deals.is_new), deals.select(deals.is_new)
    found = np.empty((draws, count * k))
    size = int(max(CELLS // max(len(old.ids), float(new.chance.sum()), 1.0), 1))
    for number, (shock, factor) in enumerate(zip(*shared, strict=True)):
        won_by = np.cumsum(old.chance * (1.0 + shock * old.response)[:, None], axis=1)
        mine = np.flatnonzero(state == number)
        for begin in range(0, len(mine), size):
            some = mine[begin : begin + size]
            money = np.zeros(len(some) * count * k)
            wins_old = _won(won_by, len(some), rng)
            wins_new = _new(new.chance * factor, len(some), rng)
            for rows, wins in ((old, wins_old), (new, wins_new)):
                worth = _amounts(rows, wins.deal, forecast.unknown, rng)
                place = (wins.draw * count + rows.group[wins.deal]) * k + wins.period
                money += np.bincount(place, worth, minlength=len(money))
            found[some] = money.reshape(len(some), count * k)
    return found.reshape(draws, count, k)


def _won(won_by: FloatArray, draws: int, rng: np.random.Generator) -> Wins:
    """Draw in which period each deal is won, if in any: one number decides, so in one at most."""
    level = rng.random((draws, len(won_by)))
    draw, deal = np.nonzero(level < won_by[:, -1])
    period = (level[draw, deal][:, None] >= won_by[deal, :-1]).sum(axis=1)
    return Wins(draw, period, deal)


def _new(number: FloatArray, draws: int, rng: np.random.Generator) -> Wins:
    """Draw new deals that are won, from their expected numbers (n, k)."""
    running = np.cumsum(number)
    total = float(running[-1]) if len(running) else 0.0
    count = rng.poisson(total, size=draws)
    level = rng.random(int(count.sum())) * total
    cell = np.searchsorted(running, level, side="right")
    draw = np.repeat(np.arange(draws), count)
    return Wins(draw, cell % number.shape[1], cell // number.shape[1])


def _amounts(
    deals: ForecastDeals, won: IntArray, unknown: Amounts, rng: np.random.Generator
) -> FloatArray:
    """Draw the amount of each won deal: (w,) positions of deals -> (w,).

    An amount a that varies by sd is a - sd or a + sd; where sd > a, 0 or (a^2 + sd^2) / a: as in
    the exact law.
    """
    amount, spread = deals.amount[won], deals.spread[won]
    nameless = np.flatnonzero(np.isnan(amount))
    if len(nameless):
        running = np.cumsum(unknown.weights)
        atom = np.searchsorted(running, rng.random(len(nameless)) * running[-1], side="right")
        amount[nameless] = unknown.atoms[atom]
        spread[nameless] = 0.0
    vague = np.flatnonzero((spread > 0.0) & (amount > 0.0))
    if len(vague):
        a, sd, level = amount[vague], spread[vague], rng.random(len(vague))
        square = a**2 + sd**2
        either = np.where(level < 0.5, a - sd, a + sd)
        amount[vague] = np.where(sd < a, either, np.where(level < a**2 / square, square / a, 0.0))
    return amount


def reached(
    forecast: Forecast, targets: FloatArray, draws: int, rng: np.random.Generator | int
) -> JointProbability:
    """Estimate the chance that every period reaches its target."""
    money = simulate(forecast, draws, rng)[:, 0]
    slack = 1e-9 * np.maximum(np.abs(targets), 1.0)  # sums of decimals may fall short by rounding
    share = float(np.all(money >= targets - slack, axis=1).mean())
    # Laplace's rule keeps the error above zero where no or every draw succeeds.
    guess = (share * draws + 1.0) / (draws + 2.0)
    return JointProbability(share, float(np.sqrt(guess * (1.0 - guess) / draws)), draws)
