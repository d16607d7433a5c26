"""Competing risks on a grid of days: risk sets, hazards, cumulative incidence. Ties are exact.

A subject enters at some age (0 when it is fresh) and leaves by one of several causes at an age in
whole days, or is censored. Censored at age c means: seen to be still there at the end of its day c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = [
    "at_risk",
    "conditional_incidence",
    "cumulative_incidence",
    "pooled_hazards",
    "tail_edges",
]


def at_risk(entries: IntArray, exits: IntArray) -> IntArray:
    """(..., d), (..., c, d) -> (..., d): subjects that can leave at each age.

    Fresh entries (age 0) can leave on their first day. A late entry at age e > 0 was seen at the
    end of its day e, so it can leave from e + 1 on. The last cause of `exits` may be censoring: who
    is censored at age c was at risk at c.
    """
    joined = np.cumsum(entries, axis=-1)
    before = np.concatenate((joined[..., :1], joined[..., :-1]), axis=-1)
    before[..., 0] = entries[..., 0]
    left = np.cumsum(exits.sum(axis=-2), axis=-1)
    gone = np.concatenate((np.zeros_like(left[..., :1]), left[..., :-1]), axis=-1)
    return np.asarray(before - gone)


def tail_edges(risk: FloatArray, minimum: float, growth: float = 1.5) -> IntArray:
    """(d,) -> (b + 1,): age bins of one day while the risk set holds, then ever wider ones.

    Single days as long as at least `minimum` subjects are at risk; beyond that each bin is `growth`
    times as wide as the one before, up to the last age: no exposure is thrown away.
    """
    days = len(risk)
    thin = np.flatnonzero(risk < minimum)
    start = int(thin[0]) if len(thin) else days
    edges = list(range(start + 1))
    width = 2.0
    while edges[-1] < days:
        edges.append(min(edges[-1] + int(width), days))
        width *= growth
    return np.array(edges, dtype=np.int64)


def pooled_hazards(
    events: FloatArray, risk: FloatArray, edges: IntArray, lean: float
) -> FloatArray:
    """(c, d), (d,), (b + 1,) -> (c, d): daily hazards by cause, equal within a bin.

    The hazard of a bin is events / exposure. Bins wider than a day lean on the bin before as if
    `lean` subject-days had been seen with its hazard, so that a thin tail does not jump.
    """
    hazards = np.zeros_like(events, dtype=np.float64)
    begin, end = edges[:-1], edges[1:]
    wide = np.flatnonzero(end - begin > 1)  # the last bin may be cut to a day, and is still one
    single = int(wide[0]) if len(wide) else len(begin)
    exposed = risk[:single]
    np.divide(events[:, :single], exposed, out=hazards[:, :single], where=exposed > 0)
    if single:
        previous = hazards[:, single - 1]
    else:  # nobody's day stands alone: the first bin leans on the rate of all ages together
        previous = events.sum(axis=1) / max(float(risk.sum()), 1.0)
    for first, last in zip(begin[single:].tolist(), end[single:].tolist(), strict=True):
        exposure = risk[first:last].sum()
        found = (events[:, first:last].sum(axis=1) + lean * previous) / (exposure + lean)
        hazards[:, first:last] = found[:, None]
        previous = found
    return hazards


def cumulative_incidence(hazards: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(c, d) -> (d + 1,), (c, d + 1): survival before each age, and incidence before each age.

    Element t speaks of the ages 0 .. t - 1, so that element 0 is 1 and 0. The Aalen-Johansen
    estimator: ``F_c(t) = sum over u < t of S(u) h_c(u)``, ``S(t) = prod over u < t of (1 - h(u))``.
    """
    survival = np.concatenate(([1.0], np.cumprod(1.0 - hazards.sum(axis=0))))
    incidence = np.cumsum(survival[:-1] * hazards, axis=1)
    return survival, np.concatenate((np.zeros((len(hazards), 1)), incidence), axis=1)


def conditional_incidence(
    survival: FloatArray, incidence: FloatArray, rates: FloatArray, age: IntArray, ahead: IntArray
) -> FloatArray:
    """(d + 1,), (d + 1,), (2,), (n,), (k,) -> (n, k): chance to leave by a cause within some days.

    For subjects seen to be there at the end of day `age`. Beyond the grid the hazards stay at
    `rates` = (of the cause, of all causes), so that no age is without an answer.
    """
    last = len(survival) - 1
    first = np.minimum(age.astype(np.int64) + 1, last)
    past = np.maximum(age.astype(np.int64) + 1 - last, 0)
    end = first[:, None] + np.minimum(ahead[None, :], last - first[:, None])
    beyond = np.maximum(ahead[None, :] - (end - first[:, None]), 0)
    alive = survival[first]
    safe = np.where(alive > 0.0, alive, 1.0)[:, None]
    inside = np.where(
        alive[:, None] > 0.0, (incidence[end] - incidence[first][:, None]) / safe, 0.0
    )
    reached = np.where(
        alive[:, None] > 0.0, survival[end] / safe, np.where(past > 0, 1.0, 0.0)[:, None]
    )
    cause, total = float(rates[0]), float(rates[1])
    if total <= 0.0:
        return inside
    return np.asarray(inside + reached * (cause / total) * (1.0 - (1.0 - total) ** beyond))
