"""A cluster of two worker processes gives what memory gives, also when one of them is killed.

The scheduler listens on TCP, the workers read the chunks: nothing but places and summaries
travels. `make cluster` runs these tests; what is in the middle of a run is told by files.
"""

import os
import signal
import threading
import time

import numpy as np
import pytest

import funnel as fn
from funnel.errors import ReadError
from funnel.summary import MappedSource, summarize

pytestmark = pytest.mark.cluster

PARTITIONS = 16
PATIENCE = 120  # seconds after which something hangs
SAME = ("id", "stage", "at", "created", "amount", "currency", "expected_close")


@pytest.fixture(scope="module")
def client():
    """A client of a scheduler with two workers, each a process of one thread."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tcp://",
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as connected,
    ):
        assert connected.scheduler.address.startswith("tcp://127.0.0.1")
        yield connected


@pytest.fixture(scope="module")
def company():
    """A history that the files of `files` hold."""
    return fn.datasets.simulate(1200, rng=7).history


@pytest.fixture(scope="module")
def how(company):
    """How the files are to be read."""
    columns = {name: name for name in SAME}
    attributes = ("category", "owner", "region", "source")
    return {**columns, "attributes": attributes, "funnel": company.funnel, "partition": "files"}


@pytest.fixture
def files(company, tmp_path):
    """A folder with sixteen Parquet files of whole deals."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "changes"
    folder.mkdir()
    for number, chunk in enumerate(company.chunks(-(-company.n_deals // PARTITIONS))):
        pq.write_table(pa.table(chunk.to_columns()), folder / f"part-{number:02}.parquet")
    assert len(list(folder.iterdir())) == PARTITIONS
    return folder


def wait_for(condition):
    """Wait until something is true, and fail where it never becomes so."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)
    return found


def test_fit_and_forecast_equal_those_in_memory(client, files, how):
    """Counts bit for bit, money to 1e-12; each chunk is read by a worker."""
    executor = client.get_executor()
    source = fn.scan(files, executor=executor, **how)
    whole = fn.History.concat(source)
    model = fn.models.get("semi-markov")
    one = model.summarize(whole)
    two = summarize(source, model.summarize, executor=executor)
    np.testing.assert_array_equal(one.exposure, two.exposure)
    np.testing.assert_array_equal(one.moves, two.moves)
    np.testing.assert_array_equal(one.counts, two.counts)
    quarters = fn.Horizon.quarters("2026-07-01", 4)
    forecaster = fn.DealForecaster("semi-markov")
    here = fn.forecast(whole, quarters, forecaster, by=("region",))
    there = fn.forecast(source, quarters, forecaster, by=("region",), executor=executor)
    np.testing.assert_allclose(there.expected, here.expected, rtol=1e-12)
    np.testing.assert_allclose(there.quantile(0.1), here.quantile(0.1), rtol=1e-9)
    assert here.keys == there.keys
    assert here.notes == there.notes


def test_workers_bring_the_rows_of_a_deal_together(client, company, how, tmp_path, monkeypatch):
    """Rows of each deal stand in all of sixteen files; workers distribute some files each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from funnel.io import _partition

    folder = tmp_path / "changes"
    folder.mkdir()
    for number in range(PARTITIONS):
        some = {name: values[number::PARTITIONS] for name, values in company.to_columns().items()}
        pq.write_table(pa.table(some), folder / f"part-{number:02}.parquet")
    monkeypatch.setattr(_partition, "TASK", 1)
    spread = {**how, "partition": "id", "chunks": 4}
    here = fn.scan(folder, **spread)
    there = fn.scan(folder, folder=tmp_path / "kept", executor=client.get_executor(), **spread)
    assert len(here) == len(there) == 4
    for one, two in zip(here, there, strict=True):
        assert one.identical_to(two)


def test_a_backtest_equals_that_in_memory(client, files, how):
    """Wins, deals and failures bit for bit, money to 1e-12."""
    executor = client.get_executor()
    source = fn.scan(files, executor=executor, **how)
    cutoffs = ["2025-12-31", "2026-03-31"]
    asked = {"horizon": "quarter", "baselines": ("run-rate",), "progress": False}
    here = fn.backtest(fn.History.concat(source), ["semi-markov"], cutoffs, **asked)
    there = fn.backtest(source, ["semi-markov"], cutoffs, executor=executor, **asked)
    assert not here.failures
    assert here.failures == there.failures
    one, two = here.to_columns(), there.to_columns()
    for name in ("actual", "expected"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-12)
    for name in ("forecaster", "cutoff", "part", "deals"):
        np.testing.assert_array_equal(two[name], one[name])


def test_chunks_are_read_by_workers_and_not_here(client, files, how, tmp_path):
    """Each worker leaves its number for each chunk that it reads."""
    executor = client.get_executor()
    told = tmp_path / "told"
    told.mkdir()

    def tell(history):
        (told / f"{os.getpid()}-{history.ids[0]}").touch()
        return history

    source = fn.scan(files, **how)
    fn.metrics.conversion(MappedSource(source, tell), executor=executor)
    readers = [int(path.name.split("-")[0]) for path in told.iterdir()]
    workers = set(client.run(os.getpid).values())
    assert len(readers) == PARTITIONS
    assert set(readers) <= workers
    assert os.getpid() not in workers


def test_a_killed_worker_changes_nothing(client, files, how, tmp_path):
    """One worker is killed while it holds the eighth chunk; the other one reads it again."""
    executor = client.get_executor()
    source = fn.scan(files, **how)
    marked = str(source.parts[7].read().ids[0])
    begun, go = tmp_path / "begun", tmp_path / "go"
    begun.mkdir()

    def wait(history):
        if str(history.ids[0]) == marked:
            (begun / str(os.getpid())).touch()
            while not go.exists():
                time.sleep(0.01)
        return history

    model = fn.models.get("semi-markov")
    found = []

    def fit():
        slow = MappedSource(source, wait)
        found.append(summarize(slow, model.summarize, executor=executor))

    running = threading.Thread(target=fit)
    running.start()
    victim = wait_for(lambda: next(begun.iterdir(), None))
    os.kill(int(victim.name), signal.SIGKILL)
    wait_for(lambda: len(list(begun.iterdir())) == 2)  # another process has taken it over
    go.touch()
    running.join(PATIENCE)
    assert found, "the run did not end"
    expected = summarize(source, model.summarize)
    np.testing.assert_array_equal(expected.exposure, found[0].exposure)
    np.testing.assert_array_equal(expected.counts, found[0].counts)


def test_a_chunk_that_cannot_be_read_fails_the_run_with_its_name(client, files, how):
    """And the cluster is there for the next run."""
    executor = client.get_executor()
    source = fn.scan(files, **how)
    content = (files / "part-11.parquet").read_bytes()
    (files / "part-11.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(ReadError, match=r"chunk 'part-11.parquet' cannot be read"):
        fn.models.get("semi-markov").fit(source, executor=executor)
    (files / "part-11.parquet").write_bytes(content)
    fn.models.get("win-rate").fit(source, executor=executor)
