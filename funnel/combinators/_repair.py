"""From past windows: weights of models, levels of chances and of money, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.kernels import levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.combinators._windows import Window
    from funnel.typing import FloatArray, IntArray

__all__ = ["Repair", "Said", "learn", "pool_weights"]

LEVEL_SD, MONEY_SD = 0.15, 0.15
"""How far levels are believed to be off before any window was seen (standard deviations)."""

MEMORY = 2.0
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
    """

    window: Window
    chances: FloatArray
    new: FloatArray

    def of(self, weights: FloatArray, column: int) -> FloatArray:
        """(c,) -> (n,): the pooled chances for one lead."""
        return levels.pooled(self.chances[:, :, column], weights)


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


def pool_weights(said: Sequence[Said], column: int, prior: FloatArray) -> FloatArray:
    """Weigh models by their log score on past windows: (c,), adding up to 1.

    ``w_c`` is proportional to ``prior_c exp(-sum over windows of log loss)``, windows counted by
    how little they overlap. Scores are taken with each window's own level repaired, which is the
    business of `learn`: what is weighed is how well models tell deals apart.
    """
    if not said:
        return np.asarray(prior / prior.sum())
    days = np.array([one.window.origin for one in said])
    lead = int(said[0].window.leads[column])
    losses = np.zeros(len(prior))
    for one in said:
        won = one.window.won[:, column]
        for model, chance in enumerate(one.chances[:, :, column]):
            shift, _ = levels.level_shift(chance, won)
            losses[model] += levels.log_loss(levels.shifted(chance, shift), won)
    losses = (losses - losses.min()) * _overlap(days, lead)
    weights = prior * np.exp(-losses)
    return np.asarray(weights / weights.sum())


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
        moved = levels.shifted(chance, shift)
        amount = np.where(np.isnan(one.window.amount), worth, one.window.amount)
        booked = np.where(np.isnan(one.window.booked), amount, one.window.booked)
        due, noise = float(moved @ amount), float((moved * (1.0 - moved)) @ amount**2)
        half = float(amount.mean()) / 2.0 if len(amount) else 1.0  # keeps the logarithm finite
        ratio = np.log((float(booked[won].sum()) + half) / (due + half)) if due > 0.0 else 0.0
        rows.append((one.window.origin, shift, shift_var, ratio, noise / max(due, 1e-300) ** 2))
    day, *rest = np.array(rows).T
    return _Track(day.astype(np.int64), *(np.asarray(column) for column in rest))


def _estimate(track: _Track, lead: int, some: slice) -> tuple[float, float]:
    """Return level and money of a run of windows, newer ones counting more."""
    days = track.days[some]
    weight = 0.5 ** ((days[-1] - days) / (MEMORY * lead)) * _overlap(track.days, lead)
    level, _ = levels.shrunk_mean(track.shift[some], track.shift_var[some], weight, LEVEL_SD)
    usable = np.isfinite(track.money_var[some]) & (track.money_var[some] > 0.0)
    money, _ = levels.shrunk_mean(
        track.money[some][usable],
        track.money_var[some][usable] + 1e-9,
        weight[usable],
        MONEY_SD,
    )
    return level, money


def learn(
    said: Sequence[Said], weights: FloatArray, column: int, *, until: int, worth: float
) -> Repair:
    """Learn the repairs for one lead from the windows that are complete.

    Parameters
    ----------
    said : sequence of Said
        In the order of their origins.
    weights : (c,) float64
        Of the models.
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
    track = _track(done, weights, column, worth)
    level, money = _estimate(track, lead, slice(None))
    left = []
    for place, one in enumerate(done):
        # Only windows that had ended by then: nothing is judged by what it was chosen with.
        known = int(np.searchsorted(track.days, track.days[place] - lead, side="right"))
        if known:
            then = _estimate(track, lead, slice(0, known))
            left.append(_outlook(one, weights, column, then, worth))
    booked, expected, noise = np.array(left).reshape(-1, 3).T
    return Repair(
        lead,
        len(done),
        len(done) * _overlap(track.days, lead),
        level,
        money,
        booked,
        expected,
        noise,
    )


def _outlook(
    one: Said, weights: FloatArray, column: int, then: tuple[float, float], worth: float
) -> tuple[float, float, float]:
    """Return money booked, money expected after a repair, and its squared variation by chance."""
    chance = levels.shifted(one.of(weights, column), then[0])
    factor = float(np.exp(then[1]))
    amount = np.where(np.isnan(one.window.amount), worth, one.window.amount) * factor
    due = float(chance @ amount) + factor * float(one.new[0, column])
    noise = float((chance * (1.0 - chance)) @ amount**2) + factor**2 * float(one.new[1, column])
    booked = float(one.window.total[column]) + worth * float(one.window.unknown[column])
    return booked, due, noise / max(due, 1e-300) ** 2
