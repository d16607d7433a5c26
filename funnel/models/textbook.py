"""The weighted pipeline as it is taught: typed probability times amount, on the promised day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.models.base import FittedModel, StageModel
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, DayArray, FloatArray

__all__ = ["FittedTextbook", "Textbook", "TextbookSummary"]


def _days(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a whole number of days >= 1, or None."""
    del instance
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValidationError.from_value(
            attribute.name,
            "must be a whole number of days >= 1, or None",
            value,
            "None leaves them out.",
        )


@attrs.frozen
class TextbookSummary:
    """All that the textbook keeps of a history: the day until which it was seen."""

    trained_until: int

    def merge(self, other: TextbookSummary, /) -> TextbookSummary:
        """Return the later day."""
        return TextbookSummary(max(self.trained_until, other.trained_until))


@attrs.frozen
class FittedTextbook:
    """The textbook, ready to be asked; see `Textbook`."""

    trained_until: int
    overdue_after: int | None
    undated_after: int | None

    needs: ClassVar[tuple[str, ...]] = ()

    def closing_days(self, pipeline: Pipeline) -> DayArray:
        """Return the day on which each deal is taken to close, (n,); `NO_DAY` for never."""
        promise = pipeline.expected_close
        overdue = (promise != NO_DAY) & (promise <= pipeline.as_of)
        for rows, days in ((overdue, self.overdue_after), (promise == NO_DAY, self.undated_after)):
            day = NO_DAY if days is None else pipeline.as_of + days
            promise = np.where(rows, np.int32(day), promise)
        return promise

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the typed probability from the closing day on, 0 before: (n,), (k,) -> (n, k).

        Raises
        ------
        ValidationError
            When a stage with open deals has no typed probability.
        """
        is_open = pipeline.outcome == Outcome.OPEN
        probability = np.where(is_open, pipeline.funnel.probabilities[pipeline.stage], 0.0)
        untyped = np.flatnonzero(np.isnan(probability))
        if len(untyped):
            stage = pipeline.funnel.ids[pipeline.stage[untyped[0]]]
            raise ValidationError.from_rule(
                "win_probability",
                "must be typed for every stage with open deals",
                rows=untyped[:100],
                count=len(untyped),
                total=len(pipeline),
                first=f"{str(pipeline.ids[untyped[0]])!r} in stage {stage!r}",
                remedy="Type it in the funnel, or use a model that learns it, such as 'win-rate'.",
            )
        closing = self.closing_days(pipeline)
        due = dates.astype("datetime64[D]").astype(np.int64)
        closes = (closing[:, None] <= due) & (closing != NO_DAY)[:, None]
        return np.asarray(probability[:, None] * closes)

    def notes(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Say how many open deals have no promise, or an overdue one, and where they went."""
        is_open = pipeline.outcome == Outcome.OPEN
        promise = pipeline.expected_close
        kinds = (
            ("an overdue expected close", promise <= pipeline.as_of, self.overdue_after),
            ("no expected close", promise == NO_DAY, self.undated_after),
        )
        said = []
        for what, mask, days in kinds:
            rows = is_open & mask & ((promise != NO_DAY) | (what == "no expected close"))
            if np.any(rows):
                amount = float(np.nansum(pipeline.amount[rows]))
                fate = (
                    "are left out"
                    if days is None
                    else f"are taken to close {days} days after as_of"
                )
                said.append(
                    f"{int(rows.sum()):,} open deals ({amount:,.0f}) have {what} and {fate}"
                )
        return tuple(said)


@attrs.frozen
class Textbook(StageModel[TextbookSummary]):
    """Weighted pipeline: every open deal closes on its expected day with its stage's typed chance.

    ``E = sum of amount * win_probability[stage]`` over the deals whose expected close falls into
    the period. It needs no history, and ignores time: a deal counts fully on its promised day.

    Parameters
    ----------
    overdue_after : int or None
        A deal whose promise has passed is taken to close this many days after `as_of`; None
        leaves it out. The forecast notes how many there are.
    undated_after : int or None
        The same for deals without a promise.

    Notes
    -----
    Assumes that typed probabilities are right and promises are kept; both fail in practice, so it
    is the baseline that other models are judged against, not a recommendation. Definition: the
    weighted pipeline of every CRM; for the ladder, see ``Funnel.template("project")``.

    Examples
    --------
    >>> import datetime as dt
    >>> import numpy as np
    >>> import funnel as fn
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=fn.Funnel.template("project"), as_of="2026-06-30",
    ...     id=["A"], stage=["proposal"], amount=[100.0], expected_close=["2026-07-15"],
    ... )
    >>> dates = np.array(["2026-07-14", "2026-07-15"], dtype="datetime64[D]")
    >>> Textbook().without_history().win_curve(pipeline, dates).tolist()
    [[0.0, 0.5]]
    """

    overdue_after: int | None = attrs.field(default=1, kw_only=True, validator=_days)
    undated_after: int | None = attrs.field(default=None, kw_only=True, validator=_days)

    name: ClassVar[str] = "textbook"
    expects_new_deals: ClassVar[bool] = False  # the practice counts what is in the pipeline only
    fitted: ClassVar[type[FittedModel]] = FittedTextbook

    def summarize(self, history: History, /) -> TextbookSummary:
        """Keep the last observed day; nothing is learnt."""
        return TextbookSummary(history.observed_until)

    def estimate(self, summary: TextbookSummary, /) -> FittedTextbook:
        """Return the textbook; it is the same with any history."""
        return FittedTextbook(summary.trained_until, self.overdue_after, self.undated_after)

    def without_history(self) -> FittedTextbook:
        """Return the textbook; typed probabilities are all it needs."""
        return FittedTextbook(NO_DAY, self.overdue_after, self.undated_after)
