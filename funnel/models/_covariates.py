"""What is known of a deal, as columns of a regression; the same from histories and pipelines.

A *term* is ``(origin, name, kind, points)``: a column of the tables or derived state; its kind,
``"number"``, ``"category"`` or ``"missing"``; and knots, or names of levels. The first one is a
constant, so that the other effects are differences between deals. A number has a hat at
each knot: 1 there, falling to 0 at the next ones, so that effects are linear between knots, and
constant beyond the outer ones. What is unknown, or was not seen in history, has 0 in all columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import ValidationError
from funnel.models._spells import covariates, days_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.models._spells import Spells
    from funnel.tables import Pipeline
    from funnel.tables.schema import Schema
    from funnel.typing import FloatArray

    Values = Mapping[str, np.ndarray[Any, Any]]

__all__ = ["Term", "design", "from_pipeline", "terms_of", "width"]

Term = tuple[str, str, str, tuple[Any, ...]]
"""Origin, name, kind and points."""

KNOTS = 11
"""Number columns have at most so many knots: at their deciles, each once."""

DOUBLING = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Days and counts have these knots, up to the first one that no value exceeds."""

LEVELS = 50
"""Categories have at most so many levels, the most frequent ones."""


def terms_of(spells: Spells) -> tuple[Term, ...]:
    """Lay down knots and levels by what the spells hold."""
    numbers, categories = covariates(spells.schema)
    values = spells.values()
    terms: list[Term] = [("deal", "any", "constant", ())]
    for key in numbers:
        origin, name = key.split(" ", 1)
        known = values[key][np.isfinite(values[key])]
        points = _quantiles(known) if origin == "column" else _doubling(known)
        if len(points) > 1:
            terms.append((origin, name, "number", points))
        if origin == "column" and 0 < len(known) < len(values[key]):
            terms.append((origin, name, "missing", ()))
    for key in categories:
        origin, name = key.split(" ", 1)
        labels = _labels(spells.schema, origin, name)
        counts = np.bincount(values[key] % (len(labels) + 1), minlength=len(labels) + 1)
        seen = [i for i in np.argsort(-counts, kind="stable").tolist() if counts[i]]
        if origin == "state":
            seen = [i for i in seen if i < len(labels)]  # no stage before is the reference
        if len(seen) > (origin == "column"):
            named = [(*labels, "")[i] for i in seen[:LEVELS]]
            terms.append((origin, name, "category", tuple(sorted(named))))
    return tuple(terms)


def _quantiles(values: FloatArray) -> tuple[float, ...]:
    """Quantiles that are values themselves, each once."""
    if not len(values):
        return ()
    found = np.quantile(values, np.linspace(0.0, 1.0, KNOTS), method="inverted_cdf")
    return tuple(np.unique(found).tolist())


def _doubling(values: FloatArray) -> tuple[float, ...]:
    """Knots for whole numbers >= 0: dense where they are small; none where all are 0."""
    needed = int(np.searchsorted(DOUBLING, values.max(initial=0.0))) + 1
    return tuple(float(knot) for knot in DOUBLING[:needed])


def _labels(schema: Schema, origin: str, name: str) -> tuple[str, ...]:
    """Names behind the codes of a category."""
    return schema.funnel.ids if origin == "state" else schema.column(name).categories


def from_pipeline(pipeline: Pipeline, terms: tuple[Term, ...]) -> dict[str, np.ndarray[Any, Any]]:
    """Values by name of column or derived state, as far as the pipeline has them."""
    found: dict[str, Any] = {
        "state waited": days_until(pipeline.created, pipeline.stage_entered),
        "state pushes": np.where(pipeline.pushes < 0, np.nan, pipeline.pushes),
        "state reopened": np.where(pipeline.reopened < 0, np.nan, pipeline.reopened),
        "state previous": pipeline.previous_stage,
    }
    for origin, name, kind, _ in terms:
        if origin == "column" and name in pipeline.schema.names:
            stored = pipeline.schema.column(name).kind
            if (stored == "category") != (kind == "category") or stored == "date":
                rule = f"must be a {kind}, as it was in the history"
                raise ValidationError.from_value(name, rule, stored, "Give the column as it was.")
            found[f"column {name}"] = pipeline.columns[name]
    return found


def width(term: Term) -> int:
    """Return the number of columns of a term."""
    return max(len(term[3]), 1)


def design(terms: tuple[Term, ...], values: Values, schema: Schema, count: int) -> FloatArray:
    """() -> (count, p): the columns of all terms; 0 where there are no values."""
    parts = []
    for origin, name, kind, points in terms:
        column = values.get(f"{origin} {name}")
        if kind == "constant":
            parts.append(np.ones((count, 1)))
        elif column is None:
            parts.append(np.zeros((count, max(len(points), 1))))
        elif kind == "category":
            level = {label: i for i, label in enumerate(points)}
            labels = (*_labels(schema, origin, name), "")
            place = np.array([level.get(label, -1) for label in labels])[column]
            parts.append((place[:, None] == np.arange(len(points))).astype(np.float64))
        elif kind == "missing":
            parts.append(~np.isfinite(column)[:, None] * 1.0)
        else:
            parts.append(_hats(column.astype(np.float64), np.array(points)))
    return np.concatenate(parts, axis=1)


def _hats(values: FloatArray, knots: FloatArray) -> FloatArray:
    """(m,), (k,) -> (m, k): share of each knot; rows sum to 1, and to 0 where unknown."""
    known = np.isfinite(values)
    inside = np.clip(np.where(known, values, knots[0]), knots[0], knots[-1])
    left = np.minimum(np.searchsorted(knots, inside, side="right") - 1, len(knots) - 2)
    share = (inside - knots[left]) / (knots[left + 1] - knots[left])
    place = np.arange(len(knots))
    hats = np.where(place == left[:, None], 1.0 - share[:, None], 0.0)
    hats += np.where(place == left[:, None] + 1, share[:, None], 0.0)
    return np.asarray(hats * known[:, None])
