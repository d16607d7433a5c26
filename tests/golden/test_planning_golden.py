"""Golden A and B of domain.md, section 5, to the last digit."""

from fractions import Fraction

import pytest

from funnel.calendars import Horizon
from funnel.diagnosis import StandardFunnel
from funnel.planning import plan
from funnel.stages import Funnel


def test_golden_a():
    """10,000,000 at 100,000 a deal are 100 wins; at 20 % these need 500 opportunities."""
    ideal = plan(10_000_000, average_amount=100_000, conversions={"Opportunity": 0.2})
    assert 100.0 == ideal.wins
    assert [500.0] == ideal.stages.entries.tolist()


def test_golden_a_and_so_on_upward_through_every_stage():
    """500 opportunities at 25 % from leads, and these at 10 % from contacts: 2,000 and 20,000."""
    ladder = {"Contact": 0.1, "Lead": 0.25, "Opportunity": 0.2}
    ideal = plan(10_000_000, average_amount=100_000, conversions=ladder)
    assert [20_000.0, 2_000.0, 500.0] == ideal.stages.entries.tolist()


def test_golden_b_target_of_the_quarter():
    """10,350,000 x 1.17 x 75 % x 26.5 % = 2,406,763.125."""
    ideal = plan(
        10_350_000,
        average_amount=20_000,
        conversions=[0.2],
        gross_up=1.17,
        shares={"small projects": 0.75, "others": 0.25},
        seasonality=[0.2, 0.265, 0.235, 0.3],
    )
    periods = ideal.periods
    assert ("small projects", "2") == (periods.share[1], periods.period[1])
    assert 2_406_763.125 == periods.money[1]
    assert 2_406_763.125 / 20_000 == periods.wins[1]
    assert 10_350_000 * 1.17 == sum(periods.money)


def test_golden_b_funnel_of_the_quarter():
    """2.4 million: 120 deals, 10 a week, 50 / 30 / 15 standing, 50 new ones a week, 10 reps."""
    ideal = plan(
        2_400_000,
        average_amount=20_000,
        conversions=[0.6, 0.5, 2 / 3],
        funnel=Funnel.template("small-project"),  # one week a stage
        horizon=Horizon.quarters("2026-04-01", 1),
        selling_weeks=12,
        rep_capacity=5,
    )
    assert 120.0 == ideal.wins
    assert 10.0 == ideal.wins / 12
    assert [50.0, 30.0, 15.0] == ideal.stages.weekly.tolist()
    assert [50.0, 30.0, 15.0] == ideal.stages.stock.tolist()
    assert [600.0, 360.0, 180.0] == ideal.stages.entries.tolist()
    assert 10.0 == ideal.reps
    assert 10 == ideal.headcount


def test_golden_b_conversions_are_those_of_the_standard_funnel():
    """10 : 6 : 3 : 2 is 20 % overall, and 50 / 30 / 15 with one week a stage and 50 a week."""
    standard = StandardFunnel.from_template("small-project", weekly_entries=50)
    assert pytest.approx(0.2) == standard.ratios[-1]
    assert [50.0, 30.0, 15.0] == standard.stock.tolist()
    ideal = plan(2_400_000, average_amount=20_000, conversions=standard.conversions)
    assert [600.0, 360.0, 180.0] == ideal.stages.entries.tolist()


@pytest.mark.parametrize(
    ("solve_for", "left_out", "expected"),
    [
        ("target", "target", 2_400_000.0),
        ("average_amount", "average_amount", 20_000.0),
        ("rep_capacity", "rep_capacity", 5.0),
        ("conversion:negotiation", "conversions", 2 / 3),
    ],
)
def test_golden_b_solved_for_each_unknown(solve_for, left_out, expected):
    """Ten reps who open five a week lead back to what was left out, exactly."""
    givens = {
        "target": 2_400_000,
        "average_amount": 20_000,
        "rep_capacity": 5,
        "conversions": [Fraction(3, 5), Fraction(1, 2), Fraction(2, 3)],
    }
    givens[left_out] = [0.6, 0.5, None] if left_out == "conversions" else None
    target = givens.pop("target")
    found = plan(
        target,
        **givens,
        funnel=Funnel.template("small-project"),
        selling_weeks=12,
        reps=10,
        solve_for=solve_for,
    )
    values = {
        "target": found.target,
        "average_amount": found.average_amount[0],
        "rep_capacity": found.rep_capacity,
        "conversions": found.stages.conversion[2],
    }
    assert expected == values[left_out]
