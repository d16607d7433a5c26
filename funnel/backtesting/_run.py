"""Forecasters at cutoffs: fit on the past, forecast, compare with what happened."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import numpy as np

from funnel.backtesting._recent import recent
from funnel.backtesting._truth import truth
from funnel.calendars import to_date
from funnel.errors import FunnelWarning, LeakError, ReadError
from funnel.forecasting import FittedForecaster, Forecaster, HasFits
from funnel.forecasting._rows import PARTS
from funnel.forecasting._standing import bound, standing
from funnel.kernels import compound
from funnel.metrics import DealScores, crps_law
from funnel.stages import Outcome
from funnel.summary import MappedSource
from funnel.tables import History

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from funnel.backtesting._truth import Truth
    from funnel.backtesting._windows import Task
    from funnel.forecasting import Forecast
    from funnel.kernels.compound import Law
    from funnel.summary import HistorySource
    from funnel.tables import Pipeline
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
    alone : Law
        What it would be if deals shared nothing: its error is the noise floor.
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
    alone: Law
    deals: DealScores | None
    chance: FloatArray
    unknown: int


T = TypeVar("T")

Fit = Callable[[], FittedForecaster]


def run(
    source: History | HistorySource,
    labelled: Mapping[str, Forecaster | FittedForecaster],
    windows: Sequence[Task],
    /,
    *,
    by: tuple[str, ...],
    window: int | None,
    executor: Executor | None = None,
) -> Iterator[list[Record] | Failure]:
    """Score forecasters at cutoffs, one cutoff after the other.

    Forecasters that can be fitted on many days for little more than once are. An executor reads
    the chunks of a source.
    """
    days = [task.cutoff for task in windows]
    many: dict[str, Iterator[Fit]] = {}
    for name, forecaster in labelled.items():
        if window is None and isinstance(forecaster, HasFits) and len(days) > 1:
            many[name] = _on_demand(forecaster.fits(source, days, executor=executor))
    for task in windows:
        past = functools.cache(functools.partial(_past, source, task.cutoff, window))
        fits: dict[str, FittedForecaster | Failure] = {}
        for name, forecaster in labelled.items():
            fit = functools.partial(_fitted, forecaster, task, past, executor)
            fit = functools.partial(_next_of, many[name]) if name in many else fit
            whole = isinstance(source, History)
            fits[name] = _attempt(
                name, task, fit if whole else functools.partial(_bound, fit, task)
            )
        known = [fitted for fitted in fits.values() if not isinstance(fitted, Failure)]
        pipeline = standing(source, task.horizon, known, by=by, day=task.cutoff, executor=executor)
        seen = truth(source, task, by, executor=executor)
        for name, fitted in fits.items():
            if isinstance(fitted, Failure):
                yield fitted
            else:
                ask = functools.partial(fitted.forecast, pipeline, task.horizon, by=by)
                yield _attempt(
                    name, task, functools.partial(_scored, name, task, ask, pipeline, seen)
                )


def _attempt(name: str, task: Task, ask: Callable[[], T]) -> T | Failure:
    """Return an answer, or why there is none; a source that cannot be read ends the run."""
    try:
        with warnings.catch_warnings():
            # Of the past; a forecast says it itself.
            warnings.simplefilter("ignore", FunnelWarning)
            return ask()
    except ReadError:
        raise
    except Exception as error:  # noqa: BLE001 - one's failure must not end the others'
        return Failure(name, task.cutoff, f"{type(error).__name__}: {error}")


def _next_of(fits: Iterator[Fit]) -> FittedForecaster:
    """Return the next of many forecasters."""
    return next(fits)()


def _bound(fit: Fit, task: Task) -> FittedForecaster:
    """Fit a forecaster, and let it look at the past of its source for this window."""
    return bound(fit(), task.horizon, task.cutoff)


def _scored(
    name: str, task: Task, ask: Callable[[], Forecast], pipeline: Pipeline, seen: Truth
) -> list[Record]:
    """Forecast, and compare with what happened."""
    return _records(name, task, ask(), pipeline, seen)


def _on_demand(fits: Iterator[Fit]) -> Iterator[Fit]:
    """Pass fits on; where there are no further ones because of an error, it is theirs."""
    try:
        yield from fits
    except Exception as error:  # noqa: BLE001 - recorded for each cutoff that is left
        while True:
            yield functools.partial(_fail, error)


def _fail(error: Exception) -> FittedForecaster:
    """Raise an error again."""
    raise error


def _past(
    source: History | HistorySource, cutoff: int, window: int | None
) -> History | HistorySource:
    """Return what was known at a cutoff, of the last `window` days only."""
    change = functools.partial(_cut, cutoff=cutoff, window=window)
    return change(source) if isinstance(source, History) else MappedSource(source, change)


def _cut(history: History, *, cutoff: int, window: int | None) -> History:
    """Return what was known of some deals at a cutoff."""
    past = history.until(np.datetime64(cutoff, "D"))
    return past if window is None else recent(past, cutoff - window)


def _fitted(
    forecaster: Forecaster | FittedForecaster,
    task: Task,
    past: Callable[[], History | HistorySource],
    executor: Executor | None,
) -> FittedForecaster:
    """Fit on what was known at the cutoff, or check that this is what it was fitted on."""
    if isinstance(forecaster, Forecaster):
        return forecaster.fit(past(), executor=executor)
    if forecaster.trained_until > task.cutoff:
        msg = (
            f"it was fitted on history until {to_date(forecaster.trained_until)}, after the "
            "cutoff. Give the forecaster before it is fitted."
        )
        raise LeakError(msg)
    return forecaster


def _records(
    name: str, task: Task, outlook: Forecast, pipeline: Pipeline, seen: Truth
) -> list[Record]:
    """Score every group, as a whole and its open part; nothing happened in groups not seen."""
    is_open = pipeline.outcome == Outcome.OPEN
    ids, (names, group) = pipeline.ids[is_open], pipeline.groups(outlook.by)
    looks = bool(np.any(outlook.deals.part == OPEN))
    actual = dict(zip(seen.keys, zip(seen.total, seen.open, strict=True), strict=True))
    found = []
    for key in sorted({*seen.keys, *outlook.keys}):
        mine = outlook.group(key) if key in outlook.keys else None
        total, of_open = actual.get(key, (0.0, 0.0))
        record = functools.partial(_record, name, task, key, unknown=seen.unknown)
        found.append(record(part="total", outlook=mine, actual=float(total)))
        if looks:
            some = None if mine is None else mine.parts["open"]
            rows = group[is_open] == (names.index(key) if key in names else -1)
            chance = _aligned(some, ids[rows])
            scores = DealScores.measure(seen.won[rows], chance)
            of_deals = record(part="open", outlook=some, actual=float(of_open))
            found.append(attrs.evolve(of_deals, deals=scores, chance=chance))
    return found


def _record(
    name: str,
    task: Task,
    key: tuple[str, ...],
    *,
    part: str,
    outlook: Forecast | None,
    actual: float,
    unknown: int,
) -> Record:
    """Compare one distribution with what happened; no forecast for a group is a certain 0."""
    law = alone = compound.deal_law(0.0, np.empty(0), np.empty(0))
    if outlook is not None:
        law = alone = outlook.laws[0]
        if outlook.shock is not None or outlook.dispersion > 0.0:
            alone = attrs.evolve(outlook, shock=None, dispersion=0.0).laws[0]
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
        alone=alone,
        deals=None,
        chance=np.empty(0),
        unknown=unknown,
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
