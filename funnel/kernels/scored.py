"""Semi-Markov chances under multipliers of the hazards: proportional hazards on whole days.

A day of a state has intensities, one for each target; a deal leaves on it with probability
``1 - exp(-sum)``, and goes where an intensity leads in proportion to it. Multipliers act on
intensities, so that chances stay chances (grouped proportional hazards; Kalbfleisch & Prentice
1973, doi:10.1093/biomet/60.2.267).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import renewal
from funnel.kernels.products import product

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["intensities", "leaving", "moves_ahead", "scaled", "sojourn_wins"]

CERTAIN = 1.0 - 1e-9  # a chance to leave above this is taken for this: intensities are finite


def intensities(hazards: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(s, t, d) -> (s, t, d), (s, t, d): intensities, and their expected use on a day of leaving.

    Who leaves on a day was exposed to a part of it only. Given that, the expected use of a total
    intensity L is ``1 - L exp(-L) / (1 - exp(-L))``; used so, events expected under the hazards
    themselves equal events seen.
    """
    total = np.minimum(hazards.sum(axis=1), CERTAIN)
    some = total > 1e-12
    safe = np.where(some, total, 1.0)
    ratio = np.where(some, -np.log1p(-total) / safe, 1.0)
    used = np.where(some, (1.0 - (1.0 - total) * ratio) / safe, 0.0)
    return hazards * ratio[:, None], hazards * used[:, None]


def scaled(intensity: FloatArray, multiplier: FloatArray) -> FloatArray:
    """(..., s, t, d), (..., s, t, d or 1) -> (..., s, t, d): hazards under multipliers."""
    moved = intensity * multiplier
    total = moved.sum(axis=-2)
    return np.asarray(moved * _share(total)[..., None, :])


def _share(total: FloatArray) -> FloatArray:
    """Return the chance to leave over the total intensity, element by element."""
    return np.divide(-np.expm1(-total), total, out=np.ones_like(total), where=total > 0.0)


def leaving(
    intensity: FloatArray, by_kind: FloatArray, multiplier: FloatArray, kind: IntArray
) -> FloatArray:
    """(n, t, d), (n, c, d), (n, c), (t,) -> (n, t, d): chance to leave to each target, by day.

    For intensities whose sums by kind of target are `by_kind`, each kind with its multiplier.
    """
    total = np.einsum("nc,ncd->nd", multiplier, by_kind)
    before = np.exp(total - np.cumsum(total, axis=1))  # kept until the day begins
    used = multiplier[:, :, None] * (_share(total) * before)[:, None]
    return np.asarray(intensity * used[:, kind])


def moves_ahead(
    hazards: FloatArray, counted: BoolArray, landing: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(s, t, d), (s, t), (f,) -> (s, s), (s,), (s,): visits ahead, counted moves that end them.

    Expected visits to each state from each state, ``(I - P)^-1`` (Kemeny & Snell 1960), the first
    f targets leading to the states `landing`; chances that a visit ends in a counted move on its
    first day, and later. The last hazard is carried on.
    """
    states, last = len(hazards), hazards[:, :, -1]
    spent = renewal.densities(hazards)
    kept = np.maximum(1.0 - spent.sum(axis=(1, 2)), 0.0)
    rest = last.sum(axis=1, keepdims=True)
    goes = spent.sum(axis=2)
    goes += kept[:, None] * np.divide(last, rest, out=np.zeros_like(last), where=rest > 0.0)
    # A trace of leakage keeps the inverse finite where states can only lead to one another.
    lands = (landing[:, None] == np.arange(states)) * (1.0 - 1e-9)
    visits = np.linalg.inv(np.eye(states) - goes[:, : len(landing)] @ lands)
    now = np.where(counted, spent[:, :, 0], 0.0).sum(axis=1)
    return visits, now, np.where(counted, goes, 0.0).sum(axis=1) - now


def sojourn_wins(
    leaving: FloatArray,
    node: IntArray,
    weight: FloatArray,
    fresh: FloatArray,
    ahead: IntArray,
    *,
    won: int,
) -> FloatArray:
    """(n, t, h), (n, f, c), (n, f, c), (v, f, h + 1), (k,) -> (n, k): chance to win, per deal.

    For deals that leave their state to each target on each of the next h days with the chances
    `leaving`. What follows in target j is the mean of the curves ``fresh[node, j]`` under
    `weight`: weights are >= 0 and sum to 1, so that curves do not fall and stay chances.
    """
    _, onward, length = fresh.shape
    curve = np.concatenate(
        (np.zeros((len(leaving), 1)), np.cumsum(leaving[:, won], axis=1)), axis=1
    )[:, ahead]
    lag = ahead[None, :] - 1 - np.arange(length - 1)[:, None]  # days left after leaving, (h, k)
    for target in np.flatnonzero(leaving[:, :onward].any(axis=(0, 2))).tolist():
        used, place = np.unique(node[:, target], return_inverse=True)
        later = np.where(lag >= 0, fresh[used, target][:, np.maximum(lag, 0)], 0.0)
        after = product(leaving[:, target], later.transpose(1, 0, 2).reshape(length - 1, -1))
        share = np.zeros((len(node), len(used)))
        np.add.at(
            share,
            (np.arange(len(node))[:, None], place.reshape(node[:, target].shape)),
            weight[:, target],
        )
        curve += np.einsum("nv,nvk->nk", share, after.reshape(len(node), len(used), -1))
    return np.asarray(curve)
