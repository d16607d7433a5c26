"""Amounts in every spelling: separators, signs of currencies, parentheses, and what is refused."""

from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa
import pytest

from funnel.errors import ReadError, ValidationError
from funnel.io._amounts import read_amounts
from funnel.io._arrow import plain
from funnel.io._texts import named
from funnel.io._values import settle_currency


def read(values, sign=None, kind=None):
    """Read a column called Price."""
    column = plain(pa.chunked_array([pa.array(values, kind)]), "Price")
    return read_amounts(column, "Price", name="amount", decimal=sign)


def amounts(values, sign=None, kind=None):
    """Return the amounts of a column without findings."""
    found, findings = read(values, sign, kind)
    assert not findings
    return found.values.tolist()


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234.5", 1234.5),
        ("1,234.5", 1234.5),
        ("1,234,567", 1234567),
        ("12,34,567.5", 1234567.5),  # Indian grouping
        ("1 234.5", 1234.5),
        ("1\u00a0234.5", 1234.5),  # a blank that does not break
        ("1'234.5", 1234.5),
        ("$1,234.50", 1234.5),
        ("€ 6", 6),
        ("7 USD", 7),
        ("USD7", 7),
        ("-$4", -4),
        ("$-4", -4),
        ("4-", -4),
        ("−4", -4),  # the mathematical minus
        ("(300)", -300),
        ("($300)", -300),
        ("(0)", 0),
        ("1.5e3", 1500),
        ("1,000E2", 100000),
        ("１２３", 123),  # full width
        ("￥2,000", 2000),
        (".5", 0.5),
        ("5.", 5),
        ("+5", 5),
    ],
)
def test_spellings(text, expected):
    """Each spelling reads as the number beside it, in the sense of `decimal='.'`."""
    assert [expected] == amounts([text], ".")
    # A second value keeps the column from the short way for plain numbers.
    assert [expected, 1000] == amounts([text, "1,000"], ".")


@pytest.mark.parametrize(
    "text", ["1.234,56", "1234,56", "12,5", "1.234.567,8", "1 234,56", "1.234.567", ",5"]
)
def test_decimal_commas_are_found(text):
    """Only a decimal comma makes sense of these; with `decimal='.'` they are findings."""
    plain_text = text.replace(".", "").replace(" ", "").replace(",", ".")
    assert [float(plain_text)] == amounts([text])
    found, findings = read([text, "3"], ".")
    assert np.isnan(found.values[0])
    assert [(0, "amount-unreadable", text, "set to unknown")] == [f[:1] + f[2:] for f in findings]


@pytest.mark.parametrize("values", [["1.234"], ["1.234", "5.678", "7", "12,345"]])
def test_ambiguous_points_are_refused(values):
    """1.234 is more than a thousand in Germany; no value with two decimals tells."""
    with pytest.raises(ReadError, match=r"ambiguous: '1.234' .* decimal='.' or decimal=','"):
        read(values)


@pytest.mark.parametrize(("sign", "expected"), [(".", 1.234), (",", 1234.0)])
def test_the_user_decides(sign, expected):
    """What stands before the decimals is what the user says."""
    assert [expected] == amounts(["1.234"], sign)


def test_one_value_is_evidence():
    """A single 0.5 shows the points of the column to be decimal ones."""
    assert [1.234, 0.5] == amounts(["1.234", "0.5"])
    assert [1.0] * 1_500 + [1.234, 12.34] == amounts(["1"] * 1_500 + ["1.234", "12.34"])


@pytest.mark.parametrize(
    "values", [["1,234.56", "1.234,56"], ["1,234", "12,5"], ["1.5", "1,23"]], ids=str
)
def test_contradictory_columns_are_refused(values):
    """Where values need both signs, or a thousands separator may be a decimal comma, ask."""
    with pytest.raises(ReadError, match="do not agree on the decimal sign"):
        read(values)


@pytest.mark.parametrize(
    "text", ["12万", "2k", "1,23", "--5", "5 $ 5", "$5€", "(5", "5)", "1.2.3", "x"]
)
def test_what_is_no_amount(text):
    """What cannot be read is reported and unknown; units are not multiplied out."""
    found, findings = read(["1", text], ".")
    assert [1.0] == found.values[:1].tolist()
    assert np.isnan(found.values[1])
    assert [(1, "amount", "amount-unreadable", text, "set to unknown")] == list(findings)


@pytest.mark.parametrize("blank", ["", "n/a", "NULL", "-", "–", "无", None, "nan"])
def test_blank_is_unknown(blank):
    """Blank and what stands for it is unknown, zero is zero; neither is a finding."""
    values = amounts(["0", blank, "1,000"])
    assert [0.0, 1000.0] == [values[0], values[2]]
    assert np.isnan(values[1])


def test_infinite_amounts_are_numbers_here():
    """Infinity is read, and left to the rules of the table."""
    assert [np.inf, -np.inf, np.inf] == amounts(["inf", "-Infinity", "∞"])
    assert [np.inf, 1000] == amounts(["inf", "1,000"])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], pa.int32()),
        ([1.0, 2.0], pa.float32()),
        ([decimal.Decimal("1.0"), decimal.Decimal("2.0")], pa.decimal128(5, 1)),
    ],
    ids=str,
)
def test_typed_columns(values, kind):
    """Typed numbers are taken as they are; null is unknown."""
    found, _ = read([*values, None], kind=kind)
    assert [1.0, 2.0] == found.values[:2].tolist()
    assert np.isnan(found.values[2])


def test_columns_without_values():
    """A column of nulls is unknown throughout."""
    assert all(np.isnan(amounts([None, None])))


def test_columns_of_something_else():
    """A column without any number was taken for the wrong one."""
    with pytest.raises(ReadError, match="'Price' holds no numbers, so it cannot be amount"):
        read(["Ann", "Bo"])
    with pytest.raises(ReadError, match="must hold numbers for amount, and holds bool"):
        read([True])


# --- currencies ----------------------------------------------------------------------------------


def settle(values, column=None, code=None):
    """Read amounts, settle their currency, and return it by row with the findings."""
    found, _ = read(values, ".")
    given = None
    if column is not None:
        names = tuple(dict.fromkeys(name for name in column if name))
        codes = np.array([names.index(name) if name else -1 for name in column], dtype=np.int32)
        given = named(codes, names)
    currency, findings = settle_currency(given, code, found.signs, len(values))
    rows = None if currency is None else currency.values().tolist()
    return rows, [(f.row, f.column, f.rule, f.value, f.action) for f in findings]


def test_signs_fill_the_currency():
    """Where nothing else tells the currency, the signs of the amounts do."""
    rows, findings = settle(["€5", "7 GBP", "9", "HK$1"])
    assert ["EUR", "GBP", "", "HKD"] == rows
    assert [] == findings


@pytest.mark.parametrize(("sign", "code"), [("$", "USD"), ("¥", "CNY")])
def test_ambiguous_signs_are_reported(sign, code):
    """$ and ¥ are signs of several currencies: the usual one is taken, and said."""
    rows, findings = settle([f"{sign}5", f"{sign}6"])
    assert [code, code] == rows
    action = f"read as {code}; pass currency_code= to say otherwise"
    assert [(-1, "amount", "currency-sign", sign, action)] == findings


def test_the_column_counts():
    """A sign that contradicts the column of currencies is a finding; the column counts."""
    rows, findings = settle(["$5", "$6", "€7", "8"], column=["CAD", "EUR", "EUR", "EUR"])
    assert ["CAD", "EUR", "EUR", "EUR"] == rows
    assert [(1, "amount", "currency-conflict", "$", "the currency column counts")] == findings


def test_one_code_for_all():
    """`currency_code` holds for every row; signs that contradict it are findings."""
    rows, findings = settle(["$5", "€6", "7"], code="AUD")
    assert ["AUD"] * 3 == rows
    assert [(1, "amount", "currency-conflict", "€", "currency_code counts")] == findings


def test_spellings_of_currencies():
    """Codes in small letters and signs are brought to codes; other names stay what they are."""
    rows, findings = settle(["1"] * 5, column=["usd", "€", "RMB", "", "Points"])
    assert ["USD", "EUR", "CNY", "", "Points"] == rows
    assert [(0, "usd"), (1, "€"), (2, "RMB")] == [(row, value) for row, _, _, value, _ in findings]


def test_no_currency_at_all():
    """Amounts without any sign have no currency."""
    assert (None, []) == settle(["1", "2"])


def test_the_currency_is_given_once():
    """A column and a code, or a code that is none, are refused."""
    with pytest.raises(ReadError, match="must be given once"):
        settle(["1"], column=["EUR"], code="EUR")
    with pytest.raises(ValidationError, match="three capital letters such as 'EUR', got 'euro'"):
        settle(["1"], code="euro")
