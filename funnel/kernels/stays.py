"""Stays in states, counted: of stays that no answer can tell apart, only the number is kept."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import DayArray, IntArray

__all__ = ["MOST_CELLS", "Stays", "count_stays", "number_of_cells"]

CHUNK = 1 << 16
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
    bounds: IntArray,
    at: DayArray,
    stage: IntArray,
    *,
    first_entered: DayArray,
    states: int,
    window: tuple[int, int],
) -> Stays:
    """Count the stays of a change log: (n + 1,), (r,), (r,), (n,) -> (m,) each.

    Parameters
    ----------
    bounds : (n + 1,) int
        Where the rows of each deal begin.
    at, stage : (r,) int
        Day and state of each row, sorted by deal and time.
    first_entered : (n,) int32
        Day on which the first state seen of each deal was entered.
    states : int
        Number of states.
    window : tuple of int
        First and last day that was observed; all rows lie between them.

    Returns
    -------
    Stays
        Fresh ones by kind, and each one whose entry was not seen for itself.

    Examples
    --------
    Two deals stay one day in state 0 and go to state 1, where they still are on day 3:

    >>> found = count_stays(
    ...     np.array([0, 2, 4]), np.array([0, 1, 1, 2]), np.array([0, 1, 0, 1]),
    ...     first_entered=np.array([0, 1]), states=2, window=(0, 3),
    ... )
    >>> found.stage.tolist(), (found.stop - found.start).tolist(), found.number.tolist()
    ([0, 1, 1], [1, 1, 2], [2, 1, 1])
    """
    until = window[1]
    days = until - window[0] + 1
    cells = np.zeros(number_of_cells(states, days), dtype=np.int64)
    size = max(CHUNK, len(cells) // 4)  # adding the counts up must not cost more than counting
    edges = np.searchsorted(bounds, np.arange(0, len(at) + size, size))
    edges = np.unique(np.minimum(edges, len(bounds) - 1))
    odd: list[IntArray] = [np.empty((5, 0), dtype=np.int64)]
    for begin, end in itertools.pairwise(edges.tolist()):
        rows = slice(int(bounds[begin]), int(bounds[end]))
        opens = bounds[begin:end] - rows.start
        key, late = _stays(
            opens, at[rows], stage[rows], first_entered[begin:end], (states, days, until)
        )
        cells += np.bincount(key, minlength=len(cells))
        odd.append(late)
    kinds = np.flatnonzero(cells)
    move, length = np.divmod(kinds, days)
    origin, goal = np.divmod(move, states + 1)
    begun = until - length
    fresh = np.stack((origin, goal - 1, begun, begun, np.full(len(kinds), until)))
    stage, target, start, entered, stop = np.concatenate((fresh, *odd), axis=1)
    number = np.ones(len(stage), dtype=np.int64)
    number[: len(kinds)] = cells[kinds]
    return Stays(stage, target, start, entered, stop, number)


def _stays(
    opens: IntArray,
    at: DayArray,
    stage: IntArray,
    entered: DayArray,
    sizes: tuple[int, int, int],
) -> tuple[IntArray, IntArray]:
    """Return the cell of each fresh stay of some deals, and the others one by one: (5, q)."""
    states, days, until = sizes
    first = np.zeros(len(at), dtype=np.bool_)
    first[opens] = True
    begins = first[1:] | (stage[1:] != stage[:-1])
    if not begins.all():  # rows on which other things changed than the state
        kept = np.flatnonzero(np.concatenate(([True], begins)))
        at, stage, first = at[kept], stage[kept], first[kept]
        opens = np.flatnonzero(first)
    # Arithmetic instead of masks: what comes next of a last stay is nothing, on the last day.
    last = np.concatenate((first[1:], [True]))
    stop, goal = np.empty(len(at), dtype=np.int32), np.zeros(len(at), dtype=np.int32)
    np.maximum(at[1:], last[:-1] * np.int32(until), out=stop[:-1])
    stop[-1:] = until
    np.multiply(stage[1:] + 1, ~last[:-1], out=goal[:-1])
    key = stage * np.int32(states + 1)
    key += goal
    key *= np.int32(days)
    key += stop
    key -= at
    late = np.flatnonzero(at[opens] != entered)
    if not len(late):
        return key, np.empty((5, 0), dtype=np.int64)
    place = opens[late]
    alone = np.stack((stage[place], goal[place] - 1, at[place], entered[late], stop[place]))
    return np.delete(key, place), alone.astype(np.int64)
