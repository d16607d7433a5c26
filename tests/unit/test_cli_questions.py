"""The commands that measure, explain, watch, diagnose, backtest and plan.

What they print is compared with what the library says about the same simulated history.
"""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import typer
from rich.cells import cell_len

import funnel as fn
from funnel.cli import _backtest, _numbers, _screen, main
from funnel.diagnosis import StandardFunnel, diagnose
from funnel.errors import InsufficientDataError
from funnel.forecasting.bridge import bridge_history
from funnel.metrics.conversion import conversion, win_rates
from funnel.metrics.league import league
from funnel.metrics.trend import pipeline_trend
from funnel.metrics.watch import watch
from funnel.metrics.waterfall import waterfall
from funnel.planning import ActualFunnel, plan, plan_inflow

ROOT = Path(__file__).parents[2]
SIMULATED = {"start": "2023-01-01", "end": "2026-06-30", "rng": 1}


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self):
        """What was wrong, without the box that may break its lines anywhere."""
        return "".join(self.err.replace("│", "").replace("\n", "").split())


@pytest.fixture
def run(capsys):
    """Run a command in this process."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        return Done(left.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def history():
    """Simulate 400 deals."""
    return fn.datasets.simulate(400, **SIMULATED).history


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write the same deals, and name the file and its ladder."""
    path = tmp_path_factory.mktemp("simulated") / "history.csv"
    with pytest.raises(SystemExit):
        main(["simulate", "--deals", "400", "--seed", "1", "--output", str(path)])
    return path, "--funnel", path.with_name("funnel.json")


def printed(done):
    """Parse what --json printed."""
    assert 0 == done.code, done.err
    return json.loads(done.out)


def fits(done):
    """Tell that a command is done, and that what it printed fits in a terminal."""
    assert 0 == done.code, done.err
    assert max(map(cell_len, done.out.splitlines())) <= 100
    return done.out


# --- tables for a terminal -----------------------------------------------------------------------


def test_wide_tables_go_on_below():
    """What does not fit stands below with its key again; nothing is lost."""
    headers = ["key", *(f"column {place:02d}" for place in range(20))]
    rows = [["A", *(f"cell {place:02d}" for place in range(20))]]
    shown = _screen.table((headers, rows), title="Title", notes=["word " * 40])
    assert max(map(len, shown.splitlines())) <= 100
    assert all(cell in shown for cell in rows[0])
    assert 3 == shown.count("key")  # 8 columns of 9 + 2 fit beside the key in 100


def test_a_column_wider_than_the_terminal_stands_alone():
    """It cannot be broken, and does not push the others out."""
    shown = _screen.table((["key", "long", "short"], [["A", "x" * 120, "y"]]))
    assert ["key  long", "key  short"] == [line for line in shown.splitlines() if "key" in line]


def test_a_table_without_rows_says_so():
    """A title alone would look like a mistake."""
    assert "Title\n(nothing)\n* note" == _screen.table((["a"], []), title="Title", notes=["note"])


def test_spread_turns_rows_into_columns():
    """Cells that are not there are unknown."""
    cells = ["owner", "stage", "x"], [["Ann", "A", "1"], ["Ann", "B", "2"], ["Bo", "B", "3"]]
    expected = ["owner", "A", "B"], [["Ann", "1", "2"], ["Bo", "–", "3"]]
    assert expected == _screen.spread(cells, "stage")


def test_reasons_are_not_broken():
    """A line holds whole reasons; one that is too long stands alone."""
    assert ["ab, cd", "efghijkl"] == _screen.folded(["ab", "cd", "efghijkl"], 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.6", Fraction(3, 5)),
        (" 3/5 ", Fraction(3, 5)),
        ("60%", Fraction(3, 5)),
        ("10_000", Fraction(10_000)),
        ("-1", Fraction(-1)),
    ],
)
def test_numbers_are_exact(text, expected):
    """A typed number is the fraction that it says, not the nearest float."""
    assert expected == _numbers.number(text, "--x")


@pytest.mark.parametrize("text", ["", "x", "1/0", "nan", "1e999999999", "1,2", "%", "1 2", "_"])
def test_numbers_that_are_none(text):
    """They are an error of usage; a huge exponent does not eat the memory."""
    with pytest.raises(typer.BadParameter):
        _numbers.number(text, "--x")


def test_numbers_by_stage():
    """In order or by name, with a question mark for what is solved for."""
    assert [Fraction(1, 2), None] == _numbers.by_stage("50%, ?", "--x")
    assert {"A": Fraction(1, 2), "B": None} == _numbers.by_stage("A=0.5,B=?", "--x")
    for text in ("A=1,B", "A=1,A=2", "=1"):
        with pytest.raises(typer.BadParameter):
            _numbers.by_stage(text, "--x")


def test_help_loads_nothing_of_the_library():
    """`funnel --help` must be there at once."""
    code = "import sys, funnel.cli._app; sys.exit('numpy' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode


# --- metrics -------------------------------------------------------------------------------------


def test_metrics_are_those_of_the_library(run, files, history):
    """--json holds the tables under their names."""
    found = printed(run("metrics", *files, "--json"))
    assert conversion(history).to_dict() == found["conversion"]
    assert win_rates(history).to_dict() == found["win_rates"]
    parts = {"conversion", "win_rates", "days_in_stage", "sales_cycle", "velocity", "losses"}
    assert parts == set(found)


def test_metrics_of_the_whole(run, files, history):
    """Each part has its table, and the rate stands beside the naive ones."""
    shown = fits(run("metrics", *files))
    assert f"{win_rates(history).rate[0]:.1%}" in shown
    for title in ("Win rates", "What became of entries", "Days in stage", "Sales velocity"):
        assert f"{title}" in shown
    assert "Reasons of losses" in shown


def test_metrics_within_days(run, files, history):
    """--within is that of the library."""
    found = printed(run("metrics", *files, "--within", 30, "--json"))
    assert conversion(history, within=30).to_dict() == found["conversion"]


def test_metrics_by_owner(run, files, history):
    """Owners stand below one another in a league, and stages beside one another."""
    shown = fits(run("metrics", *files, "--by", "owner"))
    first = league(history, by=("owner",))
    best = first.to_columns()["owner"][0]
    lines = shown.splitlines()
    assert lines[0].startswith("Win rates, each group with the weight of")
    assert lines[3].split()[:2] == [best, "1"]
    header = next(line for line in lines if "qualify" in line)
    assert ["owner", "qualify", "discover", "proposal", "negotiate", "contract"] == header.split()


def test_metrics_by_period(run, files):
    """Each period has its row; the change of velocity is explained."""
    shown = fits(run("metrics", *files, "--period", "year"))
    assert "Change of sales velocity" in shown
    assert all(f"\n  {year} " in shown for year in (2023, 2024, 2025, 2026))
    assert "on-hold" not in shown  # deals on hold are not on their way


def test_metrics_by_owner_and_period(run, files):
    """Both stand at the left; there is no league of so many."""
    shown = fits(run("metrics", *files, "--by", "owner", "--by", "region", "--period", "year"))
    assert "owner  region  period" in shown
    assert "rank" not in shown


def test_metrics_of_a_past_day(run, files, history):
    """--as-of hides what came later."""
    found = printed(run("metrics", *files, "--as-of", "2024-12-31", "--json"))
    assert win_rates(history.until("2024-12-31")).to_dict() == found["win_rates"]


# --- trend, waterfall and bridge -----------------------------------------------------------------


def test_a_trend_is_that_of_the_library(run, files, history):
    """Every four weeks back from the last day of the record, as far as it goes."""
    days = np.arange(history.observed_until, history.observed_from - 1, -28, dtype=np.int32)
    assert pipeline_trend(history, days).to_dict() == printed(run("trend", *files, "--json"))
    asked = ("--from", "2026-05-01", "--to", "2026-05-20", "--every", "9d")
    found = pipeline_trend(history, ["2026-05-02", "2026-05-11", "2026-05-20"], by=("region",))
    shown = fits(run("trend", *files, *asked, "--by", "region"))
    assert str(found).splitlines()[3].split()[:4] == shown.splitlines()[3].split()[:4]
    scope = {"region": ("North", "West")}
    found = pipeline_trend(history, ["2026-05-20"], where=scope).to_dict()
    asked = ("--from", "2026-05-20", "--to", "2026-05-20", "--where", "region=North,West")
    assert found == printed(run("trend", *files, *asked, "--json"))


def test_a_waterfall_is_that_of_the_library(run, files, history):
    """The second day is the last one by default."""
    expected = waterfall(history, "2026-03-31", "2026-06-30")
    assert f"{expected}\n" == fits(run("waterfall", *files, "--from", "2026-03-31"))
    done = run("waterfall", *files, "--from", "2026-03-31", "--deals", "won", "--json")
    assert {**expected.to_dict(), "deals": expected.deals("won").to_dict()["rows"]} == printed(done)


def test_groups_of_a_waterfall_stand_side_by_side(run, files, history):
    """The last column is that of all groups, which has no moves between them here."""
    days = ("2026-03-31", "2026-06-30")
    shown = fits(run("waterfall", *files, "--from", days[0], "--to", days[1], "--by", "region"))
    whole = waterfall(history, *days)
    columns = whole.to_columns()
    start = f"{columns['amount'][0]:,.0f}"
    money, deals = (part for part in shown.split("\n\n"))
    assert start == next(x for x in money.splitlines() if x.startswith("start")).split()[-1]
    assert ["bar", "North", "South", "West", "all"] == deals.splitlines()[1].split()
    lost = next(line for line in deals.splitlines() if line.startswith("lost"))
    assert str(columns["deals"][columns["bar"].tolist().index("lost")]) == lost.split()[-1]


def test_a_waterfall_of_a_scope(run, files, history):
    """Values of one column add up, those of several are demanded together."""
    asked = ("waterfall", *files, "--from", "2026-03-31")
    many = ("--where", "region=North,West", "--where", "owner=Ana", "--where", "owner=Chen")
    where = {"region": ("North", "West"), "owner": ("Ana", "Chen")}
    expected = waterfall(history, "2026-03-31", "2026-06-30", where=where)
    assert expected.to_dict() == printed(run(*asked, *many, "--json"))
    assert "only deals with region North or West" in fits(run(*asked, *many))


def test_a_waterfall_of_promised_periods(run, files, history):
    """The periods stand side by side; the first one is that after the first day."""
    periods = fn.Horizon.quarters("2026-04-01", 2)
    expected = waterfall(history, "2026-03-31", "2026-06-30", promised=periods)
    asked = ("waterfall", *files, "--from", "2026-03-31", "--promised", "2q")
    assert expected.to_dict() == printed(run(*asked, "--json"))
    shown = fits(run(*asked, "--deals", "pushed in")).splitlines()
    assert ["bar", "2026-Q2", "2026-Q3", "all"] == shown[1].split()
    later = waterfall(
        history, "2026-03-31", "2026-06-30", promised=fn.Horizon.quarters("2026-10-01", 2)
    )
    assert later.to_dict() == printed(run(*asked, "--start", "2026-10-01", "--json"))


def test_the_deals_behind_a_bar(run, files):
    """The largest ones are shown, and how many are not."""
    done = run("waterfall", *files, "--from", "2023-06-30", "--to", "2026-06-30", "--deals", "lost")
    shown = fits(done)
    assert "Deals behind 'lost'" in shown
    assert "more are not shown here" in shown


def test_a_bridge_is_that_of_the_library(run, files, history):
    """The first period is that after the first day, and the second day the last one."""
    expected = bridge_history(
        history, "2026-05-31", "2026-06-30", fn.Horizon.quarters("2026-06-01", 2), "win-rate"
    )
    asked = ("bridge", *files, "--from", "2026-05-31", "--model", "win-rate", "--periods", "2q")
    assert expected.to_dict() == printed(run(*asked, "--json"))
    assert "Deals behind 'lost'" in fits(run(*asked, "--by", "owner", "--deals", "lost"))


# --- watch ---------------------------------------------------------------------------------------


def test_the_watch_list_has_a_row_for_each_deal(run, files, history):
    """Rules that a deal breaks stand in one cell, and the counts above are those of the library."""
    expected = watch(history, by=("owner",))
    found = printed(run("watch", *files, "--by", "owner", "--json"))
    assert expected.counts() == found["counts"]
    assert expected.to_dict()["rows"] == found["rows"]
    shown = fits(run("watch", *files, "--by", "owner", "--top", 5))
    deals = list(dict.fromkeys(expected.ids.tolist()))
    assert all(1 == shown.count(f"\n{deal} ") for deal in deals[:5])
    assert f"{len(deals) - 5} more deals" in shown
    for name, count in expected.counts().items():
        row = next((line.split() for line in shown.splitlines() if line.startswith(name)), [])
        assert not count or [name, str(count)] == [row[0], row[2]]


def test_a_rule_that_nobody_breaks(run, files):
    """An empty list is said in words."""
    shown = fits(run("watch", *files, "--rules", "no-amount"))
    assert "0 deals to look at" in shown
    assert "no deal: no-amount" in shown
    assert "The most expected money first" not in shown


def test_all_deals_may_be_shown(run, files):
    """Nothing is left out where --top is large enough."""
    assert "more deals" not in fits(run("watch", *files, "--top", 1000))


# --- diagnose ------------------------------------------------------------------------------------


def test_a_diagnosis_against_ratios(run, files, history):
    """There is a ratio for each stage that is not on hold, and one for won."""
    stages = ["qualify", "discover", "proposal", "negotiate", "contract"]
    standard = StandardFunnel.from_ratios(
        [10, 6, 4, 3, 2.5, 2], stages=stages, days=[7] * 5, weekly_entries=2.0
    )
    expected = diagnose(history, standard)
    asked = ("diagnose", *files, "--standard", "10:6:4:3:2.5:2", "--days", "7,7,7,7,7")
    found = printed(run(*asked, "--weekly", 2, "--json"))
    assert expected.text().splitlines() == found["findings"]
    assert expected.to_dict()["notes"] == found["notes"]
    assert standard.to_dict() == found["standard"]
    shown = fits(run(*asked, "--weekly", 2, "--findings", "zh"))
    assert shown.startswith(f"- {expected.text('zh').splitlines()[0][:10]}")


def test_a_diagnosis_against_the_typed_ladder(run, files, history):
    """What has no standard is left out of the table, and said to be."""
    expected = diagnose(history, StandardFunnel.from_funnel(history.funnel))
    shown = fits(run("diagnose", *files, "--standard", "typed"))
    assert "unknown" not in shown
    hidden = int(np.count_nonzero((expected.verdicts == 2) & ~np.isnan(expected.actual)))
    hidden += int(np.count_nonzero(expected.whole_verdicts == 2))
    assert f"{hidden} rows have no standard" in shown


def test_a_diagnosis_against_last_year(run, files, history):
    """The last 365 days are compared with the 365 before, and groups with their equal share."""
    before = StandardFunnel.from_history(history, period=fn.Horizon.days("2024-07-01", 365))
    now = fn.Horizon.days("2025-07-01", 365)
    found = printed(run("diagnose", *files, "--standard", "last-year", "--json"))
    assert diagnose(history, before, period=now).text().splitlines() == found["findings"]
    done = run("diagnose", *files, "--standard", "last-year", "--by", "region")
    assert "each of 3 groups" in done.err
    assert "do not differ or have no standard" in fits(done)
    three = diagnose(history, before.scaled(1 / 3), by=("region",), period=now)
    assert three.text().splitlines()[0] == done.out.splitlines()[0].removeprefix("- ")


def test_a_diagnosis_by_period(run, files):
    """Each period has its findings."""
    assert "period 2025" in fits(run("diagnose", *files, "--standard", "typed", "--period", "year"))


# --- backtest ------------------------------------------------------------------------------------


def test_a_backtest_is_that_of_the_library(run, files, history):
    """--json holds every forecast, the scores, the best one and the comparisons."""
    cutoffs = fn.cutoffs_every(history, 168, horizon=30, first="2025-01-01")
    expected = fn.backtest(history, ["win-rate"], list(cutoffs), horizon=30, progress=False)
    asked = ("backtest", *files, "--models", "win-rate", "--every", "24w", "--horizon", "30d")
    found = printed(run(*asked, "--first", "2025-01-01", "--json"))
    assert expected.to_dict()["rows"] == found["rows"]
    assert expected.scores.to_dict()["rows"] == found["scores"]
    assert expected.best().forecaster == found["best"]
    versus = {(one["second"], one["score"]): one for one in found["comparisons"]}
    other = "textbook" if found["best"] == "win-rate" else "win-rate"
    assert expected.compare(found["best"], other).estimate == versus[other, "log"]["estimate"]
    assert versus["run-rate", "log"]["estimate"] is None  # it gives no chances to deals


def test_a_backtest_of_whole_periods_shows_lead_times(run, files):
    """Weeks are counted from the end of each period: --every 6w keeps 12, 6 and 0."""
    asked = ("--models", "textbook", "--horizon", "quarter", "--every", "6w", "--score", "brier")
    shown = fits(run("backtest", *files, *asked, "--first", "2025-10-01"))
    assert shown.startswith("Backtest over 9 cutoffs, ")  # 12, 6 and 0 weeks before three ends
    leads = shown.partition("weeks left")[2].partition("\n\n")[0].splitlines()[2:]
    assert ["12", "6", "0"] == [line.split()[0] for line in leads]
    assert "Best by Brier score: textbook" in shown


def test_a_backtest_by_a_score_of_money(run, files):
    """Then there is one comparison; CRPS is in money."""
    asked = ("--models", "textbook", "--every", "20w", "--first", "2025-06-01")
    for score, name in (("wape_total", "WAPE (total)"), ("crps_total", "CRPS")):
        shown = fits(run("backtest", *files, *asked, "--score", score))
        assert f"Best by {name}:" in shown


def test_nobody_is_best_where_nothing_was_won():
    """The reason takes the place of the comparisons."""

    class Report:
        def best(self, *, score):
            raise InsufficientDataError(f"a best one by {score}", needed=1, found=0, remedy="")

    ranking = _backtest._ranking(Report(), _backtest.Score.LOG)
    assert (None, {}) == (ranking.best, ranking.versus)
    assert "No best one by log score: a best one by log" in _backtest._verdict(ranking)


def test_a_single_cutoff_has_no_interval(run, files):
    """Comparisons need two; the scores are shown all the same."""
    asked = ("--models", "textbook", "--every", "900d", "--horizon", "30d")
    shown = fits(run("backtest", *files, *asked))
    assert "Backtest over 1 cutoff," in shown
    assert "better" not in shown.partition("Best by")[2].partition("\n")[2]


@pytest.mark.parametrize("as_json", [False, True])
def test_the_bar_is_off_with_json(run, files, monkeypatch, as_json):
    """The library draws it on stderr, and only where that is a terminal."""
    seen = {}
    real = fn.backtest

    def spied(*arguments, **keywords):
        seen.update(keywords)
        return real(*arguments, **keywords)

    monkeypatch.setattr(fn, "backtest", spied)
    json_too = ("--json",) if as_json else ()
    done = run("backtest", *files, "--models", "textbook", "--every", "40w", *json_too)
    assert (0, not as_json) == (done.code, seen["progress"])


# --- plan ----------------------------------------------------------------------------------------


def test_golden_a(run):
    """domain.md, golden A: 10,000,000 at 100,000 are 100 deals, and at 20 % 500 opportunities."""
    asked = ("plan", "--target", "10_000_000", "--average", "100_000", "--conversions", "20%")
    found = printed(run(*asked, "--json"))
    assert (100.0, 500.0) == (found["wins"], found["stages"][0]["entries"])
    assert "100 wins from 500 deals" in fits(run(*asked))


def test_golden_b(run):
    """domain.md, golden B: 120 deals, 50 new ones a week, 50 / 30 / 15 in the stages, ten reps."""
    asked = ("--average", 20_000, "--conversions", "6/10,3/6,2/3", "--funnel", "small-project")
    more = ("--selling-weeks", 12, "--rep-capacity", 5)
    found = printed(run("plan", "--target", 2_400_000, *asked, *more, "--json"))
    assert [50.0, 30.0, 15.0] == [stage["stock"] for stage in found["stages"]]
    assert (120.0, 10.0) == (found["wins"], found["reps"])


def test_the_quarter_of_golden_b(run):
    """10,350,000 x 1.17 x 75 % x 26.5 % = 2,406,763.125, with the rest of the year as shares."""
    asked = ("--target", 10_350_000, "--gross-up", "1.17", "--average")
    asked = (*asked, "small=20000,large=200000", "--shares", "small=75%,large=25%")
    weeks = ("--selling-weeks", "12,12,12,12", "--seasonality", "0.2,0.265,0.3,0.235")
    done = run("plan", *asked, *weeks, "--conversions", "0.2", "--json")
    small = [row for row in printed(done)["periods"] if row["share"] == "small"]
    assert 2_406_763.125 == small[1]["money"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--conversions", "1/5", "--solve-for", "average_amount"), "average_amount = 25,000"),
        (("--conversions", "A=?", "--average", "25000", "--solve-for", "conversion:A"), "= 20.0%"),
    ],
)
def test_one_unknown_follows_from_the_others(run, asked, told):
    """480 deals are what eight reps open in twelve weeks; 2,400,000 / (480 / 5) = 25,000."""
    limits = ("--selling-weeks", 12, "--reps", 8, "--rep-capacity", 5)
    assert told in fits(run("plan", "--target", 2_400_000, *asked, *limits))


def test_a_duration_follows_from_the_stock(run):
    """50 a week and 100 in the stage are two weeks (Little's law)."""
    asked = ("--target", 1_000, "--average", 10, "--conversions", "A=0.2", "--durations", "A=?")
    more = ("--selling-weeks", 10, "--stock", "A=100", "--solve-for", "duration:A")
    assert "Solved: duration:A = 14 days" in fits(run("plan", *asked, *more))


def test_a_plan_from_what_really_happened(run, files, history):
    """What is not said is what was; what is said is not."""
    actual = ActualFunnel.of(history, start="2025-07-01")
    asked = ("plan", "--target", 5_000_000, "--history", *files, "--since", "2025-07-01")
    found = printed(run(*asked, "--conversions", "qualify=0.9", "--average", 1, "--json"))
    expected = plan(
        5_000_000,
        average_amount=1,
        funnel=actual.funnel,
        conversions=[0.9, *actual.conversion.tolist()[1:]],
        visits=actual.visits.tolist(),
        durations=actual.days.tolist(),
        horizon=fn.Horizon.days("2026-07-01", 365),
    )
    assert expected.stages.to_dict()["rows"] == found["stages"]
    assert actual.to_dict()["rows"] == found["actual"]
    rates = "0.6,0.6,0.6,0.6,0.6"
    shown = fits(run(*asked, "--start", "2026-07-01", "--periods", "2q", "--conversions", rates))
    assert 10 == shown.count("60.0%")  # planned in both tables
    assert "visits: entries for each of them, fewer where deals skip" in shown
    assert "What was (2025-07-01 to 2026-06-30), and what is planned" in shown
    assert "\n2026-Q3 " in shown


def test_periods_without_a_start_follow_the_day_of_the_plan(run, files):
    """The file ends on 2026-06-30: the quarter after it is 2026-Q3; that after 2026-03-15, Q1."""
    asked = ("plan", "--target", 5_000_000, "--history", *files, "--periods", "4q", "--json")
    found = printed(run(*asked))["periods"]
    assert ["2026-Q3", "2026-Q4", "2027-Q1", "2027-Q2"] == [row["period"] for row in found]
    found = printed(run(*asked, "--as-of", "2026-03-15"))["periods"]
    assert "2026-Q1" == found[0]["period"]
    done = run("plan", "--target", 5, "--history", *files, "--periods", "4x")
    assert (2, "") == (done.code, done.out)
    assert "--periods" in done.error


def test_a_plan_from_a_history_says_what_is_too_late(run, files):
    """Its day is the last of the file, so --as-of of that day changes nothing."""
    asked = ("plan", "--target", 5_000_000, "--history", *files, "--periods", "4q", "--json")
    found = printed(run(*asked))
    assert printed(run(*asked, "--as-of", "2026-06-30")) == found
    # Deals of the first quarter must be created before its first day: their lead time is longer.
    assert found["periods"][0]["too_late"] > 0.0
    assert "too late" in fits(run(*asked[:-1]))


def test_solving_from_what_really_happened(run, files, history):
    """The unknown is not taken from the file."""
    asked = ("plan", "--target", 5_000_000, "--history", *files)
    shown = fits(run(*asked, "--entries", 900, "--solve-for", "average_amount"))
    assert "from 900 deals" in shown
    shown = fits(run(*asked, "--entries", 900, "--solve-for", "conversion:proposal"))
    assert "Solved: conversion:proposal = " in shown


def test_a_plan_with_a_probability(run, files, history):
    """The open deals count first, as the library counts them."""
    fitted = fn.DealForecaster("win-rate").fit(history)
    horizon = fn.Horizon.parse("2m", "2026-07-01")
    expected = plan_inflow(150_000, fitted, history.snapshot(), horizon, confidence=0.7)
    asked = ("--confidence", 0.7, "--model", "win-rate", "--periods", "2m", "--json")
    found = printed(run("plan", "--target", 150_000, "--history", *files, *asked))
    assert expected.probability == pytest.approx(found["probability"])
    assert expected.entries.sum() == pytest.approx(found["new_deals"])
    assert expected.weeks.to_dict()["rows"] == found["rows"]


@pytest.mark.parametrize(("periods", "heading"), [("2m", "week of"), ("5m", "month")])
def test_weeks_of_a_plan(run, files, periods, heading):
    """Many weeks are shown as months; those that are too late for the target are one sentence."""
    asked = ("--confidence", 0.5, "--model", "win-rate", "--periods", periods)
    shown = fits(run("plan", "--target", 300_000, "--history", *files, *asked))
    header = shown.partition("New deals to come\n")[2].splitlines()[0]
    assert header.strip().startswith(f"{heading}  new deals")
    assert (heading == "week of") == ("too late: " in shown)
    assert "Money by period" in shown


# --- what is wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("metrics", "--period", "decade"), "--period"),
        (("metrics", "--within", "-1"), "--within"),
        (("metrics", "--as-of", "today"), "--as-of"),
        (("trend", "--every", "monthly"), "--every"),
        (("trend", "--to", "March"), "--to"),
        (("waterfall",), "--from"),
        (("waterfall", "--from", "March"), "--from"),
        (("waterfall", "--from", "2026-03-31", "--deals", "wom"), "'won'"),
        (("waterfall", "--from", "2026-03-31", "--where", "region"), "COLUMN=VALUE"),
        (("waterfall", "--from", "2026-03-31", "--promised", "2x"), "--promised"),
        (("waterfall", "--from", "2026-03-31", "--start", "2026-04-01"), "--promised"),
        (("bridge", "--from", "2026-03-31", "--deals", "start"), "--deals"),
        (("bridge", "--from", "2026-03-31", "--model", "win-rat"), "'win-rate'"),
        (("bridge", "--from", "2026-03-31", "--periods", "2x"), "--periods"),
        (("watch", "--rules", "overdu"), "'overdue'"),
        (("watch", "--top", "0"), "--top"),
        (("diagnose", "--standard", "10:six"), "--standard"),
        (("diagnose", "--standard", "projct"), "'project'"),
        (("diagnose", "--standard", "typed", "--days", "x"), "--days"),
        (("diagnose", "--standard", "last-year", "--period", "month"), "--period"),
        (("backtest", "--models", "win-rat"), "'win-rate'"),
        (("backtest", "--every", "monthly"), "--every"),
        (("backtest", "--every", "0d"), "--every"),
        (("backtest", "--horizon", "decade"), "--horizon"),
        (("backtest", "--horizon", "quarter", "--every", "10d"), "wholeweeks"),
        (("backtest", "--first", "May"), "--first"),
        (("backtest", "--score", "luck"), "--score"),
    ],
)
def test_wrong_usage(run, files, arguments, told):
    """What is wrong whatever the file holds has exit code 2, and names the option."""
    done = run(arguments[0], *files, *arguments[1:])
    assert (2, "") == (done.code, done.out)
    assert told in done.error
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--target"),
        (("--target", "5"), "--conversions"),
        (("--target", "5", "--conversions", "x"), "'x'"),
        (("--target", "5", "--conversions", "1.5", "--average", "1"), "atmost1,got1.5"),
        (("--target", "-5", "--conversions", "1", "--average", "1"), "above0"),
        (("--target", "5", "--conversions", "1"), "average_amount"),
        (("--target", "5", "--conversions", "1", "--shares", "a=0.5", "--average", "1"), "sumto1"),
        (("--target", "5", "--confidence", "0.8"), "--history"),
        (("--target", "5", "--confidence", "8"), "between0and1"),
        (("--target", "5", "--confidence", "0.8", "--reps", "3"), "--reps"),
        (("--target", "5", "--conversions", "1", "--model", "win-rate"), "--confidence"),
        (("--target", "5", "--conversions", "1", "--since", "2025-01-01"), "--history"),
        (("--target", "5", "--conversions", "1", "--layout", "deals"), "--history"),
        (("--target", "5", "--conversions", "1", "--language", "zh"), "--language"),
        (("--target", "5", "--conversions", "1", "--periods", "4q"), "--start"),
        (("--target", "5", "--conversions", "1", "--start", "2026-01-01"), "--periods"),
    ],
)
def test_plans_that_cannot_be_asked(run, arguments, told):
    """Without a file all that is wrong is usage."""
    done = run("plan", *arguments)
    assert (2, "") == (done.code, done.out)
    assert told in done.error
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("metrics", "--by", "ownr"), "'ownr'"),
        (("metrics", "--as-of", "2030-01-01"), "observed until"),
        (("trend", "--from", "2030-01-01"), "must not be after --to (2026-06-30)"),
        (("trend", "--from", "2022-01-01"), "observed_from"),
        (("trend", "--to", "2030-01-01"), "observed until"),
        (("trend", "--by", "regoin"), "'region'"),
        (("waterfall", "--from", "2026-03-31", "--to", "2030-01-01"), "observed until"),
        (("waterfall", "--from", "2026-03-31", "--to", "2026-03-31"), "start"),
        (("waterfall", "--from", "2026-03-31", "--where", "regoin=North"), "'region'"),
        (("waterfall", "--from", "2026-03-31", "--where", "region=Nroth"), "'North'"),
        (("bridge", "--from", "2026-06-30", "--model", "win-rate"), "end must be after start"),
        (("diagnose", "--standard", "10:6:3:2"), "must have 6 ratios"),
        (("diagnose", "--standard", "project"), "'potential'"),
        (("diagnose", "--standard", "last-year", "--as-of", "2023-06-30"), "days of record"),
        (("backtest", "--models", "textbook", "--first", "2026-06-29"), "30 days"),
        (("backtest", "--horizon", "year", "--first", "2026-01-01"), "whole periods (year)"),
    ],
)
def test_data_that_do_not_fit_the_question(run, files, arguments, told):
    """What is not in the file is a matter of the data: exit code 1, and one sentence."""
    done = run(arguments[0], *files, *arguments[1:])
    errors = [line for line in done.err.splitlines() if line.startswith("error:")]
    assert (1, "", 1) == (done.code, done.out, len(errors))
    assert told in errors[0]
    assert "Traceback" not in done.err


def test_plans_that_the_file_does_not_allow(run, files):
    """With a file, what does not fit it is a matter of the data; a model may be of no use."""
    asked = ("plan", "--target", 5_000_000, "--history", *files)
    assert 1 == run(*asked, "--conversions", "prposal=0.5").code
    assert 1 == run(*asked, "--since", "2030-01-01").code
    done = run(*asked, "--confidence", 0.8, "--model", "run-rate")
    assert 2 == done.code
    assert "'run-rate'forecaststotals" in done.error
