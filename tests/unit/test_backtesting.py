"""Backtests: actuals against a plain loop, what each fit sees, bad input, executors, windows."""

import multiprocessing
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.backtesting import BASELINES, cutoffs_before, cutoffs_every
from funnel.backtesting._recent import recent
from funnel.backtesting._truth import truth
from funnel.backtesting._windows import tasks
from funnel.calendars import Calendar, to_date, to_day
from funnel.errors import (
    CurrencyMismatchError,
    FunnelWarning,
    InsufficientDataError,
    UnknownColumnError,
    UnknownModelError,
    ValidationError,
)
from funnel.forecasting import Forecast
from funnel.models._sojourn_counts import summarize_sojourns
from funnel.models._sojourns import Layout
from funnel.testing import fixtures

LADDER = fn.Funnel([fn.Stage("Qualify", win_probability=0.2), "Propose"])
MODEL = fn.DealForecaster("win-rate", arrivals=None, spread="independent")
"""Fast: no draws of parameters."""


@attrs.frozen(eq=False)
class Seer:
    """A fitted forecaster that says one number for each group, and for how long it was trained."""

    amount: float
    trained_until: int

    def forecast(self, pipeline, horizon, /, *, by=()):
        """Say the number for every group of the pipeline."""
        keys = pipeline.groups(by)[0] or ((),)
        money = np.full((len(keys), len(horizon)), self.amount)
        return Forecast.from_moments(
            horizon, pipeline.as_of, "EUR", by=tuple(by), keys=keys, booked=money,
            mean=0.0 * money, variance=0.0 * money, model="says",
        )  # fmt: skip


@attrs.frozen
class Says:
    """A forecaster that always says one number, and writes down what it was shown."""

    amount: float = 0.0
    shown: list = attrs.field(factory=list, eq=False)
    fails_after: str = "9999-12-31"

    name = "says"

    def fit(self, source, /, *, executor=None):
        """Write down what was shown."""
        del executor
        self.shown.append(source)
        if source.observed_until > to_day(self.fails_after):
            msg = "no idea"
            raise RuntimeError(msg)
        return Seer(self.amount, source.observed_until)


def log(*rows, funnel=LADDER, until="2026-12-31", since="2026-01-01", **columns):
    """A history of rows (deal, stage, day, amount)."""
    deal, stage, at, amount = zip(*rows, strict=True)
    return fn.History.from_columns(
        funnel=funnel,
        id=deal,
        stage=stage,
        at=np.array(at, dtype="datetime64[D]"),
        amount=[np.nan if one is None else one for one in amount],
        observed_from=since,
        observed_until=until,
        **columns,
    )


def backtest(history, forecasters, cutoffs, **given):
    """A backtest without bar, and without baselines unless asked for."""
    given = {"horizon": 30, "progress": False, "baselines": (), **given}
    return fn.backtest(history, forecasters, cutoffs, **given)


def seen_at(history, cutoff, horizon, by=()):
    """What really happened after a cutoff."""
    (task,), _ = tasks(history, [cutoff], horizon, Calendar())
    return truth(history, task, by), task


def by_loop(history, cutoff, first, last, by):
    """Money won in the days first .. last by group, of all and of open deals, deal by deal."""
    columns = history.to_columns()
    outcome = dict(zip(history.funnel.ids, history.funnel.outcomes, strict=True))
    deals = {}
    for row in range(len(history)):
        deals.setdefault(columns["id"][row], []).append(
            {name: values[row] for name, values in columns.items()}
        )
    found = []
    for rows in deals.values():
        known = [row for row in rows if row["at"] <= last]
        if not known:
            continue
        now = [outcome[row["stage"]] for row in known]
        since = len(now)
        while since and now[since - 1] == now[-1]:
            since -= 1
        before = [row for row in known if row["at"] <= cutoff]
        found.append(
            (
                (before or known)[-1][by] if by else "",
                bool(before) and outcome[before[-1]["stage"]] == 0,
                now[-1] == 1,
                now[-1] == 1 and first <= known[since]["at"] <= last,
                known[-1]["amount"],
            )
        )
    won = [amount for *_, is_won, _, amount in found if is_won and not np.isnan(amount)]
    worth = float(np.mean(won)) if won else 0.0
    total, still = {}, {}
    for key, was_open, _, inside, amount in found:
        money = (worth if np.isnan(amount) else amount) * inside
        total[key] = total.get(key, 0.0) + money
        still[key] = still.get(key, 0.0) + money * was_open
    return total, still


# --- what happened -------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["", "region", "owner"])
@pytest.mark.parametrize("horizon", [14, "month", "quarter"])
def test_actuals_are_those_of_a_plain_loop(horizon, by):
    """Reopened deals, unknown amounts and changing owners: money by group, deal by deal."""
    history = fixtures.history()
    for cutoff in np.arange(np.datetime64("2024-04-10"), np.datetime64("2025-03-20"), 49):
        seen, task = seen_at(history, cutoff, horizon, (by,) if by else ())
        edges = task.horizon.edges.astype("datetime64[D]")
        total, still = by_loop(history, cutoff, edges[0], edges[1] - 1, by)
        keys = [key[0] if by else "" for key in seen.keys]
        assert sorted(total) == keys
        np.testing.assert_allclose([total[key] for key in keys], seen.total, rtol=1e-12)
        np.testing.assert_allclose([still[key] for key in keys], seen.open, rtol=1e-12)
        assert np.all(seen.open <= seen.total)


def test_what_counts_as_won_in_a_window():
    """By hand: re-won deals count once, reopened ones not, unknown amounts as the mean of 50."""
    history = log(
        ("reopened", "Qualify", "2026-03-01", 1000.0),
        ("reopened", "Won", "2026-04-10", 1000.0),
        ("reopened", "Propose", "2026-04-20", 1000.0),
        ("re-won", "Qualify", "2026-01-05", 10.0),
        ("re-won", "Won", "2026-03-20", 10.0),
        ("re-won", "Propose", "2026-04-05", 10.0),
        ("re-won", "Won", "2026-04-25", 30.0),
        ("unknown", "Qualify", "2026-02-01", None),
        ("unknown", "Won", "2026-04-30", None),
        ("new", "Qualify", "2026-04-02", 70.0),
        ("new", "Won", "2026-04-03", 70.0),
        ("came back", "Lost", "2026-03-01", 50.0),
        ("came back", "Won", "2026-04-15", 50.0),
        ("too late", "Qualify", "2026-03-01", 500.0),
        ("too late", "Won", "2026-05-01", 500.0),
    )
    seen, task = seen_at(history, "2026-03-31", 30)
    # re-won 30 + new 70 + came back 50, and the unknown one as their mean, 50.
    assert (seen.total.tolist(), seen.open.tolist()) == ([200.0], [50.0])
    assert (seen.wins.tolist(), seen.unknown) == ([4], 1)
    assert history.snapshot("2026-03-31").ids.tolist() == [
        "came back",
        "re-won",
        "reopened",
        "too late",
        "unknown",
    ]
    assert seen.won.tolist() == [False, False, True]  # reopened, too late, unknown
    assert (task.last, task.lead) == (to_day("2026-04-30"), 30)


def test_a_period_holds_what_was_booked_in_it_before_the_cutoff():
    """Of a quarter, bookings before the cutoff count; of a number of days, later ones only."""
    history = log(
        ("early", "Won", "2026-04-10", 5.0),
        ("open", "Qualify", "2026-04-01", 7.0),
        ("open", "Won", "2026-06-20", 7.0),
    )
    assert seen_at(history, "2026-05-31", "quarter")[0].total.tolist() == [12.0]
    assert seen_at(history, "2026-05-31", 30)[0].total.tolist() == [7.0]


def test_groups_add_up_to_the_whole():
    """Actual and expected money, and the deals of groups whose names come and go."""
    history = fixtures.history()
    days = ["2024-12-31", "2025-02-28"]
    forecasters = {"deals": fn.DealForecaster("textbook"), "rate": "run-rate"}
    whole = backtest(history, forecasters, days).to_columns()
    for by in ("region", "owner"):
        split = backtest(history, forecasters, days, by=(by,)).to_columns()
        assert len(set(split[by])) > 2
        for place in range(len(whole["part"])):
            same = (
                (split["forecaster"] == whole["forecaster"][place])
                & (split["cutoff"] == whole["cutoff"][place])
                & (split["part"] == whole["part"][place])
            )
            for name in ("actual", "expected", "deals"):
                assert split[name][same].sum() == pytest.approx(whole[name][place])


def test_a_deal_belongs_to_the_group_that_it_was_in_at_the_cutoff():
    """Handed over between cutoff and booking: forecast and actual are of the same owner."""
    history = log(
        ("A", "Qualify", "2026-03-01", 10.0),
        ("A", "Won", "2026-04-10", 10.0),
        ("B", "Won", "2026-04-12", 3.0),
        owner=["Ann", "Bo", "Cy"],
    )
    seen, _ = seen_at(history, "2026-03-31", 30, ("owner",))
    assert (seen.keys, seen.total.tolist()) == ((("Ann",), ("Cy",)), [10.0, 3.0])


@attrs.frozen(eq=False)
class Forgetful:
    """A fitted forecaster that lists deals backwards, and forgets those of one region."""

    inner: object
    trained_until: int

    def forecast(self, pipeline, horizon, /, *, by=()):
        """Turn the rows around."""
        outlook = self.inner.forecast(pipeline, horizon, by=by)
        rows = outlook.deals
        forgotten = dict(zip(pipeline.ids, pipeline.columns["region"], strict=True))
        kept = [i for i, name in enumerate(rows.ids) if forgotten[name] != 0][::-1]
        if by:
            keys, old = outlook.keys[1:], rows.select(np.array(kept))
            rows = attrs.evolve(old, group=old.group - 1)
            return attrs.evolve(outlook, keys=keys, deals=rows)
        return attrs.evolve(outlook, deals=rows.select(np.array(kept)))


def test_chances_find_their_deals_whatever_their_order():
    """Deals that a forecaster leaves out have the chance 0; so has a group that it leaves out."""
    history = fixtures.history()
    day = "2024-12-31"
    fitted = MODEL.fit(history.until(day))
    forgetful = Forgetful(fitted, to_day(day))
    given = {"all": fitted, "some": forgetful}
    pipeline = history.snapshot(day)
    is_open = pipeline.outcome == 0
    region = pipeline.columns["region"][is_open]
    every, some = (r.chance for r in backtest(history, given, [day]).records if r.part == "open")
    np.testing.assert_array_equal(np.where(region == 0, 0.0, every), some)
    split = backtest(history, given, [day], by=("region",)).records
    gone, *kept = (r for r in split if r.part == "open" and r.forecaster == "some")
    full = [r for r in split if r.part == "open" and r.forecaster == "all"]
    assert ("north",) == gone.key
    assert not gone.chance.any()
    assert (0.0, 0.0) == (gone.expected, gone.quantiles[-1])
    assert full[0].actual == gone.actual
    for one, two in zip(full[1:], kept, strict=True):
        np.testing.assert_array_equal(one.chance, two.chance)


def test_money_of_several_currencies_is_not_added_up():
    """An error, not a row of failures: no forecaster can mend it."""
    history = log(
        ("A", "Won", "2026-02-01", 10.0),
        ("B", "Won", "2026-04-10", 10.0),
        currency=["EUR", "USD"],
    )
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'USD'"):
        backtest(history, [Says()], ["2026-03-31"])


# --- when ----------------------------------------------------------------------------------------


def test_lead_times_to_the_end_of_each_quarter():
    """13 to 0 weeks before the end of each whole quarter, the shortest lead being a day."""
    history = log(("A", "Won", "2026-04-10", 5.0), since="2025-12-01", until="2026-12-31")
    days = cutoffs_before(history, "quarter")
    found, dropped = tasks(history, days, "quarter", Calendar())
    assert not dropped
    ends = {"2026-03-31": 90, "2026-06-30": 91, "2026-09-30": 92, "2026-12-31": 92}
    by_end = {end: [task.lead for task in found if task.last == to_day(end)] for end in ends}
    weekly = [7 * week for week in range(13, 0, -1)]
    # A quarter of 90 days is less than 13 weeks long.
    assert {
        end: [lead for lead in [*weekly, 1] if lead <= length] for end, length in ends.items()
    } == by_end
    assert len(found) == len(days)
    assert [1, 1, 1, 1] == [task.lead for task in found if task.lead < 7]


def test_the_first_period_counts_where_it_was_observed_whole():
    """A history that begins with a quarter has it all; one that begins a day later has not."""
    row = ("A", "Won", "2026-04-10", 5.0)
    whole = log(row, since="2026-01-01", until="2026-06-30")
    cut = log(row, since="2026-01-02", until="2026-06-30")
    april = np.datetime64("2026-04-01")
    assert 13 == np.count_nonzero(cutoffs_before(whole, "quarter", weeks=12) < april)
    assert 1 == np.count_nonzero(cutoffs_before(cut, "quarter") < april)  # a day before Q2


def test_cutoffs_at_equal_distances_end_with_the_history():
    """The last window ends on the last day; the first cutoff is not before `first`."""
    history = log(("A", "Won", "2026-04-10", 5.0), until="2026-12-31")
    found = cutoffs_every(history, 10, horizon=30, first="2026-11-01")
    assert ["2026-11-01", "2026-11-11", "2026-11-21", "2026-12-01"] == found.astype(str).tolist()
    assert np.datetime64("2026-07-02") == cutoffs_every(history, 1, horizon=30)[0]  # the middle
    with pytest.raises(InsufficientDataError, match="windows of 400 days"):
        cutoffs_every(history, 10, horizon=400)
    for name, given in (("days", (0, 30)), ("horizon", (7, 0)), ("days", (True, 30))):
        with pytest.raises(ValidationError, match=f"{name} must be a whole number >= 1"):
            cutoffs_every(history, given[0], horizon=given[1])
    with pytest.raises(ValidationError, match="weeks must be a whole number >= 0"):
        cutoffs_before(history, "month", weeks=-1)


def test_cutoffs_that_cannot_be_scored_are_left_out_with_the_reason():
    """Outside of the history, or with a window that ends after it; never scored as zero."""
    history = log(("A", "Won", "2026-04-10", 5.0), until="2026-06-30")
    days = ["2026-06-01", "2025-12-31", "2026-03-31", "2027-01-01", "2026-03-31"]
    report = backtest(history, [Says()], days)
    assert ["2026-03-31"] == np.unique(report.to_columns()["cutoff"]).astype(str).tolist()
    assert [
        (to_day("2025-12-31"), "the history is from 2026-01-01 to 2026-06-30"),
        (to_day("2026-06-01"), "its window ends on 2026-07-01, after the history does"),
        (to_day("2027-01-01"), "the history is from 2026-01-01 to 2026-06-30"),
    ] == [(one.cutoff, one.reason) for one in report.dropped]
    assert "* 3 cutoffs left out, first 2025-12-31: the history is from" in str(report)
    with pytest.raises(InsufficientDataError, match="first: its window ends on 2026-07-01"):
        backtest(history, [Says()], ["2026-06-01"])
    with pytest.raises(InsufficientDataError, match="cutoffs_every"):
        backtest(history, [Says()], [])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"horizon": 0}, ValidationError, "horizon must be a whole number >= 1"),
        ({"horizon": "decade"}, ValidationError, "one of week, month, quarter, year"),
        ({"window": 0}, ValidationError, "window must be a whole number >= 1"),
        ({"by": ("nation",)}, UnknownColumnError, "'nation'"),
        ({"baselines": ("naive",)}, UnknownModelError, "'naive'"),
        ({"forecasters": ["semi-markow"]}, UnknownModelError, "Did you mean 'semi-markov'"),
        ({"forecasters": [7]}, ValidationError, "a stage model or a forecaster, got 7"),
        ({"forecasters": [MODEL, MODEL]}, ValidationError, "mapping of labels"),
        ({"cutoffs": "2026-03-31"}, ValidationError, "cutoffs must be a sequence of dates"),
        ({"cutoffs": ["soon"]}, ValidationError, "cutoffs"),
    ],
)
def test_wrong_arguments_are_refused(given, error, message):
    """Each with a message that names what must hold."""
    history = log(("A", "Won", "2026-04-10", 5.0))
    forecasters = given.pop("forecasters", [Says()])
    cutoffs = given.pop("cutoffs", ["2026-03-31"])
    with pytest.raises(error, match=message):
        backtest(history, forecasters, cutoffs, **given)


# --- what each fit sees --------------------------------------------------------------------------


def test_each_fit_sees_the_history_until_its_cutoff():
    """Once for each cutoff, in the order of time."""
    history = fixtures.history()
    says = Says()
    backtest(history, [says], ["2025-01-31", "2024-10-31"])
    days = ["2024-10-31", "2025-01-31"]
    assert all(
        seen.identical_to(history.until(day)) for seen, day in zip(says.shown, days, strict=True)
    )


def test_a_rolling_window_shows_so_many_days():
    """The last days only; where there are fewer, all of them."""
    history = fixtures.history()
    says = Says()
    backtest(history, [says], ["2024-06-30", "2025-01-31"], window=200)
    early, late = says.shown
    assert early.identical_to(history.until("2024-06-30"))
    first = to_day("2025-01-31") - 200
    assert (first, to_day("2025-01-31")) == (late.observed_from, late.observed_until)
    assert late.identical_to(recent(history.until("2025-01-31"), first))


def test_labels_and_baselines():
    """Names, labels of a mapping, names of models and combinators; baselines come last, once."""
    history = fixtures.history()
    given = {"mine": "textbook", "run-rate": Says()}
    report = backtest(history, given, ["2025-01-31"], baselines=BASELINES)
    assert ("mine", "run-rate", "last-period", "seasonal", "textbook") == report.forecasters
    assert report.scores.columns["bias_total"][1] == -1.0  # Says 0: the label is the user's own
    report = backtest(
        history, ["textbook", MODEL, Says(), fn.models.get("close-date")], ["2025-01-31"]
    )
    assert ("textbook", "win-rate", "says", "close-date") == report.forecasters
    assert ("run-rate",) == backtest(history, "run-rate", ["2025-01-31"]).forecasters


def test_a_forecaster_that_fails_is_left_out_there_and_said():
    """The others go on; the reason is in the report."""
    history = fixtures.history()
    says = Says(1.0, fails_after="2024-12-31")
    days = ["2024-10-31", "2025-01-31", "2025-02-28"]
    report = backtest(history, [says, "run-rate"], days)
    assert [(to_day(day), "RuntimeError: no idea") for day in days[1:]] == [
        (one.cutoff, one.reason) for one in report.failures
    ]
    assert [1, 3] == report.scores.columns["cutoffs"].tolist()
    said = "'says' had no answer at 2 cutoffs, first on 2025-01-31: RuntimeError: no idea"
    assert said in report.scores.notes


def test_one_that_was_fitted_on_later_days_is_not_asked():
    """A fitted forecaster serves for cutoffs after its training, and for no other."""
    history = fixtures.history()
    fitted = fn.DealForecaster("textbook").fit(history.until("2024-12-31"))
    report = backtest(history, {"fitted": fitted}, ["2024-11-30", "2025-01-31"])
    (failure,) = report.failures
    assert (to_day("2024-11-30"), "fitted") == (failure.cutoff, failure.forecaster)
    assert "LeakError: it was fitted on history until 2024-12-31" in failure.reason
    assert report.scores.columns["cutoffs"].tolist() == [1]


def test_a_forecaster_that_does_not_say_so_is_not_asked_either():
    """The backtest looks at `trained_until` itself."""
    seer = Seer(5.0, to_day("2024-12-31"))  # forecasts any day without complaint
    report = backtest(fixtures.history(), {"seer": seer}, ["2024-11-30", "2025-01-31"])
    assert [to_day("2024-11-30")] == [one.cutoff for one in report.failures]


def test_past_warnings_are_not_shown():
    """What a forecaster warns of at past cutoffs is no news today."""

    class Warns(Says):
        def fit(self, source, /, *, executor=None):
            warnings.warn("beyond what was seen", FunnelWarning, stacklevel=1)
            return super().fit(source, executor=executor)

    assert not backtest(fixtures.history(), [Warns()], ["2025-01-31"]).failures


# --- executors and progress ----------------------------------------------------------------------


def identical(one, two):
    """Whether two reports hold the same forecasts, bit for bit."""
    left, right = one.to_columns(), two.to_columns()
    return list(left) == list(right) and all(
        np.array_equal(left[name], right[name], equal_nan=left[name].dtype.kind == "f")
        for name in left
    )


def test_threads_and_processes_give_the_same_report():
    """Bit for bit, failures included."""
    history = fixtures.history(deals=100)
    days = ["2024-10-31", "2024-11-30", "2024-12-31"]
    given = {"by": ("region",), "window": 300}
    forecasters = {"deals": MODEL, "fails": Says(fails_after="2024-11-30")}
    expected = backtest(history, forecasters, days, **given)
    assert len(expected.failures) == 1
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    for pool in (ThreadPoolExecutor(3), ProcessPoolExecutor(2, mp_context=context)):
        with pool as executor:
            found = backtest(history, forecasters, days, executor=executor, **given)
        assert identical(expected, found)
        assert expected.failures == found.failures


def test_progress_is_told():
    """How many are done, and of how many; a bar only where somebody looks."""
    told = []
    history = fixtures.history(deals=60)
    days = ["2024-10-31", "2024-11-30"]
    backtest(history, [Says()], days, progress=lambda *counts: told.append(counts))
    assert [(1, 2), (2, 2)] == told
    with ThreadPoolExecutor(2) as executor:
        backtest(
            history, [Says()], days, executor=executor, progress=lambda *counts: told.append(counts)
        )
    assert [(1, 2), (2, 2)] * 2 == told


class Terminal:
    """A place for messages that says it is a terminal."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        """Say yes."""
        return True

    def write(self, text):
        """Keep it."""
        self.text += text

    def flush(self):
        """Do nothing."""


def test_a_bar_is_shown_on_a_terminal(monkeypatch):
    """Where rich is installed; without it, and where nobody looks, there is none."""
    pytest.importorskip("rich")
    history = fixtures.history(deals=60)
    for place, shown in ((Terminal(), True), (Terminal(), False)):
        monkeypatch.setattr(sys, "stderr", place)
        if not shown:
            monkeypatch.setitem(sys.modules, "rich.console", None)
        report = backtest(history, [Says()], ["2024-10-31"], progress=True)
        assert len(report.records) == 1
        assert shown == ("Backtest" in place.text)


# --- rolling windows -----------------------------------------------------------------------------


def rows_since(history, day):
    """The rows that a log would hold had it been begun at the end of `day`, deal by deal."""
    columns, pieces = history.to_columns(), history.pieces
    outcome = history.funnel.outcomes[history.stage]
    kept = []
    for deal in range(history.n_deals):
        rows = list(range(history.bounds[deal], history.bounds[deal + 1]))
        before = [row for row in rows if history.at[row] <= day]
        later = [row for row in rows if history.at[row] > day]
        if before and outcome[before[-1]] == 0:
            piece = pieces.of_row[before[-1]]
            age = int(pieces.age[piece])
            entered = None if age < 0 else int(pieces.start[piece]) - age
            kept.append((before[-1], day, entered))
        elif before:
            while later and outcome[later[0]] == outcome[before[-1]]:
                later = later[1:]
        elif later:
            first = int(history.first_entered[deal])
            kept.append((later[0], int(history.at[later[0]]), None if first < -(2**30) else first))
            later = later[1:]
        kept += [(row, int(history.at[row]), int(history.at[row])) for row in later]
    order = [row for row, _, _ in kept]
    found = {name: values[order] for name, values in columns.items()}
    found["at"] = np.array([at for _, at, _ in kept], dtype="datetime64[D]")
    found["stage_entered"] = np.array(
        ["NaT" if entered is None else entered for _, _, entered in kept], dtype="datetime64[D]"
    )
    return found


@pytest.mark.parametrize("day", ["2024-01-01", "2024-03-15", "2024-07-01", "2025-06-30"])
def test_a_recent_history_is_one_recorded_from_then_on(day):
    """Row by row: open deals enter late, closed ones when they are something else."""
    history, cut = fixtures.history(), to_day(day)
    found = recent(history, cut)
    if cut == history.observed_from:
        assert found is history
        return
    expected = fn.History.from_columns(
        funnel=history.funnel,
        schema=history.schema,
        observed_from=to_date(cut),
        observed_until=to_date(history.observed_until),
        **rows_since(history, cut),
    )
    assert expected.identical_to(found)
    counted = [summarize_sojourns(one) for one in (expected, found)]
    assert np.array_equal(counted[0].exposure, counted[1].exposure)
    assert np.array_equal(counted[0].moves, counted[1].moves)


def test_exposure_before_the_window_does_not_count():
    """Days at risk of a ladder without returns, counted day by day after the first one."""
    rows = [(f"D{i}", *row) for i in range(40) for row in path(i)]
    history = log(*rows, funnel=LADDER)
    cut, layout = to_day("2026-05-01"), Layout(LADDER)
    found = summarize_sojourns(recent(history, cut))
    counted = np.zeros(found.exposure.shape[1:], dtype=np.int64)
    for piece in range(len(history.pieces.deal)):
        state = layout.state(history.pieces.stage[[piece]], history.pieces.visit[[piece]])[0]
        if state < 0 or state >= layout.stages * 3:
            continue
        start = int(history.pieces.start[piece])
        stop = int(history.pieces.stop[piece])
        stop = history.observed_until if stop < 0 else stop
        for now in range(max(start, cut if start == cut else cut + 1), stop + 1):
            counted[state, now - start] += 1
    assert np.array_equal(counted[:6], found.exposure.sum(axis=0)[:6])


def path(i):
    """One deal: Qualify, Propose, then won or lost."""
    day = np.datetime64("2026-01-03") + 5 * i
    first, second = 3 + i % 17, 2 + i * 7 % 23
    rows = [("Qualify", day, 10.0), ("Propose", day + first, 10.0)]
    rows.append((("Won", "Lost")[i % 2], day + first + second, 10.0))
    return [row for row in rows if row[1] <= np.datetime64("2026-12-31")]


def test_a_rolling_window_changes_the_fit():
    """A change half-way: the window sees the second half only, all history the mean of both."""
    rows = []
    for i in range(400):
        day = np.datetime64("2026-01-01") + i * 300 // 400
        rows += [(f"D{i:03}", "Qualify", day, 1.0)]
        won = i % 10 < (8 if i >= 200 else 2)
        rows += [(f"D{i:03}", "Won" if won else "Lost", day + 5, 1.0)]
    history = log(*rows)
    window = 120
    chances = {}
    for days in (None, window):
        report = backtest(history, [MODEL], ["2026-10-27"], window=days, horizon=60)
        (record,) = [one for one in report.records if one.part == "open"]
        chances[days] = float(record.chance.mean())
    # The share of wins: 0.8 in the last 120 days; 200 of 400 with 0.8, 200 with 0.2 in all.
    assert chances[window] == pytest.approx(0.8, abs=0.05)
    assert chances[None] == pytest.approx(0.5, abs=0.05)
