"""The rows of a metric: groups of columns by period, and what is said about them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import Calendar, Horizon, Unit, to_date, to_day, to_days
from funnel.errors import SchemaMismatchError, ValidationError
from funnel.kernels.labels import texts
from funnel.results import ResultTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.stages import Funnel
    from funnel.tables import History, Pipeline
    from funnel.tables.schema import Schema
    from funnel.typing import DayArray, FloatArray, IntArray

__all__ = [
    "STANDARD",
    "GroupedTable",
    "Scope",
    "check_days",
    "check_level",
    "check_shares",
]

STANDARD = Calendar()
SHORTEST = {"week": 7, "month": 28, "quarter": 84, "year": 364}  # days
MOST_GROUPS = 2**31  # leaves room for period, stage, cause and age in one 64-bit key


@attrs.frozen
class Scope:
    """Which rows a metric has; equal in all chunks of one data set.

    A row is a cell: the number of its group times the number of periods, plus that of the period.
    """

    funnel: Funnel
    by: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    periods: Horizon | None
    window: tuple[int, int]

    @classmethod
    def of(
        cls,
        history: History,
        by: Sequence[str],
        period: Unit | Horizon | None,
        calendar: Calendar,
    ) -> Scope:
        """Look the columns up, and cut the observed window into periods."""
        window = (history.observed_from, history.observed_until)
        periods = _periods(*window, period, calendar)
        return cls(history.funnel, tuple(by), _names(history.schema, by), periods, window)

    @classmethod
    def at(cls, pipeline: Pipeline, by: Sequence[str], promised: Horizon | None) -> Scope:
        """Look the columns of a snapshot up; the periods are those of promised days."""
        window = (pipeline.as_of, pipeline.as_of)
        return cls(pipeline.funnel, tuple(by), _names(pipeline.schema, by), promised, window)

    @property
    def n_periods(self) -> int:
        """Number of periods, 1 where there are none."""
        return 1 if self.periods is None else len(self.periods)

    def require_same(self, other: Scope) -> None:
        """Raise unless both are of one data set and one question."""
        if self != other:
            raise SchemaMismatchError(
                "summaries must be of one schema, window, by and period; these are not. "
                "Summarize all chunks with the same arguments."
            )

    def groups(self, table: History | Pipeline, rows: IntArray) -> IntArray:
        """(m,) -> (m,): the group of each row of the table."""
        code = np.zeros(len(rows), dtype=np.int64)
        for name, sorted_names in zip(self.by, self.categories, strict=True):
            position = {category: rank for rank, category in enumerate(sorted_names)}
            order = [position[category] for category in table.schema.column(name).categories]
            rank = np.array([*order, 0], dtype=np.int64)  # the last one is code -1: unknown
            code = code * len(sorted_names) + rank[table.columns[name][rows]]
        return code

    def seen(self, table: History | Pipeline, rows: IntArray) -> IntArray:
        """(m,) -> (g,): the groups of some rows of the table, ascending."""
        # Where nothing groups them, one row stands for all.
        return np.unique(self.groups(table, rows if self.by else rows[:1]))

    def cells(self, table: History | Pipeline, rows: IntArray, days: DayArray) -> IntArray:
        """(m,), (m,) -> (m,): the cell of each row of the table and day, -1 outside of all."""
        group = self.groups(table, rows)
        if self.periods is None:
            return group
        place = self.periods.period_of(days)
        return np.where(place < 0, -1, group * self.n_periods + place)

    def shown(self, seen: IntArray) -> IntArray:
        """(m,) -> (c,): the cells to show, sorted, given the groups that occur.

        Of one column every category has its rows, of several the combinations that occur.
        """
        groups = np.unique(seen)
        if len(self.by) == 1:
            groups = np.union1d(groups, np.arange(1, len(self.categories[0])))
        elif not self.by:
            groups = np.zeros(1, dtype=np.int64)
        place = np.arange(self.n_periods)
        return (groups.astype(np.int64)[:, None] * self.n_periods + place).ravel()

    def columns(self, cells: IntArray, times: int = 1) -> dict[str, np.ndarray[Any, Any]]:
        """(c,) -> (c * times,) each: names of groups and periods, each cell `times` in a row."""
        group, place = np.divmod(np.repeat(cells, times), self.n_periods)
        found: dict[str, np.ndarray[Any, Any]] = {}
        for name, names in zip(reversed(self.by), reversed(self.categories), strict=True):
            group, digit = np.divmod(group, len(names))
            found[name] = texts(names)[digit]
        found = {name: found[name] for name in self.by}
        if self.periods is not None:
            found["period"] = texts(self.periods.labels)[place]
            found["observed"] = self.observed()[place]
        return found

    def observed(self) -> FloatArray:
        """(k,): share of the days of each period that lie in the observed window."""
        if self.periods is None:
            return np.ones(1)
        start, end = self.periods.edges[:-1].astype(np.int64), self.periods.edges[1:]
        seen = np.minimum(end, self.window[1] + 1) - np.maximum(start, self.window[0])
        return np.asarray(np.maximum(seen, 0) / (end - start))

    def notes(self) -> tuple[str, ...]:
        """Say which periods were observed in part, or not at all."""
        if self.periods is None:
            return ()
        labels, share = texts(self.periods.labels), self.observed()
        first, last = (to_date(day) for day in self.window)
        found = []
        for mask, what in (
            (share == 0.0, "not observed"),
            ((share > 0.0) & (share < 1.0), "observed in part"),
        ):
            if mask.any():
                listed = ", ".join(labels[mask][:6]) + (", ..." if mask.sum() > 6 else "")
                found.append(f"{what}: {listed} (the history is from {first} to {last})")
        return tuple(found)


def _names(schema: Schema, by: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Return the categories of each column, sorted after the empty text for the unknown."""
    if isinstance(by, str):
        remedy = f"Put the single column into a tuple: by=({by!r},)."
        raise ValidationError.from_value("by", "must be a sequence of columns", by, remedy)
    names = []
    for name in by:
        column = schema.column(name)
        if column.kind != "category":
            rule, remedy = "must name columns of categories", f"It is a {column.kind} column."
            raise ValidationError.from_value("by", rule, name, remedy)
        names.append(("", *sorted(column.categories)))
    if math.prod(map(len, names)) > MOST_GROUPS:
        rule = "must not have more than 2**31 combinations of categories"
        raise ValidationError.from_value("by", rule, tuple(by), "Name fewer columns.")
    return tuple(names)


def _periods(
    first: int, last: int, period: Unit | Horizon | None, calendar: Calendar
) -> Horizon | None:
    """Return the periods that are asked for; a unit cuts the whole observed window."""
    if period is None or isinstance(period, Horizon):
        return period
    day = np.datetime64(first, "D")
    start = calendar.period_start(day, period)
    most = (last - to_day(start)) // SHORTEST[period] + 1
    edges = to_days(calendar.periods(start, most, period))
    n = int(np.searchsorted(edges, last, side="right"))
    make = {
        "week": Horizon.weeks,
        "month": Horizon.months,
        "quarter": Horizon.quarters,
        "year": Horizon.years,
    }[period]
    return make(start, n, calendar=calendar)


class GroupedTable(ResultTable):
    """A result table whose groups may be unknown."""

    __slots__ = ()

    scope: Scope

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text; an unknown group is called so."""
        headers, rows = super()._cells()
        n = len(self.scope.by)
        named = [[cell or "(unknown)" for cell in row[:n]] + row[n:] for row in rows]
        return headers, named


def check_level(level: float) -> float:
    """Return the level of an interval, which lies strictly between 0 and 1."""
    if isinstance(level, bool) or not 0.0 < level < 1.0:
        raise ValidationError.from_value(
            "level", "must lie strictly between 0 and 1", level, "0.95 is the default."
        )
    return level


def check_days(days: object, name: str) -> None:
    """Demand a whole number of days >= 0."""
    if isinstance(days, bool) or not isinstance(days, int | np.integer) or days < 0:
        remedy = "Give days, for instance 90."
        raise ValidationError.from_value(name, "must be a whole number >= 0", days, remedy)


def check_shares(shares: Sequence[float]) -> FloatArray:
    """Return shares as an array; each lies strictly between 0 and 1."""
    found = np.asarray(shares, dtype=np.float64)
    if found.ndim != 1 or not len(found) or not np.all((found > 0.0) & (found < 1.0)):
        rule, remedy = "must lie strictly between 0 and 1", "(0.5,) asks for the median."
        raise ValidationError.from_value("shares", rule, tuple(np.atleast_1d(found)), remedy)
    return found
