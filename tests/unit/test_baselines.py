"""Run rate, last period and same period last year against sums done by hand."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import funnel as fn
from funnel.calendars import to_date, to_day
from funnel.errors import (
    CurrencyMismatchError,
    InsufficientDataError,
    LeakError,
    UnknownColumnError,
    ValidationError,
)
from funnel.forecasting import FittedForecaster, Forecaster
from funnel.forecasting.baselines import LastPeriod, RunRate, Seasonal

LADDER = fn.Funnel(["Qualify"])
LAST = to_day("2026-06-30")
BASELINES = (RunRate(), LastPeriod(), Seasonal())


def won(days, amounts, until=LAST, first=None, **columns):
    """Build a history of deals won on these days, with one deal that stays open."""
    days = np.asarray(days)
    n = len(days)
    first = int(days.min()) if first is None else first
    ids = [f"D{i:05d}" for i in range(n)]
    return fn.History.from_columns(
        funnel=LADDER,
        id=[*ids, "open"],
        stage=["Won"] * n + ["Qualify"],
        at=np.append(days, first).astype("datetime64[D]"),
        amount=np.append(np.broadcast_to(amounts, n), 7.0),
        observed_from=to_date(first),
        observed_until=to_date(until),
        **{name: [*values, values[0]] for name, values in columns.items()},
    )


def daily(length, amount=10.0, **columns):
    """One deal of 10 won on each of the last days."""
    return won(np.arange(LAST + 1 - length, LAST + 1), amount, **columns)


def forecast(baseline, history, horizon, **options):
    """Fit and forecast at the end of the history."""
    return baseline.fit(history).forecast(history.snapshot(), horizon, **options)


# --- run rate ------------------------------------------------------------------------------------


def test_run_rate_carries_money_per_day_forward():
    """10 a day: 310 in July, 310 in August, 300 in September."""
    found = RunRate().fit(daily(400)).moments(fn.Horizon.months("2026-07-01", 3), LAST)
    assert [[pytest.approx(310.0), pytest.approx(310.0), pytest.approx(300.0)]] == (
        found.mean.tolist()
    )
    assert ((),) == found.keys


def test_run_rate_looks_at_the_length_of_the_period_or_90_days():
    """900 won 95 days ago: a quarter (92 days) and 90 days do not see it, half a year does."""
    history = won([LAST - 300, LAST - 95], [0.0, 900.0])
    fitted = RunRate().fit(history)
    assert 0.0 == fitted.moments(fn.Horizon.quarters("2026-07-01", 1), LAST).mean[0, 0]
    half_year = fitted.moments(fn.Horizon.days("2026-07-01", 180), LAST)
    assert pytest.approx(900.0) == half_year.mean[0, 0]
    days = RunRate(days=100).fit(history).moments(fn.Horizon.days("2026-07-01", 30), LAST)
    assert pytest.approx(270.0) == days.mean[0, 0]


def test_run_rate_of_a_short_history_uses_what_is_there():
    """30 days of 10 a day are 10 a day."""
    found = RunRate().fit(daily(30)).moments(fn.Horizon.days("2026-07-01", 5), LAST)
    assert pytest.approx(50.0) == found.mean[0, 0]


def test_variance_without_errors_is_the_prior():
    """10 a day on 360 days, 30 days ahead from 90: nine past windows without error.

    The prior is 100 * 30 for what comes and 100 * 90 / 9 for the rate: 4,000, worth two windows.
    """
    found = RunRate().fit(daily(360)).moments(fn.Horizon.days("2026-07-01", 30), LAST)
    assert pytest.approx(2.0 * 4000.0 / (9.0 + 2.0)) == found.variance[0, 0]


def test_variance_is_the_mean_squared_error_of_past_windows():
    """Ten days ahead, rate of the last ten days, 30 days of 0, 0 and 100: two past windows.

    Errors 100 and 0; squares 10,000 / 30 a day give a prior of 10 * 333.3 * 2; both are worth two.
    """
    history = won([LAST - 5], 100.0, first=LAST - 29)
    found = RunRate(days=10).fit(history).moments(fn.Horizon.days("2026-07-01", 10), LAST)
    assert pytest.approx(100.0) == found.mean[0, 0]
    prior = 10_000 / 30 * 10 * 2
    assert pytest.approx((100.0**2 + 0.0 + 2.0 * prior) / 4.0) == found.variance[0, 0]


def test_past_windows_keep_the_distance():
    """A period that begins 20 days ahead is judged by forecasts made 20 days ahead.

    Of 50 days two forecasts can be judged: the latest window had 100 where 0 was forecast, the one
    before had nothing. Squares of 10,000 / 50 a day give a prior of 10 * 200 * 2, worth two.
    """
    history = won([LAST - 5], 100.0, first=LAST - 49)
    horizon = fn.Horizon([LAST + 21, LAST + 31], labels=("later",))
    found = RunRate(days=10).fit(history).moments(horizon, LAST)
    assert pytest.approx((100.0**2 + 0.0 + 2.0 * 4000.0) / 4.0) == found.variance[0, 0]


def test_spread_holds_for_deals_that_are_won_at_random():
    """200 worlds of independent deals: mean squared error of the forecast is the mean variance.

    30 days ahead from 90 days at one deal of 10 a day: variance 100 * (30 + 10) = 4,000; the ratio
    of 200 squared errors to it is 1 with standard error about 0.1.
    """
    rng = np.random.default_rng(5)
    ratio = []
    for _ in range(200):
        counts = rng.poisson(1.0, 510)
        days = LAST - 479 + np.repeat(np.arange(510), counts)
        past = days <= LAST
        history = won(days[past], 10.0, first=LAST - 479)
        found = RunRate().fit(history).moments(fn.Horizon.days("2026-07-01", 30), LAST)
        error = 10.0 * np.count_nonzero(~past) - found.mean[0, 0]
        ratio.append((error**2 / 4000.0, found.variance[0, 0] / 4000.0))
    squared, claimed = np.mean(ratio, axis=0)
    assert abs(squared - 1.0) <= 3.0 * np.sqrt(2.0 / 200)
    assert pytest.approx(1.0, abs=0.15) == claimed


# --- last period ---------------------------------------------------------------------------------


def test_last_period_is_the_one_before():
    """Third quarter of 92 days: the bookings of the 92 days before; the fourth looks there too."""
    history = won([LAST - 92, LAST - 91, LAST], [1.0, 10.0, 100.0])
    found = LastPeriod().fit(history).moments(fn.Horizon.quarters("2026-07-01", 2), LAST)
    assert [[110.0, 110.0]] == found.mean.tolist()


def test_last_period_of_a_period_that_has_begun():
    """Ten days are left of 30: the last ten of the 30 days before; booked money comes on top."""
    history = won([LAST - 29, LAST - 25, LAST - 3], [5.0, 50.0, 500.0], first=LAST - 100)
    horizon = fn.Horizon.days(to_date(LAST - 19), 30)
    fitted = LastPeriod().fit(history)
    assert [[55.0]] == fitted.moments(horizon, LAST).mean.tolist()
    outlook = fitted.forecast(history.snapshot(), horizon)
    assert ([500.0], [pytest.approx(555.0)]) == (
        outlook.parts["booked"].expected.tolist(),
        outlook.expected.tolist(),
    )


def test_last_period_of_a_period_far_ahead():
    """Ten days that begin in 25 days: four periods back, the first that is complete today."""
    history = won([LAST - 4, LAST - 9], [7.0, 70.0], first=LAST - 100)
    horizon = fn.Horizon([LAST + 26, LAST + 36], labels=("later",))
    found = LastPeriod().fit(history).moments(horizon, LAST)
    assert [[70.0]] == found.mean.tolist()  # booked on the days LAST - 14 ... LAST - 5


# --- seasonal ------------------------------------------------------------------------------------


def test_seasonal_is_the_same_dates_last_year():
    """July is last July, whatever else was booked; without two years there is no growth."""
    days = [to_day(day) for day in ("2025-06-30", "2025-07-01", "2025-07-31", "2025-08-01")]
    history = won(days, [1.0, 10.0, 100.0, 1000.0], first=LAST - 400)
    found = Seasonal().fit(history).moments(fn.Horizon.months("2026-07-01", 2), LAST)
    assert [[110.0, 1000.0]] == found.mean.tolist()


def test_seasonal_across_a_leap_year_and_two_years():
    """29 February stands for 1 March of a year without; a second year ahead looks back two."""
    days = [to_day(day) for day in ("2023-03-01", "2023-02-28", "2022-06-01")]
    history = won(days, [10.0, 100.0, 1.0], first=to_day("2022-06-01"), until=to_day("2023-12-31"))
    horizon = fn.Horizon(
        [to_day(day) for day in ("2024-02-28", "2024-02-29", "2024-03-02")], labels=("28", "29, 1")
    )
    fitted = Seasonal().fit(history)
    assert [[100.0, 10.0]] == fitted.moments(horizon, fitted.trained_until).mean.tolist()
    late = fn.Horizon.months("2025-02-01", 2)
    assert [[100.0, 10.0]] == fitted.moments(late, fitted.trained_until).mean.tolist()


def test_seasonal_growth_is_shrunk():
    """Bookings double from year to year, 365 deals of 1 and of 2: log 2 less 4 variances / log 2.

    Var(log R) = 365 / 365**2 + 365 * 4 / 730**2 = 2 / 365.
    """
    days = np.arange(LAST + 1 - 730, LAST + 1)
    history = won(days, np.repeat([1.0, 2.0], 365))
    found = Seasonal().fit(history).moments(fn.Horizon.days("2026-07-01", 30), LAST).mean[0, 0]
    growth = np.exp(np.log(2.0) * (1.0 - 4.0 * (2.0 / 365.0) / np.log(2.0) ** 2))
    assert pytest.approx(60.0 * growth) == found


def test_seasonal_growth_that_may_be_chance_or_is_unknown_is_none():
    """Two deals against one are no growth; nor is anything against nothing."""
    few = won([LAST - 500, LAST - 340, LAST - 100], 10.0, first=LAST - 800)
    assert 10.0 == _july(few)
    from_nothing = won([LAST - 340], 10.0, first=LAST - 800)
    assert 10.0 == _july(from_nothing)


def _july(history):
    """Seasonal forecast of the days around 340 days ago, a year on."""
    horizon = fn.Horizon([LAST + 1, LAST + 60], labels=("soon",))
    return Seasonal().fit(history).moments(horizon, LAST).mean[0, 0]


def test_too_short_histories_say_what_is_needed():
    """A year for seasonal, a period for the last period: needed and found in days."""
    history = daily(80)
    quarter = fn.Horizon.quarters("2026-07-01", 1)
    with pytest.raises(InsufficientDataError, match=r"from 2026-03-31 on .*92 needed, 80 found"):
        LastPeriod().fit(history).moments(quarter, LAST)
    with pytest.raises(
        InsufficientDataError, match=r"'seasonal' looks at bookings from 2025-07-01"
    ):
        Seasonal().fit(history).moments(quarter, LAST)


# --- all three -----------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: b.name)
def test_forecasts_have_these_moments(baseline):
    """Expected and standard deviation are those of `moments`; the result names its maker."""
    rng = np.random.default_rng(1)
    days = np.sort(rng.integers(LAST - 1200, LAST + 1, 900))
    history = won(days, rng.lognormal(3.0, 1.0, 900))
    horizon = fn.Horizon.quarters("2026-07-01", 2)
    fitted = baseline.fit(history)
    outlook, moments = fitted.forecast(history.snapshot(), horizon), fitted.moments(horizon, LAST)
    assert pytest.approx(moments.mean[0]) == outlook.expected
    assert pytest.approx(np.sqrt(moments.variance[0])) == outlook.sd
    assert baseline.name == outlook.model
    assert isinstance(baseline, Forecaster)
    assert isinstance(fitted, FittedForecaster)
    assert fitted.trained_until == LAST


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda b: b.name)
def test_groups_add_up(baseline):
    """Means and booked money of the groups are those of the whole; a new group has 0."""
    rng = np.random.default_rng(2)
    days = np.sort(rng.integers(LAST - 1200, LAST + 1, 900))
    region = rng.choice(["North", "South"], 900)
    history = won(days, rng.lognormal(3.0, 1.0, 900), region=region.tolist())
    horizon = fn.Horizon.quarters("2026-06-01", 2)  # the first one is over today
    whole = forecast(baseline, history, horizon)
    split = forecast(baseline, history, horizon, by="region")
    assert (("North",), ("South",)) == split.keys
    assert pytest.approx(whole.expected) == split.expected
    total = split.group("North").expected + split.group("South").expected
    assert pytest.approx(whole.expected) == total
    booked = fn.outcomes(history).booked(int(horizon.edges[0]), int(horizon.edges[1]))
    assert pytest.approx(booked) == whole.expected[0]
    assert 0.0 == whole.sd[0]


def test_groups_of_open_deals_are_there_as_well():
    """A region that never won anything, and one that is known to the history only."""
    history = won([LAST - 10, LAST - 5], 10.0, first=LAST - 100, region=["North", "South"])
    pipeline = fn.Pipeline.from_columns(
        funnel=LADDER,
        as_of="2026-06-30",
        id=["A"],
        stage=["Qualify"],
        amount=[5.0],
        region=["East"],
    )
    outlook = (
        RunRate().fit(history).forecast(pipeline, fn.Horizon.days("2026-07-01", 10), by=("region",))
    )
    assert (("East",), ("North",), ("South",)) == outlook.keys
    assert [0.0] == outlook.group("East").expected.tolist()
    with pytest.raises(UnknownColumnError):
        RunRate().fit(history).moments(fn.Horizon.days("2026-07-01", 10), LAST, by=("owner",))


def test_unknown_amounts_count_as_the_mean():
    """10, 20 and an unknown one: 45 in all, and a note."""
    history = won([LAST - 2, LAST - 1, LAST], [10.0, 20.0, np.nan], first=LAST - 89)
    horizon = fn.Horizon([LAST - 2, LAST + 1, LAST + 31], labels=("past", "next"))
    outlook = forecast(RunRate(), history, horizon)
    assert [pytest.approx(45.0), pytest.approx(15.0)] == outlook.expected.tolist()
    assert ("1 won deals have no amount; each counts as the mean (15)",) == outlook.notes
    assert () == forecast(RunRate(), daily(100), horizon).notes


def test_no_bookings_are_an_error_not_zero():
    """Nothing won, or nothing of known amount."""
    with pytest.raises(InsufficientDataError, match="'run-rate' needs won deals of known amount"):
        RunRate().fit(won([LAST], np.nan))


def test_currencies_are_not_added_up():
    """Neither in the history nor between it and the pipeline."""
    with pytest.raises(CurrencyMismatchError):
        RunRate().fit(won([LAST - 1, LAST], 1.0, currency=["EUR", "USD"]))
    euro, dollar = (won([LAST - 1], 1.0, currency=[name]) for name in ("EUR", "USD"))
    fitted, horizon = RunRate().fit(euro), fn.Horizon.days("2026-07-01", 10)
    with pytest.raises(CurrencyMismatchError, match="'EUR', 'USD'"):
        fitted.forecast(dollar.snapshot(), horizon)
    assert "EUR" == fitted.forecast(euro.snapshot(), horizon).currency


def test_the_past_may_not_be_forecast():
    """What was booked later would be known."""
    with pytest.raises(LeakError, match="bookings are known until 2026-06-30"):
        RunRate().fit(daily(100)).moments(fn.Horizon.days("2026-07-01", 10), LAST - 1)


def test_a_later_day_forecasts_what_is_left():
    """Ten days later, of 30 days 20 are left: 200 at 10 a day."""
    found = RunRate().fit(daily(100)).moments(fn.Horizon.days("2026-07-01", 30), LAST + 10)
    assert pytest.approx(200.0) == found.mean[0, 0]


def test_any_split_gives_the_same_moments():
    """Chunks in any order and in threads: bit-identical."""
    history = fn.datasets.simulate(1500, rng=3).history
    horizon = fn.Horizon.quarters("2026-07-01", 2)
    chunks = list(history.chunks(200))[::-1]
    for baseline in BASELINES:
        with ThreadPoolExecutor(2) as executor:
            fits = (
                baseline.fit(history),
                baseline.fit(chunks),
                baseline.fit(chunks, executor=executor),
            )
        whole, *others = (
            fitted.moments(horizon, history.observed_until, by=("owner",)) for fitted in fits
        )
        for other in others:
            assert whole.keys == other.keys
            assert np.array_equal(whole.mean, other.mean)
            assert np.array_equal(whole.variance, other.variance)


def test_chunks_of_other_windows_do_not_merge():
    """Rates would be of different days."""
    with pytest.raises(ValidationError, match="one observed_from and one observed_until"):
        RunRate().fit([daily(100), daily(90)])


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "90"])
def test_odd_days(value):
    """Days are whole numbers from 1, or None."""
    with pytest.raises(ValidationError, match="days must be a whole number"):
        RunRate(days=value)
