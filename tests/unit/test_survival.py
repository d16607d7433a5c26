"""Curves and their variances against closed forms and figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from funnel.kernels import survival

TEN = np.arange(10, 0, -1)
SCALES = ["plain", "log", "log-log", "cloglog", "arcsine"]


def test_without_censoring_the_variances_are_binomial():
    """F (1 - F) / n: 0.009, 0.016 .. as `tests/tests.etm.Rout.save` of R's etm prints them."""
    curve, variance = survival.kaplan_meier(np.ones(10), TEN)
    printed = [0.009, 0.016, 0.021, 0.024, 0.025, 0.024, 0.021, 0.016, 0.009, 0.0]
    assert pytest.approx([0.0, *printed], abs=1e-15) == variance.tolist()
    assert pytest.approx(np.arange(10, -1, -1) / 10) == curve.tolist()


def test_ties_without_censoring_are_multinomial():
    """20 deals of which 8 are won and 6 lost on three days: F_c (1 - F_c) / 20 after each."""
    events = np.array([[5, 0, 3], [2, 4, 0]])
    curve, variance = survival.aalen_johansen(events, np.array([20, 13, 9]))
    expected = np.array([[0, 5, 5, 8], [0, 2, 6, 6]]) / 20
    np.testing.assert_allclose(expected, curve, atol=1e-15)
    np.testing.assert_allclose(expected * (1 - expected) / 20, variance, atol=1e-16)


def test_poisson_increments_by_hand():
    """F = 1/4 + 3/4 h: variances 1/16 and 9/16 * 2/9 + (2/3)^2 ... by hand, one cause.

    dF = (1 - h2) dh1 + S1 dh2 with h1 = 1/4, h2 = 2/3, Var h1 = 1/16, Var h2 = 2/9:
    (1/3)^2 / 16 + (3/4)^2 * 2/9 = 1/144 + 1/8.
    """
    counts = np.array([[1, 2]]), np.array([4, 3])
    _, variance = survival.aalen_johansen(*counts, increments="aalen")
    assert pytest.approx([0.0, 1 / 16, 1 / 144 + 1 / 8]) == variance[0].tolist()


def test_cumulative_hazard_by_hand():
    """Two of four, then one of two: the variances are h (1 - h) / n, and d / n^2 for "aalen"."""
    events, risk = np.array([2, 1]), np.array([4, 2])
    hazard, variance = survival.nelson_aalen(events, risk)
    assert [0.0, 0.5, 1.0] == hazard.tolist()
    assert [0.0, 0.0625, 0.1875] == variance.tolist()
    same, wider = survival.nelson_aalen(events, risk, increments="aalen")
    assert [0.0, 0.5, 1.0] == same.tolist()
    assert [0.0, 0.125, 0.375] == wider.tolist()


@pytest.mark.parametrize("increments", ["greenwood", "aalen"])
def test_days_without_anybody_at_risk_change_nothing(increments):
    """Before late entries, and after all have left."""
    events, risk = np.array([[0, 1, 0, 1, 0], [0, 0, 0, 1, 0]]), np.array([0, 3, 0, 2, 0])
    curve, variance = survival.aalen_johansen(events, risk, increments=increments)
    for found in (curve, variance):
        np.testing.assert_array_equal(found[:, [0, 2, 4]], found[:, [1, 3, 5]])
    assert pytest.approx([0.0, 1 / 3, 2 / 3]) == curve[0, [0, 2, 4]].tolist()


def test_large_counts_do_not_overflow():
    """Three million at risk: their cube is more than 64 bits hold. Closed form F (1 - F) / n."""
    events, risk = np.array([[1_000_000]]), np.array([3_000_000])
    _, variance = survival.aalen_johansen(events, risk)
    assert pytest.approx(2 / 9 / 3e6) == variance[0, 1]
    assert pytest.approx(2 / 9 / 3e6) == survival.nelson_aalen(events[0], risk)[1][1]


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [
        # 1.959963984540054 * 0.1 = 0.1959963984540054 on each side of 0.3
        ("plain", 0.1040036015459946, 0.4959963984540054),
        # 0.3 exp(-+ 0.1959964 / 0.3)
        ("log", 0.3 * np.exp(-0.1959963984540054 / 0.3), 0.3 * np.exp(0.1959963984540054 / 0.3)),
        # log(-log 0.3) +- 0.1959964 / (0.3 * 1.2039728)
        (
            "log-log",
            np.exp(-np.exp(np.log(-np.log(0.3)) + 0.1959963984540054 / (-0.3 * np.log(0.3)))),
            np.exp(-np.exp(np.log(-np.log(0.3)) - 0.1959963984540054 / (-0.3 * np.log(0.3)))),
        ),
        # the same of 0.7, turned round
        (
            "cloglog",
            1 - np.exp(-np.exp(np.log(-np.log(0.7)) - 0.1959963984540054 / (-0.7 * np.log(0.7)))),
            1 - np.exp(-np.exp(np.log(-np.log(0.7)) + 0.1959963984540054 / (-0.7 * np.log(0.7)))),
        ),
        # arcsin sqrt 0.3 -+ 0.1959964 / (2 sqrt 0.21)
        (
            "arcsine",
            np.sin(np.arcsin(np.sqrt(0.3)) - 0.1959963984540054 / (2 * np.sqrt(0.21))) ** 2,
            np.sin(np.arcsin(np.sqrt(0.3)) + 0.1959963984540054 / (2 * np.sqrt(0.21))) ** 2,
        ),
    ],
)
def test_bounds_on_each_scale(scale, low, high):
    """g(p) -+ z g'(p) se turned back, written out; z = 1.959963984540054 from a table."""
    found = survival.bounds(np.array([0.3]), np.array([0.01]), scale=scale)
    assert pytest.approx([low, high], rel=1e-13) == [bound.item() for bound in found]


@pytest.mark.parametrize("scale", SCALES)
def test_bounds_stay_probabilities(scale):
    """Whatever the variance; 0 and 1 are their own bounds."""
    estimate = np.array([0.0, 1e-300, 0.01, 0.99, 1.0])
    low, high = survival.bounds(estimate, np.full(5, 0.2), level=0.999, scale=scale)
    assert [0.0, 1.0] == low[[0, 4]].tolist() == high[[0, 4]].tolist()
    assert (low >= 0.0).all()
    assert (low <= estimate).all()
    assert (estimate <= high).all()
    assert (high <= 1.0).all()


def test_a_higher_level_is_wider():
    """The z of 80 % is 1.2815515655446004."""
    low, high = survival.bounds(np.array([0.5]), np.array([0.01]), level=0.8, scale="plain")
    assert pytest.approx(2 * 0.12815515655446004, rel=1e-12) == (high - low).item()


def test_a_half_that_misses_by_its_last_digit_is_a_half():
    """Of 24 that leave one a day half have left by day 11: the product is 0.5000000000000001."""
    curve = survival.kaplan_meier(np.ones(24), np.arange(24, 0, -1))
    assert curve[0][12] > 0.5
    assert 11.0 == survival.quantiles(*curve, np.array([0.5]))[0].item()


def test_a_one_that_misses_by_its_last_digit_is_a_one():
    """A variance that is nothing but rounding does not open the interval from 0 to 1."""
    low, high = survival.bounds(np.array([1.0 - 2e-16, 1.0 + 2e-16]), np.full(2, 1e-17))
    np.testing.assert_allclose(1.0, [low, high], rtol=1e-12)


def test_a_share_that_was_never_reached_takes_for_ever():
    """Three of ten leave: the third decile is known, the median is not."""
    curve = survival.kaplan_meier(np.array([1, 1, 1]), np.array([10, 9, 8]))
    found, low, high = survival.quantiles(*curve, np.array([0.3, 0.5]))
    assert [2.0, np.inf] == found.tolist()
    assert np.isfinite(low[0])
    assert [np.inf, np.inf] == high.tolist()


def test_restricted_mean_of_constant_hazards():
    """(1 - h) (1 - (1 - h)^t) / h: days survived within t, with a chance of h to leave each day."""
    risk = 0.9 ** np.arange(60)
    mean, variance = survival.restricted_mean(*survival.kaplan_meier(0.1 * risk, risk))
    horizons = np.arange(61)
    np.testing.assert_allclose(9.0 * (1 - 0.9**horizons), mean, atol=1e-12)
    assert [0.0] == variance[:1].tolist()


def test_groups_in_leading_axes():
    """Each group as if it were alone."""
    events = np.array([[[1, 2, 0], [0, 1, 1]], [[0, 3, 0], [2, 0, 1]]])
    risk = np.array([[9, 7, 4], [8, 6, 2]])
    together = survival.aalen_johansen(events, risk)
    curve = survival.kaplan_meier(events.sum(axis=1), risk)
    means = survival.restricted_mean(*curve)
    spans = survival.quantiles(*curve, np.array([0.2, 0.5]))
    for group in range(2):
        alone = survival.aalen_johansen(events[group], risk[group])
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_array_equal(part, whole[group])
        single = survival.kaplan_meier(events[group].sum(axis=0), risk[group])
        for whole, part in zip(means, survival.restricted_mean(*single), strict=True):
            np.testing.assert_array_equal(part, whole[group])
        alone = survival.quantiles(*single, np.array([0.2, 0.5]))
        for whole, part in zip(spans, alone, strict=True):
            np.testing.assert_array_equal(part, whole[group])
