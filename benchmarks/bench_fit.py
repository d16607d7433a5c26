"""Fitting the default on a change log, end to end, and how it grows with the number of deals."""

from __future__ import annotations

import attrs
import data
import rounds
from rounds import Contender, Goal

import funnel as fn

SECONDS = 60.0


def forecast(history):
    """Fit the default, and forecast a year by quarters."""
    return fn.forecast(history, fn.Horizon.quarters("2026-07-01", 4)).expected


def tables(quick):
    """Yield the time per deal at two sizes."""
    sizes = (1_000, 8_000) if quick else (100_000, 1_000_000)
    contenders = []
    for size in sizes:
        history = data.history(size)
        contenders.append(
            Contender(
                f"{size:,} deals",
                forecast,
                "ours",
                fresh=lambda history=history: (attrs.evolve(history),),
                times=1.0 / size,
            )
        )
    few, many = (contender.name for contender in contenders)
    goals = [] if quick else [Goal(many, at_most=1e6 * SECONDS / sizes[1])]
    yield rounds.measure(
        "Default forecast (auto): fit on a history and forecast four quarters, by deal",
        contenders,
        [*goals, Goal(many, few, at_most=1.3)],
        unit="us/deal",
        rounds=1 if quick else rounds.FEWEST,
        warm=False,
    )


if __name__ == "__main__":
    rounds.main(tables)
