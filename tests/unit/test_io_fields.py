"""Change logs of single fields: full states rebuilt from them."""

from __future__ import annotations

import pyarrow as pa
import pytest

import funnel as fn
from funnel.errors import ReadError, UnknownStageError, ValidationError

FUNNEL = fn.Funnel(["Qualify", "Propose"])
FIELDS = {"Stage": "stage", "Amount": "amount", "Close": "expected_close", "Owner": "owner"}


def read(*rows, names="id at field old new", **options):
    """Read rows of texts; columns that have our names are mapped to them."""
    names = names.split()
    table = pa.table({name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)})
    mapped = {name: name for name in names}
    fixed = {"funnel": FUNNEL, "layout": "fields", "fields": FIELDS}
    return fn.io.read_history(table, **{**fixed, **mapped, **options})


def found(history):
    """Return the findings as plain tuples."""
    return [tuple(finding) for finding in history.findings]


def states(history, *names):
    """Return rows of plain values."""
    columns = history.to_columns()
    return list(
        zip(*(columns[name].astype(str).tolist() for name in ("id", "at", *names)), strict=True)
    )


# --- the rebuilt states --------------------------------------------------------------------------


def test_states_after_each_change():
    """A value holds from its change to the next one; before the first one the old value holds."""
    history = read(
        ("A", "2026-01-05", "Stage", "", "Qualify"),
        ("A", "2026-01-10", "Amount", "100", "150"),
        ("A", "2026-01-20", "Stage", "Qualify", "Propose"),
        ("A", "2026-01-25", "Owner", "Ann", "Bo"),
        ("A", "2026-01-30", "Amount", "150", ""),
        ("B", "2026-01-07", "Stage", "", "Qualify"),
    )
    assert [
        ("A", "2026-01-05", "Qualify", "100.0", "Ann"),
        ("A", "2026-01-10", "Qualify", "150.0", "Ann"),
        ("A", "2026-01-20", "Propose", "150.0", "Ann"),
        ("A", "2026-01-25", "Propose", "150.0", "Bo"),
        ("A", "2026-01-30", "Propose", "nan", "Bo"),
        ("B", "2026-01-07", "Qualify", "nan", ""),
    ] == states(history, "stage", "amount", "owner")
    assert [] == found(history)


def test_changes_of_one_moment_are_one():
    """Fields that change together make one state, unless the stage changes twice."""
    when = "2026-01-05T10:00:00"
    history = read(
        ("A", when, "Stage", "", "Qualify"),
        ("A", when, "Amount", "", "5"),
        ("A", when, "Stage", "Qualify", "Propose"),
        ("A", when, "Owner", "", "Ann"),
        ("A", "2026-01-05T11:00:00", "Amount", "5", "6"),
    )
    assert [
        ("A", "2026-01-05", "Qualify", "5.0", ""),
        ("A", "2026-01-05", "Propose", "5.0", "Ann"),
        ("A", "2026-01-05", "Propose", "6.0", "Ann"),
    ] == states(history, "stage", "amount", "owner")


def test_rows_in_any_order():
    """Rows are ordered by deal, time and `seq` before anything is rebuilt."""
    rows = [
        ("A", "2026-01-05", "Stage", "", "Qualify", "1"),
        ("A", "2026-01-20", "Stage", "Qualify", "Propose", "2"),
        ("A", "2026-01-20", "Stage", "Propose", "Won", "3"),
        ("B", "2026-01-05", "Stage", "", "Qualify", "4"),
    ]
    names = "id at field old new seq"
    expected = read(*rows, names=names)
    assert expected.identical_to(read(*rows[::-1], names=names))
    assert expected.identical_to(read(*(rows[i] for i in (2, 0, 3, 1)), names=names))


# --- beginnings ----------------------------------------------------------------------------------


def test_creation_from_a_column():
    """A deal begins on the day of its creation, with the old values of its first changes."""
    history = read(
        ("A", "2026-01-10", "Amount", "100", "150", "2026-01-05"),
        ("A", "2026-01-20", "Stage", "Qualify", "Propose", "2026-01-05"),
        names="id at field old new created",
        observed_from="2026-01-01",
    )
    assert [
        ("A", "2026-01-05", "Qualify", "100.0"),
        ("A", "2026-01-10", "Qualify", "150.0"),
        ("A", "2026-01-20", "Propose", "150.0"),
    ] == states(history, "stage", "amount")
    assert [20_458] == history.first_entered.tolist()  # 2026-01-05


def test_deals_older_than_the_log():
    """A deal created before anything was recorded is first seen on the first day observed."""
    history = read(
        ("A", "2026-01-20", "Stage", "Qualify", "Propose", "2025-06-01"),
        ("B", "2026-01-10", "Stage", "", "Qualify", "2026-01-10"),
        names="id at field old new created",
    )
    assert [
        ("A", "2026-01-10", "Qualify", "2025-06-01"),
        ("A", "2026-01-20", "Propose", "2025-06-01"),
        ("B", "2026-01-10", "Qualify", "2026-01-10"),
    ] == states(history, "stage", "created")
    # How long A had been in its stage by then is not known: late entry.
    assert [-(2**31), 20_463] == history.first_entered.tolist()
    assert "2026-01-10" == str(fn.calendars.to_date(history.observed_from))


def test_creation_from_a_change():
    """A record of the creation gives its day, by its value or else by its own day."""
    options = {"fields": {**FIELDS, "created": "created"}, "observed_from": "2026-01-01"}
    by_day = read(
        ("A", "2026-01-05", "created", None, None),
        ("A", "2026-01-20", "Stage", "Qualify", "Propose"),
        **options,
    )
    assert [
        ("A", "2026-01-05", "Qualify", "2026-01-05"),
        ("A", "2026-01-20", "Propose", "2026-01-05"),
    ] == states(by_day, "stage", "created")
    by_value = read(
        ("A", "2026-01-06", "created", None, "2026-01-05"),
        ("A", "2026-01-20", "Stage", "Qualify", "Propose"),
        **options,
    )
    assert [
        ("A", "2026-01-05", "Qualify", "2026-01-05"),
        ("A", "2026-01-06", "Qualify", "2026-01-05"),
        ("A", "2026-01-20", "Propose", "2026-01-05"),
    ] == states(by_value, "stage", "created")
    assert [] == found(by_day) == found(by_value)


def test_creation_that_nobody_knows():
    """Where the log shows that a deal is older than its first change, the finding says so."""
    history = read(("A", "2026-01-20T10:00", "Stage", "Qualify", "Propose"))
    assert [(0, "created", "created-unknown", "A", "first change taken for it")] == found(history)
    assert [("A", "2026-01-20", "Propose")] == states(history, "stage")


def test_creation_after_the_first_change():
    """A creation that comes after a change is moved to it."""
    history = read(
        ("A", "2026-01-20", "Stage", "Qualify", "Propose", "2026-02-01"),
        names="id at field old new created",
    )
    assert [("A", "2026-01-20", "Propose", "2026-01-20")] == states(history, "stage", "created")
    assert ["created-after-at"] == [rule for _, _, rule, _, _ in found(history)]


# --- what the log does not tell ------------------------------------------------------------------


def test_columns_beside_the_log():
    """A column beside the log holds for deals whose changes do not tell it."""
    table = {
        "id": ["A", "B"],
        "at": ["2026-01-10", "2026-01-10"],
        "field": ["Amount", "Stage"],
        "old": ["100", "Qualify"],
        "new": ["150", "Propose"],
        "stage": ["Propose", "Lost"],
        "amount": [7.0, 9.0],
        "region": ["North", "South"],
        "score": [1.5, 2.5],
    }
    mapped = {name: name for name in ("id", "at", "field", "old", "new", "stage", "amount")}
    history = fn.io.read_history(
        pa.table(table),
        funnel=FUNNEL,
        layout="fields",
        fields=FIELDS,
        attributes=("region", "score"),
        **mapped,
    )
    assert [
        ("A", "2026-01-10", "Propose", "150.0", "North", "1.5"),
        ("B", "2026-01-10", "Propose", "9.0", "South", "2.5"),
    ] == states(history, "stage", "amount", "region", "score")


def test_stage_that_nobody_knows():
    """States of which the stage is not known are left out; what they set is kept for later ones."""
    history = read(
        ("A", "2026-01-05", "Amount", "", "5"),
        ("A", "2026-01-10", "Stage", None, "Qualify"),
        ("B", "2026-01-05", "Amount", "", "6"),
    )
    assert [("A", "2026-01-10", "Qualify", "5.0")] == states(history, "stage", "amount")
    assert [
        (0, "stage", "stage-missing", "", "row left out"),
        (2, "stage", "stage-missing", "", "row left out"),
    ] == found(history)


def test_fields_that_are_not_mapped():
    """Changes of other fields are left out and counted, unless that is meant."""
    rows = (
        ("A", "2026-01-05", "Stage", "", "Qualify"),
        ("A", "2026-01-06", "Color", "red", "blue"),
        ("A", "2026-01-07", "", "x", "y"),
    )
    history = read(*rows)
    assert [
        (-1, "field", "field-not-mapped", "Color (1 rows)", "rows left out"),
        (2, "field", "field-missing", "", "row left out"),
    ] == found(history)
    assert ["field-missing"] == [f[2] for f in found(read(*rows, fields={**FIELDS, "Color": None}))]


def test_no_field_is_the_stage():
    """A log that does not tell the stage is refused, with the fields that it has."""
    row = ("A", "2026-01-05", "StageName", "", "Qualify")
    with pytest.raises(ReadError, match=r"must tell the stage.*Did you mean 'StageName'\?"):
        read(row)
    with pytest.raises(ReadError, match=r"must tell the stage.*Did you mean 'StageName'"):
        read(row, fields={"Amount": "amount"})


def test_fields_are_mapped_to_columns_of_a_state():
    """A change cannot set the id of its deal."""
    with pytest.raises(ValidationError, match="must map fields to columns of a state"):
        read(("A", "2026-01-05", "Name", "", "x"), fields={"Name": "id"})


def test_gaps_in_the_log():
    """An old value that is not the new one of the change before shows that one is missing."""
    history = read(
        ("A", "2026-01-05", "Stage", "", "Qualify"),
        ("A", "2026-01-06", "Amount", "", "5"),
        ("A", "2026-01-07", "Amount", "6", "7"),
        ("A", "2026-01-08", "Stage", "Propose", "Won"),
        ("A", "2026-01-08", "Close", "2026-02-01", "2026-03-01"),
        ("A", "2026-01-09", "Close", "2026-03-01", "2026-04-01"),
        ("B", "2026-01-09", "Stage", "Propose", "Qualify"),
        observed_from="2026-01-01",
    )
    action = "new values kept; a change between is missing"
    gaps = [finding for finding in found(history) if finding[2].endswith("-gap")]
    assert sorted(
        [(3, "stage", "stage-gap", "Propose", action), (2, "amount", "amount-gap", "6", action)]
    ) == sorted(gaps)


def test_no_row_is_left():
    """Where every row is left out, the error says why."""
    with pytest.raises(ReadError, match="no row that can be used"):
        read(("", "2026-01-05", "Stage", "", "Qualify"))


def test_unknown_stages_are_found_in_old_and_new_values():
    """The row of the source is named, whether the stage is the new or the old value."""
    rows = [("B", "2026-01-04", "Amount", "", "5"), ("A", "2026-01-05", "Stage", "Sold", "Qualify")]
    with pytest.raises(UnknownStageError, match="first: 'Sold', row 1"):
        read(*rows)


def test_without_a_funnel_the_stages_are_listed():
    """Stages of old and new values are listed."""
    with pytest.raises(ReadError, match="stages found: 'Propose', 'Qualify'"):
        read(("A", "2026-01-05", "Stage", "Qualify", "Propose"), funnel=None)


# --- values --------------------------------------------------------------------------------------


def test_repairs_name_the_row_of_the_source():
    """Findings about old and new values carry the row of the change, once."""
    history = read(
        ("A", "2026-01-05", "Stage", "", "Qualify"),
        ("A", "2026-01-06", "Amount", "", "-5"),
        ("A", "2026-01-07", "Close", "", "2215-01-01"),
        ("A", "2026-01-08", "Amount", "x", "9"),
    )
    assert [
        (3, "amount", "amount-unreadable", "x", "set to unknown"),
        (1, "amount", "amount-negative", "-5.0", "set to unknown"),
        (2, "expected_close", "expected_close-implausible", "2215-01-01", "set to unknown"),
    ] == sorted(found(history), key=lambda finding: (finding[1], finding[2] != "amount-unreadable"))


def test_kinds_of_attributes():
    """A tracked attribute is a category unless it is said to be something else."""
    rows = (("A", "2026-01-05", "Stage", "", "Qualify"), ("A", "2026-01-06", "Score", "1", "2.5"))
    fields = {**FIELDS, "Score": "score"}
    assert ["1", "2.5"] == read(*rows, fields=fields).to_columns()["score"].tolist()
    history = read(*rows, fields=fields, kinds={"score": "number"})
    assert [1.0, 2.5] == history.to_columns()["score"].tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, ["", "EUR", "GBP"]), ({"currency_code": "EUR"}, ["EUR", "EUR", "EUR"])],
    ids=["signs", "code"],
)
def test_currency_from_signs_or_by_code(options, expected):
    """Signs of amounts tell the currency where nothing else does."""
    history = read(
        ("A", "2026-01-05", "Stage", "", "Qualify"),
        ("A", "2026-01-06", "Amount", "", "€5"),
        ("A", "2026-01-07", "Amount", "€5", "£6"),
        **options,
    )
    assert expected == history.to_columns()["currency"].tolist()
    conflicts = [finding[0] for finding in found(history) if finding[2] == "currency-conflict"]
    assert ([2] if options else []) == conflicts


def test_a_tracked_currency_counts():
    """A currency that is tracked itself goes before everything else."""
    history = read(
        ("A", "2026-01-05", "Stage", "", "Qualify"),
        ("A", "2026-01-06", "Money", "EUR", "USD"),
        fields={**FIELDS, "Money": "currency"},
    )
    assert ["EUR", "USD"] == history.to_columns()["currency"].tolist()
    with pytest.raises(ReadError, match="must be given once"):
        read(
            ("A", "2026-01-05", "Stage", "", "Qualify"),
            ("A", "2026-01-06", "Amount", "", "5"),
            ("A", "2026-01-06", "Money", "EUR", "USD"),
            fields={**FIELDS, "Money": "currency"},
            currency_code="EUR",
        )


# --- presets -------------------------------------------------------------------------------------

SALESFORCE = "OpportunityId CreatedDate Field OldValue NewValue"


def crm(preset, names, *rows, **options):
    """Read rows with a preset."""
    names = names.split()
    table = pa.table({name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)})
    return fn.io.read_history(table, funnel=FUNNEL, layout="fields", preset=preset, **options)


def test_salesforce_field_history():
    """The preset knows fields and creation, and that owners are logged by name and by id."""
    history = crm(
        "salesforce",
        SALESFORCE,
        ("006A", "2026-01-05T10:00:00.000Z", "created", None, None),
        ("006A", "2026-01-20T10:00:00.000Z", "StageName", "Qualify", "Propose"),
        ("006A", "2026-01-20T10:00:00.000Z", "Amount", "100.0", "150.0"),
        ("006A", "2026-01-21T10:00:00.000Z", "Owner", "Ann", "Bo"),
        ("006A", "2026-01-21T10:00:00.000Z", "Owner", "0051x000001AAAA", "0051x000001BBBBAAA"),
        ("006A", "2026-01-22T10:00:00.000Z", "CloseDate", "2026-03-31", "2026-06-30"),
    )
    assert [
        ("006A", "2026-01-05", "Qualify", "100.0", "Ann", "2026-03-31"),
        ("006A", "2026-01-20", "Propose", "150.0", "Ann", "2026-03-31"),
        ("006A", "2026-01-21", "Propose", "150.0", "Bo", "2026-03-31"),
        ("006A", "2026-01-22", "Propose", "150.0", "Bo", "2026-06-30"),
    ] == states(history, "stage", "amount", "owner", "expected_close")
    assert [(-1, "owner", "record-ids", "1 rows with record ids")] == [
        f[:4] for f in found(history)
    ]


def test_salesforce_owners_by_id_only():
    """Where there are no names, ids are what there is."""
    history = crm(
        "salesforce",
        SALESFORCE,
        ("006A", "2026-01-05T10:00:00.000Z", "StageName", None, "Qualify"),
        ("006A", "2026-01-21T10:00:00.000Z", "Owner", "0051x000001AAAA", "0051x000001BBBB"),
    )
    assert ["0051x000001AAAA", "0051x000001BBBB"] == history.to_columns()["owner"].tolist()
    assert [] == found(history)


def test_hubspot_property_history():
    """The preset knows the properties; there are new values only, and times are milliseconds."""
    history = crm(
        "hubspot",
        "dealId name value timestamp",
        ("1", "dealstage", "Qualify", 1767607200000),  # 2026-01-05T10:00Z
        ("1", "createdate", "1767607200000", 1767607200000),
        ("1", "amount", "100", 1767607200000),
        ("1", "dealname", "Big one", 1767607200000),
        ("1", "dealstage", "Propose", 1768903200000),  # 2026-01-20
        ("1", "closedate", "2026-03-31T00:00:00Z", 1768903200000),
        ("1", "hubspot_owner_id", "17", 1768903200000),
        fields={"dealname": None},
    )
    assert [
        ("1", "2026-01-05", "Qualify", "100.0", "NaT", ""),
        ("1", "2026-01-20", "Propose", "100.0", "2026-03-31", "17"),
    ] == states(history, "stage", "amount", "expected_close", "owner")
    assert [] == found(history)
