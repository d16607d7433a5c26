"""What commit, best case and pipeline are worth, by the weeks that are left of the period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, get_args

import attrs
import numpy as np

from funnel.calendars import Calendar
from funnel.errors import InsufficientDataError, ValidationError
from funnel.kernels import incidence as kernel
from funnel.kernels.arrays import frozen
from funnel.models._commitment import (
    LEVELS,
    WEEK,
    CategorySummary,
    Unit,
    categories_of,
    summarize_weeks,
)
from funnel.models._references import CENSORED
from funnel.models._validators import positive, whole
from funnel.models.base import FittedModel, StageModel
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.calendars._calendar import Anchor, Pattern
    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["LEVELS", "Category", "CategorySummary", "FittedCategory", "Unit"]


def _calendar(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a calendar."""
    del instance
    if not isinstance(value, Calendar):
        remedy = "Write for instance Calendar(fiscal_year_start=7)."
        raise ValidationError.from_value(attribute.name, "must be a Calendar", value, remedy)


def _unit(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a kind of period."""
    del instance
    if value not in get_args(Unit):
        rule = "must be 'month', 'quarter' or 'year'"
        raise ValidationError.from_value(attribute.name, rule, value, "")


@attrs.frozen(eq=False)
class FittedCategory:
    """Chances by category and weeks left of the period; see `Category`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    fiscal_year_start, pattern, week_start, anchor
        Those of the calendar.
    unit : str
        Kind of period.
    won, still : (5, w, w) float64
        Chance to be won, and to be open, so many weeks after a reference day, by category and
        weeks that were left of the period; constant from its end on.
    moves : (5, w, 5) float64
        Category at the end of the period of deals that are still open then, as shares.
    seen : (5, w) int64
        Deals on reference days behind them.
    """

    trained_until: int
    fiscal_year_start: int
    pattern: Pattern | None
    week_start: int
    anchor: Anchor
    unit: Unit
    won: FloatArray = attrs.field(converter=frozen)
    still: FloatArray = attrs.field(converter=frozen)
    moves: FloatArray = attrs.field(converter=frozen)
    seen: IntArray = attrs.field(converter=frozen)

    needs: ClassVar[tuple[str, ...]] = ()

    @property
    def calendar(self) -> Calendar:
        """The calendar that says when periods end."""
        return Calendar(
            fiscal_year_start=self.fiscal_year_start,
            pattern=self.pattern,
            week_start=self.week_start,
            anchor=self.anchor,
        )

    def conversion(self) -> FloatArray:
        """Chance to be won by the end of the period, by category and weeks left, (5, w).

        Rows as in `LEVELS`, columns from 0 weeks left (where it is 0) on.
        """
        return self.won[:, :, -1].copy()

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date given the category: (n,), (k,) -> (n, k).

        Lost deals get 0: reopening is not modelled.
        """
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        chances, now = np.zeros((len(LEVELS), len(ahead))), np.eye(len(LEVELS))
        gone, last = 0, int(ahead.max(initial=0))
        while gone < last:  # `now`: chance to be open in each category by the end of day `gone`
            first = np.datetime64(pipeline.as_of + gone + 1, "D")
            end = self.calendar.periods(first, 1, self.unit)[1].astype(np.int64)
            left = int(end) - 1 - pipeline.as_of - gone
            won, onward = self._within(left, np.clip(ahead - gone, 0, left))
            chances += now @ won
            now = now @ onward
            gone += left
        level = categories_of(pipeline.schema, pipeline.columns, pipeline.stage)
        is_open = pipeline.outcome == Outcome.OPEN
        found = np.where(is_open[:, None], chances[level], 0.0)
        return np.clip(np.maximum.accumulate(found, axis=1), 0.0, 1.0)

    def _within(self, left: int, days: IntArray) -> tuple[FloatArray, FloatArray]:
        """Chance to be won in `days`, (5, k), and to be open by category at the end, (5, 5).

        Between two reference days the answer is between theirs, by days: the one before, given
        that the deal is still open, and the one after, from its day on.
        """
        weeks, share = left // WEEK, left % WEEK / WEEK
        won, onward = np.zeros((len(LEVELS), len(days))), np.zeros((len(LEVELS), len(LEVELS)))
        weights = {weeks: 1.0 - share, weeks + 1: share} if weeks else {1: 1.0}
        for week, weight in weights.items():
            if weight == 0.0:
                continue
            start = week * WEEK - left
            since = np.append(np.maximum(start + days, 0), [max(start, 0), week * WEEK]) / WEEK
            gain, kept = (_between(table[:, week], since) for table in (self.won, self.still))
            reached = np.maximum(kept[:, -2:-1], np.finfo(np.float64).tiny)
            won += weight * (gain[:, :-2] - gain[:, -2:-1]) / reached
            onward += weight * kept[:, -1:] / reached * self.moves[:, week]
        return won, onward

    def notes(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Say how many open deals have no category."""
        level = categories_of(pipeline.schema, pipeline.columns, pipeline.stage)
        without = (level == len(LEVELS) - 1) & (pipeline.outcome == Outcome.OPEN)
        if not np.any(without):
            return ()
        past = int(self.seen[-1].sum())
        said = (
            f"{int(without.sum()):,} open deals have no forecast category; "
            f"their chances rest on {past:,} sightings of such deals and on all others"
        )
        return (said,)


def _between(curves: FloatArray, weeks: FloatArray) -> FloatArray:
    """(c, w), (k,) -> (c, k): values between whole weeks, linear by day."""
    low = np.minimum(weeks.astype(np.int64), curves.shape[1] - 2)
    share = np.minimum(weeks - low, 1.0)
    return np.asarray(curves[:, low] * (1.0 - share) + curves[:, low + 1] * share)


@attrs.frozen
class Category(StageModel[CategorySummary]):
    """Conversion of commit, best case and pipeline, by week of the period, as it was in the past.

    In every past period, when w = 1, 2, 3 ... weeks were left, the open deals of each category are
    followed week by week until they are won, lost or removed, until the period ends, or until the
    last observed day. With n deals of category c at risk in the j-th week after the reference day,
    and d of them won (or closed otherwise) in it::

        h_cw(j) = (d_cw(j) + lean h_w(j)) / (n_cw(j) + lean)     leaning on all categories
        h_w(j)  = (d_w(j)  + lean g(w - j)) / (n_w(j) + lean)    leaning on all reference days
        F_cw(t) = sum over j <= t of S_cw(j) h_cw,won(j)         Aalen-Johansen, S = prod (1 - h)

    g is the hazard with so many weeks left whatever the reference day, which leans on that of all
    weeks. Within a week, and between two reference days, chances are linear by day. A deal that is
    still open when the period ends goes on from the start of the next one, in the category that
    such deals had reached by then: the share of each, with `lean` deals that have kept theirs.

    Parameters
    ----------
    calendar : Calendar
        Says when periods end; only its fiscal year matters.
    unit : {"month", "quarter", "year"}
        The period that categories refer to.
    lean : float
        How many deals of all categories each category leans on, in every week.
    minimum : int
        Deals needed that closed after a reference day; below it nothing is estimated.

    Notes
    -----
    The category of a deal is its own (a column ``category``), otherwise its stage's; deals without
    any are a category of their own. Assumes that a category means the same in every period and
    for every owner, and that nothing else about a deal matters. It fails where categories are
    changed on a large scale (a new rule for what commit means), and for dates far beyond the
    period, where only categories at the ends of periods count. A deal that was closed and
    opened again counts by its first closing; lost deals get 0. Weeks that are not over by
    `observed_until` do not count.

    References
    ----------
    .. [1] D. Kellogg, "Triangulation forecasts", Kellblog, 2021 (conversion by week of the
       quarter).
    .. [2] O. O. Aalen, S. Johansen, "An empirical transition matrix for non-homogeneous Markov
       chains based on censored observations", Scandinavian Journal of Statistics 5, 1978,
       https://www.jstor.org/stable/4615704.

    Examples
    --------
    >>> import numpy as np
    >>> import funnel as fn
    >>> deals = [f"D{i}" for i in range(400)]
    >>> history = fn.History.from_columns(  # a quarter of all commits is won in the last week
    ...     funnel=fn.Funnel([fn.Stage("Propose", category="commit")]), id=deals * 2,
    ...     at=["2026-01-05"] * 400 + ["2026-03-30"] * 400,
    ...     stage=["Propose"] * 400 + ["Won"] * 100 + ["Lost"] * 300, observed_until="2026-03-31",
    ... )
    >>> chances = Category().fit(history).conversion()
    >>> [round(float(chance), 2) for chance in chances[LEVELS.index("commit"), [1, 4, 12]]]
    [0.25, 0.25, 0.25]
    """

    calendar: Calendar = attrs.field(default=Calendar(), kw_only=True, validator=_calendar)
    unit: Unit = attrs.field(default="quarter", kw_only=True, validator=_unit)
    lean: float = attrs.field(default=20.0, kw_only=True, validator=positive)
    minimum: int = attrs.field(default=20, kw_only=True, validator=whole)

    name: ClassVar[str] = "category"
    fitted: ClassVar[type[FittedModel]] = FittedCategory
    calendar_aware: ClassVar[bool] = True

    def summarize(self, history: History, /) -> CategorySummary:
        """Count open deals by category and weeks left, and when they closed."""
        return summarize_weeks(history, self.calendar, self.unit)

    def estimate(self, summary: CategorySummary, /) -> FittedCategory:
        """Estimate chances by category and weeks left, each leaning on the whole.

        Raises
        ------
        InsufficientDataError
            When no deal of the past has a category, or with fewer than `minimum` deals that closed
            after a reference day.
        """
        if not summary.exits[:-1].any():
            what = "a category model needs open deals with a forecast category"
            remedy = "Type category= for stages of the funnel, or give a column 'category'."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        if summary.closed < self.minimum:
            what = "a category model needs deals that closed a week or more after they were seen"
            remedy = "Give more history, lower minimum=, or use 'textbook'."
            raise InsufficientDataError(
                what, needed=self.minimum, found=summary.closed, remedy=remedy
            )
        hazards = _hazards(summary.exits, self.lean)
        survival = np.cumprod(1.0 - hazards.sum(axis=2), axis=2)
        still = np.concatenate((np.ones_like(survival[:, :, :1]), survival), axis=2)
        gained = np.cumsum(still[:, :, :-1] * hazards[:, :, 0], axis=2)
        moves = summary.moves + self.lean * np.eye(len(LEVELS))[:, None]
        return FittedCategory(
            trained_until=summary.trained_until,
            fiscal_year_start=self.calendar.fiscal_year_start,
            pattern=self.calendar.pattern,
            week_start=self.calendar.week_start,
            anchor=self.calendar.anchor,
            unit=self.unit,
            won=np.concatenate((np.zeros_like(gained[:, :, :1]), gained), axis=2),
            still=still,
            moves=moves / moves.sum(axis=2, keepdims=True),
            seen=summary.exits.sum(axis=(2, 3)),
        )


def _hazards(exits: IntArray, lean: float) -> FloatArray:
    """(c, w, 3, j) -> (c, w, 2, j): weekly hazards by category, weeks left and weeks since then."""
    entries = np.zeros_like(exits[:, :, 0])
    entries[:, :, 0] = exits.sum(axis=(2, 3))
    risk = kernel.at_risk(entries, exits)[:, :, None]
    events = exits[:, :, :CENSORED]
    weeks = exits.shape[1]
    togo = np.arange(weeks)[:, None] - np.arange(weeks)  # weeks left before the j-th one
    inside = togo > 0
    all_risk, all_events = risk.sum(axis=0), events.sum(axis=0)
    mean = all_events.sum(axis=(0, 2)) / max(int(all_risk.sum()), 1)
    hazards = np.zeros(events.shape)
    for cause in range(CENSORED):
        happened = np.bincount(togo[inside], all_events[:, cause][inside], minlength=weeks)
        exposed = np.bincount(togo[inside], all_risk[:, 0][inside], minlength=weeks)
        by_week = (happened + lean * mean[cause]) / (exposed + lean)
        whole = np.where(inside, by_week[np.maximum(togo, 0)], 0.0)
        whole = (all_events[:, cause] + lean * whole) / (all_risk[:, 0] + lean)
        hazards[:, :, cause] = (events[:, :, cause] + lean * whole) / (risk[:, :, 0] + lean)
    return hazards * inside[:, None, :]
