"""The engine of all combinators: fit members, look at their past, pool and repair them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import numpy as np

from funnel.calendars import Horizon, to_date
from funnel.combinators._answers import looked_back
from funnel.combinators._blended import pool
from funnel.combinators._bulk import bulk_closings
from funnel.combinators._choice import Choice
from funnel.combinators._kept import Kept
from funnel.combinators._repair import FEWEST, Repair, Said, learn, weighing
from funnel.combinators._repaired import FittedRepaired
from funnel.combinators._windows import origins, window
from funnel.errors import InsufficientDataError, LeakError
from funnel.forecasting import DealForecaster, Shock, fit_shock
from funnel.forecasting.amounts import summarize_amounts
from funnel.kernels import clock, levels
from funnel.models.base import fits_together
from funnel.summary import summarize
from funnel.tables import History

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.forecasting import Arrivals, Basis, Forecast
    from funnel.models import FittedModel, StageModel
    from funnel.summary import HistorySource
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["Choice", "FittedCombination", "Member", "Recipe"]

SHOCK = 0.05, 4.0  # shared error assumed of a repaired forecast, and how many windows it is worth
NEGLIGIBLE = 1e-3  # weight below which a member is not asked
LEADS = 4  # at which levels are learnt, at most
SHORTEST = 7  # days ahead
KEPT = 8  # horizons whose pools are kept


@attrs.frozen
class Member:
    """A stage model in a pool.

    Parameters
    ----------
    model : StageModel
        The model.
    prior : float
        Its weight before any window was seen, relative to the others.
    memory : float or None
        Half-life in horizons, for a model that has the parameter ``half_life``; None leaves it.
    """

    model: StageModel[Any]
    prior: float = 1.0
    memory: float | None = None

    def at(self, lead: int) -> StageModel[Any]:
        """Return the model for forecasts `lead` days ahead."""
        if self.memory is None:
            return self.model
        return attrs.evolve(self.model, half_life=self.memory * lead)  # type: ignore[misc]  # an attrs class

    @property
    def label(self) -> str:
        """How the member is called in tables."""
        half_life = "" if self.memory is None else f", half-life {self.memory:g} horizons"
        return f"{self.model.name}{half_life}"


@attrs.frozen
class Recipe:
    """What a combinator does: its members, and which repairs it makes.

    Parameters
    ----------
    name : str
        Of the combinator.
    members : tuple of Member
        What is pooled.
    arrivals : Arrivals or None
        How deals that do not exist yet are expected.
    windows : int
        Past windows that are looked at, at most.
    weighed : bool
        Are members weighed by their scores?
    repaired : bool
        Are levels and the width of intervals repaired?
    """

    name: str
    members: tuple[Member, ...]
    arrivals: Arrivals | None
    windows: int
    weighed: bool
    repaired: bool


class _Learnt(NamedTuple):
    """What the past taught: members that can be fitted, weights, and repairs by lead."""

    models: tuple[FittedModel, ...]
    choice: Choice
    repairs: tuple[Repair, ...]


def _kept() -> Kept[Any]:
    """Return room for what a few horizons need."""
    return Kept(KEPT)


@attrs.frozen(eq=False)
class FittedCombination:
    """A combinator that has its history; it looks at the past once the horizon is known.

    Parameters
    ----------
    recipe : Recipe
        What is to be done.
    source : History or HistorySource
        The history; forecasts for any horizon are made from it.
    executor : concurrent.futures.Executor, optional
        Where chunks are summarised.
    """

    recipe: Recipe
    source: History | HistorySource
    executor: Executor | None = None
    _learnt: Kept[_Learnt] = attrs.field(factory=_kept, init=False, repr=False)
    _pools: Kept[FittedRepaired] = attrs.field(factory=_kept, init=False, repr=False)

    @property
    def trained_until(self) -> int:
        """Last day of the history."""
        return self._first.observed_until

    @property
    def _first(self) -> History:
        """The history, or its first chunk: all chunks share days and schema."""
        return self.source if isinstance(self.source, History) else next(iter(self.source))

    def forecast(
        self, pipeline: Pipeline, horizon: Horizon, /, *, by: Sequence[str] = ()
    ) -> Forecast:
        """Forecast what is booked in each period.

        Parameters
        ----------
        pipeline : Pipeline
            The state of the deals on the day of the forecast.
        horizon : Horizon
            k periods.
        by : sequence of str
            Category columns whose values make groups.

        Returns
        -------
        Forecast

        Raises
        ------
        LeakError
            When ``pipeline.as_of`` is before the last day of the history.
        InsufficientDataError
            When no member finds enough history.
        """
        return self._known(pipeline, horizon).forecast(pipeline, horizon, by=by)

    def basis(self, pipeline: Pipeline, horizon: Horizon, /) -> Basis:
        """Return what a plan of new deals needs to know for a horizon."""
        return self._known(pipeline, horizon).basis(pipeline, horizon)

    def _known(self, pipeline: Pipeline, horizon: Horizon) -> FittedRepaired:
        """Return the forecaster for a horizon, where it has not seen what comes after."""
        if pipeline.as_of < self.trained_until:
            msg = (
                f"the history ends on {to_date(self.trained_until)}, so it must not forecast as "
                f"of {to_date(pipeline.as_of)}. Fit on history.until(as_of)."
            )
            raise LeakError(msg)
        return self.at(horizon, pipeline.as_of)

    def at(self, horizon: Horizon, as_of: int, /) -> FittedRepaired:
        """Return the forecaster for one horizon: a pool of fitted models, repaired for its leads.

        It holds no history, and can be kept and saved; a later call for the same days ahead
        returns the same one.
        """
        ahead = _ahead(horizon, as_of)
        return self._pools.get(ahead, functools.partial(self._pool, ahead))

    def stage_model(self, last: int, as_of: int, /) -> FittedModel:
        """Return the pool of models, at repaired levels, for forecasts from `as_of` to `last`."""
        edges = np.array([as_of + 1, last + 1], dtype=np.int32)
        return self.at(Horizon.custom(edges), as_of).stage_model(last, as_of)

    def choice(self, horizon: Horizon, as_of: int | None = None) -> Choice:
        """Return what was chosen for a horizon, with which weights and why."""
        ahead = _ahead(horizon, self.trained_until if as_of is None else as_of)
        return self._learn(ahead).choice

    # -- steps -----------------------------------------------------------------------------------

    def _pool(self, ahead: tuple[int, ...]) -> FittedRepaired:
        """Pool the members, and repair the pool."""
        learnt = self._learn(ahead)
        some = np.flatnonzero(learnt.choice.weight > NEGLIGIBLE)
        repairs = learnt.repairs
        models = tuple(learnt.models[place] for place in some.tolist())
        weights = learnt.choice.weight[some] / learnt.choice.weight[some].sum()
        members = self.recipe.members
        repaired = bool(repairs)
        deals = DealForecaster(
            members[0].model,
            arrivals=self.recipe.arrivals,
            spread="independent" if repaired else "parameters",
        ).around(
            pool(models, weights),
            self.source,
            # Weekdays hardly matter for deals whose day is not known; the quarter does, but each
            # week of new deals has to be asked about then.
            calendar_aware=max(ahead, default=0) <= clock.QUARTER
            and any(getattr(model, "follows_quarter", False) for model in models),
            executor=self.executor,
        )
        return FittedRepaired(
            self.recipe.name,
            deals,
            np.array([one.lead for one in repairs], dtype=np.int64),
            np.array([one.level for one in repairs]),
            _money(repairs),
            _shock(repairs) if repaired else None,
            learnt.choice.said,
        )

    def _learn(self, ahead: tuple[int, ...]) -> _Learnt:
        """Fit the members, and learn weights and repairs from the past, once."""
        return self._learnt.get(ahead, functools.partial(self._learn_anew, ahead))

    def _learn_anew(self, ahead: tuple[int, ...]) -> _Learnt:
        """Fit the members, and learn weights and repairs from the past."""
        first, last = self._first.observed_from, self.trained_until
        lead, leads = calibration_leads(np.array(ahead, dtype=np.int64), first, last)
        members, models, said = self._fitted(lead)
        days = origins(first, last, lead, self.recipe.windows, shortest=int(leads[0]))
        bulk = bulk_closings(self.source)
        past = self._past(members, days, leads, lead, bulk.days)
        column = int(np.searchsorted(leads, lead))
        prior = np.array([member.prior for member in members])
        ended = [one for one in past if one.window.complete(last)[column]]
        enough = len(ended) >= FEWEST
        weigh = functools.cache(weighing(past if self.recipe.weighed else (), column, prior).at)
        repairs: list[Repair] = []
        if enough and self.recipe.repaired:
            amounts = summarize(self.source, summarize_amounts, executor=self.executor)
            worth = float(np.nan_to_num(amounts.estimate().mean))
            repairs = [
                learn(past, weigh, place, until=last, worth=worth) for place in range(len(leads))
            ]
        said += (*bulk.said, *_said(repairs)) if enough else (_too_short(len(ended), lead),)
        scores = _scores(ended, column, len(members))
        labels = tuple(member.label for member in members)
        choice = Choice(labels, weigh(last), scores, len(ended), lead, said)
        return _Learnt(models, choice, tuple(one for one in repairs if one.windows > 0.0))

    def _fitted(
        self, lead: int
    ) -> tuple[tuple[Member, ...], tuple[FittedModel, ...], tuple[str, ...]]:
        """Fit the members on all history; those that find too little are left out, and said."""
        members, models, said = [], [], []
        lacking: InsufficientDataError | None = None
        pool = [member.at(lead) for member in self.recipe.members]
        today = (self.trained_until,)
        (fits,) = fits_together(pool, self.source, today, executor=self.executor)
        for member, fit in zip(self.recipe.members, fits, strict=True):
            try:
                models.append(fit())
            except InsufficientDataError as error:
                said.append(f"{member.label} is left out: {error}")
                lacking = error
            else:
                members.append(member)
        if lacking is not None and not members:
            raise lacking
        return tuple(members), tuple(models), tuple(said)

    def _past(
        self,
        members: Sequence[Member],
        days: IntArray,
        leads: IntArray,
        lead: int,
        bulk: IntArray,
    ) -> list[Said]:
        """Return the past windows for which all members had enough history."""
        found = []
        models = [member.at(lead) for member in members]
        arrivals = self.recipe.arrivals if self.recipe.repaired else None
        none = np.zeros((2, len(leads)))
        for answers in looked_back(self.source, days, models, arrivals, leads):
            known = [one for one in answers.chances if one is not None and len(one)]
            if len(known) == len(models):
                seen = window(self.source, answers, leads)
                new = none if answers.new is None else answers.new
                found.append(Said(seen, np.stack(known), new, bulk))
        return found


def _ahead(horizon: Horizon, as_of: int) -> tuple[int, ...]:
    """Return how many days ahead the periods of a horizon end, those that are not over."""
    ahead = np.unique(horizon.edges[1:].astype(np.int64) - 1 - as_of)
    return tuple(ahead[ahead > 0].tolist())


def calibration_leads(asked: IntArray, first: int, last: int) -> tuple[int, IntArray]:
    """Return the lead for which members are weighed, and all leads at which levels are learnt.

    Of the leads asked for that have past windows enough, the one in the middle (of the logarithms);
    where none has, a third of the history. Longer ones, for which there are no windows, take over
    what the longest shows.
    """
    fitting = [
        lead
        for lead in asked.tolist()
        if len(origins(first, last, lead, FEWEST, shortest=lead)) >= FEWEST
    ]
    if not fitting:
        third = max((last - first) // 3, SHORTEST)
        return third, np.array([third])
    places = np.unique(np.linspace(0, len(fitting) - 1, LEADS).round().astype(np.int64))
    some = np.array(fitting)[places]
    middle = np.sqrt(float(some[0]) * float(some[-1]))
    return int(some[np.argmin(np.abs(np.log(some / middle)))]), some


def _scores(past: Sequence[Said], column: int, members: int) -> FloatArray:
    """Return the mean log score per open deal of each member: (c,)."""
    total, deals = np.zeros(members), 0
    for one in past:
        won = one.window.won[:, column]
        deals += len(won)
        total += [levels.log_loss(chance, won) for chance in one.chances[:, :, column]]
    return total / deals if deals else np.full(members, np.nan)


def _money(repairs: Sequence[Repair]) -> float:
    """Return the factor by which money is repaired: windows of all leads, by their number."""
    if not repairs:
        return 1.0
    counts = np.array([one.windows for one in repairs])
    return float(np.exp(counts @ [one.money for one in repairs] / counts.sum()))


def _shock(repairs: Sequence[Repair]) -> Shock:
    """Return the shock that all deals share, from what repaired forecasts were still off."""
    tested = [one for one in repairs if len(one.expected)]
    booked, expected, noise, share = np.empty(0), np.empty(0), np.empty(0), 1.0
    if tested:
        longest = tested[-1]
        usable = longest.expected > 0.0
        booked, expected = longest.booked[usable], longest.expected[usable]
        noise, share = longest.noise[usable], min(longest.windows / longest.seen, 1.0)
    if np.count_nonzero(booked > 0.0) * 2 <= len(booked):  # too few wins to tell
        booked = expected = noise = np.empty(0)
    scale, windows = SHOCK
    return fit_shock(
        booked, expected, noise, weight=share, prior_scale=scale, prior_windows=windows
    )


def _said(repairs: Sequence[Repair]) -> tuple[str, ...]:
    """Say what was repaired."""
    return tuple(
        f"{one.lead} days ahead, {one.seen} past windows (worth {one.windows:.1f} that do not "
        f"overlap) change the odds of winning by {np.expm1(one.level):+.0%} and money by "
        f"{np.expm1(one.money):+.0%}"
        for one in repairs
        if one.windows > 0.0
    )


def _too_short(windows: int, lead: int) -> str:
    """Say that nothing was weighed or repaired."""
    return (
        f"the history holds {windows} past windows of {lead} days that could be forecast, fewer "
        f"than {FEWEST}: members have the weights they began with, and nothing is repaired"
    )
