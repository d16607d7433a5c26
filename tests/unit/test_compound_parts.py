"""What the law of booked money is made of and how it is read: cumulants, units, wins, mixtures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from funnel.kernels import _cumulants, _wins
from funnel.kernels.compound import (
    SMALL_BOOK,
    cdf,
    common_unit,
    compound_cumulants,
    deal_cumulants,
    deal_law,
    grouped_compound_cumulants,
    grouped_deal_cumulants,
    mix,
    poisson_binomial,
    quantile,
    split_large,
    summarize_bulk,
    survival,
)

NONE = np.empty(0)
LEVELS = np.array([0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99])


def gap(x, y):
    """Return the largest difference of two long arrays."""
    return np.abs(np.asarray(x) - y).max()


def deals(n, seed, low=0.05, high=0.7):
    """Return probabilities and lognormal amounts."""
    rng = np.random.default_rng(seed)
    return rng.uniform(low, high, n), rng.lognormal(10.0, 1.2, n)


def sigma(found):
    """Return the standard deviation of a law."""
    return math.sqrt(found.cumulants[1])


# --- cumulants -----------------------------------------------------------------------------------


def central(p, a):
    """Return kappa_1..4 of one deal from its central moments."""
    values, mass = np.array([0.0, a]), np.array([1 - p, p])
    mean = mass @ values
    m2, m3, m4 = (mass @ (values - mean) ** order for order in (2, 3, 4))
    return np.array([mean, m2, m3, m4 - 3 * m2 * m2])


def test_cumulants_of_a_deal_are_those_of_its_central_moments():
    """Two points, four moments: no closed form of the code is used."""
    for p, a in [(0.3, 5.0), (0.9, 2.0), (0.0, 1.0), (1.0, 4.0)]:
        assert central(p, a) == pytest.approx(deal_cumulants(np.array([p]), np.array([a])))


def test_cumulants_add_up_over_chunks_columns_and_groups():
    """More rows than one chunk, three columns, five groups: against one deal at a time."""
    n = 2 * _cumulants.CHUNK + 17
    rng = np.random.default_rng(0)
    p, a, groups = rng.random((n, 3)), rng.lognormal(0, 1, n), rng.integers(0, 4, n)
    by_group = grouped_deal_cumulants(p, a, groups, 5)
    assert (5, 3, 4) == by_group.shape
    assert np.zeros((3, 4)).tolist() == by_group[4].tolist()
    assert by_group.sum(axis=0) == pytest.approx(deal_cumulants(p, a), rel=1e-12)
    q, amount = 1 - p[:, 1], a
    variance = (p[:, 1] * q * amount**2)[groups == 2].sum()
    assert variance == pytest.approx(by_group[2, 1, 1], rel=1e-12)
    column = grouped_deal_cumulants(p[:, 1], a, groups, 5)
    assert column == pytest.approx(by_group[:, 1], rel=1e-13)


def test_cumulants_of_nothing_are_zero():
    """No deals: zeros of the right shape."""
    assert [0.0] * 4 == deal_cumulants(NONE, NONE).tolist()
    assert (2, 4) == deal_cumulants(np.empty((0, 2)), NONE).shape
    assert (3, 4) == grouped_deal_cumulants(NONE, NONE, np.empty(0, np.int64), 3).shape


def test_compound_cumulants_agree_with_the_two_step_distribution():
    """Amount 1 or 3: the deal has three outcomes, whose central moments are summed by hand."""
    atoms, weights, p = np.array([1.0, 3.0]), np.array([0.25, 0.75]), 0.4
    values, mass = np.array([0.0, 1.0, 3.0]), np.array([0.6, 0.1, 0.3])
    mean = mass @ values
    m2, m3, m4 = (mass @ (values - mean) ** order for order in (2, 3, 4))
    moments = np.array([weights @ atoms**order for order in (1, 2, 3, 4)])
    expected = np.array([mean, m2, m3, m4 - 3 * m2 * m2])
    assert expected == pytest.approx(compound_cumulants(np.array([p]), moments))
    own = compound_cumulants(np.array([p, p]), np.stack([moments, moments]))
    assert 2 * expected == pytest.approx(own)


def test_compound_cumulants_of_known_amounts_are_those_of_deals():
    """Raw moments a, a^2, a^3, a^4 of a fixed amount; by group and column."""
    rng = np.random.default_rng(1)
    p, a, groups = rng.random((50, 2)), rng.lognormal(0, 1, 50), rng.integers(0, 3, 50)
    moments = a[:, None] ** np.arange(1, 5)
    expected = grouped_deal_cumulants(p, a, groups, 3)
    assert expected == pytest.approx(grouped_compound_cumulants(p, moments, groups, 3))


# --- units and the split -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amounts", "unit"),
    [
        ([12_000.0, 30_000.0, 0.0], 6_000.0),
        ([0.1 + 0.2, 0.9], 0.3),  # stored decimals, not exact ones
        ([0.0, 0.0], 0.0),
        ([], 0.0),
        ([2.0**60, 1.5 * 2.0**60], 2.0**59),  # too large for whole numbers in a float
        ([1.0, math.sqrt(2.0)], 0.0),
        ([math.pi, 2.5 * math.pi], 0.5 * math.pi),
        ([1.0, 2.0, 3.0 + 1e-8], 0.0),
        ([math.pi * 10, math.pi * 15, math.pi * 25 * (1 + 2e-11)], 0.0),
    ],
    ids=["thousands", "decimals", "zeros", "empty", "huge", "none", "rate", "nearly", "almost"],
)
def test_common_unit(amounts, unit):
    """By hand: the greatest common divisor, also of numbers that are not decimals."""
    assert unit == pytest.approx(common_unit(np.array(amounts)), rel=1e-12, abs=0.0)


def test_common_unit_sees_every_chunk():
    """One odd amount in the last chunk changes the unit."""
    a = np.full(3 * _cumulants.CHUNK, 500.0)
    assert 500.0 == common_unit(a)
    a[-1] = 750.0
    assert 250.0 == common_unit(a)
    converted = np.append(np.zeros(2000), a * math.pi)
    assert 250.0 * math.pi == pytest.approx(common_unit(converted), rel=1e-12)


def test_split_large_keeps_small_books_whole():
    """Up to SMALL_BOOK deals nothing is summarised."""
    assert split_large(np.full(SMALL_BOOK, 0.5), np.ones(SMALL_BOOK), 8.0).all()


def test_split_large_uses_the_threshold_of_a_normal_sum():
    """0.3 sigma / 7 where no deal dominates; nothing when nothing is random."""
    a = np.concatenate([np.full(9_990, 1.0), np.full(10, 5.0)])
    p = np.full(10_000, 0.5)
    spread = math.sqrt(0.25 * (9_990 + 250))
    assert 10 == split_large(p, a, spread).sum()  # 0.3 * 50.6 / 7 = 2.17
    assert not split_large(np.ones(300), np.ones(300), 0.0).any()


def test_split_large_looks_behind_the_whale():
    """One deal of 1e6 must not hide deals that are large among the others."""
    p, a = np.full(10_002, 0.5), np.ones(10_002)
    a[0], a[1] = 1e6, 30.0
    exact = split_large(p, a, math.sqrt(0.25 * (1e12 + 900 + 10_000)))
    assert [0, 1] == np.flatnonzero(exact).tolist()


def test_split_large_keeps_all_where_the_characteristic_function_never_decays():
    """One win in a thousand deals on average: sum p q is about 1 and never reaches 24.5."""
    a = np.random.default_rng(2).lognormal(0, 1, 1_000)
    assert split_large(np.full(1_000, 1e-3), a, float(np.sqrt(1e-3 * (a * a).sum()))).all()


def test_split_large_stops_where_large_deals_decay_enough():
    """Two hundred big deals have sum p q = 50 > 24.5: no need to look at the crumbs."""
    a = np.append(np.full(200, 1e6), np.full(5_000, 1.0))
    exact = split_large(np.full(5_200, 0.5), a, 1e6 * math.sqrt(50.0))
    assert 200 == exact.sum()


def test_summary_leaves_out_what_is_kept():
    """Cumulants, largest amount, total and unit of the rest; nothing left, nothing said."""
    p, a = deals(1_000, 3)
    exact = a > 1e5
    summary = summarize_bulk(p, a, exact)
    assert deal_cumulants(p[~exact], a[~exact]) == pytest.approx(summary.cumulants)
    assert a[~exact].max() == summary.largest
    assert a[~exact].sum() == pytest.approx(summary.total)
    assert 0.0 == summary.unit
    empty = summarize_bulk(p, a, np.ones(1_000, dtype=bool))
    assert (0.0, 0.0, 0.0, 0.0) == tuple(empty[1:])


def test_summary_knows_when_amounts_nearly_share_a_unit():
    """Prices within 1 % of one another wave; lognormal ones do not."""
    rng = np.random.default_rng(4)
    n = 20_000
    p, nothing = rng.uniform(0.1, 0.5, n), np.zeros(n, dtype=bool)
    nearly = summarize_bulk(p, 1_000.0 * rng.uniform(0.995, 1.005, n), nothing)
    assert nearly.stray > 1e-3
    assert summarize_bulk(p, rng.lognormal(0, 0.5, n), nothing).stray < 1e-9


# --- number of wins ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 7, 64, 300])
def test_wins_with_equal_chances_are_binomial(n):
    """Closed form: C(n, k) p^k q^(n - k)."""
    expected = [math.comb(n, k) * 0.3**k * 0.7 ** (n - k) for k in range(n + 1)]
    assert np.array(expected) == pytest.approx(poisson_binomial(np.full(n, 0.3)), abs=1e-14)


def test_wins_agree_with_adding_deal_after_deal():
    """2,000 chances from 0 to 1, sorted (the worst order), and with sure and hopeless ones."""
    p = np.sort(np.random.default_rng(5).random(2_000))
    p[:10], p[-10:] = 0.0, 1.0
    expected = np.ones(1)
    for chance in p:
        expected = np.convolve(expected, [1 - chance, chance])
    assert gap(expected, poisson_binomial(p)) < 1e-13


@pytest.mark.parametrize(
    ("n", "low", "high"), [(9_000, 0, 1), (40_000, 0.9, 1), (90_000, 0, 0.1), (3_800, 0.4, 0.6)]
)
def test_wins_that_vary_much_agree_with_convolution(n, low, high):
    """Sums of powers (too many of them in the last case) against halves, to 1e-14 absolutely."""
    p = np.random.default_rng(23).uniform(low, high, n)
    p[:9] = 1.0
    assert math.sqrt((p * (1.0 - p)).sum()) > _wins.WIDE
    assert gap(_wins._by_halves(p), poisson_binomial(p)) < 1e-14


def test_wins_of_many_deals_have_the_right_moments():
    """Mean sum p and variance sum p q, for 100,000 deals and for rare wins."""
    p = np.random.default_rng(6).random(100_000)
    for chance in (p, 1e-5 * p):
        wins, count = poisson_binomial(chance), np.arange(len(p) + 1)
        assert 1.0 == pytest.approx(wins.sum(), abs=1e-12)
        mean = wins @ count
        assert chance.sum() == pytest.approx(mean, rel=1e-12)
        variance = (chance * (1 - chance)).sum()
        assert variance == pytest.approx(wins @ (count - mean) ** 2, rel=1e-9)


# --- a law, read ---------------------------------------------------------------------------------


def test_no_deals_is_the_constant():
    """Nothing random: one atom."""
    for p, a in [(NONE, NONE), (np.zeros(400), np.ones(400)), (np.full(400, 0.5), np.zeros(400))]:
        found = deal_law(7.0, p, a)
        assert ([7.0], [1.0]) == (found.support.tolist(), found.cumulative.tolist())
        assert [7.0] * 3 == quantile(found, np.array([0.0, 0.5, 1.0])).tolist()
        assert [0.0, 1.0] == cdf(found, np.array([6.9, 7.0])).tolist()
        assert [1.0, 0.0] == survival(found, np.array([7.0, 7.1])).tolist()
        assert (7.0, 7.0) == (found.lower, found.upper)


@pytest.mark.parametrize("n", [5, 400])
def test_sure_deals_join_the_constant(n):
    """All probabilities 1: one atom at the sum."""
    found = deal_law(1.0, np.ones(n), np.full(n, 2.0))
    assert [1.0 + 2.0 * n] == found.support.tolist()
    assert [1.0 + 2.0 * n, 0.0, 0.0, 0.0] == found.cumulants.tolist()


def test_equal_sums_are_one_atom():
    """0.1 + 0.2 and 0.3 differ in the last bit, and are the same money."""
    found = deal_law(0.0, np.full(3, 0.5), np.array([0.1, 0.2, 0.3]))
    assert [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6] == pytest.approx(found.support.tolist())
    assert 5 / 8 == pytest.approx(survival(found, np.array([0.3]))[0])  # {3}, {12}, {13}, {23}, all
    assert 5 / 8 == pytest.approx(survival(found, np.array([0.1 + 0.2]))[0])
    assert 5 / 8 == pytest.approx(cdf(found, np.array([0.3]))[0])


def test_small_amounts_beside_a_large_constant_stay_apart():
    """Cents on top of ten billion are still different sums."""
    found = deal_law(1e10, np.full(4, 0.5), np.array([0.01, 0.02, 0.04, 0.08]))
    assert np.arange(16) == pytest.approx((found.support - 1e10) / 0.01, abs=1e-3)


def test_arrays_of_any_shape_are_answered_in_that_shape():
    """Scalars and matrices, for steps and for smooth laws."""
    for found in (deal_law(0.0, np.array([0.5]), np.ones(1)), deal_law(0.0, *deals(600, 7))):
        for function in (cdf, survival, quantile):
            assert () == function(found, np.array(0.5)).shape
            assert (2, 3) == function(found, np.full((2, 3), 0.5)).shape


def test_a_smooth_law_ends_where_the_possible_ends():
    """Certain at the lower end, impossible beyond the upper one; levels 0 and 1 are the ends."""
    p, a = deals(600, 7)
    found = deal_law(100.0, p, a)
    assert "cos" == found.method
    assert (100.0, pytest.approx(100.0 + a.sum())) == (found.lower, found.upper)
    assert [found.lower, found.upper] == quantile(found, np.array([0.0, 1.0])).tolist()
    beyond = np.array([99.0, 100.0, found.upper, found.upper + 1.0])
    assert [0.0, 0.0, 1.0, 1.0] == cdf(found, beyond).tolist()
    assert [1.0, 1.0, 0.0, 0.0] == survival(found, beyond).tolist()


# --- mixtures ------------------------------------------------------------------------------------


def test_mixture_of_steps_is_the_weighted_sum():
    """A shared state with two books: atoms of both, ties merged."""
    one = deal_law(0.0, np.array([0.5]), np.array([2.0]))
    other = deal_law(1.0, np.array([0.5]), np.array([1.0]))
    both = mix([one, other], np.array([0.5, 0.5]))
    assert [0.0, 1.0, 2.0] == both.support.tolist()
    assert [0.25, 0.5, 1.0] == both.cumulative.tolist()
    assert [1.25, 0.6875] == pytest.approx(both.cumulants[:2].tolist())  # E X^2 = 2.25


def test_mixture_of_smooth_laws_is_the_weighted_sum():
    """At any point, also where only one of the laws has mass; cumulants of the whole."""
    p, a = deals(900, 20)
    laws = [deal_law(0.0, p, a), deal_law(1e6, 0.5 * p, a), deal_law(0.0, 0.2 * p, a)]
    weights = np.array([0.5, 0.3, 0.2])
    both = mix(laws, weights)
    x = np.linspace(both.support[0], both.support[-1], 777)
    expected = sum(weight * cdf(one, x) for weight, one in zip(weights, laws, strict=True))
    assert gap(expected, cdf(both, x)) < 1e-10
    assert LEVELS == pytest.approx(cdf(both, quantile(both, LEVELS)), abs=1e-10)
    mass = np.diff(both.cumulative, prepend=0.0)
    mean = mass @ both.support
    assert both.cumulants[0] == pytest.approx(mean, rel=1e-3)
    assert both.cumulants[1] == pytest.approx(mass @ (both.support - mean) ** 2, rel=1e-3)
    third = mass @ (both.support - mean) ** 3
    assert both.cumulants[2] == pytest.approx(third, rel=1e-2)
    fourth = mass @ (both.support - mean) ** 4 - 3.0 * both.cumulants[1] ** 2
    assert both.cumulants[3] == pytest.approx(fourth, rel=2e-2)


def test_mixture_of_many_smooth_laws_keeps_to_a_table_of_bounded_size():
    """Forty laws of 2,049 nodes each are resampled."""
    p, a = deals(900, 21)
    laws = [deal_law(1e3 * k, p, a) for k in range(40)]
    both = mix(laws, np.full(40, 1 / 40))
    assert 65_536 == len(both.support)
    x = quantile(both, LEVELS)
    expected = np.mean([cdf(one, x) for one in laws], axis=0)
    assert expected == pytest.approx(LEVELS, abs=1e-9)


def test_mixture_of_a_smooth_law_and_steps_is_one_of_steps():
    """The smooth one is cut into cells, and the shift says how wide."""
    smooth = deal_law(0.0, *deals(900, 22))
    both = mix([smooth, deal_law(0.0, NONE, NONE)], np.array([0.75, 0.25]))
    assert 0.25 == pytest.approx(cdf(both, np.array([0.0]))[0])
    exact = quantile(smooth, (LEVELS[LEVELS > 0.25] - 0.25) / 0.75)
    assert exact == pytest.approx(quantile(both, LEVELS[LEVELS > 0.25]), abs=both.shift)
    assert both.shift < 1e-3 * sigma(smooth)


# --- amounts that vary ----------------------------------------------------------------------------


@pytest.mark.parametrize(("p", "a", "sd"), [(0.3, 5.0, 2.0), (0.9, 2.0, 2.0), (1.0, 4.0, 6.0)])
def test_cumulants_of_an_amount_that_varies_are_those_of_its_outcomes(p, a, sd):
    """Lost, low, high (or 0 and (a^2 + sd^2) / a where sd > a): central moments by hand."""
    values, mass = np.array([0.0, a - sd, a + sd]), np.array([1 - p, p / 2, p / 2])
    if sd > a:
        won = p * a * a / (a * a + sd * sd)
        values, mass = np.array([0.0, (a * a + sd * sd) / a]), np.array([1 - won, won])
    mean = mass @ values
    m2, m3, m4 = (mass @ (values - mean) ** order for order in (2, 3, 4))
    found = deal_cumulants(np.array([p]), np.array([a]), sd=np.array([sd]))
    assert [mean, m2, m3, m4 - 3 * m2 * m2] == pytest.approx(found.tolist())


def test_cumulants_of_amounts_that_vary_add_up_by_group_and_column():
    """The sum over groups is the whole, and zero spread changes no bit."""
    n = _cumulants.CHUNK + 5
    rng = np.random.default_rng(7)
    p, a, groups = rng.random((n, 2)), rng.lognormal(0, 1, n), rng.integers(0, 3, n)
    sd = a * rng.uniform(0.0, 1.5, n)
    by_group = grouped_deal_cumulants(p, a, groups, 3, sd=sd)
    assert by_group.sum(axis=0) == pytest.approx(deal_cumulants(p, a, sd=sd), rel=1e-11)
    variance = p[:, 1] @ (a * a + sd * sd) - (p[:, 1] ** 2) @ (a * a)
    assert variance == pytest.approx(deal_cumulants(p, a, sd=sd)[1, 1], rel=1e-12)
    plain = deal_cumulants(p, a), deal_cumulants(p, a, sd=np.zeros(n))
    assert plain[0].tolist() == plain[1].tolist()
