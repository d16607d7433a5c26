"""Curves by cell: deals that no answer can tell apart are asked about once."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import cells
from funnel.tables.sums import kept, view

if TYPE_CHECKING:
    from funnel.models.base import HasCells
    from funnel.tables import Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["gathered", "places"]


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
    return cells.gather(_curves(model, pipeline, found, dates.astype("datetime64[D]")), place)


def _curves(model: HasCells, pipeline: Pipeline, found: IntArray, dates: DateArray) -> FloatArray:
    """(c,), (k,) -> (c + 1, k): win curves of cells, then 0; the last ones are kept."""
    asked, last = (
        (model, pipeline.funnel),
        pipeline.statistics.get("curves", ((None, None), (), ())),
    )
    if not all(map(operator.is_, last[0], asked)) or not np.array_equal(last[1], dates):
        curves = np.zeros((len(found) + 1, len(dates)))
        if len(found) and len(dates):
            curves[:-1] = model.cell_curves(found, pipeline, dates)
        last = pipeline.statistics["curves"] = asked, dates, curves
    return np.asarray(last[2])
