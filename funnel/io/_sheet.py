"""From the arguments of a reader to the parsed columns that all layouts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import UnknownColumnError, ValidationError
from funnel.io._amounts import read_amounts
from funnel.io._columns import FRAME, Sheet, attribute_columns, pick
from funnel.io._texts import Texts
from funnel.io._values import (
    Style,
    Values,
    read_days,
    read_money,
    read_values,
    settle_currency,
)
from funnel.tables import Findings
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.io._source import Source
    from funnel.io.presets import Preset
    from funnel.tables import Schema
    from funnel.tables.schema import Kind
    from funnel.typing import DayArray, FloatArray


def wishes(
    source: Source,
    given: Mapping[str, str | None],
    attributes: Sequence[str] | Mapping[str, str],
    preset: Preset,
    *,
    needed: Sequence[str],
    reader: str,
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the headers that arguments name, and those that a preset offers, by our names.

    Those `needed` are demanded.
    """
    wanted = {name: header for name, header in given.items() if header is not None}
    named = attribute_columns(attributes)
    offered = {**preset.columns, **preset.attributes}
    taken = {*wanted, *named}
    for name in needed:
        if name not in taken and name not in offered:
            raise ValidationError.from_value(
                f"{name}=", f"must name a column for {reader}", None, "Or name a preset=."
            )
        if name not in taken and not set(offered[name]) & set(source.columns):
            raise UnknownColumnError(offered[name][0], [name for name in source.columns if name])
    left = {name: headers for name, headers in offered.items() if name not in taken}
    return {**wanted, **named}, left


def choose(
    source: Source,
    given: Mapping[str, str | None],
    attributes: Sequence[str] | Mapping[str, str],
    preset: Preset,
    *,
    needed: Sequence[str],
    reader: str,
) -> Sheet:
    """Fetch the columns that the arguments or the preset name, and demand those `needed`."""
    return pick(source, *wishes(source, given, attributes, preset, needed=needed, reader=reader))


def all_kinds(kinds: Mapping[str, Kind] | None, schema: Schema | None) -> dict[str, Kind]:
    """Return the kinds that the schema or the user fixes."""
    fixed = {} if schema is None else {column.name: column.kind for column in schema.columns}
    for name, kind in (kinds or {}).items():
        if kind not in {"number", "category", "date"}:
            raise ValidationError.from_value(
                "kinds", "must be 'number', 'category' or 'date'", kind, f"It is for {name!r}."
            )
    return {**fixed, **(kinds or {})}


def optional_days(sheet: Sheet, name: str, style: Style) -> tuple[DayArray, Findings]:
    """Read a column of dates, or none at all."""
    if name not in sheet:
        return np.full(sheet.length, NO_DAY, dtype=np.int32), Findings.empty()
    moments, findings = read_days(*sheet.column(name), name=name, style=style)
    return moments.day, findings


def read_seq(sheet: Sheet) -> tuple[FloatArray | None, Findings]:
    """Read the order of changes of one moment, where it is given."""
    if "seq" not in sheet:
        return None, Findings.empty()
    found, findings = read_amounts(*sheet.column("seq"), name="seq", decimal=".")
    return found.values, findings


def state_values(
    sheet: Sheet, style: Style, currency_code: str | None
) -> tuple[dict[str, Values], Findings]:
    """Read every column that is part of the state of a deal."""
    values: dict[str, Values] = {}
    findings, signs, currency = Findings.empty(), None, None
    for name in sheet.columns:
        if name in FRAME:
            continue
        if name == "amount":
            found, odd = read_money(*sheet.column(name), name=name, style=style)
            values[name], signs = found.values, found.signs
        else:
            read, odd = read_values(*sheet.coded(name), name=name, style=style)
            if name == "currency" and isinstance(read, Texts):
                currency = read
            else:
                values[name] = read
        findings += odd
    settled, odd = settle_currency(currency, currency_code, signs, sheet.length)
    if settled is not None:
        values["currency"] = settled
    return values, findings + odd
