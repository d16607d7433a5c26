"""Deals that come in Poisson numbers: the compound Poisson part of a book."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels._spread import narrow, parted

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = ["NO_POISSON", "Poisson", "poisson"]


class Poisson(NamedTuple):
    """Deals whose numbers are Poisson, independent for each amount.

    Their sum is compound Poisson: its characteristic function is exp(sum_j r_j (e^(iua_j) - 1)).

    Attributes
    ----------
    rate, a : FloatArray
        (r,) expected numbers of deals that are booked, and their amounts > 0, major units.
    factor : FloatArray
        (m,) factors >= 0 on all rates, one for each state.
    """

    rate: FloatArray
    a: FloatArray
    factor: FloatArray

    def cumulants(self) -> FloatArray:
        """Return the first four cumulants of the sum, (m, 4): kappa_j = sum r a^j."""
        raw = np.array([self.rate @ self.a**order for order in range(1, 5)])
        return np.asarray(np.multiply.outer(self.factor, raw))


NO_POISSON = Poisson(np.empty(0), np.empty(0), np.ones(1))


def poisson(
    rate: FloatArray,
    a: FloatArray,
    *,
    sd: FloatArray | None = None,
    factor: FloatArray = NO_POISSON.factor,
) -> Poisson:
    """Return deals that come in Poisson numbers.

    ``(n,), (n,) -> Poisson``

    Parameters
    ----------
    rate, a : FloatArray
        (n,) expected numbers of deals that are booked, and their amounts >= 0 (major units), or
        the means of these.
    sd : FloatArray or None
        (n,) standard deviations of the amounts if booked, of which `deal_law` tells the laws.
    factor : FloatArray
        (m,) factors on all rates, one for each state.

    Returns
    -------
    Poisson
        Without what never comes or is worth nothing.

    Examples
    --------
    >>> new = poisson(np.array([0.5, 0.0]), np.array([10.0, 5.0]), sd=np.array([2.0, 0.0]))
    >>> new.rate.tolist(), new.a.tolist(), new.cumulants()[0, :2].tolist()
    ([0.25, 0.25], [8.0, 12.0], [5.0, 52.0])
    """
    some, amounts, two = parted(*narrow(rate, a, sd))
    one = np.concatenate([some, 0.5 * two.p, 0.5 * two.p])
    amounts = np.concatenate([amounts, two.low, two.high])
    comes = (one > 0.0) & (amounts > 0.0)
    if not (comes.any() and factor.any()):
        return NO_POISSON
    return Poisson(one[comes], amounts[comes], factor)
