"""Measure win curves by state and age, and the forecast that rests on them.

    make bench    or    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_curves.py

Each table is one run: every round times every contender once, and medians are printed with the
range. The sweep backward in age is the plain way to the same numbers.
"""

from __future__ import annotations

import time

import numpy as np

import funnel as fn
from funnel.kernels import renewal

ROUNDS = 7
STATES, DAYS = 8, 720
AHEAD = np.arange(30, 361, 30)
DEALS = 1_000_000
SPEED = 3.0  # the table against the sweep, at least


def measured(title, contenders):
    """Time every contender once a round; print and return medians in milliseconds."""
    for run in contenders.values():
        run()
    times = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            begin = time.perf_counter()
            run()
            times[name].append(1e3 * (time.perf_counter() - begin))
    print(f"\n{title}")
    for name, found in times.items():
        print(f"  {name:42s} {np.median(found):9.2f} ms   ({min(found):.2f} to {max(found):.2f})")
    return {name: float(np.median(found)) for name, found in times.items()}


def hazards_by_age():
    """Return hazards of 8 states that lead to one another, to won and to removed: (s, s + 2, d)."""
    rng = np.random.default_rng(1)
    shape = rng.random((STATES, STATES + 2, 1)) / (STATES + 2)
    return 0.04 * shape * (1.0 + np.exp(-np.arange(DAYS) / 60.0))


def swept(hazards, fresh, ahead):
    """Sweep backward in age through all horizons: (s, d, k)."""
    states, won = len(hazards), len(hazards)
    current = np.zeros(fresh.shape)
    found = np.empty((states, DAYS, len(ahead)))
    for age in range(DAYS + fresh.shape[1], -1, -1):
        rates = hazards[:, :, min(age + 1, DAYS - 1)]
        earlier = np.zeros_like(current)
        earlier[:, 1:] = rates[:, :states] @ fresh[:, :-1] + rates[:, won, None]
        earlier[:, 1:] += (1.0 - rates.sum(axis=1))[:, None] * current[:, :-1]
        current = earlier
        if age < DAYS:
            found[:, age] = current[:, ahead]
    return found


def bench_table_by_state_and_age():
    """8 states x 720 ages x 12 horizons: entry and ages, then one chance for each of 1e6 deals."""
    hazards = hazards_by_age()
    cells = np.stack(np.divmod(np.arange(STATES * DAYS), DAYS))
    key = np.random.default_rng(2).integers(0, STATES * DAYS, DEALS).astype(np.int32)
    source, target = key.copy(), np.empty(DEALS)

    def entry():
        leaving = renewal.densities(hazards[:, :, : AHEAD[-1] + 1])
        return renewal.fresh_wins(leaving[:, :STATES], leaving[:, STATES])

    def table():
        return renewal.conditional_wins(hazards, STATES, entry(), cells, AHEAD)

    known = entry()
    column = np.ascontiguousarray(table()[:, 5])
    exact = swept(hazards, known, AHEAD).reshape(STATES * DAYS, -1)
    assert np.abs(exact - table()).max() < 1e-12
    found = measured(
        "table of 8 states x 720 ages x 12 horizons",
        {
            "from entry": entry,
            "table, from entry on": table,
            "sweep backward, from entry on": lambda: swept(hazards, entry(), AHEAD),
            "one chance for each of 1e6 deals": lambda: np.take(
                column, key, out=target, mode="clip"
            ),
            "limit: copy 1e6 codes to floats": lambda: np.copyto(target, source),
        },
    )
    assert SPEED * found["table, from entry on"] < found["sweep backward, from entry on"]


def bench_forecast():
    """Forecast a year by quarters from 20,000 deals: with draws of the parameters, and without."""
    history = fn.datasets.simulate(20_000, rng=1).history
    pipeline, year = history.snapshot(), fn.Horizon.quarters("2026-07-01", 4)
    shared = fn.DealForecaster("semi-markov").fit(history)
    alone = fn.DealForecaster("semi-markov", spread="independent").fit(history)
    cells = np.unique(shared.model.cells(pipeline))
    cells, dates = cells[cells >= 0], year.edges[1:].astype("datetime64[D]") - 1
    measured(
        f"{len(pipeline):,} deals, {len(cells):,} cells, 4 quarters",
        {
            "win curves of all cells": lambda: shared.model.cell_curves(
                cells, pipeline.as_of, dates
            ),
            "forecast, deals independent": lambda: alone.forecast(pipeline, year),
            "forecast, with 8 draws of the parameters": lambda: shared.forecast(pipeline, year),
            "draw of the parameters": lambda: shared.model.draw(np.random.default_rng(1)),
            "fit": lambda: fn.DealForecaster("semi-markov").fit(history),
        },
    )


if __name__ == "__main__":
    bench_table_by_state_and_age()
    bench_forecast()
