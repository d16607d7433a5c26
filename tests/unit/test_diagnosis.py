"""The standard funnel, and the diagnosis of what differs from it by more than chance."""

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.diagnosis import (
    STAGE_MEASURES,
    WHOLE_MEASURES,
    StandardFunnel,
    _intervals,
    diagnose,
)
from funnel.errors import (
    InsufficientDataError,
    UnknownColumnError,
    UnknownStageError,
    ValidationError,
)
from funnel.stages import Funnel, Stage
from funnel.testing import fixtures

LADDER = Funnel.template("small-project")
STANDARD = StandardFunnel.from_template("small-project", weekly_entries=50)
YIELD, BACKLOG, BALANCE, SPEED, CONVERSION = range(5)
START = np.datetime64("2025-01-01")
WEEKS = 26


class TestStandardFunnel:
    def test_from_ratios(self):
        """10 : 6 : 3 : 2 is 60 %, 50 %, two thirds; 50 a week for a week each: 50, 30, 15."""
        found = StandardFunnel.from_ratios([10, 6, 3, 2], days=[7, 7, 7], weekly_entries=50)
        assert (0.6, 0.5, 2 / 3) == found.conversions
        np.testing.assert_allclose([1, 0.6, 0.3, 0.2], found.ratios)
        assert [50.0, 30.0, 15.0] == found.stock.tolist()
        np.testing.assert_allclose([10 / 19, 6 / 19, 3 / 19], found.shape)
        assert ("Stage 1", "Stage 2", "Stage 3") == found.stages

    def test_without_days_or_entries_there_is_no_stock(self):
        """Its shape is that of the ratios."""
        found = StandardFunnel.from_ratios([4, 2, 1])
        assert np.isnan(found.stock).all()
        np.testing.assert_allclose([2 / 3, 1 / 3], found.shape)
        assert "–" in str(found)
        assert np.isnan(StandardFunnel.from_ratios([4, 2], days=[3]).stock).all()

    def test_days_shape_the_stock(self):
        """Twice as long in the second stage: as many there as in the first."""
        np.testing.assert_allclose(
            [0.5, 0.5], StandardFunnel.from_ratios([4, 2, 1], days=[7, 14]).shape
        )

    def test_from_the_typed_probabilities_of_a_ladder(self):
        """0.1 / 0.2 = 1/2 ...; the target stage of 0 % is not judged."""
        found = StandardFunnel.from_template("project")
        assert 5 == len(found.stages)
        np.testing.assert_allclose([1 / 2, 2 / 3, 3 / 5, 5 / 7, 0.7], found.conversions)
        np.testing.assert_allclose(0.1, found.ratios[-1])
        assert found.days is None

    def test_standard_days_are_taken_where_all_have_some(self):
        """On-hold and retired stages do not count."""
        ladder = Funnel(
            [
                Stage("A", win_probability=0.2, standard_days=5),
                Stage("B", win_probability=0.4, standard_days=6),
                Stage("Hold", on_hold=True),
                Stage("Old", retired=True),
            ]
        )
        found = StandardFunnel.from_funnel(ladder, weekly_entries=7)
        assert (("A", "B"), (0.5, 0.4), (5, 6)) == (found.stages, found.conversions, found.days)

    @pytest.mark.parametrize(
        ("probabilities", "message"),
        [
            ((0.2, None), r"win_probability must be typed for every stage, got \['B'\]"),
            ((0.0, 0.0), "win_probability must be typed"),
            ((0.5, 0.4), r"must not fall from stage to stage, got \[0.5, 0.4\]"),
        ],
    )
    def test_a_ladder_that_states_no_standard(self, probabilities, message):
        """Missing or falling probabilities."""
        stages = [Stage(n, win_probability=p) for n, p in zip("AB", probabilities, strict=True)]
        with pytest.raises(ValidationError, match=message):
            StandardFunnel.from_funnel(Funnel(stages))

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"stages": []}, "stages must be names"),
            ({"stages": ["A", "A"]}, "stages must be names, each once"),
            ({"stages": [1, 2]}, "stages must be names"),
            ({"conversions": [0.5]}, "conversions must have one number for each of 2 stages"),
            ({"conversions": [0.5, 0.0]}, "conversion of 'B' must be above 0"),
            ({"conversions": [0.5, True]}, "conversion of 'B' must be above 0"),
            ({"conversions": [0.5, "x"]}, "conversion of 'B' must be above 0"),
            ({"days": 7}, "days must have one number"),
            ({"days": [1]}, "days must have one number"),
            ({"days": [1, 0]}, "days of 'B' must be a number of days above 0, got 0"),
            ({"weekly_entries": 0}, "weekly_entries must be a number above 0"),
            ({"weekly_entries": float("nan")}, "weekly_entries must be a number above 0"),
        ],
    )
    def test_what_is_refused(self, fields, message):
        """The stage and the value are named."""
        given = {"stages": ["A", "B"], "conversions": [0.5, 0.5], **fields}
        with pytest.raises(ValidationError, match=message):
            StandardFunnel(given.pop("stages"), given.pop("conversions"), **given)

    @pytest.mark.parametrize("ratios", [10, [10], [10, 0], [10, 12], [10, float("nan")], []])
    def test_ratios_that_are_no_funnel(self, ratios):
        """Too few, not above 0, or growing."""
        with pytest.raises(ValidationError, match="ratios must be at least two numbers above 0"):
            StandardFunnel.from_ratios(ratios)

    def test_a_single_stage_may_be_named_by_a_text(self):
        """A bare text is one stage, not its letters."""
        assert ("Deal",) == StandardFunnel.from_ratios([2, 1], stages="Deal").stages

    def test_it_travels_as_json(self):
        """There and back; unknown fields and schemas are refused."""
        assert STANDARD == StandardFunnel.from_dict(STANDARD.to_dict())
        with pytest.raises(ValidationError, match="schema must be"):
            StandardFunnel.from_dict({"schema": "x"})
        with pytest.raises(ValidationError, match="Did you mean 'days'"):
            StandardFunnel.from_dict({"schema": "funnel.StandardFunnel/1", "day": []})

    def test_scaled(self):
        """An eighth for one of eight reps; there must be something to scale."""
        assert 6.25 == STANDARD.scaled(1 / 8).weekly_entries
        for standard, factor in ((STANDARD, 0), (StandardFunnel.from_ratios([2, 1]), 2)):
            with pytest.raises(ValidationError, match="factor must be a number above 0"):
                standard.scaled(factor)

    def test_from_history_by_hand(self):
        """Four enter in 28 days and stay ten: one a week, of whom half are won."""
        history = made([(0, "Won", 10), (0, "Lost", 10), (0, "Won", 10), (0, "Lost", 10)], until=27)
        found = StandardFunnel.from_history(history)
        assert (("Qualify",), (0.5,), (10.0,)) == (found.stages, found.conversions, found.days)
        assert 1.0 == found.weekly_entries  # 4 in 28 days

    def test_from_a_period_of_a_history(self):
        """Of the entries of January only."""
        history = made([(0, "Won", 10), (40, "Lost", 10)], until=60)
        january = fn.Horizon.months("2025-01-01", 1)
        found = StandardFunnel.from_history(history, period=january)
        assert (1.0,) == found.conversions
        assert pytest.approx(7 / 31) == found.weekly_entries
        with pytest.raises(ValidationError, match="period must be one period"):
            StandardFunnel.from_history(history, period=fn.Horizon.months("2025-01-01", 2))

    def test_stays_of_no_days_are_no_standard(self):
        """All is won on the day it enters."""
        assert StandardFunnel.from_history(made([(0, "Won", 0)], until=60)).days is None

    def test_entries_of_a_history_are_those_that_were_counted(self):
        """Of 4 deals, 2 begin in B and 1 skips it: 2 enter A, and 2 + 1 enter B."""
        paths = [("A", "Won"), ("A", "B", "Won"), ("B", "Won"), ("B", "Lost")]
        log = fn.History.from_columns(
            funnel=fn.Funnel(["A", "B"]),
            id=[f"D{i}" for i, path in enumerate(paths) for _ in path],
            stage=[stage for path in paths for stage in path],
            at=[f"2026-01-{1 + 7 * day:02}" for path in paths for day in range(len(path))],
        )
        standard = StandardFunnel.from_history(log)
        assert (1.0, 1.5) == standard.entries
        np.testing.assert_allclose([1.0, 1.5, 1.5 * 2 / 3], standard.ratios)
        np.testing.assert_allclose([1.0, 1.5], standard.stock / standard.stock[0])
        assert standard == StandardFunnel.from_dict(standard.to_dict())

    @pytest.mark.parametrize(
        ("entries", "message"),
        [
            ([1], "one number for each of 2"),
            ([1, 0], "entries of 'B' must be a number above 0, got 0"),
            ([2, 1], "must be 1 for the first stage 'A'.*got 2"),
        ],
    )
    def test_entries_that_are_refused(self, entries, message):
        """One for each stage, relative to the first."""
        with pytest.raises(ValidationError, match=message):
            StandardFunnel(["A", "B"], [0.5, 0.5], entries=entries)

    @pytest.mark.parametrize("name", ["semi-markov", "stage-duration", "parametric"])
    def test_from_a_fitted_model(self, name):
        """Constant rates: 3/4 and 5/8 go on, after 1 / (1 - exp(-0.08)) = 13.0 days: within 6 %."""
        world = fn.datasets.World.simple(advance=(0.06, 0.05), lose=(0.02, 0.03))
        log = fn.datasets.simulate(2_000, world=world, rng=4).history
        standard = StandardFunnel.from_model(fn.models.get(name).fit(log), weekly_entries=10)
        np.testing.assert_allclose([0.75, 0.625], standard.conversions, rtol=0.06)
        np.testing.assert_allclose(13.007, standard.days, rtol=0.06)
        np.testing.assert_allclose(standard.conversions[0], standard.entries[1], rtol=1e-9)
        assert standard.weekly_entries == 10
        assert "normal" in str(diagnose(log, attrs.evolve(standard, weekly_entries=None)))

    def test_a_model_without_stages_is_no_standard(self):
        """It is named."""
        log = fn.datasets.simulate(300, rng=4).history
        with pytest.raises(ValidationError, match=r"follows deals from stage.*FittedWinRate"):
            StandardFunnel.from_model(fn.models.get("win-rate").fit(log))

    def test_nobody_went_on(self):
        """Or there is nobody at all."""
        with pytest.raises(InsufficientDataError, match="went on from Qualify"):
            StandardFunnel.from_history(made([(0, "Lost", 10)], until=60))
        empty = made([(0, "Lost", 10)], until=60).select(np.zeros(1, dtype=bool))
        with pytest.raises(InsufficientDataError, match="went on from any stage"):
            StandardFunnel.from_history(empty)


def made(deals, *, until):
    """A history of one stage: the day of entry, how it ends, and after how many days."""
    rows = [(i, "Qualify", day) for i, (day, _, _) in enumerate(deals)]
    rows += [(i, end, day + stay) for i, (day, end, stay) in enumerate(deals)]
    return fn.History.from_columns(
        funnel=Funnel(["Qualify"]),
        id=[row[0] for row in rows],
        stage=[row[1] for row in rows],
        at=START + np.array([row[2] for row in rows]),
        observed_from=START,
        observed_until=START + until,
    )


def company(rng, *, weekly=50.0, rates=(0.6, 0.5, 2 / 3), days=(7.0, 7.0, 7.0), team="A"):
    """A funnel in its steady state for half a year: Poisson arrivals, exponential stays."""
    warm = 120
    n = rng.poisson((warm + 7 * WEEKS) * weekly / 7)
    at = rng.uniform(0, warm + 7 * WEEKS, n)
    deal, here = np.arange(n), np.ones(n, dtype=bool)
    states, rows = [*LADDER.ids[:3], "won"], [(deal, np.zeros(n, dtype=int), np.floor(at))]
    for stage, (rate, stay) in enumerate(zip(rates, days, strict=True)):
        at = at + rng.exponential(stay, n)
        onward = here & (rng.random(n) < rate)
        for who, code in ((onward, stage + 1), (here & ~onward, 4)):
            rows.append((deal[who], np.full(who.sum(), code), np.floor(at[who])))
        here = onward
    deal, code, day = (np.concatenate(column) for column in zip(*rows, strict=True))
    keep = day < warm + 7 * WEEKS
    order = np.lexsort((code, day, deal))
    order = order[keep[order]]
    names = np.array([*states, "lost"], dtype=object)[code[order]]
    return {
        "id": np.array([f"{team}{i}" for i in deal[order]], dtype=object),
        "stage": names,
        "at": START + (day[order].astype(int) - warm),
        "team": np.full(len(order), team, dtype=object),
    }


def history_of(*companies):
    """One history of several companies; what ended before the first day has not been recorded."""
    columns = {
        name: np.concatenate([company[name] for company in companies]) for name in companies[0]
    }
    return fn.History.from_columns(
        funnel=LADDER,
        **columns,
        observed_from=columns["at"].min(),
        observed_until=START + 7 * WEEKS - 1,
    )


HALF_YEAR = fn.Horizon.custom([START, START + 7 * WEEKS])
NUMBER = len(STAGE_MEASURES) * 3 + len(WHOLE_MEASURES)


class TestNoise:
    def test_a_funnel_on_its_standard_has_nothing_wrong(self):
        """The joint level is 95 %: more than 6 of 40 ill ones have a chance of 0.003 (binomial)."""
        ill = 0
        for seed in range(40):
            history = history_of(company(np.random.default_rng(seed)))
            found = diagnose(history, STANDARD, period=HALF_YEAR)
            ill += found.text() != "nothing differs from the standard by more than chance"
        assert ill <= 6

    def test_intervals_are_wider_the_fewer_deals_there_are(self):
        """A tenth of the deals, about three times the width."""
        found = [
            diagnose(
                history_of(company(np.random.default_rng(1), weekly=weekly)),
                STANDARD.scaled(weekly / 50),
                period=HALF_YEAR,
            )
            for weekly in (50.0, 5.0)
        ]
        width = [(d.high - d.low)[0, 0] / d.actual[0, 0] for d in found]
        for measure in (YIELD, SPEED, CONVERSION):
            assert 1.5 < width[1][measure] / width[0][measure] < 6.0


class TestFindings:
    def test_a_bulge_of_deals_that_do_not_move(self):
        """Negotiation lasts 21 days instead of 7: 45 deals where 15 should be, inflow as ever."""
        rng = np.random.default_rng(2)
        history = history_of(company(rng, days=(7.0, 7.0, 21.0)))
        found = diagnose(history, STANDARD, period=HALF_YEAR)
        line = found.text().splitlines()[0]
        assert line.startswith("a bulge at Negotiation: deals stay 2")
        assert line.endswith("days against 7; inflow is normal")
        assert "商务谈判阶段积压：平均停留 2" in found.text("zh")
        assert 1 == found.verdicts[0, 2, BACKLOG]
        assert 1 == found.verdicts[0, 2, SPEED]
        assert 0 == found.verdicts[0, 0, SPEED]

    def test_expected_stock_is_arrivals_times_days(self):
        """Entries of the half-year / 182 days x 7 standard days."""
        found = diagnose(history_of(company(np.random.default_rng(3))), STANDARD, period=HALF_YEAR)
        width = found.whole_actual[0, 0]
        assert pytest.approx(width) == found.expected[0, 0, BACKLOG]  # a week x a week

    def test_a_tiny_mouth_with_good_conversion_asks_for_marketing(self):
        """A tenth of the deals; every stage holds what so few should leave."""
        history = history_of(company(np.random.default_rng(4), weekly=5.0))
        text = diagnose(history, STANDARD, period=HALF_YEAR).text()
        width = diagnose(history, STANDARD, period=HALF_YEAR).whole_actual[0, 0]
        assert f"too few deals at the top: {width:.2g}" in text
        assert " a week against 50" in text
        assert "每周" in diagnose(history, STANDARD, period=HALF_YEAR).text("zh")
        assert "while conversion is normal: spend on marketing" in text
        assert 1 == len(text.splitlines())

    def test_a_weak_step(self):
        """A quarter instead of half of the solutions go on."""
        history = history_of(company(np.random.default_rng(5), rates=(0.6, 0.25, 2 / 3)))
        found = diagnose(history, STANDARD, period=HALF_YEAR)
        assert -1 == found.verdicts[0, 1, CONVERSION]
        assert "the step after Solution is weak: 2" in found.text()
        assert "go on against 50.0%" in found.text()
        assert "解决方案之后的升迁偏弱" in found.text("zh")

    def test_a_wide_mouth_and_a_weak_one(self):
        """Twice the deals; and a tenth of them with a weak step are no case for marketing."""
        many = diagnose(
            history_of(company(np.random.default_rng(6), weekly=100.0)), STANDARD, period=HALF_YEAR
        )
        assert "many deals at the top" in many.text()
        few = company(np.random.default_rng(7), weekly=10.0, rates=(0.3, 0.2, 0.4))
        text = diagnose(history_of(few), STANDARD, period=HALF_YEAR).text()
        assert "too few deals at the top" in text
        assert "marketing" not in text

    def test_each_team_has_its_own_diagnosis(self):
        """One of two teams is slow; one standard of half the size fits both."""
        rng = np.random.default_rng(8)
        slow = company(rng, weekly=25.0, days=(7.0, 28.0, 7.0), team="B")
        history = history_of(company(rng, weekly=25.0), slow)
        found = diagnose(history, STANDARD.scaled(0.5), by=("team",), period=HALF_YEAR)
        assert ["A", "B"] == found.keys["team"].tolist()
        lines = found.text().splitlines()
        assert "team A: nothing differs from the standard by more than chance" in lines
        assert any(line.startswith("team B: a bulge at Solution") for line in lines)
        assert 2 * NUMBER == len(found.to_frame())

    def test_without_a_period_all_that_was_observed_counts(self):
        """The warm-up of 120 days too, in which the funnel filled."""
        history = history_of(company(np.random.default_rng(13)))
        found = diagnose(history, STANDARD)
        assert {} == found.keys
        days = history.observed_until - history.observed_from + 1
        entered = np.count_nonzero(history.stage == 0)
        assert pytest.approx(entered / days * 7) == found.whole_actual[0, 0]

    def test_month_by_month(self):
        """Months that were not observed are unknown, not empty."""
        history = history_of(company(np.random.default_rng(9)))
        months = fn.Horizon.months("2025-05-01", 4)  # the last day is 2025-07-01
        found = diagnose(history, STANDARD, period=months)
        assert np.isnan(found.actual[3]).all()
        assert "period 2025-08: too little is known to compare with the standard" in found.text()
        assert "2025-08" not in str(found).partition("measure")[2].partition("*")[0]


def snapshot(counts, days, **columns):
    """Open deals by stage, all of a stage there for about as many days."""
    stage = np.repeat(LADDER.ids[: len(counts)], counts)
    stay = np.repeat(days, counts) + np.resize([0, 1, 2], sum(counts))
    entered = np.datetime64("2026-06-30") - stay.astype(int)
    return fn.Pipeline.from_columns(
        funnel=LADDER,
        as_of="2026-06-30",
        id=range(sum(counts)),
        stage=stage,
        stage_entered=entered,
        **columns,
    )


def of_two(expected, sides, *, whole=None, whole_sides=None):
    """A diagnosis of two stages of ten deals each, whose verdicts are chosen."""
    found = diagnose(
        fn.Pipeline.from_columns(
            funnel=Funnel(["A", "B"]), as_of="2026-06-30", id=range(20), stage=["A", "B"] * 10
        ),
        StandardFunnel(["A", "B"], [0.6, 0.5]),
    )
    whole = np.full((1, 4), np.nan) if whole is None else whole
    low, high = np.full((2, 1, 2, 5), np.nan)
    for (stage, measure), side in sides.items():
        wanted = expected[0, stage, measure]
        low[0, stage, measure], high[0, stage, measure] = wanted + side, wanted + side
    whole_expected = whole.copy()
    for measure, side in (whole_sides or {}).items():
        whole_expected[0, measure] -= side
    return attrs.evolve(
        found,
        source="history",
        actual=np.full((1, 2, 5), 10.0),
        low=low,
        high=high,
        expected=expected,
        whole_actual=whole,
        whole_low=whole,
        whole_high=whole,
        whole_expected=whole_expected,
    )


class TestSnapshots:
    def test_a_healthy_one(self):
        """50 / 30 / 15, there for three days or so."""
        found = diagnose(snapshot([50, 30, 15], [3, 3, 3]), STANDARD)
        assert "nothing differs from the standard by more than chance" == found.text()
        assert 2 == found.verdicts[0, 0, BACKLOG]
        assert any("no inflow" in note for note in found.notes)

    def test_a_missing_middle(self):
        """4 solutions where 30 should be; without a number in the standard, 0.6 x 50."""
        gap = snapshot([50, 4, 15], [3, 3, 3])
        text = diagnose(gap, STANDARD).text()
        assert "too few deals at Solution: 4 against 30; inflow is normal" in text
        shape = StandardFunnel.from_template("small-project")
        text = diagnose(gap, shape).text()
        assert "too few deals at Solution: 4 against 30; inflow is not known" in text
        assert "conversion before it is not known" in text

    def test_a_bulge_that_moves_and_deals_that_do_not(self):
        """Many, but fresh; and as many as should be, but old."""
        text = diagnose(snapshot([50, 90, 40], [3, 3, 3]), STANDARD).text()
        assert "a bulge at Solution: it holds 90 against 30; inflow is normal" in text
        assert "the time they stay is normal" in text
        text = diagnose(snapshot([50, 30, 15], [3, 30, 3]), STANDARD).text()
        assert "deals stay 31 days at Solution against 7" in text

    def test_a_bulge_quotes_the_measure_that_judged(self):
        """A stage judged by its backlog is told against it: inflow a day x 7, not the stock."""
        few = company(np.random.default_rng(11), weekly=15.0, days=(7.0, 7.0, 70.0))
        found = diagnose(history_of(few), STANDARD, period=HALF_YEAR)
        assert [1, 1] == found.verdicts[0, 2, [BACKLOG, SPEED]].tolist()
        unknown = found.low.copy()
        unknown[0, 2, SPEED] = np.nan  # without days it is no slow bulge
        found = attrs.evolve(found, low=unknown)
        wanted = found.expected[0, 2]
        assert wanted[YIELD] == pytest.approx(15.0)
        assert wanted[BACKLOG] == pytest.approx(4.0)  # 104 entries in 182 days, 7 days each
        assert "it holds 36 against 4; inflow is" in found.text()

    def test_a_gap_judged_by_balance_quotes_it(self):
        """The standard has no number: the shape's share of the stage before, not the backlog."""
        expected = np.full((1, 2, 5), np.nan)
        expected[0, 1, [BACKLOG, BALANCE]] = 4.0, 0.6
        found = of_two(expected, {(1, BALANCE): -1, (1, BACKLOG): 0})
        assert "too few deals at B: 10 against 6; inflow is not known" in found.text()

    def test_numbers_are_those_of_the_table(self):
        """1.84 a week stays 1.84."""
        whole = np.array([[1.84, np.nan, np.nan, np.nan]])
        found = of_two(np.full((1, 2, 5), np.nan), {}, whole=whole, whole_sides={0: 1})
        assert "many deals at the top: 1.84 a week against 0.84" in found.text()
        assert "1.84" in str(found).partition("(whole)")[2]

    def test_weak_overall_with_no_stage_to_blame(self):
        """The product of the conversions is low, and none of them for sure."""
        whole = np.array([[np.nan, 0.2, np.nan, np.nan]])
        found = of_two(np.full((1, 2, 5), np.nan), {}, whole=whole, whole_sides={1: -1})
        line = "conversion is low over all stages: 20.0% are won against 120.0%"
        assert f"{line}, with no single stage to blame" == found.text()
        assert "总转化率偏低：20.0%，标准 120.0%，但不能归于某一阶段" == found.text("zh")

    def test_what_differs_is_never_told_as_nothing(self):
        """Few days and a steep slope are no fault, and they do differ."""
        expected = np.full((1, 2, 5), np.nan)
        expected[0, 0, SPEED] = 20.0
        whole = np.array([[np.nan, 0.9, np.nan, np.nan]])
        found = of_two(expected, {(0, SPEED): -1}, whole=whole, whole_sides={1: 1})
        assert found.text().endswith("by more than chance: speed of A low, slope high")
        assert found.text("zh").endswith("：A速率偏低、斜率偏高")

    def test_few_days_so_far_are_no_sign_of_speed(self):
        """All entered today."""
        found = diagnose(snapshot([50, 30, 15], [0, 0, 0]), STANDARD)
        assert not (found.verdicts[..., SPEED] == -1).any()

    def test_deals_by_owner(self):
        """One of them has two deals in one stage; unknown days are not guessed."""
        pipeline = fn.Pipeline.from_columns(
            funnel=LADDER,
            as_of="2026-06-30",
            id=range(4),
            stage=["intent", "intent", "intent", "won"],
            stage_entered=["2026-06-20", None, "2026-06-25", "2026-06-25"],
            owner=["Ann", "Ann", "Bo", "Bo"],
        )
        found = diagnose(pipeline, STANDARD, by=("owner",))
        assert [2.0, 1.0] == found.actual[:, 0, YIELD].tolist()
        assert [10.0, 5.0] == found.actual[:, 0, SPEED].tolist()
        assert "owner Ann: too few deals at the top: 2 against 50" in found.text()

    def test_no_open_deal_at_all(self):
        """Nobody is there: the mouth is narrow, the rest is unknown."""
        empty = snapshot([50, 30, 15], [3, 3, 3]).select(np.zeros(95, dtype=bool))
        found = diagnose(empty, STANDARD)
        assert "too few deals at the top: 0 against 50" in found.text()
        assert np.isnan(found.whole_actual[0, 2])

    def test_the_whole_can_differ_with_no_single_stage_to_blame(self):
        """Each of six stages keeps as many as the one before, where it should lose a fifth."""
        ladder = Funnel(list("ABCDEF"))
        pipeline = fn.Pipeline.from_columns(
            funnel=ladder, as_of="2026-06-30", id=range(204), stage=np.repeat(list("ABCDEF"), 34)
        )
        found = diagnose(pipeline, StandardFunnel(list("ABCDEF"), [0.8] * 6))
        # Half the sum of |1/6 - 0.8^i / (1 + 0.8 + ... + 0.8^5)|.
        share = 0.8 ** np.arange(6) / (0.8 ** np.arange(6)).sum()
        assert pytest.approx(np.abs(share - 1 / 6).sum() / 2) == found.whole_actual[0, 2]
        assert "in other stages than they should be: 16.1% of them" in found.text()
        assert "商机分布不均匀：16.1%" in found.text("zh")

    def test_the_cycle_can_be_long_with_no_single_stage_to_blame(self):
        """7, 8 or 9 days so far in each: 3 x 8 where 21 should be, and no stage for sure."""
        found = diagnose(snapshot([9, 9, 9], [7, 7, 7]), STANDARD.scaled(0.2))
        assert not (found.verdicts[..., SPEED] == 1).any()
        assert "sales cycle is long: 24 days against 21" in found.text()
        assert "销售周期过长：24 天" in found.text("zh")

    def test_what_is_refused(self):
        """Periods of a snapshot, unknown names, and what is no table."""
        pipeline = snapshot([5, 3, 2], [3, 3, 3])
        with pytest.raises(ValidationError, match="period must not be given for a snapshot"):
            diagnose(pipeline, STANDARD, period="month")
        with pytest.raises(ValidationError, match=r"by=\('owner',\)"):
            diagnose(pipeline, STANDARD, by="owner")
        with pytest.raises(UnknownColumnError):
            diagnose(pipeline, STANDARD, by=("owner",))
        with pytest.raises(UnknownStageError):
            diagnose(pipeline, StandardFunnel.from_ratios([2, 1]))
        with pytest.raises(ValidationError, match="not what they end as"):
            diagnose(pipeline, StandardFunnel(["won"], [0.5]))
        with pytest.raises(ValidationError, match="source must be a History or a Pipeline"):
            diagnose([1, 2], STANDARD)
        with pytest.raises(ValidationError, match="level must lie"):
            diagnose(pipeline, STANDARD, level=1.0)
        with pytest.raises(ValidationError, match="language must be 'en' or 'zh'"):
            diagnose(pipeline, STANDARD).text("fr")


class TestDisplay:
    def test_text_html_and_frame(self):
        """Findings first, then what is known; shares as percentages."""
        history = history_of(company(np.random.default_rng(10), days=(7.0, 7.0, 21.0)))
        found = diagnose(history, STANDARD, period=HALF_YEAR)
        text = str(found)
        assert text.startswith(found.text())
        assert "(whole)" in text
        assert "50.0%" in text
        assert "<table>" in found._repr_html_()
        frame = found.to_frame()
        assert NUMBER == len(frame)
        assert {"low", "normal", "high", "unknown"} >= set(frame["verdict"])
        assert "funnel.Diagnosis/1" == found.to_dict()["schema"]

    def test_an_open_end_is_shown_as_infinite(self):
        """A snapshot's days have no upper bound."""
        assert "∞" in str(diagnose(snapshot([50, 30, 15], [3, 3, 3]), STANDARD))

    def test_every_kind_of_path_goes_through(self):
        """Skips, loops, holds, reopenings and late entries of the fixtures, without a warning."""
        history = fixtures.history()
        standard = StandardFunnel.from_history(history)
        found = diagnose(history, standard, by=("owner",), period="quarter")
        assert len(found.text().splitlines()) >= 4 * 6
        assert "owner –" in found.text()


class TestIntervals:
    def test_poisson_bounds_are_garwood_s(self):
        """0 events: 0 to -log(0.025); 10 events: 4.80 to 18.39 (Garwood 1936, table)."""
        found = _intervals.poisson(np.array([0.0, 10.0, np.nan]), 0.95)
        np.testing.assert_allclose([0.0, 4.795, np.nan], found.low, atol=5e-4)
        np.testing.assert_allclose([-np.log(0.025), 18.390, np.nan], found.high, atol=5e-4)

    def test_ratios_of_counts_hold_their_level(self):
        """Of two Poisson counts of 30 and 60, the ratio 0.5 lies within in about 95 %."""
        rng = np.random.default_rng(11)
        found = _intervals.odds(
            rng.poisson(30, 4_000).astype(float), rng.poisson(60, 4_000).astype(float), 0.95
        )
        inside = np.mean((found.low <= 0.5) & (found.high >= 0.5))
        assert 0.935 < inside < 0.965  # 95 % less 4 standard errors

    def test_few_exits_have_wide_days(self):
        """With 2 exits in 20 days: 20 / 7.225 to 20 / 0.2422, from the Poisson table."""
        two = [np.array([value]) for value in (10.0, 1.0, 2.0, 20.0)]
        found = _intervals.mean_days(*two, 0.95)
        np.testing.assert_allclose([20 / 7.2247], found.low, rtol=1e-4)
        np.testing.assert_allclose([20 / 0.24221], found.high, rtol=1e-4)
        none = [np.array([value]) for value in (10.0, 0.0, 0.0, 20.0)]
        assert np.isinf(_intervals.mean_days(*none, 0.95).high[0])

    def test_shapes_by_chance_are_within(self):
        """Multinomial counts of the standard itself are found uneven in 5 % of the cases."""
        shape = np.array([0.5, 0.3, 0.2])
        counts = np.random.default_rng(12).multinomial(60, shape, 2_000).astype(float)
        uneven = np.mean(_intervals.shape_distance(counts, shape, 0.95).low > 0.0)
        assert 0.02 < uneven < 0.075

    def test_a_product_with_nothing_in_it(self):
        """Nobody goes on: 0, and at most the product of the upper bounds."""
        part = _intervals.Bounds(*(np.array([row]) for row in ([0, 0.5], [0, 0.3], [0.2, 0.7])))
        found = _intervals.product(part)
        np.testing.assert_allclose([0.0, 0.0, 0.14], np.ravel(found))
