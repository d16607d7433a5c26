"""Where weeks, months, quarters and years start: integer arithmetic behind `Calendar`.

Every period has an index. Weeks count from 1970; months count from the start of fiscal year 0, so
that ``index // 12`` is the fiscal year, and quarters and years are three and twelve of them.
"""

from __future__ import annotations

import re
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from funnel.calendars._days import LAST_DAY, to_day
from funnel.errors import ValidationError, did_you_mean

if TYPE_CHECKING:
    import datetime as dt

    from funnel.calendars._calendar import Calendar

Unit = Literal["week", "month", "quarter", "year"]
"""A kind of period."""

_Days = npt.NDArray[np.int64]

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
UNITS = ("week", *_MONTHS)

_LENGTH = re.compile(r"\s*([0-9]{1,9})\s*([dwmqy])\s*", re.IGNORECASE)
_LETTERS: dict[str, Unit | Literal["day"]] = {
    "d": "day",
    "w": "week",
    "m": "month",
    "q": "quarter",
    "y": "year",
}

_THURSDAY = 3
_EPOCH_YEAR = 1970


def check_unit(unit: object) -> None:
    """Raise where a unit is not known."""
    if unit not in UNITS:
        hint = did_you_mean(str(unit), UNITS)
        raise ValidationError.from_value("unit", "must be a kind of period", unit, hint)


def check_count(n: int, start: int) -> int:
    """Return a number of periods of at least a day each that fit between `start` and year 9999."""
    if not isinstance(n, Integral) or isinstance(n, bool) or n <= 0:
        raise ValidationError.from_value(
            "n", "must be a whole number of at least 1", n, "Ask for one period or more."
        )
    if n > LAST_DAY - start:
        raise ValidationError.from_value(
            "n",
            "must not lead out of the years 1 to 9999",
            n,
            "Ask for fewer periods, or start elsewhere.",
        )
    return int(n)


def parse_length(text: object) -> tuple[int, Unit | Literal["day"]]:
    """Read a number of periods and their kind, for instance ``4q``."""
    found = _LENGTH.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValidationError.from_value(
            "periods",
            "must be a number and a unit",
            text,
            "Write for instance '4q', '6m', '13w', '2y' or '30d'.",
        )
    return int(found[1]), _LETTERS[found[2].lower()]


def period_index(calendar: Calendar, day: int, unit: Unit) -> int:
    """Return the index of the period that contains a day."""
    if unit == "week":
        return (day + _THURSDAY - calendar.week_start) // 7
    return _month_index(calendar, day) // _MONTHS[unit]


def period_starts(calendar: Calendar, index: npt.NDArray[np.int64], unit: Unit) -> _Days:
    """``(n,) int64`` indices of periods to their first days."""
    if unit == "week":
        return index * 7 - _THURSDAY + calendar.week_start
    return _month_starts(calendar, index * _MONTHS[unit])


def period_label(calendar: Calendar, start: dt.date, unit: Unit) -> str:
    """Return the name of one period by its first day."""
    fiscal = calendar.fiscal_year_start != 1 or calendar.pattern is not None
    if unit == "week":
        if calendar.week_start:
            return start.isoformat()
        year, week, _ = start.isocalendar()
        return f"{year:04d}-W{week:02d}"
    if unit == "month" and calendar.pattern is None:
        return f"{start.year:04d}-{start.month:02d}"
    index = period_index(calendar, to_day(start), unit)
    if unit == "month":
        return f"FY{index // 12:04d}-P{index % 12 + 1:02d}"
    prefix = "FY" if fiscal else ""
    if unit == "quarter":
        return f"{prefix}{index // 4:04d}-Q{index % 4 + 1}"
    return f"{prefix}{index:04d}"


def _month_index(calendar: Calendar, day: int) -> int:
    """Return the index of the fiscal month that contains a day."""
    month = int(np.datetime64(day, "D").astype("datetime64[M]").astype(np.int64))
    index = month + _EPOCH_YEAR * 12 + _shift(calendar)
    if calendar.pattern is None:
        return index
    # The year of 52 or 53 weeks starts within a week of the calendar one: look at its neighbours.
    year = index // 12
    starts = _year_starts(calendar, np.array([year, year + 1]))
    year += int(np.searchsorted(starts, day, side="right")) - 1
    week = (day - int(_year_starts(calendar, np.array([year]))[0])) // 7
    return year * 12 + int(np.searchsorted(_first_weeks(calendar), week, side="right")) - 1


def _month_starts(calendar: Calendar, index: npt.NDArray[np.int64]) -> _Days:
    """``(n,) int64`` indices of fiscal months to their first days."""
    if calendar.pattern is None:
        return _calendar_starts(calendar, index)
    return _year_starts(calendar, index // 12) + 7 * _first_weeks(calendar)[index % 12]


def _year_starts(calendar: Calendar, year: npt.NDArray[np.int64]) -> _Days:
    """``(n,) int64`` fiscal years of 52 or 53 weeks to their first days."""
    nominal = _calendar_starts(calendar, year * 12)
    # A year ends on the last day of a week: the last in its month, or the one nearest to the
    # month's end. So the next one starts with the week in which the nominal start lies, looked at
    # three days later for "nearest".
    if calendar.anchor == "nearest":
        nominal = nominal + 3
    return nominal - (nominal + _THURSDAY - calendar.week_start) % 7


def _calendar_starts(calendar: Calendar, index: npt.NDArray[np.int64]) -> _Days:
    """``(n,) int64`` indices of fiscal months to first days, by calendar months."""
    months = index - _EPOCH_YEAR * 12 - _shift(calendar)
    starts: npt.NDArray[Any] = months.astype("datetime64[M]").astype("datetime64[D]")
    return starts.view(np.int64)


def _shift(calendar: Calendar) -> int:
    """Return by how many months the fiscal year runs ahead of the calendar year."""
    return -(calendar.fiscal_year_start - 1) % 12


def _first_weeks(calendar: Calendar) -> npt.NDArray[np.int64]:
    """Return the week of the year with which each fiscal month starts, (12,)."""
    weeks = np.array([int(digit) for digit in calendar.pattern or ""] * 4)
    return np.concatenate(([0], np.cumsum(weeks)[:-1]))
