"""Invariants of the tables on random histories with skips, loops, holds and reopenings."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import funnel as fn
from funnel.stages import Outcome
from funnel.testing.strategies import histories, pipelines
from funnel.typing import NO_DAY


def brute_force(history):
    """The pieces of each deal by a plain loop: (deal, stage, start) whenever the stage changes."""
    found = []
    for row in range(len(history)):
        key = int(history.deal[row]), int(history.stage[row])
        if not found or found[-1][:2] != key:
            found.append((*key, int(history.at[row])))
    return found


@given(histories())
def test_entries_are_exits_and_still_there(history):
    """What began in each state ended in one of the seven ways, always."""
    stays = fn.spells(history)
    entries = np.bincount(stays.stage, minlength=len(history.funnel.ids))
    assert entries.tolist() == stays.flow_table().sum(axis=1).tolist()
    assert len(fn.outcomes(history)) == stays.flow_table()[:, -1].sum()  # each deal is somewhere


@given(histories())
def test_spells_are_the_runs_of_rows(history):
    """The vectorised cut agrees with a plain loop."""
    stays = fn.spells(history)
    found = list(zip(stays.deal.tolist(), stays.stage.tolist(), stays.start.tolist(), strict=True))
    assert brute_force(history) == found
    assert (stays.days() >= 0).all()


@given(histories(), st.integers(1, 7), st.randoms())
def test_any_split_into_whole_deals_is_the_same_table(history, size, random):
    """Chunks may be of any size and come in any order."""
    parts = list(history.chunks(size))
    random.shuffle(parts)
    if parts:
        assert history.identical_to(fn.History.concat(parts))


@given(histories(), st.integers(1, 7))
def test_tables_come_back_from_their_files(tmp_path_factory, history, size):
    """Histories, their chunks and snapshots are the same after they were saved and opened."""
    path = tmp_path_factory.mktemp("saved") / "table"
    history.save(path)
    found = fn.History.open(path)
    assert found.identical_to(history)
    for part in found.chunks(size):
        part.save(path)
        assert fn.History.open(path).identical_to(part)
    pipeline = history.snapshot()
    pipeline.save(path)
    assert fn.Pipeline.open(path).identical_to(pipeline)


@given(histories(), st.data())
def test_a_snapshot_depends_on_the_past_only(history, data):
    """Snapshot of the whole = last snapshot of the history until then; and until is idempotent."""
    day = data.draw(st.integers(history.observed_from, history.observed_until))
    date = np.datetime64(day, "D")
    known = history.until(date)
    assert history.snapshot(date).identical_to(known.snapshot())
    assert known.until(date).identical_to(known)


@given(histories())
def test_days_of_a_deal_add_up(history):
    """Without a day in two states: the stays of a deal cover its days exactly once."""
    stays = fn.spells(history)
    total = np.bincount(stays.deal, stays.days(), minlength=history.n_deals)
    first = history.at[history.bounds[:-1]]
    assert (history.observed_until - first).tolist() == total.astype(int).tolist()


@given(histories())
def test_closing_days_belong_to_closed_deals(history):
    """A closing day exactly where the deal is closed, and never before its first row."""
    found = fn.outcomes(history)
    closed = found.outcome != Outcome.OPEN
    assert (found.closed_on != NO_DAY).tolist() == closed.tolist()
    first = history.at[history.bounds[:-1]]
    assert (found.closed_on[closed] >= first[closed]).all()


@given(histories())
def test_rows_round_trip(history):
    """A history built from its own columns is the same history."""
    entered = np.where(
        history.first_entered == NO_DAY,
        np.datetime64("NaT"),
        history.first_entered.astype("datetime64[D]"),
    )
    again = fn.History.from_columns(
        funnel=history.funnel,
        stage_entered=entered[history.deal],
        known={column.name: column.known for column in history.schema.columns},
        observed_from=np.datetime64(history.observed_from, "D"),
        observed_until=np.datetime64(history.observed_until, "D"),
        **history.to_columns(),
    )
    assert history.identical_to(again)


@given(pipelines())
def test_deals_round_trip(pipeline):
    """Pipeline -> deals -> JSON -> deals -> pipeline is the same pipeline."""
    deals = list(pipeline)
    stored = [fn.Opportunity.from_dict(json.loads(json.dumps(deal.to_dict()))) for deal in deals]
    assert deals == stored
    again = fn.Pipeline.from_opportunities(
        stored, funnel=pipeline.funnel, as_of=np.datetime64(pipeline.as_of, "D")
    )
    assert set(again.to_columns()) <= set(pipeline.to_columns())
    shared = {name: pipeline.to_columns()[name] for name in again.to_columns()}
    for name, values in again.to_columns().items():
        assert [str(v) for v in shared[name].tolist()] == [str(v) for v in values.tolist()]
