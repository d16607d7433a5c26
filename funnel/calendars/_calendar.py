"""The calendar of a business: its working days and its fiscal year."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import attrs
import numpy as np

from funnel.calendars import _business
from funnel.calendars._days import FIRST_DAY, LAST_DAY, date_of, to_day
from funnel.calendars._periods import check_count, check_unit, period_index, period_starts
from funnel.calendars._schema import fields_of, strings_of
from funnel.errors import ValidationError

if TYPE_CHECKING:
    import datetime as dt

    from funnel.calendars._business import DayColumn
    from funnel.calendars._periods import Unit
    from funnel.typing import BoolArray, DateArray, DateLike, IntArray

Pattern = Literal["445", "454", "544"]
Anchor = Literal["last", "nearest"]

_WEEKMASK = re.compile(r"(?=.*1)[01]{7}")
_SCHEMA = "funnel.Calendar/1"
_PATTERNS = ("445", "454", "544")
_ANCHORS = ("last", "nearest")


def _as_holidays(values: Iterable[DateLike]) -> tuple[dt.date, ...]:
    """Convert holidays to dates, each once and in order."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValidationError.from_value(
            "holidays", "must be a sequence of dates", values, "Put a single holiday into a tuple."
        )
    days = {to_day(value, name="holidays") for value in values}
    return tuple(date_of(day) for day in sorted(days))


def _check_weekmask(_: Calendar, __: attrs.Attribute[str], value: object) -> None:
    """Seven characters, Monday first, at least one of them a working day."""
    if not isinstance(value, str) or not _WEEKMASK.fullmatch(value):
        raise ValidationError.from_value(
            "weekmask",
            "must be seven characters 0 or 1, Monday to Sunday, with a 1 among them",
            value,
            "Write '1111100' for Monday to Friday.",
        )


def _check_integer(name: str, value: object, low: int, high: int, meaning: str) -> None:
    """Raise where a parameter is no plain integer between two bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValidationError.from_value(
            name, f"must be an integer from {low} to {high}", value, meaning
        )


def _check_fiscal_year_start(_: Calendar, __: attrs.Attribute[int], value: int) -> None:
    """Check that it is the number of a month."""
    _check_integer("fiscal_year_start", value, 1, 12, "1 is January, 12 is December.")


def _check_week_start(_: Calendar, __: attrs.Attribute[int], value: int) -> None:
    """Check that it is the number of a weekday."""
    _check_integer("week_start", value, 0, 6, "0 is Monday, 6 is Sunday.")


def _check_pattern(_: Calendar, __: attrs.Attribute[Pattern | None], value: Pattern | None) -> None:
    """Check that it is one of the three that are in use, or none."""
    if value is not None and value not in _PATTERNS:
        raise ValidationError.from_value(
            "pattern", "must be '445', '454', '544' or None", value, "None means calendar months."
        )


def _check_anchor(calendar: Calendar, _: attrs.Attribute[Anchor], value: Anchor) -> None:
    """Check that it is known, and that it has an effect."""
    if value not in _ANCHORS:
        raise ValidationError.from_value(
            "anchor", "must be 'last' or 'nearest'", value, "'last' is the default."
        )
    if value != "last" and calendar.pattern is None:
        raise ValidationError.from_value(
            "anchor",
            "must be 'last' in a calendar without a pattern, whose years end with a month",
            value,
            "Give pattern='445' or another one, or leave anchor out.",
        )


@attrs.frozen(kw_only=True)
class Calendar:
    """Working days, holidays and the fiscal year of a business.

    Parameters
    ----------
    weekmask : str
        Working days, Monday to Sunday, as seven characters 0 or 1.
    holidays : iterable of date
        Days on which nobody works; kept sorted, each once.
    fiscal_year_start : int
        Month in which the fiscal year starts, 1 to 12.
    pattern : {"445", "454", "544"} or None
        Weeks of the three months of each quarter, for a fiscal year of 52 or 53 weeks.
        A 53rd week belongs to the last month of the year. None means calendar months.
    week_start : int
        First day of a week, 0 (Monday) to 6 (Sunday).
    anchor : {"last", "nearest"}
        Only with a pattern. The year ends on the day before `week_start`: the last such day in
        the month before `fiscal_year_start`, or the one nearest to the end of that month.

    Notes
    -----
    A fiscal year has the name of the calendar year in which it ends: with ``fiscal_year_start=7``,
    1 July 2026 is in fiscal year 2027. A year of weeks takes the name of the month end that it is
    anchored to, also where "nearest" puts its last days into the next month. (The US National
    Retail Federation names years by their start: its 2023 is our 2024.)

    Both anchors are those of 26 CFR § 1.441-2(a), "52-53-week taxable year".

    Examples
    --------
    >>> import datetime as dt
    >>> calendar = Calendar(holidays=(dt.date(2026, 1, 1),), fiscal_year_start=7)
    >>> calendar.business_days("2026-01-01", "2026-02-01")
    21
    >>> calendar.fiscal_year("2026-07-01")
    2027
    >>> calendar.period_start("2026-08-15", "quarter")
    datetime.date(2026, 7, 1)
    """

    weekmask: str = attrs.field(default="1111100", validator=_check_weekmask)
    holidays: tuple[dt.date, ...] = attrs.field(default=(), converter=_as_holidays)
    fiscal_year_start: int = attrs.field(default=1, validator=_check_fiscal_year_start)
    pattern: Pattern | None = attrs.field(default=None, validator=_check_pattern)
    week_start: int = attrs.field(default=0, validator=_check_week_start)
    anchor: Anchor = attrs.field(default="last", validator=_check_anchor)

    @overload
    def business_days(self, start: DateLike, end: DateLike) -> int: ...
    @overload
    def business_days(self, start: DayColumn, end: DateLike | DayColumn) -> IntArray: ...
    @overload
    def business_days(self, start: DateLike, end: DayColumn) -> IntArray: ...
    def business_days(
        self, start: DateLike | DayColumn, end: DateLike | DayColumn
    ) -> int | IntArray:
        """Count the business days in ``[start, end)``.

        Parameters
        ----------
        start, end : date or (n,) dates
            First day counted, and first day not counted any more.

        Returns
        -------
        int or (n,) int64
            Negative where `end` is before `start`: swapping the two changes the sign only.

        Raises
        ------
        ValidationError
            If a date is missing or wrong, or two columns differ in length.

        Examples
        --------
        >>> import numpy as np
        >>> Calendar().business_days("2026-06-29", "2026-07-06")
        5
        >>> Calendar().business_days(np.array(["2026-07-03", "2026-07-06"]), "2026-07-04").tolist()
        [1, 0]
        """
        return _business.count(start, end, self._busdays())

    @overload
    def add_business_days(self, day: DateLike, n: int) -> dt.date: ...
    @overload
    def add_business_days(self, day: DayColumn, n: int | IntArray) -> DateArray: ...
    @overload
    def add_business_days(self, day: DateLike, n: IntArray) -> DateArray: ...
    def add_business_days(
        self, day: DateLike | DayColumn, n: int | IntArray
    ) -> dt.date | DateArray:
        """Return the business day that is `n` business days after a day.

        Parameters
        ----------
        day : date or (n,) dates
            Where to start; a day off counts as the next business day.
        n : int or (n,) int
            Business days to go forwards, or backwards where negative.

        Returns
        -------
        date or (n,) datetime64[D]
            The one business day with ``business_days(day, it) == n``.

        Raises
        ------
        ValidationError
            If a date is missing or wrong, `n` is not whole, or the result lies outside of the
            years 1 to 9999.

        Examples
        --------
        >>> Calendar().add_business_days("2026-07-03", 1)
        datetime.date(2026, 7, 6)
        >>> Calendar().add_business_days("2026-07-06", -1)
        datetime.date(2026, 7, 3)
        """
        return _business.add(day, n, self._busdays())

    @overload
    def is_business_day(self, days: DateLike) -> bool: ...
    @overload
    def is_business_day(self, days: DayColumn) -> BoolArray: ...
    def is_business_day(self, days: DateLike | DayColumn) -> bool | BoolArray:
        """Say which days are worked.

        Parameters
        ----------
        days : date or (n,) dates
            The days in question.

        Returns
        -------
        bool or (n,) bool

        Raises
        ------
        ValidationError
            If a date is missing or wrong.

        Examples
        --------
        >>> import numpy as np
        >>> Calendar().is_business_day(np.array(["2026-07-03", "2026-07-04"])).tolist()
        [True, False]
        """
        return _business.is_worked(days, self._busdays())

    def fiscal_year(self, date: DateLike) -> int:
        """Return the fiscal year of a day, named by the calendar year in which it ends.

        Parameters
        ----------
        date : date
            Any day.

        Returns
        -------
        int

        Raises
        ------
        ValidationError
            If the date is missing or wrong.

        Examples
        --------
        >>> Calendar(fiscal_year_start=4).fiscal_year("2026-03-31")
        2026
        >>> Calendar(fiscal_year_start=4).fiscal_year("2026-04-01")
        2027
        """
        return period_index(self, to_day(date), "year")

    def period_start(self, date: DateLike, unit: Unit) -> dt.date:
        """Return the first day of the period that contains a day.

        Parameters
        ----------
        date : date
            Any day.
        unit : {"week", "month", "quarter", "year"}
            Kind of period; months, quarters and years are fiscal ones.

        Returns
        -------
        date

        Raises
        ------
        ValidationError
            If the date or the unit is wrong.

        Examples
        --------
        >>> Calendar(pattern="445", week_start=6).period_start("2026-07-01", "month")
        datetime.date(2026, 6, 28)
        """
        return date_of(self.periods(date, 1, unit).astype(np.int64)[0])

    def periods(self, start: DateLike, n: int, unit: Unit) -> DateArray:
        """Return the edges of `n` periods, of which the first contains `start`.

        Parameters
        ----------
        start : date
            Any day of the first period.
        n : int
            How many periods.
        unit : {"week", "month", "quarter", "year"}
            Kind of period; months, quarters and years are fiscal ones.

        Returns
        -------
        (n + 1,) datetime64[D]
            Period ``i`` is ``[edges[i], edges[i + 1])``.

        Raises
        ------
        ValidationError
            If the date, the number or the unit is wrong, or the periods leave the years 1 to 9999.

        Examples
        --------
        >>> Calendar().periods("2026-08-15", 2, "quarter").astype(str).tolist()
        ['2026-07-01', '2026-10-01', '2027-01-01']
        """
        check_unit(unit)
        day = to_day(start, name="start")
        index = period_index(self, day, unit) + np.arange(check_count(n, day) + 1)
        edges = period_starts(self, index, unit)
        if edges[0] < FIRST_DAY or edges[-1] > LAST_DAY:
            raise ValidationError.from_value(
                "n",
                "must not lead out of the years 1 to 9999",
                n,
                "Ask for fewer periods, or start elsewhere.",
            )
        return edges.astype("datetime64[D]")

    def _busdays(self) -> np.busdaycalendar:
        """Return working days and holidays as numpy wants them."""
        return np.busdaycalendar(self.weekmask, list(self.holidays))

    def to_dict(self) -> dict[str, object]:
        """Return the calendar as plain types, fit for JSON.

        Returns
        -------
        dict
            With the key ``"schema"``; dates are ISO strings.

        Examples
        --------
        >>> Calendar(fiscal_year_start=7).to_dict()["fiscal_year_start"]
        7
        """
        fields = attrs.asdict(self, recurse=False)
        fields["holidays"] = [day.isoformat() for day in self.holidays]
        return {"schema": _SCHEMA, **fields}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a calendar from what `to_dict` returned.

        Parameters
        ----------
        data : mapping
            Fields of a calendar with the key ``"schema"``.

        Returns
        -------
        Calendar

        Raises
        ------
        ValidationError
            If the schema is another one, or a field is missing, unknown or wrong.

        Examples
        --------
        >>> Calendar.from_dict(Calendar(week_start=6).to_dict()).week_start
        6
        """
        names = tuple(attribute.name for attribute in attrs.fields(cls))
        fields = fields_of(data, _SCHEMA, names)
        fields["holidays"] = strings_of(fields["holidays"], "holidays")
        return cls(**fields)
