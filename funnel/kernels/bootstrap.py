"""Is a difference of scores more than luck? Means over cutoffs whose windows overlap.

Windows of which `overlap` follow one another before two have no day in common share their luck.
The working assumption is that scores correlate as the windows do: by the share of common days.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = [
    "block_quality",
    "long_run_variance",
    "mean_deviations",
    "overlapping_uniforms",
]


def _common(n: int, overlap: int) -> FloatArray:
    """(n, n): share of days that windows have in common."""
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return np.maximum(1.0 - lag / overlap, 0.0)


def block_quality(n: int, block: int, overlap: int) -> tuple[float, float]:
    """Return the share of the variance of a mean that the bootstrap finds, and its freedom.

    Both follow from the variance found being a quadratic form in the scores: its expectation under
    the working assumption, and Satterthwaite's approximation (1946, doi:10.2307/3002019) of its
    spread. Without overlap and with blocks of 1 these are (n - 1) / n and n - 1; a block as long as
    the overlap finds no more than about two thirds.
    """
    lag = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    form = np.zeros((n, n))
    for length, number in ((block, n // block), (n % block, 1)):
        # In how many of the n circular blocks two cutoffs are together, less what the mean takes.
        together = np.maximum(length - lag, 0) + np.maximum(length - (n - lag), 0)
        form += number * (together / n - (length / n) ** 2)
    common = _common(n, overlap)
    product = form @ common
    found = float(np.trace(product))
    return found / float(common.sum()), found**2 / float((product * product.T).sum())


def mean_deviations(
    values: FloatArray, block: int, overlap: int, draws: int, rng: np.random.Generator
) -> FloatArray:
    """(n,) -> (draws,): how far the mean of centred values may be from what it stands for.

    Circular blocks are laid end to end (Politis & Romano 1992). What they miss of the variance is
    made up for, and that it is estimated from few blocks makes a normal into Student's law.
    """
    n = len(values)
    share, freedom = block_quality(n, block, overlap)
    sums = np.concatenate(([0.0], np.cumsum(np.concatenate((values, values)))))
    start = rng.integers(0, n, size=(draws, -(-n // block)))
    length = np.full(start.shape[1], block)
    length[-1] = n - block * (len(length) - 1)
    totals = (sums[start + length] - sums[start]).sum(axis=1)
    student = np.sqrt(freedom / rng.chisquare(freedom, draws))
    return np.asarray(totals / n * student / np.sqrt(share))


def overlapping_uniforms(n: int, overlap: int, draws: int, rng: np.random.Generator) -> FloatArray:
    """() -> (draws, n): uniform numbers whose normal scores correlate as the windows overlap."""
    from scipy.special import ndtr  # noqa: PLC0415 - slow to import

    steps = rng.standard_normal((draws, n + overlap - 1))
    sums = np.concatenate((np.zeros((draws, 1)), np.cumsum(steps, axis=1)), axis=1)
    return np.asarray(ndtr((sums[:, overlap:] - sums[:, :-overlap]) / np.sqrt(overlap)))


def long_run_variance(values: FloatArray, lag: int) -> tuple[float, bool]:
    """(n,), () -> (), (): variance of the mean, and whether it had to be tapered.

    Autocovariances up to `lag` count in full; where their sum is not positive, they are tapered by
    1 - k / (lag + 1) (Newey & West 1987, doi:10.2307/1913610), which is never negative.
    """
    n = len(values)
    centred = values - values.mean()
    products = np.array([centred[k:] @ centred[: n - k] / n for k in range(lag + 1)])
    plain = products[0] + 2.0 * products[1:].sum()
    if plain > 0.0:
        return float(plain / n), False
    taper = 1.0 - np.arange(1, lag + 1) / (lag + 1.0)
    return float((products[0] + 2.0 * taper @ products[1:]) / n), lag > 0
