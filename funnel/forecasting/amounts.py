"""What a deal is worth when it is won: known amounts change until then, and some are unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import CurrencyMismatchError, ValidationError
from funnel.forecasting._amount_changes import PRIOR, STEEPEST, effects, summarize_changes
from funnel.stages import Outcome
from funnel.tables import outcomes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from funnel.forecasting._amount_changes import Cells, Effects, StageRatios
    from funnel.stages import Funnel
    from funnel.tables import History, Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = [
    "AmountSummary",
    "Amounts",
    "ClosingAmounts",
    "ClosingSummary",
    "closing_until",
    "summarize_amounts",
    "summarize_closing",
]

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
    counts : (b,) int64 or float64
    sums : (b,) float64
    currencies : tuple of str
        Currencies of these amounts, sorted.
    """

    counts: IntArray | FloatArray
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
        return Amounts(self.sums[filled] / counts, counts / max(float(counts.sum()), 1.0))

    def leaning(self, other: AmountSummary, /) -> AmountSummary:
        """Return the amounts of these deals, and of `PRIOR` more that are like those of others."""
        lent = PRIOR / max(float(other.counts.sum()), 1.0)
        counts = self.counts.astype(np.float64) + lent * other.counts
        return AmountSummary(counts, self.sums + lent * other.sums, other.currencies)


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
    return _booked(history, slice(None))


def _booked(history: History, deals: slice | IntArray) -> AmountSummary:
    """Count the booked amounts of some deals."""
    found, last = outcomes(history), history.bounds[1:][deals] - 1
    won = found.outcome[deals] == Outcome.WON
    amount, currency = found.amount[deals][won], history.columns["currency"][last][won]
    return _summary(amount, currency, history.schema.column("currency").categories)


def amounts_of(pipeline: Pipeline, /) -> Amounts:
    """Return the distribution of all known amounts of open and won deals, for want of a history."""
    counted = (pipeline.outcome == Outcome.OPEN) | (pipeline.outcome == Outcome.WON)
    return _summary(
        pipeline.amount[counted],
        pipeline.columns["currency"][counted],
        pipeline.schema.column("currency").categories,
    ).estimate()


@attrs.frozen(eq=False)
class ClosingAmounts:
    """The amount at which a deal closes, given that it is won.

    A known amount is multiplied by a ratio whose mean and variance depend on the stage, the mean
    also on the segment. The ratio of each won deal is its booked amount over the amount that was
    known at the end of each day that it spent in the stage. The mean over all deals leans on 1 as
    if 20 more deals had closed at the amount that was known; a stage leans on the mean of all, and
    a segment on its stages, by as much as their differences may be chance, and by 20 deals at
    least. Nothing but unchanged amounts gives exactly 1, and a standard deviation of exactly 0.

    Parameters
    ----------
    unknown : Amounts
        From which an unknown amount is drawn: the booked amounts of won deals while theirs were
        unknown, and of 20 more that are like all won deals.
    by : tuple of str
        Category columns that make segments.
    change, scale : Effects
        What is learnt of known amounts, and of those that were unknown until late.
    notes : tuple of str
        What was found while fitting.

    Notes
    -----
    A deal counts once in each stage where it was seen at the end of a day. Not compared are amounts
    of 0, which have no ratio, and those in another currency than booked. A ratio above 10 counts
    as 10: the amount before was no price, and `notes` says how often. The deals that
    closed first are the fast ones; the ratio is taken not to depend on that. Amounts that are
    ``constant`` or ``final`` in the schema show no change.

    References
    ----------
    H. Bühlmann and A. Gisler, "A Course in Credibility Theory and its Applications", Springer 2005,
    doi:10.1007/3-540-29273-X, chapter 4.

    Examples
    --------
    Twenty deals, each won at 10 % less than proposed: the ratio is half-way to 0.9.

    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Propose"]),
    ...     id=[f"D{i}" for i in range(20)] * 2,
    ...     stage=["Propose"] * 20 + ["Won"] * 20,
    ...     at=["2026-01-05"] * 20 + ["2026-02-10"] * 20,
    ...     amount=[100.0] * 20 + [90.0] * 20,
    ... )
    >>> fitted = summarize_closing(history).estimate()
    >>> pipeline = fn.Pipeline.from_columns(
    ...     funnel=history.funnel, as_of="2026-02-10", id=["A"], stage=["Propose"], amount=[1000.0]
    ... )
    >>> mean, sd = fitted.at_closing(pipeline)
    >>> mean.tolist(), sd.tolist()
    ([950.0], [43.30...])
    >>> print(fitted.by_stage(history.funnel))
    Booked amounts over those known before
    stage    deals  ratio    sd
    -------  -----  -----  ----
    Propose     20  95.0%  4.3%
    (other)      0  95.0%  3.5%
    """

    unknown: Amounts
    by: tuple[str, ...]
    change: Effects
    scale: Effects
    notes: tuple[str, ...] = ()

    def at_closing(self, pipeline: Pipeline, /) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation of the amount of each deal if it is won.

        Parameters
        ----------
        pipeline : Pipeline
            n deals.

        Returns
        -------
        mean, sd : (n,) float64
            Major units, as of an open or lost deal that is won later. NaN and 0.0 where the amount
            is unknown, and the amount as it is and 0.0 where the deal is won or removed.

        Raises
        ------
        UnknownColumnError
            When the pipeline has no column of the segments.
        """
        ratio, sd = self.change.of(pipeline, self.by)
        waiting = np.isin(pipeline.outcome, (Outcome.OPEN, Outcome.LOST))
        changes = waiting & ~np.isnan(pipeline.amount)
        mean = np.where(changes, pipeline.amount * (1.0 + ratio), pipeline.amount)
        return mean, np.where(changes, np.abs(pipeline.amount) * sd, 0.0)

    def by_stage(self, funnel: Funnel, /) -> StageRatios:
        """Return the ratio of booked to known amounts by stage, with the deals behind it.

        Parameters
        ----------
        funnel : Funnel
            Whose order the stages have; those that no won deal was seen in share the last row.

        Returns
        -------
        StageRatios
            For the eye and for dataframes.
        """
        return self.change.table(funnel.ids, self.notes)

    def unknown_scale(self, pipeline: Pipeline, /) -> FloatArray:
        """Return by how much more than `unknown` says each deal is worth if its amount is unknown.

        Parameters
        ----------
        pipeline : Pipeline
            n deals.

        Returns
        -------
        (n,) float64
            1.0 where nothing else was seen: won deals whose amount was unknown in the same stage
            (and segment) were booked at this multiple of the mean of `unknown`, leaning on 1 as
            the ratio of known amounts does.
        """
        return np.asarray(1.0 + self.scale.of(pipeline, self.by)[0])


@attrs.frozen(eq=False)
class ClosingSummary:
    """What `ClosingAmounts` is estimated from; sums over deals, which add up over chunks.

    Parameters
    ----------
    by : tuple of str
        Category columns that make segments.
    booked, late : AmountSummary
        The booked amounts of won deals, and of those whose amounts were unknown before.
    changes, unknown : Cells
        Changes of known amounts, and booked amounts of deals while theirs were unknown, by stage
        and segment.
    """

    by: tuple[str, ...]
    booked: AmountSummary
    late: AmountSummary
    changes: Cells
    unknown: Cells

    def merge(self, other: ClosingSummary, /) -> ClosingSummary:
        """Add the deals of another chunk.

        Raises
        ------
        ValidationError
            When the segments are others.
        """
        if self.by != other.by:
            rule = "must be of the same segments"
            raise ValidationError.from_value("summaries", rule, (self.by, other.by), "")
        return ClosingSummary(
            self.by,
            self.booked.merge(other.booked),
            self.late.merge(other.late),
            self.changes.merge(other.changes),
            self.unknown.merge(other.unknown),
        )

    def estimate(self) -> ClosingAmounts:
        """Return the amounts at closing.

        Raises
        ------
        CurrencyMismatchError
            When the booked amounts are of several currencies.
        """
        like = self.late.leaning(self.booked) if self.late.counts.any() else self.booked
        unknown = like.estimate()
        scale = unknown.mean if unknown.mean > 0.0 else 1.0
        return ClosingAmounts(
            unknown,
            self.by,
            effects(self.changes),
            effects(self.unknown.relative_to(scale)),
            self._notes(),
        )

    def _notes(self) -> tuple[str, ...]:
        """Say which changes were cut."""
        if not self.changes.capped:
            return ()
        said = (
            f"{self.changes.capped:,} of {self.changes.deals:,} won deals were booked at more than "
            f"{STEEPEST + 1:.0f} times the amount known before; each counts as that"
        )
        return (said,)


def summarize_closing(history: History, /, *, by: Sequence[str] = ()) -> ClosingSummary:
    """Add up how the amounts of won deals had changed until they were booked.

    Parameters
    ----------
    history : History
        A chunk of whole deals; nothing after its last day can play a part.
    by : sequence of str
        Category columns that make segments, such as ``"owner"``; none by default.

    Returns
    -------
    ClosingSummary
        Merge those of all chunks, then `estimate`.

    Raises
    ------
    UnknownColumnError, ValidationError
        When a column of `by` does not exist, is not made of categories, or is only known in the
        end.
    """
    columns = (by,) if isinstance(by, str) else tuple(by)
    changes, unknown, deals = summarize_changes(history, columns)
    booked, late = (_booked(history, some) for some in (slice(None), deals))
    return ClosingSummary(columns, booked, late, changes, unknown)


def closing_until(history: History, days: Sequence[int], /) -> Iterator[ClosingSummary]:
    """Yield `summarize_closing` of ``history.until(day)`` for each of many days, ascending.

    Nothing is learnt from deals that were never won, which are most.
    """
    won = np.zeros(history.n_deals, dtype=np.bool_)
    won[history.deal[history.funnel.outcomes[history.stage] == Outcome.WON]] = True
    some = history.select(won)
    return (summarize_closing(some.until(np.datetime64(day, "D"))) for day in days)
