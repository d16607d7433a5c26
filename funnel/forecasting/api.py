"""The one call: a history or a pipeline in, a forecast out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from funnel.calendars import Horizon
from funnel.errors import ValidationError
from funnel.forecasting._standing import bound, standing
from funnel.forecasting.base import FittedForecaster, Forecaster
from funnel.forecasting.deals import DealForecaster
from funnel.models import StageModel, registry
from funnel.summary import first_of
from funnel.tables import History, Pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor
    from typing import Any

    from funnel.forecasting.forecast import Forecast
    from funnel.summary import HistorySource

__all__ = ["DEFAULT", "forecast", "resolve"]

DEFAULT = "auto"
"""The forecaster used where none is named."""


def resolve(
    forecaster: str | StageModel[Any] | Forecaster | FittedForecaster,
) -> Forecaster | FittedForecaster:
    """Look a name up, and lift a stage model to a forecaster.

    Raises
    ------
    UnknownModelError
        When nothing has the name.
    ValidationError
        When it is neither a model nor a forecaster.
    """
    found = registry.get(forecaster) if isinstance(forecaster, str) else forecaster
    if isinstance(found, StageModel):
        return (
            DealForecaster(found)
            if found.expects_new_deals
            else DealForecaster(found, arrivals=None)
        )
    if isinstance(found, type) or not isinstance(found, Forecaster | FittedForecaster):
        raise ValidationError.from_value(
            "forecaster",
            "must be the name of a model, a stage model or a forecaster",
            forecaster,
            f"Known names: {', '.join(registry.names())}.",
        )
    return found


def forecast(
    source: History | HistorySource | Pipeline,
    horizon: Horizon,
    /,
    forecaster: str | StageModel[Any] | Forecaster | FittedForecaster = DEFAULT,
    *,
    by: Sequence[str] = (),
    executor: Executor | None = None,
) -> Forecast:
    """Forecast what is booked in each period.

    Parameters
    ----------
    source : History, HistorySource or Pipeline
        A history is fitted and its last snapshot is forecast; use ``history.until(day)`` for an
        earlier day. A source of chunks, such as `funnel.scan` gives, need not fit into memory: of
        its deals only those are held that may be booked in the horizon. A pipeline works with a
        fitted forecaster, or with a model that needs no history (``"textbook"``), so that a single
        export is enough to start.
    horizon : Horizon
        The periods.
    forecaster : str, StageModel, Forecaster or FittedForecaster
        The name of a model, a model, or a forecaster.
    by : sequence of str
        Category columns whose values make groups.
    executor : concurrent.futures.Executor, optional
        Where the chunks of a source are read; in this thread by default.

    Returns
    -------
    Forecast

    Raises
    ------
    InsufficientDataError
        When there is too little history, or none for a model that has to learn.
    UnknownModelError
        When no model has the name.
    LeakError
        When a fitted forecaster has seen more than the pipeline's day.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(500, rng=1).history
    >>> outlook = fn.forecast(history, fn.Horizon.quarters("2026-07-01", 4), "semi-markov")
    >>> outlook.horizon.labels
    ('2026-Q3', '2026-Q4', '2027-Q1', '2027-Q2')
    """
    resolved = resolve(forecaster)
    if not isinstance(horizon, Horizon):
        remedy = "For instance funnel.Horizon.quarters('2026-07-01', 4)."
        raise ValidationError.from_value("horizon", "must be a Horizon", horizon, remedy)
    if isinstance(source, Pipeline):
        if isinstance(resolved, DealForecaster):
            resolved = resolved.without_history()
        if isinstance(resolved, FittedForecaster):
            return resolved.forecast(source, horizon, by=by)
    elif isinstance(source, History):
        fitted = resolved.fit(source) if isinstance(resolved, Forecaster) else resolved
        return fitted.forecast(source.snapshot(), horizon, by=by)
    elif hasattr(source, "__iter__"):
        if isinstance(resolved, Forecaster):
            resolved = resolved.fit(source, executor=executor)
        fitted = bound(resolved, horizon, first_of(source).observed_until)
        pipeline = standing(source, horizon, (fitted,), by=by, executor=executor)
        return fitted.forecast(pipeline, horizon, by=by)
    raise ValidationError.from_value(
        "source",
        "must be a History, or a Pipeline with a fitted forecaster",
        type(source).__name__,
        "Fit the forecaster on a History first: forecaster.fit(history). 'textbook' needs none.",
    )
