"""Exposure by calendar bucket, state and day of age: the Lexis diagram, counted.

A spell of a state begins on day `start` at age `age` and ends on day `stop`, where it moves to a
target or is censored. It is at risk once a day, at ages that grow by one a day, and each day
belongs to one calendar bucket: spells are split at bucket edges, so that buckets add and subtract.
All counts are integers; merging and ties are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, IntArray

__all__ = ["exposure"]

BLOCK = 1 << 18  # spells at a time


def exposure(
    state: IntArray,
    start: IntArray,
    age: IntArray,
    stop: IntArray,
    fresh: BoolArray,
    *,
    edges: IntArray,
    shape: tuple[int, int],
) -> IntArray:
    """(p,) x 5, (b + 1,) -> (b, s, d): spells at risk on each day of age, by calendar bucket.

    Parameters
    ----------
    state, start, age, stop : (p,) int
        State, first day, age on it, and last day (the exit or the censoring day).
    fresh : (p,) bool
        Was the state entered on `start`? A fresh spell is at risk on its first day; one that was
        first seen there, or resumed after a hold, has lived that day of age before and is at risk
        from the next one on (unless it leaves at once).
    edges : (b + 1,) int
        Bucket k holds the days ``edges[k] <= day < edges[k + 1]``; all spells lie in some bucket.
    shape : tuple of int
        Numbers of states and of days of age.

    Notes
    -----
    A spell adds one where it begins and takes one away after it ends. Where it crosses an edge, it
    ends in one bucket and begins in the next, at the same age.
    """
    states, days = shape
    full = (len(edges) - 1, states, days + 1)
    bucket_of = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    risk, crossings = np.zeros(np.prod(full), np.int64), np.zeros(np.prod(full), np.int64)
    for begin in range(0, len(state), BLOCK):
        some = slice(begin, begin + BLOCK)
        last = stop[some].astype(np.int64)
        first = start[some] + (~fresh[some] & (last > start[some])).astype(np.int64)
        row = state[some] * (days + 1) - (start[some].astype(np.int64) - age[some])
        opening, closing = bucket_of[first - edges[0]], bucket_of[last - edges[0]]
        width = states * (days + 1)
        risk += np.bincount(opening * width + row + first, minlength=len(risk))
        risk -= np.bincount(closing * width + row + last + 1, minlength=len(risk))
        crossed = closing - opening
        spell = np.repeat(np.arange(len(crossed)), crossed)
        step = np.arange(1, len(spell) + 1) - np.repeat(np.cumsum(crossed) - crossed, crossed)
        bucket = opening[spell] + step
        crossings += np.bincount(
            bucket * width + row[spell] + edges[bucket], minlength=len(crossings)
        )
    risk, crossings = risk.reshape(full), crossings.reshape(full)
    risk += crossings
    risk[:-1] -= crossings[1:]
    return np.cumsum(risk, axis=2)[:, :, :days]
