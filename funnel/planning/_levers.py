"""Levers on a fitted model of paths: other conversions and durations of a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels import renewal, scored
from funnel.models._paths import WIN, kinds
from funnel.models._sojourns import CLASSES, Layout
from funnel.models.semi_markov import FittedSemiMarkov

if TYPE_CHECKING:
    from funnel.models import FittedModel
    from funnel.planning.scenarios import Scenario
    from funnel.typing import BoolArray, FloatArray

__all__ = ["changed", "stages_of"]


def stages_of(model: FittedModel) -> tuple[str, ...]:
    """Return the stages whose conversions and durations can be changed; none for other models."""
    if not isinstance(model, FittedSemiMarkov):
        return ()
    stages = model.funnel.stages
    used = [model.hazards[place * CLASSES].any() for place in range(len(stages))]
    pairs = zip(stages, used, strict=True)
    return tuple(stage.id for stage, moves in pairs if moves and not stage.on_hold)


def changed(model: FittedModel, name: str, change: Scenario) -> FittedModel:
    """Return the model under the conversions and durations of a scenario.

    Raises
    ------
    UnknownStageError
        When the funnel has no such stage.
    ValidationError
        When the model has no stages to change, or a conversion would exceed 1.
    """
    if not change.conversions and not change.durations:
        return model
    if not isinstance(model, FittedSemiMarkov):
        raise ValidationError(
            f"scenario {change.name!r} changes conversions or durations of stages, which the model "
            f"{name!r} does not have. Use 'semi-markov', or change inflow or average_amount.",
            column="conversions" if change.conversions else "durations",
        )
    hazards = np.array(model.hazards)
    upward = kinds(Layout(model.funnel)) == WIN
    for stage, factor in change.conversions:
        states = _states(model, stage)
        _require_room(hazards[states[0]], upward[states[0]], factor, stage)
        for state in states:
            hazards[state] = _converted(hazards[state], upward[state], factor)
    for stage, factor in change.durations:
        for state in _states(model, stage):
            hazards[state] = _stretched(hazards[state], factor)
    return attrs.evolve(model, hazards=hazards)


def _states(model: FittedSemiMarkov, stage: str) -> range:
    """Return the states of a stage: its first, second and later visits."""
    code = int(model.funnel.codes(np.array([stage], dtype=object))[0])
    if code >= model.funnel.n_stages:
        rule = "must be an open stage"
        raise ValidationError.from_value("stage", rule, stage, "Closed deals do not convert.")
    return range(code * CLASSES, (code + 1) * CLASSES)


def _require_room(hazards: FloatArray, upward: BoolArray, factor: float, stage: str) -> None:
    """Demand that the conversion of first visits stays at most 1."""
    density = renewal.densities(hazards[None])[0]
    last = hazards[:, -1] / max(float(hazards[:, -1].sum()), 1e-300)
    whole = density.sum(axis=1) + (1.0 - float(density.sum())) * last
    found = factor * float(whole[upward].sum())
    if found > 1.0 + 1e-12:
        message = f"conversion of {stage!r} must stay at most 1, and would be {found:.3g}."
        raise ValidationError(message, column="conversion")


def _converted(hazards: FloatArray, upward: BoolArray, factor: float) -> FloatArray:
    """(t, d), (t,) -> (t, d): hazards with `factor` times as many going on upwards, at most all.

    Times to each goal keep their law: of the shares q_t(u) that leave to t on day u, upward ones
    are multiplied, and all others shrink in proportion, those that never leave included. The last
    hazard holds for ever, so that its goals are weighted alike.
    """
    density = renewal.densities(hazards[None])[0]
    last = hazards[:, -1]
    level = float(last.sum())
    tail = (1.0 - float(density.sum())) * last / level if level > 0.0 else 0.0 * last
    up = float((density.sum(axis=1) + tail)[upward].sum())
    more = min(factor, 1.0 / up) if up > 0.0 else 1.0
    weight = np.where(upward, more, (1.0 - up * more) / (1.0 - up) if up < 1.0 else 1.0)
    moved = density * weight[:, None]
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
