"""Durations of a parametric family with a share that never closes, for every stage and target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import attrs
import numpy as np

from funnel.errors import InsufficientDataError, ValidationError, did_you_mean
from funnel.kernels import lifetimes
from funnel.kernels.arrays import frozen
from funnel.models._durations import durations
from funnel.models._levers import movable, require_room, states_of, weights
from funnel.models._paths import WIN, kinds
from funnel.models._sojourn_counts import sojourns_until, summarize_sojourns
from funnel.models._sojourns import CLASSES, Layout, Sojourns
from funnel.models._validators import positive
from funnel.models.base import FittedModel, StageModel
from funnel.models.semi_markov import FittedSemiMarkov
from funnel.stages import Funnel, Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence
    from typing import Self

    from funnel.kernels.lifetimes import Family
    from funnel.models._flow import StageFlow
    from funnel.tables import History, Pipeline
    from funnel.typing import DateArray, FloatArray

__all__ = ["Distribution", "FittedParametric", "Parametric"]

Distribution = Literal["weibull", "log-normal", "log-logistic", "best"]
"""A family of durations, or the one under which the moves of each stage are likeliest."""


def _known(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand one of `Distribution`."""
    del instance
    if value not in get_args(Distribution):
        hint = did_you_mean(str(value), get_args(Distribution))
        raise ValidationError.from_value(attribute.name, "must be a distribution", value, hint)


@attrs.frozen(eq=False)
class FittedParametric:
    """Shares and durations of every state by target; see `Parametric`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    funnel : Funnel
        The ladder.
    families : (s,) tuple of str
        Family of the durations in each state.
    same_day : (s, t) float64
        Chance to move to each target on the day of entry.
    shares : (s, t) float64
        Of the deals that do not, the share that ever moves to each target; what a row leaves to 1
        stays for ever.
    location, spread : (s, t) float64
        Parameters of the logarithm of the days to the move, where there is a share.
    occupied : (s, d) float64
        Days at risk in history (weighted), by state and day of age.
    resumed : (stages, d) float64
        Distribution of the ages at which stages are resumed after a hold.
    """

    trained_until: int
    funnel: Funnel
    families: tuple[Family, ...]
    same_day: FloatArray = attrs.field(converter=frozen)
    shares: FloatArray = attrs.field(converter=frozen)
    location: FloatArray = attrs.field(converter=frozen)
    spread: FloatArray = attrs.field(converter=frozen)
    occupied: FloatArray = attrs.field(converter=frozen)
    resumed: FloatArray = attrs.field(converter=frozen)

    needs: ClassVar[tuple[str, ...]] = ()

    @property
    def never(self) -> FloatArray:
        """Share of each state's deals that never leave, of those kept past the first day: (s,)."""
        return np.asarray(1.0 - self.shares.sum(axis=1))

    def hazards(self, days: int, /) -> FloatArray:
        """Return the chance to move to each target, days of age 0 .. `days`: (s, t, days + 1).

        Given that the state is kept until then.
        """
        found = np.zeros((*self.shares.shape, days + 1))
        found[:, :, 0] = self.same_day
        for state, family in enumerate(self.families):
            used = np.flatnonzero(self.shares[state])
            found[state, used, 1:] = lifetimes.hazards(
                family,
                self.shares[state, used],
                self.location[state, used],
                self.spread[state, used],
                days,
            )
        return found

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the chance to be won by each date given stage, visit and age: (n, k)."""
        ahead = dates.astype("datetime64[D]").astype(np.int64) - pipeline.as_of
        path = self._path(_oldest(pipeline), int(ahead.max(initial=0)))
        return path.win_curve(pipeline, dates)

    def stage_flow(self, pipeline: Pipeline, days: int, /) -> StageFlow:
        """Return what is expected of a pipeline, stage by stage; as for `FittedSemiMarkov`."""
        return self._path(_oldest(pipeline), days).stage_flow(pipeline, days)

    def fresh_flow(self, stage: str, days: int, /) -> StageFlow:
        """Return what is expected of one deal that enters a stage; as for `FittedSemiMarkov`."""
        return self._path(0, days).fresh_flow(stage, days)

    @property
    def levers(self) -> tuple[str, ...]:
        """Stages whose conversions and durations `under` can change."""
        return movable(Layout(self.funnel), np.asarray((self.same_day + self.shares).any(axis=1)))

    def under(self, conversions: Mapping[str, float], durations: Mapping[str, float], /) -> Self:
        """Return the model with conversions and durations of stages times factors.

        Shares of moves up the ladder or to won are multiplied and all others shrink in proportion;
        days to each move are multiplied, those on the day of entry stay.

        Raises
        ------
        UnknownStageError, ValidationError
            As for `FittedSemiMarkov.under`.
        """
        layout, upward = Layout(self.funnel), kinds(Layout(self.funnel)) == WIN
        at_once, shares, location = (
            np.array(x) for x in (self.same_day, self.shares, self.location)
        )
        for stage, factor in conversions.items():
            states = states_of(layout, stage)
            for state in states:
                kept = 1.0 - at_once[state].sum()
                ends = at_once[state] + kept * shares[state]
                up = float(ends[upward[state]].sum())
                if state == states[0]:
                    require_room(up, factor, stage)
                weight = weights(up, upward[state], factor)
                later = kept * shares[state] * weight
                at_once[state] *= weight
                kept = 1.0 - at_once[state].sum()
                shares[state] = later / kept if kept > 0.0 else 0.0
        for stage, factor in durations.items():
            location[list(states_of(layout, stage))] += np.log(factor)
        return attrs.evolve(self, same_day=at_once, shares=shares, location=location)

    def _path(self, oldest: int, ahead: int) -> FittedSemiMarkov:
        """Return the path on days: each that is asked for has a hazard, so none is carried on."""
        days = max(oldest, self.occupied.shape[1] - 1) + ahead + 1
        room = ((0, 0), (0, days + 1 - self.occupied.shape[1]))
        return FittedSemiMarkov(
            trained_until=self.trained_until,
            funnel=self.funnel,
            hazards=self.hazards(days),
            occupied=np.pad(self.occupied, room),
            resumed=np.pad(self.resumed, room),
        )


def _oldest(pipeline: Pipeline) -> int:
    """Return the days for which some deal has been in its state."""
    lost = (pipeline.outcome == Outcome.LOST) & (pipeline.closed_on != NO_DAY)
    return max(
        int(pipeline.days_in_stage.max(initial=0)),
        int((pipeline.as_of - pipeline.closed_on[lost]).max(initial=0)),
    )


@attrs.frozen
class Parametric(StageModel[Sojourns]):
    """Weibull, log-normal or log-logistic days in each stage, with a share that never closes.

    A state is a stage together with the class of visit (first, second, later). On the day of entry
    a deal moves to target j with a probability of its own. If it does not, it moves to j in the end
    with probability p_j, and with p_0 = 1 - sum of p_j it stays for ever. The days to a move to j
    have the distribution function F_j of one family, ``log days = location_j + spread_j W`` with W
    smallest extreme value, normal or logistic. Daily hazards follow, for any age::

        h_j(a) = p_j (F_j(a) - F_j(a - 1)) / S(a - 1),   S(a) = 1 - sum over j of p_j F_j(a)

    They are fitted by the likelihood of grouped data, with m_j(a) moves and n(a) deals at risk on
    day of age a (open deals are censored, late entry is at risk from then on)::

        sum over a, j of m_j(a) log h_j(a) + sum over a of (n(a) - m(a)) log(1 - h(a))

    The chance to win follows from the hazards by the renewal equation of `SemiMarkov`, conditional
    on the days already spent in the stage.

    Parameters
    ----------
    distribution : {"best", "weibull", "log-normal", "log-logistic"}
        The family; ``"best"`` takes for each stage the one of greatest likelihood, which is that of
        least AIC, since all have two parameters for each target.
    half_life : float or None
        Days after which exposure and moves count half; None weighs all history alike.
    lean : float
        How many deals of its stage (all visits together) each class of visit leans on.
    minimum : int
        Moves out of open stages needed in all; below it nothing is estimated.

    Notes
    -----
    The days to each target in a stage lean on two deals of one fit to all moves out of open stages;
    the shares lean on one deal that moves and one that stays. A stage without history is never
    left.

    Assumes that hazards rise, fall, or rise and then fall smoothly with the days in the stage; that
    deals in the same state and of the same age are alike; and that the future is like the past. No
    age is too old: the curve goes on where history ends, and is then as good as the family. It
    fails where hazards jump (deadlines, automatic closing after 30 days, weekly meetings), for
    which see ``"semi-markov"``. The share that never closes and long durations can hardly be told
    apart before most of those that close have closed: then the chances by the oldest age in history
    are sound, and those far beyond it rest on the family.

    References
    ----------
    .. [1] M. G. Larson, G. E. Dinse, "A mixture model for the regression analysis of competing
       risks data", Applied Statistics 34, 1985, https://doi.org/10.2307/2347464.
    .. [2] V. T. Farewell, "The use of mixture models for the analysis of survival data with
       long-term survivors", Biometrics 38, 1982, https://doi.org/10.2307/2529885.
    .. [3] R. L. Prentice, L. A. Gloeckler, "Regression analysis of grouped survival data with
       application to breast cancer data", Biometrics 34, 1978, https://doi.org/10.2307/2529588.

    Examples
    --------
    Of 400 deals, half are won after 10 to 29 days, and the others have been open for 200 days:

    >>> import numpy as np
    >>> import funnel as fn
    >>> deals = [f"D{i:03}" for i in range(400)]
    >>> start = np.datetime64("2026-01-01")
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=deals + deals[:200],
    ...     stage=["Qualify"] * 400 + ["Won"] * 200,
    ...     at=np.concatenate((np.repeat(start, 400), start + 10 + np.arange(200) % 20)),
    ...     observed_until=start + 200,
    ... )
    >>> fitted = Parametric().fit(history)
    >>> round(float(fitted.never[0]), 2)
    0.5
    >>> fresh = history.snapshot(start)
    >>> dates = start + np.array([5, 20, 1000])
    >>> fitted.win_curve(fresh, dates)[0].round(2).tolist()
    [0.0, 0.28, 0.5]
    """

    distribution: Distribution = attrs.field(default="best", kw_only=True, validator=_known)
    half_life: float | None = attrs.field(default=None, kw_only=True, validator=positive)
    lean: float = attrs.field(default=20.0, kw_only=True, validator=positive)
    minimum: int = attrs.field(default=20, kw_only=True, validator=positive)

    name: ClassVar[str] = "parametric"
    fitted: ClassVar[type[FittedModel]] = FittedParametric

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

    def estimate(self, summary: Sojourns, /) -> FittedParametric:
        """Fit each stage by greatest likelihood, each class of visit leaning on its stage.

        Raises
        ------
        InsufficientDataError
            With fewer than `minimum` moves out of open stages.
        """
        layout = Layout(summary.funnel)
        moved = int(summary.counts[summary.moves[:, 1] < layout.stages * CLASSES].sum())
        if moved < self.minimum:
            what = "parametric durations need moves out of open stages"
            remedy = "Give more history, lower minimum=, or use 'textbook'."
            raise InsufficientDataError(what, needed=int(self.minimum), found=moved, remedy=remedy)
        exposed, moves = summary.weighted(self.half_life)
        families = lifetimes.FAMILIES if self.distribution == "best" else (self.distribution,)
        found = durations(layout, exposed, moves, families, self.lean)
        return FittedParametric(
            trained_until=summary.trained_until,
            funnel=summary.funnel,
            families=found.families,
            same_day=found.same_day,
            shares=found.shares,
            location=found.location,
            spread=found.spread,
            occupied=exposed,
            resumed=summary.resumed / np.maximum(summary.resumed.sum(axis=1, keepdims=True), 1),
        )
