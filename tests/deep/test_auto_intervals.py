"""Intervals of the default forecaster over many simulated companies, with all that moves them.

Seasons, quarter ends, weekends, a shock that all deals share, growth, discounts, reopenings: what
the other tests of intervals switch off is on, and companies differ: rework, slow and fast cycles,
wins that follow the quarter, rates that drift. Their histories end on days all over the year.
"""

from __future__ import annotations

import numpy as np
import pytest

import funnel as fn
from funnel.datasets import Intake, Moves, Seasons, World, simulate
from funnel.stages import Outcome

pytestmark = pytest.mark.deep

HISTORIES, DEALS, DAYS = 200, 900, 907
HORIZON, CUTOFFS = 30, 3


def paced(factor):
    """The moves of the default world, so many times as fast."""
    usual = Moves()
    bands = tuple(max(round(day / factor), 1 + place) for place, day in enumerate(usual.bands))
    rates = {
        name: [[factor * rate for rate in row] for row in getattr(usual, name)]
        for name in ("advance", "lose")
    }
    return Moves(bands=bands, **rates)


COMPANIES = (
    World(),
    World.simple(advance=(0.06, 0.05, 0.05), lose=(0.03, 0.02, 0.02)),
    World(moves=Moves(back=0.03)),
    World(moves=paced(0.5)),
    World(moves=paced(1.8)),
    World(seasons=Seasons(quarter_end=4.0)),
    World(seasons=Seasons(shock=0.3), intake=Intake(growth=0.6)),
    World(moves=Moves(reopen_lost=0.002, reopen_won=0.0005)),
)


def positions(seed):
    """Where the money of some windows lay in its forecast distribution, (CUTOFFS,) in [0, 1].

    Uniform where forecasts are right; drawn within an atom, as at no money at all.
    """
    rng = np.random.default_rng(seed)
    last = np.datetime64("2026-06-26") - 59 * seed % 364
    world = COMPANIES[seed % len(COMPANIES)]
    company = simulate(DEALS, start=last - DAYS, end=last, world=world, rng=seed).history
    found = []
    for windows in range(CUTOFFS, 0, -1):
        day = last - windows * HORIZON
        horizon = fn.Horizon.custom([day + 1, day + 1 + HORIZON])
        outlook = fn.forecast(company.until(day), horizon)
        later = company.snapshot(day + HORIZON)
        won = (later.outcome == Outcome.WON) & (later.closed_on > day.astype(int))
        actual = float(later.amount[won].sum())
        from_here, beyond = (
            outlook.probability_of(amount)[0] for amount in (actual, np.nextafter(actual, np.inf))
        )
        found.append(rng.uniform(1.0 - from_here, max(1.0 - beyond, 1.0 - from_here)))
    return np.array(found)


def test_intervals_of_the_default_hold_what_they_promise():
    """50 % in 45-55 %, 80 % in 76-84 %, give or take two standard errors of 600 windows."""
    off = np.abs(np.concatenate([positions(seed) for seed in range(HISTORIES)]) - 0.5)
    assert pytest.approx(0.5, abs=0.05 + 0.04) == float(np.mean(off < 0.25))
    assert pytest.approx(0.8, abs=0.04 + 0.033) == float(np.mean(off < 0.4))
