"""Naive forecasts that every model has to beat: run rate, last period, same period last year."""

from __future__ import annotations

import abc
import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import CurrencyMismatchError, InsufficientDataError, LeakError, ValidationError
from funnel.forecasting._bookings import (
    Bookings,
    Moments,
    Span,
    Task,
    period_moments,
    summarize_bookings,
)
from funnel.forecasting.forecast import Forecast
from funnel.kernels.arrivals import kept
from funnel.stages import Outcome
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Horizon
    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import FloatArray

__all__ = [
    "Baseline",
    "Bookings",
    "FittedBaseline",
    "LastPeriod",
    "Moments",
    "RunRate",
    "Seasonal",
    "Span",
    "Task",
]

QUARTER, YEAR = 90, 365


class Baseline(abc.ABC):
    """A naive forecaster: money booked in some past days, times a factor."""

    __slots__ = ()

    name: ClassVar[str]
    """The name in tables and registries."""

    @abc.abstractmethod
    def span(self, task: Task, bookings: Bookings, /) -> Span:
        """Return the past days that stand for the days asked, and the factor."""

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedBaseline:
        """Collect what was booked.

        Raises
        ------
        InsufficientDataError
            When no deal of known amount was won.
        CurrencyMismatchError
            When won amounts are of several currencies.
        """
        summary = summarize(source, summarize_bookings, executor=executor)
        deals = summary.deals
        known = int(np.count_nonzero(~np.isnan(deals.amount)))
        if not known:
            what = f"{self.name!r} needs won deals of known amount"
            remedy = "Give more history; amount=1 for every deal counts deals."
            raise InsufficientDataError(what, needed=1, found=0, remedy=remedy)
        order = np.lexsort((deals.amount, deals.closed_on))  # one order, whatever the chunks
        return FittedBaseline(
            baseline=self,
            observed_from=summary.observed_from,
            currency=deals.currency,
            deals=deals.select(order),
            unknown=float(np.nanmean(deals.amount[order])),
        )


@attrs.frozen(eq=False)
class FittedBaseline:
    """What was booked on each day, and the rule that carries it forward.

    Parameters
    ----------
    baseline : Baseline
        The rule.
    observed_from : int
        First day of the history.
    currency : str
        Of all amounts.
    deals : Pipeline
        The won deals, by closing day.
    unknown : float
        What a won deal of unknown amount counts for: the mean of the known ones.
    """

    baseline: Baseline
    observed_from: int
    currency: str
    deals: Pipeline
    unknown: float

    @property
    def trained_until(self) -> int:
        """Last day of the history."""
        return self.deals.as_of

    def moments(self, horizon: Horizon, as_of: int, *, by: Sequence[str] = ()) -> Moments:
        """Return mean and variance of what is booked in each period after `as_of`.

        The variance is the mean squared error of the same forecast in past periods that do not
        overlap (at most 24), and of a prior worth two periods: deals that are won independently at
        the rate of the whole history. Periods before `as_of` have 0.

        Parameters
        ----------
        horizon : Horizon
            k periods.
        as_of : int
            Its end is the moment of the forecast.
        by : sequence of str
            Category columns whose values make groups.

        Raises
        ------
        LeakError
            When `as_of` is before `trained_until`.
        InsufficientDataError
            When the history does not reach back far enough.
        UnknownColumnError
            When a `by` column does not exist.
        """
        if as_of < self.trained_until:
            msg = (
                f"bookings are known until {to_date(self.trained_until)}, so they must not be "
                f"forecast as of {to_date(as_of)}. Fit on history.until(as_of)."
            )
            raise LeakError(msg)
        keys, bookings = self._bookings(by)
        mean = np.zeros((len(keys), len(horizon)))
        variance = np.zeros_like(mean)
        edges = horizon.edges.tolist()
        for period, (begin, stop) in enumerate(itertools.pairwise(edges)):
            start = max(begin, as_of + 1)
            if start < stop:
                task = Task(self.trained_until, start, stop, stop - begin)
                mean[:, period], variance[:, period] = period_moments(self.baseline, task, bookings)
        return Moments(keys, mean, variance)

    def forecast(
        self, pipeline: Pipeline, horizon: Horizon, /, *, by: Sequence[str] = ()
    ) -> Forecast:
        """Forecast what is booked in each period.

        Parameters
        ----------
        pipeline : Pipeline
            Says what is booked so far in periods that have begun; open deals play no part.
        horizon : Horizon
            k periods.
        by : sequence of str
            Category columns whose values make groups.

        Returns
        -------
        Forecast

        Raises
        ------
        LeakError, InsufficientDataError, UnknownColumnError
            As `moments`.
        CurrencyMismatchError
            When amounts are of several currencies.
        """
        columns = (by,) if isinstance(by, str) else tuple(by)
        won = pipeline.select(pipeline.outcome == Outcome.WON)
        if not np.all(np.isnan(won.amount)) and won.currency != self.currency:
            raise CurrencyMismatchError((self.currency, won.currency))
        moments = self.moments(horizon, pipeline.as_of, by=columns)
        every, _ = pipeline.groups(columns)
        keys = tuple(sorted({*moments.keys, *every})) if columns else moments.keys
        place = {key: row for row, key in enumerate(keys)}
        mean, variance = np.zeros((2, len(keys), len(horizon)))
        rows = [place[key] for key in moments.keys]
        mean[rows], variance[rows] = moments.mean, moments.variance
        nameless = int(np.count_nonzero(np.isnan(self.deals.amount)))
        note = (
            f"{nameless:,} won deals have no amount; each counts as the mean ({self.unknown:,.0f})"
        )
        return Forecast.from_moments(
            horizon=horizon,
            as_of=pipeline.as_of,
            currency=self.currency,
            by=columns,
            keys=keys,
            booked=self._booked(won, horizon, columns, place),
            mean=mean,
            variance=variance,
            model=self.baseline.name,
            notes=(note,) if nameless else (),
        )

    def _booked(
        self,
        won: Pipeline,
        horizon: Horizon,
        by: tuple[str, ...],
        place: Mapping[tuple[str, ...], int],
    ) -> FloatArray:
        """Add up the money of won deals by group and period; `place` has the row of each group."""
        keys, group = won.groups(by)
        period = horizon.period_of(won.closed_on)
        inside = period >= 0
        row = np.array([place[key] for key in keys], dtype=np.int64)[group]
        amount = np.where(np.isnan(won.amount), self.unknown, won.amount)
        booked = np.zeros((len(place), len(horizon)))
        np.add.at(booked, (row[inside], period[inside]), amount[inside])
        return booked

    def _bookings(self, by: Sequence[str]) -> tuple[tuple[tuple[str, ...], ...], Bookings]:
        """Add up the bookings by group and day."""
        keys, group = self.deals.groups((by,) if isinstance(by, str) else by)
        days = self.trained_until - self.observed_from + 1
        amount = np.where(np.isnan(self.deals.amount), self.unknown, self.deals.amount)
        cell = group.astype(np.int64) * days + (self.deals.closed_on - self.observed_from)

        def running(values: FloatArray) -> FloatArray:
            """Add up by group, day after day."""
            daily = np.bincount(cell, values, minlength=len(keys) * days).reshape(len(keys), days)
            return np.concatenate((np.zeros((len(keys), 1)), np.cumsum(daily, axis=1)), axis=1)

        return keys, Bookings(self.observed_from, running(amount), running(amount**2))


def _optional_days(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a whole number of at least 1, or None."""
    del instance
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value is not None and not whole:
        rule = "must be a whole number of days >= 1, or None"
        raise ValidationError.from_value(attribute.name, rule, value, "")


@attrs.frozen
class RunRate(Baseline):
    """Money booked per day over the last days, carried forward.

    Parameters
    ----------
    days : int or None
        How many days; by default those of the period, at least 90. A shorter history counts as it
        is.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "B"], stage=["Won", "Won"],
    ...     at=["2026-06-01", "2026-06-10"], amount=[10.0, 20.0], observed_until="2026-06-30",
    ... )
    >>> fitted = RunRate().fit(history)  # 30 in 30 days
    >>> fitted.moments(fn.Horizon.months("2026-07-01", 1), history.observed_until).mean.tolist()
    [[31.0]]
    """

    days: int | None = attrs.field(default=None, kw_only=True, validator=_optional_days)

    name: ClassVar[str] = "run-rate"

    def span(self, task: Task, bookings: Bookings, /) -> Span:
        """Return the last days before the forecast."""
        wanted = max(task.length, QUARTER) if self.days is None else self.days
        days = min(wanted, bookings.until - bookings.first + 1)
        return Span(task.origin + 1 - days, task.origin + 1, (task.stop - task.start) / days)


@attrs.frozen
class LastPeriod(Baseline):
    """The last complete period of the same length, as it was.

    In a period that has begun, the days still to come are taken from the end of the last one.

    Examples
    --------
    >>> LastPeriod()
    LastPeriod()
    """

    name: ClassVar[str] = "last-period"

    def span(self, task: Task, bookings: Bookings, /) -> Span:
        """Return the same days of the last period that is complete."""
        del bookings
        back = -(-max(task.stop - 1 - task.origin, 1) // task.length) * task.length
        return Span(task.start - back, task.stop - back, 1.0)


@attrs.frozen
class Seasonal(Baseline):
    """The same period last year, times the growth from year to year.

    Growth is that of the last 365 days over the 365 days before (of all groups together), where
    there are so many. Its logarithm is shrunk to 0 and dropped below two standard errors, which
    take deals for independent: ``Var(log R) = sum a_i**2 / R**2`` for each year's bookings R.

    Examples
    --------
    >>> Seasonal()
    Seasonal()
    """

    name: ClassVar[str] = "seasonal"

    def span(self, task: Task, bookings: Bookings, /) -> Span:
        """Return the same days of the latest year that is known."""
        years = 1
        while _years_before(task.stop, years) > task.origin + 1:
            years += 1
        scale = _growth(task.origin, bookings) ** years
        return Span(_years_before(task.start, years), _years_before(task.stop, years), scale)


def _years_before(day: int, years: int) -> int:
    """Return the same date some years before; 1 March for a missing 29 February."""
    date = np.datetime64(day, "D")
    month = date.astype("datetime64[M]")
    within = (date - month.astype("datetime64[D]")).astype(np.int64)
    earlier = month - np.timedelta64(12 * years, "M")
    return int(earlier.astype("datetime64[D]").astype(np.int64) + within)


def _growth(origin: int, bookings: Bookings) -> float:
    """Growth factor of the year that ends with `origin`, as `kept`; 1 where it is not known."""
    years = [(origin + 1 - YEAR, origin + 1), (origin + 1 - 2 * YEAR, origin + 1 - YEAR)]
    if years[1][0] < bookings.first:
        return 1.0
    money = np.array([bookings.between(*year).sum() for year in years])
    if not np.all(money > 0.0):
        return 1.0
    squares = np.array([bookings.squares_between(*year).sum() for year in years])
    change = float(np.log(money[0] / money[1]))
    return float(np.exp(kept(change, float(np.sum(squares / money**2)))))
