"""Deals not yet created: how many will come on each day, and what they will look like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import Calendar, to_date
from funnel.errors import InsufficientDataError, LeakError, ValidationError
from funnel.forecasting._arrival_counts import (
    LATEST,
    ArrivalSummary,
    arrivals_until,
    shifted,
)
from funnel.forecasting._arrival_rates import Rates, fit_rates
from funnel.kernels.arrays import frozen
from funnel.kernels.arrivals import bulk_days, recorded_shares
from funnel.summary import summarize

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from funnel.summary import HistorySource
    from funnel.tables import History, Pipeline
    from funnel.typing import FloatArray

__all__ = ["ArrivalSummary", "Arrivals", "Cohort", "FittedArrivals"]

MINIMUM = 10  # arrivals needed
FEW = 100  # with fewer recent deals, older ones are prototypes too
COHORTS = 13  # at least so many in a horizon that is long enough; a cohort is a week at most


def _whole(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a whole number of at least 1."""
    del instance
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValidationError.from_value(attribute.name, "must be a whole number >= 1", value, "")


def _positive_days(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand numbers > 0, at least one."""
    del instance
    numbers = value if isinstance(value, tuple) else ()
    good = [isinstance(item, int | float) and 0 < item < np.inf for item in numbers]
    if not good or not all(good):
        raise ValidationError.from_value(attribute.name, "must be numbers of days > 0", value, "")


def _calendar(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Demand a calendar."""
    del instance
    if not isinstance(value, Calendar):
        raise ValidationError.from_value(attribute.name, "must be a Calendar", value, "")


def _as_tuple(value: object) -> object:
    """Return a sequence as a tuple; what is none is left to the validator."""
    return tuple(value) if isinstance(value, Sequence) else value


@attrs.frozen(eq=False)
class Cohort:
    """Deals that will be created around one future day.

    Parameters
    ----------
    day : int
        Day of creation (since 1970-01-01) that stands for those of the cohort.
    expected : float
        Expected number of deals.
    pipeline : Pipeline
        Prototypes as they stand at the end of `day`, each for ``expected / len(pipeline)`` deals.
        Some may be won or lost already. Ids are those of the past deals that they are drawn from.
    """

    day: int
    expected: float
    pipeline: Pipeline


@attrs.frozen(eq=False)
class FittedArrivals:
    """The rate of new deals and prototypes of them; see `Arrivals`.

    Parameters
    ----------
    trained_until : int
        Last day of the history.
    model : Rates
        Level and patterns of the daily rate.
    recorded : (91,) float64
        Share of deals that is recorded within 0, 1 ... 90 days of their creation.
    prototypes : Pipeline
        Recent deals at the end of their first day, with days counted from it.
    dispersion : float
        Variance of the factor (Gamma, mean 1) that all future arrivals share: what weekly counts
        vary beyond Poisson ones.
    uncertainty : float
        Variance of the level's estimate, relative to its square.
    stopped : bool
        Have arrivals stopped?
    notes : tuple of str
        What was found, and what was left out.
    """

    trained_until: int
    model: Rates
    recorded: FloatArray = attrs.field(converter=frozen)
    prototypes: Pipeline
    dispersion: float
    uncertainty: float
    stopped: bool
    notes: tuple[str, ...]

    def rates(self, start: int, end: int) -> FloatArray:
        """Return the expected number of deals created on each of the days ``start .. end - 1``.

        Parameters
        ----------
        start, end : int
            Days since 1970-01-01; days before `trained_until` are on today's level.

        Returns
        -------
        (days,) float64
        """
        return self.model.between(start, end)

    def unrecorded(self, as_of: int) -> float:
        """Return how many deals are expected to exist at the end of `as_of` without any record."""
        past = self.rates(as_of - len(self.recorded) + 1, as_of + 1)
        return float(past[::-1] @ (1.0 - self.recorded))

    def cohorts(self, as_of: int, end: int) -> tuple[Cohort, ...]:
        """Return the deals to be created from the day after `as_of` until the day before `end`.

        A cohort is a week, less where the time is shorter than 13 weeks. Deals that exist already
        and are not recorded yet (see `unrecorded`) are part of the first.

        Raises
        ------
        LeakError
            When `as_of` is before `trained_until`.
        """
        if as_of < self.trained_until:
            msg = (
                f"arrivals were learnt until {to_date(self.trained_until)}, so they must not be "
                f"forecast as of {to_date(as_of)}. Fit them on history.until(as_of)."
            )
            raise LeakError(msg)
        rates = self.rates(as_of + 1, end)
        length = min(max(len(rates) // COHORTS, 1), 7)
        found = []
        for begin in range(0, len(rates), length):
            some = rates[begin : begin + length]
            expected = float(some.sum()) + (self.unrecorded(as_of) if begin == 0 else 0.0)
            if expected > 0.0:
                middle = float(np.arange(len(some)) @ some / some.sum()) if some.any() else 0.0
                day = as_of + 1 + begin + round(middle)
                found.append(Cohort(day, expected, _moved(self.prototypes, day)))
        return tuple(found)


@attrs.frozen
class Arrivals:
    """How many deals will be created on each future day, and what they will look like.

    The rate of a day is a level times patterns::

        rate(t) = level * weekday(t) * month_end(t) * quarter_end(t) * season(t) * growth(t)

    The level is the mean over several half-lives of decayed counts divided by decayed exposure, in
    weeks that end on the last day. Patterns are there only as far as the history carries them:
    weekdays lean on the mean of the week by two counts; ends of months (last 3 days) need 182 days,
    ends of quarters (last 10) a year, a trend two years, and each is dropped below two standard
    errors and shrunk above; a yearly season by month needs two years, and to have forecast the
    past years, a month ahead, better than none.

    A deal is new where it was created on or after ``observed_from`` and first seen within 90 days.
    The last days are divided by the share of deals that is recorded so soon, and deals that exist
    unrecorded are expected to turn up. Future deals look like recent ones did at the end of the
    day on which they were first seen: stage (some are won or lost on their first day), amount,
    attributes and promise are drawn jointly.

    Parameters
    ----------
    prototypes : int
        Deals that stand for new ones, at most.
    recent_days : int
        They are drawn from the deals created in so many days before the last one; where these are
        fewer than 100, older ones follow, the latest first.
    half_lives : sequence of float
        Half-lives of the level, in days.
    calendar : Calendar
        Ends of months and quarters; calendar months by default.

    Notes
    -----
    Fails where arrivals are about to change for reasons that counts do not show (a campaign, a new
    team), and where deals are created in rare, large batches.

    References
    ----------
    J. D. Kalbfleisch and J. F. Lawless, "Inference based on retrospective ascertainment", Journal
    of the American Statistical Association 84 (1989), doi:10.1080/01621459.1989.10478780.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(2000, rng=1).history
    >>> fitted = Arrivals().fit(history)
    >>> today = history.observed_until
    >>> len(fitted.rates(today + 1, today + 92)), fitted.stopped
    (91, False)
    >>> cohorts = fitted.cohorts(today, today + 92)
    >>> len(cohorts), len(cohorts[0].pipeline)
    (13, 173)
    """

    prototypes: int = attrs.field(default=500, kw_only=True, validator=_whole)
    recent_days: int = attrs.field(default=91, kw_only=True, validator=_whole)
    half_lives: tuple[float, ...] = attrs.field(
        default=(14.0, 28.0, 56.0, 112.0, 224.0),
        kw_only=True,
        converter=_as_tuple,
        validator=_positive_days,
    )
    calendar: Calendar = attrs.field(factory=Calendar, kw_only=True, validator=_calendar)

    def fit(
        self, source: History | HistorySource, /, *, executor: Executor | None = None
    ) -> FittedArrivals:
        """Count the new deals of a history and estimate their rate.

        Raises
        ------
        InsufficientDataError
            When fewer than 10 deals were created while the log was kept.
        """
        return self.estimate(summarize(source, self.summarize, executor=executor))

    def summarize(self, history: History, /) -> ArrivalSummary:
        """Count the new deals of a chunk by day and delay, and sample the latest."""
        return next(self.summaries(history, (history.observed_until,)))

    def summaries(self, history: History, days: Sequence[int], /) -> Iterator[ArrivalSummary]:
        """Yield the summary of ``history.until(day)`` for each of many days, ascending."""
        return arrivals_until(history, days, size=self.prototypes, recent_days=self.recent_days)

    def estimate(self, summary: ArrivalSummary, /) -> FittedArrivals:
        """Estimate the rate from the summary of all deals.

        Raises
        ------
        InsufficientDataError
            When fewer than 10 deals were created while the log was kept.
        """
        counts = summary.counts
        daily = counts.sum(axis=1)
        bulk = bulk_days(daily)
        found = int(daily[~bulk].sum())
        if found < MINIMUM:
            first, last = to_date(summary.observed_from), to_date(summary.observed_until)
            aside = f", {int(bulk.sum()):,} days of bulk imports aside" if bulk.any() else ""
            what = f"the rate of new deals needs deals created from {first} to {last}{aside}"
            remedy = (
                "Give a longer history, or forecast without arrivals, from the deals that exist."
            )
            raise InsufficientDataError(what, needed=MINIMUM, found=found, remedy=remedy)
        shares = recorded_shares(counts)
        recorded = np.ones(len(daily))
        width = min(len(daily), len(shares))
        recorded[len(daily) - width :] = shares[:width][::-1]
        fit = fit_rates(
            daily,
            recorded,
            until=summary.observed_until,
            half_lives=self.half_lives,
            calendar=self.calendar,
        )
        usual = ~bulk[summary.born - summary.observed_from]
        usual = usual if usual.any() else ~usual
        recent = int(np.count_nonzero(usual & (summary.rank == 0)))
        deals = summary.deals.select(np.flatnonzero(usual)[: max(recent, FEW)])
        fitted = FittedArrivals(
            trained_until=summary.observed_until,
            model=fit.rates,
            recorded=shares,
            prototypes=deals,
            dispersion=fit.dispersion,
            uncertainty=fit.uncertainty,
            stopped=fit.stopped,
            notes=fit.notes,
        )
        return attrs.evolve(fitted, notes=(*fit.notes, *_late(fitted, summary.left_out)))


def _late(fitted: FittedArrivals, left_out: int) -> tuple[str, ...]:
    """Say how many deals are recorded late."""
    said = []
    missing = fitted.unrecorded(fitted.trained_until)
    if missing >= 0.5:
        said.append(
            f"about {missing:,.0f} deals have been created and are not recorded yet (within a week "
            f"{fitted.recorded[7]:.0%} are); they count as new"
        )
    if left_out:
        said.append(
            f"{left_out:,} deals were first seen more than {LATEST} days after their creation and "
            "do not count as arrivals"
        )
    return tuple(said)


def _moved(prototypes: Pipeline, day: int) -> Pipeline:
    """Return prototypes as deals created on `day`."""
    dates = {column.name for column in prototypes.schema.columns if column.kind == "date"}
    columns = {
        name: shifted(values, day) if name in dates else values
        for name, values in prototypes.columns.items()
    }
    names = ("created", "stage_entered", "closed_on", "first_seen")
    days: dict[str, Any] = {name: shifted(getattr(prototypes, name), day) for name in names}
    return attrs.evolve(prototypes, as_of=day, columns=columns, **days)
