"""How many deals are created on each day: patterns, level and spread of daily counts.

Every estimate compares counts ``y`` with an exposure ``x``: the number that a rate of one a day
would give, after what is known already (late recording, weekdays, seasons) was multiplied in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "blocks",
    "bulk_days",
    "dispersion",
    "kept",
    "level_weights",
    "local_dispersion",
    "log_slope",
    "marked_effect",
    "monthly_factors",
    "recorded_shares",
    "stopped_days",
    "weekday_factors",
]

SMOOTH = 31  # days to each side of the running level that weekdays are compared with
WEEKDAY_PRIOR = 2.0  # counts by which each weekday leans on the mean of the week
YEAR = 365
GAP = 0.1  # a stretch with less than this share of what was due counts as empty
SURPRISE = -3.5  # root-count z below which an empty stretch is no accident
DUE = 8.0  # counts that must have been due: with fewer, the root-count z is no normal variable
REFERENCE = 182  # days before a stretch that say what was due in it


def recorded_shares(counts: IntArray) -> FloatArray:
    """(d, m) -> (m,): share of the deals of a day that is recorded within 0, 1 ... m - 1 days.

    ``counts[t, u]`` deals were created on day t and recorded u days later; the last day of the d
    is the last one on which anything was recorded. Reverse-time hazards allow for what is still to
    come: ``G(u) = prod over v > u of (1 - n_v / N_v)``, with n_v the deals of delay v, and N_v
    those of delay at most v whose day could have shown a delay of v (Kalbfleisch & Lawless 1989,
    doi:10.1080/01621459.1989.10478780).
    """
    days, width = counts.shape
    within = np.cumsum(np.cumsum(counts, axis=1), axis=0)
    last = days - 1 - np.arange(width)
    at_risk = np.where(last >= 0, within[np.maximum(last, 0), np.arange(width)], 0)
    late = counts.sum(axis=0)
    stay = 1.0 - late / np.maximum(at_risk, 1)
    stay[0] = 1.0
    shares: FloatArray = np.append(np.cumprod(stay[:0:-1])[::-1], 1.0)
    return shares


def bulk_days(
    y: IntArray, *, every: int = 180, times: float = 4.0, floor: float = 20.0
) -> BoolArray:
    """(d,) -> (d,): days with far more deals than happens every so many days: imports, clean-ups.

    More than `times` what is reached on two days and one in `every`, and `floor` more.
    """
    usual = 2 + len(y) // every
    if len(y) < usual:
        return np.zeros(len(y), dtype=np.bool_)
    limit = np.sort(y)[-usual]
    return np.asarray(y > times * limit + floor)


def kept(effect: FloatArray | float, variance: FloatArray | float) -> FloatArray:
    """(...), (...) -> (...): effects shrunk to 0, and dropped below two standard errors.

    ``effect * max(0, 1 - 4 variance / effect**2)``: the garrote of Breiman 1995
    (doi:10.1080/00401706.1995.10484371).
    """
    square = np.square(effect)
    share = 1.0 - 4.0 * np.asarray(variance) / np.where(square > 0.0, square, 1.0)
    return np.asarray(effect * np.where(square > 0.0, np.maximum(share, 0.0), 0.0))


def _running(values: FloatArray) -> FloatArray:
    """(d,) -> (d,): sums over windows around each day, shorter at the ends."""
    total = np.append(0.0, np.cumsum(values))
    day = np.arange(len(values))
    begin, end = np.maximum(day - SMOOTH, 0), np.minimum(day + SMOOTH + 1, len(values))
    return np.asarray(total[end] - total[begin])


def weekday_factors(y: FloatArray, x: FloatArray, weekday: IntArray) -> FloatArray:
    """(d,) x 3 -> (7,): rate on each weekday relative to the mean of the week."""
    level = _running(y) / np.maximum(_running(x), 1e-9)
    due = np.bincount(weekday, level * x, minlength=7)
    seen = np.bincount(weekday, y, minlength=7)
    factor = (seen + WEEKDAY_PRIOR) / (due + WEEKDAY_PRIOR)
    return np.asarray(factor / factor.mean())


def marked_effect(y: FloatArray, x: FloatArray, marked: BoolArray, spread: float) -> float:
    """(d,) x 3, () -> (): log ratio of the rate on marked days to that on others, as `kept`.

    `spread` is the variance of the level from week to week, relative to its square.
    """
    runs = int(np.count_nonzero(marked[1:] & ~marked[:-1])) + int(marked[0])
    due = x * _running(y) / np.maximum(_running(x), 1e-9)
    seen = np.array([y[marked].sum(), y[~marked].sum()]) + 0.5
    expected = np.array([due[marked].sum(), due[~marked].sum()]) + 0.5
    effect = np.log(seen / expected)
    variance = (1.0 / expected).sum() + spread / max(runs, 1)
    return float(kept(effect[0] - effect[1], variance))


def monthly_factors(y: FloatArray, x: FloatArray, month: IntArray, spread: float) -> FloatArray:
    """(d,) x 3, () -> (12,): rate in each month relative to the mean of the year.

    Whole years, counted back from the last day, each against its own level (and the growth from
    year to year); all months are shrunk alike, by the share of their variance that is noise.
    """
    years = len(y) // YEAR
    whole = slice(len(y) - years * YEAR, None)
    y, month = y[whole], month[whole]
    seen, exposed = y.reshape(years, YEAR), x[whole].reshape(years, YEAR)
    level = (seen.sum(axis=1) + 0.5) / np.maximum(exposed.sum(axis=1), 1e-9)
    growth = np.log(level[-1] / level[0]) / max(years - 1, 1)
    within = np.exp(growth * ((np.arange(YEAR) + 0.5) / YEAR - 0.5))
    due = (exposed * level[:, None] * within).ravel()
    expected = np.bincount(month, due, minlength=12) + 0.5
    effect = np.log((np.bincount(month, y, minlength=12) + 0.5) / expected)
    noise = (1.0 / expected).mean() + spread * 12 / (52 * years)
    signal = max(0.0, 1.0 - noise / max(float(effect.var()), 1e-12))
    factor = np.exp(signal * effect)
    return np.asarray(factor / factor.mean())


def blocks(values: FloatArray, length: int) -> FloatArray:
    """(d,), () -> (j,): sums over whole blocks of days, the last one ending on the last day."""
    count = len(values) // length
    return np.asarray(values[len(values) - count * length :].reshape(count, length).sum(axis=1))


def log_slope(y: FloatArray, x: FloatArray) -> float:
    """(b,), (b,) -> (): growth of the log rate from one block to the next, as `kept`."""
    rate = np.log((y + 0.5) / np.maximum(x, 1e-9))
    at = np.arange(len(y)) - (len(y) - 1) / 2.0
    slope = float(at @ rate / (at @ at))
    residual = rate - rate.mean() - slope * at
    variance = max(float(residual @ residual) / (len(y) - 2), float((1.0 / (y + 0.5)).mean()))
    return float(kept(slope, variance / float(at @ at)))


def level_weights(x: FloatArray, half_lives: FloatArray, lead: int = 1) -> FloatArray:
    """(j,), (h,) -> (j + 1, j): weights of the counts of blocks in the level before each block.

    The level before block i is the mean over `half_lives` (in blocks) of decayed counts divided by
    decayed exposure, up to block ``i - lead``; the last row is the level after all blocks. Rows
    without exposure are 0.
    """
    age = np.arange(len(x) + 1)[:, None] - lead - np.arange(len(x))
    place = np.where(age >= 0, age, -1)
    weights = np.zeros(age.shape)
    for half in half_lives.tolist():
        # Each power once, then 0 for blocks that come too late.
        decay = np.append(0.5 ** (np.arange(len(x) + 1) / half), 0.0)[place]
        exposed = decay @ x
        weights += decay / np.where(exposed > 0.0, exposed, np.inf)[:, None]
    return np.asarray(weights / len(half_lives))


def local_dispersion(y: FloatArray, x: FloatArray) -> float:
    """(j,), (j,) -> (): variance of rates from block to block beyond Poisson, relative to rate**2.

    From differences of neighbours, so that neither season nor trend counts:
    ``E[(y1 - y0 x1 / x0)**2] = mu1 (1 + x1 / x0) + 2 f mu1**2``.
    """
    some = (x[1:] > 0.0) & (x[:-1] > 0.0)
    ratio = x[1:][some] / x[:-1][some]
    now, before = y[1:][some], y[:-1][some] * ratio
    due = (now + before) / 2.0
    excess = float(np.sum((now - before) ** 2 - due * (1.0 + ratio)))
    square = float(np.sum(due**2))
    return max(0.0, excess / (2.0 * square)) if square > 0.0 else 0.0


def dispersion(y: FloatArray, x: FloatArray, weights: FloatArray, burn_in: int) -> float:
    """(j,), (j,), (j + 1, j) -> (): variance of a Gamma factor on the rate, by moments.

    Each count is compared with the level before it: ``Var(y - m) = (mu + f mu**2) (1 + k)``, where
    k is what the level itself adds. 0 where counts vary no more than Poisson ones.
    """
    before = weights[burn_in : len(y)]
    x_now, now = x[burn_in:], y[burn_in:]
    due = x_now * (before @ y)
    extra = x_now * (before**2 @ x)
    excess = float(np.sum((now - due) ** 2 / (1.0 + extra) - due))
    square = float(np.sum(due**2 - extra * due))  # less what the noise of the level adds
    return max(0.0, excess / square) if square > 0.0 else 0.0


def stopped_days(y: FloatArray, x: FloatArray, spread: float) -> int:
    """(d,), (d,), () -> (): length of the latest stretch in which arrivals have stopped, 0 if none.

    A stretch counts when it holds less than a tenth of what was due (at least 8 deals), when the
    root-count z is below -3.5, and when no earlier stretch of its length was as empty (a yearly
    holiday is no stop).
    """
    counted, exposed = np.append(0.0, np.cumsum(y)), np.append(0.0, np.cumsum(x))
    found, length = 0, 10
    while 2 * length <= len(y):
        cut = len(y) - length
        back = max(cut - REFERENCE, 0)
        rate = (counted[cut] - counted[back]) / max(exposed[cut] - exposed[back], 1e-9)
        due = rate * (exposed[-1] - exposed[cut])
        seen = counted[-1] - counted[cut]
        z = 2.0 * (np.sqrt(seen + 0.375) - np.sqrt(due + 0.375)) / np.sqrt(1.0 + spread * due)
        earlier = counted[length : cut + 1] - counted[: cut + 1 - length]
        usual = rate * (exposed[length : cut + 1] - exposed[: cut + 1 - length])
        first_time = not np.any((earlier < GAP * usual) & (usual > 0.0))
        if due >= DUE and seen < GAP * due and z < SURPRISE and first_time:
            found = length
        length = length * 7 // 5
    return found
