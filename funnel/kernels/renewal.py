"""Semi-Markov chances: what is won by when, from any state at any age, exactly on days.

`hazards[s, t, u]` is the chance that a deal which is in state s at the start of its day of age u
moves to target t on that day. Moving on day u means to enter the target at age 0 on the same day,
where it may move again: same-day chains are summed by the inverse of I - F(0). Beyond the grid the
last hazards hold.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, ComplexArray, FloatArray, IntArray

__all__ = ["average_wins", "conditional_wins", "densities", "fresh_wins", "residual"]

BLOCK = 64  # days that are solved one by one; what is longer ago comes by FFT, once a block
DEEP = math.log(300.0)  # a block of ages ends where so few are left: sums are divided by the share
SHORT = 256  # smallest transform of a block of ages


def densities(hazards: FloatArray) -> FloatArray:
    """(..., t, d) -> (..., t, d): chance to leave to each target on each day of age, from age 0."""
    before = np.ones((*hazards.shape[:-2], hazards.shape[-1]))
    np.cumprod(1.0 - hazards[..., :-1].sum(axis=-2), axis=-1, out=before[..., 1:])
    return np.asarray(hazards * before[..., None, :])


def residual(hazards: FloatArray, ages: IntArray, weights: FloatArray, days: int) -> FloatArray:
    """(t, d), (a,), (a,), () -> (t, days): departure from a state that is resumed at some age.

    `weights` say how likely each age at the resumption is. The day of the resumption is no further
    day of age; the last hazard is carried on beyond the oldest age.
    """
    found = np.zeros((len(hazards), days))
    if days <= 1 or not len(ages):
        return found
    used = np.flatnonzero(hazards.any(axis=1))
    length = _fast(max(2 * days, SHORT))
    paths = _paths(hazards, used, length)
    resumed = np.minimum(ages, hazards.shape[1] - 1)
    starts = _starts(paths[0], resumed, length - days)
    if len(ages) * days <= 8 * len(starts) * length:
        rates, alive = _windows(paths, resumed, days - 1)
        alive *= weights[:, None]
        for target, rate in zip(used.tolist(), rates, strict=True):
            found[target, 1:] = np.einsum("au,au->u", rate[resumed + 1], alive)
        return found
    rates, alive = _windows(paths, starts, length)
    block, day = _positions(starts, resumed)
    share = np.zeros((len(starts), length))
    np.add.at(share, (block, day), weights / alive[block, day])
    leaving = np.fft.rfft(rates[:, starts + 1] * alive)
    product = np.einsum("jbw,bw->jw", leaving, np.fft.rfft(share).conj())
    found[used, 1:] = np.fft.irfft(product, length)[:, : days - 1]
    return found


def _paths(hazards: FloatArray, used: IntArray, days: int) -> FloatArray:
    """(t, d), (u,), () -> (1 + u, d + days): chance to stay, and to move to each target used.

    The last day of age is carried on.
    """
    ages = hazards.shape[1]
    found = np.empty((1 + len(used), ages + days))
    np.subtract(1.0, hazards.sum(axis=0), out=found[0, :ages])
    found[1:, :ages] = hazards[used]
    found[:, ages:] = found[:, ages - 1, None]
    return found


def _windows(paths: FloatArray, ages: IntArray, days: int) -> tuple[FloatArray, FloatArray]:
    """(1 + u, l), (a,), () -> (u, l - days + 1, days), (a, days): next days of age.

    The chances to move on each of the days from any first one on (a view), and the chance to be
    there before each of those that follow `ages`: 1 on the first.
    """
    windows = _sliding(paths, days)
    alive = np.ones((len(ages), days))
    np.cumprod(windows[0, ages + 1, :-1], axis=1, out=alive[:, 1:])
    return windows[1:], alive


def _sliding(values: FloatArray, days: int) -> FloatArray:
    """(r, l), () -> (r, l - days + 1, days): a view of some days from each one on.

    As `sliding_window_view`, whose checks take as long as a transform.
    """
    rows, length = values.shape
    row, day = values.strides
    shape = rows, length - days + 1, days
    return np.ndarray(shape, values.dtype, values, strides=(row, day, day))


def _starts(stay: FloatArray, ages: IntArray, width: int) -> IntArray:
    """(l,), (a,), () -> (b,): first ages of blocks, within which 1 in 300 deals are left at least.

    A block is at most `width` ages wide.
    """
    fallen = -np.cumsum(np.log(np.maximum(stay, np.finfo(np.float64).tiny)))
    found, place = [], 0
    while place < len(ages):
        first = int(ages[place])
        deep = int(fallen.searchsorted(fallen[first] + DEEP))
        found.append(first)
        place = max(int(ages.searchsorted(min(deep, first + width))), place + 1)
    return np.array(found)


def _positions(starts: IntArray, ages: IntArray) -> tuple[IntArray, IntArray]:
    """(b,), (a,) -> (a,), (a,): the block of each age, and the days since its start."""
    block = np.searchsorted(starts, ages, side="right") - 1
    return block, ages - starts[block]


def fresh_wins(moves: FloatArray, wins: FloatArray) -> FloatArray:
    """(..., s, s, d), (..., s, d) -> (..., s, d): chance to have won by each day after an entry.

    The renewal equation ``W(t) = F_won(t) + sum over u <= t of f(u) W(t - u)``, solved forward in
    t; the term u = 0 stands on both sides and is moved over by ``(I - f(0))^-1`` (Pyke 1961,
    doi:10.1214/aoms/1177704864). The leading axes are problems of their own.
    """
    *many, states, days = wins.shape
    if not wins.size:
        return np.zeros(wins.shape)
    chain = np.linalg.inv(np.eye(states) - moves[..., 0])
    # f(u) side by side, and W newest first: each day is then one contiguous matrix-vector product.
    near = chain[..., None, :, :] @ np.moveaxis(moves[..., 1 : min(days, BLOCK)], -1, -3)
    lagged = np.ascontiguousarray(np.swapaxes(near, -3, -2)).reshape(*many, states, -1)
    found = np.cumsum(wins, axis=-1)
    length = _fast(days)
    spectrum = _spectrum(moves if days > BLOCK else moves[..., :0], length)
    for begin in range(0, days, BLOCK):
        some = slice(begin, min(begin + BLOCK, days))
        if begin:
            past = np.moveaxis(np.fft.rfft(found[..., :begin], length), -1, 0)
            after = (spectrum @ past[..., None])[..., 0]
            found[..., some] += np.moveaxis(np.fft.irfft(after, length, axis=0)[some], 0, -1)
        latest = np.swapaxes(chain @ found[..., some], -1, -2)[..., ::-1, :]
        newest_first = np.ascontiguousarray(latest).reshape(*many, -1, 1)
        for day in range(newest_first.shape[-2] - states, 0, -states):
            past_days = newest_first[..., day:, :]
            known = lagged[..., : past_days.shape[-2]] @ past_days
            newest_first[..., day - states : day, :] += known
        solved = newest_first.reshape(*many, -1, states)[..., ::-1, :]
        found[..., some] = np.swapaxes(solved, -1, -2)
    return found


def _spectrum(moves: FloatArray, length: int) -> ComplexArray:
    """(..., s, s, d), () -> (w, ..., s, s): transforms of the departures; most lead to few."""
    leads = moves.any(axis=-1)
    found = np.zeros((length // 2 + 1, leads.size), dtype=np.complex128)
    found[:, leads.reshape(-1)] = np.fft.rfft(moves[leads], length).T
    return found.reshape(-1, *leads.shape)


def _fast(length: int) -> int:
    """Return a number >= `length` for which transforms are fast: 2, 3 or 5 times a power of 2."""
    return min(base << max(math.ceil(math.log2(length / base)), 0) for base in (2, 3, 5))


# -- given the age reached -------------------------------------------------------------------------


def conditional_wins(
    hazards: FloatArray, won: int, fresh: FloatArray, cells: IntArray, ahead: IntArray
) -> FloatArray:
    """(s, t, d), (), (f, h + 1), (2, c), (k,) -> (c, k): chance to win, given the age reached.

    For deals that have survived their day of age a, so that the next day is that of age a + 1. With
    ``f(a, u)`` the chance to leave u days later to a target, and W0 what follows from there::

        W(a, h) = F_won(a, h) + sum over j, u <= h of f_j(a, u) W0_j(h - u)

    Parameters
    ----------
    hazards : (s, t, d)
        The first f targets go on from there, in the order of `fresh`; `won` is that of winning.
    fresh : (f, h + 1)
        From `fresh_wins`, for the f targets.
    cells : (2, c) int
        State and age of each, in ascending order.
    ahead : (k,) int
        Days ahead that are asked for, ``ahead <= h``.

    Notes
    -----
    Few ages of a state are summed one by one. Many are one correlation by FFT for each block of
    ages, divided by the share of deals that reaches each age: a block ends where the share gets
    small, so that the error stays at some 1e-14.
    """
    k, days = len(ahead), int(ahead.max(initial=0))
    found = np.zeros((cells.shape[1], k))
    if not days or not found.size:
        return found
    states, first = np.unique(cells[0], return_index=True)
    ends = [*first[1:].tolist(), len(found)]
    moves = np.array([hazards[state].any(axis=1) for state in states.tolist()])
    used, later = _later(np.asarray(moves.any(axis=0)), won, fresh, days)
    lags = days - ahead
    length = _fast(max(3 * days // 2, SHORT))  # days to come and ages of a block
    spectrum = None
    for place, state in enumerate(states.tolist()):
        begin, end = first[place], ends[place]
        ages = np.minimum(cells[1, begin:end], hazards.shape[2] - 1)
        own = np.flatnonzero(moves[place, used])
        paths = _paths(hazards[state], used[own], length)
        starts = _starts(paths[0], ages, length - days + 1)
        if _are_few((len(ages), days), (len(starts), length), len(own), k):
            found[begin:end] = _one_by_one(paths, ages, later[own], lags)
            continue
        if spectrum is None:
            spectrum = np.fft.rfft(later[:, lags], length).conj()
        found[begin:end] = _in_blocks(paths, ages, starts, spectrum[own])
    return found


def average_wins(
    hazards: FloatArray, won: int, fresh: FloatArray, weights: FloatArray, ahead: IntArray
) -> FloatArray:
    """(t, d), (), (f, h + 1), (d,), (k,) -> (k,): chance to win, age a having the weight of a.

    As `conditional_wins`, for deals in one state whose age is not known.
    """
    days = int(ahead.max(initial=0))
    if not days:
        return np.zeros(len(ahead))
    used, later = _later(np.asarray(hazards.any(axis=1)), won, fresh, days)
    ages = np.flatnonzero(weights)
    leaving = residual(hazards, ages, weights[ages], days + 1)[used, 1:]
    return np.asarray(np.einsum("tu,tku->k", leaving, later[:, days - ahead]))


def _later(moves: BoolArray, won: int, fresh: FloatArray, days: int) -> tuple[IntArray, FloatArray]:
    """(t,), (), (f, h' + 1), () -> (u,), (u, h + 1, h): the targets used, and what follows there.

    Of the targets that there are `moves` to, those from which deals may win. Element (j, i, u) is
    the chance to win within the first h - i of h days, having moved to target j on day 1 + u. It is
    a view of far fewer numbers.
    """
    after = np.zeros((len(moves), 2 * days))
    after[: len(fresh), :days] = fresh[:, :days][:, ::-1]
    after[won, :days] = 1.0
    used = np.flatnonzero(moves & after.any(axis=1))
    return used, _sliding(after[used], days)


def _are_few(ages: tuple[int, int], blocks: tuple[int, int], targets: int, dates: int) -> bool:
    """Tell whether ages x days one by one cost less than blocks x length of the transforms."""
    # In fifths of a nanosecond: products of real numbers; transforms, and complex products.
    one_by_one = math.prod(ages) * targets * (10 + dates)
    transforms = math.prod(blocks) * (40 * (targets + dates) + 2 * targets * dates)
    return one_by_one <= transforms


def _one_by_one(paths: FloatArray, ages: IntArray, later: FloatArray, lags: IntArray) -> FloatArray:
    """(1 + j, l), (a,), (j, h + 1, h), (k,) -> (a, k): chances to win, by age."""
    rates, alive = _windows(paths, ages, later.shape[2])
    found = np.zeros((len(ages), len(lags)))
    for rate, follows in zip(rates, later, strict=True):
        found += (rate[ages + 1] * alive) @ follows[lags].T
    return found


def _in_blocks(
    paths: FloatArray, ages: IntArray, starts: IntArray, spectrum: ComplexArray
) -> FloatArray:
    """(1 + j, l), (a,), (b,), (j, k, w) -> (a, k): chances to win, by age."""
    length = 2 * (spectrum.shape[2] - 1)
    rates, alive = _windows(paths, starts, length)
    leaving = np.fft.rfft(rates[:, starts + 1] * alive)
    # One small product of matrices for each frequency: (b, j) by (j, k).
    product = leaving.transpose(2, 1, 0) @ spectrum.transpose(2, 0, 1)
    block, day = _positions(starts, ages)
    won = np.fft.irfft(product, length, axis=0)[day, block]
    return np.asarray(won / alive[block, day][:, None])
