"""How long deals stay in each state and where they go: the summary of the semi-Markov family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.models._segment_counts import SegmentCounts, tally
from funnel.stages import Funnel  # noqa: TC001 - what a summary is made of

if TYPE_CHECKING:
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["BUCKET", "CLASSES", "Layout", "Sojourns"]

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
        """(n,), (n,) -> (n,): int32 state of a stage code and visit; -1 for won and removed."""
        first = np.full(len(self.funnel.states), -1, dtype=np.int32)
        first[: self.stages] = np.arange(self.stages) * CLASSES
        lost = np.asarray(self.funnel.lost_codes)
        first[lost] = self.stages * CLASSES + np.arange(len(lost))
        later = np.clip(visit, 1, CLASSES).astype(np.int32, copy=False)
        later -= 1
        later *= stage < self.stages
        later += first[stage]
        return later

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
