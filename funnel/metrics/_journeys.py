"""What deals went through: visits to stages, and lives from creation to the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels import stays
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.metrics._groups import Scope
    from funnel.stages import Funnel
    from funnel.tables import History
    from funnel.typing import BoolArray, DayArray, IntArray

__all__ = [
    "FATES",
    "Lives",
    "Visits",
    "counted_visits",
    "fates",
    "first_age",
    "how_many",
    "lives",
    "state_on",
    "visits",
]

FATES = ("advanced", "won", "lost", "moved back", "on hold", "removed", "still there")
"""What can become of an entry into a stage; the counts always add up to the entries."""

ADVANCED, WON, LOST, BACK, HELD, REMOVED, THERE = range(7)

CLOSED = np.array([THERE, WON, LOST, REMOVED])  # by outcome, the first of which is open


class Visits(NamedTuple):
    """Visits to states, (v,) each.

    A visit goes on while the deal is on hold and comes back to the stage it left; days on hold
    count in calendar days and not in the `clock`. A stay in an on-hold stage is a visit too.
    """

    deal: IntArray
    stage: IntArray
    row: IntArray
    start: DayArray  # first seen in it
    entered: DayArray  # NO_DAY: unknown
    stop: DayArray  # NO_DAY: still there
    target: IntArray  # -1: still there
    place: IntArray  # on the ladder; that of the stage left, for one on hold
    clock_in: IntArray  # days of the visit before `start`, -1 unknown
    clock_out: IntArray  # when it ended, or the censoring day came
    number: IntArray | None = None  # visits that each stands for; None: one


def _next(mask: BoolArray) -> IntArray:
    """(p,) -> (p,): the next marked position after each, p where there is none."""
    n = len(mask)
    at = np.minimum.accumulate(np.where(mask, np.arange(n), n)[::-1])[::-1]
    return np.append(at[1:], n)[:n]


def _carry(mask: BoolArray) -> IntArray:
    """(p,) -> (p,): the last marked position up to each, -1 where there is none."""
    return np.maximum.accumulate(np.where(mask, np.arange(len(mask)), -1))


def visits(history: History) -> Visits:
    """Join the pieces of a history into visits."""
    pieces, funnel = history.pieces, history.funnel
    n = len(pieces.deal)
    deal, start = pieces.deal, pieces.start.astype(np.int64)
    held = funnel.on_hold[pieces.stage]
    opens = np.concatenate(([True], deal[1:] != deal[:-1]))[:n]
    begins = (~held & ~pieces.resumed) | opens
    after = np.where(held, np.arange(1, n + 1), _next(begins))
    origin = np.flatnonzero(held | begins)
    follows = after[origin]
    found = np.minimum(follows, n - 1)
    gone = (follows < n) & (deal[found] == deal[origin])
    end = np.where(pieces.stop == NO_DAY, history.observed_until, pieces.stop)
    last = np.where(held[origin], origin, _carry(~held)[follows - 1])
    clock = pieces.age[last] + end[last] - start[last]
    source = _carry(~held)
    own = (source >= 0) & (deal[source] == deal)
    place = np.where(own, funnel.ladder[pieces.stage[source]], -1)[origin]
    known = pieces.age[origin] >= 0
    return Visits(
        deal=deal[origin],
        stage=pieces.stage[origin].astype(np.int64),
        row=np.flatnonzero(np.diff(pieces.of_row, prepend=-1))[origin],
        start=pieces.start[origin],
        entered=pieces.entered[origin],
        stop=np.where(gone, pieces.start[found], NO_DAY),
        target=np.where(gone, pieces.stage[found], -1).astype(np.int64),
        place=place,
        clock_in=np.where(known, pieces.age[origin], -1),
        clock_out=np.where(known, clock, -1),
    )


def counted_visits(history: History, scope: Scope) -> Visits:
    """Return visits, those that nothing in `scope` tells apart as one with their number.

    Where no stage is on hold, a visit is a stay, and without groups and periods only its state, its
    target and its days matter: some thousand kinds, whatever the number of deals.
    """
    funnel = history.funnel
    days = history.observed_until - history.observed_from + 1
    alike = not scope.by and scope.periods is None and not funnel.on_hold.any()
    if not alike or stays.number_of_cells(len(funnel.ids), days) > stays.MOST_CELLS:
        return visits(history)
    found = history.stays
    nowhere = np.zeros(len(found.stage), dtype=np.int64)  # no column and no day is asked for
    return Visits(
        deal=nowhere,
        stage=found.stage,
        row=nowhere,
        start=found.start,
        entered=found.entered,
        stop=found.stop,
        target=found.target,
        place=funnel.ladder[found.stage],
        clock_in=found.before,
        clock_out=found.length,
        number=found.number,
    )


def how_many(mask: BoolArray, number: IntArray | None) -> int:
    """Return how many are marked, of which each stands for some."""
    return int(np.count_nonzero(mask) if number is None else number[mask].sum())


def state_on(history: History, deal: IntArray, days: IntArray) -> IntArray:
    """(m,), (m,) -> (m,): the state of deals at the end of days on which they were known."""
    pieces = history.pieces
    base = history.observed_from
    span = history.observed_until - base + 1
    begin = pieces.deal.astype(np.int64) * span + (pieces.start - base)
    asked = deal.astype(np.int64) * span + (np.minimum(days, history.observed_until) - base)
    return np.asarray(pieces.stage[np.searchsorted(begin, asked, side="right") - 1])


def fates(funnel: Funnel, found: Visits, goal: IntArray, gone: BoolArray) -> IntArray:
    """(v,), (v,) -> (v,): positions in `FATES`, given where the deals of visits are now."""
    onward = np.where(funnel.ladder[goal] >= found.place, ADVANCED, BACK)
    outcome = funnel.outcomes[goal]
    fate = np.where(outcome == Outcome.OPEN, onward, CLOSED[outcome])
    fate = np.where(gone, fate, THERE)
    paused = funnel.on_hold[goal] & (gone | ~funnel.on_hold[found.stage])
    return np.where(paused, HELD, fate)


def first_age(seen: IntArray, last: IntArray, *, leaves: BoolArray) -> IntArray:
    """(m,), (m,), (m,) -> (m,): the first age at risk, given the age when first seen.

    Who is fresh (age 0) can leave on that day. Who was first seen later can leave from the next
    day on, or on the same day where that is what was seen.
    """
    late = seen > 0
    at_once = leaves & (last == seen)
    return np.where(late & ~at_once, seen + 1, seen)


class Lives(NamedTuple):
    """Deals from creation to how they stand at the end of `observed_until`, (n,) each."""

    first_row: IntArray
    last_row: IntArray
    created: DayArray
    closed: DayArray  # NO_DAY while open, also after a reopening
    outcome: IntArray
    first: IntArray  # first age at risk, -1 where the deal was first seen closed, long after
    last: IntArray  # age at closing, or on the censoring day


def lives(history: History) -> Lives:
    """Take the outcome of each deal as `funnel.outcomes` defines it, net of reopening."""
    pieces, funnel = history.pieces, history.funnel
    first_row, last_row = history.bounds[:-1], history.bounds[1:] - 1
    outcome = funnel.outcomes[history.stage[last_row]].astype(np.int64)
    closed = pieces.closed_on[pieces.of_row[last_row]]
    created = history.created.astype(np.int64)
    seen = history.at[first_row] - created
    last = np.where(outcome == Outcome.OPEN, history.observed_until, closed) - created
    leaves = outcome != Outcome.OPEN
    unseen = (funnel.outcomes[history.stage[first_row]] != Outcome.OPEN) & (seen > 0)
    first = np.where(unseen, -1, first_age(seen, last, leaves=leaves))
    return Lives(first_row, last_row, history.created, closed, outcome, first, last)
