"""Win curves of semi-Markov cells: a state and the days of age in it."""

from __future__ import annotations

import itertools
import warnings
from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ExtrapolationWarning
from funnel.kernels import renewal
from funnel.models._cells import days_since
from funnel.models._sojourns import CLASSES, Layout
from funnel.tables.sums import count_open

if TYPE_CHECKING:
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = [
    "ages_in_state",
    "cell_wins",
    "entry_wins",
    "fresh_wins",
    "stages_of",
    "warn_of_older",
]

NOISE = 1e-12  # transforms leave some 1e-14 of what cannot happen: below this, nothing can


def ages_in_state(pipeline: Pipeline) -> IntArray:
    """(n,): days in the stage, since closing for closed deals; -1 unknown."""
    closed = pipeline.stage >= pipeline.funnel.won_code
    if not closed.any():
        return pipeline.days_in_stage
    since = days_since(pipeline.closed_on, pipeline.as_of, np.iinfo(np.int32).max)
    return np.where(closed, since, pipeline.days_in_stage)


def stages_of(layout: Layout, states: IntArray) -> IntArray:
    """Return the code of the stage of each state, whatever the segment: (c,) -> (c,)."""
    lost = np.asarray(layout.funnel.lost_codes, dtype=np.int64)
    codes = np.concatenate((np.repeat(np.arange(layout.stages), CLASSES), lost))
    return np.asarray(codes[states % layout.states])


def warn_of_older(pipeline: Pipeline, days: int) -> None:
    """Say how many open deals are in their stage for as many days as none in history."""
    rule = "days in stage", days
    older = count_open(pipeline, rule, lambda deals: np.asarray(deals.days_in_stage >= days))
    if older:
        message = (
            f"{older:,} open deals are in their stage for longer than any in history "
            f"({days - 1} days); the last hazard seen is carried on for them"
        )
        warnings.warn(message, ExtrapolationWarning, stacklevel=4)


def fresh_wins(
    layout: Layout, hazards: FloatArray, resumed: FloatArray, horizon: int
) -> FloatArray:
    """Chance to have won within each number of days after entering or resuming a state.

    (s, t, d), (stages, d), () -> (s + stages, horizon + 1); 0 for what no move leads to.
    """
    used = np.flatnonzero(hazards.any(axis=(0, 2)))
    used = np.union1d(used, layout.won)
    onward = used[used < layout.won]
    entered = onward[onward < layout.states]
    stages = onward[len(entered) :] - layout.resumed
    within = hazards[:, :, : horizon + 1][np.ix_(entered, used)]
    beyond = ((0, 0), (0, 0), (0, horizon + 1 - within.shape[2]))
    homes = hazards[stages * CLASSES][:, used]
    found = np.zeros((layout.won, horizon + 1))
    found[onward] = entry_wins(np.pad(within, beyond, mode="edge"), homes, resumed[stages])
    return found


def entry_wins(entered: FloatArray, homes: FloatArray, resumed: FloatArray) -> FloatArray:
    """(..., e, u, h + 1), (..., r, u, d), (r, d) -> (..., e + r, h + 1): chances to have won.

    By each day; hazards of e states that moves lead to, and of the states in which r stages are
    resumed, at ages distributed as `resumed`. Targets are those e and r, then won, then others.
    The leading axes are problems of their own.
    """
    *many, first, targets, days = entered.shape
    states = first + len(resumed)
    leaving = np.empty((*many, states, targets, days))
    leaving[..., :first, :, :] = renewal.densities(entered)
    for row, share in enumerate(resumed):
        ages = np.flatnonzero(share)
        for one in np.ndindex(*many):
            leaving[(*one, first + row)] = renewal.residual(
                homes[(*one, row)], ages, share[ages], days
            )
    return renewal.fresh_wins(leaving[..., :states, :], leaving[..., states, :])


def cell_wins(
    layout: Layout,
    hazards: FloatArray,
    occupied: FloatArray,
    fresh: FloatArray,
    *,
    cells: IntArray,
    ahead: IntArray,
) -> FloatArray:
    """(c,), (k,) -> (c, k): chances to win by cell, ``state * (d + 1) + 1 + age``; -1 is unknown.

    Cells are ascending, and `fresh` is of `fresh_wins`. Where the age is unknown, the chance is the
    mean over the ages at which deals are in the state.
    """
    state, age = np.divmod(cells, hazards.shape[2] + 1)
    unknown = age == 0
    chances = np.zeros((len(cells), len(ahead)))
    known = np.stack((state, age - 1))[:, ~unknown]
    chances[~unknown] = renewal.conditional_wins(hazards, layout.won, fresh, known, ahead)
    for row in np.flatnonzero(unknown).tolist():
        own, seen = hazards[state[row]], occupied[state[row]]
        weight = seen / max(float(seen.sum()), 1e-300)
        chances[row] = renewal.average_wins(own, layout.won, fresh, weight, ahead)
    chances[chances < NOISE] = 0.0
    for earlier, later in itertools.pairwise(chances.T):
        np.maximum(earlier, later, out=later)  # `accumulate` is far slower
    return np.clip(chances, 0.0, 1.0)
