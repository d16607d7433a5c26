"""The whole path of a deal: stages, visits, loops and skips, with the time that each takes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, ClassVar

import attrs
import numpy as np

from funnel.errors import ExtrapolationWarning, InsufficientDataError
from funnel.kernels import incidence, renewal
from funnel.kernels.arrays import frozen
from funnel.models._sojourns import CLASSES, Layout, Sojourns, summarize_sojourns
from funnel.models._validators import positive
from funnel.models.base import FittedModel, StageModel
from funnel.stages import Funnel, Outcome

if TYPE_CHECKING:
    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["FittedSemiMarkov", "SemiMarkov"]

THIN = 30  # below so many at risk, ages are pooled into ever wider bins


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
    """

    trained_until: int
    funnel: Funnel
    hazards: FloatArray = attrs.field(converter=frozen)
    occupied: FloatArray = attrs.field(converter=frozen)
    resumed: FloatArray = attrs.field(converter=frozen)

    needs: ClassVar[tuple[str, ...]] = ()

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date given stage, visit and age: (n, k)."""
        layout = Layout(self.funnel)
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        state = layout.of(pipeline)
        age = np.where(state >= layout.stages * CLASSES, pipeline.as_of - pipeline.closed_on, 0)
        age = np.where(pipeline.outcome == Outcome.OPEN, pipeline.days_in_stage, age)
        asked = np.flatnonzero(state >= 0)
        chances = np.zeros((len(pipeline), len(ahead)))
        if not len(asked) or not len(ahead):
            return chances
        ages = np.unique(np.maximum(age[asked], 0))
        table = self._table(ages, ahead, unknown=bool(np.any(age[asked] < 0)))
        known = asked[age[asked] >= 0]
        chances[known] = table[0][np.searchsorted(ages, age[known]), state[known]]
        undated = asked[age[asked] < 0]
        chances[undated] = table[1][state[undated]]
        self._warn(pipeline, age)
        return np.clip(np.maximum.accumulate(chances, axis=1), 0.0, 1.0)

    def _table(
        self, ages: IntArray, ahead: IntArray, *, unknown: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Chances by (age, state, date), and by (state, date) where the age is unknown."""
        layout = Layout(self.funnel)
        days = self.hazards.shape[2]
        fresh = self._fresh(int(ahead.max()))
        every = np.arange(days) if unknown else ages
        found = renewal.conditional_wins(self.hazards, layout.won, fresh, every, ahead)
        if not unknown:
            return found, found[0]
        weight = self.occupied / np.maximum(self.occupied.sum(axis=1, keepdims=True), 1e-300)
        return found[np.minimum(ages, days - 1)], np.einsum("sd,dsk->sk", weight, found)

    def _fresh(self, horizon: int) -> FloatArray:
        """Chance to have won within each number of days after entering or resuming a state."""
        layout = Layout(self.funnel)
        days = horizon + 1
        shared = min(days, self.hazards.shape[2])
        padded = np.concatenate(
            (
                self.hazards[:, :, :shared],
                np.repeat(self.hazards[:, :, -1:], days - shared, axis=2),
            ),
            axis=2,
        )
        departures = renewal.densities(padded)
        back = np.zeros((layout.stages, layout.targets, days))
        for stage in np.flatnonzero(self.resumed.sum(axis=1) > 0).tolist():
            ages = np.flatnonzero(self.resumed[stage])
            weights = self.resumed[stage, ages]
            back[stage] = renewal.residual(self.hazards[stage * CLASSES], ages, weights, days)
        both = np.concatenate((departures, back))
        return renewal.fresh_wins(both[:, : len(both)], both[:, layout.won])

    def _warn(self, pipeline: Pipeline, age: IntArray) -> None:
        """Say how many open deals are older than any in history."""
        is_open = pipeline.outcome == Outcome.OPEN
        older = int(np.count_nonzero(is_open & (age >= self.hazards.shape[2])))
        if older:
            message = (
                f"{older:,} open deals are in their stage for longer than any in history "
                f"({self.hazards.shape[2] - 1} days); the last hazard seen is carried on for them"
            )
            warnings.warn(message, ExtrapolationWarning, stacklevel=3)


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
    half_life : float or None
        Days after which exposure and moves count half; None weighs all history alike. Weights go
        by the calendar bucket (28 days) in which exposure and moves fall.
    lean : float
        How many deals at risk of its stage (all visits together) each class of visit leans on.
    minimum : int
        Moves out of open stages needed in all; below it nothing is estimated.

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

    References
    ----------
    .. [1] R. Pyke, "Markov renewal processes with finitely many states", Annals of Mathematical
       Statistics 32, 1961, https://doi.org/10.1214/aoms/1177704864.
    .. [2] H. Putter, M. Fiocco, R. B. Geskus, "Tutorial in biostatistics: competing risks and
       multi-state models", Statistics in Medicine 26, 2007, https://doi.org/10.1002/sim.2712.

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

    half_life: float | None = attrs.field(default=None, kw_only=True, validator=positive)
    lean: float = attrs.field(default=20.0, kw_only=True, validator=positive)
    minimum: int = attrs.field(default=20, kw_only=True, validator=positive)

    name: ClassVar[str] = "semi-markov"
    fitted: ClassVar[type[FittedModel]] = FittedSemiMarkov

    def summarize(self, history: History, /) -> Sojourns:
        """Count exposure and moves."""
        return summarize_sojourns(history)

    def estimate(self, summary: Sojourns, /) -> FittedSemiMarkov:
        """Estimate daily hazards, each class of visit leaning on its stage."""
        layout = Layout(summary.funnel)
        moved = int(summary.counts[summary.moves[:, 1] < layout.stages * CLASSES].sum())
        if moved < self.minimum:
            what = "a semi-Markov model needs moves out of open stages"
            remedy = "Give more history, lower minimum=, or use 'textbook'."
            raise InsufficientDataError(what, needed=int(self.minimum), found=moved, remedy=remedy)
        exposed, moves = summary.weighted(self.half_life)
        resumed = summary.resumed / np.maximum(summary.resumed.sum(axis=1, keepdims=True), 1)
        return FittedSemiMarkov(
            trained_until=summary.trained_until,
            funnel=summary.funnel,
            hazards=_hazards(layout, exposed, moves, self.lean),
            occupied=exposed,
            resumed=resumed,
        )


def _hazards(layout: Layout, exposed: FloatArray, moves: FloatArray, lean: float) -> FloatArray:
    """(s, d), (s, t, d) -> (s, t, d): hazards of each state, leaning on all visits to its stage.

    The chance to leave to a *stage* is shared by the visits; into which class of visit of the
    target a move leads is a share of its own, without regard to age.
    """
    group = layout.stage_of()
    goal = _goals(layout)
    goals = int(goal.max()) + 1
    states, targets, days = moves.shape
    coarse = np.zeros((states, goals, days))
    for target in range(targets):
        coarse[:, goal[target]] += moves[:, target]
    hazards = np.zeros_like(coarse)
    for stage in range(int(group.max()) + 1):
        members = np.flatnonzero(group == stage)
        risk, events = exposed[members].sum(axis=0), coarse[members].sum(axis=0)
        edges = incidence.tail_edges(risk, THIN)
        whole = incidence.pooled_hazards(events, risk, edges, THIN)
        for state in members.tolist():
            own = coarse[state] + lean * whole
            hazards[state] = own / (exposed[state] + lean)
    shares = _shares(moves.sum(axis=2), goal, group)
    return hazards[:, goal, :] * shares[:, :, None]


def _goals(layout: Layout) -> IntArray:
    """(t,): the coarse goal of each target, all visits to a stage being one goal."""
    group = layout.stage_of()
    return np.concatenate((group, group.max() + 1 + np.arange(layout.targets - layout.states)))


def _shares(total: FloatArray, goal: IntArray, group: IntArray) -> FloatArray:
    """(s, t) -> (s, t): of the moves to a goal, the share of each of its targets.

    A state leans, by one move, on all states of its stage; where no move to the goal was ever
    seen, first visits are assumed.
    """
    shares = np.zeros_like(total)
    for aim in range(int(goal.max()) + 1):
        members = np.flatnonzero(goal == aim)
        if len(members) == 1:
            shares[:, members] = 1.0
            continue
        first = np.zeros(len(members))
        first[0] = 1.0
        for stage in range(int(group.max()) + 1):
            rows = np.flatnonzero(group == stage)
            pooled = total[np.ix_(rows, members)].sum(axis=0)
            pooled = pooled / pooled.sum() if pooled.sum() > 0 else first
            own = total[np.ix_(rows, members)] + pooled
            shares[np.ix_(rows, members)] = own / own.sum(axis=1, keepdims=True)
    return shares
