"""Days in and out: every spelling, everything that is refused, and the message."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from funnel.calendars import to_date, to_dates, to_day, to_days
from funnel.errors import ValidationError
from funnel.typing import NO_DAY

JUNE_30 = 20_634
"""2026-06-30: 56 years of 365 days, 14 leap days, and day 181 of its year: 20440 + 14 + 180."""

ZONE = dt.timezone(dt.timedelta(hours=8))


def message(function, *args, **kwargs):
    """Return the text of the ValidationError that a call must raise."""
    with pytest.raises(ValidationError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


# --- one day -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        dt.date(2026, 6, 30),
        "2026-06-30",
        np.datetime64("2026-06-30"),
        np.datetime64("2026-06-30T00:00:00", "ns"),
        dt.datetime(2026, 6, 30),  # noqa: DTZ001 - midnight without a zone is a day
        pd.Timestamp("2026-06-30"),
    ],
    ids=repr,
)
def test_to_day_reads_every_spelling_of_a_day(value):
    """All say the same day; midnight without a zone is a day."""
    assert JUNE_30 == to_day(value)
    assert [JUNE_30, NO_DAY] == to_days([value, None]).tolist()


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2026, 6, 30, 12),  # noqa: DTZ001
        dt.datetime(2026, 6, 30, tzinfo=ZONE),
        np.datetime64("2026-06-30T01"),
        pd.Timestamp("2026-06-30T00:00:00.000000001"),
        pd.Timestamp("2026-06-30", tz="UTC"),
    ],
    ids=repr,
)
def test_to_day_refuses_a_moment(value):
    """A time of day or a zone leaves open which day is meant."""
    found = message(to_day, value, name="as_of")
    assert found.startswith("as_of must be a day without a time, got ")
    assert found.endswith("Cut it to a day in your business time zone first.")


@pytest.mark.parametrize("value", [None, np.datetime64("NaT"), pd.NaT, float("nan")], ids=repr)
def test_to_day_refuses_a_missing_day(value):
    """One day cannot be missing."""
    assert message(to_day, value, name="as_of").startswith("as_of must be given, got ")


@pytest.mark.parametrize(
    "value",
    [
        *("", "2026-06", "2026", "now", "today", "NaT", "20260630", "2026-W27-1", "30/06/2026"),
        *("2026-02-29", "2026-06-30T00:00", " 2026-06-30", "２０２６-06-30"),
        *(np.datetime64("2026-06"), JUNE_30, 1.5, True, b"2026-06-30"),
    ],
    ids=repr,
)
def test_to_day_refuses_what_is_no_day(value):
    """Nothing is guessed: no months, no clock, no other spelling, no numbers."""
    assert message(to_day, value) == (
        f"date must be a day, got {value!r}. "
        "Give a date, a datetime64[D] or an ISO string such as '2026-06-30'."
    )


def test_to_day_refuses_years_without_dates():
    """`datetime.date` ends with the year 9999."""
    found = message(to_day, np.datetime64("10000-01-01"))
    assert found.startswith("date must lie in the years 1 to 9999, got ")


# --- columns of days -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        np.array(["1970-01-01", "2026-06-30"]),
        np.array(["1970-01-01", "2026-06-30"], dtype=np.dtypes.StringDType()),
        np.array(["1970-01-01", "2026-06-30"], dtype=object),
        np.array(["1970-01-01", "2026-06-30"], dtype="datetime64[D]"),
        np.array(["1970-01-01", "2026-06-30"], dtype="datetime64[us]"),
        np.array(["1970-01-01", "2026-06-30"], dtype=">M8[s]"),
        np.array([0, JUNE_30]),
        [0, np.int16(JUNE_30)],
        np.array([0, JUNE_30], dtype=np.uint16),
        [dt.date(1970, 1, 1), dt.date(2026, 6, 30)],
        (dt.date(1970, 1, 1), "2026-06-30"),
        pd.Series(pd.to_datetime(["1970-01-01", "2026-06-30"])),
    ],
    ids=lambda values: f"{type(values).__name__}-{np.asarray(values).dtype}",
)
def test_to_days_reads_every_column(values):
    """The epoch is day 0."""
    days = to_days(values)
    assert np.dtype(np.int32) == days.dtype
    assert [0, JUNE_30] == days.tolist()


@pytest.mark.parametrize(
    "values",
    [
        [dt.date(2026, 6, 30), None],
        ["2026-06-30", None],
        ["2026-06-30", float("nan")],
        [pd.Timestamp("2026-06-30"), pd.NaT],
        np.array(["2026-06-30", "NaT"], dtype="datetime64[ns]"),
        np.array([JUNE_30, NO_DAY]),
    ],
    ids=repr,
)
def test_to_days_keeps_missing_days(values):
    """No date is NO_DAY."""
    assert [JUNE_30, NO_DAY] == to_days(values).tolist()


def test_to_days_of_nothing():
    """An empty list, whatever numpy thinks of its type, and NaT without any unit."""
    assert [] == to_days([]).tolist()
    assert [NO_DAY] == to_days(np.array([np.datetime64("NaT")])).tolist()


def test_to_days_does_not_copy_days():
    """What is int32 already passes through."""
    days = np.array([1, 2], dtype=np.int32)
    assert to_days(days) is days


def test_to_days_at_the_ends_of_nanoseconds():
    """Nanoseconds since 1970 in 64 bits reach 106,751 whole days: 2**63 / 86400e9 = 106751.99."""
    ends = np.array(["1677-09-22", "2262-04-11"], dtype="datetime64[ns]")
    assert [-106_751, 106_751] == to_days(ends).tolist()


@pytest.mark.parametrize(
    ("values", "rows", "expected"),
    [
        (["2026-06-30", "2026-02-29", "2026-6-30"], (1, 2), "'2026-02-29'"),
        (["2026-00-10", "2026-13-01", "2026-01-00", "2026-06-30x"], (0, 1, 2, 3), "'2026-00-10'"),
        (["2026/06/30", "2026-06-0:", "2026-06-30"], (0, 1), "'2026/06/30'"),
        (["2026-06-30", "", None], (1,), "''"),
        (["2026-06-30", dt.date(2026, 1, 1), 7], (2,), "7"),
        ([np.datetime64("2026-06-30"), np.datetime64("2026-06")], (1,), "2026-06"),
        (["x" * 100, None], (0,), "'" + "x" * 59 + "…"),
        (np.array(["2026-06", "NaT"], dtype="datetime64[M]"), (0,), "2026-06"),
    ],
    ids=repr,
)
def test_to_days_names_the_rows_that_are_no_days(values, rows, expected):
    """Rule, count, first offender, way out; the rows are attributes too."""
    with pytest.raises(ValidationError) as caught:
        to_days(values, name="created")
    breaks = "row breaks" if len(rows) == 1 else "rows break"
    breaks = "rows breaks" if len(rows) == 1 else breaks
    assert str(caught.value) == (
        f"created must be a day; {len(rows)} of {len(values)} {breaks} this "
        f"(first: row {rows[0]}, {expected}). Give a date, a datetime64[D] or an ISO string such "
        "as '2026-06-30'. Write None or NaT where there is none."
    )
    assert ("created", rows, len(rows)) == (
        caught.value.column,
        caught.value.rows,
        caught.value.count,
    )


def test_to_days_refuses_moments():
    """One hour into a day is no day, in whatever unit."""
    column = np.array(["2026-06-30", "2026-06-30T01", "NaT"], dtype="datetime64[ms]")
    found = message(to_days, column, name="at")
    assert "at must be a day without a time; 1 of 3 rows" in found
    assert "row 1, 2026-06-30T01" in found
    zoned = pd.Series(pd.to_datetime(["2026-06-30"], utc=True))
    assert "business time zone" in message(to_days, zoned)


@pytest.mark.parametrize(
    "values",
    [["0000-12-31"], [3_000_000], [-1_000_000], [2**70], np.array([2**63], dtype=np.uint64)],
)
def test_to_days_refuses_years_without_dates(values):
    """Days before year 1 or after year 9999: seconds taken for days, for instance."""
    assert "must lie in the years 1 to 9999; 1 of 1" in message(to_days, values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("2026-06-30", "must be one-dimensional, got 0 dimensions"),
        ([["2026-06-30"]], "must be one-dimensional, got 2 dimensions"),
        ([np.zeros(2), np.zeros((2, 3))], "must be a column of dates"),
        ([["2026-06-30"], []], "must be a day; 2 of 2 rows"),
        ([1.5, 2.0], "must be a day; 2 of 2 rows"),
        ([0, True], "must be a day; 2 of 2 rows"),
        (np.array([1.5, 2.0]), "must be dates, got float64 values"),
        (np.array([True]), "must be dates, got bool values"),
        (np.array([b"2026-06-30"]), "must be dates, got |S10 values"),
    ],
)
def test_to_days_refuses_what_is_no_column_of_dates(values, expected):
    """Floats, bytes, tables and single values have other ways."""
    assert message(to_days, values).startswith(f"date {expected}")


def test_days_to_dates():
    """The way back, at both ends of what `datetime.date` holds."""
    assert dt.date(2026, 6, 30) == to_date(JUNE_30)
    assert to_date(NO_DAY) is None
    assert [dt.date.min, dt.date.max] == [to_date(-719_162), to_date(2_932_896)]
    dates = to_dates(np.array([JUNE_30, NO_DAY], dtype=np.int32))
    assert np.dtype("datetime64[D]") == dates.dtype
    assert ["2026-06-30", "NaT"] == dates.astype(str).tolist()


def test_days_without_dates():
    """One day more than `datetime.date` holds."""
    assert message(to_date, 2_932_897).startswith("day must lie in the years 1 to 9999")
    assert message(to_dates, np.array([2_932_897])).startswith("days must lie in the years")
