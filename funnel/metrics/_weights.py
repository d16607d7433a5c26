"""Chances of open deals, given or typed, and the money that hangs on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ValidationError

if TYPE_CHECKING:
    import numpy.typing as npt

    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["checked_chances", "deal_chances"]


def checked_chances(pipeline: Pipeline, chance: npt.ArrayLike, rows: IntArray) -> FloatArray:
    """(n,) -> (m,): given chances of some rows; they must be probabilities."""
    values = np.asarray(chance, dtype=np.float64)
    if values.shape != (len(pipeline),):
        rule = f"must have one value per deal of the pipeline ({len(pipeline):,})"
        raise ValidationError.from_value("chance", rule, values.shape, "Closed deals may have NaN.")
    found = values[rows]
    wrong = np.flatnonzero(~((found >= 0.0) & (found <= 1.0)))
    if len(wrong):
        row = int(rows[wrong[0]])
        raise ValidationError.from_rule(
            "chance",
            "must lie between 0 and 1 for every open deal",
            rows=rows[wrong][:100],
            count=len(wrong),
            total=len(rows),
            first=f"{str(pipeline.ids[row])!r}, row {row}, {values[row]}",
            remedy="Give the chance to be won of each deal.",
        )
    return found


def deal_chances(pipeline: Pipeline, chance: npt.ArrayLike | None, rows: IntArray) -> FloatArray:
    """(m,): given chances of some rows, else those typed for their stages; NaN where none is."""
    if chance is None:
        return pipeline.funnel.probabilities[pipeline.stage[rows]]
    return checked_chances(pipeline, chance, rows)
