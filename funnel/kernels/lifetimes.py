"""Parametric durations with a share that never ends, from counts by whole days.

The logarithm of the time to move to target j is ``location_j + spread_j W`` with W of one family:
smallest extreme value (Weibull times), normal (log-normal) or logistic (log-logistic). A subject
moves to target j with probability `shares[j]` and never with what is left over, so it is still
there at age t with probability ``S(t) = 1 - sum over j of shares_j F_j(t)``. A move on day of age
a >= 1 is one in the interval (a - 1, a].
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from funnel.typing import FloatArray, IntArray

__all__ = [
    "FAMILIES",
    "Family",
    "Grouped",
    "above",
    "below",
    "density",
    "fit",
    "grouped",
    "hazards",
    "leaning",
    "likelihood",
    "masses",
    "shares_of",
]

Family = Literal["weibull", "log-normal", "log-logistic"]
"""A family of durations, by the name of the distribution of time."""

FAMILIES: tuple[Family, ...] = get_args(Family)

TINY = 1e-300
LOCATIONS = (-3.0, 15.0)  # from an hour to thousands of years
LOG_SPREADS = (-3.0, 2.5)  # from a sharp deadline to tails without a mean
LOGITS = (-20.0, 20.0)

STEPS, HALVINGS = 200, 30
LONGEST = 2.0  # change of a parameter in one step
TOLERANCE = 1e-8  # gain of likelihood that is no longer worth a step

_MOMENTS: dict[Family, tuple[float, float]] = {
    "weibull": (-0.5772156649015329, math.pi / math.sqrt(6.0)),
    "log-normal": (0.0, 1.0),
    "log-logistic": (0.0, math.pi / math.sqrt(3.0)),
}
"""Mean and standard deviation of W."""


# --- one target ----------------------------------------------------------------------------------


def below(family: Family, z: FloatArray) -> FloatArray:
    """(...) -> (...): chance that W is at most z."""
    if family == "weibull":
        return np.asarray(-np.expm1(-np.exp(z)))
    return above(family, -z)  # the others are symmetric


def above(family: Family, z: FloatArray) -> FloatArray:
    """(...) -> (...): chance that W is more than z, exact in the far tail."""
    from scipy.special import expit, ndtr  # noqa: PLC0415 - slow to import

    if family == "weibull":
        return np.asarray(np.exp(-np.exp(z)))
    return np.asarray(ndtr(-z) if family == "log-normal" else expit(-z))


def density(family: Family, z: FloatArray) -> FloatArray:
    """(...) -> (...): density of W at z."""
    if family == "weibull":
        return np.asarray(np.exp(z - np.exp(z)))
    if family == "log-normal":
        return np.asarray(np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi))
    small = np.exp(-np.abs(z))
    return np.asarray(small / (1.0 + small) ** 2)


def _standardised(location: FloatArray, spread: FloatArray, ages: IntArray) -> FloatArray:
    """(...), (...), (d,) -> (..., d): z of positive ages."""
    return np.asarray((np.log(ages) - location[..., None]) / spread[..., None])


def _padded(z: FloatArray) -> FloatArray:
    """(..., e) -> (..., e + 2): z of age 0 and of no end around those of ages."""
    end = np.full((*z.shape[:-1], 1), np.inf)
    return np.concatenate((-end, z, end), axis=-1)


def _between(family: Family, z: FloatArray, low: IntArray, high: IntArray) -> FloatArray:
    """(..., e), (b,), (b,) -> (..., b): chance of intervals, from the tail in which it is exact."""
    over, under = above(family, z), below(family, z)
    right, left = over[..., low] - over[..., high], under[..., high] - under[..., low]
    return np.where(z[..., low] > 0.0, right, left)


def masses(family: Family, location: FloatArray, spread: FloatArray, edges: IntArray) -> FloatArray:
    """(...), (...), (e,) -> (..., e + 1): chance of each interval of time cut at positive ages.

    The first interval begins at 0, the last one has no end.
    """
    place = np.arange(len(edges) + 1)
    return _between(family, _padded(_standardised(location, spread, edges)), place, place + 1)


# --- all targets ---------------------------------------------------------------------------------


def hazards(
    family: Family, shares: FloatArray, location: FloatArray, spread: FloatArray, days: int
) -> FloatArray:
    """(t,), (t,), (t,), () -> (t, days): daily hazards on the days of age 1 .. `days`.

    ``h_j(a) = shares_j (F_j(a) - F_j(a - 1)) / S(a - 1)``: they add up to less than 1 as long as a
    share is left over.
    """
    ages = np.arange(1, days + 1)
    found = shares[:, None] * masses(family, location, spread, ages)[:, :-1]
    survived = above(family, _standardised(location, spread, ages[:-1]))
    before = 1.0 - shares.sum() + shares @ survived
    return np.asarray(found / np.concatenate(([1.0], before)))


class Grouped(NamedTuple):
    """What the likelihood needs of counts: intervals with moves, and ages with survivors.

    Parameters
    ----------
    edges : (e,) int
        The ages >= 1 that occur, ascending.
    low, high : (b,) int
        Ends of intervals with moves, as positions in 0, `edges`, infinity.
    moves : (t, b) float
        Moves to each target in each interval.
    at : (c,) int
        Positions in `edges` with survivors.
    stayed : (c,) float
        Subjects censored there, less those that were first seen there.
    ends : (t + 1,) float
        Moves to each target in all; the last element counts subjects known to stay for ever.
    """

    edges: IntArray
    low: IntArray
    high: IntArray
    moves: FloatArray
    at: IntArray
    stayed: FloatArray
    ends: FloatArray


def grouped(exposed: FloatArray, moves: FloatArray) -> Grouped:
    """(d,), (t, d) -> Grouped: days at risk and moves on the days of age 1 .. d.

    A subject at risk on day of age a is there at its end unless it moves; it is at risk on the next
    day unless it is censored. So ``exposed[a] - moves[a] - exposed[a + 1]`` are the censored at
    the end of day a, less those that come late; the product over days of ``h_j`` and ``1 - h``
    becomes one of interval masses and of S at these ages (Prentice and Gloeckler 1978,
    doi:10.2307/2529588).
    """
    stayed = exposed - moves.sum(axis=0) - np.append(exposed[1:], 0.0)
    moved = np.flatnonzero(moves.any(axis=0))
    still = np.flatnonzero(stayed)
    edges = np.unique(np.concatenate((moved, moved + 1, still + 1)))
    edges = edges[edges > 0]
    return Grouped(
        edges=edges,
        low=np.searchsorted(edges, moved, side="right"),
        high=np.searchsorted(edges, moved + 1) + 1,
        moves=moves[:, moved],
        at=np.searchsorted(edges, still + 1),
        stayed=stayed[still],
        ends=np.append(moves.sum(axis=1), 0.0),
    )


def leaning(data: Grouped, edges: IntArray, moves: FloatArray, ends: FloatArray) -> Grouped:
    """(e,), (t, e + 1), (t + 1,) -> Grouped: as if more had been seen than `data`.

    `moves` are counts in the intervals that `edges` cut, and bear on the durations; `ends` count
    subjects by where they go in the end, and bear on the shares.
    """
    both = np.unique(np.concatenate((data.edges, edges)))
    place = np.concatenate(([0], np.searchsorted(both, data.edges) + 1, [len(both) + 1]))
    cut = np.concatenate(([0], np.searchsorted(both, edges) + 1, [len(both) + 1]))
    return Grouped(
        edges=both,
        low=np.concatenate((place[data.low], cut[:-1])),
        high=np.concatenate((place[data.high], cut[1:])),
        moves=np.concatenate((data.moves, moves), axis=1),
        at=np.searchsorted(both, data.edges[data.at]),
        stayed=data.stayed,
        ends=data.ends + ends,
    )


def shares_of(logits: FloatArray) -> FloatArray:
    """(t,) -> (t + 1,): shares of the targets, and what is left over, from log ratios to it."""
    power = np.append(logits, 0.0)
    power = np.exp(power - power.max())
    return np.asarray(power / power.sum())


def likelihood(theta: FloatArray, family: Family, data: Grouped) -> tuple[float, FloatArray]:
    """(3 t,) -> (), (3 t,): log likelihood and its gradient.

    `theta` holds the locations, the logarithms of the spreads, and the logarithms of the shares
    over what is left over::

        sum over j, b of moves_jb log(F_j(high_b) - F_j(low_b)) + sum over j of ends_j log(shares_j)
            + sum over ages of stayed(a) log S(a)
    """
    location, log_spread, logits = theta.reshape(3, -1)
    spread, shares = np.exp(log_spread), shares_of(logits)
    z = _standardised(location, spread, data.edges)
    survived, slope = above(family, z[:, data.at]), density(family, z)
    mass = np.maximum(_between(family, _padded(z), data.low, data.high), TINY)
    still = shares[-1] + shares[:-1] @ survived
    value = (data.moves * np.log(mass)).sum() + data.ends @ np.log(np.maximum(shares, TINY))
    value += data.stayed @ np.log(np.maximum(still, TINY))

    pull = data.stayed / np.maximum(still, TINY)
    per_mass = data.moves / mass
    slope_z = slope * z
    kept = shares[:-1, None] * pull
    none = np.zeros((len(z), 1))
    gradient = np.empty((3, len(z)))
    for row, change in enumerate((slope, slope_z)):  # -dF per unit of location / spread, log spread
        cut = np.concatenate((none, change, none), axis=1)
        gradient[row] = (kept * change[:, data.at]).sum(axis=1)
        gradient[row] -= (per_mass * (cut[:, data.high] - cut[:, data.low])).sum(axis=1)
    gradient[0] /= spread
    gradient[2] = data.ends[:-1] - data.ends.sum() * shares[:-1]
    gradient[2] += shares[:-1] * (survived @ pull - data.stayed.sum())
    return float(value), gradient.reshape(-1)


def fit(family: Family, data: Grouped, start: FloatArray | None = None) -> FloatArray:
    """() -> (3 t,): the parameters of greatest likelihood, see `likelihood`.

    Begins at `start`, or at moments of the moves seen; nothing is random.
    """
    first = _moments(family, data) if start is None else start
    counts = np.maximum(data.moves.sum(axis=1), 0.5)
    spread = np.exp(first.reshape(3, -1)[1])
    information = np.concatenate((counts / spread**2, 2.0 * counts, counts))
    return _climb(lambda theta: likelihood(theta, family, data), first, information)


def _climb(
    function: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    information: FloatArray,
) -> FloatArray:
    """() -> (), (p,); (p,), (p,) -> (p,): go up to where the gradient is zero, within the bounds.

    Quasi-Newton steps of Broyden, Fletcher, Goldfarb and Shanno (Nocedal and Wright 2006, chapter
    6, doi:10.1007/978-0-387-40065-5). With some twenty parameters and `information` to begin with
    they take a quarter of the time of ``scipy.optimize``, whose L-BFGS-B waits for threads.
    """
    low, high = np.repeat(np.array([LOCATIONS, LOG_SPREADS, LOGITS]).T, len(start) // 3, axis=1)
    theta, inverse = np.clip(start, low, high), np.diag(1.0 / information)
    value, gradient = function(theta)
    for _ in range(STEPS):
        outward = ((theta <= low) & (gradient < 0.0)) | ((theta >= high) & (gradient > 0.0))
        step = np.where(outward, 0.0, inverse @ np.where(outward, 0.0, gradient))
        if gradient @ step < TOLERANCE:
            break
        step *= min(1.0, LONGEST / float(np.abs(step).max()))
        for _ in range(HALVINGS):
            there = np.clip(theta + step, low, high)
            reached, ahead = function(there)
            moved = there - theta
            if reached >= value + 1e-4 * float(gradient @ moved):
                break
            step = step / 2.0
        else:
            break  # rounding is all that is left to gain
        bend = gradient - ahead
        theta, value, gradient = there, reached, ahead
        along = float(moved @ bend)
        if along > 0.0:
            turned = inverse @ bend
            outer = np.outer(turned, moved)
            inverse = inverse - (outer + outer.T) / along
            inverse += (1.0 + bend @ turned / along) / along * np.outer(moved, moved)
    return theta


def _moments(family: Family, data: Grouped) -> FloatArray:
    """() -> (3 t,): where to start, from moments of the logarithms of the moves' ages."""
    ages = np.concatenate(([0.5], data.edges, data.edges[-1:] * 2))
    middle = np.log(0.5 * (ages[data.low] + ages[data.high]))
    count = np.maximum(data.moves.sum(axis=1), TINY)
    mean = data.moves @ middle / count
    variance = (data.moves * (middle - mean[:, None]) ** 2).sum(axis=1) / count
    centre, size = _MOMENTS[family]
    spread = np.clip(np.sqrt(variance) / size, 0.1, 5.0)
    beyond = 0.5 * max(float(data.stayed.sum()), 0.0) + data.ends[-1] + 0.5
    logits = np.log(np.maximum(data.ends[:-1], 0.1) / beyond)
    location = np.clip(mean - centre * spread, *LOCATIONS)
    return np.concatenate((location, np.log(spread), logits))
