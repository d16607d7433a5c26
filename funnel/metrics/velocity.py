"""Sales velocity, and why it changed: number, win rate, amount and cycle."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

import numpy as np

from funnel.metrics import _journeys
from funnel.metrics._ages import AgeCounts, Counts
from funnel.metrics._groups import STANDARD, Scope, check_level
from funnel.metrics._lmdi import FACTORS, decompose
from funnel.metrics._velocity import (
    CENSORED,
    WON,
    SalesVelocity,
    VelocityChange,
    VelocitySummary,
)
from funnel.stages import Outcome
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import IntArray

__all__ = [
    "FACTORS",
    "SalesVelocity",
    "VelocityChange",
    "VelocitySummary",
    "decompose",
    "sales_velocity",
    "summarize_velocity",
]

CAUSE = np.array([CENSORED, WON, 1, 2])  # by code of `Outcome`


def summarize_velocity(
    history: History,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    calendar: Calendar = STANDARD,
) -> VelocitySummary:
    """Count deals, won money and exposure of a history, or of a chunk of whole deals.

    Parameters are those of `sales_velocity`.

    Examples
    --------
    >>> from funnel.testing import fixtures
    >>> summary = summarize_velocity(fixtures.history())
    >>> summary.merge(summary).table().factors[0, 0].item()
    412.0
    """
    scope = Scope.of(history, by, period, calendar)
    life = _journeys.lives(history)
    rows = life.last_row
    group = scope.groups(history, rows)
    created = scope.cells(history, rows, life.created)
    if scope.periods is None:  # the window is the period: older deals were not created in it
        created = np.where(life.created >= history.observed_from, created, -1)
    closed = scope.cells(history, rows, life.closed)
    amount = history.columns["amount"][rows]
    booked = (life.outcome == Outcome.WON) & ~np.isnan(amount) & (closed >= 0)
    cell, place = np.unique(closed[booked], return_inverse=True)
    sums = (np.bincount(place, amount[booked] ** power, len(cell)) for power in (1, 2))
    money = zip(*(total.tolist() for total in sums), strict=True)
    names = (*history.schema.column("currency").categories, "")
    codes = np.unique(history.columns["currency"][rows][booked])
    return VelocitySummary(
        scope=scope,
        groups=np.unique(group),
        created=Counts.of(created[created >= 0]),
        won=Counts.of(closed[booked]),
        money=dict(zip(cell.tolist(), money, strict=True)),
        currencies=frozenset(names[code] for code in codes.tolist()),
        ages=_exposure(scope, life, group, history.observed_until),
    )


def _exposure(scope: Scope, life: _journeys.Lives, group: IntArray, until: int) -> AgeCounts:
    """Count the deals at risk within each period by age, whenever they were created."""
    born = life.created.astype(np.int64)
    begin, end = born + life.first, born + life.last
    cause = CAUSE[life.outcome]
    edges = [(scope.window[0], until + 1)]
    if scope.periods is not None:
        days = scope.periods.edges.tolist()
        edges = list(itertools.pairwise(days))
    counts = AgeCounts.of(group[:0], group[:0], group[:0], group[:0], CENSORED + 1)
    for place, (start, stop) in enumerate(edges):
        low, high = np.maximum(begin, start), np.minimum(end, stop - 1)
        here = np.flatnonzero((low <= high) & (life.first >= 0))
        why = np.where(end[here] < stop, cause[here], CENSORED)
        cell = group[here] * scope.n_periods + place
        found = AgeCounts.of(
            cell, low[here] - born[here], high[here] - born[here], why, CENSORED + 1
        )
        counts = counts.merge(found)
    return counts


def sales_velocity(
    source: History | HistorySource,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> SalesVelocity:
    """Measure number x win rate x amount / cycle: the money per day that a funnel yields.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    by : sequence of str
        Category columns, with their values in the last row of a deal.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        A velocity for each period. A unit cuts the whole observed window.
    level, calendar, executor
        As for `conversion`.

    Returns
    -------
    SalesVelocity
        ``change()`` says why it changed from period to period.

    Raises
    ------
    CurrencyMismatchError
        When won amounts are in several currencies.
    UnknownColumnError, ValidationError
        As `conversion`.

    Notes
    -----
    *Number* is deals created in the period, *amount* the mean known amount of deals won in it. *Win
    rate* and *cycle* describe a deal that would live its whole life as deals did in the period: the
    Aalen-Johansen incidence of winning by days since creation, from the deals at risk within the
    period whenever they were created, and the mean age at winning under it. So open deals are
    censored, deals older than the period (and late ones) enter at the age that they have when it
    begins, and a period is not judged by deals that it did not have time to close.

    Velocity is 0 without deals or wins, and NaN where amount or cycle is unknown or the cycle is 0.
    The interval adds up the relative variances of the factors, as if they were independent, on the
    logarithmic scale. A note says where the cycle is longer than the window.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "B", "B"],
    ...     stage=["Qualify", "Won", "Qualify", "Lost"], amount=[500.0, 500.0, 80.0, 80.0],
    ...     at=["2026-01-05", "2026-01-15", "2026-01-05", "2026-01-25"],
    ... )
    >>> found = sales_velocity(history)
    >>> found.factors[0].tolist(), found.velocity.tolist()  # 2 x 0.5 x 500 / 10
    ([2.0, 0.5, 500.0, 10.0], [50.0])
    """
    check_level(level)
    count = functools.partial(summarize_velocity, by=by, period=period, calendar=calendar)
    return summarize(source, count, executor=executor).table(level=level)
