"""Absorbing chains against the gambler's ruin, enumeration, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from funnel.kernels import absorption

# A funnel with a skip, a step back, and two ends (won, lost).
COUNTS = np.array([[0, 60, 10, 5, 25], [8, 0, 40, 4, 28], [0, 6, 0, 30, 24]])
FUNNEL = absorption.transition_matrix(COUNTS)


def gambler(up):
    """A walk between 0 and 4 that goes up with a chance, and ends at 0 or 4."""
    down = 1 - up
    return np.array([[0, up, 0, down, 0], [down, 0, up, 0, 0], [0, down, 0, 0, up]])


def test_the_gamblers_ruin():
    """(1 - r^i) / (1 - r^4) with r = q / p, and (4 B_i - i) / (p - q) steps (Feller XIV)."""
    walk, start = gambler(2 / 3), np.array([1, 2, 3])
    ruined = (1 - 0.5**start) / (1 - 0.5**4)
    np.testing.assert_allclose(ruined, absorption.absorption(walk)[:, 1], rtol=1e-14)
    steps, _ = absorption.days_to_absorption(walk, np.ones(3), np.zeros(3))
    np.testing.assert_allclose((4 * ruined - start) / (1 / 3), steps, rtol=1e-13)


def test_shares_of_moves():
    """Rows sum to one, but for a state that nobody has left."""
    found = absorption.transition_matrix(np.array([[0, 3, 1], [0, 0, 0]]))
    assert [[0.0, 0.75, 0.25], [0.0, 0.0, 0.0]] == found.tolist()


def test_a_state_that_nobody_left_keeps_what_comes_there():
    """Of the first state a quarter is won; the rest is not anywhere final."""
    counts = np.array([[0, 3, 1], [0, 0, 0]])
    assert [[0.25], [0.0]] == absorption.absorption(absorption.transition_matrix(counts)).tolist()
    # p (1 - p) / n = 3 / 16 / 4; nothing is known about the other state.
    assert [[0.046875], [0.0]] == absorption.absorption_variance(counts).tolist()


def test_states_that_never_end_are_found():
    """Two states that lead to one another only, one that leads there, and one on its own."""
    moves = np.zeros((5, 6))
    moves[0, [1, 5]] = 0.5
    moves[1, 2] = moves[2, 1] = 1.0
    moves[3, 0] = 1.0
    assert [True, False, False, True, True] == absorption.ends(moves).tolist()


def test_a_long_way_to_the_end_is_a_way():
    """Seven states in a row, of which only the last one ends."""
    assert [True] * 7 == absorption.ends(np.eye(7, 8, 1)).tolist()


def test_visits_by_enumeration():
    """Mean and variance of the visits to each state from the law of (state, visits so far)."""
    most, expected = 80, absorption.visits(FUNNEL)
    spread = absorption.visit_variance(expected)
    for target in range(3):
        for start in range(3):
            law = np.zeros((3, most))  # of being in a state after some visits to the target
            law[start, int(start == target)] = 1.0
            ended = np.zeros(most)
            for _ in range(200):
                ended += FUNNEL[:, 3:].sum(axis=1) @ law
                law = FUNNEL[:, :3].T @ law
                law[target] = np.concatenate(([0.0], law[target, :-1]))
            mean = ended @ np.arange(most)
            assert pytest.approx(1.0) == ended.sum()
            assert pytest.approx(mean) == expected[start, target]
            assert pytest.approx(ended @ np.arange(most) ** 2 - mean**2) == spread[start, target]


def test_steps_by_enumeration():
    """Mean and variance of the steps from the chances Q^k 1 to be still on the way."""
    on_the_way, moments = np.ones(3), np.zeros((2, 3))
    for step in range(400):
        moments += np.outer([1, 2 * step + 1], on_the_way)
        on_the_way = FUNNEL[:, :3] @ on_the_way
    mean, variance = absorption.days_to_absorption(FUNNEL, np.ones(3), np.zeros(3))
    np.testing.assert_allclose(moments[0], mean, rtol=1e-12)
    np.testing.assert_allclose(moments[1] - moments[0] ** 2, variance, rtol=1e-12)


def test_kemeny_and_snells_variance_of_steps():
    """(2 N - I) t - t_sq."""
    expected = absorption.visits(FUNNEL)
    mean = expected.sum(axis=1)
    _, variance = absorption.days_to_absorption(FUNNEL, np.ones(3), np.zeros(3))
    np.testing.assert_allclose((2 * expected - np.eye(3)) @ mean - mean**2, variance, rtol=1e-12)


def test_random_days_by_a_chain_that_may_stay():
    """Geometric stays of mean 1 / p and variance (1 - p) / p^2 are steps of a slower chain."""
    pace = np.array([0.5, 0.2, 0.1])
    slower = pace[:, None] * FUNNEL
    slower[:, :3] += np.diag(1 - pace)
    expected = absorption.days_to_absorption(slower, np.ones(3), np.zeros(3))
    found = absorption.days_to_absorption(FUNNEL, 1 / pace, (1 - pace) / pace**2)
    np.testing.assert_allclose(expected, found, rtol=1e-12)


def test_variance_of_chances_by_finite_differences():
    """The gradient of B in each share, and the multinomial covariance of each row."""
    step = 1e-6
    expected = np.zeros((3, 2))
    for row, counts in enumerate(COUNTS):
        gradient = np.zeros((5, 3, 2))
        for column in range(5):
            change = np.zeros((3, 5))
            change[row, column] = step
            up, down = (absorption.absorption(FUNNEL + sign * change) for sign in (1, -1))
            gradient[column] = (up - down) / (2 * step)
        shares = FUNNEL[row]
        covariance = (np.diag(shares) - np.outer(shares, shares)) / counts.sum()
        expected += np.einsum("tik,tu,uik->ik", gradient, covariance, gradient)
    np.testing.assert_allclose(expected, absorption.absorption_variance(COUNTS), rtol=1e-7)


def test_variance_of_chances_by_redrawn_moves():
    """4,000 draws of the moves: the standard error of such a variance is 2.2 %."""
    rng = np.random.default_rng(5)
    draws = np.stack(
        [rng.multinomial(n, p, 4000) for n, p in zip(COUNTS.sum(axis=1), FUNNEL, strict=True)],
        axis=1,
    )
    found = [absorption.absorption(absorption.transition_matrix(draw)) for draw in draws]
    expected = np.var(found, axis=0)
    np.testing.assert_allclose(expected, absorption.absorption_variance(COUNTS), rtol=0.1)
