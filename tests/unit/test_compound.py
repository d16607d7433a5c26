"""The law of booked money by every method, against closed forms, brute force and inversion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal import fftconvolve

from funnel.kernels.compound import (
    Bulk,
    Law,
    Unknown,
    cdf,
    deal_cumulants,
    deal_law,
    law,
    quantile,
    split_large,
    summarize_bulk,
    survival,
)

NONE = np.empty(0)
LEVELS = np.array([0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])


def outcomes(p, a, constant=0.0):
    """Return all sums of a few deals, sorted, and their probabilities: brute force."""
    values, mass = np.array([constant]), np.ones(1)
    for chance, amount in zip(p, a, strict=True):
        values = np.append(values, values + amount)
        mass = np.append(mass * (1 - chance), mass * chance)
    order = np.argsort(values)
    return values[order], mass[order]


def convolved(p, whole):
    """Return the distribution of a sum of whole amounts: two-point laws convolved pair by pair."""
    parts = []
    for chance, amount in zip(p, whole, strict=True):
        parts.append(np.zeros(amount + 1))
        parts[-1][0], parts[-1][-1] = 1 - chance, chance
    while len(parts) > 1:
        last = parts[2 * (len(parts) // 2) :]
        pairs = zip(parts[::2], parts[1::2], strict=False)
        parts = [(np.convolve if len(x) < 500 else fftconvolve)(x, y) for x, y in pairs] + last
    return np.maximum(parts[0], 0.0)


def gap(x, y):
    """Return the largest difference of two long arrays."""
    return np.abs(np.asarray(x) - y).max()


def honest(found, x, cumulative):
    """Whether P(X <= x) lies where a law says, for at most some thousand of the x."""
    some = slice(None, None, max(len(x) // 5_000, 1))
    x, true = x[some], cumulative[some]
    above = true <= cdf(found, x + found.shift) + found.error
    return bool((above & (true >= cdf(found, x - found.shift) - found.error)).all())


def inverted(p, a, x, terms=200):
    """Return P(X <= x) by Fourier inversion of all deals' exact characteristic functions."""
    mean, variance = (p * a).sum(), (p * (1 - p) * a * a).sum()
    width = 30.0 * math.sqrt(variance) + a.max()
    low = mean - 0.5 * width
    u = 2.0 * np.pi / width * np.arange(1, terms)
    phi = np.array([np.prod(1 - p + p * np.exp(1j * v * a)) for v in u])
    wave = np.exp(-1j * u * low) - np.exp(-1j * np.multiply.outer(x, u))
    return (x - low) / width + 2.0 * (phi / (1j * u) * wave).real.sum(axis=1) / width


def deals(n, seed, low=0.05, high=0.7):
    """Return probabilities and lognormal amounts."""
    rng = np.random.default_rng(seed)
    return rng.uniform(low, high, n), rng.lognormal(10.0, 1.2, n)


def sigma(found):
    """Return the standard deviation of a law."""
    return math.sqrt(found.cumulants[1])


# --- methods -------------------------------------------------------------------------------------


def test_sixteen_deals_are_enumerated():
    """65,536 outcomes against brute force."""
    p, a = deals(16, 8)
    found = deal_law(3.0, p, a)
    values, mass = outcomes(p, a, 3.0)
    assert ("enumeration", 0.0) == (found.method, found.shift)
    assert gap(values / found.support, 1.0) < 1e-12
    assert gap(np.cumsum(mass), found.cumulative) < 1e-13
    assert deal_cumulants(p, a)[1:] == pytest.approx(found.cumulants[1:])


@pytest.mark.parametrize(
    ("n", "low", "high"), [(17, 0.05, 0.7), (20, 0.05, 0.7), (20, 0.99, 0.999)]
)
def test_few_deals_on_the_lattice_are_within_a_thousandth_of_sigma(n, low, high):
    """Against all 2^n outcomes; the stated shift holds everywhere."""
    p, a = deals(n, 9, low, high)
    found = deal_law(0.0, p, a)
    values, mass = outcomes(p, a)
    cumulative = np.cumsum(mass)
    exact = values[np.searchsorted(cumulative, LEVELS)]
    assert "lattice" == found.method
    assert exact == pytest.approx(quantile(found, LEVELS), abs=1e-3 * sigma(found))
    assert honest(found, values, cumulative)


@pytest.mark.parametrize("n", [40, 200, 1_000, 3_000])
@pytest.mark.parametrize("unit", [1_000.0, 0.9137])
def test_multiples_of_a_unit_are_exact(n, unit):
    """Whole amounts times a unit, against exact convolution: atom by atom."""
    rng = np.random.default_rng(n)
    p, whole = rng.uniform(0.02, 0.6, n), rng.integers(1, 12, n)
    found = deal_law(5.0, p, whole * unit)
    cumulative = np.cumsum(convolved(p, whole))
    points = 5.0 + unit * np.arange(len(cumulative))
    assert 0.0 == found.shift
    assert found.error < 1e-6
    assert gap(cumulative, cdf(found, points)) < max(found.error, 1e-12)
    reached = np.append(1.0, 1.0 - cumulative[:-1])
    assert gap(reached, survival(found, points)) < max(found.error, 1e-12)
    exact = 5.0 + unit * np.searchsorted(cumulative, LEVELS)
    assert exact == pytest.approx(quantile(found, LEVELS), rel=1e-12)


@pytest.mark.parametrize("n", [30, 300, 100_000])
def test_equal_amounts_are_binomial(n):
    """Closed form by logarithms of the gamma function, to the last atom."""
    found = deal_law(0.0, np.full(n, 0.4), np.full(n, 250.0))
    count = np.arange(n + 1)
    gamma = np.array([math.lgamma(k + 1) for k in count])
    mass = np.exp(
        gamma[n] - gamma - gamma[::-1] + count * math.log(0.4) + (n - count) * math.log(0.6)
    )
    cumulative = np.cumsum(mass)
    assert gap(cumulative, cdf(found, 250.0 * count)) < 1e-8
    assert (250.0 * np.searchsorted(cumulative, LEVELS)).tolist() == quantile(
        found, LEVELS
    ).tolist()


def test_the_median_of_a_symmetric_law_is_the_lower_atom():
    """P(X <= 500) is exactly 1/2 for 1,001 fair deals: rounding must not move the quantile."""
    found = deal_law(0.0, np.full(1_001, 0.5), np.ones(1_001))
    assert 500.0 == quantile(found, np.array([0.5]))[0]


def test_a_cell_whose_density_varies_much_is_inverted():
    """A table of one cell without density at its ends: F = 3 t^2 - 2 t^3, solved by trisection."""
    table = np.array([0.0, 1.0])
    found = Law("cos", 0.0, 0.0, 0.0, 1.0, np.zeros(4), table, table, np.zeros(2))
    levels = np.array([0.1, 0.5, 0.8])
    exact = 0.5 - np.sin(np.arcsin(1.0 - 2.0 * levels) / 3.0)
    assert exact == pytest.approx(quantile(found, levels), abs=1e-8)


@pytest.mark.parametrize(("n", "seed"), [(100, 1), (200, 2), (1_000, 3), (1_000, 4), (20_000, 5)])
def test_series_agrees_with_exact_inversion(n, seed):
    """Lognormal amounts: error in probability within what is stated, quantiles to 1e-6 sigma."""
    p, a = deals(n, seed)
    found = deal_law(0.0, p, a)
    values = quantile(found, LEVELS)
    terms = 200 if n > 500 else 800
    exact = inverted(p, a, values, terms)
    assert "cos" == found.method
    assert found.error < 1e-6
    assert exact == pytest.approx(LEVELS, abs=found.error + 1e-11)
    slope = (inverted(p, a, values + 1e-3 * sigma(found), terms) - exact) / (1e-3 * sigma(found))
    assert np.abs((exact - LEVELS) / slope).max() < 1e-6 * sigma(found)


def test_series_needs_the_deals_only_in_summary():
    """The law of bulk and large deals is that of all deals, and needs the sum of no amounts."""
    p, a = deals(3_000, 10)
    exact = split_large(p, a, math.sqrt(deal_cumulants(p, a)[1]))
    summary = summarize_bulk(p, a, exact)
    assert 0 < exact.sum() < 3_000
    found = law(50.0, p[exact], a[exact], bulk=summary)
    whole = law(50.0, p, a)
    assert quantile(whole, LEVELS) == pytest.approx(quantile(found, LEVELS), rel=1e-8)
    assert whole.cumulants == pytest.approx(found.cumulants)
    assert whole.upper == pytest.approx(found.upper)


def test_a_bulk_alone_has_a_law():
    """All deals small: nothing is kept exactly."""
    p, a = np.full(20_000, 0.5), np.random.default_rng(11).uniform(1.0, 2.0, 20_000)
    found = deal_law(0.0, p, a)
    assert LEVELS == pytest.approx(inverted(p, a, quantile(found, LEVELS)), abs=found.error)


def test_certain_deals_do_not_hide_the_unit_of_the_others():
    """120 certain deals of odd amounts among 180 of even ones: steps of 2, by convolution."""
    rng = np.random.default_rng(3)
    whole = 2 * np.rint(rng.lognormal(4.0, 1.0, 300)).astype(int)
    p = np.full(300, 0.5)
    whole[:120] += 1
    p[:120] = 1.0
    found = deal_law(0.0, p, whole.astype(float))
    cumulative = np.cumsum(convolved(p, whole))
    assert gap(cumulative, cdf(found, np.arange(len(cumulative)))) < max(found.error, 1e-12)


def test_nearly_certain_odd_amounts_among_even_ones_are_in_the_stated_error():
    """The sum is mostly of one parity, which cells coarser than the unit cannot show."""
    rng = np.random.default_rng(4)
    odd = rng.random(290) < 0.4
    whole = 2 * np.rint(rng.lognormal(4.0, 1.0, 290)).astype(int) + odd
    p = np.where(odd, rng.uniform(0.94, 1.0, 290), rng.uniform(0.2, 0.9, 290))
    found = deal_law(0.0, p, whole.astype(float))
    cumulative = np.cumsum(convolved(p, whole))
    missed = gap(cumulative, cdf(found, np.arange(len(cumulative))))
    assert 1e-9 < missed < found.error < 1e-5


def test_a_bulk_without_spread_is_a_constant():
    """Certain deals only, in summary."""
    found = law(1.0, NONE, NONE, bulk=Bulk(np.array([9.0, 0.0, 0.0, 0.0]), 3.0, 9.0, 3.0, 0.0))
    assert ([10.0], 10.0) == (found.support.tolist(), found.upper)


def test_a_bulk_on_a_unit_that_the_large_deals_do_not_share_says_so():
    """Ten thousand deals of 20 and five odd ones: the wave that is not seen is in the error."""
    rng = np.random.default_rng(12)
    whole = np.append(np.full(10_000, 20), [37, 41, 53, 59, 71])
    p = rng.uniform(0.02, 0.6, len(whole))
    amounts = whole / 3.0
    odd = whole != 20
    found = law(0.0, p[odd], amounts[odd], bulk=summarize_bulk(p, amounts, odd))
    cumulative = np.cumsum(convolved(p, whole))
    wave = gap(cumulative, cdf(found, np.arange(len(cumulative)) / 3.0))
    assert 1e-4 < wave < found.error < 20 * wave


def test_nearly_equal_amounts_are_not_taken_for_smooth():
    """Prices within 2 %: the law of 600 deals is one of lumps, and known within the shift."""
    rng = np.random.default_rng(13)
    p, whole = rng.uniform(0.02, 0.6, 600), rng.integers(1_980, 2_020, 600)
    scale = 1e-7 * math.pi  # no unit that a table could hold
    found = deal_law(0.0, p, whole * scale)
    cumulative = np.cumsum(convolved(p, whole))
    assert honest(found, np.arange(len(cumulative)) * scale, cumulative)
    exact = np.searchsorted(cumulative, LEVELS) * scale
    assert exact == pytest.approx(quantile(found, LEVELS), abs=1e-3 * sigma(found))


def test_nearly_equal_amounts_of_many_deals_are_all_kept_exactly():
    """3,000 prices within 1 %: cumulants would miss 0.4 % of probability, all deals do not."""
    rng = np.random.default_rng(14)
    p, whole = rng.uniform(0.02, 0.6, 3_000), rng.integers(300, 303, 3_000)
    found = deal_law(0.0, p, whole * math.pi * 1e-3)
    cumulative = np.cumsum(convolved(p, whole))
    exact = np.searchsorted(cumulative, LEVELS) * math.pi * 1e-3
    assert found.error < 1e-5
    assert exact == pytest.approx(quantile(found, LEVELS), abs=1e-3 * sigma(found))


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.004), (0.996, 1.0)])
@pytest.mark.parametrize("unit", [1.0, 1e-7 * math.pi])
def test_rare_wins_and_rare_losses_are_convolved_at_once(low, high, unit):
    """2,000 deals, four rare events on average: no series converges; against convolution."""
    rng = np.random.default_rng(15)
    p, whole = rng.uniform(low, high, 2_000), rng.integers(10, 300, 2_000)
    found = deal_law(0.0, p, whole * unit)
    cumulative = np.cumsum(convolved(p, whole))
    x = np.arange(len(cumulative)) * unit
    assert "lattice" == found.method
    assert honest(found, x, cumulative)


def test_hopeless_deals_leave_the_constant():
    """100,000 deals of equal amount at one in 100,000: the count of wins is binomial."""
    found = deal_law(2.0, np.full(100_000, 1e-5), np.full(100_000, 5.0))
    none = math.exp(1e5 * math.log1p(-1e-5))
    one = none / (1 - 1e-5)
    assert [none, none + one] == pytest.approx(cdf(found, np.array([2.0, 7.0])).tolist(), abs=1e-9)
    assert (2.0, 5e5 + 2.0) == (found.lower, found.upper)


@pytest.mark.parametrize("n", [40, 400])
def test_whales_are_taken_apart(n):
    """Two deals a million times as large: quantiles of the others stay sharp in each outcome."""
    p, a = deals(n, 16)
    found = deal_law(0.0, np.append(p, [0.3, 0.6]), np.append(a, [1e12, 5e12]))
    alone = deal_law(0.0, p, a)
    assert "mixture" == found.method
    assert 0.28 * 0.9 == pytest.approx(cdf(found, quantile(alone, np.array([0.9])))[0], abs=1e-3)
    # P(neither) = 0.28, so the level 0.28 q of the whole is the level q of the others.
    assert quantile(alone, LEVELS) == pytest.approx(
        quantile(found, 0.28 * LEVELS), abs=1e-3 * sigma(alone)
    )
    assert 0.6 == pytest.approx(survival(found, np.array([5e12]))[0], abs=1e-9)
    whole = deal_cumulants(np.append(p, [0.3, 0.6]), np.append(a, [1e12, 5e12]))
    assert whole == pytest.approx(found.cumulants)


def test_a_bulk_is_convolved_on_the_lattice_where_five_deals_dominate():
    """Too many for taking apart: 32 outcomes of five deals, each with the law of the others."""
    rng = np.random.default_rng(17)
    n = 20_000
    p, a = rng.uniform(0.1, 0.6, n), rng.lognormal(3.0, 1.0, n)
    big = 1e8 * np.array([1.0, 1.1, 1.3, 1.7, 2.47])
    found = deal_law(0.0, np.append(p, np.full(5, 0.5)), np.append(a, big))
    alone = deal_law(0.0, p, a)
    values, mass = outcomes(np.full(5, 0.5), big)
    assert "lattice" == found.method
    middle = 0.5 * (values[1:] + values[:-1])
    assert np.cumsum(mass)[:-1] == pytest.approx(cdf(found, middle), abs=found.error)
    x = values[:, None] + quantile(alone, LEVELS)
    exact = sum(m * cdf(alone, x.ravel() - v) for v, m in zip(values, mass, strict=True))
    assert honest(found._replace(error=found.error + alone.error), x.ravel(), exact)


def test_a_bulk_on_a_unit_is_convolved_on_it():
    """As above with all amounts in thousands: the lattice is that of the thousands."""
    rng = np.random.default_rng(18)
    whole = np.append(rng.integers(1, 4, 3_500), [11_000, 11_100, 11_300, 11_700, 12_300])
    p = rng.uniform(0.1, 0.6, len(whole))
    found = deal_law(0.0, p, whole * 1_000.0)
    cumulative = np.cumsum(convolved(p, whole))
    assert ("lattice", 0.0) == (found.method, found.shift)
    points = 1_000.0 * np.arange(len(cumulative))
    assert gap(cumulative, cdf(found, points)) < found.error < 1e-5


# --- unknown amounts -----------------------------------------------------------------------------

ATOMS, WEIGHTS = np.array([1.0, 2.0, 5.0]), np.array([0.2, 0.3, 0.5])


def with_unknown(p, whole, chance):
    """Return the exact distribution of known deals and deals of unknown amount."""
    pmf = np.ones(1) if len(p) == 0 else convolved(p, whole)
    for c in chance:
        pmf = np.convolve(pmf, [1 - c, c * 0.2, c * 0.3, 0.0, 0.0, c * 0.5])
    return pmf


@pytest.mark.parametrize("scale", [1.0, 1e-5 * math.pi])
@pytest.mark.parametrize("count", [3, 30, 120, 700])
def test_unknown_amounts_agree_with_convolution(count, scale):
    """One deal after the other is convolved with its own distribution."""
    rng = np.random.default_rng(count)
    p, whole = rng.uniform(0.1, 0.6, 20), rng.integers(1, 9, 20)
    chance = rng.uniform(0.05, 0.9, count)
    unknown = Unknown(chance, ATOMS * scale, WEIGHTS)
    found = deal_law(10.0, p, whole * scale, unknown=unknown)
    cumulative = np.cumsum(with_unknown(p, whole, chance))
    x = 10.0 + np.arange(len(cumulative)) * scale
    assert gap(cumulative, cdf(found, x)) < max(found.error, 1e-12)
    assert 0.0 == found.shift
    mean = (p * whole).sum() + chance.sum() * 3.3  # 0.2 + 2 * 0.3 + 5 * 0.5
    assert 10.0 + scale * mean == pytest.approx(found.cumulants[0])


def test_unknown_amounts_are_rounded_to_the_lattice():
    """Atoms without a unit: within the stated shift of the exact law of 25 deals."""
    atoms, scale = np.array([1_003, 2_017, 5_101]), 1e-7 * math.pi
    chance = np.random.default_rng(19).uniform(0.05, 0.9, 25)
    found = deal_law(0.0, NONE, NONE, unknown=Unknown(chance, atoms * scale, WEIGHTS))
    pmf = np.ones(1)
    for c in chance:
        one = np.zeros(5_102)
        one[0], one[atoms] = 1 - c, c * WEIGHTS
        pmf = np.maximum(fftconvolve(pmf, one), 0.0)
    cumulative, x = np.cumsum(pmf), np.arange(len(pmf)) * scale
    assert "lattice" == found.method
    assert honest(found, x, cumulative)


def test_few_unknown_deals_are_enumerated():
    """Two deals with three amounts and nothing: 16 outcomes, ten different sums."""
    chance = np.array([0.5, 0.25])
    found = deal_law(0.0, NONE, NONE, unknown=Unknown(chance, ATOMS, WEIGHTS))
    pmf = with_unknown([], [], chance)
    assert "enumeration" == found.method
    assert np.flatnonzero(pmf).tolist() == found.support.tolist()
    assert np.cumsum(pmf)[found.support.astype(int)] == pytest.approx(found.cumulative)


def test_one_possible_amount_is_a_known_amount():
    """A distribution of one atom (others have no weight) is no distribution."""
    unknown = Unknown(np.array([0.25, 0.0]), np.array([9.0, 4.0]), np.array([0.0, 1.0]))
    found = deal_law(0.0, NONE, NONE, unknown=unknown)
    assert ([0.0, 4.0], [0.75, 1.0]) == (found.support.tolist(), found.cumulative.tolist())


def test_unknown_amounts_that_are_all_zero_are_nothing():
    """Amounts of 0 move nothing, however many."""
    unknown = Unknown(np.full(30, 0.5), np.zeros(2), np.full(2, 0.5))
    assert [0.0] == deal_law(0.0, NONE, NONE, unknown=unknown).support.tolist()


# --- amounts that may change until the deal is won ------------------------------------------------


def two_amounts(p, low, high):
    """Return the exact distribution of deals won at one of two whole amounts, as `convolved`."""
    parts = []
    for chance, small, large in zip(p, low, high, strict=True):
        parts.append(np.zeros(large + 1))
        parts[-1][0] = 1 - chance
        parts[-1][small] += chance / 2
        parts[-1][large] += chance / 2
    while len(parts) > 1:
        last = parts[2 * (len(parts) // 2) :]
        pairs = zip(parts[::2], parts[1::2], strict=False)
        parts = [(np.convolve if len(x) < 500 else fftconvolve)(x, y) for x, y in pairs] + last
    return np.maximum(parts[0], 0.0)


@pytest.mark.parametrize("n", [10, 40, 600, 3_000, 20_000])
def test_amounts_without_spread_change_nothing(n):
    """Standard deviations of zero give the same law to the last bit, by every method."""
    p, a = deals(n, 20)
    found, zeros = deal_law(1.0, p, a), deal_law(1.0, p, a, sd=np.zeros(n))
    for before, after in zip(found, zeros, strict=True):
        assert np.array_equal(before, after)


def test_few_amounts_with_spread_are_enumerated():
    """Ten deals: 3^10 outcomes against nested sums over lost, low and high."""
    p, a = deals(10, 21)
    sd = 0.4 * a
    values, mass = np.array([3.0]), np.ones(1)
    for chance, mean, beside in zip(p, a, sd, strict=True):
        values = np.concatenate([values, values + mean - beside, values + mean + beside])
        mass = np.concatenate([mass * (1 - chance), mass * chance / 2, mass * chance / 2])
    order = np.argsort(values)
    found = deal_law(3.0, p, a, sd=sd)
    assert "enumeration" == found.method
    assert gap(values[order] / found.support, 1.0) < 1e-12
    assert gap(np.cumsum(mass[order]), found.cumulative) < 1e-13
    assert p @ a + 3.0 == pytest.approx(found.cumulants[0])
    # E[Var] + Var[E], the law of total variance
    assert p @ sd**2 + (p * (1 - p)) @ a**2 == pytest.approx(found.cumulants[1])


@pytest.mark.parametrize("n", [30, 200, 1_000, 3_000])
@pytest.mark.parametrize("unit", [1_000.0, 0.9137])
def test_two_amounts_on_a_unit_are_exact(n, unit):
    """Both amounts multiples of a unit: atom by atom the exact convolution."""
    rng = np.random.default_rng(n)
    p, low = rng.uniform(0.02, 0.95, n), rng.integers(1, 9, n)
    high = low + 2 * rng.integers(0, 4, n)
    found = deal_law(5.0, p, 0.5 * unit * (low + high), sd=0.5 * unit * (high - low))
    cumulative = np.cumsum(two_amounts(p, low, high))
    points = 5.0 + unit * np.arange(len(cumulative))
    assert 0.0 == found.shift
    assert found.error < 1e-6
    assert gap(cumulative, cdf(found, points)) < max(found.error, 1e-12)


@pytest.mark.parametrize(
    ("n", "low_p", "high_p", "method"),
    [
        (17, 0.05, 0.7, "lattice"),
        (40, 0.9, 0.999, "lattice"),
        (300, 0.05, 0.95, "cos"),
        (2_000, 0.0, 0.004, "lattice"),
        (4_000, 0.05, 0.95, "cos"),
    ],
)
def test_two_amounts_without_a_unit_are_within_the_stated_error(n, low_p, high_p, method):
    """Lattice and series, few and many deals, likely and rare ones, against convolution."""
    rng = np.random.default_rng(22)
    most = 3_000 if n < 1_000 else 300
    p, low = rng.uniform(low_p, high_p, n), rng.integers(10, most, n)
    high = low + 2 * rng.integers(0, most // 3, n)
    scale = 1e-7 * math.pi
    found = deal_law(0.0, p, 0.5 * scale * (low + high), sd=0.5 * scale * (high - low))
    cumulative = np.cumsum(two_amounts(p, low, high))
    assert method == found.method
    assert found.error < 1e-5
    assert found.shift < 0.02 * sigma(found)
    assert honest(found, np.arange(len(cumulative)) * scale, cumulative)


def test_a_bulk_with_spread_agrees_with_all_deals_kept_exactly():
    """Cumulants of 3,000 deals against their own characteristic functions."""
    p, a = deals(3_000, 23)
    sd = a * np.random.default_rng(23).uniform(0.0, 0.9, 3_000)
    exact = split_large(p, a, math.sqrt(deal_cumulants(p, a, sd=sd)[1]), sd=sd)
    assert 0 < exact.sum() < 3_000
    found, whole = deal_law(50.0, p, a, sd=sd), law(50.0, p, a, sd=sd)
    assert quantile(whole, LEVELS) == pytest.approx(quantile(found, LEVELS), rel=1e-8)
    assert whole.cumulants == pytest.approx(found.cumulants)
    assert whole.upper == pytest.approx(found.upper)


def test_an_amount_that_varies_by_more_than_its_mean_is_never_negative():
    """Mean 3 and variance 27 are those of {0, 12} with P(12) = 1/4, by hand."""
    found = deal_law(0.0, np.ones(1), np.array([3.0]), sd=np.array([27.0**0.5]))
    assert [0.0, 12.0] == pytest.approx(found.support.tolist())
    assert [0.75, 1.0] == pytest.approx(found.cumulative.tolist())
    assert [3.0, 27.0] == pytest.approx(found.cumulants[:2].tolist())


def test_a_deal_won_for_sure_may_still_close_at_two_amounts():
    """Certain deals: 8 or 12, and 0 or 2 where the standard deviation is the mean."""
    found = deal_law(1.0, np.ones(2), np.array([10.0, 1.0]), sd=np.array([2.0, 1.0]))
    assert [9.0, 11.0, 13.0, 15.0] == found.support.tolist()
    assert [0.25, 0.5, 0.75, 1.0] == found.cumulative.tolist()
    assert 9.0 == found.lower


def test_an_amount_of_zero_stays_zero():
    """Money is not negative, so a mean of zero leaves no variance."""
    found = deal_law(0.0, np.array([0.5]), np.zeros(1), sd=np.ones(1))
    assert ([0.0], 0.0) == (found.support.tolist(), found.cumulants[1])
    assert [0.0] * 4 == deal_cumulants(np.array([0.5]), np.zeros(1), sd=np.ones(1)).tolist()


@pytest.mark.parametrize("n", [40, 400])
def test_a_whale_with_two_amounts_is_taken_apart(n):
    """Lost, 4e12 or 6e12 with 0.4, 0.3 and 0.3: the others stay sharp in each."""
    p, a = deals(n, 24)
    whole = np.append(p, 0.6), np.append(a, 5e12)
    found = deal_law(0.0, *whole, sd=np.append(0.1 * a, 1e12))
    alone = deal_law(0.0, p, a, sd=0.1 * a)
    assert "mixture" == found.method
    for level, won in [(0.0, 0.0), (0.4, 4e12), (0.7, 6e12)]:
        share = 0.4 if level == 0.0 else 0.3
        assert won + quantile(alone, LEVELS) == pytest.approx(
            quantile(found, level + share * LEVELS), abs=2e-3 * sigma(alone) + 1e-12 * won
        )


def test_two_amounts_of_large_deals_join_a_bulk_on_the_lattice():
    """Five deals of two amounts dominate 20,000 small ones: 243 outcomes, each with their law."""
    rng = np.random.default_rng(17)
    n = 20_000
    p, a = rng.uniform(0.1, 0.6, n), rng.lognormal(3.0, 1.0, n)
    big = 1e8 * np.array([1.0, 1.1, 1.3, 1.7, 2.47])
    sd = np.append(np.zeros(n), 0.09 * big)
    found = deal_law(0.0, np.append(p, np.full(5, 0.5)), np.append(a, big), sd=sd)
    alone = deal_law(0.0, p, a)
    values, mass = np.zeros(1), np.ones(1)
    for mean in big:
        values = np.concatenate([values, values + 0.91 * mean, values + 1.09 * mean])
        mass = np.concatenate([0.5 * mass, 0.25 * mass, 0.25 * mass])
    assert "lattice" == found.method
    x = (values[:, None] + quantile(alone, LEVELS)).ravel()
    exact = sum(m * cdf(alone, x - v) for v, m in zip(values, mass, strict=True))
    assert honest(found._replace(error=found.error + alone.error), x, exact)


def test_a_bulk_on_a_unit_that_two_amounts_do_not_share_says_so():
    """As with odd amounts: the wave that is not seen is in the error."""
    rng = np.random.default_rng(25)
    p, low = rng.uniform(0.02, 0.6, 10_004), np.append(np.full(10_000, 20), [37, 41, 53, 59])
    high = low + np.append(np.zeros(10_000, dtype=int), [4, 6, 4, 6])
    a, sd, odd = (low + high) / 6.0, (high - low) / 6.0, low != 20
    bulk = summarize_bulk(p, a, odd, sd=sd)
    found = law(0.0, p[odd], a[odd], bulk=bulk, sd=sd[odd])
    cumulative = np.cumsum(two_amounts(p, low, high))
    wave = gap(cumulative, cdf(found, np.arange(len(cumulative)) / 3.0))
    assert 1e-4 < wave < found.error < 20 * wave
