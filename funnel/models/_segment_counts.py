"""Exposure and moves by segment: whole numbers that add up over chunks of deals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.tables import History
    from funnel.tables.schema import Schema
    from funnel.typing import BoolArray, IntArray

__all__ = ["SegmentCounts", "count_segments", "levels_of", "tally"]


@attrs.frozen(eq=False)
class SegmentCounts:
    """Stays and moves by the values of some columns.

    A value is that in force when the state was entered, or resumed.

    Parameters
    ----------
    columns : tuple of str
        q category columns.
    levels : tuple of tuple of str
        Their values, sorted; ``""`` is missing.
    edges : (m, q + 3) int64
        Values, calendar bucket, state, and an age.
    opened : (m,) int64
        Stays at risk from this age on in this bucket, minus those at risk no more.
    moves : (l, q + 4) int64
        Values, calendar bucket, state, target, age.
    counts : (l,) int64
        How often each move was seen.
    """

    columns: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    edges: IntArray
    opened: IntArray
    moves: IntArray
    counts: IntArray

    def merge(self, other: SegmentCounts, /) -> SegmentCounts:
        """Add the counts of other deals; values are matched by name."""
        if self.columns != other.columns:
            rule = "must be of the same segment columns"
            raise ValidationError.from_value("summaries", rule, other.columns, "")
        levels = tuple(
            tuple(sorted({*one, *two})) for one, two in zip(self.levels, other.levels, strict=True)
        )
        pair = [part._relabelled(levels) for part in (self, other)]  # noqa: SLF001 - of this class
        edges, opened = tally(
            np.concatenate([part.edges for part in pair]),
            np.concatenate([part.opened for part in pair]),
        )
        moves, counts = tally(
            np.concatenate([part.moves for part in pair]),
            np.concatenate([part.counts for part in pair]),
        )
        return SegmentCounts(self.columns, levels, edges, opened, moves, counts)

    def _relabelled(self, levels: tuple[tuple[str, ...], ...]) -> SegmentCounts:
        """Give values the numbers that they have in `levels`."""
        if levels == self.levels:
            return self
        edges, moves = self.edges.copy(), self.moves.copy()
        for column, (old, new) in enumerate(zip(self.levels, levels, strict=True)):
            place = np.array([new.index(value) for value in old], dtype=np.int64)
            edges[:, column], moves[:, column] = place[edges[:, column]], place[moves[:, column]]
        return attrs.evolve(self, levels=levels, edges=edges, moves=moves)

    def seen(self, column: int) -> BoolArray:
        """(levels,): mask of the values of a column that were seen in any stay."""
        found = np.zeros(len(self.levels[column]), dtype=np.bool_)
        found[self.edges[:, column]] = True
        found[self.moves[:, column]] = True
        return found


def tally(rows: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """(m, c), (m,) -> (u, c), (u,): add up equal rows; those that add up to 0 are left out."""
    if not len(rows):
        return rows, counts
    key = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        low = column.min()
        key = key * (column.max() - low + 1) + (column - low)
    # Rows of tables that were in order are so in long runs, which a stable sort merges.
    runs = np.count_nonzero(key[1:] < key[:-1])
    order = np.argsort(key, kind="stable" if 64 * runs < len(key) else None)
    ranked = key[order]
    first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    total = np.add.reduceat(counts[order], first)
    kept = total != 0
    return rows[order[first[kept]]], total[kept]


def levels_of(
    schema: Schema, name: str, columns: Mapping[str, np.ndarray[Any, Any]]
) -> tuple[IntArray, tuple[str, ...]]:
    """(n,), (l): the place of each value of a category column among its values, sorted.

    Raises
    ------
    UnknownColumnError, ValidationError
        When there is no such column, or it is not one of categories that were known in time.
    """
    column = schema.column(name)
    if column.kind != "category" or column.known == "final":
        rule = "must be category columns that are known before the end"
        raise ValidationError.from_value("segments", rule, name, "Leave the column out.")
    names = tuple(sorted({*column.categories, ""}))
    lookup = np.array([names.index(value) for value in (*column.categories, "")], dtype=np.int64)
    return lookup[columns[name]], names


def count_segments(
    history: History,
    columns: tuple[str, ...],
    *,
    pieces: IntArray,
    moves: IntArray,
    moved: IntArray,
    stays: tuple[IntArray, IntArray, IntArray, IntArray],
    width: int,
) -> SegmentCounts:
    """Count stays and moves of a chunk by segment.

    `pieces` are those that count, (p,); `moves` the rows (bucket, state, target, age) of those
    at the places `moved`; `stays` the state, the first and last day at risk and the day of age 0
    of each.
    """
    of_row = history.pieces.of_row
    first_row = np.flatnonzero(np.append(True, of_row[1:] != of_row[:-1])[: len(of_row)])
    found, levels = [], []
    for name in columns:
        codes, names = levels_of(history.schema, name, history.columns)
        found.append(codes[first_row][pieces])
        levels.append(names)
    values = np.stack(found, axis=1)
    edges, signs = _edges(values, stays, width)
    table, opened = tally(edges, signs)
    rows = np.concatenate((values[moved], moves), axis=1)
    seen, counts = tally(rows, np.ones(len(rows), dtype=np.int64))
    return SegmentCounts(columns, tuple(levels), table, opened, seen, counts)


def _edges(
    values: IntArray, stays: tuple[IntArray, IntArray, IntArray, IntArray], width: int
) -> tuple[IntArray, IntArray]:
    """Rows and signs of `SegmentCounts.edges`: stays split at the edges of calendar buckets."""
    state, first, last, birth = stays
    opening, closing = first // width, last // width
    rows = np.flatnonzero(first <= last)
    tables, signs = [np.empty((0, values.shape[1] + 3), dtype=np.int64)], [np.empty(0, np.int64)]
    for step in range(int((closing - opening)[rows].max(initial=-1)) + 1):
        rows = rows[opening[rows] + step <= closing[rows]]
        bucket = opening[rows] + step
        begin = np.maximum(first[rows], bucket * width) - birth[rows]
        end = np.minimum(last[rows], (bucket + 1) * width - 1) - birth[rows] + 1
        for age, sign in ((begin, 1), (end, -1)):
            tables.append(np.column_stack((values[rows], bucket, state[rows], age)))
            signs.append(np.full(len(rows), sign, dtype=np.int64))
    return np.concatenate(tables), np.concatenate(signs)
