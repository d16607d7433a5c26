"""Tables of human forecasts: what is read, and what is left out with a finding."""

from __future__ import annotations

import pyarrow as pa
import pytest

import funnel as fn
from funnel.errors import CurrencyMismatchError, ReadError, UnknownColumnError, ValidationError
from funnel.io.submissions import read_submissions

QUARTERS = fn.Horizon.quarters("2026-07-01", 2)


def read(*rows, names="submitted_on owner amount period", **options):
    """Read rows of texts; columns that have our names are mapped to them."""
    names = names.split()
    frame = pa.table({name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)})
    core = {"submitted_on", "owner", "amount", "period", "start", "end", "last", "kind", "currency"}
    mapped = {name: name for name in names if name in core}
    if "period" in names:
        mapped["periods"] = QUARTERS
    return read_submissions(frame, **{**mapped, **options})


def found(submissions):
    """Return the findings as plain tuples."""
    return [tuple(finding)[:4] for finding in submissions.findings]


def test_labels_dates_and_amounts_are_read():
    """As in other tables: dates with slashes, thousands with commas, a currency sign."""
    submissions = read(
        ("2026/7/6", "Ann ", "€1,200.50", "2026-Q3"), ("2026/7/13", "Bo", "€800", "2026-Q4")
    )
    assert [1200.5, 800.0] == submissions.amount.tolist()
    assert ["Ann", "Bo"] == submissions.owner.tolist()
    assert ("commit",) == submissions.kinds
    assert "EUR" == submissions.currency
    assert [(0, "owner", "outer-blanks", "'Ann '")] == found(submissions)


def test_start_and_last_day_and_kinds():
    """The day after the last is the end; kinds come from their column."""
    names = "submitted_on owner amount start last kind team"
    row = ("2026-07-06", "Ann", "10", "2026-07-01", "2026-09-30", "Best Case", "north")
    submissions = read(row, names=names, attributes=["team"])
    one = submissions.to_columns()
    assert ["2026-10-01"] == one["end"].astype(str).tolist()
    assert (["best case"], ["north"]) == (one["kind"].tolist(), one["team"].tolist())
    same = read(
        (*row[:4], "2026-10-01", "north"),
        names="submitted_on owner amount start end team",
        kind_name="best-case",
        attributes={"team": "team"},
    )
    assert submissions.identical_to(same)


def test_rows_that_cannot_be_used_are_left_out():
    """One finding each, with the row of the source."""
    submissions = read(
        ("2026-07-06", "", "10", "2026-Q3"),
        ("soon", "Ann", "10", "2026-Q3"),
        ("2026-07-06", "Ann", "ten", "2026-Q3"),
        ("2026-07-06", "Ann", "-5", "2026-Q3"),
        ("2026-07-06", "Ann", "10", "2026-Q2"),
        ("2026-10-01", "Ann", "10", "2026-Q3"),
        ("2026-07-06", "Bo", "1", "2026-Q3"),
        ("2026-07-06", "Bo", "2", "2026-Q3"),
        (None, "Ann", "10", "2026-Q3"),
    )
    assert [2.0] == submissions.amount.tolist()
    assert [
        (2, "amount", "amount-unreadable", "ten"),
        (3, "amount", "amount-negative", "-5.0"),
        (1, "submitted_on", "submitted_on-unreadable", "soon"),
        (0, "owner", "owner-missing", "2026-Q3"),
        (8, "submitted_on", "submitted_on-missing", "Ann"),
        (2, "amount", "amount-missing", "Ann"),
        (3, "amount", "amount-missing", "Ann"),
        (4, "period", "period-unknown", "2026-Q2"),
        (5, "submitted_on", "submitted-after-period", "Ann"),
        (6, "owner", "duplicate-submission", "Bo"),
    ] == found(submissions)


def test_periods_of_days_are_checked():
    """Empty ones and unreadable ones are left out; the latter are reported once."""
    submissions = read(
        ("2026-07-06", "Ann", "1", "2026-07-01", "2026-07-01"),
        ("2026-07-06", "Ann", "2", "2026-07-01", "later"),
        ("2026-07-06", "Ann", "3", "2026-07-01", "2026-08-01"),
        names="submitted_on owner amount start end",
    )
    assert [3.0] == submissions.amount.tolist()
    assert [(1, "end", "end-unreadable", "later"), (0, "period", "period-empty", "Ann")] == (
        found(submissions)
    )


def test_strict_raises_on_the_first_finding():
    """Instead of leaving rows out."""
    with pytest.raises(ValidationError, match="owner: owner-missing in 1 rows"):
        read(("2026-07-06", "", "1", "2026-Q3"), ("2026-07-06", "Bo", "1", "2026-Q3"), strict=True)


def test_nothing_left_is_an_error():
    """The first reason is named."""
    with pytest.raises(ReadError, match=r"no row that can be used.*owner-missing"):
        read(("2026-07-06", "", "1", "2026-Q3"))


def test_currencies_must_agree():
    """One column or code for all."""
    names = "submitted_on owner amount period currency"
    rows = [("2026-07-06", "Ann", "1", "2026-Q3", "EUR"), ("2026-07-06", "Bo", "1", "2026-Q3", "")]
    assert "EUR" == read(*rows, names=names).currency
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'USD'"):
        read(*rows, ("2026-07-06", "Cy", "1", "2026-Q3", "USD"), names=names)
    assert "" == read(*(row[:4] for row in rows)).currency
    assert "USD" == read(*(row[:4] for row in rows), currency_code="USD").currency


def test_wrong_arguments():
    """A period in no way or two, names that are taken, columns that are not there."""
    row = ("2026-07-06", "Ann", "1", "2026-Q3")
    with pytest.raises(ValidationError, match="the period must be named by start="):
        read(row, periods=None)
    with pytest.raises(ValidationError, match="the period must be named by start="):
        read(row, start="period")
    with pytest.raises(ValidationError, match="attributes must have names of their own"):
        read(row, attributes={"owner": "period"})
    with pytest.raises(UnknownColumnError, match="Did you mean 'owner'"):
        read(row, owner="owners")
