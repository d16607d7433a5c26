"""Semi-Markov chances: what is won by when, from any state at any age, exactly on days.

`hazards[s, t, u]` is the chance that a deal which is in state s at the start of its day of age u
moves to target t on that day. Moving on day u means to enter the target at age 0 on the same day,
where it may move again: same-day chains are summed by the inverse of I - F(0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["conditional_wins", "densities", "fresh_wins", "residual"]


def densities(hazards: FloatArray) -> FloatArray:
    """(s, t, d) -> (s, t, d): chance to leave to each target on each day of age, from age 0."""
    stay = np.cumprod(1.0 - hazards.sum(axis=1), axis=1)
    before = np.concatenate((np.ones((len(stay), 1)), stay[:, :-1]), axis=1)
    return np.asarray(hazards * before[:, None, :])


def residual(hazards: FloatArray, ages: IntArray, weights: FloatArray, days: int) -> FloatArray:
    """(t, d), (a,), (a,), () -> (t, days): departure from a state that is resumed at some age.

    `weights` say how likely each age at the resumption is. The day of the resumption is no further
    day of age; the last hazard is carried on beyond the oldest age.
    """
    last = hazards.shape[1] - 1
    found = np.zeros((len(hazards), days))
    for age, weight in zip(ages.tolist(), weights.tolist(), strict=True):
        path = hazards[:, np.minimum(age + np.arange(1, days), last)]
        found[:, 1:] += weight * densities(path[None])[0]
    return found


def fresh_wins(moves: FloatArray, wins: FloatArray) -> FloatArray:
    """(s, s, d), (s, d) -> (s, d): chance to have won by each day after entering a state.

    The renewal equation ``W(t) = F_won(t) + sum over u <= t of f(u) W(t - u)``, solved forward in
    t; the term u = 0 stands on both sides and is moved over by ``(I - f(0))^-1`` (Pyke 1961,
    doi:10.1214/aoms/1177704864).
    """
    states, _, days = moves.shape
    chain = np.linalg.inv(np.eye(states) - moves[:, :, 0])
    direct = np.cumsum(wins, axis=1)
    # f(u) side by side, and W newest first: each day is then one contiguous matrix-vector product.
    lagged = np.ascontiguousarray(moves[:, :, 1:].transpose(0, 2, 1)).reshape(states, -1)
    newest_first = np.zeros((days, states))
    for day in range(days):
        past = newest_first[days - day :].reshape(-1)
        found = chain @ (direct[:, day] + lagged[:, : len(past)] @ past)
        newest_first[days - 1 - day] = found
    return newest_first[::-1].T


def conditional_wins(
    hazards: FloatArray, won: int, fresh: FloatArray, ages: IntArray, ahead: IntArray
) -> FloatArray:
    """(s, t, d), (), (f, h + 1), (a,), (k,) -> (a, s, k): chance to win, given the age reached.

    For deals that have survived their day of age `ages` (ascending), so that the next day is that
    of age + 1. Backward in age, without dividing by a survival that may be tiny::

        W(a, h) = h_won(a+1) + sum_j h_j(a+1) W0_j(h-1) + (1 - h(a+1)) W(a+1, h-1)

    Beyond the grid the last hazards hold.

    Parameters
    ----------
    hazards : (s, t, d)
        The first f targets go on from there, in the order of `fresh`; `won` is that of winning.
    fresh : (f, h + 1)
        From `fresh_wins`, for the f targets.
    ages, ahead : (a,), (k,) int
        Ages and days ahead that are asked for, ``ahead <= h``.
    """
    states, _, days = hazards.shape
    onward, length = fresh.shape

    def step(age: int, later: FloatArray) -> FloatArray:
        """Go back by one day of age: (s, h + 1) -> (s, h + 1)."""
        rates = hazards[:, :, min(age + 1, days - 1)]
        found = np.zeros_like(later)
        found[:, 1:] = rates[:, :onward] @ fresh[:, :-1] + rates[:, won, None]
        found[:, 1:] += (1.0 - rates.sum(axis=1))[:, None] * later[:, :-1]
        return found

    current = np.zeros((states, length))
    for _ in range(length - 1):  # beyond the grid the age does not matter any more
        current = step(days, current)
    wanted = np.minimum(ages, days - 1)
    answer = np.empty((len(ages), states, len(ahead)))
    row = len(ages) - 1
    for age in range(days - 1, -1, -1):
        if row < 0:
            break
        current = step(age, current)
        while row >= 0 and wanted[row] == age:
            answer[row] = current[:, ahead]
            row -= 1
    return answer
