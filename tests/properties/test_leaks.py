"""What happens after a day must not change anything that is said about that day, bit for bit."""

import numpy as np
import pytest

import funnel as fn

CUT = "2025-06-30"
HORIZON = fn.Horizon.quarters("2025-07-01", 3)


@pytest.fixture(scope="module")
def history():
    """A company with every trait that the simulation knows."""
    return fn.datasets.simulate(800, rng=4).history


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
    assert left.quantile(0.1).tobytes() == right.quantile(0.1).tobytes()


def test_a_snapshot_needs_nothing_but_the_past(history):
    """Snapshot of the whole = last snapshot of what was known, on many days."""
    days = np.arange(np.datetime64("2024-01-31"), np.datetime64("2026-06-01"), 61)
    for day in days:
        assert history.snapshot(day).identical_to(history.until(day).snapshot())
