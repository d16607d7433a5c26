"""Parametric durations against closed forms, scipy and simulated truth."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

from funnel.kernels import lifetimes
from funnel.kernels.lifetimes import FAMILIES

FAMILY = pytest.mark.parametrize("family", FAMILIES)
SHARES, LOCATION, SPREAD = np.array([0.3, 0.5]), np.array([3.0, 2.2]), np.array([0.6, 0.9])
THETA = np.concatenate((LOCATION, np.log(SPREAD), np.log(SHARES / 0.2)))


def distribution(family, location, spread):
    """The same distribution of days in scipy."""
    scale, shape = np.exp(location), 1.0 / spread
    return {
        "weibull": stats.weibull_min(shape, scale=scale),
        "log-normal": stats.lognorm(spread, scale=scale),
        "log-logistic": stats.fisk(shape, scale=scale),
    }[family]


def counts(family, n, seed, *, days=150):
    """Days at risk and moves of n subjects that come late (up to day 29) and are censored."""
    rng = np.random.default_rng(seed)
    goal = rng.choice(3, n, p=[0.3, 0.5, 0.2])
    times = np.full(n, np.inf)
    for target in (0, 1):
        mine = goal == target
        frozen = distribution(family, LOCATION[target], SPREAD[target])
        times[mine] = np.ceil(frozen.rvs(int(mine.sum()), random_state=rng))
    late = np.where(rng.random(n) < 0.3, rng.integers(1, 30, n), 0)
    censored = rng.integers(30, days + 1, n)
    seen = times > late
    moved = seen & (times <= censored)
    last = np.minimum(times, censored)
    ages = np.arange(1, days + 1)
    exposed = ((ages > late[seen, None]) & (ages <= last[seen, None])).sum(axis=0)
    moves = [
        np.bincount(times[moved & (goal == j)].astype(int), minlength=days + 1)[1:] for j in (0, 1)
    ]
    return exposed.astype(float), np.array(moves, dtype=float)


@FAMILY
def test_families_are_those_of_scipy(family):
    """Chances below and above, and the density of W = (log days - location) / spread."""
    days = np.array([0.01, 1.0, 7.0, 30.0, 400.0])
    z = (np.log(days) - 3.0) / 0.6
    oracle = distribution(family, 3.0, 0.6)
    assert pytest.approx(oracle.cdf(days), rel=1e-9) == lifetimes.below(family, z)
    assert pytest.approx(oracle.sf(days), rel=1e-9) == lifetimes.above(family, z)
    # dW = d days / (days * spread)
    assert pytest.approx(oracle.pdf(days) * days * 0.6, rel=1e-9) == lifetimes.density(family, z)


@FAMILY
def test_masses_are_exact_in_both_tails(family):
    """Intervals add up to 1, and the far right tail is not lost in the rounding of 1 - 1."""
    edges = np.array([1, 2, 5, 20, 100])
    found = lifetimes.masses(family, LOCATION, SPREAD, edges)
    assert (2, 6) == found.shape
    assert pytest.approx(1.0, abs=1e-14) == found.sum(axis=1)
    for target in (0, 1):
        cdf = distribution(family, LOCATION[target], SPREAD[target]).cdf(edges)
        assert pytest.approx(np.diff(cdf, prepend=0.0, append=1.0), abs=1e-12) == found[target]
    narrow = lifetimes.masses(family, np.array(0.0), np.array(0.3), np.array([10, 20]))
    sf = distribution(family, 0.0, 0.3).sf([10.0, 20.0])
    assert pytest.approx(sf[0] - sf[1], rel=1e-9, abs=0.0) == narrow[1]


def test_exponential_times_have_a_constant_hazard():
    """Weibull of spread 1: 1 - exp(-1 / scale) on every day of age, split by the shares."""
    split = np.array([0.25, 0.75])
    found = lifetimes.hazards("weibull", split, np.log([20.0, 20.0]), np.ones(2), 300)
    expected = -np.expm1(-1 / 20.0)
    assert pytest.approx(np.outer(split, np.full(300, expected)), rel=1e-9) == found


@FAMILY
def test_hazards_lead_back_to_the_shares(family):
    """The product of 1 - h is S; the moves of all days add up to the shares that close."""
    found = lifetimes.hazards(family, SHARES, LOCATION, SPREAD, 100_000)
    stay = np.cumprod(1.0 - found.sum(axis=0))
    moved = found * np.concatenate(([1.0], stay[:-1]))
    assert pytest.approx(SHARES, abs=1e-4) == moved.sum(axis=1)
    assert pytest.approx(0.2, abs=1e-4) == stay[-1]
    cdf = np.array([distribution(family, LOCATION[j], SPREAD[j]).cdf(40.0) for j in (0, 1)])
    assert pytest.approx(1.0 - SHARES @ cdf, rel=1e-9) == stay[39]


@FAMILY
def test_likelihood_is_that_of_daily_hazards(family):
    """Sum of m_j log h_j + (n - m) log(1 - h), with late entry and censoring."""
    exposed, moves = counts(family, 400, 1)
    hazard = lifetimes.hazards(family, SHARES, LOCATION, SPREAD, len(exposed))
    expected = (moves * np.log(hazard)).sum()
    expected += (exposed - moves.sum(axis=0)) @ np.log1p(-hazard.sum(axis=0))
    value, _ = lifetimes.likelihood(THETA, family, lifetimes.grouped(exposed, moves))
    assert pytest.approx(expected, rel=1e-10) == value


@FAMILY
def test_gradient_is_that_of_finite_differences(family):
    """Central differences with a step of 1e-6, at the truth and away from it."""
    data = lifetimes.grouped(*counts(family, 400, 2))
    data = lifetimes.leaning(
        data, np.array([3, 300]), np.full((2, 3), 0.7), np.array([1.0, 0.5, 2])
    )
    assert data.stayed.min() < 0.0  # those that come late
    for theta in (THETA, THETA + np.linspace(-0.5, 0.4, 6)):
        steps = 1e-6 * np.eye(6)
        expected = [
            lifetimes.likelihood(theta + step, family, data)[0]
            - lifetimes.likelihood(theta - step, family, data)[0]
            for step in steps
        ]
        _, found = lifetimes.likelihood(theta, family, data)
        assert pytest.approx(np.array(expected) / 2e-6, rel=1e-5, abs=1e-4) == found


def test_leaning_adds_what_was_not_seen():
    """The likelihood grows by moves log(mass) + ends log(share), whatever ages were in the data."""
    data = lifetimes.grouped(*counts("weibull", 200, 3))
    edges, moves = np.array([2, 90, 1000]), np.arange(8.0).reshape(2, 4)
    ends = np.array([1.0, 0.0, 3.0])
    mass = lifetimes.masses("weibull", LOCATION, SPREAD, edges)
    more = (moves * np.log(mass)).sum() + ends @ np.log([0.3, 0.5, 0.2])
    before, _ = lifetimes.likelihood(THETA, "weibull", data)
    after, _ = lifetimes.likelihood(THETA, "weibull", lifetimes.leaning(data, edges, moves, ends))
    assert pytest.approx(before + more, rel=1e-12) == after


@FAMILY
def test_fit_finds_the_truth(family):
    """Within 4 standard errors (from the information) of what 20,000 subjects were drawn from."""
    data = lifetimes.grouped(*counts(family, 20_000, 4))
    found = lifetimes.fit(family, data)
    information = np.empty((6, 6))
    for row, step in enumerate(1e-4 * np.eye(6)):
        later, sooner = (lifetimes.likelihood(found + s, family, data)[1] for s in (step, -step))
        information[row] = (sooner - later) / 2e-4
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    assert error.max() < 0.2
    assert np.abs((found - THETA) / error).max() < 4.0
    assert pytest.approx([0.3, 0.5, 0.2], abs=0.03) == lifetimes.shares_of(found[4:])


@FAMILY
def test_fit_agrees_with_scipy(family):
    """L-BFGS-B of scipy, from the truth, gains nothing over it and arrives at the same place."""
    data = lifetimes.grouped(*counts(family, 2_000, 5))
    found = lifetimes.fit(family, data)
    value, gradient = lifetimes.likelihood(found, family, data)

    def loss(theta):
        """Negative log likelihood and gradient."""
        there, slope = lifetimes.likelihood(theta, family, data)
        return -there, -slope

    options = {"ftol": 1e-14, "gtol": 1e-7, "maxiter": 1000}
    oracle = minimize(loss, THETA, jac=True, method="L-BFGS-B", options=options)
    assert pytest.approx(-oracle.fun, abs=1e-5) == value
    assert pytest.approx(oracle.x, abs=1e-2) == found
    assert np.abs(gradient).max() < 0.01
    again = lifetimes.fit(family, data, found)
    assert pytest.approx(found, abs=1e-3) == again


def test_shares_of_subjects_seen_to_the_end():
    """30 and 60 of 100 move within 60 days and the others stay for 10,000: shares 0.3 and 0.6."""
    moves = np.zeros((2, 10_000))
    moves[0, 5:35], moves[1, 0:60] = 1.0, 1.0
    gone = np.cumsum(moves.sum(axis=0))
    exposed = 100.0 - np.concatenate(([0.0], gone[:-1]))
    for family in FAMILIES:
        found = lifetimes.fit(family, lifetimes.grouped(exposed, moves))
        assert pytest.approx([0.3, 0.6, 0.1], abs=0.002) == lifetimes.shares_of(found[4:])


def test_degenerate_counts_stay_within_bounds():
    """All move on one day: the sharpest law allowed (5 % of the time), and all numbers finite."""
    for day in (0, 9):
        moves = np.zeros((1, 10))
        moves[0, day] = 50.0
        exposed = np.where(np.arange(10) <= day, 50.0, 0.0)
        for family in FAMILIES:
            data = lifetimes.grouped(exposed, moves)
            location, log_spread, logit = lifetimes.fit(family, data)
            assert lifetimes.LOG_SPREADS[0] == log_spread
            found = lifetimes.hazards(
                family,
                lifetimes.shares_of(np.array([logit]))[:-1],
                np.array([location]),
                np.exp([log_spread]),
                10,
            )
            # The tenth day is 2 x 5 % wide: at least what a logistic law holds within 1 of its
            # middle, and all where time has no lower end.
            assert found[0, day] > (0.999 if day == 0 else 0.46)
            assert np.isfinite(found[:, : day + 1]).all()


def climbed(function, start=0.0, information=1.0):
    """Where the quasi-Newton steps arrive, for one target and a function of its location alone."""

    def alone(theta):
        value, slope = function(theta[0])
        return value, np.array([slope, 0.0, 0.0])

    return lifetimes._climb(alone, np.array([start, 0.0, 0.0]), np.full(3, information))[0]


def test_steps_that_go_too_far_are_halved():
    """The greatest value of -(x - 1)^4 and of -cosh(x - 1) is at 1, wherever one begins."""
    power = climbed(lambda x: (-((x - 1.0) ** 4), -4.0 * (x - 1.0) ** 3), information=1e-3)
    assert pytest.approx(1.0, abs=0.02) == power
    wide = climbed(lambda x: (-np.cosh(x - 1.0), -np.sinh(x - 1.0)), start=9.0, information=1e-3)
    assert pytest.approx(1.0, abs=1e-3) == wide


def test_steps_end():
    """At a bound, where nothing is gained any more, and after 200 of them."""
    assert lifetimes.LOCATIONS[1] == climbed(lambda x: (x, 1.0))
    assert 0.5 == climbed(lambda _: (0.0, 1.0), start=0.5)  # a slope that leads nowhere
    assert pytest.approx(200 * 1e-3) == climbed(lambda x: (x, 1.0), information=1e3)
