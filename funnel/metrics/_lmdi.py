"""The exact split of a change of velocity into its factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ValidationError

if TYPE_CHECKING:
    import numpy.typing as npt

    from funnel.typing import FloatArray

__all__ = ["FACTORS", "decompose", "product"]

FACTORS = ("number", "win_rate", "amount", "cycle")
"""What velocity is made of: number x win rate x amount / cycle."""


def decompose(before: npt.ArrayLike, after: npt.ArrayLike, /) -> FloatArray:
    """Split the change of ``number x win rate x amount / cycle`` exactly into its four factors.

    Parameters
    ----------
    before, after : (..., 4) array-like
        The factors in the order of `FACTORS`: number, win rate, amount, cycle; not negative.
        Velocity is 0 without deals or wins, and then the amount or cycle that is unknown (NaN)
        there is taken to be that of the other side.

    Returns
    -------
    (..., 4) float64
        What each factor contributes; they add up to the change. NaN where velocity is unknown on
        a side, or a cycle is 0.

    Raises
    ------
    ValidationError
        When the shapes are wrong or a factor is negative.

    Notes
    -----
    The logarithmic mean Divisia index, additive form I::

        contribution of x = L(V1, V0) ln(x1 / x0),   L(a, b) = (a - b) / ln(a / b),   L(a, a) = a

    with 1 / cycle for the cycle. Where velocity is 0 on one side, its limit is taken: the whole
    change goes to the factor that is 0 there, in equal parts if several are.

    References
    ----------
    .. [1] B. W. Ang, "The LMDI approach to decomposition analysis: a practical guide", Energy
       Policy 33, 2005, https://doi.org/10.1016/j.enpol.2003.10.010.

    Examples
    --------
    Twice the deals at half of the win rate: nothing is gained.

    >>> decompose([100, 0.5, 1000, 50], [200, 0.25, 1000, 50]).tolist()
    [693.14..., -693.14..., 0.0, 0.0]
    >>> decompose([0, 0.5, 1000, 50], [200, 0.25, 1000, 50]).tolist()
    [1000.0, 0.0, 0.0, 0.0]
    """
    x0, x1 = (np.array(side, dtype=np.float64) for side in (before, after))
    if x0.shape != x1.shape or x0.shape[-1:] != (len(FACTORS),):
        rule, remedy = "must both have the four factors last", f"They are {FACTORS}."
        raise ValidationError.from_value("before, after", rule, (x0.shape, x1.shape), remedy)
    if np.any(x0 < 0.0) or np.any(x1 < 0.0):
        raise ValidationError.from_value("before, after", "must not be negative", (x0, x1), "")
    v0, v1 = product(x0), product(x1)
    x0, x1 = np.where(np.isnan(x0), x1, x0), np.where(np.isnan(x1), x0, x1)
    change = v1 - v0
    zero = np.where((v0 == 0.0)[..., None], x0 == 0.0, x1 == 0.0)
    zero[..., 3] = False
    both = (v0 > 0.0) & (v1 > 0.0)
    even = np.abs(change) <= 1e-9 * np.maximum(v0, v1)  # where L(V1, V0) would be 0 / 0
    with np.errstate(divide="ignore", invalid="ignore"):
        equal = change[..., None] / zero.sum(axis=-1, keepdims=True)
        growth = np.log(x1 / x0) * np.array([1.0, 1.0, 1.0, -1.0])
        weight = np.where(even, (v0 + v1) / 2.0, change / np.log(v1 / v0))
        parts = weight[..., None] * growth
    found = np.where(both[..., None], parts, np.where(zero, equal, 0.0))
    found = np.where(((v0 == 0.0) & (v1 == 0.0))[..., None], 0.0, found)
    return np.where(np.isnan(change)[..., None], np.nan, found)


def product(factors: FloatArray) -> FloatArray:
    """(..., 4) -> (...): velocity; 0 without deals or wins, whatever the rest, NaN unknown."""
    number, rate, amount, cycle = np.moveaxis(factors, -1, 0)
    out = np.full(cycle.shape, np.nan)
    found = np.divide(number * rate * amount, cycle, out=out, where=cycle > 0.0)
    return np.where((number == 0.0) | (rate == 0.0), 0.0, found)
