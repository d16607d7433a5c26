"""Noise is not diagnosed: funnels that are exactly on their standard raise alarms at the level.

The standard follows from the rates of the world: with a and l the daily rates of advancing and of
losing, the conversion is ``a / (a + l)`` and a stay lasts ``1 / (1 - exp(-a - l))`` days.
"""

import attrs
import numpy as np
import pytest

import funnel as fn
from funnel.datasets import World, simulate
from funnel.diagnosis import StandardFunnel, diagnose

pytestmark = pytest.mark.deep

ADVANCE, LOSE = np.array([0.06, 0.05, 0.06]), np.array([0.02, 0.02, 0.015])
STRAIGHT = World.simple(advance=ADVANCE.tolist(), lose=LOSE.tolist())
YEARS = fn.Horizon.custom(np.array(["2025-01-01", "2026-01-01"], dtype="M8[D]"))
DAYS = 1096  # of the three years that are simulated
DEALS, RUNS, LEVEL = 1_200, 200, 0.95


def world(entry):
    """New deals begin in the three stages with these shares."""
    intake = attrs.evolve(STRAIGHT.intake, entry=entry)
    return attrs.evolve(STRAIGHT, intake=intake)


def standard(entry):
    """What the rates say."""
    rates = ADVANCE / (ADVANCE + LOSE)
    entries = np.array(entry, dtype=np.float64)
    for stage in (1, 2):
        entries[stage] += entries[stage - 1] * rates[stage - 1]
    return StandardFunnel(
        STRAIGHT.funnel.ids[:3],
        rates.tolist(),
        days=(1.0 / -np.expm1(-ADVANCE - LOSE)).tolist(),
        weekly_entries=float(DEALS * entry[0] * 7 / DAYS),
        entries=(entries / entries[0]).tolist(),
    )


def differs(found):
    """Tell whether anything differs by more than chance."""
    verdicts = np.concatenate((found.verdicts.ravel(), found.whole_verdicts.ravel()))
    return bool(np.isin(verdicts, (-1, 1)).any())


@pytest.mark.parametrize("entry", [(1.0, 0.0, 0.0), (0.6, 0.3, 0.1)])
@pytest.mark.parametrize("source", ["history", "snapshot"])
def test_alarms_are_as_rare_as_the_level_says(entry, source):
    """5 % of 200 companies, or fewer: 3 standard errors are 4.6 points. A bulge raises one."""
    alarms, wanted = 0, standard(entry)
    for run in range(RUNS):
        log = simulate(
            DEALS, start="2024-01-01", end="2026-12-31", world=world(entry), rng=run
        ).history.until("2025-12-31")
        if source == "history":
            alarms += differs(diagnose(log, wanted, period=YEARS, level=LEVEL))
        else:
            alarms += differs(diagnose(log.snapshot(), wanted, level=LEVEL))
    assert alarms / RUNS <= 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / RUNS)
    assert alarms > 0  # the level is used, not wasted
    short = attrs.evolve(wanted, days=[wanted.days[0], wanted.days[1] / 2, wanted.days[2]])
    assert differs(diagnose(log, short, period=YEARS, level=LEVEL))
