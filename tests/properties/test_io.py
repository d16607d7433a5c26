"""Laws of reading: what is written is read back, in every layout and library."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import funnel as fn

FUNNEL = fn.Funnel(
    ["Qualify", "Propose", fn.Stage("Waiting", on_hold=True), "Negotiate"], lost=("Lost", "Gone")
)
NAMES = st.text(
    st.characters(categories=("L", "N", "P", "S", "Zs"), include_characters="\n\"',;"),
    min_size=1,
    max_size=8,
).filter(lambda name: name == name.strip() and name.casefold() != "nan")
DAYS = st.integers(20_000, 20_060)
SLOW = settings(max_examples=max(settings.default.max_examples // 5, 10))  # many reads an example


@st.composite
def histories(draw):
    """Any history whose rows all differ: with gaps, jumps, returns, holds and reopenings."""
    rows = draw(st.integers(1, 25))
    ids = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))

    def column(values):
        """Draw one value a row."""
        return draw(st.lists(values, min_size=rows, max_size=rows))

    deals, at = column(st.sampled_from(ids)), column(DAYS)
    first = {
        deal: min(d for name, d in zip(deals, at, strict=True) if name == deal)
        for deal in ids
        if deal in deals
    }
    older = {deal: draw(st.integers(0, 40)) for deal in first}
    amounts = st.one_of(st.just(float("nan")), st.floats(0, 1e12, allow_nan=False))
    return fn.History.from_columns(
        funnel=FUNNEL,
        id=deals,
        stage=column(st.sampled_from(FUNNEL.ids)),
        at=np.array(at, dtype=np.int32),
        created=np.array([first[deal] - older[deal] for deal in deals], dtype=np.int32),
        amount=column(amounts),
        currency=column(st.sampled_from(["EUR", "USD", ""])),
        expected_close=np.array(
            column(st.sampled_from([-(2**31), 20_100, 20_200])), dtype=np.int32
        ),
        owner=column(st.one_of(st.just(""), NAMES)),
        place=np.arange(rows, dtype=np.float64),
        observed_from=np.datetime64(19_900, "D"),
        observed_until=np.datetime64(20_100, "D"),
        timezone="Europe/Berlin",
    )


def table_of(history):
    """Return the rows of a history as a table of pyarrow."""
    columns = {}
    for name, values in history.to_columns().items():
        columns[name] = pa.array(values.tolist() if values.dtype == object else values)
    return pa.table(columns)


def read(source):
    """Read what `table_of` gave."""
    names = ("id", "stage", "at", "amount", "created", "expected_close", "currency")
    return fn.io.read_history(
        source,
        funnel=FUNNEL,
        **{name: name for name in names},
        attributes=("owner", "place"),
        kinds={"owner": "category", "place": "number"},
        decimal=".",
        observed_from="2024-06-26",  # day 19,900
        observed_until="2025-01-12",  # day 20,100
        timezone="Europe/Berlin",
    )


@SLOW
@given(histories())
def test_files_give_back_what_was_written(history):
    """CSV and Parquet hold all that a history knows."""
    table = table_of(history)
    with tempfile.TemporaryDirectory() as folder:
        comma, columnar = Path(folder, "changes.csv"), Path(folder, "changes.parquet")
        pyarrow.csv.write_csv(table, comma)
        pyarrow.parquet.write_table(table, columnar)
        for path in (comma, columnar):
            back = read(path)
            assert not back.findings
            assert history.identical_to(back)


@SLOW
@given(histories())
def test_every_library_gives_the_same_history(history):
    """A dataframe of any library reads as the table that it was made from."""
    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    pytest.importorskip("pandas")
    table = table_of(history)
    for frame in (table, table.to_pandas(), polars.from_arrow(table), duckdb.from_arrow(table)):
        assert history.identical_to(read(frame))


@SLOW
@given(histories(), st.randoms(use_true_random=False))
def test_rows_of_different_days_may_come_in_any_order(history, random):
    """Where no deal changes twice on a day, the order of the rows says nothing."""
    table = table_of(history)
    days, deals = history.to_columns()["at"].tolist(), history.to_columns()["id"].tolist()
    order = {(deal, day): row for row, (deal, day) in enumerate(zip(deals, days, strict=True))}
    rows = list(order.values())
    expected = read(table.take(rows))
    random.shuffle(rows)
    assert expected.identical_to(read(table.take(rows)))


@SLOW
@given(histories())
def test_a_log_of_fields_rebuilds_the_states(history):
    """A log of single fields, made from full states, gives the states back."""
    columns = history.to_columns()
    fields = {"Stage": "stage", "Amount": "amount", "Close": "expected_close", "Owner": "owner"}
    rows = []
    before: dict[str, str] = {}
    for row in range(len(history)):
        new_deal = row == 0 or columns["id"][row] != columns["id"][row - 1]
        for field, name in fields.items():
            value = columns[name][row]
            text = "" if value != value or str(value) == "NaT" else str(value)  # noqa: PLR0124 - NaN
            old = "" if new_deal else before[field]
            if new_deal or field == "Stage" or text != old:
                rows.append((columns["id"][row], f"2024-12-{row + 1:02}", field, old, text))
            before[field] = text
    names = ("id", "at", "field", "old", "new")
    table = pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})
    back = fn.io.read_history(
        table,
        funnel=FUNNEL,
        layout="fields",
        fields=fields,
        decimal=".",
        **{name: name for name in names},
    )
    assert not back.findings
    for name in ("id", *fields.values()):
        expected, found = columns[name], back.to_columns()[name]
        assert expected.astype(str).tolist() == found.astype(str).tolist()
