"""Amounts of several currencies brought into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np

from funnel.calendars import to_date, to_day
from funnel.errors import ValidationError
from funnel.tables.schema import Column, Schema
from funnel.typing import DateLike

if TYPE_CHECKING:
    from funnel.typing import DayArray, FloatArray

__all__ = ["On", "Rates", "convert"]

Rates = Mapping[str, float | Mapping[DateLike, float]]
"""What one unit of each currency is worth: a number, or numbers by the day from which they hold."""

On = Literal["row", "as_of"] | DateLike
"""Whose rate counts: that of each row's day, of the table's last day, or of one given day."""


def _rate(currency: str, rate: float | Mapping[DateLike, float], days: DayArray) -> FloatArray:
    """(m,) -> (m,): the rate that holds on each day."""
    table = rate if isinstance(rate, Mapping) else {"1970-01-01": rate}
    since = np.array(sorted(to_day(day) for day in table), dtype=np.int64)
    by_day = {to_day(day): float(value) for day, value in table.items()}
    values = np.array([by_day[day] for day in since.tolist()])
    if not len(values) or not np.all((values > 0) & np.isfinite(values)):
        raise ValidationError.from_value(
            f"rates[{currency!r}]",
            "must be positive numbers",
            rate,
            "Give units of the target currency.",
        )
    found = np.searchsorted(since, days, side="right") - 1
    early = np.flatnonzero(found < 0)
    if len(early):
        raise ValidationError.from_value(
            f"rates[{currency!r}]",
            f"must reach back to the first day that needs it ({to_date(int(days[early].min()))})",
            str(to_date(int(since[0]))),
            "Add an earlier rate.",
        )
    return values[found]


def convert(
    schema: Schema,
    columns: Mapping[str, np.ndarray[Any, Any]],
    days: DayArray,
    rates: Rates,
    *,
    to: str,
    on: On,
) -> tuple[Schema, dict[str, np.ndarray[Any, Any]]]:
    """Bring amounts into one currency and keep the originals.

    Parameters
    ----------
    schema, columns
        The table.
    days : (n,) int32
        The day of each row, or of the whole table.
    rates : mapping
        Units of `to` for one unit of each other currency; a number, or numbers by first day.
    to : str
        The target currency.
    on : {"row", "as_of"} or date
        ``"row"`` and ``"as_of"`` use `days`; a date fixes one day for all rows.

    Returns
    -------
    schema : Schema
        With the further columns ``amount_original`` and ``currency_original``.
    columns : dict

    Raises
    ------
    ValidationError
        When a currency has no rate, an amount has no currency, or a rate begins too late.

    Notes
    -----
    A converted amount is ``amount * rate[currency](day)`` with the last rate on or before the day.
    """
    if "amount_original" in columns:
        raise ValidationError.from_value(
            "table", "must not be converted twice", to, "Start from the original."
        )
    if on not in {"row", "as_of"}:
        days = np.full(len(days), to_day(on, name="on"), dtype=np.int32)
    names = schema.column("currency").categories
    codes, amount = columns["currency"], columns["amount"]
    converted = amount.copy()
    known_amount = ~np.isnan(amount)
    for code in np.unique(codes[known_amount]).tolist():
        rows = np.flatnonzero((codes == code) & known_amount)
        name = names[code] if code >= 0 else ""
        if name == to:
            continue
        if name not in rates:
            what = (
                f"{len(rows):,} rows in {name!r}"
                if name
                else f"{len(rows):,} rows without a currency"
            )
            raise ValidationError.from_value(
                "rates", f"must have a rate for {what}", sorted(rates), ""
            )
        converted[rows] = amount[rows] * _rate(name, rates[name], days[rows])
    known = schema.column("amount").known
    moves = on == "row" and known == "constant"  # a constant amount at changing rates is none
    new = {
        "currency": attrs.evolve(schema.column("currency"), categories=(to,)),
        "amount": attrs.evolve(schema.column("amount"), known="dated" if moves else known),
    }
    changed = [new.get(column.name, column) for column in schema.columns]
    extra = (
        Column("amount_original", "number", known=known),
        attrs.evolve(schema.column("currency"), name="currency_original"),
    )
    return attrs.evolve(schema, columns=(*changed, *extra)), {
        **columns,
        "amount": converted,
        "currency": np.where(np.isnan(amount) & (codes < 0), -1, 0).astype(np.int32),
        "amount_original": amount,
        "currency_original": codes,
    }
