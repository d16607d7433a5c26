"""Which row of each deal holds at the end of a day, for rows sorted by deal and time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from funnel.typing import BoolArray, DayArray, IntArray

__all__ = ["last_rows", "rows_on", "taken"]

CHUNK = 1 << 14
"""Rows worked on at once, so that temporary arrays stay in the cache."""


def last_rows(at: DayArray, bounds: IntArray, day: int) -> IntArray:
    """(r,), (n + 1,), () -> (n,): the last row of each deal on or before `day`, -1 where none."""
    known = np.concatenate(([0], np.cumsum(at <= day, dtype=np.int64)))
    seen = known[bounds[1:]] - known[bounds[:-1]]
    return np.where(seen > 0, bounds[:-1] + seen - 1, -1)


def rows_on(
    deal: IntArray, at: DayArray, days: Sequence[int], *, among: BoolArray | None = None
) -> Iterator[IntArray]:
    """Yield the rows that hold at the end of each day: the last one of every deal that has any.

    ``(r,), (r,), d days in any order -> d times (k,)``, ascending, of 4 bytes in large logs. Those
    of the next day are searched for there while the caller works with these.

    Parameters
    ----------
    deal, at : (r,) int
        Rows sorted by deal and time.
    days : sequence of int
        The days.
    among : (r,) bool, optional
        Rows that are yielded at all.

    Notes
    -----
    A row holds from its day until the next one of its deal. Both are looked up once, as places
    among the days asked, which fit into a byte; a day then takes a difference of bytes, which wraps
    around below 0, and a comparison.
    """
    asked, place = np.unique(np.asarray(days, dtype=np.int64), return_inverse=True)
    last = int(at.max(initial=0))
    first = int(at.min(initial=last))
    code = np.min_scalar_type(len(asked))
    ranks = np.searchsorted(asked, np.arange(first, last + 1)).astype(code)
    begins, lengths = np.empty((2, len(at)), dtype=code)
    for rows in _ranges(len(at), CHUNK):
        ranks.take(np.subtract(at[rows], first, dtype=np.intp), out=begins[rows])
    lengths[-1:] = len(asked)
    for rows in _ranges(len(at), CHUNK):
        after = slice(rows.start + 1, rows.stop + 1)
        final = deal[after] != deal[rows][: len(deal[after])]
        np.maximum(begins[after], final * code.type(len(asked)), out=lengths[rows][: len(final)])
    lengths -= begins
    if among is not None:
        lengths *= among
    most = int(deal[-1]) + 1 if len(deal) else 0
    # In large logs rows are narrow: they wait beside those of the day before.
    kind = np.int32 if threads.LEAST <= len(at) < 1 << 31 else np.intp

    def held_on(day: IntArray) -> IntArray:
        found: IntArray = np.empty(most, dtype=kind)
        count = 0
        for rows in _ranges(len(at), 16 * CHUNK):  # bytes, so more of them
            held = np.flatnonzero(np.subtract(day, begins[rows]) < lengths[rows])
            np.add(held, rows.start, out=found[count : count + len(held)])
            count += len(held)
        found.resize(count, refcheck=False)
        return found

    yield from threads.ahead(map(held_on, place.astype(code)), len(at))


def _ranges(length: int, size: int) -> Iterator[slice]:
    """Yield ranges of rows of some size."""
    return (slice(begin, begin + size) for begin in range(0, length, size))


def taken(values: np.ndarray[Any, Any], rows: IntArray) -> np.ndarray[Any, Any]:
    """Return the values of some rows, which are none before the first: (r,), (k,) -> (k,)."""
    found = np.empty(len(rows), dtype=values.dtype)

    def some(begin: int, end: int) -> None:
        part = slice(begin, end)
        np.take(values, rows[part], out=found[part], mode="clip")  # unchecked, no copy of `out`

    threads.shared(some, len(rows))
    return found
