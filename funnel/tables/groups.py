"""Deals by group: which groups there are, and the group of each deal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ValidationError
from funnel.tables.sums import blocks, kept, view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.tables.pipeline import Pipeline
    from funnel.typing import IntArray

__all__ = ["Keys", "group", "raw_groups", "rows_of_group", "used_groups"]

DENSE = 1 << 22
"""Most combinations of values of which a table says which occur; beyond it they are sorted."""

Keys = tuple[tuple[str, ...], ...]


def _labels(pipeline: Pipeline, name: str) -> tuple[list[str], IntArray]:
    """Return the values of a column in order, the unknown one first, and the code of each deal."""
    if name == "stage":
        return list(pipeline.funnel.ids), pipeline.stage
    column = pipeline.schema.column(name)
    if column.kind != "category":
        rule, remedy = "must name columns of categories", f"{name!r} is a {column.kind} column."
        raise ValidationError.from_value("by", rule, name, remedy)
    return list(column.categories), pipeline.columns[name]


def raw_groups(pipeline: Pipeline, by: Sequence[str]) -> tuple[IntArray, int]:
    """Return the combination of values of each deal, (n,), and how many there could be.

    Combinations are numbered in the order of their keys.
    """
    code, size = np.zeros(1, dtype=np.int64), 1
    for name in by:
        names, values = _labels(pipeline, name)
        rank = np.zeros(len(names) + 1, dtype=np.int64)
        rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(1, len(names) + 1)
        code = code * len(rank) + rank[values]  # the code -1, unknown, has the last rank, 0
        size *= len(rank)
    return (code if by else np.zeros(len(pipeline), dtype=np.int64)), size


def used_groups(pipeline: Pipeline, by: Sequence[str]) -> tuple[Keys, IntArray]:
    """Return the keys that occur, sorted, and their numbers among all combinations."""
    return kept(pipeline, ("groups", tuple(by)), lambda: _used(pipeline, by))  # type: ignore[no-any-return]


def _used(pipeline: Pipeline, by: Sequence[str]) -> tuple[Keys, IntArray]:
    """See `used_groups`."""
    if not by:
        return ((),) * min(len(pipeline), 1), np.zeros(min(len(pipeline), 1), dtype=np.int64)
    size = raw_groups(view(pipeline, slice(0, 0)), by)[1]
    if size > DENSE:
        found = np.unique(raw_groups(pipeline, by)[0])
    else:
        seen = np.zeros(size, dtype=np.bool_)
        for _, deals in blocks(pipeline):
            seen[raw_groups(deals, by)[0]] = True
        found = np.flatnonzero(seen)
    labels = [["", *sorted(_labels(pipeline, name)[0])] for name in by]
    keys = []
    for value in found.tolist():
        key, rest = [], value
        for names in reversed(labels):
            rest, digit = divmod(rest, len(names))
            key.append(names[digit])
        keys.append(tuple(reversed(key)))
    return tuple(keys), found


def group(pipeline: Pipeline, by: Sequence[str]) -> tuple[Keys, IntArray]:
    """Give each group of deals a number, see `Pipeline.groups`."""
    keys, found = used_groups(pipeline, by)
    number = np.empty(len(pipeline), dtype=np.int32)
    lookup = np.empty(0, dtype=np.int32)
    for begin, deals in blocks(pipeline):
        raw, size = raw_groups(deals, by)
        if size > DENSE:
            number[begin : begin + len(raw)] = np.searchsorted(found, raw)
            continue
        if not len(lookup):
            lookup = np.zeros(size, dtype=np.int32)
            lookup[found] = np.arange(len(found))
        np.take(lookup, raw, out=number[begin : begin + len(raw)])
    return keys, number


def rows_of_group(pipeline: Pipeline, by: Sequence[str], number: int) -> IntArray:
    """Return the rows of one group, ascending; all are put in order once for a table."""
    order, ends = kept(pipeline, ("rows by group", tuple(by)), lambda: _in_order(pipeline, by))
    return np.asarray(order[ends[number] : ends[number + 1]])


def _in_order(pipeline: Pipeline, by: Sequence[str]) -> tuple[IntArray, IntArray]:
    """Return the rows by group, and where each group begins."""
    keys, number = group(pipeline, by)
    small = number.astype(np.uint16) if len(keys) < 1 << 16 else number  # sorted by radix
    ends = np.concatenate(([0], np.cumsum(np.bincount(number, minlength=len(keys)))))
    return np.argsort(small, kind="stable").astype(np.int32), ends
