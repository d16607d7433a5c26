"""Expected money by group and period, however many groups there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.forecasting import _cells
from funnel.forecasting._parts import BOOKED
from funnel.kernels.cells import UNKNOWN, looked_up, weighted_sums
from funnel.kernels.keys import of_rows
from funnel.tables.groups import numbers_of_groups
from funnel.tables.sums import cell_sums, view

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from funnel.forecasting._blocks import Block
    from funnel.forecasting._cells import Source
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["by_group"]


def by_group(source: Source, worth: float, part: int | None) -> FloatArray:
    """Return the expected money by group and period, (g, k), of one part or of all.

    Deals of unknown amount are worth `worth`.
    """
    found = np.zeros((int(source.numbers.max(initial=-1)) + 1, len(source.horizon)))
    for block in source.blocks():
        found[source.numbers] += _of_block(source, block, worth, part)
    return found


def _of_block(source: Source, block: Block, worth: float, part: int | None) -> FloatArray:
    """Return the money of each group of the pipeline.

    Cells of the same chances, such as the promised days of a month, are one class. Sums by class
    and group are kept: other chances of the same classes need no further look at the deals. Where
    they would be too many, each deal is multiplied by its chances.
    """
    cells = source.filled(block)
    chance, parts, stage = block.states(cells)
    mean = np.where(parts == BOOKED, 1.0, source.closing()[0][stage])
    answers = np.vstack((chance.T, mean, parts))
    rows = np.flatnonzero(answers[: chance.shape[1]].any(axis=0) & (parts >= 0))
    number, first = _classes(answers, rows)
    # What is in no cell, and cells without a chance, are in the class after the last.
    number, chance, mean = np.append(number, len(first)), chance[first], mean[first]
    if part is not None:
        chance[parts[first] != part] = 0.0
    size = len(source.numbers)
    if (len(first) + 1) * size > _cells.MOST:
        classes = _valued(block, cells, number)
        return _deal_by_deal(source, classes, chance, mean, worth)
    numbering = block.numbering, cells.tobytes(), number.tobytes()
    classes = _valued(block, cells, (number * size).astype(np.int32))
    return _by_class(source, (numbering, classes), chance, ((1, mean), (UNKNOWN, worth)))


def _valued(block: Block, cells: IntArray, values: IntArray) -> Callable[[Pipeline], IntArray]:
    """Return what gives the value of the cell of each of some deals."""
    value = looked_up(cells, values)
    return lambda deals: value(block.cells(deals))


def _classes(answers: FloatArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """(j, c), (r,) -> (c,), (m,): the class of each cell, and the first cell of each class.

    Classes are numbered as they come, so that they have the same numbers at other chances; all
    cells but `rows` are in none, which is the number after the last.
    """
    number, answers = np.full(answers.shape[1], -1), answers[:, rows]
    order = np.argsort(of_rows(list(answers)), kind="stable")  # alike ones follow each other
    answers = answers[:, order]
    new = np.append(True, (answers[:, 1:] != answers[:, :-1]).any(axis=0))[: len(rows)]
    first = order[new]  # the sort is stable
    number[rows[order]] = np.argsort(np.argsort(first))[np.cumsum(new) - 1]
    number[number < 0] = len(first)
    return number, rows[np.sort(first)]


def _by_class(
    source: Source,
    block: tuple[Hashable, Callable[[Pipeline], IntArray]],
    chance: FloatArray,
    worths: tuple[tuple[int, FloatArray | float], ...],
) -> FloatArray:
    """Add up by class and group, and multiply the sums by the chances of the classes, (m, k).

    A class is given by the place of its first group among the sums.
    """
    pipeline, size = source.pipeline, len(source.numbers)
    numbers = numbers_of_groups(pipeline, source.by)
    numbering, classes = block
    total = np.zeros((size, chance.shape[1]))
    for order, worth in worths:
        sums = cell_sums(
            pipeline,
            (numbering, source.by),
            lambda deals: classes(deals) + numbers(deals),
            order,
        )[: len(chance) * size]
        if sums.any():  # where no amount is unknown there need be no worth of those
            missing = len(chance) * size - len(sums)
            table = np.append(sums, np.zeros(missing)) if missing else sums
            total += table.reshape(-1, size).T @ (chance * np.reshape(worth, (-1, 1)))
    return total


def _deal_by_deal(
    source: Source,
    classes: Callable[[Pipeline], IntArray],
    chance: FloatArray,
    mean: FloatArray,
    worth: float,
) -> FloatArray:
    """Multiply each deal by the chances of its class, (m, k), and add up by group."""
    pipeline = source.pipeline
    numbers = numbers_of_groups(pipeline, source.by)
    chance, mean = np.append(chance, np.zeros((1, chance.shape[1])), axis=0), np.append(mean, 0.0)

    def rows(some: slice) -> tuple[IntArray, IntArray, FloatArray]:
        deals = view(pipeline, some)
        own = classes(deals)
        money = deals.amount * mean[own]
        missing = np.isnan(money)
        if missing.any():
            money[missing] = worth
            money[own == len(mean) - 1] = 0.0
        return own, numbers(deals), money

    return weighted_sums(rows, chance, len(pipeline), len(source.numbers))
