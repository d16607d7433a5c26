"""What happens after a day must not change anything that is said about that day, bit for bit."""

import numpy as np
import pytest

import funnel as fn
from funnel.calendars import to_day
from funnel.forecasting.api import resolve
from funnel.models import registry
from funnel.testing import check_forecaster
from funnel.testing.forecasters import FORECASTER_CHECKS, check_random_future, random_future

CUT = "2025-06-30"
HORIZON = fn.Horizon.quarters("2025-07-01", 3)


@pytest.fixture(scope="module")
def history():
    """A company with every trait that the simulation knows."""
    return fn.datasets.simulate(300, rng=4).history


def rows_of(history):
    """The rows as arguments of from_columns."""
    columns = history.to_columns()
    stage_entered = np.where(
        history.first_entered == -(2**31),
        np.datetime64("NaT"),
        history.first_entered.astype("datetime64[D]"),
    )[history.deal]
    return {**columns, "stage_entered": stage_entered}


def rebuilt(history, rows):
    """A history of changed rows, observed over the same days."""
    return fn.History.from_columns(
        funnel=history.funnel,
        observed_from=str(np.datetime64(history.observed_from, "D")),
        observed_until=str(np.datetime64(history.observed_until, "D")),
        **rows,
    )


def changed(history, how, rng):
    """Rows with everything after the cutoff shuffled, blanked or gone."""
    rows = rows_of(history)
    late = rows["at"] > np.datetime64(CUT)
    if how == "gone":
        return {name: column[~late] for name, column in rows.items()}
    for name in rows.keys() - {"id", "at", "created", "stage_entered"}:
        values = rows[name].copy()
        if how == "shuffled":
            values[late] = rng.permutation(values[late])
        elif name == "stage":
            values[late] = "Lost" if "Lost" in history.funnel.ids else history.funnel.ids[-2]
        elif values.dtype.kind == "f":
            values[late] = np.nan
        elif values.dtype.kind == "M":
            values[late] = np.datetime64("NaT")
        else:
            values[late] = ""
        rows[name] = values
    return rows


@pytest.mark.parametrize("how", ["shuffled", "blank", "gone"])
@pytest.mark.parametrize("model", ["semi-markov", "textbook"])
def test_the_future_changes_neither_snapshot_nor_forecast(history, how, model):
    """Bit-identical snapshot, history until the day, and forecast."""
    other = rebuilt(history, changed(history, how, np.random.default_rng(9)))
    assert history.snapshot(CUT).identical_to(other.snapshot(CUT))
    assert history.until(CUT).identical_to(other.until(CUT))
    left = fn.forecast(history.until(CUT), HORIZON, model)
    right = fn.forecast(other.until(CUT), HORIZON, model)
    assert left.expected.tobytes() == right.expected.tobytes()
    assert left.sd.tobytes() == right.sd.tobytes()
    assert left.deals.chance.tobytes() == right.deals.chance.tobytes()


def test_a_snapshot_needs_nothing_but_the_past(history):
    """Snapshot of the whole = last snapshot of what was known, on many days."""
    days = np.arange(np.datetime64("2024-01-31"), np.datetime64("2026-06-01"), 61)
    for day in days:
        assert history.snapshot(day).identical_to(history.until(day).snapshot())


# --- forecasters and backtests -------------------------------------------------------------------

SLOW = {"auto", "hazard-regression", "learned"}
MADE = {
    "blend": fn.Blend(("win-rate", "close-date")),
    "calibrated": fn.Calibrated("win-rate"),
}
"""Forecasters made of others: of models that are fast to fit."""


def made(name):
    """A forecaster by name."""
    if name == "learned":
        pytest.importorskip("sklearn")
    return MADE[name] if name in MADE else resolve(name)


@pytest.mark.parametrize("name", sorted({*registry.BUILT_IN, *MADE} - SLOW))
def test_no_forecaster_sees_the_future(name):
    """Every row after the cutoff changed at random: the same bits."""
    check_random_future(made(name))


@pytest.mark.deep
@pytest.mark.parametrize("name", sorted({*registry.BUILT_IN, *MADE}))
def test_every_forecaster_keeps_the_contract(name):
    """All checks of `funnel.testing`, the slow forecasters included."""
    assert len(check_forecaster(made(name)).passed) == len(FORECASTER_CHECKS)


def said(report):
    """All that forecasters said in a backtest, without what happened."""
    columns = report.to_columns()
    happened = {"actual", "crps", "pit", "brier", "log"}
    kept = {name: values for name, values in columns.items() if name not in happened}
    chances = np.concatenate([record.chance for record in report.records])
    return kept | {"chances": chances}


def bits(values):
    """What a column holds, bit for bit."""
    return values.tolist() if values.dtype.kind == "O" else values.tobytes()


def same_whatever_happens(history, names, cut, **given):
    """Demand that a backtest says the same at a cutoff after which every row is another."""
    forecasters = {name: made(name) for name in names}
    given = {"horizon": 180, "baselines": (), "progress": False, **given}
    report = fn.backtest(history, forecasters, [cut], **given)
    expected, actual = said(report), report.to_columns()["actual"]
    happened = []
    for seed in range(2):
        other = random_future(history, to_day(cut), np.random.default_rng(seed))
        report = fn.backtest(other, forecasters, [cut], **given)
        assert not report.failures
        found = said(report)
        happened.append(report.to_columns()["actual"])
        for name, values in expected.items():
            assert bits(values) == bits(found[name]), name
    assert any(not np.array_equal(actual, other) for other in happened)


@pytest.mark.parametrize("window", [None, 300])
def test_a_backtest_sees_no_future(history, window):
    """Chances and quantiles at a cutoff stay, whatever comes after it; only actuals change."""
    names = ["win-rate", "semi-markov", "run-rate"]
    same_whatever_happens(history, names, CUT, window=window)


@pytest.mark.deep
def test_no_built_in_sees_the_future_in_a_backtest(history):
    """All built-ins and combinators, on a company with every trait of the simulation."""
    same_whatever_happens(history, [*registry.BUILT_IN, *MADE], CUT)
