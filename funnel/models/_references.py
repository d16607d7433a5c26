"""Open deals as they stood on reference days, and how each of them ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.models.win_rate import CAUSES, _closings
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.tables import History
    from funnel.typing import IntArray

__all__ = ["CENSORED", "References", "references"]

CENSORED = CAUSES - 1
"""The cause of a deal that is still open at the end of `observed_until`; 0 is won, 1 closed."""


class References(NamedTuple):
    """One entry for each deal that is open at the end of a reference day, (m,) each.

    `row` is the row of the history that says how the deal stood; `day` is the reference day;
    `days` later (at least 1) it was won, lost or removed (`cause`), or last seen open.
    """

    row: IntArray
    day: IntArray
    days: IntArray
    cause: IntArray


def references(history: History, grid: IntArray, /) -> References:
    """Look at all open deals at the end of each day of `grid`, (g,) ascending days.

    Each row of a history holds from its day to the day before the next row of its deal; the
    reference days in between are repeated from it, without going through the days one by one.
    """
    after = np.append(history.at[1:], 0) if len(history) else history.at
    last = np.zeros(len(history), dtype=np.bool_)
    last[history.bounds[1:] - 1] = True
    until = np.where(last, history.observed_until + 1, after)
    is_open = history.funnel.outcomes[history.stage] == Outcome.OPEN
    first = np.searchsorted(grid, history.at)
    count = np.where(is_open, np.searchsorted(grid, until) - first, 0)
    row = np.repeat(np.arange(len(history)), count)
    step = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    day = grid[first[row] + step].astype(np.int64)
    closed, cause = _closings(history)
    piece = history.pieces.of_row[row]
    end = np.where(cause[piece] == CENSORED, history.observed_until, closed[piece])
    return References(row, day, end - day, cause[piece])
