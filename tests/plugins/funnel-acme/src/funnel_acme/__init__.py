"""Win rates by stage and by days in it, in closed form: the smallest model that is of use."""

from __future__ import annotations

from typing import ClassVar

import attrs
import numpy as np

from funnel import History, Outcome, Pipeline, outcomes, spells
from funnel.errors import InsufficientDataError, ValidationError
from funnel.models import FittedModel, StageModel
from funnel.typing import NO_DAY, DateArray, FloatArray, IntArray

__all__ = ["FittedStageAge", "StageAge", "StageAgeSummary"]


def _positive(_: object, attribute: attrs.Attribute[int], value: object) -> None:
    """Demand a whole number >= 1."""
    if not isinstance(value, int) or value < 1:
        raise ValidationError.from_value(attribute.name, "must be a whole number >= 1", value, "")


def _read_only(array: FloatArray) -> FloatArray:
    """Own the array, and let nobody write into it."""
    owned = array.copy()
    owned.setflags(write=False)
    return owned


@attrs.frozen(eq=False)
class StageAgeSummary:
    """Deal-days and closings by state and age (fresh, old); adding two up merges them."""

    until: int
    fresh: int
    days: IntArray  # (s, 2)
    closings: IntArray  # (s, 2, 2): won; lost or removed

    def merge(self, other: StageAgeSummary, /) -> StageAgeSummary:
        """Add the days and closings of other deals."""
        days, closings = self.days + other.days, self.closings + other.closings
        return attrs.evolve(self, until=max(self.until, other.until), days=days, closings=closings)


@attrs.frozen(eq=False)
class FittedStageAge:
    """Daily chances to be won, and to be lost, of fresh and of old deals in each state."""

    trained_until: int
    fresh: int
    chances: FloatArray = attrs.field(converter=_read_only)  # (s, 2, 2)

    needs: ClassVar[tuple[str, ...]] = ()

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date, (n, k); a deal of unknown age counts as old."""
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        entered = pipeline.stage_entered.astype(np.int64)
        age = np.where(entered == NO_DAY, self.fresh, pipeline.as_of - entered)
        first = np.minimum(ahead, np.maximum(self.fresh - age, 0)[:, None])  # days that are fresh
        won = self.chances[pipeline.stage, :, 0]
        closed = self.chances[pipeline.stage].sum(axis=-1)
        share = np.divide(won, closed, out=np.zeros_like(won), where=closed > 0.0)
        left = [(1.0 - closed[:, [i]]) ** days for i, days in enumerate((first, ahead - first))]
        curve = share[:, [0]] * (1.0 - left[0]) + left[0] * share[:, [1]] * (1.0 - left[1])
        is_open = (pipeline.outcome == Outcome.OPEN)[:, None]
        return np.where(is_open, np.maximum.accumulate(np.clip(curve, 0.0, 1.0), axis=1), 0.0)


@attrs.frozen
class StageAge(StageModel[StageAgeSummary]):
    """Constant daily chances to be won or lost, by stage, for fresh and for old deals.

    Every stay in an open stage counts from its entry until the deal closes, or until the end of
    the history where it has not. The chance a day is (closings + lean * c) / (deal-days + lean),
    the mean of a Gamma posterior with the chance c of all stages together as prior. Days on hold
    count; stays whose day of entry is unknown do not; lost deals are taken to stay lost.

    Parameters
    ----------
    fresh : int
        Days after which a deal in a stage is old.
    lean : int
        Deal-days of all stages together that each stage is given.
    """

    fresh: int = attrs.field(default=30, kw_only=True, validator=_positive)
    lean: int = attrs.field(default=100, kw_only=True, validator=_positive)

    name: ClassVar[str] = "acme.stage-age"
    fitted: ClassVar[type[FittedModel]] = FittedStageAge

    def summarize(self, history: History, /) -> StageAgeSummary:
        """Count deal-days and closings."""
        stays, ends = spells(history), outcomes(history)
        outcome_of, n = history.funnel.outcomes, len(history.funnel.ids)
        used = (outcome_of[stays.stage] == Outcome.OPEN) & (stays.age >= 0) & ~stays.resumed
        stage, deal, entry = stays.stage[used].astype(np.int64), stays.deal[used], stays.age[used]
        closed_on, outcome = ends.closed_on[deal], ends.outcome[deal]
        last = np.where(closed_on == NO_DAY, history.observed_until, closed_on)
        leave = entry + last - stays.start[used]
        fresh = np.minimum(leave, self.fresh) - np.minimum(entry, self.fresh)
        parts = [np.bincount(stage, part, n) for part in (fresh, leave - entry - fresh)]
        days = np.stack(parts, axis=1).astype(np.int64)
        hit = (outcome != Outcome.OPEN) & (leave > entry)  # an open deal has survived its age
        cell = 4 * stage + 2 * (leave > self.fresh) + (outcome != Outcome.WON)
        closings = np.bincount(cell[hit], minlength=4 * n).reshape(n, 2, 2)
        return StageAgeSummary(history.observed_until, self.fresh, days, closings)

    def estimate(self, summary: StageAgeSummary, /) -> FittedStageAge:
        """Divide closings by deal-days, each stage leaning on the whole."""
        if not summary.closings.any():
            raise InsufficientDataError("closed deals", needed=1, found=0, remedy="Give more.")
        whole = summary.closings.sum(axis=0) / np.maximum(summary.days.sum(axis=0), 1)[:, None]
        chances = (summary.closings + self.lean * whole) / (summary.days[:, :, None] + self.lean)
        return FittedStageAge(summary.until, summary.fresh, chances)
