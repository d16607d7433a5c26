"""Rates with many small effects: ridge-penalised Poisson regression whose penalties are estimated.

Rows are numbers of events with the numbers that were expected, ``events ~ Poisson(expected *
exp(x . b))``, which is the likelihood of piecewise constant proportional hazards. Effects are
normal with mean 0 and a variance for each block of them; without evidence a block shrinks to 0.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels.products import gram, inverse

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["LIMIT", "Effects", "rate_effects"]

LIMIT = 3.0
"""Scores (logarithms of multipliers) are kept within this distance of 0."""

PASSES = 6  # Newton steps, each a pass over the rows
BLOCK = 4096  # rows at a time
MORE = 2  # from effects that were estimated before
ROUNDS = 3  # updates of the variances within a step
PRIOR = 1.0  # degrees of freedom without effect: few levels and few events say little
VARIANCES = (1e-8, 4.0)  # of effects; a standard deviation of 2 is a factor of e^2


class Effects(NamedTuple):
    """Effects of columns: by group, and as shared ones and deviations with their variances.

    Parameters
    ----------
    by_group : (groups, p) float64
    shared : (p,) float64
    deviations : (held, q) float64
        Of the columns that may deviate, in each group that has rows.
    variances : (1 + held, terms) float64
        Of the shared effects, and of the deviations in each group, by term.
    covariance : (groups, p, p) float64
        Of the effects of each group, given the variances.
    """

    by_group: FloatArray
    shared: FloatArray
    deviations: FloatArray
    variances: FloatArray
    covariance: FloatArray


class _Curvature(NamedTuple):
    """Second derivatives: (p, p); by group (g, p, q) between both, and (g, q, q) of deviations."""

    shared: FloatArray
    between: FloatArray
    deviations: FloatArray


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
    start: Effects | None = None,
) -> Effects:
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
    start : Effects, optional
        Of a similar problem, of the same groups and columns: fewer steps are made from there.

    Notes
    -----
    Deviations of different groups meet in the shared effects only, so that the curvature is a
    bordered block diagonal: each block is inverted by itself, and the border by its Schur
    complement.
    """
    edges = np.searchsorted(group, np.arange(groups + 1))
    parts = [slice(first, last) for first, last in itertools.pairwise(edges.tolist())]
    held = [g for g, rows in enumerate(parts) if expected[rows].sum() > 0.0]
    columns, terms = design.shape[1], int(term.max(initial=-1)) + 1
    found = start or Effects(
        np.zeros((groups, columns)),
        np.zeros(columns),
        np.zeros((len(held), len(own))),
        np.full((1 + len(held), terms), 0.1 if penalty is None else 1.0 / penalty),
        np.zeros((groups, columns, columns)),
    )
    sizes = ((columns, columns), (len(held), columns, len(own)), (len(held), len(own), len(own)))
    curvature = _Curvature(*map(np.zeros, sizes))
    for _ in range(PASSES if start is None else MORE):
        whole, pull = np.zeros((columns, columns)), np.zeros(columns)
        between = np.zeros((len(held), columns, len(own)))
        pulls = np.zeros((len(held), len(own)))
        for i, g in enumerate(held):
            square, gap = _sums(
                design[parts[g]], expected[parts[g]], events[parts[g]], found.by_group[g]
            )
            whole += square
            between[i] = square[:, own]
            pull += gap
            pulls[i] = gap[own]
        curvature = _Curvature(whole, between, between[:, own])
        for _ in range(ROUNDS if penalty is None else 1):
            found = _step(curvature, (pull, pulls), (term, own), found, fixed=penalty is not None)
        found.by_group[:] = found.shared
        found.by_group[np.array(held, dtype=np.int64)[:, None], own] += found.deviations
    return found._replace(
        covariance=_covariance(curvature, found.variances, (term, own), held, groups)
    )


def _covariance(
    curvature: _Curvature,
    variances: FloatArray,
    columns: tuple[IntArray, IntArray],
    held: list[int],
    groups: int,
) -> FloatArray:
    """() -> (groups, p, p): covariance of shared effects and deviations together."""
    own = columns[1]
    blocks, border, spread = _inverse(curvature, variances, columns)
    found = np.repeat(spread[None], groups, axis=0)
    for i, g in enumerate(held):
        across = spread @ border[i]
        found[g][:, own] -= across
        found[g][own] -= across.T
        found[g][np.ix_(own, own)] += blocks[i] + border[i].T @ across
    return found


def _inverse(
    curvature: _Curvature, variances: FloatArray, columns: tuple[IntArray, IntArray]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Invert the curvature by blocks: (g, q, q) of deviations, (g, p, q), (p, p) of the shared."""
    term, own = columns
    single = 1.0 / variances[1:, term[own]]
    blocks = inverse(curvature.deviations + single[:, :, None] * np.eye(len(own)))
    border = np.asarray(curvature.between @ blocks, dtype=np.float64)
    lent = np.tensordot(border, curvature.between, axes=((0, 2), (0, 2)))
    schur = curvature.shared + np.diag(1.0 / variances[0, term]) - lent
    return blocks, border, inverse(schur)


def _sums(
    design: FloatArray, expected: FloatArray, events: FloatArray, effects: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(n, p), (n,), (n,), (p,) -> (p, p), (p,): curvature, and pull of the approximation."""
    square, gap = np.zeros((len(effects), len(effects))), np.zeros(len(effects))
    for begin in range(0, len(design), BLOCK):
        x, due = design[begin : begin + BLOCK], expected[begin : begin + BLOCK]
        mean = due * np.exp(np.clip(x @ effects, -LIMIT, LIMIT))
        gap += (events[begin : begin + BLOCK] - mean) @ x
        x = x * np.sqrt(mean)[:, None]
        square += gram(x)
    return square, gap + square @ effects


def _step(
    curvature: _Curvature,
    pull: tuple[FloatArray, FloatArray],
    columns: tuple[IntArray, IntArray],
    now: Effects,
    *,
    fixed: bool,
) -> Effects:
    """Solve the quadratic approximation, and move each variance to what its effects show."""
    term, own = columns
    shared, single = 1.0 / now.variances[0, term], 1.0 / now.variances[1:, term[own]]
    blocks, border, spread = _inverse(curvature, now.variances, columns)
    rest: FloatArray = pull[0] - np.tensordot(border, pull[1], axes=((0, 2), (0, 1)))
    effects: FloatArray = spread @ rest
    deviations: FloatArray = (blocks @ pull[1][:, :, None])[:, :, 0] - effects @ border
    if fixed:
        return now._replace(by_group=now.by_group.copy(), shared=effects, deviations=deviations)
    mine = np.einsum("gqq->gq", blocks) + (border * (spread @ border)).sum(axis=1)
    variances = np.empty_like(now.variances)
    terms = variances.shape[1]
    rows = [(effects, shared, np.diag(spread), term)]
    rows += [(deviations[i], single[i], mine[i], term[own]) for i in range(len(single))]
    for i, (values, precision, variance, block) in enumerate(rows):
        free = np.bincount(block, 1.0 - precision * variance, minlength=terms)
        size = np.bincount(block, values**2, minlength=terms)
        variances[i] = np.clip(size / (free + PRIOR), *VARIANCES)
    return Effects(now.by_group.copy(), effects, deviations, variances, now.covariance)
