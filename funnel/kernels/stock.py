"""How many deals are in each cell at the end of many days, and their money, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels import threads
from funnel.kernels.cells import CHUNK, add

if TYPE_CHECKING:
    from funnel.kernels.cells import Cells
    from funnel.typing import DayArray, FloatArray, IntArray

__all__ = ["Stock", "stock_on"]


class Stock(NamedTuple):
    """Deals, the sum of their known amounts, and how many are unknown, by day and cell: (k, c)."""

    deals: IntArray
    amount: FloatArray
    unknown: IntArray


def stock_on(
    deal: IntArray, at: DayArray, amount: FloatArray, *, days: DayArray, cells: Cells, size: int
) -> Stock:
    """Add up the rows that hold at the end of each day: ``(r,) x 3, (k,) -> (k, c)`` each.

    Parameters
    ----------
    deal, at, amount : (r,)
        Rows sorted by deal and time; NaN is an unknown amount.
    days : (k,) int
        Ascending, each once.
    cells : callable
        The cell of each of some rows, 0 to c - 1, or c for none.
    size : int
        c.

    Notes
    -----
    A row enters its cell on the first day that is not before its own, and leaves it on the first
    one that is not before that of the next row of its deal. Entries and exits are added up by day
    and cell; what is there at the end of a day is the sum of all of them so far, in one pass
    whatever the number of days. Counts are exact, sums rounded relative to all amounts that passed.

    Examples
    --------
    >>> deal, at, amount = np.array([0, 0, 1]), np.array([3, 9, 5]), np.array([10.0, 20.0, np.nan])
    >>> cell, days = np.array([0, 1, 0]), np.array([4, 9])
    >>> found = stock_on(deal, at, amount, days=days, cells=lambda rows: cell[rows], size=2)
    >>> found.deals.tolist(), found.amount.tolist(), found.unknown.tolist()
    ([[1, 0], [1, 1]], [[10.0, 0.0], [0.0, 20.0]], [[0, 0], [1, 0]])
    """
    last = int(at.max(initial=0))
    first = int(at.min(initial=last))
    places = np.searchsorted(days, np.arange(first, last + 1))

    def some(begin: int, end: int) -> FloatArray:
        sides = np.zeros((2, 3, (len(days) + 1) * (size + 1)))  # entries and exits
        for first_row in range(begin, end, CHUNK):
            last_row = min(first_row + CHUNK, end)
            rows, onward = slice(first_row, last_row), slice(first_row, last_row + 1)
            place = places.take(np.subtract(at[onward], first, dtype=np.intp))
            final = deal[onward][1:] != deal[onward][:-1]
            entered, known, cell = place[: len(at[rows])], amount[rows], cells(rows)
            left = np.full(len(known), len(days))  # the last row of a deal holds for good
            np.maximum(place[1:], final * len(days), out=left[: len(final)])
            missing = None
            if np.isnan(known.min()):  # not known is rare: whether it is there shows in the minimum
                missing = np.flatnonzero(np.isnan(known))
                known = np.nan_to_num(known)
            for key, (count, money, unknown) in zip((entered, left), sides, strict=True):
                np.multiply(key, size + 1, out=key)
                np.add(key, cell, out=key)
                add(count, key, None)
                add(money, key, known)
                if missing is not None:
                    add(unknown, key[missing], None)
        return sides

    sides = np.sum(threads.halves(some, len(at)), axis=0)
    change = (sides[0] - sides[1]).reshape(3, -1, size + 1)
    count, money, unknown = np.cumsum(change, axis=1)[:, :-1, :-1]
    money[count == unknown] = 0.0  # what came and went leaves no crumbs
    return Stock(count.astype(np.int64), money, unknown.astype(np.int64))
