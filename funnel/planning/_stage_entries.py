"""Entries stage by stage: what the deals that exist, and those that are planned, will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.calendars import to_dates
from funnel.kernels.labels import texts
from funnel.planning._inflow_tables import StageEntries
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.models.base import HasFlow
    from funnel.planning._inflow import Inflow
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["stage_entries"]


def stage_entries(model: HasFlow, inflow: Inflow, entries: FloatArray) -> StageEntries:
    """Follow deals from the day of the plan to the end of the horizon."""
    found, as_of = inflow.response, inflow.pipeline.as_of
    days = int(found.end[-1]) - 1 - as_of
    there = model.stage_flow(_alive(inflow.pipeline), days)
    fresh = model.stage_flow(_alive(found.prototypes), days)
    ahead = ~found.late
    first, end = found.first[ahead], found.end[ahead]
    daily = _by_day(inflow, entries, days)
    counted = _on_first_day(found.prototypes, len(fresh.stages))
    begun = np.concatenate((counted[None], fresh.entries))[:days] / len(found.prototypes)
    held = np.concatenate((counted[None], fresh.occupancy))[:days] / len(found.prototypes)
    weeks = np.searchsorted(end, as_of + 1 + np.arange(days), side="right")
    kept = as_of + 1 + np.arange(days) >= first[0]
    old = _sums(there.entries[kept], weeks[kept], len(first))
    new = _sums(_convolved(daily, begun)[kept], weeks[kept], len(first))
    stock = (there.occupancy + _convolved(daily, held))[end - as_of - 2]
    stages = len(fresh.stages)
    return StageEntries(
        first=to_dates(np.repeat(first, stages).astype(np.int32)),
        last=to_dates(np.repeat(end - 1, stages).astype(np.int32)),
        stage=texts(fresh.stages * len(first)),
        existing=old.reshape(-1),
        new=new.reshape(-1),
        stock=stock.reshape(-1),
    )


def _alive(pipeline: Pipeline) -> Pipeline:
    """Return the deals that can still move."""
    return pipeline.select(np.isin(pipeline.outcome, (Outcome.OPEN, Outcome.LOST)))


def _by_day(inflow: Inflow, entries: FloatArray, days: int) -> FloatArray:
    """(f,), () -> (days,): planned entries by day, spread within weeks as arrivals are."""
    found, arrivals = inflow.response, inflow.forecaster.arrivals
    daily = np.zeros(days)
    ahead = ~found.late
    weeks = zip(found.first[ahead].tolist(), found.end[ahead].tolist(), entries, strict=True)
    for first, end, count in weeks:
        rates = np.ones(end - first) if arrivals is None else arrivals.rates(first, end)
        rates = rates if rates.any() else np.ones(end - first)
        begin = first - inflow.pipeline.as_of - 1
        daily[begin : begin + end - first] = count * rates / rates.sum()
    return daily


def _on_first_day(deals: Pipeline, stages: int) -> FloatArray:
    """(s,): prototypes that end their first day in each open stage."""
    found = np.bincount(deals.stage[deals.outcome == Outcome.OPEN], minlength=stages)
    return found[:stages].astype(np.float64)


def _convolved(daily: FloatArray, response: FloatArray) -> FloatArray:
    """(d,), (d, s) -> (d, s): responses to what comes in each day, added up."""
    days = len(daily)
    columns = [np.convolve(daily, column)[:days] for column in response.T]
    return np.stack(columns, axis=1)


def _sums(values: FloatArray, group: IntArray, count: int) -> FloatArray:
    """(d, s), (d,) -> (v, s): sums by week."""
    found = np.zeros((count, values.shape[1]))
    np.add.at(found, group, values)
    return found
