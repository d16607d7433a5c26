"""Laws with deals in Poisson numbers, and mixed over states: against closed forms and recursion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from funnel.kernels.compound import (
    NO_POISSON,
    Unknown,
    between,
    cdf,
    compound_cumulants,
    deal_cumulants,
    deal_law,
    law,
    poisson,
    quantile,
    split_large,
    summarize_bulk,
    survival,
)

NONE = np.empty(0)
LEVELS = np.array([0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])


def panjer(rate, whole, cells):
    """Return the compound Poisson law of whole amounts: Panjer's recursion (1981).

    g_0 = exp(-sum r), k g_k = sum_j r_j a_j g_(k - a_j).
    """
    found = np.zeros(cells)
    found[0] = math.exp(-rate.sum())
    for k in range(1, cells):
        within = whole <= k
        found[k] = (rate * whole)[within] @ found[k - whole[within]] / k
    return found


def sigma(found):
    """Return the standard deviation of a law."""
    return math.sqrt(found.cumulants[1])


def deals(n, seed, low=0.05, high=0.7):
    """Return probabilities and lognormal amounts."""
    rng = np.random.default_rng(seed)
    return rng.uniform(low, high, n), rng.lognormal(10.0, 1.2, n)


# --- Poisson numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0.01, 3.0, 400.0])
def test_deals_of_one_amount_are_poisson(mean):
    """Closed form: the number is Poisson; it has no largest value."""
    found = deal_law(7.0, NONE, NONE, new=poisson(np.full(4, mean / 4), np.full(4, 250.0)))
    wins = np.arange(int(mean + 12 * math.sqrt(mean) + 4))
    expected = stats.poisson(mean).cdf(wins)
    assert expected == pytest.approx(cdf(found, 7.0 + 250.0 * wins), abs=1e-8)
    assert (7.0, math.inf) == tuple(quantile(found, np.array([0.0, 1.0])))
    powers = mean * 250.0 ** np.arange(1, 5)
    assert powers + np.array([7.0, 0, 0, 0]) == pytest.approx(found.cumulants)


@pytest.mark.parametrize(
    ("n", "mean", "method"), [(12, 0.05, "lattice"), (200, 0.004, "lattice"), (300, 0.5, "cos")]
)
def test_poisson_numbers_agree_with_panjer(n, mean, method):
    """Whole amounts, with a few deals beside them: recursion, then one convolution a deal."""
    rng = np.random.default_rng(1)
    rate, whole = rng.uniform(0.0, 2.0 * mean, n), rng.integers(1, 60, n)
    p, own = rng.uniform(0.1, 0.9, 6), rng.integers(1, 60, 6)
    found = deal_law(0.0, p, own * 10.0, new=poisson(rate, whole * 10.0))
    expected = panjer(rate, whole, 12_000)
    for chance, amount in zip(p, own, strict=True):
        moved = np.append(np.zeros(amount), expected[:-amount])
        expected = (1.0 - chance) * expected + chance * moved
    assert method == found.method
    x = np.arange(len(expected))
    assert np.abs(np.cumsum(expected) - cdf(found, 10.0 * x)).max() < found.error + 1e-12


def test_amounts_off_the_lattice_are_within_a_thousandth_of_sigma():
    """Times pi no unit is small enough: Panjer, within the stated shift, and near in quantiles."""
    rng = np.random.default_rng(2)
    rate, whole = rng.uniform(0.0, 0.2, 40), rng.integers(50_000, 400_000, 40)
    unit = math.pi * 1e-3
    found = deal_law(0.0, NONE, NONE, new=poisson(rate, whole * unit))
    # Panjer on a hundredth of the points: amounts rounded by at most 1e-3 of the smallest.
    near = np.cumsum(panjer(rate, np.rint(whole / 100).astype(int), 60_000))
    exact = np.searchsorted(near, LEVELS) * 100 * unit
    assert "lattice" == found.method
    assert found.shift > 0.0
    assert exact == pytest.approx(quantile(found, LEVELS), abs=2e-3 * sigma(found))


def test_poisson_numbers_of_many_amounts_are_a_smooth_law():
    """Lognormal amounts, 200 expected: inversion of the closed characteristic function."""
    rng = np.random.default_rng(3)
    rate, a = rng.uniform(0.0, 1.0, 400), rng.lognormal(3.0, 0.7, 400)
    found = deal_law(0.0, NONE, NONE, new=poisson(rate, a))
    x = quantile(found, LEVELS)
    width = 40.0 * sigma(found)
    u = 2.0 * np.pi / width * np.arange(1, 600)
    phi = np.exp((np.exp(1j * np.multiply.outer(u, a)) - 1.0) @ rate)
    low = found.cumulants[0] - 0.5 * width
    wave = np.exp(-1j * u * low) - np.exp(-1j * np.multiply.outer(x, u))
    true = (x - low) / width + 2.0 * (phi / (1j * u) * wave).real.sum(axis=1) / width
    assert "cos" == found.method
    assert pytest.approx(true, abs=1e-8) == LEVELS


def test_amounts_of_poisson_deals_may_vary():
    """A mean of 10 and 2 beside it: 8 or 12; 10 and 30: 0 or 100; a mean of 0 is 0."""
    rate, a, sd = np.array([2.0, 1.0, 5.0, 1.0]), np.array([10.0, 10, 0, 3]), [2.0, 30, 4, 0]
    found = poisson(rate, a, sd=np.array(sd))
    assert ([0.1, 1.0, 1.0, 1.0], [100.0, 3.0, 8.0, 12.0]) == (
        found.rate.tolist(),
        found.a.tolist(),
    )
    assert found.cumulants()[0, :2].tolist() == [33.0, 2.0 * 104 + 0.1 * 100**2 + 9.0]
    assert NO_POISSON is poisson(np.zeros(2), np.ones(2))
    assert NO_POISSON is poisson(np.ones(2), np.ones(2), factor=np.zeros(3))


def test_poisson_numbers_join_a_bulk_and_unknown_amounts():
    """2,000 deals by their cumulants, 50 of unknown amount, 30 expected: against splitting.

    A Poisson number is the limit of many rare deals: r / 400 for each of 400 errs by r / 800 in
    variance, so that quantiles are close.
    """
    rng = np.random.default_rng(4)
    p, a = deals(2_000, 5)
    a = np.minimum(a, 8e4)
    rate, amounts = rng.uniform(0.0, 2.0, 30), rng.lognormal(10.0, 0.6, 30)
    unknown = Unknown(rng.uniform(0.1, 0.5, 50), np.array([1e4, 3e4]), np.array([0.5, 0.5]))
    found = deal_law(0.0, p, a, unknown=unknown, new=poisson(rate, amounts))
    copies = np.repeat(rate / 400, 400), np.repeat(amounts, 400)
    split = deal_law(0.0, np.append(p, copies[0]), np.append(a, copies[1]), unknown=unknown)
    assert quantile(split, LEVELS) == pytest.approx(
        quantile(found, LEVELS), abs=1e-3 * sigma(found)
    )
    drawn = compound_cumulants(unknown.p, unknown.moments())
    whole = deal_cumulants(p, a) + drawn + poisson(rate, amounts).cumulants()[0]
    assert whole == pytest.approx(found.cumulants)


# --- states --------------------------------------------------------------------------------------


def mixed(weights, laws, x):
    """Return the mean of the distribution functions of some laws."""
    return sum(weight * cdf(one, x) for weight, one in zip(weights, laws, strict=True))


BOOKS = {
    "enumeration": (8, 1.0, False, {}),
    "two amounts": (7, 1.0, True, {}),
    "lattice": (40, 1.0, False, {}),
    "rare": (80, 0.03, True, {}),
    "unknown": (20, 1.0, False, {"unknown": True}),
    "new": (25, 1.0, True, {"new": True}),
    "cos": (200, 1.0, True, {"unknown": True, "new": True}),
    "bulk": (900, 1.0, False, {"new": True}),
}


@pytest.mark.parametrize("name", list(BOOKS))
@pytest.mark.parametrize("whole", [False, True])
def test_states_are_mixed(name, whole):
    """Against the law of each state alone, weighed: no more than both may err."""
    n, scale, spread, more = BOOKS[name]
    rng = np.random.default_rng(6)
    p, a = deals(n, 7)
    a = np.rint(a / 1e3) * 1e3 + 1e3 if whole else a
    weights, away = np.array([0.2, 0.5, 0.3]), np.array([-1.0, 0.0, 0.8])
    move = 1.0 + 0.6 / math.sqrt(n) * away  # so that states do not stand apart
    p = scale * np.multiply.outer(move, p)
    sd = np.rint(a * rng.uniform(0.0, 0.9, n) / 1e3) * 1e3 if spread else None
    factor = np.array([0.5, 1.0, 1.2])
    rate, amount = np.array([0.3, 0.9]), np.array([2e4, 5e4])
    chance = np.multiply.outer(move, rng.uniform(0.0, 0.8, 12))

    def options(some):
        """Return what else there is in some of the states."""
        found = {}
        if "unknown" in more:
            found["unknown"] = Unknown(chance[some], np.array([1e4, 4e4]), np.array([0.25, 0.75]))
        if "new" in more:
            found["new"] = poisson(rate, amount, factor=factor[some])
        return found

    both = deal_law(1e3, p, a, sd=sd, weights=weights, **options(slice(None)))
    alone = [deal_law(1e3, p[s], a, sd=sd, **options(slice(s, s + 1))) for s in range(3)]
    x = np.linspace(0.0, both.cumulants[0] + 6.0 * sigma(both), 4_001) + 1.0
    error = both.error + max(one.error for one in alone)
    shift = both.shift + max(one.shift for one in alone)
    if name in {"enumeration", "two amounts"} or (name == "lattice" and whole):
        assert 0.0 == shift
    assert (cdf(both, x) <= mixed(weights, alone, x + shift) + error).all()
    assert (cdf(both, x) >= mixed(weights, alone, x - shift) - error).all()
    near = 2e-3 * sigma(both)
    assert (cdf(both, x) <= mixed(weights, alone, x + near) + 1e-6).all()
    assert (cdf(both, x) >= mixed(weights, alone, x - near) - 1e-6).all()
    mean = weights @ [one.cumulants[0] for one in alone]
    square = weights @ [one.cumulants[1] + (one.cumulants[0] - mean) ** 2 for one in alone]
    assert (mean, square) == pytest.approx(tuple(both.cumulants[:2]))


def test_a_deal_that_is_certain_in_one_state_only():
    """It stays a deal: 10 for sure in the first of two states, with 1/2 in the other; by hand."""
    p, a = np.array([[1.0, 0.5, 1.0], [0.5, 0.5, 1.0]]), np.array([10.0, 100.0, 3.0])
    found = deal_law(0.0, p, a, weights=np.array([0.5, 0.5]))
    assert [3.0, 13.0, 103.0, 113.0] == found.support.tolist()
    assert [0.125, 0.5, 0.625, 1.0] == pytest.approx(found.cumulative)
    vague = deal_law(0.0, p, a, sd=np.array([0.0, 0.0, 1.0]), weights=np.array([0.5, 0.5]))
    assert [2.0, 4.0, 12.0, 14.0, 102.0, 104.0, 112.0, 114.0] == vague.support.tolist()
    assert [0.0625, 0.125, 0.3125, 0.5] == pytest.approx(vague.cumulative[:4])


def test_a_whale_in_every_state():
    """One deal of 1e12 beside 40: the law of the others, and the same beyond 1e12."""
    p, a = deals(40, 8)
    states, weights = np.array([p, 0.9 * p]), np.array([0.5, 0.5])
    whale = np.array([[0.3], [0.2]])
    found = deal_law(0.0, np.append(states, whale, axis=1), np.append(a, 1e12), weights=weights)
    rest = [deal_law(0.0, one, a) for one in states]
    for x in quantile(rest[0], LEVELS):
        at = np.array([x])
        below = sum(w * (1 - q) * cdf(r, at) for w, q, r in zip(weights, whale, rest, strict=True))
        assert below == pytest.approx(cdf(found, at), abs=1e-3)
    assert [0.25] == pytest.approx(survival(found, np.array([1e12])))


def test_states_that_stand_apart_are_filled():
    """Two binomial laws 20 sd apart: what lies between is as likely as what is around them."""
    p, weights = np.array([np.full(10_000, 0.4), np.full(10_000, 0.5)]), np.full(2, 0.5)
    found = deal_law(0.0, p, np.ones(10_000), weights=weights)
    assert "mixture" == found.method
    assert pytest.approx(4_500.0, abs=60) == quantile(found, np.array([0.5]))[0]
    alone = deal_law(0.0, p[0], np.ones(10_000))
    assert alone is between([alone], np.ones(1))


def test_the_space_between_states_is_filled_evenly():
    """Binomial laws around 1,000, 2,000 .. 5,000: 40 pieces, 125 apart, from 500 to 5,500.

    Their variance is 125^2 (40^2 - 1) / 12, and n p (1 - p) on the mean within each.
    """
    chances, n = np.arange(1, 6) / 10.0, 10_000
    laws = [deal_law(0.0, np.full(n, p), np.ones(n)) for p in chances]
    found = between(laws, np.full(5, 0.2))
    levels = np.array([0.05, 0.19, 0.39, 0.5, 0.95])
    assert 500.0 + 5_000.0 * levels == pytest.approx(quantile(found, levels), abs=50.0)
    within = n * np.mean(chances * (1.0 - chances))
    assert 3_000.0 == pytest.approx(found.cumulants[0], abs=1.0)
    assert 125.0**2 * (40**2 - 1) / 12 + within == pytest.approx(found.cumulants[1], rel=1e-3)


def test_what_lies_between_is_on_the_lattice_too():
    """A target that can be hit exactly counts as reached: P(X >= 50.0) = P(X >= 49.95)."""
    laws = [deal_law(0.0, np.full(2_000, p), np.full(2_000, 0.1)) for p in (0.1, 0.2, 0.3)]
    found = between(laws, np.full(3, 1.0 / 3.0))
    np.testing.assert_allclose(found.support, np.rint(found.support * 10.0) / 10.0, rtol=1e-14)
    points = np.arange(100, 700) / 10.0
    np.testing.assert_array_equal(survival(found, points), survival(found, points - 0.05))


def test_rare_deals_are_as_if_added_one_by_one():
    """24 deals below 3 %, off the lattice: brute force, but for what is rarer than 1e-13."""
    rng = np.random.default_rng(9)
    p, a = rng.uniform(0.0, 0.03, 24), rng.lognormal(3.0, 1.0, 24)
    found = deal_law(0.0, p, a)
    values, mass = np.zeros(1), np.ones(1)
    for chance, amount in zip(p, a, strict=True):
        values = np.append(values, values + amount)
        mass = np.append(mass * (1.0 - chance), mass * chance)
        likely = mass > 1e-13
        values, mass = values[likely], mass[likely]
    order = np.argsort(values)
    values, cumulative = values[order], np.cumsum(mass[order])
    assert "lattice" == found.method
    some, lost = slice(None, None, 50), 1.0 - mass.sum()
    x, true = values[some], cumulative[some]
    assert lost < 1e-7
    assert (true <= cdf(found, x + found.shift) + found.error).all()
    assert (true + lost >= cdf(found, x - found.shift) - found.error).all()
    assert pytest.approx(np.prod(1.0 - p), abs=1e-10) == found.cumulative[0]


def test_rare_deals_of_a_bulk_on_the_lattice_have_states():
    """A bulk beside five deals that dwarf it, in two states: mixed as the laws of each."""
    p, a = deals(3_000, 11)
    p, big = np.append(p, np.full(5, 0.5)), 3e8 * np.array([1.0, 1.1, 1.25, 1.4, 1.7])
    a = np.append(np.minimum(a, 5e4), big)
    exact = split_large(p, a, 4e8) | (a > 1e8)
    states, weights = np.array([p, 0.99 * p]), np.array([0.5, 0.5])
    bulks = [summarize_bulk(one, a, exact) for one in states]
    both = bulks[0]._replace(cumulants=np.array([bulk.cumulants for bulk in bulks]))
    found = law(0.0, states[:, exact], a[exact], bulk=both, weights=weights)
    alone = [
        law(0.0, one[exact], a[exact], bulk=bulk) for one, bulk in zip(states, bulks, strict=True)
    ]
    assert "lattice" == found.method
    x = np.linspace(0.0, a.sum(), 301) + 1e6
    near = found.shift + alone[0].shift
    error = found.error + max(one.error for one in alone)
    assert (cdf(found, x) <= mixed(weights, alone, x + near) + error).all()
    assert (cdf(found, x) >= mixed(weights, alone, x - near) - error).all()
