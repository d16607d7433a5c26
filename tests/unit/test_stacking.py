"""Weights of a pool of logits: kernels against numerical optima and derivatives."""

import numpy as np
import pytest
from scipy import optimize

from funnel.kernels import levels
from funnel.kernels.stacking import slopes, stacked


def some(seed, deals=400, models=3):
    """Chances of models that know part of the truth, and what happened."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1.0, 1.0, deals)
    chances = 1.0 / (1.0 + np.exp(-(truth + rng.normal(0.0, 0.5, (models, deals)))))
    return chances, rng.random(deals) < 1.0 / (1.0 + np.exp(-truth))


def likelihood(weights, chances, won):
    """Log likelihood of the pool at the level that suits it best (with the prior of sd 1)."""
    logit = np.tensordot(weights, levels.logit(chances), axes=1)

    def loss(shift):
        return np.logaddexp(0.0, np.where(won, -1.0, 1.0) * (logit + shift)).sum() + shift**2 / 2

    return -optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded").fun


def test_slopes_are_derivatives_by_the_weights():
    """Central differences of the profile likelihood; the second ones but for the level's prior."""
    chances, won = some(1)
    weights = np.array([0.5, 0.3, 0.2])
    slope, curvature = slopes(chances, won, weights)
    step = 1e-3 * np.eye(3)
    up = np.array([likelihood(weights + one, chances, won) for one in step])
    down = np.array([likelihood(weights - one, chances, won) for one in step])
    # The level's prior pulls by shift times the mean logit, which `slopes` leaves out.
    assert (up - down) / 2e-3 == pytest.approx(slope, abs=0.5)
    second = -(up + down - 2.0 * likelihood(weights, chances, won)) / 1e-6
    assert second == pytest.approx(np.diag(curvature), rel=0.05)
    assert np.allclose(curvature, curvature.T)


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_weights_are_the_maximum_on_the_simplex(scale):
    """SLSQP of scipy finds the same maximum."""
    chances, won = some(2)
    prior = np.array([0.6, 0.3, 0.1])
    slope, curvature = (scale * part for part in slopes(chances, won, prior))

    def loss(weights):
        off = weights - prior
        gain = slope @ off - off @ curvature @ off / 2.0
        return -(gain + 3.0 * prior @ np.log(weights))

    found = optimize.minimize(
        loss,
        prior,
        method="SLSQP",
        bounds=[(1e-9, 1.0)] * 3,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1.0},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    weights = stacked(slope, curvature, prior, 3.0)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights > 0.0).all()
    assert loss(weights) <= found.fun + 1e-9
    assert weights == pytest.approx(found.x, abs=2e-3)


def test_nothing_seen_leaves_the_prior_and_much_seen_leaves_the_better_one():
    """Weights go to a member that alone knows the truth, and never to 0 or below."""
    prior = np.array([0.9, 0.1])
    assert stacked(np.zeros(2), np.zeros((2, 2)), prior, 3.0) == pytest.approx(prior)
    rng = np.random.default_rng(3)
    truth = rng.normal(-1.0, 1.5, 20_000)
    won = rng.random(20_000) < 1.0 / (1.0 + np.exp(-truth))
    chances = 1.0 / (1.0 + np.exp(-np.stack([rng.permutation(truth), truth])))
    slope, curvature = slopes(chances, won, prior)
    weights = stacked(slope, curvature, prior, 3.0)
    assert weights[1] > 0.95
    assert weights[0] > 0.0


def test_a_step_that_goes_too_far_is_halved():
    """A slope far steeper than the bend at the prior: the end is where both sides balance."""
    prior = np.array([0.999, 0.001])
    slope = np.array([0.0, 20.0])
    weights = stacked(slope, np.zeros((2, 2)), prior, 3.0)
    # Along the plane: 20 + 3 * 0.001 / w = 3 * 0.999 / (1 - w).
    assert 20.0 + 0.003 / weights[1] == pytest.approx(2.997 / weights[0])


def test_bulk_closings_are_one_event():
    """Ten lost deals of chance 0.2 in one group: (10 * 0.2)^2 in place of 10 * 0.16."""
    chance, won = np.full(20, 0.2), np.zeros(20, dtype=bool)
    group = np.repeat([0, -1], 10)
    expected = (10 * 0.16 + 4.0) / (20 * 0.16)
    assert levels.design_effect(chance, won, group) == pytest.approx(expected)
    assert levels.design_effect(chance, won, np.full(20, -1)) == 1.0
    assert levels.design_effect(np.zeros(20), won, group) == 1.0
    # Two days of five each, and a group that did as expected, is no more than chance.
    assert levels.design_effect(chance, won, np.repeat([0, 1, -1], [5, 5, 10])) == pytest.approx(
        (10 * 0.16 + 2 * (1.0 - 0.8) + 1.6) / 3.2
    )
    won[0] = True
    assert levels.design_effect(chance, won, np.where(np.arange(20) < 5, 0, -1)) == 1.0
