"""Draws of daily hazards: what they may be, given how few deals they were estimated from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = ["dirichlet", "leaning"]


def dirichlet(mean: FloatArray, precision: FloatArray, rng: np.random.Generator) -> FloatArray:
    """(..., c, b), (..., b) -> (..., c, b): one draw of the chances of c causes, for each of b.

    The causes and the rest up to 1 are Dirichlet, with the given means; the variance of a chance m
    is ``m (1 - m) / (precision + 1)``. Where nothing was seen (precision 0) the mean is kept.
    """
    rest = np.maximum(1.0 - mean.sum(axis=-2, keepdims=True), 0.0)
    shape = np.concatenate((mean, rest), axis=-2) * precision[..., None, :]
    parts = rng.standard_gamma(shape)
    total = parts.sum(axis=-2, keepdims=True)
    return np.asarray(np.divide(parts[..., :-1, :], total, out=mean.copy(), where=total > 0.0))


def leaning(
    mean: FloatArray, precision: FloatArray, carry: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """(c, b), (b,), (b,) -> (c, b): one draw for bins of which each may lean on the one before.

    `carry` is the weight of the bin before in the mean of a bin: by what that bin is off, the
    centre of the next one moves in this proportion.
    """
    found = dirichlet(mean, precision, rng)
    shape = np.empty(len(mean) + 1)
    for number in (1 + np.flatnonzero(carry[1:] > 0.0)).tolist():
        off = found[:, number - 1] - mean[:, number - 1]
        centre = np.maximum(mean[:, number] + carry[number] * off, 0.0)
        shape[:-1], shape[-1] = centre, max(1.0 - centre.sum(), 0.0)
        parts = rng.standard_gamma(shape * precision[number])
        total = parts.sum()
        found[:, number] = parts[:-1] / total if total > 0.0 else centre
    return found
