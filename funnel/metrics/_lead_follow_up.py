"""Leads that nobody followed up in time."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.metrics._ages import Counts, ratio, wilson
from funnel.metrics._groups import STANDARD, GroupedTable, Scope, check_days, check_level
from funnel.stages import Outcome
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.metrics._lead_scores import Scorecard
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import DateLike, FloatArray, IntArray

__all__ = ["FollowUp", "FollowUpSummary", "follow_up", "summarize_follow_up"]

KINDS = ("in_time", "late", "never", "pending", "no_deadline")
IN_TIME, LATE, NEVER, PENDING, FREE = range(5)
FAR = 2**40


@attrs.frozen(eq=False)
class FollowUpSummary:
    """Leads by cell and by how they were followed up; merges with that of other deals."""

    scope: Scope
    groups: IntArray
    leads: Counts
    outside: int
    unseen: int

    def merge(self, other: FollowUpSummary, /) -> FollowUpSummary:
        """Add the counts of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, windows, columns or periods.
        """
        self.scope.require_same(other.scope)
        return FollowUpSummary(
            scope=self.scope,
            groups=np.union1d(self.groups, other.groups),
            leads=self.leads.merge(other.leads),
            outside=self.outside + other.outside,
            unseen=self.unseen + other.unseen,
        )

    def table(self, *, level: float = 0.95) -> FollowUp:
        """Return one row for each group and period."""
        check_level(level)
        cells = self.scope.shown(self.groups)
        count = np.zeros((len(cells), len(KINDS)), dtype=np.int64)
        cell, kind = np.divmod(self.leads.key, len(KINDS))
        count[np.searchsorted(cells, cell), kind] = self.leads.count
        notes = list(self.scope.notes())
        if self.outside:
            notes.append(f"{self.outside:,} leads were created outside of the periods")
        if self.unseen:
            notes.append(f"{self.unseen:,} leads whose beginning was not seen are left out")
        return FollowUp(scope=self.scope, cells=cells, count=count, level=level, notes=tuple(notes))


@attrs.frozen(eq=False)
class FollowUp(GroupedTable):
    """How leads were followed up, by group and period; see `follow_up`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    cells : (c,) int64
        Group and period of each row.
    count : (c, 5) int64
        Leads followed up in time, late, never; leads still within their deadline; without one.
    level : float
        Level of the intervals.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"observed", "missed", "low", "high"})

    scope: Scope
    cells: IntArray
    count: IntArray
    level: float
    notes: tuple[str, ...]

    @property
    def due(self) -> IntArray:
        """Leads whose deadline has passed, (c,)."""
        return np.asarray(self.count[:, :PENDING].sum(axis=1))

    @property
    def missed(self) -> FloatArray:
        """(late + never) / due: share of the leads that were not followed up in time, (c,)."""
        return ratio(self.count[:, LATE] + self.count[:, NEVER], self.due)

    @property
    def interval(self) -> tuple[FloatArray, FloatArray]:
        """Wilson's interval of `missed`, (c,) each."""
        return wilson(self.count[:, LATE] + self.count[:, NEVER], self.due, self.level)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and period."""
        low, high = self.interval
        return {
            **self.scope.columns(self.cells),
            "leads": self.count.sum(axis=1),
            "due": self.due,
            **{name: self.count[:, at] for at, name in enumerate(KINDS)},
            "missed": self.missed,
            "low": low,
            "high": high,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Leads not followed up in time"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


def _touched(history: History, contact: str | None) -> IntArray:
    """(n,): the first day on which each deal changed its stage or was contacted; `FAR` none."""
    begin = history.bounds[:-1]
    if not len(begin):
        return begin
    first = history.stage[begin]
    closed = history.funnel.outcomes[first] != Outcome.OPEN
    moved = (history.stage != first[history.deal]) | closed[history.deal]
    found = np.minimum.reduceat(np.where(moved, history.at.astype(np.int64), FAR), begin)
    if contact is not None:
        column = history.schema.column(contact)
        if column.kind != "date":
            rule, remedy = "must name a date column", f"It is a {column.kind} column."
            raise ValidationError.from_value("contact", rule, contact, remedy)
        days = history.columns[contact].astype(np.int64)
        # A day after as_of is a plan, one before the creation was another contact.
        real = (days >= history.created[history.deal]) & (days <= history.observed_until)
        spoken = np.minimum.reduceat(np.where(real, days, FAR), begin)
        found = np.minimum(found, spoken)
    return found


def summarize_follow_up(
    history: History,
    /,
    *,
    days: int = 7,
    scorecard: Scorecard | None = None,
    contact: str | None = None,
    as_of: DateLike | None = None,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    calendar: Calendar = STANDARD,
) -> FollowUpSummary:
    """Count the leads of a history, or of a chunk, by how they were followed up; see `follow_up`.

    Examples
    --------
    >>> from funnel.testing import fixtures
    >>> summary = summarize_follow_up(fixtures.history())
    >>> summary.merge(summary).table().count.tolist()
    [[78, 310, 24, 0, 0]]
    """
    check_days(days, "days")
    history = history if as_of is None else history.until(as_of)
    scope = Scope.of(history, by, period, calendar)
    rows = history.bounds[:-1]
    created = history.created.astype(np.int64)
    allowed: IntArray = np.full(len(rows), days, dtype=np.int64)
    if scorecard is not None:
        known = {name: column[rows] for name, column in history.columns.items()}
        points = scorecard.points(history.schema, known)[0]
        allowed = scorecard.deadlines(scorecard.grades(points.sum(axis=1)))
    touched = _touched(history, contact)
    due = created + allowed
    kind = np.where(touched <= due, IN_TIME, np.where(touched < FAR, LATE, NEVER))
    # Who still has time is not counted, not even as followed up: that would flatter the rest.
    kind = np.where(due > history.observed_until, PENDING, kind)
    kind = np.where(allowed < 0, FREE, kind)
    cell = scope.cells(history, rows, history.created)
    seen = history.at[rows] <= created
    used = np.flatnonzero((cell >= 0) & seen)
    return FollowUpSummary(
        scope=scope,
        groups=scope.seen(history, rows),
        leads=Counts.of(cell[used] * len(KINDS) + kind[used]),
        outside=int(np.count_nonzero((cell < 0) & seen)),
        unseen=int(np.count_nonzero(~seen)),
    )


def follow_up(
    source: History | HistorySource,
    /,
    *,
    days: int = 7,
    scorecard: Scorecard | None = None,
    contact: str | None = None,
    as_of: DateLike | None = None,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> FollowUp:
    """Measure which share of the leads nobody contacted or moved on within the deadline.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals: every deal is a lead when it is created.
    days : int
        Days from creation within which a lead is to be followed up; day 0 is that of creation.
    scorecard : Scorecard, optional
        Takes the deadline from the band of each lead instead, by its values when it was created.
    contact : str, optional
        A date column that holds contacts, such as the last activity. Without it only a change of
        stage tells of a follow-up.
    as_of : date, optional
        The day (its end) on which all this was known; the last observed day by default.
    by : sequence of str
        Category columns, with their values in the first row of a deal.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        Rows by the period of creation. A unit cuts the whole observed window.
    level, calendar, executor
        As for `conversion`.

    Returns
    -------
    FollowUp

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`, and when `days` is no whole number >= 0 or `contact` no date column.
    LeakError
        When `as_of` is after the history.

    Notes
    -----
    ``missed = (late + never) / due`` of leads whose deadline has passed by `as_of`. A lead is
    followed up on the day on which it first leaves its first stage (also when it is lost or put
    on hold) or is first contacted. Leads first seen after their creation are left out.

    See Also
    --------
    funnel.metrics.leads.leak_rate : Prospects that were contacted and never recorded.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Lead", "Opportunity"]), id=["A", "A", "B", "B", "C", "D"],
    ...     stage=["Lead", "Opportunity", "Lead", "Lost", "Lead", "Lead"],
    ...     at=["2026-01-01", "2026-01-05", "2026-01-01", "2026-01-20", "2026-01-02", "2026-01-18"],
    ... )
    >>> found = follow_up(history)  # A in time, B late, C never, D has time left
    >>> found.count.tolist(), found.missed.tolist()
    ([[1, 1, 1, 1, 0]], [0.66...])
    """
    check_level(level)
    count = functools.partial(
        summarize_follow_up,
        days=days,
        scorecard=scorecard,
        contact=contact,
        as_of=as_of,
        by=by,
        period=period,
        calendar=calendar,
    )
    return summarize(source, count, executor=executor).table(level=level)
