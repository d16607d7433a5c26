"""Columns of amounts: thousands separators, decimal commas, currency signs and parentheses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from funnel.errors import ReadError
from funnel.io._arrow import Arrow, arrow, encode, is_text, mask, numbers, one_of, parsed
from funnel.io._texts import BLANKS, Texts, from_names
from funnel.tables import Findings

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray

Decimal = Literal[".", ","]
"""What stands before the cents."""

SIGNS: dict[str, tuple[str, ...]] = {
    "$": ("USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP"),
    "US$": ("USD",),
    "CA$": ("CAD",),
    "A$": ("AUD",),
    "AU$": ("AUD",),
    "NZ$": ("NZD",),
    "HK$": ("HKD",),
    "NT$": ("TWD",),
    "S$": ("SGD",),
    "R$": ("BRL",),
    "€": ("EUR",),
    "£": ("GBP",),
    "¥": ("CNY", "JPY"),
    "CN¥": ("CNY",),
    "JP¥": ("JPY",),
    "RMB": ("CNY",),
    "元": ("CNY",),
    "円": ("JPY",),
    "₹": ("INR",),
    "₩": ("KRW",),
    "₽": ("RUB",),
    "zł": ("PLN",),
    "Fr.": ("CHF",),
}
"""Currency signs, and the currencies that are written with them, the most usual one first."""

_CURRENCY = (
    "(?:"
    + "|".join(sorted((s.replace("$", r"\$").replace(".", r"\.") for s in SIGNS), key=len)[::-1])
    + "|[A-Z]{3})"
)
_AMOUNT = (
    rf"^(?P<open>\()? ?(?P<sign>[-+])? ?(?P<before>{_CURRENCY})? ?(?P<inner>[-+])?"
    r"(?P<number>[0-9](?:[0-9., '’]*[0-9.,])?|[.,][0-9]+)(?P<exponent>[eE][-+]?[0-9]{1,3})?"
    rf" ?(?P<after>{_CURRENCY})? ?(?P<trailing>-)?(?P<close>\))?$"
)
_POINT = r"^(?:[0-9]+|[0-9]{1,3}(?:[, '’][0-9]{2,3})*[, '’][0-9]{3})(?:\.[0-9]*)?$|^\.[0-9]+$"
_COMMA = r"^(?:[0-9]+|[0-9]{1,3}(?:[. '’][0-9]{2,3})*[. '’][0-9]{3})(?:,[0-9]*)?$|^,[0-9]+$"
_THREE = r"^[-+]?[0-9]{1,3}\.[0-9]{3}$"  # one thousand and something, or three decimals


class Amounts(NamedTuple):
    """Amounts in major units, NaN unknown, and the currency sign that each was written with."""

    values: FloatArray
    signs: Texts | None


def read_amounts(
    column: Arrow, header: str, *, name: str, decimal: Decimal | None
) -> tuple[Amounts, Findings]:
    """Read a column of amounts; what is no number becomes unknown and is reported."""
    pa = arrow()
    kind = column.type
    if pa.types.is_null(kind):
        return Amounts(np.full(len(column), np.nan), None), Findings.empty()
    if is_text(kind):
        return _read_texts(column, header, name, decimal)
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        msg = f"column {header!r} must hold numbers for {name}, and holds {kind}."
        raise ReadError(msg)
    return Amounts(numbers(column.cast(pa.float64()), np.nan), None), Findings.empty()


def _read_texts(
    texts: Arrow, header: str, name: str, decimal: Decimal | None
) -> tuple[Amounts, Findings]:
    """Read amounts from texts; a column of plain numbers takes a short way."""
    pa = arrow()
    texts = pa.compute.if_else(pa.compute.equal(texts, ""), None, texts)
    if decimal != ",":
        found = parsed(texts, pa.float64())
        if found is not None:
            if decimal is None:
                _demand_point(texts, header)
            return Amounts(numbers(found, np.nan), None), Findings.empty()
    codes, distinct = encode(texts)
    amounts, bad = _read_distinct(distinct, header, decimal)
    rows = np.flatnonzero(np.append(bad, False)[codes])
    # A column that is mostly filled, and never with a number, is another column.
    if 2 * len(rows) > len(texts) and bool(np.isnan(amounts.values).all()):
        msg = (
            f"column {header!r} holds no numbers, so it cannot be {name} "
            f"(first: {texts[int(rows[0])].as_py()!r:.60}, row {rows[0]})."
        )
        raise ReadError(msg)
    findings = Findings.empty()
    if len(rows):
        spelt = texts.take(pa.array(rows)).to_pylist()
        findings = findings.add(name, f"{name}-unreadable", "set to unknown", rows, spelt)
    signs = None if amounts.signs is None else amounts.signs.take(codes)
    return Amounts(np.append(amounts.values, np.nan)[codes], signs), findings


def _read_distinct(texts: Arrow, header: str, decimal: Decimal | None) -> tuple[Amounts, BoolArray]:
    """Read distinct texts, and mark those that are no amounts."""
    compute = arrow().compute
    texts = compute.utf8_normalize(texts, form="NFKC")
    texts = compute.utf8_trim_whitespace(compute.replace_substring(texts, "−", "-"))
    bad = ~one_of(compute.utf8_lower(texts), ("", *BLANKS))
    infinite = mask(compute.match_substring_regex(texts, r"^[-+]?(?i:inf|infinity|∞)$"))
    parts = compute.extract_regex(texts, pattern=_AMOUNT)
    fits = np.flatnonzero(mask(parts.is_valid()))
    numeric, right, signs = _from_parts(parts.drop_null(), header, decimal)
    values = np.full(len(texts), np.nan)
    values[infinite] = np.where(mask(compute.starts_with(texts, "-")), -np.inf, np.inf)[infinite]
    values[fits] = numeric
    bad[infinite] = False
    bad[fits[right]] = False
    codes = np.full(len(texts), -1, dtype=np.int32)
    codes[fits] = np.where(right, signs.codes, -1)
    return Amounts(values, signs._replace(codes=codes) if (codes >= 0).any() else None), bad


def _from_parts(
    parts: Arrow, header: str, decimal: Decimal | None
) -> tuple[FloatArray, BoolArray, Texts]:
    """Turn the groups of the pattern into numbers, and say which are right; NaN where not."""
    pa = arrow()
    compute = pa.compute
    part = {field.name: compute.struct_field(parts, field.name) for field in parts.type}
    given = {name: mask(compute.not_equal(text, "")) for name, text in part.items()}
    digits = part["number"]
    point = mask(compute.match_substring_regex(digits, _POINT))
    comma = mask(compute.match_substring_regex(digits, _COMMA))
    if decimal is None:
        decimal = _decide(digits, point, comma, header)
    right = point if decimal == "." else comma
    right &= (given["open"] == given["close"]) & ~(given["before"] & given["after"])
    right &= sum(given[name].astype(int) for name in ("open", "sign", "inner", "trailing")) <= 1
    grouping = "[, '’]" if decimal == "." else "[. '’]"
    text = compute.replace_substring_regex(digits, pattern=grouping, replacement="")
    text = compute.replace_substring(text, pattern=",", replacement=".")
    none = pa.scalar("", digits.type)
    text = compute.binary_join_element_wise(text, part["exponent"], none)
    text = compute.if_else(pa.array(right), text, None)
    minus = [mask(compute.equal(part[name], "-")) for name in ("sign", "inner", "trailing")]
    negative = np.logical_or.reduce([given["open"], *minus])
    values = numbers(text.cast(pa.float64()), np.nan)
    codes, distinct = encode(compute.binary_join_element_wise(part["before"], part["after"], none))
    signs = from_names(codes, distinct.to_pylist())
    return np.where(negative, 0.0 - values, values), right, signs


def _decide(digits: Arrow, point: BoolArray, comma: BoolArray, header: str) -> Decimal:
    """Tell from the values of a column whether point or comma stands before the decimals."""
    compute = arrow().compute

    def example(found: BoolArray) -> str:
        """Return the first of some values."""
        return repr(digits[int(np.flatnonzero(found)[0])].as_py())

    way_out = "Pass decimal='.' or decimal=','."
    only_point, only_comma = point & ~comma, comma & ~point
    either = point & comma
    with_point = either & mask(compute.match_substring(digits, "."))
    with_comma = either & mask(compute.match_substring(digits, ","))
    if only_comma.any() and (only_point.any() or with_comma.any()):
        other = example(only_point if only_point.any() else with_comma)
        msg = (
            f"column {header!r} mixes amounts such as {other} and {example(only_comma)}, "
            f"which do not agree on the decimal sign. {way_out}"
        )
        raise ReadError(msg)
    if with_point.any() and not only_point.any() and not only_comma.any():
        _refuse_three(header, example(with_point))
    return "," if only_comma.any() else "."


def _demand_point(texts: Arrow, header: str) -> None:
    """Demand that a column of plain numbers shows its points to be decimal ones."""
    compute = arrow().compute
    for part in (texts.slice(0, 1_000), texts):  # a clean column shows it in its first rows
        dotted = part.filter(compute.match_substring(part, "."))
        if not mask(compute.match_substring_regex(dotted, _THREE)).all():
            return
    dotted = texts.filter(compute.match_substring(texts, "."))
    if len(dotted):
        _refuse_three(header, repr(dotted[0].as_py()))


def _refuse_three(header: str, example: str) -> None:
    """Raise for a column in which every point is followed by three digits."""
    msg = (
        f"column {header!r} is ambiguous: {example} can be more than a thousand or have three "
        "decimals, and no other value decides it. Pass decimal='.' or decimal=','."
    )
    raise ReadError(msg)
