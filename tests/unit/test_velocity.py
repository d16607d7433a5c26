"""Sales velocity by hand, and its decomposition against the formula and its limits."""

import numpy as np
import pytest

import funnel as fn
from funnel.errors import CurrencyMismatchError, ValidationError
from funnel.metrics.velocity import FACTORS, decompose, sales_velocity, summarize_velocity
from funnel.testing import fixtures

START = np.datetime64("2026-01-01")
ONE = fn.Funnel(["Qualify"])


def deals(ends, *, amount=None, until=89, **columns):
    """One deal per end: created on a day, closed as a state on a day, or open."""
    rows = []
    for i, (born, state, day) in enumerate(ends):
        rows.append((f"D{i}", "Qualify", born))
        if state:
            rows.append((f"D{i}", state, day))
    n = [1 + bool(state) for _, state, _ in ends]
    money = np.repeat(np.full(len(ends), 100.0) if amount is None else np.array(amount), n)
    return fn.History.from_columns(
        funnel=ONE,
        id=[row[0] for row in rows],
        stage=[row[1] for row in rows],
        at=START + np.array([row[2] for row in rows]),
        amount=money,
        observed_from=START,
        observed_until=START + until,
        **{name: np.repeat(np.array(values), n) for name, values in columns.items()},
    )


def test_the_factors_are_counted_by_hand():
    """4 created; of 3 at risk on day 10 one is won, one lost on day 20; 300 in 10 days."""
    history = deals(
        [(0, "Won", 10), (0, "Lost", 20), (0, "", 0), (85, "", 0)],
        amount=[300.0, 5.0, 7.0, np.nan],
    )
    found = sales_velocity(history)
    np.testing.assert_allclose([[4.0, 1 / 3, 300.0, 10.0]], found.factors)
    assert pytest.approx(4 / 3 * 300 / 10) == found.velocity[0]
    assert found.low[0] < found.velocity[0] < found.high[0]


def test_a_period_is_judged_by_the_deals_at_risk_in_it():
    """Won in February at age 40, created in January: February's win rate is 1, its cycle 40."""
    found = sales_velocity(deals([(0, "Won", 40), (0, "", 0)]), period="month")
    assert [2.0, 0.0, 0.0] == found.factors[:, 0].tolist()
    np.testing.assert_allclose([0.0, 0.5, 0.0], found.factors[:, 1])
    np.testing.assert_allclose([np.nan, 40.0, np.nan], found.factors[:, 3])
    assert any("longer than the window" in note for note in found.notes)
    assert "money per day" in str(found)


def test_no_note_where_the_window_is_long_enough():
    """A cycle of 10 days in a window of 90."""
    assert () == sales_velocity(deals([(0, "Won", 10)])).notes


def test_zero_denominators_are_unknown():
    """A cycle of no days, an unknown amount: NaN; no win: 0; not observed: NaN."""
    assert np.isnan(sales_velocity(deals([(0, "Won", 0)])).velocity[0])
    assert np.isnan(sales_velocity(deals([(0, "Won", 9)], amount=[np.nan])).velocity[0])
    assert 0.0 == sales_velocity(deals([(0, "Lost", 9)])).velocity[0]
    before = sales_velocity(deals([(0, "Won", 9)]), period=fn.Horizon.months("2025-12-01", 2))
    assert np.isnan(before.velocity[0])
    assert any("not observed" in note for note in before.notes)


def test_currencies_are_not_added_up():
    """Two currencies among won deals are an error, among lost ones they are not."""
    mixed = deals([(0, "Won", 9), (0, "Won", 9)], currency=["EUR", "USD"])
    with pytest.raises(CurrencyMismatchError):
        sales_velocity(mixed)
    lost = deals([(0, "Won", 9), (0, "Lost", 9)], currency=["EUR", "USD"])
    assert sales_velocity(lost).velocity[0] > 0.0


def test_the_parts_of_a_change_add_up():
    """By group and quarter, to rounding; a group's change is between its own periods."""
    found = sales_velocity(fixtures.history(), by=("region",), period="quarter")
    change = found.change()
    known = ~np.isnan(change.before) & ~np.isnan(change.after)
    assert known.sum() >= 10
    np.testing.assert_allclose(
        (change.after - change.before)[known], change.parts.sum(axis=1)[known], atol=1e-9
    )
    np.testing.assert_array_equal(found.velocity.reshape(3, -1)[:, 1:].ravel(), change.after)
    frame = change.to_columns()
    assert ("2024-Q2", "2024-Q1") == (frame["period"][0], frame["from"][0])
    assert "Change of sales velocity" in str(change)
    with pytest.raises(ValidationError, match="two"):
        sales_velocity(fixtures.history()).change()


def test_the_formula_of_the_index():
    """L(V1, V0) ln(x1 / x0), Ang 2005, with V0 = 10 x 0.5 x 4 / 2 and V1 = 20 x 0.25 x 6 / 3."""
    parts = decompose([10, 0.5, 4, 2], [20, 0.25, 6, 3])
    assert (
        pytest.approx([10 * np.log(2), -10 * np.log(2), 10 * np.log(1.5), -10 * np.log(1.5)])
        == parts
    )
    parts = decompose([10, 0.5, 4, 2], [20, 0.5, 4, 4 / 3])
    mean = (30 - 10) / np.log(3)
    assert pytest.approx([mean * np.log(2), 0.0, 0.0, mean * np.log(1.5)]) == parts


def test_it_is_exact_and_turns_round():
    """Parts add up to the change, and change their sign when the sides are swapped."""
    rng = np.random.default_rng(3)
    before, after = rng.lognormal(size=(2, 500, 4))
    parts = decompose(before, after)
    velocity = [x[:, 0] * x[:, 1] * x[:, 2] / x[:, 3] for x in (before, after)]
    np.testing.assert_allclose(velocity[1] - velocity[0], parts.sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(parts, -decompose(after, before), rtol=1e-9)


def test_zeros_are_the_limit_of_small_values():
    """As Ang 2005 replaces zeros by 10^-20 and less: the limit, taken here, is all to the zero."""
    after = np.array([20, 0.25, 6, 3])
    for tiny in (1e-20, 1e-200):
        small = decompose([10, tiny, 4, 2], after)
        assert pytest.approx(10.0) == small.sum()
    zero = decompose([10, 0.0, 4, 2], after)
    assert [0.0, 10.0, 0.0, 0.0] == zero.tolist()
    assert small[1] > 0.95 * zero[1]
    assert [5.0, 5.0, 0.0, 0.0] == decompose([0, 0.0, 4, 2], after).tolist()
    assert [0.0, -10.0, 0.0, 0.0] == decompose(after, [10, 0.0, np.nan, np.nan]).tolist()
    assert [0.0] * 4 == decompose([0, 0.5, 4, 2], [9, 0.0, 4, 2]).tolist()
    assert np.isnan(decompose([10, 0.5, np.nan, 2], after)).all()


def test_wrong_factors_are_refused():
    """Four of them, not negative."""
    with pytest.raises(ValidationError, match="four factors"):
        decompose([1, 2, 3], [1, 2, 3])
    with pytest.raises(ValidationError, match="negative"):
        decompose([1, 2, 3, 4], [1, 2, -3, 4])
    assert 4 == len(FACTORS)


def test_chunks_merge_to_the_whole():
    """Counts to the last bit, money to rounding."""
    history = fixtures.history()
    whole = sales_velocity(history, by=("owner",), period="month")
    parts = sales_velocity(list(history.chunks(37)), by=("owner",), period="month")
    np.testing.assert_allclose(whole.factors, parts.factors, rtol=1e-12)
    np.testing.assert_allclose(whole.low, parts.low, rtol=1e-9)
    empty = history.select(np.zeros(history.n_deals, dtype=bool))
    assert 0.0 == summarize_velocity(empty).table().velocity[0]
