"""Leads, opportunities and wins by channel, and how far the leads have had time to convert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import SchemaMismatchError
from funnel.kernels.labels import texts
from funnel.metrics._ages import AGE_BITS, AgeCounts, Counts, incidence, ratio
from funnel.metrics._attainment_rows import PeriodAmounts, listed
from funnel.metrics._attainment_sums import CellSums, currencies
from funnel.metrics._journeys import first_age, lives
from funnel.metrics._lead_channel_table import ChannelConversion, Channels
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.metrics._journeys import Lives
    from funnel.tables import History, Schema
    from funnel.typing import BoolArray, DateLike, FloatArray, IntArray, StringArray

__all__ = ["ChannelSummary", "summarize_channels"]

UNKNOWN, UNPAID, BEFORE, EMPTY = (
    "not in the history",
    "no cost",
    "before the history",
    "no leads",
)
REACHED, GONE, CENSORED = range(3)
CAUSE = np.array([CENSORED, REACHED, GONE, GONE])  # of a win, by code of `Outcome`
LATE = 2**31 - 1


@attrs.frozen(eq=False)
class ChannelSummary:
    """Leads and what they became by cell of the costs; merges with that of other deals.

    ``sums`` holds leads, opportunities, their money, wins, their money, and unknown amounts.
    """

    costs: PeriodAmounts
    schema: Schema
    window: tuple[int, int]
    opportunity: int
    sums: CellSums
    ages: Counts
    reached: AgeCounts
    won: AgeCounts
    currencies: frozenset[str]
    outside: int

    def merge(self, other: ChannelSummary, /) -> ChannelSummary:
        """Add the counts of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, windows, costs or stages.
        """
        self.schema.require_same(other.schema)
        self.costs.require_same(other.costs)
        if (self.window, self.opportunity) != (other.window, other.opportunity):
            raise SchemaMismatchError(
                "summaries must be of one observed window and stage; these are not. "
                "Summarize all chunks with the same arguments."
            )
        return attrs.evolve(
            self,
            sums=self.sums.merge(other.sums),
            ages=self.ages.merge(other.ages),
            reached=self.reached.merge(other.reached),
            won=self.won.merge(other.won),
            currencies=self.currencies | other.currencies,
            outside=self.outside + other.outside,
        )

    def table(self, *, level: float = 0.95) -> Channels:
        """Return one row for each cost, and for each group that has leads without one."""
        self.costs.check_currency(self.currencies)
        n = len(self.costs)
        cells, sums = self.sums.shown(n)
        row, keys, cost = self.costs.rows_of(cells, self.schema)
        leads = sums[:, 0].astype(np.int64)
        mark = np.where(leads > 0, "", EMPTY).astype(object)
        mark[:n][self.costs.end[:n] <= self.window[0]] = BEFORE
        mark[:n][self.costs.own_codes(self.schema)[0] < 0] = UNKNOWN
        mark[n:] = UNPAID
        hidden = np.where((mark == UNKNOWN) | (mark == BEFORE), np.nan, 0.0)
        found = [
            ChannelConversion(
                leads=leads,
                count=sums[:, at].astype(np.int64),
                value=sums[:, at + 1] + hidden,
                maturity=ratio(self._mature(counts, cells), leads),
                level=level,
            )
            for at, counts in ((1, self.reached), (3, self.won))
        ]
        labels = self.costs.labels[row]
        return Channels(
            keys=keys,
            labels=labels,
            leads=leads,
            cost=cost,
            opportunities=found[0],
            wins=found[1],
            mark=texts(mark),
            as_of=self.window[1],
            notes=self._notes(mark, (*keys.values(), labels), sums[:, 5].sum()),
        )

    def _mature(self, counts: AgeCounts, cells: IntArray) -> FloatArray:
        """(c,) -> (c,): leads, each with the share of conversions that come by its age."""
        _, events, risk = next(counts.blocks(np.zeros(1, dtype=np.int64)))
        found = incidence(events, risk)
        end = int(found.end[0])
        curve = found.curve[0, REACHED, : end + 1]
        if not curve[-1] > 0.0:
            return np.full(len(cells), np.nan)
        cell, age = self.ages.key >> AGE_BITS, self.ages.key & ((1 << AGE_BITS) - 1)
        share = curve[np.minimum(age + 1, end)] / curve[-1]
        place = np.searchsorted(cells, cell)
        weights = self.ages.count * share
        return np.bincount(place, weights=weights, minlength=len(cells)).astype(np.float64)

    def _notes(
        self, mark: StringArray, columns: tuple[StringArray, ...], unpriced: float
    ) -> tuple[str, ...]:
        """Say what to mind."""
        notes = []
        for name, what in (
            (UNKNOWN, "costs are of channels that are not in the history"),
            (BEFORE, "costs are of periods before the history begins"),
            (UNPAID, "rows have leads and no cost"),
        ):
            rows = np.flatnonzero(mark == name).tolist()
            if rows:
                named = (", ".join(column[row] for column in columns) for row in rows)
                notes.append(f"{len(rows):,} {what}: {listed(named)}")
        if self.outside:
            notes.append(f"{self.outside:,} leads were created outside of the periods of the costs")
        if unpriced:
            notes.append(f"{unpriced:,.0f} opportunities have no known amount: no value is counted")
        return tuple(notes)


def summarize_channels(
    history: History, /, *, costs: PeriodAmounts, opportunity: str, as_of: DateLike | None = None
) -> ChannelSummary:
    """Count the leads of a history, or of a chunk, by channel; see `channels`.

    Examples
    --------
    >>> from funnel.metrics.channels import Costs
    >>> from funnel.testing import fixtures
    >>> costs = Costs.from_columns(
    ...     cost=[9e3], region=["north"], start="2024-01-01", last="2024-12-31"
    ... )
    >>> summary = summarize_channels(fixtures.history(), costs=costs, opportunity="Propose")
    >>> summary.merge(summary).table().leads.tolist()
    [94, 94, 92]
    """
    history = history if as_of is None else history.until(as_of)
    place = history.funnel.code(opportunity)
    own = costs.own_codes(history.schema)
    life = lives(history)
    rows = life.last_row
    cell = costs.cells(own, costs.codes_of(history.columns, rows, own[1]), life.created)
    inside = np.flatnonzero(cell >= 0)
    reached, first, last, cause = _reaching(history, life, place)
    won = life.outcome == Outcome.WON
    amount = history.columns["amount"][rows]
    money = np.where(np.isnan(amount), 0.0, amount)
    priced = rows[(cell >= 0) & reached & ~np.isnan(amount)]
    unpriced = reached & np.isnan(amount)
    age = history.observed_until - life.created[inside].astype(np.int64)
    nowhere = np.zeros(len(rows), dtype=np.int64)
    return ChannelSummary(
        costs=costs,
        schema=history.schema,
        window=(history.observed_from, history.observed_until),
        opportunity=place,
        sums=CellSums.of(
            cell, (np.ones(len(rows)), reached, money * reached, won, money * won, unpriced)
        ),
        ages=Counts.of((cell[inside].astype(np.int64) << AGE_BITS) + age),
        reached=AgeCounts.of(nowhere, first, last, cause, CENSORED + 1),
        won=AgeCounts.of(nowhere, life.first, life.last, CAUSE[life.outcome], CENSORED + 1),
        currencies=currencies(history, priced),
        outside=int(np.count_nonzero(cell < 0)),
    )


def _reaching(
    history: History, life: Lives, opportunity: int
) -> tuple[BoolArray, IntArray, IntArray, IntArray]:
    """(n,) x 4: is an opportunity, first age at risk, last age, and cause of the end."""
    funnel = history.funnel
    there = (funnel.ladder >= funnel.ladder[opportunity]) | (funnel.outcomes == Outcome.WON)
    day = np.where(there[history.stage], history.at.astype(np.int64), LATE)
    day = np.minimum.reduceat(day, life.first_row) if len(life.first_row) else day[:0]
    reached = day < LATE
    created = life.created.astype(np.int64)
    seen = history.at[life.first_row] - created
    last = np.where(reached, day - created, life.last)
    closed = life.outcome != Outcome.OPEN
    cause = np.where(reached, REACHED, np.where(closed, GONE, CENSORED))
    at_first = history.stage[life.first_row]
    unseen = (there[at_first] | (funnel.outcomes[at_first] != Outcome.OPEN)) & (seen > 0)
    first = np.where(unseen, -1, first_age(seen, last, leaves=cause != CENSORED))
    return reached, first, last, cause
