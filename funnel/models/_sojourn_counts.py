"""Exposure and moves of a history, counted once for many days at whose end they may be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels import exposure as kernel
from funnel.models._segment_counts import SegmentCounts, count_segments, tally
from funnel.models._sojourns import BUCKET, Layout, Sojourns
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from funnel.tables import History
    from funnel.typing import BoolArray, IntArray

__all__ = ["sojourns_until", "summarize_sojourns", "targets"]


class _Stays(NamedTuple):
    """Stays in states since days that are known, (p,) each; `end` and `target` as on the last day.

    `piece` is the place in `History.pieces`, `fresh` is explained in `kernels.exposure`, and `back`
    says which resume a stage after a hold.
    """

    piece: IntArray
    state: IntArray
    start: IntArray
    age: IntArray
    end: IntArray
    target: IntArray
    fresh: BoolArray
    back: BoolArray

    def until(self, day: int) -> _Stays:
        """Return the stays as they were known at the end of a day."""
        some = _Stays._make(column[self.start <= day] for column in self)
        return some._replace(
            end=np.minimum(some.end, day), target=np.where(some.end > day, -1, some.target)
        )

    @property
    def first(self) -> IntArray:
        """First day at risk, see `kernels.exposure`."""
        return self.start + (~self.fresh & (self.end > self.start))

    def moved(self) -> tuple[IntArray, IntArray]:
        """() -> (m,), (m, 4): which moved on; the day, state, target and age of each move."""
        gone = np.flatnonzero(self.target >= 0)
        age = (self.end - self.start + self.age)[gone]
        return gone, np.stack((self.end[gone], self.state[gone], self.target[gone], age), axis=1)


def summarize_sojourns(history: History, /, *, segments: tuple[str, ...] = ()) -> Sojourns:
    """Count exposure and moves of a chunk of history, by the values of `segments` too."""
    return next(sojourns_until(history, (history.observed_until,), segments=segments))


def sojourns_until(
    history: History, days: Sequence[int], /, *, segments: tuple[str, ...] = ()
) -> Iterator[Sojourns]:
    """Yield what `summarize_sojourns` counts in ``history.until(day)``, for ascending days.

    All is counted once, by calendar buckets that are split at the days; the counts of a day are
    sums of those before it. What was known of a stay depends on nothing later but for its end.
    """
    layout = Layout(history.funnel)
    stays, undated = _stays(history, layout, int(days[-1]))
    begun = int(stays.start.min(initial=int(days[-1])))
    edges, bucket = _calendar(min(begun, int(days[0])), days)
    counted = _exposure(stays, edges, layout.states)
    moves = stays.moved()[1]
    moves[:, 0] = np.searchsorted(edges, moves[:, 0], side="right") - 1
    table, counts = tally(moves, np.ones(len(moves), dtype=np.int64))
    # Who was first seen, or resumed, on a day has lived it before, and counts if that was all.
    late = np.flatnonzero(~stays.fresh & np.isin(stays.start, days) & (stays.end > stays.start))
    back = np.flatnonzero(stays.back)
    home = history.pieces.stage[stays.piece[back]].astype(np.int64)
    for day in map(int, days):
        cells = int(np.searchsorted(edges, day, side="right"))
        begins = np.flatnonzero(np.diff(bucket[:cells], prepend=bucket[0] - 1))
        exposure = np.add.reduceat(counted[:cells], begins, axis=0)
        alone = late[stays.start[late] == day]
        np.add.at(exposure[-1], (stays.state[alone], stays.age[alone]), 1)
        ages = int(np.flatnonzero(exposure.any(axis=(0, 1))).max(initial=0)) + 1
        first = min(begun, day) // BUCKET
        known = table[: np.searchsorted(table[:, 0], cells)].copy()
        known[:, 0] = bucket[known[:, 0]]
        rows, number = tally(known, counts[: len(known)])
        seen = stays.start[back] <= day
        resumed = home[seen] * ages + stays.age[back][seen]
        yield Sojourns(
            funnel=history.funnel,
            trained_until=day,
            first_bucket=first,
            exposure=exposure[first - int(bucket[0]) :, :, :ages],
            moves=rows,
            counts=number,
            resumed=np.bincount(resumed, minlength=layout.stages * ages).reshape(-1, ages),
            undated=np.bincount(undated[0][undated[1] <= day], minlength=layout.states),
            segments=_by_segment(history, segments, stays.until(day)) if segments else None,
        )


def _stays(history: History, layout: Layout, last: int) -> tuple[_Stays, IntArray]:
    """Return the stays known at the end of day `last`; (2, u): state and start of undated ones."""
    pieces = history.pieces
    state = layout.state(pieces.stage, pieces.visit)
    known = (state >= 0) & (pieces.start <= last)
    used, lost = np.flatnonzero(known & (pieces.age >= 0)), np.flatnonzero(known & (pieces.age < 0))
    age, back = pieces.age[used].astype(np.int64), _resumed(history)[used]
    gone = (pieces.target >= 0) & (pieces.stop <= last)
    stays = _Stays(
        piece=used,
        state=state[used],
        start=pieces.start[used].astype(np.int64),
        age=age,
        end=np.where(gone, pieces.stop, last)[used].astype(np.int64),
        target=np.where(gone, targets(layout, history), -1)[used],
        fresh=(age == 0) & ~back,
        back=back,
    )
    return stays, np.stack((state[lost], pieces.start[lost]))


def _calendar(first: int, days: Sequence[int]) -> tuple[IntArray, IntArray]:
    """Return the edges of buckets, split after `days`, (b + 1,), and their numbers, (b,)."""
    whole = np.arange(first // BUCKET, int(days[-1]) // BUCKET + 2) * BUCKET
    edges = np.union1d(whole, np.asarray(days, dtype=np.int64) + 1)
    return edges, edges[:-1] // BUCKET


def _exposure(stays: _Stays, edges: IntArray, states: int) -> IntArray:
    """(b + 1,) -> (b, s, d): days at risk by bucket, state and age."""
    ages = int((stays.end - stays.start + stays.age).max(initial=0)) + 1
    return kernel.exposure(
        stays.state,
        stays.start,
        stays.age,
        stays.end,
        stays.fresh,
        edges=edges,
        shape=(states, ages),
    )


def _by_segment(history: History, segments: tuple[str, ...], stays: _Stays) -> SegmentCounts:
    """Count stays, and what became of them, by segment."""
    moved, moves = stays.moved()
    moves[:, 0] //= BUCKET
    at_risk = stays.state, stays.first, stays.end, stays.start - stays.age
    return count_segments(
        history,
        segments,
        pieces=stays.piece,
        moves=moves,
        moved=moved,
        stays=at_risk,
        width=BUCKET,
    )


def _resumed(history: History) -> BoolArray:
    """(p,): which pieces resume a stage after a hold; a lost deal put on hold is lost anew."""
    pieces = history.pieces
    is_open: BoolArray = history.funnel.outcomes[pieces.stage] == Outcome.OPEN
    return pieces.resumed & is_open


def targets(layout: Layout, history: History) -> IntArray:
    """(p,): where each piece went: a state, a resumed stage, won, removed; -1 still there."""
    pieces, funnel = history.pieces, history.funnel
    following = np.append(np.arange(1, len(pieces.deal)), 0) if len(pieces.deal) else pieces.deal
    stage, visit = pieces.stage[following], pieces.visit[following]
    found = layout.state(stage, visit)
    found = np.where(_resumed(history)[following], layout.resumed + stage, found)
    found = np.where(funnel.outcomes[stage] == Outcome.WON, layout.won, found)
    found = np.where(funnel.outcomes[stage] == Outcome.REMOVED, layout.removed, found)
    return np.where(pieces.target < 0, -1, found)
