"""Horizons: known labels, what is refused, and what is stored."""

from __future__ import annotations

import datetime as dt
import json
import pickle

import attrs
import numpy as np
import pytest

from funnel.calendars import Calendar, Horizon, to_days
from funnel.errors import ValidationError

RETAIL = Calendar(fiscal_year_start=2, pattern="454", week_start=6, anchor="nearest")
"""US National Retail Federation: ends on the Saturday nearest to 31 January, weeks 4-5-4."""


def message(function, *args, **kwargs):
    """Return the text of the ValidationError that a call must raise."""
    with pytest.raises(ValidationError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


# --- horizons ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("horizon", "labels", "start", "end"),
    [
        # The first period contains the start; ISO weeks: 2026-01-01 is a Thursday, so week 1 of
        # 2026 starts on 29 December 2025, and 2026 has 53 weeks.
        (
            Horizon.weeks("2026-07-01", 2),
            ("2026-W27", "2026-W28"),
            dt.date(2026, 6, 29),
            dt.date(2026, 7, 13),
        ),
        (
            Horizon.weeks("2026-12-31", 2),
            ("2026-W53", "2027-W01"),
            dt.date(2026, 12, 28),
            dt.date(2027, 1, 11),
        ),
        (
            Horizon.weeks("2026-07-01", 1, calendar=RETAIL),
            ("2026-06-28",),
            dt.date(2026, 6, 28),
            dt.date(2026, 7, 5),
        ),
        (
            Horizon.months("2026-12-31", 3),
            ("2026-12", "2027-01", "2027-02"),
            dt.date(2026, 12, 1),
            dt.date(2027, 3, 1),
        ),
        (
            Horizon.months("2026-08-31", 1, calendar=Calendar(fiscal_year_start=7)),
            ("2026-08",),
            dt.date(2026, 8, 1),
            dt.date(2026, 9, 1),
        ),
        (
            Horizon.months("2025-01-05", 2, calendar=RETAIL),
            ("FY2025-P12", "FY2026-P01"),
            dt.date(2025, 1, 5),
            dt.date(2025, 3, 2),
        ),
        (
            Horizon.quarters("2026-11-15", 2),
            ("2026-Q4", "2027-Q1"),
            dt.date(2026, 10, 1),
            dt.date(2027, 4, 1),
        ),
        (
            Horizon.quarters("2026-08-15", 2, calendar=Calendar(fiscal_year_start=8)),
            ("FY2027-Q1", "FY2027-Q2"),
            dt.date(2026, 8, 1),
            dt.date(2027, 2, 1),
        ),
        (
            Horizon.quarters("2026-02-28", 1, calendar=Calendar(pattern="445")),
            ("FY2026-Q1",),
            dt.date(2025, 12, 29),  # the last Sunday of 2025 is 28 December
            dt.date(2026, 3, 30),
        ),
        (Horizon.years("2026-07-01", 1), ("2026",), dt.date(2026, 1, 1), dt.date(2027, 1, 1)),
        (
            Horizon.years("2026-07-01", 1, calendar=Calendar(fiscal_year_start=4)),
            ("FY2027",),
            dt.date(2026, 4, 1),
            dt.date(2027, 4, 1),
        ),
        (
            Horizon.days("2026-07-01", 30),
            ("2026-07-01 +30d",),
            dt.date(2026, 7, 1),
            dt.date(2026, 7, 31),
        ),
        (
            Horizon.custom(["2026-07-01", "2026-07-15", "2026-08-01"]),
            ("2026-07-01", "2026-07-15"),
            dt.date(2026, 7, 1),
            dt.date(2026, 8, 1),
        ),
        (
            Horizon.custom(np.array([0, 7]), labels=iter(["first week"])),
            ("first week",),
            dt.date(1970, 1, 1),
            dt.date(1970, 1, 8),
        ),
    ],
)
def test_horizons_are_named(horizon, labels, start, end):
    """Labels, first day, and the day after the last."""
    assert labels == horizon.labels
    assert (start, end) == (horizon.start, horizon.end)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4q", Horizon.quarters("2026-07-01", 4, calendar=RETAIL)),
        ("6m", Horizon.months("2026-07-01", 6, calendar=RETAIL)),
        ("13 W", Horizon.weeks("2026-07-01", 13, calendar=RETAIL)),
        (" 2Y ", Horizon.years("2026-07-01", 2, calendar=RETAIL)),
        ("30d", Horizon.days("2026-07-01", 30)),
    ],
)
def test_parse(text, expected):
    """Each letter is one of the constructors."""
    assert expected == Horizon.parse(text, "2026-07-01", calendar=RETAIL)


@pytest.mark.parametrize(
    "text", ["", "4", "q", "4x", "-1q", "1.5m", "4q 2m", "1" * 10 + "d", 4], ids=repr
)
def test_parse_refuses(text):
    """The message shows what to write."""
    assert message(Horizon.parse, text, "2026-07-01") == (
        f"periods must be a number and a unit, got {text!r}. "
        "Write for instance '4q', '6m', '13w', '2y' or '30d'."
    )


def test_parse_refuses_no_periods():
    """Zero is a number, but of no periods."""
    assert message(Horizon.parse, "0q", "2026-07-01").startswith("n must be a whole number")
    assert message(Horizon.parse, "0d", "2026-07-01").startswith("n must be a whole number")


def test_days_stay_where_dates_exist():
    """The edge after the last day is a date too, and 9999-12-31 is the last one."""
    assert dt.date.max == Horizon.days("9999-12-30", 1).end
    found = message(Horizon.days, "9999-12-30", 2)
    assert found.startswith("n must not lead out of the years 1 to 9999, got 2.")


def test_period_of():
    """Half-open: the last edge is outside, as is no date."""
    horizon = Horizon.custom(["2026-07-01", "2026-07-15", "2026-08-01"])
    days = [
        "2026-06-30",
        "2026-07-01",
        "2026-07-14",
        "2026-07-15",
        "2026-07-31",
        "2026-08-01",
        None,
    ]
    assert [-1, 0, 0, 1, 1, -1, -1] == horizon.period_of(days).tolist()


def test_whole():
    """One period over all; one alone stays what it is."""
    horizon = Horizon.months("2026-07-01", 3)
    expected = Horizon.custom(["2026-07-01", "2026-10-01"], labels=["2026-07 to 2026-09"])
    assert expected == horizon.whole()
    assert horizon.whole().whole() == horizon.whole()


def test_horizon_iterates_over_its_periods():
    """Label, first day, and the day after the last."""
    assert [
        ("2026-07", dt.date(2026, 7, 1), dt.date(2026, 8, 1)),
        ("2026-08", dt.date(2026, 8, 1), dt.date(2026, 9, 1)),
    ] == list(Horizon.months("2026-07-01", 2))


def test_horizon_owns_its_edges():
    """What the caller does with his array afterwards changes nothing."""
    days = to_days(["2026-07-01", "2026-08-01"])
    horizon = Horizon(days, labels=["July"])
    days[0] = 0
    assert dt.date(2026, 7, 1) == horizon.start
    assert np.dtype(np.int32) == horizon.edges.dtype
    with pytest.raises(ValueError, match="read-only"):
        horizon.edges[0] = 0


def test_horizon_is_a_value():
    """Edges and labels make it equal; equal ones hash alike, also from another process."""
    horizon = Horizon.months("2026-07-01", 2)
    assert {horizon} == {Horizon.months("2026-07-31", 2), pickle.loads(pickle.dumps(horizon))}
    assert horizon != attrs.evolve(horizon, labels=("July", "August"))
    assert horizon != Horizon.custom(
        ["2026-07-01", "2026-08-01", "2026-09-02"], labels=horizon.labels
    )
    assert "Horizon(2 periods, 2026-07-01 to 2026-09-01)" == repr(horizon)
    assert "Horizon(1 period, 2026-07-01 to 2026-09-01)" == repr(horizon.whole())


@pytest.mark.parametrize(
    ("edges", "labels", "expected"),
    [
        ([], None, "edges must bound at least one period, got 0 of the 2 dates"),
        (["2026-07-01"], None, "edges must bound at least one period, got 1 of the 2 dates"),
        (["2026-07-01", None], None, "edges must be given; 1 of 2 rows breaks this (first: row 1"),
        (["2026-07-01", "July"], None, "edges must be a day; 1 of 2 rows"),
        (
            ["2026-07-02", "2026-07-01", "2026-07-01"],
            None,
            "edges must each be after the one before; 2 of 3 rows break this (first: row 1, 2026",
        ),
        (["2026-07-01", "2026-07-02"], [], "labels must name every period once, got 0 and not 1"),
        (["2026-07-01", "2026-07-02"], "a", "labels must be a sequence of strings, got 'a'"),
        (["2026-07-01", "2026-07-02"], 7, "labels must be a sequence of strings, got 7"),
        (["2026-07-01", "2026-07-02"], [""], "labels must be non-empty strings; 1 of 1 rows"),
        (["2026-07-01", "2026-07-02"], [[]], "labels must be non-empty strings; 1 of 1 rows"),
        (
            ["2026-07-01", "2026-07-02", "2026-07-03", "2026-07-04"],
            ["a", "b", "b"],
            "labels must be unique; 2 of 3 rows break this (first: row 1, 'b')",
        ),
    ],
)
def test_horizon_refuses(edges, labels, expected):
    """Periods follow one another, each with a name of its own."""
    assert message(Horizon.custom, edges, labels=labels).startswith(expected)


# --- stored as JSON ------------------------------------------------------------------------------


def test_horizon_as_json():
    """Plain types, the schema inside."""
    horizon = Horizon.months("2026-07-01", 2)
    stored = json.loads(json.dumps(horizon.to_dict()))
    assert {
        "schema": "funnel.Horizon/1",
        "edges": ["2026-07-01", "2026-08-01", "2026-09-01"],
        "labels": ["2026-07", "2026-08"],
    } == stored
    assert horizon == Horizon.from_dict(stored)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"schema": "funnel.Horizon/2"}, "schema must be 'funnel.Horizon/1', got 'funnel.Horizon"),
        ({"schema": None}, "schema must be 'funnel.Horizon/1', got None."),
        ({"lables": []}, "funnel.Horizon/1 must have no other fields; 1 unknown (first: 'lables')"),
        ({"edges": [0, 31]}, "edges must be a list of strings, got [0, 31]."),
        ({"edges": "2026"}, "edges must be a list of strings, got '2026'."),
        ({"edges": ["2026-07-01"]}, "edges must bound at least one period"),
        ({"labels": [1]}, "labels must be a list of strings, got [1]."),
    ],
)
def test_from_dict_refuses(change, expected):
    """A stored horizon is checked like a new one."""
    stored = Horizon.months("2026-07-01", 1).to_dict() | change
    assert message(Horizon.from_dict, stored).startswith(expected)


def test_from_dict_names_what_is_missing():
    """The first missing field, and how many there are."""
    found = message(Horizon.from_dict, {"schema": "funnel.Horizon/1", "edges": []})
    assert found.startswith(
        "funnel.Horizon/1 must have edges, labels; 1 of 2 missing (first: 'labels')."
    )
    assert message(Horizon.from_dict, []).startswith("data must be a mapping, got [].")
