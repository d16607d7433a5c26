"""Array aliases used in public signatures.

An alias states the element type; the shape stands in the docstring of the function that uses it
(``(n,)`` one value a row, ``(k,)`` one a date or period, ``(n, k)`` one a row and date).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "NO_DAY",
    "BoolArray",
    "ComplexArray",
    "DateArray",
    "DateLike",
    "DayArray",
    "FloatArray",
    "IntArray",
    "StringArray",
]

FloatArray = npt.NDArray[np.float64]
"""Amounts (major units of a currency) or probabilities; NaN means unknown."""

ComplexArray = npt.NDArray[np.complex128]
"""Values of characteristic functions."""

IntArray = npt.NDArray[np.integer[Any]]
"""Codes and counts; -1 means unknown for a code."""

DayArray = npt.NDArray[np.int32]
"""Days since 1970-01-01; `NO_DAY` means no date."""

NO_DAY = -(2**31)
"""The day that stands for "no date": numpy's own NaT, cut to 32 bits."""

DateArray = npt.NDArray[np.datetime64]
"""Dates as ``datetime64[D]``; NaT means no date."""

BoolArray = npt.NDArray[np.bool_]
"""Masks."""

StringArray = npt.NDArray[np.object_]
"""Texts, as an object array of `str`; the empty text means unknown."""

DateLike = dt.date | np.datetime64 | str
"""One day: a date, a ``datetime64``, or an ISO string such as ``"2026-06-30"``."""
