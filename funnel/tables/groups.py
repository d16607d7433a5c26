"""Deals by group: which groups there are, and the group of each deal."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.cells import looked_up, used
from funnel.tables.sums import blocks, kept, view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from funnel.tables.pipeline import Pipeline
    from funnel.typing import IntArray

__all__ = ["Keys", "group", "numbers_of_groups", "rows_of_group", "used_groups"]

Keys = tuple[tuple[str, ...], ...]


def _labels(pipeline: Pipeline, name: str) -> tuple[tuple[str, ...], IntArray]:
    """Return the values of a column, and the code of each deal, -1 where it is unknown."""
    if name == "stage":
        return pipeline.funnel.ids, pipeline.stage
    column = pipeline.schema.column(name)
    if column.kind != "category":
        rule, remedy = "must name columns of categories", f"{name!r} is a {column.kind} column."
        raise ValidationError.from_value("by", rule, name, remedy)
    return column.categories, pipeline.columns[name]


@functools.lru_cache(maxsize=32)
def _ranks(names: tuple[str, ...]) -> IntArray | None:
    """Return the place of each value in order, and of the unknown one, -1; None where it is + 0."""
    order = sorted(range(len(names)), key=names.__getitem__)
    if order == list(range(len(names))):
        return None
    rank = np.full(len(names) + 1, -1, dtype=np.int32)
    rank[order] = np.arange(len(names))
    return frozen(rank)


def _combinations(pipeline: Pipeline, by: Sequence[str]) -> IntArray:
    """Return the combination of values of each deal, (n,), numbered in the order of their keys.

    The first number is -1, of deals of which no value is known.
    """
    code: IntArray | None = None
    for name in by:
        names, values = _labels(pipeline, name)
        rank = _ranks(names)
        digit = values if rank is None else rank.take(values, mode="wrap")
        code = digit if code is None else (code + np.int64(1)) * (len(names) + 1) + digit
    return np.zeros(len(pipeline), dtype=np.int32) if code is None else code


def used_groups(pipeline: Pipeline, by: Sequence[str]) -> Keys:
    """Return the keys of the groups that occur, sorted."""
    return _used(pipeline, by)[0]


def _used(pipeline: Pipeline, by: Sequence[str]) -> tuple[Keys, IntArray]:
    """Return the keys that occur, sorted, and their numbers among all combinations."""

    def search() -> tuple[Keys, IntArray]:
        if not by:
            found: IntArray = np.zeros(min(len(pipeline), 1), dtype=np.int64)
            return ((),) * len(found), found
        labels = [["", *sorted(_labels(pipeline, name)[0])] for name in by]
        rows = len(pipeline)
        found = used(lambda some: _combinations(view(pipeline, some), by), rows, lowest=-1)
        digits = np.unravel_index(found + 1, [len(names) for names in labels])
        pairs = zip(labels, digits, strict=True)
        values = [np.array(names, dtype=object)[digit] for names, digit in pairs]
        return tuple(zip(*values, strict=True)), found

    return kept(pipeline, ("groups", tuple(by)), search)  # type: ignore[no-any-return]


def numbers_of_groups(pipeline: Pipeline, by: Sequence[str]) -> Callable[[Pipeline], IntArray]:
    """Return what gives the number of the group of each of some deals, among those that occur."""
    found = _used(pipeline, by)[1]
    if len(found) and len(found) == found[-1] - found[0] + 1:
        first = int(found[0])
        if first == 0:
            return lambda deals: _combinations(deals, by)
        return lambda deals: _combinations(deals, by) - first
    place = looked_up(found, np.arange(len(found) + 1, dtype=np.int32))
    return lambda deals: place(_combinations(deals, by))


def group(pipeline: Pipeline, by: Sequence[str]) -> tuple[Keys, IntArray]:
    """Give each group of deals a number, see `Pipeline.groups`."""
    number, numbers = np.empty(len(pipeline), dtype=np.int32), numbers_of_groups(pipeline, by)
    for begin, deals in blocks(pipeline):
        number[begin : begin + len(deals)] = numbers(deals)
    return used_groups(pipeline, by), number


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
