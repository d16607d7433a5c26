"""What is looked up of the columns when a pipeline is built."""

import math
import pickle

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.kernels import promises
from funnel.kernels.arrays import span_of
from funnel.tables import codes
from funnel.tables.sums import view
from funnel.typing import NO_DAY

HISTORY = fn.datasets.simulate(300, rng=6).history
BUILT = HISTORY.snapshot().select(slice(None))
PARTS = ("_spans", "_promises")


def one_by_one(pipeline):
    """What `promises` stands for: undated 0, overdue 1, d days ahead 1 + d; then the stage."""
    found = []
    for promise, stage in zip(
        pipeline.expected_close.tolist(), pipeline.stage.tolist(), strict=True
    ):
        ahead = 0 if promise == NO_DAY else 1 + max(promise - pipeline.as_of, 0)
        found.append(ahead * len(pipeline.funnel.ids) + stage)
    return found


def promised(days, as_of="2026-06-30", stage="B"):
    """A pipeline of deals in one stage, by what they promise."""
    return fn.Pipeline.from_columns(
        funnel=fn.Funnel(["A", "B"]),
        as_of=as_of,
        id=[f"D{number}" for number in range(len(days))],
        stage=[stage] * len(days),
        expected_close=np.array(days, dtype="datetime64[D]"),
    )


@pytest.mark.parametrize(
    "days",
    [
        ["2026-07-01", "2026-08-01"],
        ["2026-06-30", "2026-06-29", "1999-01-01", "2026-07-01"],
        ["2026-06-01", "2026-06-02"],
        ["NaT", "2026-07-01"],
        ["NaT", "2026-05-01", "2099-12-31"],
        ["NaT"],
        [],
    ],
    ids=["ahead", "some overdue", "all overdue", "undated", "far", "all undated", "none"],
)
@pytest.mark.parametrize("as_of", ["2026-06-30", "1970-01-05"])
def test_promises_are_days_ahead_and_stages(days, as_of):
    """Whatever kinds of promises there are, and in a table that is built or read later."""
    built = promised(days, as_of)
    found = codes.promises(built)
    assert one_by_one(built) == found.tolist()
    assert not found.flags.writeable
    assert found.tolist() == codes.promises(pickle.loads(pickle.dumps(built))).tolist()


def test_the_kind_of_number_is_wide_enough():
    """Also where the days fit into a byte, but the promises do not; and no wider than that."""
    as_of = np.datetime64("2026-06-30")
    for ahead in range(1, 80):
        built = promised([as_of + ahead, as_of + 1])
        found = codes.promises(built)
        assert one_by_one(built) == found.tolist()
        assert found.dtype.itemsize <= 2
    assert codes.promises(promised(["2099-12-31"])).dtype == np.uint32


def test_promises_of_a_snapshot_and_of_its_deals(tmp_path):
    """A snapshot makes them when it is asked, a part cuts them, a saved table makes them anew."""
    snapshot = HISTORY.snapshot()
    assert one_by_one(snapshot) == codes.promises(snapshot).tolist()
    assert codes.promises(snapshot) is codes.promises(snapshot)
    some = view(snapshot, slice(20, 90))
    assert one_by_one(snapshot)[20:90] == codes.promises(some).tolist()
    assert one_by_one(snapshot)[20:90] == codes.promises(snapshot.select(slice(20, 90))).tolist()
    snapshot.save(tmp_path / "deals")
    opened = fn.Pipeline.open(tmp_path / "deals")
    assert one_by_one(snapshot) == codes.promises(opened).tolist()


@pytest.mark.usefixtures("two_threads")
def test_two_threads_make_the_same_promises(monkeypatch):
    """Chunks of two ranges."""
    monkeypatch.setattr(promises, "CHUNK", 7)
    assert one_by_one(BUILT) == codes.promises(attrs.evolve(BUILT)).tolist()


def test_a_large_table_is_looked_at_when_it_is_built(monkeypatch):
    """A small one, a snapshot, or what is made of another table, when it is asked."""
    monkeypatch.setattr(codes, "MANY", 3)
    assert not set(PARTS) & set(promised(["2026-07-01"] * 2).__dict__)
    built = promised(["2026-07-01"] * 3)
    assert set(PARTS) < set(built.__dict__)
    assert set(codes.SPANNED) == set(built.__dict__["_spans"])
    for later in (HISTORY.snapshot(), built.select(slice(None)), attrs.evolve(built)):
        assert not set(PARTS) & set(later.__dict__)


def test_spans_of_a_part_are_those_of_the_whole():
    """Of all columns that every forecast looks at."""
    some = view(attrs.evolve(BUILT), slice(3))  # asked before the whole is
    for name in codes.SPANNED:
        column = BUILT.stage if name == "stage" else BUILT.columns[name]
        assert (column.min(), column.max()) == codes.span(BUILT, name)
        assert codes.span(some, name) == codes.span(BUILT, name)


def test_a_span_of_unknown_numbers_is_unknown(monkeypatch):
    """In whichever chunk they are; of nothing it is empty."""
    monkeypatch.setattr("funnel.kernels.arrays.CHUNK", 3)
    for place in range(8):
        values = np.arange(8.0)
        assert (0.0, 7.0) == span_of(values)
        values[place] = np.nan
        assert all(map(math.isnan, span_of(values)))
    assert (0, -1) == span_of(np.empty(0))


def test_other_probabilities_look_at_no_deal_again(monkeypatch):
    """What was kept goes along, and what is made of the new table is not seen by the old one."""
    expected = fn.forecast(BUILT, fn.Horizon.months("2026-07-01", 3), "textbook").expected
    monkeypatch.setattr(codes, "coded", lambda *_: pytest.fail("a further look"))
    monkeypatch.setattr(codes, "span_of", lambda *_: pytest.fail("a further look"))
    half = {stage.id: 0.5 * stage.win_probability for stage in BUILT.funnel.stages}
    other = BUILT.with_funnel(BUILT.funnel.with_probabilities(half))
    assert codes.promises(other) is codes.promises(BUILT)
    before = set(BUILT.statistics)
    found = fn.forecast(other, fn.Horizon.months("2026-07-01", 3), "textbook").expected
    np.testing.assert_allclose(found, 0.5 * expected)
    _ = fn.forecast(other, fn.Horizon.months("2026-07-01", 3), "textbook", by="owner").expected
    assert before == set(BUILT.statistics)
