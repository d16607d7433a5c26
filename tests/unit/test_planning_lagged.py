"""Plans with lags: entries by week, what is too late, confidence, stages, and levers."""

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import funnel as fn
from funnel.calendars import Calendar, Horizon
from funnel.datasets import World, simulate
from funnel.errors import InsufficientDataError, UnknownStageError, ValidationError
from funnel.forecasting import FittedArrivals, FittedDealForecaster
from funnel.forecasting._arrival_rates import Rates
from funnel.models._levers import converted
from funnel.models.semi_markov import SemiMarkov
from funnel.planning import Scenario, plan, plan_inflow
from funnel.planning._inflow import Drawn, allotted
from funnel.planning._response import weeks_between
from funnel.stages import Funnel

LADDER = Funnel(["Open"])
TODAY = "2025-12-28"  # a Sunday, so that calendar weeks begin on the next day
ORIGIN = "1970-01-01"  # prototypes count their days from it
BLOCKS = Horizon.custom(np.datetime64("2025-12-29") + 28 * np.arange(5))
FEW = fn.Arrivals(prototypes=60)
CHANCE, AMOUNT, PACE = 0.2, 100.0, 7.0


@attrs.frozen
class Spread:
    """Deals are won with a fixed chance, after 1, 2 ... days with shares in this proportion."""

    shares: tuple
    trained_until = -(2**31)
    needs = ()

    def win_curve(self, pipeline, dates, /):
        """Return what is still ahead of the distribution function, from the day of creation on."""
        by = np.concatenate(([0.0, 0.0], np.cumsum(self.shares) / np.sum(self.shares)))
        asked = np.concatenate(([pipeline.as_of], dates.astype(np.int64)))
        age = np.clip(asked - pipeline.created[:, None] + 1, 0, len(by) - 1)
        return CHANCE * (by[age[:, 1:]] - by[age[:, :1]])


@attrs.frozen
class AfterDays:
    """Deals are won a fixed number of days after their creation, with a fixed chance."""

    lag: int
    trained_until = -(2**31)
    needs = ()

    def win_curve(self, pipeline, dates, /):
        """Return a step at the day of the win, where it is still ahead."""
        ahead = dates.astype(np.int64) >= (pipeline.created + self.lag)[:, None]
        waiting = pipeline.created + self.lag > pipeline.as_of
        return CHANCE * (ahead & waiting[:, None])


def deals(created, stage="Open", *, as_of=TODAY):
    """Deals as they stand on a day, each worth 100."""
    count = len(created)
    return fn.Pipeline.from_columns(
        funnel=LADDER,
        as_of=as_of,
        id=[f"D{i}" for i in range(count)],
        stage=[stage] * count,
        created=created,
        amount=[AMOUNT] * count,
    )


def forecaster(lag, *, level=PACE / 7, calendar_aware=False, prototypes=None):
    """A company with one new deal a day, of which a fifth is won after some days."""
    today = int(np.datetime64(TODAY).astype(int))
    rates = Rates(today, level, np.ones(7), 1.0, 1.0, np.ones(12), 0.0, Calendar())
    like = deals([ORIGIN], as_of=ORIGIN) if prototypes is None else prototypes
    arrivals = FittedArrivals(today, rates, np.ones(91), like, 0.0, 0.0, False, ())
    return FittedDealForecaster(
        "after-days", AfterDays(lag), None, arrivals, calendar_aware=calendar_aware
    )


def pipeline(lag, *, a_day=1):
    """Deals of the last days, as many each day, that are still to be won or not."""
    days = np.datetime64(TODAY) - np.arange(lag)
    return deals(np.repeat(days, a_day).astype("datetime64[D]"))


def planned(target, lag=28, *, confidence=None, there=None, horizon=BLOCKS, **options):
    """Plan with the steady company, whose steady money is 28 x 0.2 x 100 = 560 a block."""
    there = pipeline(lag) if there is None else there
    return plan_inflow(target, forecaster(lag, **options), there, horizon, confidence=confidence)


@pytest.fixture(scope="module")
def simulated():
    """A semi-Markov forecaster of a small simulated company, with its pipeline."""
    history = simulate(700, world=World.simple(), rng=3).history
    return fn.DealForecaster("semi-markov", arrivals=FEW).fit(history), history.snapshot()


@pytest.fixture(scope="module")
def ideal(simulated):
    """A plan of two quarters for the target that usual arrivals bring, a tenth more."""
    return plan_inflow(3e6, *simulated, Horizon.quarters("2026-07-01", 2), confidence=None)


class TestSteadyState:
    @pytest.mark.parametrize("calendar_aware", [False, True])
    def test_the_lagged_plan_is_the_classic_one(self, calendar_aware):
        """Twice 560 a block: the classic 14 deals a week, in all weeks that are in time: 1e-9."""
        classic = plan(
            8 * 560.0, average_amount=AMOUNT, conversions=[CHANCE], durations=[28], horizon=BLOCKS
        )
        lagged = planned(8 * 560.0, there=pipeline(28, a_day=2), calendar_aware=calendar_aware)
        assert 14.0 == classic.stages.weekly[0]
        weekly = lagged.weeks.entries
        np.testing.assert_allclose(14.0, weekly[:12], rtol=1e-9)
        np.testing.assert_array_equal(0.0, weekly[12:])  # won after the horizon
        assert not lagged.weeks.too_late.any()
        np.testing.assert_allclose(1.0, lagged.expected_attainment)

    @given(st.integers(1, 80), st.integers(1, 4))
    def test_at_any_lag_and_pace(self, lag, pace):
        """Every week whose deals can be won in time has the classic pace: within 1e-5."""
        target = pace * 4 * 560.0
        classic = plan(
            target, average_amount=AMOUNT, conversions=[CHANCE], durations=[lag], horizon=BLOCKS
        )
        weeks = planned(target, lag, there=pipeline(lag, a_day=pace)).weeks
        in_time = weeks.last.astype(int) + lag < BLOCKS.edges[-1]
        np.testing.assert_allclose(classic.stages.weekly[0], weeks.entries[in_time], rtol=1e-5)

    @given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=50), st.integers(1, 4))
    def test_whatever_the_distribution_of_the_lags(self, shares, pace):
        """Entries a week x conversion = wins a week, the classic pace, in every week in time.

        A deal is won after 1 to 51 days by any distribution; as many come and are won each day as
        before, so that what exists brings what it brought. Within 0.2 %: of the money of the first
        of 4 periods, weeks that bring less than 1e-4 of all are left out.
        """
        shares = (*shares, 1.0)  # the longest lag has a share
        target = pace * 4 * 560.0
        classic = plan(target, average_amount=AMOUNT, conversions=[CHANCE], horizon=BLOCKS)
        company = attrs.evolve(forecaster(1), model=Spread(shares))
        there = pipeline(len(shares), a_day=pace)
        found = plan_inflow(target, company, there, BLOCKS, confidence=None)
        weeks = found.weeks
        in_time = ~weeks.too_late & (weeks.last.astype(int) + len(shares) < BLOCKS.edges[-1])
        assert in_time.sum() >= 8
        np.testing.assert_allclose(classic.stages.weekly[0], weeks.entries[in_time], rtol=2e-3)
        np.testing.assert_allclose(1.0, found.expected_attainment, rtol=2e-3)

    @given(st.floats(500.0, 4_000.0), st.floats(1.01, 3.0))
    def test_a_higher_target_needs_more_deals(self, target, more):
        """In every part: entries, and what is too late."""
        low, high = planned(target), planned(target * more)
        assert high.entries.sum() >= low.entries.sum() * (1.0 - 1e-5)
        assert np.all(high.periods.too_late >= low.periods.too_late - 1e-9)

    def test_seasons_move_the_entries_by_the_lag(self):
        """Money of blocks 2 to 4 in shares 1 : 2 : 1 asks for 7, 14, 7 a week a block before."""
        found = plan_inflow(
            4 * 560.0,
            forecaster(28),
            pipeline(28, a_day=0),
            BLOCKS,
            seasonality=[0.0, 0.25, 0.5, 0.25],
            confidence=None,
        )
        np.testing.assert_allclose(np.repeat([7.0, 14.0, 7.0, 0.0], 4), found.weeks.entries)

    def test_wins_on_the_first_day_count(self):
        """Prototypes that are won at once bring 100 each: 560 x 4 / 100 deals, evenly."""
        one = deals([ORIGIN], stage="Won", as_of=ORIGIN)
        at_once = attrs.evolve(one, closed_on=one.created)
        found = planned(2240.0, there=pipeline(0), prototypes=at_once)
        np.testing.assert_allclose(22.4 / 16, found.weeks.entries)


class TestTooLate:
    def test_weeks_whose_lead_time_has_passed_are_named_with_their_money(self):
        """Nothing exists: the 560 of block 1 needed 28 deals in the four weeks before today."""
        found = planned(4 * 560.0, there=pipeline(28, a_day=0))
        weeks = found.weeks
        assert [True] * 4 + [False] * 16 == weeks.too_late.tolist()
        np.testing.assert_allclose(7.0, weeks.entries[:4])
        np.testing.assert_allclose(140.0, weeks.lost[:4])
        np.testing.assert_allclose([560.0, 0, 0, 0], found.periods.too_late)
        np.testing.assert_allclose(0.75, found.expected_attainment)
        assert "too late for new deals at one pace: 560" in str(found)

    def test_the_earliest_weeks_are_one_row(self):
        """Lags of 1 to 49 days in equal shares: nothing is lost twice, and no week is left out.

        Of the first block, weeks 7 ... 1 before it would have brought, with nothing there, what
        grows from week to week; the earliest, with less than a tenth of it, are one row.
        """
        company = attrs.evolve(forecaster(1), model=Spread((1.0,) * 49))
        found = plan_inflow(2240.0, company, pipeline(0), BLOCKS, confidence=None)
        weeks, periods = found.weeks, found.periods
        late = weeks.too_late
        np.testing.assert_allclose(periods.too_late.sum(), weeks.lost.sum())
        assert "2025-11-10" == str(weeks.first[0])
        days = (weeks.last - weeks.first).astype(int)
        assert days[0] > 6
        assert np.all(days[1:] == 6)
        assert weeks.lost[0] <= 0.1 * weeks.lost.sum() < weeks.lost[0] + weeks.lost[1]
        assert 0.0 < weeks.arrives[0] < weeks.arrives[late][-1]

    def test_what_exists_counts_first(self):
        """Usual deals bring 560 a block already: for 560 more, 28 a week less nothing is late."""
        periods = planned(8 * 560.0).periods
        np.testing.assert_allclose([560.0, 0, 0, 0], periods.open)
        np.testing.assert_allclose([560.0, 0, 0, 0], periods.too_late)
        np.testing.assert_allclose([0, 560.0, 560.0, 560.0], periods.usual)
        np.testing.assert_allclose([0, 1120.0, 1120.0, 1120.0], periods.new)
        assert periods.to_columns()["period"].tolist() == list(BLOCKS.labels)

    def test_a_pipeline_that_is_enough_needs_nothing(self):
        """560 of the first block alone is the target."""
        found = plan_inflow(
            560.0, forecaster(28), pipeline(28), BLOCKS, seasonality=[1, 0, 0, 0], confidence=None
        )
        assert 0.0 == found.entries.sum()

    def test_a_horizon_shorter_than_the_lead_time_is_refused(self):
        """Deals take 200 days, the horizon has 112."""
        with pytest.raises(ValidationError, match=r"longer than the lead time.*2026-04-20"):
            planned(100.0, lag=200)

    def test_a_horizon_that_is_over_is_refused(self):
        """It ends today."""
        with pytest.raises(ValidationError, match="must end after the day of the plan"):
            planned(100.0, horizon=Horizon.days("2025-12-01", 28))

    def test_a_horizon_far_away_begins_when_its_deals_must_come(self):
        """Money of 1 to 28 July, 28 days later: the five weeks that hold 3 to 30 June."""
        found = planned(560.0, horizon=Horizon.days("2026-07-01", 28))
        used = found.weeks.entries > 0.0
        days = found.weeks.first[used].astype(str)
        assert ("2026-06-01", "2026-06-29", 5) == (days[0], days[-1], len(days))
        np.testing.assert_allclose(7.0, found.weeks.entries[used])


class TestConfidence:
    def test_more_confidence_takes_more_entries(self):
        """Each asked probability is reached, and not by much; the interval has its ends."""
        median = planned(8 * 560.0, confidence=0.5)
        low, high = median.interval(0.6)
        sure = median.at(0.8)
        assert low < median.entries.sum() < high
        np.testing.assert_allclose(high, sure.entries.sum())
        # Wins of 100 each: the chance moves in steps only where entries do not move it.
        np.testing.assert_allclose(0.8, sure.probability, atol=0.005)
        assert sure.probability >= 0.8 - 1e-9
        assert sure.attainment(0.5) > 1.0
        assert sure.confidence == 0.8

    def test_nothing_is_needed_where_the_chance_is_there_already(self):
        """Of 28 deals with a fifth each, one win is likely: 1 - 0.8**28 = 0.998."""
        found = planned(AMOUNT, confidence=0.9)
        assert (0.0, 0.0) == (found.aim, found.entries.sum())
        np.testing.assert_allclose(1 - 0.8**28, found.probability, rtol=1e-9)

    def test_given_entries_are_judged(self):
        """28 x 3 deals at 20 bring 1,680, and 560 are open: half of 4,480."""
        found = planned(8 * 560.0).with_entries([7.0] * 16)
        np.testing.assert_allclose(0.5, found.expected_attainment)
        assert np.isnan(found.aim)
        with pytest.raises(ValidationError, match="for each of 16 weeks"):
            found.with_entries([7.0])
        with pytest.raises(ValidationError, match="number >= 0"):
            found.with_entries([-7.0] * 16)

    def test_what_no_inflow_gives_is_refused(self, ideal, monkeypatch):
        """A chance that stays at a half."""
        monkeypatch.setattr(type(ideal.inflow), "probability", lambda *_: 0.5)
        with pytest.raises(ValidationError, match=r"no inflow reaches .* 0\.9; 64 times .* 50\.0%"):
            ideal.at(0.9)

    @pytest.mark.parametrize("confidence", [0, 1, 1.5, np.nan, True, "0.8"])
    def test_a_confidence_is_a_probability(self, confidence):
        """Neither certain nor impossible."""
        with pytest.raises(ValidationError, match="confidence must be a probability inside"):
            planned(100.0, confidence=confidence)

    def test_parameters_that_are_not_known_take_more(self, simulated, ideal):
        """The same company, its parameters taken for certain, needs fewer deals for 90 %."""
        fitted, there = simulated
        certain = attrs.evolve(fitted, spread="independent")
        horizon = Horizon.quarters("2026-07-01", 2)
        found = plan_inflow(3e6, certain, there, horizon, confidence=0.9)
        assert found.outlook.shock is None
        assert found.entries.sum() < ideal.at(0.9).entries.sum()


class TestStages:
    def test_entries_by_stage_add_up(self, ideal):
        """Deals enter Stage 1 as planned (most are there at the end of their first day)."""
        table = ideal.by_stage()
        top = table.stage == "Stage 1"
        share = np.mean(ideal.inflow.response.prototypes.stage == 0)
        np.testing.assert_allclose(ideal.entries * share, table.new[top], rtol=1e-9)
        assert np.all(table.existing[top] == 0.0)  # nothing moves back in this world
        lower = table.stage == "Stage 2"
        assert table.existing[lower][0] > table.existing[lower][-1]
        assert table.to_columns()["entries"].sum() == pytest.approx(
            (table.existing + table.new).sum()
        )
        assert "Entries by week and stage" in str(table)

    def test_a_model_without_stages_plans_the_top_only(self):
        """And says so, where stages are asked for."""
        with pytest.raises(ValidationError, match="'after-days' must follow deals from stage"):
            planned(560.0).by_stage()


class TestLevers:
    def test_inflow_and_amount_are_levers_of_every_model(self):
        """All money to come moves with the amount; three quarters of it with the inflow."""
        found = planned(8 * 560.0).with_entries([7.0] * 16).elasticities()
        assert ["inflow", "average_amount"] == found.levers.tolist()
        np.testing.assert_allclose([0.75, 1.0], found.revenue, rtol=1e-9)
        assert "no conversions and durations" in str(found)

    def test_conversions_and_durations_are_levers_of_semi_markov(self, ideal):
        """Every conversion raises money and chance; every longer stay lowers both."""
        found = ideal.elasticities()
        table = {name: row for row, name in enumerate(found.levers.tolist())}
        for stage in ("Stage 1", "Stage 2"):
            better, slower = table[f"conversion:{stage}"], table[f"duration:{stage}"]
            assert 0.0 < found.revenue[better] < 1.1
            assert found.probability[better] > 0.0 > found.probability[slower]
            assert 0.0 > found.revenue[slower]

    def test_scenarios_that_the_model_has_not_are_refused(self, ideal):
        """Each by name."""
        flat = planned(560.0)
        with pytest.raises(ValidationError, match="'after-days' does not have"):
            flat.under(Scenario("x", conversions={"Open": 1.1}))
        with pytest.raises(ValidationError, match="changes rep_capacity"):
            flat.under(Scenario("x", rep_capacity=2.0))
        with pytest.raises(UnknownStageError):
            ideal.under(Scenario("x", durations={"Stage 9": 1.1}))
        with pytest.raises(ValidationError, match="must be an open stage"):
            ideal.under(Scenario("x", durations={"Won": 1.1}))
        with pytest.raises(ValidationError, match="would be"):
            ideal.under(Scenario("x", conversions={"Stage 1": 9.0}))

    def test_conversion_and_duration_do_what_they_say(self, simulated):
        """In the long run, a tenth more of one stage is a tenth more wins; time changes none."""
        model, there = simulated[0].model, simulated[0].arrivals.prototypes
        first = there.select(there.stage == 0)
        far = np.array(["1973-01-01"], dtype="datetime64[D]")
        base = model.win_curve(first, far).mean()
        better = model.under({"Stage 1": 1.1}, {})
        slower = model.under({}, {"Stage 1": 1.5})
        np.testing.assert_allclose(1.1 * base, better.win_curve(first, far).mean(), rtol=1e-6)
        np.testing.assert_allclose(base, slower.win_curve(first, far).mean(), rtol=0.02)
        stays = [flow.fresh_flow("Stage 1", 900).occupancy[:, 0].sum() for flow in (model, slower)]
        np.testing.assert_allclose(1.5, stays[1] / stays[0], rtol=0.05)

    def test_deals_that_never_leave_are_fewer_where_more_convert(self):
        """A fifth and a tenth leave on day 1; twice the fifth leaves the rest 3 quarters: 0.075."""
        hazards = np.array([[0.0, 0.2, 0.0], [0.0, 0.1, 0.0]])
        found = converted(hazards, np.array([True, False]), 2.0)
        np.testing.assert_allclose([[0.0, 0.4, 0.0], [0.0, 0.075, 0.0]], found, atol=1e-15)

    def test_without_money_to_come_there_is_no_shared_error(self, ideal):
        """An error is relative to the money: of none there is none."""
        drawn = ideal.inflow.drawn
        nothing = Drawn(0.0 * drawn.existing, 0.0 * drawn.new)
        inflow = attrs.evolve(ideal.inflow, drawn=nothing)
        assert inflow.outlook(ideal.entries).shock is None
        assert ideal.outlook.shock is not None


class TestParts:
    def test_weeks_begin_on_mondays(self):
        """2026-01-01 is a Thursday; cut on Wednesday the 7th."""
        first, end = weeks_between(
            *np.array(["2026-01-01", "2026-01-14", "2026-01-07"], "M8[D]").astype(int)
        )
        days = first.astype("datetime64[D]").astype(str).tolist()
        assert ["2026-01-01", "2026-01-05", "2026-01-07", "2026-01-12"] == days
        np.testing.assert_array_equal(first[1:], end[:-1])

    def test_what_is_needed_is_allotted(self):
        """Weeks of one period each: 2, and 4 / 2; a week that brings nothing gets nothing."""
        money = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
        found = allotted(np.array([2.0, 4.0]), np.ones(3), money, 5.0)
        np.testing.assert_allclose([2.0, 2.0, 0.0], found)

    def test_a_period_that_has_enough_does_not_delay_entries(self):
        """Period 1 needs nothing, 2 needs 6; deals bring (1, 3) in the first week, (0, 1) later.

        By shares 1/4, 3/4 and 0, 1 of a pace 4, the paces bring 3 for 1 deal and 13 for 7: all of
        the first, and 3 / 13 of the second, that is 1 + 9 / 13 and 12 / 13 deals.
        """
        money = np.array([[1.0, 3.0], [0.0, 1.0]])
        found = allotted(np.array([0.0, 6.0]), np.ones(2), money, 4.0)
        np.testing.assert_allclose([1 + 9 / 13, 12 / 13], found, rtol=1e-5)

    def test_no_arrivals_are_one_a_week(self):
        """Where arrivals have stopped, the pace is even."""
        found = planned(4 * 560.0, level=0.0, there=pipeline(28))
        np.testing.assert_allclose(7.0, found.weeks.entries[:12])
        np.testing.assert_array_equal(0.0, found.weeks.usual)

    def test_only_forecasters_with_arrivals_plan(self):
        """Others are refused, as are names."""
        alone = attrs.evolve(forecaster(28), arrivals=None)
        with pytest.raises(InsufficientDataError, match="Fit a DealForecaster with arrivals"):
            plan_inflow(100.0, alone, pipeline(28), BLOCKS)
        with pytest.raises(ValidationError, match="must be a fitted forecaster by deal"):
            plan_inflow(100.0, SemiMarkov(), pipeline(28), BLOCKS)

    def test_a_combinator_plans_as_it_forecasts(self):
        """With the usual entries: the money and the shared error of its own forecast.

        Weeks stand for cohorts of days: 2 % of the money that new deals bring.
        """
        history = simulate(300, world=World.simple(), rng=3).history
        fitted = fn.Calibrated("win-rate", arrivals=FEW, windows=6).fit(history)
        there, horizon = history.snapshot(), Horizon.quarters("2026-07-01", 2)
        found = plan_inflow(1e6, fitted, there, horizon, confidence=None)
        again = found.with_entries(found.inflow.usual).outlook
        asked = fitted.forecast(there, horizon)
        for part in ("open", "new"):
            expected = asked.parts[part].expected
            np.testing.assert_allclose(expected, again.parts[part].expected, rtol=0.02)
        assert again.shock.df == asked.shock.df
        np.testing.assert_allclose(asked.shock.scale, again.shock.scale, rtol=1e-3)
        assert found.inflow.scale == fitted.at(horizon, there.as_of).money
        double = found.under(Scenario("x", average_amount=2.0)).outlook
        np.testing.assert_allclose(2.0 * found.outlook.expected, double.expected)
        with pytest.raises(ValidationError, match="the model 'calibrated' must follow deals"):
            found.by_stage()

    def test_a_forecaster_of_totals_does_not_plan(self):
        """Nothing is known of single deals."""
        history = simulate(300, world=World.simple(), rng=3).history
        fitted = fn.models.get("run-rate").fit(history)
        with pytest.raises(ValidationError, match="must be a fitted forecaster by deal"):
            plan_inflow(1e6, fitted, history.snapshot(), Horizon.quarters("2026-07-01", 2))

    def test_a_model_that_is_sure_of_itself_is_said_to_be(self):
        """It cannot draw its parameters."""
        assert "deals are independent" in str(planned(560.0))

    @pytest.mark.parametrize("target", [0, -1, np.nan, "much"])
    def test_a_target_is_above_0(self, target):
        """As in the classic plan."""
        with pytest.raises(ValidationError, match="target must be a finite number above 0"):
            planned(target)

    def test_shares_must_sum_to_1(self):
        """The sum is said."""
        with pytest.raises(ValidationError, match=r"sum to 1.1"):
            plan_inflow(1.0, forecaster(28), pipeline(28), BLOCKS, seasonality=[0.5, 0.2, 0.2, 0.2])

    def test_it_is_shown(self, ideal):
        """Title, both tables, and one line."""
        text, html = str(ideal), ideal._repr_html_()
        assert "Money by period" in text
        assert "Entries by week" in text
        assert repr(ideal).startswith("<Plan for 3,000,000")
        assert html.count("<table") == 2
        assert len(ideal.to_columns()["first"]) == len(ideal.to_dict()["rows"])
