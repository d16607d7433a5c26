"""The givens of a plan from what a caller writes, the unknown among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funnel.errors import ValidationError
from funnel.planning import _givens as read
from funnel.planning._classic import Givens
from funnel.planning._exact import plain, positive, shown
from funnel.planning._solve import Limits, Unknown, solve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.calendars import Horizon
    from funnel.planning._givens import ByStage
    from funnel.stages import Funnel
    from funnel.typing import DateLike

__all__ = ["build"]


def build(
    target: float | None,
    *,
    conversions: ByStage,
    average_amount: float | Mapping[str, float] | None,
    funnel: Funnel | None,
    visits: ByStage | None,
    durations: ByStage | None,
    horizon: Horizon | None,
    selling_weeks: float | Sequence[float] | None,
    seasonality: Sequence[float] | None,
    shares: Mapping[str, float] | None,
    gross_up: float,
    rep_capacity: float | None,
    as_of: DateLike | None,
    reps: float | None = None,
    entries: float | None = None,
    stock: Mapping[str, float] | None = None,
    solve_for: str | None = None,
) -> Givens:
    """Check everything that `plan` takes, and solve for the unknown."""
    stages = read.ladder(funnel, conversions)
    unknown = Unknown.parse(solve_for, stages)
    _require_one_unknown(unknown, target, average_amount, rep_capacity)
    labels, seasons, weeks = read.split(horizon, seasonality, selling_weeks)
    parts, average = read.shares_of(shares, average_amount)
    asked = unknown or Unknown("")
    capacity = 1 if asked.quantity == "rep_capacity" else rep_capacity
    givens = Givens(
        target=positive(1 if target is None else target, "target"),
        gross_up=positive(gross_up, "gross_up"),
        shares=parts,
        average=average,
        seasonality=seasons,
        periods=labels,
        weeks=weeks,
        stages=stages,
        conversions=read.conversions_of(conversions, stages, funnel, asked.of("conversion")),
        visits=read.visits_of(visits, stages, funnel),
        durations=read.durations_of(durations, stages, funnel, asked.of("duration")),
        rep_capacity=None if capacity is None else positive(capacity, "rep_capacity"),
        horizon=horizon,
        as_of=read.plan_day(as_of),
    )
    limits = Limits.of(reps, entries, read.stock_of(stock, stages, funnel))
    givens = _solved(givens, unknown, limits)
    read.require_time(givens)
    return givens


def _require_one_unknown(
    unknown: Unknown | None, target: object, average: object, capacity: object
) -> None:
    """Demand every given but the unknown, and not the unknown."""
    asked = "" if unknown is None else unknown.quantity
    values = {"target": target, "average_amount": average, "rep_capacity": capacity}
    if asked in values and values[asked] is not None:
        raise ValidationError(
            f"{asked} is to be solved for and is also given as {plain(values[asked])!r}. "
            "Leave it out, or solve for another quantity.",
            column=asked,
        )
    for name in ("target", "average_amount"):
        if values[name] is None and asked != name:
            message = f"{name} must be given, or solved for by solve_for={name!r}."
            raise ValidationError(message, column=name)


def _solved(givens: Givens, unknown: Unknown | None, limits: Limits) -> Givens:
    """Solve for the unknown; where there is none, or it is the reps, nothing may limit the plan."""
    if unknown is not None and unknown.quantity != "reps":
        return solve(givens, unknown, limits)
    if limits.named:
        needed = givens.peak_reps
        also = "" if needed is None else f" The other givens need {shown(needed)} reps."
        raise ValidationError(
            f"{' and '.join(limits.named)} must follow from the other givens, which say it already."
            f"{also} Leave it out, or name another unknown by solve_for=.",
            column="solve_for",
        )
    if unknown is not None and givens.peak_reps is None:
        raise ValidationError(
            "reps can only be solved for with rep_capacity=, and horizon= or selling_weeks=.",
            column="solve_for",
        )
    return givens
