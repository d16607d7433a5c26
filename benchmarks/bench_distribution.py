"""P10, P50 and P90 of the money of a year, and the number of wins.

The simulation draws every deal 10,000 times; a part of the draws is timed and the rest
extrapolated. How exact the quantiles are is judged by the characteristic function of all deals,
each with its own chance, inverted with four times as many terms as the library needs.
"""

from __future__ import annotations

import attrs
import data
import numpy as np
import rounds
from rounds import Contender, Goal

import funnel as fn
from funnel.kernels import compound

LEVELS = (0.1, 0.5, 0.9)
YEAR = data.YEAR.whole()
DRAWS, TERMS = 10_000, 256
SMALL, LARGE = 100_000, 10_000_000
ALLOWED = 5e-4  # error of a quantile in standard deviations
LIMIT = "reading chances and amounts: two sums"
FRESH, WHOLE = "quantiles of a forecast", "forecast and quantiles, from a table"
BUILT = "building the table of columns at hand, forecast and quantiles"


def quantiles(outlook):
    """Return P10, P50 and P90 of the one period."""
    return np.array([outlook.quantile(level)[0] for level in LEVELS])


def from_table(table):
    """Forecast the year, and ask for the quantiles."""
    return quantiles(fn.forecast(table, YEAR, "textbook"))


def exact(p, a, near):
    """Return P(X <= x) near three quantiles from the characteristic function of all deals.

    Cosine series (Fang & Oosterlee 2008, doi:10.1137/080718061) on mean -+ 10 sd.
    """
    mean, sd = float(p @ a), float(np.sqrt((p * (1.0 - p)) @ a**2))
    low, width = mean - 10.0 * sd, 20.0 * sd
    turns = np.arange(TERMS) * np.pi / width
    log = np.zeros(TERMS, dtype=np.complex128)
    for begin in range(0, len(a), 8_192):
        some, size = p[begin : begin + 8_192, None], a[begin : begin + 8_192, None]
        log += np.log1p(some * np.expm1(1j * size * turns)).sum(axis=0)
    terms = np.exp(log - 1j * turns * low).real * 2.0 / width
    terms[0] /= 2.0
    x = near - low
    waves = np.sin(turns[1:] * x[:, None]) / turns[1:]
    return terms[0] * x + waves @ terms[1:], sd


def error_in_sd(p, a, found):
    """Return the largest error of three quantiles in standard deviations."""
    chance, sd = exact(p, a, found)
    step = 1e-3 * sd
    density = (exact(p, a, found + step)[0] - chance) / step
    return float(np.abs((chance - np.array(LEVELS)) / density).max() / sd)


def simulated(p, a, draws):
    """Draw each deal, and return quantiles of the sums."""
    rng, sums = np.random.default_rng(1), np.empty(draws)
    single, size = p.astype(np.float32), a.astype(np.float32)
    for row in range(draws):
        sums[row] = size @ (rng.random(len(p), dtype=np.float32) < single)
    return np.quantile(sums, LEVELS)


def money(deals, draws):
    """Return the table of P10, P50 and P90."""
    table = data.pipeline(deals)
    p, a = data.PROBABILITY[table.stage], table.amount
    outlook = fn.forecast(table, YEAR, "textbook")
    simulation = f"simulation, {DRAWS:,} draws"
    contenders = [
        Contender(LIMIT, lambda: (p.sum(), a.sum()), "limit"),
        Contender(FRESH, quantiles, "ours", fresh=lambda: (attrs.evolve(outlook),)),
        Contender(WHOLE, from_table, "ours", fresh=lambda: (data.built(table),)),
        Contender(BUILT, lambda: from_table(data.built(table)), "ours"),
        Contender("the same table again", lambda: from_table(table), "ours"),
        Contender(
            "kernel, every deal with its own chance",
            lambda: compound.quantile(compound.deal_law(0.0, p, a), np.array(LEVELS)),
            "kernel",
        ),
        Contender(simulation, lambda: simulated(p, a, draws), times=DRAWS / draws),
    ]
    title = f"P10, P50 and P90 of a year, {deals:,} deals"
    if deals <= SMALL:
        error = error_in_sd(p, a, quantiles(outlook))
        assert error < ALLOWED, error
        title += f" (largest error {error:.1e} standard deviations)"
        goals = [Goal(FRESH, at_most=2.0), Goal(WHOLE, at_most=2.0)]
        goals.append(Goal(FRESH, simulation, at_least=1_000.0))
    else:
        goals = [Goal(FRESH, LIMIT, at_most=6.0), Goal(WHOLE, LIMIT, at_most=6.0)]
    return rounds.measure(title, contenders, goals, rounds=rounds.FEWEST)


def wins(deals):
    """Return the table of the number of wins."""
    from fast_poibin import PoiBin

    chances = np.random.default_rng(3).random(deals)
    np.testing.assert_allclose(
        compound.poisson_binomial(chances), PoiBin(chances).pmf, rtol=0.0, atol=1e-12
    )
    return rounds.measure(
        f"Number of wins, {deals:,} deals of different chances",
        [
            Contender("kernel", lambda: compound.poisson_binomial(chances), "kernel"),
            Contender("fast-poibin", lambda: PoiBin(chances)),
        ],
    )


def tables(quick):
    """Yield money and wins."""
    yield money(SMALL, 20)
    if not quick:
        yield money(LARGE, 1)
    if rounds.has("fast_poibin"):
        yield wins(SMALL)


if __name__ == "__main__":
    rounds.main(tables)
