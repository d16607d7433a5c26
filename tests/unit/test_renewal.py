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
    found = exposure.exposure(**spell, fresh=np.array([True]), origin=0, width=7, shape=(2, 1, 6))
    assert [[[1, 1, 0, 0, 0, 0]], [[0, 0, 1, 1, 1, 0]]] == found.tolist()


def plain_exposure(state, start, age, stop, fresh, *, origin, width, shape):
    """Count day by day."""
    found = np.zeros(shape, dtype=int)
    for s, first, a, last, f in zip(state, start, age, stop, fresh, strict=True):
        begin = first if f or last == first else first + 1
        for day in range(begin, last + 1):
            found[(day - origin) // width, s, a + day - first] += 1
    return found


@pytest.mark.parametrize("width", [1, 5, 28, 400])
def test_exposure_is_the_count_of_days(width):
    """Late entries survive their first day; buckets of any width give the same sum."""
    rng = np.random.default_rng(width)
    n = 60
    start = rng.integers(0, 90, n)
    stop = start + rng.integers(0, 60, n)
    age = np.where(rng.random(n) < 0.3, rng.integers(1, 20, n), 0)
    fresh = age == 0
    columns = rng.integers(0, 3, n), start, age, stop, fresh
    shape = (150 // width + 1, 3, 90)
    found = exposure.exposure(*columns, origin=0, width=width, shape=shape)
    assert plain_exposure(*columns, origin=0, width=width, shape=shape).tolist() == found.tolist()


def test_no_spells():
    """Nothing at risk is zeros."""
    none = np.empty(0, dtype=np.int64)
    found = exposure.exposure(
        none, none, none, none, none.astype(bool), origin=0, width=7, shape=(1, 1, 3)
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
    ages = np.array([0, 2, 5, 40])
    ahead = np.array([0, 1, 4, 12])
    found = renewal.conditional_wins(hazards, 3, fresh, ages, ahead)
    for row, age in enumerate(ages):
        for state in range(3):
            path = [0.0, *walk(hazards, state, age + 1, horizon, 3)]
            assert pytest.approx([path[h] for h in ahead], abs=1e-9) == found[row, state]


def test_residual_departures_begin_at_the_resumed_age():
    """Half resume at age 1 (left at 0.5 on day 2, at 1 on day 3), half at age 3 (next day)."""
    hazards = np.array([[0.0, 0.5, 0.5, 1.0]])
    found = renewal.residual(hazards, np.array([1, 3]), np.array([0.5, 0.5]), 4)
    assert pytest.approx([0.0, 0.25 + 0.5, 0.25, 0.0]) == found[0].tolist()
