"""Are chances right? Scores of chances of being won, and sums from which they can be had.

`cells` holds, for sets of deals of about the same chance p, in rows: their number, how many were
won, and the sums of p, of p squared, and of p over those won. Cells add up over chunks of deals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "CELLS",
    "auc",
    "brier_terms",
    "brier_variance",
    "calibration_gap",
    "clipped",
    "entropy",
    "equal_count_bins",
    "exact_cells",
    "grid_cells",
    "log_loss",
    "log_variance",
    "wilson",
]

CELLS = 1024
"""Cells of the grid, of equal width in arcsin(sqrt(p)): finer where chances are near 0 or 1."""


def clipped(chance: FloatArray, clip: float) -> FloatArray:
    """(n,) -> (n,): chances moved away from 0 and 1."""
    return np.clip(chance, clip, 1.0 - clip)


def log_loss(won: BoolArray, chance: FloatArray, clip: float) -> FloatArray:
    """(n,), (n,) -> (n,): minus the logarithm of the chance given to what happened."""
    safe = clipped(chance, clip)
    return -np.log(np.where(won, safe, 1.0 - safe))


def entropy(chance: FloatArray, clip: float) -> FloatArray:
    """(n,) -> (n,): the log loss to be expected where the chances are right."""
    safe = clipped(chance, clip)
    return np.asarray(-(chance * np.log(safe) + (1.0 - chance) * np.log1p(-safe)))


def brier_variance(chance: FloatArray) -> FloatArray:
    """(n,) -> (n,): variance of (p - won)^2 where the chances are right."""
    return chance * (1.0 - chance) * (1.0 - 2.0 * chance) ** 2


def log_variance(chance: FloatArray, clip: float) -> FloatArray:
    """(n,) -> (n,): variance of the log loss where the chances are right."""
    safe = clipped(chance, clip)
    return np.asarray(chance * (1.0 - chance) * (np.log(safe) - np.log1p(-safe)) ** 2)


def _sums(won: BoolArray, chance: FloatArray, cell: IntArray, cells: int) -> FloatArray:
    """(n,), (n,), (n,) -> (5, cells)."""
    weights = (np.ones(len(chance)), won, chance, chance * chance, chance * won)
    return np.stack([np.bincount(cell, weight, minlength=cells) for weight in weights])


def grid_cells(won: BoolArray, chance: FloatArray) -> FloatArray:
    """(n,), (n,) -> (5, CELLS): sums on the fixed grid."""
    place = np.arcsin(np.sqrt(chance)) * (2.0 / np.pi * CELLS)
    return _sums(won, chance, np.minimum(place.astype(np.int64), CELLS - 1), CELLS)


def exact_cells(won: BoolArray, chance: FloatArray) -> FloatArray:
    """(n,), (n,) -> (5, c): sums by distinct chance, increasing."""
    values, cell = np.unique(chance, return_inverse=True)
    return _sums(won, chance, cell, len(values))


def equal_count_bins(cells: FloatArray, bins: int) -> FloatArray:
    """(5, c) -> (5, b): neighbouring cells joined to at most `bins` sets of about equal numbers.

    A cell is never cut: deals of one chance stay in one bin, the one that its middle falls into.
    """
    filled = cells[:, cells[0] > 0.0]
    upper = np.cumsum(filled[0])
    code = np.floor((upper - filled[0] / 2.0) * bins / upper[-1])
    first = np.flatnonzero(np.diff(code, prepend=-1.0))
    return np.add.reduceat(filled, first, axis=1)


def auc(cells: FloatArray) -> float:
    """(5, c) -> (): chance that a won deal was given more than a lost one, ties counting half.

    NaN without a won or without a lost deal.
    """
    won, lost = cells[1], cells[0] - cells[1]
    pairs = won.sum() * lost.sum()
    wins = won @ (np.cumsum(lost) - lost / 2.0)
    return float(wins / pairs) if pairs else float("nan")


def brier_terms(cells: FloatArray) -> FloatArray:
    """(5, b) -> (5,): reliability, resolution, uncertainty, variance and covariance within bins.

    Brier = reliability - resolution + uncertainty + variance - covariance, exactly (Stephenson,
    Coelho & Jolliffe 2008, doi:10.1175/2007WAF2006116.1).
    """
    number, won, chance, square, hits = cells
    total = number.sum()
    rate, mean, base = won / number, chance / number, won.sum() / total
    terms = (
        number @ (mean - rate) ** 2,
        number @ (rate - base) ** 2,
        total * base * (1.0 - base),
        np.maximum(square - chance * mean, 0.0).sum(),
        2.0 * (hits - chance * rate).sum(),
    )
    return np.asarray(np.array(terms) / total)


def calibration_gap(cells: FloatArray) -> float:
    """(5, b) -> (): mean distance of chance and share won of a bin, weighted by its deals."""
    return float(np.abs(cells[2] - cells[1]).sum() / cells[0].sum())


def wilson(won: FloatArray, number: FloatArray, z: float) -> tuple[FloatArray, FloatArray]:
    """(b,), (b,), () -> (b,), (b,): interval of a share (Wilson 1927, doi:10.2307/2276774)."""
    share, inverse = won / number, z * z / number
    centre = (share + inverse / 2.0) / (1.0 + inverse)
    half = np.sqrt(inverse * (share * (1.0 - share) + inverse / 4.0)) / (1.0 + inverse)
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
