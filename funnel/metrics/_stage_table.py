"""The sheet that managers keep by hand: stages across, months or owners down."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel._display import percent
from funnel.kernels.labels import texts
from funnel.metrics._ages import Counts
from funnel.metrics._entries import ConversionSummary, ConversionTable, summarize_conversion
from funnel.metrics._groups import STANDARD, GroupedTable, Scope, check_level
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import FloatArray, IntArray

__all__ = ["StageTable", "stage_table"]


def _stock(history: History, scope: Scope) -> Counts:
    """Count arrivals (+1) and departures (-1) of rows by group, period end and stage."""
    stages, until = history.funnel.n_stages, history.observed_until
    n = len(history)
    last = np.zeros(n, dtype=np.bool_)
    last[history.bounds[1:] - 1] = True
    leave = np.where(last, until + 1, np.append(history.at[1:], 0)[:n])
    if scope.periods is None:
        ends = np.array([until])
    else:
        ends = np.minimum(scope.periods.edges[1:].astype(np.int64) - 1, until)
    rows = np.flatnonzero(history.stage < stages)
    places = len(ends) + 1
    base = scope.groups(history, rows) * places
    found = []
    for days in (history.at[rows], leave[rows]):
        place = np.searchsorted(ends, days)  # the first period end on which it is there, or gone
        found.append((base + place) * stages + history.stage[rows])
    arrived, left = (Counts.of(key) for key in found)
    return arrived.merge(Counts(left.key, -left.count))


@attrs.frozen(eq=False)
class _Sheet:
    """Entries with what became of them, and the stock at the ends of periods."""

    conversion: ConversionSummary
    groups: IntArray
    stock: Counts

    def merge(self, other: _Sheet, /) -> _Sheet:
        """Add the counts of other deals."""
        return _Sheet(
            self.conversion.merge(other.conversion),
            np.union1d(self.groups, other.groups),
            self.stock.merge(other.stock),
        )

    def table(self, level: float) -> StageTable:
        """Return the result."""
        groups = np.union1d(self.groups, self.conversion.groups)
        entered = attrs.evolve(self.conversion, groups=groups).table(level=level)
        scope, cells = entered.scope, entered.cells
        stages, periods = scope.funnel.n_stages, scope.n_periods
        shown = cells[::periods] // periods
        change = np.zeros((len(shown), periods + 1, stages), dtype=np.int64)
        rest, stage = np.divmod(self.stock.key, stages)
        group, place = np.divmod(rest, periods + 1)
        np.add.at(change, (np.searchsorted(shown, group), place, stage), self.stock.count)
        there = np.cumsum(change, axis=1)[:, :-1].reshape(-1, stages).astype(np.float64)
        there[np.tile(scope.observed() == 0.0, len(shown))] = np.nan
        return StageTable(entered, there)


def _summarize(
    history: History,
    *,
    by: Sequence[str],
    period: Unit | Horizon | None,
    calendar: Calendar,
) -> _Sheet:
    """Count a chunk."""
    entered = summarize_conversion(history, by=by, period=period, calendar=calendar)
    scope = entered.scope
    rows = np.flatnonzero(history.stage < history.funnel.n_stages)
    return _Sheet(entered, scope.seen(history, rows), _stock(history, scope))


@attrs.frozen(eq=False)
class StageTable(GroupedTable):
    """Stages across, groups and periods down; see `stage_table`.

    Parameters
    ----------
    entered : ConversionTable
        Entries by stage, group and period, and what became of them.
    there : (c, s) float64
        Deals that are in each stage at the end of the period, or of what was observed of it; NaN
        where nothing was.
    """

    percents: ClassVar[frozenset[str]] = ConversionTable.percents

    entered: ConversionTable
    there: FloatArray

    @property
    def scope(self) -> Scope:  # type: ignore[override]
        """The groups and periods behind the rows."""
        return self.entered.scope

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and stage."""
        found = self.entered
        n = self.scope.funnel.n_stages
        return {
            **self.scope.columns(found.cells, n),
            "stage": np.tile(texts(self.scope.funnel.ids[:n]), len(found.cells)),
            "entries": found.entries.ravel(),
            "there": self.there.ravel(),
            "so_far": found.so_far.ravel(),
            "rate": found.rate.ravel(),
            "low": found.low.ravel(),
            "high": found.high.ravel(),
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return one row for each group and period, and one column for each stage."""
        names = {
            name: [cell or "(unknown)" for cell in column.tolist()]
            for name, column in self.scope.columns(self.entered.cells).items()
            if name != "observed"
        }
        if not names:
            names = {"": ["all"]}
        labels = self.scope.funnel.labels
        for stage in range(self.scope.funnel.n_stages):
            counts = zip(
                self.entered.entries[:, stage].tolist(),
                self.there[:, stage].tolist(),
                self.entered.rate[:, stage].tolist(),
                strict=True,
            )
            names[labels[stage]] = [
                f"{entries:,} / {'–' if now != now else f'{now:,.0f}'} / {percent(rate)}"  # noqa: PLR0124
                for entries, now, rate in counts
            ]
        return list(names), [list(row) for row in zip(*names.values(), strict=True)]

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Entered / there at the end / converted"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.entered.notes


def stage_table(
    source: History | HistorySource,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> StageTable:
    """Set the stages across and months, owners or both down (横向, 纵向, 横向对比), in one call.

    Parameters
    ----------
    source, by, period, level, calendar, executor
        As for `conversion`. ``period="month"`` gives month by stage, ``by=("owner",)`` owner by
        stage, and both each owner's months.

    Returns
    -------
    StageTable
        As text one row for each group and period. In each cell: entries in the period, deals there
        at its end, and the share of the entries that converts.

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`.

    Notes
    -----
    Entries and their conversion are those of `conversion`, with all that was seen later. The stock
    counts each deal for the group that it belongs to on that day; late and open deals count as
    everybody does.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]), id=["A", "A", "B", "B"],
    ...     stage=["Qualify", "Propose", "Qualify", "Lost"],
    ...     at=["2026-01-05", "2026-02-10", "2026-01-10", "2026-02-25"],
    ...     observed_from="2026-01-01", observed_until="2026-02-28",
    ... )
    >>> print(stage_table(history, period="month"))
    Entered / there at the end / converted
     period  Qualify        Propose
    -------  -------------  ------------
    2026-01  2 / 2 / 50.0%  0 / 0 / –
    2026-02  0 / 0 / –      1 / 1 / 0.0%
    """
    check_level(level)
    count = functools.partial(_summarize, by=by, period=period, calendar=calendar)
    return summarize(source, count, executor=executor).table(level)
