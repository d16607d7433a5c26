"""What of a history may be seen on a day."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date, to_day
from funnel.errors import LeakError, ValidationError
from funnel.kernels import keys, trace
from funnel.kernels.arrays import frozen
from funnel.tables._subset import subset
from funnel.tables.findings import Findings
from funnel.tables.pipeline import Pipeline
from funnel.tables.schema import BLANK

if TYPE_CHECKING:
    from funnel.stages import Funnel, Outcome
    from funnel.tables.history import History
    from funnel.tables.schema import Column
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


def snapshot(history: History, cut: int, outcome: Outcome | None = None) -> Pipeline:
    """Return the state of every deal, or of those with an outcome, at the end of day `cut`."""
    rows = trace.last_rows(history.at, history.bounds, cut)
    known = rows >= 0
    if outcome is not None:
        known &= history.funnel.outcomes[history.stage[rows]] == outcome
    deals = np.flatnonzero(known)
    rows = rows[deals]
    pieces = history.pieces
    piece = pieces.of_row[rows]
    age = pieces.age[piece]
    return Pipeline(
        schema=history.schema,
        as_of=cut,
        ids=history._ids.take(deals),  # noqa: SLF001 - names that nobody asked for stay so
        stage=frozen(history.stage[rows]),
        created=frozen(history.created[deals]),
        stage_entered=pieces.entered[piece],
        closed_on=pieces.closed_on[piece],
        first_seen=history.at[history.bounds[:-1][deals]],
        days_in_stage=np.where(age < 0, -1, age + cut - pieces.start[piece]).astype(np.int32),
        visits=pieces.visit[piece],
        previous_stage=pieces.previous[piece],
        furthest_stage=stage_at(history.funnel, pieces.furthest[piece]),
        pushes=history.pushes[rows],
        reopened=pieces.reopened[piece],
        columns=columns_of(history, rows, cut),
    )


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
    visible = _final_visible(history, rows, cut)
    return {
        name: _blanked(history.schema.column(name), column[rows], visible)
        for name, column in history.columns.items()
    }


def _final_visible(history: History, rows: IntArray, cut: int) -> BoolArray:
    """(m,) -> (m,): mask of rows whose ``final`` values may be seen on day `cut`."""
    if cut >= history.observed_until:
        return np.ones(len(rows), dtype=np.bool_)
    last = rows == history.bounds[1:][history.deal[rows]] - 1
    return np.asarray(last & (history.stage[rows] == history.funnel.won_code))


def _blanked(
    column: Column, values: np.ndarray[Any, Any], visible: BoolArray
) -> np.ndarray[Any, Any]:
    """Blank the values of a ``final`` column where they were not known."""
    if column.known == "final":
        values = np.where(visible, values, BLANK[column.kind]).astype(values.dtype)
    return frozen(values)


def stage_at(funnel: Funnel, position: IntArray) -> IntArray:
    """(m,) -> (m,): the state code at each position of the ladder; -1 stays."""
    ladder = funnel.ladder
    codes = np.full(int(ladder.max()) + 2, -1, dtype=np.int16)
    codes[ladder[ladder >= 0]] = np.flatnonzero(ladder >= 0)
    return codes[position]


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
