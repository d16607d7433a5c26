"""Change logs in chunks: the same deals as in memory, whole, in bounded memory, wherever read."""

import gzip
import itertools
import pickle
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

import funnel as fn
from funnel.errors import ReadError, SchemaMismatchError, UnknownColumnError, ValidationError
from funnel.forecasting.api import resolve
from funnel.io import _partition
from funnel.summary import MappedSource, Part, parts_of, summarize

WORLD = fn.datasets.simulate(300, rng=3).history
SAME = ("id", "stage", "at", "created", "amount", "currency", "expected_close")
HOW = {name: name for name in SAME}
HOW |= {"funnel": WORLD.funnel, "attributes": ("category", "owner", "region", "source")}
READ = fn.io.read_history(WORLD.to_frame(), **HOW)
SMALL = fn.Funnel(["Qualify", "Propose"])
NAMES = {"funnel": SMALL, "id": "deal", "stage": "stage", "at": "day", "amount": "amount"}


def rows(history=WORLD):
    """The rows of a history in an order in which those of a deal stand far apart."""
    order = np.random.default_rng(1).permutation(len(history))
    order = order[np.argsort(history.at[order], kind="stable")]
    # Changes of one day keep their order: they are told apart by their place.
    order = order[np.lexsort((order, history.at[order]))]
    return pa.Table.from_pandas(history.to_frame().iloc[order], preserve_index=False)


def spread(folder, table, files, *, write=pq.write_table, ending="parquet"):
    """Write a table as several files, row i to file i modulo their number."""
    parts = folder / "changes"
    parts.mkdir()
    bounds = np.linspace(0, len(table), files + 1).astype(int)
    for number, (begin, end) in enumerate(itertools.pairwise(bounds)):
        write(table.slice(begin, end - begin), parts / f"part-{number:02}.{ending}")
    return parts


def by_deal(folder, history, files):
    """Write a history as files of whole deals."""
    parts = folder / "deals"
    parts.mkdir()
    size = -(-history.n_deals // files)
    for number, chunk in enumerate(history.chunks(size)):
        table = pa.Table.from_pandas(chunk.to_frame(), preserve_index=False)
        pq.write_table(table, parts / f"part-{number:02}.parquet")
    return parts


def text(folder, content, name="changes.csv"):
    """Write a small file."""
    path = folder / name
    path.write_text(content)
    return path


# --- the same deals ------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [1, 7])
def test_deals_spread_over_files_come_together(tmp_path, chunks):
    """Five files between which the rows of each deal are split give the history of all rows."""
    table = rows()
    whole = fn.io.read_history(table, **HOW)
    source = fn.scan(spread(tmp_path, table, 5), chunks=chunks, **HOW)
    found = fn.History.concat(source)
    assert found.identical_to(whole)
    assert whole.schema == source.schema == found.schema
    assert (chunks, whole.n_deals, len(whole)) == (len(source), source.n_deals, source.n_rows)
    assert (WORLD.observed_until, WORLD.n_deals) == (source.observed_until, whole.n_deals)


@pytest.mark.parametrize("pack", [lambda content: content, gzip.compress], ids=["plain", "gzip"])
def test_text_files_are_read_block_by_block(tmp_path, monkeypatch, pack):
    """Texts (also compressed ones) written out many times give the same as in one go."""
    monkeypatch.setattr(_partition, "HELD", 10_000)
    table = rows()
    path = tmp_path / "changes.csv"
    pv.write_csv(table, path)
    path.write_bytes(pack(path.read_bytes()))
    whole = fn.io.read_history(path, **HOW)
    assert fn.History.concat(fn.scan(path, chunks=4, **HOW)).identical_to(whole)


def test_workers_distribute_some_files_each(tmp_path, monkeypatch):
    """Three tasks of two files, one of one: the chunks, and their findings, are those of one."""
    table = rows()
    negative = pa.compute.negate(table.column("amount").slice(len(table) - 9))
    amounts = pa.concat_arrays(
        [*table.column("amount").slice(0, len(table) - 9).chunks, *negative.chunks]
    )
    folder = spread(
        tmp_path, table.set_column(table.column_names.index("amount"), "amount", amounts), 7
    )
    monkeypatch.setattr(_partition, "TASK", 2 * (folder / "part-03.parquet").stat().st_size - 2_000)
    alone = fn.scan(folder, chunks=3, **HOW)
    asked = []

    class Calls(ThreadPoolExecutor):
        def map(self, function, *items):
            asked.append([len(item) for item in items[0]] if len(items) > 1 else None)
            return super().map(function, *items)

    with Calls(2) as executor:
        shared = fn.scan(folder, chunks=3, folder=tmp_path / "kept", executor=executor, **HOW)
    assert [None, [2, 2, 2, 1]] == asked[:2]
    assert ["chunk-0000.parquet", "chunk-0001.parquet", "chunk-0002.parquet"] == [
        path.name for path in sorted((tmp_path / "kept").iterdir())
    ]
    for one, two in zip(alone, shared, strict=True):
        assert one.identical_to(two)
    assert len(alone.findings)
    assert alone.findings.to_frame().equals(shared.findings.to_frame())


def test_a_folder_that_workers_do_not_see_is_named(tmp_path):
    """The worker of another machine has no such folder."""
    folder = spread(tmp_path, rows(), 2)

    class Elsewhere(ThreadPoolExecutor):
        def map(self, function, *items):
            if len(items) > 1:
                (tmp_path / "kept").rmdir()
            return super().map(function, *items)

    with Elsewhere(1) as executor, pytest.raises(ReadError, match="that all workers see"):
        fn.scan(folder, folder=tmp_path / "kept", executor=executor, **HOW)


def test_files_of_whole_deals_stay_where_they_are(tmp_path):
    """Each file is a chunk; categories that a file lacks have their codes all the same."""
    folder = by_deal(tmp_path, WORLD, 6)
    (folder / "_SUCCESS").touch()
    (folder / ".part-00.parquet").write_text("half written")
    source = fn.scan(folder, partition="files", **HOW)
    assert [f"part-{number:02}.parquet" for number in range(6)] == [p.name for p in source.parts]
    assert fn.History.concat(source).identical_to(READ)
    assert all(chunk.schema == READ.schema for chunk in source)


def test_a_layout_of_fields_begins_on_the_first_day_of_all_files(tmp_path):
    """B has no change before 1 March, and yet it is known from 1 January on, when A changed."""
    rows_of_a = "A,2026-01-01,StageName,,Qualify\nA,2026-04-01,StageName,Qualify,Won\n"
    rows_of_b = "B,2026-03-01,StageName,Qualify,Propose\nB,2026-04-02,StageName,Propose,Won\n"
    header = "OpportunityId,CreatedDate,Field,OldValue,NewValue\n"
    born = "B,2025-12-01,created,,\n"
    paths = [
        text(tmp_path, header + rows_of_a, "a.csv"),
        text(tmp_path, header + rows_of_b + born, "b.csv"),
    ]
    how = {"funnel": SMALL, "layout": "fields", "preset": "salesforce"}
    whole = fn.io.read_history(text(tmp_path, header + rows_of_a + rows_of_b + born), **how)
    for partition in ("id", "files"):
        assert fn.History.concat(fn.scan(paths, partition=partition, **how)).identical_to(whole)


def test_what_was_repaired_is_told_by_the_row_of_the_source(tmp_path):
    """The negative amount stands in row 4 of all rows, which is row 1 of the second file."""
    head = "deal,stage,day,amount\n"
    one = text(
        tmp_path, head + "A,Qualify,2026-01-05,1\nB,Qualify,2026-01-06,2\nC,Won,x,1\n", "1.csv"
    )
    two = text(tmp_path, head + "A,Won,2026-02-05,1\nB,Won,2026-02-06,-2\n", "2.csv")
    source = fn.scan([one, two], chunks=1, **NAMES)
    assert {(2, "at-unreadable"), (4, "amount-negative")} == {
        (f.row, f.rule) for f in source.findings
    }
    assert {4} == {f.row for chunk in source for f in chunk.findings if f.column == "amount"}


def test_headers_may_be_spelt_differently_in_each_file(tmp_path):
    """`Deal ` in the second file is taken for `deal`, and said."""
    one = text(tmp_path, "deal,stage,day,amount\nA,Qualify,2026-01-05,1\n", "1.csv")
    two = text(tmp_path, "amount,Deal ,stage,day\n2,A,Won,2026-02-05\n", "2.csv")
    source = fn.scan([one, two], **NAMES)
    assert [("header-spelling", "Deal")] == [(f.rule, f.value) for f in source.findings]
    assert [1.0, 2.0] == next(iter(source)).columns["amount"].tolist()


# --- fits, metrics, executors --------------------------------------------------------------------


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A history, and a scan of five files of it."""
    world = fn.datasets.simulate(400, rng=5).history
    how = {**HOW, "funnel": world.funnel}
    folder = by_deal(tmp_path_factory.mktemp("scan"), world, 5)
    return fn.io.read_history(world.to_frame(), **how), fn.scan(folder, partition="files", **how)


SLOW = {"auto", "hazard-regression", "learned"}
BUILT_IN = [
    pytest.param(name, marks=[pytest.mark.deep] if name in SLOW else [])
    for name in fn.models.names()
    if "." not in name
]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_fits_on_a_scan(sources, name):
    """What it then says of today is what it says after a fit in memory."""
    history, source = sources
    model = fn.Auto(windows=3) if name == "auto" else resolve(name)
    quarters, today = fn.Horizon.quarters("2026-07-01", 2), history.snapshot()
    one, two = (model.fit(given).forecast(today, quarters) for given in (history, source))
    np.testing.assert_allclose(two.expected, one.expected, rtol=1e-12)
    np.testing.assert_allclose(two.sd, one.sd, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "by"), [("semi-markov", ("region",)), ("run-rate", ("region",)), ("win-rate", ())]
)
def test_a_forecast_of_a_scan_is_that_of_all_deals(sources, name, by):
    """Deals that closed before the horizon are left where they are, and change nothing."""
    history, source = sources
    months = fn.Horizon.months("2026-05-01", 3)  # the first two hold what is booked already
    one, two = (fn.forecast(given, months, name, by=by) for given in (history, source))
    found = two.to_columns()
    for column, values in one.to_columns().items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[column], values, rtol=1e-12)
        else:
            np.testing.assert_array_equal(found[column], values)
    assert one.notes == two.notes


def test_a_forecast_of_a_scan_keeps_lost_deals_that_may_come_back(tmp_path):
    """Each second deal was lost and won three days later: the one lost today has a chance."""
    ids = [f"D{i:03}" for i in range(80)]
    rows_of = [(i, "Qualify", 0) for i in ids] + [(i, "Lost", 5) for i in ids]
    rows_of += [(i, "Won", 8) for i in ids[::2]] + [("late", "Qualify", 60), ("late", "Lost", 69)]
    days = np.datetime64("2026-01-01") + np.array([day for *_, day in rows_of])
    frame = pa.table({
        "deal": [one for one, *_ in rows_of], "stage": [stage for _, stage, _ in rows_of],
        "day": days, "amount": [1.0] * len(rows_of),
    })  # fmt: skip
    how = {**NAMES, "observed_until": "2026-03-12"}
    history = fn.io.read_history(frame, **how)
    pq.write_table(frame, tmp_path / "changes.parquet")
    source = fn.scan(tmp_path, chunks=3, **how)
    month = fn.Horizon.months("2026-03-01", 1)
    one, two = (
        fn.forecast(given, month, fn.DealForecaster("semi-markov", arrivals=None))
        for given in (history, source)
    )
    assert one.parts["reopened"].expected[0] > 0.1
    np.testing.assert_array_equal(one.expected, two.expected)


@pytest.mark.parametrize("window", [None, 400])
def test_a_backtest_of_a_scan_is_that_of_all_deals(sources, window):
    """Records, truth and failures are the same, money to 1e-12; the chunks stay where they are."""
    history, source = sources
    cutoffs = fn.cutoffs_every(source, 91, horizon=91, first="2025-09-01")
    assert len(cutoffs) == 3
    asked = {"horizon": 91, "by": ("region",), "window": window, "baselines": ("run-rate",)}
    asked["progress"] = False
    one, two = (fn.backtest(given, ["win-rate"], cutoffs, **asked) for given in (history, source))
    assert (one.failures, one.dropped, one.unknown) == (two.failures, two.dropped, two.unknown)
    found = two.to_columns()
    for name, column in one.to_columns().items():
        if column.dtype.kind == "f":
            np.testing.assert_allclose(found[name], column, rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(found[name], column)
    np.testing.assert_allclose(found["actual"], one.to_columns()["actual"], rtol=1e-12)
    np.testing.assert_allclose(found["expected"], one.to_columns()["expected"], rtol=1e-12)


def test_a_backtest_ends_where_a_chunk_cannot_be_read(tmp_path):
    """It is no failure of a forecaster."""
    folder = by_deal(tmp_path, WORLD, 3)
    source = fn.scan(folder, partition="files", **HOW)
    (folder / "part-01.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ReadError, match=r"chunk 'part-01.parquet' cannot be read"):
        fn.backtest(source, ["win-rate"], ["2026-03-31"], horizon=30, baselines=())


def test_metrics_take_a_scan(sources):
    """Counts are the same to the last one."""
    history, source = sources
    for measure in (fn.metrics.conversion, fn.metrics.stage_durations, fn.metrics.win_rates):
        one, two = (measure(given).to_columns() for given in (history, source))
        for name, column in one.items():
            np.testing.assert_array_equal(column, two[name])


@pytest.mark.parametrize("pool", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_an_executor_reads_the_chunks(sources, pool):
    """Processes get the place of a chunk, and give back its summary."""
    history, source = sources
    extra = {"mp_context": get_context("spawn")} if pool is ProcessPoolExecutor else {}
    with pool(1, **extra) as executor:
        found = fn.models.get("semi-markov").fit(source, executor=executor)
    expected = fn.models.get("semi-markov").fit(history)
    np.testing.assert_array_equal(expected.hazards, found.hazards)


def test_a_part_travels_as_the_place_where_it_is(sources):
    """A chunk of 80 deals with some 350 rows is larger than the part that stands for it."""
    _, source = sources
    part = source.parts[0]
    assert isinstance(part, Part)
    data = len(pickle.dumps(part.read()))
    assert len(pickle.dumps(part)) < min(4_000, data)
    assert pickle.loads(pickle.dumps(part)).read().identical_to(part.read())


def test_many_chunks_are_merged_where_they_are_read(monkeypatch, sources):
    """With room for two tasks, five chunks go in twos; sums do not change by it, not by a bit."""
    monkeypatch.setattr("funnel.summary.TASKS", 3)
    _, source = sources
    asked = []

    class Calls(ThreadPoolExecutor):
        def map(self, function, items):
            asked.append([len(item) for item in items])
            return super().map(function, items)

    with Calls(2) as executor:
        found = summarize(source, fn.forecasting.summarize_closing, executor=executor)
    expected = summarize(source, fn.forecasting.summarize_closing)
    assert [[2, 2, 1]] == asked
    np.testing.assert_array_equal(expected.booked.sums, found.booked.sums)


def test_a_mapped_source_keeps_parts_and_progress(sources):
    """A source cut at a day is read where the uncut one would be."""
    history, source = sources
    past = MappedSource(source, lambda chunk: chunk.until("2026-01-31"))
    assert [part.name for part in source.parts] == [part.name for part in past.parts]
    whole = history.until("2026-01-31")
    assert fn.History.concat(past).identical_to(whole)
    assert fn.History.concat(part.read() for part in parts_of(past)).identical_to(whole)
    lazily = MappedSource(iter(source), lambda chunk: chunk)
    assert lazily.parts is None  # chunks that come one by one are not gathered


def test_progress_is_told_for_each_pass(tmp_path):
    """Three chunks: once they are looked through, once they are counted; silent by default."""
    told = []
    folder = by_deal(tmp_path, WORLD, 3)
    source = fn.scan(
        folder, partition="files", progress=lambda done, of: told.append((done, of)), **HOW
    )
    fn.metrics.conversion(source)
    assert [(1, 3), (2, 3), (3, 3)] * 2 == told


# --- memory --------------------------------------------------------------------------------------


def test_memory_holds_one_chunk(tmp_path):
    """A fit over 12 chunks takes no more than over 2 of them and a bit; held ones take more."""
    world = fn.datasets.simulate(1500, rng=2).history
    how = {**HOW, "funnel": world.funnel}
    source = fn.scan(by_deal(tmp_path, world, 12), partition="files", **how)
    model = fn.models.get("textbook")  # its summary is a few numbers: what is left are the chunks

    def peak(chunks):
        """Bytes that a fit takes at its highest."""
        model.fit(chunks)  # what is loaded once
        tracemalloc.start()
        model.fit(chunks)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    class Held:
        """A source that reads all chunks at once, as a careless one would."""

        def __iter__(self):
            return iter([part.read() for part in source.parts])

    few = peak(MappedSource(source.parts[:2], lambda chunk: chunk))
    assert peak(source) < 1.25 * few
    assert peak(Held()) > 2 * few


# --- saved histories -----------------------------------------------------------------------------


def test_saved_histories_are_chunks_as_they_are(tmp_path, monkeypatch):
    """Three files, each cut where it has more rows than a chunk; no keyword is needed."""
    monkeypatch.setattr("funnel.io._saved.ROWS", 300)
    for number, chunk in enumerate(READ.chunks(120)):
        chunk.save(tmp_path / f"part-{number}.funnel")
    source = fn.scan(tmp_path)
    assert (READ.n_deals, len(READ)) == (source.n_deals, source.n_rows)
    assert len(source) > 3
    assert fn.History.concat(source).identical_to(READ)
    assert len(pickle.dumps(source.parts[0])) < 1_000
    (tmp_path / "part-1.funnel").write_bytes(b"gone")
    with pytest.raises(ReadError, match=r"chunk 'part-1.funnel, deals 0 to .*' cannot be read"):
        list(source)


def test_saved_histories_must_share_their_days(tmp_path):
    """The second one was observed for a month less."""
    READ.save(tmp_path / "1.funnel")
    READ.until("2026-05-31").save(tmp_path / "2.funnel")
    with pytest.raises(SchemaMismatchError, match="observed_until"):
        fn.scan(tmp_path)


# --- what is refused -----------------------------------------------------------------------------


def test_a_deal_in_two_files_is_named(tmp_path):
    """Files that are said to hold whole deals and do not."""
    with pytest.raises(SchemaMismatchError, match=r"are in several \(first: .* in 'part-0"):
        fn.scan(spread(tmp_path, rows(), 3), partition="files", **HOW)


def test_a_chunk_that_cannot_be_read_is_named(tmp_path):
    """Whether it is broken from the beginning or breaks later, in this process or another."""
    folder = by_deal(tmp_path, WORLD, 4)
    source = fn.scan(folder, partition="files", **HOW)
    (folder / "part-02.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ReadError, match=r"chunk 'part-02.parquet' cannot be read"):
        fn.models.get("win-rate").fit(source)
    with ThreadPoolExecutor(2) as executor, pytest.raises(ReadError, match=r"'part-02.parquet'"):
        fn.models.get("win-rate").fit(source, executor=executor)
    with pytest.raises(ReadError, match=r"chunk 'part-02.parquet' cannot be read"):
        fn.scan(folder, partition="files", **HOW)


def test_a_column_must_be_of_one_kind(tmp_path):
    """Region is a number in one file and a name in the other; empty throughout is neither."""
    kinds = ([1, 2], ["North", "South"], [None, None])
    for number, region in enumerate(kinds):
        columns = {"deal": [f"{number}a", f"{number}b"], "stage": ["Qualify"] * 2}
        columns |= {"day": ["2026-01-05"] * 2, "amount": [1, 2], "region": region}
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    how = {**NAMES, "attributes": ("region",), "partition": "files"}
    with pytest.raises(SchemaMismatchError, match=r"'region' must be of one kind.*'0.parquet'"):
        fn.scan(tmp_path, **how)
    (tmp_path / "0.parquet").unlink()
    assert ("North", "South") == fn.scan(tmp_path, **how).schema.column("region").categories


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"chunks": 0}, ValidationError, "chunks must be a whole number from 1 to 512"),
        ({"partition": "rows"}, ValidationError, "partition must be 'id' or 'files'"),
        ({"stage": "stge"}, UnknownColumnError, "stage"),
    ],
)
def test_wrong_arguments_say_what_is_right(tmp_path, asked, error, words):
    """Before anything is written."""
    path = text(tmp_path, "deal,stage,day,amount\nA,Qualify,2026-01-05,1\n")
    with pytest.raises(error, match=words):
        fn.scan(path, **{**NAMES, **asked})


def test_folders_must_hold_files_and_be_free_to_write_to(tmp_path):
    """An empty folder is no source, a filled one no place for chunks, no file is none."""
    with pytest.raises(ReadError, match="must hold files that end with"):
        fn.scan(tmp_path, **NAMES)
    path = text(tmp_path, "deal,stage,day,amount\nA,Qualify,2026-01-05,1\n")
    with pytest.raises(ValidationError, match="folder must be empty"):
        fn.scan(path, folder=tmp_path, **NAMES)
    with pytest.raises(ReadError, match="at least one file"):
        fn.scan([], **NAMES)


def test_a_temporary_folder_goes_with_the_scan(tmp_path, monkeypatch):
    """And at once, where the scan fails; a folder of the caller's stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    path = text(tmp_path, "deal,stage,day,amount\nA,Qualify,2026-01-05,1\n")
    source = fn.scan(path, **NAMES)
    assert list((tmp_path / "temporary").iterdir())
    del source
    with pytest.raises(UnknownColumnError):
        fn.scan(path, **{**NAMES, "amount": "money"})
    assert not list((tmp_path / "temporary").iterdir())
    fn.scan(path, folder=tmp_path / "kept", **NAMES)
    assert list((tmp_path / "kept").iterdir())
