"""Texts as codes. Texts are object arrays of `str`: numpy's own StringDType crashes when sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from funnel.typing import IntArray, StringArray

__all__ = ["factorize", "texts"]


def texts(values: Iterable[Any]) -> StringArray:
    """(n,) -> (n,): values as `str`; None and NaN become the empty text."""
    array = values if isinstance(values, np.ndarray) else np.array(list(values), dtype=object)
    cells = array.tolist()
    if set(map(type, cells)) - {str}:
        cells = ["" if cell is None or cell != cell else str(cell) for cell in cells]  # noqa: PLR0124
    found = np.empty(len(cells), dtype=object)
    found[:] = cells
    return found


def factorize(values: StringArray) -> tuple[list[str], IntArray]:
    """(n,) -> (m), (n,): the different texts, sorted, and the position of each value among them."""
    cells = values.tolist()
    names = sorted(set(cells))
    position = {name: code for code, name in enumerate(names)}
    return names, np.fromiter(map(position.__getitem__, cells), dtype=np.int32, count=len(cells))
