"""The same tables once more: later, larger, with other names, or with another future."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates
from funnel.stages import Outcome
from funnel.tables import History, Schema
from funnel.tables.schema import BLANK
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.tables import Pipeline
    from funnel.typing import DayArray

    Array = np.ndarray[Any, Any]

NEW = "(a new name)"  # sorts before every name of the fixtures, so that codes move
DERIVED = {
    **dict.fromkeys(("created", "stage_entered", "closed_on", "first_seen"), NO_DAY),
    **dict.fromkeys(("days_in_stage", "visits", "pushes", "reopened"), -1),
    **dict.fromkeys(("previous_stage", "furthest_stage"), -1),
}


def columns_of(history: History) -> dict[str, Array]:
    """Return the rows of a history as arguments of `History.from_columns`."""
    entered = to_dates(history.first_entered[history.deal])
    return {name: column.copy() for name, column in history.to_columns().items()} | {
        "stage_entered": entered
    }


def rebuilt(like: History, columns: Mapping[str, Any], schema: Schema | None = None) -> History:
    """Build a history of other rows with the funnel and the window of `like`."""
    return History.from_columns(
        funnel=like.funnel,
        schema=schema,
        observed_from=to_date(like.observed_from),
        observed_until=to_date(like.observed_until),
        **columns,
    )


def repeated(history: History, times: int) -> History:
    """Return a history of `times` as many deals, all of them copies: only the counts grow."""
    columns = {name: np.tile(column, times) for name, column in columns_of(history).items()}
    copies = np.array([f" {copy}" for copy in range(times)], dtype=object)
    columns["id"] = columns["id"] + np.repeat(copies, len(history))
    return rebuilt(history, columns, history.schema)


# --- later ---------------------------------------------------------------------------------------


def _later(days: DayArray, by: int) -> DayArray:
    """Move days; no date stays none."""
    return np.where(days == NO_DAY, NO_DAY, days + by).astype(np.int32)


def _columns_later(schema: Schema, columns: Mapping[str, Array], by: int) -> dict[str, Array]:
    """Move the columns that are dates."""
    return {
        name: _later(values, by) if schema.column(name).kind == "date" else values
        for name, values in columns.items()
    }


def history_later(history: History, by: int) -> History:
    """Return the history as if all of it had happened `by` days later."""
    return attrs.evolve(
        history,
        created=_later(history.created, by),
        first_entered=_later(history.first_entered, by),
        at=_later(history.at, by),
        columns=_columns_later(history.schema, history.columns, by),
        observed_from=history.observed_from + by,
        observed_until=history.observed_until + by,
    )


def pipeline_later(pipeline: Pipeline, by: int) -> Pipeline:
    """Return the pipeline as if everything had happened `by` days later."""
    names = ("created", "stage_entered", "closed_on", "first_seen")
    days: dict[str, Any] = {name: _later(getattr(pipeline, name), by) for name in names}
    columns = _columns_later(pipeline.schema, pipeline.columns, by)
    return attrs.evolve(pipeline, as_of=pipeline.as_of + by, columns=columns, **days)


# --- other names, stages and state ---------------------------------------------------------------


def with_new_categories(pipeline: Pipeline) -> Pipeline:
    """Give every third deal a category that is new; the codes of all others move by one."""
    third = np.arange(len(pipeline)) % 3 == 0
    fields, columns = [], dict(pipeline.columns)
    for column in pipeline.schema.columns:
        if column.kind == "category" and column.name in pipeline.schema.attributes:
            codes = columns[column.name]
            moved = np.where(codes < 0, codes, codes + 1)
            columns[column.name] = np.where(third, 0, moved).astype(codes.dtype)
            fields.append(attrs.evolve(column, categories=(NEW, *column.categories)))
        else:
            fields.append(column)
    return attrs.evolve(pipeline, schema=Schema(pipeline.funnel, tuple(fields)), columns=columns)


def with_open_in(pipeline: Pipeline, stage: str) -> Pipeline:
    """Move all open deals to another stage."""
    is_open = pipeline.outcome == Outcome.OPEN
    code = pipeline.funnel.code(stage)
    return attrs.evolve(pipeline, stage=np.where(is_open, code, pipeline.stage).astype(np.int16))


def with_older_deals(pipeline: Pipeline, by: int) -> Pipeline:
    """Let all open deals have begun `by` days earlier."""
    is_open = pipeline.outcome == Outcome.OPEN
    names = ("created", "stage_entered", "first_seen")
    derived: dict[str, Any] = {
        name: np.where(is_open, _later(getattr(pipeline, name), -by), getattr(pipeline, name))
        for name in names
    }
    age = pipeline.days_in_stage
    derived["days_in_stage"] = np.where(is_open & (age >= 0), age + by, age).astype(np.int32)
    return attrs.evolve(pipeline, **derived)


def with_unknown(pipeline: Pipeline, *, known: Sequence[str]) -> Pipeline:
    """Blank columns and derived state: half of the rows of what is `known`, all of the rest."""
    half = np.arange(len(pipeline)) % 2 == 0
    every = np.ones(len(pipeline), dtype=np.bool_)

    def blanked(name: str, values: Array, blank: Any) -> Array:  # noqa: ANN401 - of any kind
        """Blank the rows of one column."""
        return np.where(half if name in known else every, blank, values).astype(values.dtype)

    derived: dict[str, Any] = {
        name: blanked(name, getattr(pipeline, name), blank) for name, blank in DERIVED.items()
    }
    columns = {
        name: blanked(name, values, BLANK[pipeline.schema.column(name).kind])
        for name, values in pipeline.columns.items()
    }
    return attrs.evolve(pipeline, columns=columns, **derived)


# --- another future ------------------------------------------------------------------------------


def with_future_shuffled(history: History, day: int) -> History:
    """Exchange what happened after `day` among the rows of that time."""
    columns = columns_of(history)
    later = np.flatnonzero(history.at > day)
    order = np.random.default_rng(0).permutation(later)
    for name in set(columns) - {"id", "at", "created", "stage_entered"}:
        columns[name][later] = columns[name][order]
    return rebuilt(history, columns, history.schema)


def with_future_blanked(history: History, day: int) -> History:
    """Take the values from all rows after `day`, and let every deal be removed."""
    columns = columns_of(history)
    later = history.at > day
    blank = {"number": np.nan, "category": "", "date": np.datetime64("NaT", "D")}
    for column in history.schema.columns:
        columns[column.name][later] = blank[column.kind]
    removed = history.funnel.outcomes.tolist().index(Outcome.REMOVED)
    columns["stage"][later] = history.funnel.ids[removed]
    return rebuilt(history, columns, history.schema)


def without_future(history: History, day: int) -> History:
    """Leave out all rows after `day`, and with them the names that nobody had heard of yet."""
    past = history.at <= day
    return rebuilt(history, {name: values[past] for name, values in columns_of(history).items()})
