"""What happened to each deal between two days: the bar of a bridge that its change belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.calendars import Horizon
    from funnel.tables import Pipeline
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["BAR", "BARS", "at", "causes"]

BARS = (
    "start",
    "re-owned",
    "amount changes",
    "booked since",
    "won earlier than expected",
    "lost",
    "removed",
    "no longer won",
    "reopened",
    "moved up",
    "moved back",
    "on hold",
    "off hold",
    "pulled in",
    "pushed",
    "days passed",
    "created since",
    "still to come",
    "not by deal",
    "model refitted",
    "end",
)
"""Bars of a bridge, in the order in which they change the forecast; see `bridge`."""

BAR = {name: number for number, name in enumerate(BARS)}

ABSENT = -1


def at(values: np.ndarray[Any, Any], rows: IntArray, missing: float) -> np.ndarray[Any, Any]:
    """(n,), (u,) -> (u,): values of some rows, `missing` where the row is -1."""
    return np.append(values, values.dtype.type(missing))[rows]


def causes(
    was: Pipeline,
    now: Pipeline,
    rows: tuple[IntArray, IntArray],
    horizon: Horizon,
    chance: FloatArray,
) -> IntArray:
    """(u,) rows of both pipelines, (u, k) -> (u,): the bar of each deal, by `BAR`.

    `chance` is what the first forecast said. The first that holds counts: the end of a deal comes
    before its moves, and those before its promise.
    """
    before = at(was.outcome, rows[0], ABSENT)
    after = at(now.outcome, rows[1], ABSENT)
    is_open, won, lost = before == Outcome.OPEN, before == Outcome.WON, before == Outcome.LOST
    closed = lost | (before == Outcome.REMOVED)
    won_since = is_open & (after == Outcome.WON)
    early, late = _timing(was, now, rows, horizon, chance)
    again = at(was.closed_on, rows[0], NO_DAY) != at(now.closed_on, rows[1], NO_DAY)
    alive = (after == Outcome.OPEN) | (after == Outcome.WON)
    found = {
        "created since": before == ABSENT,
        "removed": (after == Outcome.REMOVED) | (after == ABSENT),
        "reopened": (closed & alive) | (won & (after == Outcome.WON) & again),
        "no longer won": won & (after != Outcome.WON),
        "days passed": ~is_open | (won_since & late),
        "won earlier than expected": won_since & early,
        "booked since": won_since,
        "lost": after == Outcome.LOST,
        **_moved(was, now, rows),
        **_promised(was, now, rows),
    }
    return np.select(
        list(found.values()), [BAR[name] for name in found], default=BAR["days passed"]
    )


def _timing(
    was: Pipeline,
    now: Pipeline,
    rows: tuple[IntArray, IntArray],
    horizon: Horizon,
    chance: FloatArray,
) -> tuple[BoolArray, BoolArray]:
    """(u,), (u,): deals won earlier than expected, and those won after the horizon."""
    closed = at(now.closed_on, rows[1], NO_DAY)
    promise = at(was.expected_close, rows[0], NO_DAY)
    period = horizon.period_of(closed)
    won_by = np.cumsum(chance, axis=1)
    until = won_by[np.arange(len(closed)), period]
    expected_later = won_by[:, -1] - until > until
    promised_later = promise >= horizon.edges[period + 1]
    later = np.where(promise == NO_DAY, expected_later, promised_later)
    too_soon = (closed != NO_DAY) & (closed < horizon.edges[0])
    return np.where(period >= 0, later, too_soon), closed >= horizon.edges[-1]


def _moved(was: Pipeline, now: Pipeline, rows: tuple[IntArray, IntArray]) -> dict[str, BoolArray]:
    """Say which open deals changed their stage, and where to: (u,) by bar."""
    funnel = was.funnel
    first, last = at(was.stage, rows[0], ABSENT), at(now.stage, rows[1], ABSENT)
    held, holds = funnel.on_hold[first], funnel.on_hold[last]
    running = ~held & ~holds
    return {
        "on hold": ~held & holds,
        "off hold": held & ~holds,
        "moved up": running & (funnel.ladder[last] > funnel.ladder[first]),
        "moved back": running & (funnel.ladder[last] < funnel.ladder[first]),
    }


def _promised(
    was: Pipeline, now: Pipeline, rows: tuple[IntArray, IntArray]
) -> dict[str, BoolArray]:
    """Say which deals are promised for another day; none is the latest of all: (u,) by bar."""
    latest = np.iinfo(np.int32).max
    first, last = (
        np.where(days == NO_DAY, latest, days)
        for days in (
            at(was.expected_close, rows[0], NO_DAY),
            at(now.expected_close, rows[1], NO_DAY),
        )
    )
    return {"pulled in": last < first, "pushed": last > first}
