"""From what a caller writes to the givens of a plan, checked; the unknown stands as 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.calendars import Horizon, to_date, to_day
from funnel.errors import UnknownStageError, ValidationError
from funnel.planning._classic import DAYS_A_WEEK, Givens
from funnel.planning._exact import chance, count, days, exact, plain, positive, shown
from funnel.stages import Funnel

if TYPE_CHECKING:
    from collections.abc import Callable

    from funnel.typing import DateLike

__all__ = [
    "ByStage",
    "confidence_of",
    "conversions_of",
    "durations_of",
    "ladder",
    "plan_day",
    "shares_of",
    "split",
    "visits_of",
]

ByStage = Sequence[Any] | Mapping[str, Any]
"""One number for each stage in their order, or by name."""

TOLERANCE = Fraction(1, 10**9)
"""Shares that are rounded floats need not add up to the last digit."""


def ladder(funnel: Funnel | None, conversions: Any) -> tuple[str, ...]:  # noqa: ANN401 - checked
    """Return the stages of a plan: those of the funnel that deals still pass, or as they are named.

    Stages on hold or retired are not part of it.
    """
    names: tuple[str, ...] = ()
    if isinstance(funnel, Funnel):
        stages = funnel.states[: funnel.n_stages]
        names = tuple(item.id for item in stages if not item.on_hold and not item.retired)
    elif funnel is not None:
        remedy = "For instance Funnel.template('small-project')."
        raise ValidationError.from_value("funnel", "must be a Funnel", funnel, remedy)
    elif isinstance(conversions, Mapping):
        names = tuple(str(name) for name in conversions)
    elif isinstance(conversions, Sequence | np.ndarray) and not isinstance(conversions, str):
        names = tuple(f"Stage {place}" for place in range(1, len(conversions) + 1))
    if not names:
        rule, remedy = "must name at least one stage", "One conversion, to won, is enough."
        raise ValidationError.from_value("conversions", rule, conversions, remedy)
    return names


def _position(name: str, stages: tuple[str, ...], funnel: Funnel | None) -> int:
    """Return the place of a stage on the ladder of the plan, by any of its names."""
    found = funnel.stage(name).id if funnel is not None else name
    if found not in stages:
        raise UnknownStageError(name, stages)
    return stages.index(found)


def by_stage(
    values: ByStage, name: str, stages: tuple[str, ...], funnel: Funnel | None
) -> list[Any]:
    """Return one value for each stage; None where none is given."""
    if isinstance(values, Mapping):
        found: list[Any] = [None] * len(stages)
        for key, value in values.items():
            place = _position(str(key), stages, funnel)
            if found[place] is not None:
                rule = "must name each stage once"
                raise ValidationError.from_value(name, rule, key, "It is named twice.")
            found[place] = value
        return found
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        rule, remedy = "must have one number for each stage", "Give a sequence, or a mapping."
        raise ValidationError.from_value(name, rule, plain(values), remedy)
    if len(values) != len(stages):
        listed = ", ".join(repr(stage) for stage in stages)
        rule = f"must have one number for each of {len(stages)} stages ({listed})"
        raise ValidationError.from_value(name, rule, plain(values), "Give a mapping to name them.")
    return list(values)


def _read(
    found: list[Any],
    name: str,
    stages: tuple[str, ...],
    unknown: int | None,
    reader: Callable[[object, str], Fraction],
) -> tuple[Fraction, ...]:
    """Read the value of each stage; that of the unknown one is not given and stands as 1."""
    numbers = []
    for place, (stage, value) in enumerate(zip(stages, found, strict=True)):
        what = f"{name} of {stage!r}"
        if place == unknown:
            if value is not None:
                raise ValidationError(
                    f"{what} is to be solved for and is also given as {plain(value)!r}. "
                    "Leave it out, or solve for another quantity.",
                    column=name,
                )
            numbers.append(Fraction(1))
        elif value is None:
            raise ValidationError(f"{what} must be given, or solved for.", column=name)
        else:
            numbers.append(reader(value, what))
    return tuple(numbers)


def conversions_of(
    values: ByStage, stages: tuple[str, ...], funnel: Funnel | None, unknown: int | None
) -> tuple[Fraction, ...]:
    """Read the conversions."""
    found = by_stage(values, "conversion", stages, funnel)
    return _read(found, "conversion", stages, unknown, chance)


def visits_of(
    values: ByStage | None, stages: tuple[str, ...], funnel: Funnel | None
) -> tuple[Fraction, ...]:
    """Read the entries per deal that comes to a stage or past it; one where nothing is said."""
    if values is None:
        return (Fraction(1),) * len(stages)
    found = by_stage(values, "visits", stages, funnel)
    return _read([1 if x is None else x for x in found], "visits", stages, None, count)


def durations_of(
    values: ByStage | None, stages: tuple[str, ...], funnel: Funnel | None, unknown: int | None
) -> tuple[Fraction, ...] | None:
    """Read the durations; by default the standard days of the funnel, where all are typed."""
    if values is None:
        typed = [] if funnel is None else [funnel.stage(name).standard_days for name in stages]
        if not typed or None in typed:
            if unknown is not None and len(stages) > 1:
                raise ValidationError("durations of the other stages must be given, got None.")
            return None if unknown is None else (Fraction(1),)
        if unknown is not None:
            typed[unknown] = None
        values = typed
    found = by_stage(values, "duration", stages, funnel)
    return _read(found, "duration", stages, unknown, days)


def _is_mapping(value: object) -> bool:
    """Tell whether a value maps names to numbers."""
    return isinstance(value, Mapping)


def plan_day(as_of: DateLike | None) -> int | None:
    """Return the day of the plan."""
    return None if as_of is None else to_day(as_of, name="as_of")


def shares_of(
    shares: Mapping[str, float] | None, average: float | Mapping[str, float] | None
) -> tuple[tuple[tuple[str, Fraction], ...], tuple[Fraction, ...]]:
    """Read the shares and the average amount of each; an unknown amount stands as 1."""
    if shares is not None and not _is_mapping(shares):
        rule, remedy = "must map names to shares", "For instance {'direct': 0.6, 'partner': 0.4}."
        raise ValidationError.from_value("shares", rule, plain(shares), remedy)
    parts = {"": 1} if shares is None else {str(name): part for name, part in shares.items()}
    read = [(name, _share(part, f"share of {name!r}")) for name, part in parts.items()]
    _require_whole([part for _, part in read], "shares")
    if isinstance(average, Mapping):
        amounts = {str(name): amount for name, amount in average.items()}
        if set(amounts) != set(parts) or shares is None:
            rule = f"must have one amount for each of the shares {sorted(parts)}"
            raise ValidationError.from_value("average_amount", rule, sorted(amounts), "")
        found = [positive(amounts[name], f"average_amount of {name!r}") for name in parts]
    else:
        value = Fraction(1) if average is None else positive(average, "average_amount")
        found = [value] * len(parts)
    return tuple(read), tuple(found)


def _share(value: object, name: str) -> Fraction:
    """Read one share."""
    return exact(value, name, "must lie between 0 and 1", lambda found: 0 <= found <= 1)


def _require_whole(shares: Sequence[Fraction], name: str) -> None:
    """Demand that shares add up to 1."""
    total = sum(shares, start=Fraction(0))
    if abs(total - 1) > TOLERANCE:
        raise ValidationError(
            f"{name} must sum to 1, got {', '.join(map(shown, shares)) or 'none'}, "
            f"which sum to {shown(total)}.",
            column=name,
        )


def split(
    horizon: Horizon | None,
    seasonality: Sequence[float] | None,
    selling_weeks: float | Sequence[float] | None,
) -> tuple[tuple[str, ...], tuple[Fraction, ...], tuple[Fraction, ...] | None]:
    """Read periods: labels, shares of the target, and selling weeks."""
    if horizon is not None and not isinstance(horizon, Horizon):
        rule, remedy = "must be a Horizon", "For instance Horizon.quarters('2026-01-01', 4)."
        raise ValidationError.from_value("horizon", rule, horizon, remedy)
    if horizon is not None:
        labels = horizon.labels
    elif seasonality is not None:
        _require_count(seasonality, "seasonality", None)
        labels = tuple(str(place) for place in range(1, len(seasonality) + 1))
    else:
        labels = ("all",)
    weeks = _weeks(horizon, selling_weeks, len(labels))
    if seasonality is None:
        pace = weeks or (Fraction(1),) * len(labels)
        whole = sum(pace, start=Fraction(0))
        return labels, tuple(part / whole for part in pace), weeks
    _require_count(seasonality, "seasonality", len(labels))
    seasons = tuple(
        _share(value, f"seasonality of {label!r}")
        for label, value in zip(labels, seasonality, strict=True)
    )
    _require_whole(seasons, "seasonality")
    return labels, seasons, weeks


def _require_count(values: object, name: str, periods: int | None) -> None:
    """Demand one value for each period; None takes any number of them."""
    is_sequence = isinstance(values, Sequence | np.ndarray) and not isinstance(values, str)
    if not is_sequence or periods not in {None, len(values)}:  # type: ignore[arg-type]
        of = "the periods" if periods is None else f"{periods} periods"
        rule = f"must have one number for each of {of}"
        raise ValidationError.from_value(name, rule, plain(values), "")


def _weeks(
    horizon: Horizon | None, selling_weeks: float | Sequence[float] | None, periods: int
) -> tuple[Fraction, ...] | None:
    """Return the selling weeks of each period; by default all of its days."""
    if selling_weeks is None:
        if horizon is None:
            return None
        return tuple(Fraction(int(n), DAYS_A_WEEK) for n in np.diff(horizon.edges).tolist())
    if isinstance(selling_weeks, Sequence | np.ndarray):
        _require_count(selling_weeks, "selling_weeks", periods)
        return tuple(positive(value, "selling_weeks") for value in selling_weeks)
    return (positive(selling_weeks, "selling_weeks"),) * periods


def require_time(givens: Givens) -> None:
    """Demand that a deal created on the day of the plan can be won within the horizon."""
    if givens.as_of is None:
        return
    if givens.horizon is None or givens.lead_days is None:
        message = "as_of says what is too late only with horizon= and durations=. Give both."
        raise ValidationError(message, column="as_of")
    left = int(givens.horizon.edges[-1]) - 1 - givens.as_of
    if givens.lead_days[0] > left:
        raise ValidationError(
            f"the horizon must be longer than the lead time of {shown(givens.lead_days[0])} days; "
            f"from {to_date(givens.as_of)} to its last day are {left:,} days. "
            "No deal created now can be won in it.",
            column="horizon",
        )


def stock_of(
    stock: Mapping[str, float] | None, stages: tuple[str, ...], funnel: Funnel | None
) -> tuple[int, object] | None:
    """Read the stock of one stage: its place and the number of deals."""
    if stock is None:
        return None
    if not _is_mapping(stock) or len(stock) != 1:
        rule, remedy = "must name exactly one stage with its deals", "For instance {'Propose': 30}."
        raise ValidationError.from_value("stock", rule, plain(stock), remedy)
    [(name, deals)] = stock.items()
    return _position(str(name), stages, funnel), deals


def confidence_of(confidence: object) -> float:
    """Demand a probability that is neither certain nor impossible."""
    number = isinstance(confidence, int | float | np.floating) and not isinstance(confidence, bool)
    if not number or not 0.0 < confidence < 1.0:  # type: ignore[operator]
        rule = "must be a probability inside (0, 1)"
        raise ValidationError.from_value("confidence", rule, confidence, "0.8 is usual.")
    return float(confidence)  # type: ignore[arg-type]
