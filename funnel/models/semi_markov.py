"""The whole path of a deal: stages, visits, loops and skips, with the time that each takes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, ClassVar, Literal

import attrs
import numpy as np

from funnel.errors import InsufficientDataError, ValidationError
from funnel.kernels import flow
from funnel.kernels.arrays import frozen
from funnel.models._cells import gathered
from funnel.models._curves import ages_in_state, cell_wins, fresh_wins, stages_of, warn_of_older
from funnel.models._flow import StageFlow, staged
from funnel.models._half_life import AUTO, best_half_life, half_life_or_auto
from funnel.models._hazards import THIN, draw_states, hazards_of, scaled
from funnel.models._levers import changed, movable
from funnel.models._paths import WIN, kinds
from funnel.models._segments import (
    Effect,
    SegmentEffects,
    Segments,
    estimate_effects,
    redrawn,
    segment_names,
)
from funnel.models._sojourn_counts import sojourns_until, summarize_sojourns
from funnel.models._sojourns import CLASSES, Layout, Sojourns
from funnel.models._validators import positive, require_whole
from funnel.models.base import FittedModel, StageModel
from funnel.stages import Funnel  # noqa: TC001 - what a stored model is made of
from funnel.tables.sums import kept
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence
    from typing import Self

    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["THIN", "FittedSemiMarkov", "SegmentEffects", "SemiMarkov", "StageFlow"]


@attrs.frozen(eq=False)
class FittedSemiMarkov:
    """Daily hazards of every state by target and day of age; see `SemiMarkov`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    funnel : Funnel
        The ladder.
    hazards : (s, t, d) float64
        Chance to move to each target on each day of age, given the state is kept until then.
    occupied : (s, d) float64
        Days at risk behind the hazards (weighted), by state and day of age.
    resumed : (stages, d) float64
        Distribution of the ages at which stages are resumed after a hold.
    lean : float
        How many deals at risk of its stage each state leans on; 0 where each stands alone.
    half_life : float or None
        Days after which history counted half.
    effects : tuple
        Rows of `segments`.
    """

    trained_until: int
    funnel: Funnel
    hazards: FloatArray = attrs.field(converter=frozen)
    occupied: FloatArray = attrs.field(converter=frozen)
    resumed: FloatArray = attrs.field(converter=frozen)
    lean: float = attrs.field(default=0.0, kw_only=True)
    half_life: float | None = attrs.field(default=None, kw_only=True)
    effects: tuple[Effect, ...] = attrs.field(default=(), kw_only=True)

    needs: ClassVar[tuple[str, ...]] = ()

    @property
    def segments(self) -> SegmentEffects:
        """By how much hazards differ between segments, with counts and intervals."""
        return SegmentEffects(self.effects)

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date given stage, visit, age and segment: (n, k)."""
        self.check(pipeline)
        return gathered(self, pipeline, dates)

    @property
    def numbering(self) -> Hashable:
        """By segment, state, and days of age up to the oldest."""
        table = Segments.of(Layout(self.funnel), self.effects)
        return "state and age", self.funnel.ids, self.hazards.shape[2], table.columns, table.levels

    def cells(self, pipeline: Pipeline, /) -> IntArray:
        """Return the cell of each deal, (n,): its segment, state and age; -1 won or removed."""
        layout, days = Layout(self.funnel), self.hazards.shape[2]
        age = np.clip(ages_in_state(pipeline), -1, days - 1)
        cell = layout.of(pipeline) * np.int32(days + 1) + (age + 1)
        if self.effects:
            segment = Segments.of(layout, self.effects).number(pipeline)
            cell = np.where(cell < 0, -1, segment * (layout.states * (days + 1)) + cell)
        return np.asarray(np.maximum(cell, -1))

    def cell_stages(self, cells: IntArray, pipeline: Pipeline, /) -> IntArray:
        """Return the code of the stage of each cell: (c,) -> (c,)."""
        del pipeline
        return stages_of(Layout(self.funnel), cells // (self.hazards.shape[2] + 1))

    def cell_curves(self, cells: IntArray, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the win curves of cells that `cells` gave, ascending: (c,), (k,) -> (c, k)."""
        layout = Layout(self.funnel)
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        chances = np.zeros((len(cells), len(ahead)))
        horizon = int(ahead.max())
        for number, rows, inside, hazards in self._by_segment(cells):
            # What follows from an entry on depends on no deal, and of the dates on the last one.
            entry = functools.partial(fresh_wins, layout, hazards, self.resumed, horizon)
            fresh = kept(self, (number, horizon), entry)
            chances[rows] = cell_wins(
                layout, hazards, self.occupied, fresh, cells=inside, ahead=ahead
            )
        return chances

    @functools.cached_property
    def statistics(self) -> dict[Hashable, FloatArray]:
        """Chances from the entry on, by segment and horizon: no part of what a stored model is."""
        return {}

    def _by_segment(self, cells: IntArray) -> Iterator[tuple[int, IntArray, IntArray, FloatArray]]:
        """Yield segments: number, rows, cells within it, and its hazards."""
        layout = Layout(self.funnel)
        segment, inside = np.divmod(cells, layout.states * (self.hazards.shape[2] + 1))
        if not self.effects:
            yield 0, np.arange(len(cells)), inside, self.hazards
            return
        table = Segments.of(layout, self.effects)
        for number in np.unique(segment).tolist():
            rows = np.flatnonzero(segment == number)
            yield number, rows, inside[rows], scaled(self.hazards, table.factor(number))

    def draw(self, rng: np.random.Generator, /) -> Self:
        """Return the model with one draw of its hazards and multipliers, given the history.

        With N deals at risk in a bin of age, of which a share h left to a goal, and L = `lean`
        times the days of the bin, the hazards of the stage are Dirichlet with mean w and precision
        ``sum over its states of N L / (N + L)``, and those of each state given them Dirichlet with
        mean ``(moves + L w) / (N + L)`` and precision ``N + L``: together, the variance is
        ``h (1 - h) / N`` where a stage has one state, and larger than that of its stage where a
        state was hardly ever seen. Wider bins lean on the one before, as estimates do. Exposure
        counts by its weight; multipliers of segments are Gamma(observed + a, expected + a).

        Parameters
        ----------
        rng : numpy.random.Generator
            Where the numbers come from.
        """
        layout = Layout(self.funnel)
        hazards = draw_states(layout, self.hazards, self.occupied, self.lean, rng)
        return attrs.evolve(self, hazards=hazards, effects=redrawn(self.effects, rng))

    def stage_flow(self, pipeline: Pipeline, days: int, /) -> StageFlow:
        """Return what is expected of a pipeline, stage by stage, on each of the next `days` days.

        Exact on days, from the state and age of each deal; the wins of the first j days are the
        sum of `win_curve` over the deals, those that are lost today included.

        Raises
        ------
        ValidationError
            When `days` is not a whole number >= 1.
        """
        require_whole("days", days)
        layout = Layout(self.funnel)
        cells, ages = self.cells(pipeline), self.hazards.shape[2]
        total = _no_flow(layout, days)
        for *_, inside, hazards in self._by_segment(cells[cells >= 0]):
            counts = np.bincount(inside, minlength=layout.states * (ages + 1))
            by_age = counts.reshape(layout.states, ages + 1)
            share = self.occupied / np.maximum(self.occupied.sum(axis=1, keepdims=True), 1e-300)
            present = by_age[:, 1:] + by_age[:, :1] * share
            found = self._forward(hazards, present, np.zeros(layout.states), days)
            total = flow.Flow(*(a + b for a, b in zip(total, found, strict=True)))
        self.check(pipeline)
        return staged(layout, total, pipeline.as_of + 1)

    def fresh_flow(self, stage: str, days: int, /) -> StageFlow:
        """Return what is expected of one deal that enters a stage for the first time.

        The first day is that of the entry, which is counted. Hazards are those of all segments
        together. Deals that arrive at any rate follow by convolution.

        Raises
        ------
        UnknownStageError
            When the funnel has no such stage.
        ValidationError
            When the stage is not an open one, or `days` is not a whole number >= 1.
        """
        require_whole("days", days)
        layout = Layout(self.funnel)
        code = int(self.funnel.codes(np.array([stage], dtype=object))[0])
        if code >= layout.stages:
            rule = "must be an open stage"
            raise ValidationError.from_value("stage", rule, stage, "Deals do not enter closed.")
        arriving = np.zeros(layout.states)
        arriving[code * CLASSES] = 1.0
        present = np.zeros(self.occupied.shape)
        found = self._forward(self.hazards, present, arriving, days)
        return staged(layout, found, NO_DAY)

    def _forward(
        self, hazards: FloatArray, present: FloatArray, arriving: FloatArray, days: int
    ) -> flow.Flow:
        """Go forward by days; resumed stages count as first visits."""
        home = np.arange(Layout(self.funnel).stages) * CLASSES
        return flow.forward(
            hazards,
            present,
            arriving=arriving,
            back=self.resumed,
            home=home,
            counted=kinds(Layout(self.funnel)) == WIN,
            days=days,
        )

    @property
    def levers(self) -> tuple[str, ...]:
        """Stages whose conversions and durations `under` can change."""
        return movable(Layout(self.funnel), np.asarray(self.hazards.any(axis=(1, 2))))

    def under(self, conversions: Mapping[str, float], durations: Mapping[str, float], /) -> Self:
        """Return the model with conversions and durations of stages times factors.

        A conversion is the share of visits that goes on up the ladder or is won: it is multiplied,
        and all other moves shrink in proportion, at the same ages. A stay that is longer by a
        factor has the same goals on a slower clock; moves on the day of entry stay.

        Raises
        ------
        UnknownStageError
            When the funnel has no such stage.
        ValidationError
            When a stage is not an open one, or its conversion would exceed 1.
        """
        hazards = changed(Layout(self.funnel), self.hazards, conversions, durations)
        return attrs.evolve(self, hazards=hazards)

    def check(self, pipeline: Pipeline, /) -> None:
        """Say how many open deals are older than any in history."""
        warn_of_older(pipeline, self.hazards.shape[2])


def _no_flow(layout: Layout, days: int) -> flow.Flow:
    """Return a flow of nothing over some days."""
    states, ends = layout.states, layout.targets - layout.won
    return flow.Flow(*(np.zeros((days, n)) for n in (states, ends, states, states)))


@attrs.frozen
class SemiMarkov(StageModel[Sojourns]):
    """The whole path of a deal, exact on days: skips, loops, holds, moves within a day, reopening.

    A state is a stage together with the class of visit (first, second, later): where deals come
    back to a stage, the stage alone is not a state. For each state, the chance to move to each
    target on each day of age is estimated (competing risks with censoring and late entry), and
    the chance to win within h days of a deal of age a follows from the renewal equation,
    conditional on the days already spent in the stage::

        W0_s(t) = F_s,won(t) + sum_j sum_{u <= t} f_sj(u) W0_j(t - u)
        W_s(a, h) = h_s,won(a + 1) + sum_j h_sj(a + 1) W0_j(h - 1)
                    + (1 - h_s(a + 1)) W_s(a + 1, h - 1)

    Parameters
    ----------
    half_life : float, "auto" or None
        Days after which exposure and moves count half; None weighs all history alike. Weights go
        by the calendar bucket (28 days) in which exposure and moves fall. ``"auto"`` chooses among
        None, 90, 180, 360 and 720 days, and 1, 2 and 4 times the days at risk per closed deal: the
        one whose hazards give the highest likelihood to the next bucket, over the last eight
        (see ``half_life`` of the fitted model). Ties go to None, then to the longer one.
    lean : float
        How many deals at risk of its stage (all visits together) each class of visit leans on.
    minimum : int
        Moves out of open stages needed in all; below it nothing is estimated.
    segments : sequence of str
        Category columns whose values have multipliers of the pooled hazards, for moves up the
        ladder, to won, and to lost or removed. See below, and ``segments`` of the fitted model.

    Notes
    -----
    Assumes that deals in the same state and of the same age are alike, whatever their past, amount
    or owner, and (but for recency) that the future is like the past. It fails where a covariate or
    the calendar moves the hazards; see ``"hazard-regression"``. Beyond a risk set of 30, days of
    age are pooled into bins that grow by half, up to the oldest age, and each bin leans on the one
    before; deals older than that keep the last hazard, with a warning. A stage that is resumed
    after a hold continues at the age it had. Spells whose day of entry is unknown are left out and
    counted in the summary; an open deal of unknown age gets the average over the ages at which
    deals are in its state.

    The multiplier of a value is ``(observed + a) / (expected + a)``: moves observed, and expected
    from the pooled hazards at the ages at which its deals were at risk, times the multipliers of
    the other columns (taken in turns until nothing changes). The strength a is estimated for each
    column and outcome from how much its values differ: counts are Poisson and multipliers
    Gamma(a, a), so that values which differ no more than chance get 1 [3]_. The value in force
    when a state is entered counts; a missing value is a value of its own, and one that
    history has not seen has the multiplier 1. Multiplied hazards of a day are kept at 1 in all.

    References
    ----------
    .. [1] R. Pyke, "Markov renewal processes with finitely many states", Annals of Mathematical
       Statistics 32, 1961, https://doi.org/10.1214/aoms/1177704864.
    .. [2] H. Putter, M. Fiocco, R. B. Geskus, "Tutorial in biostatistics: competing risks and
       multi-state models", Statistics in Medicine 26, 2007, https://doi.org/10.1002/sim.2712.
    .. [3] D. Clayton, J. Kaldor, "Empirical Bayes estimates of age-standardized relative risks for
       use in disease mapping", Biometrics 43, 1987, https://doi.org/10.2307/2532003.

    Examples
    --------
    >>> import numpy as np
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(500, rng=1).history
    >>> fitted = SemiMarkov().fit(history)
    >>> pipeline = history.snapshot()
    >>> dates = np.array(["2026-07-31", "2026-12-31"], dtype="datetime64[D]")
    >>> chances = fitted.win_curve(pipeline, dates)
    >>> chances.shape == (len(pipeline), 2), bool((chances[:, 1] >= chances[:, 0]).all())
    (True, True)
    """

    half_life: float | Literal["auto"] | None = attrs.field(
        default=None, kw_only=True, validator=half_life_or_auto
    )
    lean: float = attrs.field(default=20.0, kw_only=True, validator=positive)
    minimum: int = attrs.field(default=20, kw_only=True, validator=positive)
    segments: tuple[str, ...] = attrs.field(default=(), kw_only=True, converter=segment_names)

    name: ClassVar[str] = "semi-markov"
    fitted: ClassVar[type[FittedModel]] = FittedSemiMarkov

    def summarize(self, history: History, /) -> Sojourns:
        """Count exposure and moves.

        Raises
        ------
        UnknownColumnError, ValidationError
            When a segment is not a category column known before the end.
        """
        return summarize_sojourns(history, segments=self.segments)

    @property
    def counts(self) -> Hashable:
        """Exposure and moves are counted alike, whatever is made of them."""
        return "sojourns", self.segments

    def summaries(self, history: History, days: Sequence[int], /) -> Iterator[Sojourns]:
        """Count exposure and moves once for all days."""
        return sojourns_until(history, days, segments=self.segments)

    def estimate(self, summary: Sojourns, /) -> FittedSemiMarkov:
        """Estimate daily hazards, each class of visit leaning on its stage.

        Raises
        ------
        InsufficientDataError
            With fewer than `minimum` moves out of open stages.
        """
        layout = Layout(summary.funnel)
        moved = int(summary.counts[summary.moves[:, 1] < layout.stages * CLASSES].sum())
        if moved < self.minimum:
            what = "a semi-Markov model needs moves out of open stages"
            remedy = "Give more history, lower minimum=, or use 'textbook'."
            raise InsufficientDataError(what, needed=int(self.minimum), found=moved, remedy=remedy)
        half_life = self.half_life
        if half_life == AUTO:
            half_life = best_half_life(summary, self.lean)
        weight = summary.weights(half_life)
        exposed, moves = summary.summed(weight)
        hazards = hazards_of(layout, exposed, moves, self.lean)
        effects: tuple[Effect, ...] = ()
        if summary.segments is not None:
            first = summary.first_bucket
            effects = estimate_effects(layout, summary.segments, hazards, weight, first)
        return FittedSemiMarkov(
            trained_until=summary.trained_until,
            funnel=summary.funnel,
            hazards=hazards,
            occupied=exposed,
            resumed=summary.resumed / np.maximum(summary.resumed.sum(axis=1, keepdims=True), 1),
            lean=float(self.lean),
            half_life=half_life,
            effects=effects,
        )
