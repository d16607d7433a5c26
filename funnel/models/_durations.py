"""Durations of every state from counts: stages lean on all of them, visits on their stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels import lifetimes
from funnel.models import _hazards

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.kernels.lifetimes import Family, Grouped
    from funnel.models._sojourns import Layout
    from funnel.typing import FloatArray, IntArray

__all__ = ["Durations", "durations"]

PRIOR = 2.0
"""Deals of the pooled fit on which the durations to each target of a stage lean."""

LEFT = 0.1
"""Fewest deals that stay for ever on which a class of visit leans, lest it be sure of none."""

CELLS = 25
"""Intervals into which such deals are sorted."""


class Durations(NamedTuple):
    """How states are left.

    Parameters
    ----------
    families : tuple of str
        Family of each state.
    same_day : (s, t) float64
        Chance to leave to each target on the day of entry.
    shares : (s, t) float64
        Of the others, the share that moves to each target in the end.
    location, spread : (s, t) float64
        Of the logarithm of the days to the move.
    """

    families: tuple[Family, ...]
    same_day: FloatArray
    shares: FloatArray
    location: FloatArray
    spread: FloatArray


def durations(
    layout: Layout,
    exposed: FloatArray,
    moves: FloatArray,
    families: Sequence[Family],
    lean: float,
) -> Durations:
    """(s, d), (s, t, d) -> Durations: fit all states; the best of `families` for each stage."""
    group, goal = layout.stage_of(), _hazards.goals(layout)
    goals, groups, states = int(goal.max()) + 1, int(group.max()) + 1, layout.states
    coarse = _hazards.by_goal(layout, moves)
    opened = np.flatnonzero(group < layout.stages)
    edges = np.unique(np.geomspace(1.0, max(moves.shape[2] - 1, 1), CELLS).round().astype(np.int64))
    pooled = {
        family: _pooled(family, exposed[opened].sum(axis=0), coarse[opened].sum(axis=(0, 1)))
        for family in families
    }
    found: list[Family] = [families[0]] * states
    same_day = np.zeros((states, goals))
    shares, location, spread = np.zeros((states, goals)), *np.ones((2, states, goals))
    for number in range(groups):
        members = np.flatnonzero(group == number)
        risk, events = exposed[members].sum(axis=0), coarse[members].sum(axis=0)
        same = events[:, 0] / (risk[0] + 1.0)
        used = np.flatnonzero(events[:, 1:].any(axis=1))
        same_day[members] = (coarse[members, :, 0] + lean * same) / (exposed[members, :1] + lean)
        if not len(used):
            continue
        family, whole = _stage(lifetimes.grouped(risk[1:], events[used, 1:]), pooled, edges)
        for state in members.tolist():
            own, seen = exposed[state, 1:], coarse[state][used, 1:]
            theta = whole
            if own.any() and not np.array_equal(own, risk[1:]):
                theta = _visit(family, lifetimes.grouped(own, seen), whole, edges, lean)
            mean, log_spread, logits = theta.reshape(3, -1)
            found[state] = family
            shares[state, used] = lifetimes.shares_of(logits)[:-1]
            location[state, used], spread[state, used] = mean, np.exp(log_spread)
    split = _hazards.shares(moves.sum(axis=2), goal, group)
    return Durations(
        families=tuple(found),
        same_day=same_day[:, goal] * split,
        shares=shares[:, goal] * split,
        location=location[:, goal],
        spread=spread[:, goal],
    )


def _pooled(family: Family, exposed: FloatArray, moved: FloatArray) -> FloatArray:
    """(d,), (d,) -> (2,): location and logarithm of the spread of all moves out of open stages."""
    if not moved[1:].any():
        return np.zeros(2)  # all moves are of the day of entry
    data = lifetimes.grouped(exposed[1:], moved[None, 1:])
    return lifetimes.fit(family, data._replace(ends=data.ends + 1.0))[:2]


def _stage(
    data: Grouped, pooled: dict[Family, FloatArray], edges: IntArray
) -> tuple[Family, FloatArray]:
    """Return the family of a stage under which its own counts are likeliest, and its fit.

    One deal that moves and one that stays for ever are added (Laplace's rule).
    """
    ends = np.append(data.ends[:-1] / data.ends.sum(), 1.0)
    fits, values = {}, {}
    for family, (location, log_spread) in pooled.items():
        alike = lifetimes.masses(family, location, np.exp(log_spread), edges)
        more = np.tile(PRIOR * alike, (len(data.moves), 1))
        fits[family] = lifetimes.fit(family, lifetimes.leaning(data, edges, more, ends))
        values[family], _ = lifetimes.likelihood(fits[family], family, data)
    best = max(values, key=values.__getitem__)
    return best, fits[best]


def _visit(
    family: Family, data: Grouped, whole: FloatArray, edges: IntArray, lean: float
) -> FloatArray:
    """Fit a class of visit as if `lean` deals like those of its stage had been seen to the end."""
    location, log_spread, logits = whole.reshape(3, -1)
    ends = lean * lifetimes.shares_of(logits)
    ends[-1] = max(ends[-1], LEFT)
    alike = lifetimes.masses(family, location, np.exp(log_spread), edges)
    return lifetimes.fit(
        family, lifetimes.leaning(data, edges, ends[:-1, None] * alike, ends), whole
    )
