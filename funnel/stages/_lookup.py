"""Turn a column of stage names, or of codes, into checked codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import numpy.typing as npt

from funnel.errors import UnknownStageError, ValidationError
from funnel.kernels.labels import factorize


def to_codes(
    values: Any,  # noqa: ANN401 - any array-like
    find: Callable[[str], int],
    names: tuple[str, ...],
    n_states: int,
) -> npt.NDArray[np.int16]:
    """(n,) names or codes -> (n,) int16; `find` gives the code of a name, -1 for an unknown one."""
    rows = _column(values)
    if rows.dtype.kind in "iu":
        _demand_known((rows < 0) | (rows >= n_states), rows, names)
        return rows.astype(np.int16)
    # What is no text names no state: neither None nor the number 1 where a stage is called "1".
    cells = [cell if isinstance(cell, str) else "" for cell in rows.tolist()]
    found, position = factorize(np.array(cells, dtype=object))
    codes = np.array([find(name) for name in found], dtype=np.int16)[position]
    _demand_known(codes < 0, rows, names)
    return codes


def _column(values: Any) -> npt.NDArray[Any]:  # noqa: ANN401
    """Make an array of text or of whole numbers, without turning one into the other."""
    if hasattr(values, "__array__"):
        rows = np.asarray(values)
    elif isinstance(values, Iterable) and not isinstance(
        values, str | bytes | AbstractSet | Mapping
    ):
        rows = np.fromiter(values, dtype=object)
    else:
        raise ValidationError.from_value(
            "stage", "must be a sequence, one entry a row", values, "For one name use code(name)."
        )
    if rows.ndim != 1:
        raise ValidationError.from_value(
            "stage", "must be one column", rows.shape, "Pass one name or code a row."
        )
    if rows.dtype.kind == "O" and rows.size and all(map(_is_code, rows)):
        return rows.astype(np.int64)
    if rows.dtype.kind not in "iuUTO" and rows.size:
        rule = "must be names (text) or codes (whole numbers)"
        raise ValidationError.from_value("stage", rule, str(rows.dtype), "Convert the column.")
    return rows


def _is_code(entry: object) -> bool:
    """Tell whether an entry is a whole number; True and False are not."""
    if isinstance(entry, int | np.integer) and not isinstance(entry, bool):
        return abs(int(entry)) < 2**63
    return False


def _demand_known(
    unknown: npt.NDArray[np.bool_], rows: npt.NDArray[Any], names: tuple[str, ...]
) -> None:
    """Raise for the first row whose state the funnel does not have."""
    if unknown.any():
        first = int(np.argmax(unknown))
        raise UnknownStageError.from_rows(
            str(rows[first]), names, count=int(unknown.sum()), total=len(rows), row=first
        )
