"""Open deals on weekly reference days, on the clock of their promise: the summary of close-date."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.models._references import CENSORED, references
from funnel.models._segment_counts import tally
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.stages import Funnel
    from funnel.tables import History, Schema
    from funnel.typing import DayArray, IntArray

__all__ = [
    "ANY",
    "ENTRY",
    "GROUPS",
    "LATER",
    "LEADS",
    "NONE",
    "OVERDUE",
    "PUSHES",
    "CloseDateSummary",
    "owners_of",
    "place",
    "summarize_slippage",
]

GROUPS = ("no promise", "overdue", "1-30 days", "31-90 days", "91-180 days", "later", "any")
"""Deals by the days from the reference day to the promise; the last one is all of them."""

NONE, OVERDUE, LATER, ANY = 0, 1, 5, 6
LEADS = np.array([0, 30, 90, 180])
"""Longest lead of the groups from "overdue" on."""

PUSHES = 4
"""Promises moved never, once, twice, and three times or more."""

WEEK = 7
OLDEST = 365  # promises that passed longer ago count as a year overdue
ENTRY = CENSORED + 1  # besides the causes, the kind of row that counts entries


def place(promise: DayArray, day: IntArray) -> tuple[IntArray, IntArray]:
    """(n,), (n,) -> (n,), (n,): group and position on its clock at the end of a day.

    Groups of up to 180 days run on the clock of slippage, which begins at their longest lead;
    overdue deals on the days since the promise; others on the days since the reference day.
    """
    lead = promise.astype(np.int64) - day
    group = np.searchsorted(LEADS, lead) + OVERDUE
    longest = LEADS[np.minimum(group - OVERDUE, len(LEADS) - 1)]
    position = 1 + np.minimum(longest - lead, OLDEST)
    group = np.where(promise == NO_DAY, NONE, group)
    return group, np.where((group == NONE) | (group == LATER), 1, position)


@attrs.frozen(eq=False)
class CloseDateSummary:
    """Counts of open deals on weekly reference days, and of how they ended.

    Parameters
    ----------
    funnel : Funnel
        The ladder.
    trained_until : int
        The censoring day; reference days lie whole weeks before it.
    owners : tuple of str
        Names behind the codes of owners.
    rows : (m, 6) int64
        Stage, group, pushes, owner, kind (won, lost or removed, censored, entered) and position.
    counts : (m,) int64
        How often each row was seen.
    deals, closed : int
        Deals with a reference day, and how many of them have closed since.
    """

    funnel: Funnel
    trained_until: int
    owners: tuple[str, ...]
    rows: IntArray
    counts: IntArray
    deals: int
    closed: int

    def merge(self, other: CloseDateSummary, /) -> CloseDateSummary:
        """Add the counts of other deals."""
        mine, theirs = ((s.funnel, s.trained_until, s.owners) for s in (self, other))
        if mine != theirs:
            rule = "must be of one funnel, one observed_until and one list of owners"
            raise ValidationError.from_value("summaries", rule, repr(other.funnel), "")
        rows, counts = tally(
            np.concatenate((self.rows, other.rows)), np.concatenate((self.counts, other.counts))
        )
        return attrs.evolve(
            self,
            rows=rows,
            counts=counts,
            deals=self.deals + other.deals,
            closed=self.closed + other.closed,
        )


def summarize_slippage(history: History, owner: str, /) -> CloseDateSummary:
    """Count open deals on reference days, and how they ended."""
    weeks = np.arange((history.observed_until - history.observed_from) // WEEK, 0, -1)
    seen = references(history, history.observed_until - WEEK * weeks)
    promise = history.columns["expected_close"]
    push = np.minimum(history.pushes, PUSHES - 1)[seen.row]
    if history.schema.column("expected_close").known == "final":
        promise, push = np.full_like(promise, NO_DAY), np.full_like(push, -1)
    codes, owners = owners_of(history.schema, history.columns, owner)
    group, position = place(promise[seen.row], seen.day)
    own = [history.stage[seen.row], group, push, codes[seen.row]]
    none = np.full(len(seen.row), -1)
    whole = [history.stage[seen.row], np.full(len(seen.row), ANY), none, none]
    blocks = [
        np.stack([*state, kind, place], axis=1).astype(np.int64)
        for state, start in ((own, position), (whole, np.ones_like(position)))
        for kind, place in ((seen.cause, start + seen.days), (np.full_like(none, ENTRY), start))
    ]
    rows, counts = tally(np.concatenate(blocks), np.ones(sum(map(len, blocks)), dtype=np.int64))
    deal = history.deal[seen.row]
    return CloseDateSummary(
        funnel=history.funnel,
        trained_until=history.observed_until,
        owners=tuple(owners),
        rows=rows,
        counts=counts,
        deals=len(np.unique(deal)),
        closed=len(np.unique(deal[seen.cause != CENSORED])),
    )


def owners_of(
    schema: Schema, columns: Mapping[str, IntArray], name: str
) -> tuple[IntArray, tuple[str, ...]]:
    """(n,): owner codes and their names; -1 everywhere where no owners may be learnt from."""
    rows = len(columns["amount"])
    if name not in schema.names or schema.column(name).known == "final":
        return np.full(rows, -1), ()
    column = schema.column(name)
    if column.kind != "category":
        remedy = "Name another column as owner=, or None to leave owners out."
        raise ValidationError.from_value(name, "must be a column of names", column.kind, remedy)
    return columns[name], column.categories
