"""What a pass over deals or their log takes beside what it is given, gives and keeps."""

from __future__ import annotations

import tracemalloc

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.kernels import asof, trace

pytestmark = pytest.mark.deep

DEALS, ROWS = 1_000_000, 5
LEAST = 16 << 20
FUNNEL = fn.Funnel(["Qualify", "Propose", "Negotiate"])


@pytest.fixture(scope="module")
def history():
    """Return a log of 5,000,000 rows: all deals take the same way, on different days."""
    small = fn.History.from_columns(
        funnel=FUNNEL,
        id=["A"] * ROWS,
        stage=["Qualify", "Propose", "Qualify", "Negotiate", "Won"],
        at=np.arange("2026-01-01", "2026-01-06", dtype="datetime64[D]"),
        observed_until="2027-12-31",
    )
    start = (small.created[0] + np.arange(DEALS) % 500).astype(np.int32)
    return fn.History(
        schema=small.schema,
        ids=np.array([f"D{deal:07}" for deal in range(DEALS)], dtype=object),
        created=start,
        first_entered=start,
        deal=np.repeat(np.arange(DEALS, dtype=np.int32), ROWS),
        at=(start[:, None] + 30 * np.arange(ROWS, dtype=np.int32)).ravel(),
        stage=np.tile(small.stage, DEALS),
        columns={name: np.tile(values, DEALS) for name, values in small.columns.items()},
        observed_from=small.observed_from,
        observed_until=small.observed_until,
    )


def grown(run):
    """Return bytes at the peak beyond those of the result, and the result."""
    tracemalloc.start()
    try:
        found = run()
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - left, found


def test_stays_and_pieces(history):
    """Chunk by chunk, whatever the number of rows."""
    assert grown(lambda: history.stays)[0] < LEAST
    assert grown(lambda: history.clocks)[0] < LEAST
    rows = history.deal, history.at, history.stage
    funnel = {name: getattr(FUNNEL, name) for name in ("on_hold", "ladder", "outcomes")}
    taken, _ = grown(lambda: trace.pieces(*rows, first_entered=history.first_entered, **funnel))
    assert taken < LEAST


def test_curves_and_conversion(history):
    """What was counted is all that they need."""
    assert grown(lambda: fn.metrics.stage_durations(history))[0] < LEAST
    assert grown(lambda: fn.metrics.conversion(history))[0] < LEAST


def test_rows_of_many_days(history):
    """Two bytes a row are kept from day to day, and the rows of one day are there at a time."""
    days = (history.observed_from + np.arange(0, 700, 7)).tolist()

    def last():
        for rows in asof.rows_on(history.deal, history.at, days):
            found = rows
        return found

    taken, found = grown(last)
    assert len(found) == DEALS
    assert taken < LEAST + found.nbytes  # the day before is there until the next one is


def test_the_open_pipeline_of_many_days(history):
    """Entries and exits by day and stage."""
    days = (history.observed_from + np.arange(0, 700, 7)).astype("datetime64[D]")
    taken, found = grown(lambda: fn.metrics.pipeline_trend(history, days))
    assert taken < LEAST
    open_now = history.snapshot(days[-1]).outcome == fn.Outcome.OPEN
    assert np.count_nonzero(open_now) == found.count[0, -1].sum()


MONTHS = fn.Horizon.months("2026-05-01", 9)


@pytest.fixture(scope="module")
def pipeline():
    """Return 5,000,000 open and closed deals of 1,000 owners, some of them promised or overdue."""
    few = fn.datasets.simulate(2_000, rng=3).history.until("2026-06-15").snapshot()
    rng = np.random.default_rng(1)
    rows = rng.integers(0, len(few), ROWS * DEALS).astype(np.int32)
    owners = tuple(f"O{number:03}" for number in range(1_000))
    columns = [
        attrs.evolve(column, categories=owners) if column.name == "owner" else column
        for column in few.schema.columns
    ]
    arrays = {name: values[rows] for name, values in few.columns.items()}
    arrays["owner"] = rng.integers(0, len(owners), len(rows)).astype(np.int32)
    names = [field.name for field in attrs.fields(fn.Pipeline) if field.init]
    return attrs.evolve(
        few,
        schema=attrs.evolve(few.schema, columns=tuple(columns)),
        columns=arrays,
        **{
            name: values[rows]
            for name in names
            if isinstance(values := getattr(few, name), np.ndarray)
        },
    )


@pytest.mark.parametrize("model", ["textbook", "win-rate", "semi-markov"])
def test_forecasts_by_month_and_owner(pipeline, model):
    """Money, its spread and quantiles by month, and money by month and owner."""
    forecaster = fn.DealForecaster(model, arrivals=None)
    fitted = forecaster.fit(fn.datasets.simulate(2_000, rng=3).history.until("2026-06-15"))
    new = attrs.evolve(pipeline)
    taken, outlook = grown(lambda: fitted.forecast(new, MONTHS))
    assert taken < LEAST
    assert grown(lambda: (outlook.expected, outlook.sd))[0] < LEAST
    by_owner = grown(lambda: fitted.forecast(new, MONTHS, by="owner").expected_by_group)
    assert by_owner[0] < LEAST
    np.testing.assert_allclose(by_owner[1].sum(axis=0), outlook.expected, rtol=1e-10)


@pytest.mark.parametrize("model", ["textbook", "win-rate", "semi-markov"])
def test_a_chance_for_each_deal(pipeline, model):
    """Two bytes of each deal are kept; beside them and the chances there are chunks only."""
    history = fn.datasets.simulate(2_000, rng=3).history.until("2026-06-15")
    fitted = fn.DealForecaster(model).fit(history).model
    new, dates = attrs.evolve(pipeline), np.array(["2026-07-31"], dtype="datetime64[D]")
    taken, found = grown(lambda: fitted.win_curve(new, dates))
    assert taken < LEAST
    tracemalloc.start()
    assert np.array_equal(found, fitted.win_curve(new, dates))
    kept = tracemalloc.get_traced_memory()[1] - found.nbytes
    tracemalloc.stop()
    assert kept < LEAST
