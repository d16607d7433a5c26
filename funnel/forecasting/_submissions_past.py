"""What was booked by whom, and how well people had said it at the same lead time before."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import CurrencyMismatchError, ValidationError
from funnel.kernels.labels import factorize, texts
from funnel.stages import Outcome
from funnel.tables import outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.forecasting._submissions_table import Submissions
    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, DayArray, FloatArray, IntArray, StringArray

__all__ = ["Ledger", "Past", "WonDeals", "owner_codes", "past_of", "won_deals"]

ALIKE = 0.25  # periods are alike when their lengths differ by at most this share
SPAN, ZERO = 1 << 33, 1 << 31  # room for every day beside the code of an owner


@attrs.frozen(eq=False, slots=False)
class WonDeals:
    """Won deals with their owners; the same whatever the split into chunks.

    Parameters
    ----------
    window : tuple of int
        First and last observed day.
    owners : frozenset of str
        Everybody who has, or had, a deal.
    currencies : frozenset of str
        Of the won deals whose amount is known.
    owner : (w,) str
    closed_on : (w,) int32
    amount : (w,) float64
        NaN unknown.
    """

    window: tuple[int, int]
    owners: frozenset[str]
    currencies: frozenset[str]
    owner: StringArray
    closed_on: DayArray
    amount: FloatArray

    def merge(self, other: WonDeals, /) -> WonDeals:
        """Add the deals of another chunk.

        Raises
        ------
        ValidationError
            When the chunks are of different windows.
        """
        if self.window != other.window:
            theirs = tuple(str(to_date(day)) for day in other.window)
            rule = "must be of one observed_from and one observed_until"
            raise ValidationError.from_value("summaries", rule, theirs, "")
        return WonDeals(
            self.window,
            self.owners | other.owners,
            self.currencies | other.currencies,
            np.concatenate((self.owner, other.owner)),
            np.concatenate((self.closed_on, other.closed_on)),
            np.concatenate((self.amount, other.amount)),
        )

    @property
    def currency(self) -> str:
        """The one currency of all known amounts, ``""`` where none is given.

        Raises
        ------
        CurrencyMismatchError
            When there is more than one.
        """
        if len(self.currencies) > 1:
            raise CurrencyMismatchError(sorted(self.currencies))
        return next(iter(self.currencies), "")

    @functools.cached_property
    def ledger(self) -> Ledger:
        """Running totals."""
        return Ledger.of(self.owner, self.closed_on, self.amount)


def won_deals(history: History, column: str) -> WonDeals:
    """Return the won deals of a chunk of history, by the values of one of its columns.

    Raises
    ------
    UnknownColumnError
        When there is no such column.
    ValidationError
        When it is not made of categories.
    """
    kind = history.schema.column(column).kind
    if kind != "category":
        remedy = "Say which column names the owners."
        raise ValidationError.from_value("column", "must be made of categories", kind, remedy)
    found = outcomes(history)
    last = history.bounds[1:] - 1

    def names(name: str) -> StringArray:
        """Spell a column out."""
        categories = history.schema.column(name).categories
        spelt: StringArray = texts([*categories, ""])[history.columns[name]]
        return spelt

    every = names(column)
    won = (found.outcome == Outcome.WON) & (found.closed_on >= history.observed_from)
    known = won & ~np.isnan(found.amount)
    return WonDeals(
        (history.observed_from, history.observed_until),
        frozenset(every.tolist()) - {""},
        frozenset(names("currency")[last][known].tolist()),
        every[last][won],
        found.closed_on[won],
        found.amount[won],
    )


@attrs.frozen(eq=False)
class Ledger:
    """Running totals of booked money, by owner and day.

    Parameters
    ----------
    names : tuple of str
        Owners with a booking, sorted.
    keys : (w,) int64
        Owner and day of each booking, sorted.
    total : (w + 1,) float64
        Booked before each of them.
    unknown : int
        Bookings without an amount; they count as 0.
    """

    names: tuple[str, ...]
    keys: IntArray
    total: FloatArray
    unknown: int

    @classmethod
    def of(cls, owner: StringArray, closed_on: DayArray, amount: FloatArray) -> Ledger:
        """Add up won deals; the order in which they come does not matter."""
        names, code = factorize(owner)
        key = code.astype(np.int64) * SPAN + closed_on.astype(np.int64) + ZERO
        order = np.lexsort((amount, key))
        money = np.where(np.isnan(amount), 0.0, amount)[order]
        total = np.concatenate(([0.0], np.cumsum(money)))
        return cls(tuple(names), key[order], total, int(np.count_nonzero(np.isnan(amount))))

    @classmethod
    def of_pipeline(cls, pipeline: Pipeline, column: str) -> Ledger:
        """Add up what a pipeline has booked so far; wins without a day are in no period."""
        won = pipeline.select((pipeline.outcome == Outcome.WON) & (pipeline.closed_on >= -ZERO + 1))
        keys, code = won.groups((column,))
        return cls.of(texts([key[0] for key in keys])[code], won.closed_on, won.amount)

    def codes(self, owner: StringArray) -> IntArray:
        """(m,) -> (m,): position of each owner among the names, -1 where there is no booking."""
        place = {name: code for code, name in enumerate(self.names)}
        return np.array([place.get(name, -1) for name in owner.tolist()], dtype=np.int64)

    def between(self, code: IntArray, start: IntArray | int, stop: IntArray | int) -> FloatArray:
        """(m,) -> (m,): booked on the days ``start .. stop - 1`` by each owner."""
        base = code.astype(np.int64) * SPAN + ZERO
        low = np.searchsorted(self.keys, base + start)
        high = np.searchsorted(self.keys, base + np.maximum(start, stop))
        return np.where(code >= 0, self.total[high] - self.total[low], 0.0)


class Past(NamedTuple):
    """What people had said of past periods, and what was booked: one row an owner and period.

    ``owner`` is the position among the owners asked for, ``period`` numbers the periods. `so_far`
    had been booked when it was said.
    """

    owner: IntArray
    period: IntArray
    said: FloatArray
    so_far: FloatArray
    booked: FloatArray

    @property
    def periods(self) -> int:
        """How many different periods there are."""
        return len(np.unique(self.period))


def owner_codes(submissions: Submissions, owners: Sequence[str]) -> IntArray:
    """(n,): position of the owner of each row among `owners`, -1 where it is none of them."""
    place = {name: code for code, name in enumerate(owners)}
    return np.array([place.get(name, -1) for name in submissions.owner.tolist()], dtype=np.int64)


def past_of(
    submissions: Submissions,
    ledger: Ledger,
    owners: list[str],
    window: tuple[int, int],
    *,
    lead: int,
    length: int | None = None,
) -> Past:
    """Return what was in force `lead` days before the last day of past periods, and the truth.

    Periods count that were observed from beginning to end; people who are not among `owners` do
    not. With the `length` of the period that `lead` belongs to, only periods of about that length
    count, each at the same point of it: its first day is that of the others.
    """
    owner = owner_codes(submissions, owners)
    days = (submissions.end - submissions.start).astype(np.int64)
    among = (owner >= 0) & observed(submissions, window)
    ahead = np.full(len(submissions), lead)
    if length is not None:
        among &= np.abs(days - length) <= ALIKE * length
        gone = length - 1 - lead  # days of the period before the one that ends now; < 0 ahead of it
        ahead = days - 1 - (gone * days // length if gone >= 0 else gone)
    among &= submissions.end - 1 - submissions.submitted_on >= ahead
    rows = submissions.in_force(among)
    start, end = submissions.start[rows].astype(np.int64), submissions.end[rows].astype(np.int64)
    code = ledger.codes(submissions.owner[rows])
    return Past(
        owner[rows],
        np.unique(start * SPAN + end + ZERO, return_inverse=True)[1].reshape(len(rows)),
        submissions.amount[rows],
        ledger.between(code, start, end - ahead[rows]),
        ledger.between(code, start, end),
    )


def observed(submissions: Submissions, window: tuple[int, int]) -> BoolArray:
    """(n,): mask of the rows whose period was observed from its first to its last day."""
    inside = (submissions.start >= window[0]) & (submissions.end <= window[1] + 1)
    return np.asarray(inside)
