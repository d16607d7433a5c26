"""Curves by cell: deals that no answer can tell apart are asked about once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.models.base import HasCells
    from funnel.tables import Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["distinct", "gathered"]

DENSE = 1 << 22  # cells that are looked up in a table; beyond it they are sorted


def distinct(cells: IntArray) -> tuple[IntArray, IntArray]:
    """(n,) -> (c,), (n,): the different numbers >= 0, ascending, and the place of each among them.

    Negative numbers have the place 0.
    """
    most = int(cells.max(initial=-1)) + 1
    if most > DENSE:
        found, place = np.unique(np.maximum(cells, -1), return_inverse=True)
        missing = int(found[0] < 0)
        return found[missing:], np.maximum(place.reshape(-1) - missing, 0)
    seen = np.zeros(most + 1, dtype=np.bool_)
    seen[np.where(cells < 0, most, cells)] = True
    seen[most] = False
    return np.flatnonzero(seen), np.maximum(np.cumsum(seen) - 1, 0)[np.maximum(cells, 0)]


def gathered(model: HasCells, pipeline: Pipeline, dates: DateArray) -> FloatArray:
    """(k,) -> (n, k): win curves of a model with cells, 0 for deals that are in none."""
    cells = model.cells(pipeline)
    found, place = distinct(cells)
    if not len(found) or not len(dates):
        return np.zeros((len(pipeline), len(dates)))
    curves = model.cell_curves(found, pipeline, dates)[place]
    curves[cells < 0] = 0.0
    return curves
