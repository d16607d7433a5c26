"""Open deals as snapshots showed them on past days, and when each of them was won afterwards.

A *feature* is ``(origin, name, levels)``: a column of the table, the days until a date in a column,
or derived state; and the names of its levels, none for a number. Training and asking read features
from pipelines by the same function, and the pipelines of the past come from ``history.snapshot``:
what was learnt later is not in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.calendars import to_dates
from funnel.errors import ValidationError
from funnel.kernels import keys as random_keys
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.tables import History, Pipeline
    from funnel.tables.schema import Schema
    from funnel.typing import BoolArray, DayArray, FloatArray, IntArray

    Lines = tuple[IntArray, IntArray, FloatArray, IntArray]
    Name = tuple[str, str]

__all__ = ["WON_NEVER", "Feature", "Snapshots", "design", "features_of", "summarize_snapshots"]

Feature = tuple[str, str, tuple[str, ...]]
"""Origin, name and levels."""

WON_NEVER = 2**31 - 1
"""Days until a deal is won that is not, as far as is known."""

NUMBERS = ("days_in_stage", "age", "visits", "pushes", "reopened")
STAGES = ("stage", "previous_stage", "furthest_stage")
LEVELS = 200  # boosted trees of scikit-learn tell at most 255 values apart
LEAN = 100.0  # lines of all levels that the share won of each one leans on


@attrs.frozen(eq=False)
class Snapshots:
    """A line for each open deal and past day, or a random sample of them, `limit` at most.

    Each line has a random key, made of the deal's id and the day, and those with the lowest keys
    are kept: whatever the split, the sample is the same.

    Parameters
    ----------
    schema : Schema
        Funnel and columns.
    trained_until : int
        The censoring day.
    limit : int
        Lines that are kept.
    deals, won : int
        Deals that were open on one of the days, and how many of them were won after it.
    keys : (n,) uint64
        Random keys, ascending.
    days : (n, 2) int64
        Days from the snapshot until the deal is won (`WON_NEVER`), and until the censoring day.
    numbers : (n, p) float64
        Derived state, number columns and days until dates; NaN unknown.
    codes : (n, q) int32
        Stages, and category columns; -1 unknown.
    """

    schema: Schema
    trained_until: int
    limit: int
    deals: int
    won: int
    keys: IntArray
    days: IntArray
    numbers: FloatArray
    codes: IntArray

    def merge(self, other: Snapshots, /) -> Snapshots:
        """Put the lines of other deals beside these."""
        self.schema.require_same(other.schema)
        mine, theirs = ((s.trained_until, s.limit) for s in (self, other))
        if mine != theirs:
            rule = "must be of one observed_until and one model"
            raise ValidationError.from_value("summaries", rule, (mine, theirs), "")
        both = attrs.evolve(
            self,
            deals=self.deals + other.deals,
            won=self.won + other.won,
            keys=np.concatenate((self.keys, other.keys)),
            days=np.concatenate((self.days, other.days)),
            numbers=np.concatenate((self.numbers, other.numbers)),
            codes=np.concatenate((self.codes, other.codes)),
        )
        return both.sampled()

    def sampled(self) -> Snapshots:
        """Sort the lines by key, and keep the first ones."""
        order = np.lexsort((*self.codes.T, *self.numbers.T, *self.days.T, self.keys))[: self.limit]
        return attrs.evolve(
            self,
            keys=self.keys[order],
            days=self.days[order],
            numbers=self.numbers[order],
            codes=self.codes[order],
        )


def _names(schema: Schema) -> tuple[list[Name], list[Name]]:
    """Origins and names of numbers and of categories; what was only known in the end is none."""
    known = [schema.column(name) for name in schema.features()]
    numbers = [("state", name) for name in NUMBERS]
    numbers += [("column", column.name) for column in known if column.kind == "number"]
    numbers += [("until", column.name) for column in known if column.kind == "date"]
    categories = [("state", name) for name in STAGES]
    categories += [("column", column.name) for column in known if column.kind == "category"]
    return numbers, categories


def _numbers(pipeline: Pipeline, origin: str, name: str) -> FloatArray:
    """(n,): one number for each deal; NaN unknown."""
    if origin == "column":
        return pipeline.columns[name].astype(np.float64)
    if origin == "until":
        return _days_ahead(pipeline.columns[name], pipeline.as_of)
    if name == "age":
        return -_days_ahead(pipeline.created, pipeline.as_of)
    values = getattr(pipeline, name)
    return np.where(values < 0, np.nan, values)


def _days_ahead(days: DayArray, as_of: int) -> FloatArray:
    """(n,): days from a day until others; NaN where they are unknown."""
    return np.where(days == NO_DAY, np.nan, days.astype(np.float64) - as_of)


def _codes(pipeline: Pipeline, origin: str, name: str) -> tuple[IntArray, tuple[str, ...]]:
    """(n,): codes, and the names behind them; -1 unknown."""
    if origin == "state":
        return getattr(pipeline, name), pipeline.funnel.ids
    return pipeline.columns[name], pipeline.schema.column(name).categories


def summarize_snapshots(history: History, /, *, every: int, limit: int) -> Snapshots:
    """Look at a chunk of history every so many days, counted back from its last day."""
    numbers, categories = _names(history.schema)
    key = random_keys.of_names(history.ids.tolist())
    first, wins = history.at[history.bounds[:-1]], _wins(history)
    ever, later = np.zeros((2, history.n_deals), dtype=np.bool_)
    lines: list[Lines] = [_no_lines(len(numbers), len(categories))]
    days = _days(history, every)
    dates = to_dates(np.array(days, dtype=np.int32))
    for day, pipeline in zip(days, history.snapshots(dates), strict=True):
        is_open = pipeline.outcome == Outcome.OPEN
        deal = np.flatnonzero(first <= day)[is_open]
        until, left = _days_until(wins, deal, day), history.observed_until - day
        ever[deal] = True
        later[deal] |= until < WON_NEVER
        lines.append(
            (
                random_keys.mixed(key[deal] + np.uint64(left)),
                np.column_stack((until, np.full(len(deal), left))),
                np.column_stack([_numbers(pipeline, *name)[is_open] for name in numbers]),
                np.column_stack([_codes(pipeline, *name)[0][is_open] for name in categories]),
            )
        )
    keys, ahead, values, codes = (np.concatenate(part) for part in zip(*lines, strict=True))
    found = Snapshots(
        schema=history.schema,
        trained_until=history.observed_until,
        limit=limit,
        deals=int(np.count_nonzero(ever)),
        won=int(np.count_nonzero(later)),
        keys=keys,
        days=ahead,
        numbers=values,
        codes=codes,
    )
    return found.sampled()


def _days(history: History, every: int) -> list[int]:
    """Days of snapshots, those left out before the first and after the last deal is open."""
    last = history.bounds[1:] - 1
    is_open = history.funnel.outcomes[history.stage[last]] == Outcome.OPEN
    end = np.where(is_open, history.observed_until, history.at[last]).max(initial=NO_DAY)
    days = np.arange(history.observed_until - every, history.observed_from - 1, -every)
    begin = history.at.min(initial=history.observed_until)
    return [int(day) for day in days[(days >= begin) & (days < end)]]


def _no_lines(numbers: int, categories: int) -> Lines:
    """Keys, days, numbers and codes of no deal."""
    codes = np.empty((0, categories), dtype=np.int32)
    days = np.empty((0, 2), dtype=np.int64)
    return np.empty(0, dtype=np.uint64), days, np.empty((0, numbers)), codes


def _wins(history: History) -> IntArray:
    """(w,): deal and day of each win in one number, ascending."""
    pieces = history.pieces
    won = history.funnel.outcomes[pieces.stage] == Outcome.WON
    return _joined(pieces.deal[won], pieces.start[won])


def _joined(deal: IntArray, day: IntArray | int) -> IntArray:
    """(n,): deal and day in one number that sorts by both."""
    return deal.astype(np.int64) * 2**32 + day


def _days_until(wins: IntArray, deal: IntArray, day: int) -> IntArray:
    """(n,): days from the end of a day to the next win of each deal; `WON_NEVER` without one."""
    if not len(wins):
        return np.full(len(deal), WON_NEVER)
    place = np.searchsorted(wins, _joined(deal, day), side="right")
    ahead = wins[np.minimum(place, len(wins) - 1)] - _joined(deal, day)
    # The days of one deal lie closer together than those of two.
    found = (place < len(wins)) & (ahead < 2**31)
    return np.where(found, ahead, WON_NEVER)


def features_of(summary: Snapshots, /) -> tuple[tuple[Feature, ...], FloatArray]:
    """Lay down features and levels by what the lines hold: features, and their values (n, f).

    What is the same in all lines is left out. Levels are known by name, so that the order in which
    a table numbers them is of no importance, and rise with the share of lines that were won later:
    the best split of them by a tree is then one by their number.
    """
    numbers, categories = _names(summary.schema)
    features: list[Feature] = []
    columns: list[FloatArray] = [np.empty((len(summary.keys), 0))]
    for name, values in zip(numbers, summary.numbers.T, strict=True):
        if len(np.unique(values)) > 1:
            features.append((*name, ()))
            columns.append(values)
    for (origin, column), codes in zip(categories, summary.codes.T, strict=True):
        schema = summary.schema
        labels = schema.funnel.ids if origin == "state" else schema.column(column).categories
        if len(np.unique(codes)) > 1:
            levels = _levels(codes, labels, summary.days[:, 0] < WON_NEVER)
            features.append((origin, column, levels))
            columns.append(_placed(codes, labels, levels))
    return tuple(features), np.column_stack(columns)


def _levels(codes: IntArray, labels: tuple[str, ...], won: BoolArray) -> tuple[str, ...]:
    """Names of the most frequent categories, those of which fewer lines were won first."""
    lines = np.bincount(codes[codes >= 0], minlength=len(labels))
    wins = np.bincount(codes[(codes >= 0) & won], minlength=len(labels))
    share = (wins + LEAN * won.mean()) / (lines + LEAN)
    seen = [(-n, label) for n, label in zip(lines.tolist(), labels, strict=True) if n]
    frequent = {label for _, label in sorted(seen)[:LEVELS]}
    ranked = sorted(zip(share.tolist(), labels, strict=True))
    return tuple(label for _, label in ranked if label in frequent)


def _placed(codes: IntArray, labels: tuple[str, ...], levels: tuple[str, ...]) -> FloatArray:
    """(n,): position of each value among the levels; NaN for others, and for unknown ones."""
    place = {level: float(i) for i, level in enumerate(levels)}
    return np.array([*(place.get(label, np.nan) for label in labels), np.nan])[codes]


def design(features: tuple[Feature, ...], pipeline: Pipeline, /) -> FloatArray:
    """(n, f): values of features; NaN where they are unknown, or not in the table.

    Raises
    ------
    ValidationError
        When a column is of another kind than in the history.
    """
    columns = [_values(pipeline, *feature) for feature in features]
    return np.column_stack([np.empty((len(pipeline), 0)), *columns])


def _values(pipeline: Pipeline, origin: str, name: str, levels: tuple[str, ...]) -> FloatArray:
    """(n,): values of one feature."""
    if origin != "state":
        if name not in pipeline.schema.names:
            return np.full(len(pipeline), np.nan)
        kind = "date" if origin == "until" else "category" if levels else "number"
        found = pipeline.schema.column(name).kind
        if found != kind:
            rule = f"must be a {kind}, as it was in the history"
            raise ValidationError.from_value(name, rule, found, "Give the column as it was.")
    if levels:
        return _placed(*_codes(pipeline, origin, name), levels)
    return _numbers(pipeline, origin, name)
