"""Paths under multiplied hazards: which moves are multiplied, and what follows the next one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.kernels import renewal, ridge, scored
from funnel.models._sojourns import CLASSES, Layout

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["LOSS", "WIN", "Ahead", "kinds"]

WIN, LOSS, OTHER = 0, 1, 2
"""Moves up the ladder or to won; to a lost state or removed; back, to or from hold, reopened."""

STEP = 0.25
"""Distance of the scores for which later stages are solved; between them chances are mixed."""


def kinds(layout: Layout) -> IntArray:
    """(s, t): the kind of each move; moves out of lost states are of no kind."""
    open_states = layout.stages * CLASSES
    rung = np.repeat(layout.funnel.ladder[: layout.stages], CLASSES)
    found = np.full((layout.states, layout.targets), OTHER)
    upward = (rung[None, :] > rung[:, None]) & (rung[:, None] >= 0)
    found[:open_states, :open_states] = np.where(upward, WIN, OTHER)
    found[:open_states, open_states : layout.states] = LOSS
    found[:open_states, layout.won] = WIN
    found[:open_states, layout.removed] = LOSS
    return found


@attrs.frozen(eq=False, slots=False)
class Ahead:
    """What is ahead of deals whose hazards are multiplied.

    The multipliers of later stages are replaced by one pair for the whole path from there on: the
    mean of their logarithms, weighted by the moves of each kind that are expected in each stage.
    """

    layout: Layout
    hazards: FloatArray
    resumed: FloatArray

    @functools.cached_property
    def used(self) -> IntArray:
        """Targets that moves lead to, and won."""
        seen = np.asarray(self.hazards.any(axis=(0, 2)))
        seen[self.layout.won] = True
        return np.flatnonzero(seen)

    @property
    def onward(self) -> IntArray:
        """Those of `used` from which deals go on: states, and stages that are resumed."""
        return self.used[self.used < self.layout.won]

    @property
    def won(self) -> int:
        """Position of won in `used`."""
        return len(self.onward)

    @functools.cached_property
    def intensity(self) -> FloatArray:
        """(s, t, d): see `scored.intensities`."""
        return scored.intensities(self.hazards)[0]

    @functools.cached_property
    def kind(self) -> IntArray:
        """(s, t): see `kinds`."""
        return kinds(self.layout)

    def leaving(self, state: IntArray, age: IntArray, scores: FloatArray, days: int) -> FloatArray:
        """(n,), (n,), (n, 2), () -> (n, u, days): chance to leave to each target used, by day."""
        last = self.intensity.shape[2] - 1
        lived = np.minimum(age.astype(np.int64)[:, None] + 1 + np.arange(days), last)
        aligned = self.intensity[:, self.used].transpose(0, 2, 1)[state[:, None], lived]
        multiplier = _multipliers(scores)[np.arange(len(state))[:, None], self.kind[state]]
        hazards = scored.scaled(aligned.transpose(0, 2, 1), multiplier[:, self.used, None])
        return renewal.densities(hazards)

    def nodes(self, scores: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
        """(n, 2, 2 stages) -> (v, 2), (n, o, 4), (n, o, 4): the lattice points around each path.

        Points as multiples of `STEP`; for each deal and onward target the numbers of four of them
        with their weights, so that the weighted mean of the points is the mean score ahead.
        """
        place = np.zeros((len(scores), len(self.onward), 2))
        for kind in (WIN, LOSS):
            place[:, :, kind] = scores[:, kind] @ self._shares(kind)[self.onward].T
        place = np.clip(place, -ridge.LIMIT, ridge.LIMIT) / STEP
        low = np.floor(place).astype(np.int64)
        part = place - low
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        chosen = np.where(corners == 1, part[:, :, None], 1.0 - part[:, :, None])
        weights = chosen.prod(axis=3)
        # A corner without weight need not be solved: let it be the nearest one that has some.
        around = low[:, :, None] + np.where(part[:, :, None] > 0.0, corners, 0)
        points, number = np.unique(around.reshape(-1, 2), axis=0, return_inverse=True)
        return points, number.reshape(weights.shape), weights

    def _shares(self, kind: int) -> FloatArray:
        """() -> (states + stages, 2 stages): share of each phase in the moves of a kind ahead."""
        layout, stages = self.layout, self.layout.stages
        start = np.concatenate((np.arange(layout.states), np.arange(stages) * CLASSES))
        visits, now, later = scored.moves_ahead(self.hazards, self.kind == kind, start)
        found = np.zeros((len(start), 2 * stages))
        for stage in range(stages):
            states = slice(stage * CLASSES, (stage + 1) * CLASSES)
            found[:, 2 * stage] = visits[start, states] @ now[states]
            found[:, 2 * stage + 1] = visits[start, states] @ later[states]
        total = found.sum(axis=1, keepdims=True)
        return np.asarray(np.divide(found, total, out=np.zeros_like(found), where=total > 0.0))

    def fresh(self, points: IntArray, days: int) -> FloatArray:
        """(v, 2), () -> (v, o, days + 1): chances to win after a move, at lattice points."""
        found = np.zeros((len(points), len(self.onward), days + 1))
        for number, point in enumerate(points * STEP):
            hazards = scored.scaled(
                self.intensity, _multipliers(point[None])[0][self.kind][:, :, None]
            )
            found[number] = self._fresh(hazards, days + 1)[self.onward]
        return found

    def _fresh(self, hazards: FloatArray, days: int) -> FloatArray:
        """(s, t, d), () -> (s + stages, days): chance to win by each day from entry on."""
        layout, last = self.layout, hazards.shape[2] - 1
        departures = renewal.densities(hazards[:, :, np.minimum(np.arange(days), last)])
        back = np.zeros((layout.stages, layout.targets, days))
        for stage in np.flatnonzero(self.resumed.sum(axis=1) > 0.0).tolist():
            ages = np.flatnonzero(self.resumed[stage])
            weights = self.resumed[stage, ages]
            back[stage] = renewal.residual(hazards[stage * CLASSES], ages, weights, days)
        both = np.concatenate((departures, back))
        return scored.fresh_wins(both[:, : len(both)], both[:, layout.won])


def _multipliers(scores: FloatArray) -> FloatArray:
    """(n, 2) -> (n, 3): multipliers of each kind; other moves are not multiplied."""
    return np.concatenate((np.exp(scores), np.ones((len(scores), 1))), axis=1)
