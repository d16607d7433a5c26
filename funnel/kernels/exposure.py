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
    from funnel.typing import BoolArray, DayArray, IntArray

__all__ = ["exposure"]


def exposure(
    state: IntArray,
    start: DayArray,
    age: IntArray,
    stop: DayArray,
    fresh: BoolArray,
    *,
    origin: int,
    width: int,
    shape: tuple[int, int, int],
) -> IntArray:
    """(p,) x 5 -> (b, s, d): spells at risk on each day of age, by calendar bucket.

    Parameters
    ----------
    state, start, age, stop : (p,) int
        State, first day, age on it, and last day (the exit or the censoring day).
    fresh : (p,) bool
        Was the state entered on `start`? A fresh spell is at risk on its first day; one that was
        first seen there, or resumed after a hold, has lived that day of age before and is at risk
        from the next one on (unless it leaves at once).
    origin, width : int
        Bucket k holds the days ``origin + k * width <= day < origin + (k + 1) * width``.
    shape : tuple of int
        Numbers of buckets, states and days of age.
    """
    buckets, states, days = shape
    edge = np.zeros((buckets, states, days + 1), dtype=np.int64).reshape(-1)
    late = ~fresh & (stop > start)
    first = start.astype(np.int64) + late
    birth = start.astype(np.int64) - age  # the day of age 0
    opening, closing = (first - origin) // width, (stop.astype(np.int64) - origin) // width
    rows = np.flatnonzero(first <= stop)
    for step in range(int((closing - opening).max(initial=-1)) + 1):
        rows = rows[opening[rows] + step <= closing[rows]]
        bucket = opening[rows] + step
        begin = np.maximum(first[rows], origin + bucket * width)
        end = np.minimum(stop[rows].astype(np.int64), origin + (bucket + 1) * width - 1)
        base = (bucket * states + state[rows]) * (days + 1) - birth[rows]
        edge += np.bincount(base + begin, minlength=len(edge))
        edge -= np.bincount(base + end + 1, minlength=len(edge))
    return np.cumsum(edge.reshape(buckets, states, days + 1), axis=2)[:, :, :days]
