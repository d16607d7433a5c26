"""Deals on their way: expected moves into every state on each day, forward on the daily grid.

Hazards are as in `renewal`: on day u of age, after the day of entry u = 0, on which a deal may
move on at once. A deal that is resumed is at the age it had by the end of that day, and can move
from the next day on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["Flow", "forward"]


class Flow(NamedTuple):
    """Entries by state (days, s), ends (days, e), deals at the end of each day, counted moves."""

    entries: FloatArray
    ends: FloatArray
    occupancy: FloatArray
    counted: FloatArray


def forward(
    hazards: FloatArray,
    present: FloatArray,
    *,
    arriving: FloatArray,
    back: FloatArray,
    home: IntArray,
    counted: BoolArray,
    days: int,
) -> Flow:
    """(s, t, d), (s, d), (s,), (r, d), (r,), (s, t), () -> expected moves on the next days.

    Parameters
    ----------
    hazards : (s, t, d)
        The targets are the s states, r resumptions, and e ends. Beyond the grid the last hold.
    present : (s, d)
        Deals by state and age, at the end of the day before the first.
    arriving : (s,)
        Deals that enter from outside on the first day; they count as entries.
    back, home : (r, d), (r,)
        Ages at which deals are resumed, and the state that they are then in.
    counted : (s, t)
        Moves that are added up by the state that they leave.

    Notes
    -----
    With n(s, a) deals at the end of a day, the next one has ``m_t = sum n(s, a) h_st(a + 1)`` moves
    from states that were held before, and with those that move on at once the entries are
    ``e = (m + arriving) (I - h(0))^-1``, so that no chain of moves within a day is cut.
    """
    states, targets, ages = hazards.shape
    last, resumptions = ages - 1, len(back)
    later = hazards[:, :, np.minimum(np.arange(1, ages + 1), last)]
    stay = 1.0 - later.sum(axis=1)
    used = [np.flatnonzero(moves.any(axis=1)) for moves in later]
    rates = [moves[aims] for moves, aims in zip(later, used, strict=True)]
    marked = [some[aims].astype(np.float64) for some, aims in zip(counted, used, strict=True)]
    at_once = (hazards[:, :, 0] * counted).sum(axis=1)
    chain = np.linalg.inv(np.eye(states) - hazards[:, :states, 0])
    onward = hazards[:, states:, 0]
    kept = 1.0 - hazards[:, :, 0].sum(axis=1)
    entries = np.zeros((days, states))
    ends = np.zeros((days, targets - states - resumptions))
    occupancy, tally = np.zeros((days, states)), np.zeros((days, states))
    for day in range(days):
        moved = np.zeros(targets)
        for state, (aims, rate, deals) in enumerate(zip(used, rates, present, strict=True)):
            leaving = rate @ deals
            moved[aims] += leaving
            tally[day, state] = leaving @ marked[state]
        inside = moved[:states] + arriving if day == 0 else moved[:states]
        entered = inside @ chain
        outside = moved[states:] + entered @ onward
        stayed = present * stay
        present = np.zeros_like(present)
        present[:, 1:] = stayed[:, :-1]
        present[:, 0] = entered * kept
        present[:, last] += stayed[:, last]
        present[home] += outside[:resumptions, None] * back
        entries[day], ends[day] = entered, outside[resumptions:]
        tally[day] += entered * at_once
        occupancy[day] = present.sum(axis=1)
    return Flow(entries, ends, occupancy, tally)
