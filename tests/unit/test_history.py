"""Histories: what is kept, what is visible when, and what is refused."""

import pickle

import numpy as np
import pytest

import funnel as fn
from funnel.errors import (
    CurrencyMismatchError,
    LeakError,
    SchemaMismatchError,
    UnknownColumnError,
    UnknownStageError,
    ValidationError,
)
from funnel.typing import NO_DAY

FUNNEL = fn.Funnel(
    ["Qualify", "Propose", fn.Stage("Hold", on_hold=True), "Negotiate"], lost=("Lost", "Cancelled")
)
ROWS = {
    "id": ["A", "A", "A", "A", "B", "B", "C", "D", "D", "D"],
    "stage": [
        "Qualify",
        "Propose",
        "Propose",
        "Won",
        "Qualify",
        "Lost",
        "Propose",
        "Qualify",
        "Won",
        "Propose",
    ],
    "at": [
        "2026-01-05",
        "2026-01-20",
        "2026-02-01",
        "2026-02-10",
        "2026-01-10",
        "2026-02-20",
        "2026-02-15",
        "2026-01-02",
        "2026-01-30",
        "2026-02-18",
    ],
    "amount": [100.0, 100.0, 120.0, 120.0, 50.0, 50.0, np.nan, 70.0, 70.0, 75.0],
    "expected_close": [
        "2026-02-01",
        "2026-02-01",
        "2026-02-15",
        "2026-02-15",
        "2026-03-01",
        "2026-03-01",
        "NaT",
        "2026-02-01",
        "2026-02-01",
        "2026-03-15",
    ],
    "owner": ["Ann", "Ann", "Bo", "Bo", "Ann", "Ann", "", "Bo", "Bo", "Bo"],
}


def history(**changes):
    """The four deals above, with some arguments replaced."""
    return fn.History.from_columns(**{"funnel": FUNNEL, **ROWS, **changes})


def known(amounts):
    """The amounts that are not unknown."""
    return amounts[~np.isnan(amounts)].tolist()


def test_snapshot_is_the_state_of_the_day():
    """On 31 January: A proposes, B qualifies, C is not there yet, D is won."""
    table = history().snapshot("2026-01-31")
    assert ["A", "B", "D"] == table.ids.tolist()
    assert ["Propose", "Qualify", "Won"] == [FUNNEL.ids[code] for code in table.stage]
    assert [100.0, 50.0, 70.0] == table.amount.tolist()
    assert [11, 21, 1] == table.days_in_stage.tolist()
    assert [NO_DAY, NO_DAY, 20483] == table.closed_on.tolist()  # 2026-01-30
    assert ["Ann", "Ann", "Bo"] == table.to_columns()["owner"].tolist()


def test_snapshot_at_the_end():
    """D was reopened: no closing day, and a new promise; that of A was pushed once."""
    table = history().snapshot()
    assert ["A", "B", "C", "D"] == table.ids.tolist()
    assert [1, 0, 0, 0] == table.pushes.tolist()
    assert [0, 0, 0, 1] == table.reopened.tolist()
    assert NO_DAY == table.closed_on[3]
    assert ["Won", "Qualify", "Propose", "Won"] == [FUNNEL.ids[c] for c in table.furthest_stage]
    assert ["Propose", "Qualify", "", "Won"] == table.to_columns()["previous_stage"].tolist()


def test_what_a_snapshot_derives_is_of_its_day():
    """A goes back to Qualify; B is won, reopened, lost. By hand, at the end of two days."""
    table = fn.History.from_columns(
        funnel=FUNNEL,
        id=["A", "A", "A", "B", "B", "B", "B"],
        stage=["Qualify", "Propose", "Qualify", "Qualify", "Won", "Qualify", "Lost"],
        at=[f"2026-01-{day}" for day in ("05", "10", "20", "06", "12", "15", "30")],
        amount=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
        known={"amount": "final"},
    )
    early, late = table.snapshots(["2026-01-13", "2026-01-25"])
    for one, derived in ((early, [(1, 0), (1, 0)]), (late, [(2, 0), (2, 1)])):
        assert ["2026-01-05", "2026-01-06"] == one.to_columns()["first_seen"].astype(str).tolist()
        assert derived == list(zip(one.visits.tolist(), one.reopened.tolist(), strict=True))
        # The win of B does not last: what is known of it in the end is not known yet.
        assert np.isnan(one.amount).all()
    assert ["Won", "Qualify"] == [FUNNEL.ids[one.stage[1]] for one in (early, late)]
    assert [3, 5] == early.days_in_stage[:1].tolist() + late.days_in_stage[:1].tolist()
    assert ["Qualify", "Propose"] == [FUNNEL.ids[one.previous_stage[0]] for one in (early, late)]


@pytest.mark.parametrize("day", ["2026-01-02", "2026-01-20", "2026-02-10", "2026-02-20"])
def test_until_and_snapshot_agree(day):
    """The last snapshot of the history until a day is the snapshot of that day."""
    full = history()
    assert full.until(day).snapshot().identical_to(full.snapshot(day))


def test_outcomes_are_net_of_reopening():
    """D was won in January and is open again; A is won once, for the amount as it stands."""
    found = fn.outcomes(history())
    assert [1, 2, 0, 0] == found.outcome.tolist()
    assert 120.0 == found.booked(0, 30_000)
    assert 70.0 == fn.outcomes(history().until("2026-01-31")).booked(0, 30_000)
    assert "Outcomes(4 deals: 2 open, 1 won, 1 lost, 0 removed)" == repr(found)


def test_final_values_are_blank_in_the_past():
    """Final amounts are seen at the end, and before it only where the deal is won for good."""
    table = history(known={"amount": "final", "owner": "final"})
    assert [120.0, 50.0, 75.0] == known(table.snapshot().amount)
    past = table.snapshot("2026-02-19")
    assert ["A", "B", "C", "D"] == past.ids.tolist()
    assert 120.0 == past.amount[0]
    assert np.isnan(past.amount[1:]).all()
    assert ["Bo", "", "", ""] == past.to_columns()["owner"].tolist()
    assert np.isnan(table.snapshot("2026-01-31").amount).all()


def test_lost_amounts_of_a_deals_table_never_show():
    """Every lost deal has amount 0 in the end; in an earlier snapshot no zero is visible."""
    table = history(
        amount=[0.0 if s == "Lost" else 9.0 for s in ROWS["stage"]],
        known={"amount": "final"},
        observed_until="2026-03-31",
    )
    assert 0.0 in table.snapshot().amount
    for day in ("2026-01-31", "2026-02-20", "2026-03-30"):
        assert 0.0 not in table.snapshot(day).amount


def test_constant_columns_must_be_constant():
    """Saying 'constant' of a column that changes is refused by name."""
    with pytest.raises(
        ValidationError, match=r"owner is said to be constant .* 2 of 10 rows .*'A'"
    ):
        history(known={"owner": "constant"})
    assert (
        "constant"
        == history(region=["x"] * 10, known={"region": "constant"}).schema.column("region").known
    )


def test_rows_may_come_in_any_order():
    """Sorting is the table's business; ties within a day keep the order given by seq."""
    order = np.array([9, 3, 1, 7, 0, 2, 8, 6, 5, 4])
    mixed = {name: [values[i] for i in order] for name, values in ROWS.items()}
    assert history().identical_to(fn.History.from_columns(funnel=FUNNEL, **mixed))
    two = {"id": ["A", "A"], "stage": ["Won", "Qualify"], "at": ["2026-01-01"] * 2}
    assert "Won" == FUNNEL.ids[fn.History.from_columns(funnel=FUNNEL, **two, seq=[1, 0]).stage[-1]]


def test_arrays_are_owned_and_read_only():
    """A later change of the caller's array changes nothing, and nobody can write."""
    amount = np.array(ROWS["amount"])
    table = history(amount=amount)
    amount[0] = -1.0
    assert 100.0 == table.columns["amount"][0]
    for array in (table.at, table.ids, table.columns["amount"], table.snapshot().amount):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


def test_late_entry():
    """A deal created before its first row has an unknown stage entry, unless it is given."""
    late = history(created=["2025-12-01" if i == "A" else "NaT" for i in ROWS["id"]])
    assert -1 == late.snapshot("2026-01-06").days_in_stage[0]
    known = history(
        created=["2025-12-01" if i == "A" else "NaT" for i in ROWS["id"]],
        stage_entered=["2025-12-20" if i == "A" else "NaT" for i in ROWS["id"]],
    )
    assert 17 == known.snapshot("2026-01-06").days_in_stage[0]  # 20 December to 6 January


def test_a_deal_is_as_old_as_the_first_day_known_of_it():
    """Without a creation day it is that of the stage entry or of the first row."""
    rows = {"id": ["A", "B"], "stage": ["Propose"] * 2, "at": ["2026-01-10"] * 2}
    table = fn.History.from_columns(funnel=FUNNEL, **rows, stage_entered=["2026-01-01", "NaT"])
    assert ["2026-01-01", "2026-01-10"] == table.to_columns()["created"].astype(str).tolist()


def test_days_outside_of_the_window():
    """Nobody can say what was known on a day that was not observed."""
    with pytest.raises(LeakError, match=r"observed until 2026-02-20.*observed_until='2026-02-21'"):
        history().until("2026-02-21")
    with pytest.raises(ValidationError, match="before observed_from"):
        history().snapshot("2026-01-01")
    assert 4 == len(history(observed_until="2026-06-30").snapshot("2026-06-30"))
    with pytest.raises(ValidationError, match=r"3 of 10 rows do not .* Widen the window"):
        history(observed_until="2026-02-14")
    with pytest.raises(ValidationError, match="must not be after observed_until"):
        history(observed_from="2027-01-01")


def test_features_are_numbers_of_the_known_past():
    """A feature sees only history.until(day), and its result is a column."""

    def rows_so_far(known):
        """Count the rows of each deal."""
        return np.bincount(known.deal, minlength=known.n_deals)

    table = history().snapshot("2026-01-31", features=[rows_so_far])
    assert [2.0, 1.0, 2.0] == table.columns["rows_so_far"].tolist()
    with pytest.raises(ValidationError, match="new name and give 3 numbers"):
        history().snapshot("2026-01-31", features=[rows_so_far, rows_so_far])
    with pytest.raises(ValidationError, match="give 4 numbers"):
        history().snapshot(features=[lambda _: np.zeros(1)])


def test_chunks_of_whole_deals_join_to_the_same_table():
    """Any size of chunk, joined in any order, is the table again."""
    table = history()
    for size in (1, 2, 3, 4, 9):
        parts = list(table.chunks(size))
        assert table.identical_to(fn.History.concat(parts[::-1]))
    assert ["B"] == table.select(table.ids == "B").ids.tolist()


def test_chunks_must_share_their_schema_and_window():
    """What differs is named."""
    table = history()
    with pytest.raises(SchemaMismatchError, match="at least one chunk"):
        fn.History.concat([])
    with pytest.raises(SchemaMismatchError, match="4 are in two chunks"):
        fn.History.concat([table, table])
    with pytest.raises(SchemaMismatchError, match="share observed_from"):
        fn.History.concat([table, table.until("2026-02-01")])
    with pytest.raises(SchemaMismatchError, match="funnels differ"):
        fn.History.concat([table, history(funnel=fn.Funnel(["Qualify", "Propose", "Negotiate"]))])
    with pytest.raises(SchemaMismatchError, match="columns differ"):
        fn.History.concat([table, history(region=["x"] * 10)])
    with pytest.raises(SchemaMismatchError, match="column 'owner' has other categories"):
        fn.History.concat([table, history(owner=["Zoe"] * 10)])
    with pytest.raises(SchemaMismatchError, match=r"first: 'Zoe', row 0"):
        history(owner=["Zoe"] * 10, schema=table.schema)
    with pytest.raises(SchemaMismatchError, match="'region' is not in the schema"):
        history(region=["x"] * 10, schema=table.schema)
    with pytest.raises(SchemaMismatchError, match="another funnel"):
        history(schema=table.schema, funnel=fn.Funnel(["Qualify", "Propose", "Negotiate"]))
    assert table.schema.fingerprint() == history(schema=table.schema).schema.fingerprint()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"id": ["A"] * 9}, ValidationError, "stage must have one value per row"),
        ({"amount": [1.0]}, ValidationError, "amount must have one value per row"),
        ({"id": ["A"] * 9 + [""]}, ValidationError, "1 of 10 rows breaks this .first: row 9"),
        ({"id": ["A"] * 9 + [None]}, ValidationError, "1 of 10 rows breaks this .first: row 9"),
        ({"id": [["A"]] * 10}, ValidationError, "one-dimensional"),
        ({"stage": ["Qualify"] * 9 + ["Proposel"]}, UnknownStageError, "Did you mean 'Propose'"),
        ({"at": ["2026-01-01"] * 9 + ["NaT"]}, ValidationError, "at must be a date in every row"),
        (
            {"at": ["2026-01-01"] * 9 + ["2215-01-01"]},
            ValidationError,
            "between 1970-01-01 and 2099",
        ),
        (
            {"amount": [-5.0, *[1.0] * 9]},
            ValidationError,
            "amount must be >= 0; 1 of 10 rows breaks",
        ),
        ({"amount": [np.inf, *[1.0] * 9]}, ValidationError, "finite"),
        ({"amount": ["many"] * 10}, ValidationError, "must be numbers"),
        ({"created": ["2026-05-01"] * 10}, ValidationError, "created must not be after at"),
        ({"created": ["2026-01-01", *["2026-01-02"] * 9]}, ValidationError, "same day in all rows"),
        ({"known": {"region": "final"}}, ValidationError, "must name columns"),
        ({"category": ["maybe"] * 10}, ValidationError, "maybe"),
    ],
)
def test_bad_columns_are_refused_in_one_sentence(changes, error, words):
    """The message says what must hold, how many rows break it, and names the first."""
    with pytest.raises(error, match=words):
        history(**changes)


def test_an_empty_history_needs_a_window():
    """Without rows nobody knows what was observed."""
    none = {"id": [], "stage": [], "at": np.empty(0, dtype="datetime64[D]")}
    with pytest.raises(ValidationError, match="needs observed_from and observed_until"):
        fn.History.from_columns(funnel=FUNNEL, **none)
    table = fn.History.from_columns(
        funnel=FUNNEL, **none, observed_from="2026-01-01", observed_until="2026-02-01"
    )
    assert 0 == len(table.snapshot())
    assert "History(0 deals, 0 rows, 2026-01-01 to 2026-02-01, 0 open, 0 won, 0 lost)" == repr(
        table
    )


def test_tables_show_themselves():
    """One line as text; HTML is escaped."""
    table = history(owner=["<b>Ann</b>"] * 10)
    assert "&lt;b&gt;Ann" in table._repr_html_()
    assert "<b>Ann" not in table._repr_html_()
    assert "&lt;b&gt;Ann" in table.snapshot()._repr_html_()
    assert "4 deals" in fn.outcomes(table)._repr_html_()
    assert "stays" in fn.spells(table)._repr_html_()


def test_currencies_are_never_added_up():
    """Two currencies are an error until they are converted; the originals stay."""
    table = history(currency=["EUR"] * 5 + ["USD"] * 5)
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'USD'"):
        _ = table.snapshot().currency
    assert "EUR" == history(currency="EUR").snapshot().currency
    assert "" == history().snapshot().currency
    converted = table.snapshot().convert({"USD": 0.5}, to="EUR")
    assert "EUR" == converted.currency
    assert [120.0, 25.0, 37.5] == known(converted.amount)
    assert [120.0, 50.0, 75.0] == known(converted.columns["amount_original"])
    assert ["EUR", "USD"] == sorted(set(converted.to_columns()["currency_original"].tolist()))


def test_rates_by_day():
    """The last rate on or before the day counts; a missing or late rate is an error."""
    table = history(currency=["EUR"] * 5 + ["USD"] * 5).snapshot()
    rates = {"USD": {"2026-01-01": 0.5, "2026-02-01": 0.8}}
    assert [40.0, 60.0] == known(table.convert(rates, to="EUR").amount[1:])
    fixed = table.convert(rates, to="EUR", on="2026-01-15")
    assert [25.0, 37.5] == known(fixed.amount[1:])
    with pytest.raises(ValidationError, match="rate for 2 rows in 'USD'"):
        table.convert({"GBP": 1.2}, to="EUR")
    with pytest.raises(ValidationError, match="reach back"):
        table.convert({"USD": {"2026-03-01": 0.5}}, to="EUR")
    with pytest.raises(ValidationError, match="positive"):
        table.convert({"USD": -1.0}, to="EUR")
    with pytest.raises(ValidationError, match="twice"):
        table.convert(rates, to="EUR").convert(rates, to="EUR")
    with pytest.raises(ValidationError, match="3 rows without a currency"):
        history().snapshot().convert(rates, to="EUR")


def test_a_history_is_converted_row_by_row():
    """Each row at its own day's rate; models then learn from one currency."""
    table = history(currency=["EUR"] * 5 + ["USD"] * 5, amount=[10.0] * 10)
    rates = {"USD": {"2026-01-01": 0.5, "2026-02-01": 0.8}}
    found = table.convert(rates, to="EUR")
    assert [10.0] * 5 + [8.0, 8.0, 5.0, 5.0, 8.0] == found.columns["amount"].tolist()
    assert [10.0] * 10 == found.columns["amount_original"].tolist()
    assert "EUR" == found.snapshot().currency
    assert found.until("2026-02-01").snapshot().identical_to(found.snapshot("2026-02-01"))
    last = table.convert(rates, to="EUR", on="as_of").columns["amount"]
    assert [10.0] * 5 + [8.0] * 5 == last.tolist()
    constant = history(currency="USD", amount=[10.0] * 10, known={"amount": "constant"})
    for on, known in (("row", "dated"), ("as_of", "constant")):
        assert known == constant.convert(rates, to="EUR", on=on).schema.column("amount").known


def test_spells_and_their_ends():
    """A: qualify 15 days, propose 21; D came back from won, which is one more stay."""
    stays = fn.spells(history())
    columns = stays.to_columns()
    assert [15, 21, 10, 41, 0, 5, 28, 19, 2] == columns["days"].tolist()
    assert [
        "advanced",
        "won",
        "still there",
        "lost",
        "still there",
        "still there",
        "won",
        "moved back",
    ] == (columns["flow"].tolist()[:8])
    table = stays.flow_table()
    assert (
        np.bincount(stays.stage, minlength=len(FUNNEL.ids)).tolist() == table.sum(axis=1).tolist()
    )


def test_spells_on_hold():
    """Hold is a stay of its own; coming back counts by where it leads."""
    rows = {
        "id": ["A"] * 4 + ["B"] * 3 + ["C"] * 2,
        "stage": [
            "Propose",
            "Hold",
            "Propose",
            "Negotiate",
            "Propose",
            "Hold",
            "Qualify",
            "Hold",
            "Qualify",
        ],
        "at": [
            "2026-01-01",
            "2026-01-05",
            "2026-01-11",
            "2026-01-13",
            "2026-01-01",
            "2026-01-02",
            "2026-01-03",
            "2026-01-01",
            "2026-01-04",
        ],
    }
    stays = fn.spells(fn.History.from_columns(funnel=FUNNEL, **rows))
    assert [
        "on hold",
        "advanced",
        "advanced",
        "still there",
        "on hold",
        "moved back",
        "still there",
        "advanced",
        "still there",
    ] == stays.to_columns()["flow"].tolist()
    assert [0, 0, 4, 0, 0, 0, 0, 0, 0] == stays.age.tolist()
    assert [2] == np.flatnonzero(stays.resumed).tolist()


def test_tables_travel_between_processes():
    """Pickled and back: the same table, still read-only; process pools depend on it."""
    table = history()
    for original in (table, table.snapshot()):
        again = pickle.loads(pickle.dumps(original))
        assert original.identical_to(again)
        assert not again.ids.flags.writeable
        assert not again.columns["amount"].flags.writeable
        with pytest.raises(TypeError):
            again.columns["amount"] = 1


def test_unknown_columns_suggest_the_right_one():
    """A typing error in a column name is answered with the closest one."""
    with pytest.raises(UnknownColumnError, match="Did you mean 'owner'"):
        history().schema.column("ownr")


def test_frames_of_every_library():
    """The same values come back from pandas, polars and pyarrow."""
    pandas = history().to_frame()
    assert (10, 8) == pandas.shape
    assert (
        pandas["amount"].tolist()[:2]
        == history().to_frame(backend="polars")["amount"].to_list()[:2]
    )
    assert 4 == history().snapshot().to_frame(backend="pyarrow").num_rows
    assert 4 == len(fn.outcomes(history()).to_frame())
    assert 9 == len(fn.spells(history()).to_frame())
