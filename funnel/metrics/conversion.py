"""Conversion: what became of the deals that entered each stage, and how many are won."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from funnel.metrics._entries import (
    FATES,
    ConversionSummary,
    ConversionTable,
    FlowMatrix,
    summarize_conversion,
)
from funnel.metrics._groups import STANDARD
from funnel.metrics._losses import LossReasons, loss_reasons
from funnel.metrics._stage_table import StageTable, stage_table
from funnel.metrics._win_rates import (
    WinRatesSummary,
    summarize_win_rates,
    win_curve,
    win_rates,
)
from funnel.metrics._win_tables import WinCurve, WinRates
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History

__all__ = [
    "FATES",
    "ConversionSummary",
    "ConversionTable",
    "FlowMatrix",
    "LossReasons",
    "StageTable",
    "WinCurve",
    "WinRates",
    "WinRatesSummary",
    "conversion",
    "flow_matrix",
    "loss_reasons",
    "stage_table",
    "summarize_conversion",
    "summarize_win_rates",
    "win_curve",
    "win_rates",
]


def conversion(
    source: History | HistorySource,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    within: int | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> ConversionTable:
    """Say what became of the deals that entered each stage.

    An entry is a visit: a deal that comes back to a stage enters it anew, one that comes back to
    it from hold does not. For each stage ``entries = advanced + won + lost + moved back + on hold
    + removed + still there``, always; skipping stages is an advance.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals. Use ``history.until(day)`` for what was known then.
    by : sequence of str
        Category columns, with their values at the entry. Each category of a single column has its
        rows, used or not; of several columns, the combinations that occur.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        Rows by the period of the entry (cohorts). A unit cuts the whole observed window.
    within : int, optional
        Days that each entry is given, on-hold days included; what happened later does not count.
        By default all that was seen.
    level : float
        Level of the intervals.
    calendar : Calendar
        Says when weeks and fiscal years start.
    executor : concurrent.futures.Executor, optional
        Where chunks are counted.

    Returns
    -------
    ConversionTable
        The parts, ``so_far`` (share of the entries that has advanced or is won so far) and ``rate``
        with its interval.

    Raises
    ------
    UnknownColumnError
        When a column of `by` does not exist.
    ValidationError
        When a column is not made of categories, or a number or a period is wrong.

    Notes
    -----
    ``rate`` is the Aalen-Johansen share that advances or is won within the bound, or by the highest
    age seen, among all ways to leave the stage (doi:10.1002/sim.2712): entries that are still there
    are censored, neither dropped nor taken for failures. It is NaN where nobody was watched for as
    long as the bound. Deals first seen in mid-stage (``late``) count in the parts of the period in
    which they were first seen, and in the rate from the age at which they were seen; where the day
    of entry is unknown they are in no rate, and with a bound in no part either: a note says how
    many. ``young`` counts those still there that were given less than the bound.

    A group without entries has 0 in its parts and NaN in its rates. Periods that were not observed,
    or in part, are marked in ``observed`` and named below the table.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]), id=["A", "A", "A", "B", "B", "C"],
    ...     stage=["Qualify", "Propose", "Won", "Qualify", "Lost", "Qualify"],
    ...     at=["2026-01-05", "2026-01-20", "2026-02-10", "2026-01-10", "2026-01-25", "2026-02-01"],
    ... )
    >>> found = conversion(history)
    >>> found.parts[0, 0].tolist()  # Qualify: A advanced, B was lost, C is still there
    [1, 0, 1, 0, 0, 0, 1]
    >>> found.so_far[0].tolist(), found.rate[0].tolist()
    ([0.33..., 1.0], [0.5, 1.0])
    """
    count = functools.partial(
        summarize_conversion,
        by=by,
        period=period,
        within=within,
        calendar=calendar,
    )
    return summarize(source, count, executor=executor).table(level=level)


def flow_matrix(
    source: History | HistorySource,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> FlowMatrix:
    """Count the moves from each state to each other one, closed states included.

    Parameters
    ----------
    source, by, period, level, calendar, executor
        As for `conversion`; a move belongs to the period in which the state it leaves was entered.

    Returns
    -------
    FlowMatrix
        ``moves[cell, from, to]``; the last column counts who is still there. Skips are moves to a
        later stage, reopenings moves out of a closed state, and days on hold on the way back to the
        same stage no move. The interval of a share is Wilson's; open visits count in its
        denominator and are shown as "(still there)".

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]), id=["A", "A", "B", "B"],
    ...     stage=["Qualify", "Won", "Qualify", "Propose"],
    ...     at=["2026-01-05", "2026-02-10", "2026-01-10", "2026-01-25"],
    ... )
    >>> print(flow_matrix(history))
    Moves between states
    from     to             entries  moves   share    low    high
    -------  -------------  -------  -----  ------  -----  ------
    Qualify  Propose              2      1   50.0%   9.5%   90.5%
    Qualify  Won                  2      1   50.0%   9.5%   90.5%
    Propose  (still there)        1      1  100.0%  20.7%  100.0%
    """
    count = functools.partial(summarize_conversion, by=by, period=period, calendar=calendar)
    return summarize(source, count, executor=executor).matrix(level=level)
