"""Draws of parameters against the standard errors of shares, and curves by cell."""

import numpy as np
import pytest

import funnel as fn
from funnel.combinators._blended import pool
from funnel.kernels import posterior
from funnel.models.base import HasCells, HasDraw, HasFlow
from funnel.models.close_date import CloseDate
from funnel.models.hazard_regression import HazardRegression
from funnel.models.semi_markov import SemiMarkov
from funnel.models.stage_duration import StageDuration
from funnel.models.win_rate import WinRate

ONE = fn.Funnel(["Qualify"])
START = np.datetime64("2024-01-01")
DRAWS = 300
MODELS = pytest.mark.parametrize("model", [SemiMarkov(), StageDuration(), WinRate()])


def one_stage(n, seed, hazard=0.2):
    """Deals of one stage that all end, 0.4 of them won."""
    rng = np.random.default_rng(seed)
    wait, won = rng.geometric(hazard, n), rng.random(n) < 0.4
    return fn.History.from_columns(
        funnel=ONE,
        id=np.tile(np.arange(n), 2),
        stage=["Qualify"] * n + np.where(won, "Won", "Lost").tolist(),
        at=START + np.concatenate((np.zeros(n, dtype=np.int64), wait)),
    )


def share_won(fitted):
    """Long-run share of the deals that are won."""
    if isinstance(fitted, HasFlow):
        return float(fitted.fresh_flow("Qualify", 60).won.sum())
    return float(fitted.win_rates()[0])


@MODELS
def test_the_variance_of_a_long_run_share_is_that_of_a_proportion(model):
    """Of n closed deals it is p (1 - p) / n deals; 300 draws tell a variance to 8 %."""
    n = 1000
    fitted, rng = model.fit(one_stage(n, 1)), np.random.default_rng(2)
    center = share_won(fitted)
    shares = np.array([share_won(fitted.draw(rng)) for _ in range(DRAWS)])
    error = np.sqrt(center * (1 - center) / n)
    assert pytest.approx(center, abs=4 * error / np.sqrt(DRAWS)) == shares.mean()
    assert pytest.approx(error**2, rel=0.25) == shares.var()


def test_weighted_exposure_counts_by_its_weight():
    """All deals end some 112 days ago, two half-lives: a fourth of them, 4 x the variance."""
    history = fn.History.from_columns(
        funnel=ONE,
        id=np.tile(np.arange(1000), 2),
        stage=["Qualify"] * 1000 + ["Won"] * 400 + ["Lost"] * 600,
        at=START + np.repeat([0, 5], 1000),
        observed_until=START + 112,
    )
    rng = np.random.default_rng(3)
    variances = []
    for half_life in (None, 56.0):
        fitted = SemiMarkov(half_life=half_life).fit(history)
        variances.append(np.var([share_won(fitted.draw(rng)) for _ in range(DRAWS)]))
    assert pytest.approx(0.4 * 0.6 / 1000, rel=0.25) == variances[0]
    assert pytest.approx(4.0, rel=0.35) == variances[1] / variances[0]


@MODELS
def test_draws_keep_the_mean(model):
    """The mean of 60 draws differs from the estimate by no more than its own standard errors."""
    history = fn.datasets.simulate(150, rng=3).history
    pipeline = history.snapshot()
    pipeline = pipeline.select(pipeline.outcome == fn.Outcome.OPEN)
    fitted, rng = model.fit(history), np.random.default_rng(4)
    dates = np.datetime64(pipeline.as_of, "D") + np.array([30])
    drawn = np.array([fitted.draw(rng).win_curve(pipeline, dates).sum() for _ in range(60)])
    center = fitted.win_curve(pipeline, dates).sum()
    # Curves are not linear in hazards: the mean of curves may differ a little from their centre.
    assert pytest.approx(center, abs=4 * drawn.std() / np.sqrt(60) + 0.02 * center) == drawn.mean()
    assert drawn.std() > 0.01 * center


def test_hazards_of_a_draw_are_hazards():
    """At most 1 in all, zero where nothing was ever seen, and on average the estimate."""
    fitted = SemiMarkov().fit(fn.datasets.simulate(100, rng=5).history)
    rng = np.random.default_rng(6)
    draws = np.array([fitted.draw(rng).hazards[:, :, :40] for _ in range(150)])
    center = fitted.hazards[:, :, :40]
    assert draws.min() >= 0.0
    assert draws.sum(axis=2).max() <= 1.0 + 1e-12
    assert (draws[:, center == 0.0] == 0.0).all()
    spread = draws.std(axis=0) / np.sqrt(len(draws))
    off = np.abs(draws.mean(axis=0) - center) / np.where(spread > 0.0, spread, 1.0)
    assert np.mean(off[center > 0.005] < 3.0) > 0.97


def test_a_state_hardly_seen_is_less_certain_than_its_stage():
    """No deal visits the stage twice: second visits lean on 20 deals, first ones rest on 2,000."""
    history = one_stage(2000, 7)
    fitted, rng = SemiMarkov().fit(history), np.random.default_rng(8)
    first, second = np.array(
        [fitted.draw(rng).hazards[:2, :, 5].sum(axis=1) for _ in range(DRAWS)]
    ).T
    rate = fitted.hazards[0, :, 5].sum()
    # h (1 - h) (1 / (L + 1) + 1 / M), with M = N L / (N + L) of the N deals at risk and L = 20.
    at_risk = fitted.occupied[0, 5]
    known = at_risk * 20 / (at_risk + 20)
    assert pytest.approx(rate * (1 - rate) / at_risk, rel=0.3) == first.var()
    assert pytest.approx(rate * (1 - rate) * (1 / 21 + 1 / known), rel=0.3) == second.var()


def test_dirichlet_has_the_mean_and_variance_it_says():
    """Mean m and variance m (1 - m) / (k + 1); with a precision of 0 the mean itself."""
    rng = np.random.default_rng(9)
    mean = np.repeat(np.array([[0.1], [0.3]]), 4000, axis=1)
    drawn = posterior.dirichlet(mean, np.full(4000, 50.0), rng)
    assert pytest.approx([0.1, 0.3], abs=0.003) == drawn.mean(axis=1)
    assert pytest.approx([0.1 * 0.9 / 51, 0.3 * 0.7 / 51], rel=0.1) == drawn.var(axis=1)
    assert np.array_equal(mean, posterior.dirichlet(mean, np.zeros(4000), rng))


@MODELS
def test_curves_are_those_of_their_cells(model):
    """Row i of win_curve is the curve of the cell of deal i; won and removed deals have none."""
    history = fn.datasets.simulate(300, rng=3).history
    fitted, pipeline = model.fit(history), history.snapshot()
    assert isinstance(fitted, HasCells)
    assert isinstance(fitted, HasDraw)
    dates = np.datetime64(pipeline.as_of, "D") + np.array([10, 100])
    cells, curves = fitted.cells(pipeline), fitted.win_curve(pipeline, dates)
    known = np.unique(cells[cells >= 0])
    table = fitted.cell_curves(known, pipeline, dates)
    inside = cells >= 0
    assert np.array_equal(table[np.searchsorted(known, cells[inside])], curves[inside])
    assert (pipeline.outcome[~inside] != fn.Outcome.OPEN).all()
    assert 0.0 == curves[~inside].max()


def test_a_pool_has_draws_where_all_of_its_models_have():
    """One model alone stays what it is; one without draws leaves the pool without."""
    history = fn.datasets.simulate(200, rng=3).history
    open_ = history.snapshot().select(history.snapshot().outcome == fn.Outcome.OPEN)
    weights = np.array([0.5, 0.5])
    fitted = tuple(model.fit(history) for model in (SemiMarkov(), HazardRegression()))
    both = pool(fitted, weights)
    dates = np.datetime64(open_.as_of, "D") + np.array([30])
    center = both.win_curve(open_, dates).sum()
    rng = np.random.default_rng(4)
    drawn = [both.draw(rng).win_curve(open_, dates).sum() for _ in range(20)]
    assert pytest.approx(center, rel=0.15) == np.mean(drawn)
    assert np.std(drawn) > 0.01 * center
    assert pool(fitted[:1], weights[:1]) is fitted[0]
    assert not isinstance(pool((fitted[0], CloseDate().fit(history)), weights), HasDraw)
