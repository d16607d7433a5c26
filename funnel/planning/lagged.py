"""From a target to the deals that must enter each calendar week, with the lags that deals take."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np

from funnel._display import money, percent
from funnel.calendars import to_dates
from funnel.errors import ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.models.base import HasFlow
from funnel.planning import _givens as read
from funnel.planning import _levers as levers
from funnel.planning._exact import positive, to_float
from funnel.planning._inflow import Inflow
from funnel.planning._inflow_tables import (
    InflowLevers,
    InflowPeriods,
    InflowWeeks,
    StageEntries,
)
from funnel.planning._stage_entries import stage_entries
from funnel.planning.scenarios import Scenario
from funnel.results import ResultTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from funnel.calendars import Horizon
    from funnel.forecasting import FittedDealForecaster, Forecast
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["InflowPlan", "plan_inflow"]

STEP = 0.01
"""Levers are moved down by one per cent, so that no conversion exceeds 1."""


@attrs.frozen(eq=False, repr=False, slots=False)
class InflowPlan(ResultTable):
    """A target by period, and the new deals that must enter each week; see `plan_inflow`.

    Parameters
    ----------
    inflow : Inflow
        The target, what exists, and what new deals bring.
    confidence : float or None
        Chance to reach the whole target that was asked for; None on average, or as given.
    aim : float
        The multiple of the target that the entries bring in expectation, where it is not too late;
        NaN where the entries were given.
    entries : (f,) float64
        New deals of each week to come.
    """

    inflow: Inflow
    confidence: float | None
    aim: float
    entries: FloatArray = attrs.field(converter=frozen)

    # -- other plans for the same target ---------------------------------------------------------

    def at(self, confidence: float | None) -> Self:
        """Return the smallest plan that reaches the target with another probability.

        Raises
        ------
        ValidationError
            When it is not between 0 and 1, or no inflow gives it.
        """
        aim = 1.0 if confidence is None else self.inflow.aim_for(_inside(confidence))
        return type(self)(self.inflow, confidence, aim, self.inflow.entries(aim))

    def with_entries(self, entries: npt.ArrayLike) -> Self:
        """Return the plan with given entries for each week to come, to see what they attain.

        Raises
        ------
        ValidationError
            When there is not one number >= 0 for each week.
        """
        given, weeks = np.asarray(entries, dtype=np.float64), len(self.entries)
        if given.shape != (weeks,) or not (np.isfinite(given) & (given >= 0.0)).all():
            rule = f"must be one number >= 0 for each of {weeks} weeks to come"
            raise ValidationError.from_value("entries", rule, entries, "")
        return type(self)(self.inflow, None, np.nan, given)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the inflow that the target needs if chance is kind, and if it is not.

        Totals of the entries that reach the target with the probabilities ``(1 - level) / 2`` and
        ``(1 + level) / 2``: if just the target is booked, that many deals have come in.
        """
        ends = ((1.0 - _inside(level)) / 2.0, (1.0 + level) / 2.0)
        low, high = (float(self.at(end).entries.sum()) for end in ends)
        return low, high

    # -- what it brings --------------------------------------------------------------------------

    @functools.cached_property
    def outlook(self) -> Forecast:
        """The forecast if deals come in Poisson numbers with the planned means."""
        return self.inflow.outlook(self.entries)

    @property
    def target(self) -> float:
        """Money of the whole horizon."""
        return float(self.inflow.target.sum())

    @functools.cached_property
    def probability(self) -> float:
        """Chance that the whole horizon reaches the whole target."""
        return float(self._total.probability_of(self.target)[0])

    @functools.cached_property
    def _total(self) -> Forecast:
        """The forecast of the whole horizon."""
        return self.outlook.total()

    @property
    def expected_attainment(self) -> float:
        """Expected money over the target."""
        return float(self.outlook.expected.sum()) / self.target

    def attainment(self, q: float) -> float:
        """Return the share of the target that is not exceeded with probability `q`.

        Raises
        ------
        ValidationError
            When `q` is not between 0 and 1.
        """
        return float(self._total.quantile(q)[0]) / self.target

    # -- tables ----------------------------------------------------------------------------------

    @property
    def weeks(self) -> InflowWeeks:
        """What must enter in each calendar week; weeks that are too late come first."""
        found, late = self.inflow.response, self.inflow.response.late
        within = found.money.sum(axis=1)
        missing, lost = self._missing
        entries, usual = np.zeros(len(late)), np.where(late, 0.0, found.usual)
        entries[late], entries[~late] = missing, self.entries
        gone = np.zeros(len(late))
        gone[late] = lost
        shown = np.zeros(len(late), dtype=np.bool_)
        shown[late] = lost > 1e-9 * self.target
        rows = shown | ~late
        return InflowWeeks(
            first=_dates(found.first[rows]),
            last=_dates(found.end[rows] - 1),
            too_late=late[rows],
            entries=entries[rows],
            usual=usual[rows],
            money=np.where(late, 0.0, entries * within)[rows],
            arrives=np.minimum(within / found.worth, 1.0)[rows],
            lost=gone[rows],
        )

    @property
    def _missing(self) -> tuple[FloatArray, FloatArray]:
        """Deals of past weeks that are missing, and the money that they would have brought."""
        found = self.inflow.response
        late = self.inflow.needs(1.0).late
        brought = found.pattern[found.late, None] * found.money[found.late]
        whole = brought.sum(axis=0)
        pace = np.divide(late, whole, out=np.zeros_like(whole), where=whole > 0.0)
        lost = brought @ pace
        each = found.money[found.late].sum(axis=1)
        return np.divide(lost, each, out=np.zeros_like(lost), where=each > 0.0), lost

    @property
    def periods(self) -> InflowPeriods:
        """Where the money of each period comes from."""
        parts, inflow = self.outlook.parts, self.inflow
        return InflowPeriods(
            period=texts(self.outlook.horizon.labels),
            target=inflow.target,
            **{name: parts[name].expected for name in ("booked", "open", "reopened")},
            usual=inflow.usual @ inflow.ahead,
            new=parts["new"].expected,
            expected=self.outlook.expected,
            too_late=inflow.needs(1.0).late,
            probability=self.outlook.probability_of(inflow.target),
        )

    def by_stage(self) -> StageEntries:
        """Return the entries into each stage by week, skips and loops included.

        Raises
        ------
        ValidationError
            When the model does not follow deals from stage to stage.
        """
        model = self.inflow.forecaster.model
        if not isinstance(model, HasFlow):
            raise ValidationError(
                f"the model {self.inflow.forecaster.name!r} must follow deals from stage to stage "
                "to plan each stage, and it does not. Use 'semi-markov'; the top of the funnel is "
                "planned with every model.",
                column="model",
            )
        return stage_entries(model, self.inflow, self.entries)

    # -- levers ----------------------------------------------------------------------------------

    def under(self, change: Scenario, /) -> Self:
        """Return what the same entries, times the inflow of a scenario, bring under it.

        Raises
        ------
        UnknownStageError
            When the scenario names a stage that the funnel does not have.
        ValidationError
            When the model has not what it changes, or a conversion would exceed 1.
        """
        before = self.inflow
        if change.rep_capacity != 1.0:
            message = f"scenario {change.name!r} changes rep_capacity, which entries do not have."
            raise ValidationError(message, column="rep_capacity")
        forecaster, inflow = before.forecaster, before.rescaled(1.0, 1.0 / before.scale)
        model = levers.changed(forecaster.model, forecaster.name, change)
        if model is not forecaster.model:
            inflow = Inflow.of(
                before.target,
                attrs.evolve(forecaster, model=model),
                before.pipeline,
                before.existing.horizon,
                like=inflow,
            )
        inflow = inflow.rescaled(change.target, before.scale * change.average_amount)
        return type(self)(inflow, None, np.nan, self.entries * change.inflow)

    def elasticities(self) -> InflowLevers:
        """Say what one per cent more of each lever does, by differences of forecasts.

        Conversions and durations of stages are levers where the model is ``"semi-markov"``; a
        longer stay delays money beyond the horizon. The first day of a deal is as in recent ones.
        """
        stages, down = levers.stages_of(self.inflow.forecaster.model), 1.0 - STEP
        moves = [Scenario("inflow", inflow=down), Scenario("average_amount", average_amount=down)]
        moves += [Scenario(f"conversion:{name}", conversions={name: down}) for name in stages]
        moves += [Scenario(f"duration:{name}", durations={name: down}) for name in stages]
        whole = float(self.outlook.expected.sum())
        under = [self.under(change) for change in moves]
        left = np.array([float(plan.outlook.expected.sum()) for plan in under])
        chance = np.array([plan.probability for plan in under])
        notes = () if stages else ("the model has no conversions and durations of stages",)
        return InflowLevers(
            texts([change.name for change in moves]),
            (1.0 - left / whole) / STEP,
            (self.probability - chance) / STEP,
            notes,
        )

    # -- how it is shown -------------------------------------------------------------------------

    def to_columns(self) -> dict[str, Any]:
        """Return the columns of `weeks`."""
        return self.weeks.to_columns()

    @property
    def _title(self) -> str:
        """Return the heading."""
        total, usual = float(self.entries.sum()), float(self.inflow.usual.sum())
        chance, expected = percent(self.probability), percent(self.expected_attainment)
        return (
            f"Plan for {money(self.target)}: {money(total)} deals (usual {money(usual)}); "
            f"reached with {chance}, expected {expected}"
        )

    @property
    def _notes(self) -> tuple[str, ...]:
        """Say what is too late, and what was assumed."""
        late = float(self.inflow.needs(1.0).late.sum())
        said = (f"too late for new deals at one pace: {money(late)}",) if late else ()
        return (*said, *self.outlook.notes)

    def __repr__(self) -> str:
        """Return one line."""
        return f"<{self._title}>"

    def __str__(self) -> str:
        """Return the tables of periods and weeks as text."""
        notes = [f"* {note}" for note in self._notes]
        return "\n".join([self._title, "", str(self.periods), "", str(self.weeks), *notes])

    def _repr_html_(self) -> str:
        """Return the tables of periods and weeks for a notebook."""
        return f"{self.periods._repr_html_()}{self.weeks._repr_html_()}"


def _dates(days: IntArray) -> Any:  # noqa: ANN401 - dates
    """Return days as dates."""
    return to_dates(days.astype(np.int32))


def _inside(confidence: object) -> float:
    """Demand a probability that is neither certain nor impossible."""
    number = isinstance(confidence, int | float | np.floating) and not isinstance(confidence, bool)
    if not number or not 0.0 < confidence < 1.0:  # type: ignore[operator]
        rule = "must be a probability inside (0, 1)"
        raise ValidationError.from_value("confidence", rule, confidence, "0.8 is usual.")
    return float(confidence)  # type: ignore[arg-type]


def plan_inflow(
    target: float,
    forecaster: FittedDealForecaster,
    pipeline: Pipeline,
    horizon: Horizon,
    *,
    seasonality: Sequence[float] | None = None,
    confidence: float | None = 0.8,
) -> InflowPlan:
    """Derive the new deals that must enter each week, from what exists and how long deals take.

    Parameters
    ----------
    target : float
        Money to book in the whole horizon; what is booked in it so far counts.
    forecaster : FittedDealForecaster
        Any stage model, fitted with arrivals.
    pipeline : Pipeline
        The state on the day of the plan.
    horizon : Horizon
        The k periods of the target.
    seasonality : (k,) sequence of float, optional
        Share of each period in the target, summing to 1; by default in proportion to its days.
    confidence : float or None
        Probability with which the whole horizon reaches the whole target; None plans for the
        target on average.

    Returns
    -------
    InflowPlan

    Raises
    ------
    CurrencyMismatchError, LeakError, UnknownColumnError
        See `FittedDealForecaster.forecast`.
    InsufficientDataError
        When the forecaster has no arrivals to learn new deals from.
    ValidationError
        When the target or the confidence is out of range, shares do not sum to 1, no deal created
        from now on brings money within the horizon, or no inflow gives the confidence.

    Notes
    -----
    With R(w, p) the money that a deal created in week w is expected to bring in period p, and
    a(w) the pattern of arrivals (weekdays, season), for weeks from before the day of the plan on::

        late(p) = sum over past weeks of a R / sum over all weeks of a R
        new(p)  = min(max(target(p) - existing(p), 0), (1 - late(p)) target(p))

    ``late`` is the share of a period that, at one pace, deals created by now bring. If those that
    exist bring less, the rest of it is *too late*: it would need a burst of new deals. In the
    steady state all weeks have the pace of `plan`.

    Entries follow the pattern; the pace of a week is the mean of one pace for each period, weighted
    by what the week brings to it, and at most the pace that alone would bring every period its
    target. The paces, k numbers, are those of the fewest entries that bring each period what is
    needed: a linear programme (`scipy.optimize.linprog`). One number for each week instead, by
    non-negative least squares, answers long sales cycles with bursts in single weeks. Entries go
    on to the end of the horizon, as business does; the column ``arrives`` says how much of them it
    sees. The earliest weeks, which bring less than 1 % of the money together, are left out.

    For a confidence, the plan aims at the smallest multiple of the target with which the
    distribution of the whole horizon reaches it: deals come in Poisson numbers with the planned
    means, are won or not, for uncertain amounts, and the stage model's parameters are one draw for
    existing and new deals alike. How well the entries themselves are kept to is not part of it.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(1000, rng=1).history
    >>> fitted = fn.DealForecaster("win-rate").fit(history)
    >>> quarters = fn.Horizon.quarters("2026-07-01", 2)
    >>> ideal = plan_inflow(3e6, fitted, history.snapshot(), quarters, confidence=None)
    >>> ideal.weeks.entries.shape == ideal.weeks.usual.shape
    True
    >>> bool(ideal.at(0.8).entries.sum() > ideal.entries.sum())
    True
    """
    parts = read.split(horizon, seasonality, None)[1]
    whole = positive(target, "target")
    money_due = np.array([to_float(whole * part) for part in parts])
    if confidence is not None:
        _inside(confidence)
    inflow = Inflow.of(money_due, forecaster, pipeline, horizon)
    return InflowPlan(inflow, None, 1.0, inflow.entries(1.0)).at(confidence)
