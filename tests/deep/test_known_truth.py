"""Fitted curves against the true ones of simulated worlds: the error falls with the deals.

Each world is one that its model can describe: deals loop, skip stages, move on the same day, enter
the log late and come back from lost, and ever more of them arrive. None goes on hold, since what a
held deal comes back to depends on the stage before, which no state of these models remembers.
"""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.datasets import Amounts, Intake, Mix, Moves, Seasons, World, simulate
from funnel.models.hazard_regression import HazardRegression
from funnel.models.parametric import Parametric
from funnel.models.semi_markov import SemiMarkov

pytestmark = pytest.mark.deep

CUTOFF = "2026-03-31"
DATES = np.datetime64(CUTOFF) + np.array([14, 30, 90])
SIZES = (1_000, 10_000, 100_000)

EVEN = (1.0,) * 12
CALM = Seasons(months=EVEN, quarter_end=1.0, weekend=1.0, shock=0.0)
MOVES = Moves(hold=0.0)
ONE_KIND = World.simple().mix
ALIKE = World(
    moves=MOVES,
    seasons=CALM,
    intake=Intake(growth=0.3, months=EVEN),
    mix=ONE_KIND,
    amounts=Amounts(edges=(), multipliers=(1.0,)),
)
OWNERS = attrs.evolve(ALIKE, mix=attrs.evolve(ONE_KIND, owners=Mix().owners))
SEGMENTS = attrs.evolve(ALIKE, mix=Mix())
# The same rates on all days in a stage: geometric times, the Weibull law of spread 1.
STEADY = attrs.evolve(
    ALIKE,
    moves=attrs.evolve(
        MOVES,
        bands=(),
        advance=[[rates[1]] for rates in MOVES.advance],
        lose=[[rates[1]] for rates in MOVES.lose],
    ),
)
CASES = {
    "semi-markov": (ALIKE, SemiMarkov(), (8, 4, 4)),
    "semi-markov-segments": (OWNERS, SemiMarkov(segments=("owner",)), (8, 4, 2)),
    "parametric": (STEADY, Parametric(distribution="weibull"), (8, 4, 3)),
    "hazard-regression": (SEGMENTS, HazardRegression(), (8, 4, 2)),
}
"""World, model, and how many worlds of each size are simulated."""


def deals_of(world):
    """Some hundred open deals of a world, with their true chances."""
    found = simulate(4_000, world=world, rng=999)
    pipeline = found.history.snapshot(CUTOFF)
    pipeline = pipeline.select(pipeline.outcome == fn.Outcome.OPEN)
    return pipeline, found.truth.win_curve(pipeline, DATES)


def errors_of(case, size, worlds):
    """Fitted minus true chances, (worlds, deals, dates)."""
    world, model, _ = CASES[case]
    pipeline, truth = deals_of(world)
    found = []
    for seed in range(worlds):
        history = simulate(size, world=world, rng=seed).history.until(CUTOFF)
        found.append(model.fit(history).win_curve(pipeline, DATES) - truth)
    return np.array(found)


@pytest.mark.filterwarnings("ignore::funnel.errors.ExtrapolationWarning")
@pytest.mark.parametrize("case", CASES)
def test_the_error_falls_with_the_root_of_the_deals(case):
    """Ten times the deals, a third of the error: 1 / sqrt(10) = 0.32, here below a half.

    The root is a factor of 10 over both steps. It is not quite reached, since with few deals rare
    states lean on common ones, which makes their error smaller than the root would have it. Rare
    ones come late: the error of a typical deal falls faster than that of all deals together.
    """
    found = [errors_of(case, *pair) for pair in zip(SIZES, CASES[case][2], strict=True)]
    typical = [np.median(np.sqrt(np.mean(errors**2, axis=0))) for errors in found]
    together = [np.sqrt(np.mean(errors**2)) for errors in found]
    assert typical[1] < typical[0] / 2.0, (typical, together)
    assert typical[2] < typical[1] / 2.0, (typical, together)
    assert typical[2] < typical[0] / 5.0, (typical, together)
    assert together[2] < together[0] / 3.0, (typical, together)
    # With 100,000 deals nothing is left that has a sign: half a percentage point on average.
    np.testing.assert_allclose(0.0, found[2].mean(axis=(0, 1)), atol=0.005)
