"""How good would a forecaster have been? It is fitted and asked at past cutoffs, and scored."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from funnel._progress import shown
from funnel.backtesting._run import Failure, Record, run
from funnel.backtesting._windows import Span, Task, at_least, tasks
from funnel.backtesting.report import BacktestReport
from funnel.calendars import Calendar
from funnel.errors import InsufficientDataError, ValidationError
from funnel.forecasting.api import resolve
from funnel.summary import first_of
from funnel.tables import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor

    from funnel.forecasting import FittedForecaster, Forecaster
    from funnel.summary import HistorySource
    from funnel.typing import DateLike

__all__ = ["BASELINES", "backtest"]

BASELINES = ("run-rate", "last-period", "seasonal", "textbook")
"""Naive forecasters that are always in the table: a model that does not beat them is no use."""


def backtest(
    history: History | HistorySource,
    forecasters: Sequence[Any] | Mapping[str, Any],
    cutoffs: Sequence[DateLike],
    /,
    *,
    horizon: Span,
    by: Sequence[str] = (),
    window: int | None = None,
    baselines: Sequence[str] = BASELINES,
    calendar: Calendar | None = None,
    executor: Executor | None = None,
    progress: bool | Callable[[int, int], None] = True,
) -> BacktestReport:
    """Fit and ask forecasters at past cutoffs, and score them by what then happened.

    At each cutoff every forecaster is fitted on ``history.until(cutoff)`` and forecasts
    ``history.snapshot(cutoff)``: nothing later can be seen through these two doors. What happened
    is read from ``history.snapshot(end of the window)``, as it was known then. Forecasters that
    have `fits` (see `HasFits`) are given all cutoffs at once: what they count is counted once, and
    the counts of each cutoff are those of ``history.until(cutoff)``, bit for bit.

    Parameters
    ----------
    history : History or HistorySource
        The whole log, or chunks of it, such as `funnel.scan` gives.
    forecasters : sequence, or mapping of str
        Names, stage models or forecasters; a mapping gives them labels of your own.
    cutoffs : sequence of dates
        Days at whose end forecasts are made; see `cutoffs_every` and `cutoffs_before`.
    horizon : int or str
        What is forecast: so many days from the cutoff, or ``"week"``, ``"month"``, ``"quarter"`` or
        ``"year"``: the whole period that the next day lies in, with what is booked in it so far.
    by : sequence of str
        Category columns; every group is scored. A deal belongs to the group it was in at the
        cutoff, one that came later to that which it was in when the window ended.
    window : int, optional
        Days of history before each cutoff that a fit sees (a rolling window): deals that were open
        when it begins enter late, with the days that they have been in their stage. By default all
        of the history so far (an expanding window).
    baselines : sequence of str
        Naive forecasters that are added at the end.
    calendar : Calendar, optional
        Fiscal years and the like, for periods.
    executor : concurrent.futures.Executor, optional
        Where the cutoffs of a history are forecast, each by itself, or where the chunks of a source
        are read, for one cutoff after the other; in this thread by default.
    progress : bool or callable
        A bar on the terminal (where ``rich`` is installed and the output is one), or a function
        of the number done and of all.

    Returns
    -------
    BacktestReport
        Cutoffs whose window ends after the history are left out, a forecaster that fails at a
        cutoff is left out there; both are recorded with the reason.

    Raises
    ------
    InsufficientDataError
        When no cutoff can be scored.
    UnknownModelError
        When a name is not known.
    UnknownColumnError
        When a `by` column does not exist.
    CurrencyMismatchError
        When won amounts are of several currencies.
    ValidationError
        When a parameter is out of its range, or two forecasters have one label.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(500, rng=1).history
    >>> report = fn.backtest(
    ...     history, ["win-rate"], ["2026-03-31", "2026-04-30"], horizon=30, progress=False
    ... )
    >>> report
    BacktestReport(win-rate, run-rate, last-period, seasonal, textbook; 2 cutoffs)
    """
    if window is not None:
        at_least("window", window, 1)
    if not isinstance(history, History) and not hasattr(history, "__iter__"):
        rule = "must be a History, which knows what happened later, or chunks of one"
        raise ValidationError.from_value("history", rule, type(history).__name__, "")
    labelled = _labelled(forecasters, baselines)
    columns = (by,) if isinstance(by, str) else tuple(by)
    first = first_of(history)
    first.snapshot().groups(columns)  # raises for a column that is not there
    windows, dropped = tasks(first, cutoffs, horizon, calendar or Calendar())
    if not windows:
        why = f" (first: {dropped[0].reason})" if dropped else ""
        what = f"a backtest needs cutoffs whose windows lie in the history{why}; one"
        raise InsufficientDataError(what, needed=1, found=0, remedy="See funnel.cutoffs_every.")
    results: Iterable[list[Record] | Failure]
    if executor is None or not isinstance(history, History):
        results = run(history, labelled, windows, by=columns, window=window, executor=executor)
    else:
        one = functools.partial(_at, history, labelled, columns, window)
        results = itertools.chain.from_iterable(executor.map(one, windows))
    found = list(shown(results, len(windows) * len(labelled), progress, "Backtest"))
    records = [record for part in found if not isinstance(part, Failure) for record in part]
    return BacktestReport(
        forecasters=tuple(labelled),
        by=columns,
        records=tuple(records),
        failures=tuple(part for part in found if isinstance(part, Failure)),
        dropped=dropped,
        unknown=_unknown(records),
    )


def _at(
    history: History,
    labelled: Mapping[str, Forecaster | FittedForecaster],
    by: tuple[str, ...],
    window: int | None,
    task: Task,
) -> list[list[Record] | Failure]:
    """Score all forecasters at one cutoff, perhaps in another process."""
    return list(run(history, labelled, (task,), by=by, window=window))


def _labelled(
    forecasters: Sequence[Any] | Mapping[str, Any], baselines: Sequence[str]
) -> dict[str, Forecaster | FittedForecaster]:
    """Return forecasters by label; baselines that were not asked for come last."""
    if isinstance(forecasters, str):
        forecasters = (forecasters,)
    if isinstance(forecasters, Mapping):
        found = {str(label): resolve(one) for label, one in forecasters.items()}
    else:
        found = {}
        for one in forecasters:
            label = one if isinstance(one, str) else _label(one)
            if label in found:
                rule = "must have labels that differ: give a mapping of labels to forecasters"
                raise ValidationError.from_value("forecasters", rule, label, "")
            found[label] = resolve(one)
    for name in baselines:
        if name not in found:
            found[name] = resolve(name)
    if not found:
        rule = "must hold at least one, where baselines are left out"
        raise ValidationError.from_value("forecasters", rule, forecasters, "")
    return found


def _label(one: object) -> str:
    """Name a forecaster that has no label."""
    model = getattr(one, "model", one)
    return str(getattr(one, "name", getattr(model, "name", type(one).__name__)))


def _unknown(records: Sequence[Record]) -> int:
    """Count the won deals without an amount, each window once."""
    seen = {record.task.cutoff: record.unknown for record in records}
    return sum(seen.values())
