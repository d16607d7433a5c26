"""A draft of the funnel from the stages that occur."""

from __future__ import annotations

import pyarrow as pa
import pytest

import funnel as fn
from funnel.errors import ReadError, UnknownColumnError, ValidationError


def suggest(*rows, names="id stage at", **options):
    """Draft from rows of texts."""
    names = names.split()
    table = pa.table({name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)})
    return fn.io.suggest_funnel(table, **{name: name for name in names}, **options)


def test_stages_in_the_order_in_which_deals_enter_them():
    """The order is that of the mean rank of first entry, counted by hand below."""
    funnel = suggest(
        ("A", "Propose", "2026-01-20"),
        ("A", "Qualify", "2026-01-05"),
        ("A", "Qualify", "2026-01-25"),  # a return: not a first entry
        ("A", "Negotiate", "2026-02-05"),
        ("B", "Qualify", "2026-01-05"),
        ("B", "Negotiate", "2026-01-06"),
        ("B", "Closed-Won", "2026-01-07"),
        ("C", "Propose", "2026-01-05"),
        ("C", "Negotiate", "2026-01-06"),
        ("C", "Declined", "2026-01-07"),
        ("", "Nowhere", "2026-01-07"),
        ("D", "", "2026-01-07"),
    )
    # Qualify 0, 0; Propose 1, 0; Negotiate 2, 1, 1.
    assert ("Qualify", "Propose", "Negotiate") == funnel.ids[:3]
    assert "Closed-Won" == funnel.won.id
    assert ["Declined"] == [stage.id for stage in funnel.lost]


def test_stages_that_no_deal_enters_come_last():
    """A stage only in rows that cannot be placed is kept, at the end."""
    funnel = suggest(("", "Nowhere", "2026-01-07"), ("A", "Qualify", "2026-01-05"))
    assert ("Qualify", "Nowhere") == funnel.ids[:2]


def test_outcomes_by_their_names():
    """Names of outcomes are known in English and Chinese; spellings of one stage are one."""
    funnel = suggest(
        ("1", "意向", "2026-01-05"),
        ("1", "赢单", "2026-01-06"),
        ("2", "成交", "2026-01-06"),
        ("3", "丢单", "2026-01-06"),
        ("4", "cancelled", "2026-01-06"),
        ("5", "Cancelled", "2026-01-07"),
        ("6", "已移除", "2026-01-07"),
    )
    # 成交 is the first stage of its deal, 赢单 the second one of its own.
    assert (("意向",), "成交", ("赢单",)) == (funnel.ids[:1], funnel.won.id, funnel.won.aliases)
    assert ["丢单", "cancelled"] == [stage.id for stage in funnel.lost]
    assert "已移除" == funnel.removed.id


def test_outcomes_that_do_not_occur():
    """Without outcomes the usual ones stand for them."""
    assert ("Qualify", "Won", "Lost", "Removed") == suggest(("A", "Qualify", "2026-01-05")).ids


def test_the_draft_reads_what_it_was_made_from(tmp_path):
    """A file is read with its own draft without an unknown stage."""
    path = tmp_path / "changes.csv"
    path.write_text("id,stage,at\nA,Qualify,2026-01-05 10:00\nA,closed_won,2026-01-05 11:00\n")
    mapped = {"id": "id", "stage": "stage", "at": "at"}
    history = fn.io.read_history(path, funnel=fn.io.suggest_funnel(path, **mapped), **mapped)
    assert 2 == len(history)


def test_a_log_of_fields():
    """Only changes of the stage count, by the mapping of a preset or the user's."""
    rows = (
        ("1", "2026-01-05T10:00:00Z", "StageName", None, "Qualify"),
        ("1", "2026-01-06T10:00:00Z", "Owner", "Ann", "Bo"),
        ("1", "2026-01-06T11:00:00Z", "StageName", "Qualify", "Propose"),
        ("1", "2026-01-07T10:00:00Z", "Phase", "Propose", "Won"),
    )
    table = pa.table(
        {
            name: pa.array([row[i] for row in rows])
            for i, name in enumerate(
                ["OpportunityId", "CreatedDate", "Field", "OldValue", "NewValue"]
            )
        }
    )
    funnel = fn.io.suggest_funnel(table, layout="fields", preset="salesforce")
    assert ("Qualify", "Propose") == funnel.ids[:2]
    mapped = {"id": "OpportunityId", "at": "CreatedDate", "field": "Field", "new": "NewValue"}
    own = fn.io.suggest_funnel(
        table, layout="fields", fields={"Phase": "stage", "Owner": "stage"}, **mapped
    )
    assert ("Bo", "Won") == own.ids[:2]


def test_a_table_of_deals():
    """Such a table tells no order: stages stand as they first occur."""
    funnel = suggest(("Won",), ("Propose",), ("Qualify",), names="stage", layout="deals")
    assert ("Propose", "Qualify", "Won") == funnel.ids[:3]


def test_nothing_to_draft_from():
    """Without an open stage there is no funnel."""
    with pytest.raises(ReadError, match=r"must have an open stage.*'Won', 'Lost'"):
        suggest(("A", "Won", "2026-01-05"), ("B", "Lost", "2026-01-06"))
    with pytest.raises(ReadError, match="stages found: none at all"):
        suggest(("A", "", "2026-01-05"))


def test_arguments_are_checked():
    """The layout is one of three, and its columns must be named."""
    with pytest.raises(ValidationError, match="'states', 'fields' or 'deals', got 'rows'"):
        suggest(("A", "Won", "2026-01-05"), layout="rows")
    with pytest.raises(ValidationError, match="field= must name a column for suggest_funnel"):
        suggest(("A", "Won", "2026-01-05"), layout="fields")
    with pytest.raises(UnknownColumnError):
        fn.io.suggest_funnel(pa.table({"a": ["x"]}), layout="deals", stage="stage")
