"""A standard from what was: from a history, or from a model that was fitted to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import InsufficientDataError, ValidationError
from funnel.metrics.conversion import conversion
from funnel.metrics.durations import stage_durations
from funnel.models import HasFlow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.calendars import Horizon
    from funnel.models import FittedModel
    from funnel.stages import Funnel
    from funnel.tables import History
    from funnel.typing import FloatArray, IntArray

__all__ = ["of_history", "of_model"]

REACH = 4 * 365
"""Days for which deals are followed from the first stage."""


def of_history(history: History, period: Horizon | None) -> dict[str, Any]:
    """Return the fields of what the funnel really did, see `StandardFunnel.from_history`."""
    if period is not None and len(period) > 1:
        rule, remedy = "must be one period", "Use period.whole()."
        raise ValidationError.from_value("period", rule, period, remedy)
    moved = conversion(history, period=period)
    stays = stage_durations(history, period=period)
    n_days = history.observed_until - history.observed_from + 1
    if period is not None:
        n_days = round(float(moved.scope.observed()[0]) * int(np.diff(period.edges)[0]))
    entered = moved.entries[0]
    used = _used(history.funnel, entered)
    weekly = float(entered[used[0]]) * 7 / n_days if used else None
    found = _fields(history.funnel, used, entered, moved.rate[0], stays.restricted_mean[0])
    return {**found, "weekly_entries": weekly}


def of_model(fitted: FittedModel) -> dict[str, Any]:
    """Return the fields of what a model expects, see `StandardFunnel.from_model`."""
    if not isinstance(fitted, HasFlow):
        raise ValidationError.from_value(
            "fitted",
            "must be a fitted model that follows deals from stage to stage",
            type(fitted).__name__,
            "Use 'semi-markov', 'stage-duration' or 'parametric', or from_history.",
        )
    funnel = fitted.funnel
    top = _used(funnel, np.ones(funnel.n_stages, dtype=np.int64))[0]
    flow = fitted.fresh_flow(funnel.ids[top], REACH)
    entered, moved, spent = (
        some.sum(axis=0) for some in (flow.entries, flow.advanced, flow.occupancy)
    )
    used = _used(funnel, entered)
    visits = np.where(entered > 0.0, entered, 1.0)
    return _fields(funnel, used, entered, moved / visits, spent / visits)


def _used(funnel: Funnel, entered: FloatArray | IntArray) -> list[int]:
    """Return the stages that are entered, without those on hold or retired."""
    states = funnel.states[: funnel.n_stages]
    pairs = zip(states, entered.tolist(), strict=True)
    return [i for i, (s, n) in enumerate(pairs) if n and not (s.on_hold or s.retired)]


def _fields(
    funnel: Funnel,
    used: Sequence[int],
    entered: FloatArray | IntArray,
    rates: FloatArray,
    days: FloatArray,
) -> dict[str, Any]:
    """Return stages, conversions, days and entries of the stages that are used.

    Raises
    ------
    InsufficientDataError
        When nobody goes on from one of them, or there is none.
    """
    names = [funnel.ids[place] for place in used]
    unusable = [name for name, place in zip(names, used, strict=True) if not rates[place] > 0.0]
    if unusable or not used:
        what = f"deals that went on from {', '.join(unusable) or 'any stage'}"
        raise InsufficientDataError(what, needed=1, found=0, remedy="Take a longer period.")
    some = list(used)
    timed = bool(np.all(days[some] > 0.0))
    return {
        "stages": names,
        "conversions": np.minimum(rates[some], 1.0).tolist(),
        "days": days[some].tolist() if timed else None,
        "entries": (entered[some] / entered[some[0]]).tolist(),
    }
