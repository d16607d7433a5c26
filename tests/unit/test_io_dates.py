"""Dates in every spelling, and time zones: what is read, what is refused, what is reported."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.errors import ReadError, ValidationError
from funnel.io import _zones
from funnel.io._arrow import plain
from funnel.io._dates import Clock, read_moments
from funnel.typing import NO_DAY

DAY = 20_634  # 2026-06-30


def read(values, kind=None, **clock):
    """Read a column called When."""
    column = plain(pa.chunked_array([pa.array(values, kind)]), "When")
    return read_moments(column, "When", name="at", clock=Clock(**clock), action="left out")


def days(values, kind=None, **clock):
    """Return the days of a column without findings."""
    moments, findings = read(values, kind, **clock)
    assert not findings
    return moments.day.tolist()


# --- spellings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-30",
        "2026-6-30",
        "2026/06/30",
        "2026/6/30",
        "2026.06.30",
        "2026年6月30日",
        "2026年 6月 30日",
        "20260630",
        "30 Jun 2026",
        "30-JUN-2026",
        "30 June, 2026",
        "June 30, 2026",
        "Jun. 30 2026",
        "30/06/2026",
        "06/30/2026",
        "30.6.2026",
        "2026-06-30 14:05",
        "2026-06-30T14:05:06",
        "2026-06-30T14:05:06.123456789",
        "2026-06-30T14:05:06Z",
        "2026-06-30T14:05:06.000+0000",
        "2026-06-30T23:05:06-02:00",
        "2026/6/30 2:05 PM",
        "6/30/2026, 2:05 PM",
        "2026年6月30日 14:05",
        "1782777600",
        "1782777600000",
        " 2026-06-30 ",
        "２０２６－０６－３０",
    ],
)
def test_spellings_of_one_day(text):
    """30 June 2026, as it is written; 1782777600 s is its first second in UTC."""
    expected = DAY + (text == "2026-06-30T23:05:06-02:00")  # 01:05 of the next day in UTC
    # A second value keeps the column from the short way for clean ISO dates.
    assert [expected, NO_DAY] == days([text, "n/a"])
    assert [expected] == days([text])


@pytest.mark.parametrize("blank", ["", " ", "n/a", "N/A", "NULL", "-", "未知", None])
def test_blank_is_no_date(blank):
    """What stands for unknown is no finding."""
    assert [DAY, NO_DAY] == days(["2026-06-30", blank])


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30",
        "2026-13-01",
        "0000-00-00",
        "30/06/26",
        "soon",
        "2026-06-30T25:00",
        "2026-06-30 10:61",
        "2026/6/30 13:05 PM",
        "2026/6/30 0:05 AM",
        "June 31, 2026",
        "123456",
    ],
)
def test_what_is_no_day(text):
    """Days and times that do not exist are reported and left without a day."""
    moments, findings = read(["2026-06-30", text])
    assert [DAY, NO_DAY] == moments.day.tolist()
    (finding,) = findings
    assert (1, "at", "at-unreadable", text, "left out") == finding


@pytest.mark.parametrize(("text", "hour"), [("12:05 AM", 0), ("12:05 PM", 12), ("1:05 pm", 13)])
def test_morning_and_afternoon(text, hour):
    """12 AM is midnight and 12 PM is noon."""
    moments, _ = read([f"2026/6/30 {text}"])
    assert [(DAY * 1440 + hour * 60 + 5) * 60_000_000] == moments.time.tolist()


def test_fractions_of_a_second():
    """Nine digits are nanoseconds, of which microseconds are kept; one digit is a tenth."""
    moments, _ = read(["2026/6/30 0:00:00.123456789", "2026/6/30 0:00:00.5"])
    assert [123_456, 500_000] == (moments.time - DAY * _zones.DAY).tolist()


# --- day or month first --------------------------------------------------------------------------


def test_the_column_shows_which_comes_first():
    """13 is no month: the other values follow."""
    assert [20_556, 20_546] == days(["13/04/2026", "03/04/2026"])  # 13 and 3 April
    assert [20_556, 20_516] == days(["04/13/2026", "03/04/2026"])  # 13 April, 4 March


def test_ambiguous_is_refused():
    """Where no value decides, nothing is guessed."""
    with pytest.raises(ReadError, match=r"ambiguous: '03/04/2026' .* day_first=True or False"):
        read(["05/05/2026", "03/04/2026"])


def test_what_reads_the_same_is_not_ambiguous():
    """5 May is 5 May either way."""
    assert [20_578] == days(["05/05/2026"])


@pytest.mark.parametrize(("day_first", "expected"), [(True, 20_546), (False, 20_516)])
def test_the_user_decides(day_first, expected):
    """3 April or 4 March, as the user says."""
    assert [expected] == days(["03/04/2026"], day_first=day_first)


def test_contradictory_columns():
    """Values that need both orders are refused, or reported where the user says which is right."""
    values = ["13/04/2026", "04/13/2026"]
    with pytest.raises(ReadError, match=r"mixes dates .*'13/04/2026'.*'04/13/2026'"):
        read(values)
    moments, findings = read(values, day_first=True)
    assert [20_556, NO_DAY] == moments.day.tolist()
    assert ["04/13/2026"] == [finding.value for finding in findings]


# --- types ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([dt.date(2026, 6, 30), None], pa.date32()),
        ([dt.datetime.fromisoformat("2026-06-30"), None], pa.date64()),
        ([dt.datetime.fromisoformat("2026-06-30T23:00"), None], pa.timestamp("ns")),
        ([dt.datetime.fromisoformat("2026-06-30T23:00"), None], pa.timestamp("s", "UTC")),
        ([20260630, None], pa.int64()),
        ([1782777600000, None], pa.int64()),
        ([1782777600000.0, float("nan")], pa.float64()),
        ([None, None], pa.null()),
    ],
    ids=str,
)
def test_typed_columns(values, kind):
    """Typed dates are taken as they are; null is no date."""
    expected = [NO_DAY if kind == pa.null() else DAY, NO_DAY]
    assert expected == days(values, kind)


def test_midnights_are_dates():
    """A column of naive midnights holds dates: no zone moves them."""
    midnights = [dt.datetime.fromisoformat("2026-06-30"), dt.datetime.fromisoformat("2026-07-01")]
    moments, _ = read(midnights, timezone="Asia/Shanghai", source_timezone="UTC")
    assert [DAY, DAY + 1] == moments.day.tolist()
    assert moments.time is None


@pytest.mark.parametrize("values", [["46203"], [46203], [46203.5], ["2026-06-30", "46203.25"]])
def test_serial_numbers_of_excel(values):
    """46203 is 30 June 2026 in one of the two calendars of Excel: refused with an explanation."""
    with pytest.raises(ReadError, match=r"day numbers of Excel such as 46203.*2026-06-30"):
        read(values)


def test_columns_of_something_else():
    """A column without any date was taken for the wrong one."""
    with pytest.raises(
        ReadError, match=r"'When' holds no dates, so it cannot be at .first: 'Ann', row 1"
    ):
        read([None, "Ann", "Bo"])
    with pytest.raises(ReadError, match="must hold dates for at, and holds bool"):
        read([True])


def test_a_column_that_is_nearly_blank():
    """One odd value in a column that is blank otherwise is a finding, not an error."""
    moments, findings = read([None, None, "tbd"])
    assert [NO_DAY] * 3 == moments.day.tolist()
    assert 1 == len(findings)


# --- time zones ----------------------------------------------------------------------------------


def test_zoned_stamps_are_cut_in_the_business_zone():
    """23:30 in UTC is the next day in Berlin; the order of moments is kept."""
    moments, _ = read(["2026-06-30T23:30:00Z", "2026-06-30T21:30:00Z"], timezone="Europe/Berlin")
    assert [DAY + 1, DAY] == moments.day.tolist()
    assert moments.time[0] > moments.time[1]


def test_naive_stamps_are_in_the_business_zone():
    """A time stamp without a zone names the business day, unless its zone is given."""
    text = ["2026-06-30T23:30:00"]
    assert [DAY] == days(text, timezone="Europe/Berlin")
    assert [DAY + 1] == days(text, timezone="Europe/Berlin", source_timezone="UTC")
    assert [DAY] == days(text, timezone="UTC", source_timezone="Europe/Berlin")
    assert [DAY] == days(text, timezone="Asia/Tokyo", source_timezone="Asia/Tokyo")


def test_dates_stay_the_day_that_they_name():
    """A date among time stamps is not moved."""
    values = ["2026/6/30", "2026-06-30 23:30"]
    assert [DAY, DAY + 1] == days(values, timezone="Asia/Tokyo", source_timezone="UTC")


def test_order_where_the_clock_is_put_back():
    """02:30 comes twice on 25 October 2026 in Berlin: moments in UTC order them."""
    moments, _ = read(["2026-10-25T00:45:00Z", "2026-10-25T01:15:00Z"], timezone="Europe/Berlin")
    assert moments.time[0] < moments.time[1]


@pytest.mark.parametrize("name", ["Europe/Berlim", "nowhere at all", "../etc/passwd", 3])
def test_unknown_zones(name):
    """A zone that is none is refused, with the one that comes close."""
    with pytest.raises(ValidationError, match="timezone must be a time zone") as caught:
        Clock(timezone=name)
    close = "Did you mean 'Europe/Berlin'" in str(caught.value)
    assert (name == "Europe/Berlim") is close


def test_no_database_of_zones(monkeypatch):
    """Where the system has no zones, the message names the package that has them."""
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    with pytest.raises(ValidationError, match="Install the package tzdata"):
        Clock(source_timezone="Mars/Olympus")


ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
)


@given(
    st.sampled_from(ZONES),
    st.lists(st.integers(0, 4_000_000_000), min_size=1, max_size=20),
)
def test_zones_agree_with_the_standard_library(name, seconds):
    """Wall clock and way back, oracle: `datetime` with `zoneinfo`, fold 0."""
    zone = zoneinfo.ZoneInfo(name)
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    moments = np.array(seconds) * _zones.SECOND
    shown = [
        (epoch + dt.timedelta(seconds=s)).astimezone(zone).replace(tzinfo=None) for s in seconds
    ]
    naive = dt.datetime.fromisoformat("1970-01-01")
    expected = [round((wall - naive).total_seconds()) * _zones.SECOND for wall in shown]
    wall = _zones.to_wall(moments, name)
    assert expected == wall.tolist()
    back = [round((w.replace(tzinfo=zone) - epoch).total_seconds()) * _zones.SECOND for w in shown]
    assert back == _zones.to_utc(wall, name).tolist()


@pytest.mark.parametrize(
    ("wall", "utc"),
    [("2026-10-25T02:30", "2026-10-25T00:30"), ("2026-03-29T02:30", "2026-03-29T01:30")],
    ids=["shown twice", "skipped"],
)
def test_hours_shown_twice_and_skipped(wall, utc):
    """In Berlin 02:30 comes twice in October, the first one counts; in March it is 03:30."""
    moments = np.array([np.datetime64(wall, "us").astype(np.int64)])
    expected = np.datetime64(utc, "us").astype(np.int64)
    assert [expected] == _zones.to_utc(moments, "Europe/Berlin").tolist()


def test_no_moments_need_no_zone():
    """Empty columns and UTC are left alone."""
    none = np.empty(0, dtype=np.int64)
    for convert in (_zones.to_wall, _zones.to_utc):
        assert convert(none, "Europe/Berlin") is none
        assert [5] == convert(np.array([5]), "UTC").tolist()
