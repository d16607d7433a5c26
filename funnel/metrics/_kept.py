"""Deals on their way to a promised day, by lead time, and whether they were won in its period."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.calendars import to_days
from funnel.metrics._promises import day_ends
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.calendars import Calendar, Unit
    from funnel.tables import History
    from funnel.typing import BoolArray, IntArray

__all__ = ["KEPT", "Chances", "chances"]

KEPT = ("won", "lost", "removed", "open")
"""How a deal stands at the end of the promised period."""

SHORTEST = {"week": 7, "month": 28, "quarter": 84, "year": 364}  # days


class Chances(NamedTuple):
    """One entry for each promise and group of lead times that it reached, (m,) each."""

    row: IntArray
    stage: IntArray
    pushes: IntArray
    lead: IntArray
    promise: IntArray  # the promised day
    kept: IntArray  # positions in KEPT
    decided: BoolArray  # is the promised period over?


def period_ends(promise: IntArray, unit: Unit, calendar: Calendar) -> IntArray:
    """(m,) -> (m,): last day of the period in which each promised day lies."""
    if not len(promise):
        return promise
    first, last = int(promise.min()), int(promise.max())
    n = (last - first) // SHORTEST[unit] + 2
    edges = to_days(calendar.periods(np.datetime64(first, "D"), n, unit)).astype(np.int64)
    return edges[np.searchsorted(edges, promise, side="right")] - 1


def chances(history: History, leads: tuple[int, ...], unit: Unit, calendar: Calendar) -> Chances:
    """Look at each promise on the first day of each group of lead times on which it stood.

    The group is known by the days from the end of that day to the promise; a promise counts once
    in each group, with the stage and the pushes of that day.
    """
    ends = day_ends(history)
    n = len(ends.row)
    stop = np.full(n, history.observed_until + 1, dtype=np.int64)
    follows = ends.deal[1:] == ends.deal[:-1]
    stop[:-1][follows] = ends.at[1:][follows]
    stint = np.cumsum(ends.begins)
    found = []
    for lead, (low, high) in enumerate(
        zip((0, *(e + 1 for e in leads)), (*leads, None), strict=True)
    ):
        day = ends.at if high is None else np.maximum(ends.at, ends.promise - high)
        reached = np.flatnonzero(ends.promised & (day < stop) & (day <= ends.promise - low))
        reached = reached[np.unique(stint[reached], return_index=True)[1]]
        found.append((reached, np.full(len(reached), lead)))
    at, lead_of = (np.concatenate(parts) for parts in zip(*found, strict=True))
    goal = period_ends(ends.promise[at], unit, calendar)
    key = (ends.deal << 32) + ends.at
    final = np.searchsorted(key, (ends.deal[at] << 32) + goal, side="right") - 1
    outcome = ends.outcome[final]
    return Chances(
        row=ends.row[at],
        stage=ends.stage[at],
        pushes=ends.pushes[at],
        lead=lead_of,
        promise=ends.promise[at],
        kept=np.where(outcome == Outcome.OPEN, len(KEPT) - 1, outcome.astype(np.int64) - 1),
        decided=goal <= history.observed_until,
    )
