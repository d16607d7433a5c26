"""The deals of a source that forecasts can be about, on one day: those that may still be booked."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import FunnelWarning
from funnel.forecasting.base import ForHorizon, HasStageModel
from funnel.snapshots import snapshot_where
from funnel.stages import Outcome
from funnel.tables import History
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Horizon
    from funnel.forecasting.base import FittedForecaster
    from funnel.models import FittedModel
    from funnel.summary import HistorySource
    from funnel.tables import Pipeline
    from funnel.typing import BoolArray

__all__ = ["bound", "standing"]

CHUNK = 65_536  # lost deals asked of a model at once


def bound(fitted: FittedForecaster, horizon: Horizon, as_of: int) -> FittedForecaster:
    """Return the forecaster for one horizon, where it holds its history until then."""
    return fitted.at(horizon, as_of) if isinstance(fitted, ForHorizon) else fitted


def standing(
    source: History | HistorySource,
    horizon: Horizon,
    fitted: Sequence[FittedForecaster],
    /,
    *,
    by: Sequence[str] = (),
    day: int | None = None,
    executor: Executor | None = None,
) -> Pipeline:
    """Return the deals of a source that any of the forecasts of `fitted` can be about.

    These are the open deals, those won within the horizon, and lost ones that a stage model gives a
    chance to come back, and one deal of each group besides. So a forecast of them is a forecast of
    all deals, and what closed before need not be held.

    Parameters
    ----------
    source : History or HistorySource
        The deals; those of a history are all returned.
    horizon : Horizon
        The periods.
    fitted : sequence of FittedForecaster
        For this horizon, see `bound`.
    by : sequence of str
        Columns of groups.
    day : int, optional
        At its end; ``observed_until`` by default.
    executor : concurrent.futures.Executor, optional
        Where chunks are read.
    """
    when = None if day is None else np.datetime64(day, "D")
    if isinstance(source, History):
        return source.snapshot(when)
    models = tuple(one for one in fitted if isinstance(one, HasStageModel))
    keep = functools.partial(_may_be_booked, horizon=horizon, fitted=models, by=tuple(by))
    return snapshot_where(source, keep, when, executor=executor)


def _may_be_booked(
    pipeline: Pipeline, *, horizon: Horizon, fitted: tuple[HasStageModel, ...], by: tuple[str, ...]
) -> BoolArray:
    """(n,): the deals of a chunk that are returned."""
    last = int(horizon.edges[-1]) - 1
    won = pipeline.outcome == Outcome.WON
    in_time = (horizon.period_of(pipeline.closed_on) >= 0) | (pipeline.closed_on == NO_DAY)
    keep: BoolArray = (pipeline.outcome == Outcome.OPEN) | (won & in_time)
    for one in fitted if last > pipeline.as_of else ():
        keep |= _may_come_back(one.stage_model(last, pipeline.as_of), pipeline, last)
    if by:
        keep[np.unique(pipeline.groups(by)[1], return_index=True)[1]] = True
    return keep


def _may_come_back(model: FittedModel, pipeline: Pipeline, last: int) -> BoolArray:
    """(n,): lost deals with a chance to be won by the day `last`."""
    rows = np.flatnonzero(pipeline.outcome == Outcome.LOST)
    found = np.zeros(len(pipeline), dtype=np.bool_)
    dates = np.array([last]).astype("datetime64[D]")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FunnelWarning)  # the forecast asks again, and says it
        for begin in range(0, len(rows), CHUNK):
            some = rows[begin : begin + CHUNK]
            found[some] = model.win_curve(pipeline.select(some), dates)[:, 0] > 0.0
    return found
