"""From past windows: weights of models, levels of chances and of money, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.kernels import levels
from funnel.kernels.stacking import slopes, stacked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from funnel.combinators._windows import Window
    from funnel.typing import FloatArray, IntArray

__all__ = ["FEWEST", "Repair", "Said", "Weighing", "learn", "weighing"]

FEWEST = 3
"""Windows, below which nothing is weighed or repaired."""

LEVEL_SD, MONEY_SD = 0.1, 0.15
"""How far levels are believed to be off before any window was seen (standard deviations)."""

STRENGTH = 3.0
"""How firmly weights are believed before any window was seen, see `stacked`."""

MEMORY = 4.0
"""Windows count half after so many leads."""


@attrs.frozen(eq=False)
class Said:
    """A past window, and what models had said of it.

    Parameters
    ----------
    window : Window
    chances : (c, n, k) float64
        Of each model, for each deal open at the origin, to be won by each lead.
    new : (2, k) float64
        Mean and variance of the money expected from deals that did not exist yet.
    bulk : (b,) int64
        Days on which many deals were closed at once, ascending.
    """

    window: Window
    chances: FloatArray
    new: FloatArray
    bulk: IntArray = attrs.field(factory=lambda: np.empty(0, dtype=np.int64))

    def of(self, weights: FloatArray, column: int) -> FloatArray:
        """(c,) -> (n,): the pooled chances for one lead."""
        return levels.pooled(self.chances[:, :, column], weights)

    def dependence(self, chance: FloatArray, column: int) -> float:
        """Return how many times wins vary as independent ones would: bulk closings are one event.

        (n,) -> (), given the chances of deals.
        """
        day = self.window.closed_on[:, column]
        place = np.searchsorted(self.bulk, day)
        found = np.append(self.bulk, -1)[place] == day
        return levels.design_effect(chance, self.window.won[:, column], np.where(found, place, -1))


def _nothing() -> FloatArray:
    """Return no numbers."""
    return np.empty(0)


@attrs.frozen(eq=False)
class Repair:
    """How far forecasts for one lead were off.

    Parameters
    ----------
    lead : int
        Days ahead.
    seen : int
        Past windows of this lead.
    windows : float
        The same, overlapping ones counted in part.
    level : float
        To be added to the logits of chances.
    money : float
        Logarithm of won over expected money, given the number won.
    booked : (m,) float64
        All money won in each window.
    expected : (m,) float64
        What had been expected, repaired by windows that had ended by then.
    noise : (m,) float64
        Squared coefficient of variation that independent deals would give.
    """

    lead: int
    seen: int
    windows: float
    level: float = 0.0
    money: float = 0.0
    booked: FloatArray = attrs.field(factory=_nothing)
    expected: FloatArray = attrs.field(factory=_nothing)
    noise: FloatArray = attrs.field(factory=_nothing)


def _overlap(days: IntArray, lead: int) -> float:
    """Return what share of independent windows each of these is worth."""
    return float(min(1.0, np.diff(days).min() / lead)) if len(days) > 1 else 1.0


@attrs.frozen(eq=False)
class Weighing:
    """How well the pool of models told deals apart in past windows, from which weights follow.

    Parameters
    ----------
    prior : (c,) float64
        Weights before any window was seen; they add up to 1.
    ends : (w,) int64
        Last day of each window.
    slope : (w, c) float64
        Derivatives of the log likelihood of each window by the weights, at the prior. Each window's
        own level is repaired: that is the business of `learn`.
    curvature : (w, c, c) float64
        Minus the second derivatives.
    share : float
        What share of independent windows each is worth.
    """

    prior: FloatArray
    ends: IntArray
    slope: FloatArray
    curvature: FloatArray
    share: float

    def at(self, day: int) -> FloatArray:
        """Return the weights of models, (c,), from windows that have ended by `day`.

        Windows count by how little they overlap; see `stacked`. With too few of them weights are
        what they began with.
        """
        known = self.ends <= day
        if len(self.prior) < 2 or np.count_nonzero(known) < FEWEST:
            return self.prior
        slope, curvature = self.slope[known].sum(axis=0), self.curvature[known].sum(axis=0)
        return stacked(slope * self.share, curvature * self.share, self.prior, STRENGTH)


def weighing(said: Sequence[Said], column: int, prior: FloatArray) -> Weighing:
    """Score pools of models on past windows of one lead."""
    count, prior = len(prior), prior / prior.sum()
    slope, curvature = np.zeros((len(said), count)), np.zeros((len(said), count, count))
    if not said:
        return Weighing(prior, np.empty(0, dtype=np.int64), slope, curvature, 1.0)
    days = np.array([one.window.origin for one in said])
    lead = int(said[0].window.leads[column])
    for place, one in enumerate(said):
        times = one.dependence(one.of(prior, column), column)
        first, second = slopes(one.chances[:, :, column], one.window.won[:, column], prior)
        slope[place], curvature[place] = first / times, second / times
    return Weighing(prior, days + lead, slope, curvature, _overlap(days, lead))


@attrs.frozen(eq=False)
class _Track:
    """What each window says by itself: shifts and money ratios with their variances."""

    days: IntArray
    shift: FloatArray
    shift_var: FloatArray
    money: FloatArray
    money_var: FloatArray


def _track(said: Sequence[Said], weights: FloatArray, column: int, worth: float) -> _Track:
    """Measure each window; deals of unknown amount count as `worth`."""
    rows = []
    for one in said:
        chance, won = one.of(weights, column), one.window.won[:, column]
        shift, shift_var = levels.level_shift(chance, won)
        moved, times = levels.shifted(chance, shift), one.dependence(chance, column)
        amount = np.where(np.isnan(one.window.amount), worth, one.window.amount)
        booked = one.window.booked[:, column]
        booked = np.where(np.isnan(booked), amount, booked)
        due, noise = _moments(moved, amount, one.window.spread)
        half = float(amount.mean()) / 2.0 if len(amount) else 1.0  # keeps the logarithm finite
        ratio = np.log((float(booked[won].sum()) + half) / (due + half)) if due > 0.0 else 0.0
        money_var = _relative(noise * times, due)
        rows.append((one.window.origin, shift, shift_var * times, ratio, money_var))
    day, *rest = np.array(rows).T
    return _Track(day.astype(np.int64), *(np.asarray(column) for column in rest))


def _estimate(track: _Track, lead: int, share: float) -> tuple[float, float]:
    """Return level and money of a run of windows, newer ones counting more."""
    days = track.days
    weight = 0.5 ** ((days[-1] - days) / (MEMORY * lead)) * share
    level, _ = levels.shrunk_mean(track.shift, track.shift_var, weight, LEVEL_SD)
    usable = np.isfinite(track.money_var) & (track.money_var > 0.0)
    money, _ = levels.shrunk_mean(
        track.money[usable], track.money_var[usable] + 1e-9, weight[usable], MONEY_SD
    )
    return level, money


def learn(
    said: Sequence[Said],
    weigh: Callable[[int], FloatArray],
    column: int,
    *,
    until: int,
    worth: float,
) -> Repair:
    """Learn the repairs for one lead from the windows that are complete.

    Nothing is judged by what it was chosen with: what was left over in a window is left over by
    weights and repairs from windows that had ended when it began.

    Parameters
    ----------
    said : sequence of Said
        In the order of their origins.
    weigh : callable
        The weights of models, (c,), as they stood on a day.
    column : int
        Position of the lead.
    until : int
        Last day known.
    worth : float
        For deals of unknown amount.
    """
    done = [one for one in said if one.window.complete(until)[column] and len(one.window.amount)]
    lead = int(said[0].window.leads[column]) if said else 0
    if not done:
        return Repair(lead, 0, 0.0)
    days = np.array([one.window.origin for one in done])
    share = _overlap(days, lead)
    level, money = _estimate(_track(done, weigh(until), column, worth), lead, share)
    left = []
    for one in done:
        known = int(np.searchsorted(days, one.window.origin - lead, side="right"))
        if known:
            weights = weigh(one.window.origin)
            then = _estimate(_track(done[:known], weights, column, worth), lead, share)
            left.append(_outlook(one, weights, column, then, worth))
    booked, expected, noise = np.array(left).reshape(-1, 3).T
    return Repair(lead, len(done), len(done) * share, level, money, booked, expected, noise)


def _outlook(
    one: Said, weights: FloatArray, column: int, then: tuple[float, float], worth: float
) -> tuple[float, float, float]:
    """Return money booked, money expected after a repair, and its squared variation by chance."""
    chance = levels.shifted(one.of(weights, column), then[0])
    factor = float(np.exp(then[1]))
    amount = np.where(np.isnan(one.window.amount), worth, one.window.amount) * factor
    share = one.window.share
    mean, variance = _moments(chance, amount, one.window.spread * factor)
    due = mean / share + factor * float(one.new[0, column])
    times = 1.0 + (one.dependence(chance, column) - 1.0) / share
    noise = variance * times / share
    noise += factor**2 * float(one.new[1, column])
    booked = float(one.window.total[column]) + worth * float(one.window.unknown[column])
    return booked, due, _relative(noise, due)


def _moments(chance: FloatArray, amount: FloatArray, spread: FloatArray) -> tuple[float, float]:
    """(n,) x 3 -> mean and variance of what independent deals bring."""
    variance = (chance * (1.0 - chance)) @ amount**2 + chance @ spread**2
    return float(chance @ amount), float(variance)


def _relative(variance: float, mean: float) -> float:
    """Return a squared coefficient of variation; 0, which nothing is learnt from, for no money."""
    return variance / mean**2 if mean > 0.0 else 0.0
