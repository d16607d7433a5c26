"""One forecaster at one cutoff: fit on the past, forecast, compare with what happened."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.backtesting._windows import truth
from funnel.errors import FunnelWarning
from funnel.forecasting import FittedForecaster, Forecaster
from funnel.forecasting._rows import PARTS
from funnel.kernels import compound
from funnel.metrics import DealScores, crps_law
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.backtesting._windows import Task, Truth
    from funnel.forecasting import Forecast
    from funnel.kernels.compound import Law
    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, FloatArray

__all__ = ["LEVELS", "Failure", "Record", "run"]

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantiles that are scored: the central 50 %, 80 % and 90 %, and the median."""

OPEN = PARTS.index("open")


@attrs.frozen
class Failure:
    """A forecaster that had no answer at one cutoff.

    Parameters
    ----------
    forecaster : str
    cutoff : int
    reason : str
        The error, as it was raised.
    """

    forecaster: str
    cutoff: int
    reason: str


@attrs.frozen(eq=False)
class Record:
    """A forecast of one group's money in one window, and what happened.

    Parameters
    ----------
    forecaster : str
    task : Task
    key : tuple of str
        The group.
    part : str
        ``"total"``, or ``"open"`` for the deals that were open at the cutoff.
    actual, expected : float
        Money.
    quantiles : (q,) float64
        At `LEVELS`.
    crps : float
    below, up_to : float
        Forecast chances of less than, and of at most, what happened.
    law : Law
        The distribution.
    deals : DealScores or None
        Of the chances of open deals; None for a forecaster that does not look at deals.
    chance : (n,) float64
        These chances.
    unknown : int
        Deals won in the window, in all groups, whose amount was never recorded.
    """

    forecaster: str
    task: Task
    key: tuple[str, ...]
    part: str
    actual: float
    expected: float
    quantiles: FloatArray
    crps: float
    below: float
    up_to: float
    law: Law
    deals: DealScores | None
    chance: FloatArray
    unknown: int


def run(
    history: History,
    by: tuple[str, ...],
    job: tuple[str, Forecaster | FittedForecaster, Task],
    /,
) -> list[Record] | Failure:
    """Score one forecaster at one cutoff."""
    name, forecaster, task = job
    cutoff = np.datetime64(task.cutoff, "D")
    pipeline = history.snapshot(cutoff)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FunnelWarning)  # of the past; a forecast says it itself
            fitted = (
                forecaster.fit(history.until(cutoff))
                if isinstance(forecaster, Forecaster)
                else forecaster
            )
            outlook = fitted.forecast(pipeline, task.horizon, by=by)
            return _records(name, task, outlook, pipeline, truth(history, pipeline, task, by))
    except Exception as error:  # noqa: BLE001 - one forecaster's failure must not end the others'
        return Failure(name, task.cutoff, f"{type(error).__name__}: {error}")


def _records(
    name: str, task: Task, outlook: Forecast, pipeline: Pipeline, seen: Truth
) -> list[Record]:
    """Score every group, as a whole and its open part."""
    found = []
    is_open = pipeline.outcome == Outcome.OPEN
    ids, group = pipeline.ids[is_open], pipeline.groups(outlook.by)
    looks = bool(np.any(outlook.deals.part == OPEN)) or not is_open.any()
    for place, key in enumerate(seen.keys):
        part = outlook.group(key) if key in outlook.keys else None
        found.append(
            _record(
                name, task, key, "total", outlook=part, actual=float(seen.total[place]), seen=seen
            )
        )
        if not looks:
            continue
        some = part.parts["open"] if part is not None else None
        code = group[0].index(key) if key in group[0] else -1
        mine = group[1][is_open] == code
        record = _record(
            name, task, key, "open", outlook=some, actual=float(seen.open[place]), seen=seen
        )
        chance = _aligned(some, ids[mine])
        scores = DealScores.measure(seen.won[mine], chance)
        found.append(attrs.evolve(record, deals=scores, chance=chance))
    return found


def _record(
    name: str,
    task: Task,
    key: tuple[str, ...],
    part: str,
    *,
    outlook: Forecast | None,
    actual: float,
    seen: Truth,
) -> Record:
    """Compare one distribution with what happened; no forecast for a group is a certain 0."""
    law = compound.deal_law(0.0, np.empty(0), np.empty(0)) if outlook is None else outlook.laws[0]
    below = 1.0 - float(compound.survival(law, np.array([actual]))[0])
    up_to = 1.0 - float(compound.survival(law, np.array([np.nextafter(actual, np.inf)]))[0])
    return Record(
        forecaster=name,
        task=task,
        key=key,
        part=part,
        actual=actual,
        expected=0.0 if outlook is None else float(outlook.expected[0]),
        quantiles=compound.quantile(law, np.array(LEVELS)),
        crps=float(crps_law([actual], law)[0]),
        below=below,
        up_to=up_to,
        law=law,
        deals=None,
        chance=np.empty(0),
        unknown=seen.unknown,
    )


def _aligned(outlook: Forecast | None, ids: np.ndarray[Any, Any]) -> FloatArray:
    """Return the chance of each deal, (n,); 0 for those that the forecast does not have."""
    if outlook is None or not len(ids):
        return np.zeros(len(ids))
    deals = outlook.deals
    if len(deals.ids) == len(ids) and _same(deals.ids, ids):
        return np.asarray(deals.within)
    place = {name: row for row, name in enumerate(deals.ids.tolist())}
    rows = np.array([place.get(name, -1) for name in ids.tolist()])
    return np.where(rows >= 0, np.append(deals.within, 0.0)[rows], 0.0)


def _same(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> bool:
    """Tell whether two columns of ids are equal, row by row."""
    equal: BoolArray = first == second
    return bool(np.all(equal))
