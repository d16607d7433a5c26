"""What is looked up of the columns when a pipeline is built: what they span, and its promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels.arrays import span_of
from funnel.kernels.promises import coded

if TYPE_CHECKING:
    from funnel.tables.pipeline import Pipeline
    from funnel.typing import IntArray

__all__ = ["encode", "promises", "span"]

MANY = 1 << 16
"""Deals from which on it is worth while to look everything up before it is asked for."""

SPANNED = ("stage", "amount", "expected_close", "currency")
"""What every forecast wants to know the span of."""


def encode(pipeline: Pipeline) -> None:
    """Look everything up in a large table that was just built; else it is done when asked for."""
    if len(pipeline) < MANY:
        return
    for name in SPANNED:
        span(pipeline, name)
    promises(pipeline)


def span(pipeline: Pipeline, name: str) -> tuple[float, float]:
    """Return what no value is below or above: of ``stage`` or of a column, codes, days or numbers.

    Of some deals of a table it is that of all; without deals it is (0, -1), and it is NaN where a
    number is unknown. So no question looks for promises that have passed, or a second currency.
    """
    if "_whole" in pipeline.__dict__:
        return span(pipeline.__dict__["_whole"][0], name)
    spans = pipeline.__dict__.setdefault("_spans", {})
    if name not in spans:
        spans[name] = span_of(pipeline.stage if name == "stage" else pipeline.columns[name])
    found: tuple[float, float] = spans[name]
    return found


def promises(pipeline: Pipeline) -> IntArray:
    """Return promise and stage of each deal as one small number, (n,), see `promises.coded`.

    Every weighted pipeline is a sum by these numbers.
    """
    found: IntArray | None = pipeline.__dict__.get("_promises")
    if found is None:
        if "_whole" in pipeline.__dict__:
            whole, rows = pipeline.__dict__["_whole"]
            return np.asarray(promises(whole)[rows])
        first, last = span(pipeline, "expected_close")
        found = coded(
            pipeline.expected_close,
            pipeline.stage,
            (pipeline.as_of, int(first), int(last)),
            len(pipeline.funnel.ids),
        )
        pipeline.__dict__["_promises"] = found
    return found
