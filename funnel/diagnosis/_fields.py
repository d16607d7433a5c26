"""Fields of a standard funnel: how they are stored, and what must hold."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

from funnel.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import attrs

    from funnel.diagnosis.standard import StandardFunnel

__all__ = [
    "as_floats",
    "as_texts",
    "check_conversions",
    "check_days",
    "check_entries",
    "check_stages",
    "check_weekly",
    "is_number",
]

CLOSE = 1e-9
"""How far from 1 the entries into the first stage may be."""


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number."""
    is_real = not isinstance(value, bool) and isinstance(value, numbers.Real)
    return is_real and math.isfinite(value)  # type: ignore[arg-type]


def as_texts(values: Iterable[str]) -> tuple[str, ...]:
    """Store names."""
    return (values,) if isinstance(values, str) else tuple(values)


def as_floats(values: Iterable[float] | float) -> tuple[float, ...]:
    """Store numbers."""
    return (values,) if isinstance(values, int | float) else tuple(values)


def check_stages(_: StandardFunnel, __: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    """Demand names, each once."""
    if not value or len(set(value)) < len(value) or not all(isinstance(v, str) for v in value):
        raise ValidationError.from_value("stages", "must be names, each once", value, "")


def check_conversions(
    standard: StandardFunnel, __: attrs.Attribute[Any], value: tuple[float, ...]
) -> None:
    """Demand one share for each stage."""
    check_count("conversions", value, standard.stages)
    for stage, rate in zip(standard.stages, value, strict=True):
        if not is_number(rate) or not 0.0 < rate <= 1.0:
            rule = "must be above 0 and at most 1"
            raise ValidationError.from_value(f"conversion of {stage!r}", rule, rate, "")


def check_days(
    standard: StandardFunnel, __: attrs.Attribute[Any], value: tuple[float, ...] | None
) -> None:
    """Demand days for each stage, or none at all."""
    if value is None:
        return
    check_count("days", value, standard.stages)
    for stage, stay in zip(standard.stages, value, strict=True):
        if not is_number(stay) or not stay > 0.0:
            rule = "must be a number of days above 0"
            raise ValidationError.from_value(f"days of {stage!r}", rule, stay, "")


def check_entries(
    standard: StandardFunnel, __: attrs.Attribute[Any], value: tuple[float, ...] | None
) -> None:
    """Demand entries for each stage, one into the first, or none at all."""
    if value is None:
        return
    check_count("entries", value, standard.stages)
    for stage, number in zip(standard.stages, value, strict=True):
        if not is_number(number) or not number > 0.0:
            rule = "must be a number above 0"
            raise ValidationError.from_value(f"entries of {stage!r}", rule, number, "")
    if abs(value[0] - 1.0) > CLOSE:
        rule = f"must be 1 for the first stage {standard.stages[0]!r}, the others relative to it"
        raise ValidationError.from_value("entries", rule, value[0], "Divide all by the first.")


def check_count(name: str, value: tuple[float, ...], stages: tuple[str, ...]) -> None:
    """Demand one number for each stage."""
    if len(value) != len(stages):
        rule = f"must have one number for each of {len(stages)} stages {stages}"
        raise ValidationError.from_value(name, rule, value, "")


def check_weekly(_: StandardFunnel, __: attrs.Attribute[Any], value: float | None) -> None:
    """Demand a number above 0, or none."""
    if value is not None and not (is_number(value) and value > 0.0):
        rule, remedy = "must be a number above 0", "Leave it out where there is no standard."
        raise ValidationError.from_value("weekly_entries", rule, value, remedy)
