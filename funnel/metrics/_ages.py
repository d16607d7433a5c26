"""Counts by cell, cause and age that merge exactly, and the curves that follow from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.kernels import survival
from funnel.kernels.arrays import frozen
from funnel.kernels.trace import first_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = ["AgeCounts", "Counts", "Incidence", "at_age", "certain", "incidence", "ratio", "wilson"]

AGE_BITS = 22  # 11,000 years of days
BLOCK = 2**21  # cells x causes x days held at once


@attrs.frozen(eq=False)
class Counts:
    """How often each key occurs; keys are sorted."""

    key: IntArray = attrs.field(converter=frozen)
    count: IntArray = attrs.field(converter=frozen)

    @classmethod
    def of(cls, key: IntArray, count: IntArray | None = None) -> Counts:
        """Count keys, of which each stands for `count`, or for one."""
        if count is None:
            return cls(*np.unique(key, return_counts=True))
        order = np.argsort(key, kind="stable")  # most keys are in order already
        ranked = key[order]
        begins = np.flatnonzero(first_rows(ranked))
        return cls(ranked[begins], np.add.reduceat(count[order], begins))

    def merge(self, other: Counts, /) -> Counts:
        """Add up; keys that cancel out stay with 0."""
        key = np.concatenate((self.key, other.key))
        return Counts.of(key, np.concatenate((self.count, other.count)))


@attrs.frozen(eq=False)
class AgeCounts:
    """Subjects by cell and first age at risk, and by cell, cause and last age.

    Ages are whole days. The last cause is censoring: seen to be still there at the end of the day.
    """

    causes: int
    entries: Counts
    exits: Counts

    @classmethod
    def of(
        cls,
        cell: IntArray,
        first: IntArray,
        last: IntArray,
        cause: IntArray,
        causes: int,
        *,
        count: IntArray | None = None,
    ) -> AgeCounts:
        """Count subjects (m,), of which each stands for `count`, or for one.

        Who was at no risk on any day, or has no cell, is left out.
        """
        used = np.flatnonzero((cell >= 0) & (first <= last) & (first >= 0))
        where = cell[used].astype(np.int64)
        left = (where * causes + cause[used]) << AGE_BITS
        some = None if count is None else count[used]
        return cls(
            causes,
            Counts.of((where << AGE_BITS) + first[used], some),
            Counts.of(left + last[used], some),
        )

    def merge(self, other: AgeCounts, /) -> AgeCounts:
        """Add the counts of other subjects."""
        return AgeCounts(
            self.causes, self.entries.merge(other.entries), self.exits.merge(other.exits)
        )

    @property
    def days(self) -> int:
        """Ages that occur, at least 1."""
        return int((self.exits.key & ((1 << AGE_BITS) - 1)).max(initial=0)) + 1

    def blocks(self, cells: IntArray) -> Iterator[tuple[slice, IntArray, IntArray]]:
        """(c,) -> slice, (b, causes - 1, d), (b, d): events and subjects at risk, cell by cell.

        `cells` are sorted and hold all that were counted between the first and the last of them.
        """
        days = self.days
        size = max(1, BLOCK // (days * self.causes))
        for begin in range(0, len(cells), size):
            part = cells[begin : begin + size]
            joined = _dense(self.entries, part, 1, days)[:, 0]
            left = _dense(self.exits, part, self.causes, days)
            gone = np.cumsum(left.sum(axis=1), axis=-1)
            risk = np.cumsum(joined, axis=-1)
            risk[:, 1:] -= gone[:, :-1]
            yield slice(begin, begin + len(part)), left[:, :-1], risk


def _dense(counts: Counts, part: IntArray, causes: int, days: int) -> IntArray:
    """Unpack the counts of neighbouring cells: (b,) -> (b, causes, d)."""
    slots = part[:, None] * causes + np.arange(causes)
    edges = np.searchsorted(counts.key, np.append(slots, slots[-1, -1] + 1) << AGE_BITS)
    some = slice(edges[0], edges[-1])
    age = counts.key[some] & ((1 << AGE_BITS) - 1)
    found = np.zeros(slots.size * days, dtype=np.int64)
    found[np.repeat(np.arange(slots.size) * days, np.diff(edges)) + age] = counts.count[some]
    return found.reshape(*slots.shape, days)


class Incidence(NamedTuple):
    """Curves of some cells: incidence and variance (b, c, d + 1), survival (b, d + 1).

    ``end`` is the number of ages seen in each cell: beyond it nothing is known, (b,).
    """

    curve: FloatArray
    variance: FloatArray
    survival: FloatArray
    end: IntArray


def incidence(events: FloatArray | IntArray, risk: FloatArray | IntArray) -> Incidence:
    """(b, c, d), (b, d) -> the Aalen-Johansen curves of each cell."""
    curve, variance = survival.aalen_johansen(events, risk)
    alive = np.maximum(1.0 - curve.sum(axis=-2), 0.0)
    ages = np.arange(1, risk.shape[-1] + 1)
    return Incidence(curve, variance, alive, np.max(np.where(risk > 0, ages, 0), axis=-1))


def at_age(found: Incidence, days: int | None) -> tuple[IntArray, BoolArray]:
    """(b,), (b,): where to read each curve to know what happens within `days`, and is it known.

    None asks for the last age that was seen. A curve ends where nobody is at risk any more; what
    comes later is known only if all had left.
    """
    last = found.end
    if days is None:
        return last, last > 0
    asked = np.minimum(last, days + 1)
    decided = np.take_along_axis(found.survival, last[:, None], 1)[:, 0] <= survival.ROUNDING
    return asked, (last > 0) & ((last > days) | decided)


def ratio(part: FloatArray | IntArray, whole: FloatArray | IntArray) -> FloatArray:
    """Divide; NaN where there is nothing to divide by."""
    shape = np.broadcast_shapes(np.shape(part), np.shape(whole))
    out = np.full(shape, np.nan)
    found: FloatArray = np.divide(part, whole, out=out, where=np.asarray(whole) > 0)
    return found


def certain(
    estimate: FloatArray, variance: FloatArray, n: FloatArray | IntArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """(...) x 3 -> (...) x 2: bounds of a probability, also where it was 0 or 1 throughout.

    On the scale log(-log(1 - p)); an estimate of 0 or 1, whose variance says nothing, has Wilson's
    bounds for `n` subjects.
    """
    known = ~np.isnan(estimate)
    value = np.where(known, estimate, 0.5)
    low, high = survival.bounds(value, np.where(known, variance, 0.0), level=level, scale="cloglog")
    inside = (value > survival.ROUNDING) & (value < 1.0 - survival.ROUNDING)
    edges = wilson(np.where(value > 0.5, n, 0), n, level)
    return (
        np.where(known, np.where(inside, low, edges[0]), np.nan),
        np.where(known, np.where(inside, high, edges[1]), np.nan),
    )


def wilson(
    hits: FloatArray | IntArray, n: FloatArray | IntArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """(...), (...), () -> (...) x 2: Wilson's bounds of a share; NaN where n is 0.

    Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    from statistics import NormalDist  # noqa: PLC0415  (it loads decimal and fractions)

    z2 = NormalDist().inv_cdf(0.5 + level / 2.0) ** 2
    share = ratio(hits, n)
    size = np.maximum(np.asarray(n, dtype=np.float64), 1.0)
    centre = (share + z2 / (2.0 * size)) / (1.0 + z2 / size)
    inner = np.maximum(share * (1.0 - share) / size + z2 / (4.0 * size**2), 0.0)
    half = np.sqrt(z2 * inner) / (1.0 + z2 / size)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
