"""Which submissions make up each period of a horizon."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.calendars import to_date
from funnel.errors import InsufficientDataError
from funnel.forecasting._submissions_past import owner_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.calendars import Horizon
    from funnel.forecasting._submissions_table import Submissions
    from funnel.typing import BoolArray, IntArray

__all__ = ["Cell", "Cover", "cover"]


class Cell(NamedTuple):
    """Submissions for the days ``start .. end - 1``, all of one period of the horizon."""

    period: int
    start: int
    end: int
    rows: IntArray
    owner: IntArray


class Cover(NamedTuple):
    """The cells of all periods, and who is missing."""

    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def cover(
    known: Submissions, horizon: Horizon, as_of: int, owners: list[str], *, kind: str
) -> Cover:
    """Return the submissions in force for the days after `as_of`, period by period.

    Raises
    ------
    InsufficientDataError
        When nobody covers a period.
    """
    rows = known.in_force(np.ones(len(known), dtype=np.bool_))
    owner = owner_codes(known, owners)[rows]
    people = np.unique(owner)
    cells: list[Cell] = []
    notes = []
    for period, (label, first, after) in enumerate(horizon):
        begin, end = (int(day) for day in horizon.edges[period : period + 2])
        floor = max(begin, as_of + 1)
        if end <= floor:
            continue  # all of it has been booked
        picked, reached = _tile(known, rows, owner, (begin, floor, end), len(owners))
        covered = reached <= floor
        if not covered.any():
            what = (
                f"no {kind} that was submitted by {to_date(as_of)} covers the period {label!r} "
                f"({first} to {after})"
            )
            remedy = "Ask for the periods of the submissions, or for periods made up of them."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        cells.extend(_cells(known, rows[picked], owner[picked], covered, period))
        absent = people[~covered[people]]
        if len(absent):
            notes.append(
                f"{label}: {len(absent):,} of {len(people):,} people who have submitted before "
                f"have no {kind} for all of it (first: {owners[absent[0]]!r}); only what they have "
                "booked counts"
            )
    return Cover(tuple(cells), tuple(notes))


def _tile(
    known: Submissions,
    rows: IntArray,
    owner: IntArray,
    days: tuple[int, int, int],
    owners: int,
) -> tuple[IntArray, IntArray]:
    """Return positions in `rows` that make up a period for each owner, and the day reached.

    From the end of the period backwards, the longest first, until the day after `as_of`.
    """
    begin, floor, end = days
    start, stop = known.start[rows], known.end[rows]
    reached = np.full(owners, end, dtype=np.int64)
    picked: list[IntArray] = []
    while True:
        fits = (start >= begin) & (stop == reached[owner]) & (reached[owner] > floor)
        hits = np.flatnonzero(fits)
        if not len(hits):
            return np.concatenate([np.empty(0, dtype=np.int64), *picked]), reached
        hits = hits[np.lexsort((start[hits], owner[hits]))]
        longest = np.append(True, np.diff(owner[hits]) != 0)
        hits = hits[longest]
        reached[owner[hits]] = start[hits]
        picked.append(hits)


def _cells(
    known: Submissions, rows: IntArray, owner: IntArray, covered: BoolArray, period: int
) -> Iterator[Cell]:
    """Yield the submissions of those who cover the period, by the days that they speak of."""
    rows, owner = rows[covered[owner]], owner[covered[owner]]
    spans = np.stack((known.start[rows], known.end[rows]), axis=1)
    for start, end in np.unique(spans, axis=0).tolist():
        here = (known.start[rows] == start) & (known.end[rows] == end)
        yield Cell(period, start, end, rows[here], owner[here])
