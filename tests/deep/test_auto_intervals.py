"""Intervals of the default forecaster over many simulated companies, with all that moves them.

Seasons, quarter ends, weekends, a shock that all deals share, growth, discounts, reopenings: what
the other tests of intervals switch off is on. Many companies, a few cutoffs each, pooled.
"""

from __future__ import annotations

import numpy as np
import pytest

import funnel as fn
from funnel.datasets import simulate

pytestmark = pytest.mark.deep

WORLDS, DEALS = 200, 1_000
HORIZON = 30


def held(seed):
    """Return at which cutoffs of one company the 50 % and the 80 % interval held the total."""
    company = simulate(DEALS, start="2024-01-01", end="2026-06-30", rng=seed).history
    cutoffs = fn.cutoffs_every(company, 45, horizon=HORIZON, first="2026-01-01")
    report = fn.backtest(company, ["auto"], cutoffs, horizon=HORIZON, baselines=(), progress=False)
    table = report.to_columns()
    total = table["part"] == "total"
    actual = table["actual"][total]
    return [
        (table[low][total] <= actual) & (actual <= table[high][total])
        for low, high in (("p25", "p75"), ("p10", "p90"))
    ]


def test_intervals_of_the_default_hold_what_they_promise():
    """50 % in 45-55 %, 80 % in 76-84 %, give or take two standard errors of 600 windows (0.04)."""
    found = [np.concatenate(one) for one in zip(*map(held, range(WORLDS)), strict=True)]
    assert pytest.approx(0.5, abs=0.05 + 0.04) == float(found[0].mean())
    assert pytest.approx(0.8, abs=0.04 + 0.033) == float(found[1].mean())
