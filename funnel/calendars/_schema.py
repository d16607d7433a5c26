"""Reading back what `to_dict` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from funnel.errors import ValidationError, did_you_mean


def fields_of(data: Mapping[str, Any], schema: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a stored object, after checking its schema and that all are there."""
    if not isinstance(data, Mapping):
        raise ValidationError.from_value(
            "data", "must be a mapping", data, f"Give what to_dict of a {schema} returned."
        )
    if data.get("schema") != schema:
        raise ValidationError.from_value(
            "schema", f"must be {schema!r}", data.get("schema"), "Use from_dict of its own class."
        )
    missing = [name for name in names if name not in data]
    if missing:
        raise ValidationError(
            f"{schema} must have {', '.join(names)}; {len(missing)} of {len(names)} missing "
            f"(first: {missing[0]!r}). Give what to_dict returned.",
            column=missing[0],
            count=len(missing),
        )
    unknown = [name for name in data if name not in names and name != "schema"]
    if unknown:
        raise ValidationError(
            f"{schema} must have no other fields; {len(unknown)} unknown "
            f"(first: {unknown[0]!r}). {did_you_mean(str(unknown[0]), names)}",
            column=str(unknown[0]),
            count=len(unknown),
        )
    return {name: data[name] for name in names}


def strings_of(values: object, name: str) -> list[str]:
    """Return a stored list of strings."""
    if not isinstance(values, list | tuple) or not all(isinstance(item, str) for item in values):
        raise ValidationError.from_value(
            name, "must be a list of strings", values, "Give what to_dict returned."
        )
    return list(values)
