"""What the arrays given to scores must be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import InsufficientDataError, ValidationError

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray

__all__ = [
    "chances",
    "column",
    "demand",
    "generator",
    "levels",
    "positive",
    "quantiles",
    "some",
    "table",
    "unit",
    "whole",
    "wins",
]

FINITE = "must be finite"
LEAVE_OUT = "Leave such rows out of all arrays."


def _floats(name: str, values: object, ndim: int) -> FloatArray:
    """Return numbers of a shape with `ndim` axes."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValidationError(f"{name} must hold numbers only.", column=name) from None
    if array.ndim != ndim:
        shape = "(n,)" if ndim == 1 else "(n, m)"
        raise ValidationError.from_value(
            name, f"must be an array of shape {shape}", array.shape, "One row is one outcome."
        )
    return array


def demand(
    name: str, array: np.ndarray[Any, Any], broken: BoolArray, rule: str, remedy: str
) -> None:
    """Raise when a row breaks a rule."""
    rows = np.flatnonzero(broken if broken.ndim == 1 else broken.any(axis=1))
    if len(rows):
        row = int(rows[0])
        raise ValidationError.from_rule(
            name,
            rule,
            rows=rows[:100],
            count=len(rows),
            total=len(array),
            first=f"row {row}, {array[row].tolist()}",
            remedy=remedy,
        )


def some(what: str, array: FloatArray, count: int) -> FloatArray:
    """Return what is scored, where there is something."""
    if not count:
        raise InsufficientDataError(what, needed=1, found=0, remedy="Give at least one row.")
    return array


def _rows(name: str, array: FloatArray, rows: int | None) -> None:
    """Demand as many rows as there are outcomes, or some where that is not yet known."""
    if rows is None:
        some(f"a score of {name}", array, len(array))
    elif len(array) != rows:
        raise ValidationError.from_value(
            name, f"must have {rows:,} rows, one for each outcome", len(array), ""
        )


def column(
    name: str, values: object, rows: int | None = None, *, empty: bool = False
) -> FloatArray:
    """Return finite numbers (n,): as many as `rows`, or else some, or any number where `empty`."""
    array = _floats(name, values, 1)
    _rows(name, array, len(array) if empty else rows)
    demand(name, array, ~np.isfinite(array), FINITE, LEAVE_OUT)
    return array


def table(name: str, values: object, rows: int, columns: int | None = None) -> FloatArray:
    """Return finite numbers (n, m)."""
    array = _floats(name, values, 2)
    _rows(name, array, rows)
    if columns is not None and array.shape[1] != columns:
        raise ValidationError.from_value(
            name, f"must have {columns} columns, one for each level", array.shape[1], ""
        )
    demand(name, array, ~np.isfinite(array), FINITE, LEAVE_OUT)
    return array


def quantiles(values: object, rows: int, columns: int) -> FloatArray:
    """Return quantiles that do not cross."""
    found = table("quantiles", values, rows, columns)
    crossed = np.asarray((np.diff(found, axis=1) < 0.0).any(axis=1))
    demand("quantiles", found, crossed, "must not decrease with the level", "Sort them.")
    return found


def chances(
    name: str, values: object, rows: int | None = None, *, empty: bool = False
) -> FloatArray:
    """Return probabilities (n,)."""
    array = column(name, values, rows, empty=empty)
    broken = (array < 0.0) | (array > 1.0)
    demand(name, array, broken, "must lie in [0, 1]", "Chances are shares, not per cent.")
    return array


def wins(values: object, rows: int | None = None) -> BoolArray:
    """Return outcomes (n,)."""
    array = column("won", values, rows)
    broken = (array != 0.0) & (array != 1.0)
    demand("won", array, broken, "must be True or False (1 or 0)", "Score closed deals only.")
    return array.astype(np.bool_)


def levels(name: str, values: object) -> FloatArray:
    """Return increasing levels (q,), each between 0 and 1."""
    array = _floats(name, values, 1)
    if not len(array) or not np.all((array > 0.0) & (array < 1.0)) or np.any(np.diff(array) <= 0):
        raise ValidationError.from_value(
            name, "must be increasing, each between 0 and 1", array.tolist(), ""
        )
    return array


def unit(name: str, value: object) -> float:
    """Return a share between 0 and 1, both excluded."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 < value < 1.0:
        raise ValidationError.from_value(name, "must lie between 0 and 1", value, "")
    return float(value)


def positive(name: str, value: object) -> float:
    """Return a finite number > 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValidationError.from_value(name, "must be a finite number > 0", value, "")
    return float(value)


def whole(name: str, value: object) -> int:
    """Return a whole number >= 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValidationError.from_value(name, "must be a whole number >= 1", value, "")
    return int(value)


def generator(rng: object) -> np.random.Generator:
    """Return a generator; a seed makes a new one."""
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, bool) or not isinstance(rng, int | np.integer) or rng < 0:
        raise ValidationError.from_value("rng", "must be a generator or a seed >= 0", rng, "")
    return np.random.default_rng(rng)
