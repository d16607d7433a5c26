"""Exposure against a plain loop, and the renewal equation against a plain walk through the days."""

import numpy as np
import pytest

from funnel.kernels import exposure, renewal


def test_exposure_by_hand():
    """A spell of days 5 to 9 in buckets of a week: ages 0-1 in the first, 2-4 in the second."""
    spell = {
        "state": np.array([0]),
        "start": np.array([5]),
        "age": np.array([0]),
        "stop": np.array([9]),
    }
    found = exposure.exposure(
        **spell, fresh=np.array([True]), edges=np.array([0, 7, 14]), shape=(1, 6)
    )
    assert [[[1, 1, 0, 0, 0, 0]], [[0, 0, 1, 1, 1, 0]]] == found.tolist()


def plain_exposure(state, start, age, stop, fresh, *, edges, shape):
    """Count day by day."""
    found = np.zeros((len(edges) - 1, *shape), dtype=int)
    for s, first, a, last, f in zip(state, start, age, stop, fresh, strict=True):
        begin = first if f or last == first else first + 1
        for day in range(begin, last + 1):
            found[np.searchsorted(edges, day, side="right") - 1, s, a + day - first] += 1
    return found


@pytest.mark.parametrize("block", [1 << 18, 7])
@pytest.mark.parametrize(
    "edges", [range(151), range(0, 155, 5), (0, 28, 30, 31, 56, 84, 150), (0, 400)]
)
def test_exposure_is_the_count_of_days(edges, block, monkeypatch):
    """Late entries survive their first day; buckets of any width give the same sum."""
    monkeypatch.setattr(exposure, "BLOCK", block)
    rng = np.random.default_rng(len(edges))
    n = 60
    start = rng.integers(0, 90, n)
    stop = start + rng.integers(0, 60, n)
    age = np.where(rng.random(n) < 0.3, rng.integers(1, 20, n), 0)
    fresh = age == 0
    columns = rng.integers(0, 3, n), start, age, stop, fresh
    calendar = {"edges": np.array(edges), "shape": (3, 90)}
    expected = plain_exposure(*columns, **calendar)
    assert expected.tolist() == exposure.exposure(*columns, **calendar).tolist()


def test_no_spells():
    """Nothing at risk is zeros."""
    none = np.empty(0, dtype=np.int64)
    found = exposure.exposure(
        none, none, none, none, none.astype(bool), edges=np.array([0, 7]), shape=(1, 3)
    )
    assert 0 == found.sum()


def random_hazards(rng, states, closed, days):
    """Hazards that never exceed 0.6 a day in sum."""
    raw = rng.random((states, states + closed, days)) * (
        rng.random((states, states + closed, 1)) > 0.3
    )
    return 0.6 * raw / (states + closed)


def walk(hazards, state, age, days, won):
    """Carry the chances of a deal through the days, same-day chains included."""
    states, _, ages = hazards.shape
    at = {(state, age): 1.0}
    money, found = 0.0, []
    for _ in range(days):
        todo = dict(at)
        at = {}
        while todo:
            arrived = {}
            for (s, u), chance in todo.items():
                rates = hazards[s, :, min(u, ages - 1)]
                money += chance * rates[won]
                stay = (s, u + 1)
                at[stay] = at.get(stay, 0.0) + chance * (1.0 - rates.sum())
                for goal in range(states):
                    if chance * rates[goal] > 1e-13:
                        arrived[goal, 0] = arrived.get((goal, 0), 0.0) + chance * rates[goal]
            todo = arrived
        found.append(money)
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_renewal_equation_is_the_walk_through_the_days(seed):
    """Loops, skips and same-day chains: the same chances day by day, fresh and at any age."""
    hazards = random_hazards(np.random.default_rng(seed), 3, 2, 6)
    horizon = 12
    padded = np.concatenate((hazards, np.repeat(hazards[:, :, -1:], horizon, axis=2)), axis=2)
    departures = renewal.densities(padded)
    fresh = renewal.fresh_wins(departures[:, :3, : horizon + 1], departures[:, 3, : horizon + 1])
    for state in range(3):
        assert (
            pytest.approx(walk(hazards, state, 0, horizon, 3), abs=1e-9) == fresh[state, :horizon]
        )
    cells = np.array([(state, age) for state in range(3) for age in (0, 2, 5, 40)]).T
    ahead = np.array([0, 1, 4, 12])
    found = renewal.conditional_wins(hazards, 3, fresh, cells, ahead)
    for (state, age), chances in zip(cells.T, found, strict=True):
        path = [0.0, *walk(hazards, state, age + 1, horizon, 3)]
        assert pytest.approx([path[h] for h in ahead], abs=1e-9) == chances


def swept(hazards, won, fresh, ahead):
    """Chances (s, d, k) backward in age, dividing by nothing: what the quick ways must agree with.

    W(a, h) = h_won(a+1) + sum_j h_j(a+1) W0_j(h-1) + (1 - h(a+1)) W(a+1, h-1)
    """
    states, _, days = hazards.shape
    onward, length = fresh.shape
    current = np.zeros((states, length))
    found = np.empty((states, days, len(ahead)))
    for age in range(days + length, -1, -1):
        rates = hazards[:, :, min(age + 1, days - 1)]
        earlier = np.zeros_like(current)
        earlier[:, 1:] = rates[:, :onward] @ fresh[:, :-1] + rates[:, won, None]
        earlier[:, 1:] += (1.0 - rates.sum(axis=1))[:, None] * current[:, :-1]
        current = earlier
        if age < days:
            found[:, age] = current[:, ahead]
    return found


def slow_hazards(rng, days, rate):
    """Three states, a lost one that leads nowhere, won and removed; `rate` a day, or 1 for some."""
    raw = rng.random((4, 6, days)) * (rng.random((4, 6, 1)) > 0.4)
    raw[3] = 0.0
    hazards = rate * raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-9)
    if rate == 1.0:
        hazards[:, :, ::3] *= 0.1
        hazards[:2, :, :1] = 0.0
    return hazards


def solved(hazards, horizon):
    """Chances to win from entry, (4, horizon + 1)."""
    grid = np.minimum(np.arange(horizon + 1), hazards.shape[2] - 1)
    leaving = renewal.densities(hazards[:, :, grid])
    return renewal.fresh_wins(leaving[:, :4], leaving[:, 4])


@pytest.mark.parametrize("rate", [0.002, 0.05, 0.4, 1.0])
@pytest.mark.parametrize("ahead", [[7], [90], [0, 30, 60, 300], range(200)])
@pytest.mark.parametrize("step", [1, 41, 1000])
def test_chances_by_age_are_those_of_a_sweep_backward(rate, ahead, step):
    """All ages by FFT, few of them one by one, certain moves, ages past the oldest: to 1e-12."""
    hazards = slow_hazards(np.random.default_rng(7), 500, rate)
    ahead = np.array(ahead)
    fresh = solved(hazards, int(ahead.max()) + 5)
    ages = np.append(np.arange(0, 500, step), 900)
    cells = np.stack((np.repeat(np.arange(4), len(ages)), np.tile(ages, 4)))
    found = renewal.conditional_wins(hazards, 4, fresh, cells, ahead)
    expected = swept(hazards, 4, fresh, ahead)[cells[0], np.minimum(cells[1], 499)]
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)


def test_no_cells_and_no_days():
    """Nothing asked is nothing; on the day itself nothing is won."""
    hazards = slow_hazards(np.random.default_rng(8), 50, 0.1)
    fresh, none = solved(hazards, 10), np.empty((2, 0), dtype=np.int64)
    assert (0, 2) == renewal.conditional_wins(hazards, 4, fresh, none, np.array([1, 5])).shape
    cell, today = np.array([[0], [3]]), np.array([0])
    assert [[0.0]] == renewal.conditional_wins(hazards, 4, fresh, cell, today).tolist()
    weights = np.full(50, 0.02)
    assert [0.0] == renewal.average_wins(hazards[0], 4, fresh, weights, today).tolist()


@pytest.mark.parametrize("ages", [[3, 4, 30], range(400)])
def test_unknown_ages_have_the_mean_of_all(ages):
    """A deal whose age is distributed has the mean of the chances of the ages."""
    rng = np.random.default_rng(9)
    hazards = slow_hazards(rng, 400, 0.03)
    ahead = np.array([0, 20, 130])
    fresh, ages = solved(hazards, 130), np.array(ages)
    weights = np.zeros(400)
    weights[ages] = rng.dirichlet(np.ones(len(ages)))
    expected = weights @ swept(hazards, 4, fresh, ahead)[1]
    found = renewal.average_wins(hazards[1], 4, fresh, weights, ahead)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("days", [1, 2, 64, 65, 200])
def test_the_renewal_equation_holds_across_blocks(days):
    """W(t) = F(t) + sum over u <= t of f(u) W(t - u), put in on every day."""
    leaving = renewal.densities(slow_hazards(np.random.default_rng(10), days, 0.1))
    moves, wins = leaving[:, :4], leaving[:, 4]
    found = renewal.fresh_wins(moves, wins)
    for day in range(days):
        back = np.einsum("sju,ju->s", moves[:, :, : day + 1], found[:, day::-1])
        direct = wins[:, : day + 1].sum(axis=1)
        np.testing.assert_allclose(found[:, day], direct + back, rtol=0.0, atol=1e-13)


def test_no_states_at_all():
    """Where no move leads on there is nothing to solve."""
    assert (0, 5) == renewal.fresh_wins(np.empty((0, 0, 5)), np.empty((0, 5))).shape


def test_residual_departures_begin_at_the_resumed_age():
    """Half resume at age 1 (left at 0.5 on day 2, at 1 on day 3), half at age 3 (next day)."""
    hazards = np.array([[0.0, 0.5, 0.5, 1.0]])
    found = renewal.residual(hazards, np.array([1, 3]), np.array([0.5, 0.5]), 4)
    assert pytest.approx([0.0, 0.25 + 0.5, 0.25, 0.0]) == found[0].tolist()


def test_nothing_departs_where_nothing_is_resumed():
    """No ages, or no day after the first: zeros."""
    hazards, none = np.full((1, 4), 0.5), np.empty(0, dtype=np.int64)
    assert 0.0 == renewal.residual(hazards, none, none.astype(float), 4).sum()
    assert [[0.0]] == renewal.residual(hazards, np.array([1]), np.ones(1), 1).tolist()


@pytest.mark.parametrize("rate", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("days", [30, 300])
def test_residual_departures_are_the_mean_of_those_of_each_age(rate, days):
    """600 ages by FFT, against each age alone by products of daily chances."""
    rng = np.random.default_rng(11)
    hazards = slow_hazards(rng, 500, rate)[1]
    ages, weights = np.arange(600), rng.dirichlet(np.ones(600))
    expected = np.zeros((6, days))
    for age, weight in zip(ages, weights, strict=True):
        path = hazards[:, np.minimum(age + np.arange(1, days), 499)]
        expected[:, 1:] += weight * renewal.densities(path[None])[0]
    found = renewal.residual(hazards, ages, weights, days)
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-14)
