"""Logit shifts, shrunk means and pools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.kernels import levels

CHANCES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30).map(np.array)


@given(CHANCES)
def test_logit_and_shift_are_inverse(chance):
    """Moving by 0 changes nothing; 0 and 1 stay under any shift."""
    np.testing.assert_allclose(levels.shifted(chance, 0.0), chance, atol=1e-9)
    sure = np.array([0.0, 1.0])
    np.testing.assert_array_equal(levels.shifted(sure, 2.5), sure)


def test_shift_multiplies_the_odds():
    """Odds of 1 times e^log(3) are 3: a chance of 0.75 (closed form)."""
    assert pytest.approx(0.75) == float(levels.shifted(np.array([0.5]), np.log(3.0))[0])


def test_pool_of_two_is_the_geometric_mean_of_odds():
    """Odds 1/3 and 3 pool to 1 with equal weights, and to 1/3 where the second has none."""
    both = np.array([[0.25, 0.0, 1.0], [0.75, 0.0, 1.0]])
    np.testing.assert_allclose(levels.pooled(both, np.array([1.0, 1.0])), [0.5, 0.0, 1.0])
    np.testing.assert_allclose(levels.pooled(both, np.array([2.0, 0.0])), [0.25, 0.0, 1.0])


def test_what_one_member_holds_for_possible_is_possible():
    """A chance of 0 pools with one of 0.5 to something small, but not to 0."""
    found = levels.pooled(np.array([[0.0], [0.5]]), np.array([0.5, 0.5]))
    assert 0.0 < float(found[0]) < 0.001


def test_level_shift_makes_the_expected_wins_right():
    """1,000 deals said 0.3, 500 won: the shift is logit 0.5 - logit 0.3, but for the prior.

    Closed form of the mode: wins - n p(s) = s, solved here by bisection of the same equation.
    """
    chance, won = np.full(1000, 0.3), np.arange(1000) < 500
    shift, variance = levels.level_shift(chance, won)
    low, high = 0.0, 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        gap = 500.0 - 1000.0 * float(levels.shifted(np.array([0.3]), middle)[0]) - middle
        low, high = (middle, high) if gap > 0.0 else (low, middle)
    assert pytest.approx(low, abs=1e-8) == shift
    assert pytest.approx(1.0 / (1000 * 0.3 * 0.7)) == variance


def test_level_shift_is_finite_without_wins_and_without_losses():
    """The prior holds: nothing won of 5 said 0.5 moves down, not to minus infinity."""
    half = np.full(5, 0.5)
    down, up = (levels.level_shift(half, np.full(5, won))[0] for won in (False, True))
    assert -3.0 < down < 0.0
    assert pytest.approx(-down) == up
    assert levels.level_shift(np.empty(0), np.empty(0, dtype=bool)) == (0.0, 1e6)


def test_log_loss_is_clipped():
    """A chance of 0 for a deal that was won costs -log 0.001 (definition)."""
    found = levels.log_loss(np.array([0.0, 0.5]), np.array([True, False]))
    assert pytest.approx(-np.log(0.001) - np.log(0.5)) == found


def test_shrunk_mean_of_equal_values():
    """Two values of 0.2 with variance 0.01, prior sd 0.1: (2/0.01) 0.2 / (2/0.01 + 100)."""
    found = levels.shrunk_mean(np.full(2, 0.2), np.full(2, 0.01), np.ones(2), 0.1)
    assert pytest.approx((0.2 * 200.0 / 300.0, 0.0)) == found


def test_shrunk_mean_estimates_the_variance_between():
    """-1 and 1 with variance 0.5: the mean square 1 exceeds it by 0.5 (moments)."""
    mean, between = levels.shrunk_mean(np.array([-1.0, 1.0]), np.full(2, 0.5), np.ones(2), 1.0)
    assert pytest.approx((0.0, 0.5)) == (mean, between)


def test_shrunk_mean_of_nothing_is_no_change():
    """Without values, or without weight, the prior mean 0 is left."""
    none = np.empty(0)
    assert levels.shrunk_mean(none, none, none, 0.2) == (0.0, 0.0)
    assert levels.shrunk_mean(np.ones(1), np.ones(1), np.zeros(1), 0.2) == (0.0, 0.0)
