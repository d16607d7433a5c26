"""Working days of single dates and of columns, on numpy's own business-day functions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from funnel.calendars._days import FIRST_DAY, LAST_DAY, to_dates, to_day, to_days
from funnel.errors import ValidationError
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.typing import BoolArray, DateArray, DateLike, IntArray

DayColumn = npt.NDArray[Any] | Sequence[dt.date]
"""Dates as a column."""


def _days_of(value: DateLike | DayColumn, name: str) -> npt.NDArray[np.int32]:
    """Return one day, or a column of days without gaps, as an array."""
    if isinstance(value, str | dt.date | np.datetime64):
        return np.array(to_day(value, name=name), dtype=np.int32)
    days = to_days(value, name=name)
    missing = np.flatnonzero(days == NO_DAY)
    if len(missing):
        raise ValidationError.from_rule(
            name,
            "must be given",
            rows=missing[:100],
            count=len(missing),
            total=len(days),
            first=f"row {missing[0]}, NaT",
            remedy="Leave out the rows without a date.",
        )
    return days


def _check_lengths(first: npt.NDArray[Any], other: npt.NDArray[Any], names: str) -> None:
    """Raise where two columns are not of one length; a single value goes with any column."""
    if first.ndim and other.ndim and len(first) != len(other):
        raise ValidationError(
            f"{names} must have one length, got {len(first):,} and {len(other):,}. "
            "Give one value for each row, or a single value for all."
        )


def _offsets_of(n: int | IntArray) -> npt.NDArray[np.int64]:
    """Return numbers of business days that could lead to a date at all."""
    offsets = np.asarray(n)
    if offsets.dtype.kind not in "iu" or offsets.ndim > 1:
        raise ValidationError.from_value(
            "n", "must be a whole number, or a column of them", n, "Write for instance 10 or -10."
        )
    far = np.flatnonzero((offsets > LAST_DAY - FIRST_DAY) | (offsets < FIRST_DAY - LAST_DAY))
    if len(far):
        raise ValidationError.from_rule(
            "n",
            "must lead to a date in the years 1 to 9999",
            rows=far[:100],
            count=len(far),
            total=offsets.size,
            first=f"row {far[0]}, {offsets.flat[far[0]]}",
            remedy="Give business days, not seconds.",
        )
    return offsets.astype(np.int64)


def count(
    start: DateLike | DayColumn, end: DateLike | DayColumn, busdays: np.busdaycalendar
) -> int | IntArray:
    """Count the business days in ``[start, end)``; swapping the two changes the sign only."""
    first, last = _days_of(start, "start"), _days_of(end, "end")
    _check_lengths(first, last, "start and end")
    # numpy alone counts (end, start] where the two are swapped, which is another set of days.
    counts = np.busday_count(
        np.minimum(first, last).astype("datetime64[D]"),
        np.maximum(first, last).astype("datetime64[D]"),
        busdaycal=busdays,
    )
    signed = np.where(first <= last, counts, -counts)
    return signed if signed.ndim else int(signed)


def add(
    day: DateLike | DayColumn, n: int | IntArray, busdays: np.busdaycalendar
) -> dt.date | DateArray:
    """Return the business day that is `n` business days after a day."""
    days, offsets = _days_of(day, "day"), _offsets_of(n)
    _check_lengths(days, offsets, "day and n")
    moved = np.busday_offset(
        days.astype("datetime64[D]"), offsets, roll="forward", busdaycal=busdays
    )
    dates = to_dates(to_days(np.reshape(moved, -1), name="the business day"))
    if np.ndim(moved):
        return dates
    date: dt.date = dates[0].item()
    return date


def is_worked(days: DateLike | DayColumn, busdays: np.busdaycalendar) -> bool | BoolArray:
    """Say which days are worked."""
    worked = np.is_busday(_days_of(days, "days").astype("datetime64[D]"), busdaycal=busdays)
    return worked if np.ndim(worked) else bool(worked)
