"""Texts as codes. Texts are object arrays of `str`: numpy's own StringDType crashes when sorted."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from funnel.typing import IntArray, StringArray

__all__ = ["factorize", "places_among", "texts"]


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
    return names, places_among(names, values)


def places_among(names: list[str], values: StringArray) -> IntArray:
    """(m), (n,) -> (n,): the position of each value among different names, -1 where it is none."""
    position = dict(zip(names, range(len(names)), strict=True))
    found = map(position.get, values.tolist(), itertools.repeat(-1))
    return np.fromiter(found, dtype=np.int32, count=len(values))
