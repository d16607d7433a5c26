"""The entries that a target needs: what exists is counted first, and the rest comes in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import attrs
import numpy as np

from funnel.errors import InsufficientDataError, ValidationError
from funnel.forecasting import HasBasis, Shock
from funnel.forecasting._chances import chances, rows_of
from funnel.forecasting._parameters import DRAWS, SEED, _sample
from funnel.forecasting._rows import BOOKED, NEW
from funnel.models.base import HasDraw
from funnel.planning._response import Response, chances_by_week, rates_by_week

if TYPE_CHECKING:
    from funnel.calendars import Horizon
    from funnel.forecasting import FittedArrivals, FittedDealForecaster, Forecast
    from funnel.forecasting._rows import ForecastDeals
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray

__all__ = ["Inflow", "Needs", "allotted"]

SLACK = 1e-6
"""By that part of itself the highest pace may be exceeded: it may be the only one that suffices."""

WIDEST = 64.0
"""Largest multiple of the target that a plan aims at."""

CLOSE = 1e-3
"""To that part of itself the aim is found."""


def allotted(
    need: FloatArray, pattern: FloatArray, money: FloatArray, highest: float
) -> FloatArray:
    """(k,), (f,), (f, k), () -> (f,): the fewest entries by week that bring each period its need.

    Weeks follow the pattern, at a pace of `highest` times it at most: the pace of a week is the
    mean of one pace for each period, weighted by what the week brings to it. The k paces solve a
    linear programme; more than its need may come in a period where that takes fewer entries.
    """
    from scipy.optimize import linprog  # noqa: PLC0415 - slow to import

    brings = money.sum(axis=1, keepdims=True)
    share = np.divide(money, brings, out=np.zeros_like(money), where=brings > 0.0)
    full = highest * pattern[:, None] * share
    due = money.T @ full
    rows = np.flatnonzero(need > 0.0)
    if not len(rows):
        return np.zeros(len(pattern))
    scale = need[rows]
    found = linprog(
        full.sum(axis=0) / full.sum(),
        A_ub=-due[rows] / scale[:, None],
        b_ub=-np.ones(len(rows)),
        bounds=(0.0, 1.0 + SLACK),
    )
    return np.asarray(full @ found.x)


class Needs(NamedTuple):
    """What new deals must bring by period, and what it is too late for: (k,), (k,)."""

    new: FloatArray
    late: FloatArray


class Drawn(NamedTuple):
    """Expected money under draws of the parameters: of existing deals, and by new deal a week."""

    existing: FloatArray
    new: FloatArray


@attrs.frozen(eq=False)
class Inflow:
    """A target with all that bears on the entries that it needs.

    Parameters
    ----------
    forecaster : FittedDealForecaster
        With arrivals.
    pipeline : Pipeline
        The state on the day of the plan.
    target : (k,) float64
        Money to book in each period, what is booked so far included.
    existing : Forecast
        Of the deals that exist, independent.
    response : Response
        What new deals bring.
    drawn : Drawn or None
        The same under draws of the parameters; None where they are not drawn.
    shock : Shock or None
        The error that all money to come shares, where the past has told it.
    scale : float
        Factor on the amounts to come.
    """

    forecaster: FittedDealForecaster
    pipeline: Pipeline
    target: FloatArray
    existing: Forecast
    response: Response
    drawn: Drawn | None
    shock: Shock | None
    scale: float

    @classmethod
    def of(
        cls,
        target: FloatArray,
        forecaster: HasBasis,
        pipeline: Pipeline,
        horizon: Horizon,
        *,
        like: Inflow | None = None,
    ) -> Self:
        """Forecast what exists, and ask what new deals bring.

        Weeks and draws are those of `like`, where it is given: a small change of the model moves
        the expected money, and hardly the relative error of it.
        """
        as_of = pipeline.as_of
        if not isinstance(forecaster, HasBasis):
            rule = "must be a fitted forecaster by deal"
            remedy = "For instance DealForecaster('semi-markov').fit(history)."
            raise ValidationError.from_value("forecaster", rule, forecaster, remedy)
        if int(horizon.edges[-1]) <= as_of + 1:
            last = np.datetime64(as_of, "D")
            rule = f"must end after the day of the plan ({last})"
            raise ValidationError.from_value("horizon", rule, horizon, "")
        basis = forecaster.basis(pipeline, horizon)
        deals, existing = basis.deals, basis.existing
        arrivals = _require_arrivals(deals)
        worth = basis.money * _closing(deals, arrivals.prototypes)
        worth = np.where(np.isnan(worth), existing.unknown.mean, worth)
        weeks = None if like is None else (like.response.first, like.response.end)
        response = Response.of(deals, arrivals, worth, horizon, as_of, weeks=weeks)
        ahead = ~response.late
        if not response.money[ahead].any():
            raise ValidationError(
                f"the horizon must be longer than the lead time: no deal created from now on is "
                f"expected to bring money before {np.datetime64(int(horizon.edges[-1]), 'D')}. "
                "Choose a later end.",
                column="horizon",
            )
        if basis.shock is not None:
            drawn = None
        elif like is None:
            drawn = _draws(deals, existing, pipeline, response, worth)
        else:
            drawn = like.drawn
        return cls(deals, pipeline, target, existing, response, drawn, basis.shock, basis.money)

    @property
    def ahead(self) -> FloatArray:
        """Money that a deal of each week to come brings by period, (f, k)."""
        return np.asarray(self.response.money[~self.response.late])

    @property
    def usual(self) -> FloatArray:
        """Expected arrivals of each week to come, (f,)."""
        return np.asarray(self.response.usual[~self.response.late])

    @property
    def pace(self) -> float:
        """Pace, as a multiple of the pattern, that alone would bring every period its target."""
        whole = self.response.pattern @ self.response.money
        each = np.divide(self.target, whole, out=np.zeros_like(whole), where=whole > 0.0)
        return float(each.max())

    @property
    def late_share(self) -> FloatArray:
        """Share of each period's money that comes from deals created by now, at one pace, (k,)."""
        brought = self.response.pattern[:, None] * self.response.money
        whole = brought.sum(axis=0)
        gone = brought[self.response.late].sum(axis=0)
        return np.asarray(np.divide(gone, whole, out=np.ones_like(whole), where=whole > 0.0))

    def rescaled(self, change: float, amount: float) -> Self:
        """Return the same with the target, and all amounts to come, times a factor."""
        response, drawn = self.response, self.drawn
        return attrs.evolve(
            self,
            target=self.target * change,
            existing=_scaled(self.existing, amount),
            response=attrs.evolve(
                response, money=response.money * amount, worth=response.worth * amount
            ),
            drawn=None if drawn is None else Drawn(drawn.existing * amount, drawn.new * amount),
            scale=self.scale * amount,
        )

    def needs(self, aim: float) -> Needs:
        """Return what is needed for `aim` times the target.

        New deals bring no more to a period than they would at the one pace that its target needs;
        what then is missing had to come from deals that should exist by now.
        """
        target = aim * self.target
        gap = np.maximum(target - self.existing.expected, 0.0)
        new = np.minimum(gap, (1.0 - self.late_share) * target)
        return Needs(new, gap - new)

    def entries(self, aim: float) -> FloatArray:
        """Return the entries of each week to come that `aim` times the target needs, (f,)."""
        pattern = self.response.pattern[~self.response.late]
        return allotted(self.needs(aim).new, pattern, self.ahead, aim * self.pace)

    def outlook(self, entries: FloatArray) -> Forecast:
        """Return the forecast where deals come in Poisson numbers with these means, (f,)."""
        new = self._new(np.tensordot(entries, self.response.chance, axes=1))
        deals = self.existing.book.with_rows(new)
        return self._shared(attrs.evolve(self.existing, deals=deals), entries)

    def _new(self, number: FloatArray) -> ForecastDeals:
        """Return the rows of new deals, from expected wins by prototype and period (P, k)."""
        rows = np.flatnonzero(number.any(axis=1))
        count = len(rows)
        found = rows_of(
            self.response.prototypes.select(rows),
            number[rows],
            np.full(count, NEW),
            np.zeros(count, dtype=np.int64),
            horizon=self.existing.horizon,
            amounts=self.forecaster.amounts,
        )
        return attrs.evolve(
            found, amount=found.amount * self.scale, spread=found.spread * self.scale
        )

    def _shared(self, outlook: Forecast, entries: FloatArray) -> Forecast:
        """Add the error that the model's parameters make in all the money to come, one for all."""
        if self.drawn is None:
            return outlook if self.shock is None else outlook.with_shock(self.shock)
        total = self.drawn.existing + self.drawn.new @ entries
        mean = float(total.mean())
        if mean <= 0.0:
            return outlook
        spread = min(float(np.std(total, ddof=1)) / mean, 1.0)
        return outlook.with_shock(Shock(spread, df=len(total) - 1))

    def probability(self, entries: FloatArray) -> float:
        """Return the chance that the whole horizon reaches the whole target."""
        return float(self.outlook(entries).total().probability_of(float(self.target.sum()))[0])

    def aim_for(self, confidence: float) -> float:
        """Return the smallest aim whose entries reach the target with a probability."""
        if self.probability(np.zeros(len(self.usual))) >= confidence:
            return 0.0
        low, high = 0.0, 1.0
        while (found := self.probability(self.entries(high))) < confidence:
            low, high = high, 2.0 * high
            if high > WIDEST:
                raise ValidationError(
                    f"no inflow reaches the target with probability {confidence:g}; "
                    f"{WIDEST:g} times what is needed on average gives {found:.1%}. "
                    "Ask for less confidence, a lower target or a longer horizon.",
                    column="confidence",
                )
        from scipy.optimize import brentq  # noqa: PLC0415 - slow to import

        def lack(aim: float) -> float:
            """Return how far the chance is above what is asked: log odds are almost straight."""
            return _logit(self.probability(self.entries(aim))) - _logit(confidence)

        return float(brentq(lack, low, high, xtol=CLOSE, rtol=CLOSE)) * (1.0 + CLOSE) + CLOSE


def _logit(chance: float) -> float:
    """Return log odds; certain ones are finite."""
    inside = min(max(chance, 1e-9), 1.0 - 1e-9)
    return float(np.log(inside / (1.0 - inside)))


def _require_arrivals(forecaster: FittedDealForecaster) -> FittedArrivals:
    """Demand a forecaster that expects new deals."""
    if forecaster.arrivals is None:
        raise InsufficientDataError(
            "a plan of entries needs a forecaster that has learnt from deals how new ones arrive",
            needed=1,
            found=0,
            remedy="Fit a DealForecaster with arrivals=Arrivals() on a longer history.",
        )
    return forecaster.arrivals


def _closing(forecaster: FittedDealForecaster, deals: Pipeline) -> FloatArray:
    """(n,): mean amount of each deal if it is won; NaN unknown."""
    return deals.amount if forecaster.amounts is None else forecaster.amounts.at_closing(deals)[0]


def _scaled(outlook: Forecast, scale: float) -> Forecast:
    """Return a forecast with all amounts to come times a factor."""
    if scale == 1.0:
        return outlook
    deals, unknown = outlook.deals, outlook.unknown
    factor = np.where(deals.part == BOOKED, 1.0, scale)
    deals = attrs.evolve(deals, amount=deals.amount * factor, spread=deals.spread * factor)
    unknown = attrs.evolve(unknown, atoms=unknown.atoms * scale)
    return attrs.evolve(outlook, deals=deals, unknown=unknown)


def _draws(
    forecaster: FittedDealForecaster,
    existing: Forecast,
    pipeline: Pipeline,
    response: Response,
    worth: FloatArray,
) -> Drawn | None:
    """Draw the parameters, each draw one for all deals, as the forecast itself does for open ones.

    Money of existing deals stands for that of a sample of many.
    """
    model = forecaster.model
    if forecaster.spread == "independent" or not isinstance(model, HasDraw):
        return None
    whole = existing.total()
    rows, weight = _sample(
        np.where(whole.deals.part == BOOKED, 0.0, _means(whole) * whole.deals.within)
    )
    place = {name: row for row, name in enumerate(pipeline.ids.tolist())}
    names = whole.deals.ids[rows].tolist()
    some = pipeline.select(np.array([place[name] for name in names], dtype=np.int64))
    ratio = weight / np.maximum(whole.deals.within[rows], 1e-300)
    ahead, rng = ~response.late, np.random.default_rng(SEED)
    first, end = response.first[ahead], response.end[ahead]
    days = rates_by_week(_require_arrivals(forecaster), first, end)
    as_of = pipeline.as_of
    reach = int(whole.horizon.edges[-1]) - as_of
    old, new = np.zeros(DRAWS), np.zeros((DRAWS, len(first)))
    for number in range(DRAWS):
        drawn = attrs.evolve(forecaster, model=model.draw(rng))
        old[number] = ratio @ chances(drawn.model.win_curve, some, whole.horizon)[0][:, 0]
        won = chances_by_week(
            drawn,
            response.prototypes,
            whole.horizon,
            first,
            days,
            as_of=as_of,
            reach=reach,
        )
        new[number] = won[:, :, 0] @ worth
    return Drawn(old, new)


def _means(outlook: Forecast) -> FloatArray:
    """(n,): mean amount of each row if it is won."""
    amount = outlook.deals.amount
    return np.where(np.isnan(amount), outlook.unknown.mean, amount)
