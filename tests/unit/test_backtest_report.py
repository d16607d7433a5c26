"""Reports of backtests: scores by hand, comparisons, what is not defined, and what is printed."""

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.backtesting import LEVELS, BacktestReport, Dropped, Failure, Record, ScoreTable, Task
from funnel.calendars import Horizon, to_day
from funnel.errors import InsufficientDataError, UnknownModelError, ValidationError
from funnel.kernels.compound import deal_law
from funnel.metrics import DealScores

FIRST = to_day("2026-01-31")
NOTHING = (0.0,) * len(LEVELS)
CERTAIN = deal_law(0.0, np.empty(0), np.empty(0))
SHORT = "open", "floor", "bias", "total", "floor", "bias", "CRPS", "50%", "80%", "Brier", "log"


def record(
    name,
    *,
    place=0,
    part="total",
    actual=0.0,
    quantiles=NOTHING,
    expected=0.0,
    crps=0.0,
    alone=CERTAIN,
    won=None,
    chance=None,
    lead=7,
    key=(),
):
    """A forecast of the window that begins `place` weeks after the first cutoff."""
    cutoff = FIRST + 7 * place
    edges = np.array([cutoff + 1, cutoff + 1 + lead], dtype=np.int32)
    deals = None if won is None else DealScores.measure(won, chance)
    return Record(
        forecaster=name,
        task=Task(cutoff, Horizon.custom(edges)),
        key=key,
        part=part,
        actual=actual,
        expected=expected,
        quantiles=np.array(quantiles),
        crps=crps,
        below=0.25,
        up_to=0.25,
        law=CERTAIN,
        alone=alone,
        deals=deals,
        chance=np.empty(0) if chance is None else np.array(chance),
        unknown=0,
    )


def report(*records, by=(), failures=(), dropped=(), unknown=0, names=None):
    """A report of these records."""
    named = tuple(dict.fromkeys(one.forecaster for one in records)) if names is None else names
    return BacktestReport(named, by, records, failures, dropped, unknown)


def deals(name, losses, **given):
    """Forecasts of the open part: one deal a cutoff, won, with the chance exp(-loss)."""
    return [
        record(name, place=i, part="open", won=[True], chance=[np.exp(-loss)], **given)
        for i, loss in enumerate(losses)
    ]


# --- scores --------------------------------------------------------------------------------------


def test_scores_of_money_by_hand():
    """WAPE on the median, bias on the mean, coverage with both ends, mean CRPS."""
    fan = np.array([-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0])  # at LEVELS
    found = report(
        record("x", actual=100.0, quantiles=110.0 + fan, expected=120.0, crps=4.0),
        record("x", place=1, actual=300.0, quantiles=285.0 + fan, expected=300.0, crps=8.0),
    ).scores.columns
    assert [2] == found["cutoffs"].tolist()
    assert (10.0 + 15.0) / 400.0 == found["wape_total"][0]
    assert 20.0 / 400.0 == found["bias_total"][0]
    assert 6.0 == found["crps_total"][0]
    # 100 lies in [100, 120], 300 not in [275, 295], but in [265, 305].
    assert (0.5, 1.0) == (found["coverage_50"][0], found["coverage_80"][0])


def test_scores_of_deals_are_means_of_cutoffs():
    """A cutoff with many deals counts no more than one with few."""
    found = report(
        record("x", part="open", won=[True], chance=[0.5]),
        record("x", place=1, part="open", won=[False] * 3, chance=[0.2] * 3),
    ).scores.columns
    assert (0.25 + 0.04) / 2.0 == pytest.approx(found["brier"][0])
    assert (np.log(2.0) - np.log(0.8)) / 2.0 == pytest.approx(found["log"][0])
    assert 1.0 == found["auc"][0]  # over all deals: the won one has the highest chance


def test_groups_of_a_cutoff_count_by_their_deals():
    """The mean of a cutoff is over its deals, whatever their groups."""
    found = report(
        record("x", part="open", won=[True], chance=[0.5], key=("a",)),
        record("x", part="open", won=[False] * 3, chance=[0.2] * 3, key=("b",)),
        by=("region",),
    )
    assert (0.25 + 3 * 0.04) / 4.0 == pytest.approx(found.scores.columns["brier"][0])
    assert ["a", "b"] == found.to_columns()["region"].tolist()


def test_the_floor_is_that_of_independent_deals():
    """A deal of 10 with chance 0.4: the median is 0, missed by 4 on average, of 4 expected."""
    law = deal_law(0.0, np.array([0.4]), np.array([10.0]))
    found = report(record("x", actual=10.0, alone=law)).scores.columns
    assert 1.0 == pytest.approx(found["floor_total"][0])
    # Two deals, half and half: 5 off the median of 10 on average, of 10 expected.
    law = deal_law(0.0, np.array([0.5, 0.5]), np.array([10.0, 10.0]))
    found = report(record("x", actual=10.0, alone=law)).scores.columns
    assert 0.5 == pytest.approx(found["floor_total"][0])


def test_the_floor_of_a_forecast_leaves_out_what_deals_share():
    """The same chances with and without a shared error: another spread, the same floor."""
    history = fn.datasets.simulate(400, rng=1).history
    shared = fn.backtest(
        history,
        {spread: fn.DealForecaster("win-rate", arrivals=None, spread=spread)
         for spread in ("parameters", "independent")},
        ["2026-03-31"], horizon=60, baselines=(),
    )  # fmt: skip
    found = shared.scores.columns
    assert found["floor_open"][0] == found["floor_open"][1] > 0.1
    wide, narrow = (r for r in shared.records if r.part == "open")
    assert wide.quantiles[-1] - wide.quantiles[0] > narrow.quantiles[-1] - narrow.quantiles[0]


def test_by_lead_splits_by_whole_weeks():
    """Longest first; a day is week 0."""
    found = report(
        *(
            record("x", place=i, lead=lead, actual=100.0, quantiles=(100.0 + lead,) * 7)
            for i, lead in enumerate((1, 7, 8, 13, 91))
        )
    ).by_lead()
    columns = found.columns
    assert ["forecaster", "lead_weeks", "cutoffs"] == list(columns)[:3]
    assert [13, 1, 0] == columns["lead_weeks"].tolist()
    assert [1, 3, 1] == columns["cutoffs"].tolist()
    np.testing.assert_allclose([0.91, (7 + 8 + 13) / 300.0, 0.01], columns["wape_total"])
    found = report(record("x", lead=7), record("y", lead=14)).by_lead().columns
    assert [("x", 1), ("y", 2)] == list(
        zip(found["forecaster"], found["lead_weeks"].tolist(), strict=True)
    )


def test_calibration_is_of_the_chances_of_all_cutoffs():
    """Ten deals at 0.3 of which four were won."""
    found = report(
        record("x", part="open", won=[True] * 4, chance=[0.3] * 4),
        record("x", place=1, part="open", won=[False] * 6, chance=[0.3] * 6),
    )
    curve = found.calibration("x", bins=1).to_columns()
    assert (0.3, 0.4, 10) == pytest.approx(
        (curve["predicted"][0], curve["observed"][0], curve["deals"][0])
    )
    with pytest.raises(InsufficientDataError, match="'y' does not give chances"):
        report(record("y")).calibration("y")
    with pytest.raises(UnknownModelError, match="no model is called 'z'"):
        found.calibration("z")


# --- comparison ----------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["log", "brier", "wape_open", "wape_total", "crps_total"])
def test_a_comparison_estimates_the_difference_of_the_table(score):
    """First minus second, by every score."""
    rng = np.random.default_rng(1)
    rows = []
    for name in ("a", "b"):
        actual = np.random.default_rng(0).uniform(50.0, 150.0, 12)
        for place in range(12):
            middle = np.full(len(LEVELS), actual[place] + rng.normal(0.0, 30.0))
            given = {"actual": actual[place], "quantiles": middle, "place": place}
            won = np.arange(place + 1) % 2 == 0
            rows += [
                record(name, part="open", won=won, chance=rng.uniform(0.1, 0.9, len(won)), **given),
                record(name, crps=rng.uniform(0.0, 50.0), **given),
            ]
    found = report(*rows)
    values = found.scores.columns[score]
    comparison = found.compare("a", "b", score=score)
    assert values[0] - values[1] == pytest.approx(comparison.estimate)
    assert (12, 12.0) == (comparison.cutoffs, comparison.windows)
    best = found.best(score=score)
    assert found.forecasters[int(np.argmin(values))] == best.forecaster
    assert str(best).startswith(f"{best.forecaster}: its {score} ")


def test_a_comparison_knows_noise_from_progress():
    """The same forecasts differ by nothing; a gap at every cutoff is decided."""
    losses = 0.3 + 0.1 * np.sin(np.arange(20.0))
    found = report(*deals("one", losses), *deals("twin", losses), *deals("worse", losses + 0.2))
    same = found.compare("one", "twin")
    assert (0.0, 0.0, 0.0) == (same.estimate, same.low, same.high)
    worse = found.compare("one", "worse")
    assert -0.2 == pytest.approx(worse.estimate)
    assert worse.decided
    alone = report(*deals("one", losses), *deals("worse", losses + 0.2))
    assert alone.best().reason.endswith("independent windows): decided")


def test_overlapping_windows_count_once():
    """Windows of 28 days a week apart: four in a row share days."""
    found = report(*deals("a", [0.1] * 9, lead=28), *deals("b", [0.2] * 9, lead=28))
    assert 9 / 4 == found.compare("a", "b").windows
    with pytest.raises(InsufficientDataError, match="overlapping windows"):
        report(*deals("a", [0.1] * 4, lead=28), *deals("b", [0.2] * 4, lead=28)).compare("a", "b")


def test_only_cutoffs_that_both_answered_are_compared():
    """Paired: what one of them left out does not count."""
    found = report(*deals("a", [0.1] * 6), *deals("b", [0.2] * 6)[1:5])
    assert 4 == found.compare("a", "b").cutoffs
    with pytest.raises(InsufficientDataError, match="1 found"):
        report(*deals("a", [0.1] * 6), *deals("b", [0.2] * 6)[:1]).compare("a", "b")
    with pytest.raises(UnknownModelError, match="'c'"):
        found.compare("a", "c")
    with pytest.raises(ValidationError, match="score must be one of log, brier"):
        found.compare("a", "b", score="auc")


def test_who_leaves_out_hard_cutoffs_does_not_win():
    """The one with every answer is the best, and the other is named."""
    found = report(*deals("brave", [0.2] * 5 + [2.0]), *deals("shy", [0.2] * 5))
    best = found.best()
    assert "brave" == best.forecaster
    assert best.reason.endswith("'shy' answered at 5 of 6 cutoffs only")


def test_a_best_one_needs_the_score():
    """Also where there is one forecaster only, or no interval."""
    assert "its log 0.2 is the lowest" == report(*deals("a", [0.2] * 3)).best().reason
    found = report(*deals("a", [0.1]), *deals("b", [0.3]))
    assert "next is 'b' with 0.3 (no interval:" in found.best().reason
    with pytest.raises(InsufficientDataError, match="a best forecaster by log"):
        report(record("x")).best()
    with pytest.raises(ValidationError, match="got 'bias'"):
        found.best(score="bias")


# --- what is not defined -------------------------------------------------------------------------


def test_without_money_won_the_error_is_not_defined_and_the_reason_is_shown():
    """NaN, not infinity; CRPS and coverage are there."""
    found = report(
        record("x", quantiles=(5.0,) * 7, expected=5.0, crps=5.0, part="open"),
        record("x", quantiles=(5.0,) * 7, expected=5.0, crps=5.0),
    )
    columns = found.scores.columns
    assert np.isnan(
        [columns["wape_open"][0], columns["wape_total"][0], columns["bias_total"][0]]
    ).all()
    assert 5.0 == columns["crps_total"][0]
    for part in ("open", "total"):
        said = f"WAPE and bias of {part} money are not defined: the outcomes add up to 0"
        assert said in found.scores.notes
        assert said in str(found)
        assert f"1 week ahead: {said}" in found.by_lead().notes
    with pytest.raises(InsufficientDataError, match="a comparison of 'x' and 'y' by wape_total"):
        report(record("x"), record("y")).compare("x", "y", score="wape_total")


def test_what_a_forecaster_does_not_answer_is_nan():
    """A forecaster that does not look at deals has no scores of them, without a reason."""
    found = report(record("x", actual=10.0), names=("x", "silent"))
    columns = found.scores.columns
    assert [1, 0] == columns["cutoffs"].tolist()
    names = ("wape_open", "floor_open", "bias_open", "brier", "log", "auc")
    assert np.isnan([columns[name] for name in names]).all()
    assert np.isnan(columns["wape_total"][1])
    assert () == found.scores.notes


def test_a_report_without_a_forecast_says_so():
    """Everything failed: empty columns, a table of dashes, the reasons."""
    found = report(names=("x",), failures=(Failure("x", FIRST, "RuntimeError: no idea"),))
    assert {0} == {len(column) for column in found.to_columns().values()}
    assert "Backtest without a single forecast" in str(found)
    assert "'x' had no answer at 1 cutoff, first on 2026-01-31: RuntimeError: no idea" in str(found)
    assert "BacktestReport(x; 0 cutoffs)" == repr(found)
    with pytest.raises(InsufficientDataError, match="scores by lead time"):
        found.by_lead()


# --- out -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole():
    """A backtest with every kind of note."""
    history = fn.datasets.simulate(400, rng=1).history
    days = ["2026-03-31", "2026-04-30", "2026-06-20"]
    model = fn.DealForecaster("hazard-regression", arrivals=None, spread="independent")
    return fn.backtest(
        history, {"hazard-regression": model}, days, horizon=30, baselines=["run-rate", "textbook"]
    )


def test_a_report_fits_a_screen(whole):
    """At most 110 columns, with the longest name of a built-in; short headers and a legend."""
    lines = str(whole).splitlines()
    assert max(map(len, lines)) <= 110
    assert "Backtest over 2 cutoffs, 2026-03-31 to 2026-04-30" == lines[0]
    assert ["forecaster", "n", *SHORT] == lines[1].split()
    assert lines[3].startswith("hazard-regression  2  ")
    assert lines[4].split()[2:5] == ["–"] * 3  # the run rate does not look at deals
    assert lines[6].startswith("* n: cutoffs; open, total: WAPE")
    assert "* 1 cutoff left out, first 2026-06-20: its window ends on 2026-07-20" in lines[-1]
    by_lead = str(whole.by_lead()).splitlines()
    assert ["forecaster", "weeks", "n", *SHORT] == by_lead[0].split()
    assert max(map(len, by_lead)) <= 115


def test_the_display_is_rounded_and_the_frame_is_not(whole):
    """Shares in percent, coverage without decimals, scores of deals with four."""
    scores = whole.scores
    cells = str(whole).splitlines()[3].split()
    columns = {name: column[0] for name, column in scores.columns.items()}
    names = ("wape_open", "floor_open", "bias_open", "wape_total", "floor_total", "bias_total")
    assert [f"{100 * columns[name]:.1f}%" for name in names] == cells[2:8]
    assert [f"{columns[name]:.0%}" for name in ("coverage_50", "coverage_80")] == cells[9:11]
    assert [f"{columns[name]:.4f}" for name in ("brier", "log")] == cells[11:]
    frame = scores.to_frame()
    assert list(scores.columns) == list(frame.columns)
    assert "auc" in frame.columns
    assert columns["log"] == frame["log"][0]
    assert isinstance(scores, ScoreTable)


def test_every_forecast_is_a_row_of_the_frame(whole):
    """One for each forecaster, cutoff and part; the run rate has no open part."""
    frame = whole.to_frame()
    assert len(frame) == 2 * (2 + 1 + 2)
    assert frame["p05"].le(frame["p50"]).all()
    assert frame["p50"].le(frame["p95"]).all()
    assert frame["pit"].between(0.0, 1.0).all()
    assert {30} == set(frame["lead_days"])
    plain = whole.to_dict()
    assert "funnel.BacktestReport/1" == plain["schema"]
    assert len(frame) == len(plain["rows"])
    assert plain["rows"][0]["cutoff"] == "2026-03-31"


def test_html_is_the_same_table(whole):
    """Escaped, with the notes below."""
    html = whole._repr_html_()
    assert "<caption>Backtest over 2 cutoffs" in html
    assert html.count("<tr>") == 1 + 3
    named = attrs.evolve(whole, forecasters=("<b>",), records=(), failures=())
    assert "&lt;b&gt;" in named._repr_html_()


def test_notes_name_what_is_missing():
    """Cutoffs left out, and deals of unknown amount."""
    found = report(
        record("x", actual=1.0),
        dropped=(Dropped(FIRST, "no reason"), Dropped(FIRST + 1, "another")),
        unknown=1,
    )
    assert (
        "2 cutoffs left out, first 2026-01-31: no reason",
        "1 won deal without an amount; each counts as the mean of those known",
    ) == found.scores.notes


def test_unknown_amounts_are_counted_once_for_each_window():
    """Not once for each forecaster, group and part."""
    history = fn.testing.fixtures.history()
    given = {"horizon": 60, "progress": False}
    one = fn.backtest(history, ["textbook"], ["2025-01-31"], baselines=(), **given)
    many = fn.backtest(history, ["textbook"], ["2025-01-31"], by=("region",), **given)
    assert one.unknown == many.unknown > 0
