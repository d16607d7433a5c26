"""A plan week by week, from what exists and how long deals take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import typer

from funnel._display import money, percent
from funnel.calendars import Horizon
from funnel.cli import _output, _screen
from funnel.cli._reading import check_models
from funnel.cli._talk import usage
from funnel.forecasting import HasBasis
from funnel.forecasting.api import resolve
from funnel.models import HasFlow
from funnel.planning import InflowPlan, plan_inflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.cli._questions import PlanOptions
    from funnel.forecasting import Forecaster
    from funnel.planning import InflowWeeks
    from funnel.tables import History
    from funnel.typing import DateArray, FloatArray, IntArray, StringArray

MODEL = "semi-markov"  # follows deals from stage to stage
MANY = 20  # weeks; more are shown by month
PERIODS = {
    "target": "{target}",
    "booked": "{booked}",
    "open": "{open}",
    "reopened": "{reopened}",
    "new": "{new}",
    "expected": "{expected}",
    "too late": "{too_late}",
    "chance": "{probability}",
}
STAGES = (
    "of deals that exist and of new ones, which begin where they end their first day",
    "a deal may skip a stage, or enter it again",
)
NOTES = (
    "usual: new deals that come anyway; extra: what the plan asks for beyond them",
    "money: what they bring within the periods; arrives: how much that is of all they ever bring",
)


def run(options: PlanOptions, history: History, seasonality: Sequence[Any] | None) -> None:
    """Fit, plan and print."""
    name = options.model or MODEL
    check_models("--model", (name,))
    fitted = cast("Forecaster", resolve(name)).fit(history)  # names are of what can be fitted
    if not isinstance(fitted, HasBasis):
        rule = f"must be a model of deals, and {name!r} forecasts totals"
        raise typer.BadParameter(rule, param_hint="--model")
    with usage("--periods"):
        start = options.start or np.datetime64(history.observed_until + 1, "D")
        horizon = Horizon.parse(options.periods or "4q", start)
    found = plan_inflow(
        options.target or 0.0,
        fitted,
        history.snapshot(),
        horizon,
        seasonality=seasonality,
        confidence=options.confidence,
    )
    typer.echo(_output.to_json(_plain(found)) if options.as_json else _text(found))


def _text(found: InflowPlan) -> str:
    """Show what must enter, and where the money of each period comes from."""
    title, notes = found._title, found._notes  # noqa: SLF001 - a table of this package
    periods = _screen.table(
        _screen.columns(found.periods, PERIODS, ("period",)), title="Money by period", notes=notes
    )
    stages = [_stages(found)] if isinstance(found.inflow.forecaster.model, HasFlow) else []
    return _screen.page([title, _weeks(found), *stages, periods])


def _labels(first: DateArray) -> tuple[str, StringArray, IntArray]:
    """Return how rows of weeks are headed, their labels, and the row of each: months where many."""
    monthly = len(np.unique(first)) > MANY
    unit, heading = ("M", "month") if monthly else ("D", "week of")
    labels, place = np.unique(first.astype(f"datetime64[{unit}]"), return_inverse=True)
    return heading, labels, place


def _stages(found: InflowPlan) -> str:
    """Show the entries into each stage, weeks or months down."""
    table = found.by_stage()
    heading, labels, place = _labels(table.first)
    names = list(dict.fromkeys(table.stage.tolist()))
    entries = table.existing + table.new
    columns = [
        np.bincount(place, np.where(table.stage == name, entries, 0.0), minlength=len(labels))
        for name in names
    ]
    kept = [(name, column) for name, column in zip(names, columns, strict=True) if column.any()]
    rows = [
        [str(label), *(f"{column[row]:,.1f}" for _, column in kept)]
        for row, label in enumerate(labels)
    ]
    headers = [heading, *(name for name, _ in kept)]
    return _screen.table((headers, rows), title="Entries by stage", notes=STAGES)


def _weeks(found: InflowPlan) -> str:
    """Show the new deals of each week to come, or of each month where the weeks are many."""
    weeks = found.weeks
    ahead = ~weeks.too_late
    heading, labels, place = _labels(weeks.first[ahead])
    entries, usual, brought, ever = (
        np.bincount(place, values[ahead], minlength=len(labels))
        for values in (weeks.entries, weeks.usual, weeks.money, _ever(weeks))
    )
    with np.errstate(invalid="ignore"):
        arrives = brought / ever
    rows = [
        [str(label), f"{new:,.1f}", f"{old:,.1f}", f"{new - old:+,.1f}", f"{sum_:,.0f}", percent(x)]
        for label, new, old, sum_, x in zip(
            labels, entries, usual, brought, arrives.tolist(), strict=True
        )
    ]
    headers = [heading, "new deals", "usual", "extra", "money", "arrives"]
    late = weeks.lost > 0.0
    notes = list(NOTES)
    if late.any():
        notes.append(
            f"too late: {money(round(float(found.periods.too_late.sum())))} that deals of "
            f"{weeks.first[late][0]} to {weeks.last[late][-1]} would have had to bring; "
            "--json has each week"
        )
    return _screen.table((headers, rows), title="New deals to come", notes=notes)


def _ever(weeks: InflowWeeks) -> FloatArray:
    """Return the money that the entries of each week bring in the end."""
    known = weeks.arrives > 0.0
    return np.divide(weeks.money, weeks.arrives, out=np.zeros(len(known)), where=known)


def _plain(found: InflowPlan) -> dict[str, Any]:
    """Return a plan as JSON types."""
    return {
        **found.to_dict(),
        "target": found.target,
        "confidence": found.confidence,
        "probability": found.probability,
        "expected_attainment": found.expected_attainment,
        "new_deals": float(found.entries.sum()),
        "usual_deals": float(found.inflow.usual.sum()),
        "periods": found.periods.to_dict()["rows"],
        "stages": found.by_stage().to_dict()["rows"]
        if isinstance(found.inflow.forecaster.model, HasFlow)
        else None,
    }
