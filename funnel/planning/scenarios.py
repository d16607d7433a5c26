"""What if: changes as data, compared side by side, and the elasticity of each lever."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import attrs
import numpy as np

from funnel.errors import UnknownStageError, ValidationError, did_you_mean
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.planning._exact import positive, product, shown, to_float
from funnel.planning._givens import require_time
from funnel.results import ResultTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from funnel.planning._classic import Givens
    from funnel.typing import FloatArray, StringArray

__all__ = ["Elasticities", "Scenario", "ScenarioTable"]

SCHEMA = "funnel.Scenario/1"
Factors = tuple[tuple[str, float], ...]


def _as_factors(value: Mapping[str, float] | Iterable[tuple[str, float]]) -> Factors:
    """Store factors by stage as sorted pairs, so that scenarios can be hashed."""
    try:
        pairs = dict(value)
    except (TypeError, ValueError) as error:
        rule, remedy = "must map stages to factors", "For instance {'Propose': 1.1}."
        raise ValidationError.from_value("conversions, durations", rule, value, remedy) from error
    return tuple(sorted((str(name), factor) for name, factor in pairs.items()))


def _check_factor(_: Scenario, attribute: attrs.Attribute[float], value: float) -> None:
    """Demand a factor above 0."""
    positive(value, attribute.name)


def _check_factors(_: Scenario, attribute: attrs.Attribute[Factors], value: Factors) -> None:
    """Demand factors above 0."""
    for name, factor in value:
        positive(factor, f"{attribute.name} of {name!r}")


def _check_name(_: Scenario, __: attrs.Attribute[str], value: object) -> None:
    """Demand a name."""
    if not isinstance(value, str) or not value:
        raise ValidationError.from_value("name", "must be a text", value, "")


@attrs.frozen
class Scenario:
    """A change of strategy or resources, as factors on what a plan is given; 1 changes nothing.

    Parameters
    ----------
    name : str
        How it is called in tables.
    target, average_amount, rep_capacity : float
        Factors above 0.
    inflow : float
        Factor on the deals that enter. It changes what the deals bring, not what a target needs.
    conversions, durations : mapping of str to float
        Factors by stage; stored as sorted pairs.

    Raises
    ------
    ValidationError
        When a factor is not above 0.

    Examples
    --------
    >>> better = Scenario("coaching", conversions={"Propose": 1.1}, average_amount=1.05)
    >>> better
    Scenario(name='coaching', target=1.0, average_amount=1.05, rep_capacity=1.0, inflow=1.0, \
conversions=(('Propose', 1.1),), durations=())
    >>> Scenario.from_dict(better.to_dict()) == better
    True
    """

    name: str = attrs.field(validator=_check_name)
    target: float = attrs.field(default=1.0, validator=_check_factor, kw_only=True)
    average_amount: float = attrs.field(default=1.0, validator=_check_factor, kw_only=True)
    rep_capacity: float = attrs.field(default=1.0, validator=_check_factor, kw_only=True)
    inflow: float = attrs.field(default=1.0, validator=_check_factor, kw_only=True)
    conversions: Factors = attrs.field(
        default=(), converter=_as_factors, validator=_check_factors, kw_only=True
    )
    durations: Factors = attrs.field(
        default=(), converter=_as_factors, validator=_check_factors, kw_only=True
    )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the schema version inside."""
        plain: dict[str, Any] = {"schema": SCHEMA, **attrs.asdict(self)}
        return {**plain, "conversions": dict(self.conversions), "durations": dict(self.durations)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Rebuild a scenario from `to_dict`; only the name is needed besides the schema.

        Raises
        ------
        ValidationError
            When the schema is another one, or a field is unknown, missing or wrong.
        """
        fields = dict(plain)
        if fields.pop("schema", None) != SCHEMA:
            raise ValidationError.from_value("schema", f"must be {SCHEMA!r}", plain, "")
        known = [field.name for field in attrs.fields(cls)]
        for name in fields:
            if name not in known:
                rule, hint = "must have no other field", did_you_mean(name, known)
                raise ValidationError.from_value("scenario", rule, name, hint)
        return cls(**{"name": "", **fields})


def applied(givens: Givens, change: Scenario) -> Givens:
    """Return the givens under a scenario.

    Raises
    ------
    UnknownStageError
        When the scenario names a stage that the plan does not have.
    ValidationError
        When a conversion would exceed 1, the horizon becomes shorter than the lead time, or there
        is nothing to change.
    """
    capacity = givens.rep_capacity
    if capacity is not None:
        capacity *= positive(change.rep_capacity, "rep_capacity")
    elif change.rep_capacity != 1.0:
        _refuse(change, "rep_capacity")
    conversions = _scaled(givens.stages, givens.conversions, change.conversions)
    for stage, value in zip(givens.stages, conversions, strict=True):
        if value > 1:
            raise ValidationError(
                f"conversion of {stage!r} must stay at most 1, and would be {shown(value)} in "
                f"scenario {change.name!r}.",
                column="conversion",
            )
    durations = givens.durations
    if change.durations and durations is None:
        _refuse(change, "durations")
    if durations is not None:
        durations = _scaled(givens.stages, durations, change.durations)
    amount = positive(change.average_amount, "average_amount")
    changed = attrs.evolve(
        givens,
        target=givens.target * positive(change.target, "target"),
        average=tuple(average * amount for average in givens.average),
        conversions=conversions,
        durations=durations,
        rep_capacity=capacity,
    )
    require_time(changed)
    return changed


def _refuse(change: Scenario, name: str) -> NoReturn:
    """Refuse to change what a plan does not have."""
    raise ValidationError(
        f"scenario {change.name!r} changes {name} of a plan that has none. Give the plan {name}=.",
        column=name,
    )


def _scaled(
    stages: tuple[str, ...], values: tuple[Fraction, ...], factors: Factors
) -> tuple[Fraction, ...]:
    """Multiply the values of named stages."""
    found = list(values)
    for name, factor in factors:
        if name not in stages:
            raise UnknownStageError(name, stages)
        found[stages.index(name)] *= positive(factor, name)
    return tuple(found)


@attrs.frozen(eq=False)
class ScenarioTable(ResultTable):
    """Scenarios side by side; the first row is the plan itself.

    Parameters
    ----------
    scenarios : (n,) str
        Names.
    target : (n,) float64
        Money to book, before the gross-up.
    wins, entries : (n,) float64
        Deals to win, and new deals, in the whole horizon.
    weekly, stock, reps : (n,) float64
        New deals a week, deals in all stages and reps, in the busiest period; NaN unknown.
    lead_days : (n,) float64
        Days from creation to the win; NaN unknown.
    revenue : (n,) float64
        What the entries of the first row, times the inflow, bring under the scenario.
    attainment : (n,) float64
        Of the target of the scenario.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"attainment"})

    scenarios: StringArray
    target: FloatArray
    wins: FloatArray
    entries: FloatArray
    weekly: FloatArray
    stock: FloatArray
    reps: FloatArray
    lead_days: FloatArray
    revenue: FloatArray
    attainment: FloatArray

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each scenario."""
        names = [field.name for field in attrs.fields(ScenarioTable)][1:]
        return {"scenario": self.scenarios, **{name: getattr(self, name) for name in names}}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Scenarios"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Say what the revenue is that of."""
        return ("revenue: what the entries of the first row bring under each scenario",)


def compared(base: Givens, scenarios: Iterable[Scenario]) -> ScenarioTable:
    """Set the plan beside the plan under each scenario."""
    cases = [(Scenario("plan"), base), *((case, applied(base, case)) for case in scenarios)]
    entered = base.total_wins * base.per_win[0]
    rows = []
    for case, givens in cases:
        entries = givens.total_wins * givens.per_win[0]
        part = entered * positive(case.inflow, "inflow") / entries
        lead = givens.lead_days
        numbers = (
            givens.target,
            givens.total_wins,
            entries,
            givens.peak_weekly,
            givens.peak_total_stock,
            givens.peak_reps,
            None if lead is None else lead[0],
            givens.target * part,
            part,
        )
        rows.append([to_float(number) for number in numbers])
    columns = [frozen(np.array(column)) for column in zip(*rows, strict=True)]
    return ScenarioTable(texts([case.name for case, _ in cases]), *columns)


@attrs.frozen(eq=False)
class Elasticities(ResultTable):
    """By how many per cent a result changes when a lever changes by one per cent.

    Parameters
    ----------
    levers : (m,) str
        ``"conversion:<stage>"``, ``"duration:<stage>"``, ``"average_amount"``, ``"inflow"``.
    revenue : (m,) float64
        Of the revenue that given entries bring. Durations change when it comes, not how much in
        the steady state.
    entries : (m,) float64
        Of the entries that the target needs.
    stock : (m,) float64
        Of the deals that all stages must hold together; NaN without durations.
    lead_days : (m,) float64
        Of the days from creation to the win; NaN without durations.
    """

    levers: StringArray
    revenue: FloatArray
    entries: FloatArray
    stock: FloatArray
    lead_days: FloatArray

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each lever."""
        names = ("revenue", "entries", "stock", "lead_days")
        return {"lever": self.levers, **{name: getattr(self, name) for name in names}}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Per cent of change for one per cent of each lever"


def elasticities(givens: Givens) -> Elasticities:
    """Differentiate the plan: it is a product, and its stock a sum of products."""
    s = len(givens.stages)
    held = lead = np.full(s, np.nan)
    if givens.durations is not None:
        spent = [v * days for v, days in zip(givens.visits, givens.durations, strict=True)]
        held = _parts([product(pair) for pair in zip(givens.per_win, spent, strict=True)])
        lead = _parts(spent)
    ones, none = np.ones(s), np.zeros(s)
    unknown = np.where(np.isnan(held[:1]), np.nan, 0.0)
    columns: dict[str, list[Any]] = {
        "revenue": [ones, none, [1.0, 1.0]],
        "entries": [-ones, none, [-1.0, 0.0]],
        # A better conversion thins out its own stage and all before it.
        "stock": [-np.cumsum(held), held, unknown - 1.0, unknown],
        "lead_days": [np.where(np.isnan(lead), np.nan, 0.0), lead, unknown, unknown],
    }
    names = [f"{lever}:{stage}" for lever in ("conversion", "duration") for stage in givens.stages]
    values = {name: frozen(np.concatenate(parts)) for name, parts in columns.items()}
    return Elasticities(texts([*names, "average_amount", "inflow"]), **values)


def _parts(values: list[Fraction]) -> FloatArray:
    """(s,) -> (s,): shares of the sum; NaN where it is 0."""
    total = sum(values, start=Fraction(0))
    return np.array([to_float(value / total) if total else np.nan for value in values])
