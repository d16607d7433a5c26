"""Scores against scikit-learn, scoringrules, closed forms and figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scoringrules
import sklearn.calibration
import sklearn.metrics

from funnel import metrics
from funnel.errors import InsufficientDataError, SchemaMismatchError, ValidationError
from funnel.kernels import calibration, compound, scores
from funnel.metrics.summaries import DealScores, MoneyScores

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


@pytest.fixture
def money():
    """Outcomes with zeros and ties, sorted quantiles and draws."""
    rng = np.random.default_rng(7)
    actual = np.round(rng.gamma(2.0, 50.0, 40)) * (rng.random(40) < 0.8)
    quantiles = np.sort(np.round(rng.gamma(2.0, 50.0, (40, 5))), axis=1)
    quantiles[0] = actual[0]
    return actual, quantiles, np.round(rng.gamma(2.0, 50.0, (40, 30)))


@pytest.fixture
def deals():
    """Outcomes and chances with many ties, and with 0 and 1."""
    rng = np.random.default_rng(8)
    chance = np.round(rng.beta(0.7, 1.5, 500), 2)
    return rng.random(500) < chance**1.3, chance


# --- point forecasts -----------------------------------------------------------------------------


def test_errors_by_hand():
    """Errors -20, 20, 0 on outcomes 100, 0, 300: 40 / 400, 0 / 400, 40 / 3, sqrt(800 / 3)."""
    actual, forecast = [100, 0, 300], [80, 20, 300]
    assert pytest.approx(0.1) == metrics.wape(actual, forecast)
    assert metrics.bias(actual, forecast) == 0.0
    assert pytest.approx(40 / 3) == metrics.mae(actual, forecast)
    assert pytest.approx(np.sqrt(800 / 3)) == metrics.rmse(actual, forecast)
    assert pytest.approx(4 / 3) == metrics.mase(actual, forecast, scale=10)
    assert pytest.approx(np.sqrt(8 / 3)) == metrics.rmsse(actual, forecast, scale=10.0)


def test_mean_errors_agree_with_scikit_learn(money):
    """MAE and RMSE, on continuous forecasts."""
    actual, quantiles, _ = money
    forecast = quantiles[:, 2]
    expected = sklearn.metrics.mean_absolute_error(actual, forecast)
    assert pytest.approx(expected) == metrics.mae(actual, forecast)
    expected = sklearn.metrics.root_mean_squared_error(actual, forecast)
    assert pytest.approx(expected) == metrics.rmse(actual, forecast)


def test_ratios_to_nothing_are_not_infinite():
    """No outcome, or a negative total: a share of it is not defined."""
    assert np.isnan(metrics.wape([0.0, 0.0], [1.0, 0.0]))
    assert np.isnan(metrics.bias([-1.0], [1.0]))


# --- distributions -------------------------------------------------------------------------------


def test_pinball_agrees_with_scikit_learn(money):
    """Mean loss of each quantile."""
    actual, quantiles, _ = money
    found = metrics.pinball_loss(actual, quantiles, LEVELS).mean(axis=0)
    for column, level in enumerate(LEVELS.tolist()):
        expected = sklearn.metrics.mean_pinball_loss(actual, quantiles[:, column], alpha=level)
        assert pytest.approx(expected) == found[column]


def test_interval_scores_agree_with_scoringrules(money):
    """One interval; and weighted with the canonical alpha / 2 (Bracher et al. 2021).

    The term of the median is added here: scoringrules 0.10 without numba takes the median itself
    instead of its distance from the outcome.
    """
    actual, quantiles, _ = money
    expected = scoringrules.interval_score(actual, quantiles[:, 0], quantiles[:, 4], 0.2)
    found = metrics.interval_score(actual, quantiles[:, 0], quantiles[:, 4], level=0.8)
    np.testing.assert_allclose(expected, found)
    alpha = np.array([0.2, 0.5])
    expected = scoringrules.weighted_interval_score(
        actual, quantiles[:, 2], quantiles[:, :2], quantiles[:, :-3:-1], alpha, 0.0, alpha / 2.0
    )
    expected = expected + np.abs(actual - quantiles[:, 2]) / 2.0 / 2.5
    found = metrics.weighted_interval_score(actual, quantiles, LEVELS)
    np.testing.assert_allclose(expected, found)


def test_coverage_counts_both_ends():
    """Two of four outcomes are on an end, one inside, one outside."""
    found = metrics.coverage([1.0, 2.0, 3.0, 3.1], [1.0] * 4, [3.0] * 4)
    assert found == 0.75


@pytest.mark.parametrize(("fair", "estimator"), [(True, "fair"), (False, "nrg")])
def test_crps_of_draws_agrees_with_scoringrules(money, fair, estimator):
    """Fair and plain, with ties."""
    actual, _, draws = money
    expected = scoringrules.crps_ensemble(actual, draws, estimator=estimator)
    found = metrics.crps_draws(actual, draws, fair=fair)
    np.testing.assert_allclose(expected, found, rtol=1e-12)


def test_crps_of_quantiles_agrees_with_scoringrules_at_middles(money):
    """At the middles of equal parts each level counts the same, as it does there always."""
    actual, quantiles, _ = money
    middles = (np.arange(5) + 0.5) / 5
    expected = scoringrules.crps_quantile(actual, quantiles, middles)
    np.testing.assert_allclose(expected, metrics.crps_quantiles(actual, quantiles, middles))


def test_crps_of_uneven_quantiles_tends_to_that_of_the_law():
    """Standard normal at 0.5, by scoringrules: dense in one half only, each level by its width."""
    from scipy.special import ndtri

    levels = np.concatenate((np.arange(1, 500) / 1000, np.arange(50, 100) / 100))
    found = metrics.crps_quantiles([0.5], [ndtri(levels)], levels)[0]
    assert pytest.approx(float(scoringrules.crps_normal(0.5, 0.0, 1.0)), rel=1e-3) == found


@pytest.mark.parametrize("a", [3.0, 17.0])
def test_crps_of_a_step_law_is_that_of_its_outcomes(a):
    """1,000 equally likely outcomes of ten deals as an ensemble of 1,024, by scoringrules."""
    amounts = a * np.array([1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 0.5, 0.25])
    law = compound.deal_law(2.0, np.full(10, 0.5), amounts)
    subsets = (np.arange(1024)[:, None] >> np.arange(10)) & 1
    outcomes = 2.0 + subsets @ amounts
    actual = np.array([-5.0, 2.0, 2.1, outcomes[77], 100.0, outcomes.max(), 1e4])
    draws = np.broadcast_to(outcomes, (len(actual), 1024))
    expected = scoringrules.crps_ensemble(actual, draws, estimator="nrg")
    np.testing.assert_allclose(expected, metrics.crps_law(actual, law), rtol=1e-12)


def test_crps_of_a_certain_amount_is_the_distance():
    """One point: |a - x|."""
    law = compound.deal_law(5.0, np.empty(0), np.empty(0))
    assert [2.0, 0.0, 4.0] == metrics.crps_law([3.0, 5.0, 9.0], law).tolist()


def test_crps_of_a_smooth_law_is_nearly_normal():
    """2,000 deals of various sizes: the CRPS of their normal limit, by scoringrules."""
    rng = np.random.default_rng(3)
    p, amounts = rng.uniform(0.2, 0.8, 2000), rng.gamma(3.0, 100.0, 2000)
    law = compound.deal_law(0.0, p, amounts)
    assert law.density.size
    mean, sd = law.cumulants[0], np.sqrt(law.cumulants[1])
    actual = mean + sd * np.array([-9.0, -1.0, 0.0, 0.7, 9.0])
    expected = scoringrules.crps_normal(actual, mean, sd)
    np.testing.assert_allclose(expected, metrics.crps_law(actual, law), rtol=1e-3)


def test_areas_below_straight_lines():
    """Uniform on [0, 1]: CRPS (y^3 + (1 - y)^3) / 3, E|X - y| = (y^2 + (1 - y)^2) / 2."""
    y = np.array([0.0, 0.2, 0.5, 1.0])
    ends = np.array([0.0, 1.0])
    found = scores.crps_law(y, ends, ends, smooth=True)
    np.testing.assert_allclose((y**3 + (1 - y) ** 3) / 3, found)
    found = scores.distance(y, ends, ends, smooth=True)
    np.testing.assert_allclose((y**2 + (1 - y) ** 2) / 2, found)


def test_pit_is_random_within_atoms_only():
    """No atom: F itself; an atom of 0.6 at 0: uniform on [0, 0.6], mean 0.3."""
    assert [0.2, 0.9] == metrics.pit([0.2, 0.9], [0.2, 0.9]).tolist()
    found = metrics.pit(np.zeros(4000), np.full(4000, 0.6), rng=np.random.default_rng(1))
    assert found.max() <= 0.6
    assert pytest.approx(0.3, abs=4 * 0.6 / np.sqrt(12 * 4000)) == found.mean()
    np.testing.assert_array_equal(metrics.pit([0.0], [0.6]), metrics.pit([0.0], [0.6], rng=0))


# --- chances -------------------------------------------------------------------------------------


def test_chances_agree_with_scikit_learn(deals):
    """Brier score, log score of clipped chances, AUC with ties."""
    won, chance = deals
    expected = sklearn.metrics.brier_score_loss(won, chance)
    assert pytest.approx(expected) == metrics.brier_score(won, chance)
    expected = sklearn.metrics.log_loss(won, np.clip(chance, 0.001, 0.999))
    assert pytest.approx(expected) == metrics.log_score(won, chance)
    expected = sklearn.metrics.roc_auc_score(won, chance)
    assert pytest.approx(expected, rel=1e-14) == metrics.auc(won, chance)


def test_log_score_clips_as_told():
    """Minus the logarithm of the clip for what was called impossible."""
    assert pytest.approx(-np.log(0.05)) == metrics.log_score([1], [0.0], clip=0.05)
    with pytest.raises(ValidationError, match=r"clip must lie between 0 and 0\.5, got 0\.5"):
        metrics.log_score([1], [0.0], clip=0.5)


def test_auc_needs_both_outcomes():
    """Nothing to rank."""
    assert np.isnan(metrics.auc([True, True], [0.2, 0.3]))


def test_calibration_curve_agrees_with_scikit_learn():
    """Without ties, bins of equal numbers are those of quantiles."""
    rng = np.random.default_rng(4)
    chance = rng.random(400)
    won = rng.random(400) < chance
    observed, predicted = sklearn.calibration.calibration_curve(
        won, chance, n_bins=8, strategy="quantile"
    )
    found = metrics.calibration_curve(won, chance, bins=8)
    np.testing.assert_allclose(observed, found.observed)
    np.testing.assert_allclose(predicted, found.predicted)
    assert [50] * 8 == found.deals.tolist()
    gap = np.abs(observed - predicted).mean()
    assert pytest.approx(gap) == metrics.calibration_error(won, chance, bins=8)


def test_deals_of_one_chance_stay_together():
    """Three chances, five bins asked: 90 % of the deals share one chance."""
    chance = np.repeat([0.1, 0.5, 0.9], [5, 90, 5])
    found = metrics.calibration_curve(chance > 0.4, chance, bins=5)
    assert [5, 90, 5] == found.deals.tolist()
    assert [0.0, 1.0, 1.0] == found.observed.tolist()


def test_wilson_interval_as_printed():
    """81 of 263, 95 %: 0.2553 to 0.3662 (Newcombe 1998, table I, method 3)."""
    low, high = calibration.wilson(np.array([81.0]), np.array([263.0]), 1.959964)
    assert pytest.approx([0.2553, 0.3662], abs=5e-5) == [low[0], high[0]]


@pytest.mark.parametrize("bins", [1, 3, 10, 1000])
def test_parts_add_up_to_the_brier_score(deals, bins):
    """With the terms within bins, whatever the bins (Stephenson, Coelho & Jolliffe 2008)."""
    won, chance = deals
    parts = metrics.brier_decomposition(won, chance, bins=bins)
    assert pytest.approx(metrics.brier_score(won, chance), rel=1e-13) == parts.brier
    assert pytest.approx(won.mean() * (1 - won.mean())) == parts.uncertainty


def test_parts_by_the_formulas(deals):
    """Sums over deals and bins, written out as in the paper."""
    won, chance = deals
    parts = metrics.brier_decomposition(won, chance, bins=4)
    curve = metrics.calibration_curve(won, chance, bins=4)
    edges = np.cumsum(curve.deals)[:-1]
    order = np.argsort(chance, kind="stable")
    sets = list(zip(np.split(chance[order], edges), np.split(won[order], edges), strict=True))
    n, rate = len(won), won.mean()
    expected = (
        sum(len(p) * (p.mean() - o.mean()) ** 2 for p, o in sets) / n,
        sum(len(p) * (o.mean() - rate) ** 2 for p, o in sets) / n,
        sum(((p - p.mean()) ** 2).sum() for p, o in sets) / n,
        2 * sum(((p - p.mean()) * (o - o.mean())).sum() for p, o in sets) / n,
    )
    names = ("reliability", "resolution", "within_variance", "within_covariance")
    np.testing.assert_allclose(expected, [getattr(parts, name) for name in names], atol=1e-15)


def test_curve_is_a_table(deals):
    """Percentages in text, plain numbers in JSON."""
    curve = metrics.calibration_curve(*deals, bins=2, level=0.8)
    assert "80 % Wilson interval" in str(curve)
    assert {"predicted", "observed", "low", "high", "deals"} == set(curve.to_dict()["rows"][0])


# --- sums ----------------------------------------------------------------------------------------


def test_money_scores_agree_with_the_functions(money):
    """Each score of the sums is that of the rows."""
    actual, quantiles, draws = money
    crps = metrics.crps_draws(actual, draws)
    mean = draws.mean(axis=1)
    found = MoneyScores.measure(
        actual, median=quantiles[:, 2], mean=mean, quantiles=quantiles, levels=LEVELS, crps=crps
    )
    assert found.count == 40
    assert pytest.approx(metrics.wape(actual, quantiles[:, 2])) == found.wape
    assert pytest.approx(metrics.bias(actual, mean)) == found.bias
    assert pytest.approx(metrics.mae(actual, quantiles[:, 2])) == found.mae
    assert pytest.approx(metrics.rmse(actual, mean)) == found.rmse
    assert pytest.approx(crps.mean()) == found.crps
    losses = metrics.pinball_loss(actual, quantiles, LEVELS).mean(axis=0)
    assert pytest.approx(losses.tolist()) == [found.pinball_loss(q) for q in LEVELS.tolist()]
    wis = metrics.weighted_interval_score(actual, quantiles, LEVELS).mean()
    assert pytest.approx(wis) == found.weighted_interval_score
    for level, low, high in ((0.8, 0, 4), (0.5, 1, 3)):
        ends = quantiles[:, low], quantiles[:, high]
        expected = metrics.interval_score(actual, *ends, level=level).mean()
        assert pytest.approx(expected) == found.interval_score(level)
        assert metrics.coverage(actual, *ends) == found.coverage(level)
    assert found.undefined == {}


def test_money_scores_say_why_they_are_undefined():
    """Nothing won, no CRPS, no quantiles, no outcomes at all."""
    found = MoneyScores.measure([0.0], median=[1.0], mean=[1.0])
    assert np.isnan([found.wape, found.bias, found.crps, found.weighted_interval_score]).all()
    assert {
        "wape": "the outcomes add up to 0",
        "bias": "the outcomes add up to 0",
        "crps": "some outcomes were scored without their CRPS",
        "weighted_interval_score": "no quantiles were scored",
    } == found.undefined
    none = MoneyScores.measure([], median=[], mean=[])
    assert set(none.undefined.values()) == {"there are no outcomes"}
    assert all(np.isnan(getattr(none, name)) for name in none.undefined)


def test_money_scores_need_the_levels_that_are_asked_for():
    """Other levels do not merge, and an unknown one is named."""
    one = MoneyScores.measure([1.0], median=[1.0], mean=[1.0], quantiles=[[1.0]], levels=[0.5])
    with pytest.raises(SchemaMismatchError, match="levels must be the same"):
        one.merge(MoneyScores.measure([1.0], median=[1.0], mean=[1.0]))
    with pytest.raises(ValidationError, match=r"needs quantiles at scored levels \(0\.5,\)"):
        one.coverage(0.8)
    with pytest.raises(ValidationError, match="given together"):
        MoneyScores.measure([1.0], median=[1.0], mean=[1.0], levels=[0.5])


def test_deal_scores_agree_with_the_functions(deals):
    """Exact but for the AUC, whose error is at most half the pairs of one cell."""
    won, chance = deals
    found = DealScores.measure(won, chance)
    assert (500, int(won.sum())) == (found.count, found.wins)
    assert pytest.approx(metrics.brier_score(won, chance), rel=1e-12) == found.brier
    assert pytest.approx(metrics.log_score(won, chance), rel=1e-12) == found.log
    # Chances are multiples of 0.01, which cells tell apart: here even the AUC is exact.
    assert pytest.approx(metrics.auc(won, chance), rel=1e-12) == found.auc
    expected = metrics.brier_decomposition(won, chance, bins=7)
    assert pytest.approx(expected.resolution) == found.decomposition(bins=7).resolution
    expected = metrics.calibration_curve(won, chance).observed
    np.testing.assert_allclose(expected, found.calibration().observed)
    expected = metrics.calibration_error(won, chance)
    assert pytest.approx(expected) == found.calibration_error()
    assert found.undefined == {}


def test_deal_scores_know_their_noise(deals):
    """The floors of all deals together, as from their chances."""
    won, chance = deals
    found = DealScores.measure(won, chance)
    for expected, floor in (
        (metrics.brier_noise(chance, overlap=3), found.brier_noise(overlap=3)),
        (metrics.log_noise(chance, overlap=3), found.log_noise(overlap=3)),
    ):
        assert pytest.approx(expected.expected) == floor.expected
        assert pytest.approx(expected.low) == floor.low
        assert pytest.approx(expected.high) == floor.high


def test_deal_scores_say_why_they_are_undefined():
    """No deals, or none to tell apart."""
    none = DealScores.measure([], [])
    assert np.isnan([none.brier, none.log, none.auc]).all()
    assert {"brier", "log", "auc"} == set(none.undefined)
    for method in (none.decomposition, none.calibration, none.calibration_error):
        with pytest.raises(InsufficientDataError, match="calibration of chances: 1 needed"):
            method()
    for won, reason in ((False, "none of the deals were won"), (True, "all of the deals were won")):
        assert {"auc": reason} == DealScores.measure([won], [0.5]).undefined


# --- wrong input ---------------------------------------------------------------------------------

ONE = [1.0]
WRONG = [
    (lambda: metrics.wape([1.0, np.nan], [1.0, 1.0]), r"actual must be finite; 1 of 2 .* row 1"),
    (lambda: metrics.wape(ONE, [1.0, 2.0]), "forecast must have 1 rows"),
    (lambda: metrics.wape(["a"], ONE), "actual must hold numbers only"),
    (lambda: metrics.wape([[1.0]], ONE), r"actual must be an array of shape \(n,\), got \(1, 1\)"),
    (lambda: metrics.mase(ONE, ONE, scale=0.0), "scale must be a finite number > 0"),
    (lambda: metrics.pinball_loss(ONE, [[1.0]], [1.0]), "levels must be increasing"),
    (lambda: metrics.pinball_loss(ONE, [[1.0]], [0.1, 0.9]), "quantiles must have 2 columns"),
    (lambda: metrics.pinball_loss(ONE, ONE, [0.5]), r"array of shape \(n, m\)"),
    (lambda: metrics.crps_quantiles(ONE, [[2.0, 1.0]], [0.1, 0.9]), "must not decrease"),
    (lambda: metrics.crps_draws(ONE, [[np.inf, 1.0]]), r"draws must be finite; .*\[inf, 1.0\]"),
    (lambda: metrics.weighted_interval_score(ONE, [[1.0] * 3], [0.1, 0.5, 0.8]), "symmetric"),
    (lambda: metrics.weighted_interval_score(ONE, [[1.0] * 2], [0.1, 0.9]), "hold 0.5"),
    (lambda: metrics.interval_score(ONE, [2.0], ONE, level=0.8), "low must be <= high"),
    (lambda: metrics.interval_score(ONE, ONE, ONE, level=80), "level must lie between 0 and 1"),
    (lambda: metrics.pit([0.5], [0.4]), "below must be <= up_to"),
    (lambda: metrics.pit([0.4], [0.5], rng=-1), "rng must be a generator or a seed"),
    (lambda: metrics.brier_score([2], [0.5]), "won must be True or False"),
    (lambda: metrics.brier_score([1], [50.0]), r"chance must lie in \[0, 1\]"),
    (lambda: metrics.calibration_error([1], [0.5], bins=0), "bins must be a whole number >= 1"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_input_is_refused(call, message):
    """What must hold, and the first row that breaks it."""
    with pytest.raises(ValidationError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.wape([], []),
        lambda: metrics.brier_score([], []),
        lambda: metrics.crps_draws([1.0], [[1.0]]),
        lambda: metrics.crps_draws([1.0], np.empty((1, 0)), fair=False),
    ],
    ids=["no rows", "no deals", "one draw", "no draws"],
)
def test_too_little_is_refused(call):
    """No rows, or too few draws."""
    with pytest.raises(InsufficientDataError, match="needed"):
        call()
