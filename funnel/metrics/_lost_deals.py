"""Lists of lost and of delayed deals, with what is known of the reason, remedy and competitor."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date, to_dates, to_day
from funnel.errors import SchemaMismatchError, ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.metrics._watch_base import find_column
from funnel.results import ResultTable
from funnel.stages import Outcome
from funnel.summary import summarize
from funnel.tables._past import observed_day
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import DateLike, DayArray, FloatArray, IntArray, StringArray

__all__ = ["DelayedDeals", "LostDeals", "delayed_deals", "group_columns", "lost_deals"]

REASONS = {
    "lost": ("loss_reason", "lost_reason", "reason_lost", "reason"),
    "delayed": ("delay_reason", "delayed_reason", "reason"),
}
REMEDIES = ("remedy", "remedies", "countermeasure")
COMPETITORS = ("competitor", "competitors", "lost_to")


@attrs.frozen(eq=False, str=False)
class LostDeals(ResultTable):
    """Deals that were lost, the largest first within each group; see `lost_deals`.

    Parameters
    ----------
    start, end : int
        First day, and the day after the last.
    ids : (m,) str
        Deals.
    groups : mapping of str to (m,) str
        The columns of `by`.
    lost_on : (m,) int32
        Day of the loss.
    state, stage : (m,) str
        The lost state, and the stage that the deal was in before; empty where unknown.
    amount : (m,) float64
        The last amount while the deal was open: many systems set it to 0 with the loss.
    details : mapping of str to (m,) str
        ``reason``, ``remedy`` and ``competitor``, those that the table has.
    """

    start: int
    end: int
    ids: StringArray
    groups: dict[str, StringArray]
    lost_on: DayArray
    state: StringArray
    stage: StringArray
    amount: FloatArray
    details: dict[str, StringArray]

    def merge(self, other: LostDeals, /) -> LostDeals:
        """Put the deals of another chunk among these.

        Raises
        ------
        SchemaMismatchError
            When the lists are of different days or columns.
        """
        asked = ((x.start, x.end, [*x.groups], [*x.details]) for x in (self, other))
        if next(asked) != next(asked):
            msg = "lists must be of the same days and columns. List all chunks alike."
            raise SchemaMismatchError(msg)
        names = ("ids", "lost_on", "state", "stage", "amount")
        joined: dict[str, Any] = {
            n: np.concatenate((getattr(self, n), getattr(other, n))) for n in names
        }
        groups, details = (
            {n: np.concatenate((mine[n], theirs[n])) for n in mine}
            for mine, theirs in ((self.groups, other.groups), (self.details, other.details))
        )
        return attrs.evolve(self, groups=groups, details=details, **joined).sorted()

    def sorted(self) -> LostDeals:
        """Return the deals in their order."""
        order = _order(self.groups, self.amount, self.ids)
        names = ("ids", "lost_on", "state", "stage", "amount")
        ordered: dict[str, Any] = {name: frozen(getattr(self, name)[order]) for name in names}
        groups, details = (
            {name: frozen(values[order]) for name, values in columns.items()}
            for columns in (self.groups, self.details)
        )
        return attrs.evolve(self, groups=groups, details=details, **ordered)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each deal."""
        return {
            **self.groups,
            "deal": self.ids,
            "lost_on": to_dates(self.lost_on),
            "state": self.state,
            "stage": self.stage,
            "amount": self.amount,
            **self.details,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"{len(self.ids):,} deals lost from {to_date(self.start)} to {to_date(self.end - 1)}"


@attrs.frozen(eq=False, str=False)
class DelayedDeals(ResultTable):
    """Open deals that are late or were pushed, the largest first within each group.

    See `delayed_deals`.

    Parameters
    ----------
    as_of : int
        Day of the list; its end.
    ids : (m,) str
        Deals.
    groups : mapping of str to (m,) str
        The columns of `by`.
    stage : (m,) str
        Where they are.
    promise : (m,) int32
        The expected close; `NO_DAY` where it was taken back.
    days_late : (m,) float64
        Days past the promise; 0 where it is still ahead, NaN where there is none.
    pushes : (m,) int32
        Times the promise moved later; -1 unknown.
    amount : (m,) float64
        Major units; NaN unknown.
    details : mapping of str to (m,) str
        ``reason``, ``remedy`` and ``competitor``, those that the table has.
    """

    as_of: int
    ids: StringArray
    groups: dict[str, StringArray]
    stage: StringArray
    promise: DayArray
    days_late: FloatArray
    pushes: IntArray
    amount: FloatArray
    details: dict[str, StringArray]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each deal."""
        return {
            **self.groups,
            "deal": self.ids,
            "stage": self.stage,
            "promise": to_dates(self.promise),
            "days_late": self.days_late,
            "pushes": self.pushes,
            "amount": self.amount,
            **self.details,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"{len(self.ids):,} delayed deals, as of {to_date(self.as_of)}"


def group_columns(pipeline: Pipeline, by: Sequence[str]) -> dict[str, StringArray]:
    """Return category columns as texts, (n,) each; unknown is the empty text."""
    if isinstance(by, str):
        remedy = f"Put the single column into a tuple: by=({by!r},)."
        raise ValidationError.from_value("by", "must be a sequence of columns", by, remedy)
    found = {}
    for name in by:
        column = pipeline.schema.column(name)
        if column.kind != "category":
            rule, remedy = "must name columns of categories", f"It is a {column.kind} column."
            raise ValidationError.from_value("by", rule, name, remedy)
        found[name] = texts([*column.categories, ""])[pipeline.columns[name]]
    return found


def _details(
    pipeline: Pipeline, given: Mapping[str, str | None], usual: Mapping[str, Sequence[str]]
) -> dict[str, StringArray]:
    """Return reason, remedy and competitor, each under that name, where there is such a column."""
    found = {}
    for what, name in given.items():
        column = find_column(pipeline, name, usual[what], ("category",))
        if column:
            found[what] = group_columns(pipeline, (column,))[column]
    return found


def _order(groups: dict[str, StringArray], amount: FloatArray, ids: StringArray) -> IntArray:
    """Sort by group, then by amount, falling and the unknown last."""
    money = np.where(np.isnan(amount), np.inf, -amount)
    keys = [values.astype(str) for values in reversed(groups.values())]
    return np.lexsort((ids.astype(str), money, *keys))


def lost_deals(
    source: History | HistorySource,
    start: DateLike,
    end: DateLike,
    /,
    *,
    by: Sequence[str] = (),
    reason: str | None = None,
    remedy: str | None = None,
    competitor: str | None = None,
    executor: Executor | None = None,
) -> LostDeals:
    """List the deals lost in ``[start, end)``, as they stood at the end of the last day of it.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    start, end : date
        First day, and the day after the last, as in a period of a `Horizon`.
    by : sequence of str
        Category columns to show first and to sort by.
    reason, remedy, competitor : str, optional
        Columns; by default those with a usual name (``loss_reason``, ``remedy``, ``competitor``
        ...), left out where there is none.
    executor : concurrent.futures.Executor, optional
        Where chunks are listed.

    Returns
    -------
    LostDeals

    Raises
    ------
    UnknownColumnError
        When a named column is not in the table.
    LeakError, ValidationError
        When the days were not observed or are not in their order.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "B"], stage=["Qualify", "Lost", "Qualify"],
    ...     at=["2026-01-05", "2026-02-10", "2026-01-07"], amount=[100.0, 0.0, 80.0],
    ...     loss_reason=["", "price", ""], observed_until="2026-02-28",
    ... )
    >>> print(lost_deals(history, "2026-02-01", "2026-03-01"))
    1 deals lost from 2026-02-01 to 2026-02-28
    deal     lost_on  state  stage    amount  reason
    ----  ----------  -----  -------  ------  ------
    A     2026-02-10  Lost   Qualify     100  price
    """
    first, after = to_day(start, name="start"), to_day(end, name="end")
    if first >= after:
        rule = f"must be after start ({to_date(first)})"
        raise ValidationError.from_value("end", rule, str(to_date(after)), "")
    given = {"reason": reason, "remedy": remedy, "competitor": competitor}
    count = functools.partial(_lost, first=first, after=after, by=by, given=given)
    return summarize(source, count, executor=executor)


def _lost(
    history: History,
    *,
    first: int,
    after: int,
    by: Sequence[str],
    given: Mapping[str, str | None],
) -> LostDeals:
    """List the deals of one chunk."""
    for day in (first, after - 1):
        observed_day(history, np.datetime64(day, "D"))
    whole = history.snapshot(np.datetime64(after - 1, "D"))
    lost = (whole.outcome == Outcome.LOST) & (whole.closed_on >= first)
    pipeline = whole.select(np.flatnonzero(lost))
    open_row = _last_open(history, pipeline, after - 1)
    known = open_row >= 0
    stage = np.where(known, history.stage[open_row], -1)
    dated = history.schema.column("amount").known != "final"
    amount = np.where(known & dated, history.columns["amount"][open_row], pipeline.amount)
    usual = {"reason": REASONS["lost"], "remedy": REMEDIES, "competitor": COMPETITORS}
    ids = texts([*history.funnel.ids, ""])
    return LostDeals(
        start=first,
        end=after,
        ids=pipeline.ids,
        groups=group_columns(pipeline, by),
        lost_on=pipeline.closed_on,
        state=ids[pipeline.stage],
        stage=ids[stage],
        amount=amount,
        details=_details(pipeline, given, usual),
    ).sorted()


def _last_open(history: History, pipeline: Pipeline, day: int) -> IntArray:
    """(n,): the last row of each deal up to `day` in which it was open, -1 where there is none."""
    is_open = history.funnel.outcomes[history.stage] == Outcome.OPEN
    seen = np.where(is_open & (history.at <= day), np.arange(len(history)), -1)
    latest = np.maximum.accumulate(seen)
    deal = np.searchsorted(history.ids, pipeline.ids)
    row = latest[history.bounds[1:][deal] - 1]
    return np.where((row >= 0) & (history.deal[row] == deal), row, -1)


def _check_pushes(pushes: object) -> None:
    """Demand a whole number >= 1."""
    if isinstance(pushes, bool) or not isinstance(pushes, int) or pushes < 1:
        raise ValidationError.from_value("pushes", "must be a whole number >= 1", pushes, "")


def delayed_deals(
    pipeline: Pipeline,
    /,
    *,
    by: Sequence[str] = (),
    pushes: int = 1,
    reason: str | None = None,
    remedy: str | None = None,
    competitor: str | None = None,
) -> DelayedDeals:
    """List the open deals that are past their expected close, or were pushed.

    Parameters
    ----------
    pipeline : Pipeline
        The snapshot.
    by : sequence of str
        Category columns to show first and to sort by.
    pushes : int
        From how many pushes on a deal counts as delayed whose promise is still ahead.
    reason, remedy, competitor : str, optional
        As for `lost_deals`; the usual name of the reason is ``delay_reason``.

    Returns
    -------
    DelayedDeals

    Raises
    ------
    UnknownColumnError, ValidationError
        When a named column is not in the table, or `pushes` is below 1.

    Examples
    --------
    >>> import funnel as fn
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), as_of="2026-06-30", id=["A", "B"],
    ...     stage=["Qualify"] * 2, amount=[100.0, 900.0],
    ...     expected_close=["2026-06-20", "2026-07-20"], competitor=["Acme", ""],
    ... )
    >>> found = delayed_deals(pipeline)
    >>> found.ids.tolist(), found.days_late.tolist(), found.details["competitor"].tolist()
    (['A'], [10.0], ['Acme'])
    """
    _check_pushes(pushes)
    promise = pipeline.expected_close
    late = np.maximum(pipeline.as_of - promise.astype(np.float64), 0.0)
    late = np.where(promise == NO_DAY, np.nan, late)
    delayed = (pipeline.outcome == Outcome.OPEN) & ((late > 0.0) | (pipeline.pushes >= pushes))
    rows = np.flatnonzero(delayed)
    groups = {name: values[rows] for name, values in group_columns(pipeline, by).items()}
    given = {"reason": reason, "remedy": remedy, "competitor": competitor}
    usual = {"reason": REASONS["delayed"], "remedy": REMEDIES, "competitor": COMPETITORS}
    details = _details(pipeline, given, usual)
    order = _order(groups, pipeline.amount[rows], pipeline.ids[rows])
    rows = rows[order]
    return DelayedDeals(
        as_of=pipeline.as_of,
        ids=frozen(pipeline.ids[rows]),
        groups={name: frozen(values[order]) for name, values in groups.items()},
        stage=frozen(texts(pipeline.funnel.ids)[pipeline.stage[rows]]),
        promise=frozen(promise[rows]),
        days_late=frozen(late[rows]),
        pushes=frozen(pipeline.pushes[rows]),
        amount=frozen(pipeline.amount[rows]),
        details={name: frozen(values[rows]) for name, values in details.items()},
    )
