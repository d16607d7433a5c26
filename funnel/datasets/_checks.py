"""Converters and validators of the numbers that describe a simulated world."""

from __future__ import annotations

import datetime as dt
import math
import numbers
from typing import Any

import attrs

from funnel.errors import ValidationError

Field = attrs.Attribute


def plain(value: Any) -> Any:  # noqa: ANN401 - what is no number is left to the validator
    """Turn lists, also nested ones, into tuples, and numbers into those of Python."""
    if isinstance(value, list | tuple):
        return tuple(plain(item) for item in value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def date(value: Any) -> Any:  # noqa: ANN401 - what is no date is left to the validator
    """Read a stored date."""
    if not isinstance(value, str):
        return value
    try:
        return dt.date.fromisoformat(value)
    except ValueError:
        return value


def _demand(field: Field[Any], values: object, low: float, high: float, rule: str) -> None:
    """Demand a tuple of finite numbers from `low` to `high`."""
    for item in values if isinstance(values, tuple) else (values,):
        number = item if isinstance(item, int | float) and not isinstance(item, bool) else math.nan
        if not (low <= number <= high and math.isfinite(number)):
            raise ValidationError.from_value(field.name, rule, item, "")


def _listed(field: Field[Any], value: object, what: str) -> None:
    """Demand a list."""
    if not isinstance(value, tuple):
        raise ValidationError.from_value(field.name, f"must be a list of {what}", value, "")


def rate(instance: object, field: Field[Any], value: object) -> None:
    """Demand a rate."""
    del instance
    _demand(field, (value,), 0.0, math.inf, "must be a finite number >= 0")


def share(instance: object, field: Field[Any], value: object) -> None:
    """Demand a share."""
    del instance
    _demand(field, (value,), 0.0, 1.0, "must be a share from 0 to 1")


def positive(instance: object, field: Field[Any], value: object) -> None:
    """Demand a number above zero."""
    del instance
    _demand(field, (value,), math.ulp(0.0), math.inf, "must be a finite number > 0")


def growth(instance: object, field: Field[Any], value: object) -> None:
    """Demand a change that leaves something."""
    del instance
    _demand(field, (value,), -0.99, math.inf, "must be a finite number >= -0.99")


def days(instance: object, field: Field[Any], value: object) -> None:
    """Demand a whole number of days."""
    del instance
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValidationError.from_value(field.name, "must be a whole number >= 0", value, "")


def rates(instance: object, field: Field[Any], value: object) -> None:
    """Demand a list of lists of rates."""
    del instance
    _listed(field, value, "rows, one for each stage")
    for row in value if isinstance(value, tuple) else ():
        _listed(field, row, "rows, one for each stage")
        _demand(field, row, 0.0, math.inf, "must hold finite numbers >= 0")


def multipliers(instance: object, field: Field[Any], value: object) -> None:
    """Demand a list of numbers above zero."""
    del instance
    _listed(field, value, "multipliers")
    _demand(field, value, math.ulp(0.0), math.inf, "must hold finite numbers > 0")


def months(instance: object, field: Field[Any], value: object) -> None:
    """Demand a multiplier for each month."""
    multipliers(instance, field, value)
    if len(value) != 12:  # type: ignore[arg-type]
        rule = "must be twelve multipliers"
        raise ValidationError.from_value(field.name, rule, value, "Give January first.")


def shares(instance: object, field: Field[Any], value: object) -> None:
    """Demand shares that add up to one."""
    del instance
    _listed(field, value, "shares")
    _demand(field, value, 0.0, 1.0, "must hold shares from 0 to 1")
    if not math.isclose(math.fsum(value), 1.0, abs_tol=1e-9):  # type: ignore[arg-type]
        raise ValidationError.from_value(field.name, "must add up to 1", value, "")


def rising(instance: object, field: Field[Any], value: object) -> None:
    """Demand positive numbers, each larger than the one before."""
    multipliers(instance, field, value)
    if sorted(set(value)) != list(value):  # type: ignore[call-overload]
        raise ValidationError.from_value(field.name, "must rise", value, "")


def rising_days(instance: object, field: Field[Any], value: object) -> None:
    """Demand rising whole numbers of days."""
    rising(instance, field, value)
    for item in value:  # type: ignore[attr-defined]
        days(instance, field, item)


def text(instance: object, field: Field[Any], value: object) -> None:
    """Demand a non-empty text."""
    del instance
    if not isinstance(value, str) or not value.strip():
        raise ValidationError.from_value(field.name, "must be a non-empty text", value, "")


def optional_date(instance: object, field: Field[Any], value: object) -> None:
    """Demand a date or None."""
    del instance
    if value is not None and (not isinstance(value, dt.date) or isinstance(value, dt.datetime)):
        raise ValidationError.from_value(field.name, "must be a date or None", value, "")
