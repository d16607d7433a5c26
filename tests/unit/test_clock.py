"""Days, weekdays, ends of months and phases of the quarter: what they do to rates."""

import numpy as np
import pytest

from funnel.kernels import clock

START = np.datetime64("2024-01-01")
DAY = int(START.astype(int))


def test_expected_by_day_adds_rates_of_spells_at_risk():
    """Against a plain loop over spells and days."""
    rng = np.random.default_rng(3)
    rate = rng.random((2, 30))
    state, age, begin = rng.integers(0, 2, 20), rng.integers(0, 5, 20), rng.integers(0, 10, 20)
    end = begin + rng.integers(0, 12, 20)
    wanted = np.zeros(30)
    for s, a, b, e in zip(state, age, begin, end, strict=True):
        for day in range(b, e + 1):
            wanted[day] += rate[s, a + day - b]
    found = clock.expected_by_day(rate, state, age, begin, end, days=30)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_the_clock_adds_paces_of_days():
    """From Friday 26 January 2024: weekend of 0.5 each, then 29 to 31 are last days at 2."""
    weekdays = np.array([1.2, 1.2, 1.2, 1.2, 1.2, 0.5, 0.5])
    friday = (START + 25).astype(int)
    days = friday + np.array([0, 1, 2, 3, 6])
    found = clock.passed(weekdays, np.array([1.0, 2.0]), int(friday), days)
    assert pytest.approx([0.0, 1.0, 2.0, 4.4, 10.4]) == found.tolist()


def test_halves_are_numbered_from_1970_and_repeat_with_the_quarter():
    """1 to 15 January 1970 is half 0, 16 January half 1, and 1 April half 6: phase 0 again."""
    days = np.array(["1970-01-01", "1970-01-15", "1970-01-16", "1970-03-31", "1970-04-01"])
    found = clock.halves(days.astype("datetime64[D]").astype(int))
    assert found.tolist() == [0, 0, 1, 5, 6]


YEARS = 730
PATTERN = np.array([0.7, 0.8, 0.9, 1.0, 1.2, 1.4])  # its mean is 1


def by_phase(days):
    """The pattern on each day."""
    return PATTERN[clock.halves(DAY + np.arange(days)) % clock.PHASES]


def test_phases_that_repeat_are_found():
    """Twenty events are due on each day, and as many come as the pattern says: 1 % is shrunk."""
    due = np.full(YEARS, 20.0)
    found = clock.phases(DAY, due, due * by_phase(YEARS))
    np.testing.assert_allclose(found, PATTERN, rtol=0.02)
    # A fiscal quarter that ends in another month has three months, too: phases only shift.
    halves = clock.halves(DAY + np.arange(YEARS))
    fiscal = np.roll(PATTERN, 2)
    shifted = clock.phases(DAY, due, due * fiscal[halves % clock.PHASES])
    np.testing.assert_allclose(shifted, fiscal, rtol=0.02)
    # What lies before the first event was not recorded: a quarter without any changes nothing.
    later = np.concatenate((np.full(90, 20.0), due))
    events = np.concatenate((np.zeros(90), due * by_phase(YEARS)))
    assert (clock.phases(DAY - 90, later, events) == found).all()


def test_phases_are_those_of_the_last_four_years():
    """Ten years of another pattern before them change nothing."""
    start = DAY - 3653  # 2014-01-01
    pattern = PATTERN[clock.halves(start + np.arange(3653 + 1461)) % clock.PHASES]
    due = np.full(len(pattern), 20.0)
    events = due * np.where(np.arange(len(due)) < 3653, 2.0 - pattern, pattern)
    found = clock.phases(start, due, events)
    np.testing.assert_array_equal(found, clock.phases(DAY, due[3653:], events[3653:]))
    np.testing.assert_allclose(found, PATTERN, rtol=0.02)


def test_what_happens_once_is_no_pattern():
    """A half of a month with five times the events, in one quarter of eight, moves all by 5 %."""
    due = np.full(YEARS, 20.0)
    each = clock.halves(DAY + np.arange(YEARS))
    odd = np.where(each == each[0] + 20, 5.0 * due, due)
    assert np.abs(clock.phases(DAY, due, odd) - 1.0).max() < 0.05
    assert clock.phases(DAY, due, due).tolist() == [1.0] * 6
    drifting = due * np.linspace(0.5, 1.5, YEARS)
    assert np.abs(clock.phases(DAY, due, drifting) - 1.0).max() < 0.05


def test_two_quarters_are_needed():
    """Before each phase was seen twice there is no telling."""
    due = np.full(150, 20.0)
    assert clock.phases(DAY, due, due * by_phase(150)).tolist() == [1.0] * 6
    assert clock.phases(DAY, due, np.zeros(150)).tolist() == [1.0] * 6


def test_a_curve_turned_has_a_multiplied_hazard():
    """Of ``1 - exp(-rate t)``: the rate of each step times its factor; 1 stays 1, and factor 1."""
    days = np.array([10.0, 20.0, 30.0])
    curve = np.stack((-np.expm1(-0.03 * days), np.ones(3)))
    factor = np.array([1.0, 2.0, 0.5])
    found = clock.turned(factor, curve)
    np.testing.assert_allclose(found[0], -np.expm1(-0.03 * np.array([10.0, 30.0, 35.0])))
    np.testing.assert_allclose(found[1], 1.0, atol=1e-9)
    np.testing.assert_allclose(clock.turned(np.ones(3), curve), curve, atol=1e-9)
    assert pytest.approx(0.0) == clock.turned(factor, np.zeros((1, 3))).sum()


def test_paces_are_means_over_the_days_of_a_step():
    """From the end of 10 January: five days at 0.7, none, and on at 0.8 until the 31st."""
    since = DAY + 9
    found = clock.paces(PATTERN, since, since + np.array([5, 5, 10, 21]))
    np.testing.assert_allclose(found, [0.7, 1.0, 0.8, 0.8])
    assert (
        pytest.approx((5 * 0.7 + 5 * 0.8) / 10)
        == clock.paces(PATTERN, since, since + np.array([10]))[0]
    )
    assert [1.0] == clock.paces(PATTERN, since, np.array([since])).tolist()
