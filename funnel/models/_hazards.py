"""Daily hazards of states from counts: pooled where deals are few, and drawn from what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import incidence, posterior

if TYPE_CHECKING:
    from funnel.models._sojourns import Layout
    from funnel.typing import FloatArray, IntArray

__all__ = [
    "THIN",
    "by_goal",
    "coarse_hazards",
    "draw_states",
    "drawn_together",
    "goals",
    "hazards_of",
    "scaled",
    "shares",
]

THIN = 30  # below so many at risk, ages are pooled into ever wider bins


def goals(layout: Layout) -> IntArray:
    """(t,): the coarse goal of each target, all visits to a stage being one goal."""
    group = layout.stage_of()
    return np.concatenate((group, group.max() + 1 + np.arange(layout.targets - layout.states)))


def by_goal(layout: Layout, values: FloatArray) -> FloatArray:
    """(s, t, d) -> (s, g, d): sums over the targets of each goal."""
    goal = goals(layout)
    coarse = np.zeros((len(values), int(goal.max()) + 1, values.shape[2]))
    for target, aim in enumerate(goal.tolist()):
        coarse[:, aim] += values[:, target]
    return coarse


def coarse_hazards(
    layout: Layout, exposed: FloatArray, coarse: FloatArray, lean: float
) -> FloatArray:
    """(s, d), (s, g, d) -> (s, g, d): hazards of each state, leaning on all visits to its stage."""
    group = layout.stage_of()
    hazards = np.zeros_like(coarse)
    for stage in range(int(group.max()) + 1):
        members = np.flatnonzero(group == stage)
        risk, events = exposed[members].sum(axis=0), coarse[members].sum(axis=0)
        edges = incidence.tail_edges(risk, THIN)
        whole = incidence.pooled_hazards(events, risk, edges, THIN)
        for state in members.tolist():
            own = coarse[state] + lean * whole
            hazards[state] = own / (exposed[state] + lean)
    return hazards


def hazards_of(layout: Layout, exposed: FloatArray, moves: FloatArray, lean: float) -> FloatArray:
    """(s, d), (s, t, d) -> (s, t, d): hazards of each state, leaning on all visits to its stage.

    The chance to leave to a *stage* is shared by the visits; into which class of visit of the
    target a move leads is a share of its own, without regard to age.
    """
    goal = goals(layout)
    hazards = coarse_hazards(layout, exposed, by_goal(layout, moves), lean)
    split = shares(moves.sum(axis=2), goal, layout.stage_of())
    return hazards[:, goal, :] * split[:, :, None]


def shares(total: FloatArray, goal: IntArray, group: IntArray) -> FloatArray:
    """(s, t) -> (s, t): of the moves to a goal, the share of each of its targets.

    A state leans, by one move, on all states of its stage; where no move to the goal was ever
    seen, first visits are assumed.
    """
    found = np.zeros_like(total)
    for aim in range(int(goal.max()) + 1):
        members = np.flatnonzero(goal == aim)
        if len(members) == 1:
            found[:, members] = 1.0
            continue
        first = np.zeros(len(members))
        first[0] = 1.0
        for stage in range(int(group.max()) + 1):
            rows = np.flatnonzero(group == stage)
            pooled = total[np.ix_(rows, members)].sum(axis=0)
            pooled = pooled / pooled.sum() if pooled.sum() > 0 else first
            own = total[np.ix_(rows, members)] + pooled
            found[np.ix_(rows, members)] = own / own.sum(axis=1, keepdims=True)
    return found


# -- draws -----------------------------------------------------------------------------------------


def scaled(hazards: FloatArray, factor: FloatArray) -> FloatArray:
    """(..., t, d), (..., t, d) -> (..., t, d): multiplied hazards, their sum kept at 1 at most."""
    found = hazards * factor
    total = found.sum(axis=-2, keepdims=True)
    return np.asarray(found / np.maximum(total, 1.0))


def drawn_together(hazards: FloatArray, risk: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(c, d), (d,) -> (c, d): one draw of hazards that were pooled in the age bins of `risk`."""
    edges = incidence.tail_edges(risk, THIN)
    exposed = np.add.reduceat(risk, edges[:-1])
    carry = _carry(edges, exposed)
    mean = hazards[:, edges[:-1]]
    found = posterior.leaning(mean, exposed + np.where(carry > 0.0, THIN, 0.0), carry, rng)
    factor = np.divide(found, mean, out=np.ones_like(mean), where=mean > 0.0)
    return scaled(hazards, np.repeat(factor, np.diff(edges), axis=1))


def _carry(edges: IntArray, exposed: FloatArray) -> FloatArray:
    """(b + 1,), (b,) -> (b,): weight of the bin before; bins of a day, and the first, have none."""
    carry = np.where(np.diff(edges) > 1, THIN / (exposed + THIN), 0.0)
    carry[:1] = 0.0
    return np.asarray(carry)


def draw_states(
    layout: Layout, hazards: FloatArray, occupied: FloatArray, lean: float, rng: np.random.Generator
) -> FloatArray:
    """(s, t, d), (s, d) -> (s, t, d): one draw of hazards that `hazards_of` has estimated.

    In each age bin, the hazards of the stage are drawn first, then those of its states given the
    stage's (see `SemiMarkov`); the days of a bin are multiplied alike. Shares of the visits
    to a goal are drawn too, from as many moves as were seen.
    """
    goal, group = goals(layout), layout.stage_of()
    found = np.zeros(hazards.shape)
    for stage in range(int(group.max()) + 1):
        members = slice(*np.searchsorted(group, (stage, stage + 1)).tolist())
        targets = np.flatnonzero(hazards[members].any(axis=(0, 2)))
        if not len(targets):
            continue
        own, risk = hazards[members, targets], occupied[members]
        start = np.unique(goal[targets], return_index=True)[1]
        ends = [*start[1:].tolist(), len(targets)]
        spans = [slice(*pair) for pair in zip(start.tolist(), ends, strict=True)]
        coarse = np.stack([own[:, span].sum(axis=1) for span in spans], axis=1)
        drawn = _draw_stage(coarse, risk, lean, rng)
        for column, span in enumerate(spans):
            shares = _draw_shares(own[:, span], coarse[:, column], risk, rng)
            found[members, targets[span]] = shares[:, :, None] * drawn[:, None, column]
    return found


def _draw_shares(
    own: FloatArray, coarse: FloatArray, risk: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """(m, v, d), (m, d), (m, d) -> (m, v): one draw of the shares of targets in moves to a goal.

    A share rests on the moves seen, and on the one move that it leans on.
    """
    if own.shape[1] == 1:
        return np.ones(own.shape[:2])
    total, moves = coarse.sum(axis=1)[:, None], (coarse * risk).sum(axis=1)
    share = np.divide(own.sum(axis=2), total, out=np.zeros(own.shape[:2]), where=total > 0.0)
    some = posterior.dirichlet(share.T[:-1], moves + 1.0, rng)
    return np.concatenate((some, 1.0 - some.sum(axis=0, keepdims=True))).T


def _draw_stage(
    hazards: FloatArray, occupied: FloatArray, lean: float, rng: np.random.Generator
) -> FloatArray:
    """(m, c, d), (m, d) -> (m, c, d): one draw of the hazards of all states of a stage."""
    edges = incidence.tail_edges(occupied.sum(axis=0), THIN)
    begin, width = edges[:-1], np.diff(edges)
    exposed, prior = np.add.reduceat(occupied, begin, axis=1), lean * width
    seen = exposed + prior
    total = np.add.reduceat(hazards * (occupied + lean)[:, None, :], begin, axis=2)
    # A bin that nobody was seen in, and that leans on nothing, keeps its hazards.
    mean = total / np.where(seen > 0.0, seen, 1.0)[:, None]
    weight = prior / np.where(seen > 0.0, seen, 1.0)
    carry = _carry(edges, exposed.sum(axis=0))
    whole = _whole(total.sum(axis=0), exposed.sum(axis=0), len(hazards) * prior, carry)
    # What a state takes from its stage is at most all it has, whatever was rounded.
    share = np.where(weight > 0.0, weight, 1e-300)[:, None]
    whole = np.minimum(whole, (mean / share).min(axis=0))
    known = (exposed * weight).sum(axis=0) + np.where(carry > 0.0, THIN, 0.0)
    off = posterior.leaning(whole, known, carry, rng) - whole
    centre = np.maximum(mean + weight[:, None] * off, 0.0)
    drawn = posterior.dirichlet(centre, seen, rng)
    factor = np.divide(drawn, mean, out=np.ones_like(mean), where=mean > 0.0)
    return scaled(hazards, np.repeat(factor, width, axis=2))


def _whole(
    total: FloatArray, exposed: FloatArray, prior: FloatArray, carry: FloatArray
) -> FloatArray:
    """(c, b), (b,), (b,), (b,) -> (c, b): hazards of a stage, back from those of its states.

    `total` is the moves of all states and what they lean on; see `incidence.pooled_hazards`.
    """
    whole = np.divide(total, exposed + prior, out=np.zeros_like(total), where=exposed + prior > 0.0)
    for number in np.flatnonzero(carry > 0.0).tolist():
        seen = exposed[number] + prior[number] + THIN
        whole[:, number] = (total[:, number] + THIN * whole[:, number - 1]) / seen
    return whole
