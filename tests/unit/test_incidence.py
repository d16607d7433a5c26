"""Risk sets and incidence against tables worked out by hand and closed forms."""

import numpy as np
import pytest

from funnel.kernels import incidence, shrinkage


def test_risk_set_with_late_entry_and_censoring():
    """Who enters late at age 1 can leave from age 2; who is censored at 1 was at risk at 1."""
    entries = np.array([3, 1, 0, 0])
    # causes: won, lost, censored; one won at 0, one censored at 1, one lost at 2, one won at 3.
    exits = np.array([[1, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]])
    assert [3, 2, 2, 1] == incidence.at_risk(entries, exits).tolist()


def test_cumulative_incidence_with_ties_by_hand():
    """Four at risk, two won and one lost on day 1: F = 1/2, S = 1/4; then the last one is won."""
    hazards = np.array([[0.0, 0.5, 1.0], [0.0, 0.25, 0.0]])
    survival, found = incidence.cumulative_incidence(hazards)
    assert [1.0, 1.0, 0.25, 0.0] == survival.tolist()
    assert [[0.0, 0.0, 0.5, 0.75], [0.0, 0.0, 0.25, 0.25]] == found.tolist()


def test_tail_bins_grow_and_reach_the_end():
    """Days while 30 are at risk, then widths 2, 3, 4, 6, ... (2 x 1.5^i, cut down)."""
    risk = np.concatenate((np.full(5, 40.0), np.full(20, 3.0)))
    assert [0, 1, 2, 3, 4, 5, 7, 10, 14, 20, 25] == incidence.tail_edges(risk, 30).tolist()
    assert [0, 1, 2] == incidence.tail_edges(np.full(2, 99.0), 30).tolist()


def test_a_wide_bin_is_events_over_exposure_leaning_on_the_bin_before():
    """(2 + 30 * 0.1) / (3 + 2 + 30) = 5 / 35 by hand."""
    events = np.array([[4.0, 2.0, 0.0]])
    found = incidence.pooled_hazards(events, np.array([40.0, 3.0, 2.0]), np.array([0, 1, 3]), 30.0)
    assert pytest.approx([0.1, 5 / 35, 5 / 35]) == found[0].tolist()


def test_pooling_from_the_first_day_leans_on_the_rate_of_all_ages():
    """Nobody's day stands alone: 1 event in 4 subject-days, and the lean has the same rate."""
    events = np.array([[1.0, 0.0]])
    found = incidence.pooled_hazards(events, np.array([2.0, 2.0]), np.array([0, 2]), 1.0)
    assert pytest.approx([1 / 4, 1 / 4]) == found[0].tolist()


def geometric(rate_won, rate_lost, days):
    """Survival and incidence of constant hazards."""
    return incidence.cumulative_incidence(np.array([[rate_won] * days, [rate_lost] * days]))


@pytest.mark.parametrize("days", [1, 5, 400])
@pytest.mark.parametrize("age", [0, 3, 399, 2000])
def test_constant_hazards_forget_the_age_on_and_beyond_the_grid(days, age):
    """Closed form w / (w + l) (1 - (1 - w - l)^h), whatever the age and the length of the grid."""
    survival, found = geometric(0.02, 0.03, days)
    ahead = np.array([0, 1, 10, 1000])
    chance = incidence.conditional_incidence(
        survival, found[0], np.array([0.02, 0.05]), np.array([age]), ahead
    )
    assert pytest.approx(0.4 * (1 - 0.95**ahead), abs=1e-12) == chance[0]


def test_nobody_left_and_no_hazard_beyond_is_no_chance():
    """Where all have left by the last age, an older deal has no answer but the rate beyond."""
    survival, found = incidence.cumulative_incidence(np.array([[1.0], [0.0]]))
    args = survival, found[0], np.array([0.0, 0.0]), np.array([0, 7]), np.array([5])
    assert [[0.0], [0.0]] == incidence.conditional_incidence(*args).tolist()


def test_strength_is_high_for_equal_groups_and_low_for_different_ones():
    """Groups with the same rate lean on the whole; groups at 0 and 1 do not."""
    assert 1000.0 == pytest.approx(
        shrinkage.beta_binomial_strength(np.array([25, 25, 25]), np.array([100, 100, 100]))
    )
    assert shrinkage.beta_binomial_strength(np.array([0, 100]), np.array([100, 100])) < 2.0


@pytest.mark.parametrize(("won", "of"), [([3], [9]), ([0, 0], [5, 5]), ([5, 5], [5, 5])])
def test_strength_where_nothing_can_be_learnt(won, of):
    """One group, or no variation of the outcome: the weakest prior."""
    assert 1.0 == shrinkage.beta_binomial_strength(np.array(won), np.array(of))


def test_strength_recovers_the_spread_of_simulated_groups():
    """2,000 groups of 50 trials with Beta(6, 14) rates: k = 20, found within a grid step or two."""
    rng = np.random.default_rng(3)
    rates = rng.beta(6.0, 14.0, 2000)
    found = shrinkage.beta_binomial_strength(rng.binomial(50, rates), np.full(2000, 50))
    assert 16.0 < found < 25.0


def test_a_last_bin_cut_to_a_day_belongs_to_the_tail():
    """Days 0-2 alone, then bins of 2, 3 and, cut at the end, 1: every day has its hazard.

    With one event a day and 10 at risk, pooling leaves 0.1, leaning on 1/50 by 30 subject-days.
    """
    risk = np.array([50.0] * 3 + [10.0] * 6)
    edges = incidence.tail_edges(risk, 30.0)
    assert [0, 1, 2, 3, 5, 8, 9] == edges.tolist()
    found = incidence.pooled_hazards(np.ones((1, 9)), risk, edges, 30.0)[0]
    first = (2.0 + 30.0 * 0.02) / (20.0 + 30.0)
    second = (3.0 + 30.0 * first) / (30.0 + 30.0)
    last = (1.0 + 30.0 * second) / (10.0 + 30.0)
    np.testing.assert_allclose(found, [0.02] * 3 + [first] * 2 + [second] * 3 + [last])


@pytest.mark.parametrize(("won", "of"), [([5], [10]), ([0, 0], [4, 9]), ([4, 9], [4, 9])])
def test_strengths_cannot_be_learnt_without_variation(won, of):
    """One group, or one outcome: the weakest strength, for certain."""
    strengths, weight = shrinkage.beta_binomial_posterior(
        np.array(won), np.array(of), np.full(len(of), 0.5)
    )
    assert ([1.0], [1.0]) == (strengths.tolist(), weight.tolist())
