"""Tables of deals: where each deal is placed in time, and what must not leak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import funnel as fn
from funnel.errors import ReadError, UnknownStageError, ValidationError

FUNNEL = fn.Funnel(["Qualify", "Propose", "Negotiate"])
SHARED = Path(__file__).parents[3] / "shared" / "data" / "crm_sales_opportunities"
UNTIL = "2026-03-31"


def read(*rows, names="id stage created closed", **options):
    """Read rows of texts; columns that have our names are mapped to them."""
    names = names.split()
    table = pa.table({name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)})
    mapped = {name: name for name in names}
    return fn.io.read_deals(
        table, **{"funnel": FUNNEL, "observed_until": UNTIL, **mapped, **options}
    )


def found(history):
    """Return the findings as plain tuples."""
    return [tuple(finding) for finding in history.findings]


def states(history, *names):
    """Return rows of plain values."""
    columns = history.to_columns()
    listed = (columns[name].astype(str).tolist() for name in ("id", "at", "stage", *names))
    return list(zip(*listed, strict=True))


# --- rows ----------------------------------------------------------------------------------------


def test_closed_deals_have_two_rows():
    """Created in the first stage, closed in their last one."""
    history = read(
        ("A", "Won", "2026-01-05", "2026-02-10"), ("B", "lost", "2026-01-06", "2026-01-06")
    )
    assert [
        ("A", "2026-01-05", "Qualify"),
        ("A", "2026-02-10", "Won"),
        ("B", "2026-01-06", "Qualify"),
        ("B", "2026-01-06", "Lost"),
    ] == states(history)
    assert [] == found(history)
    assert UNTIL == str(fn.calendars.to_date(history.observed_until))


def test_open_deals_in_their_first_stage():
    """An open deal that is where it began has one row."""
    assert [("A", "2026-01-05", "Qualify")] == states(read(("A", "Qualify", "2026-01-05", "")))


def test_the_stage_in_which_deals_are_created():
    """The entry stage is the user's to name."""
    history = read(
        ("A", "Propose", "2026-01-05", ""),
        ("B", "Won", "2026-01-05", "2026-02-10"),
        entry_stage="propose",
    )
    assert [
        ("A", "2026-01-05", "Propose"),
        ("B", "2026-01-05", "Propose"),
        ("B", "2026-02-10", "Won"),
    ] == states(history)
    with pytest.raises(UnknownStageError):
        read(("A", "Propose", "2026-01-05", ""), entry_stage="Prepare")


def test_open_deals_further_on():
    """An open deal reached its stage on the day that the table gives, or else on the last one."""
    rows = (
        ("A", "Propose", "2026-01-05", "", "2026-02-01"),
        ("B", "Propose", "2026-01-05", "", ""),
        ("C", "Propose", "2026-01-05", "", "2026-01-05"),
        ("D", "Propose", "2026-01-05", "", "2026-01-01"),
    )
    history = read(*rows, names="id stage created closed stage_entered")
    assert [
        ("A", "2026-01-05", "Qualify"),
        ("A", "2026-02-01", "Propose"),
        ("B", "2026-01-05", "Qualify"),
        ("B", UNTIL, "Propose"),
        ("C", "2026-01-05", "Propose"),  # it was created there
        ("D", "2026-01-05", "Qualify"),
        ("D", UNTIL, "Propose"),
    ] == states(history)
    action = f"taken as reached on {UNTIL}, the last day observed"
    assert [
        (3, "stage_entered", "created-after-stage_entered", "2026-01-01", "set to unknown"),
        (1, "stage", "stage-day-unknown", "Propose", action),
        (3, "stage", "stage-day-unknown", "Propose", action),
    ] == found(history)


def test_the_last_day_is_that_of_the_table_by_default():
    """Without the day of the export, the last day that occurs stands for it."""
    history = read(
        ("A", "Won", "2026-01-05", "2026-02-10"),
        ("B", "Propose", "2026-01-06", ""),
        observed_until=None,
    )
    assert ("B", "2026-02-10", "Propose") == states(history)[-1]


# --- dates ---------------------------------------------------------------------------------------


def test_deals_that_cannot_be_placed():
    """Deals without any date, and closed ones without a closing day, are findings, not rows."""
    history = read(
        ("A", "Qualify", "", ""),
        ("B", "Won", "2026-01-05", ""),
        ("C", "Won", "", ""),
        ("D", "Qualify", "2026-01-05", ""),
        ("", "Qualify", "2026-01-05", ""),
        ("E", "", "2026-01-05", ""),
    )
    assert ["D"] == history.ids.tolist()
    assert [
        (4, "id", "id-missing", "", "row left out"),
        (5, "stage", "stage-missing", "", "row left out"),
        (0, "created", "no-date", "A", "row left out"),
        (2, "created", "no-date", "C", "row left out"),
        (1, "closed", "closed-missing", "B", "row left out"),
    ] == found(history)


def test_dates_that_contradict_the_stage():
    """A closing day of an open deal is not used; a closed deal may have it as day of entry."""
    history = read(
        ("A", "Qualify", "2026-01-05", "2026-02-01", ""),
        ("B", "Won", "2026-01-05", "", "2026-02-02"),
        names="id stage created closed stage_entered",
    )
    assert [
        ("A", "2026-01-05", "Qualify"),
        ("B", "2026-01-05", "Qualify"),
        ("B", "2026-02-02", "Won"),
    ] == states(history)
    assert [
        (0, "closed", "closed-but-open", "2026-02-01", "closing day not used"),
        (1, "closed", "closed-missing", "B", "day of stage_entered taken for it"),
    ] == found(history)


def test_closed_before_created():
    """The closing day is what was booked: the creation gives way, and the finding says so."""
    history = read(("A", "Won", "2026-02-10", "2026-02-09"))
    assert [
        ("A", "2026-02-09", "Qualify", "2026-02-09"),
        ("A", "2026-02-09", "Won", "2026-02-09"),
    ] == states(history, "created")
    assert [
        (0, "created", "created-after-closed_on", "2026-02-10", "closing day taken for it")
    ] == found(history)


def test_created_is_missing():
    """A deal that is closed, or whose stage has a day, enters on that day."""
    history = read(
        ("A", "Won", "", "2026-02-10", ""),
        ("B", "Propose", "", "", "2026-02-01"),
        ("C", "Qualify", "", "", "2026-02-02"),
        names="id stage created closed stage_entered",
    )
    assert [
        ("A", "2026-02-10", "Won"),
        ("B", "2026-02-01", "Propose"),
        ("C", "2026-02-02", "Qualify"),
    ] == states(history)
    assert [(row, "created-missing") for row in range(3)] == [(f[0], f[2]) for f in found(history)]


def test_dates_in_another_century():
    """A closing day in 2215 is unknown, so the deal cannot be placed."""
    history = read(("A", "Won", "2026-01-05", "2215-02-10"), ("B", "Qualify", "2026-01-05", ""))
    assert ["B"] == history.ids.tolist()
    assert [
        (0, "closed", "closed_on-implausible", "2215-02-10", "set to unknown"),
        (0, "closed", "closed-missing", "A", "row left out"),
    ] == found(history)


def test_days_after_the_export():
    """What happened after the day of the export is an error, not left out."""
    with pytest.raises(ValidationError, match="Widen the window"):
        read(("A", "Won", "2026-01-05", "2026-04-10"))
    with pytest.raises(ValidationError, match="must not be after observed_until"):
        read(("A", "Propose", "2026-04-05", ""))


def test_one_column_for_promise_and_closing_day():
    """The close date of a CRM is the promise of open deals and the closing day of others."""
    history = read(
        ("A", "Won", "2026-01-05", "2026-02-10"),
        ("B", "Qualify", "2026-01-05", "2026-06-30"),
        expected_close="closed",
    )
    assert ["NaT", "NaT", "2026-06-30"] == history.to_columns()["expected_close"].astype(
        str
    ).tolist()
    assert [] == found(history)


# --- what is known when --------------------------------------------------------------------------

MONEY = "id stage created closed amount owner"
DEALS = (
    ("A", "Won", "2026-01-05", "2026-02-10", "120", "Ann"),
    ("B", "Lost", "2026-01-06", "2026-02-20", "0", "Bo"),
    ("C", "Qualify", "2026-01-07", "", "90", "Cy"),
)


def table_of(**options):
    """Read `DEALS` with owners."""
    names = MONEY.split()
    table = pa.table({name: [row[i] for row in DEALS] for i, name in enumerate(names)})
    mapped = {name: name for name in names if name != "owner"}
    fixed = {"funnel": FUNNEL, "observed_until": UNTIL, "attributes": ("owner",)}
    return fn.io.read_deals(table, **{**fixed, **mapped, **options})


def test_last_values_do_not_leak():
    """Amounts and owners are final: a snapshot before the end does not see them."""
    history = table_of()
    early, late = history.snapshot("2026-01-31"), history.snapshot()
    assert np.isnan(early.columns["amount"]).all()
    assert ["", "", ""] == early.to_columns()["owner"].tolist()
    booked = history.snapshot("2026-02-15")
    assert [120.0] == booked.columns["amount"][~np.isnan(booked.columns["amount"])].tolist()
    assert [120.0, 0.0, 90.0] == late.columns["amount"].tolist()


def test_what_never_changes_is_known_from_the_start():
    """A constant column is shown in every snapshot."""
    history = table_of(known={"owner": "constant", "amount": "constant"}, currency_code="EUR")
    early = history.snapshot("2026-01-31")
    assert ["Ann", "Bo", "Cy"] == early.to_columns()["owner"].tolist()
    assert [120.0, 0.0, 90.0] == early.columns["amount"].tolist()
    assert "EUR" == early.currency


def test_currency_is_known_when_the_amount_is():
    """An amount that is final takes its currency along."""
    history = table_of(currency_code="EUR")
    assert "final" == history.schema.column("currency").known
    assert "EUR" == history.snapshot().currency


def test_nothing_is_dated():
    """A table of deals has no history of its columns: nobody can say that it has."""
    with pytest.raises(ValidationError, match=r"'final' or 'constant'.*got {'owner': 'dated'}"):
        table_of(known={"owner": "dated"})


BOOKED = "id stage created closed amount booked_amount"


@pytest.mark.parametrize(
    ("known", "early", "late"),
    [
        ({"amount": "constant"}, [100.0, 110.0, 90.0], [120.0, 110.0, 90.0]),
        ({}, [np.nan] * 3, [120.0, 110.0, 90.0]),
    ],
    ids=["constant list price", "final"],
)
def test_booked_amounts(known, early, late):
    """A list price holds until a deal is won; then it is what was booked. Lost deals keep it."""
    history = read(
        ("A", "Won", "2026-01-05", "2026-02-10", "100", "120"),
        ("B", "Lost", "2026-01-06", "2026-02-20", "110", "0"),
        ("C", "Qualify", "2026-01-07", "", "90", ""),
        names=BOOKED,
        known=known,
    )
    np.testing.assert_array_equal(early, history.snapshot("2026-01-31").columns["amount"])
    np.testing.assert_array_equal(late, history.snapshot().columns["amount"])
    assert [120.0] == history.snapshot("2026-02-15").columns["amount"][:1].tolist()


def test_booked_amounts_alone():
    """Without a list price, only what was booked is known; a won deal without it is unknown."""
    history = read(
        ("A", "Won", "2026-01-05", "2026-02-10", "$120"),
        ("B", "Won", "2026-01-05", "2026-02-10", ""),
        ("C", "Qualify", "2026-01-07", "", "-7"),
        names="id stage created closed booked_amount",
    )
    np.testing.assert_array_equal([120.0, np.nan, np.nan], history.snapshot().columns["amount"])
    assert ["currency-sign", "amount-negative"] == sorted(
        (f[2] for f in found(history)), reverse=True
    )
    assert "USD" == history.snapshot().currency


def test_a_schema_says_what_is_known():
    """With the schema of another chunk, what is known is what it says."""
    first = table_of(known={"owner": "constant"})
    second = table_of(funnel=None, schema=first.schema)
    first.schema.require_same(second.schema)


# --- ids, funnels, presets -----------------------------------------------------------------------


def test_deals_that_are_there_twice():
    """A table of deals names each deal once; the first that is not is named."""
    rows = (
        ("A", "Won", "2026-01-05", "2026-02-10"),
        ("B", "Qualify", "2026-01-05", ""),
        ("A", "Lost", "2026-01-05", "2026-02-10"),
    )
    with pytest.raises(ValidationError, match=r"2 of 3 rows break this \(first: 'A', rows 0, 2\)"):
        read(*rows)


def test_without_a_funnel_the_stages_are_listed():
    """The ladder is not guessed."""
    with pytest.raises(ReadError, match=r"read_deals needs funnel=.*'Won'"):
        read(("A", "Won", "2026-01-05", "2026-02-10"), funnel=None)


def test_strict_raises_on_the_first_finding():
    """With `strict`, a deal without dates is an error."""
    with pytest.raises(ValidationError, match="created: no-date in 1 rows"):
        read(("A", "Qualify", "", ""), strict=True)


def test_salesforce_opportunities():
    """The preset knows the columns of Opportunity."""
    table = {
        "Id": ["006A", "006B"],
        "StageName": ["Won", "Propose"],
        "CreatedDate": ["2026-01-05T10:00:00.000Z", "2026-01-06T10:00:00.000Z"],
        "CloseDate": ["2026-02-10", "2026-06-30"],
        "LastStageChangeDate": ["2026-02-10T10:00:00.000Z", "2026-02-01T10:00:00.000Z"],
        "Amount": ["100.0", "200.0"],
        "OwnerId": ["Ann", "Bo"],
    }
    history = fn.io.read_deals(
        pa.table(table), preset="salesforce", funnel=FUNNEL, observed_until=UNTIL
    )
    assert [
        ("006A", "2026-01-05", "Qualify"),
        ("006A", "2026-02-10", "Won"),
        ("006B", "2026-01-06", "Qualify"),
        ("006B", "2026-02-01", "Propose"),
    ] == states(history)
    assert ["NaT", "2026-06-30"] == history.snapshot().to_columns()["expected_close"].astype(
        str
    ).tolist()
    assert [] == found(history)


@pytest.mark.parametrize(
    "headers",
    [
        ("dealId", "dealstage", "createdate", "closedate", "amount", "hubspot_owner_id"),
        ("Record ID", "Deal Stage", "Create Date", "Close Date", "Amount", "Deal owner"),
    ],
    ids=["api", "export"],
)
def test_hubspot_deals(headers):
    """The preset knows the names of the properties and of the columns of an export."""
    rows = [("1", "closed won", "2026-01-05 10:00", "2026-02-10 10:00", "100", "17")]
    table = pa.table({header: [row[i] for row in rows] for i, header in enumerate(headers)})
    funnel = fn.Funnel(["Qualify"], won=fn.Stage("Won", aliases=("closed won",)))
    history = fn.io.read_deals(table, preset="hubspot", funnel=funnel)
    assert [("1", "2026-01-05", "Qualify"), ("1", "2026-02-10", "Won")] == states(history)
    assert ["17"] == history.snapshot().to_columns()["owner"].tolist()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the CRM set is not on this machine")
def test_the_crm_set():
    """Counts of its README: 4,238 won, 2,473 lost, 1,589 open, 500 without any date."""
    history = fn.io.read_deals(
        SHARED / "sales_pipeline.csv",
        funnel=fn.Funnel(["Prospecting", "Engaging"]),
        id="opportunity_id",
        stage="deal_stage",
        created="engage_date",
        closed="close_date",
        amount="close_value",
        attributes=("sales_agent", "product", "account"),
        entry_stage="Engaging",
        observed_until="2017-12-31",
    )
    outcomes = fn.outcomes(history)
    counts = [outcomes.count(kind) for kind in (fn.Outcome.WON, fn.Outcome.LOST, fn.Outcome.OPEN)]
    assert [4_238, 2_473, 1_589] == counts
    assert (500, 500) == (len(history.findings), history.findings.count("no-date"))
    assert 8_300 == history.n_deals
    # The README gives 10,005,534 as the value of all wins; every lost deal has value 0.
    won = outcomes.outcome == fn.Outcome.WON
    assert 10_005_534 == outcomes.amount[won].sum()
    before = history.snapshot("2017-06-30")
    assert np.isnan(before.columns["amount"][before.outcome != fn.Outcome.WON]).all()
