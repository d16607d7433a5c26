"""What parameters of models must be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funnel.errors import ValidationError

if TYPE_CHECKING:
    import attrs

__all__ = ["positive", "require_whole", "whole"]


def whole(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a whole number >= 1."""
    del instance
    require_whole(attribute.name, value)


def require_whole(name: str, value: object) -> None:
    """Demand a whole number >= 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValidationError.from_value(name, "must be a whole number >= 1", value, "")


def positive(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a number > 0, or None where that is the default."""
    del instance
    if value is None and attribute.default is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ValidationError.from_value(attribute.name, "must be a number > 0", value, "")
