"""Scenarios as data, side by side, and the way from last year's funnel to this year's."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import (
    CurrencyMismatchError,
    InsufficientDataError,
    UnknownStageError,
    ValidationError,
)
from funnel.planning import ActualFunnel, Plan, Scenario, plan

START = np.datetime64("2025-01-01")
KNOWN = {"average_amount": 100, "conversions": {"Qualify": 0.5, "Propose": 0.4}}


class TestScenario:
    def test_it_is_data(self):
        """Hashable, equal whatever the order of its stages, and back from JSON."""
        first = Scenario("x", conversions={"B": 1.1, "A": 0.9})
        second = Scenario("x", conversions={"A": 0.9, "B": 1.1})
        assert first == second
        assert 1 == len({first, second})
        assert first == Scenario.from_dict(first.to_dict())

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"name": ""}, "name must be a text"),
            ({"name": 5}, "name must be a text"),
            ({"name": "x", "target": 0}, "target must be a finite number above 0"),
            ({"name": "x", "inflow": float("nan")}, "inflow must be"),
            ({"name": "x", "durations": {"A": -1}}, "durations of 'A' must be"),
            ({"name": "x", "durations": 1.1}, "must map stages to factors, got 1.1"),
            ({"name": "x", "conversions": [1.1]}, "must map stages to factors"),
        ],
    )
    def test_factors_are_above_0(self, fields, message):
        """And a scenario has a name."""
        with pytest.raises(ValidationError, match=message):
            Scenario(**fields)

    @pytest.mark.parametrize(
        ("plain", "message"),
        [
            ({"schema": "other"}, "schema must be"),
            ({"schema": "funnel.Scenario/1"}, "name must be a text"),
            ({"schema": "funnel.Scenario/1", "name": "x", "tarjet": 2}, "Did you mean 'target'"),
        ],
    )
    def test_json_of_something_else_is_refused(self, plain, message):
        """By schema and fields."""
        with pytest.raises(ValidationError, match=message):
            Scenario.from_dict(plain)


class TestCompare:
    def test_side_by_side_by_hand(self):
        """500 entries bring 10,000; with half again as many proposals won, 15,000; 333 would do."""
        base = plan(10_000, **KNOWN, selling_weeks=10, durations=[14, 7], rep_capacity=5)
        found = base.compare(
            Scenario("closing", conversions={"Propose": 1.5}),
            Scenario("more", inflow=1.2, average_amount=0.5, rep_capacity=2.0),
            Scenario("slow", durations={"Qualify": 2.0}, target=1.1),
        )
        assert ["plan", "closing", "more", "slow"] == found.scenarios.tolist()
        np.testing.assert_allclose([500, 1000 / 3, 1000, 550], found.entries)
        np.testing.assert_allclose([10_000, 15_000, 6_000, 10_000], found.revenue)
        np.testing.assert_allclose([1, 1.5, 0.6, 1 / 1.1], found.attainment)
        np.testing.assert_allclose([21, 21, 21, 35], found.lead_days)
        np.testing.assert_allclose([10, 20 / 3, 10, 11], found.reps)
        # 50 a week for 14 days and 25 for 7: 125.
        assert 125.0 == found.stock[0]
        assert "Scenarios" in str(found)
        assert "150.0%" in str(found)

    def test_under_gives_the_plan_itself(self):
        """Its entries are those of the comparison."""
        base = plan(10_000, **KNOWN)
        assert [1000.0, 500.0] == base.under(Scenario("x", target=2.0)).stages.entries.tolist()

    def test_what_does_not_fit_the_plan(self):
        """An unknown stage, a conversion above 1, durations of a plan without any."""
        base = plan(10_000, **KNOWN)
        with pytest.raises(UnknownStageError, match="Did you mean 'Propose'"):
            base.under(Scenario("x", conversions={"Propos": 2.0}))
        with pytest.raises(ValidationError, match=r"would be 1\.25 in scenario 'x'"):
            base.under(Scenario("x", conversions={"Qualify": 2.5}))
        with pytest.raises(ValidationError, match="changes durations of a plan that has none"):
            base.under(Scenario("x", durations={"Qualify": 2.5}))
        with pytest.raises(ValidationError, match="changes rep_capacity of a plan that has none"):
            base.under(Scenario("x", rep_capacity=2.0))


class TestElasticities:
    def test_of_the_stock_by_hand(self):
        """100 and 25 deals: 0.8 and 0.2 of the stock, 14 and 7 days: 2/3 and 1/3 of the lead."""
        table = plan(10_000, **KNOWN, durations=[14, 7]).elasticities()
        np.testing.assert_allclose([-0.8, -1, 0.8, 0.2, -1, 0], table.stock)
        np.testing.assert_allclose([0, 0, 2 / 3, 1 / 3, 0, 0], table.lead_days)
        assert [1.0, 1.0, 0.0, 0.0, 1.0, 1.0] == table.revenue.tolist()
        assert [-1.0, -1.0, 0.0, 0.0, -1.0, 0.0] == table.entries.tolist()
        assert "duration:Propose" in str(table)

    @pytest.mark.parametrize("durations", [None, [0, 0]])
    def test_without_days_they_are_unknown(self, durations):
        """None given, or nothing waits."""
        table = plan(10_000, **KNOWN, durations=durations).elasticities()
        assert np.isnan(table.stock).all()
        assert np.isnan(table.lead_days).all()


# One row for each deal: state by day since START. Observed for days 0 to 99.
PATHS = {
    "won": [("Qualify", 0), ("Propose", 10), ("Won", 30)],
    "skips": [("Qualify", 5), ("Won", 15)],
    "lost": [("Qualify", 10), ("Propose", 20), ("Lost", 60)],
    "dies": [("Qualify", 20), ("Lost", 40)],
    "straight": [("Propose", 50), ("Won", 70)],
}


def history(paths=PATHS, *, amount=100.0, **columns):
    """A history of paths."""
    rows = [(name, state, day) for name, path in paths.items() for state, day in path]
    return fn.History.from_columns(
        funnel=fn.Funnel(["Qualify", "Propose"]),
        id=[row[0] for row in rows],
        stage=[row[1] for row in rows],
        at=START + np.array([row[2] for row in rows]),
        amount=np.broadcast_to(amount, len(rows)).astype(float),
        observed_from=START,
        observed_until=START + 99,
        **columns,
    )


class TestActualFunnel:
    def test_skipped_stages_count_as_passed_and_not_as_entered(self):
        """All 5 came to Qualify or past it, 4 to Propose, of whom 3 were won; each was skipped."""
        found = ActualFunnel.of(history(currency="EUR"))
        assert [5, 4] == found.reached.tolist()
        assert [4, 3] == found.entries.tolist()
        np.testing.assert_allclose([4 / 5, 3 / 4], found.visits)
        np.testing.assert_allclose([0.8, 0.75], found.conversion)
        assert (3, 300.0, 100.0) == (found.wins, found.revenue, found.average_amount)
        assert np.prod(found.conversion) * found.reached[0] == pytest.approx(found.wins)
        assert "3 won, 300 EUR booked" in str(found)

    def test_a_deal_that_comes_back_enters_again(self):
        """Propose on day 10, Qualify on day 20, Propose on 35: two visits each, one deal."""
        loop = [("Qualify", 0), ("Propose", 10), ("Qualify", 20), ("Propose", 35), ("Won", 40)]
        found = ActualFunnel.of(history({**PATHS, "loop": loop}))
        assert [6, 5] == found.reached.tolist()
        assert [4 + 2, 3 + 2] == found.entries.tolist()
        np.testing.assert_allclose([(50 + 10 + 15) / 6, (80 + 10 + 5) / 5], found.days)

    def test_days_are_those_of_little_s_law(self):
        """Qualify 10 + 10 + 10 + 20 days in 4 visits; Propose 20 + 40 + 20 days in 3."""
        found = ActualFunnel.of(history())
        np.testing.assert_allclose([50 / 4, 80 / 3], found.days)
        np.testing.assert_allclose([50 / 100, 80 / 100], found.stock)
        np.testing.assert_allclose(found.weekly / 7 * found.days, found.stock)

    def test_open_deals_are_censored(self):
        """Two enter on day 0; one advances on day 10, the other is still there: 1, not 1/2.

        With the second censored on day 5, only the first is at risk on day 10.
        """
        young = {**PATHS, "young": [("Qualify", 95)]}
        assert 0.8 == pytest.approx(ActualFunnel.of(history(young)).conversion[0], abs=0.05)
        only = {"a": [("Qualify", 0), ("Propose", 10), ("Won", 20)], "b": [("Qualify", 95)]}
        assert 1.0 == ActualFunnel.of(history(only)).conversion[0]

    def test_a_window_sees_what_happened_in_it(self):
        """From day 15 to 75: dies enters Qualify; lost, and straight past Qualify, Propose."""
        found = ActualFunnel.of(history(), start=START + 15, end=START + 75)
        assert [2, 3] == found.reached.tolist()  # skips was won on day 15, past Propose
        assert [1, 2] == found.entries.tolist()
        assert 3 == found.wins
        assert "2025-01-16 to 2025-03-17" in str(found)

    def test_late_deals_count_from_the_next_stage_on(self):
        """Created before the window: nobody saw when it came to Qualify."""
        late = {**PATHS, "late": [("Qualify", 0), ("Propose", 8), ("Won", 12)]}
        created = START + np.array(
            [-5 if name == "late" else path[0][1] for name, path in late.items() for _ in path]
        )
        found = ActualFunnel.of(history(late, created=created))
        assert [5, 5] == found.reached.tolist()
        assert [4, 4] == found.entries.tolist()  # all but straight; won, lost, straight and late

    def test_what_was_won_and_reopened_is_not_won(self):
        """The deal ends lost: 2 of 4 proposals are won."""
        back = {**PATHS, "won": [*PATHS["won"], ("Propose", 35), ("Lost", 45)]}
        np.testing.assert_allclose([0.8, 0.5], ActualFunnel.of(history(back)).conversion)

    @pytest.mark.parametrize(
        ("paths", "amount", "message"),
        [
            ({"a": [("Qualify", 0), ("Lost", 5)]}, 1.0, "went on from stage 'Qualify'"),
            ({"a": [("Qualify", 0), ("Propose", 5)]}, 1.0, "went on from stage 'Propose'"),
            ({"a": [("Qualify", 0), ("Won", 5)]}, np.nan, "won deals with an amount"),
        ],
    )
    def test_too_little_to_plan_from(self, paths, amount, message):
        """The stage is named."""
        with pytest.raises(InsufficientDataError, match=message):
            ActualFunnel.of(history(paths, amount=amount))

    def test_currencies_are_not_added_up(self):
        """Two of them among the won deals."""
        n = sum(map(len, PATHS.values()))
        mixed = history(currency=["EUR"] * (n - 1) + ["USD"])
        with pytest.raises(CurrencyMismatchError):
            ActualFunnel.of(mixed)

    def test_a_window_that_was_not_observed(self):
        """Its first day is named."""
        with pytest.raises(ValidationError, match="start must lie between 2025-01-01"):
            ActualFunnel.of(history(), start="2024-06-01")
        with pytest.raises(ValidationError, match="start must lie between"):
            ActualFunnel.of(history(), start=START + 50, end=START + 40)


def test_the_actual_funnel_of_a_known_truth():
    """Chances of 60 % and 50 %, exponential days of mean 10 and 20: within 3.5 standard errors."""
    rng = np.random.default_rng(1)
    n = 6_000
    at = rng.uniform(-200, 365, n)
    rows = [(np.arange(n), np.zeros(n, dtype=int), at)]
    here = np.ones(n, dtype=bool)
    for code, rate, mean in ((1, 0.6, 10.0), (2, 0.5, 20.0)):
        at = at + rng.exponential(mean, n)
        onward = here & (rng.random(n) < rate)
        for who, state in ((onward, code), (here & ~onward, 3)):
            rows.append((np.flatnonzero(who), np.full(who.sum(), state), at[who]))
        here = onward
    deal, code, day = (np.concatenate(column) for column in zip(*rows, strict=True))
    keep = day < 365
    order = np.lexsort((code[keep], day[keep], deal[keep]))
    log = fn.History.from_columns(
        funnel=fn.Funnel(["Qualify", "Propose"]),
        id=deal[keep][order],
        stage=code[keep][order],
        at=START + np.floor(day[keep][order]).astype(int),
        amount=np.full(keep.sum(), 100.0),
        observed_until=START + 364,
    )
    found = ActualFunnel.of(log, start=START)
    entered = found.entries
    rates = np.array([0.6, 0.5])
    error = np.sqrt(rates * (1 - rates) / entered)
    assert np.all(np.abs(found.conversion - rates) < 3.5 * error)
    # Relative error of stock / entries: stays of exponential length, and entries by chance.
    assert np.all(np.abs(found.days / [10.0, 20.0] - 1) < 3.5 * np.sqrt(2 / entered))


class TestFromActual:
    def test_unchanged_it_wins_the_same_again(self):
        """The next 100 days, the same money: the same entries a week, the same stock."""
        ideal = Plan.from_actual(history())
        actual = ideal.actual
        assert (300.0, 3.0) == (ideal.target, pytest.approx(ideal.wins))
        np.testing.assert_allclose(actual.weekly, ideal.stages.weekly)
        np.testing.assert_allclose(actual.stock, ideal.stages.stock)
        horizon = ideal.givens.horizon
        assert ("2025-04-11", 100) == (str(horizon.start), (horizon.end - horizon.start).days)

    def test_entries_are_those_that_were_where_deals_skip_and_come_back(self):
        """A third of the money again: a third of the visits to each stage, in as many weeks."""
        states = ["Qualify", "Propose"] * 3 + ["Won"]
        loop = list(zip(states, [0, 10, 20, 35, 36, 37, 40], strict=True))
        ideal = Plan.from_actual(history({**PATHS, "loop": loop}), target=400 / 3)
        np.testing.assert_allclose([7 / 6, 6 / 5], ideal.actual.visits)
        entries = ideal.actual.entries / 3
        np.testing.assert_allclose(entries, ideal.stages.entries)
        np.testing.assert_allclose(ideal.actual.stock / 3, ideal.stages.stock)
        np.testing.assert_allclose(ideal.actual.visits, ideal.stages.visits)
        columns = ideal.to_columns()
        np.testing.assert_allclose(entries, columns["entries"])
        assert "visits" in str(ideal)

    def test_changes_and_side_by_side(self):
        """Twice the money, with proposals won 4/3 as often: 1.5 times the entries."""
        changes = Scenario("growth", target=2.0, conversions={"Propose": 4 / 3})
        ideal = Plan.from_actual(history(), changes=changes)
        table = ideal.beside_actual()
        columns = table.to_columns()
        np.testing.assert_allclose(1.5 * columns["weekly_actual"][0], columns["weekly_ideal"][0])
        np.testing.assert_allclose(
            [0.75, 1.0], [columns["conversion_actual"][1], columns["conversion_ideal"][1]]
        )
        assert "Actual funnel (2025-01-01 to 2025-04-10) and ideal funnel" in str(table)
        assert ideal.under(Scenario("same")).actual is ideal.actual

    def test_the_givens_of_a_plan_are_taken(self):
        """Target, periods, seasons, reps and the day of the plan."""
        ideal = Plan.from_actual(
            history(),
            target=1_000,
            horizon=fn.Horizon.quarters("2025-04-11", 2),
            seasonality=[0.25, 0.75],
            rep_capacity=2,
            as_of="2025-04-10",
        )
        assert 10.0 == ideal.wins
        assert [250.0, 750.0] == ideal.periods.money.tolist()
        assert ideal.reps > 0.0

    def test_the_day_of_the_plan_is_the_last_of_the_window(self):
        """What is too late by then is said; another day may be given."""
        assert START + 99 == np.datetime64(Plan.from_actual(history()).givens.as_of, "D")
        early = Plan.from_actual(history(), as_of=START + 90)
        assert START + 90 == np.datetime64(early.givens.as_of, "D")

    def test_a_change_can_make_the_horizon_too_short(self):
        """Twenty times the days."""
        with pytest.raises(ValidationError, match="lead time"):
            Plan.from_actual(
                history(), changes=Scenario("x", durations={"Qualify": 20.0}), as_of=START + 99
            )

    def test_only_such_a_plan_has_an_actual_funnel(self):
        """The remedy is named."""
        with pytest.raises(ValidationError, match=r"Plan\.from_actual"):
            plan(100, **KNOWN).beside_actual()
