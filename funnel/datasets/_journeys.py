"""Deals drawn from a world: when they are born, and how they move until the last day."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.datasets import _rates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.datasets._rates import Rates
    from funnel.datasets._world import World
    from funnel.typing import BoolArray, FloatArray, IntArray


class Clock(NamedTuple):
    """The simulated days, counted from `origin`, (d,) each.

    `season` multiplies the rates of winning; `steady` and `closing` sum up, to the end of each day,
    the activity and the activity times the season.
    """

    origin: int
    season: FloatArray
    steady: FloatArray
    closing: FloatArray

    @property
    def last(self) -> int:
        """The last day."""
        return len(self.steady) - 1


class Deals(NamedTuple):
    """What never changes about deals, (n,) each, by day of birth; level codes by field of `Mix`."""

    born: IntArray
    stage: IntArray
    pace: FloatArray
    amount: FloatArray
    levels: Mapping[str, IntArray]


class Rows(NamedTuple):
    """Deals after a move, (m,) each: day, situation, did it come back from hold, did it rise."""

    deal: IntArray
    day: IntArray
    situation: IntArray
    resumed: BoolArray
    rose: BoolArray
    amount: FloatArray


def clock(world: World, origin: int, last: int, shocks: FloatArray) -> Clock:
    """Sum up activity and season over the days from `origin` to `last`."""
    days = np.arange(origin, last + 1)
    active = _rates.activity(world, days)
    season = _rates.season(world, days, int(_rates.months_of(days[:1])[0]), shocks.tolist())
    return Clock(origin, season, np.cumsum(active), np.cumsum(active * season))


def births(
    world: World, deals: int, start: int, calendar: Clock, rng: np.random.Generator
) -> Deals:
    """Draw `deals` deals that are born from day `start` on, and as many before as fit to them."""
    weight = _rates.arrival_weights(world, np.arange(calendar.last + 1) + calendar.origin)
    early = round(deals * float(weight[:start].sum() / weight[start:].sum()))
    before, after = _draw(weight[:start], early, rng), _draw(weight[start:], deals, rng)
    born = np.sort(np.concatenate((before, start + after)))
    money, n = world.amounts, len(born)
    amount = np.round(money.median * np.exp(money.spread * rng.standard_normal(n)), 2)
    levels = {
        name: _draw(np.array([level.share for level in getattr(world.mix, name)]), n, rng)
        for name in ("owners", "sources", "regions")
    }
    return Deals(
        born=born,
        stage=_draw(np.array(world.intake.entry), n, rng),
        pace=_rates.paces(world, amount, levels),
        amount=amount,
        levels=levels,
    )


def _draw(weight: FloatArray, size: int, rng: np.random.Generator) -> IntArray:
    """(m,) -> (size,): positions drawn with the given weights."""
    if not size:
        return np.empty(0, dtype=np.int64)
    total = np.cumsum(weight)
    aim = np.minimum(rng.random(size) * total[-1], np.nextafter(total[-1], 0.0))
    return np.asarray(np.searchsorted(total, aim, side="right"))


def journeys(world: World, deals: Deals, calendar: Clock, rng: np.random.Generator) -> Rows:
    """Follow all deals from move to move; the rows are sorted by deal and time."""
    rates, n = _rates.rates(world), len(deals.born)
    never = np.zeros(n, dtype=np.bool_)
    now = Rows(np.arange(n), deals.born, deals.stage, never, never, deals.amount)
    found = []
    while len(now.deal):
        found.append(now)
        left, band = _leave(rates, calendar, now, deals.pace[now.deal], rng)
        at_once = now.rose & (rng.random(len(left)) < rates.same_day)
        left = np.where(at_once, now.day, left)
        moving = np.flatnonzero(left <= calendar.last)
        now = Rows._make(column[moving] for column in now)
        left, band, at_once = left[moving], band[moving], at_once[moving]
        pace = deals.pace[now.deal]
        goal = _goal(rates, (band, now.situation), pace, pace * calendar.season[left], rng)
        above = np.where(now.situation + 1 < rates.n_stages, now.situation + 1, rates.won)
        goal = np.where(at_once, above, goal)
        resumed = goal >= rates.resumed
        situation = np.where(resumed, goal - rates.resumed, goal)
        rose = (now.situation < situation) & (situation < rates.n_stages)
        now = Rows(now.deal, left, situation, resumed, rose, _revised(world, now.amount, rose, rng))
    order = np.argsort(np.concatenate([rows.deal for rows in found]), kind="stable")
    return Rows._make(np.concatenate(column)[order] for column in zip(*found, strict=True))


def _leave(
    rates: Rates, calendar: Clock, now: Rows, pace: FloatArray, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """(m,) -> (m,), (m,): the day on which each deal leaves, and the band that it is then in.

    A deal leaves on the first day on which its rates, added up since it came, exceed a unit
    exponential; so it leaves on any day with probability ``1 - exp(-rates of the day)``.
    """
    energy = rng.exponential(size=len(pace))
    left = np.full(len(pace), calendar.last + 1)
    bands = len(rates.edges) + 1
    band = np.full(len(pace), bands - 1)
    begin = now.day
    for number in range(bands):
        end = np.full(len(pace), calendar.last)
        if number < bands - 1:
            end = np.minimum(now.day + rates.edges[number], end)
            end = np.where(now.resumed, begin, end)
        closing = pace * rates.winning[number].sum(axis=-1)[now.situation]
        steady = pace * rates.upward[number].sum(axis=-1)[now.situation]
        steady += rates.steady[number].sum(axis=-1)[now.situation]
        spent = _spent(calendar, (closing, steady), begin, end)
        hit = np.flatnonzero(energy < spent)
        band[hit] = number
        faced = closing[hit], steady[hit]
        left[hit] = _first_day(calendar, faced, begin[hit], end[hit], energy[hit])
        energy -= spent
        energy[hit] = np.inf
        begin = end
    return left, band


def _spent(
    calendar: Clock, rates: tuple[FloatArray, FloatArray], begin: IntArray, end: IntArray
) -> FloatArray:
    """(m,) each -> (m,): rates, of winning and others, summed over days ``begin + 1 .. end``."""
    closing, steady = rates
    rising = closing * (calendar.closing[end] - calendar.closing[begin])
    return rising + steady * (calendar.steady[end] - calendar.steady[begin])


def _first_day(
    calendar: Clock,
    rates: tuple[FloatArray, FloatArray],
    begin: IntArray,
    end: IntArray,
    energy: FloatArray,
) -> IntArray:
    """(m,) each -> (m,): first day after `begin` on which the rates add up to over `energy`."""
    low, high = begin, end
    while np.any(high - low > 1):
        middle = (low + high) // 2
        enough = energy < _spent(calendar, rates, begin, middle)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def _goal(
    rates: Rates,
    where: tuple[IntArray, IntArray],
    pace: FloatArray,
    drive: FloatArray,
    rng: np.random.Generator,
) -> IntArray:
    """(m,) each -> (m,): where a deal that leaves goes, in proportion to the rates.

    `where` are band and situation; `pace` and `drive` multiply the rates of advancing and winning.
    """

    def rate(goal: int) -> FloatArray:
        """(m,): the rate of going to one goal."""
        driven: FloatArray = pace * rates.upward[*where, goal] + drive * rates.winning[*where, goal]
        driven += rates.steady[*where, goal]
        return driven

    goals = [goal for goal in range(rates.steady.shape[-1]) if _is_used(rates, goal)]
    total = np.zeros(len(pace))
    for goal in goals:
        total = total + rate(goal)
    aim = np.minimum(rng.random(len(pace)) * total, np.nextafter(total, 0.0))
    chosen = np.full(len(pace), -1)
    reached = np.zeros(len(pace))
    for goal in goals:
        reached = reached + rate(goal)
        chosen = np.where((chosen < 0) & (aim < reached), goal, chosen)
    return chosen


def _is_used(rates: Rates, goal: int) -> bool:
    """Tell whether any move leads to a goal."""
    tables = (rates.upward, rates.winning, rates.steady)
    return any(bool(np.any(table[..., goal])) for table in tables)


def _revised(
    world: World, amount: FloatArray, rose: BoolArray, rng: np.random.Generator
) -> FloatArray:
    """(m,), (m,) -> (m,): amounts after a move; on the rise some change within their class."""
    money = world.amounts
    revised = np.round(amount * np.exp(money.revision * rng.standard_normal(len(amount))), 2)
    same = _rates.size_class(world, amount) == _rates.size_class(world, revised)
    revise = rose & same & (rng.random(len(amount)) < money.revise)
    return np.where(revise, revised, amount)
