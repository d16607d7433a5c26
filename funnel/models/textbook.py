"""The weighted pipeline as it is taught: typed probability times amount, on the promised day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.cells import COUNT
from funnel.kernels.promises import OVERDUE, UNDATED
from funnel.models._cells import gathered
from funnel.models.base import FittedModel, StageModel
from funnel.stages import Outcome
from funnel.tables.codes import promises, span
from funnel.tables.sums import cell_sums
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Hashable

    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["FittedTextbook", "Textbook", "TextbookSummary"]

NEVER = 2**31


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

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the typed probability from the closing day on, 0 before: (n,), (k,) -> (n, k).

        Raises
        ------
        ValidationError
            When a stage with open deals has no typed probability.
        """
        self.check(pipeline)
        return gathered(self, pipeline, dates)

    def check(self, pipeline: Pipeline, /) -> None:
        """Demand a typed probability for every stage with open deals."""
        blank = np.isnan(_probabilities(pipeline))
        if not blank.any():
            return
        untyped = np.flatnonzero(blank[pipeline.stage])
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

    @property
    def numbering(self) -> Hashable:
        """By promise and stage, whatever is done with promises that have passed."""
        return "promise and stage"

    def cells(self, pipeline: Pipeline, /) -> IntArray:
        """Return the cell of each deal, (n,): its promise, in days ahead, and its stage."""
        return promises(pipeline)

    def cell_stages(self, cells: IntArray, pipeline: Pipeline, /) -> IntArray:
        """Return the code of the stage of each cell: (c,) -> (c,)."""
        return np.asarray(cells % len(pipeline.funnel.ids))

    def cell_curves(self, cells: IntArray, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the win curves of cells that `cells` gave, ascending: (c,), (k,) -> (c, k)."""
        place, stage = np.divmod(cells.astype(np.int64), len(pipeline.funnel.ids))
        closing = place - OVERDUE
        for code, days in ((UNDATED, self.undated_after), (OVERDUE, self.overdue_after)):
            closing[place == code] = NEVER if days is None else days
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        return np.asarray(_probabilities(pipeline)[stage][:, None] * (closing[:, None] <= ahead))

    def notes(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Say how many open deals have no promise, or an overdue one, and where they went."""
        if not len(pipeline) or span(pipeline, "expected_close")[0] > pipeline.as_of:
            return ()
        count, amount = (
            cell_sums(pipeline, self.numbering, self.cells, order) for order in (COUNT, 1)
        )
        is_open = pipeline.funnel.outcomes == Outcome.OPEN
        kinds = (
            ("an overdue expected close", OVERDUE, self.overdue_after),
            ("no expected close", UNDATED, self.undated_after),
        )
        said = []
        for what, code, days in kinds:
            cells = code * len(is_open) + np.flatnonzero(is_open)
            cells = cells[cells < len(count)]
            if number := int(count[cells].sum()):
                fate = (
                    "are left out"
                    if days is None
                    else f"are taken to close {days} days after as_of"
                )
                money = float(amount[cells[cells < len(amount)]].sum())
                said.append(f"{number:,} open deals ({money:,.0f}) have {what} and {fate}")
        return tuple(said)


def _probabilities(pipeline: Pipeline) -> FloatArray:
    """Return the typed probability of each state, 0 where deals are closed."""
    is_open = pipeline.funnel.outcomes == Outcome.OPEN
    return np.where(is_open, pipeline.funnel.probabilities, 0.0)


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
