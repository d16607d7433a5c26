"""How long deals stay in each state and where they go: the summary of the semi-Markov family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels import exposure as kernel
from funnel.models._segment_counts import SegmentCounts, count_segments, tally
from funnel.stages import Funnel, Outcome

if TYPE_CHECKING:
    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["BUCKET", "CLASSES", "Layout", "Sojourns", "summarize_sojourns"]

CLASSES = 3
"""A first, a second, and any later visit to a stage are different states."""

BUCKET = 28
"""Days of a calendar bucket; exposure and exits are counted by bucket, for recency and drift."""


@attrs.frozen
class Layout:
    """How states are numbered: each stage by class of visit, then lost states; then closed targets.

    A move can lead to any state, to won, to removed, or back from hold into a stage that was
    left; the positions after the states are those of `resumed`, `won` and `removed`.
    """

    funnel: Funnel

    @property
    def stages(self) -> int:
        """Number of stages."""
        return self.funnel.n_stages

    @property
    def states(self) -> int:
        """Number of states: stages by class of visit, and lost states (they can be reopened)."""
        return self.stages * CLASSES + len(self.funnel.lost_codes)

    @property
    def resumed(self) -> int:
        """First of the targets that stand for coming back from hold into each stage."""
        return self.states

    @property
    def won(self) -> int:
        """Target of winning."""
        return self.states + self.stages

    @property
    def removed(self) -> int:
        """Target of removal."""
        return self.won + 1

    @property
    def targets(self) -> int:
        """Number of targets."""
        return self.won + 2

    def state(self, stage: IntArray, visit: IntArray) -> IntArray:
        """(n,), (n,) -> (n,): state of a stage code and visit; -1 for won and removed."""
        group = np.clip(visit, 1, CLASSES) - 1
        lost = self.stages * CLASSES + stage - (self.funnel.won_code + 1)
        outcome = self.funnel.outcomes[stage]
        found = np.where(outcome == Outcome.LOST, lost, -1)
        return np.where(outcome == Outcome.OPEN, stage.astype(np.int64) * CLASSES + group, found)

    def stage_of(self) -> IntArray:
        """(states,): the group that each state leans on: its stage, or a number per lost state."""
        stages = np.repeat(np.arange(self.stages), CLASSES)
        return np.concatenate((stages, self.stages + np.arange(len(self.funnel.lost_codes))))

    def of(self, pipeline: Pipeline) -> IntArray:
        """(n,): the state of each deal, unknown visits counting as first ones."""
        return self.state(pipeline.stage, pipeline.visits)


@attrs.frozen(eq=False)
class Sojourns:
    """Exposure and moves of all states; integers, so that chunks and windows add up exactly.

    Parameters
    ----------
    funnel : Funnel
        The ladder.
    trained_until : int
        The censoring day.
    first_bucket : int
        Number of the first calendar bucket: bucket k holds days ``BUCKET * k`` to the next.
    exposure : (b, s, d) int64
        Days at risk by bucket, state and day of age.
    moves : (m, 4) int64
        Different moves: bucket, state, target, day of age.
    counts : (m,) int64
        How often each move was seen.
    resumed : (stages, d) int64
        Ages at which stages were resumed after a hold.
    undated : (s,) int64
        Spells whose day of entry is unknown; they are not in the other counts.
    segments : SegmentCounts or None
        Exposure and moves by segment, where asked for.
    """

    funnel: Funnel
    trained_until: int
    first_bucket: int
    exposure: IntArray
    moves: IntArray
    counts: IntArray
    resumed: IntArray
    undated: IntArray
    segments: SegmentCounts | None = None

    def merge(self, other: Sojourns, /) -> Sojourns:
        """Add the counts of other deals."""
        if self.funnel != other.funnel or self.trained_until != other.trained_until:
            raise ValidationError.from_value(
                "summaries", "must be of one funnel and one observed_until", repr(other.funnel), ""
            )
        first = min(self.first_bucket, other.first_bucket)
        pair = (self, other)
        buckets = max(part.first_bucket - first + len(part.exposure) for part in pair)
        days = max(part.exposure.shape[2] for part in pair)
        exposure = np.zeros((buckets, self.exposure.shape[1], days), dtype=np.int64)
        resumed = np.zeros((len(self.resumed), days), dtype=np.int64)
        for part in pair:
            shift = part.first_bucket - first
            length = part.exposure.shape[2]
            exposure[shift : shift + len(part.exposure), :, :length] += part.exposure
            resumed[:, :length] += part.resumed
        moves, counts = tally(
            np.concatenate((self.moves, other.moves)), np.concatenate((self.counts, other.counts))
        )
        return attrs.evolve(
            self,
            first_bucket=first,
            exposure=exposure,
            moves=moves,
            counts=counts,
            resumed=resumed,
            undated=self.undated + other.undated,
            segments=_merged(self.segments, other.segments),
        )

    def weights(self, half_life: float | None, *, until: int | None = None) -> FloatArray:
        """(b,): the weight of each calendar bucket, as it stands at the end of bucket `until`.

        Later buckets have none; by default all count, as of the censoring day.
        """
        number = self.first_bucket + np.arange(len(self.exposure))
        end = self.trained_until + 1 if until is None else (until + 1) * BUCKET
        ago = np.maximum(end - (number + 0.5) * BUCKET, 0.0)
        weight = np.ones(len(number)) if half_life is None else 0.5 ** (ago / half_life)
        return weight if until is None else np.where(number <= until, weight, 0.0)

    def weighted(
        self, half_life: float | None, *, until: int | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return exposure (s, d) and moves (s, t, d), each bucket weighted by its age.

        The weight is that of the bucket in which exposure and moves fall, so that hazards stay
        ratios of like to like; weighting whole spells by their exit would bias them down.
        """
        return self.summed(self.weights(half_life, until=until))

    def summed(self, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return exposure (s, d) and moves (s, t, d), given the weight of each bucket, (b,)."""
        layout = Layout(self.funnel)
        _, states, days = self.exposure.shape
        exposed = np.tensordot(weight, self.exposure, axes=1)
        bucket, state, target, age = self.moves.T
        key = (state * layout.targets + target) * days + age
        moved = np.bincount(
            key,
            weight[bucket - self.first_bucket] * self.counts,
            minlength=states * layout.targets * days,
        )
        return exposed, moved.astype(np.float64).reshape(states, layout.targets, days)


def _merged(one: SegmentCounts | None, two: SegmentCounts | None) -> SegmentCounts | None:
    """Merge counts by segment; both summaries have them, or none."""
    if one is None or two is None:
        if one is not two:
            rule = "must all be by segment, or none of them"
            raise ValidationError.from_value("summaries", rule, "one is, one is not", "")
        return None
    return one.merge(two)


def summarize_sojourns(history: History, /, *, segments: tuple[str, ...] = ()) -> Sojourns:
    """Count exposure and moves of a chunk of history, by the values of `segments` too."""
    layout, pieces = Layout(history.funnel), history.pieces
    state = layout.state(pieces.stage, pieces.visit)
    used = np.flatnonzero((state >= 0) & (pieces.age >= 0))
    stop = np.where(pieces.target < 0, history.observed_until, pieces.stop)[used]
    start, age = pieces.start[used], pieces.age[used].astype(np.int64)
    target = _targets(layout, history)[used]
    days = int((stop.astype(np.int64) - start + age).max(initial=0)) + 1
    first = (int(start.min()) if len(used) else history.observed_until) // BUCKET
    buckets = history.observed_until // BUCKET - first + 1
    resumed = _resumed(history)
    fresh = (age == 0) & ~resumed[used]
    counted = kernel.exposure(
        state[used],
        start,
        age,
        stop,
        fresh,
        origin=first * BUCKET,
        width=BUCKET,
        shape=(buckets, layout.states, days),
    )
    gone = np.flatnonzero(target >= 0)
    left = stop[gone].astype(np.int64)
    moves = np.stack(
        (left // BUCKET, state[used][gone], target[gone], left - start[gone] + age[gone]), 1
    )
    table, counts = tally(moves, np.ones(len(gone), dtype=np.int64))
    by_segment = None
    if segments:
        late = ~fresh & (stop > start)  # at risk from the day after, see `kernels.exposure`
        first_day = start.astype(np.int64) + late
        stays = (state[used], first_day, stop.astype(np.int64), start - age)
        by_segment = count_segments(
            history, segments, pieces=used, moves=moves, moved=gone, stays=stays, width=BUCKET
        )
    back = np.flatnonzero(resumed[used])
    stage = pieces.stage[used][back].astype(np.int64)
    ages = np.bincount(stage * days + age[back], minlength=layout.stages * days)
    lost = (state >= 0) & (pieces.age < 0)
    return Sojourns(
        funnel=history.funnel,
        trained_until=history.observed_until,
        first_bucket=first,
        exposure=counted,
        moves=table,
        counts=counts,
        resumed=ages.reshape(layout.stages, days),
        undated=np.bincount(state[lost], minlength=layout.states),
        segments=by_segment,
    )


def _resumed(history: History) -> BoolArray:
    """(p,): which pieces resume a stage after a hold; a lost deal put on hold is lost anew."""
    pieces = history.pieces
    is_open: BoolArray = history.funnel.outcomes[pieces.stage] == Outcome.OPEN
    return pieces.resumed & is_open


def _targets(layout: Layout, history: History) -> IntArray:
    """(p,): where each piece went: a state, a resumed stage, won, removed; -1 still there."""
    pieces, funnel = history.pieces, history.funnel
    following = np.append(np.arange(1, len(pieces.deal)), 0) if len(pieces.deal) else pieces.deal
    stage, visit = pieces.stage[following], pieces.visit[following]
    found = layout.state(stage, visit)
    found = np.where(_resumed(history)[following], layout.resumed + stage, found)
    found = np.where(funnel.outcomes[stage] == Outcome.WON, layout.won, found)
    found = np.where(funnel.outcomes[stage] == Outcome.REMOVED, layout.removed, found)
    return np.where(pieces.target < 0, -1, found)
