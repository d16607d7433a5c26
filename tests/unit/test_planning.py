"""The classic plan: what it computes, how it is shown, and what it refuses."""

from fractions import Fraction

import numpy as np
import pytest

from funnel.calendars import Horizon
from funnel.errors import UnknownStageError, ValidationError
from funnel.planning import Plan, plan
from funnel.planning._exact import exact, plain, shown, to_float
from funnel.stages import Funnel, Stage

QUARTERS = Horizon.quarters("2026-01-01", 4)
LADDER = {"Qualify": 0.5, "Propose": 0.4}
KNOWN = {"average_amount": 100, "conversions": LADDER}


class TestExact:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (0.2, Fraction(1, 5)),
            (2 / 3, Fraction(2, 3)),
            (1.17, Fraction(117, 100)),
            (7, Fraction(7)),
            (np.float64(0.265), Fraction(53, 200)),
            (np.int64(3), Fraction(3)),
            (Fraction(1, 7), Fraction(1, 7)),
        ],
    )
    def test_a_float_is_the_fraction_that_somebody_meant(self, value, expected):
        """The simplest fraction that is this float."""
        assert expected == exact(value, "x", "", lambda _: True)

    @pytest.mark.parametrize("value", [5e-324, 1e-300, 123_456.789_012_345_6])
    def test_every_float_stays_itself(self, value):
        """Also where no simple fraction is near."""
        assert value == float(exact(value, "x", "", lambda _: True))

    def test_messages_show_numbers_as_they_are_read(self):
        """Whole numbers with their digits, others shortened."""
        assert ("1,200", "0.333333") == (shown(Fraction(1200)), shown(Fraction(1, 3)))

    def test_what_was_given_is_told_without_fractions(self):
        """6/5 is 1.2, also within lists and mappings; what no float holds stays as it is."""
        assert ("1.2", "3") == (repr(plain(Fraction(6, 5))), repr(plain(Fraction(3))))
        assert "{'A': [0.5, None]}" == repr(plain({"A": [Fraction(1, 2), None]}))
        huge = Fraction(10**400, 3)
        assert huge == plain(huge)
        with pytest.raises(ValidationError, match=r"at most 1, got 1\.2"):
            plan(1_000, average_amount=10, conversions=[Fraction(6, 5)])
        with pytest.raises(ValidationError, match=r"each of 1 stages .*, got \[1, 0\.5\]"):
            plan(1_000, average_amount=10, conversions=[1], durations=[1, Fraction(1, 2)])

    def test_what_no_float_holds_is_refused(self):
        """1e200 / 1e-200 wins."""
        with pytest.raises(ValidationError, match="below 1e308"):
            to_float(Fraction(10**400))
        ideal = plan(1e200, average_amount=1e-200, conversions=[0.5])
        with pytest.raises(ValidationError, match="Check target and average amount"):
            _ = ideal.wins


class TestTheLadder:
    def test_entries_follow_from_the_wins_upward(self):
        """10,000 / 100 = 100 wins, / 0.4 = 250 proposals, / 0.5 = 500 to qualify."""
        ideal = plan(10_000, **KNOWN)
        assert [500.0, 250.0] == ideal.stages.entries.tolist()
        assert ["Qualify", "Propose"] == ideal.stages.stages.tolist()

    def test_visits_say_how_many_enter_a_stage_that_is_reached(self):
        """100 wins from 250 and 500 deals: half of them skip Propose, a quarter comes back to it.

        Per deal 0.75 visits of 8 days to Propose and one of 7 to Qualify: 187.5 and 500 entries,
        13 days to the win, and as many new deals, for as many reps, as without.
        """
        ideal = plan(
            10_000,
            **KNOWN,
            visits={"Propose": 0.75},
            durations=[7, 8],
            selling_weeks=10,
            rep_capacity=5,
        )
        assert [500.0, 187.5] == ideal.stages.entries.tolist()
        assert [50.0, 18.75] == ideal.stages.weekly.tolist()
        assert [50.0, 18.75 * 8 / 7] == ideal.stages.stock.tolist()
        assert [13.0, 6.0] == ideal.stages.lead_days.tolist()
        assert (10.0, 50.0) == (ideal.reps, ideal.periods.weekly[0])
        assert "visits" in str(ideal)
        assert "visits" not in str(plan(10_000, **KNOWN))

    def test_visits_that_are_no_number_are_refused(self):
        """By name; and a stock that nobody adds to limits nothing."""
        with pytest.raises(ValidationError, match="visits of 'Qualify' must be a finite number >="):
            plan(10_000, **KNOWN, visits=[-1, 1])
        with pytest.raises(ValidationError, match="its number of visits is 0"):
            plan(
                **KNOWN,
                visits=[1, 0],
                durations=[7, 7],
                selling_weeks=10,
                stock={"Propose": 5},
                solve_for="target",
            )

    def test_stages_on_hold_and_retired_are_not_part_of_it(self):
        """Of four stages two are passed; their order is the funnel's, not the mapping's."""
        stages = ["Qualify", Stage("Old", retired=True), "Propose", Stage("Hold", on_hold=True)]
        ideal = plan(
            10_000,
            average_amount=100,
            funnel=Funnel(stages),
            conversions={"propose": 0.4, "qualify": 0.5},
        )
        assert ["Qualify", "Propose"] == ideal.stages.stages.tolist()
        assert [500.0, 250.0] == ideal.stages.entries.tolist()

    def test_standard_days_of_the_funnel_are_the_default(self):
        """7 days a stage, typed in the template; none where one stage has none."""
        given = {"average_amount": 100, "conversions": [0.5, 0.5, 0.5], "selling_weeks": 1}
        ideal = plan(100, **given, funnel=Funnel.template("small-project"))
        assert [21.0, 14.0, 7.0] == ideal.stages.lead_days.tolist()
        half = Funnel(["A", Stage("B", standard_days=5), Stage("C", standard_days=5)])
        assert np.isnan(plan(100, **given, funnel=half).stages.stock).all()

    def test_without_weeks_or_days_there_is_no_pace_and_no_date(self):
        """Unknown is NaN and NaT, never 0."""
        ideal = plan(10_000, **KNOWN)
        assert np.isnan(ideal.stages.weekly).all()
        assert np.isnan(ideal.reps)
        assert np.isnat(ideal.periods.create_by).all()
        assert np.isnan(plan(10_000, **KNOWN, horizon=QUARTERS).stages.stock).all()
        with pytest.raises(ValidationError, match="rep_capacity must be given"):
            _ = ideal.headcount


class TestPeriodsAndShares:
    def test_seasons_and_shares_split_the_money(self):
        """1,000 x 1.1 x (0.25, 0.75) x (0.4, 0.6), each share with its own amount."""
        ideal = plan(
            1_000,
            average_amount={"direct": 10, "partner": 30},
            conversions=[0.5],
            shares={"direct": 0.25, "partner": 0.75},
            seasonality=[0.4, 0.6],
            gross_up=1.1,
        )
        assert [110.0, 165.0, 330.0, 495.0] == ideal.periods.money.tolist()
        assert [11.0, 16.5, 11.0, 16.5] == ideal.periods.wins.tolist()
        assert 55.0 == ideal.wins
        assert [10.0, 30.0] == ideal.average_amount.tolist()

    def test_money_follows_the_weeks_by_default(self):
        """Two periods of 1 and 3 weeks share 400 as 100 and 300: the pace is steady."""
        horizon = Horizon.custom(["2026-01-01", "2026-01-08", "2026-01-29"])
        ideal = plan(400, **KNOWN, horizon=horizon)
        assert [100.0, 300.0] == ideal.periods.money.tolist()
        assert [5.0, 5.0] == ideal.periods.weekly.tolist()

    def test_reps_are_those_of_the_busiest_period(self):
        """500 and 1,500 entries in 10 weeks each, 20 a rep: 2.5 and 7.5 reps, 8 people."""
        ideal = plan(
            40_000, **KNOWN, seasonality=[0.25, 0.75], selling_weeks=[10, 10], rep_capacity=20
        )
        assert [2.5, 7.5] == ideal.periods.reps.tolist()
        assert (7.5, 8) == (ideal.reps, ideal.headcount)

    def test_little_s_law(self):
        """50 entries a week for 14 days are 100 deals; 25 a week for 3.5 days are 12.5."""
        ideal = plan(10_000, **KNOWN, durations=[14, 3.5], selling_weeks=10)
        assert [50.0, 25.0] == ideal.stages.weekly.tolist()
        assert [100.0, 12.5] == ideal.stages.stock.tolist()
        assert [112.5] == ideal.periods.stock.tolist()

    def test_the_busiest_period_holds_more(self):
        """Three quarters of the money in one of two periods: 1.5 times the average."""
        ideal = plan(10_000, **KNOWN, durations=[14, 7], selling_weeks=5, seasonality=[0.25, 0.75])
        np.testing.assert_allclose(ideal.stages.peak_stock, 1.5 * ideal.stages.stock)


class TestDates:
    def test_deals_are_created_a_lead_time_earlier(self):
        """Won from 2026-01-01 to 03-31, 17.5 days after creation: from 12-14 to 03-13 (floor)."""
        ideal = plan(100, **KNOWN, durations=[10, 7.5], horizon=QUARTERS)
        assert "2025-12-14" == str(ideal.periods.create_from[0])
        assert "2026-03-13" == str(ideal.periods.create_by[0])
        columns = ideal.to_columns()
        assert "2026-03-23" == str(columns["enter_by"][1])  # 7.5 days before 03-31, floor
        assert 8 == len(columns["stage"])

    def test_money_whose_lead_time_has_passed_is_too_late(self):
        """On 2026-01-10, with 30 days: 40 of the 90 days of Q1 can only be won by older deals."""
        ideal = plan(
            365,
            **KNOWN,
            durations=[20, 10],
            horizon=QUARTERS,
            as_of="2026-01-10",
        )
        # Money is in proportion to days: 1 a day; Q1's deals are created from 12-02 to 03-01.
        np.testing.assert_allclose([40.0, 0, 0, 0], ideal.periods.too_late, atol=1e-12)
        assert "too late for new deals: 40 must come" in str(ideal)

    def test_nothing_is_late_before_the_first_day(self):
        """A plan made a year ahead."""
        ideal = plan(365, **KNOWN, durations=[20, 10], horizon=QUARTERS, as_of="2025-01-01")
        assert not ideal.periods.too_late.any()

    def test_a_horizon_shorter_than_the_lead_time_is_refused(self):
        """45 days are needed and 31 - 1 are left."""
        with pytest.raises(ValidationError) as caught:
            plan(
                100,
                **KNOWN,
                durations=[40, 5],
                horizon=Horizon.months("2026-01-01", 1),
                as_of="2026-01-01",
            )
        assert "lead time of 45 days; from 2026-01-01 to its last day are 30" in str(caught.value)


BAD = [
    ({"target": 0}, "target must be a finite number above 0, got 0"),
    ({"target": -5.0}, "target must be a finite number above 0, got -5.0"),
    ({"target": float("nan")}, "target must be a finite number above 0, got nan"),
    ({"target": float("inf")}, "got inf"),
    ({"target": True}, "got True"),
    ({"target": "100"}, "got '100'"),
    ({"target": None}, "target must be given, or solved for by solve_for='target'"),
    ({"average_amount": None}, "average_amount must be given"),
    ({"average_amount": 0}, "average_amount must be a finite number above 0"),
    ({"conversions": [0.5, 0]}, "conversion of 'Stage 2' must be above 0 and at most 1, got 0"),
    ({"conversions": [0.5, 1.2]}, "must be above 0 and at most 1, got 1.2"),
    ({"conversions": []}, "conversions must name at least one stage"),
    ({"conversions": {}}, "conversions must name at least one stage"),
    ({"conversions": "ab"}, "conversions must name at least one stage"),
    ({"conversions": {"A": 0.5, "B": None}}, "conversion of 'B' must be given, or solved for"),
    ({"durations": [5]}, r"one number for each of 2 stages \('Qualify', 'Propose'\)"),
    ({"durations": [5, -1]}, "duration of 'Propose' must be a finite number of days >= 0, got -1"),
    ({"durations": "ab"}, "duration must have one number for each stage"),
    ({"durations": {"Qualify": 5}}, "duration of 'Propose' must be given"),
    ({"gross_up": 0}, "gross_up must be a finite number above 0"),
    ({"rep_capacity": -1}, "rep_capacity must be a finite number above 0"),
    ({"seasonality": [0.5, 0.4]}, "seasonality must sum to 1, got 0.5, 0.4, which sum to 0.9"),
    ({"seasonality": [1.5, -0.5]}, "seasonality of '1' must lie between 0 and 1, got 1.5"),
    ({"seasonality": 0.5}, "seasonality must have one number for each of the periods, got 0.5"),
    ({"seasonality": "ab"}, "seasonality must have one number for each of the periods"),
    ({"shares": [0.5, 0.5]}, "shares must map names to shares"),
    ({"stock": "Propose"}, "stock must name exactly one stage with its deals"),
    ({"seasonality": []}, "seasonality must sum to 1, got none"),
    ({"seasonality": [0.5, 0.5], "horizon": QUARTERS}, "one number for each of 4 periods"),
    ({"shares": {"a": 0.7, "b": 0.2}}, "shares must sum to 1, got 0.7, 0.2, which sum to 0.9"),
    ({"average_amount": {"a": 5}}, "average_amount must have one amount for each of the shares"),
    (
        {"shares": {"a": 1}, "average_amount": {"b": 5}},
        r"one amount for each of the shares \['a'\], got \['b'\]",
    ),
    ({"selling_weeks": 0}, "selling_weeks must be a finite number above 0"),
    ({"selling_weeks": [1, 2]}, "selling_weeks must have one number for each of 1 periods"),
    ({"horizon": "4q"}, "horizon must be a Horizon"),
    ({"as_of": "soon"}, "as_of must be a day"),
    ({"as_of": "2026-01-01"}, "only with horizon= and durations="),
    ({"as_of": "2026-01-01", "horizon": QUARTERS}, "only with horizon= and durations="),
    ({"funnel": "five-step"}, "funnel must be a Funnel, got 'five-step'"),
    ({"reps": 8}, "reps = 8 must follow from the other givens"),
    (
        {"reps": 8, "rep_capacity": 5, "selling_weeks": 10},
        "The other givens need 1 reps. Leave it out",
    ),
    ({"entries": 0}, "entries must be a finite number above 0"),
]


class TestWhatIsRefused:
    @pytest.mark.parametrize(("change", "message"), BAD)
    def test_one_sentence_names_the_value(self, change, message):
        """Each wrong given by itself."""
        given = {"target": 1_000, **KNOWN, **change}
        with pytest.raises(ValidationError, match=message):
            plan(given.pop("target"), **given)

    def test_a_stage_that_the_ladder_does_not_have(self):
        """By its name, with a hint."""
        with pytest.raises(UnknownStageError, match="Did you mean 'Propose'"):
            plan(100, **KNOWN, durations={"Propos": 5})
        held = Funnel(["Qualify", Stage("Hold", on_hold=True)])
        with pytest.raises(UnknownStageError, match="Hold"):
            plan(100, average_amount=1, funnel=held, conversions={"Hold": 0.5})

    def test_a_stage_that_is_named_twice(self):
        """Under two of its names."""
        ladder = Funnel([Stage("Propose", aliases=["Offer"])])
        with pytest.raises(ValidationError, match="must name each stage once"):
            plan(100, average_amount=1, funnel=ladder, conversions={"Offer": 0.5, "propose": 0.4})


SOLVE = {**KNOWN, "selling_weeks": 10, "durations": [14, 7], "rep_capacity": 5}
BAD_SOLVES = [
    ({"solve_for": "targte"}, "Did you mean 'target'"),
    ({"solve_for": "conversion:Win"}, "solve_for must be a quantity, or one of a stage"),
    ({"solve_for": "target", "target": 5}, "target is to be solved for and is also given as 5"),
    ({"solve_for": "conversion:Propose", "target": 5}, "is also given as 0.4"),
    ({"solve_for": "duration:Propose", "target": 5}, "is also given as 7"),
    ({"solve_for": "target"}, "target must follow from something that is limited. Give reps="),
    ({"solve_for": "target", "reps": 5, "entries": 8}, "reps = 5 and entries = 8: they may"),
    (
        {"solve_for": "target", "entries": 8, "stock": {"Propose": 3}},
        "entries = 8 and stock = 3",
    ),
    (
        {"solve_for": "rep_capacity", "target": 5, "rep_capacity": None, "entries": 5},
        "rep_capacity must follow from something that is limited. Give reps=",
    ),
    (
        {"solve_for": "duration:Propose", "target": 5, "durations": [14, None], "entries": 5},
        "Give stock=",
    ),
    (
        {
            "solve_for": "duration:Propose",
            "target": 5,
            "durations": [14, None],
            "stock": {"Qualify": 5},
        },
        "stock must be that of the stage whose duration is asked for, got 'Qualify'",
    ),
    (
        {"solve_for": "duration:Propose", "target": 5, "durations": None, "stock": {"Propose": 5}},
        "durations of the other stages must be given",
    ),
    (
        {
            "solve_for": "conversion:Qualify",
            "target": 5,
            "conversions": {"Qualify": None, "Propose": 0.4},
            "stock": {"Propose": 3},
        },
        "does not follow from the stock of 'Propose', which comes later",
    ),
    ({"solve_for": "target", "stock": {"Propose": 3}, "durations": [5, 0]}, "is always 0"),
    ({"solve_for": "target", "stock": {}}, "stock must name exactly one stage"),
    (
        {"solve_for": "target", "stock": {"Propose": 3}, "durations": None},
        "a stock of 3 are only a limit with durations and weeks",
    ),
    ({"solve_for": "target", "reps": 3, "rep_capacity": None}, "3 reps are only a limit with"),
    ({"solve_for": "reps", "target": 5, "reps": 3}, "reps = 3 must follow from the other givens"),
    ({"solve_for": "reps", "target": 5, "rep_capacity": None}, "reps can only be solved for with"),
    (
        {
            "solve_for": "conversion:Propose",
            "target": 10_000,
            "conversions": {"Qualify": 0.5, "Propose": None},
            "entries": 150,
        },
        "'Propose' would have to be 1.33333, which is above 1: 150 entries cannot reach",
    ),
]


class TestSolving:
    @pytest.mark.parametrize(("change", "message"), BAD_SOLVES)
    def test_what_is_open_said_twice_or_impossible(self, change, message):
        """The message names the quantities."""
        given = {"target": None, **SOLVE, **change}
        with pytest.raises(ValidationError, match=message):
            plan(given.pop("target"), **given)

    def test_by_hand(self):
        """500 entries in 10 weeks are 50 a week: 10 reps of 5; 25 proposals stay 7 days: 25."""
        base = plan(10_000, **SOLVE)
        assert 10.0 == base.reps
        assert 20_000.0 == plan(**SOLVE, reps=20, solve_for="target").target
        assert 5_000.0 == plan(**SOLVE, entries=250, solve_for="target").target
        slow = {**SOLVE, "durations": {"Qualify": 14}}
        found = plan(10_000, **slow, stock={"Propose": 50}, solve_for="duration:Propose")
        assert 14.0 == found.stages.days[1]
        assert 10.0 == plan(10_000, **SOLVE, solve_for="reps").reps

    def test_the_standard_days_of_the_unknown_stage_give_way(self):
        """The template types 7 days; 30 deals at 15 a week stay 14."""
        found = plan(
            2_400_000,
            average_amount=20_000,
            conversions=[0.6, 0.5, 2 / 3],
            funnel=Funnel.template("small-project"),
            selling_weeks=12,
            stock={"negotiation": 30},
            solve_for="duration:negotiation",
        )
        assert [7.0, 7.0, 14.0] == found.stages.days.tolist()

    def test_a_single_stage_needs_no_other_durations(self):
        """5 a week, 10 deals: 14 days."""
        found = plan(
            100,
            average_amount=10,
            conversions=[1],
            selling_weeks=2,
            stock={"Stage 1": 10},
            solve_for="duration:Stage 1",
        )
        assert [14.0] == found.stages.days.tolist()


class TestDisplay:
    def test_the_text_has_both_tables_and_no_silent_column(self):
        """Columns that say nothing are left out of the display."""
        text = str(plan(10_000, **KNOWN))
        assert text.startswith("Plan for 10,000: 100 wins from 500 deals\n\nBy stage\n")
        assert "By period" in text
        for silent in ("share", "create_by", "too_late", "reps"):
            assert silent not in text

    def test_all_columns_show_where_they_speak(self):
        """Shares, reps and dates."""
        ideal = plan(
            10_000,
            **KNOWN,
            durations=[5, 5],
            horizon=QUARTERS,
            shares={"direct": 0.5, "partner": 0.5},
            rep_capacity=3,
        )
        text = str(ideal.periods)
        assert all(name in text for name in ("partner", "reps", "create_by", "2026-Q4"))
        assert "4 reps" in repr(ideal)
        assert repr(ideal).startswith("<Plan for 10,000")

    def test_frames_json_and_html(self):
        """One row for each share, period and stage."""
        ideal = plan(10_000, **KNOWN, horizon=QUARTERS)
        assert 8 == len(ideal.to_frame())
        plain = ideal.to_dict()
        assert "funnel.Plan/1" == plain["schema"]
        assert plain["rows"][0]["stock"] is None
        assert 2 == ideal._repr_html_().count("<table>")

    def test_equal_givens_make_equal_plans(self):
        """0.5 and a half are one number."""
        halves = {"Qualify": Fraction(1, 2), "Propose": 0.4}
        same = plan(10_000, average_amount=100, conversions=halves)
        assert plan(10_000, **KNOWN) == same
        assert isinstance(same, Plan)
