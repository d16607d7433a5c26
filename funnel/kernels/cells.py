"""Sums by cell, in one pass: all there is to know of deals that no answer can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from funnel.typing import FloatArray, IntArray

    Cells = Callable[[slice], IntArray]

__all__ = ["COUNT", "UNKNOWN", "power_sums"]

CHUNK = 65_536
"""Rows worked on at once: all temporary arrays of a chunk stay in the cache."""

SPARSE = 4 * CHUNK
"""Cells beyond which the rows of a chunk go to their sums one by one."""

COUNT, UNKNOWN = 0, -1
"""Orders that stand for the number of rows, and for that of rows whose amount is unknown."""


def power_sums(cells: Cells, amounts: FloatArray, orders: Sequence[int]) -> FloatArray:
    """Add up powers of the amounts by cell.

    ``(r,) cells of any range of rows, (n,), m orders -> (m, c)``

    Parameters
    ----------
    cells : callable
        The cell of each of some rows, numbers >= 0; -1 is none. It is called by several threads.
    amounts : FloatArray
        (n,) amounts; NaN is unknown and counts in no power.
    orders : sequence of int
        Exponents >= 1, `COUNT` or `UNKNOWN`.

    Returns
    -------
    FloatArray
        (m, c) sums, up to the last cell that there is.

    Notes
    -----
    Nothing of the size of the table is made. Counts are the same for any number of threads, sums
    differ by rounding.

    Examples
    --------
    >>> cell, amount = np.array([1, -1, 1, 0]), np.array([2.0, 9.0, 3.0, np.nan])
    >>> power_sums(lambda rows: cell[rows], amount, (COUNT, UNKNOWN, 1, 2)).tolist()
    [[1.0, 2.0], [1.0, 0.0], [0.0, 5.0], [0.0, 13.0]]
    """

    def some(begin: int, end: int) -> FloatArray:
        return _power_sums(cells, amounts, orders, range(begin, end, CHUNK), end)

    found = threads.shared(some, len(amounts))
    total = np.zeros((len(orders), max(part.shape[1] for part in found)))
    for part in found:
        total[:, : part.shape[1]] += part
    return total[:, 1:]


def _power_sums(
    cells: Cells, amounts: FloatArray, orders: Sequence[int], starts: range, end: int
) -> FloatArray:
    """Add up the rows from `starts` on; what is in no cell comes first."""
    total, place = np.zeros((len(orders), 1)), np.empty(CHUNK, dtype=np.intp)
    for begin in starts:
        rows = slice(begin, min(begin + CHUNK, end))
        cell, amount = cells(rows), amounts[rows]
        key = place[: len(amount)]
        np.add(cell, 1, out=key)
        top = int(key.max()) + 1
        if top > total.shape[1]:
            more = np.zeros((len(orders), max(top, 2 * total.shape[1])))
            more[:, : total.shape[1]] = total
            total = more
        for row, order in enumerate(orders):
            if top > SPARSE:
                np.add.at(total[row], key, _weight(amount, order))
            else:
                added = _added(key, amount, order)
                total[row, : len(added)] += added
    used = np.flatnonzero(total.any(axis=0))
    return total[:, : used[-1] + 1 if len(used) else 1]


def _weight(amount: FloatArray, order: int) -> FloatArray:
    """Return what each row adds."""
    if order == COUNT:
        return np.ones(len(amount))
    missing = np.isnan(amount)
    if order == UNKNOWN:
        return missing.astype(np.float64)
    return _power(np.where(missing, 0.0, amount), order)


def _added(key: IntArray, amount: FloatArray, order: int) -> FloatArray:
    """Return the sums of one power in a chunk."""
    if order == COUNT:
        return np.bincount(key).astype(np.float64)
    if order == UNKNOWN:
        missing = np.isnan(amount)
        return np.bincount(key, missing).astype(np.float64) if missing.any() else np.zeros(1)
    found = np.asarray(np.bincount(key, _power(amount, order)), dtype=np.float64)
    # Not known is rare: whether it is there shows in the sums, which costs nothing.
    if np.isnan(found).any():
        known = np.nan_to_num(amount, nan=0.0)
        return np.asarray(np.bincount(key, _power(known, order)), dtype=np.float64)
    return found


def _power(amount: FloatArray, order: int) -> FloatArray:
    """Return a power by products: `**` is ten times as slow."""
    if order == 1:
        return amount
    square = amount * amount
    if order == 3:
        return square * amount
    return square * square if order == 4 else square
