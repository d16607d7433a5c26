"""Intervals of the total over many simulated worlds: they hold what they promise.

In each world deals loop, skip stages, are put on hold, enter the log late, come back from lost, and
differ by owner, source and region. What a world has not, since the forecaster under test says
nothing of it, is stated with the parts below.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pytest

import funnel as fn
from funnel.datasets import Amounts, Intake, Moves, Seasons, World, simulate
from funnel.errors import ExtrapolationWarning

pytestmark = pytest.mark.deep

WORLDS, DEALS, LEVEL = 200, 1_500, 0.8
CUTOFF = "2026-03-31"
QUARTER = fn.Horizon.quarters("2026-04-01", 1)
EVEN = (1.0,) * 12
WORLD = World(
    seasons=Seasons(months=EVEN, quarter_end=1.0, weekend=1.0, shock=0.0),
    intake=Intake(growth=0.0, months=EVEN),
    moves=Moves(reopen_won=0.0),  # won rows are never asked, so that no win comes twice
    # A stage model that knows no amounts takes chances to be the same for all of them.
    amounts=Amounts(edges=(), multipliers=(1.0,), discount=0.0),
)
# Three standard errors of a share of 200: 0.085.
TOLERANCE = 3.0 * (LEVEL * (1.0 - LEVEL) / WORLDS) ** 0.5


class Trial(NamedTuple):
    """One world: what was forecast, and what then happened, of one part."""

    expected: float
    inside: bool
    below: bool
    actual: float


def judge(outlook, actual):
    """Compare the forecast of one period with what was booked."""
    low, high = (float(bound[0]) for bound in outlook.interval(LEVEL))
    return Trial(float(outlook.expected[0]), low <= actual <= high, actual < low, actual)


def trials(seed):
    """Forecast a quarter of a world of its own: the total, open deals, and those not yet there."""
    history = simulate(DEALS, world=WORLD, rng=seed).history
    known = history.until(CUTOFF)
    pipeline = known.snapshot()
    outlook = fn.DealForecaster("semi-markov").fit(known).forecast(pipeline, QUARTER)
    np.testing.assert_allclose(
        outlook.expected, sum(part.expected for part in outlook.parts.values()), rtol=1e-12
    )
    start, end = QUARTER.edges.tolist()
    were_open = np.isin(history.ids, pipeline.ids[pipeline.outcome == fn.Outcome.OPEN])
    later = ~np.isin(history.ids, pipeline.ids)
    return (
        judge(outlook, fn.outcomes(history).booked(start, end)),
        judge(outlook.parts["open"], fn.outcomes(history.select(were_open)).booked(start, end)),
        judge(outlook.parts["new"], fn.outcomes(history.select(later)).booked(start, end)),
    )


@pytest.fixture(scope="module")
def judged():
    """All worlds: for the total, the open and the new part, one trial each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        return list(zip(*map(trials, range(WORLDS)), strict=True))


def test_eighty_percent_intervals_hold_eighty_percent(judged):
    """0.8 +- 0.085 of 200 worlds, for the total and for each of its two parts."""
    shares = [np.mean([trial.inside for trial in part]) for part in judged]
    below = [np.mean([trial.below for trial in part]) for part in judged]
    np.testing.assert_allclose(LEVEL, shares, atol=TOLERANCE, err_msg=f"below: {below}")


def test_expected_money_is_what_comes_on_average(judged):
    """Over all worlds, money forecast is within 3 standard errors of what was booked."""
    for part in judged:
        error = np.array([trial.expected - trial.actual for trial in part])
        assert abs(error.mean()) < 3.0 * error.std(ddof=1) / np.sqrt(WORLDS)
