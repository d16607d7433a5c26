"""How strongly small groups lean on the whole: empirical Bayes for rates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["beta_binomial_posterior", "beta_binomial_strength"]

WEAKEST, STRONGEST, STEPS = 1.0, 1000.0, 61

NODES = np.geomspace(1.0, 3000.0, 25)
"""Strengths over which a posterior is integrated, in trials."""

REACH = np.linspace(-4.0, 4.0, 21)
"""Standard deviations of the overall rate over which its likelihood is integrated."""

NEGLIGIBLE = 1e-3


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


def beta_binomial_posterior(
    successes: IntArray, trials: IntArray, expected: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(g,) x 3 -> (j,), (j,): strengths k that the data allow, and how probable each is.

    The rate of each group is Beta(m k, (1 - m) k) with logit m = logit `expected` + d. The prior is
    uniform in 1 / k, by which the rates vary, and Jeffreys' for the overall rate; d is integrated
    out. Intervals that average over k with these weights hold what they promise in the long run,
    which those with the best k alone do not (Tak, Kelly & Morris 2017, doi:10.18637/jss.v078.i05).
    With fewer than two groups, or no variation in the outcome at all, nothing can be learnt: k = 1.
    """
    from scipy.special import betaln, expit, logit  # noqa: PLC0415 - slow to import

    total, hits = int(trials.sum()), int(successes.sum())
    if len(trials) < 2 or hits in {0, total}:
        return np.array([WEAKEST]), np.ones(1)
    level = logit((expected * trials).sum() / total)
    log_weight = np.empty(len(NODES))
    for node, k in enumerate(NODES.tolist()):
        share = (k + 1.0) / (trials + k)  # independent trials that one of a group is worth
        mean = (np.sum(share * successes) + 0.5) / (np.sum(share * trials) + 1.0)
        width = 1.0 / math.sqrt(mean * (1.0 - mean) * float(np.sum(share * trials)))
        shift = (logit(mean) - level + width * REACH)[:, None]
        m = expit(logit(expected) + shift)
        a, b = m * k, (1.0 - m) * k
        fit = np.sum(betaln(a + successes, b + trials - successes) - betaln(a, b), axis=1)
        overall = expit(level + shift[:, 0])
        fit += 0.5 * np.log(overall * (1.0 - overall))
        # Nodes are evenly spaced in log k, where the density of the prior is 1 / k.
        log_weight[node] = fit.max() + math.log(np.exp(fit - fit.max()).sum() * width / k)
    weight = np.exp(log_weight - log_weight.max())
    weight[[0, -1]] /= 2.0  # the trapezoidal rule
    weight /= weight.sum()
    kept = weight > NEGLIGIBLE
    return NODES[kept], weight[kept] / weight[kept].sum()
