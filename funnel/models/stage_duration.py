"""Velocity: how long deals stay in each stage, where they go from it, and what is won by when."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs
import numpy as np

from funnel.errors import InsufficientDataError, ValidationError
from funnel.kernels import incidence
from funnel.kernels.arrays import frozen
from funnel.models._hazards import THIN, drawn_together
from funnel.models._sojourn_counts import sojourns_until, summarize_sojourns
from funnel.models._sojourns import CLASSES, Layout, Sojourns
from funnel.models._validators import positive, whole
from funnel.models.base import FittedModel, StageModel
from funnel.models.semi_markov import FittedSemiMarkov

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence
    from typing import Self

    from funnel.tables import History
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["EXITS", "FittedStageDuration", "StageDuration"]

EXITS = ("advanced", "won", "lost", "moved back", "removed")
"""Ways to leave a stage for good; going on hold is an interruption, not a way to leave."""


@attrs.frozen(eq=False)
class FittedStageDuration(FittedSemiMarkov):
    """Daily hazards of every stage by target and day of age; see `StageDuration`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    funnel : Funnel
        The ladder.
    hazards : (s, t, d) float64
        Chance to move to each target on each day of age; the same for all visits to a stage.
    occupied : (s, d) float64
        Days at risk behind the hazards, by state and day of age.
    resumed : (stages, d) float64
        Distribution of the ages at which stages are resumed after a hold.
    entered : (stages,) int64
        Stays in each stage that were seen from their first day.
    left : (stages,) int64
        Stays that have ended, also of those first seen later; going on hold does not end them.
    half_life : float or None
        Days after which history counted half.
    lean, effects
        Not used: all visits to a stage are alike, and so are all segments.
    """

    entered: IntArray = attrs.field(converter=frozen)
    left: IntArray = attrs.field(converter=frozen)

    def quantiles(self, levels: tuple[float, ...] = (0.1, 0.5, 0.9), /) -> FloatArray:
        """Return days in the stage by which so many of its deals have left it: (stages, q).

        The first day of age t with ``1 - S(t) >= q``, S being the Kaplan-Meier estimate: stays
        that are not over are censored, those seen late are at risk from then on, and days on hold
        do not count. NaN where fewer have left by the oldest age seen, or no deal was ever there.

        Raises
        ------
        ValidationError
            When a level is not between 0 and 1.
        """
        odd = [level for level in levels if not 0.0 < level < 1.0]
        if odd:
            raise ValidationError.from_value("levels", "must lie between 0 and 1", odd[0], "")
        gone = 1.0 - self._survival()[:, None, 1:]
        reached = gone >= np.array(levels)[:, None] - 1e-12
        found = np.where(reached.any(axis=2), reached.argmax(axis=2), np.nan)
        return np.where(self._at_risk()[:, None], found, np.nan)

    def expected_days(self) -> FloatArray:
        """Mean days in each stage, (stages,), the last hazard being carried on.

        ``E = sum over t of S(t)``. Infinite where deals were seen that stayed, but at the oldest
        ages none that left; NaN where no deal was ever there.
        """
        survival = self._survival()
        last = self._leaving()[:, :, -1].sum(axis=1)
        rest = np.where(survival[:, -1] > 0.0, np.inf, 0.0)
        np.divide(survival[:, -1] * (1.0 - last), last, out=rest, where=last > 0.0)
        return np.where(self._at_risk(), survival[:, 1:].sum(axis=1) + rest, np.nan)

    def exits(self) -> FloatArray:
        """Chance to leave each stage in each way by the oldest age seen: (stages, len(EXITS)).

        Competing risks (Aalen-Johansen); a row adds up to less than 1 where some have not left.
        """
        leaving, way = self._leaving(), self._ways()
        rates = np.zeros((len(leaving), len(EXITS), leaving.shape[2]))
        np.add.at(rates, (np.arange(len(way))[:, None], way), leaving)
        found = np.stack([incidence.cumulative_incidence(stage)[1][:, -1] for stage in rates])
        return np.where(self._at_risk()[:, None], found, np.nan)

    def draw(self, rng: np.random.Generator, /) -> Self:
        """Return the model with one draw of its hazards, given the history.

        In each stage and bin of age, the chances of all targets are Dirichlet with the estimates as
        means and the days at risk as precision: the variance is ``h (1 - h) / (days + 1)``. Bins
        wider than a day lean on the one before, as in the estimate. All visits share a draw.

        Parameters
        ----------
        rng : numpy.random.Generator
            Where the numbers come from.
        """
        group, hazards = Layout(self.funnel).stage_of(), np.zeros_like(self.hazards)
        for stage in range(int(group.max()) + 1):
            members = np.flatnonzero(group == stage)
            used = np.flatnonzero(self.hazards[members[0]].any(axis=1))
            if len(used):
                own, risk = self.hazards[members[0], used], self.occupied[members[0]]
                hazards[np.ix_(members, used)] = drawn_together(own, risk, rng)
        return attrs.evolve(self, hazards=hazards)

    def _ways(self) -> IntArray:
        """(stages, t): position in `EXITS` of each target; coming back from hold is an advance."""
        layout, ladder = Layout(self.funnel), self.funnel.ladder
        place, stages = ladder[: layout.stages], np.arange(layout.stages)
        way = np.full((layout.stages, layout.targets), EXITS.index("lost"))
        goal = np.repeat(place, CLASSES)
        way[:, : len(goal)] = np.where(goal < place[:, None], EXITS.index("moved back"), 0)
        way[:, layout.resumed + stages] = EXITS.index("advanced")
        way[:, layout.won], way[:, layout.removed] = EXITS.index("won"), EXITS.index("removed")
        return way

    def _leaving(self) -> FloatArray:
        """(stages, t, d): hazards of each stage without those of going on hold."""
        layout = Layout(self.funnel)
        held = np.flatnonzero(self.funnel.on_hold[: layout.stages])
        hazards = self.hazards[: layout.stages * CLASSES : CLASSES].copy()
        hazards[:, (held[:, None] * CLASSES + np.arange(CLASSES)).reshape(-1)] = 0.0
        return hazards

    def _survival(self) -> FloatArray:
        """(stages, d + 1): chance to be still in the stage before each age."""
        leaving = self._leaving().sum(axis=1, keepdims=True)
        return np.stack([incidence.cumulative_incidence(stage)[0] for stage in leaving])

    def _at_risk(self) -> BoolArray:
        """(stages,): mask of the stages in which any deal was ever seen."""
        first = self.occupied[: len(self.entered) * CLASSES : CLASSES]
        return np.asarray(first.sum(axis=1) > 0.0)


@attrs.frozen
class StageDuration(StageModel[Sojourns]):
    """Velocity: competing risks within each stage, the clock being set to 0 on entering it.

    For each stage, the chance to move to each target on each day of age is estimated, whatever the
    visit: the next stage up or any other, won, lost, removed, back, on hold. What is won follows
    from the renewal equation of `SemiMarkov` with the stage alone as the state; for a deal of age
    a in stage s, and h days::

        W_s(a, h) = h_s,won(a + 1) + sum_j h_sj(a + 1) W0_j(h - 1)
                    + (1 - h_s(a + 1)) W_s(a + 1, h - 1)

    It is the limit of ``SemiMarkov`` for ``lean`` beyond all bounds, and made by the same code. Its
    worth lies in the answers on the fitted model about the stages themselves: ``quantiles`` and
    ``expected_days`` of the days in each stage, and ``exits``, the ways in which it is left.

    Parameters
    ----------
    half_life : float or None
        Days after which exposure and moves count half; None weighs all history alike.
    minimum : int
        Moves out of open stages needed in all; below it nothing is estimated.

    Notes
    -----
    Assumes that a deal's future depends on its stage and the days spent in it, and on nothing
    else. It fails where deals come back: a second visit is taken for a first one, and on logs with
    rework ``"semi-markov"`` is better. Stays that are not over are censored, those first seen in
    mid-stage are at risk from then on; those of unknown entry are left out. Days on hold do not
    count as days in the stage, and a deal that never comes back from hold is censored in the
    durations (not in the chances to win). Beyond a risk set of 30, days of age are pooled into
    bins that grow by half; a stage that no deal has entered has hazards of 0.

    References
    ----------
    .. [1] H. Putter, M. Fiocco, R. B. Geskus, "Tutorial in biostatistics: competing risks and
       multi-state models", Statistics in Medicine 26, 2007, https://doi.org/10.1002/sim.2712.
    .. [2] E. L. Kaplan, P. Meier, "Nonparametric estimation from incomplete observations", Journal
       of the American Statistical Association 53, 1958,
       https://doi.org/10.1080/01621459.1958.10501452.

    Examples
    --------
    >>> import funnel as fn
    >>> deals = [f"D{i}" for i in range(40)]
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=deals * 2,
    ...     at=["2026-01-01"] * 40 + ["2026-01-11"] * 40,
    ...     stage=["Qualify"] * 40 + ["Won"] * 10 + ["Lost"] * 30,
    ... )
    >>> fitted = StageDuration().fit(history)
    >>> fitted.quantiles((0.5,)).tolist(), fitted.expected_days().tolist()
    ([[10.0]], [10.0])
    >>> dict(zip(EXITS[:3], fitted.exits()[0].tolist()))
    {'advanced': 0.0, 'won': 0.25, 'lost': 0.75}
    """

    half_life: float | None = attrs.field(default=None, kw_only=True, validator=positive)
    minimum: int = attrs.field(default=20, kw_only=True, validator=whole)

    name: ClassVar[str] = "stage-duration"
    fitted: ClassVar[type[FittedModel]] = FittedStageDuration

    def summarize(self, history: History, /) -> Sojourns:
        """Count exposure and moves."""
        return summarize_sojourns(history)

    @property
    def counts(self) -> Hashable:
        """Exposure and moves are counted alike, whatever is made of them."""
        return "sojourns", ()

    def summaries(self, history: History, days: Sequence[int], /) -> Iterator[Sojourns]:
        """Count exposure and moves once for all days."""
        return sojourns_until(history, days)

    def estimate(self, summary: Sojourns, /) -> FittedStageDuration:
        """Estimate daily hazards of each stage, all visits together.

        Raises
        ------
        InsufficientDataError
            With fewer than `minimum` moves out of open stages.
        """
        layout = Layout(summary.funnel)
        own = layout.stages * CLASSES
        states, targets = summary.moves[:, 1], summary.moves[:, 2]
        moved = int(summary.counts[states < own].sum())
        if moved < self.minimum:
            what = "stage durations need moves out of open stages"
            remedy = "Give more history, lower minimum=, or use 'textbook'."
            raise InsufficientDataError(what, needed=self.minimum, found=moved, remedy=remedy)
        exposed, moves = summary.weighted(self.half_life)
        hazards, group = np.zeros_like(moves), layout.stage_of()
        for stage in range(int(group.max()) + 1):
            members = np.flatnonzero(group == stage)
            risk = exposed[members].sum(axis=0)
            edges = incidence.tail_edges(risk, THIN)
            events = moves[members].sum(axis=0)
            hazards[members] = incidence.pooled_hazards(events, risk, edges, THIN)
            exposed[members] = risk
        held = np.append(np.repeat(summary.funnel.on_hold[: layout.stages], CLASSES), False)
        over = (states < own) & ~held[np.minimum(targets, own)]
        fresh = summary.exposure[:, :own, 0].sum(axis=0).reshape(layout.stages, CLASSES)
        ended = np.bincount(states[over] // CLASSES, summary.counts[over], minlength=layout.stages)
        return FittedStageDuration(
            trained_until=summary.trained_until,
            funnel=summary.funnel,
            hazards=hazards,
            occupied=exposed,
            resumed=summary.resumed / np.maximum(summary.resumed.sum(axis=1, keepdims=True), 1),
            half_life=self.half_life,
            entered=fresh.sum(axis=1),
            left=ended.astype(np.int64),
        )
