"""How fast history goes out of date: the half-life that would have foretold the last months."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from funnel.errors import ValidationError
from funnel.models._hazards import coarse_hazards, goals
from funnel.models._sojourns import CLASSES, Layout

if TYPE_CHECKING:
    import attrs

    from funnel.models._sojourns import Sojourns
    from funnel.typing import FloatArray

__all__ = ["AUTO", "best_half_life", "half_life_or_auto"]

AUTO: Literal["auto"] = "auto"

DAYS = (90.0, 180.0, 360.0, 720.0)
CYCLES = (1.0, 2.0, 4.0)  # times the mean days to closing
ORIGINS = 8  # calendar buckets that are foretold, the last ones
FLOOR = 1e-6  # chance of what a model holds to be impossible


def half_life_or_auto(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand days > 0, ``"auto"`` or None."""
    del instance
    if value is None or value == AUTO:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        rule = 'must be a number > 0, "auto" or None'
        raise ValidationError.from_value(attribute.name, rule, value, "")


def best_half_life(summary: Sojourns, lean: float) -> float | None:
    """Choose the half-life with the highest likelihood of what came next.

    For each of the last calendar buckets, hazards come from the buckets before it, and what is
    scored is every deal-day in it: the move that was made, or that none was::

        sum of moves log h + sum of stays log(1 - sum of h)
    """
    candidates = (None, *sorted({*DAYS, *_cycles(summary)}, reverse=True))
    scores = [_likelihood(summary, half_life, lean) for half_life in candidates]
    return candidates[int(np.argmax(scores))]


def _cycles(summary: Sojourns) -> tuple[float, ...]:
    """Multiples of the days at risk per closed deal."""
    layout = Layout(summary.funnel)
    own = layout.stages * CLASSES
    state, target = summary.moves[:, 1], summary.moves[:, 2]
    lost = (target >= own) & (target < layout.states)
    closing = (state < own) & (lost | (target >= layout.won))
    closed = int(summary.counts[closing].sum())
    mean = float(summary.exposure[:, :own].sum()) / max(closed, 1)
    return tuple(float(np.round(cycle * mean)) for cycle in CYCLES if round(cycle * mean) > 0)


def _likelihood(summary: Sojourns, half_life: float | None, lean: float) -> float:
    """Log likelihood of the last buckets, each given those before it."""
    buckets = len(summary.exposure)
    total = 0.0
    for number in range(max(buckets - ORIGINS, 1), buckets):
        until = summary.first_bucket + number - 1
        exposed, moves = _counts(summary, summary.weights(half_life, until=until))
        hazards = coarse_hazards(Layout(summary.funnel), exposed, moves, lean)
        here = np.zeros(buckets)
        here[number] = 1.0
        total += _score(hazards, *_counts(summary, here))
    return total


def _counts(summary: Sojourns, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(b,) -> (s, d), (s, g, d): exposure, and moves by goal, in the weighted buckets."""
    aim = goals(Layout(summary.funnel))
    _, states, days = summary.exposure.shape
    bucket, state, target, age = summary.moves.T
    shape = (states, int(aim.max()) + 1, days)
    key = (state * shape[1] + aim[target]) * days + age
    counted = weight[bucket - summary.first_bucket] * summary.counts
    moved = np.bincount(key, counted, minlength=states * shape[1] * days)
    used = np.flatnonzero(weight)
    exposed = np.tensordot(weight[used], summary.exposure[used], axes=1)
    return exposed, moved.astype(np.float64).reshape(shape)


def _score(hazards: FloatArray, risk: FloatArray, moves: FloatArray) -> float:
    """(s, g, d), (s, d), (s, g, d) -> (): log likelihood of moves and of days without any."""
    at = np.nonzero(moves)
    stays = risk - moves.sum(axis=1)
    days = np.nonzero(stays)
    left = hazards.sum(axis=1)[days]
    kept = stays[days] @ np.log(np.maximum(1.0 - left, FLOOR))
    return float(kept + moves[at] @ np.log(np.maximum(hazards[at], FLOOR)))
