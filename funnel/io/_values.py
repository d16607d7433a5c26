"""One column of a source as values of a table: parsed, checked by the rules, repaired.

Numbers are float64 (NaN unknown), dates int32 days (`NO_DAY` unknown), and names `Texts`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import attrs
import numpy as np

from funnel.errors import ReadError, ValidationError
from funnel.io._amounts import SIGNS, Amounts, Decimal, read_amounts
from funnel.io._arrow import Arrow, arrow, spelt
from funnel.io._dates import Clock, Moments, read_moments
from funnel.io._texts import Texts, from_names, named, read_texts
from funnel.rules import violations
from funnel.stages import ForecastCategory
from funnel.tables import Findings
from funnel.typing import NO_DAY, DayArray, FloatArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.tables.schema import Kind
    from funnel.typing import IntArray

Values = FloatArray | DayArray | Texts
"""What a column of a table can hold."""

UNKNOWN = "set to unknown"
LEFT_OUT = "row left out"

_CORE: Mapping[str, Kind] = {"amount": "number", "currency": "category", "expected_close": "date"}
_RULED = {"closed": "closed_on", "booked_amount": "amount"}
"""Columns that are checked by the rules of another."""

_CATEGORIES = {"forecast": "commit", "closed": "", "won": "", "lost": ""}
"""What a CRM calls a category that is another of ours, or the state of a closed deal."""


@attrs.frozen
class Style:
    """How the values of a source are written.

    Parameters
    ----------
    clock : Clock
        Time zones and order of day and month.
    decimal : {".", ","} or None
        What stands before the decimals of amounts; None leaves it to the column.
    kinds : mapping of str to str
        What an attribute holds, where its type does not say so.
    """

    clock: Clock
    decimal: Decimal | None = attrs.field(
        default=None, validator=attrs.validators.in_((None, ".", ","))
    )
    kinds: Mapping[str, Kind] = attrs.field(factory=dict)

    def kind(self, name: str, column: Arrow) -> Kind:
        """Return what a column holds: by its meaning, as the user says, or by its type."""
        types = arrow().types
        given = _CORE.get(name) or self.kinds.get(name)
        if given is not None:
            return given
        if types.is_integer(column.type) or types.is_floating(column.type):
            return "number"
        if types.is_decimal(column.type):
            return "number"
        return "date" if types.is_temporal(column.type) else "category"


def kind_of(values: Values) -> Kind:
    """Return the kind of values that were read."""
    if isinstance(values, Texts):
        return "category"
    return "number" if values.dtype.kind == "f" else "date"


def take(values: Values, rows: IntArray) -> Values:
    """Return some rows; -1 gives what is not known."""
    if isinstance(values, Texts):
        return values.take(rows)
    if len(values) and rows.min(initial=0) >= 0:
        return cast("Values", values[rows])
    missing = np.nan if values.dtype.kind == "f" else NO_DAY
    found: Any = np.append(values, values.dtype.type(missing))[rows]
    return cast("Values", found)


def joined(first: Values, second: Values) -> Values:
    """Return the rows of two columns of one kind, one after the other."""
    if isinstance(first, Texts) and isinstance(second, Texts):
        codes = np.where(second.codes >= 0, second.codes + len(first.names), -1)
        both = np.concatenate((first.codes, codes)).astype(np.int32)
        return from_names(both, (*first.names, *second.names))
    return np.concatenate((first, second))  # type: ignore[arg-type] # both are arrays


def moved(findings: Findings, rows: IntArray) -> Findings:
    """Return findings about part of a source with the rows that they have in all of it."""
    places = np.append(rows, -1)  # what is said of the whole table stays so
    groups = (attrs.evolve(group, rows=places[group.rows]) for group in findings.groups)
    return Findings(tuple(groups))


def checked(
    name: str, values: np.ndarray[Any, Any], action: str
) -> tuple[np.ndarray[Any, Any], Findings]:
    """Blank what breaks a rule of `funnel.rules` about one column, and report it."""
    findings = Findings.empty()
    for rule, rows in violations({_RULED.get(name, name): values}):
        spelt = values[rows] if values.dtype.kind == "f" else values[rows].astype("datetime64[D]")
        findings = findings.add(name, rule.name, action, rows, spelt)
        values = values.copy()
        values[rows] = np.nan if values.dtype.kind == "f" else NO_DAY
    return values, findings


def read_days(
    column: Arrow, header: str, *, name: str, style: Style, action: str = UNKNOWN
) -> tuple[Moments, Findings]:
    """Read a column of dates; what is none or implausible has no day."""
    moments, findings = read_moments(column, header, name=name, clock=style.clock, action=action)
    days, broken = checked(name, moments.day, action)
    return moments._replace(day=days), findings + broken


def read_money(column: Arrow, header: str, *, name: str, style: Style) -> tuple[Amounts, Findings]:
    """Read a column of amounts; what is none, negative or infinite is unknown."""
    found, findings = read_amounts(column, header, name=name, decimal=style.decimal)
    values, broken = checked(name, found.values, UNKNOWN)
    return found._replace(values=values), findings + broken


def read_values(column: Arrow, header: str, *, name: str, style: Style) -> tuple[Values, Findings]:
    """Read a column of any kind but amounts of money."""
    kind = style.kind(name, column)
    column = column if kind == "category" else spelt(column)
    if kind == "date":
        moments, findings = read_days(column, header, name=name, style=style)
        return moments.day, findings
    if kind == "number":
        found, findings = read_amounts(column, header, name=name, decimal=style.decimal)
        return found.values, findings
    texts, findings = read_texts(column, header, name=name)
    if name == "category":
        texts, odd = _categories(texts)
        findings += odd
    return texts, findings


def _categories(texts: Texts) -> tuple[Texts, Findings]:
    """Bring forecast categories to the names that they have here."""
    findings = Findings.empty()
    names = []
    for code, name in enumerate(texts.names):
        known = _CATEGORIES.get(name.casefold(), name)
        try:
            names.append(ForecastCategory.parse(known).value if known else "")
        except ValidationError:
            rows = np.flatnonzero(texts.codes == code)
            spelt = [name] * len(rows)
            findings = findings.add("category", "category-unknown", UNKNOWN, rows, spelt)
            names.append("")
    return from_names(texts.codes, names), findings


def settle_currency(
    column: Texts | None, code: str | None, signs: Texts | None, length: int
) -> tuple[Texts | None, Findings]:
    """Return the currency of each row from the column or code given, else from currency signs."""
    findings = Findings.empty()
    if code is not None:
        _demand_code(code, column)
        column = named(np.zeros(length, dtype=np.int32), (code,))
    elif column is not None:
        column, findings = _spelt(column)
    if signs is None:
        return column, findings
    if column is None:
        names = [SIGNS.get(sign, (sign,))[0] for sign in signs.names]
        for sign, name in zip(signs.names, names, strict=True):
            if len(SIGNS.get(sign, ())) > 1:
                action = f"read as {name}; pass currency_code= to say otherwise"
                findings = findings.add("amount", "currency-sign", action, [-1], [sign])
        return from_names(signs.codes, names), findings
    allowed = np.zeros((len(signs.names) + 1, len(column.names) + 1), dtype=np.bool_)
    allowed[-1] = True  # no sign
    for row, sign in enumerate(signs.names):
        allowed[row, :-1] = [name in SIGNS.get(sign, (sign,)) for name in column.names]
    rows = np.flatnonzero(~allowed[signs.codes, column.codes])
    given = "currency_code" if code is not None else "the currency column"
    spelt = signs.values()[rows]
    return column, findings.add("amount", "currency-conflict", f"{given} counts", rows, spelt)


def _demand_code(code: str, column: Texts | None) -> None:
    """Demand one well-formed currency."""
    if column is not None:
        msg = "the currency must be given once: by a column, currency=, or for all, currency_code=."
        raise ReadError(msg)
    if not re.fullmatch("[A-Z]{3}", str(code)):
        raise ValidationError.from_value(
            "currency_code", "must be three capital letters such as 'EUR'", code, ""
        )


def _spelt(column: Texts) -> tuple[Texts, Findings]:
    """Write currencies by their codes where they are written otherwise."""
    findings = Findings.empty()
    names = []
    for code, name in enumerate(column.names):
        upper = name.upper()
        known = SIGNS[upper][0] if upper in SIGNS else SIGNS.get(name, (upper,))[0]
        right = known if re.fullmatch("[A-Z]{3}", known) else name
        names.append(right)
        if right != name:
            rows = np.flatnonzero(column.codes == code)
            findings = findings.add(
                "currency", "currency-spelling", f"read as {right}", rows, [name] * len(rows)
            )
    return from_names(column.codes, names), findings
