"""Laws of a classic plan: monotone, dimensionally right, and inverted by solving."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from funnel.planning import Scenario, plan

AMOUNTS = st.floats(1.0, 1e9)
RATES = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5)


@st.composite
def givens(draw):
    """Draw what a plan is given, all of it."""
    conversions = draw(RATES)
    n = len(conversions)
    weights = draw(st.lists(st.integers(1, 20), min_size=1, max_size=4))
    return {
        "average_amount": draw(AMOUNTS),
        "conversions": conversions,
        "visits": draw(st.lists(st.floats(0.1, 3.0), min_size=n, max_size=n)),
        "durations": draw(st.lists(st.floats(0.5, 200.0), min_size=n, max_size=n)),
        "seasonality": [Fraction(weight, sum(weights)) for weight in weights],
        "selling_weeks": draw(st.floats(1.0, 60.0)),
        "rep_capacity": draw(st.floats(0.1, 50.0)),
        "gross_up": draw(st.floats(0.5, 2.0)),
    }


def needs(ideal):
    """Everything that a plan needs, in one vector."""
    table = ideal.stages
    return np.concatenate(
        ([ideal.wins, ideal.reps], table.entries, table.weekly, table.stock, table.peak_stock)
    )


@given(givens(), AMOUNTS, st.floats(1.001, 100.0))
def test_more_target_needs_more_of_everything(known, target, more):
    """Everything is proportional to the target."""
    base, large = plan(target, **known), plan(target * more, **known)
    assert np.all(needs(large) > needs(base))
    np.testing.assert_allclose(needs(large), needs(base) * more, rtol=1e-12)


@given(givens(), AMOUNTS)
def test_doubling_the_average_amount_halves_the_deals(known, target):
    """Exactly, as the amount is a fraction: halving a float is exact."""
    amount = Fraction(known["average_amount"])
    base = plan(target, **{**known, "average_amount": amount})
    double = plan(target, **{**known, "average_amount": 2 * amount})
    np.testing.assert_array_equal(needs(base) / 2, needs(double))


@given(AMOUNTS, AMOUNTS, st.integers(1, 5))
def test_conversion_1_and_duration_0_give_the_target_itself(target, average, n):
    """Every deal that enters is won at once: entries x amount is the target, and nothing waits."""
    ideal = plan(
        target, average_amount=average, conversions=[1] * n, durations=[0] * n, selling_weeks=13
    )
    np.testing.assert_array_equal([ideal.wins] * n, ideal.stages.entries)
    np.testing.assert_array_equal([0.0] * n, ideal.stages.stock)
    np.testing.assert_allclose(target, ideal.wins * average, rtol=1e-12)


@given(givens(), AMOUNTS, st.data())
def test_solving_is_the_inverse_of_planning(known, target, data):
    """Whatever is left out comes back exactly, from the reps, the entries or a stock."""
    base = plan(target, **known)
    exact = base.givens
    stages, stage = exact.stages, data.draw(st.integers(0, len(exact.stages) - 1))
    rates, days = list(exact.conversions), list(exact.durations)
    name = stages[stage]
    limits = [
        {"reps": exact.peak_reps},
        {"entries": exact.total_wins * exact.per_win[0]},
        {"stock": {name: exact.peak_stock(stage)}},
    ]
    limit = data.draw(st.sampled_from(limits))
    shorter, faster = list(rates), list(days)
    shorter[stage] = faster[stage] = None
    cases = [
        ("target", None, {}, limit),
        ("average_amount", target, {"average_amount": None}, limit),
        (f"conversion:{name}", target, {"conversions": shorter}, limit),
        (f"duration:{name}", target, {"durations": faster}, limits[2]),
        ("rep_capacity", target, {"rep_capacity": None}, limits[0]),
        ("reps", target, {}, {}),
    ]
    solve_for, money, changed, given_limit = data.draw(st.sampled_from(cases))
    found = plan(money, **{**known, **changed}, **given_limit, solve_for=solve_for)
    assert exact == found.givens


@given(givens(), AMOUNTS, st.data())
def test_elasticities_are_the_slopes_of_the_plan(known, target, data):
    """Against a plan whose lever is one millionth better."""
    base = plan(target, **{**known, "conversions": [min(c, 0.9) for c in known["conversions"]]})
    table, step = base.elasticities(), 1.0 + 1e-6
    row = data.draw(st.integers(0, len(table.levers) - 2))
    lever, _, stage = table.levers[row].partition(":")
    change = {stage: step} if stage else step
    scenario = Scenario("more", **{f"{lever}s" if stage else lever: change})
    found = base.compare(scenario)
    for name in ("revenue", "entries", "stock", "lead_days"):
        before, after = getattr(found, name)
        slope = np.log(after / before) / np.log(step)
        np.testing.assert_allclose(getattr(table, name)[row], slope, atol=1e-4)
