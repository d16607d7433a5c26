"""Which deals to keep exactly, and what is remembered of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.kernels._cumulants import blocks, known_terms, spread_terms
from funnel.kernels._spread import Spread
from funnel.kernels._units import unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funnel.typing import BoolArray, FloatArray

__all__ = [
    "EMPTY_BULK",
    "SMALL_BOOK",
    "Bulk",
    "recurrence",
    "split_large",
    "standard_deviation",
    "stray",
    "summarize_bulk",
]

SMALL_BOOK = 256
"""Up to this many deals, every deal is kept exactly."""

DECAY = 24.5
"""The characteristic function counts as gone at exp(-24.5), where a normal one is at 7 / sigma."""

REACH = 0.3
"""Largest product of frequency and amount for which four cumulants describe a deal."""

SCREEN = 4_096
"""Cells of the histogram of amounts that bounds the characteristic function."""

CYCLE = 60
PARTS = np.array([30, 20, 15, 12, 24, 10, 6, 18]) / CYCLE
"""Parts of a unit's frequency where amounts that are mostly multiples of 2 to 10 units return."""

SAMPLE = 4_096
"""Deals that mostly suffice to show that nothing comes back."""


class Bulk(NamedTuple):
    """What is remembered of the many deals that are too small to be kept one by one.

    Attributes
    ----------
    cumulants : FloatArray
        (4,) first four cumulants of their sum.
    largest, total : float
        The largest amount and the sum of the amounts.
    unit : float
        An amount of which every amount is a whole multiple; 0.0 when there is none.
    stray : float
        How much of the distribution function the cumulants may miss, because amounts are nearly
        but not exactly multiples of one amount.
    """

    cumulants: FloatArray
    largest: float
    total: float
    unit: float
    stray: float


EMPTY_BULK = Bulk(np.zeros(4), 0.0, 0.0, 0.0, 0.0)


def standard_deviation(p: FloatArray, a: FloatArray, *, sd: FloatArray | None = None) -> float:
    """Return the standard deviation of the sum of deals, without their other cumulants."""
    variance = 0.0 if sd is None else float((p * sd * sd).sum())
    for rows in blocks(len(a)):
        spread = p[rows] * a[rows]
        variance += float((spread * (a[rows] - spread)).sum())
    return float(np.sqrt(max(variance, 0.0)))


def split_large(
    p: FloatArray, a: FloatArray, sigma: float, *, sd: FloatArray | None = None
) -> BoolArray:
    """Return which deals have to be kept exactly, the others being known by their cumulants.

    ``(n,), (n,), float -> (n,)``

    Parameters
    ----------
    p, a : FloatArray
        (n,) probabilities and amounts (major units).
    sigma : float
        Standard deviation of the sum of these deals.
    sd : FloatArray or None
        (n,) standard deviations <= `a` of the amounts if booked; None for amounts that are certain.

    Returns
    -------
    BoolArray
        (n,) mask; all True for up to `SMALL_BOOK` deals.

    Notes
    -----
    Four cumulants describe a deal up to frequencies of 0.3 / a. They are enough when the
    characteristic function of the sum is gone by then: at about 7 / sigma, so that deals above
    0.3 sigma / 7 are kept. Where a few deals carry most of the variance it decays later, and the
    frequency is the one at which sum p q min((theta a)^2 / 2, 1) reaches 24.5; if it never does,
    all deals are kept. Deals that are certain or impossible count as kept: they cost nothing.

    Examples
    --------
    >>> a = np.append(np.ones(10_000), 500.0)
    >>> int(split_large(np.full(10_001, 0.5), a, 255.0).sum())
    1
    """
    if len(a) <= SMALL_BOOK or sigma <= 0.0:
        return np.full(len(a), len(a) <= SMALL_BOOK)
    top = a if sd is None else a + sd
    theta, last = np.sqrt(2.0 * DECAY) / sigma, 0.0
    while theta > last * 1.05:
        last = theta
        whales = np.flatnonzero(top > np.sqrt(2.0) / theta)
        mass = p[whales] * (1.0 - p[whales])
        rest = sigma * sigma - float((mass * a[whales] ** 2).sum())
        if sd is not None:
            rest -= float((p[whales] * sd[whales] ** 2).sum())
        missing = DECAY - float(mass.sum())
        if missing > 0.0 and rest <= 1e-9 * sigma * sigma:
            return np.ones(len(a), dtype=np.bool_)
        theta = max(last, np.sqrt(2.0 * missing / rest)) if missing > 0.0 else last
    # What is certain has no spread, but would hide the unit that the amounts of the others share.
    return np.asarray((top > REACH / theta) | (p <= 0.0) | (p >= 1.0))


def summarize_bulk(
    p: FloatArray, a: FloatArray, exact: BoolArray, *, sd: FloatArray | None = None
) -> Bulk:
    """Return the summary of the deals that are not kept exactly.

    ``(n,), (n,), (n,) -> Bulk``

    Parameters
    ----------
    p, a : FloatArray
        (n,) probabilities and amounts (major units).
    exact : BoolArray
        (n,) deals to leave out, from `split_large`.
    sd : FloatArray or None
        (n,) standard deviations <= `a` of the amounts if booked; None for amounts that are certain.

    Returns
    -------
    Bulk
        Cumulants, largest amount, sum and common unit of the amounts, and what these miss.

    Examples
    --------
    >>> p, a = np.array([0.5, 0.5, 0.2]), np.array([2.0, 4.0, 100.0])
    >>> summary = summarize_bulk(p, a, a > 50.0)
    >>> summary.cumulants.tolist()[:2], summary.largest, summary.total, summary.unit
    ([3.0, 5.0], 4.0, 6.0, 2.0)
    """

    def left() -> Iterator[FloatArray]:
        # A deal that is kept counts as one of amount zero: cheaper than to copy the others.
        for rows in blocks(len(a)):
            if sd is None:
                yield a[rows] * ~exact[rows]
            else:
                yield (a[rows] + sd[rows]) * ~exact[rows]
                yield (a[rows] - sd[rows]) * ~exact[rows]

    cumulants, largest, total = np.zeros(4), 0.0, 0.0
    for rows in blocks(len(a)):
        chunk = a[rows] * ~exact[rows]
        terms = known_terms(p[rows], chunk)
        if sd is not None:
            spread = sd[rows] * ~exact[rows]
            terms = spread_terms(p[rows], chunk, spread)
            chunk = chunk + spread
        largest = max(largest, float(chunk.max()))
        total += float(chunk.sum())
        cumulants += [term.sum() for term in terms]
    if total == 0.0:
        return EMPTY_BULK
    bulk = Bulk(cumulants, largest, total, unit_of(left), 0.0)
    return bulk._replace(stray=_stray(p, a, exact, bulk, sd))


def recurrence(
    amounts: FloatArray, mass: FloatArray, sigma: float, limit: float
) -> tuple[FloatArray, FloatArray]:
    """Return frequencies (f,), and (f + 1,) how much of the law may stand from each on.

    A deal's factor is at most exp(-p q (1 - cos theta a)), so that one histogram of the mass p q
    over the amounts and its FFT bound the characteristic function at all frequencies at once. It
    comes back after its first decay where amounts are nearly multiples of one amount. `sigma` is
    the spread of a normal part, `limit` a frequency from which on nothing counts.
    """
    # Amounts far beyond the others would make the cells too coarse: without them, the bound holds.
    usual = float(mass @ amounts) / max(float(mass.sum()), 1e-300)
    kept = amounts <= 16.0 * usual
    amounts, mass = amounts[kept], mass[kept]
    cell = 4.0 * max(float(amounts.max(initial=0.0)), 1e-300) / SCREEN
    place = np.rint(amounts / cell).astype(np.intp)
    held = [np.bincount(place, mass * amounts**order, minlength=SCREEN) for order in range(3)]
    level, slope, bend = np.fft.rfft(held)
    spacing = 2.0 * np.pi / (SCREEN * cell)
    frequency = spacing * np.arange(1, len(level), dtype=np.float64)
    # Between the frequencies of the FFT, the decay is lowest where its parabola is.
    curvature = np.maximum(bend.real[1:], max(1e-12 * bend.real[0], 1e-300))
    aside = np.clip(slope.imag[1:] / curvature, -0.5 * spacing, 0.5 * spacing)
    decay = level.real[0] - level.real[1:] - slope.imag[1:] * aside + 0.5 * curvature * aside**2
    decay += 0.5 * np.minimum(frequency * sigma, 7.0) ** 2
    width = np.minimum(spacing, np.sqrt(2.0 * np.pi / curvature))
    bound = np.exp(-np.maximum(decay, 0.0)) * width / frequency
    bound[frequency >= limit] = 0.0
    # Twice, because the sum stops where the cells of the histogram become too coarse.
    beyond = np.asarray(2.0 / np.pi * np.cumsum(bound[::-1])[::-1], dtype=np.float64)
    frequency, beyond = frequency - 0.5 * spacing, np.append(beyond, beyond[-1])
    if np.isfinite(limit):
        # Where most amounts are multiples of a few units, which finer cells alone would show.
        wide = np.sqrt(2.0 * np.pi / max(bend.real[0], 1e-300))
        units = np.rint(amounts * (limit / np.pi)) % CYCLE
        many = np.bincount(units.astype(np.intp), mass, minlength=CYCLE)
        echoes = 2.0 * limit * PARTS
        gone = (1.0 - np.cos(2.0 * np.pi * np.multiply.outer(PARTS, np.arange(CYCLE)))) @ many
        gone += 0.5 * np.minimum(echoes * sigma, 7.0) ** 2
        for echo, left in zip(echoes, np.exp(-gone) * wide / echoes, strict=True):
            beyond[: np.searchsorted(frequency, echo) + 1] += 2.0 / np.pi * left
    return frequency, beyond


def _stray(
    p: FloatArray, a: FloatArray, exact: BoolArray, bulk: Bulk, sd: FloatArray | None
) -> float:
    """Return `stray` of all deals, of which a sample of the bulk stands for all of it."""
    step = max(len(a) // SAMPLE, 1)
    left = ~exact[::step]
    chance = np.concatenate([p[exact], p[::step][left]])
    amounts = np.concatenate([a[exact], a[::step][left]])
    times = np.append(np.ones(np.count_nonzero(exact)), np.full(np.count_nonzero(left), step))
    beside = None if sd is None else np.concatenate([sd[exact], sd[::step][left]])
    return stray(chance, amounts, times, bulk, sd=beside)


def stray(
    p: FloatArray, a: FloatArray, times: FloatArray, bulk: Bulk, *, sd: FloatArray | None = None
) -> float:
    """Return how much of the law may stand beyond the reach of the bulk's cumulants.

    ``(m,), (m,), (m,) -> float``, each deal standing for some `times` as many.
    """
    mass = p * (1.0 - p) * times
    if sd is not None:
        a, mass = Spread(p, a - sd, a + sd).differences()
        mass *= np.tile(times, 3)
    limit = np.pi / bulk.unit if bulk.unit else np.inf
    frequency, beyond = recurrence(a, mass, 0.0, limit)
    return float(beyond[np.searchsorted(frequency, REACH / bulk.largest)])
