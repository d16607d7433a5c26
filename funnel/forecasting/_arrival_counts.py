"""Counts of new deals by day and delay, with a sample of the latest, that merge."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import ValidationError
from funnel.snapshots import stacked
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from funnel.tables import History, Pipeline
    from funnel.typing import DayArray, IntArray

__all__ = ["LATEST", "ArrivalSummary", "arrivals_until", "shifted"]

LATEST = 90
"""Days after its creation on which a deal may be first seen and still count as new."""


@attrs.frozen(eq=False)
class ArrivalSummary:
    """Counts of new deals, and a sample of the latest; the same whatever the split into chunks.

    Parameters
    ----------
    observed_from, observed_until : int
        The window of the history.
    counts : (d, 91) int64
        Deals by day of creation (from `observed_from` on) and days until the first row.
    left_out : int
        Deals created in the window and recorded more than 90 days later.
    size : int
        Largest number of deals in the sample.
    born : (m,) int32
        Creation days of the sample.
    rank : (m,) int64
        0 for the deals of the recent days, their age in days for older ones.
    mark : (m,) uint64
        A hash of the deal's id: the sample holds the deals that are first by rank and mark.
    deals : Pipeline
        The sample at the end of the day of the first row, with days counted from that day.
    """

    observed_from: int
    observed_until: int
    counts: IntArray
    left_out: int
    size: int
    born: DayArray
    rank: IntArray
    mark: IntArray
    deals: Pipeline

    def merge(self, other: ArrivalSummary, /) -> ArrivalSummary:
        """Add the deals of another chunk.

        Raises
        ------
        ValidationError
            When the chunks are of different windows.
        SchemaMismatchError
            When they are of different schemas.
        """
        if self.counts.shape != other.counts.shape or self.observed_from != other.observed_from:
            raise ValidationError.from_value(
                "summaries",
                "must be of one observed_from and one observed_until",
                (str(to_date(other.observed_from)), str(to_date(other.observed_until))),
                "",
            )
        rank = np.concatenate((self.rank, other.rank))
        mark = np.concatenate((self.mark, other.mark))
        first = np.lexsort((mark, rank))[: self.size]
        return attrs.evolve(
            self,
            counts=self.counts + other.counts,
            left_out=self.left_out + other.left_out,
            born=np.concatenate((self.born, other.born))[first],
            rank=rank[first],
            mark=mark[first],
            deals=stacked(self.deals, other.deals).select(first),
        )


def arrivals_until(
    history: History, days: Sequence[int], /, *, size: int, recent_days: int
) -> Iterator[ArrivalSummary]:
    """Yield counts by day and delay of the new deals of ``history.until(day)``, and a sample.

    For ascending days. A deal counts from the day on that it was first seen.
    """
    first = history.observed_from
    seen = history.at[history.bounds[:-1]].astype(np.int64)
    born = history.created.astype(np.int64)
    inside = (born >= first) & (born <= seen)
    new = inside & (seen - born <= LATEST)
    late = np.sort(seen[inside & ~new])
    length = int(days[-1]) - first + 1
    known = np.flatnonzero(new & (seen <= days[-1]))
    delay = seen[known] - born[known]
    key = (born[known] - first) * (LATEST + 1) + delay
    counts = np.bincount(key, minlength=length * (LATEST + 1)).reshape(length, LATEST + 1)
    recorded = first + np.add.outer(np.arange(length), np.arange(LATEST + 1))
    samples = list(_samples(history, known, seen, days, size=size, recent_days=recent_days))
    mask = np.zeros(history.n_deals, dtype=np.bool_)
    for chosen, *_ in samples:
        mask[chosen] = True
    # What a deal was on its first day, whatever became known later.
    deals, place = _first_days(history.select(mask)), np.cumsum(mask) - 1
    for day, (chosen, rank, mark) in zip(map(int, days), samples, strict=True):
        there = counts[: day - first + 1]
        yield ArrivalSummary(
            observed_from=first,
            observed_until=day,
            counts=np.where(recorded[: len(there)] <= day, there, 0),
            left_out=int(np.searchsorted(late, day, side="right")),
            size=size,
            born=born[chosen].astype(np.int32),
            rank=rank,
            mark=mark,
            deals=deals.select(place[chosen]),
        )


def _samples(
    history: History,
    known: IntArray,
    seen: IntArray,
    days: Sequence[int],
    *,
    size: int,
    recent_days: int,
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Yield so many of the `known` deals for each day, in order, with their ranks and marks."""
    seen, born = seen[known], history.created[known].astype(np.int64)
    marks, marked = np.zeros(len(known), np.uint64), np.zeros(len(known), np.bool_)
    for day in map(int, days):
        candidates = np.flatnonzero(seen <= day)
        rank = day - born[candidates]
        rank = np.where(rank < recent_days, 0, rank)
        if len(candidates) > size:  # hash those only that can be in the sample
            some = rank <= np.partition(rank, size - 1)[size - 1]
            candidates, rank = candidates[some], rank[some]
        fresh = candidates[~marked[candidates]]
        marks[fresh], marked[fresh] = _marks(history.ids[known[fresh]].tolist()), True
        mark = marks[candidates]
        order = np.lexsort((mark, rank))[:size]
        yield known[candidates[order]], rank[order], mark[order]


def _marks(ids: list[str]) -> IntArray:
    """(n,) -> (n,): a hash of each id that is the same on every machine."""
    digests = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _first_days(history: History) -> Pipeline:
    """Return every deal at the end of the day of its first row, with days counted from that day."""
    first = history.at[history.bounds[:-1]]
    start = first[history.deal].astype(np.int64)
    day_zero = np.zeros(len(first), dtype=np.int32)
    dates = {column.name for column in history.schema.columns if column.kind == "date"}
    columns = {
        name: shifted(values, -start) if name in dates else values
        for name, values in history.columns.items()
    }
    at = (history.at - start).astype(np.int32)
    moved = attrs.evolve(
        history,
        created=day_zero,
        first_entered=day_zero,
        at=at,
        columns=columns,
        observed_from=0,
        observed_until=int(at.max(initial=0)) + 1,  # later than day 0: final columns are blanked
    )
    return moved.snapshot(np.datetime64(0, "D"))


def shifted(days: DayArray, by: int | IntArray) -> DayArray:
    """Move days; no date stays no date."""
    moved = days.astype(np.int64) + by
    return np.where(days == NO_DAY, NO_DAY, moved).astype(np.int32)
