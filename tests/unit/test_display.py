"""Tables as text and HTML; findings; rules; wording of errors."""

import pickle

import numpy as np
import pytest

from funnel import rules
from funnel._display import html_table, money, percent, text_table
from funnel._frames import to_frame
from funnel.errors import (
    MissingDependencyError,
    UnknownColumnError,
    ValidationError,
    did_you_mean,
)
from funnel.kernels.labels import factorize, texts
from funnel.tables import Findings


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1234567.8, "1,234,568"), (12.5, "12.50"), (12.0, "12"), (0.0, "0"), (float("nan"), "–")],
)
def test_money(value, shown):
    """Whole units from 100 on, cents below, and a dash for unknown."""
    assert shown == money(value)


def test_percent():
    """One decimal, and a dash for unknown."""
    assert ("12.3%", "–") == (percent(0.1234), percent(float("nan")))


def test_text_table_aligns_chinese_and_numbers():
    """A Chinese character takes two columns of a terminal; numbers stand to the right."""
    rows = [["意向", "7"], ["won", "1,200"]]
    found = text_table(["stage", "deals"], rows, title="T", notes=["n"])
    assert ["T", "stage  deals", "-----  -----", "意向       7", "won    1,200", "n"] == (
        found.splitlines()
    )


def test_a_column_of_blanks_is_words():
    """An empty column is aligned as text, and a table may have no rows at all."""
    assert "a  b" == text_table(["a", "b"], [["", ""]]).splitlines()[0]
    assert ["a", "-"] == text_table(["a"], []).splitlines()


def test_html_is_escaped():
    """No text of the data is ever markup."""
    found = html_table(["<h>"], [["<script>"]], title="<t>", notes=["<n>"])
    assert not any(tag in found for tag in ("<h>", "<script>", "<t>", "<n>"))
    assert found.count("&lt;") == 4
    assert "<caption>" not in html_table(["a"], [["1"]])


def test_frames_need_their_library(monkeypatch):
    """A missing library is named with the extra that brings it."""
    with pytest.raises(MissingDependencyError, match=r"cudf is needed .* 'salesfunnel\[frames\]'"):
        to_frame({"a": np.array([1])}, "cudf")
    monkeypatch.setitem(__import__("sys").modules, "narwhals", None)
    with pytest.raises(MissingDependencyError, match="narwhals is needed"):
        to_frame({"a": np.array([1])}, "pandas")


def test_findings_count_show_and_raise():
    """Grouped by rule, tidy row by row, and strict reading raises on the first."""
    none = Findings.empty()
    none.raise_first()
    assert "no findings" == str(none)
    found = none.add("amount", "amount-negative", "set to unknown", [3, 4], ["-5", "-6"])
    found = found + none.add("file", "encoding", "read as GB18030", [-1], ["x"])
    assert (3, 2, 0) == (
        len(found),
        found.count("amount-negative"),
        found.add("a", "b", "c", [], []).count("b"),
    )
    assert "row 3: -5, row 4: -6" in str(found)
    assert "Findings(3 values, 2 rules)" == repr(found)
    assert "&lt;" not in found._repr_html_()
    assert [3, 4, -1] == found.to_frame()["row"].tolist()
    assert [] == none.to_frame()["row"].tolist()
    with pytest.raises(ValidationError, match=r"amount-negative in 2 rows .first: row 3, '-5'"):
        found.raise_first()


def test_rules_yield_every_offender():
    """A rule whose columns are absent is skipped; a missing date breaks nothing."""
    table = {
        "amount": np.array([np.inf, 1.0, -1.0, np.nan]),
        "created": np.array([10, 20, -(2**31), 30]),
        "closed_on": np.array([9, 21, 5, -(2**31)]),
    }
    found = {rule.name: rows.tolist() for rule, rows in rules.violations(table)}
    assert {
        "created-after-closed_on": [0],
        "amount-infinite": [0],
        "amount-negative": [2],
    } == found


def test_did_you_mean():
    """Close names are suggested; without any the known ones are listed, twenty at the most."""
    assert "Did you mean 'Propose'?" == did_you_mean("propse", ["Qualify", "Propose"])
    assert "None are known." == did_you_mean("x", [])
    assert "and 5 more." in did_you_mean("zzzz", [f"stage {i}" for i in range(25)])
    error = UnknownColumnError("ownr", ["owner"])
    assert ("ownr", ("owner",)) == (error.name, error.known)
    assert isinstance(error, LookupError)


def test_errors_travel_between_processes():
    """An error raised in a worker arrives with its message and its facts."""
    error = ValidationError("amount must be >= 0", column="amount", rows=[3], count=7)
    again = pickle.loads(pickle.dumps(error))
    assert (str(error), "amount", (3,), 7) == (str(again), again.column, again.rows, again.count)
    unknown = pickle.loads(pickle.dumps(UnknownColumnError("ownr", ["owner"])))
    assert (("owner",), "ownr") == (unknown.known, unknown.name)


def test_labels():
    """Numbers, None and NaN become texts; codes follow the sorted names."""
    assert ["a", "", "", "3"] == texts(["a", None, float("nan"), 3]).tolist()
    assert [] == texts([]).tolist()
    names, codes = factorize(texts(["b", "a", "b"]))
    assert (["a", "b"], [1, 0, 1]) == (names, codes.tolist())
