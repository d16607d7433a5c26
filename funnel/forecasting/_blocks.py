"""Cells of deals by kind, and what is asked of their sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.models._cells import days_since

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["Block", "at", "days_since_won", "filled", "with_groups"]


class Block(NamedTuple):
    """Deals that are in cells of one kind.

    Attributes
    ----------
    numbering : Hashable
        What the cells are.
    cells : callable
        The cell of each of some deals.
    states : callable
        Chances (c, k), parts (c,) and codes of stages (c,) of cells; a part of -1 is none.
    """

    numbering: Hashable
    cells: Callable[[Pipeline], IntArray]
    states: Callable[[IntArray], tuple[FloatArray, IntArray, IntArray]]


def with_groups(
    cells: Callable[[Pipeline], IntArray], numbers: Callable[[Pipeline], IntArray], size: int
) -> Callable[[Pipeline], IntArray]:
    """Return what gives cells that tell groups apart."""

    def both(deals: Pipeline) -> IntArray:
        found = cells(deals).astype(np.int64) * size + numbers(deals)
        return np.asarray(np.maximum(found, -1))

    return both


def days_since_won(deals: Pipeline) -> IntArray:
    """(n,): days since deals were won, -1 for all others and where the day is not known."""
    days = days_since(deals.closed_on, deals.as_of, np.iinfo(np.int32).max - 1)
    days += 1
    days *= deals.stage == deals.funnel.won_code
    days -= 1
    return days


def filled(sums: Sequence[FloatArray]) -> IntArray:
    """Return the cells of which any of these sums is not 0, ascending."""
    there = np.zeros(max(map(len, sums)), dtype=np.bool_)
    for some in sums:
        there[: len(some)] |= some != 0.0
    return np.flatnonzero(there)


def at(sums: FloatArray, cells: IntArray) -> FloatArray:
    """Return the sums of some cells; those beyond the last one are 0."""
    return np.append(sums, 0.0)[np.minimum(cells, len(sums))]
