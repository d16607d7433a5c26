"""Days in and out: dates of any spelling to int32 days since 1970-01-01, and back."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from funnel.typing import BoolArray, DateArray, DateLike, DayArray

_EPOCH = dt.date(1970, 1, 1).toordinal()
FIRST_DAY = dt.date.min.toordinal() - _EPOCH
LAST_DAY = dt.date.max.toordinal() - _EPOCH

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TICKS = {"D": 1, "h": 24, "m": 1440, "s": 86_400}
_TICKS |= {unit: 86_400 * 10**power for unit, power in (("ms", 3), ("us", 6), ("ns", 9))}


@attrs.frozen
class _Rule:
    """What a value must be to count as a day, and what to do where it is not."""

    text: str
    remedy: str


_WAYS = "Give a date, a datetime64[D] or an ISO string such as '2026-06-30'."
_COLUMN = f"{_WAYS} Write None or NaT where there is none."

_A_DAY = _Rule("must be a day", _WAYS)
_GIVEN = _Rule("must be given", _WAYS)
_NO_TIME = _Rule(
    "must be a day without a time", "Cut it to a day in your business time zone first."
)
_IN_RANGE = _Rule("must lie in the years 1 to 9999", "Correct the date.")


def _from_text(text: str) -> int | _Rule:
    """Return the day of an ISO date; nothing else is read, least of all ``"2026-06"``."""
    if _ISO_DATE.fullmatch(text):
        try:
            return dt.date.fromisoformat(text).toordinal() - _EPOCH
        except ValueError:
            return _A_DAY
    return _A_DAY


def _read(value: object) -> int | _Rule:
    """Return the day of one object, `NO_DAY` where it is missing, or the rule that it breaks."""
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, np.datetime64):
        days, rule, _ = _from_datetimes(np.asarray(value).reshape(1))
        return int(days[0]) if rule is None else rule
    if value is None or (
        isinstance(value, float | dt.datetime) and value != value  # noqa: PLR0124 - nan, pandas' NaT
    ):
        return NO_DAY
    # With a zone it is never equal: whose midnight would it be?
    if isinstance(value, dt.datetime) and value != dt.datetime.combine(value, dt.time.min):
        return _NO_TIME
    return value.toordinal() - _EPOCH if isinstance(value, dt.date) else _A_DAY


_Found = tuple["npt.NDArray[Any]", "_Rule | None", "BoolArray"]


def _from_datetimes(values: npt.NDArray[Any]) -> _Found:
    """``(n,) datetime64`` to days, the first rule broken, and a mask of who breaks it."""
    missing = np.isnat(values)
    unit = np.datetime_data(values.dtype)[0]
    if unit not in _TICKS:
        return np.full(values.shape, NO_DAY), None if missing.all() else _A_DAY, ~missing
    # Not by way of datetime64[D]: numpy puts the first days that nanoseconds reach into 2262.
    ticks = values.astype(f"datetime64[{unit}]").view(np.int64)
    days = ticks // _TICKS[unit]
    timed = (days * _TICKS[unit] != ticks) & ~missing
    if timed.any():
        return days, _NO_TIME, timed
    return _from_integers(np.where(missing, NO_DAY, days))


def _from_integers(values: npt.NDArray[Any]) -> _Found:
    """``(n,) int`` taken as days; what no `datetime.date` can hold is refused."""
    outside = ((values < FIRST_DAY) | (values > LAST_DAY)) & (values != NO_DAY)
    return values, _IN_RANGE if outside.any() else None, outside


def _from_strings(values: npt.NDArray[Any]) -> _Found:
    """``(n,) str`` of the form YYYY-MM-DD to days; empty text and NaT are no date."""
    missing = (values == "") | (values == "NaT")
    width = len("2026-06-30")
    # One column more than a date has: longer texts are cut, and still seen to be too long.
    codes = values.astype(f"U{width + 1}").view(np.uint32).reshape(-1, width + 1).T
    # Unsigned: what comes before "0" becomes a large number, and is no digit either.
    digits = codes[[0, 1, 2, 3, 5, 6, 8, 9]] - np.uint32(ord("0"))
    formed = (digits <= 9).all(axis=0) & (codes[[4, 7]] == ord("-")).all(axis=0)
    formed &= codes[width] == 0
    digits = np.where(formed, digits, 1).astype(np.int64)
    year = digits[0] * 1000 + digits[1] * 100 + digits[2] * 10 + digits[3]
    month, day = digits[4] * 10 + digits[5], digits[6] * 10 + digits[7]
    months = (year - 1970) * 12 + month - 1
    first, following = _month_start(months), _month_start(months + 1)
    days = first + day - 1
    right = formed & (month >= 1) & (month <= 12) & (day >= 1) & (days < following)
    if (right | missing).all():
        return _from_integers(np.where(missing, NO_DAY, days))
    return days, _A_DAY, ~(right | missing)


def _month_start(months: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """``(n,)`` months since 1970-01 to their first days."""
    return months.astype("datetime64[M]").astype("datetime64[D]").view(np.int64)


def _from_objects(values: npt.NDArray[Any]) -> _Found:
    """``(n,) object`` to days; columns of one plain type take the short way."""
    cells = values.tolist()
    kinds = set(map(type, cells))
    if kinds <= {dt.date, type(None)}:
        # Ten times as fast as numpy's own way from dates to datetime64.
        ordinals = [NO_DAY if cell is None else cell.toordinal() - _EPOCH for cell in cells]
        return _from_integers(np.array(ordinals, dtype=np.int64))
    if kinds == {str}:
        return _from_strings(values)
    if all(issubclass(kind, int | np.integer) and kind is not bool for kind in kinds):
        return _from_integers(np.array(cells))
    found = [_read(cell) for cell in cells]
    rule = next((item for item in found if isinstance(item, _Rule)), None)
    days = np.array([NO_DAY if isinstance(item, _Rule) else item for item in found])
    return days, rule, np.array([item is rule for item in found])


def to_day(value: DateLike, *, name: str = "date") -> int:
    """Return one date as days since 1970-01-01.

    Parameters
    ----------
    value : date, datetime64 or str
        A day. Strings are ISO dates, ``YYYY-MM-DD``. A `datetime.datetime` or a finer
        ``datetime64`` counts as a day only at midnight and without a time zone.
    name : str
        What the value is called in error messages.

    Returns
    -------
    int
        Days since 1970-01-01.

    Raises
    ------
    ValidationError
        If the value is missing, is no date, has a time of day or a zone, is coarser than a day
        (``"2026-06"``), or lies outside of the years 1 to 9999.

    See Also
    --------
    to_date : The way back.
    to_days : The same for arrays.

    Examples
    --------
    >>> import datetime as dt
    >>> to_day("1970-01-02")
    1
    >>> to_day(dt.date(2026, 6, 30))
    20634
    """
    found = _read(value)
    if found == NO_DAY:
        found = _GIVEN
    if isinstance(found, _Rule):
        raise ValidationError.from_value(name, found.text, value, found.remedy)
    return found


def to_days(values: npt.ArrayLike | Sequence[DateLike | None], *, name: str = "date") -> DayArray:
    """Return dates as days since 1970-01-01.

    Parameters
    ----------
    values : (n,) array-like
        ``datetime64``, dates, ISO strings, or integers, which are taken as days already.
        NaT, None and a float nan among objects mean no date.
    name : str
        What the values are called in error messages.

    Returns
    -------
    (n,) int32
        Days since 1970-01-01, `NO_DAY` where there is no date.
        An int32 array comes back as it is, not as a copy.

    Raises
    ------
    ValidationError
        If the values are not one-dimensional, or some are no dates, have a time of day or a
        zone, or lie outside of the years 1 to 9999.

    See Also
    --------
    to_dates : The way back.

    Examples
    --------
    >>> import numpy as np
    >>> to_days(["1970-01-02", "2026-06-30"]).tolist()
    [1, 20634]
    >>> to_days(np.array(["2026-06-30", "NaT"], dtype="datetime64[D]")).tolist()
    [20634, -2147483648]
    """
    try:
        # As objects: numpy would make texts of dates, and dates of months, that share a list.
        array = np.asarray(values, dtype=object if isinstance(values, list | tuple) else None)
    except (TypeError, ValueError) as error:
        raise ValidationError.from_value(
            name, "must be a column of dates", values, _COLUMN
        ) from error
    if array.ndim != 1:
        message = f"{name} must be one-dimensional, got {array.ndim} dimensions."
        raise ValidationError(f"{message} Give one date a row.", column=name)
    days, broken_rule, broken = _dispatch(array, name)
    if broken_rule is not None:
        rows = np.flatnonzero(broken)
        raise ValidationError.from_rule(
            name,
            broken_rule.text,
            rows=rows[:100],
            count=len(rows),
            total=len(array),
            first=f"row {rows[0]}, {_shown(array[rows[0]])}",
            remedy=_COLUMN if broken_rule is _A_DAY else broken_rule.remedy,
        )
    return days.astype(np.int32, copy=False)


def _dispatch(array: npt.NDArray[Any], name: str) -> _Found:
    """Send a column to the reader of its type."""
    kind = array.dtype.kind
    if kind in "iu":
        return _from_integers(array)
    if kind == "M":
        return _from_datetimes(array)
    if kind == "U":
        return _from_strings(array)
    if kind in "OT" or array.size == 0:
        return _from_objects(array.astype(object))
    raise ValidationError(f"{name} must be dates, got {array.dtype} values. {_COLUMN}", column=name)


def _shown(value: object) -> str:
    """Return an offender as a reader would write it, cut where it is long."""
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def date_of(day: int) -> dt.date:
    """Return the date of a day that is known to have one."""
    return dt.date.fromordinal(_EPOCH + int(day))


def to_date(day: int) -> dt.date | None:
    """Return the date of one day, None where there is none.

    Parameters
    ----------
    day : int
        Days since 1970-01-01, or `NO_DAY`.

    Returns
    -------
    date or None

    Raises
    ------
    ValidationError
        If the day lies outside of the years 1 to 9999.

    Examples
    --------
    >>> to_date(20634)
    datetime.date(2026, 6, 30)
    """
    if day == NO_DAY:
        return None
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ValidationError.from_value("day", _IN_RANGE.text, day, _IN_RANGE.remedy)
    return date_of(day)


def to_dates(days: DayArray) -> DateArray:
    """Return days since 1970-01-01 as dates.

    Parameters
    ----------
    days : (n,) int32
        Days since 1970-01-01, `NO_DAY` where there is no date.

    Returns
    -------
    (n,) datetime64[D]
        NaT where there is no date.

    Raises
    ------
    ValidationError
        If a day lies outside of the years 1 to 9999, or the array is not one-dimensional.

    Examples
    --------
    >>> import numpy as np
    >>> from funnel.typing import NO_DAY
    >>> to_dates(np.array([20634, NO_DAY], dtype=np.int32)).astype(str).tolist()
    ['2026-06-30', 'NaT']
    """
    checked = to_days(days, name="days")
    dates = checked.astype("datetime64[D]")
    dates[checked == NO_DAY] = np.datetime64("NaT", "D")
    return dates
