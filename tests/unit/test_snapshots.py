"""One snapshot of chunks equals the snapshot of the whole."""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import funnel as fn
from funnel.errors import InsufficientDataError, LeakError, SchemaMismatchError, ValidationError


@pytest.fixture(scope="module")
def history():
    """A company with every trait of the simulation."""
    return fn.datasets.simulate(400, rng=3).history


@pytest.fixture(scope="module")
def chunks(history):
    """The same deals in three chunks, not in the order of their ids."""
    part = np.arange(history.n_deals) % 3
    return [history.select(part == number) for number in range(3)]


@pytest.mark.parametrize("day", [None, "2025-09-15"])
def test_open_deals_of_chunks_are_those_of_the_whole(history, chunks, day):
    """Every column, in the order of the ids."""
    whole = history.snapshot(day)
    expected = whole.select(whole.outcome == fn.Outcome.OPEN)
    assert len(expected) > 10
    for source in (history, chunks):
        assert fn.open_pipeline(source, day).identical_to(expected)


def test_bookings_of_a_period_that_has_begun(history, chunks):
    """The day itself counts, the day before does not, lost deals never do."""
    whole = history.snapshot("2025-09-15")
    won = whole.outcome == fn.Outcome.WON
    since = int(np.sort(whole.closed_on[won])[-5])
    expected = whole.select((whole.outcome == fn.Outcome.OPEN) | (won & (whole.closed_on >= since)))
    day = np.datetime64(since, "D")
    assert fn.open_pipeline(chunks, "2025-09-15", won_since=day).identical_to(expected)


def test_metrics_of_a_snapshot_take_it(history, chunks):
    """Closed deals play no part in them."""
    whole, held = history.snapshot(), fn.open_pipeline(chunks)
    for metric in (fn.metrics.concentration, fn.metrics.delayed_deals):
        assert metric(held).to_dict() == metric(whole).to_dict()


def test_other_processes_read_the_chunks(history, chunks):
    """What is wanted travels to them."""
    with ProcessPoolExecutor(1) as executor:
        found = fn.open_pipeline(chunks, won_since="2026-01-01", executor=executor)
    assert found.identical_to(fn.open_pipeline(history, won_since="2026-01-01"))


def test_what_cannot_be_told(history, chunks):
    """Days that were not observed, no chunk, other columns."""
    with pytest.raises(LeakError):
        fn.open_pipeline(chunks, "2030-01-01")
    with pytest.raises(ValidationError):
        fn.open_pipeline(chunks, won_since="yesterday")
    with pytest.raises(InsufficientDataError):
        fn.open_pipeline([])
    other = fn.datasets.simulate(20, rng=1).history.until("2026-01-31")
    with pytest.raises((SchemaMismatchError, ValidationError)):
        fn.open_pipeline([*chunks, other])
