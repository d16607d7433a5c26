"""Calendars and horizons: laws that hold for every day, every fiscal year and every pattern."""

from __future__ import annotations

import datetime as dt

import attrs
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from funnel.calendars import Calendar, Horizon, to_date, to_dates, to_day, to_days
from funnel.typing import NO_DAY

DATES = st.dates(dt.date(1900, 1, 1), dt.date(2200, 12, 31))
ANY_DATES = st.dates()
UNITS = st.sampled_from(["week", "month", "quarter", "year"])
OFFSETS = st.integers(-2_000, 2_000)

MONTHLY = st.builds(
    Calendar,
    weekmask=st.text("01", min_size=7, max_size=7).filter(lambda mask: "1" in mask),
    holidays=st.lists(DATES, max_size=5),
    fiscal_year_start=st.integers(1, 12),
    week_start=st.integers(0, 6),
)
WEEKLY = st.builds(
    attrs.evolve,
    MONTHLY,
    pattern=st.sampled_from(["445", "454", "544"]),
    anchor=st.sampled_from(["last", "nearest"]),
)
CALENDARS = MONTHLY | WEEKLY
HORIZONS = st.lists(DATES, min_size=2, max_size=20, unique=True).map(sorted).map(Horizon.custom)

NEARLY_DATES = st.builds(
    "{:04d}-{:02d}-{:02d}".format, st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32)
)
TEXTS = NEARLY_DATES | st.text("0123456789-", min_size=8, max_size=11)

CONSTRUCTORS = {
    "week": Horizon.weeks,
    "month": Horizon.months,
    "quarter": Horizon.quarters,
    "year": Horizon.years,
}


# --- days ----------------------------------------------------------------------------------------


@given(st.lists(ANY_DATES | st.none()))
def test_days_round_trip(dates):
    """Dates to days and back are the same dates, missing ones too."""
    days = to_days(dates)
    assert dates == to_dates(days).tolist()
    assert dates == [to_date(day) for day in days.tolist()]
    assert days.tolist() == to_days(to_dates(days)).tolist()


@given(st.lists(ANY_DATES, min_size=1))
def test_every_spelling_is_the_same_day(dates):
    """Dates, ISO strings of any kind and datetime64 agree, one by one and as columns."""
    expected = [date.toordinal() - dt.date(1970, 1, 1).toordinal() for date in dates]
    texts = [date.isoformat() for date in dates]
    assert expected == [to_day(date) for date in dates]
    assert expected == [to_day(text) for text in texts]
    columns = (dates, texts, np.array(texts), np.array(texts, dtype="datetime64[s]"))
    for column in columns:
        assert expected == to_days(column).tolist()


@given(TEXTS)
def test_texts_are_dates_for_columns_as_for_one(text):
    """A column accepts exactly what the standard library reads as YYYY-MM-DD."""
    try:
        expected = dt.datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
        readable = text == expected.isoformat()
    except ValueError:
        readable = False
    for convert in (
        to_day,
        lambda value: to_days([value]),
        lambda value: to_days(np.array([value])),
    ):
        try:
            convert(text)
        except ValueError:
            accepted = False
        else:
            accepted = True
        assert readable == accepted


# --- business days -------------------------------------------------------------------------------


@given(CALENDARS, DATES, DATES, DATES)
def test_business_days_add_up(calendar, first, second, third):
    """Half-open counts are additive, and swapping the ends changes the sign."""
    count = calendar.business_days
    assert count(first, third) == count(first, second) + count(second, third)
    assert count(first, second) == -count(second, first)


@given(CALENDARS, DATES, st.integers(0, 60))
def test_business_days_are_days_that_are_worked(calendar, start, n):
    """The count is the number of days in [start, end) that are worked, one by one."""
    days = [start + dt.timedelta(days=i) for i in range(n)]
    worked = calendar.is_business_day(days)
    assert worked.sum() == calendar.business_days(start, start + dt.timedelta(days=n))
    expected = [
        calendar.weekmask[day.weekday()] == "1" and day not in calendar.holidays for day in days
    ]
    assert expected == worked.tolist()


@given(CALENDARS, DATES, OFFSETS)
def test_added_business_days_are_counted_again(calendar, day, n):
    """What is added is what is counted, and it is a business day."""
    moved = calendar.add_business_days(day, n)
    assert n == calendar.business_days(day, moved)
    assert calendar.is_business_day(moved)


# --- fiscal years --------------------------------------------------------------------------------


@given(CALENDARS, DATES, UNITS, st.integers(1, 60))
def test_periods_are_contiguous_and_contain_their_start(calendar, start, unit, n):
    """The first contains the start; asking again from any edge gives the same edges."""
    edges = calendar.periods(start, n, unit)
    assert edges[0] <= np.datetime64(start) < edges[1]
    assert (np.diff(edges).astype(int) > 0).all()
    assert edges[1:].tolist() == [calendar.periods(edge, 1, unit)[1].item() for edge in edges[:-1]]
    assert edges[0].item() == calendar.period_start(start, unit)


@given(CALENDARS, DATES)
def test_a_fiscal_year_is_four_quarters_of_three_months(calendar, date):
    """Years, quarters and months share their edges."""
    start = calendar.period_start(date, "year")
    months = calendar.periods(start, 12, "month")
    assert months[::3].tolist() == calendar.periods(start, 4, "quarter").tolist()
    assert months[::12].tolist() == calendar.periods(start, 1, "year").tolist()


@given(CALENDARS, DATES)
def test_fiscal_years_follow_one_another(calendar, date):
    """The name is constant within a year, and grows by one at its end."""
    year = calendar.fiscal_year(date)
    start, end = calendar.periods(date, 1, "year").tolist()
    one = dt.timedelta(days=1)
    assert [year - 1, year, year, year + 1] == [
        calendar.fiscal_year(day) for day in (start - one, start, end - one, end)
    ]


@given(MONTHLY, DATES)
def test_a_fiscal_year_has_the_name_of_the_year_in_which_it_ends(calendar, date):
    """By calendar months its last day lies in the calendar year of its name."""
    last = calendar.periods(date, 1, "year")[1].item() - dt.timedelta(days=1)
    assert last.year == calendar.fiscal_year(date)


@given(WEEKLY, DATES)
def test_a_year_of_weeks_ends_where_the_regulation_says(calendar, date):
    """26 CFR 1.441-2(a): always one weekday, the last in the month or nearest to its end."""
    year = calendar.fiscal_year(date)
    start, end = calendar.periods(date, 1, "year").tolist()
    assert (end - start).days in {52 * 7, 53 * 7}
    assert calendar.week_start == start.weekday() == end.weekday()
    following = dt.date(year + (calendar.fiscal_year_start == 1), calendar.fiscal_year_start, 1)
    gap = (following - end).days  # of the last days of the year and of the month
    assert 0 <= gap <= 6 if calendar.anchor == "last" else -3 <= gap <= 3


@given(WEEKLY, DATES)
def test_quarters_of_weeks_follow_the_pattern(calendar, date):
    """Thirteen weeks a quarter by the pattern; a 53rd week is in the last month."""
    edges = calendar.periods(calendar.period_start(date, "year"), 12, "month")
    weeks = (np.diff(edges).astype(int) // 7).tolist()
    expected = [int(digit) for digit in calendar.pattern] * 4
    assert expected[:-1] == weeks[:-1]
    assert weeks[-1] - expected[-1] in {0, 1}


# --- horizons ------------------------------------------------------------------------------------


@given(CALENDARS, DATES, UNITS, st.integers(1, 40))
def test_horizons_have_the_edges_of_the_calendar(calendar, start, unit, n):
    """Constructors and calendar agree, and the labels are unique."""
    horizon = CONSTRUCTORS[unit](start, n, calendar=calendar)
    assert calendar.periods(start, n, unit).tolist() == to_dates(horizon.edges).tolist()
    assert n == len(horizon) == len(set(horizon.labels))
    assert horizon == Horizon.parse(f"{n}{unit[0]}", start, calendar=calendar)


@given(DATES, st.integers(1, 60))
def test_weeks_have_the_names_of_iso_8601(start, n):
    """Every label is the ISO week of each of its days."""
    horizon = Horizon.weeks(start, n)
    for label, first, end in horizon:
        year, week, _ = (end - dt.timedelta(days=1)).isocalendar()
        assert f"{year}-W{week:02d}" == label
        assert (year, week, 1) == first.isocalendar()


@given(HORIZONS, st.lists(ANY_DATES | st.none()))
def test_period_of_is_where_the_day_lies(horizon, dates):
    """The answer of a search is the answer of looking at every period."""
    expected = [
        next(
            (i for i, (_, first, end) in enumerate(horizon) if date and first <= date < end),
            -1,
        )
        for date in dates
    ]
    assert expected == horizon.period_of(dates).tolist()


@given(HORIZONS)
def test_horizons_cover_their_span_once(horizon):
    """Starts and ends meet, edges are in their own period, the whole has the same span."""
    assert horizon.starts[1:].tolist() == horizon.ends[:-1].tolist()
    assert list(range(len(horizon))) == horizon.period_of(horizon.starts).tolist()
    assert list(range(len(horizon))) == horizon.period_of(horizon.edges[1:] - 1).tolist()
    whole = horizon.whole()
    assert (1, horizon.start, horizon.end) == (len(whole), whole.start, whole.end)
    assert [-1, -1, -1] == horizon.period_of(
        np.array([horizon.edges[0] - 1, horizon.edges[-1], NO_DAY])
    ).tolist()


# --- stored --------------------------------------------------------------------------------------


@given(CALENDARS)
def test_calendars_round_trip(calendar):
    """Through a dict and through repr."""
    assert calendar == Calendar.from_dict(calendar.to_dict())
    assert calendar == eval(repr(calendar), {"Calendar": Calendar, "datetime": dt})  # noqa: S307
    assert hash(calendar) == hash(Calendar.from_dict(calendar.to_dict()))


@given(HORIZONS)
def test_horizons_round_trip(horizon):
    """Through a dict, equal and with one hash."""
    again = Horizon.from_dict(horizon.to_dict())
    assert (horizon, hash(horizon)) == (again, hash(again))
