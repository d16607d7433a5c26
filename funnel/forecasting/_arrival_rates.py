"""The rate of new deals on each calendar day, estimated from daily counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs
import numpy as np

from funnel.calendars import Calendar, to_date
from funnel.kernels import arrivals as kernel
from funnel.kernels.arrays import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.calendars import Unit
    from funnel.typing import FloatArray, IntArray

__all__ = ["RateFit", "Rates", "fit_rates"]

MONTH_END, QUARTER_END = 3, 10  # last days of a period on which more deals may be created
WEEK, QUARTER, HALF_YEAR, YEAR = 7, 91, 182, 365
DAMPING = 365.0  # days after which growth fades
MONTH_AHEAD = 4  # weeks for which a season has to forecast better than none
TREND_QUARTERS = 12


def _months(days: IntArray) -> IntArray:
    """(d,) -> (d,): month of the year, 0 for January."""
    return np.asarray(days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12)


def _left(calendar: Calendar, days: IntArray, unit: Unit) -> IntArray:
    """(d,) -> (d,): days that are left in the period of each day, itself included."""
    count = int(days[-1] - days[0]) // 28 + 2
    edges = calendar.periods(np.datetime64(int(days[0]), "D"), count, unit)
    edges = edges.astype("datetime64[D]").astype(np.int64)
    return np.asarray(edges[np.searchsorted(edges, days, side="right")] - days)


@attrs.frozen(eq=False)
class Rates:
    """Expected new deals on each calendar day: a level times patterns, each 1 where it has none.

    Parameters
    ----------
    until : int
        Last day of the counts.
    level : float
        Deals a day at the end of `until`.
    weekday : (7,) float64
        Factors, Monday first, with mean 1.
    month_end, quarter_end : float
        Factors of the last 3 days of a month and of the last 10 of a quarter.
    season : (12,) float64
        Factors of the calendar months, with mean 1.
    growth : float
        Growth of the logarithm of the rate per day; it fades with a time constant of a year.
    calendar : Calendar
        Says when months and quarters end.
    """

    until: int
    level: float
    weekday: FloatArray = attrs.field(converter=frozen)
    month_end: float
    quarter_end: float
    season: FloatArray = attrs.field(converter=frozen)
    growth: float
    calendar: Calendar

    def relative(self, days: IntArray) -> FloatArray:
        """(d,) consecutive days -> (d,): the rate relative to `level`."""
        if not len(days):
            return np.zeros(0)
        month_end = _left(self.calendar, days, "month") <= MONTH_END
        quarter_end = _left(self.calendar, days, "quarter") <= QUARTER_END
        ahead = days - float(self.until)
        years = np.where(
            ahead > 0, DAMPING * -np.expm1(-np.maximum(ahead, 0.0) / DAMPING), np.minimum(ahead, 0)
        )
        found: FloatArray = (
            self.weekday[(days + 3) % 7]  # 1970-01-01 was a Thursday
            * np.where(month_end, self.month_end, 1.0)
            * np.where(quarter_end, self.quarter_end, 1.0)
            * self.season[_months(days)]
            * np.exp(self.growth * years)
        )
        return found

    def between(self, start: int, end: int) -> FloatArray:
        """Return the expected deals of the days ``start .. end - 1``."""
        return self.level * self.relative(np.arange(start, end))


class RateFit(NamedTuple):
    """Rates with what is known about them; `uncertainty` is relative, as `dispersion` is."""

    rates: Rates
    dispersion: float
    uncertainty: float
    stopped: bool
    notes: tuple[str, ...]


def _marks(rates: Rates, y: FloatArray, x: FloatArray, days: IntArray, spread: float) -> Rates:
    """Add the effects of the ends of months and quarters, where there are enough of them.

    The ends of months are judged away from those of quarters, which may have their own effect.
    """
    quarter_end = _left(rates.calendar, days, "quarter") <= QUARTER_END
    if len(days) >= HALF_YEAR:
        some = ~quarter_end
        marked = _left(rates.calendar, days, "month")[some] <= MONTH_END
        due = x * rates.relative(days)
        effect = kernel.marked_effect(y[some], due[some], marked, spread)
        rates = attrs.evolve(rates, month_end=float(np.exp(effect)))
    if len(days) >= YEAR:
        effect = kernel.marked_effect(y, x * rates.relative(days), quarter_end, spread)
        rates = attrs.evolve(rates, quarter_end=float(np.exp(effect)))
    return rates


def _miss(y: FloatArray, x: FloatArray, half_lives: FloatArray, weeks: slice) -> float:
    """Return the squared error of root counts, forecast a month ahead, over some weeks."""
    now, exposed = kernel.blocks(y, WEEK), kernel.blocks(x, WEEK)
    level = kernel.level_weights(exposed, half_lives, MONTH_AHEAD)[:-1] @ now
    error = np.sqrt(now) - np.sqrt(exposed * level)
    return float(np.sum(error[weeks] ** 2))


def _season(
    rates: Rates, y: FloatArray, x: FloatArray, days: IntArray, half_lives: FloatArray
) -> Rates:
    """Add a yearly season where it has forecast each year better, from the years before, than none.

    Needs two years.
    """
    month, plain = _months(days), x * rates.relative(days)
    spread = kernel.local_dispersion(kernel.blocks(y, WEEK), kernel.blocks(plain, WEEK))
    gain, years = 0.0, len(days) // YEAR
    for left in range(years - 1, 0, -1):
        cut = len(days) - left * YEAR
        season = kernel.monthly_factors(y[:cut], plain[:cut], month[:cut], spread)
        last = len(days) // WEEK - (left - 1) * 52
        weeks = slice(max(last - 52, 0), last)
        gain += _miss(y, plain, half_lives, weeks)
        gain -= _miss(y, plain * season[month], half_lives, weeks)
    if gain <= 0.0:
        return rates
    return attrs.evolve(rates, season=kernel.monthly_factors(y, plain, month, spread))


def _growth(rates: Rates, y: FloatArray, x: FloatArray, days: IntArray) -> Rates:
    """Add the trend of the last three years, where there are two."""
    if len(days) < 2 * YEAR:
        return rates
    seen = kernel.blocks(y, QUARTER)[-TREND_QUARTERS:]
    due = kernel.blocks(x * rates.relative(days), QUARTER)[-TREND_QUARTERS:]
    return attrs.evolve(rates, growth=kernel.log_slope(seen, due) / QUARTER)


def _notes(rates: Rates, y: IntArray, days: IntArray, bulk: IntArray, stop: int) -> tuple[str, ...]:
    """Say what was left out, what was found, and that arrivals stopped."""
    said = []
    if len(bulk):
        some = ", ".join(str(to_date(int(days[day]))) for day in bulk[:3].tolist())
        said.append(
            f"{len(bulk):,} days ({some}) brought {int(y[bulk].sum()):,} deals at once, as an "
            "import does; they do not count as arrivals"
        )
    if stop:
        said.append(
            f"arrivals have stopped: {int(y[-stop:].sum()):,} deals were created in the last "
            f"{stop:,} days, where many were due; new deals are forecast at that rate"
        )
    if np.any(rates.season != 1.0):
        said.append("new deals follow a yearly season, which forecast past years better than none")
    if rates.growth:
        said.append(f"new deals grow by {np.expm1(YEAR * rates.growth):+.0%} a year, fading")
    return tuple(said)


def fit_rates(
    y: IntArray,
    recorded: FloatArray,
    *,
    until: int,
    half_lives: Sequence[float],
    calendar: Calendar,
) -> RateFit:
    """Fit rates to the deals created on each of the days that end with `until`.

    Parameters
    ----------
    y : (d,) int
        Deals created on each day and recorded so far.
    recorded : (d,) float64
        Share of the deals of each day that is expected to be recorded by now.
    until : int
        The last day.
    half_lives : sequence of float
        Half-lives of the level, in days.
    calendar : Calendar
        Ends of months and quarters.
    """
    days = np.arange(until - len(y) + 1, until + 1)
    bulk = kernel.bulk_days(y)
    seen = np.where(bulk, 0, y).astype(np.float64)
    x = np.where(bulk, 0.0, recorded)
    weekday = kernel.weekday_factors(seen, x, (days + 3) % 7)
    rates = Rates(until, 1.0, weekday, 1.0, 1.0, np.ones(12), 0.0, calendar)
    spread = _local(rates, seen, x, days)
    rates = _marks(rates, seen, x, days, spread)
    halves = np.array(half_lives) / WEEK
    rates = _season(rates, seen, x, days, halves)
    rates = _growth(rates, seen, x, days)
    exposed = x * rates.relative(days)
    stop = kernel.stopped_days(seen, exposed, _local(rates, seen, x, days))
    level, dispersion, uncertainty = _level(seen, exposed, halves, stop)
    rates = attrs.evolve(rates, level=level)
    notes = _notes(rates, y, days, np.flatnonzero(bulk), stop)
    return RateFit(rates, dispersion, uncertainty, stop > 0, notes)


def _local(rates: Rates, y: FloatArray, x: FloatArray, days: IntArray) -> float:
    """Spread of the rate from week to week."""
    due = x * rates.relative(days)
    return kernel.local_dispersion(kernel.blocks(y, WEEK), kernel.blocks(due, WEEK))


def _level(
    y: FloatArray, x: FloatArray, half_lives: FloatArray, stop: int
) -> tuple[float, float, float]:
    """Level at the end, dispersion of what is to come, relative variance of the level."""
    now, exposed = kernel.blocks(y, WEEK), kernel.blocks(x, WEEK)
    if not exposed.sum():  # less than a week
        now, exposed = y.sum(keepdims=True), x.sum(keepdims=True)
    weights = kernel.level_weights(exposed, half_lives)
    usual = len(now) - (stop + WEEK - 1) // WEEK
    burn_in = min(4, usual)
    spread = kernel.dispersion(now[:usual], exposed[:usual], weights[: usual + 1, :usual], burn_in)
    if stop:
        level = float(y[-stop:].sum() / x[-stop:].sum())
        return level, spread, 0.0
    level = float(weights[-1] @ now)
    noise = float(weights[-1] ** 2 @ (level * exposed + spread * (level * exposed) ** 2))
    return level, spread, noise / level**2 if level > 0.0 else 0.0
