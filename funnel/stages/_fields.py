"""Converters and validators of the fields of a stage, and the check of a stored dict."""

from __future__ import annotations

import math
import numbers
import re
import unicodedata
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NoReturn, cast

from funnel.errors import ValidationError, did_you_mean

if TYPE_CHECKING:
    import attrs

    from funnel.stages._stage import Stage

NAME_LIMIT = 200
CRITERION_LIMIT = 2_000
_LANGUAGE = re.compile(r"[a-z]{2,8}(-[a-z0-9]{1,8})*")
# Control characters and line ends break one-line displays; a lone surrogate cannot be stored.
_UNREADABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def fold(name: str) -> str:
    """Return the form in which names are compared: NFKC, no case, no outer blanks."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def readable(value: object, limit: int) -> bool:
    """Tell whether a value is one line of 1 to `limit` characters that can be shown and stored."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= limit
        and not any(unicodedata.category(character) in _UNREADABLE for character in value)
    )


# --- converters ----------------------------------------------------------------------------------


def stripped(value: str) -> str:
    """Drop outer blanks; what is not a text is left to the validator."""
    if isinstance(value, str):
        return value.strip()
    return value


def optional_text(value: str | None) -> str | None:
    """Drop outer blanks; None stays."""
    return None if value is None else stripped(value)


def label(value: str | None) -> str:
    """Drop outer blanks; None waits for the id, which takes its place."""
    return cast("str", optional_text(value))


def texts(value: Iterable[str]) -> tuple[str, ...]:
    """Make a tuple of an ordered collection; a bare text, or what is none, is one entry."""
    entries: Any = value
    if isinstance(value, str | AbstractSet | Mapping) or not isinstance(value, Iterable):
        entries = (value,)
    return tuple(stripped(entry) for entry in entries)


def language_code(value: str) -> str:
    """Write ``zh_CN`` as ``zh-cn``."""
    if isinstance(value, str):
        code = value.strip().replace("_", "-").lower()
        if _LANGUAGE.fullmatch(code):
            return code
    raise ValidationError.from_value(
        "language", "must be a language code", value, "Write for instance 'en' or 'zh-CN'."
    )


def labels(value: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Store labels by language as sorted pairs, which can be hashed."""
    try:
        given = dict(value)
    except (TypeError, ValueError):
        remedy = "Write for instance {'en': 'Intent', 'zh': '意向'}."
        rule = "must map language codes to labels"
        raise ValidationError.from_value("labels", rule, value, remedy) from None
    found = {language_code(code): stripped(label) for code, label in given.items()}
    if len(found) < len(given):
        raise ValidationError.from_value(
            "labels", "must name every language once", value, "'zh_CN' and 'zh-cn' are the same."
        )
    return tuple(sorted(found.items()))


def optional_number(value: float | None) -> float | None:
    """Convert a number to float; the rest is left to the validator."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, numbers.Real):
        return value
    try:
        return float(value) + 0.0  # -0.0 becomes 0.0: equal stages must have equal fingerprints
    except OverflowError:
        return math.inf


# --- validators ----------------------------------------------------------------------------------


def _refuse(
    stage: Stage, attribute: attrs.Attribute[Any], rule: str, value: object, remedy: str
) -> NoReturn:
    """Raise for a field of a stage."""
    subject = "id" if attribute.name == "id" else f"{attribute.name} of stage {stage.id!r}"
    message = f"{subject} {rule}, got {value!r:.80}. {remedy}"
    raise ValidationError(message, column=attribute.name)


def _check_text(stage: Stage, attribute: attrs.Attribute[Any], value: object, limit: int) -> None:
    """Demand a readable text."""
    if not readable(value, limit):
        rule = f"must be text in one line of 1 to {limit:,} characters"
        _refuse(stage, attribute, rule, value, "Write a short name, without control characters.")


def check_name(stage: Stage, attribute: attrs.Attribute[str], value: str) -> None:
    """Demand a name."""
    _check_text(stage, attribute, value, NAME_LIMIT)


def check_optional_name(stage: Stage, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a name or None."""
    if value is not None:
        _check_text(stage, attribute, value, NAME_LIMIT)


def check_names(
    stage: Stage, attribute: attrs.Attribute[tuple[str, ...]], value: tuple[str, ...]
) -> None:
    """Demand names."""
    for entry in value:
        _check_text(stage, attribute, entry, NAME_LIMIT)


def check_labels(
    stage: Stage,
    attribute: attrs.Attribute[tuple[tuple[str, str], ...]],
    value: tuple[tuple[str, str], ...],
) -> None:
    """Demand that every label is a name."""
    for _, label in value:
        _check_text(stage, attribute, label, NAME_LIMIT)


def check_criteria(
    stage: Stage, attribute: attrs.Attribute[tuple[str, ...]], value: tuple[str, ...]
) -> None:
    """Demand criteria of one line each."""
    for entry in value:
        _check_text(stage, attribute, entry, CRITERION_LIMIT)


def check_flag(stage: Stage, attribute: attrs.Attribute[bool], value: object) -> None:
    """Demand True or False."""
    if not isinstance(value, bool):
        _refuse(stage, attribute, "must be True or False", value, "Write one of the two.")


def check_probability(stage: Stage, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a probability or None."""
    if value is None or (isinstance(value, float) and 0.0 <= value <= 1.0):
        return
    remedy = "Write a number such as 0.7, or None where no probability is typed."
    if isinstance(value, float) and 1.0 < value <= 100.0:
        remedy = f"{value:g} is a percentage; write {value / 100:g}."
    _refuse(stage, attribute, "must be a number from 0 to 1", value, remedy)


def check_days(stage: Stage, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a number of days above zero, or None."""
    if value is not None and not (isinstance(value, float) and 0.0 < value < math.inf):
        remedy = "Write a number such as 14, or None where there is no standard."
        _refuse(stage, attribute, "must be a number of days above 0", value, remedy)


def check_timeout(
    stage: Stage, attribute: attrs.Attribute[float | None], value: float | None
) -> None:
    """Demand a timeout that is not before the end of the standard stay."""
    check_days(stage, attribute, value)
    standard = stage.standard_days
    if value is not None and standard is not None and value < standard:
        rule = f"must not be shorter than its standard stay of {standard:g} days"
        _refuse(stage, attribute, rule, value, "Raise timeout_days or lower standard_days.")


# --- stored dicts --------------------------------------------------------------------------------


def stored(
    plain: Mapping[str, Any], schema: str, known: Iterable[str], needed: str
) -> dict[str, Any]:
    """Return the fields of a stored object after a check of its schema and keys."""
    what = schema.partition("/")[0].removeprefix("funnel.")
    if not isinstance(plain, Mapping):
        remedy = "Pass what to_dict returned."
        raise ValidationError.from_value(what, "must be stored as a dict", plain, remedy)
    fields = dict(plain)
    found = fields.pop("schema", None)
    if found != schema:
        rule = f"of a stored {what} must be {schema!r}"
        remedy = "Add it, or read the file with the version that wrote it."
        raise ValidationError.from_value("schema", rule, found, remedy)
    known = tuple(known)
    unknown = [str(key) for key in fields if key not in known]
    if unknown:
        listed = ", ".join(repr(key) for key in unknown)
        message = f"a stored {what} has unknown keys: {listed}. {did_you_mean(unknown[0], known)}"
        raise ValidationError(message, column=unknown[0])
    if needed not in fields:
        message = f"a stored {what} must have the key {needed!r}. Add it."
        raise ValidationError(message, column=needed)
    return fields
