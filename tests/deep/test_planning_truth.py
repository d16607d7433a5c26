"""Plans with lags, fed through simulated companies: they reach their targets as often as they say.

Entries come in Poisson numbers with the planned means; deals of the week are drawn from a large
pool that the same truth has made. Deals loop, skip stages and move within a day. All are worth the
same, so that the sample of amounts in a history plays no part.
"""

from __future__ import annotations

import warnings

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.datasets import World, simulate
from funnel.errors import ExtrapolationWarning
from funnel.forecasting import FittedDealForecaster
from funnel.forecasting._chances import chances
from funnel.planning import plan_inflow
from funnel.planning._response import chances_by_week, rates_by_week

pytestmark = pytest.mark.deep

SIMPLE = World.simple(advance=(0.06, 0.05, 0.06), lose=(0.02, 0.02, 0.015))
WORLD = attrs.evolve(
    SIMPLE,
    moves=attrs.evolve(SIMPLE.moves, skip=0.15, back=0.006, same_day=0.08),
    amounts=attrs.evolve(SIMPLE.amounts, spread=0.0, median=1_000.0),
)
START, CUTOFF = "2024-01-01", "2025-12-31"
NEXT_DAY = "2026-01-01"
HALF = fn.Horizon.quarters("2026-01-01", 2)
END = "2026-06-30"
CONFIDENCE, POOL = 0.8, 60_000


@pytest.fixture(scope="module")
def pool():
    """Deals of the half year: day of creation, and money booked by its end, (n,), (n,)."""
    history = simulate(POOL, start=NEXT_DAY, end=END, world=WORLD, rng=77).history
    deals = history.snapshot()
    won = (deals.outcome == fn.Outcome.WON) & (deals.closed_on < int(HALF.edges[-1]))
    return deals.created, np.where(won, deals.amount, 0.0)


def brought(plan, pool, rng):
    """Money that the planned entries bring, in one run."""
    created, money = pool
    weeks = plan.inflow.response
    ahead, total = ~weeks.late, 0.0
    for first, end, mean in zip(weeks.first[ahead], weeks.end[ahead], plan.entries, strict=True):
        there = np.flatnonzero((created >= first) & (created < end))
        total += money[rng.choice(there, size=rng.poisson(mean), replace=True)].sum()
    return float(total)


def year(seed, deals=900):
    """A company of two years and a half, what was known at the cutoff, and what its deals bring."""
    history = simulate(deals, start=START, end=END, world=WORLD, rng=seed)
    known = history.history.until(CUTOFF)
    there = np.isin(history.history.ids, known.snapshot().ids)
    old = fn.outcomes(history.history.select(there)).booked(*HALF.edges[[0, -1]].tolist())
    return history.truth, known, float(old)


@pytest.mark.parametrize("confidence", [None, CONFIDENCE])
def test_with_the_truth_known_the_plan_comes_true(pool, confidence):
    """200 companies: mean within 3 standard errors, chance within 3 of sqrt(q (1 - q) / 200)."""
    rng, runs = np.random.default_rng(1), 200
    miss, hit = np.empty(runs), np.empty(runs)
    for run in range(runs):
        truth, known, old = year(run)
        arrivals = fn.Arrivals().fit(known)
        fitted = FittedDealForecaster("truth", truth, None, arrivals)
        plan = plan_inflow(90_000.0, fitted, known.snapshot(), HALF, confidence=confidence)
        money = old + brought(plan, pool, rng)
        miss[run] = money - float(plan.outlook.expected.sum())
        hit[run] = (money >= plan.target) - plan.probability
        if confidence is None:  # no period falls short of its target but by what is too late
            periods = plan.periods
            assert np.all(periods.expected >= (periods.target - periods.too_late) * (1.0 - 1e-5))
    assert abs(miss.mean()) < 3.0 * miss.std(ddof=1) / np.sqrt(runs)
    assert abs(hit.mean()) < 3.0 * 0.5 / np.sqrt(runs)


@pytest.mark.parametrize("model", ["semi-markov", "win-rate", "stage-duration"])
def test_with_the_truth_to_be_learnt_the_confidence_holds(pool, model):
    """60 companies, each of which learns its own parameters: 0.8 +- 3 x 0.052."""
    rng, runs = np.random.default_rng(2), 60
    hit = np.empty(runs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        for run in range(runs):
            _, known, old = year(1_000 + run)
            fitted = fn.DealForecaster(model).fit(known)
            plan = plan_inflow(90_000.0, fitted, known.snapshot(), HALF, confidence=CONFIDENCE)
            hit[run] = old + brought(plan, pool, rng) >= plan.target
    tolerance = 3.0 * np.sqrt(CONFIDENCE * (1.0 - CONFIDENCE) / runs)
    np.testing.assert_allclose(CONFIDENCE, hit.mean(), atol=tolerance)


@pytest.mark.filterwarnings("ignore::funnel.errors.ExtrapolationWarning")
def test_entries_stage_by_stage_are_those_of_the_deals_that_enter():
    """20,000 deals of a half year against the plan of as many: 5 % of each stage, loops and all."""
    history = simulate(20_000, start=START, end=CUTOFF, world=WORLD, rng=5).history
    fitted = fn.DealForecaster("semi-markov").fit(history)
    plan = plan_inflow(1e6, fitted, history.snapshot(), HALF, confidence=None)
    even = (plan.inflow.response.end - plan.inflow.response.first)[~plan.inflow.response.late]
    table = plan.with_entries(20_000 * even / even.sum()).by_stage()
    came = simulate(20_000, start=NEXT_DAY, end=END, world=WORLD, rng=6).history
    pieces, born = came.pieces, came.snapshot().created
    for stage in WORLD.funnel.ids[:3]:
        code = WORLD.funnel.codes(np.array([stage], dtype=object))[0]
        seen = np.count_nonzero(pieces.stage == code)
        # A deal that moves on its first day is in the plan where it ends that day.
        at_once = (pieces.start == pieces.stop) & (pieces.start == born[pieces.deal])
        passing = np.count_nonzero((pieces.stage == code) & at_once)
        np.testing.assert_allclose(seen - passing, table.new[table.stage == stage].sum(), rtol=0.05)


def redrawn(fitted, plan, rng):
    """Money of one run in which a draw of the parameters is the truth, for all weeks and deals."""
    found, there = plan.inflow.response, plan.inflow.pipeline
    truth = attrs.evolve(fitted, model=fitted.model.draw(rng))
    whole, amount = HALF.whole(), 1_000.0
    chance, part = chances(truth.model.win_curve, there, whole)
    old = rng.binomial(1, np.clip(chance[part >= 0, 0], 0.0, 1.0)).sum()
    first, end = found.first[~found.late], found.end[~found.late]
    won = chances_by_week(
        truth,
        found.prototypes,
        whole,
        first,
        rates_by_week(truth.arrivals, first, end),
        as_of=there.as_of,
        reach=int(whole.edges[-1]) - there.as_of,
    )
    return amount * float(old + rng.poisson(plan.entries @ won.sum(axis=(1, 2))))


@pytest.mark.filterwarnings("ignore::funnel.errors.ExtrapolationWarning")
@pytest.mark.parametrize("model", ["semi-markov", "win-rate", "stage-duration"])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.9])
def test_with_the_truth_redrawn_the_confidence_holds(model, confidence):
    """400 runs, the truth of each a draw from the posterior that all weeks share.

    Within 3 standard errors of such a share, and 3 points: the plan knows the width of the
    posterior from 8 draws, and takes the law of the money for a mixture by a factor.
    """
    rng, runs = np.random.default_rng(3), 400
    _, known, _ = year(7)
    fitted = fn.DealForecaster(model).fit(known)
    plan = plan_inflow(90_000.0, fitted, known.snapshot(), HALF, confidence=confidence)
    money = np.array([redrawn(fitted, plan, rng) for _ in range(runs)])
    expected = float(plan.outlook.expected.sum())
    assert abs(money.mean() - expected) < 3.0 * money.std(ddof=1) / np.sqrt(runs) + 0.01 * expected
    error = np.sqrt(confidence * (1.0 - confidence) / runs)
    np.testing.assert_allclose(confidence, np.mean(money >= plan.target), atol=3.0 * error + 0.03)
