"""Deals whose amount at closing is not certain: won at one of two amounts, each as likely."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels._cumulants import deal_cumulants

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["Spread", "narrow", "normal_form", "parted"]


class Spread(NamedTuple):
    """Deals that are won at one of two amounts, each as likely as the other.

    Attributes
    ----------
    p : FloatArray
        (s,) probabilities that each deal is booked, or (m, s) in each of m states.
    low, high : FloatArray
        (s,) the two amounts, major units, ``0 < low < high``.
    """

    p: FloatArray
    low: FloatArray
    high: FloatArray

    def select(self, rows: BoolArray | IntArray) -> Spread:
        """Return some of the deals."""
        return Spread(self.p[..., rows], self.low[rows], self.high[rows])

    @property
    def variance(self) -> FloatArray:
        """(s,) or (m, s) variances of the money that each deal brings."""
        mean = 0.5 * (self.low + self.high)
        bend = 0.25 * (self.high - self.low) ** 2
        return np.asarray(self.p * ((1.0 - self.p) * mean**2 + bend))

    def cumulants(self) -> FloatArray:
        """Return the first four cumulants of the sum of these deals, (4,) or (m, 4)."""
        mean, sd = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
        return deal_cumulants(self.p.T, mean, sd=sd)

    def differences(self) -> tuple[FloatArray, FloatArray]:
        """Return (3 s,) distances between the outcomes of each deal, and their mass, a row a state.

        The squared modulus of a characteristic function is 1 - 2 sum m (1 - cos u d) over the pairs
        of outcomes, d apart and of mass m, the product of their probabilities.
        """
        won = 0.5 * self.p
        apart = np.concatenate([self.low, self.high, self.high - self.low])
        return apart, np.concatenate([won * (1.0 - self.p)] * 2 + [won * won], axis=-1)


def narrow(
    p: FloatArray, a: FloatArray, sd: FloatArray | None
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Return the same deals with 0 <= sd < a; `sd` is None where all are zero.

    An amount of mean a and standard deviation sd >= a is 0 or (a^2 + sd^2) / a: a deal like others.
    """
    if sd is None or not sd.any():
        return p, a, None
    # An amount of mean 0 that is never negative is 0.
    wide, sd = (sd >= a) & (a > 0.0), np.where(a > 0.0, sd, 0.0)
    square = a[wide] ** 2 + sd[wide] ** 2
    p, a = p.copy(), a.copy()
    p[..., wide] *= a[wide] ** 2 / square
    a[wide], sd[wide] = square / a[wide], 0.0
    return p, a, sd if sd.any() else None


def normal_form(
    constant: float, p: FloatArray, a: FloatArray, sd: FloatArray | None
) -> tuple[float, FloatArray, FloatArray, FloatArray | None]:
    """Return the same deals with 0 <= sd < a, and sd = 0 where a deal is sure to be won.

    See `narrow`. One that is won for sure is a - sd, and 2 sd more or not. `p` is (n,), or (m, n)
    in each of m states.
    """
    p, a, sd = narrow(p, a, sd)
    if sd is None:
        return constant, p, a, None
    sure = (np.atleast_2d(p) >= 1.0).all(axis=0) & (sd > 0.0)
    if sure.any():
        constant += float((a[sure] - sd[sure]).sum())
        p, a = p.copy(), a.copy()
        p[..., sure], a[sure], sd[sure] = 0.5, 2.0 * sd[sure], 0.0
    return constant, p, a, sd if sd.any() else None


def parted(
    p: FloatArray, a: FloatArray, sd: FloatArray | None
) -> tuple[FloatArray, FloatArray, Spread]:
    """Part deals in their normal form: probabilities and amounts, and those with two amounts."""
    if sd is None:
        return p, a, Spread(p[..., :0], a[:0], a[:0])
    two = (sd > 0.0) & (np.atleast_2d(p) > 0.0).any(axis=0)
    one = sd <= 0.0
    return p[..., one], a[one], Spread(p[..., two], a[two] - sd[two], a[two] + sd[two])
