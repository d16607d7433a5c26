"""Repairing chances by what came of earlier ones: levels of logits, shrunk means, pools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["design_effect", "level_shift", "log_loss", "logit", "pooled", "shifted", "shrunk_mean"]

TINY = 1e-9  # chances closer to 0 or 1 are taken as this close; 0 itself stays 0
FURTHEST = 3.0  # no level is moved by more, on the logit scale
STEPS = 12  # of Newton, which doubles the digits with each
CLIP = 1e-3  # as scores are: a chance of 0 that was wrong must not decide everything


def logit(chance: FloatArray) -> FloatArray:
    """Return log(p / (1 - p)), finite for 0 and 1."""
    inside = np.clip(chance, TINY, 1.0 - TINY)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def shifted(chance: FloatArray, by: FloatArray | float) -> FloatArray:
    """Return chances whose logits are moved by `by`; 0 and 1 stay what they are."""
    moved = 1.0 / (1.0 + np.exp(-(logit(chance) + by)))
    return np.where((chance <= TINY) | (chance >= 1.0 - TINY), chance, moved)


def pooled(chances: FloatArray, weights: FloatArray) -> FloatArray:
    """(c, ...), (c,) -> (...): logarithmic pool, the mean of logits.

    Notes
    -----
    C. Genest and J. V. Zidek, "Combining probability distributions", Statistical Science 1 (1986),
    doi:10.1214/ss/1177013825. What all members hold for impossible, or certain, stays so.
    """
    used = weights > 0.0
    some, share = chances[used], weights[used] / weights[used].sum()
    mean = np.tensordot(share, logit(some), axes=1)
    found = 1.0 / (1.0 + np.exp(-mean))
    found = np.where(np.all(some <= TINY, axis=0), 0.0, found)
    return np.where(np.all(some >= 1.0 - TINY, axis=0), 1.0, found)


def log_loss(chance: FloatArray, won: BoolArray) -> float:
    """(n,), (n,) -> (): summed log score of chances, clipped to [0.001, 0.999]."""
    inside = np.clip(chance, CLIP, 1.0 - CLIP)
    return float(-np.where(won, np.log(inside), np.log1p(-inside)).sum())


def level_shift(chance: FloatArray, won: BoolArray) -> tuple[float, float]:
    """(n,), (n,) -> shift of all logits that explains the wins, and its variance.

    The mode under a normal prior with sd 1, which keeps it finite where none or all were won, by
    Newton's method; the variance is 1 / sum p (1 - p) at the chances as they were said, so that it
    does not depend on the outcome.
    """
    base = logit(chance)
    wins, shift = float(np.count_nonzero(won)), 0.0
    for _ in range(STEPS):
        moved = 1.0 / (1.0 + np.exp(-(base + shift)))
        step = (wins - float(moved.sum()) - shift) / (float((moved * (1.0 - moved)).sum()) + 1.0)
        shift = float(np.clip(shift + step, -FURTHEST, FURTHEST))
    information = float((chance * (1.0 - chance)).sum())
    return shift, 1.0 / max(information, 1e-6)


def design_effect(chance: FloatArray, won: BoolArray, group: IntArray) -> float:
    """(n,) x 3 -> how many times wins vary as they would if all deals were independent, at least 1.

    Deals of one group (numbers from 0 on; -1 is none) had one cause in common, so what they are
    off by adds up before it is squared: the clustered variance of Liang & Zeger 1986
    (doi:10.1093/biomet/73.1.13), over that of independent deals.
    """
    alone = chance * (1.0 - chance)
    total, grouped = float(alone.sum()), group >= 0
    if not total or not np.any(grouped):
        return 1.0
    some = group[grouped]
    off = np.bincount(some, won[grouped] - chance[grouped]) ** 2
    usual = np.bincount(some, alone[grouped])
    return 1.0 + float(np.maximum(off - usual, 0.0).sum()) / total


def shrunk_mean(
    values: FloatArray, variances: FloatArray, weights: FloatArray, prior_sd: float
) -> tuple[float, float]:
    """Return the mean of noisy values, shrunk towards 0, and the variance between them.

    Each value has a variance of its own, and all share a variance between them, estimated by
    moments (DerSimonian & Laird 1986, doi:10.1016/0197-2456(86)90046-2); the mean has a normal
    prior with mean 0. With `weights` below 1 a value counts for less than one, as overlapping or
    old windows do.

    Parameters
    ----------
    values, variances, weights : (m,) float64
    prior_sd : float

    Returns
    -------
    mean, between : float
        0 and 0 for no values.
    """
    if not len(values) or not weights.sum():
        return 0.0, 0.0
    plain = weights / variances
    centre = float(plain @ values / plain.sum())
    excess = weights @ ((values - centre) ** 2 - variances) / weights.sum()
    between = max(float(excess), 0.0)
    precision = weights / (variances + between)
    return float(precision @ values / (precision.sum() + prior_sd**-2)), between
