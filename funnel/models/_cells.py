"""Curves by cell: deals that no answer can tell apart are asked about once."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import cells
from funnel.tables.sums import kept, view
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.models.base import HasCells
    from funnel.tables import Pipeline
    from funnel.typing import DateArray, DayArray, FloatArray, IntArray

__all__ = ["curves", "days_since", "gathered", "places"]


def days_since(day: DayArray, as_of: int, most: int) -> IntArray:
    """(n,): int32 days since a day, at most so many; -1 where it is unknown, or to come."""
    # What is not known is so far away that the difference overflows, and is negative.
    found = np.clip(np.int32(as_of) - day, -1, most)
    return found if as_of >= 0 else np.where(day == NO_DAY, np.int32(-1), found)


def places(model: HasCells, pipeline: Pipeline) -> tuple[IntArray, IntArray]:
    """(c,), (n,): the cells that deals are in, and the place of each deal; c where it is in none.

    The table keeps them: deals do not change, and models of one kind have the same cells.
    """
    return kept(  # type: ignore[no-any-return]
        pipeline,
        ("places", model.numbering),
        lambda: cells.places(lambda rows: model.cells(view(pipeline, rows)), len(pipeline)),
    )


def gathered(model: HasCells, pipeline: Pipeline, dates: DateArray) -> FloatArray:
    """(k,) -> (n, k): win curves of a model with cells, 0 for deals that are in none."""
    found, place = places(model, pipeline)
    return cells.gather(curves(model, pipeline, found, dates.astype("datetime64[D]")), place)


def curves(model: HasCells, pipeline: Pipeline, found: IntArray, dates: DateArray) -> FloatArray:
    """(c,), (k,) -> (c + 1, k): win curves of cells, ascending, then 0.

    The table keeps the last ones: they are those of any of these cells.
    """
    asked = model, pipeline.funnel
    known = pipeline.statistics.get("curves", ((None, None), (), (), ()))
    if not all(map(operator.is_, known[0], asked)) or not np.array_equal(known[1], dates):
        known = (*known[:2], (), ())
    place = np.searchsorted(known[2], found)
    if not len(known[2]) or (known[2].take(place, mode="clip") != found).any():
        new = np.zeros((len(found) + 1, len(dates)))
        if len(found) and len(dates):
            new[:-1] = model.cell_curves(found, pipeline, dates)
        pipeline.statistics["curves"] = asked, dates, found, new
        return new
    return np.asarray(known[3][np.append(place, -1)])
