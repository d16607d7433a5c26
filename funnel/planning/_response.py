"""What new deals bring: expected money by calendar week of creation and period of booking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import attrs
import numpy as np

from funnel.forecasting._chances import chances
from funnel.forecasting.arrivals import _moved as moved
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.calendars import Horizon
    from funnel.forecasting import FittedArrivals, FittedDealForecaster
    from funnel.models import FittedModel
    from funnel.tables import Pipeline
    from funnel.typing import BoolArray, DateArray, FloatArray, IntArray

__all__ = ["Response", "chances_by_week", "rates_by_week", "weeks_between"]

WEEK = 7
FIRST_REACH, LAST_REACH = 91, 1456
"""Days after its creation by which a deal has brought what it will bring: tried from, and up to."""

SATURATED = 0.01
"""Where twice the days bring less than that much more, the deal has brought all."""

LEAD_IN = 1e-4
"""The earliest weeks that bring less than this part of the money together are left out."""


def weeks_between(first: int, end: int, cut: int) -> tuple[IntArray, IntArray]:
    """(), (), () -> (v,), (v,): first day of each calendar week, and the day after its last.

    Weeks begin on Mondays; the one that holds `cut` is cut in two there.
    """
    monday = first + (-(first + 3)) % WEEK  # 1970-01-01 was a Thursday
    edges = np.unique(np.concatenate(([first, end], np.arange(monday, end, WEEK))))
    if first < cut < end:
        edges = np.unique(np.append(edges, cut))
    return edges[:-1], edges[1:]


@attrs.frozen(eq=False)
class Response:
    """What one new deal brings, on average, by the week in which it is created.

    Parameters
    ----------
    first, end : (v,) int64
        First day of each week, and the day after its last; the past ones come first.
    late : (v,) bool
        Is the week past?
    pattern : (v,) float64
        Expected arrivals at today's level; one a week where none are expected.
    usual : (v,) float64
        Expected arrivals; in the first week to come with the deals that exist unrecorded.
    money : (v, k) float64
        Expected money that a deal of the week brings in each period.
    worth : float
        Expected money that it brings at all.
    prototypes : Pipeline
        Deals that stand for new ones, P.
    chance : (f, P, k) float64
        Chance that a deal of each week to come is like the prototype and booked in the period.
    """

    first: IntArray
    end: IntArray
    late: BoolArray
    pattern: FloatArray
    usual: FloatArray
    money: FloatArray
    worth: float
    prototypes: Pipeline
    chance: FloatArray

    @classmethod
    def of(
        cls,
        forecaster: FittedDealForecaster,
        arrivals: FittedArrivals,
        amount: FloatArray,
        horizon: Horizon,
        as_of: int,
        *,
        weeks: tuple[IntArray, IntArray] | None = None,
    ) -> Self:
        """Ask the model about prototypes worth `amount` (P,), for weeks that reach the horizon."""
        deals = arrivals.prototypes
        reach, worth = _reach(forecaster.model, moved(deals, as_of), amount)
        begin, stop = int(horizon.edges[0]) - reach, int(horizon.edges[-1])
        first, end = weeks_between(begin, stop, as_of + 1) if weeks is None else weeks
        daily = rates_by_week(arrivals, first, end)
        rate = np.array([float(some.sum()) for some in daily])
        pattern = rate if rate.any() else (end - first) / WEEK
        chance = chances_by_week(forecaster, deals, horizon, first, daily, as_of=as_of, reach=reach)
        money = np.asarray(amount @ chance)
        share = pattern * money.sum(axis=1)
        used = np.ones(len(first), dtype=np.bool_)
        if weeks is None:
            used = (np.cumsum(share) > LEAD_IN * share.sum()) | (~share.any() & (first > as_of))
        late = first <= as_of
        usual = rate.copy()
        usual[first == as_of + 1] += arrivals.unrecorded(as_of)
        return cls(
            first[used],
            end[used],
            late[used],
            pattern[used],
            usual[used],
            money[used],
            worth,
            deals,
            chance[used & ~late],
        )


def _reach(model: FittedModel, deals: Pipeline, amount: FloatArray) -> tuple[int, float]:
    """Return by how many days a new deal has brought what it will bring, and how much that is."""
    days = FIRST_REACH
    while True:
        dates = (deals.as_of + np.array([days, 2 * days])).astype("datetime64[D]")
        half, whole = (float(amount @ column) for column in _curve(model, deals, dates).T)
        if whole - half <= SATURATED * whole or 2 * days >= LAST_REACH:
            return (days if half else 2 * days), whole / max(len(deals), 1)
        days *= 2


def _curve(model: FittedModel, deals: Pipeline, dates: DateArray) -> FloatArray:
    """(P,), (d,) -> (P, d): chance to be won by each date; 1 for what is won already."""
    curve = np.zeros((len(deals), len(dates)))
    alive = (deals.outcome == Outcome.OPEN) | (deals.outcome == Outcome.LOST)
    curve[alive] = model.win_curve(deals.select(alive), dates)
    curve[deals.outcome == Outcome.WON] = 1.0
    return curve


def chances_by_week(
    forecaster: FittedDealForecaster,
    deals: Pipeline,
    horizon: Horizon,
    first: IntArray,
    daily: list[FloatArray],
    *,
    as_of: int,
    reach: int,
) -> FloatArray:
    """(v,), v rates -> (v, P, k): chance that a deal of a week is like a prototype and booked then.

    Within a week, deals come as `daily` says. One curve, of prototypes created on the day of the
    plan, tells all; but a model that looks at the calendar is asked about each week to come, at the
    middle of its deals.
    """
    count, stop = max(len(deals), 1), int(horizon.edges[-1])
    found = np.zeros((len(first), len(deals), len(horizon)))
    days = min(max(reach, 1), max(stop - 1 - int(first[0]), 1))
    dates = (as_of + 1 + np.arange(days)).astype("datetime64[D]")
    curve = np.zeros((len(deals), days + 2))  # by the day before creation, on it, and after
    curve[:, 2:] = _curve(forecaster.model, moved(deals, as_of), dates)
    curve[deals.outcome == Outcome.WON, 1:] = 1.0
    for week, (begin, rates) in enumerate(zip(first.tolist(), daily, strict=True)):
        if forecaster.calendar_aware and begin > as_of:
            middle = begin + round(float(_shares(rates) @ np.arange(len(rates))))
            found[week] = (
                chances(forecaster.model.win_curve, moved(deals, middle), horizon)[0] / count
            )
            continue
        born = begin + np.arange(len(rates))
        ahead = horizon.edges.astype(np.int64) - born[:, None]
        won = curve[:, np.clip(ahead, 0, days + 1)]
        found[week] = np.einsum("pdk,d->pk", np.diff(won, axis=2), _shares(rates)) / count
    return found


def rates_by_week(arrivals: FittedArrivals, first: IntArray, end: IntArray) -> list[FloatArray]:
    """(v,), (v,) -> v x (days,): expected arrivals on the days of each week."""
    return [arrivals.rates(*days) for days in zip(first.tolist(), end.tolist(), strict=True)]


def _shares(rates: FloatArray) -> FloatArray:
    """(d,) -> (d,): shares of the days; even where nothing is expected."""
    total = float(rates.sum())
    return rates / total if total > 0.0 else np.full(len(rates), 1.0 / len(rates))
