"""Paths under multiplied hazards: which moves are multiplied, and what follows the next one."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from funnel.kernels import ridge, scored
from funnel.models._curves import entry_wins
from funnel.models._sojourns import CLASSES, Layout

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["LOSS", "WIN", "Ahead", "kinds"]

WIN, LOSS, OTHER = 0, 1, 2
"""Moves up the ladder or to won; to a lost state or removed; back, to or from hold, reopened."""

TOGETHER = 16  # lattice points solved at a time

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
        found = np.empty((len(state), len(self.used), days))
        multiplier = _multipliers(scores)
        until = np.minimum(np.arange(last + 1 + days), last)
        for own in np.unique(state).tolist():
            rows = np.flatnonzero(state == own)
            kind = self.kind[own, self.used]
            path = self.intensity[own, self.used]
            by_kind = np.stack([path[kind == one].sum(axis=0) for one in (WIN, LOSS, OTHER)])
            begin = np.minimum(age[rows].astype(np.int64), last) + 1
            ahead, sums = (
                sliding_window_view(part[:, until], days, axis=1)[:, begin].transpose(1, 0, 2)
                for part in (path, by_kind)
            )
            found[rows] = scored.leaving(ahead, sums, multiplier[rows], kind)
        return found

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
        # One number for a pair is sorted far faster than the pair.
        least, side = around.min(initial=0), int(np.ptp(around)) + 1 if around.size else 1
        pair, number = np.unique((around - least) @ np.array([side, 1]), return_inverse=True)
        points = np.stack(np.divmod(pair, side), axis=1) + least
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
        layout, onward = self.layout, self.onward
        entered = onward[onward < layout.states]
        stages = onward[len(entered) :] - layout.resumed
        home = stages * CLASSES
        # Who has just entered a state is young; who resumes a stage may be of any age.
        young = np.minimum(np.arange(days + 1), self.intensity.shape[2] - 1)
        first = self.intensity[np.ix_(entered, self.used, young)]
        later = self.intensity[home][:, self.used]
        scores = np.asarray(points * STEP, dtype=np.float64)
        multipliers = _multipliers(scores)[:, self.kind[:, self.used]]
        found = np.zeros((len(points), len(onward), days + 1))
        for begin in range(0, len(points), TOGETHER):
            some = slice(begin, begin + TOGETHER)
            multiplier = multipliers[some, ..., None]
            found[some] = entry_wins(
                scored.scaled(first, multiplier[:, entered]),
                scored.scaled(later, multiplier[:, home]),
                self.resumed[stages],
            )
        return found


def _multipliers(scores: FloatArray) -> FloatArray:
    """(n, 2) -> (n, 3): multipliers of each kind; other moves are not multiplied."""
    return np.concatenate((np.exp(scores), np.ones((len(scores), 1))), axis=1)
