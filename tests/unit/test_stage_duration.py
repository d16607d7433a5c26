"""Durations by stage against closed forms, and the chances to win against the semi-Markov model."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import InsufficientDataError, ValidationError
from funnel.models.semi_markov import SemiMarkov
from funnel.models.stage_duration import EXITS, StageDuration

TWO = fn.Funnel(["Qualify", "Propose"])
ONE = fn.Funnel(["Qualify"])
START = np.datetime64("2024-01-01")


def walks(rows, n=200, *, funnel=TWO, until=60):
    """Deals that all take one path: states, and days since the start."""
    return fn.History.from_columns(
        funnel=funnel,
        id=np.tile(np.arange(n), len(rows)),
        stage=np.repeat([stage for stage, _ in rows], n),
        at=START + np.repeat([day for _, day in rows], n),
        observed_until=START + until,
    )


def geometric(n, seed):
    """Deals of one stage with a hazard of 0.05 a day, 0.4 of them won, watched for a year."""
    rng = np.random.default_rng(seed)
    born, wait = rng.integers(0, 300, n), rng.geometric(0.05, n) - 1
    won, seen = rng.random(n) < 0.4, born + wait <= 365
    return fn.History.from_columns(
        funnel=ONE,
        id=np.concatenate((np.arange(n), np.arange(n)[seen])),
        stage=["Qualify"] * n + np.where(won[seen], "Won", "Lost").tolist(),
        at=START + np.concatenate((born, (born + wait)[seen])),
        observed_until=START + 365,
    )


def censored():
    """800 deals: 400 seen until day 5 only, 200 won on day 10, 200 lost on day 15."""
    ids = np.arange(800)
    return fn.History.from_columns(
        funnel=ONE,
        id=[*ids, *ids[:400]],
        stage=["Qualify"] * 800 + ["Won"] * 200 + ["Lost"] * 200,
        at=START + np.repeat([0, 10, 10, 15], [400, 400, 200, 200]),
        observed_until=START + 15,
    )


def test_a_constant_hazard_gives_the_closed_form():
    """P(T <= t) = 1 - 0.95^(t + 1): median 13, 90 % by day 44, mean 0.95 / 0.05 = 19."""
    fitted = StageDuration().fit(geometric(20_000, 1))
    assert pytest.approx([13, 44], abs=1) == fitted.quantiles((0.5, 0.9))[0]
    assert pytest.approx([19.0], abs=0.5) == fitted.expected_days()
    assert pytest.approx([0.0, 0.4, 0.6, 0.0, 0.0], abs=0.02) == fitted.exits()[0]
    pipeline = fn.Pipeline.from_columns(
        funnel=ONE,
        as_of=START + 365,
        id=["A"],
        stage=["Qualify"],
        stage_entered=[START + 355],
    )
    ahead = np.array([7, 30, 90])
    found = fitted.win_curve(pipeline, START + 365 + ahead)[0]
    assert pytest.approx(0.4 * (1 - 0.95**ahead), abs=0.02) == found


def test_open_visits_are_censored():
    """Kaplan-Meier: S = 1/2 after day 10 and 0 after day 15, though half of all is still open."""
    fitted = StageDuration().fit(censored())
    assert [[10.0, 10.0, 15.0]] == fitted.quantiles((0.1, 0.5, 0.51)).tolist()
    assert pytest.approx([12.5]) == fitted.expected_days()
    assert (800, 400) == (fitted.entered[0], fitted.left[0])
    assert pytest.approx([0.0, 0.5, 0.5, 0.0, 0.0]) == fitted.exits()[0]


def test_late_entries_are_at_risk_from_the_day_they_were_seen():
    """100 fresh deals, half gone on day 2; 100 seen from day 5 on; all others go on day 8.

    S(2) = 1 - 50/100, so that the median is 2, while of all 200 deals a quarter was gone by then.
    """
    ids = np.arange(200)
    history = fn.History.from_columns(
        funnel=ONE,
        id=np.tile(ids, 2),
        stage=["Qualify"] * 200 + ["Lost"] * 50 + ["Won"] * 150,
        at=START + np.repeat([0, 5, 2, 8], [100, 100, 50, 150]),
        created=np.full(400, START),
        stage_entered=np.full(400, START),
    )
    fitted = StageDuration().fit(history)
    assert [[2.0, 8.0]] == fitted.quantiles((0.5, 0.6)).tolist()
    assert (100, 200) == (fitted.entered[0], fitted.left[0])


def test_holds_do_not_count():
    """Ten days of propose before winning, with a hold of 20 days after the fourth: still ten."""
    funnel = fn.Funnel(["Propose", fn.Stage("Hold", on_hold=True)])
    rows = [("Propose", 0), ("Hold", 4), ("Propose", 24), ("Won", 30)]
    fitted = StageDuration().fit(walks(rows, funnel=funnel))
    assert [10.0, 20.0] == fitted.quantiles((0.5,))[:, 0].tolist()
    assert [10.0, 20.0] == pytest.approx(fitted.expected_days().tolist())
    assert [200, 200] == fitted.left.tolist()
    ways = dict(zip(EXITS, fitted.exits().T.tolist(), strict=True))
    assert {"advanced": [0.0, 1.0], "won": [1.0, 0.0]} == {
        name: pytest.approx(ways[name]) for name in ("advanced", "won")
    }


def test_all_visits_to_a_stage_are_one():
    """Propose is left back once and won once: one half each; qualify always leads on."""
    rows = [("Qualify", 0), ("Propose", 5), ("Qualify", 10), ("Propose", 15), ("Won", 20)]
    history = walks(rows)
    fitted = StageDuration().fit(history)
    assert pytest.approx([1.0, 0.0, 0.0, 0.0, 0.0]) == fitted.exits()[0]
    assert pytest.approx([0.0, 0.5, 0.0, 0.5, 0.0]) == fitted.exits()[1]
    assert [400, 400] == fitted.entered.tolist()
    first, second = history.snapshot(START + 7), history.snapshot(START + 17)
    ahead = np.array([3, 10])
    for table in (first, second):
        day = np.datetime64(table.as_of, "D")
        # Won on day 5 of age with 1/2, else back, on after 5 days and won after 5 more with 1/2.
        assert pytest.approx([0.5, 0.5]) == fitted.win_curve(table, day + ahead)[0]
        assert pytest.approx([0.75]) == fitted.win_curve(table, day + np.array([13]))[0]


def test_removed_deals_leave():
    """Half are removed on day 3, the others are lost on day 6."""
    ids = np.arange(100)
    history = fn.History.from_columns(
        funnel=ONE,
        id=np.tile(ids, 2),
        stage=["Qualify"] * 100 + ["Removed"] * 50 + ["Lost"] * 50,
        at=START + np.repeat([0, 3, 6], [100, 50, 50]),
    )
    fitted = StageDuration().fit(history)
    assert pytest.approx([0.0, 0.0, 0.5, 0.0, 0.5]) == fitted.exits()[0]
    assert [[3.0, 6.0]] == fitted.quantiles((0.5, 0.9)).tolist()


def test_it_is_the_limit_of_the_semi_markov_model():
    """The chances of SemiMarkov(lean=1e12) up to rounding, on a world with loops and holds."""
    history = fn.datasets.simulate(3_000, rng=7).history
    pipeline = history.snapshot()
    dates = np.datetime64(pipeline.as_of, "D") + np.array([7, 30, 120])
    expected = SemiMarkov(lean=1e12).fit(history).win_curve(pipeline, dates)
    found = StageDuration().fit(history).win_curve(pipeline, dates)
    assert pytest.approx(expected, abs=1e-7) == found


def test_what_has_not_been_seen_is_not_made_up():
    """Half never leave: no 90 % quantile, no mean; a stage that nobody entered has neither."""
    ids = np.arange(60)
    history = fn.History.from_columns(
        funnel=TWO,
        id=[*ids, *ids[:30]],
        stage=["Qualify"] * 60 + ["Lost"] * 30,
        at=START + np.array([0] * 60 + [10] * 30),
        observed_until=START + 40,
    )
    fitted = StageDuration().fit(history)
    quantiles = fitted.quantiles((0.5, 0.9))
    assert 10.0 == quantiles[0, 0]
    assert np.isnan([quantiles[0, 1], *quantiles[1]]).all()
    assert np.isinf(fitted.expected_days()[0])
    assert np.isnan(fitted.expected_days()[1])
    assert np.isnan(fitted.exits()[1]).all()


def test_recent_history_may_count_more():
    """Stays of 20 days in the first year, of 5 in the second: a short half-life finds the 5."""
    n = 400
    born = np.repeat([0, 400], n // 2)
    wait = np.repeat([20, 5], n // 2)
    history = fn.History.from_columns(
        funnel=ONE,
        id=np.tile(np.arange(n), 2),
        stage=["Qualify"] * n + ["Won"] * n,
        at=START + np.concatenate((born, born + wait)),
        observed_until=START + 430,
    )
    assert 5.0 == StageDuration(half_life=30.0).fit(history).quantiles((0.9,))[0, 0]
    assert 20.0 == StageDuration().fit(history).quantiles((0.9,))[0, 0]


def test_what_cannot_be_answered():
    """Too little history, odd parameters and odd levels."""
    with pytest.raises(InsufficientDataError, match="20 needed, 8 found"):
        StageDuration().fit(walks([("Qualify", 0), ("Won", 5)], 8))
    for odd in ({"half_life": 0.0}, {"minimum": 0}):
        with pytest.raises(ValidationError, match=f"{next(iter(odd))} must be"):
            StageDuration(**odd)
    fitted = StageDuration().fit(censored())
    for level in (0.0, 1.0, 50):
        with pytest.raises(ValidationError, match="levels must lie between 0 and 1"):
            fitted.quantiles((0.5, level))
