"""Calendars: known years, closed forms and every message."""

from __future__ import annotations

import datetime as dt
import json

import attrs
import numpy as np
import pytest

from funnel.calendars import Calendar
from funnel.errors import ValidationError

# Real companies' published calendars, by the rules of which we compute:
NRF = Calendar(fiscal_year_start=2, pattern="454", week_start=6, anchor="nearest")
"""US National Retail Federation: ends on the Saturday nearest to 31 January, weeks 4-5-4."""

APPLE = Calendar(fiscal_year_start=10, pattern="445", week_start=6)
"""Apple (annual reports): "ends on the last Saturday of September"."""

COSTCO = Calendar(fiscal_year_start=9, pattern="445", anchor="nearest")
"""Costco (annual reports): "ends on the Sunday closest to August 31"."""


def message(function, *args, **kwargs):
    """Return the text of the ValidationError that a call must raise."""
    with pytest.raises(ValidationError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def iso(dates):
    """Return dates as ISO strings."""
    return np.asarray(dates).astype(str).tolist()


# --- working days --------------------------------------------------------------------------------


def test_business_days_of_a_month():
    """January 2026 starts on a Thursday: 5 + 5 + 4 + 4 + 4 weekdays, less New Year's Day."""
    calendar = Calendar(holidays=[dt.date(2026, 1, 1)])
    assert 21 == calendar.business_days("2026-01-01", dt.date(2026, 2, 1))
    assert -21 == calendar.business_days("2026-02-01", "2026-01-01")
    assert isinstance(calendar.business_days("2026-01-01", "2026-02-01"), int)


def test_business_days_of_columns():
    """A column with a column, and with a single day on either side."""
    calendar = Calendar()
    mondays = np.array(["2026-06-29", "2026-07-06"], dtype="datetime64[D]")
    assert [5, 5] == calendar.business_days(mondays, mondays + 7).tolist()
    assert [10, 5] == calendar.business_days(mondays, "2026-07-13").tolist()
    assert [0, 5] == calendar.business_days("2026-06-29", mondays).tolist()


def test_business_days_of_a_sunday_week():
    """Friday and Saturday off: Sunday 2026-07-05 to Thursday is a working week."""
    calendar = Calendar(weekmask="1111001")
    week = np.arange("2026-07-05", "2026-07-12", dtype="datetime64[D]")
    assert [True] * 5 + [False] * 2 == calendar.is_business_day(week).tolist()


def test_is_business_day_of_one_day():
    """A plain bool; a holiday is off."""
    calendar = Calendar(holidays=["2026-12-25"])
    assert calendar.is_business_day("2026-12-24") is True
    assert calendar.is_business_day("2026-12-25") is False


@pytest.mark.parametrize(
    ("day", "n", "expected"),
    [
        ("2026-07-02", 1, dt.date(2026, 7, 6)),  # Friday 3 July is off
        ("2026-07-06", -1, dt.date(2026, 7, 2)),
        ("2026-07-04", 0, dt.date(2026, 7, 6)),  # a Saturday counts as the Monday after
        ("2026-07-04", 1, dt.date(2026, 7, 7)),
    ],
)
def test_add_business_days(day, n, expected):
    """Over a long weekend, by the calendar on the wall."""
    calendar = Calendar(holidays=["2026-07-03"])
    assert expected == calendar.add_business_days(day, n)


def test_add_business_days_to_columns():
    """A column of days, of numbers, or of both."""
    calendar = Calendar()
    days = np.array(["2026-07-02", "2026-07-03"], dtype="datetime64[D]")
    assert ["2026-07-03", "2026-07-06"] == iso(calendar.add_business_days(days, 1))
    assert ["2026-07-03", "2026-07-06"] == iso(
        calendar.add_business_days("2026-07-02", np.array([1, 2]))
    )
    assert ["2026-07-03", "2026-07-07"] == iso(calendar.add_business_days(days, np.array([1, 2])))


@pytest.mark.parametrize(
    ("method", "args", "expected"),
    [
        ("business_days", (None, "2026-07-01"), "start must be one-dimensional"),
        ("business_days", (["2026-07-01", None], "2026-07-01"), "start must be given; 1 of 2 rows"),
        ("business_days", ("2026-07-01", "2026-7-1"), "end must be a day, got '2026-7-1'"),
        (
            "business_days",
            (["2026-07-01"], ["2026-07-01", "2026-07-02"]),
            "start and end must have one length, got 1 and 2",
        ),
        ("add_business_days", ("2026-07-01", 1.5), "n must be a whole number, or a column"),
        ("add_business_days", ("2026-07-01", [[1]]), "n must be a whole number, or a column"),
        ("add_business_days", ("2026-07-01", [0, 10**9]), "n must lead to a date in the years"),
        ("add_business_days", ("9999-12-31", 1), "the business day must lie in the years 1 to"),
        ("add_business_days", (["2026-07-01"] * 2, [1, 2, 3]), "day and n must have one length"),
        ("is_business_day", ([None],), "days must be given; 1 of 1 rows"),
    ],
)
def test_business_days_refuse(method, args, expected):
    """Nothing is counted from or to a day that is missing."""
    assert message(getattr(Calendar(), method), *args).startswith(expected)


# --- the fiscal year -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("month", "date", "year", "quarter"),
    [
        (1, "2026-12-31", 2026, "2026-10-01"),
        (4, "2026-03-31", 2026, "2026-01-01"),  # United Kingdom, Japan, India
        (4, "2026-04-01", 2027, "2026-04-01"),
        (7, "2026-07-01", 2027, "2026-07-01"),  # Microsoft
        (10, "2026-09-30", 2026, "2026-07-01"),  # United States government
        (10, "2026-10-01", 2027, "2026-10-01"),
        (2, "2026-01-31", 2026, "2025-11-01"),  # quarters that no calendar year knows
        (12, "2026-12-01", 2027, "2026-12-01"),
    ],
)
def test_fiscal_years_by_calendar_months(month, date, year, quarter):
    """The year in which it ends; quarters of three months from its start."""
    calendar = Calendar(fiscal_year_start=month)
    assert year == calendar.fiscal_year(date)
    assert dt.date.fromisoformat(quarter) == calendar.period_start(date, "quarter")


@pytest.mark.parametrize(
    ("calendar", "first", "starts"),
    [
        # 31 January falls on a Monday, Tuesday, Wednesday, Friday: the nearest Saturdays are
        # 29 and 28 January, 3 February, 1 February. NRF: 2023 has 53 weeks, as had 2012 and 2017.
        (NRF, 2023, ["2022-01-30", "2023-01-29", "2024-02-04", "2025-02-02"]),
        (NRF, 2013, ["2012-01-29", "2013-02-03"]),
        (NRF, 2018, ["2017-01-29", "2018-02-04"]),
        # Year ends 2022-09-24, 2023-09-30 (53 weeks) and 2024-09-28, from the annual reports.
        (APPLE, 2022, ["2021-09-26", "2022-09-25", "2023-10-01", "2024-09-29"]),
        # Year ends 2022-08-28, 2023-09-03 (53 weeks) and 2024-09-01, from the annual reports.
        (COSTCO, 2023, ["2022-08-29", "2023-09-04", "2024-09-02"]),
    ],
)
def test_fiscal_years_of_weeks(calendar, first, starts):
    """Published years of three companies: first day, last day, and the names in between."""
    assert starts == iso(calendar.periods(starts[0], len(starts) - 1, "year"))
    for year, start in enumerate(np.array(starts, dtype="datetime64[D]"), start=first):
        assert [year - 1, year] == [calendar.fiscal_year(start - 1), calendar.fiscal_year(start)]


def test_months_of_a_retail_year():
    """NRF 2024: 4-5-4 weeks from 4 February, added up by hand."""
    expected = ["2024-02-04", "2024-03-03", "2024-04-07", "2024-05-05", "2024-06-02", "2024-07-07"]
    expected += ["2024-08-04", "2024-09-01", "2024-10-06", "2024-11-03", "2024-12-01", "2025-01-05"]
    assert [*expected, "2025-02-02"] == iso(NRF.periods("2024-02-20", 12, "month"))
    assert [*expected[::3], "2025-02-02"] == iso(NRF.periods("2024-02-20", 4, "quarter"))


@pytest.mark.parametrize(
    ("pattern", "weeks"),
    [("445", [4, 4, 5] * 4), ("454", [4, 5, 4] * 4), ("544", [5, 4, 4] * 4)],
)
def test_the_53rd_week_is_in_the_last_month(pattern, weeks):
    """NRF 2023 has 53 weeks from 29 January, the last of them in the last month."""
    edges = attrs.evolve(NRF, pattern=pattern).periods("2023-01-29", 12, "month")
    expected = [*weeks[:-1], weeks[-1] + 1]
    assert expected == (np.diff(edges).astype(int) // 7).tolist()


@pytest.mark.parametrize(("week_start", "expected"), [(0, "2026-06-29"), (6, "2026-06-28")])
def test_weeks(week_start, expected):
    """2026-07-01 is a Wednesday."""
    calendar = Calendar(week_start=week_start)
    assert dt.date.fromisoformat(expected) == calendar.period_start("2026-07-01", "week")


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("2026-07-01", 0, "month"), "n must be a whole number of at least 1, got 0."),
        (("2026-07-01", -1, "month"), "n must be a whole number of at least 1, got -1."),
        (("2026-07-01", 1.0, "month"), "n must be a whole number of at least 1, got 1.0."),
        (("2026-07-01", True, "month"), "n must be a whole number of at least 1, got True."),
        (("2026-07-01", 10**30, "week"), "n must not lead out of the years 1 to 9999"),
        (("2026-07-01", 8_000, "year"), "n must not lead out of the years 1 to 9999"),
        (("0001-01-01", 1, "week"), None),  # a Monday
        (("0001-01-01", 1, "year"), None),
        ((None, 1, "year"), "start must be given, got None."),
        (("2026-07-01", 1, "weeks"), "unit must be a kind of period, got 'weeks'. Did you mean"),
        (("2026-07-01", 1, None), "unit must be a kind of period, got None. Known: 'week', 'mon"),
    ],
    ids=str,
)
def test_periods_refuse(args, expected):
    """Periods are counted, and stay where dates exist."""
    if expected is None:
        assert args[0] == iso(Calendar().periods(*args))[0]
    else:
        assert message(Calendar().periods, *args).startswith(expected)


def test_periods_start_where_dates_do():
    """The week of Sundays that contains 0001-01-01 starts in the year before."""
    found = message(Calendar(week_start=6).periods, "0001-01-01", 1, "week")
    assert found.startswith("n must not lead out of the years 1 to 9999")


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("weekmask", "0000000", "must be seven characters 0 or 1"),
        ("weekmask", "11111", "must be seven characters 0 or 1"),
        ("weekmask", "Mon-Fri", "must be seven characters 0 or 1"),
        ("weekmask", 1_111_100, "must be seven characters 0 or 1"),
        ("holidays", "2026-01-01", "must be a sequence of dates"),
        ("holidays", dt.date(2026, 1, 1), "must be a sequence of dates"),
        ("holidays", [None], "must be given"),
        ("holidays", ["New Year"], "must be a day"),
        ("fiscal_year_start", 0, "must be an integer from 1 to 12"),
        ("fiscal_year_start", 13, "must be an integer from 1 to 12"),
        ("fiscal_year_start", "4", "must be an integer from 1 to 12"),
        ("fiscal_year_start", True, "must be an integer from 1 to 12"),
        ("week_start", 7, "must be an integer from 0 to 6"),
        ("week_start", 0.0, "must be an integer from 0 to 6"),
        ("pattern", "444", "must be '445', '454', '544' or None"),
        ("pattern", 445, "must be '445', '454', '544' or None"),
        ("anchor", "first", "must be 'last' or 'nearest'"),
        ("anchor", "nearest", "must be 'last' in a calendar without a pattern"),
    ],
)
def test_calendar_refuses(field, value, rule):
    """Every parameter has a rule, and the message names both."""
    with pytest.raises(ValidationError) as caught:
        Calendar(**{field: value})
    assert str(caught.value).startswith(f"{field} {rule}")
    assert field == caught.value.column


def test_calendar_is_a_value():
    """Holidays are sorted, each once; equal calendars hash alike; repr builds it again."""
    days = [dt.date(2026, 12, 25), "2026-01-01", np.datetime64("2026-12-25")]
    calendar = Calendar(holidays=days)
    assert (dt.date(2026, 1, 1), dt.date(2026, 12, 25)) == calendar.holidays
    again = eval(repr(calendar), {"Calendar": Calendar, "datetime": dt})  # noqa: S307
    assert {calendar} == {again}
    assert calendar != Calendar()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        calendar.week_start = 6


# --- stored as JSON ------------------------------------------------------------------------------


def test_calendar_as_json():
    """Plain types, the schema inside."""
    calendar = attrs.evolve(APPLE, holidays=["2026-01-01"])
    stored = json.loads(json.dumps(calendar.to_dict()))
    assert {
        "schema": "funnel.Calendar/1",
        "weekmask": "1111100",
        "holidays": ["2026-01-01"],
        "fiscal_year_start": 10,
        "pattern": "445",
        "week_start": 6,
        "anchor": "last",
    } == stored
    assert calendar == Calendar.from_dict(stored)


def test_calendar_from_dict_refuses():
    """A stored calendar is checked like a new one."""
    stored = Calendar().to_dict()
    assert "week_start must be" in message(Calendar.from_dict, stored | {"week_start": "0"})
    assert "holidays must be a list" in message(Calendar.from_dict, stored | {"holidays": None})
