"""Golden numbers of the weighted forecast (the practice that the library starts from).

One hundred in each of the six stages of the project ladder and 100 booked give
100 x (0 + 10 + 20 + 30 + 50 + 70) % + 100 x 100 % = 280.
"""

import numpy as np
import pytest

import funnel as fn

PROJECT = fn.Funnel.template("project")
SIX = [stage.id for stage in PROJECT.stages]


def pipeline(amount=100.0):
    """One deal in each stage of the ladder, and one won in the period."""
    return fn.Pipeline.from_columns(
        funnel=PROJECT,
        as_of="2026-07-15",
        id=[f"deal {i}" for i in range(7)],
        stage=[*SIX, PROJECT.ids[PROJECT.won_code]],
        amount=np.full(7, amount),
        expected_close=["2026-08-01"] * 7,
        closed_on=["NaT"] * 6 + ["2026-07-10"],
    )


def test_the_ladder_gives_280():
    """The formula of the trade, to the last digit."""
    outlook = fn.forecast(pipeline(), fn.Horizon.quarters("2026-07-01", 1), "textbook")
    assert pytest.approx(280.0, abs=1e-9) == outlook.expected[0]
    assert pytest.approx(180.0, abs=1e-9) == outlook.parts["open"].expected[0]
    assert [100.0] == outlook.parts["booked"].expected.tolist()


def test_the_ladder_in_chinese_is_the_same_ladder():
    """Stage names in Chinese lead to the same codes, hence the same 280."""
    table = fn.Pipeline.from_columns(
        funnel=PROJECT,
        as_of="2026-07-15",
        id=range(7),
        stage=["目标", "潜在", "意向", "立项", "方案认可", "商务谈判", "negotiation"],
        amount=np.array([100.0] * 6 + [0.0]),
        expected_close=["2026-08-01"] * 7,
    )
    outlook = fn.forecast(table, fn.Horizon.quarters("2026-07-01", 1), "textbook")
    assert pytest.approx(180.0, abs=1e-9) == outlook.expected[0]


def test_the_spread_is_that_of_independent_deals():
    """Var = sum of a^2 p (1 - p) = 10,000 x (0.09 + 0.16 + 0.21 + 0.25 + 0.21) = 9,200."""
    outlook = fn.forecast(pipeline(), fn.Horizon.quarters("2026-07-01", 1), "textbook")
    assert pytest.approx(np.sqrt(9_200.0)) == outlook.sd[0]


def test_the_chance_of_everything_is_zero_and_of_the_booked_one():
    """The 0 % stage never closes; 100 are booked for certain; all five others: 0.0021."""
    outlook = fn.forecast(pipeline(), fn.Horizon.quarters("2026-07-01", 1), "textbook")
    assert [1.0] == outlook.probability_of(100.0).tolist()
    assert [0.0] == outlook.probability_of(700.0).tolist()
    assert pytest.approx(0.1 * 0.2 * 0.3 * 0.5 * 0.7) == outlook.probability_of(600.0)[0]
    assert ("enumeration",) == outlook.method
