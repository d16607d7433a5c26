"""What was booked on each day, and how well a rule carried it forward in the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import InsufficientDataError, ValidationError
from funnel.snapshots import stacked
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.tables import History, Pipeline
    from funnel.typing import FloatArray

__all__ = [
    "BookingSummary",
    "Bookings",
    "Moments",
    "Rule",
    "Span",
    "Task",
    "period_moments",
    "summarize_bookings",
]

PRIOR = 2.0  # past periods that the variance of a compound Poisson count is worth
MOST_PERIODS = 24  # past periods that are looked at


class Task(NamedTuple):
    """What a baseline is asked: days ``start .. stop - 1``, from what was known at `origin`.

    `length` is that of the whole period, of which the days are the part that is still to come.
    """

    origin: int
    start: int
    stop: int
    length: int

    def earlier(self, days: int) -> Task:
        """Return the same question, asked some days earlier."""
        return Task(self.origin - days, self.start - days, self.stop - days, self.length)


class Span(NamedTuple):
    """Bookings of the days ``start .. stop - 1``, times `scale`, are the forecast."""

    start: int
    stop: int
    scale: float


class Moments(NamedTuple):
    """Mean and variance of what is still to be booked, both (g, k), by group and period."""

    keys: tuple[tuple[str, ...], ...]
    mean: FloatArray
    variance: FloatArray


@attrs.frozen(eq=False)
class Bookings:
    """Running totals of booked money, from the first day on: (g, d + 1) each.

    Parameters
    ----------
    first : int
        First day.
    money : (g, d + 1) float64
        Booked before each day, by group.
    squares : (g, d + 1) float64
        Sums of the squared amounts.
    """

    first: int
    money: FloatArray
    squares: FloatArray

    @property
    def until(self) -> int:
        """The last day."""
        return self.first + int(self.money.shape[1]) - 2

    def between(self, start: int, stop: int) -> FloatArray:
        """Return the money booked on the days ``start .. stop - 1``, (g,)."""
        return np.asarray(self.money[:, stop - self.first] - self.money[:, start - self.first])

    def squares_between(self, start: int, stop: int) -> FloatArray:
        """Return the squared amounts booked on the days ``start .. stop - 1``, (g,)."""
        return np.asarray(self.squares[:, stop - self.first] - self.squares[:, start - self.first])


@attrs.frozen(eq=False)
class BookingSummary:
    """The deals that are won; the same whatever the split into chunks.

    Parameters
    ----------
    observed_from : int
        First day of the history.
    deals : Pipeline
        Won deals at the end of the last day.
    """

    observed_from: int
    deals: Pipeline

    def merge(self, other: BookingSummary, /) -> BookingSummary:
        """Add the deals of another chunk.

        Raises
        ------
        ValidationError
            When the chunks are of different windows.
        SchemaMismatchError
            When they are of different schemas.
        """
        days = (self.observed_from, self.deals.as_of)
        theirs = (other.observed_from, other.deals.as_of)
        if days != theirs:
            raise ValidationError.from_value(
                "summaries",
                "must be of one observed_from and one observed_until",
                tuple(str(to_date(day)) for day in theirs),
                "",
            )
        return attrs.evolve(self, deals=stacked(self.deals, other.deals))


def summarize_bookings(history: History, /) -> BookingSummary:
    """Keep the won deals of a chunk of history."""
    pipeline = history.snapshot()
    return BookingSummary(history.observed_from, pipeline.select(pipeline.outcome == Outcome.WON))


class Rule(Protocol):
    """Which past days stand for the days to come."""

    name: ClassVar[str]

    def span(self, task: Task, bookings: Bookings, /) -> Span:
        """Return the past days and the factor."""
        ...


def period_moments(rule: Rule, task: Task, bookings: Bookings) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of what is booked on the days of the task, (g,) each.

    Raises
    ------
    InsufficientDataError
        When the rule looks at days before the history.
    """
    span = rule.span(task, bookings)
    if span.start < bookings.first:
        days = bookings.until - bookings.first + 1
        what = f"{rule.name!r} looks at bookings from {to_date(span.start)} on (days)"
        raise InsufficientDataError(
            what,
            needed=days + bookings.first - span.start,
            found=days,
            remedy="Give a longer history, or use 'run-rate'.",
        )
    mean = span.scale * bookings.between(span.start, span.stop)
    ahead = task.stop - task.start
    daily = bookings.squares[:, -1] / (bookings.until - bookings.first + 1)
    prior = daily * ahead * (1.0 + span.scale**2 * (span.stop - span.start) / ahead)
    errors = _errors(rule, task, bookings)
    total = np.sum(errors**2, axis=0) + PRIOR * prior
    return mean, total / (len(errors) + PRIOR)


def _errors(rule: Rule, task: Task, bookings: Bookings) -> FloatArray:
    """Errors of the same forecast in past periods that do not overlap, the latest first: (m, g)."""
    ahead = task.stop - task.start
    first = max(task.stop - 1 - bookings.until, 0)
    found: list[FloatArray] = []
    for number in range(MOST_PERIODS):
        past = task.earlier(first + number * ahead)
        span = rule.span(past, bookings)
        if span.start < bookings.first:
            break
        actual = bookings.between(past.start, past.stop)
        found.append(actual - span.scale * bookings.between(span.start, span.stop))
    return np.array(found).reshape(len(found), len(bookings.money))
