"""Why did the forecast change? From one forecast to another of the same periods, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.calendars import to_date, to_day
from funnel.errors import CurrencyMismatchError, SchemaMismatchError, ValidationError
from funnel.forecasting._bridge_causes import BARS
from funnel.forecasting._bridge_steps import Named, Steps, find_steps
from funnel.forecasting._bridge_tables import Bridge, BridgeDeals
from funnel.forecasting.api import DEFAULT, resolve
from funnel.forecasting.base import FittedForecaster, Forecaster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.calendars import Horizon
    from funnel.forecasting.forecast import Forecast
    from funnel.models import StageModel
    from funnel.tables import History, Pipeline
    from funnel.typing import DateLike

__all__ = ["BARS", "Bridge", "BridgeDeals", "bridge", "bridge_history"]


def bridge(
    before: Forecast,
    after: Forecast,
    was: Pipeline,
    now: Pipeline,
    /,
    *,
    same_model: Forecast | None = None,
) -> Bridge:
    """Explain the difference between two forecasts of the same periods, exactly.

    Parameters
    ----------
    before, after : Forecast
        The earlier one and the later one; or of one day, by two models.
    was, now : Pipeline
        The deals of which they were made.
    same_model : Forecast, optional
        What the model of `before` says on the day of `after`, which tells what the model learnt
        from what happened. Without it, that is part of the other bars, and a note says so. For two
        forecasts of one day it is `before`.

    Returns
    -------
    Bridge

    Raises
    ------
    ValidationError
        When the periods or the columns of the groups differ, `before` is the later one, or a
        forecast is not of the day or of the deals of its pipeline.
    CurrencyMismatchError
        When the forecasts are in different currencies.
    SchemaMismatchError
        When the pipelines have different funnels.

    Notes
    -----
    A deal contributes its chance to be booked in a period times its expected amount. Between the
    two forecasts stand hypothetical ones, each with one more thing changed, and a bar is the
    difference between two neighbours. They are rounded to cents before they are subtracted, so
    that the bars add up. The things change in this order:

    1. ``re-owned``: deals stand in their new groups (0 in total).
    2. ``amount changes``: amounts that were changed, or became known, at the old chances.
    3. The chances become those of the old model on the new day, each deal being counted under the
       first of these that holds (what was done and undone between the two days is not seen):

       - ``created since``: deals that are new in `now`, whatever became of them since;
       - ``removed``: deleted;
       - ``reopened``: lost or removed before, and open or won now; or won again on another day;
       - ``no longer won``: won before, and not now;
       - ``won earlier than expected``: promised for a day after the period in which they were
         won; without a promise, expected more in later periods than by the end of that one; or
         won before the first period;
       - ``booked since``: all other wins;
       - ``lost``: what is left is the chance that they come back;
       - ``on hold``, ``off hold``, ``moved up``, ``moved back``: open deals in another stage;
       - ``pulled in``, ``pushed``: open deals that are promised for an earlier or a later day;
         no promise counts as the latest day of all;
       - ``days passed``: nothing happened to them; or they were won after the last period.

    4. ``still to come``: deals that do not exist yet. New business has done what was expected of
       it where this and ``created since`` add up to nothing.
    5. ``not by deal``: forecasts of totals (run rates, submissions, overrides) do not tell booked
       deals apart.
    6. ``model refitted``: from the old model to the new one, or from one model to another.

    So a deal that is won adds its booked amount less what it had been counted for, and takes away
    what later periods expected of it.

    Examples
    --------
    >>> import funnel as fn
    >>> deals = {"funnel": fn.Funnel.template("project"), "id": ["A", "B", "C"]}
    >>> was = fn.Pipeline.from_columns(
    ...     **deals, as_of="2026-07-31", stage=["proposal", "proposal", "negotiation"],
    ...     amount=[100.0, 80.0, 200.0], expected_close=["2026-08-15", "2026-09-10", "2026-09-30"],
    ... )
    >>> now = fn.Pipeline.from_columns(
    ...     **deals, as_of="2026-08-31", stage=["won", "lost", "negotiation"],
    ...     stage_entered=["2026-08-20", "2026-08-25", "2026-07-01"],
    ...     amount=[110.0, 80.0, 200.0], expected_close=["2026-08-15", "2026-09-10", "2026-10-15"],
    ... )
    >>> quarters = fn.Horizon.quarters("2026-07-01", 2)
    >>> before, after = (fn.forecast(day, quarters, "textbook") for day in (was, now))
    >>> print(bridge(before, after, was, now, same_model=after))
    Change of the forecast by 'textbook', 2026-07-31 to 2026-08-31
    bar             2026-Q3  2026-Q4  total
    --------------  -------  -------  -----
    start               230        0    230
    amount changes        5        0      5
    booked since         55        0     55
    lost                -40        0    -40
    pushed             -140      140      0
    end                 110      140    250
    """
    _check_question(before, after, same_model)
    one_day = same_model is None and before.as_of == after.as_of
    merged = same_model is None and not one_day
    first, last = Named("before", before), Named("after", after)
    same = first if one_day else last
    if same_model is not None:
        same = Named("same_model", same_model)
    named = (first, same, last)
    _check_pipelines(before, after, was, now, one_day=one_day)
    currency = _currency(named)
    steps = find_steps(named, was, now)
    return Bridge(
        horizon=before.horizon,
        start=before.as_of,
        end=after.as_of,
        models=(before.model, after.model),
        currency=currency,
        by=before.by,
        keys=steps.keys,
        cents=steps.cents,
        count=steps.counts,
        ids=steps.ids,
        moves=steps.moves,
        notes=_notes(steps, merged=merged),
    )


def _check_question(before: Forecast, after: Forecast, same: Forecast | None) -> None:
    """Demand forecasts of the same periods and groups, in the order of their days."""
    if before.as_of > after.as_of:
        rule = f"must not be made before the day of `before`, {to_date(before.as_of)}"
        raise ValidationError.from_value("after", rule, str(to_date(after.as_of)), "Swap them.")
    for name, other in (("after", after), ("same_model", same)):
        if other is None:
            continue
        if other.horizon != before.horizon:
            rule, remedy = f"must be of the periods of `before`, {before.horizon}", ""
            raise ValidationError.from_value(name, rule, other.horizon, remedy)
        if other.by != before.by:
            rule = f"must have the groups of `before`, by={before.by!r}"
            raise ValidationError.from_value(name, rule, other.by, "Forecast both with one `by`.")
    if same is not None and same.as_of != after.as_of:
        rule = f"must be made on the day of `after`, {to_date(after.as_of)}"
        raise ValidationError.from_value("same_model", rule, str(to_date(same.as_of)), "")


def _check_pipelines(
    before: Forecast, after: Forecast, was: Pipeline, now: Pipeline, *, one_day: bool
) -> None:
    """Demand the pipelines of the two days, of one funnel; of one day, the same one."""
    for name, pipeline, forecast in (("was", was, before), ("now", now, after)):
        if pipeline.as_of != forecast.as_of:
            rule = f"must be of the day of its forecast, {to_date(forecast.as_of)}"
            raise ValidationError.from_value(name, rule, str(to_date(pipeline.as_of)), "")
    if was.funnel != now.funnel:
        msg = "was and now must have one funnel. Read both with the same one."
        raise SchemaMismatchError(msg)
    if one_day and was is not now and not was.identical_to(now):
        rule = "must be the same as `was`, for the forecasts are of one day"
        remedy = "Where the deals were corrected, give same_model=: the old model on the new deals."
        raise ValidationError.from_value("now", rule, now, remedy)


def _currency(named: Sequence[Named]) -> str:
    """Return the one currency of all forecasts; one without known amounts is of any."""
    found = set()
    for item in named:
        deals = item.forecast.deals
        if np.any(~deals.is_new & ~np.isnan(deals.amount)):
            found.add(item.forecast.currency)
    if len(found) > 1:
        raise CurrencyMismatchError(sorted(found))
    return found.pop() if found else ""


def _notes(steps: Steps, *, merged: bool) -> tuple[str, ...]:
    """Say what has to be known to read the table."""
    found = []
    if merged:
        found.append(
            "what the model learnt since is part of the other bars; same_model= tells it apart"
        )
    if steps.late:
        found.append(
            f"{steps.late:,} deals under 'created since' are older than the first day, "
            "and were recorded after it"
        )
    return tuple(found)


def bridge_history(
    history: History,
    start: DateLike,
    end: DateLike,
    horizon: Horizon,
    /,
    forecaster: str | StageModel[Any] | Forecaster | FittedForecaster = DEFAULT,
    *,
    by: Sequence[str] = (),
) -> Bridge:
    """Explain how the forecast of some periods changed between two days: the Monday question.

    Parameters
    ----------
    history : History
        Observed on both days.
    start, end : date
        The days (their ends) of the two forecasts.
    horizon : Horizon
        The periods.
    forecaster : str, StageModel, Forecaster or FittedForecaster
        As for `forecast`; it is fitted on what was known on each day. One that is fitted already
        makes both forecasts.
    by : sequence of str
        Category columns whose values make groups.

    Returns
    -------
    Bridge
        See `bridge`.

    Raises
    ------
    ValidationError
        When `end` is not after `start`, or `start` is before ``history.observed_from``.
    LeakError
        When `end` is after ``history.observed_until``, or a fitted forecaster has seen more than
        `start`.
    InsufficientDataError
        When there is too little history before `start`.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(500, rng=1).history
    >>> quarter = fn.Horizon.quarters("2026-04-01", 1)
    >>> found = bridge_history(history, "2026-05-31", "2026-06-07", quarter, "win-rate")
    >>> found.cents[:, :-1].sum(axis=1).tolist() == found.cents[:, -1].tolist()
    True
    """
    first, last = to_day(start, name="start"), to_day(end, name="end")
    if first >= last:
        rule = f"must be after start ({to_date(first)})"
        raise ValidationError.from_value("end", rule, str(to_date(last)), "")
    resolved = resolve(forecaster)
    then, since = history.until(start), history.until(end)
    was, now = then.snapshot(), since.snapshot()
    if isinstance(resolved, Forecaster):
        old, new = resolved.fit(then), resolved.fit(since)
    else:
        old = new = resolved
    before, after = old.forecast(was, horizon, by=by), new.forecast(now, horizon, by=by)
    same = after if new is old else old.forecast(now, horizon, by=by)
    return bridge(before, after, was, now, same_model=same)
