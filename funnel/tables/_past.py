"""What of a history may be seen on a day."""

from __future__ import annotations

import functools
import weakref
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date, to_day
from funnel.errors import LeakError, ValidationError
from funnel.kernels import asof, keys
from funnel.kernels.arrays import frozen
from funnel.kernels.asof import taken
from funnel.tables._subset import subset
from funnel.tables.findings import Findings
from funnel.tables.pipeline import Pipeline
from funnel.tables.schema import BLANK
from funnel.tables.table import Deferred

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from funnel.stages import Funnel, Outcome
    from funnel.tables.history import History
    from funnel.typing import BoolArray, DateLike, IntArray


def until(history: History, day: int) -> History:
    """Return the history as it was known at the end of `day`.

    Several may ask for the same day: the last answer is shared, as long as somebody has it.
    """
    if day == history.observed_until:
        return history
    latest: History | None = history.__dict__.get("_latest", lambda: None)()
    if latest is None or latest.observed_until != day:
        latest = _cut(history, day)
        history.__dict__["_latest"] = weakref.ref(latest)
    return latest


def _cut(history: History, day: int) -> History:
    """Return the history as it was known at the end of `day`, which is before its last."""
    keep = history.at <= day
    deals = keep[history.bounds[:-1]]
    columns = columns_of(history, np.flatnonzero(keep), day)
    seen = attrs.evolve(history, observed_until=day, findings=Findings.empty())
    return subset(seen, deals, keep, columns, of=history)


def snapshots(
    history: History, cuts: Sequence[int], outcome: Outcome | None = None
) -> Iterator[Pipeline]:
    """Yield the state of every deal, or of those with an outcome, at the end of some days."""
    among = None if outcome is None else history.funnel.outcomes[history.stage] == outcome
    found = asof.rows_on(history.deal, history.at, cuts, among=among)
    for cut, rows in zip(cuts, found, strict=True):
        known = _Known(history, rows.astype(np.intp, copy=False), cut)  # once for all columns
        yield Pipeline._deferred(known.field, schema=history.schema, as_of=cut)  # noqa: SLF001


@attrs.frozen(eq=False, slots=False)
class _Known:
    """What was known on day `cut`, told by the rows that held then: (k,) each.

    A snapshot asks when it is asked: most questions need few of its columns.
    """

    history: History
    rows: IntArray
    cut: int

    @functools.cached_property
    def deals(self) -> IntArray:
        """The deals."""
        return taken(self.history.deal, self.rows)

    @functools.cached_property
    def piece(self) -> IntArray:
        """Their pieces."""
        return taken(self.history.pieces.of_row, self.rows)

    def field(self, name: str) -> Any:  # noqa: ANN401 - a field
        """Return a field of the snapshot."""
        history = self.history
        if name == "columns":
            return Deferred(history.columns, self.column)
        if name == "_ids":
            return history._ids.take(self.deals)  # noqa: SLF001 - names nobody asks for stay so
        return frozen(self._values(name))

    def _values(self, name: str) -> Any:  # noqa: ANN401 - an array of the field's kind
        """Return what is derived for each deal."""
        history = self.history
        if name in {"stage", "pushes"}:
            return taken(getattr(history, name), self.rows)
        if name == "created":
            return taken(history.created, self.deals)
        if name == "first_seen":
            return taken(history.at, taken(history.bounds, self.deals))
        if name == "days_in_stage":
            days = taken(history.clocks, self.rows)
            days += np.int32(self.cut)
            return np.maximum(days, np.int32(-1), out=days)
        if name == "furthest_stage":
            return stage_at(history.funnel, history.pieces.furthest[self.piece])
        return taken(getattr(history.pieces, _OF_PIECE[name]), self.piece)

    def column(self, name: str) -> np.ndarray[Any, Any]:
        """Return a column of the snapshot; a ``final`` one is blank where it was not known."""
        column, values = (
            self.history.schema.column(name),
            taken(self.history.columns[name], self.rows),
        )
        if column.known == "final":
            values = np.where(self.final, values, BLANK[column.kind]).astype(values.dtype)
        return frozen(values)

    @functools.cached_property
    def final(self) -> BoolArray:
        """Whose ``final`` values may be seen: all on the last day, before it those booked."""
        history = self.history
        if self.cut >= history.observed_until:
            return np.ones(len(self.rows), dtype=np.bool_)
        last = self.rows == history.bounds[1:][self.deals] - 1
        return np.asarray(last & (history.stage[self.rows] == history.funnel.won_code))


_OF_PIECE = {
    "stage_entered": "entered",
    "closed_on": "closed_on",
    "visits": "visit",
    "previous_stage": "previous",
    "reopened": "reopened",
}


def fingerprints(history: History) -> IntArray:
    """Return marks of all that was known at the end of each day from `observed_from` on: (d,).

    They do not depend on the order of the deals, and those of chunks add up. What was known on the
    last day is more than its mark says: ``final`` values of all deals.
    """
    found: IntArray | None = history.__dict__.get("_fingerprints")
    if found is None:
        begin = history.bounds[:-1][history.deal]
        deals = keys.of_rows(
            (keys.of_names(history.ids.tolist()), history.created, history.first_entered)
        )
        columns = dict(history.columns)
        if any(column.known == "final" for column in history.schema.columns):
            columns = columns_of(history, np.arange(len(history)), history.observed_until - 1)
        place = np.arange(len(history)) - begin
        rows = (deals[history.deal], place, history.at, history.stage)
        mark = keys.of_rows((*rows, *(columns[name] for name in sorted(columns))))
        day, length = history.at - history.observed_from, history.observed_until + 1
        found = frozen(keys.sums_by_day(mark, day, length - history.observed_from))
        history.__dict__["_fingerprints"] = found
    return found


def columns_of(history: History, rows: IntArray, cut: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of some rows as they were known on day `cut`."""
    known = _Known(history, rows, cut)
    return {name: known.column(name) for name in history.columns}


def stage_at(funnel: Funnel, position: IntArray) -> IntArray:
    """(m,) -> (m,): the state code at each position of the ladder; -1 stays."""
    ladder = funnel.ladder
    codes = np.full(int(ladder.max()) + 2, -1, dtype=np.int16)
    codes[ladder[ladder >= 0]] = np.flatnonzero(ladder >= 0)
    return codes.take(position)


def observed_day(history: History, day: DateLike) -> int:
    """Return `day` as a number after checking that it was observed."""
    cut = to_day(day, name="day")
    if cut > history.observed_until:
        msg = (
            f"the history was observed until {to_date(history.observed_until)}, so what was known "
            f"on {to_date(cut)} cannot be said. If the log is complete to that day, say so: "
            f"observed_until={str(to_date(cut))!r} when reading it."
        )
        raise LeakError(msg)
    if cut < history.observed_from:
        raise ValidationError.from_value(
            "day",
            f"must not be before observed_from ({to_date(history.observed_from)})",
            str(day),
            "",
        )
    return cut
