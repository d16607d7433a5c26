"""What a deal of unknown amount is worth when it is won."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import CurrencyMismatchError
from funnel.stages import Outcome
from funnel.tables import outcomes

if TYPE_CHECKING:
    from funnel.tables import History, Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["AmountSummary", "Amounts", "summarize_amounts"]

PER_DOUBLING = 8
SMALLEST, LARGEST = (
    -8,
    56,
)  # powers of two that the bins cover; what lies outside joins the end bins
BINS = (LARGEST - SMALLEST) * PER_DOUBLING + 2  # and one for zero


def _bins(amount: FloatArray) -> IntArray:
    """(n,) -> (n,): bin of each amount, 0 for zero, then eight for each doubling."""
    positive = np.maximum(amount, 2.0**SMALLEST)
    step = np.floor((np.log2(positive) - SMALLEST) * PER_DOUBLING).astype(np.int64) + 1
    return np.where(amount > 0, np.minimum(step, BINS - 1), 0)


@attrs.frozen(eq=False)
class Amounts:
    """The distribution of the amounts of won deals, as a few atoms.

    Parameters
    ----------
    atoms : (m,) float64
        Amounts in major units: the means of narrow bins (a twelfth wide), so that the mean of the
        whole is exact.
    weights : (m,) float64
        Their shares, adding up to 1.
    """

    atoms: FloatArray
    weights: FloatArray

    @property
    def mean(self) -> float:
        """Mean amount; NaN when there is no atom."""
        return float(self.atoms @ self.weights) if len(self.atoms) else float("nan")

    @property
    def square(self) -> float:
        """Mean squared amount; NaN when there is no atom."""
        return float(self.atoms**2 @ self.weights) if len(self.atoms) else float("nan")


@attrs.frozen(eq=False)
class AmountSummary:
    """Counts and sums of the amounts of won deals in narrow bins; they add up over chunks.

    Parameters
    ----------
    counts : (b,) int64
    sums : (b,) float64
    currencies : tuple of str
        Currencies of these amounts, sorted.
    """

    counts: IntArray
    sums: FloatArray
    currencies: tuple[str, ...]

    def merge(self, other: AmountSummary, /) -> AmountSummary:
        """Add the deals of another chunk."""
        currencies = tuple(sorted({*self.currencies, *other.currencies}))
        return AmountSummary(self.counts + other.counts, self.sums + other.sums, currencies)

    def estimate(self) -> Amounts:
        """Return the distribution.

        Raises
        ------
        CurrencyMismatchError
            When the amounts are of several currencies.
        """
        if len(self.currencies) > 1:
            raise CurrencyMismatchError(self.currencies)
        filled = self.counts > 0
        counts = self.counts[filled]
        return Amounts(self.sums[filled] / counts, counts / max(int(counts.sum()), 1))


def _summary(amount: FloatArray, currency: IntArray, names: tuple[str, ...]) -> AmountSummary:
    """Count known amounts by bin."""
    known = ~np.isnan(amount)
    bins = _bins(amount[known])
    found = np.unique(currency[known]).tolist()
    return AmountSummary(
        counts=np.bincount(bins, minlength=BINS),
        sums=np.bincount(bins, amount[known], minlength=BINS).astype(np.float64),
        currencies=tuple(sorted(names[code] if code >= 0 else "" for code in found)),
    )


def summarize_amounts(history: History, /) -> AmountSummary:
    """Count the booked amounts of a chunk of history."""
    found = outcomes(history)
    won = found.outcome == Outcome.WON
    currency = history.columns["currency"][history.bounds[1:] - 1]
    return _summary(found.amount[won], currency[won], history.schema.column("currency").categories)


def amounts_of(pipeline: Pipeline, /) -> Amounts:
    """Return the distribution of all known amounts of open and won deals, for want of a history."""
    counted = (pipeline.outcome == Outcome.OPEN) | (pipeline.outcome == Outcome.WON)
    return _summary(
        pipeline.amount[counted],
        pipeline.columns["currency"][counted],
        pipeline.schema.column("currency").categories,
    ).estimate()
