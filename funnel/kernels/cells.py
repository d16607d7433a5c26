"""Rows that no answer can tell apart are a cell: sums by cell, and answers from cells to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from funnel.typing import FloatArray, IntArray

    Cells = Callable[[slice], IntArray]

__all__ = [
    "COUNT",
    "UNKNOWN",
    "add",
    "gather",
    "looked_up",
    "places",
    "power_sums",
    "used",
    "weighted_sums",
]

CHUNK = 131_072
"""Rows worked on at once: all temporary arrays of a chunk stay in the cache."""

WIDE = 2 * CHUNK
"""Rows looked up at once, in few long calls: between calls, two threads wait for each other."""

SPARSE = 2 * CHUNK
"""Cells beyond which the rows of a chunk are not added up among themselves first."""

DENSE = 1 << 22
"""Most cells of which a table says which there are; beyond it they are sorted."""

COUNT, UNKNOWN = 0, -1
"""Orders that stand for the number of rows, and for that of rows whose amount is unknown."""


def power_sums(cells: Cells, amounts: FloatArray, orders: Sequence[int]) -> FloatArray:
    """Add up powers of the amounts by cell.

    ``(r,) cells of any range of rows, (n,), m orders -> (m, c)``

    Parameters
    ----------
    cells : callable
        The cell of each of some rows, numbers >= 0; -1 is none.
    amounts : FloatArray
        (n,) amounts; NaN is unknown and counts in no power.
    orders : sequence of int
        Exponents >= 1 in rising order, `COUNT` or `UNKNOWN`.

    Returns
    -------
    FloatArray
        (m, c) sums, up to the last cell that there is.

    Notes
    -----
    Nothing of the size of the table is made. One thread does it: numpy's counting by cell leaves no
    other one in, so that two are slower.

    Examples
    --------
    >>> cell, amount = np.array([1, -1, 1, 0]), np.array([2.0, 9.0, 3.0, np.nan])
    >>> power_sums(lambda rows: cell[rows], amount, (COUNT, UNKNOWN, 1, 2)).tolist()
    [[1.0, 2.0], [1.0, 0.0], [0.0, 5.0], [0.0, 13.0]]
    """
    total, place = np.zeros((len(orders), 1)), np.empty(CHUNK, dtype=np.intp)
    product = np.empty(CHUNK)  # kept from chunk to chunk: fresh memory costs more than the products
    for begin in range(0, len(amounts), CHUNK):
        rows = slice(begin, min(begin + CHUNK, len(amounts)))
        cell, amount = cells(rows), amounts[rows]
        key = place[: len(amount)]
        np.copyto(key, cell)
        first = int(cell.min() >= 0)
        if not first:
            key += 1
        size = int(cell.max()) + 2
        if size > total.shape[1]:
            more = np.zeros((len(orders), max(size, 2 * total.shape[1])))
            more[:, : total.shape[1]] = total
            total = more
        # Not known is rare: whether it is there shows in the minimum.
        missing = np.isnan(amount) if np.isnan(amount.min()) else None
        known = amount if missing is None else np.where(missing, 0.0, amount)
        power, reached = known, 1
        for row, order in enumerate(orders):
            if order == COUNT:
                add(total[row, first:], key, None)
            elif order != UNKNOWN:
                for _ in range(order - reached):
                    power = np.multiply(power, known, out=product[: len(known)])
                reached = order
                add(total[row, first:], key, power)
            elif missing is not None:
                add(total[row, first:], key, missing.astype(np.float64))
    used = np.flatnonzero(total.any(axis=0))
    return total[:, 1 : used[-1] + 1 if len(used) else 1]


def weighted_sums(
    rows: Callable[[slice], tuple[IntArray, IntArray, FloatArray]],
    table: FloatArray,
    count: int,
    groups: int,
) -> FloatArray:
    """Add up amounts times the row of a table, by group.

    ``(r,) places, (r,) groups, (r,) amounts of any range of n rows, (c, k) -> (g, k)``

    Parameters
    ----------
    rows : callable
        The place of each of some rows in the table, its group and its amount.
    table : FloatArray
        (c, k) factors.
    count, groups : int
        n and g.

    Examples
    --------
    >>> place, group, amount = np.array([0, 1, 1]), np.array([1, 0, 1]), np.array([1.0, 2.0, 3.0])
    >>> table = np.array([[1.0, 10.0], [2.0, 0.0]])
    >>> weighted_sums(lambda rows: (place[rows], group[rows], amount[rows]), table, 3, 2).tolist()
    [[4.0, 0.0], [7.0, 10.0]]
    """
    columns, key = np.ascontiguousarray(table.T), np.empty(CHUNK, dtype=np.intp)
    total = np.zeros((len(columns), groups))
    for first in range(0, count, CHUNK):
        place, group, amount = rows(slice(first, min(first + CHUNK, count)))
        own = key[: len(amount)]
        np.copyto(own, group)
        for sums, factor in zip(total, columns, strict=True):
            add(sums, own, factor[place] * amount)
    return total.T


def add(total: FloatArray, key: IntArray, weight: FloatArray | None) -> None:
    """Add weights, or 1 for each row, to the sums of the cells."""
    if len(total) > SPARSE:
        np.add.at(total, key, 1.0 if weight is None else weight)
        return
    added = np.bincount(key, weight)
    total[: len(added)] += added


# -- from cells to rows ----------------------------------------------------------------------------


def places(cells: Cells, rows: int) -> tuple[IntArray, IntArray]:
    """Find the cells that there are, and the place of each row among them.

    ``(r,) cells of any range of n rows -> (c,), (n,)``

    Parameters
    ----------
    cells : callable
        As in `power_sums`.
    rows : int
        n.

    Returns
    -------
    found : IntArray
        (c,) cells, ascending.
    place : IntArray
        (n,) unsigned, as narrow as may be: 2 bytes for up to 65,535 cells; c for rows in no cell.

    Examples
    --------
    >>> cell = np.array([700, -1, 3, 700])
    >>> [some.tolist() for some in places(lambda rows: cell[rows], 4)]
    [[3, 700], [1, 2, 0, 1]]
    """
    found = used(cells, rows)
    numbers: IntArray = np.arange(len(found) + 1, dtype=np.min_scalar_type(len(found)))
    place: IntArray = np.empty(rows, dtype=numbers.dtype)
    among = looked_up(found, numbers)

    def some(begin: int, end: int) -> None:
        for first in range(begin, end, CHUNK):
            part = slice(first, min(first + CHUNK, end))
            place[part] = among(cells(part))

    threads.shared(some, rows)
    return found, place


def looked_up(found: IntArray, values: IntArray) -> Callable[[IntArray], IntArray]:
    """Return what gives the value of each of c ascending cells: (c,), (c + 1,).

    The last value is that of the cell -1.
    """
    size = int(found.max(initial=-1)) + 2
    if size > DENSE:
        return lambda cell: values[np.where(cell < 0, len(found), np.searchsorted(found, cell))]
    table = np.full(size, values[-1], dtype=values.dtype)  # of the cell -1, the last one is read
    table[found] = values[:-1]
    return lambda cell: table[cell]


def used(cells: Cells, rows: int) -> IntArray:
    """Return the cells that there are among some rows, ascending; see `places`."""
    seen, far = np.zeros(1, dtype=np.bool_), []  # the first one stands for none
    missing = 0  # the last one that was not seen yet
    for first in range(0, rows, CHUNK):
        cell = cells(slice(first, min(first + CHUNK, rows)))
        size = int(cell.max()) + 2
        if size <= len(seen) and cell.min() >= missing:
            continue  # nothing new: all beyond the missing one were seen before
        found = np.flatnonzero(np.bincount(cell + 1)) if size <= SPARSE else _distinct(cell) + 1
        if size > DENSE:
            far.append(found)
            continue
        if size > len(seen):
            seen = np.append(seen, np.zeros(size - len(seen), dtype=np.bool_))
        seen[found] = True
        missing = len(seen) - 1 - int(seen[::-1].argmin())
    found = _distinct(np.concatenate((np.flatnonzero(seen), *far))) - 1
    return np.asarray(found[found >= 0])


def _distinct(values: IntArray) -> IntArray:
    """Return the different values, ascending: to sort takes less than the hashes of `np.unique`."""
    ordered = np.sort(values)
    return np.asarray(ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]])


def gather(table: FloatArray, place: IntArray) -> FloatArray:
    """Return a row of a table for each place: (c, k), (n,) -> (n, k)."""
    found = np.empty((len(place), table.shape[1]))

    def some(begin: int, end: int) -> None:
        key = np.empty(min(WIDE, end - begin), dtype=np.intp)
        for first in range(begin, end, WIDE):
            part = slice(first, min(first + WIDE, end))
            own = key[: part.stop - first]
            np.copyto(own, place[part])
            np.take(table, own, axis=0, out=found[part], mode="clip")  # unchecked, no copy of `out`

    threads.shared(some, len(place))
    return found
