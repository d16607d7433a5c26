"""Deals not yet created: rates against closed forms and known truth, cohorts, prototypes."""

import functools
from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.calendars import to_date, to_day
from funnel.datasets import World, simulate
from funnel.datasets._rates import arrival_weights
from funnel.errors import InsufficientDataError, LeakError, ValidationError
from funnel.forecasting.arrivals import Arrivals
from funnel.kernels import arrivals as kernel
from funnel.models.win_rate import WinRate
from funnel.typing import NO_DAY

LADDER = fn.Funnel(["Qualify", "Propose"])
START = to_day("2023-01-02")  # a Monday


def log(counts, delays=None, until=None, **columns):
    """Build a history of one row per deal: `counts[t]` deals created on day t, in `Qualify`."""
    born = START + np.repeat(np.arange(len(counts)), counts)
    at = born if delays is None else born + delays
    last = START + len(counts) - 1 if until is None else until
    seen = at <= last
    ids = np.array([f"D{i:06d}" for i in range(len(born))], dtype=object)
    return fn.History.from_columns(
        funnel=LADDER,
        id=ids[seen],
        stage=np.full(int(seen.sum()), "Qualify", dtype=object),
        at=at[seen].astype("datetime64[D]"),
        created=born[seen].astype("datetime64[D]"),
        observed_from=to_date(START),
        observed_until=to_date(last),
        **{name: np.asarray(values)[seen] for name, values in columns.items()},
    )


def poisson(rates, seed=1):
    """Counts with these means."""
    return np.random.default_rng(seed).poisson(rates)


# --- rates ---------------------------------------------------------------------------------------


def test_the_rate_of_a_regular_log_is_exact():
    """Three deals a day, every day: 3, whatever the half-lives; nothing else is found."""
    fitted = Arrivals().fit(log(np.full(1000, 3)))
    days = fitted.rates(START + 1000, START + 1100)
    assert pytest.approx(np.full(100, 3.0), rel=1e-9) == days
    assert (0.0, False, ()) == (fitted.dispersion, fitted.stopped, fitted.notes)


def test_the_level_is_unbiased_and_its_variance_is_known():
    """200 Poisson worlds of 5 a day: mean within 3 standard errors, variance as `uncertainty`."""
    x = np.full(60, 7.0)
    weights = kernel.level_weights(x, np.array([2.0, 4.0, 8.0]))[-1]
    levels = poisson(np.full((200, 60), 35.0)) @ weights
    variance = 5.0 * weights**2 @ x  # a sum of independent Poisson counts
    assert abs(levels.mean() - 5.0) <= 3.0 * np.sqrt(variance / 200)
    assert pytest.approx(1.0, abs=3.0 * np.sqrt(2.0 / 199)) == levels.var(ddof=1) / variance
    fitted = Arrivals(half_lives=(14, 28, 56)).fit(log(poisson(np.full(420, 5.0))))
    assert pytest.approx(variance / 25.0, rel=0.3) == fitted.uncertainty
    assert abs(fitted.model.level - 5.0) <= 3.0 * 5.0 * np.sqrt(fitted.uncertainty)


def test_level_weights_by_hand():
    """Half-life 1: weights 1, 1/2, 1/4 over their sum 7/4; no past gives no level."""
    found = kernel.level_weights(np.ones(3), np.array([1.0]))
    assert [[0, 0, 0], [1, 0, 0], [1 / 3, 2 / 3, 0], [1 / 7, 2 / 7, 4 / 7]] == [
        pytest.approx(row) for row in found.tolist()
    ]
    ahead = kernel.level_weights(np.ones(3), np.array([1.0]), lead=2)
    assert [[0, 0, 0], [0, 0, 0], [1, 0, 0]] == ahead[:3].tolist()


def test_weekday_pattern():
    """A tenth of the deals at weekends: each factor within 3 standard errors of the truth."""
    truth = np.array([1.3, 1.3, 1.3, 1.3, 1.3, 0.25, 0.25])
    fitted = Arrivals().fit(log(poisson(4.0 * np.tile(truth, 80))))
    expected = 4.0 * truth * 80
    assert np.all(np.abs(fitted.model.weekday - truth) <= 3.0 * truth / np.sqrt(expected))
    assert pytest.approx(1.0) == fitted.model.weekday.mean()


def test_ends_of_months_and_quarters():
    """Twice as many deals on the last 3 days of a month: found; ends of quarters: nothing there."""
    days = np.arange(START, START + 1095)
    month = days.astype("datetime64[D]").astype("datetime64[M]")
    left = (month + 1).astype("datetime64[D]").astype(np.int64) - days
    fitted = Arrivals().fit(log(poisson(np.where(left <= 3, 10.0, 5.0), seed=3)))
    error = 2.0 * np.sqrt(1 / 720 + 1 / 4200)  # deals on 72 and 903 days
    assert abs(fitted.model.month_end - 2.0) <= 4.0 * error  # a little is shrunk away
    assert 1.0 == fitted.model.quarter_end
    short = Arrivals().fit(log(poisson(np.where(left <= 3, 10.0, 5.0), seed=3)[:180]))
    assert (1.0, 1.0) == (short.model.month_end, short.model.quarter_end)


def test_fiscal_quarters():
    """With quarters that end in January, April ... the effect is looked for there."""
    calendar = fn.Calendar(fiscal_year_start=2)
    days = np.arange(START, START + 1095)
    month = (days.astype("datetime64[D]").astype("datetime64[M]")).astype(np.int64)
    end = (month - 1) // 3 * 3 + 4
    left = end.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - days
    history = log(poisson(np.where(left <= 10, 12.0, 6.0)))
    assert Arrivals(calendar=calendar).fit(history).model.quarter_end > 1.7
    assert Arrivals().fit(history).model.quarter_end < 1.2


def test_a_yearly_season_needs_two_years_and_a_better_forecast():
    """A strong season over three years is found and said; one year, or none, gives none."""
    days = np.arange(1095)
    wave = np.exp(0.6 * np.sin(2.0 * np.pi * days / 365.25))
    counts = poisson(8.0 * wave)
    fitted = Arrivals().fit(log(counts))
    peak = fitted.model.season[[2, 3]].mean() / fitted.model.season[[8, 9]].mean()
    assert pytest.approx(np.exp(1.2), rel=0.15) == peak  # crest in March and April over trough
    assert any("yearly season" in note for note in fitted.notes)
    assert np.all(Arrivals().fit(log(counts[:700])).model.season == 1.0)
    flat = Arrivals().fit(log(poisson(np.full(1095, 8.0), seed=2)))
    assert pytest.approx(np.ones(12), abs=0.05) == flat.model.season


def test_growth_needs_two_years_and_fades():
    """50 % a year: found within a tenth; it fades, so that ten years hold less than e**(1 year)."""
    counts = poisson(5.0 * 1.5 ** (np.arange(1095) / 365.0))
    fitted = Arrivals().fit(log(counts))
    growth = fitted.model.growth * 365
    assert pytest.approx(np.log(1.5), abs=0.1) == growth
    assert any("grow by" in note for note in fitted.notes)
    last = START + 1094
    far = fitted.rates(last + 3640, last + 3650).sum() / fitted.rates(last + 1, last + 11).sum()
    assert np.exp(growth) * 1.05 > far
    assert 0.0 == Arrivals().fit(log(counts[:700])).model.growth


def test_effects_below_two_standard_errors_are_dropped():
    """The garrote: 3 standard errors keep 1 - 4/9 of the effect, 2 keep nothing."""
    found = kernel.kept(np.array([3.0, 2.0, -3.0, 0.0]), np.ones(4))
    assert pytest.approx([5.0 / 3.0, 0.0, -5.0 / 3.0, 0.0]) == found


def test_simulated_truth():
    """20,000 deals with weekends, months and growth: a quarter ahead within 3 standard errors."""
    simulation = simulate(20_000, rng=5)
    history = simulation.history
    last, first = history.observed_until, history.observed_from
    weights = arrival_weights(simulation.world, np.arange(first, last + 92))
    truth = 20_000 * weights[last + 1 - first :].sum() / weights[: last + 1 - first].sum()
    fitted = Arrivals().fit(history)
    error = np.sqrt(fitted.uncertainty + 0.02**2)  # and the season: about 2,000 deals a month
    assert abs(fitted.rates(last + 1, last + 92).sum() / truth - 1.0) <= 3.0 * error


def test_days_are_additive_and_may_be_none():
    """Two months are the sum of their days; an empty span has no day."""
    fitted = Arrivals().fit(log(poisson(np.full(400, 2.0))))
    last = fitted.trained_until
    whole = fitted.rates(last + 1, last + 61)
    parts = (fitted.rates(last + 1, last + 31), fitted.rates(last + 31, last + 61))
    assert np.array_equal(whole, np.concatenate(parts))
    assert 0 == len(fitted.rates(last + 1, last + 1))


# --- dispersion ----------------------------------------------------------------------------------


def test_overdispersion_is_recovered():
    """A Gamma factor of variance 0.25 for each week: mean of 40 worlds within 3 standard errors."""
    rng = np.random.default_rng(4)
    x = np.full(150, 7.0)
    weights = kernel.level_weights(x, np.array([4.0, 8.0, 16.0]))

    def mean(variance):
        """Mean and standard error of the estimates."""
        shock = rng.gamma(1.0 / variance, variance, size=(40, 150)) if variance else 1.0
        counts = rng.poisson(6.0 * x * shock, size=(40, 150)).astype(np.float64)
        found = np.array([kernel.dispersion(y, x, weights, 4) for y in counts])
        return found.mean(), found.std(ddof=1) / np.sqrt(40)

    value, error = mean(0.25)
    assert abs(value - 0.25) <= 3.0 * error + 0.01  # the square of the level is a little biased
    assert mean(0.0)[0] < 0.005


def test_overdispersion_of_a_log():
    """The fitted one is that of its weeks, and 0 where counts are more regular than Poisson."""
    shock = np.random.default_rng(2).gamma(4.0, 0.25, 300)
    fitted = Arrivals(half_lives=(112, 224)).fit(log(poisson(6.0 * np.repeat(shock, 7))))
    assert pytest.approx(0.25, abs=0.09) == fitted.dispersion  # 3 * 0.25 * sqrt(~4 / 300)
    assert kernel.local_dispersion(np.zeros(5), np.zeros(5)) == 0.0
    assert kernel.dispersion(np.zeros(5), np.ones(5), np.zeros((6, 5)), 1) == 0.0


def test_local_dispersion_does_not_count_trends():
    """Counts that double over the weeks without noise have none; alternating ones have 1/9.

    100, 200, 100 ...: differences of 100 squared less 300, over twice 150 squared, is 0.2156.
    """
    weeks = np.full(100, 7.0)
    assert 0.0 == kernel.local_dispersion(np.linspace(100, 200, 100), weeks)
    zigzag = np.tile([100.0, 200.0], 50)
    assert pytest.approx((100**2 - 300) / (2 * 150**2)) == kernel.local_dispersion(zigzag, weeks)


# --- arrivals that stop --------------------------------------------------------------------------


def test_stopped_arrivals_are_noticed_and_said():
    """Five a day for 200 days, then none for 30: stopped, rate 0, no cohorts, and a note."""
    history = log(np.append(poisson(np.full(200, 5.0)), np.zeros(30, dtype=int)))
    fitted = Arrivals().fit(history)
    assert fitted.stopped
    assert "arrivals have stopped: 0 deals were created in the last" in fitted.notes[0]
    last = fitted.trained_until
    assert 0.0 == fitted.rates(last + 1, last + 31).sum()
    assert () == fitted.cohorts(last, last + 31)
    assert not Arrivals().fit(history.until(to_date(START + 199))).stopped


def test_a_trickle_after_the_stop_goes_on():
    """One deal in the 40 days since: about that rate is forecast."""
    counts = np.append(poisson(np.full(200, 5.0)), np.eye(1, 40, 20, dtype=int)[0])
    fitted = Arrivals().fit(log(counts))
    assert fitted.stopped
    assert 0.0 < fitted.model.level < 0.1


def test_a_yearly_holiday_is_no_stop():
    """Two weeks without deals that were there a year ago as well are no accident, and no stop."""
    counts = poisson(np.full(730, 5.0))
    counts[351:365] = counts[716:730] = 0
    assert not Arrivals().fit(log(counts)).stopped
    counts[351:365] = 5
    assert Arrivals().fit(log(counts)).stopped


def test_slow_logs_and_slow_decline_are_no_stop():
    """A month without a deal is usual at one a month; half as many deals are not none."""
    slow = np.zeros(700, dtype=int)
    slow[::30] = 1
    assert not Arrivals().fit(log(slow)).stopped
    fewer = np.append(poisson(np.full(200, 5.0)), poisson(np.full(30, 2.5)))
    assert not Arrivals().fit(log(fewer)).stopped


# --- late recording ------------------------------------------------------------------------------


def test_recorded_shares_by_hand():
    """Four days, delays 0 and 1.

    Of 8 deals of the first three days, 2 came a day late: G(0) = 1 - 2/8; the last day's deals
    could not be late yet, and do not count.
    """
    counts = np.array([[2, 1], [2, 0], [2, 1], [3, 0]])
    assert [0.75, 1.0] == kernel.recorded_shares(counts).tolist()


def test_recorded_shares_beyond_the_history_are_one():
    """A log of two days knows nothing of delays of two days or more."""
    counts = np.array([[5, 5, 0, 0], [5, 0, 0, 0]])
    assert [0.5, 1.0, 1.0, 1.0] == kernel.recorded_shares(counts).tolist()


def test_late_recording_is_corrected():
    """Geometric delays with mean 4 days: rate, shares and unrecorded deals are the true ones.

    P(delay <= u) = 1 - 0.8**(u + 1); at 10 a day, 10 * (0.8 + 0.8**2 + ...) = 40 are unrecorded.
    """
    counts = poisson(np.full(600, 10.0))
    delays = np.random.default_rng(3).geometric(0.2, counts.sum()) - 1
    history = log(counts, delays)
    fitted = Arrivals().fit(history)
    shares = 1.0 - 0.8 ** np.arange(1, 15)
    assert pytest.approx(shares, abs=0.02) == fitted.recorded[:14]
    assert abs(fitted.model.level - 10.0) <= 3.0 * 10.0 * np.sqrt(fitted.uncertainty)
    assert pytest.approx(40.0, rel=0.1) == fitted.unrecorded(fitted.trained_until)
    assert "have been created and are not recorded yet" in fitted.notes[0]
    born = history.created
    last_week = np.count_nonzero(born > fitted.trained_until - 7) / 7
    assert last_week < 6.5  # uncorrected: mean of 1 - 0.8**1 ... 1 - 0.8**7 is 0.55
    first, *_ = fitted.cohorts(fitted.trained_until, fitted.trained_until + 92)
    week = fitted.rates(fitted.trained_until + 1, fitted.trained_until + 8).sum()
    assert pytest.approx(week + fitted.unrecorded(fitted.trained_until)) == first.expected


def test_deals_entered_late_are_no_arrivals():
    """Created before the log, or seen more than 90 days later: not counted; the latter are said."""
    counts = np.full(300, 1)
    delays = np.zeros(300, dtype=int)
    delays[:20] = 91
    history = log(counts, delays)
    fitted = Arrivals().fit(history)
    assert "20 deals were first seen more than 90 days after their creation" in fitted.notes[-1]
    assert 280 == Arrivals(prototypes=5, recent_days=9).summarize(history).counts.sum()
    older = attrs.evolve(history, observed_from=START + 10)
    assert 280 == Arrivals(prototypes=5, recent_days=9).summarize(older).counts.sum()
    assert 10 == Arrivals(prototypes=5, recent_days=9).summarize(older).left_out


def test_imports_are_no_arrivals():
    """500 deals on the first day are an import: said, not counted, and no prototypes."""
    counts = np.full(100, 2)
    counts[0] = 500
    fitted = Arrivals(prototypes=1000).fit(log(counts, amount=np.repeat([9.0, 1.0], [500, 198])))
    assert pytest.approx(2.0, rel=0.01) == fitted.model.level
    assert "1 days (2023-01-02) brought 500 deals at once" in fitted.notes[0]
    assert {1.0} == set(fitted.prototypes.amount.tolist())


def test_batches_that_come_again_are_arrivals():
    """30 deals on the first of each month, and one now and then: nothing is left out."""
    counts = np.zeros(720, dtype=int)
    counts[::30] = 30
    counts[5::40] = 1
    assert not kernel.bulk_days(counts).any()
    assert not kernel.bulk_days(np.array([500])).any()


# --- prototypes and cohorts ----------------------------------------------------------------------


@functools.cache
def world():
    """A simulated history of 3,000 deals."""
    return simulate(3000, rng=7).history


def test_prototypes_are_the_recent_deals_on_their_first_day():
    """With room for all, stages, amounts and attributes are exactly those of the first rows."""
    history = world()
    fitted = Arrivals(prototypes=10_000, recent_days=10_000).fit(history)
    born, first = history.created, history.bounds[:-1]
    new = (born >= history.observed_from) & (history.at[first] - born <= 90)
    ids = fitted.prototypes.ids
    assert sorted(history.ids[new].tolist()) == sorted(ids.tolist())
    where = np.searchsorted(history.ids, ids)
    seen = np.array(
        [
            history.stage[begin : begin + np.count_nonzero(rows == rows[0])][-1]
            for begin, rows in ((b, history.at[b:e]) for b, e in _bounds(history, where))
        ]
    )
    assert np.array_equal(seen, fitted.prototypes.stage)
    assert np.array_equal(
        history.columns["owner"][first][where], fitted.prototypes.columns["owner"]
    )


def _bounds(history, deals):
    """Yield the rows of some deals."""
    return zip(history.bounds[deals].tolist(), history.bounds[deals + 1].tolist(), strict=True)


def test_samples_have_the_mix_of_recent_deals():
    """400 of about 1,000 deals: shares of stages and the mean log amount within 3 standard errors.

    Drawn without replacement, so that the plain standard error is on the safe side.
    """
    history = world()
    recent = Arrivals(prototypes=10_000, recent_days=365).fit(history).prototypes
    assert np.count_nonzero(history.observed_until - history.created < 365) == len(recent)
    sample = Arrivals(prototypes=400, recent_days=365).fit(history).prototypes
    assert 400 == len(sample) < len(recent)
    for column in ("stage", "region"):
        values = (
            (recent.stage, sample.stage) if column == "stage" else _codes(column, recent, sample)
        )
        top = int(values[0].max()) + 1
        share, drawn = (np.bincount(v, minlength=top) / len(v) for v in values)
        assert np.all(np.abs(share - drawn) <= 3.0 * np.sqrt(share * (1.0 - share) / 400) + 1e-9)
    logs = np.log(recent.amount), np.log(sample.amount)
    assert abs(logs[0].mean() - logs[1].mean()) <= 3.0 * logs[0].std() / 20.0


def _codes(column, *tables):
    """Codes of a column in each table."""
    return [table.columns[column] for table in tables]


def test_older_deals_follow_where_recent_ones_are_few():
    """One deal a day, 10 recent days: the latest 25 where there is room for 25, else 100."""
    history = log(np.full(300, 1))
    for room, used in ((25, 25), (500, 100)):
        found = Arrivals(prototypes=room, recent_days=10).fit(history).prototypes.ids
        assert sorted(history.ids[-used:].tolist()) == sorted(found.tolist())
    assert 200 == len(Arrivals(recent_days=200).fit(history).prototypes)


def same_day():
    """Deals with a promise 30 days ahead; every fourth is won on its first day, and later lost."""
    born = np.repeat(START + np.arange(60), 2)
    n = len(born)
    won = np.arange(n) % 4 == 0
    ids = np.array([f"D{i:03d}" for i in range(n)], dtype=object)
    promise = (born + 30).astype("datetime64[D]")
    promise[1::2] = np.datetime64("NaT")
    rows = [np.arange(n), np.flatnonzero(won), np.flatnonzero(won)[:5]]
    pick = np.concatenate(rows)
    return fn.History.from_columns(
        funnel=LADDER,
        id=ids[pick],
        stage=["Qualify"] * n + ["Won"] * len(rows[1]) + ["Propose"] * len(rows[2]),
        at=np.concatenate((born, born[won], born[rows[2]] + 3)).astype("datetime64[D]"),
        expected_close=promise[pick],
        amount=np.where(won, 50.0, 10.0)[pick],
        reason=np.where(won, "price", "none")[pick],
        known={"reason": "final"},
    )


def test_prototypes_can_be_won_on_their_first_day():
    """A quarter is won on day 0 with its amount, days count from the cohort's day."""
    fitted = Arrivals().fit(same_day())
    cohort = fitted.cohorts(fitted.trained_until, fitted.trained_until + 92)[2]
    deals = cohort.pipeline
    won = deals.stage == LADDER.won_code
    assert (30, 50.0, 10.0) == (won.sum(), deals.amount[won].mean(), deals.amount[~won].mean())
    assert np.all(deals.closed_on[won] == cohort.day)
    assert np.all(deals.closed_on[~won] == NO_DAY)
    for name in ("created", "first_seen", "stage_entered"):
        assert np.all(getattr(deals, name) == cohort.day)
    assert {cohort.day + 30, NO_DAY} == set(deals.expected_close.tolist())
    assert ({0}, {1}, {0}, {0}) == tuple(
        set(getattr(deals, name).tolist())
        for name in ("days_in_stage", "visits", "pushes", "reopened")
    )
    assert cohort.day == deals.as_of


def test_final_columns_are_not_known_of_new_deals():
    """They would give the outcome away; only deals won on their first and last row show them."""
    fitted = Arrivals().fit(same_day())
    reason = fitted.prototypes.columns["reason"]
    shown = fitted.prototypes.stage == LADDER.won_code
    assert np.all(reason[~shown] == -1)
    assert 25 == np.count_nonzero(reason >= 0)  # 30 won, of which 5 have a later row


def test_cohorts_add_up_to_the_rates():
    """13 weeks of a quarter; fewer days make shorter cohorts; their days lie inside."""
    fitted = Arrivals().fit(log(poisson(np.full(400, 5.0))))
    last = fitted.trained_until
    for days, number in ((91, 13), (92, 14), (30, 15), (13, 13), (5, 5), (365, 53)):
        cohorts = fitted.cohorts(last, last + 1 + days)
        assert number == len(cohorts)
        total = sum(cohort.expected for cohort in cohorts)
        assert pytest.approx(fitted.rates(last + 1, last + 1 + days).sum()) == total
        found = [cohort.day for cohort in cohorts]
        assert sorted(found) == found
        assert last < found[0] <= found[-1] <= last + days
    assert () == fitted.cohorts(last, last + 1)


def test_cohorts_do_not_look_into_the_future():
    """A forecast of an earlier day would use later arrivals; a later one is fine."""
    fitted = Arrivals().fit(log(poisson(np.full(100, 5.0))))
    with pytest.raises(LeakError, match=r"arrivals were learnt until 2023-04-11"):
        fitted.cohorts(fitted.trained_until - 1, fitted.trained_until + 30)
    later = fitted.cohorts(fitted.trained_until + 10, fitted.trained_until + 41)
    assert fitted.trained_until + 11 == later[0].day


def test_stage_models_can_be_asked_about_cohorts():
    """With constant rates 0.05 and 0.03, 5/8 of new deals are ever won: simple closed form."""
    simple = World.simple(advance=(0.05,), lose=(0.03,))
    history = simulate(4000, world=simple, rng=3).history
    model, fitted = WinRate().fit(history), Arrivals().fit(history)
    last = fitted.trained_until
    cohort = fitted.cohorts(last, last + 92)[0]
    dates = np.array([cohort.day + 300], dtype="datetime64[D]")
    open_ = cohort.pipeline.outcome == 0
    chance = model.win_curve(cohort.pipeline, dates)[open_, 0].mean()
    assert pytest.approx(0.625, abs=3.0 * np.sqrt(0.625 * 0.375 / 4000) + 0.01) == chance


# --- merging -------------------------------------------------------------------------------------


def assert_same(one, two):
    """Demand equal rates and prototypes, bit for bit."""
    last = one.trained_until
    assert np.array_equal(one.rates(last, last + 400), two.rates(last, last + 400))
    assert np.array_equal(one.recorded, two.recorded)
    assert one.prototypes.identical_to(two.prototypes)
    assert (one.dispersion, one.notes) == (two.dispersion, two.notes)


def test_any_split_gives_the_same_fit():
    """Chunks of several sizes, in another order and in threads: bit-identical."""
    history, spec = world(), Arrivals(prototypes=150)
    whole = spec.fit(history)
    for size in (100, 1000):
        assert_same(whole, spec.fit(list(history.chunks(size))))
    chunks = list(history.chunks(300))[::-1]
    assert_same(whole, spec.fit(chunks))
    with ThreadPoolExecutor(2) as executor:
        assert_same(whole, spec.fit(chunks, executor=executor))


def test_nobody_changes_nothing():
    """The summary of a chunk without deals is neutral, on both sides."""
    history = log(np.full(60, 2))
    spec = Arrivals(prototypes=20)
    none = spec.summarize(history.select(np.zeros(history.n_deals, dtype=bool)))
    some = spec.summarize(history)
    assert_same(spec.estimate(some), spec.estimate(some.merge(none)))
    assert_same(spec.estimate(some), spec.estimate(none.merge(some)))


def test_summaries_of_other_windows_do_not_merge():
    """Counts by day must be of the same days."""
    spec = Arrivals()
    one, two = spec.summarize(log(np.full(60, 2))), spec.summarize(log(np.full(61, 2)))
    with pytest.raises(ValidationError, match="one observed_from and one observed_until"):
        one.merge(two)


# --- what is refused -----------------------------------------------------------------------------


def test_too_few_arrivals():
    """Nine deals are too few; an import does not help; ten are enough."""
    with pytest.raises(InsufficientDataError, match="10 needed, 9 found") as caught:
        Arrivals().fit(log(np.full(9, 1)))
    assert "forecast without arrivals" in str(caught.value)
    with pytest.raises(InsufficientDataError, match="1 days of bulk imports aside: 10 needed, 2"):
        Arrivals().fit(log(np.array([50, 1, 1])))
    fitted = Arrivals().fit(log(np.array([5, 5])))
    assert pytest.approx(5.0) == fitted.model.level


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("prototypes", 0),
        ("prototypes", 1.5),
        ("recent_days", True),
        ("half_lives", ()),
        ("half_lives", (0.0,)),
        ("half_lives", 30),
        ("half_lives", (np.inf,)),
        ("calendar", "fiscal"),
    ],
)
def test_odd_parameters(name, value):
    """Each message names the parameter."""
    with pytest.raises(ValidationError, match=name):
        Arrivals(**{name: value})


def test_a_spec_is_a_value():
    """Equal parameters are equal and hash alike; lists become tuples."""
    assert Arrivals(half_lives=[14, 28]) == Arrivals(half_lives=(14, 28))
    assert hash(Arrivals()) == hash(Arrivals())
