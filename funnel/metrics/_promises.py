"""Promised closing days as they were stated, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.errors import ValidationError
from funnel.kernels import trace
from funnel.metrics._where import require_history
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.tables import History
    from funnel.typing import BoolArray, IntArray

__all__ = ["ENDS", "PUSHES", "DayEnds", "Promises", "day_ends", "lead_names", "promises"]

ENDS = ("pushed", "pulled", "withdrawn", "won", "lost", "removed", "standing")
"""What can become of a promise; the counts always add up to the promises."""

PUSHED, PULLED, WITHDRAWN, WON, LOST, REMOVED, STANDING = range(len(ENDS))

PUSHES = ("0", "1", "2", "3+")
"""How often the promise had moved later before."""


class DayEnds(NamedTuple):
    """States of deals at the end of each day with a change, (e,) each, sorted by deal and day."""

    row: IntArray
    deal: IntArray
    at: IntArray
    stage: IntArray
    promise: IntArray
    pushes: IntArray
    outcome: IntArray
    promised: BoolArray  # open, and with a promise
    begins: BoolArray  # a promise that was not there the day before


class Promises(NamedTuple):
    """One entry for each promise that was stated, (m,) each.

    A promise begins at the end of the day on which it was first seen. It ends when another one is
    given, or the deal closes; while it is taken back it may still be moved.
    """

    row: IntArray
    stage: IntArray
    pushes: IntArray
    promise: IntArray
    end: IntArray  # positions in ENDS
    over: BoolArray  # moved, or the deal is closed
    days: IntArray  # from the statement to the end, or to the censoring day
    moved: IntArray  # days by which it was pushed (> 0) or pulled (< 0), else 0
    late: BoolArray  # won after the promised day, or standing past it


def day_ends(history: History) -> DayEnds:
    """Collect the states at the ends of days."""
    require_history(history, "expected_close", "slippage")
    row = np.flatnonzero(trace.last_of_day(history.deal, history.at))
    deal, at, promise = history.deal[row], history.at[row], history.columns["expected_close"][row]
    outcome = history.funnel.outcomes[history.stage[row]]
    before = trace.promised_before(deal, at, promise, outcome)
    promised = (outcome == Outcome.OPEN) & (promise != NO_DAY)
    goes_on = (before >= 0) & (promise == promise[before])
    return DayEnds(
        row=row,
        deal=deal.astype(np.int64),
        at=at.astype(np.int64),
        stage=history.stage[row].astype(np.int64),
        promise=promise.astype(np.int64),
        pushes=np.minimum(history.pushes[row], len(PUSHES) - 1),
        outcome=outcome,
        promised=promised,
        begins=promised & ~goes_on,
    )


def promises(history: History) -> Promises:
    """List the promises of a history."""
    ends = day_ends(history)
    n = len(ends.row)
    begin = np.flatnonzero(ends.begins)
    stops = ends.begins | (ends.outcome != Outcome.OPEN)
    following = np.append(np.minimum.accumulate(np.where(stops, np.arange(n), n)[::-1])[::-1], n)
    after = following[begin + 1]
    inside = np.minimum(after, n - 1)
    over = (after < n) & (ends.deal[inside] == ends.deal[begin])
    final = np.searchsorted(ends.deal, ends.deal[begin], side="right") - 1
    stands = ends.promised[np.where(over, inside - 1, final)]  # on the day before the end
    old, new = ends.promise[begin], ends.promise[inside]
    moves = over & ends.begins[inside]
    moved = np.where(moves, new - old, 0)
    fate = np.where(over, WON - 1 + ends.outcome[inside], STANDING)
    fate = np.where(stands, fate, WITHDRAWN)
    fate = np.where(moved > 0, PUSHED, np.where(moved < 0, PULLED, fate))
    until = np.where(over, ends.at[inside], history.observed_until)
    return Promises(
        row=ends.row[begin],
        stage=ends.stage[begin],
        pushes=ends.pushes[begin],
        promise=old,
        end=fate,
        over=over,
        days=until - ends.at[begin],
        moved=moved,
        late=((fate == WON) | (fate == STANDING)) & (until > old),
    )


def lead_names(leads: tuple[int, ...]) -> tuple[str, ...]:
    """Name the groups of lead times: up to each edge, and beyond the last one."""
    first = (0, *(edge + 1 for edge in leads))
    names = [f"{low}-{high} days" for low, high in zip(first, leads, strict=False)]
    return (*names, f"over {leads[-1]} days")


def check_leads(leads: Sequence[object]) -> tuple[int, ...]:
    """Demand rising whole numbers of days from 0 on."""
    whole = [n for n in leads if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    if not whole or len(whole) < len(leads) or whole != sorted(set(whole)):
        rule, remedy = "must be rising whole numbers >= 0", "(7, 30, 90) is the default."
        raise ValidationError.from_value("leads", rule, tuple(leads), remedy)
    return tuple(whole)
