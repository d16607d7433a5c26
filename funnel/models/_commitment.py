"""Open deals by forecast category in the weeks of each period: the summary of category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.models._references import CENSORED, references
from funnel.stages import ForecastCategory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.calendars import Calendar
    from funnel.tables import History, Schema
    from funnel.typing import IntArray

__all__ = ["LEVELS", "WEEK", "CategorySummary", "Unit", "categories_of", "summarize_weeks"]

Unit = Literal["month", "quarter", "year"]
"""Kinds of period by which sales teams forecast."""

LEVELS = (*(category.value for category in ForecastCategory), "")
"""Categories in the order of rising commitment; the last one is none."""

WEEK = 7
LONGEST = {"month": 6, "quarter": 14, "year": 53}  # weeks, those of calendars made of weeks too
SHORTEST = {"month": 28, "quarter": 84, "year": 364}  # days


@attrs.frozen(eq=False)
class CategorySummary:
    """Counts of open deals by category and weeks left, and of when they closed.

    Parameters
    ----------
    trained_until : int
        The censoring day.
    calendar : Calendar
        Says when periods end.
    unit : str
        Their kind.
    exits : (5, w, 3, w) int64
        Won, lost or removed, still open when last seen in the period; by category, weeks left on
        the reference day, and whole weeks since then.
    moves : (5, w, 5) int64
        Deals that are still open when the period ends, by category and weeks left on the reference
        day, and category at the end.
    closed : int
        Deals that closed after a reference day.
    """

    trained_until: int
    calendar: Calendar
    unit: Unit
    exits: IntArray
    moves: IntArray
    closed: int

    def merge(self, other: CategorySummary, /) -> CategorySummary:
        """Add the counts of other deals."""
        mine, theirs = ((s.trained_until, s.calendar, s.unit) for s in (self, other))
        if mine != theirs:
            rule = "must be of one observed_until, one calendar and one unit"
            raise ValidationError.from_value("summaries", rule, repr(other.unit), "")
        return attrs.evolve(
            self,
            exits=self.exits + other.exits,
            moves=self.moves + other.moves,
            closed=self.closed + other.closed,
        )


def summarize_weeks(history: History, calendar: Calendar, unit: Unit, /) -> CategorySummary:
    """Count open deals by category and weeks left, when they closed, and what became of others."""
    grid, weeks = _grid(history, calendar, unit)
    seen = references(history, grid)
    left = weeks[np.searchsorted(grid, seen.day)]
    end = seen.day + WEEK * left
    whole = np.minimum(left, (history.observed_until - seen.day) // WEEK)
    week = (seen.days - 1) // WEEK
    closed = (seen.cause < CENSORED) & (week < whole)
    levels = categories_of(history.schema, history.columns, history.stage)
    size, n = LONGEST[unit] + 1, len(LEVELS)
    at = levels[seen.row] * size + left
    key = (at * (CENSORED + 1) + np.where(closed, seen.cause, CENSORED)) * size
    key += np.where(closed, week, whole - 1)
    exits = np.bincount(key, minlength=n * size * (CENSORED + 1) * size)
    stays = np.flatnonzero(~closed & (end <= history.observed_until))
    then = levels[_rows_on(history, history.deal[seen.row[stays]], end[stays])]
    return CategorySummary(
        trained_until=history.observed_until,
        calendar=calendar,
        unit=unit,
        exits=exits.reshape(n, size, CENSORED + 1, size),
        moves=np.bincount(at[stays] * n + then, minlength=n * size * n).reshape(n, size, n),
        closed=len(np.unique(history.deal[seen.row[closed]])),
    )


def _grid(history: History, calendar: Calendar, unit: Unit) -> tuple[IntArray, IntArray]:
    """Return reference days with a whole week after them, and the weeks left: (g,), (g,)."""
    first, last = history.observed_from, history.observed_until - WEEK
    count = max(last - first, 0) // SHORTEST[unit] + 2
    edges = calendar.periods(np.datetime64(first, "D"), count, unit).astype(np.int64)
    weeks = np.arange(LONGEST[unit], 0, -1)
    days = edges[1:, None] - 1 - WEEK * weeks
    use = (days >= np.maximum(edges[:-1, None] - 1, first)) & (days <= last)
    return days[use], np.broadcast_to(weeks, days.shape)[use]


def _rows_on(history: History, deal: IntArray, day: IntArray) -> IntArray:
    """(m,), (m,) -> (m,): the row that says how each deal stood at the end of a day."""
    span = history.observed_until - history.observed_from + 2
    key = history.deal.astype(np.int64) * span + (history.at - history.observed_from)
    asked = deal.astype(np.int64) * span + (day - history.observed_from)
    return np.asarray(np.searchsorted(key, asked, side="right") - 1)


def categories_of(schema: Schema, columns: Mapping[str, IntArray], stage: IntArray) -> IntArray:
    """(n,): position in `LEVELS`: the deal's own category, else its stage's, else none.

    A column that is known as ``final`` only is not looked at.
    """
    typed = schema.funnel.categories[stage].astype(np.int64)
    if "category" in schema.names and schema.column("category").known != "final":
        order = list(ForecastCategory)
        names = schema.column("category").categories
        own = [order.index(ForecastCategory.parse(name)) for name in names]
        codes = np.array([*own, -1])[columns["category"]]
        typed = np.where(codes >= 0, codes, typed)
    return np.where(typed < 0, len(LEVELS) - 1, typed)
