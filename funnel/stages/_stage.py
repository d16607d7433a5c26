"""One step of the ladder, and what it can lead to."""

from __future__ import annotations

import enum
import math
import types
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs

from funnel.errors import ValidationError, did_you_mean

__all__ = ["ForecastCategory", "Outcome", "Stage"]

STAGE_SCHEMA = "funnel.Stage/1"
LONGEST_ID = 200


class Outcome(enum.IntEnum):
    """How a deal stands."""

    OPEN = 0
    WON = 1
    LOST = 2
    REMOVED = 3


class ForecastCategory(enum.StrEnum):
    """How firmly a deal is promised; omitted deals never count."""

    OMITTED = "omitted"
    PIPELINE = "pipeline"
    BEST_CASE = "best case"
    COMMIT = "commit"

    @classmethod
    def parse(cls, text: str) -> ForecastCategory:
        """Return the category that a CRM writes as ``"Best Case"``, ``"best_case"`` or ``"BestCase"``.

        Raises
        ------
        ValidationError
            When it is none of them.

        Examples
        --------
        >>> ForecastCategory.parse("BestCase")
        <ForecastCategory.BEST_CASE: 'best case'>
        """
        squeezed = "".join(char for char in str(text).casefold() if char.isalnum())
        for category in cls:
            if category.replace(" ", "") == squeezed:
                return category
        raise ValidationError.from_value(
            "category", "must be a forecast category", text, did_you_mean(str(text), list(cls))
        )


def fold(name: str) -> str:
    """Return a name as it is compared: case, width and surrounding spaces do not matter."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _text(name: str, value: object) -> str:
    """Demand a short, non-empty text."""
    if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_ID:
        raise ValidationError.from_value(
            name, f"must be a text of 1 to {LONGEST_ID} characters", value, "Name the stage."
        )
    return value.strip()


def _id(value: str) -> str:
    """Check and strip the id of a stage."""
    return _text("id", value)


def _label(value: str | None) -> str | None:
    """Check and strip a label."""
    return None if value is None else _text("label", value)


def _labels(value: Mapping[str, str]) -> Mapping[str, str]:
    """Freeze labels by language."""
    return types.MappingProxyType({str(k): _text("labels", v) for k, v in sorted(dict(value).items())})


def _aliases(value: Iterable[str]) -> tuple[str, ...]:
    """Check earlier names; one text counts as one name."""
    return tuple(_text("aliases", name) for name in ([value] if isinstance(value, str) else value))


def _criteria(value: Iterable[str]) -> tuple[str, ...]:
    """Check exit criteria; one text counts as one criterion."""
    return tuple([value] if isinstance(value, str) else value)


def _category(value: ForecastCategory | str | None) -> ForecastCategory | None:
    """Parse a category."""
    return None if value is None else ForecastCategory.parse(value)


def _probability(value: float | None) -> float | None:
    """Check a typed win probability."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        hint = f"Write {value / 100:g} for {value:g} %." if _is_percentage(value) else ""
        raise ValidationError.from_value("win_probability", "must lie between 0 and 1", value, hint)
    return float(value)


def _is_percentage(value: object) -> bool:
    """Tell whether a number looks like a percentage."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 1.0 < value <= 100.0  # noqa: PLR2004


def _days(instance: object, attribute: attrs.Attribute[float | None], value: float | None) -> None:
    """Demand a positive number of days."""
    del instance
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (number and value > 0 and math.isfinite(value)):
        raise ValidationError.from_value(
            attribute.name, "must be a number of days > 0", value, "Leave it out where there is none."
        )


@attrs.frozen
class Stage:
    """One step of the ladder, or a terminal state.

    Parameters
    ----------
    id : str
        Stable name; it never changes, whatever the label.
    label : str, optional
        The name shown; the id by default.
    labels : mapping, optional
        Names by language (``{"en": "Negotiation", "zh": "商务谈判"}``).
    win_probability : float, optional
        Typed chance to be won from here, 0 to 1.
    standard_days, timeout_days : float, optional
        Days that a deal may stay, and after which somebody is warned.
    exit_criteria : tuple of str, optional
        Facts that must hold before a deal may move on.
    role : str, optional
        Who is accountable.
    category : ForecastCategory or str, optional
        What the stage rolls up to.
    on_hold : bool
        Does the clock stop here?
    retired : bool
        Is the stage kept for old deals only?
    aliases : tuple of str, optional
        Earlier names and other spellings.

    Raises
    ------
    ValidationError
        When a value is out of its range.

    Examples
    --------
    >>> stage = Stage("Negotiate", win_probability=0.7, standard_days=14, category="commit")
    >>> stage.category
    <ForecastCategory.COMMIT: 'commit'>
    >>> Stage("Negotiate", win_probability=70)
    Traceback (most recent call last):
        ...
    funnel.errors.ValidationError: win_probability must lie between 0 and 1, got 70. Write 0.7 for 70 %.
    """

    id: str = attrs.field(converter=_id)
    label: str | None = attrs.field(default=None, kw_only=True, converter=_label)
    labels: Mapping[str, str] = attrs.field(factory=dict, kw_only=True, converter=_labels, hash=False)
    win_probability: float | None = attrs.field(default=None, kw_only=True, converter=_probability)
    standard_days: float | None = attrs.field(default=None, kw_only=True, validator=_days)
    timeout_days: float | None = attrs.field(default=None, kw_only=True, validator=_days)
    exit_criteria: tuple[str, ...] = attrs.field(default=(), kw_only=True, converter=_criteria)
    role: str | None = attrs.field(default=None, kw_only=True)
    category: ForecastCategory | None = attrs.field(default=None, kw_only=True, converter=_category)
    on_hold: bool = attrs.field(default=False, kw_only=True)
    retired: bool = attrs.field(default=False, kw_only=True)
    aliases: tuple[str, ...] = attrs.field(default=(), kw_only=True, converter=_aliases)

    def __attrs_post_init__(self) -> None:
        """Demand that nobody is warned before the standard days are over."""
        if self.timeout_days is not None and (self.standard_days or 0.0) > self.timeout_days:
            raise ValidationError.from_value(
                "timeout_days", f"must not be less than standard_days ({self.standard_days:g})",
                self.timeout_days, "",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All names by which the stage is found."""
        own = () if self.label is None else (self.label,)
        return tuple(dict.fromkeys((self.id, *own, *self.labels.values(), *self.aliases)))

    def name_in(self, language: str) -> str:
        """Return the label in a language, else the label, else the id."""
        return self.labels.get(language) or self.label or self.id

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the schema version inside."""
        plain = attrs.asdict(self, recurse=False)
        plain["labels"] = dict(self.labels)
        plain["category"] = None if self.category is None else self.category.value
        for name in ("exit_criteria", "aliases"):
            plain[name] = list(plain[name])
        return {"schema": STAGE_SCHEMA, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild a stage from `to_dict`.

        Raises
        ------
        ValidationError
            When the schema is another one, or a field is unknown or missing.
        """
        fields = fields_of(cls, plain, STAGE_SCHEMA, ("id",))
        return cls(fields.pop("id"), **fields)


def fields_of(cls: type, plain: Mapping[str, Any], schema: str, needed: Iterable[str]) -> dict[str, Any]:
    """Check the schema version and the names of the fields."""
    fields = dict(plain)
    found = fields.pop("schema", None)
    if found != schema:
        raise ValidationError.from_value("schema", f"must be {schema!r}", found, "")
    known = [field.name for field in attrs.fields(cls)]
    for name in fields.keys() - set(known):
        raise ValidationError.from_value("field", "must be known", name, did_you_mean(name, known))
    for name in sorted(set(needed) - fields.keys()):
        raise ValidationError.from_value("fields", f"must have {name!r}", sorted(fields), "")
    return fields
