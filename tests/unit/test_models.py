"""The textbook and the win rate against closed forms; saving; the registry's built-ins."""

import warnings

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.errors import (
    ExtrapolationWarning,
    InsufficientDataError,
    ReadError,
    UnknownModelError,
    ValidationError,
)
from funnel.models.textbook import Textbook
from funnel.models.win_rate import WinRate
from funnel.summary import merge_all, summarize

ONE = fn.Funnel([fn.Stage("Qualify", win_probability=0.4)])
DATES = np.array(["2026-07-01", "2026-07-31", "2026-12-31"], dtype="datetime64[D]")


def deals(n_won, n_lost, n_open, days=10, until="2026-06-30"):
    """Deals of one stage, all created on 1 January; the closed ones close after `days`."""
    closed = n_won + n_lost
    n = closed + n_open
    ids = [f"D{i:04d}" for i in range(n)]
    close = np.datetime64("2026-01-01") + days
    return fn.History.from_columns(
        funnel=ONE,
        id=[*ids, *ids[:closed]],
        stage=["Qualify"] * n + ["Won"] * n_won + ["Lost"] * n_lost,
        at=np.array(["2026-01-01"] * n + [close] * closed, dtype="datetime64[D]"),
        observed_until=until,
    )


def pipeline(**changes):
    """Four open deals: promised, overdue, without a promise, and a lost one."""
    columns = {
        "funnel": ONE,
        "as_of": "2026-06-30",
        "id": ["A", "B", "C", "D"],
        "stage": ["Qualify", "Qualify", "Qualify", "Lost"],
        "amount": [10.0, 20.0, 30.0, 40.0],
        "expected_close": ["2026-07-31", "2026-06-30", "NaT", "2026-07-31"],
        **changes,
    }
    return fn.Pipeline.from_columns(**columns)


def test_textbook_curve():
    """The typed 0.4 on the promised day; overdue ones the day after as_of; undated never."""
    found = Textbook().without_history().win_curve(pipeline(), DATES)
    assert [[0.0, 0.4, 0.4], [0.4, 0.4, 0.4], [0.0] * 3, [0.0] * 3] == found.tolist()


def test_textbook_parameters_move_overdue_and_undated_deals():
    """30 days after 30 June is 30 July; None leaves a deal out."""
    model = Textbook(overdue_after=None, undated_after=30)
    found = model.without_history().win_curve(pipeline(), DATES)
    assert [[0.0, 0.4, 0.4], [0.0] * 3, [0.0, 0.4, 0.4], [0.0] * 3] == found.tolist()


def test_textbook_says_what_it_did():
    """The notes count the deals and name their fate."""
    said = Textbook().without_history().notes(pipeline())
    assert (
        (
            "1 open deals (20) have an overdue expected close "
            "and are taken to close 1 days after as_of"
        ),
        "1 open deals (30) have no expected close and are left out",
    ) == said
    assert () == Textbook().without_history().notes(pipeline(expected_close=["2026-07-31"] * 4))


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
def test_textbook_refuses_odd_days(value):
    """Days are whole numbers from 1."""
    with pytest.raises(ValidationError, match="overdue_after must be a whole number"):
        Textbook(overdue_after=value)


def test_textbook_never_invents_a_probability():
    """A stage without a typed probability is an error that names the deal and the stage."""
    table = pipeline(funnel=fn.Funnel(["Qualify"]))
    with pytest.raises(
        ValidationError, match=r"3 of 4 rows break this .first: 'A' in stage 'Qualify'"
    ):
        Textbook().without_history().win_curve(table, DATES)


def test_textbook_with_history_knows_how_far_it_saw():
    """Fitting keeps the last day, so that a leak is noticed."""
    parts = list(deals(2, 2, 2).chunks(2))
    fitted = Textbook().fit(parts)
    assert parts[0].observed_until == fitted.trained_until


def test_win_rate_is_won_over_closed_when_all_is_closed():
    """10 of 40 win: 0.25, exactly, and never before the tenth day."""
    fitted = WinRate().fit(deals(10, 30, 0))
    assert pytest.approx(0.25, abs=1e-12) == fitted.win_rates()[0]
    table = pipeline(
        as_of="2026-01-05",
        id=["A"],
        stage=["Qualify"],
        amount=[1.0],
        expected_close=["NaT"],
        stage_entered=["2026-01-01"],
    )
    dates = np.array(["2026-01-10", "2026-01-11"], dtype="datetime64[D]")
    assert [[0.0, pytest.approx(0.25)]] == fitted.win_curve(table, dates).tolist()


def test_open_deals_are_censored_not_lost():
    """20 win and 20 lose on day 10, 40 are censored on day 5: still one half (Aalen-Johansen)."""
    ids = [f"D{i:03d}" for i in range(80)]
    history = fn.History.from_columns(
        funnel=ONE,
        id=[*ids, *ids[:40]],
        stage=["Qualify"] * 80 + ["Won"] * 20 + ["Lost"] * 20,
        at=["2026-01-01"] * 40 + ["2026-01-06"] * 40 + ["2026-01-11"] * 40,
    )
    assert pytest.approx(0.5, abs=1e-12) == WinRate().fit(history).win_rates()[0]


def test_late_entries_count_from_the_day_they_were_seen():
    """Left truncation: late deals are not at risk before they were seen.

    Of 100 fresh deals half lose on day 2 and half win on day 8; 100 late ones, first seen on day
    5, win on day 8. The product limit is 1 - 50/100 = 1/2, while won / all is 3/4.
    """
    ids = [f"D{i:03d}" for i in range(200)]
    fresh, late = ids[:100], ids[100:]
    rows = {
        "id": [*fresh, *late, *fresh, *late],
        "stage": ["Qualify"] * 200 + ["Lost"] * 50 + ["Won"] * 150,
        "at": ["2026-01-01"] * 100
        + ["2026-01-06"] * 100
        + ["2026-01-03"] * 50
        + ["2026-01-09"] * 150,
        "created": ["2026-01-01"] * 400,
        "stage_entered": ["2026-01-01"] * 400,
    }
    fitted = WinRate(minimum=1).fit(fn.History.from_columns(funnel=ONE, **rows))
    assert pytest.approx(0.5, abs=1e-12) == fitted.win_rates()[0]


def test_small_stages_lean_on_the_whole():
    """A stage that has seen one deal, won, is nowhere near 100 %."""
    funnel = fn.Funnel(["Qualify", "Rare"])
    ids = [f"D{i:03d}" for i in range(201)]
    history = fn.History.from_columns(
        funnel=funnel,
        id=[*ids, *ids],
        stage=["Qualify"] * 200 + ["Rare"] + ["Won"] * 60 + ["Lost"] * 140 + ["Won"],
        at=["2026-01-01"] * 201 + ["2026-02-01"] * 201,
    )
    rates = WinRate().fit(history).win_rates()
    assert pytest.approx(0.3, abs=0.01) == rates[0]
    assert 0.3 < rates[1] < 0.75


def test_deals_of_unknown_age_are_averaged_over_the_ages():
    """With constant hazards age does not matter, so unknown age gives the same curve."""
    rng = np.random.default_rng(5)
    days = rng.geometric(0.05, 4000)
    ids = [f"D{i:04d}" for i in range(4000)]
    start = np.datetime64("2025-01-01")
    history = fn.History.from_columns(
        funnel=ONE,
        id=[*ids, *ids],
        stage=["Qualify"] * 4000 + rng.choice(["Won", "Lost"], 4000, p=[0.4, 0.6]).tolist(),
        at=np.concatenate((np.full(4000, start), start + days)),
    )
    fitted = WinRate().fit(history)
    table = pipeline(
        id=["A", "B"],
        stage=["Qualify"] * 2,
        amount=[1.0] * 2,
        expected_close=["NaT"] * 2,
        stage_entered=["2026-06-20", "NaT"],
    )
    known, unknown = fitted.win_curve(table, DATES)
    assert pytest.approx(known, abs=0.03) == unknown
    assert pytest.approx(0.4 * (1 - 0.95**31), abs=0.03) == known[1]  # geometric: 31 days ahead


def test_older_than_all_history_is_answered_with_a_warning():
    """No age cap: the hazard is carried on, and the number of such deals is said."""
    fitted = WinRate().fit(deals(10, 30, 0))
    table = pipeline(
        id=["A"],
        stage=["Qualify"],
        amount=[1.0],
        expected_close=["NaT"],
        stage_entered=["2026-01-01"],
    )
    with pytest.warns(ExtrapolationWarning, match="1 open deals are older than any in history"):
        chances = fitted.win_curve(table, DATES)
    assert 0.0 < chances[0, -1] <= 1.0


def test_too_little_history_is_an_error_not_a_number():
    """Below the minimum nothing is estimated, and the message says what is there."""
    with pytest.raises(InsufficientDataError, match="20 needed, 8 found") as caught:
        WinRate().fit(deals(4, 4, 50))
    assert (20, 8) == (caught.value.needed, caught.value.found)
    with pytest.raises(InsufficientDataError, match="learns from history"):
        WinRate().without_history()
    with pytest.raises(ValidationError, match="minimum"):
        WinRate(minimum=0)
    assert WinRate(minimum=8).fit(deals(4, 4, 0)).win_rates()[0] == pytest.approx(0.5)


def test_stages_with_few_entries_are_noted():
    """The user is told which rates lean on the whole."""
    fitted = WinRate().fit(deals(6, 14, 0))
    table = pipeline(id=["A"], stage=["Qualify"], amount=[1.0], expected_close=["NaT"])
    assert "stage 'Qualify': 1 open deals rest on 20 past entries" in fitted.notes(table)[0]


def test_summaries_of_different_data_do_not_merge():
    """Another censoring day would bias every hazard."""
    with pytest.raises(ValidationError, match="one funnel and one observed_until"):
        WinRate().summarize(deals(4, 4, 4)).merge(
            WinRate().summarize(deals(4, 4, 4, until="2026-05-01"))
        )


def test_no_chunk_is_no_summary():
    """An empty source is an error of its own."""
    with pytest.raises(InsufficientDataError, match="at least one chunk"):
        merge_all([])
    with pytest.raises(InsufficientDataError, match="at least one chunk"):
        summarize([], WinRate().summarize)


def test_fitted_models_are_saved_and_loaded(tmp_path):
    """Curves after a round trip are bit-identical; arrays come back read-only."""
    fitted = WinRate().fit(deals(10, 30, 5))
    fn.models.save(fitted, tmp_path / "model.npz")
    again = fn.models.load(tmp_path / "model.npz")
    assert np.array_equal(fitted.survival, again.survival)
    assert fitted.funnel == again.funnel
    assert not again.survival.flags.writeable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExtrapolationWarning)
        assert np.array_equal(
            fitted.win_curve(pipeline(), DATES), again.win_curve(pipeline(), DATES)
        )


@attrs.frozen
class Stranger:
    """A fitted model that no registered model made."""

    trained_until: int = 0


def test_what_cannot_be_saved_or_loaded_is_said(tmp_path):
    """Unregistered models, other files, other versions."""
    with pytest.raises(ReadError, match="Stranger belongs to no registered model"):
        fn.models.save(Stranger(), tmp_path / "x.npz")
    (tmp_path / "y.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(ReadError, match="not a saved model"):
        fn.models.load(tmp_path / "y.npz")
    with pytest.raises(ReadError, match="not a saved model"):
        fn.models.load(tmp_path / "missing.npz")
    np.savez(tmp_path / "z.npz", __meta__=np.array('{"schema": "other/1"}'))
    with pytest.raises(ReadError, match="schema 'other/1'"):
        fn.models.load(tmp_path / "z.npz")
    odd = attrs.evolve(Textbook().without_history(), trained_until={1, 2})
    with pytest.raises(ReadError, match="values that JSON cannot"):
        fn.models.save(odd, tmp_path / "x.npz")


def test_unknown_model_names_get_a_suggestion():
    """A typing error is answered with the closest name."""
    with pytest.raises(UnknownModelError, match="Did you mean 'win-rate'"):
        fn.models.get("winrate")
    with pytest.raises(UnknownModelError):
        fn.models.origin("winrate")
    assert "salesfunnel" == fn.models.origin("textbook")
