"""How strongly small groups lean on the whole: empirical Bayes for rates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import IntArray

__all__ = ["beta_binomial_strength"]

WEAKEST, STRONGEST, STEPS = 1.0, 1000.0, 61


def _log_beta(a: float, b: float) -> float:
    """Logarithm of the beta function."""
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def beta_binomial_strength(successes: IntArray, trials: IntArray) -> float:
    """(g,), (g,) -> (): prior strength of group rates, in trials.

    The rate of each group is Beta(m k, (1 - m) k) with m the overall rate; k maximises the
    beta-binomial likelihood on a logarithmic grid from 1 to 1000 (Casella 1985,
    doi:10.1080/00031305.1985.10479400). Groups that differ no more than chance give 1000; with
    fewer than two groups, or no variation in the outcome at all, nothing can be learnt and k is 1.
    """
    total = int(trials.sum())
    hits = int(successes.sum())
    if len(trials) < 2 or hits in {0, total}:
        return WEAKEST
    mean = hits / total
    pairs = list(zip(successes.tolist(), trials.tolist(), strict=True))

    def likelihood(strength: float) -> float:
        """Log likelihood of all groups, up to a constant."""
        a, b = mean * strength, (1.0 - mean) * strength
        return sum(_log_beta(a + w, b + n - w) - _log_beta(a, b) for w, n in pairs)

    grid = np.geomspace(WEAKEST, STRONGEST, STEPS)
    return float(grid[int(np.argmax([likelihood(float(k)) for k in grid]))])
