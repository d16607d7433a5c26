"""Laws in states that stand apart, and what lies between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.kernels._law import Law, mix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.typing import FloatArray

__all__ = ["apart", "between"]

PIECES = 8
"""Most pieces into which the space between two states is cut."""


def apart(means: FloatArray, variances: FloatArray) -> bool:
    """Whether the laws of some states stand apart like teeth: `between` then fills the space.

    ``(m,), (m,) -> bool``
    """
    return len(means) > 1 and bool((_gaps(means) ** 2 > variances).any())


def between(laws: Sequence[Law], weights: FloatArray) -> Law:
    """Return the mixture of the laws of some states, the space between them being filled.

    ``m laws, (m,) -> Law``

    Parameters
    ----------
    laws : sequence of Law
        One for each state of what the deals share.
    weights : FloatArray
        (m,) probabilities of the states.

    Returns
    -------
    Law
        A large book hardly varies within a state, so that its laws stand apart like teeth: each is
        spread over its share of the space between their means.

    Examples
    --------
    >>> from funnel.kernels.compound import deal_law, quantile
    >>> wins = [deal_law(0.0, np.full(10_000, p), np.ones(10_000)) for p in (0.4, 0.5)]
    >>> quantile(between(wins, np.full(2, 0.5)), np.array([0.25, 0.5, 0.75])).tolist()
    [4000.0, 4499.0, 5000.0]
    """
    if len(laws) == 1:
        return laws[0]
    means = np.array([found.cumulants[0] for found in laws])
    pieces: list[Law] = []
    shares: list[float] = []
    for found, gap, weight in zip(laws, _gaps(means).tolist(), weights.tolist(), strict=True):
        spread = max(float(found.cumulants[1]), 0.0) ** 0.5
        count = int(min(max(np.ceil(gap / max(spread, 1e-300)), 1), PIECES))
        for step in ((np.arange(count) + 0.5) / count - 0.5).tolist():
            pieces.append(_beside(found, step * gap))
            shares.append(weight / count)
    return mix(pieces, np.array(shares))


def _gaps(means: FloatArray) -> FloatArray:
    """Return half of the distance between the neighbours, and at the ends that to the only one."""
    order = np.argsort(means)
    steps = np.diff(means[order])
    gaps = np.empty(len(means))
    gaps[order] = 0.5 * (np.append(steps[0], steps) + np.append(steps, steps[-1]))
    return gaps


def _beside(found: Law, distance: float) -> Law:
    """Return a law moved a little: its steps stay on their lattice, its bounds where they are."""
    if not found.density.size:
        width = float(found.support[-1] - found.support[0])
        steps = float(np.rint(width / np.diff(found.support).min(initial=np.inf)))
        # Of the whole width, as a single step has few correct digits.
        distance = float(np.rint(distance * steps / width)) * (width / steps) if steps else 0.0
    if distance == 0.0:
        return found
    cumulants = found.cumulants + np.array([distance, 0.0, 0.0, 0.0])
    return found._replace(support=found.support + distance, cumulants=cumulants)
