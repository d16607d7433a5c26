"""Sums of deals on a circle of amounts: one by one, and many rare ones by a logarithm."""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels._cumulants import blocks

if TYPE_CHECKING:
    from funnel.kernels._spread import Spread
    from funnel.typing import FloatArray, IntArray

__all__ = ["Circle", "Jumps", "added", "jumps_of", "log_measure"]

LEAST, LESS = 1e-14, 1e-11
"""Terms of a logarithm that add up to less are left out: on a lattice of all amounts, and off it,
where rounding costs more."""


class Circle(NamedTuple):
    """A circle of amounts: width and number of cells, and whether all amounts lie on it."""

    cell: float
    cells: int
    exact: bool

    def split(self, a: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the point below each amount, and the part of its mass for the point above."""
        position = a / self.cell
        if self.exact:
            return np.rint(position).astype(np.int64), np.zeros(a.shape)
        below = np.floor(position + 1e-9)
        return below.astype(np.int64), np.maximum(position - below, 0.0)

    def measure(self, a: FloatArray, mass: FloatArray) -> FloatArray:
        """Return the mass of amounts on the circle."""
        below, part = self.split(a)
        place = np.concatenate([below, below + 1]) % self.cells
        both = np.concatenate([mass * (1.0 - part), mass * part])
        return np.asarray(np.bincount(place, both, minlength=self.cells), dtype=np.float64)


class Jumps(NamedTuple):
    """Deals to be added one by one: how far each moves the sum, and with which probability.

    Attributes
    ----------
    origin : float
        The amount from which jumps are counted.
    to : IntArray
        (n, 4) cells, the last the farthest; deals are in the order of it.
    mass : FloatArray
        (m, n, 5) probabilities, in each state, of no jump and of these.
    """

    origin: float
    to: IntArray
    mass: FloatArray


def jumps_of(
    circle: Circle, weights: FloatArray, deals: tuple[FloatArray, FloatArray], spread: Spread
) -> Jumps:
    """Return the jumps of deals with one amount and with two.

    It is the rarer of won and lost whose amount is split between two points, so that what is
    likely stays where it is: for p > 1/2, losing means 0 or 1 and winning one cell more than the
    amount rounded down.
    """
    p, a = deals
    below, part = circle.split(a)
    likely = (weights @ p > 0.5) & (not circle.exact)
    near, q, none = np.where(likely, 1, below), 1.0 - p, np.zeros_like(p)
    lost = np.array([q * part, none, none, q * (1.0 - part), p])
    won = np.array([q, none, none, p * (1.0 - part), p * part])
    origin = float((a - circle.cell * (below + 1))[likely].sum())
    low, low_part = circle.split(spread.low)
    high, high_part = circle.split(spread.high)
    half = 0.5 * spread.p
    two = (half * (1.0 - low_part), half * low_part, half * (1.0 - high_part), half * high_part)
    to = np.concatenate([[near, near, near, below + 1], [low, low + 1, high, high + 1]], axis=1)
    mass = np.concatenate([np.where(likely, lost, won), [1.0 - spread.p, *two]], axis=2)
    order = np.argsort(to[-1], kind="stable")
    return Jumps(origin, to.T[order], mass.transpose(1, 2, 0)[:, order])


def added(circle: Circle, to: IntArray, mass: FloatArray) -> FloatArray:
    """Return the mass of the sum of deals, added one by one from the smallest.

    The loop over deals is over few of them, each step being some passes over the cells in use.
    """
    pmf, top = np.zeros(circle.cells), 1
    pmf[0] = 1.0
    for jumps, (stay, *moves) in zip(to.tolist(), mass.tolist(), strict=True):
        # Nothing lies beyond `top`; once the circle is full, all of it is in use.
        used = min(top, circle.cells) if top + jumps[-1] <= circle.cells else circle.cells
        before = pmf[:used].copy()
        pmf[:used] *= stay
        for jump, part in zip(jumps, moves, strict=True):
            if part:
                _add_turned(pmf, before * part, jump % circle.cells)
        top += jumps[-1]
    return pmf


def _add_turned(pmf: FloatArray, mass: FloatArray, jump: int) -> None:
    """Add mass to the circle, moved on by `jump` cells."""
    straight = min(len(mass), len(pmf) - jump)
    pmf[jump : jump + straight] += mass[:straight]
    pmf[: len(mass) - straight] += mass[straight:]


def log_measure(
    total: FloatArray, circle: Circle, amounts: FloatArray, odds: FloatArray, *, within: bool
) -> None:
    """Add the signed mass whose transform is sum log(1 + odds W), by state.

    W is the transform of the amount of a deal that is won.

    Parameters
    ----------
    total : FloatArray
        (m, cells), which is changed.
    circle : Circle
    amounts : FloatArray
        (n, c) the amounts of each deal, each of them as likely.
    odds : FloatArray
        (m, n) odds < 1 to win.
    within : bool
        Whether the amounts are rounded to the circle before powers of W are taken, as if deals were
        added one by one; or sums of amounts after that, which is faster.
    """
    parts = np.full(amounts.shape, 1.0 / amounts.shape[1])
    if within and not circle.exact:
        below, part = circle.split(amounts)
        amounts = circle.cell * np.concatenate([below, below + 1], axis=1)
        parts = np.concatenate([parts * (1.0 - part), parts * part], axis=1)
    most = odds.max(axis=0, initial=0.0)
    least = (LEAST if circle.exact else LESS) / max(len(amounts), 1)
    kept = np.flatnonzero(most > least)
    for rows in blocks(len(kept), 64):
        terms, order, deals = [], 1, kept[rows]
        while deals.size:
            terms.append((order, deals, *_power(circle, amounts[deals], parts[deals], order)))
            order += 1
            deals = deals[most[deals] ** order > least]
        place = np.concatenate([place.ravel() for _, _, place, _ in terms])
        for state, chance in enumerate(odds):
            mass = np.concatenate(
                [(chance[deals] ** order)[:, np.newaxis] * mass for order, deals, _, mass in terms],
                axis=None,
            )
            total[state] += np.bincount(place, mass, minlength=circle.cells)


def _power(
    circle: Circle, amounts: FloatArray, parts: FloatArray, order: int
) -> tuple[IntArray, FloatArray]:
    """Return places on the circle, and their mass, of a power of W: a term of the logarithm."""
    ways, count = _ways(order, amounts.shape[1])
    mass = np.ones((len(amounts), 1)) * count * ((-1.0) ** (order + 1) / order)
    for column, exponent in enumerate(ways.T):
        mass *= (parts[:, column, np.newaxis] ** np.arange(order + 1))[:, exponent]
    below, part = circle.split(amounts @ ways.T.astype(np.float64))
    if part.any():
        below = np.concatenate([below, below + 1], axis=1)
        mass = np.concatenate([mass * (1.0 - part), mass * part], axis=1)
    return below % circle.cells, mass


@functools.lru_cache(maxsize=256)
def _ways(order: int, c: int) -> tuple[IntArray, FloatArray]:
    """Return the exponents (w, c) in a power of a sum of c terms, and their coefficients (w,)."""
    bars = itertools.combinations(range(order + c - 1), c - 1)
    ends = np.array([(-1, *some, order + c - 1) for some in bars])
    ways = np.diff(ends, axis=1) - 1
    factorial = np.array([math.factorial(k) for k in range(order + 1)], dtype=np.float64)
    return ways, factorial[order] / factorial[ways].prod(axis=1)
