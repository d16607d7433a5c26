"""Promise and stage of a deal as one small number: the cells of the weighted pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import threads
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.typing import DayArray, IntArray

__all__ = ["OVERDUE", "UNDATED", "coded"]

CHUNK = 131_072
"""Rows coded at once, so that temporary arrays stay in the cache."""

UNDATED, OVERDUE = 0, 1
"""Promises that there are not, and that have passed; d days ahead is `OVERDUE` + d."""


def coded(promise: DayArray, stage: IntArray, days: tuple[int, int, int], states: int) -> IntArray:
    """Return ``states`` times the promise, in days ahead, plus the stage: (n,), (n,) -> (n,).

    Parameters
    ----------
    promise : (n,) int32
        Promised days, `NO_DAY` where there is none.
    stage : (n,) int
        States, 0 to ``states`` - 1.
    days : (int, int, int)
        Today, and the days that no promise is before or after.
    states : int
        Number of states.

    Returns
    -------
    IntArray
        (n,) read-only, unsigned and as narrow as may be: 2 bytes for years ahead.

    Examples
    --------
    >>> promise = np.array([105, 99, NO_DAY], dtype=np.int32)
    >>> coded(promise, np.array([1, 2, 0]), (100, NO_DAY, 105), states=3).tolist()
    [19, 5, 0]
    """
    today, first, last = days
    highest = (max(last - today, 0) + OVERDUE + 1) * states
    found: IntArray = np.empty(len(promise), dtype=np.min_scalar_type(highest))

    def some(begin: int, end: int) -> None:
        for row in range(begin, end, CHUNK):
            rows = slice(row, min(row + CHUNK, end))
            ahead = promise[rows] if first > today else np.maximum(promise[rows], np.int32(today))
            ahead = ahead - np.int32(today - OVERDUE)
            if first == NO_DAY:
                ahead *= promise[rows] != NO_DAY
            ahead *= np.int32(states)
            ahead += stage[rows]
            found[rows] = ahead

    threads.shared(some, len(promise))
    found.flags.writeable = False
    return found
