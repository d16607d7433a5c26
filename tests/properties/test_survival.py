"""Laws of curves from any counts, and agreement with the general formulas they are a case of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.kernels import survival
from funnel.kernels.incidence import at_risk, cumulative_incidence

INCREMENTS = st.sampled_from(["greenwood", "aalen"])
SCALES = st.sampled_from(["plain", "log", "log-log", "cloglog", "arcsine"])


@st.composite
def subjects(draw, late=True):
    """Draw age at entry, day and cause (0, 1, or 2 for censored) of some deals."""
    n = draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    longest = draw(st.integers(1, 12))
    entry = rng.integers(0, longest, n) * (rng.random(n) < draw(st.sampled_from([0.0, 0.5])) * late)
    day = entry + (entry > 0) + rng.integers(0, longest, n)
    return entry, day, rng.integers(0, 3, n)


def counts(entry, day, cause, weights=None):
    """Events by cause and day, and subjects at risk."""
    days = int(day.max()) + 1
    weights = np.ones(len(day)) if weights is None else weights
    exits = np.zeros((3, days))
    np.add.at(exits, (cause, day), weights)
    entries = np.bincount(entry, weights=weights, minlength=days)
    return exits[:2], at_risk(entries, exits)


def kronecker(events, risk, increments):
    """Incidence and variance of both causes by the general recursion for Markov chains.

    Andersen, Borgan, Gill & Keiding 1993, section IV.4.2.2: with states 0, won and lost,
    V' = (I + dA)^T (x) I V (I + dA) (x) I + I (x) P C I (x) P^T.
    """
    eye, moved, covariance = np.eye(3), np.eye(3), np.zeros((9, 9))
    found = []
    for d, n in zip(events.T, risk, strict=True):
        step, noise = np.zeros((3, 3)), np.zeros((9, 9))
        if n > 0:
            step[0] = [-d.sum() / n, *(d / n)]
            own = np.diag(d) / n**2
            if increments == "greenwood":
                own = own - np.outer(d, d) / n**3
            change = np.array([[-1.0, -1.0], [1.0, 0.0], [0.0, 1.0]])  # of the row of state 0
            where = np.array([0, 3, 6])  # vec(P) goes column by column
            noise[np.ix_(where, where)] = change @ own @ change.T
        left = np.kron((eye + step).T, eye)
        right = np.kron(eye, moved)
        covariance = left @ covariance @ left.T + right @ noise @ right.T
        moved = moved @ (eye + step)
        found.append((moved[0, 1:], covariance[[3, 6], [3, 6]]))
    return (np.array(column).T for column in zip(*found, strict=True))


@given(subjects(), INCREMENTS)
def test_variance_is_that_of_the_general_recursion(deals, increments):
    """For both kinds of increments, with ties, late entry, and risk sets that run empty."""
    events, risk = counts(*deals)
    curve, variance = survival.aalen_johansen(events, risk, increments=increments)
    expected, spread = kronecker(events, risk, increments)
    np.testing.assert_allclose(expected, curve[:, 1:], atol=1e-12)
    # Poisson increments leave a survival of 0 a variance, which has no meaning: up to there.
    emptied = np.flatnonzero((risk > 0) & (risk == events.sum(axis=0)))
    last = len(risk) if increments == "greenwood" else [*emptied, len(risk)][0] + 1
    np.testing.assert_allclose(spread[:, :last], variance[:, 1:][:, :last], atol=1e-12)


@given(subjects())
def test_incidences_and_survival_add_up_to_one(deals):
    """And they are those of `cumulative_incidence` for the same hazards."""
    events, risk = counts(*deals)
    curve, _ = survival.aalen_johansen(events, risk)
    left, _ = survival.kaplan_meier(events.sum(axis=0), risk)
    np.testing.assert_allclose(1.0, curve.sum(axis=0) + left, atol=1e-12)
    hazards = np.divide(events, risk, out=np.zeros_like(events), where=risk > 0)
    expected = cumulative_incidence(hazards)
    np.testing.assert_allclose(expected[0], left, atol=1e-15)
    np.testing.assert_allclose(expected[1], curve, atol=1e-15)


@given(subjects())
def test_one_cause_alone_has_greenwoods_variance(deals):
    """F = 1 - S, with the variance of S."""
    events, risk = counts(*deals)
    total = events.sum(axis=0)
    curve, variance = survival.aalen_johansen(total[None], risk)
    left, spread = survival.kaplan_meier(total, risk)
    np.testing.assert_allclose(1.0 - left, curve[0], atol=1e-12)
    np.testing.assert_allclose(spread, variance[0], atol=1e-12)


@given(subjects(late=False))
def test_without_late_entry_the_infinitesimal_jackknife_agrees(deals):
    """Sum of squared derivatives of F in the weight of each subject, as in R's survfit."""
    events, risk = counts(*deals)
    _, variance = survival.aalen_johansen(events, risk)
    step = 1e-5
    curves = []
    for change in (step, -step):
        each = [counts(*deals, weights=1.0 + change * one) for one in np.eye(len(deals[0]))]
        stacked = (np.array(column) for column in zip(*each, strict=True))
        curves.append(survival.aalen_johansen(*stacked)[0])
    influence = (curves[0] - curves[1]) / (2 * step)
    np.testing.assert_allclose((influence**2).sum(axis=0), variance, atol=1e-6)


@given(subjects())
def test_restricted_mean_has_the_variance_of_kaplan_and_meier(deals):
    """Sum of (area to the right)^2 d / (n (n - d)), horizon by horizon."""
    events, risk = counts(*deals)
    total = events.sum(axis=0)
    left, spread = survival.kaplan_meier(total, risk)
    mean, variance = survival.restricted_mean(left, spread)
    weight = np.zeros_like(risk)
    np.divide(total, risk * (risk - total), out=weight, where=risk > total)
    for horizon in range(len(mean)):
        area = np.array([left[u + 1 : horizon + 1].sum() for u in range(horizon)])
        assert pytest.approx(left[1 : horizon + 1].sum()) == mean[horizon]
        expected = (area**2 * weight[:horizon]).sum()
        assert pytest.approx(expected, rel=1e-9, abs=1e-12) == variance[horizon]


@given(subjects(), SCALES, st.floats(0.01, 0.99), INCREMENTS)
def test_bounds_enclose_the_estimate(deals, scale, level, increments):
    """In [0, 1], also where rounding might have made a variance negative."""
    curve, variance = survival.aalen_johansen(*counts(*deals), increments=increments)
    low, high = survival.bounds(curve, variance, level=level, scale=scale)
    assert (low >= 0.0).all()
    assert (high <= 1.0).all()
    assert (low <= curve + 1e-12).all()
    assert (curve <= high + 1e-12).all()


@given(subjects(), SCALES, st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5))
def test_quantiles_are_ordered(deals, scale, shares):
    """Lower <= estimate <= upper bound, and a larger share takes no less time."""
    events, risk = counts(*deals)
    curve = survival.kaplan_meier(events.sum(axis=0), risk)
    found, low, high = survival.quantiles(*curve, np.sort(shares), scale=scale)
    assert (low <= found).all()
    assert (found <= high).all()
    for days in (found, low, high):
        assert (days[:-1] <= days[1:]).all()


@given(subjects(late=False))
def test_without_censoring_a_quantile_is_one_of_the_sample(deals):
    """The ceil(n share)-th shortest duration."""
    entry, day, cause = deals
    events, risk = counts(entry, day, cause % 2)
    curve = survival.kaplan_meier(events.sum(axis=0), risk)
    shares = np.array([0.1, 0.25, 0.5, 0.9])
    rank = np.ceil(len(day) * shares - 1e-9).astype(int) - 1
    found, _, _ = survival.quantiles(*curve, shares)
    np.testing.assert_array_equal(np.sort(day)[rank], found)
