"""Comparisons of forecasters and noise floors against closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from funnel import metrics
from funnel.errors import InsufficientDataError, ValidationError
from funnel.kernels import bootstrap
from funnel.kernels.compound import deal_law

# --- kernels -------------------------------------------------------------------------------------


def test_independent_scores_have_the_usual_degrees():
    """Blocks of one: the bootstrap finds (n - 1) / n of the variance, with n - 1 degrees."""
    assert pytest.approx((9 / 10, 9.0)) == bootstrap.block_quality(10, 1, 1)


@pytest.mark.parametrize(("n", "block", "overlap"), [(12, 4, 4), (13, 5, 3), (9, 8, 2)])
def test_quality_of_blocks_by_simulation(n, block, overlap):
    """Variance over all block starts of simulated scores: its mean and spread."""
    rng = np.random.default_rng(5)
    steps = rng.standard_normal((20_000, n + overlap - 1))
    kernel = np.lib.stride_tricks.sliding_window_view(steps, overlap, axis=1)
    values = kernel.sum(axis=-1) / np.sqrt(overlap)
    double = np.concatenate((values, values), axis=1)
    found = np.zeros(len(values))
    for length, number in ((block, n // block), (n % block, 1)):
        if length:
            windows = np.lib.stride_tricks.sliding_window_view(double, length, axis=1)[:, :n]
            found += number * windows.sum(axis=-1).var(axis=1) / n**2
    share, freedom = bootstrap.block_quality(n, block, overlap)
    true = values.mean(axis=1).var()
    assert pytest.approx(found.mean() / true, rel=0.05) == share
    assert pytest.approx(2 * found.mean() ** 2 / found.var(), rel=0.08) == freedom


def test_long_run_variance_by_hand():
    """1, -1, 2, -2: products 10/4 and -7/4: 10/16 without lag; with one, 10/4 - 7/4 over 4."""
    values = np.array([1.0, -1.0, 2.0, -2.0])
    assert bootstrap.long_run_variance(values, 0) == (0.625, False)
    # -4 / 4 would be negative: 10 - 14 < 0, so 10/4 - (1/2) 2 (7/4) = 3/4, over 4.
    assert bootstrap.long_run_variance(values, 1) == (0.1875, True)


def test_windows_share_their_luck():
    """Normal scores correlate by 1 - k / 3; each number by itself is uniform."""
    drawn = bootstrap.overlapping_uniforms(5, 3, 20_000, np.random.default_rng(2))
    assert stats.kstest(drawn[:, 4], "uniform").pvalue > 0.001
    found = np.corrcoef(stats.norm.ppf(drawn), rowvar=False)[0]
    assert pytest.approx([1.0, 2 / 3, 1 / 3, 0.0, 0.0], abs=0.03) == found.tolist()


# --- two forecasters -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("horizon", "step", "expected"), [(30, 4, 8), (14, 4, 4), (7, 7, 1), (7, 8, 1), (1, 1, 1)]
)
def test_overlap_of_windows(horizon, step, expected):
    """Horizon over step, rounded up."""
    assert expected == metrics.overlap_of(horizon, step)


def test_without_overlap_it_is_nearly_the_t_test():
    """60 independent differences: the interval of Student's t, by scipy."""
    rng = np.random.default_rng(9)
    first, second = rng.normal(0.3, 1.0, 60), rng.normal(0.0, 1.0, 60)
    found = metrics.compare(first, second, overlap=1, draws=20_000)
    expected = stats.ttest_rel(first, second).confidence_interval(0.9)
    assert pytest.approx((first - second).mean()) == found.estimate
    assert pytest.approx(expected.low, abs=0.02) == found.low
    assert pytest.approx(expected.high, abs=0.02) == found.high


@pytest.mark.parametrize(("n", "overlap", "block"), [(23, 4, None), (15, 8, None), (40, 4, 8)])
def test_equal_forecasters_are_equal_nine_times_in_ten(n, overlap, block):
    """300 pairs whose scores correlate as their windows do: 270 +- 4 standard errors."""
    rng = np.random.default_rng(12)
    scores = stats.norm.ppf(bootstrap.overlapping_uniforms(n, overlap, 600, rng))
    found = [
        metrics.compare(a, b, overlap=overlap, block=block, draws=400, rng=rng).decided
        for a, b in zip(scores[:300], scores[300:], strict=True)
    ]
    assert abs(300 - sum(found) - 270) <= 4 * np.sqrt(300 * 0.9 * 0.1)


def test_ratios_of_sums():
    """WAPE: the difference is that of the WAPEs, and a better one is found out."""
    rng = np.random.default_rng(3)
    actual = rng.gamma(4.0, 25.0, 30) * (np.arange(30) != 4)
    ours, theirs = actual + rng.normal(0, 5, 30), actual + rng.normal(0, 25, 30)
    found = metrics.compare(
        np.abs(ours - actual), np.abs(theirs - actual), weights=actual, overlap=2
    )
    expected = metrics.wape(actual, ours) - metrics.wape(actual, theirs)
    assert pytest.approx(expected) == found.estimate
    assert found.decided
    assert found.high < 0.0
    assert found.share_below > 0.99
    assert "30 cutoffs worth 15 independent windows): decided" in str(found)


def test_order_of_the_two_only_turns_the_sign():
    """Same seed, mirrored result; another seed, other draws."""
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 20))
    one, two = metrics.compare(a, b, overlap=3), metrics.compare(b, a, overlap=3)
    assert -two.estimate == one.estimate
    assert pytest.approx(1.0 - two.share_below) == one.share_below
    assert pytest.approx((-two.high, -two.low)) == (one.low, one.high)
    assert one == metrics.compare(a, b, overlap=3, rng=np.random.default_rng(0))
    assert one != metrics.compare(a, b, overlap=3, rng=1)
    assert "may be luck" in str(one)


def test_the_same_forecaster_twice_is_not_better():
    """All differences are 0, and so is their interval."""
    found = metrics.compare([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], overlap=1)
    assert (0.0, 0.0, 0.0, 0.0) == (found.estimate, found.low, found.high, found.share_below)
    assert not found.decided


def test_comparison_refuses_what_it_cannot_judge():
    """A block that holds everything; blocks too short; nothing to divide by."""
    with pytest.raises(InsufficientDataError, match="5 needed, 4 found"):
        metrics.compare([1.0] * 4, [2.0] * 4, overlap=4)
    with pytest.raises(ValidationError, match=r"block must be >= overlap \(3\), got 2"):
        metrics.compare([1.0] * 9, [2.0] * 9, overlap=3, block=2)
    with pytest.raises(ValidationError, match="weights must not all be 0"):
        metrics.compare([1.0] * 9, [2.0] * 9, overlap=3, weights=[0.0] * 9)
    with pytest.raises(ValidationError, match="weights must be >= 0; 1 of 9"):
        metrics.compare([1.0] * 9, [2.0] * 9, overlap=3, weights=[*[1.0] * 8, -1.0])
    with pytest.raises(ValidationError, match="second must have 2 rows"):
        metrics.compare([1.0, 2.0], [1.0], overlap=1)


def test_diebold_mariano_without_overlap_is_the_t_test():
    """Harvey's correction turns the statistic into that of the paired t-test, by scipy."""
    rng = np.random.default_rng(4)
    first, second = rng.random((2, 12))
    expected = stats.ttest_rel(first, second)
    found = metrics.diebold_mariano(first, second, overlap=1)
    assert pytest.approx(expected.statistic) == found.statistic
    assert pytest.approx(expected.pvalue) == found.p_value
    assert (0, 12, False) == (found.lag, found.cutoffs, found.tapered)


def test_diebold_mariano_with_overlap_by_hand():
    """Lag 1, n = 10, differences 0..4 twice sorted: mean 2, products 20 and 15 (by hand).

    Centred: -2 -2 -1 -1 0 0 1 1 2 2; lag 0: 20; lag 1: 4+2+1+0+0+0+1+2+4 = 14. Variance of the
    mean (20 + 28) / 100 = 0.48; correction sqrt((11 - 4 + 2 / 10) / 10) = sqrt(0.72).
    """
    gap = np.repeat(np.arange(5.0), 2)
    found = metrics.diebold_mariano(gap, np.zeros(10), overlap=2)
    assert pytest.approx(2.0 / np.sqrt(0.48) * np.sqrt(0.72)) == found.statistic
    assert pytest.approx(2 * stats.t.sf(found.statistic, 9)) == found.p_value


def test_diebold_mariano_tapers_a_negative_variance():
    """Differences that alternate around 1: autocovariances in full would be negative."""
    gap = 1.0 + np.tile([1.0, -1.0], 10)
    found = metrics.diebold_mariano(gap, np.zeros(20), overlap=2)
    assert found.tapered
    assert found.statistic > 0.0


def test_diebold_mariano_is_refused_below_five_windows():
    """Nineteen cutoffs of four overlapping windows are not five."""
    first = np.arange(20.0)
    with pytest.raises(InsufficientDataError, match="20 needed, 19 found"):
        metrics.diebold_mariano(first[:19], np.zeros(19), overlap=4)
    assert metrics.diebold_mariano(first, np.zeros(20), overlap=4).lag == 3


def test_diebold_mariano_without_variance():
    """The same forecaster twice; and one that is better by the same each time."""
    same = metrics.diebold_mariano(np.ones(5), np.ones(5), overlap=1)
    assert (0.0, 1.0) == (same.statistic, same.p_value)
    with pytest.raises(ValidationError, match="must not all differ by the same amount"):
        metrics.diebold_mariano(np.ones(5), np.zeros(5), overlap=1)


# --- layers of a process -------------------------------------------------------------------------


def test_value_added_of_each_layer():
    """From 0.4 to 0.3 to 0.36: 0.1, then -0.06; over naive 0.1 and 0.04."""
    found = metrics.value_added({"naive": 0.4, "model": 0.3, "manager": 0.36})
    assert pytest.approx([np.nan, 0.1, -0.06], nan_ok=True) == found.added.tolist()
    assert pytest.approx([np.nan, 0.25, -0.2], nan_ok=True) == found.added_share.tolist()
    assert pytest.approx([np.nan, 0.1, 0.04], nan_ok=True) == found.over_naive.tolist()
    assert pytest.approx([np.nan, 0.25, 0.1], nan_ok=True) == found.over_naive_share.tolist()
    assert ["naive", "model", "manager"] == found.to_columns()["layer"].tolist()
    assert str(found).startswith("Forecast value added\nlayer")


def test_value_added_to_a_perfect_or_unknown_layer():
    """No share of nothing; what is unknown stays so."""
    found = metrics.value_added({"naive": 0.0, "model": 0.1, "other": np.nan})
    assert np.isnan(found.added_share[1:]).all()
    assert found.added[1] == -0.1
    assert np.isnan(found.added[2])


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ({"naive": 1.0}, InsufficientDataError, "2 needed, 1 found"),
        ({"naive": 1.0, "model": -1.0}, ValidationError, "error must be finite and >= 0"),
        ({"naive": 1.0, "model": "low"}, ValidationError, "errors must be numbers"),
    ],
)
def test_value_added_refuses(layers, error, message):
    """One layer adds nothing; errors are not negative."""
    with pytest.raises(error, match=message):
        metrics.value_added(layers)


# --- noise ---------------------------------------------------------------------------------------


def test_noise_of_independent_deals_by_simulation():
    """Twelve cutoffs of 60 deals each, 4,000 outcomes drawn deal by deal."""
    rng = np.random.default_rng(6)
    books = [(rng.beta(1, 3, 60), rng.gamma(2.0, 10.0, 60)) for _ in range(12)]
    floor = metrics.wape_noise([deal_law(0.0, p, a) for p, a in books])
    sums = np.stack([(rng.random((4000, 60)) < p) @ a for p, a in books], axis=1)
    missed = np.abs(sums - np.median(sums, axis=0)).sum(axis=1)
    assert pytest.approx(missed.mean() / sums.sum(axis=1).mean(), rel=0.02) == floor.expected
    low, high = np.quantile(missed / sums.sum(axis=1), [0.05, 0.95])
    assert pytest.approx([low, high], rel=0.03) == [floor.low, floor.high]


def test_noise_of_overlapping_windows_has_a_wider_band():
    """Shared luck does not change what is expected, and cancels less over cutoffs."""
    laws = [deal_law(0.0, np.full(50, 0.3), np.full(50, 10.0))] * 24
    one, eight = metrics.wape_noise(laws), metrics.wape_noise(laws, overlap=8)
    assert one.expected == eight.expected
    assert eight.high - eight.low > 1.5 * (one.high - one.low)


def test_noise_of_a_smooth_law_is_that_of_a_normal_one():
    """E|X - median| is sd sqrt(2 / pi), and each of many cutoffs is like one."""
    rng = np.random.default_rng(1)
    law = deal_law(0.0, rng.uniform(0.3, 0.7, 2000), rng.gamma(5.0, 20.0, 2000))
    expected = np.sqrt(2 * law.cumulants[1] / np.pi) / law.cumulants[0]
    assert pytest.approx(expected, rel=1e-3) == metrics.wape_noise([law] * 3).expected


def test_noise_where_nothing_can_be_won():
    """Undefined, not infinite."""
    floor = metrics.wape_noise([deal_law(0.0, np.empty(0), np.empty(0))])
    assert np.isnan([floor.expected, floor.low, floor.high]).all()
    with pytest.raises(InsufficientDataError, match="noise floor: 1 needed"):
        metrics.wape_noise([])


def test_noise_of_chances_by_simulation():
    """Mean and 5 % and 95 % points of scores of 4,000 outcomes of 300 right chances."""
    rng = np.random.default_rng(2)
    p = rng.beta(1, 2, 300)
    won = rng.random((4000, 300)) < p
    for floor, scores in (
        (metrics.brier_noise(p), np.square(p - won).mean(axis=1)),
        (metrics.log_noise(p), [metrics.log_score(row, p) for row in won]),
    ):
        expected = [np.mean(scores), *np.quantile(scores, [0.05, 0.95])]
        assert pytest.approx(expected, rel=0.01) == [floor.expected, floor.low, floor.high]


def test_noise_of_chances_counted_several_times():
    """Each deal in four windows: half the number of deals would be as wide as a quarter."""
    p = np.full(400, 0.2)
    once, often = metrics.brier_noise(p[:100]), metrics.brier_noise(p, overlap=4)
    assert pytest.approx((once.low, once.high)) == (often.low, often.high)
