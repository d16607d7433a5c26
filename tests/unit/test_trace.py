"""Expected values are worked out by hand on two small deals, see the comments."""

import itertools
import threading

import numpy as np
import pytest

import funnel as fn
from funnel.kernels import asof, threads, trace
from funnel.typing import NO_DAY

# States: 0 qualify, 1 propose, 2 on hold, 3 negotiate, 4 won, 5 lost, 6 removed.
ON_HOLD = np.array([False, False, True, False, False, False, False])
LADDER = np.array([0, 1, -1, 2, 3, -1, -1])
OUTCOMES = np.array([0, 0, 0, 0, 1, 2, 3])

# Deal 0: qualify, propose (5), on hold (10), propose again (20), back to qualify (25), negotiate
# and won on day 30. Deal 1: first seen in propose, lost (4) and noted twice, reopened and won (9).
DEAL = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
AT = np.array([0, 5, 10, 20, 25, 30, 30, 3, 4, 5, 9, 9])
STAGE = np.array([0, 1, 2, 1, 0, 3, 4, 1, 5, 5, 1, 4])


def cut(deal, at, stage, first_entered):
    """Cut rows into pieces of the funnel above."""
    return trace.pieces(
        deal,
        at,
        stage,
        first_entered=np.array(first_entered, dtype=np.int32),
        on_hold=ON_HOLD,
        ladder=LADDER,
        outcomes=OUTCOMES,
    )


@pytest.mark.parametrize("chunk", [1, trace.CHUNK])  # each deal for itself, and both at once
def test_pieces_by_hand(chunk, monkeypatch):
    """Every field of every piece is the one worked out by hand."""
    monkeypatch.setattr(trace, "CHUNK", chunk)
    found = cut(DEAL, AT, STAGE, [0, NO_DAY])
    assert [0, 1, 2, 1, 0, 3, 4, 1, 5, 1, 4] == found.stage.tolist()
    assert [0, 5, 10, 20, 25, 30, 30, 3, 4, 9, 9] == found.start.tolist()
    # Propose is resumed on day 20: its clock stood still at 5 days while on hold.
    assert [0, 0, 0, 5, 0, 0, 0, -1, 0, 0, 0] == found.age.tolist()
    assert [0, 5, 10, 5, 25, 30, 30, NO_DAY, 4, 9, 9] == found.entered.tolist()
    assert [1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 1] == found.visit.tolist()
    assert [-1, 0, 1, 0, 1, 0, 3, -1, 1, 5, 1] == found.previous.tolist()
    assert [0, 1, 1, 1, 1, 2, 3, 1, 1, 1, 3] == found.furthest.tolist()
    assert [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1] == found.reopened.tolist()
    assert [1, 2, 1, 0, 3, 4, -1, 5, 1, 4, -1] == found.target.tolist()
    assert [NO_DAY] * 6 + [30, NO_DAY, 4, NO_DAY, 9] == found.closed_on.tolist()
    assert [3] == np.flatnonzero(found.resumed).tolist()
    assert [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10] == found.of_row.tolist()


def test_days_on_hold_count_only_in_their_own_visit():
    """A second hold in a later visit does not shorten it by the first one."""
    # propose 0-4, hold 4-10, propose 10-12, hold 12-20, propose from 20: 4 + 2 = 6 days before 20.
    found = cut(np.zeros(5, int), np.array([0, 4, 10, 12, 20]), np.array([1, 2, 1, 2, 1]), [0])
    assert [0, 0, 4, 0, 6] == found.age.tolist()
    assert [1, 1, 1, 2, 1] == found.visit.tolist()


def test_two_kinds_of_leaving_hold():
    """Coming back from hold to another stage is a fresh visit there."""
    found = cut(np.zeros(3, int), np.array([0, 4, 10]), np.array([1, 2, 3]), [0])
    assert [0, 0, 0] == found.age.tolist()
    assert [False, False, False] == found.resumed.tolist()
    assert [-1, 1, 1] == found.previous.tolist()


def test_a_deal_that_starts_on_hold():
    """There is no stage to resume before the first working one."""
    found = cut(np.zeros(2, int), np.array([0, 3]), np.array([2, 0]), [0])
    assert [0, 0] == found.age.tolist()
    assert [-1, -1] == found.previous.tolist()
    assert [-1, 0] == found.furthest.tolist()


def test_no_rows():
    """A history without rows has no pieces."""
    empty = np.empty(0, dtype=np.int32)
    assert 0 == len(cut(empty, empty, empty, []).deal)
    assert [] == trace.pushes(empty, empty, empty, empty).tolist()


def test_last_rows_are_those_on_or_before_the_day():
    """A deal without a row by then gives -1."""
    bounds = trace.deal_bounds(DEAL, 2)
    assert [0, 7, 12] == bounds.tolist()
    assert [-1, -1] == asof.last_rows(AT, bounds, -1).tolist()
    assert [0, 7] == asof.last_rows(AT, bounds, 3).tolist()
    assert [6, 11] == asof.last_rows(AT, bounds, 99).tolist()


@pytest.mark.parametrize("chunk", [1, 5, asof.CHUNK])  # rows of a deal in several chunks, or one
def test_rows_of_many_days_are_the_last_rows_of_each(chunk, monkeypatch):
    """Days in any order, also twice, without rows before the first and beyond the last row."""
    monkeypatch.setattr(asof, "CHUNK", chunk)
    bounds = trace.deal_bounds(DEAL, 2)
    days = [9, 3, 30, 99, 3, -1, 4]
    won = OUTCOMES[STAGE] == 1
    found = asof.rows_on(DEAL, AT, days)
    some = asof.rows_on(DEAL, AT, days, among=won)
    for day, rows, among in zip(days, found, some, strict=True):
        last = asof.last_rows(AT, bounds, day)
        last = last[last >= 0]
        assert last.tolist() == rows.tolist()
        assert last[won[last]].tolist() == among.tolist()
    assert [[]] == [rows.tolist() for rows in asof.rows_on(DEAL[:0], AT[:0], [3])]


def test_pushes_count_later_promises_only():
    """A promise withdrawn and given again is compared with the last known one."""
    promise = np.array([NO_DAY, 5, NO_DAY, 7, 6, 8, 3, 2], dtype=np.int32)
    deal, at = np.array([0, 0, 0, 0, 0, 0, 1, 1]), np.arange(8)
    found = trace.pushes(deal, at, promise, np.zeros(8, dtype=int))
    assert [0, 0, 0, 1, 1, 2, 0, 0] == found.tolist()


def test_a_promise_after_a_reopening_is_a_new_one():
    """Closed with 5, reopened with 9, which is no push; 12 is one. Closed rows promise nothing."""
    promise = np.array([5, 7, 9, 12], dtype=np.int32)
    outcome = np.array([0, 2, 0, 0])  # lost, and reopened
    deal, at = np.zeros(4, dtype=int), np.arange(4)
    assert [-1, -1, -1, 2] == trace.promised_before(deal, at, promise, outcome).tolist()
    assert [0, 0, 0, 1] == trace.pushes(deal, at, promise, outcome).tolist()


def test_within_a_day_nothing_is_pushed():
    """5, then 9 and 6 on one day: one push, to 6; what was corrected at once is not counted."""
    promise = np.array([5, 9, 6, 8, 6], dtype=np.int32)
    deal, at = np.zeros(5, dtype=int), np.array([0, 1, 1, 2, 2])
    found = trace.pushes(deal, at, promise, np.zeros(5, dtype=int))
    assert [0, 0, 1, 1, 1] == found.tolist()


@pytest.mark.usefixtures("two_threads")
def test_the_rows_of_the_next_day_are_there_before_they_are_asked_for():
    """They are the same; whoever stops in the middle leaves no thread behind."""
    days = [9, 3, 5, 5, -1, 400]
    many = np.arange(40_000)
    assert np.array_equal(many, *asof.rows_on(many, many % 7, [9]))
    found = [rows.tolist() for rows in asof.rows_on(DEAL, AT, days)]
    fn.set_threads(1)
    assert found == [rows.tolist() for rows in asof.rows_on(DEAL, AT, days)]
    fn.set_threads(2)
    for asked in (1, len(days)):
        some = asof.rows_on(DEAL, AT, days)
        assert found[:asked] == [rows.tolist() for rows in itertools.islice(some, asked)]
        some.close()
        assert not [one for one in threading.enumerate() if one.name.startswith("funnel")]


@pytest.mark.usefixtures("two_threads")
def test_what_fails_ahead_of_its_time_is_raised_when_it_is_asked_for():
    """After what came before it."""
    found = threads.ahead((1 // number for number in (1, 0)), 1)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
