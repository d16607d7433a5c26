"""Weights of a pool of logits, by how well the pool told deals apart (stacking)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels import levels

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray

__all__ = ["slopes", "stacked"]

STEPS = 50  # of Newton, of which about ten are needed
INSIDE = 0.95  # of the way to the nearest bound that a step may go
SMALL = 1e-8  # a step that ends the search


def slopes(
    chances: FloatArray, won: BoolArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(c, n), (n,), (c,) -> (c,), (c, c): derivatives of a pool's log likelihood by its weights.

    The first, and minus the second, at `weights`; the level is free, so that only how deals are
    told apart counts. Both add up over groups of deals, each at a level of its own.
    """
    each = levels.logit(chances)
    pool = levels.pooled(chances, weights)
    moved = levels.shifted(pool, levels.level_shift(pool, won)[0])
    information = moved * (1.0 - moved)
    centre = (each @ information) / max(float(information.sum()), 1e-9)
    apart = each - centre[:, None]
    return apart @ (won - moved), (apart * information) @ apart.T


def stacked(
    slope: FloatArray, curvature: FloatArray, prior: FloatArray, strength: float
) -> FloatArray:
    """(c,), (c, c), (c,), () -> (c,): weights > 0 that add up to 1.

    The maximum of ``slope . d - d . curvature . d / 2 + strength sum(prior log w)``, with
    ``d = w - prior``: the log likelihood to the second order, and a Dirichlet prior with the mode
    `prior` (all above 0), the larger `strength` the narrower. By Newton's method on the plane of
    weights that add up to 1.
    """
    weights, step, done = prior.copy(), np.ones(len(prior)), 0
    edge = np.ones((len(prior), 1))
    while done < STEPS and float(np.abs(step).max()) > SMALL:
        bend = curvature + np.diag(strength * prior / weights**2)
        system = np.block([[bend, edge], [edge.T, np.zeros((1, 1))]])
        up = _climb(slope, curvature, prior, strength, weights)
        step = np.linalg.solve(system, np.append(up, 0.0))[: len(prior)]
        step *= min(1.0, INSIDE / max(float(np.max(-step / weights)), INSIDE))
        # Concave along the step: halve it while it goes beyond the top.
        while step @ _climb(slope, curvature, prior, strength, weights + step) < 0.0:
            step *= 0.5
        weights, done = weights + step, done + 1
    return np.asarray(weights / weights.sum())


def _climb(
    slope: FloatArray,
    curvature: FloatArray,
    prior: FloatArray,
    strength: float,
    weights: FloatArray,
) -> FloatArray:
    """Return the derivatives of what `stacked` maximises, (c,)."""
    return slope - curvature @ (weights - prior) + strength * prior / weights
