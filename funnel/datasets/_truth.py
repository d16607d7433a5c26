"""The model that knows the truth: exact win curves of simulated deals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import attrs
import numpy as np

from funnel.datasets import _rates
from funnel.errors import SchemaMismatchError, ValidationError, did_you_mean
from funnel.stages import Outcome
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from funnel.datasets._rates import Rates
    from funnel.datasets._world import World
    from funnel.tables import Pipeline
    from funnel.typing import DateArray, FloatArray, IntArray

__all__ = ["Shocks", "TrueModel"]

Shocks = Literal["mean", "realised"]
"""Which path of the shared shock is taken for true."""

ATTRIBUTES = (("owner", "owners"), ("source", "sources"), ("region", "regions"))
"""Columns of simulated deals, and the names of their levels in `Mix`."""


def _floats(values: Any) -> tuple[float, ...]:  # noqa: ANN401 - any iterable of numbers
    """Store a path as plain numbers."""
    return tuple(float(value) for value in values)


def _known_shocks(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand one of `Shocks`."""
    del instance
    if value not in get_args(Shocks):
        hint = did_you_mean(str(value), get_args(Shocks))
        raise ValidationError.from_value(attribute.name, "must be a kind of shocks", value, hint)


@attrs.frozen(kw_only=True)
class TrueModel:
    """The true chance that each simulated deal is won on or before each date.

    It is exact given what a snapshot of the simulated history knows: stage, days in the stage,
    owner, source, region, amount and the calendar. A deal whose days in the stage are unknown has
    been there for as long as the last of ``Moves.bands``, which is so for every simulated one. An
    owner, source, region or amount that is unknown has the multiplier 1; a lost deal or one on hold
    whose earlier stage is unknown is taken to come back to the first. A deal is won when it is won
    first; that it may be reopened later does not matter.

    Parameters
    ----------
    world : World
        The truth.
    first_month : int
        Month, counted from January 1970, of the first entry of `path`.
    path : (months,) tuple of float
        The shared shock that was drawn for each month.
    shocks : {"mean", "realised"}
        Which shock is taken for true. ``"mean"``: its mean, 1, in every month. The answer is then
        right for shocks of that size and is not averaged over others; averaging would change it by
        at most about 0.003 where the spread is 0.1, the default, and by 0.03 where it is 0.3.
        ``"realised"``: the path that was drawn (and the mean outside of it), which nobody could
        know in advance.

    Notes
    -----
    Deals move from day to day as a Markov chain on the situation (working in a stage, on hold from
    it, lost from it, won, removed) and the days in the stage, up to the first day of the last band
    from which on the rates are constant. With P(t) its transition matrix on day t, the chance to be
    won on or before day T is the entry of ``P(as_of + 1) ... P(T)`` for the deal's state and the
    absorbing state won; it is found backwards, one day at a time, for all states together.

    Examples
    --------
    >>> import numpy as np
    >>> import funnel as fn
    >>> from funnel.datasets import TrueModel, World
    >>> truth = TrueModel(world=World.simple(advance=(0.02,), lose=(0.06,)))
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=truth.world.funnel, as_of="2026-06-30", id=["A"], stage=["Stage 1"],
    ...     stage_entered=["2026-06-01"],
    ... )
    >>> dates = np.array(["2026-07-01", "2028-12-31"], dtype="datetime64[D]")
    >>> truth.win_curve(pipeline, dates).tolist()
    [[0.0192..., 0.25]]
    """

    world: World
    first_month: int = 0
    path: tuple[float, ...] = attrs.field(default=(), converter=_floats)
    shocks: Shocks = attrs.field(default="mean", validator=_known_shocks)

    trained_until: ClassVar[int] = NO_DAY
    needs: ClassVar[tuple[str, ...]] = ("days_in_stage",)

    def win_curve(self, pipeline: Pipeline, dates: DateArray, /) -> FloatArray:
        """Return the true chances to be won on or before each date: (n,), (k,) -> (n, k).

        Won and removed rows hold 0; lost rows the chance of being reopened and won.

        Raises
        ------
        SchemaMismatchError
            When the pipeline is of another funnel.
        """
        if pipeline.funnel != self.world.funnel:
            msg = f"the pipeline must be of the world's funnel, got {pipeline.funnel!r}."
            raise SchemaMismatchError(msg)
        rates = _rates.rates(self.world)
        asked = (pipeline.outcome == Outcome.OPEN) | (pipeline.outcome == Outcome.LOST)
        rows = np.flatnonzero(asked)
        curve = np.zeros((len(pipeline), len(dates)))
        if not curve.size or not len(rows):
            return curve
        situation = self._situations(pipeline)[rows]
        age = np.where(pipeline.days_in_stage < 0, rates.cap, pipeline.days_in_stage)[rows]
        paces, which = np.unique(self._paces(pipeline)[rows], return_inverse=True)
        days = dates.astype("datetime64[D]").astype(np.int64)
        working, landed = self._chances(rates, paces, pipeline.as_of, days)
        stage = np.minimum(situation, rates.n_stages - 1)
        aged = working[which, stage, np.minimum(age, rates.cap)]
        curve[rows] = np.where(
            (situation < rates.n_stages)[:, None], aged, landed[which, situation]
        )
        return curve

    def _situations(self, pipeline: Pipeline) -> IntArray:
        """(n,): the situation of each deal, see `funnel.datasets._rates`."""
        funnel, codes = self.world.funnel, self.world.stage_codes
        n = len(codes)
        rung = np.zeros(len(funnel.states) + 1, dtype=np.int64)  # the last one: unknown
        rung[list(codes)] = np.arange(n)
        stage, before = pipeline.stage, rung[pipeline.previous_stage]
        situation = np.where(funnel.on_hold[stage], n + before, rung[stage])
        return np.where(pipeline.outcome == Outcome.LOST, 2 * n + before, situation)

    def _paces(self, pipeline: Pipeline) -> FloatArray:
        """(n,): multiplier of the rates of advancing and winning of each deal."""
        levels = {}
        for name, field in ATTRIBUTES:
            if name in pipeline.schema.names:
                categories = pipeline.schema.column(name).categories
                known = getattr(self.world.mix, field)
                levels[field] = _rates.level_codes(known, categories, pipeline.columns[name])
        return _rates.paces(self.world, pipeline.amount, levels)

    def _chances(
        self, rates: Rates, paces: FloatArray, as_of: int, dates: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Go back from the last date to `as_of`: (c,), (k,) -> (c, S, cap + 1, k), (c, 3 S + 2, k).

        The first holds the chances while working, by days in the stage; the second those of every
        situation, for working ones on the day of entry.
        """
        n, cap = rates.n_stages, rates.cap
        band = np.searchsorted(rates.edges, np.arange(cap + 1), side="right")
        working = np.zeros((len(paces), n, cap + 1, len(dates)))
        landed = np.zeros((len(paces), 3 * n + 2, len(dates)))
        horizon = np.arange(as_of + 1, int(dates.max()) + 1)
        activity = _rates.activity(self.world, horizon)
        path = self.path if self.shocks == "realised" else ()
        season = _rates.season(self.world, horizon, self.first_month, path)
        steps: dict[tuple[float, float], tuple[FloatArray, FloatArray]] = {}
        calendar = zip(horizon.tolist(), activity.tolist(), season.tolist(), strict=True)
        for day, active, factor in reversed(list(calendar)):
            if (active, factor) not in steps:
                steps[active, factor] = _step(rates, paces, active, factor)
            stay, move = steps[active, factor]
            landed[:, rates.won] = day <= dates
            goals = np.concatenate((landed, working[:, :, cap]), axis=1)
            moved = move @ goals[:, None]
            older = np.concatenate((working[:, :, 1:], working[:, :, cap:]), axis=2)
            landed = stay[:, 0, :, None] * landed + moved[:, 0]
            kept = stay[:, band, :n].transpose(0, 2, 1)[..., None] * older
            working = kept + moved[:, band, :n].transpose(0, 2, 1, 3)
            landed[:, :n] = working[:, :, 0]
        return working, landed


def _step(
    rates: Rates, paces: FloatArray, active: float, factor: float
) -> tuple[FloatArray, FloatArray]:
    """(c,) -> (c, b, N), (c, b, N, M): the chances to stay and to move on one day, by band."""
    upward = rates.upward @ _pass_on(rates)
    driven = paces[:, None, None, None] * (upward + factor * rates.winning)
    rate = active * (driven + rates.steady)
    total = rate.sum(axis=-1, keepdims=True)
    move = rate * np.divide(-np.expm1(-total), total, out=np.zeros_like(total), where=total > 0.0)
    return np.exp(-total[..., 0]), move


def _pass_on(rates: Rates) -> FloatArray:
    """(M, M): from where an advance leads to where the deal is at the end of the same day."""
    n, chain = rates.n_stages, np.eye(rates.upward.shape[-1])
    for s in reversed(range(n)):
        above = chain[s + 1] if s + 1 < n else chain[rates.won]
        chain[s] = (1.0 - rates.same_day) * chain[s] + rates.same_day * above
    return chain
