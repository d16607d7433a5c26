"""What of a history may be seen on a day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.calendars import to_date, to_day
from funnel.errors import LeakError, ValidationError
from funnel.kernels.arrays import frozen
from funnel.tables.schema import BLANK

if TYPE_CHECKING:
    from funnel.stages import Funnel
    from funnel.tables.history import History
    from funnel.tables.schema import Column
    from funnel.typing import BoolArray, DateLike, IntArray


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
