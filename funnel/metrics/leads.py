"""Leads: where they come from, their grades, who gets them, and which are forgotten."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.metrics._ages import ratio, wilson
from funnel.metrics._attainment_rows import demand, group_codes, text_column
from funnel.metrics._groups import STANDARD, GroupedTable, Scope, check_level
from funnel.metrics._lead_assignment import AssignmentRule, LeadAssignments, assign_leads
from funnel.metrics._lead_follow_up import (
    FollowUp,
    FollowUpSummary,
    follow_up,
    summarize_follow_up,
)
from funnel.metrics._lead_scores import (
    BANDS,
    Band,
    LeadScores,
    NumberPoints,
    Scorecard,
    ValuePoints,
)
from funnel.metrics._win_rates import summarize_win_rates
from funnel.results import ResultTable
from funnel.stages import Outcome
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    import numpy.typing as npt

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = [
    "BANDS",
    "AssignmentRule",
    "Band",
    "FollowUp",
    "FollowUpSummary",
    "LeadAssignments",
    "LeadScores",
    "LeadShares",
    "LeakRates",
    "NumberPoints",
    "Scorecard",
    "ValuePoints",
    "assign_leads",
    "follow_up",
    "lead_shares",
    "leak_rate",
    "summarize_follow_up",
]


@attrs.frozen(eq=False)
class LeadShares(GroupedTable):
    """Share of each source in leads and wins, by period; see `lead_shares`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    cells : (c,) int64
        Group and period of each row.
    leads, won : (c,) int64
        Leads created in the period, and how many of them are won so far.
    all_leads, all_won : (c,) int64
        The same of all groups in the period of the row.
    level : float
        Level of the intervals.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset(
        {
            "observed",
            "share_of_leads",
            "leads_low",
            "leads_high",
            "share_of_wins",
            "wins_low",
            "wins_high",
        }
    )

    scope: Scope
    cells: IntArray
    leads: IntArray
    won: IntArray
    all_leads: IntArray
    all_won: IntArray
    level: float
    notes: tuple[str, ...]

    @property
    def share_of_leads(self) -> FloatArray:
        """Leads / all leads of the period, (c,)."""
        return ratio(self.leads, self.all_leads)

    @property
    def share_of_wins(self) -> FloatArray:
        """Wins / all wins among the leads of the period, (c,)."""
        return ratio(self.won, self.all_won)

    @property
    def index(self) -> FloatArray:
        """Share of wins / share of leads: above 1 where leads are better than most, (c,)."""
        return ratio(self.share_of_wins, self.share_of_leads)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and period."""
        leads = wilson(self.leads, self.all_leads, self.level)
        wins = wilson(self.won, self.all_won, self.level)
        return {
            **self.scope.columns(self.cells),
            "leads": self.leads,
            "share_of_leads": self.share_of_leads,
            "leads_low": leads[0],
            "leads_high": leads[1],
            "won": self.won,
            "share_of_wins": self.share_of_wins,
            "wins_low": wins[0],
            "wins_high": wins[1],
            "index": self.index,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Shares of leads and of wins"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


def lead_shares(
    source: History | HistorySource,
    /,
    *,
    by: Sequence[str] = ("source",),
    period: Unit | Horizon | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> LeadShares:
    """Say which share of the leads, and of the wins among them, comes from each source.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals: every deal is a lead when it is created.
    by : sequence of str
        Category columns, with their values in the first row of a deal.
    period : {"week", "month", "quarter", "year"} or Horizon, optional
        Rows by the period of creation. A unit cuts the whole observed window.
    level, calendar, executor
        As for `conversion`.

    Returns
    -------
    LeadShares
        With Wilson's intervals. Wins are those so far, so compare periods that are old enough;
        `funnel.metrics.channels.channels` corrects for young leads.

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Lead"]), id=["A", "B", "C", "D", "A"],
    ...     at=["2026-01-01"] * 4 + ["2026-02-01"], stage=["Lead"] * 4 + ["Won"],
    ...     source=["fair", "web", "web", "web", "fair"],
    ... )
    >>> found = lead_shares(history)
    >>> found.share_of_leads.tolist(), found.share_of_wins.tolist(), found.index.tolist()
    ([0.25, 0.75], [1.0, 0.0], [4.0, 0.0])
    """
    check_level(level)
    count = functools.partial(summarize_win_rates, by=by, period=period, calendar=calendar)
    found = summarize(source, count, executor=executor).table(level=level)
    place = found.cells % found.scope.n_periods
    leads, won = found.created, found.cohort[:, Outcome.WON]
    whole = np.zeros((2, found.scope.n_periods), dtype=np.int64)
    np.add.at(whole[0], place, leads)
    np.add.at(whole[1], place, won)
    return LeadShares(
        scope=found.scope,
        cells=found.cells,
        leads=leads,
        won=won,
        all_leads=whole[0, place],
        all_won=whole[1, place],
        level=level,
        notes=found.notes,
    )


@attrs.frozen(eq=False)
class LeakRates(ResultTable):
    """Prospects contacted and never recorded, see `leak_rate`.

    Parameters
    ----------
    keys : mapping of str to (g,) str
        The groups.
    contacted, leaked : (g,) int64
        Prospects contacted, and how many of them were not recorded.
    level : float
        Level of the intervals.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"rate", "low", "high"})

    keys: Mapping[str, StringArray]
    contacted: IntArray
    leaked: IntArray
    level: float

    @property
    def rate(self) -> FloatArray:
        """Leaked / contacted, (g,)."""
        return ratio(self.leaked, self.contacted)

    @property
    def interval(self) -> tuple[FloatArray, FloatArray]:
        """Wilson's interval of `rate`, (g,) each."""
        return wilson(self.leaked, self.contacted, self.level)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group."""
        low, high = self.interval
        return {
            **self.keys,
            "contacted": self.contacted,
            "leaked": self.leaked,
            "rate": self.rate,
            "low": low,
            "high": high,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Leak rate: prospects contacted and not recorded"


def leak_rate(
    contacted: npt.ArrayLike,
    recorded: npt.ArrayLike,
    /,
    *,
    by: Mapping[str, npt.ArrayLike] | None = None,
    level: float = 0.95,
) -> LeakRates:
    """Measure the leak rate (漏网率): prospects that were contacted and never recorded.

    Parameters
    ----------
    contacted : (n,) str
        Prospects that were contacted, by id, for instance from a telephone log; one that is there
        several times counts once (once for each group).
    recorded : (m,) str
        Ids of the deals on record: ``history.ids`` or ``pipeline.ids``.
    by : mapping of str to (n,) str, optional
        Groups of the contacts, for instance who made them; the groups that occur have rows.
    level : float
        Level of the interval.

    Returns
    -------
    LeakRates
        ``rate = leaked / contacted`` with Wilson's interval; NaN where nobody was contacted.

    Raises
    ------
    ValidationError
        When an id is empty, or a column has the wrong length.

    See Also
    --------
    funnel.metrics.follow_up : Leads on record that nobody followed up in time.

    Examples
    --------
    >>> found = leak_rate(["A", "B", "C", "D", "D"], ["A", "B", "C", "X"])
    >>> found.contacted.tolist(), found.leaked.tolist(), found.rate.tolist()
    ([4], [1], [0.25])
    """
    check_level(level)
    named = ("contacted", contacted), ("recorded", recorded)
    ids, known = (text_column(name, values, _size(name, values)) for name, values in named)
    demand(
        "contacted", "must not be empty", ids == "", lambda _: "''", "Give every prospect an id."
    )
    keys = {name: text_column(name, values, len(ids)) for name, values in (by or {}).items()}
    groups, group = group_codes(keys, len(ids))
    groups = groups if keys else [()]
    names, n = ids.tolist(), max(len(ids), 1)
    last = dict(zip(names, range(n), strict=False))  # one number for all rows of a prospect
    code = np.fromiter(map(last.__getitem__, names), dtype=np.int64, count=len(ids))
    pairs = np.sort(group.astype(np.int64) * n + code)
    where, who = np.divmod(pairs[np.diff(pairs, prepend=-1) > 0], n)
    on_record = set(known.tolist()).__contains__
    here = np.fromiter(map(on_record, names), dtype=np.bool_, count=len(ids))
    leaked = where[~here[who]]
    return LeakRates(
        keys={name: texts([values[at] for values in groups]) for at, name in enumerate(keys)},
        contacted=np.bincount(where, minlength=len(groups)),
        leaked=np.bincount(leaked, minlength=len(groups)),
        level=level,
    )


def _size(name: str, values: npt.ArrayLike) -> int:
    """Return the number of values of a column."""
    if np.ndim(np.asarray(values, dtype=object)) != 1:
        raise ValidationError.from_value(name, "must be a sequence of ids", values, "")
    return len(np.asarray(values, dtype=object))
