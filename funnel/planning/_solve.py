"""Solve a plan for its one unknown: the givens are a product, so one division does it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from funnel.errors import ValidationError, did_you_mean
from funnel.planning._exact import positive, shown

if TYPE_CHECKING:
    from funnel.planning._classic import Givens

__all__ = ["Limits", "Unknown", "solve"]

QUANTITIES = ("target", "average_amount", "reps", "rep_capacity")
BY_STAGE = ("conversion", "duration")


@attrs.frozen
class Unknown:
    """The quantity to solve for, and its stage where it belongs to one."""

    quantity: str
    stage: int | None = None

    @classmethod
    def parse(cls, text: str | None, stages: tuple[str, ...]) -> Unknown | None:
        """Read ``"target"`` or ``"conversion:Propose"``; None asks for nothing."""
        if text is None:
            return None
        quantity, _, stage = str(text).partition(":")
        if quantity in QUANTITIES and not stage:
            return cls(quantity)
        if quantity in BY_STAGE and stage in stages:
            return cls(quantity, stages.index(stage))
        known = [*QUANTITIES, *(f"{name}:{item}" for name in BY_STAGE for item in stages)]
        rule = "must be a quantity, or one of a stage"
        raise ValidationError.from_value("solve_for", rule, text, did_you_mean(str(text), known))

    def of(self, quantity: str) -> int | None:
        """Return the unknown stage of a quantity by stage."""
        return self.stage if self.quantity == quantity else None


@attrs.frozen
class Limits:
    """What there is to work with, besides the givens: reps, entries in all, or stock of a stage."""

    reps: Fraction | None = None
    entries: Fraction | None = None
    stock: tuple[int, Fraction] | None = None

    @classmethod
    def of(cls, reps: object, entries: object, stock: tuple[int, object] | None) -> Limits:
        """Check the numbers."""
        return cls(
            None if reps is None else positive(reps, "reps"),
            None if entries is None else positive(entries, "entries"),
            None if stock is None else (stock[0], positive(stock[1], "stock")),
        )

    @property
    def named(self) -> list[str]:
        """Say which are given, with their values."""
        found = [
            f"{name} = {shown(value)}"
            for name in ("reps", "entries")
            if (value := getattr(self, name)) is not None
        ]
        return found if self.stock is None else [*found, f"stock = {shown(self.stock[1])}"]


def _needed(givens: Givens, limits: Limits) -> tuple[Fraction | None, Fraction, str]:
    """Return what the givens need of what is limited, what there is, and how to say it."""
    if limits.entries is not None:
        needed: Fraction | None = givens.total_wins * givens.per_win[0]
        return needed, limits.entries, f"{shown(limits.entries)} entries"
    if limits.stock is not None:
        stage, there = limits.stock
        return givens.peak_stock(stage), there, f"a stock of {shown(there)}"
    there = limits.reps or Fraction(1)
    return givens.peak_reps, there, f"{shown(there)} reps"


def _require_determined(unknown: Unknown, givens: Givens, limits: Limits) -> None:
    """Demand exactly one limit, which depends on the unknown, and time to measure it in."""
    wanted = {"rep_capacity": "reps", "duration": "stock"}.get(unknown.quantity)
    named = limits.named
    if not named or (wanted and not any(name.startswith(wanted) for name in named)):
        remedy = {
            "reps": "Give reps=.",
            "stock": "Give stock={'...': deals} of that stage.",
            None: "Give reps= with rep_capacity=, entries=, or stock={'...': deals}.",
        }[wanted]
        raise ValidationError(
            f"{unknown.quantity} must follow from something that is limited. {remedy}",
            column="solve_for",
        )
    if len(named) > 1:
        raise ValidationError(
            f"exactly one limit must be given to solve for {unknown.quantity}, got "
            f"{' and '.join(named)}: they may contradict one another. Leave out all but one.",
            column="solve_for",
        )
    if limits.stock is not None:
        _require_stage(unknown, givens, limits.stock[0])


def _require_stage(unknown: Unknown, givens: Givens, stage: int) -> None:
    """Demand that the stock of a stage depends on the unknown."""
    name = givens.stages[stage]
    if unknown.quantity == "duration" and unknown.stage != stage:
        raise ValidationError(
            f"stock must be that of the stage whose duration is asked for, got {name!r}.",
            column="stock",
        )
    if unknown.quantity == "conversion" and (unknown.stage or 0) < stage:
        raise ValidationError(
            f"conversion of {givens.stages[unknown.stage or 0]!r} does not follow from the stock "
            f"of {name!r}, which comes later. Give the stock of a stage up to it, or entries=.",
            column="stock",
        )
    stays = unknown.quantity == "duration" or givens.durations is None or givens.durations[stage]
    if not stays or not givens.visits[stage]:
        why = "duration" if givens.visits[stage] else "number of visits"
        raise ValidationError(
            f"stock of {name!r} is always 0, for its {why} is 0. Give entries= instead.",
            column="stock",
        )


def solve(givens: Givens, unknown: Unknown, limits: Limits) -> Givens:
    """Return the givens with the unknown in its place, where it stood as 1.

    What is needed is proportional to target and duration, and to the inverse of amount, conversion
    and capacity; that of the reps follows from the rest.

    Raises
    ------
    ValidationError
        When the givens leave it open, may contradict one another, or no value in its range will do.
    """
    _require_determined(unknown, givens, limits)
    needed, there, limit = _needed(givens, limits)
    if needed is None:
        what = {"stock": "durations and weeks", "reps": "rep_capacity and weeks"}
        kind = "stock" if limits.stock is not None else "reps"
        raise ValidationError(
            f"{limit} are only a limit with {what[kind]}. Give "
            f"{'durations=' if kind == 'stock' else 'rep_capacity='}, and horizon= or "
            "selling_weeks=; or entries= instead.",
            column=kind,
        )
    factor = there / needed
    if unknown.quantity == "target":
        return attrs.evolve(givens, target=factor)
    if unknown.quantity == "average_amount":
        return attrs.evolve(givens, average=(1 / factor,) * len(givens.average))
    if unknown.quantity == "rep_capacity":
        return attrs.evolve(givens, rep_capacity=1 / factor)
    place = unknown.stage or 0
    if unknown.quantity == "duration":
        durations = list(givens.durations or ())
        durations[place] = factor
        return attrs.evolve(givens, durations=tuple(durations))
    if factor < 1:
        raise ValidationError(
            f"conversion of {givens.stages[place]!r} would have to be {shown(1 / factor)}, which "
            f"is above 1: {limit} cannot reach the target of {shown(givens.target)} at an average "
            f"amount of {', '.join(map(shown, givens.average))}.",
            column="conversion",
        )
    conversions = list(givens.conversions)
    conversions[place] = 1 / factor
    return attrs.evolve(givens, conversions=tuple(conversions))
