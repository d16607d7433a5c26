"""The parametric model against closed forms, a known truth, and the semi-Markov model."""

import warnings

import numpy as np
import pytest
from scipy import stats

import funnel as fn
from funnel.errors import ExtrapolationWarning, InsufficientDataError, ValidationError
from funnel.models._sojourns import CLASSES, Layout
from funnel.models.parametric import Parametric
from funnel.models.semi_markov import SemiMarkov
from funnel.testing import fixtures

TWO = fn.Funnel(["Qualify", "Propose"])
START = np.datetime64("2024-01-01")


def table(stage, days, *, until, funnel=TWO, **columns):
    """A history of deals that enter a stage on `days[0]` and win on `days[1]` (inf: never)."""
    entered, closed = days
    deal = np.arange(len(entered))
    won = closed <= until
    return fn.History.from_columns(
        funnel=funnel,
        id=np.concatenate((deal, deal[won])),
        stage=[stage] * len(deal) + ["Won"] * int(won.sum()),
        at=START + np.concatenate((entered, closed[won].astype(np.int64))),
        observed_until=START + until,
        **columns,
    )


def deal_in(stage, age, *, as_of, **changes):
    """One open deal of a stage and age."""
    columns = {
        "funnel": TWO,
        "as_of": START + as_of,
        "id": ["A"],
        "stage": [stage],
        "stage_entered": [np.datetime64("NaT") if age is None else START + as_of - age],
    }
    return fn.Pipeline.from_columns(**{**columns, **changes})


def lognormal(n, seed, *, until, share=0.6):
    """Deals of which a share is won after log-normal days (median 20, spread 0.7)."""
    rng = np.random.default_rng(seed)
    entered = rng.integers(0, until, n)
    wait = np.ceil(rng.lognormal(np.log(20.0), 0.7, n))
    return entered, np.where(rng.random(n) < share, entered + wait, np.inf)


def test_constant_hazards_give_the_closed_form():
    """Win 2 %, lose 3 % a day: 0.4 (1 - 0.95^h) at any age, and Weibull times of spread 1."""
    rng = np.random.default_rng(1)
    n = 30_000
    entered, wait = rng.integers(0, 300, n), rng.geometric(0.05, n) - 1
    won = rng.random(n) < 0.4
    seen = entered + wait <= 365
    deal = np.arange(n)
    history = fn.History.from_columns(
        funnel=TWO,
        id=np.concatenate((deal, deal[seen])),
        stage=["Propose"] * n + np.where(won, "Won", "Lost")[seen].tolist(),
        at=START + np.concatenate((entered, (entered + wait)[seen])),
        observed_until=START + 365,
    )
    fitted = Parametric(distribution="weibull").fit(history)
    layout = Layout(TWO)
    state = CLASSES
    assert pytest.approx(0.02, abs=0.003) == fitted.same_day[state, layout.won]
    assert pytest.approx(1.0, abs=0.04) == fitted.spread[state, layout.won]
    assert pytest.approx(-1 / np.log(0.95), rel=0.05) == np.exp(fitted.location[state, layout.won])
    assert fitted.never[state] < 0.005
    dates = START + 365 + np.array([7, 30, 90])
    expected = 0.4 * (1 - 0.95 ** np.array([7, 30, 90]))
    for age in (0, 20, 50, None):
        found = fitted.win_curve(deal_in("Propose", age, as_of=365), dates)[0]
        assert pytest.approx(expected, abs=0.02) == found


def test_the_truth_is_found():
    """60 % close after log-normal days: the share left over, median and spread."""
    fitted = Parametric().fit(table("Propose", lognormal(8_000, 2, until=400), until=400))
    won = Layout(TWO).won
    assert "log-normal" == fitted.families[CLASSES]
    # Standard errors: sqrt(0.24 / 8000) = 0.005 for the share, 0.7 / sqrt(4800) = 0.01 for both.
    assert pytest.approx(0.4, abs=0.025) == fitted.never[CLASSES]
    assert pytest.approx(np.log(20.0), abs=0.045) == fitted.location[CLASSES, won]
    assert pytest.approx(0.7, abs=0.04) == fitted.spread[CLASSES, won]


@pytest.mark.deep
def test_error_falls_with_the_root_of_the_deals():
    """Over 300 / 3,000 / 30,000 deals the error of chances falls about threefold a step."""
    law = stats.lognorm(0.7, scale=20.0)
    ahead = np.array([14, 30, 60])
    still = 1 - 0.6 * law.cdf(5)
    truth = 0.6 * (law.cdf(5 + ahead) - law.cdf(5)) / still
    deal, errors = deal_in("Propose", 5, as_of=400), []
    for n in (300, 3_000, 30_000):
        model = Parametric(distribution="log-normal")
        found = [
            model.fit(table("Propose", lognormal(n, seed, until=400), until=400)).win_curve(
                deal, START + 400 + ahead
            )[0]
            for seed in range(6)
        ]
        errors.append(np.sqrt(np.mean((np.array(found) - truth) ** 2)))
    assert errors[1] < errors[0] / 1.5
    assert errors[2] < errors[1] / 1.5
    assert errors[2] < errors[0] / 5


def test_late_entry_does_not_bias():
    """Deals that were already there on the first day, entered up to 200 days before: same law."""
    entered, closed = lognormal(9_000, 3, until=600)
    seen = closed > 200
    first = np.maximum(entered, 200)[seen]
    history = table(
        "Propose",
        (first, closed[seen]),
        until=600,
        observed_from=START + 200,
        stage_entered=np.concatenate(
            (START + entered[seen], START + closed[seen & (closed <= 600)].astype(np.int64))
        ),
    )
    fitted = Parametric(distribution="log-normal").fit(history)
    won = Layout(TWO).won
    assert pytest.approx(0.4, abs=0.03) == fitted.never[CLASSES]
    assert pytest.approx(np.log(20.0), abs=0.06) == fitted.location[CLASSES, won]


def test_curves_go_on_where_history_ends():
    """History of 60 days; a deal of age 90: the family still knows, a held hazard does not."""
    entered, closed = lognormal(20_000, 4, until=10)
    history = table("Propose", (entered, closed), until=60)
    law = stats.lognorm(0.7, scale=20.0)
    truth = 0.6 * (law.cdf(180) - law.cdf(90)) / (1 - 0.6 * law.cdf(90))
    deal, dates = deal_in("Propose", 90, as_of=60), np.array([START + 150])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Parametric().fit(history).win_curve(deal, dates)[0, 0]
    with pytest.warns(ExtrapolationWarning):
        held = SemiMarkov().fit(history).win_curve(deal, dates)[0, 0]
    assert abs(found - truth) < 0.01
    assert abs(held - truth) > 0.05


def test_long_stays_lower_the_chance():
    """A deal that is very old is one of those that stay for ever, up to any age."""
    fitted = Parametric().fit(table("Propose", lognormal(2_000, 5, until=300), until=300))
    dates = np.array([START + 500])
    ages = (0, 60, 200, 1000, 9000)
    found = [fitted.win_curve(deal_in("Propose", a, as_of=300), dates)[0, 0] for a in ages]
    assert np.all(np.diff(found) < 0.0)
    assert found[-1] < 1e-3 < found[2]


@pytest.mark.parametrize("family", ["weibull", "log-normal", "log-logistic"])
def test_the_best_family_is_the_one_that_made_the_days(family):
    """10,000 deals of a family are told from those of the two others."""
    rng = np.random.default_rng(6)
    law = {
        "weibull": stats.weibull_min(1.8, scale=25.0),
        "log-normal": stats.lognorm(0.7, scale=20.0),
        "log-logistic": stats.fisk(2.5, scale=20.0),
    }[family]
    entered = rng.integers(0, 300, 10_000)
    closed = entered + np.ceil(law.rvs(10_000, random_state=rng))
    fitted = Parametric().fit(table("Propose", (entered, closed), until=500))
    assert family == fitted.families[CLASSES]


def test_visits_lean_on_their_stage():
    """Second visits win thrice as fast; three of them are taken for first ones, 400 are not."""
    rng = np.random.default_rng(7)

    def fit(n, lean):
        """1,000 first visits of median 30 days that go back; n second ones of median 10 days."""
        first, back = np.ceil(rng.lognormal(np.log(30), 0.5, 1_000)), 5
        second = np.ceil(rng.lognormal(np.log(10), 0.5, n))
        ids, again = np.arange(1_000), np.arange(n)
        returned = first[:n] + back
        history = fn.History.from_columns(
            funnel=TWO,
            id=np.concatenate((ids, again, again, again, ids[n:])),
            stage=["Propose"] * 1_000
            + ["Qualify"] * n
            + ["Propose"] * n
            + ["Won"] * n
            + ["Won"] * (1_000 - n),
            at=START
            + np.concatenate(
                (np.zeros(1_000), first[:n], returned, returned + second, first[n:])
            ).astype(np.int64),
            observed_until=START + 700,
        )
        fitted = Parametric(distribution="log-normal", lean=lean).fit(history)
        return np.exp(fitted.location[CLASSES : CLASSES + 3, Layout(TWO).won])

    one, two, three = fit(400, 20.0)
    assert pytest.approx([30.0, 10.0], rel=0.1) == [one, two]
    assert two < three < one  # no third visit: as all visits to the stage
    one, two, _ = fit(3, 20.0)
    assert 0.7 * one < two < one


def test_agrees_with_semi_markov_where_history_is_long():
    """Mean chances within 0.02, single ones within 0.03 on average, and near the truth."""
    world = fn.datasets.simulate(8_000, rng=5)
    cut = "2025-06-30"
    pipeline = world.history.snapshot(cut)
    pipeline = pipeline.select(pipeline.outcome == fn.Outcome.OPEN)
    dates = np.array(["2025-07-31", "2025-09-30"], dtype="datetime64[D]")
    past = world.history.until(cut)
    found = Parametric().fit(past).win_curve(pipeline, dates)
    other = SemiMarkov().fit(past).win_curve(pipeline, dates)
    truth = world.truth.win_curve(pipeline, dates)
    assert pytest.approx(other.mean(axis=0), abs=0.02) == found.mean(axis=0)
    assert np.abs(found - other).mean() < 0.03
    assert pytest.approx(truth.mean(axis=0), abs=0.03) == found.mean(axis=0)
    assert np.corrcoef(found[:, 0], truth[:, 0])[0, 1] > 0.7


def test_hazards_stay_chances_at_any_age():
    """Hazards add up to less than 1 on each of 20,000 days, and their paths to the shares."""
    fitted = Parametric().fit(fixtures.history())
    found = fitted.hazards(20_000)
    assert found.min() >= 0.0
    assert found.sum(axis=1).max() < 1.0
    stay = np.cumprod(1.0 - found[:, :, 1:].sum(axis=1), axis=1)[:, -1]
    assert pytest.approx(fitted.never, abs=0.02) == stay
    assert np.array_equal(fitted.same_day, fitted.hazards(0)[:, :, 0])


def test_recency_follows_drift():
    """Days to win fall from a median of 40 to one of 10: a half-life finds the new one."""
    rng = np.random.default_rng(8)
    entered = rng.integers(0, 700, 6_000)
    median = np.where(entered < 350, 40.0, 10.0)
    closed = entered + np.ceil(median * rng.lognormal(0.0, 0.5, 6_000))
    history = table("Propose", (entered, closed), until=720)
    won = Layout(TWO).won
    recent = Parametric(half_life=60.0).fit(history).location[CLASSES, won]
    flat = Parametric().fit(history).location[CLASSES, won]
    assert pytest.approx(10.0, abs=2.0) == np.exp(recent)
    assert np.exp(flat) > 15.0


def test_all_on_the_day_of_entry():
    """30 of 40 win on the day they come and none moves later: no durations, and no chance."""
    n = 40
    closed = np.where(np.arange(n) < 30, 3.0, np.inf)
    fitted = Parametric().fit(table("Propose", (np.full(n, 3), closed), until=90))
    # One deal more in the stage, and the first visits lean on 20 deals of their stage.
    assert (
        pytest.approx((30 + 20 * 30 / 41) / (40 + 20)) == fitted.same_day[CLASSES, Layout(TWO).won]
    )
    assert [1.0] * 6 == fitted.never[:6].tolist()
    assert 0.0 == fitted.win_curve(deal_in("Propose", 5, as_of=90), np.array([START + 400]))[0, 0]
    none = fitted.win_curve(deal_in("Propose", 3, as_of=90), np.empty(0, dtype="datetime64[D]"))
    assert (1, 0) == none.shape


def test_what_cannot_be_answered():
    """Too little history, and odd parameters."""
    days = (np.zeros(10, dtype=np.int64), np.arange(5.0, 15.0))
    with pytest.raises(InsufficientDataError, match="need moves out of open stages: 20 needed"):
        Parametric().fit(table("Propose", days, until=60))
    assert Parametric(minimum=5).fit(table("Propose", days, until=60)).never[CLASSES] < 0.5
    with pytest.raises(ValidationError, match=r"must be a distribution.*Did you mean 'weibull'"):
        Parametric(distribution="weibul")
    for odd in ({"half_life": 0.0}, {"lean": -1.0}, {"minimum": None}):
        with pytest.raises(ValidationError, match="must be a number > 0"):
            Parametric(**odd)
