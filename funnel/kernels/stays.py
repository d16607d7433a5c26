"""Stays in states, counted: of stays that no answer can tell apart, only the number is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels.trace import first_rows, whole_deals

if TYPE_CHECKING:
    from funnel.typing import DayArray, IntArray

__all__ = ["MOST_CELLS", "Stays", "count_stays", "number_of_cells"]

CHUNK = 1 << 17
"""Rows worked on at once, so that temporary arrays stay in the cache."""

MOST_CELLS = 1 << 22
"""Beyond this many combinations of state, target and days, counting them saves nothing."""


class Stays(NamedTuple):
    """Kinds of stays, (m,) each: `number` of them are alike.

    ``target`` is -1 where the deal is still there, ``start`` the day of the first row, and
    ``entered`` that of the entry, which is another one only where the deal was first seen later.
    Fresh stays of one kind are shown as if the last of their days had been the last day of all.
    """

    stage: IntArray
    target: IntArray
    start: DayArray
    entered: DayArray
    stop: DayArray
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
    until: int,
) -> Stays:
    """Count the stays of a change log: (r,), (r,), (r,), (n,) -> (m,) each.

    Parameters
    ----------
    deal, at, stage : (r,) int
        Deal, day and state of each row, sorted by deal and time; every deal has rows.
    first_entered : (n,) int32
        Day on which the first state seen of each deal was entered.
    states : int
        Number of states.
    until : int
        Last day that was observed.

    Returns
    -------
    Stays
        Fresh ones by kind, and each one whose entry was not seen for itself.

    Examples
    --------
    Two deals stay one day in state 0 and go to state 1, where they still are on day 3:

    >>> found = count_stays(
    ...     np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2]), np.array([0, 1, 0, 1]),
    ...     first_entered=np.array([0, 1]), states=2, until=3,
    ... )
    >>> found.stage.tolist(), (found.stop - found.start).tolist(), found.number.tolist()
    ([0, 1, 1], [1, 1, 2], [2, 1, 1])
    """
    begin = int(at.min(initial=until))
    sizes = states, until - begin + 1
    cells = np.zeros(number_of_cells(*sizes), dtype=np.int64)
    odd: list[IntArray] = [np.empty((5, 0), dtype=np.int64)]
    for rows in whole_deals(deal, CHUNK):
        entered = first_entered[deal[rows.start] : deal[rows.stop - 1] + 1]
        key, late = _stays(deal[rows], at[rows], stage[rows], entered, begin, sizes)
        cells += np.bincount(key, minlength=len(cells))
        odd.append(late)
    kinds = np.flatnonzero(cells)
    move, length = np.divmod(kinds, sizes[1])
    origin, goal = np.divmod(move, states + 1)
    fresh = np.stack((origin, goal, until - length, until - length, np.full(len(kinds), until)))
    stage, target, start, entered, stop = np.concatenate((fresh, *odd), axis=1)
    number = np.ones(len(stage), dtype=np.int64)
    number[: len(kinds)] = cells[kinds]
    return Stays(stage, np.where(target == states, -1, target), start, entered, stop, number)


def _stays(  # noqa: PLR0917 - as `count_stays`
    deal: IntArray,
    at: DayArray,
    stage: IntArray,
    entered: DayArray,
    begin: int,
    sizes: tuple[int, int],
) -> tuple[IntArray, IntArray]:
    """Return the cell of each fresh stay of some deals, and the others one by one: (5, q)."""
    states, days = sizes
    first = first_rows(deal)
    moves = first[1:] | (stage[1:] != stage[:-1])
    if not moves.all():  # rows on which other things changed than the state
        kept = np.flatnonzero(np.append(True, moves))
        at, stage, first = at[kept], stage[kept], first[kept]
    # Arithmetic instead of masks. State and day of the next row are one number; those after the
    # last row of a deal, which stand for being there on the last day of all, are the highest.
    day, highest = at - np.int32(begin), np.int32((states + 1) * days - 1)
    key = stage * np.int32(days)
    follows = np.append(first[1:], True) * highest
    np.maximum(follows[:-1], key[1:] + day[1:], out=follows[:-1])
    key *= np.int32(states + 1)
    key -= day
    key += follows
    opens = np.flatnonzero(first)
    late = np.flatnonzero(at[opens] != entered)
    if not len(late):
        return key, np.empty((5, 0), dtype=np.int64)
    place = opens[late]
    goal, stop = np.divmod(follows[place], days)
    alone = np.stack((stage[place], goal, at[place], entered[late], stop + begin))
    return np.delete(key, place), alone.astype(np.int64)
