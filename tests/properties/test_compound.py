"""Laws of booked money that hold for every book, and that the stated error is honest."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from funnel.kernels.compound import (
    Unknown,
    cdf,
    deal_cumulants,
    deal_law,
    grouped_deal_cumulants,
    mix,
    poisson_binomial,
    quantile,
    survival,
)

LEVELS = np.linspace(0.0, 1.0, 41)


@st.composite
def books(draw, most=400):
    """Draw probabilities, whole amounts and a scale on which these have a unit or have none."""
    n = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    p = rng.uniform(low, high, n)
    kind = draw(st.sampled_from(["lognormal", "near", "equal", "few values", "whale"]))
    whole = {
        "lognormal": np.rint(rng.lognormal(4.0, 1.0, n)),
        "near": rng.integers(180, 220, n),
        "equal": np.full(n, 100),
        "few values": rng.choice([10, 25, 60], n),
        "whale": np.append(rng.integers(5, 50, n - 1), 30_000),
    }[kind].astype(np.int64)
    return p, whole, draw(st.sampled_from([1.0, 250.0, 0.01, 1e-3 * np.pi, 1e-7 * np.pi]))


def exact_cdf(p, whole):
    """Return P(X <= k) for k = 0, 1, ..: deal after deal."""
    pmf = np.zeros(int(whole.sum()) + 1)
    pmf[0], top = 1.0, 1
    for chance, amount in sorted(zip(p, whole.tolist(), strict=True), key=lambda deal: deal[1]):
        won = pmf[:top] * chance
        pmf[:top] -= won
        pmf[amount : amount + top] += won
        top += amount
    return np.cumsum(pmf)


@given(books())
def test_the_stated_error_is_honest(book):
    """Whatever the method, the true probability lies between the stated bounds everywhere."""
    p, whole, scale = book
    found = deal_law(0.0, p, whole * scale)
    true = exact_cdf(p, whole)
    points = np.unique(np.linspace(0, len(true) - 1, 3_000).astype(int))
    x = points * scale
    noise = 1e-12
    assert (true[points] <= cdf(found, x + found.shift) + found.error + noise).all()
    assert (true[points] >= cdf(found, x - found.shift) - found.error - noise).all()
    assert found.error < 1e-2


@given(books())
def test_a_law_is_a_law(book):
    """Monotone from 0 to 1, quantiles within what is possible and inverse to probabilities."""
    p, whole, scale = book
    found = deal_law(17.0, p, whole * scale)
    values = quantile(found, LEVELS)
    assert (np.diff(values) >= 0).all()
    assert (found.lower, found.upper) == (values[0], values[-1])
    assert (np.diff(found.support) >= 0).all()
    assert (np.diff(found.cumulative) >= 0).all()
    x = np.linspace(found.lower - 1.0, found.upper + 1.0, 500)
    below, above = cdf(found, x), survival(found, x)
    assert (np.diff(below) >= 0).all()
    assert (np.diff(above) <= 0).all()
    assert (0.0, 1.0) == (below[0], below[-1])
    assert (1.0, 0.0) == (above[0], above[-1])
    assert (below + above >= 1.0 - 1e-12).all()  # an atom counts in both
    assert (cdf(found, values) >= LEVELS - found.error - 1e-9).all()


@given(books(100), st.floats(-1e6, 1e6), st.permutations(range(100)))
def test_the_constant_moves_and_the_order_does_not_matter(book, constant, order):
    """X + c has the law of X, moved; deals in another order have the same law."""
    p, whole, scale = book
    order = np.array([i for i in order if i < len(p)])
    found = deal_law(0.0, p, whole * scale)
    other = deal_law(constant, p[order], whole[order] * scale)
    assert found.method == other.method
    x = np.linspace(found.lower, found.upper, 200)
    reach = found.shift + other.shift + 1e-9 * (abs(constant) + found.upper)
    error = found.error + other.error + 1e-9
    moved = cdf(other, constant + x)
    assert (moved <= cdf(found, x + reach) + error).all()
    assert (moved >= cdf(found, x - reach) - error).all()


@given(books(14))
def test_few_deals_have_the_moments_of_their_cumulants(book):
    """Mean and variance of the enumerated atoms are kappa_1 and kappa_2."""
    p, whole, scale = book
    found = deal_law(3.0, p, whole * scale)
    mass = np.diff(found.cumulative, prepend=0.0)
    mean = mass @ found.support
    kappa = deal_cumulants(p, whole * scale)
    size = 3.0 + scale * whole.sum()
    assert abs(mean - 3.0 - kappa[0]) <= 1e-10 * size
    assert abs(mass @ (found.support - mean) ** 2 - kappa[1]) <= 1e-10 * size**2


@given(books(200), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_cumulants_add_up_over_any_groups(book, count, seed):
    """The sum over groups is the whole."""
    p, whole, scale = book
    groups = np.random.default_rng(seed).integers(0, count, len(p))
    whole_sum = deal_cumulants(p, whole * scale)
    by_group = grouped_deal_cumulants(p, whole * scale, groups, count)
    size = np.abs(by_group).sum(axis=0) + whole_sum[1] * (scale * whole.max()) ** np.arange(-1, 3)
    assert (np.abs(by_group.sum(axis=0) - whole_sum) <= 1e-11 * size + 1e-300).all()


@given(books(600))
def test_wins_are_the_law_of_unit_amounts(book):
    """Two independent ways to the number of wins."""
    p, _, _ = book
    found = deal_law(0.0, p, np.ones(len(p)))
    wins = np.cumsum(poisson_binomial(p))
    assert np.abs(cdf(found, np.arange(len(p) + 1.0)) - wins).max() <= found.error + 1e-12


@settings(max_examples=25)
@given(books(60), st.integers(1, 40), st.floats(0, 1))
def test_deals_of_unknown_amount_mix_over_their_outcomes(book, count, weight):
    """With one of two amounts for all, unknown amounts are a sum; the law of the mean holds."""
    p, whole, scale = book
    chance = np.linspace(0.1, 0.9, count)
    atoms, weights = np.array([100.0, 300.0]) * scale, np.array([weight, 1.0 - weight])
    found = deal_law(0.0, p, whole * scale, unknown=Unknown(chance, atoms, weights))
    mean = float(p @ whole * scale + chance.sum() * (weights @ atoms))
    assert abs(found.cumulants[0] - mean) <= 1e-9 * (1e-300 + found.upper)
    edges = np.append(found.lower, found.support)
    tabled = np.diff(found.cumulative, prepend=0.0) @ (0.5 * (edges[1:] + edges[:-1]))
    spread = np.diff(edges).max()
    assert abs(tabled - mean) <= spread + found.shift + 1e-6 * found.upper


@given(books(300), st.lists(st.floats(0.05, 1.0), min_size=1, max_size=5))
def test_a_mixture_lies_between_its_laws(book, scales):
    """P of a mixture is the weighted mean of the P's, so it lies between them."""
    p, whole, scale = book
    laws = [deal_law(0.0, factor * p, whole * scale) for factor in scales]
    weights = np.full(len(laws), 1.0 / len(laws))
    both = mix(laws, weights)
    x = np.linspace(both.lower, both.upper, 300)
    expected = np.mean([cdf(one, x + both.shift) for one in laws], axis=0)
    least = np.mean([cdf(one, x - both.shift) for one in laws], axis=0)
    found = cdf(both, x)
    assert (found <= expected + 1e-6).all()
    assert (found >= least - 1e-6).all()


@given(books(300), st.integers(0, 2**32 - 1))
def test_the_stated_error_is_honest_where_amounts_vary(book, seed):
    """Some deals close at one of two amounts: against convolution, whatever the method."""
    p, whole, scale = book
    rng = np.random.default_rng(seed)
    beside = np.where(rng.random(len(p)) < rng.random(), rng.integers(0, whole + 1), 0)
    found = deal_law(0.0, p, whole * scale, sd=beside * scale)
    pmf, top = np.zeros(int((whole + beside).sum()) + 1), 1
    pmf[0] = 1.0
    for chance, amount, aside in sorted(
        zip(p, whole.tolist(), beside.tolist(), strict=True), key=lambda deal: deal[1]
    ):
        won = 0.5 * chance * pmf[:top]
        pmf[:top] *= 1.0 - chance
        pmf[amount - aside : amount - aside + top] += won
        pmf[amount + aside : amount + aside + top] += won
        top += amount + aside
    true = np.cumsum(pmf)
    points = np.unique(np.linspace(0, len(true) - 1, 3_000).astype(int))
    x, noise = points * scale, 1e-12
    assert (true[points] <= cdf(found, x + found.shift) + found.error + noise).all()
    assert (true[points] >= cdf(found, x - found.shift) - found.error - noise).all()
    assert found.error < 1e-2
