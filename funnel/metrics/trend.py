"""The open pipeline on each of many days: deals and money by stage."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel._display import money
from funnel.calendars import to_dates, to_days
from funnel.errors import CurrencyMismatchError, SchemaMismatchError
from funnel.kernels.arrays import frozen
from funnel.kernels.cells import looked_up, used
from funnel.kernels.labels import texts
from funnel.kernels.stock import Stock, stock_on
from funnel.metrics._groups import STANDARD, GroupedTable, Scope
from funnel.metrics._where import EVERYWHERE, currencies, dated, scope_mask, scope_notes
from funnel.summary import summarize
from funnel.tables._past import observed_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from funnel.kernels.cells import Cells
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import DateArray, DateLike, DayArray, FloatArray, IntArray

__all__ = ["PipelineTrend", "PipelineTrendSummary", "pipeline_trend"]


@attrs.frozen(eq=False, str=False)
class PipelineTrend(GroupedTable):
    """The open pipeline by group, day and stage; see `pipeline_trend`.

    Parameters
    ----------
    scope : Scope
        The groups behind the rows.
    days : (k,) int32
        Days since 1970-01-01, ascending; their ends.
    currency : str
        Of all amounts.
    cells : (c,) int64
        Group of each block of rows.
    count : (c, k, s) int64
        Open deals in each stage.
    amount : (c, k, s) float64
        Their money in major units; unknown amounts count as 0.
    unknown : (c, k, s) int64
        How many of them are of unknown amount.
    notes : tuple of str
        What has to be known to read the table.
    """

    scope: Scope
    days: DayArray
    currency: str
    cells: IntArray
    count: IntArray
    amount: FloatArray
    unknown: IntArray
    notes: tuple[str, ...]

    @property
    def dates(self) -> DateArray:
        """The days, (k,) datetime64[D]."""
        return to_dates(self.days)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, day and stage."""
        stages = self.scope.funnel.n_stages
        blocks = len(self.cells), len(self.days)
        return {
            **self.scope.columns(self.cells, len(self.days) * stages),
            "day": np.tile(np.repeat(self.dates, stages), blocks[0]),
            "stage": np.tile(texts(self.scope.funnel.ids[:stages]), blocks[0] * blocks[1]),
            "deals": self.count.ravel(),
            "amount": self.amount.ravel(),
            "unknown": self.unknown.ravel(),
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return one row for each group and day, and one column for each stage ever used."""
        names = self.scope.columns(self.cells, len(self.days))
        keys = [[cell or "(unknown)" for cell in column.tolist()] for column in names.values()]
        keys.append(np.tile(self.dates.astype(str), len(self.cells)).tolist())
        shown = np.flatnonzero(self.count.any(axis=(0, 1)))
        columns = [
            [f"{deals:,} / {money(amount)}" for deals, amount in zip(*pair, strict=True)]
            for pair in zip(
                *(
                    [values.sum(axis=2).ravel(), *(values[:, :, at].ravel() for at in shown)]
                    for values in (self.count, self.amount)
                ),
                strict=True,
            )
        ]
        rows = [list(row) for row in zip(*keys, *columns, strict=True)]
        labels = [self.scope.funnel.labels[stage] for stage in shown]
        return [*names, "day", "all", *labels], rows

    @property
    def _title(self) -> str:
        """Return the heading."""
        unit = f", {self.currency}" if self.currency else ""
        return f"Open pipeline by stage: deals / money{unit}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what has to be known."""
        return self.notes


@attrs.frozen(eq=False)
class PipelineTrendSummary:
    """The open pipelines of some deals on many days; merges with those of other deals."""

    scope: Scope
    days: DayArray
    blank: bool
    currencies: tuple[str, ...]
    groups: IntArray
    stock: Stock

    def merge(self, other: PipelineTrendSummary, /) -> PipelineTrendSummary:
        """Add the pipelines of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, days or columns.
        """
        self.scope.require_same(other.scope)
        if not np.array_equal(self.days, other.days):
            msg = "summaries must be of the same days. Summarize all chunks alike."
            raise SchemaMismatchError(msg)
        groups = np.union1d(self.groups, other.groups)
        pairs = zip(self._of(groups), other._of(groups), strict=True)
        return attrs.evolve(
            self,
            currencies=tuple(sorted({*self.currencies, *other.currencies})),
            groups=groups,
            stock=Stock._make(mine + theirs for mine, theirs in pairs),
        )

    def _of(self, groups: IntArray) -> Stock:
        """Return the stock by group, for more groups than these."""
        place, wide = np.searchsorted(groups, self.groups), []
        for values in self.stock:
            wide.append(np.zeros((len(groups), *values.shape[1:]), dtype=values.dtype))
            wide[-1][place] = values
        return Stock._make(wide)

    def table(self) -> PipelineTrend:
        """Return the trend.

        Raises
        ------
        CurrencyMismatchError
            When amounts are of several currencies.
        """
        if len(self.currencies) > 1:
            raise CurrencyMismatchError(self.currencies)
        cells = self.scope.shown(self.groups)
        stock = self._of(cells)
        notes = []
        if self.blank:
            notes.append("amounts of open deals are known on the last observed day only")
        most = int(stock.unknown.sum(axis=(0, 2)).max(initial=0))
        if most:
            notes.append(
                f"deals whose amount is unknown, up to {most:,} on a day, count as deals, "
                "and as no money"
            )
        return PipelineTrend(
            scope=self.scope,
            days=frozen(self.days),
            currency=self.currencies[0] if self.currencies else "",
            cells=frozen(cells),
            count=frozen(stock.deals),
            amount=frozen(stock.amount),
            unknown=frozen(stock.unknown),
            notes=tuple(notes),
        )


def _summarize(
    history: History,
    *,
    days: DayArray,
    by: Sequence[str],
    where: Mapping[str, Sequence[str]],
) -> PipelineTrendSummary:
    """Add up the open pipelines of a chunk."""
    for day in to_dates(days[[0, -1]] if len(days) else days):
        observed_day(history, day)
    scope = Scope.of(history, by, None, STANDARD)
    for name in by:
        dated(history, name, "by")
    groups, cells = _cells(history, scope, where)
    stages = history.funnel.n_stages
    last = int(days.max(initial=history.observed_from))
    found = stock_on(
        history.deal,
        history.at,
        history.columns["amount"],
        days=days,
        cells=cells,
        size=len(groups) * stages,
    )
    shape = len(days), len(groups), stages
    stock = Stock._make(values.reshape(shape).transpose(1, 0, 2) for values in found)
    hidden = days < history.observed_until
    blank = history.schema.column("amount").known == "final" and bool(hidden.any())
    if blank:  # as in a snapshot: of open deals nothing final is known before the last day
        stock.amount[:, hidden] = 0.0
        stock.unknown[:, hidden] = stock.deals[:, hidden]
    return PipelineTrendSummary(scope, days, blank, currencies(history, last), groups, stock)


def _cells(
    history: History, scope: Scope, where: Mapping[str, Sequence[str]]
) -> tuple[IntArray, Cells]:
    """Return the groups that occur, and what gives the cell of rows: by group and stage."""
    stages, stage = history.funnel.n_stages, history.stage
    if not scope.by and not where:
        return np.zeros(1, dtype=np.int64), lambda rows: np.minimum(stage[rows], stages)
    mask = scope_mask(history, where) if where else None

    def group(rows: slice) -> IntArray:
        found = scope.groups(history, np.arange(*rows.indices(len(history))))
        wanted = stage[rows] < stages
        return np.where(wanted if mask is None else wanted & mask[rows], found, -1)

    groups = used(group, len(history))
    number = looked_up(groups, np.arange(len(groups) + 1))

    def cell(rows: slice) -> IntArray:
        place = number(group(rows)) * stages + stage[rows]
        return np.asarray(np.minimum(place, len(groups) * stages))

    return groups, cell


def pipeline_trend(
    source: History | HistorySource,
    days: Sequence[DateLike] | DateArray,
    /,
    *,
    by: Sequence[str] = (),
    where: Mapping[str, Sequence[str]] = EVERYWHERE,
    executor: Executor | None = None,
) -> PipelineTrend:
    """Say how many deals were open in each stage at the end of each of many days, and their money.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    days : (k,) dates
        Observed days in any order; each is shown once.
    by : sequence of str
        Category columns, with their values on each day. Each category of a single column has its
        rows, used or not; of several columns, the combinations that occur.
    where : mapping of str to sequence of str
        The scope, values by column on each day: ``{"region": ("north",)}``.
    executor : concurrent.futures.Executor, optional
        Where chunks are added up.

    Returns
    -------
    PipelineTrend
        As text one row for each group and day, with deals and money by stage; stages in which
        nothing ever was are left out.

    Raises
    ------
    UnknownColumnError
        When a column is not in the table.
    ValidationError
        When `days` are no days or before ``observed_from``; a column is not made of categories, or
        only its last value is known; a value of `where` does not occur.
    LeakError
        When a day is after ``observed_until``.
    CurrencyMismatchError
        When amounts are of several currencies; `History.convert` gives them in one.

    Notes
    -----
    The same as counting the open deals of ``history.snapshot(day)`` day by day, in one pass over
    the log whatever the number of days: what enters a stage is added and what leaves it taken away
    on the first day asked on which that is known, and the sums go on from day to day. Deals are
    counted exactly; money is rounded to 1e-12 of all the money that passed through the stage.

    Deals on hold are open, and in the column of their stage; `waterfall` leaves them out. Deals
    first seen in mid-stage count from the day on which they were first seen. An amount that is not
    known counts as a deal and as no money, and in `unknown`.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify", "Propose"]),
    ...     id=["A", "A", "B", "B", "C"],
    ...     stage=["Qualify", "Won", "Qualify", "Propose", "Qualify"],
    ...     at=["2026-01-05", "2026-02-10", "2026-01-07", "2026-02-12", "2026-02-20"],
    ...     amount=[100.0, 110.0, 80.0, 60.0, 30.0],
    ... )
    >>> found = pipeline_trend(history, ["2026-01-31", "2026-02-10", "2026-02-20"])
    >>> print(found)
    Open pipeline by stage: deals / money
           day  all      Qualify  Propose
    ----------  -------  -------  -------
    2026-01-31  2 / 180  2 / 180  0 / 0
    2026-02-10  1 / 80   1 / 80   0 / 0
    2026-02-20  2 / 90   1 / 30   1 / 60
    >>> found.count[0].tolist()
    [[2, 0], [1, 0], [1, 1]]
    """
    asked = np.unique(to_days(days, name="days"))
    count = functools.partial(_summarize, days=asked, by=by, where=where)
    found = summarize(source, count, executor=executor).table()
    return attrs.evolve(found, notes=(*scope_notes(where), *found.notes))
