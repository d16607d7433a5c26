"""Win rates by stage, measured instead of typed: open deals censored, small stages shrunk."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

import attrs
import numpy as np

from funnel.errors import ExtrapolationWarning, InsufficientDataError, ValidationError
from funnel.kernels import incidence as kernel
from funnel.kernels.arrays import frozen
from funnel.kernels.shrinkage import beta_binomial_strength
from funnel.models._cells import days_since, gathered
from funnel.models._hazards import THIN, drawn_together
from funnel.models._validators import whole
from funnel.models.base import FittedModel, StageModel
from funnel.stages import Funnel, Outcome
from funnel.tables.sums import count_open
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Hashable
    from typing import Self

    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, DateArray, FloatArray, IntArray

__all__ = ["FittedWinRate", "WinRate", "WinRateSummary"]

CAUSES = 3  # won, lost or removed, censored


def _padded(left: IntArray, right: IntArray) -> IntArray:
    """Add two histograms over days of different length."""
    if left.shape[-1] < right.shape[-1]:
        left, right = right, left
    total = left.copy()
    total[..., : right.shape[-1]] += right
    return total


@attrs.frozen(eq=False)
class WinRateSummary:
    """Counts of stage entries and of how they ended, by days since the entry.

    Parameters
    ----------
    funnel : Funnel
        The ladder.
    trained_until : int
        The censoring day.
    entries : (s, d) int64
        Entries into each state by age when first seen (0 = fresh).
    exits : (s, 3, d) int64
        Won, lost or removed, censored; by days since the entry.
    undated : (s,) int64
        Entries whose day is unknown; they are not used.
    """

    funnel: Funnel
    trained_until: int
    entries: IntArray
    exits: IntArray
    undated: IntArray

    def merge(self, other: WinRateSummary, /) -> WinRateSummary:
        """Add the counts of other deals."""
        if self.funnel != other.funnel or self.trained_until != other.trained_until:
            raise ValidationError.from_value(
                "summaries", "must be of one funnel and one observed_until", repr(other.funnel), ""
            )
        return attrs.evolve(
            self,
            entries=_padded(self.entries, other.entries),
            exits=_padded(self.exits, other.exits),
            undated=self.undated + other.undated,
        )


@attrs.frozen(eq=False)
class FittedWinRate:
    """Incidence of winning by days since the entry into a stage; see `WinRate`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    funnel : Funnel
        The ladder.
    survival : (s, d + 1) float64
        Chance to be still open before each age, by stage.
    incidence : (s, d + 1) float64
        Chance to be won before each age.
    rates : (s, 2) float64
        Daily hazard of winning, and of closing, beyond the last age.
    entered, won : (s,) int64
        Stage entries with a known day, and how many of them are won so far.
    strength : float
        How many entries of the whole each stage leans on.
    at_risk : (s, d) float64
        Entries at risk at each age, those included that the stage leans on.
    """

    trained_until: int
    funnel: Funnel
    survival: FloatArray = attrs.field(converter=frozen)
    incidence: FloatArray = attrs.field(converter=frozen)
    rates: FloatArray = attrs.field(converter=frozen)
    entered: IntArray = attrs.field(converter=frozen)
    won: IntArray = attrs.field(converter=frozen)
    strength: float
    at_risk: FloatArray = attrs.field(converter=frozen)

    needs: ClassVar[tuple[str, ...]] = ()

    def win_rates(self) -> FloatArray:
        """Chance that a deal entering each open stage is ever won, (s,)."""
        tail = np.divide(
            self.rates[:, 0],
            self.rates[:, 1],
            out=np.zeros(len(self.rates)),
            where=self.rates[:, 1] > 0,
        )
        return self.incidence[:, -1] + self.survival[:, -1] * tail

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date given the days since stage entry: (n, k).

        A deal whose day of entry is unknown is taken to be somewhere in its stay: its chance is
        the average over the ages at which deals are still open.
        """
        self.check(pipeline)
        return gathered(self, pipeline, dates)

    def check(self, pipeline: Pipeline, /) -> None:
        """Say how many open deals are older than any in history."""
        oldest = self.survival.shape[1] - 1
        first = pipeline.as_of - oldest

        def are_older(deals: Pipeline) -> BoolArray:
            entered = deals.stage_entered
            return np.asarray((entered <= first) & (entered != NO_DAY))

        older = count_open(pipeline, ("entered", first), are_older)
        if older:
            message = (
                f"{older:,} open deals are older than any in history ({oldest} days); the last "
                "hazard seen is carried on for them"
            )
            warnings.warn(message, ExtrapolationWarning, stacklevel=3)

    @property
    def numbering(self) -> Hashable:
        """By stage, and days since it was entered up to the oldest age."""
        return "stage and age", self.survival.shape[1]

    def cells(self, pipeline: Pipeline, /) -> IntArray:
        """Return the cell of each deal, (n,): its stage and the days since it entered; -1 closed.

        All ages beyond the oldest one seen are one cell, and so is an unknown age.
        """
        oldest = self.survival.shape[1] - 1
        cell = days_since(pipeline.stage_entered, pipeline.as_of, oldest)
        cell += 1
        cell += pipeline.stage * np.int32(oldest + 2)
        cell += 1
        cell *= pipeline.stage < pipeline.funnel.won_code
        cell -= 1
        return cell

    def cell_stages(self, cells: IntArray, pipeline: Pipeline, /) -> IntArray:
        """Return the code of the stage of each cell: (c,) -> (c,)."""
        del pipeline
        return np.asarray(cells // (self.survival.shape[1] + 1))

    def cell_curves(self, cells: IntArray, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the win curves of cells that `cells` gave, ascending: (c,), (k,) -> (c, k)."""
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        chances = np.zeros((len(cells), len(ahead)))
        stage, age = np.divmod(cells, self.survival.shape[1] + 1)
        for code in np.unique(stage).tolist():
            known = np.flatnonzero((stage == code) & (age > 0))
            chances[known] = self._given_age(code, age[known] - 1, ahead)
            unknown = np.flatnonzero((stage == code) & (age == 0))
            if len(unknown):
                chances[unknown] = self._any_age(code, ahead)
        return np.clip(np.maximum.accumulate(chances, axis=1), 0.0, 1.0)

    def draw(self, rng: np.random.Generator, /) -> Self:
        """Return the model with one draw of its incidence curves, given the history.

        In each stage and bin of age, the daily hazards of winning and of losing are Dirichlet with
        the estimates as means and the entries at risk as precision, those included that the stage
        leans on: a long-run rate p of n closed entries has the variance ``p (1 - p) / n``. Bins
        wider than a day lean on the one before, as in the estimate.

        Parameters
        ----------
        rng : numpy.random.Generator
            Where the numbers come from.
        """
        before, after = self.survival[:, :-1], self.survival[:, 1:]
        alive = before > 0.0
        leaving = np.stack((np.diff(self.incidence, axis=1), before - after), axis=1)
        leaving[:, 1] -= leaving[:, 0]
        hazards = np.zeros_like(leaving)
        np.divide(leaving, before[:, None], out=hazards, where=alive[:, None])
        survival, incidence = np.empty_like(self.survival), np.empty_like(self.incidence)
        rates = np.empty_like(self.rates)
        for code, risk in enumerate(self.at_risk):
            drawn = drawn_together(np.clip(hazards[code], 0.0, 1.0), risk, rng)
            survival[code], both = kernel.cumulative_incidence(drawn)
            incidence[code] = both[0]
            rates[code] = drawn[0, -1], drawn[:, -1].sum()
        return attrs.evolve(self, survival=survival, incidence=incidence, rates=rates)

    def _given_age(self, code: int, age: IntArray, ahead: IntArray) -> FloatArray:
        """Chances of deals that entered `age` days ago."""
        return kernel.conditional_incidence(
            self.survival[code], self.incidence[code], self.rates[code], age, ahead
        )

    def _any_age(self, code: int, ahead: IntArray) -> FloatArray:
        """Chances of a deal of unknown age: ages weighted by the chance to be still open."""
        weight = self.survival[code, 1:]
        if weight.sum() <= 0.0:
            return np.zeros(len(ahead))
        ages = np.arange(len(weight))
        return np.asarray(weight @ self._given_age(code, ages, ahead) / weight.sum())

    def notes(self, pipeline: Pipeline) -> tuple[str, ...]:
        """Say which stages of open deals rest on few entries."""
        counts = np.bincount(
            pipeline.stage[pipeline.outcome == Outcome.OPEN], minlength=len(self.entered)
        )
        return tuple(
            f"stage {self.funnel.ids[code]!r}: {counts[code]:,} open deals rest on "
            f"{self.entered[code]:,} past entries; the rate leans on all stages together"
            for code in range(self.funnel.n_stages)
            if counts[code] and self.entered[code] < THIN
        )


@attrs.frozen
class WinRate(StageModel[WinRateSummary]):
    """Win rate of each stage with the time it takes, from the history.

    For every entry into a stage, the days until the deal is won, lost or removed are counted, and
    entries that are still open are censored. The chance to win within h days of a deal that
    entered its stage u days ago is ``(F(u + h) - F(u)) / S(u)``, with F the Aalen-Johansen
    incidence of winning and S the chance to be still open.

    Each stage is given `strength` further entries that behave like all stages together; their
    number is estimated from how much the win rates of the stages differ (beta-binomial maximum
    likelihood), so that a stage with few deals leans on the whole.

    Parameters
    ----------
    minimum : int
        Closed stage entries needed in all; below it nothing is estimated.

    Notes
    -----
    Assumes that deals are alike within a stage and that the past is like the future. It looks at
    days since the entry into the present stage and not at the path that led there; it does not
    model reopening (lost deals get 0). Entries whose day is unknown are left out and counted in
    the summary. Beyond a risk set of 30, ages are pooled into bins that grow by half.

    References
    ----------
    .. [1] O. O. Aalen, S. Johansen, "An empirical transition matrix for non-homogeneous Markov
       chains based on censored observations", Scandinavian Journal of Statistics 5, 1978,
       https://www.jstor.org/stable/4615704.
    .. [2] G. Casella, "An introduction to empirical Bayes data analysis", The American Statistician
       39, 1985, https://doi.org/10.1080/00031305.1985.10479400.

    Examples
    --------
    >>> import numpy as np
    >>> import funnel as fn
    >>> deals = [f"D{i}" for i in range(40)]
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=deals * 2,
    ...     at=["2026-01-01"] * 40 + ["2026-01-11"] * 40,
    ...     stage=["Qualify"] * 40 + ["Won"] * 10 + ["Lost"] * 30,
    ... )
    >>> fitted = WinRate().fit(history)
    >>> float(fitted.win_rates()[0])
    0.25
    """

    minimum: int = attrs.field(default=20, kw_only=True, validator=whole)

    name: ClassVar[str] = "win-rate"
    fitted: ClassVar[type[FittedModel]] = FittedWinRate

    def summarize(self, history: History, /) -> WinRateSummary:
        """Count entries into each state and how they ended."""
        pieces, outcome_of = history.pieces, history.funnel.outcomes
        n_states = len(history.funnel.ids)
        fresh = np.flatnonzero((outcome_of[pieces.stage] == Outcome.OPEN) & ~pieces.resumed)
        stage, entered = pieces.stage[fresh].astype(np.int64), pieces.entered[fresh]
        close, cause = _closings(history)
        dated = entered != NO_DAY
        ended = np.where(cause[fresh] == CAUSES - 1, history.observed_until, close[fresh])
        age_in = (pieces.start[fresh].astype(np.int64) - entered)[dated]
        age_out = (ended.astype(np.int64) - entered)[dated]
        days = int(age_out.max(initial=0)) + 1
        state, why = stage[dated], cause[fresh][dated]
        entries = np.bincount(state * days + age_in, minlength=n_states * days)
        key = (state * CAUSES + why) * days + age_out
        exits = np.bincount(key, minlength=n_states * CAUSES * days)
        return WinRateSummary(
            funnel=history.funnel,
            trained_until=history.observed_until,
            entries=entries.reshape(n_states, days),
            exits=exits.reshape(n_states, CAUSES, days),
            undated=np.bincount(stage[~dated], minlength=n_states),
        )

    def estimate(self, summary: WinRateSummary, /) -> FittedWinRate:
        """Estimate incidence curves by stage, each leaning on the whole.

        Raises
        ------
        InsufficientDataError
            With fewer than `minimum` closed stage entries.
        """
        won = summary.exits[:, 0].sum(axis=-1)
        closed = summary.exits[:, :2].sum(axis=(-2, -1))
        if int(closed.sum()) < self.minimum:
            what = "win rates need closed deals (stage entries that ended)"
            remedy = "Give more history, lower minimum=, or use 'textbook'."
            raise InsufficientDataError(
                what, needed=self.minimum, found=int(closed.sum()), remedy=remedy
            )
        events = summary.exits[:, :2].astype(np.float64)
        risk = kernel.at_risk(summary.entries, summary.exits).astype(np.float64)
        whole_risk, whole_events = risk.sum(axis=0), events.sum(axis=0)
        edges = kernel.tail_edges(whole_risk, THIN)
        whole = kernel.pooled_hazards(whole_events, whole_risk, edges, THIN)
        alive, _ = kernel.cumulative_incidence(whole)
        strength = beta_binomial_strength(won[closed > 0], closed[closed > 0])
        survival, incidence, rates, at_risk = [], [], [], []
        for code in range(len(events)):
            prior = strength * alive[:-1]
            stage_risk = risk[code] + prior
            stage_events = events[code] + prior * whole
            hazards = kernel.pooled_hazards(
                stage_events, stage_risk, kernel.tail_edges(stage_risk, THIN), THIN
            )
            curve = kernel.cumulative_incidence(hazards)
            survival.append(curve[0])
            incidence.append(curve[1][0])
            rates.append((hazards[0, -1], hazards[:, -1].sum()))
            at_risk.append(stage_risk)
        return FittedWinRate(
            trained_until=summary.trained_until,
            funnel=summary.funnel,
            survival=np.array(survival),
            incidence=np.array(incidence),
            rates=np.array(rates),
            entered=summary.entries.sum(axis=-1),
            won=won,
            strength=strength,
            at_risk=np.array(at_risk),
        )


def _closings(history: History) -> tuple[IntArray, IntArray]:
    """(p,), (p,): for each piece, the day of the next closing of its deal, and its cause.

    The next closing is the first won, lost or removed piece after it; 2 (censored) where none came.
    """
    pieces = history.pieces
    outcome = history.funnel.outcomes[pieces.stage]
    n = len(outcome)
    closing = np.where(outcome != Outcome.OPEN, np.arange(n), n)
    following = np.minimum.accumulate(closing[::-1])[::-1]
    found = np.minimum(following, n - 1)
    same = (
        (following < n) & (pieces.deal[found] == pieces.deal) if n else np.empty(0, dtype=np.bool_)
    )
    cause = np.where(same, np.where(outcome[found] == Outcome.WON, 0, 1), CAUSES - 1)
    return np.where(same, pieces.start[found], NO_DAY), cause
