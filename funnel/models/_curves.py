"""Win curves of semi-Markov cells: a state and the days of age in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import renewal
from funnel.models._sojourns import CLASSES, Layout
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["ages_in_state", "cell_wins", "fresh_wins"]


def ages_in_state(pipeline: Pipeline) -> IntArray:
    """(n,): days in the stage, since closing for closed deals; -1 unknown."""
    closed = pipeline.closed_on.astype(np.int64)
    since = np.where(pipeline.closed_on == NO_DAY, -1, pipeline.as_of - closed)
    age = np.where(pipeline.outcome == Outcome.OPEN, pipeline.days_in_stage, since)
    return np.maximum(age, -1)


def fresh_wins(
    layout: Layout, hazards: FloatArray, resumed: FloatArray, horizon: int
) -> FloatArray:
    """Chance to have won within each number of days after entering or resuming a state."""
    days = horizon + 1
    shared = min(days, hazards.shape[2])
    padded = np.concatenate(
        (hazards[:, :, :shared], np.repeat(hazards[:, :, -1:], days - shared, axis=2)),
        axis=2,
    )
    departures = renewal.densities(padded)
    back = np.zeros((layout.stages, layout.targets, days))
    for stage in np.flatnonzero(resumed.sum(axis=1) > 0).tolist():
        ages = np.flatnonzero(resumed[stage])
        weights = resumed[stage, ages]
        back[stage] = renewal.residual(hazards[stage * CLASSES], ages, weights, days)
    both = np.concatenate((departures, back))
    return renewal.fresh_wins(both[:, : len(both)], both[:, layout.won])


def cell_wins(
    layout: Layout,
    hazards: FloatArray,
    occupied: FloatArray,
    resumed: FloatArray,
    *,
    cells: IntArray,
    ahead: IntArray,
) -> FloatArray:
    """(c,), (k,) -> (c, k): chances to win by cell, ``state * (d + 1) + age``; age d is unknown.

    Where the age is unknown, the chance is the mean over the ages at which deals are in the state.
    """
    days = hazards.shape[2]
    state, age = np.divmod(cells, days + 1)
    unknown = age == days
    age = np.where(unknown, 0, age)
    ages = np.arange(days) if unknown.any() else np.unique(age)
    fresh = fresh_wins(layout, hazards, resumed, int(ahead.max()))
    found = renewal.conditional_wins(hazards, layout.won, fresh, ages, ahead)
    chances = found[np.searchsorted(ages, age), state]
    if unknown.any():
        weight = occupied / np.maximum(occupied.sum(axis=1, keepdims=True), 1e-300)
        chances[unknown] = np.einsum("sd,dsk->sk", weight, found)[state[unknown]]
    return np.clip(np.maximum.accumulate(chances, axis=1), 0.0, 1.0)
