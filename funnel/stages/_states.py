"""Converters and checks of the states of a funnel."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, Final

from funnel.errors import ValidationError
from funnel.stages._fields import NAME_LIMIT, fold, readable
from funnel.stages._stage import STAGE_SCHEMA, Stage

if TYPE_CHECKING:
    import attrs

    from funnel.stages._funnel import Funnel

_MOST_STATES: Final = 2**15 - 1  # a code is an int16

# --- converters ----------------------------------------------------------------------------------


def state(value: str | Stage) -> Stage:
    """Make a stage of a name."""
    if isinstance(value, Stage):
        return value
    if isinstance(value, str):
        return Stage(value)
    raise ValidationError.from_value(
        "a state", "must be a name or a Stage", value, "Write for instance 'Qualify'."
    )


def states(value: str | Stage | Iterable[str | Stage]) -> tuple[Stage, ...]:
    """Make stages of an ordered collection; a bare name is one state."""
    if isinstance(value, str | Stage):
        return (state(value),)
    if isinstance(value, AbstractSet | Mapping) or not isinstance(value, Iterable):
        raise ValidationError.from_value(
            "states", "must be a list of names or of Stage", value, "Write them in their order."
        )
    return tuple(state(entry) for entry in value)


def ladder(value: Iterable[str | Stage]) -> tuple[Stage, ...]:
    """Make the open stages; a bare text is refused, for it is likely the name of a template."""
    if isinstance(value, str):
        remedy = f"Write [{value!r}], or Funnel.template({value!r})."
        raise ValidationError.from_value("stages", "must be a list of names", value, remedy)
    return states(value)


def read_state(entry: str | Mapping[str, Any]) -> Stage:
    """Read one state of a stored funnel, whose schema counts for its states too."""
    if isinstance(entry, Mapping):
        return Stage.from_dict({"schema": STAGE_SCHEMA, **entry})
    return state(entry)


def read_states(entries: Any) -> Any:  # noqa: ANN401 - what is no list is left to the converter
    """Read a list of states of a stored funnel."""
    if isinstance(entries, list | tuple):
        return [read_state(entry) for entry in entries]
    return entries


def read_json(text: str) -> Any:  # noqa: ANN401
    """Parse JSON text."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        message = f"a funnel must be stored as JSON; {error.msg} at {place}. Correct the text."
        raise ValidationError(message) from None
    except (TypeError, UnicodeDecodeError, RecursionError) as error:
        message = f"a funnel must be stored as JSON text; {error}. Pass what to_json returned."
        raise ValidationError(message) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of a JSON object; a key given twice is an error, not overwritten."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        message = f"a JSON object must have every key once; {twice!r} stands twice. Drop one."
        raise ValidationError(message, column=twice)
    return found


def shown(stage: Stage) -> str:
    """Name a stage with what the repr of its funnel says about it."""
    typed = "" if stage.win_probability is None else f" {100 * stage.win_probability:.4g}%"
    state = " (on hold)" if stage.on_hold else " (retired)" if stage.retired else ""
    return f"{stage.label}{typed}{state}"


# --- checks --------------------------------------------------------------------------------------


def check_title(funnel: object, attribute: attrs.Attribute[str], value: str) -> None:
    """Demand a readable name of the funnel; it may be empty."""
    del funnel
    if value != "" and not readable(value, NAME_LIMIT):
        rule = f"of a funnel must be text in one line of at most {NAME_LIMIT} characters"
        raise ValidationError.from_value(attribute.name, rule, value, "Write a short name.")


def check_usable(funnel: Funnel) -> None:
    """Demand a stage that new deals can be in, a way to lose, and codes that fit."""
    if all(stage.on_hold or stage.retired for stage in funnel.stages):
        message = (
            "stages must have at least one that is neither on hold nor retired; "
            f"found none among {len(funnel.stages):,}. Add the stage that deals enter."
        )
        raise ValidationError(message, column="stages")
    if not funnel.lost:
        message = "lost must name at least one state; found none. Leave it out to get 'Lost'."
        raise ValidationError(message, column="lost")
    if len(funnel.states) > _MOST_STATES:
        message = (
            f"a funnel must have at most {_MOST_STATES:,} states; found {len(funnel.states):,}. "
            "Stages are the steps of the process; keep properties of deals in columns."
        )
        raise ValidationError(message, column="stages")


def check_outcomes(funnel: Funnel) -> None:
    """Demand that what is typed about an outcome does not contradict its meaning."""
    certain = {"won": ((funnel.won,), 1.0), "lost": (funnel.lost, 0.0)}
    certain["removed"] = ((funnel.removed,), 0.0)
    for outcome, (stages, probability) in certain.items():
        for stage in stages:
            if stage.on_hold or stage.standard_days is not None or stage.timeout_days is not None:
                message = (
                    f"{outcome} {stage.id!r} must have no on_hold, standard_days or timeout_days; "
                    "the clock of a closed deal has stopped. Leave them out."
                )
                raise ValidationError(message, column=outcome)
            if stage.win_probability not in (None, probability):
                rule = f"of {outcome} {stage.id!r} must be {probability:g}"
                raise ValidationError.from_value(
                    "win_probability", rule, stage.win_probability, "Leave it out."
                )


def index(stages: Sequence[Stage]) -> dict[str, int]:
    """Return the position of every folded name; a name of two states is an error."""
    found: dict[str, int] = {}
    for code, stage in enumerate(stages):
        for name in stage.names:
            other = found.setdefault(fold(name), code)
            if other != code:
                message = (
                    f"a name must mean one state; {name!r} is a name of {stages[other].id!r} "
                    f"(position {other}) and of {stage.id!r} (position {code}). Rename one of them."
                )
                raise ValidationError(message, column=name)
    return found
