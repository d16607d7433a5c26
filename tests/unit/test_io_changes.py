"""Change logs of full states: mapping, order, repairs and findings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import funnel as fn
from funnel.errors import (
    CurrencyMismatchError,
    ReadError,
    UnknownColumnError,
    UnknownStageError,
    ValidationError,
)

FUNNEL = fn.Funnel(["Qualify", "Propose", fn.Stage("Waiting", on_hold=True)])
MAPPED = ("id", "stage", "at", "seq", "amount", "currency", "created", "stage_entered")


def read(table, **options):
    """Read columns of texts; those that have our names are mapped to them."""
    mapped = {name: name for name in (*MAPPED, "expected_close") if name in table}
    return fn.io.read_history(pa.table(table), **{"funnel": FUNNEL, **mapped, **options})


def found(history):
    """Return the findings as plain tuples."""
    return [tuple(finding) for finding in history.findings]


def column(history, name):
    """Return a column as plain values, dates as text."""
    values = history.to_columns()[name]
    return values.astype(str).tolist() if values.dtype.kind == "M" else values.tolist()


def log(*rows, names="id stage at"):
    """Return rows as columns."""
    return {name: [row[i] for row in rows] for i, name in enumerate(names.split())}


PLAIN = log(
    ("A", "Qualify", "2026-01-05"), ("A", "Propose", "2026-01-20"), ("B", "Qualify", "2026-02-01")
)


def test_rows_of_a_deal_side_by_side_or_apart():
    """Ids are read once a run of rows; the order of the rows in the source changes nothing."""
    rows = [("B", "Qualify", f"2026-01-0{day}") for day in range(1, 5)]
    rows += [("A", "Propose", f"2026-01-0{day}") for day in range(1, 5)]
    together = read(log(*rows), known={})
    apart = read(log(*(row for pair in zip(rows[:4], rows[4:], strict=True) for row in pair)))
    assert together.identical_to(apart)
    assert column(together, "id") == ["A"] * 4 + ["B"] * 4
    spaced = read(log(*((f"{deal} ", stage, day) for deal, stage, day in rows)))
    assert column(spaced, "id") == ["A"] * 4 + ["B"] * 4
    assert [finding[0] for finding in found(spaced)] == list(range(8))  # every row, not each run


@pytest.mark.parametrize(
    "categories",
    [["Propose", "Qualify"], ["Propose", "Nowhere", "Qualify"], ["Qualify", "Propose", "Qualify"]],
    ids=["used", "with one that does not occur", "with one twice"],
)
def test_texts_as_codes_are_the_texts(categories):
    """What the codes of a column can stand for, and none stands for, is not in it."""
    stages = pa.array(["Qualify", "Propose", "Qualify"])
    codes = [categories.index("Qualify"), categories.index("Propose"), -1]
    codes[-1] = len(categories) - 1 - categories[::-1].index("Qualify")
    coded = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int8()), pa.array(categories))
    assert coded.to_pylist() == stages.to_pylist()
    owner = coded.cast(pa.string()).dictionary_encode()
    history = read({**PLAIN, "stage": coded, "owner": owner}, attributes=["owner"])
    assert history.identical_to(
        read({**PLAIN, "stage": stages, "owner": stages}, attributes=["owner"])
    )


# --- mapping -------------------------------------------------------------------------------------


def test_every_column_arrives():
    """Columns arrive under our names, attributes under the names that they were given."""
    table = {
        "Id": ["A", "A"],
        "Stage": ["Qualify", "won"],
        "Day": ["2026-01-05", "2026-02-10"],
        "Amount": ["100", "120"],
        "Currency": ["EUR", "EUR"],
        "Promise": ["2026-03-31", "2026-02-28"],
        "OwnerId": ["Ann", "Bo"],
        "Created": ["2026-01-02", "2026-01-02"],
        "Entered": ["2026-01-03", ""],
    }
    history = fn.io.read_history(
        pa.table(table),
        funnel=FUNNEL,
        id="Id",
        stage="Stage",
        at="Day",
        amount="Amount",
        currency="Currency",
        expected_close="Promise",
        created="Created",
        stage_entered="Entered",
        attributes={"owner": "OwnerId"},
        known={"owner": "final"},
        observed_until="2026-03-31",
    )
    assert [] == found(history)
    assert ["Qualify", "Won"] == column(history, "stage")
    assert [100.0, 120.0] == column(history, "amount")
    assert ["2026-03-31", "2026-02-28"] == column(history, "expected_close")
    assert ["", "Bo"] == column(history, "owner")
    assert ["2026-01-02"] * 2 == column(history, "created")
    assert [20_456] == history.first_entered.tolist()  # 2026-01-03
    assert "EUR" == history.snapshot().currency


def test_kinds_are_as_said():
    """A text is a category unless it is said to be a number or a date."""
    table = PLAIN | {
        "score": ["1", "2.5", ""],
        "next": ["", "", "2026-03-01"],
        "zip": ["01", "02", "1"],
    }
    history = read(
        table, attributes=("score", "next", "zip"), kinds={"score": "number", "next": "date"}
    )
    kinds = [history.schema.column(name).kind for name in ("score", "next", "zip")]
    assert ["number", "date", "category"] == kinds
    assert ["01", "02", "1"] == column(history, "zip")
    assert ["NaT", "NaT", "2026-03-01"] == column(history, "next")
    with pytest.raises(ValidationError, match="must be 'number', 'category' or 'date', got 'text'"):
        read(table, attributes="zip", kinds={"zip": "text"})


def test_a_schema_fixes_columns_and_funnel():
    """The second chunk of a data set is read with the schema of the first."""
    table = PLAIN | {"score": ["1", "2", "3"], "owner": ["Ann", "Bo", "Ann"]}
    first = read(table, attributes=("score", "owner"), kinds={"score": "number"})
    second = read(
        table | {"id": ["C", "C", "D"], "owner": ["Bo", "Bo", "Bo"]},
        funnel=None,
        schema=first.schema,
        attributes=("score", "owner"),
    )
    first.schema.require_same(second.schema)
    assert 4 == fn.History.concat([first, second]).n_deals


def test_attributes_need_names_of_their_own():
    """An attribute cannot be called like a column with a meaning."""
    with pytest.raises(
        ValidationError, match=r"names of their own, got 'closed'.*'other_name': 'closed'"
    ):
        read(PLAIN | {"closed": ["x"] * 3}, attributes="closed")
    history = read(PLAIN | {"closed": ["x"] * 3}, attributes={"how": "closed"})
    assert ["x"] * 3 == column(history, "how")


def test_one_column_may_serve_twice():
    """Two of our columns may come from one of the source."""
    history = read(PLAIN, expected_close="at")
    assert column(history, "at") == column(history, "expected_close")


def test_the_layout_is_one_of_two():
    """A slip in the name of the layout is said."""
    with pytest.raises(ValidationError, match="layout must be 'states' or 'fields', got 'rows'"):
        read(PLAIN, layout="rows")


# --- stages --------------------------------------------------------------------------------------


def test_unknown_stages_are_counted():
    """A stage that is not in the funnel is an error with the count and the first offender."""
    table = log(
        ("A", "Qualify", "2026-01-05"), ("B", "Proposel", "2026-01-06"), ("C", "x", "2026-01-07")
    )
    with pytest.raises(UnknownStageError) as caught:
        read(table)
    assert "2 of 3 rows break this (first: 'Proposel', row 1)" in str(caught.value)
    assert "Did you mean 'Propose'?" in str(caught.value)


def test_without_a_funnel_the_stages_are_listed():
    """The ladder is not guessed: the error says what was found and where to begin."""
    with pytest.raises(
        ReadError, match=r"stages found: 'Qualify', 'Propose'\. Write funnel\.Funnel"
    ):
        read(PLAIN, funnel=None)
    many = log(*((f"D{i}", f"Stage {i:02}", "2026-01-05") for i in range(25)))
    with pytest.raises(ReadError, match="'Stage 19' and 5 more"):
        read(many, funnel=None)


# --- rows that cannot be used --------------------------------------------------------------------


def test_rows_without_deal_stage_or_day():
    """What cannot be placed is left out, each row once, and said."""
    table = log(
        ("A", "Qualify", "2026-01-05"),
        ("", "Qualify", "2026-01-05"),
        ("B", "", "2026-01-05"),
        ("C", "Qualify", ""),
        ("D", "Qualify", "soon"),
        ("E", "Qualify", "2215-01-05"),
        ("", "", ""),
    )
    history = read(table)
    expected = [
        (4, "at", "at-unreadable", "soon", "row left out"),
        (5, "at", "at-implausible", "2215-01-05", "row left out"),
        (1, "id", "id-missing", "", "row left out"),
        (6, "id", "id-missing", "", "row left out"),
        (2, "stage", "stage-missing", "", "row left out"),
        (3, "at", "at-missing", "C", "row left out"),
    ]
    assert expected == found(history)
    assert ["A"] == history.ids.tolist()


def test_no_row_is_left():
    """A history without rows is an error that tells why."""
    with pytest.raises(ReadError, match=r"no row that can be used.*first: row 0, id-missing"):
        read(log(("", "Qualify", "2026-01-05")))
    with pytest.raises(ReadError, match="no row that can be used"):
        read(log(("", "", "2026-01-05"), ("", "", "2026-01-06")))


def test_outer_blanks_are_cut():
    """`A` and `A ` are one deal, and the finding says so."""
    history = read(
        log(
            ("A", "Qualify", "2026-01-05"),
            ("A ", " Propose", "2026-01-06"),
            (" ", "Qualify", "2026-01-06"),
        )
    )
    assert [("A",), 2] == [tuple(history.ids.tolist()), len(history)]
    assert [
        (1, "stage", "outer-blanks", "' Propose'", "cut off"),
        (1, "id", "outer-blanks", "'A '", "cut off"),
        (2, "id", "outer-blanks", "' '", "cut off"),
        (2, "id", "id-missing", "", "row left out"),
    ] == found(history)


def test_duplicate_rows():
    """A row that repeats the one before it is left out; one that comes back is not."""
    history = read(
        log(
            ("A", "Qualify", "2026-01-05", "5"),
            ("A", "Qualify", "2026-01-05", "5"),
            ("B", "Qualify", "2026-01-05", ""),
            ("B", "Propose", "2026-01-05", ""),
            ("B", "Qualify", "2026-01-05", ""),
            ("B", "Qualify", "2026-01-05", ""),
            names="id stage at amount",
        )
    )
    assert ["Qualify", "Qualify", "Propose", "Qualify"] == column(history, "stage")
    assert [
        (1, "id", "duplicate-row", "A", "row left out"),
        (5, "id", "duplicate-row", "B", "row left out"),
    ] == found(history)


# --- order ---------------------------------------------------------------------------------------


def test_time_orders_changes_within_a_day():
    """Time stamps order what days cannot."""
    history = read(
        log(
            ("A", "Propose", "2026-01-05T15:00:00"),
            ("A", "Qualify", "2026-01-05T09:00:00"),
            ("A", "Won", "2026-01-05T18:00:00"),
        )
    )
    assert ["Qualify", "Propose", "Won"] == column(history, "stage")


def test_seq_orders_changes_of_one_moment():
    """A column of numbers orders what time cannot."""
    rows = (("A", "Propose", "2026-01-05", "10"), ("A", "Qualify", "2026-01-05", "9"))
    history = read(log(*rows, names="id stage at seq"))
    assert ["Qualify", "Propose"] == column(history, "stage")


def test_place_orders_the_rest():
    """Without anything else, rows of one day keep the order of the source."""
    rows = (
        ("A", "Propose", "2026-01-05"),
        ("A", "Qualify", "2026-01-05"),
        ("A", "Won", "2026-01-06"),
    )
    assert ["Propose", "Qualify", "Won"] == column(read(log(*rows)), "stage")


def test_logs_that_run_backwards():
    """Where a log runs from the newest row to the oldest, so do rows of one day; it is said."""
    rows = (
        ("A", "Won", "2026-01-06"),
        ("A", "Propose", "2026-01-05"),
        ("A", "Qualify", "2026-01-05"),
    )
    history = read(log(*rows))
    assert ["Qualify", "Propose", "Won"] == column(history, "stage")
    assert [(-1, "at", "newest-first")] == [finding[:3] for finding in found(history)]
    mixed = read(log(*rows, ("A", "Lost", "2026-01-07")))  # forwards too: nothing can be concluded
    assert ["Propose", "Qualify", "Won", "Lost"] == column(mixed, "stage")
    assert [] == found(mixed)
    assert [] == found(read(log(*rows[:2])))  # no two rows of one day: nothing to conclude


# --- dates ---------------------------------------------------------------------------------------


def test_dates_that_contradict_one_another():
    """Each contradiction is settled in one way, and said."""
    history = read(
        log(
            ("A", "Qualify", "2026-01-05", "2026-01-04", ""),
            ("A", "Propose", "2026-01-06", "2026-01-03", ""),
            ("B", "Qualify", "2026-01-05", "2026-01-09", ""),
            ("B", "Propose", "2026-01-06", "2026-01-09", ""),
            ("C", "Qualify", "2026-01-05", "2026-01-04", "2026-01-06"),
            ("D", "Qualify", "2026-01-05", "2026-01-04", "2026-01-03"),
            names="id stage at created stage_entered",
        )
    )
    assert [
        (0, "created", "created-differs", "2026-01-04", "earliest day kept"),
        (2, "created", "created-after-at", "2026-01-09", "first change taken for it"),
        (4, "stage_entered", "stage_entered-after-at", "2026-01-06", "set to unknown"),
        (5, "stage_entered", "created-after-stage_entered", "2026-01-03", "set to unknown"),
    ] == found(history)
    assert ["2026-01-03"] * 2 + ["2026-01-05"] * 2 + ["2026-01-04"] * 2 == column(
        history, "created"
    )


def test_stage_entered_before_the_first_row():
    """A deal whose stage was entered before its first row was created by then; it is said."""
    history = read(
        log(("A", "Propose", "2026-01-05", "2026-01-02"), names="id stage at stage_entered")
    )
    assert ["2026-01-02"] == column(history, "created")
    assert [20_455] == history.first_entered.tolist()  # 2026-01-02
    action = "day of stage_entered taken for it"
    assert [(0, "created", "created-unknown", "A", action)] == found(history)


def test_dates_in_another_century():
    """The year 2215 is unknown, and reported with the row."""
    table = PLAIN | {
        "expected_close": ["2215-03-31", "", "2026-03-31"],
        "created": ["0026-01-05"] * 3,
    }
    history = read(table)
    assert ["NaT", "NaT", "2026-03-31"] == column(history, "expected_close")
    rules = [(row, rule) for row, _, rule, _, _ in found(history)]
    assert [
        *((row, "created-implausible") for row in range(3)),
        (0, "expected_close-implausible"),
    ] == rules


def test_the_window_must_hold_the_rows():
    """Changes outside of the window that the user states are an error, not left out."""
    with pytest.raises(ValidationError, match="1 of 3 rows do not"):
        read(PLAIN, observed_until="2026-01-31")


def test_business_zone():
    """Time stamps with a zone are cut to days of the business zone, which the history names."""
    table = log(("A", "Qualify", "2026-01-05T23:30:00Z"))
    history = read(table, timezone="Europe/Berlin")
    assert ["2026-01-06"] == column(history, "at")
    assert "Europe/Berlin" == history.timezone


# --- amounts -------------------------------------------------------------------------------------


def test_impossible_amounts():
    """NaN is unknown; infinite, negative and unreadable amounts become so, and are findings."""
    table = log(
        *(
            (f"D{i}", "Qualify", "2026-01-05", amount)
            for i, amount in enumerate(("nan", "inf", "-5", "12万", "0"))
        ),
        names="id stage at amount",
    )
    history = read(table)
    assert [True, True, True, True, False] == np.isnan(history.columns["amount"]).tolist()
    assert [
        (3, "amount", "amount-unreadable", "12万", "set to unknown"),
        (1, "amount", "amount-infinite", "inf", "set to unknown"),
        (2, "amount", "amount-negative", "-5.0", "set to unknown"),
    ] == found(history)


def test_two_currencies():
    """Two currencies are read as they are; adding them up is the error."""
    table = log(
        ("A", "Qualify", "2026-01-05", "€5"),
        ("B", "Qualify", "2026-01-05", "£6"),
        names="id stage at amount",
    )
    history = read(table)
    assert ["EUR", "GBP"] == column(history, "currency")
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'GBP'"):
        _ = history.snapshot().currency


def test_one_currency_by_code():
    """A code holds for all amounts."""
    history = read(PLAIN | {"amount": ["1", "2", "3"]}, currency_code="EUR")
    assert ["EUR"] * 3 == column(history, "currency")


def test_decimal_is_one_of_two():
    """What stands before the decimals is a point or a comma."""
    with pytest.raises(ValueError, match="decimal"):
        read(PLAIN | {"amount": ["1", "2", "3"]}, decimal=";")


def test_forecast_categories():
    """A deal's own category is brought to our names; one that is none is unknown and reported."""
    names = ["BestCase", "Forecast", "Closed", "Omitted", "likely"]
    table = log(
        *((f"D{i}", "Qualify", "2026-01-05", name) for i, name in enumerate(names)),
        names="id stage at cat",
    )
    history = read(table, attributes={"category": "cat"})
    assert ["best case", "commit", "", "omitted", ""] == column(history, "category")
    assert [(4, "category", "category-unknown", "likely", "set to unknown")] == found(history)


# --- presets and strictness ----------------------------------------------------------------------


def test_salesforce_opportunity_history():
    """The preset knows the columns of OpportunityHistory; keywords go before it."""
    table = {
        "OpportunityId": ["006A", "006A"],
        "StageName": ["Qualify", "Won"],
        "CreatedDate": ["2026-01-05T10:00:00.000Z", "2026-02-10T10:00:00.000+0000"],
        "Amount": ["100.0", "120.0"],
        "CloseDate": ["2026-03-31", "2026-02-10"],
        "ForecastCategory": ["Pipeline", "Closed"],
        "IsDeleted": ["false", "false"],
        "Net": ["10", "12"],
    }
    history = read(table, preset="salesforce")
    assert ["Qualify", "Won"] == column(history, "stage")
    assert [100.0, 120.0] == column(history, "amount")
    assert ["2026-03-31", "2026-02-10"] == column(history, "expected_close")
    assert ["pipeline", ""] == column(history, "category")
    assert [10.0, 12.0] == column(read(table, preset="salesforce", amount="Net"), "amount")
    assert ["Pipeline", "Closed"] == column(
        read(table, preset="salesforce", attributes={"kind": "ForecastCategory"}), "kind"
    )
    with pytest.raises(UnknownColumnError, match="column 'OpportunityId' is not in the table"):
        read(
            {name: values for name, values in table.items() if name != "OpportunityId"},
            preset="salesforce",
        )


def test_presets_by_name():
    """A preset that does not exist, or not for this layout, is said."""
    with pytest.raises(
        ReadError, match=r"no preset is called 'salesfroce'. Did you mean 'salesforce'"
    ):
        read(PLAIN, preset="salesfroce")
    with pytest.raises(
        ReadError, match=r"'hubspot' is for read_history\(layout='fields'\) or read_deals"
    ):
        read(PLAIN, preset="hubspot")


def test_strict_raises_on_the_first_finding():
    """With `strict`, a repair is an error with its row."""
    table = PLAIN | {"amount": ["5", "-1", "-2"]}
    with pytest.raises(
        ValidationError, match=r"amount: amount-negative in 2 rows \(first: row 1, '-1.0'\)"
    ) as caught:
        read(table, strict=True)
    assert (1, 2) == caught.value.rows
    assert 3 == len(read(PLAIN, strict=True))
