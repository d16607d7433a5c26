"""Tracking of plans: what entered and was booked by week, and the running chance."""

import numpy as np
import pytest

import funnel as fn
from funnel.calendars import Horizon
from funnel.datasets import World, simulate
from funnel.errors import LeakError, ValidationError
from funnel.planning import plan, plan_inflow, track

BEGIN, LATER = "2026-03-31", "2026-04-20"
QUARTER = Horizon.quarters("2026-04-01", 1)
CLASSIC = {"average_amount": 20_000, "conversions": [0.4], "horizon": QUARTER}


@pytest.fixture(scope="module")
def history():
    """A small simulated company."""
    return simulate(700, world=World.simple(), rng=3).history


@pytest.fixture(scope="module")
def fitted(history):
    """What was known when the plan was made."""
    return fn.DealForecaster("win-rate").fit(history.until(BEGIN))


@pytest.fixture(scope="module")
def tracked(history, fitted):
    """A plan with lags, three weeks later."""
    ideal = plan_inflow(2e6, fitted, history.snapshot(BEGIN), QUARTER, confidence=None)
    return ideal, track(ideal, history.until(LATER), fitted)


def test_each_week_has_plan_and_actual(history, tracked):
    """Weeks from Mondays, the first from Wednesday 1 April; entries are deals created then."""
    ideal, found = tracked
    first = ["2026-04-01", "2026-04-06", "2026-04-13", "2026-04-20"]
    assert first == found.first.astype(str).tolist()
    assert LATER == str(found.last[-1])
    np.testing.assert_allclose(ideal.entries[:3], found.planned[:3])
    np.testing.assert_allclose(ideal.entries[3] / 7, found.planned[3])  # one of seven days
    created = history.until(LATER).snapshot().created.astype("datetime64[D]")
    assert np.count_nonzero(created > np.datetime64(BEGIN)) == found.entered.sum()
    np.testing.assert_allclose(found.planned.sum() - found.entered.sum(), found.behind[-1])


def test_the_chance_is_the_forecast_of_that_day(history, fitted, tracked):
    """Booked, expected and probability as forecast at the end of the second week."""
    ideal, found = tracked
    outlook = fitted.forecast(history.until("2026-04-12").snapshot(), QUARTER).total()
    assert outlook.parts["booked"].expected[0] == found.booked[1]
    assert outlook.expected[0] == found.expected[1]
    assert outlook.probability_of(ideal.target)[0] == found.probability[1]
    assert found.booked[0] <= found.booked[-1]


def test_an_unfitted_forecaster_learns_each_week(history, tracked):
    """The last week is that of a forecaster fitted on all that is known."""
    ideal, _ = tracked
    known = history.until(LATER)
    spec = fn.DealForecaster("win-rate")
    found = track(ideal, known, spec)
    outlook = spec.fit(known).forecast(known.snapshot(), QUARTER)
    np.testing.assert_allclose(outlook.expected[0], found.expected[-1])


def test_a_classic_plan_is_tracked_too(history, fitted):
    """91 days at an even pace; with 14 days of lead time, and as of a day, from then on."""
    found = track(plan(2e6, **CLASSIC), history.until(LATER), fitted)
    np.testing.assert_allclose(250.0 * np.array([5, 7, 7, 1]) / 91, found.planned)
    late = plan(2e6, **CLASSIC, durations=[14], as_of="2026-04-12")
    found = track(late, history.until(LATER), fitted)
    assert ["2026-04-13", "2026-04-20"] == found.first.astype(str).tolist()
    np.testing.assert_allclose(250.0 * np.array([7, 1]) / 91, found.planned)
    early = plan(2e6, **CLASSIC, durations=[7])
    found = track(early, history.until(LATER), fn.DealForecaster("win-rate", arrivals=None))
    assert "2026-03-25" == str(found.first[0])
    assert "Against the plan for 2,000,000" in str(found)
    assert {"planned", "entered", "probability"} <= set(found.to_columns())


def test_what_cannot_be_tracked_is_refused(history, fitted, tracked):
    """Forecasters that know too much, plans without dates, histories of another time, others."""
    ideal, _ = tracked
    wise = fn.DealForecaster("win-rate").fit(history.until(LATER))
    with pytest.raises(LeakError, match="has seen 2026-04-20, after the week that ended on"):
        track(ideal, history.until(LATER), wise)
    with pytest.raises(ValidationError, match="must have horizon="):
        track(plan(1e6, average_amount=1e4, conversions=[0.5]), history, fitted)
    with pytest.raises(ValidationError, match="must have seen the first day of the plan"):
        track(ideal, history.until(BEGIN), fitted)
    with pytest.raises(ValidationError, match="must be a plan"):
        track("plan", history, fitted)
    with pytest.raises(ValidationError, match="must be a forecaster"):
        track(ideal, history, "win-rate")
