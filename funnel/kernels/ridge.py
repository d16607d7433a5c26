"""Rates with many small effects: ridge-penalised Poisson regression whose penalties are estimated.

Rows are numbers of events with the numbers that were expected, ``events ~ Poisson(expected *
exp(x . b))``, which is the likelihood of piecewise constant proportional hazards. Effects are
normal with mean 0 and a variance for each block of them; without evidence a block shrinks to 0.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["LIMIT", "rate_effects"]

LIMIT = 3.0
"""Scores (logarithms of multipliers) are kept within this distance of 0."""

PASSES = 6  # Newton steps, each a pass over the rows
ROUNDS = 3  # updates of the variances within a step
PRIOR = 1.0  # degrees of freedom without effect: few levels and few events say little
VARIANCES = (1e-8, 4.0)  # of effects; a standard deviation of 2 is a factor of e^2


def rate_effects(
    design: FloatArray,
    group: IntArray,
    expected: FloatArray,
    events: FloatArray,
    *,
    term: IntArray,
    own: IntArray,
    groups: int,
    penalty: float | None,
) -> FloatArray:
    """(n, p), (n,), (n,), (n,) -> (groups, p): effects of columns by group of rows.

    A column has an effect that all groups share; the columns `own` have a deviation from it in
    each group besides. The effects of a term have one variance, and so have the deviations of a
    term in a group.

    Parameters
    ----------
    design, group, expected, events
        Rows, sorted by group.
    term, own : (p,), (q,) int
        Term of each column, and columns with deviations.
    groups : int
        Number of groups.
    penalty : float or None
        One over the variance of all effects. None estimates variances by the fixed point
        ``variance = |b|^2 / (effective degrees of freedom + 1)`` at each Newton step of the
        penalised quasi-likelihood (Breslow & Clayton 1993, doi:10.1080/01621459.1993.10594284).
        It is that of Schall (1991, doi:10.1093/biomet/78.4.719) but for the 1, which counts one
        further effect of 0.
    """
    edges = np.searchsorted(group, np.arange(groups + 1))
    parts = [slice(first, last) for first, last in itertools.pairwise(edges.tolist())]
    held = [g for g, rows in enumerate(parts) if expected[rows].sum() > 0.0]
    columns, terms = design.shape[1], int(term.max(initial=-1)) + 1
    block = np.concatenate((term, *(term[own] + terms * (1 + i) for i in range(len(held)))))
    variance = np.full(terms * (1 + len(held)), 0.1 if penalty is None else 1.0 / penalty)
    effects = np.zeros(len(block))
    by_group = np.zeros((groups, columns))
    for _ in range(PASSES):
        curvature, pull = np.zeros((len(block), len(block))), np.zeros(len(block))
        source = np.concatenate((np.arange(columns), own))
        for i, g in enumerate(held):
            x = design[parts[g]]
            mean = expected[parts[g]] * np.exp(np.clip(x @ by_group[g], -LIMIT, LIMIT))
            place = np.concatenate(
                (np.arange(columns), columns + i * len(own) + np.arange(len(own)))
            )
            curvature[np.ix_(place, place)] += (x.T @ (x * mean[:, None]))[np.ix_(source, source)]
            pull[place] += (x.T @ (events[parts[g]] - mean))[source]
        pull += curvature @ effects
        for _ in range(ROUNDS if penalty is None else 1):
            effects, variance = _step(curvature, pull, block, variance, fixed=penalty is not None)
        by_group[:] = effects[:columns]
        by_group[np.array(held, dtype=np.int64)[:, None], own] += effects[columns:].reshape(
            len(held), len(own)
        )
    return by_group


def _step(
    curvature: FloatArray, pull: FloatArray, block: IntArray, variance: FloatArray, *, fixed: bool
) -> tuple[FloatArray, FloatArray]:
    """Solve the quadratic approximation, and move each variance to what its effects show."""
    precision = 1.0 / variance[block]
    spread = np.linalg.inv(curvature + np.diag(precision))
    effects = spread @ pull
    if fixed:
        return effects, variance
    size = len(variance)
    free = np.bincount(block, 1.0 - precision * np.diag(spread), minlength=size)
    found = np.bincount(block, effects**2, minlength=size) / (free + PRIOR)
    return effects, np.clip(found, *VARIANCES)
