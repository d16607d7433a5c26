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
from funnel.models.base import HasFlow, HasLevers
from funnel.planning import _givens as read
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
    import numpy.typing as npt

    from funnel.forecasting import FittedDealForecaster, Forecast
    from funnel.models import FittedModel
    from funnel.typing import FloatArray, IntArray

__all__ = ["InflowPlan"]

EARLY = 0.1
"""The earliest weeks with less than this part of what is lost are one row."""

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
        aim = 1.0 if confidence is None else self.inflow.aim_for(read.confidence_of(confidence))
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
        ends = ((1.0 - read.confidence_of(level)) / 2.0, (1.0 + level) / 2.0)
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
        """What must enter in each calendar week; weeks that are too late come first.

        Few deals take very long: the earliest weeks, with less than a tenth of what is lost, are
        one row.
        """
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
        early = np.count_nonzero(np.cumsum(gone[rows & late]) <= EARLY * lost.sum())
        begin = np.concatenate(([0] if early else [], np.arange(early, np.count_nonzero(rows))))
        begin = begin.astype(np.int64)
        arrives = np.minimum(within / found.worth, 1.0)

        def together(values: FloatArray) -> FloatArray:
            """Add up the earliest weeks."""
            return np.add.reduceat(values[rows], begin)

        weight = entries + 1e-9
        return InflowWeeks(
            first=_dates(found.first[rows][begin]),
            last=_dates(found.end[rows][np.append(begin[1:], np.count_nonzero(rows)) - 1] - 1),
            too_late=late[rows][begin],
            entries=together(entries),
            usual=together(usual),
            money=together(np.where(late, 0.0, entries * within)),
            arrives=together(weight * arrives) / together(weight),
            lost=together(gone),
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
        if change.conversions or change.durations:
            model = _changed(forecaster, change)
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

        Conversions and durations of stages are levers of the models that have them: those of the
        path of a deal (``"semi-markov"``, ``"stage-duration"``, ``"parametric"``) and
        ``"hazard-regression"``. A longer stay delays money beyond the horizon. The first day of a
        deal is as in recent ones.
        """
        model, down = self.inflow.forecaster.model, 1.0 - STEP
        stages = model.levers if isinstance(model, HasLevers) else ()
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
        if self.inflow.drawn is None and self.inflow.shock is None:
            said = (*said, "what is not sure about the model is not counted: deals are independent")
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


def _changed(forecaster: FittedDealForecaster, change: Scenario) -> FittedModel:
    """Return the model of a forecaster under the conversions and durations of a scenario."""
    if not isinstance(forecaster.model, HasLevers):
        raise ValidationError(
            f"scenario {change.name!r} changes conversions or durations of stages, which the model "
            f"{forecaster.name!r} does not have. Use 'semi-markov', or change inflow or "
            "average_amount.",
            column="conversions" if change.conversions else "durations",
        )
    return forecaster.model.under(dict(change.conversions), dict(change.durations))


def _dates(days: IntArray) -> Any:  # noqa: ANN401 - dates
    """Return days as dates."""
    return to_dates(days.astype(np.int32))
