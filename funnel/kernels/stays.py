"""Stays in states, counted: of stays that no answer can tell apart, only the number is kept."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels import threads
from funnel.kernels.trace import first_rows, whole_deals
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.typing import DayArray, IntArray

__all__ = ["MOST_CELLS", "Stays", "count_stays", "number_of_cells"]

CHUNK = 1 << 17
"""Rows worked on at once, so that temporary arrays stay in the cache."""

BLOCK = 1 << 19
"""Rows counted at once: each count makes and adds an array of all cells."""

SHORT = 180
"""States of which two numbers multiplied fit into two bytes."""

MOST_CELLS = 1 << 22
"""Beyond this many combinations of state, target and days, counting them saves nothing."""


class Stays(NamedTuple):
    """Kinds of stays, (m,) each: `number` of them are alike.

    ``start`` is the day of the first row, and ``entered`` that of the entry, which is another one
    only where the deal was first seen later, `NO_DAY` where it is unknown. ``before`` and
    ``length`` are the days of the stay before its first row and in all, -1 where they are unknown.
    While the deal is still there, ``target`` is -1 and ``stop`` is `NO_DAY`. Fresh stays of one
    kind are shown as if the last of their days had been the last day of all.
    """

    stage: IntArray
    target: IntArray
    start: DayArray
    entered: DayArray
    stop: DayArray
    before: IntArray
    length: IntArray
    number: IntArray


def number_of_cells(states: int, days: int) -> int:
    """Return how many kinds of fresh stays there can be in a window of so many days."""
    return states * (states + 1) * days


def count_stays(
    deal: IntArray,
    at: DayArray,
    stage: IntArray,
    *,
    first_entered: DayArray,
    states: int,
    since: int,
    until: int,
) -> Stays:
    """Count the stays of a change log: (r,), (r,), (r,), (n,) -> (m,) each.

    Parameters
    ----------
    deal, at, stage : (r,) int
        Deal, day and state of each row, sorted by deal and time; every deal has rows.
    first_entered : (n,) int32
        Day on which the first state seen of each deal was entered, none after its first row.
    states : int
        Number of states.
    since, until : int
        First and last day that were observed.

    Returns
    -------
    Stays
        Fresh ones by kind, and each one whose entry was not seen for itself.

    Examples
    --------
    Two deals stay one day in state 0 and go to state 1, where they still are on day 3:

    >>> found = count_stays(
    ...     np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), np.array([0, 1, 0, 1]),
    ...     first_entered=np.array([0, 1]), states=2, since=0, until=3,
    ... )
    >>> found.stage.tolist(), found.length.tolist(), found.number.tolist()
    ([0, 1, 1], [1, 1, 2], [2, 1, 1])
    """
    log = deal, at, stage
    cells = _count(*log, since, states, until)
    # A deal is seen from its first row to the last day of all, whatever it does meanwhile.
    seen = int(cells.sum(axis=1) @ np.arange(len(cells)))
    late: IntArray = np.empty((5, 0), dtype=np.int64)
    if len(first_entered) * until - seen != int(first_entered.sum(dtype=np.int64)):
        late = _late(*log, first_entered, states, until)
        np.subtract.at(cells, (late[4] - late[2], late[0] * (states + 1) + late[1]), 1)
    by_move = np.ascontiguousarray(cells.T).reshape(-1)
    kinds = np.flatnonzero(by_move)
    move, length = np.divmod(kinds, len(cells))
    origin, goal = np.divmod(move, states + 1)
    last = np.full(len(kinds), until)
    fresh = np.stack((origin, goal, last - length, last - length, last))
    stage, target, start, entered, stop = np.concatenate((fresh, late), axis=1)
    before, length = start - entered, stop - entered
    before[entered == NO_DAY] = length[entered == NO_DAY] = -1
    stays = target == states
    target[stays], stop[stays] = -1, NO_DAY
    number = np.concatenate((by_move[kinds], np.ones(late.shape[1], dtype=np.int64)))
    return Stays(stage, target, start, entered, stop, before, length, number)


def _count(  # noqa: PLR0917 - as `count_stays`
    deal: IntArray, at: DayArray, stage: IntArray, since: int, states: int, until: int
) -> IntArray:
    """(r,), (r,), (r,) -> (l, s * (s + 1)): stays by length and move, late ones as if fresh."""
    cells = np.zeros(number_of_cells(states, until - since + 1), dtype=np.int64)
    adding = threading.Lock()

    def some(begin: int, end: int) -> int:
        """Count the deals that begin in a range of rows, and return the highest cell."""
        mine = slice(*(_begin(deal, row) for row in (begin, end)))
        blocks = list(whole_deals(deal[mine], BLOCK))
        most = max((rows.stop - rows.start for rows in blocks), default=0)
        room, highest = np.empty(most, dtype=np.intp), 0
        for block in blocks:
            log = deal[mine][block], at[mine][block], stage[mine][block]
            found = 0
            for rows in whole_deals(log[0], CHUNK):
                key = _keys(*_moves(*log, rows), since, states, until)
                room[found : found + len(key)] = key
                found += len(key)
            counted = np.bincount(room[:found])
            with adding:
                cells[: len(counted)] += counted
            highest = max(highest, len(counted) - 1)
        return highest

    highest = max(threads.shared(some, len(deal)))
    moves = states * (states + 1)
    return cells.reshape(-1, moves)[: highest // moves + 1]


def _begin(deal: IntArray, row: int) -> int:
    """Return the first row of the deal of a row."""
    return int(np.searchsorted(deal, deal[row])) if row < len(deal) else row


def _moves(
    deal: IntArray, at: DayArray, stage: IntArray, rows: slice
) -> tuple[IntArray, DayArray, IntArray]:
    """Return the rows of some deals that begin a stay: (r,), (r,), (r,) -> (p,), (p,), (p,)."""
    deal, at, stage = deal[rows], at[rows], stage[rows]
    moves = deal[1:] != deal[:-1]
    moves |= stage[1:] != stage[:-1]
    if moves.all():
        return deal, at, stage
    kept = np.flatnonzero(np.append(True, moves))
    return deal[kept], at[kept], stage[kept]


def _keys(  # noqa: PLR0917 - as `count_stays`
    deal: IntArray, at: DayArray, stage: IntArray, since: int, states: int, until: int
) -> IntArray:
    """(p,), (p,), (p,) -> (p,): the cell of each stay, if it is fresh."""
    moves = np.int32(states * (states + 1))
    if until * int(moves) + states < 1 << 31:
        since = 0  # what is subtracted from both ends need not be
    # Arithmetic instead of masks: day and state of a row are one number. After the last row of a
    # deal, they stand for being there on the last day of all, and are the highest.
    day = np.subtract(at, since, dtype=np.int32) if since else at
    place: IntArray = np.multiply(day, moves, dtype=np.int32)
    place += stage
    key = np.empty_like(place)
    np.subtract(deal[1:], deal[:-1], out=key[:-1], dtype=np.int32)
    key[-1:] = 1
    key *= np.int32((until - since) * int(moves) + states)
    np.maximum(key[:-1], place[1:], out=key[:-1])
    key -= place
    key += stage * (np.int16 if states < SHORT else np.int32)(states + 2)
    return key


def _late(  # noqa: PLR0917 - as `count_stays`
    deal: IntArray,
    at: DayArray,
    stage: IntArray,
    first_entered: DayArray,
    states: int,
    until: int,
) -> IntArray:
    """Return stage, target, start, entry and end of each stay that was first seen later: (5, q)."""
    late: list[IntArray] = []
    for rows in whole_deals(deal, CHUNK):
        of, day, state = _moves(deal, at, stage, rows)
        opens = np.flatnonzero(first_rows(of))
        entered = first_entered[of[0] : of[-1] + 1]
        odd = np.flatnonzero(day[opens] != entered)
        place = opens[odd]
        follows = np.minimum(place + 1, len(of) - 1)
        leaves = (follows > place) & (of[follows] == of[place])
        goal = np.where(leaves, state[follows], states)
        stop = np.where(leaves, day[follows], until)
        late.append(np.stack((state[place], goal, day[place], entered[odd], stop)))
    return np.concatenate(late, axis=1, dtype=np.int64)
