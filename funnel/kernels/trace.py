"""What the rows of a change log say about each deal, up to and including each row.

Rows are sorted by deal and time. A *piece* is a run of rows of one deal in one state; a *visit* is
a piece together with its continuations: a deal that comes back from an on-hold stage to the stage
it left resumes the same visit, and the days on hold do not count. Every value of a piece or row
depends on that row and earlier rows of the same deal only, so that a snapshot is a plain `take`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.typing import BoolArray, DayArray, IntArray

__all__ = [
    "Pieces",
    "clocks",
    "deal_bounds",
    "first_rows",
    "last_of_day",
    "pieces",
    "promised_before",
    "pushes",
    "some_pieces",
    "whole_deals",
]

CHUNK = 1 << 15
"""Rows worked on at once, so that temporary arrays stay in the cache."""

OPEN, WON, LOST = 0, 1, 2  # codes of funnel.stages.Outcome; the last two count as closed


class Pieces(NamedTuple):
    """One entry for each run of rows of one deal in one state, all of shape (p,).

    ``age`` is in days spent in the visit before the piece begins, -1 where the day of entry is
    unknown; ``previous`` is the state of the visit before, -1 where there is none; ``furthest`` is
    the highest position on the ladder so far, -1 where none was reached.
    """

    deal: IntArray
    stage: IntArray
    start: DayArray
    entered: DayArray
    age: IntArray
    visit: IntArray
    previous: IntArray
    furthest: IntArray
    reopened: IntArray
    closed_on: DayArray
    target: IntArray
    stop: DayArray
    resumed: BoolArray
    of_row: IntArray


def deal_bounds(deal: IntArray, n_deals: int) -> IntArray:
    """(r,) -> (n + 1,): where the rows of each deal begin, for rows sorted by deal."""
    counts = np.bincount(deal, minlength=n_deals)
    return np.concatenate(([0], np.cumsum(counts)))


def first_rows(deal: IntArray) -> BoolArray:
    """(r,) -> (r,): mask of the first row of each deal, for rows sorted by deal."""
    first = np.ones(len(deal), dtype=np.bool_)
    np.not_equal(deal[1:], deal[:-1], out=first[1:])
    return first


def _carry(mask: BoolArray) -> IntArray:
    """(p,) -> (p,): position of the last marked entry up to and including each, -1 where none."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))


def _before(position: IntArray, floor: IntArray) -> IntArray:
    """(p,), (p,) -> (p,): `position` of the entry before, -1 where it lies before `floor`."""
    shifted = np.concatenate(([-1], position[:-1])) if len(position) else position
    return np.where(shifted >= floor, shifted, -1)


def _counts_within(mask: BoolArray, begin: IntArray) -> IntArray:
    """(p,), (p,) -> (p,): marked entries from the entry `begin` of the deal up to each."""
    total = np.concatenate(([0], np.cumsum(mask, dtype=np.int64)))
    return (total[1:] - total[begin]).astype(np.int32)


def _visit_numbers(deal: IntArray, stage: IntArray, starts: BoolArray, n_states: int) -> IntArray:
    """(p,) x 3 -> (p,): 1, 2, ... for the first, second ... visit to a state; 0 elsewhere."""
    at = np.flatnonzero(starts)
    state = stage[at].astype(np.min_scalar_type(n_states))
    order = np.argsort(state, kind="stable")  # deals of one state stay in their order
    ranked = (deal[at].astype(np.int64) * n_states + state)[order]
    fresh = first_rows(ranked)
    number = np.zeros(len(deal), dtype=np.int32)
    number[at[order]] = np.arange(len(ranked)) - _carry(fresh) + 1
    return number


def pieces(
    deal: IntArray,
    at: DayArray,
    stage: IntArray,
    *,
    first_entered: DayArray,
    on_hold: BoolArray,
    ladder: IntArray,
    outcomes: IntArray,
) -> Pieces:
    """Cut rows into pieces: (r,), (r,), (r,), (n,), (s,), (s,), (s,) -> (p,) each.

    Parameters
    ----------
    deal, at, stage : (r,) int
        Rows sorted by deal and time.
    first_entered : (n,) int32
        Day on which the first state seen of each deal was entered, `NO_DAY` where unknown.
    on_hold, ladder, outcomes : (s,)
        Per state: does the clock stop, position on the ladder (-1 for none), outcome code.

    Returns
    -------
    Pieces
    """
    funnel = first_entered, on_hold, ladder, outcomes
    whole = list(whole_deals(deal, CHUNK))
    length = sum(np.count_nonzero(_changes(deal[rows], stage[rows])) for rows in whole)
    nothing = _pieces(deal[:0], at[:0], stage[:0], *funnel)
    lengths = [*[length] * (len(nothing) - 1), len(deal)]
    found = Pieces._make(map(np.empty, lengths, (column.dtype for column in nothing)))
    begin = 0
    for rows in whole:
        some = _pieces(deal[rows], at[rows], stage[rows], *funnel)
        end = begin + len(some.deal)
        for column, values in zip(found[:-1], some[:-1], strict=True):
            column[begin:end] = values
        np.add(some.of_row, begin, out=found.of_row[rows])
        begin = end
    return found


def whole_deals(deal: IntArray, rows: int) -> Iterator[slice]:
    """Cut the rows of a log between deals, into ranges of about so many."""
    edges = [*np.searchsorted(deal, deal[::rows]).tolist(), len(deal)]
    return (slice(*edge) for edge in itertools.pairwise(dict.fromkeys(edges)))


def _changes(deal: IntArray, stage: IntArray) -> BoolArray:
    """(r,), (r,) -> (r,): mask of rows that begin a piece."""
    change = first_rows(deal)
    change[1:] |= stage[1:] != stage[:-1]
    return change


class _Cut(NamedTuple):
    """The first fields of `Pieces`, and what the others need: (p,) each, `change` (r,)."""

    change: BoolArray
    deal: IntArray
    stage: IntArray
    start: DayArray
    first: BoolArray  # piece of its deal
    origin: IntArray | slice  # where the visit began; the piece itself where nothing is on hold
    came_from: IntArray
    resumed: BoolArray
    entered: DayArray
    since: DayArray  # the visit would have begun then without days on hold, `NO_DAY` unknown


def _cut(
    deal: IntArray, at: DayArray, stage: IntArray, first_entered: DayArray, on_hold: BoolArray
) -> _Cut:
    """Cut the rows of some deals into pieces, and tell since when each visit has lasted."""
    change = _changes(deal, stage)
    at_change = np.flatnonzero(change)
    d, s, start = deal[at_change], stage[at_change], at[at_change]
    first, held = first_rows(d), on_hold[s]
    entered, opens = start.astype(np.int32), np.flatnonzero(first)
    entered[opens] = first_entered[d[opens]]
    if not held.any():
        came_from = np.full_like(s, -1)
        came_from[1:] = s[:-1]
        came_from[opens] = -1
        resumed = np.zeros(len(d), dtype=np.bool_)
        return _Cut(
            *(change, d, s, start, first, slice(None), came_from, resumed), entered, entered
        )
    working = _before(_carry(~held), _carry(first))  # the last piece before this one not on hold
    came_from = np.where(working >= 0, s[working], np.int16(-1))
    resumed = ~held & ~first & (came_from == s)
    origin = np.where(held, np.arange(len(d)), _carry(~held & ~resumed))
    entered = entered[origin]
    paused = np.zeros(len(d), dtype=np.int32)  # days on hold before
    paused[1:] = np.cumsum(np.diff(start) * (held & ~_finals(first))[:-1])
    since = np.where(entered == NO_DAY, NO_DAY, entered + (paused - paused[origin]))
    return _Cut(*(change, d, s, start, first, origin, came_from, resumed), entered, since)


def _finals(first: BoolArray) -> BoolArray:
    """(p,) -> (p,): mask of the last entry of each deal, from that of the first."""
    return np.append(first[1:], True)[: len(first)]


def clocks(
    deal: IntArray,
    at: DayArray,
    stage: IntArray,
    *,
    first_entered: DayArray,
    on_hold: BoolArray,
) -> IntArray:
    """(r,), (r,), (r,), (n,), (s,) -> (r,): days in the stage less the day itself.

    As long as a row holds, the deal has been in its stage for ``clock + day`` days by the end of a
    day, days on hold left out; `NO_DAY` where the day of entry is unknown. See `pieces`.
    """
    found = np.empty(len(deal), dtype=np.int32)
    for rows in whole_deals(deal, CHUNK):
        cut = _cut(deal[rows], at[rows], stage[rows], first_entered, on_hold)
        clock = np.negative(cut.since)  # that of no day is no day
        np.take(clock, np.cumsum(cut.change) - 1, out=found[rows], mode="clip")
    return found


def _pieces(  # noqa: PLR0917 - as `pieces`
    deal: IntArray,
    at: DayArray,
    stage: IntArray,
    first_entered: DayArray,
    on_hold: BoolArray,
    ladder: IntArray,
    outcomes: IntArray,
) -> Pieces:
    """Cut the rows of some deals."""
    cut = _cut(deal, at, stage, first_entered, on_hold)
    d, s, first, final = cut.deal, cut.stage, cut.first, _finals(cut.first)
    stop = np.where(final, NO_DAY, np.append(cut.start[1:], NO_DAY)[: len(d)])
    target = np.where(final, -1, np.append(s[1:], -1)[: len(d)])
    visit = _visit_numbers(d, s, ~cut.resumed, len(on_hold))[cut.origin]

    height = int(ladder.max(initial=-1)) + 2
    floor = d.astype(np.int64) * height
    furthest = np.maximum.accumulate(floor + ladder[s] + 1) - floor - 1

    outcome = outcomes[s]
    closed = (outcome == WON) | (outcome == LOST)
    was_closed = np.concatenate(([False], closed[:-1])) & ~first
    same = np.concatenate(([False], outcome[1:] == outcome[:-1])) & ~first
    closed_on = np.where(outcome > 0, cut.start[_carry(~same)], NO_DAY)
    return Pieces(
        deal=d,
        stage=s,
        start=cut.start,
        entered=cut.entered,
        age=np.where(cut.since == NO_DAY, -1, cut.start - cut.since).astype(np.int32),
        visit=visit,
        previous=cut.came_from[cut.origin].astype(np.int16),
        furthest=furthest.astype(np.int16),
        reopened=_counts_within(was_closed & (outcome == OPEN), _carry(first)),
        closed_on=closed_on.astype(np.int32),
        target=target.astype(np.int32),
        stop=stop.astype(np.int32),
        resumed=cut.resumed,
        of_row=np.cumsum(cut.change) - 1,
    )


def last_of_day(deal: IntArray, at: DayArray) -> BoolArray:
    """(r,), (r,) -> (r,): mask of the rows that hold at the end of a day, for sorted rows."""
    last = np.ones(len(deal), dtype=np.bool_)
    last[:-1] = (deal[1:] != deal[:-1]) | (at[1:] != at[:-1])
    return last


def some_pieces(
    found: Pieces, kept: BoolArray, rows: BoolArray, number: IntArray, *, last: int
) -> Pieces:
    """Return some pieces as of day `last`: what later days add to a piece is its end.

    Parameters
    ----------
    found : Pieces
        Of all rows.
    kept : (p,) bool
        Pieces that are kept.
    rows : (r,) bool
        Their rows, up to `last`.
    number : (n,) int
        Of each deal, among those that are kept.
    last : int
        Last day known.
    """
    some = Pieces._make([*(column[kept] for column in found[:-1]), found.of_row[rows]])
    later = some.stop > last  # no day at all is before any other
    return some._replace(
        deal=number[some.deal].astype(some.deal.dtype),
        target=np.where(later, -1, some.target),
        stop=np.where(later, NO_DAY, some.stop).astype(np.int32),
        of_row=(np.cumsum(kept) - 1)[some.of_row],
    )


def promised_before(
    deal: IntArray, at: DayArray, expected_close: DayArray, outcome: IntArray
) -> IntArray:
    """(r,) x 4 -> (r,): the row with the last promise before each row, -1 where there is none.

    A promise is the expected close of an open deal at the end of a day. It is forgotten when the
    deal closes, and not when it is taken back.
    """
    ends = last_of_day(deal, at)
    since = _carry(first_rows(deal) | (ends & (outcome != OPEN)))
    return _before(_carry(ends & (outcome == OPEN) & (expected_close != NO_DAY)), since)


def pushes(deal: IntArray, at: DayArray, expected_close: DayArray, outcome: IntArray) -> IntArray:
    """(r,) x 4 -> (r,): how often the promise had moved to a later day, up to each row.

    From the end of one day to that of another, see `promised_before`; within a day nothing counts.
    """
    found = np.empty(len(deal), dtype=np.int32)
    for rows in whole_deals(deal, CHUNK):
        known = deal[rows], at[rows], expected_close[rows], outcome[rows]
        found[rows] = _pushes(*known)
    return found


def _pushes(deal: IntArray, at: DayArray, expected_close: DayArray, outcome: IntArray) -> IntArray:
    """Count the pushes of some deals."""
    before = promised_before(deal, at, expected_close, outcome)
    known = last_of_day(deal, at) & (outcome == OPEN) & (expected_close != NO_DAY)
    later = known & (before >= 0) & (expected_close > expected_close[before])
    return _counts_within(later, _carry(first_rows(deal)))
