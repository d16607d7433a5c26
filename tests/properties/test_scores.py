"""Laws of scores: they are proper, scale with the unit, and add up over parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel import metrics
from funnel.kernels import compound, scores
from funnel.metrics.summaries import DealScores, MoneyScores

SEEDS = st.integers(0, 2**32 - 1)
CHANCES = st.floats(0.001, 0.999)


@st.composite
def laws(draw):
    """Draw a discrete law of a few deals: support and probabilities up to each point."""
    n = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(SEEDS))
    amounts = np.round(rng.gamma(1.0, 10.0, n), draw(st.integers(0, 2)))
    return compound.deal_law(float(draw(st.integers(0, 5))), rng.random(n), amounts)


def mass(law):
    """Probabilities of the points of the support."""
    return np.diff(law.cumulative, prepend=0.0)


@given(CHANCES, CHANCES)
def test_scores_of_chances_are_proper(truth, said):
    """Expected Brier and log scores are least where the chance said is the true one."""

    def expected(score, chance):
        """Average over both outcomes."""
        return truth * score([True], [chance]) + (1.0 - truth) * score([False], [chance])

    for score in (metrics.brier_score, metrics.log_score):
        assert expected(score, truth) <= expected(score, said) + 1e-12


@given(laws(), laws())
def test_crps_is_proper(truth, said):
    """Nobody expects less than by saying the law that outcomes are drawn from."""
    own = mass(truth) @ metrics.crps_law(truth.support, truth)
    other = mass(truth) @ metrics.crps_law(truth.support, said)
    assert own <= other + 1e-9


@given(laws(), st.floats(0.01, 0.99), st.floats(-50, 100))
def test_pinball_is_proper(law, level, said):
    """The quantile has the least expected loss."""

    def expected(value):
        """Average over the law."""
        quantiles = np.full((len(law.support), 1), value)
        return mass(law) @ metrics.pinball_loss(law.support, quantiles, [level])[:, 0]

    own = float(compound.quantile(law, np.array(level)))
    assert expected(own) <= expected(said) + 1e-9


@given(laws(), st.floats(-20, 120), st.floats(-20, 120))
def test_interval_score_is_proper(law, low, high):
    """So has the interval between two quantiles."""

    def expected(lower, upper):
        """Average over the law."""
        ends = np.full(len(law.support), lower), np.full(len(law.support), upper)
        return mass(law) @ metrics.interval_score(law.support, *ends, level=0.8)

    own = compound.quantile(law, np.array([0.1, 0.9]))
    assert expected(*own) <= expected(min(low, high), max(low, high)) + 1e-9


@given(laws(), st.floats(-50, 200))
def test_crps_is_a_distance(law, actual):
    """Not negative; E|X - y| less half of E|X - X'|, by all pairs."""
    found = metrics.crps_law([actual], law)[0]
    p, x = mass(law), law.support
    expected = p @ np.abs(x - actual) - p @ np.abs(np.subtract.outer(x, x)) @ p / 2.0
    assert found >= -1e-12
    assert pytest.approx(expected, abs=1e-9) == found
    to_the_law = scores.distance(np.array([actual]), x, law.cumulative, smooth=False)[0]
    assert pytest.approx(p @ np.abs(x - actual), abs=1e-9) == to_the_law


@given(SEEDS, st.floats(-1e6, 1e6), st.floats(0.01, 1e4))
def test_scores_move_and_scale_with_the_unit(seed, shift, scale):
    """Another origin changes nothing, another currency all scores alike; WAPE not at all."""
    rng = np.random.default_rng(seed)
    actual, draws = rng.normal(size=5), np.sort(rng.normal(size=(5, 9)), axis=1)
    levels = np.arange(1, 10) / 10

    def every(transform):
        """Scores of transformed outcomes and forecasts."""
        y, x = transform(actual), transform(draws)
        return np.concatenate(
            (
                metrics.crps_draws(y, x),
                metrics.crps_quantiles(y, x, levels),
                metrics.interval_score(y, x[:, 0], x[:, -1], level=0.8),
                metrics.weighted_interval_score(y, x, levels),
            )
        )

    before = every(lambda values: values)
    tolerance = 1e-9 * (1.0 + abs(shift))
    np.testing.assert_allclose(before, every(lambda v: v + shift), atol=tolerance)
    np.testing.assert_allclose(before * scale, every(lambda v: v * scale), rtol=1e-9)
    money = np.abs(actual) + 1.0
    np.testing.assert_allclose(
        metrics.wape(money, draws[:, 0]), metrics.wape(scale * money, scale * draws[:, 0])
    )


@given(SEEDS, st.integers(0, 30), st.integers(0, 30))
def test_money_scores_of_parts_are_those_of_the_whole(seed, n, m):
    """Sums to rounding; counts exactly; an empty part changes nothing."""
    rng = np.random.default_rng(seed)
    actual = rng.gamma(1.0, 100.0, n + m)
    quantiles = np.sort(rng.gamma(1.0, 100.0, (n + m, 3)), axis=1)

    def measured(rows):
        """Score some rows."""
        q = quantiles[rows]
        return MoneyScores.measure(
            actual[rows], median=q[:, 1], mean=q.mean(axis=1), quantiles=q,
            levels=[0.1, 0.5, 0.9], crps=q[:, 0],
        )  # fmt: skip

    parts = measured(slice(0, n)).merge(measured(slice(n, None)))
    whole = measured(slice(None))
    np.testing.assert_allclose(whole.totals, parts.totals, rtol=1e-12)
    np.testing.assert_allclose(whole.by_level[0], parts.by_level[0], rtol=1e-12)
    np.testing.assert_array_equal(whole.by_level[1:], parts.by_level[1:])
    assert whole.undefined == parts.undefined


@given(SEEDS, st.integers(0, 30), st.integers(0, 30))
def test_deal_scores_of_parts_are_those_of_the_whole(seed, n, m):
    """Counts exactly, sums to rounding; and the Brier score adds up from its parts."""
    rng = np.random.default_rng(seed)
    chance = np.where(rng.random(n + m) < 0.2, rng.integers(0, 2, n + m), rng.random(n + m))
    won = rng.random(n + m) < chance
    parts = DealScores.measure(won[:n], chance[:n]).merge(DealScores.measure(won[n:], chance[n:]))
    whole = DealScores.measure(won, chance)
    np.testing.assert_array_equal(whole.cells[:2], parts.cells[:2])
    np.testing.assert_allclose(whole.cells, parts.cells, rtol=1e-12)
    np.testing.assert_allclose(whole.totals, parts.totals, rtol=1e-12)
    if n + m:
        assert pytest.approx(whole.brier, abs=1e-13) == whole.decomposition(bins=3).brier
        assert pytest.approx(metrics.brier_score(won, chance), abs=1e-13) == whole.brier


@given(SEEDS, st.integers(1, 200))
def test_auc_of_sums_is_close(seed, n):
    """Within half of the pairs that share a cell: here within 1 / 100 of all pairs or so."""
    rng = np.random.default_rng(seed)
    chance, won = rng.random(n), rng.random(n) < 0.5
    found, exact = DealScores.measure(won, chance), metrics.auc(won, chance)
    number, wins = found.cells[0], found.cells[1]
    pairs = wins.sum() * (number - wins).sum()
    bound = wins @ (number - wins) / 2.0 / max(pairs, 1.0)
    assert (np.isnan(found.auc) and np.isnan(exact)) or abs(found.auc - exact) <= bound + 1e-12


@given(laws(), SEEDS)
def test_pit_of_right_forecasts_is_uniform(law, seed):
    """Exactly, by integrating over atoms: the mean is 1 / 2 and the mean square 1 / 3."""
    up_to = law.cumulative
    below = np.concatenate(([0.0], up_to[:-1]))
    found = metrics.pit(below, up_to, rng=seed)
    assert ((below <= found) & (found <= up_to)).all()
    ends = [metrics.pit(below, below), metrics.pit(up_to, up_to)]
    assert pytest.approx(0.5) == mass(law) @ (ends[0] + ends[1]) / 2.0
    squares = (ends[0] ** 2 + ends[0] * ends[1] + ends[1] ** 2) / 3.0
    assert pytest.approx(1 / 3) == mass(law) @ squares
