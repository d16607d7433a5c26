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

ONE = np.int32(1)
"""Added to narrow cells, it makes wider ones."""

COUNT, UNKNOWN = 0, -1
"""Orders that stand for the number of rows, and for that of rows whose amount is unknown."""


def power_sums(
    cells: Cells, amounts: FloatArray, orders: Sequence[int], *, complete: bool = False
) -> FloatArray:
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
    complete : bool
        Whether it is known that all amounts are known, so that nobody has to look.

    Returns
    -------
    FloatArray
        (m, c) sums, up to the last cell that there is.

    Notes
    -----
    Nothing of the size of the table is made. Two halves of the table are added up apart and then
    together, whatever the number of threads, so that no sum depends on it by its last bit.

    Examples
    --------
    >>> cell, amount = np.array([1, -1, 1, 0]), np.array([2.0, 9.0, 3.0, np.nan])
    >>> power_sums(lambda rows: cell[rows], amount, (COUNT, UNKNOWN, 1, 2)).tolist()
    [[1.0, 2.0], [1.0, 0.0], [0.0, 5.0], [0.0, 13.0]]
    """

    def some(begin: int, end: int) -> FloatArray:
        return _power_sums(cells, amounts, orders, slice(begin, end), complete=complete)

    total = _together(threads.halves(some, len(amounts)))
    used = np.flatnonzero(total.any(axis=0))
    return total[:, 1 : used[-1] + 1 if len(used) else 1]


def _power_sums(
    cells: Cells, amounts: FloatArray, orders: Sequence[int], all_rows: slice, *, complete: bool
) -> FloatArray:
    """Return the sums of some rows, those in no cell first."""
    total = np.zeros((len(orders), 1))
    room, powers = _room(all_rows), np.empty(0)
    for begin in range(all_rows.start, all_rows.stop, CHUNK):
        rows = slice(begin, min(begin + CHUNK, all_rows.stop))
        cell, amount = cells(rows), amounts[rows]
        first = int(cell.dtype.kind == "u" or cell.min() >= 0)
        key = room[: len(cell)]
        np.copyto(key, cell)
        if not first:
            key += 1
        size = int(cell.max()) + 2
        if size > total.shape[1]:
            total = _wider(total, max(size, 2 * total.shape[1]))
        # Not known is rare: whether it is there shows in the minimum.
        missing = None if complete or not np.isnan(amount.min()) else np.isnan(amount)
        known = amount if missing is None else np.where(missing, 0.0, amount)
        sums = total[:, first:]
        power, reached = known, 1
        for row, order in enumerate(orders):
            if order == COUNT:
                add(sums[row], key, None)
            elif order != UNKNOWN:
                if order > 1 and not len(powers):
                    powers = np.empty(len(room))
                for _ in range(order - reached):
                    power = np.multiply(power, known, out=powers[: len(known)])
                reached = order
                add(sums[row], key, power)
            elif missing is not None:
                add(sums[row], key, missing.astype(np.float64))
    return total


def _wider(sums: FloatArray, size: int) -> FloatArray:
    """Return the sums with room for more cells: (m, c) -> (m, size)."""
    found = np.zeros((len(sums), size))
    found[:, : sums.shape[1]] = sums
    return found


def _together(parts: Sequence[FloatArray]) -> FloatArray:
    """Add up sums of rows, of which some may know of fewer cells."""
    total = _wider(parts[0], max(part.shape[1] for part in parts))
    for part in parts[1:]:
        total[:, : part.shape[1]] += part
    return total


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
    columns = np.ascontiguousarray(table.T)

    def some(begin: int, end: int) -> FloatArray:
        total, room = np.zeros((len(columns), groups)), _room(slice(begin, end))
        for first in range(begin, end, CHUNK):
            place, group, amount = rows(slice(first, min(first + CHUNK, end)))
            key = room[: len(group)]
            np.copyto(key, group)
            for sums, factor in zip(total, columns, strict=True):
                add(sums, key, factor[place] * amount)
        return total

    return _together(threads.halves(some, count)).T


def add(total: FloatArray, key: IntArray, weight: FloatArray | None) -> None:
    """Add weights, or 1 for each row, to the sums of the cells."""
    if len(total) > SPARSE:
        np.add.at(total, key, 1.0 if weight is None else weight)
        return
    added = np.bincount(key, weight)
    total[: len(added)] += added


def _room(rows: slice) -> IntArray:
    """Return room for the keys of a chunk, which is kept: fresh memory costs more than to write."""
    return np.empty(min(CHUNK, rows.stop - rows.start), dtype=np.intp)


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

    The last value is that of the cell -1 where it is not one of them.
    """
    size = int(found.max(initial=-1)) + 2
    if size > DENSE:
        return lambda cell: values[_among(found, cell)]
    table = np.full(size, values[-1], dtype=values.dtype)  # of the cell -1, the last one is read
    table[found] = values[:-1]
    return lambda cell: table.take(cell, mode="wrap")


def _among(found: IntArray, cell: IntArray) -> IntArray:
    """Return the place of each cell among those found, their number where it is not."""
    place: IntArray = np.searchsorted(found, cell)
    return np.where(found.take(place, mode="clip") == cell, place, len(found))


def used(cells: Cells, rows: int, *, lowest: int = 0) -> IntArray:
    """Return the cells that there are among some rows, ascending, from 0 or -1 on; see `places`."""

    def some(begin: int, end: int) -> IntArray:
        return _used(cells, slice(begin, end))

    found = _distinct(np.concatenate(threads.shared(some, rows)))
    return np.asarray(found[found >= lowest])


def _used(cells: Cells, all_rows: slice) -> IntArray:
    """Return the numbers from -1 on that there are among some rows."""
    seen, far = np.zeros(1, dtype=np.bool_), []  # of each number, that of -1 first
    missing = 0  # the number after the last one that was not seen yet
    for first in range(all_rows.start, all_rows.stop, CHUNK):
        cell = cells(slice(first, min(first + CHUNK, all_rows.stop)))
        size = int(cell.max()) + 2
        if size <= len(seen) and (cell.min() >= missing or seen.take(cell + ONE).all()):
            continue  # nothing new
        if size > DENSE:
            far.append(_distinct(cell))
            continue
        if size > len(seen):
            seen = np.append(seen, np.zeros(size - len(seen), dtype=np.bool_))
        seen[cell + ONE] = True
        missing = -1 if seen.all() else len(seen) - 1 - int(seen[::-1].argmin())
    return np.concatenate((np.flatnonzero(seen) - 1, *far))


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
