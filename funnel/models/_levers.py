"""Levers on the path of a deal: other conversions and durations of its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ValidationError
from funnel.kernels import renewal, scored
from funnel.models._paths import WIN, kinds
from funnel.models._sojourns import CLASSES, Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.typing import BoolArray, FloatArray

__all__ = ["changed", "movable", "require_room", "states_of", "weights"]


def changed(
    layout: Layout,
    hazards: FloatArray,
    conversions: Mapping[str, float],
    durations: Mapping[str, float],
) -> FloatArray:
    """(s, t, d) -> (s, t, d): hazards with conversions and durations of stages times factors."""
    found, upward = np.array(hazards), kinds(layout) == WIN
    for stage, factor in conversions.items():
        states = states_of(layout, stage)
        require_room(float(_shares(found[states[0]])[upward[states[0]]].sum()), factor, stage)
        for state in states:
            found[state] = converted(found[state], upward[state], factor)
    for stage, factor in durations.items():
        for state in states_of(layout, stage):
            found[state] = _stretched(found[state], factor)
    return found


def movable(layout: Layout, moves: BoolArray) -> tuple[str, ...]:
    """(s,) -> names: stages whose first visits are left, which can convert or last otherwise."""
    pairs = zip(layout.funnel.stages, moves[: layout.stages * CLASSES : CLASSES], strict=True)
    return tuple(stage.id for stage, leaves in pairs if leaves and not stage.on_hold)


def states_of(layout: Layout, stage: str) -> range:
    """Return the states of an open stage, by any of its names: first, second, later visits."""
    code = layout.funnel.code(stage)
    if code >= layout.stages:
        rule = "must be an open stage"
        raise ValidationError.from_value("stage", rule, stage, "Closed deals do not convert.")
    return range(code * CLASSES, (code + 1) * CLASSES)


def require_room(share: float, factor: float, stage: str) -> None:
    """Demand that a conversion, that of first visits, stays at most 1."""
    if factor * share > 1.0 + 1e-12:
        message = f"conversion of {stage!r} must stay at most 1, and would be {factor * share:.3g}."
        raise ValidationError(message, column="conversion")


def weights(share: float, upward: BoolArray, factor: float) -> FloatArray:
    """(), (t,), () -> (t,): factors on the shares of goals, of which `share` go up.

    Upward ones are multiplied, at most until all go up; what never leaves shrinks as others do.
    """
    more = min(factor, 1.0 / share) if share > 0.0 else 1.0
    rest = (1.0 - share * more) / (1.0 - share) if share < 1.0 else 1.0
    return np.where(upward, more, rest)


def _shares(hazards: FloatArray) -> FloatArray:
    """(t, d) -> (t,): share that leaves to each goal in the end, the last hazard being kept."""
    density, last = renewal.densities(hazards[None])[0], hazards[:, -1]
    kept = max(1.0 - float(density.sum()), 0.0)
    return np.asarray(density.sum(axis=1) + kept * last / max(float(last.sum()), 1e-300))


def converted(hazards: FloatArray, upward: BoolArray, factor: float) -> FloatArray:
    """(t, d), (t,) -> (t, d): hazards with `factor` times as many going on upwards, at most all.

    Times to each goal keep their law: of the shares q_t(u) that leave to t on day u, upward ones
    are multiplied, and all others shrink in proportion, those that never leave included. The last
    hazard holds for ever, so that its goals are weighted alike.
    """
    last = hazards[:, -1]
    level = float(last.sum())
    weight = weights(float(_shares(hazards)[upward].sum()), upward, factor)
    moved = renewal.densities(hazards[None])[0] * weight[:, None]
    at_risk = 1.0 - np.concatenate(([0.0], np.cumsum(moved.sum(axis=0))[:-1]))
    found = np.divide(moved, at_risk, out=np.zeros_like(moved), where=at_risk > 1e-12)
    if level > 0.0 and weight @ last > 0.0:
        found[:, -1] = level * weight * last / (weight @ last)
    return np.asarray(found / np.maximum(found.sum(axis=0), 1.0))


def _stretched(hazards: FloatArray, factor: float) -> FloatArray:
    """(t, d), () -> (t, d): hazards on a clock that is slower by a factor.

    The cumulated intensity of each goal by day u is that by day ``u / factor``; moves on the day of
    entry stay. The last intensity is carried on.
    """
    intensity = scored.intensities(hazards[None])[0][0]
    days = hazards.shape[1]
    asked = np.arange(days) / factor
    whole = np.minimum(asked.astype(np.int64), days - 1)
    ran = np.concatenate((np.zeros((len(hazards), 1)), np.cumsum(intensity[:, 1:], axis=1)), axis=1)
    following = intensity[:, np.minimum(whole + 1, days - 1)]
    slowed = intensity.copy()
    slowed[:, 1:] = np.diff(ran[:, whole] + (asked - whole) * following, axis=1)
    return np.asarray(scored.scaled(slowed[None], np.ones((1, 1, 1)))[0])
