"""Chances to win by stage and age: the table, and one chance for each deal.

lifelines answers for one event without competing ones, from a Cox model of the same stages; the
sweep backward in age is the plain way to the very same numbers.
"""

from __future__ import annotations

import attrs
import data
import numpy as np
import rounds
from rounds import Contender, Goal

import funnel as fn
from funnel.kernels import renewal

AGES, SAMPLE = 720, 10_000
AHEAD = np.arange(30, 361, 30)
LIMIT, OURS = "copying whole numbers to a new array of floats", "win_curve, one date"
TABLE = "cell_curves: 8 stages x 720 ages x 12 dates"


def swept(hazards, fresh, ahead):
    """Sweep backward in age through all horizons: (s, t, d), (s, h + 1), (k,) -> (s, d, k)."""
    states, _, days = hazards.shape
    won = states
    current = np.zeros(fresh.shape)
    found = np.empty((states, days, len(ahead)))
    for age in range(days + fresh.shape[1], -1, -1):
        rates = hazards[:, :, min(age + 1, days - 1)]
        earlier = np.zeros_like(current)
        earlier[:, 1:] = rates[:, :states] @ fresh[:, :-1] + rates[:, won, None]
        earlier[:, 1:] += (1.0 - rates.sum(axis=1))[:, None] * current[:, :-1]
        current = earlier
        if age < days:
            found[:, age] = current[:, ahead]
    return found


def kernels():
    """Return the kernel from daily hazards to the table, and the sweep, which agree."""
    rng = np.random.default_rng(1)
    shape = rng.random((data.STAGES, data.STAGES + 2, 1)) / (data.STAGES + 2)
    hazards = 0.04 * shape * (1.0 + np.exp(-np.arange(AGES) / 60.0))
    cells = np.stack(np.divmod(np.arange(data.STAGES * AGES), AGES))

    def entry():
        leaving = renewal.densities(hazards[:, :, : AHEAD[-1] + 1])
        return renewal.fresh_wins(leaving[:, : data.STAGES], leaving[:, data.STAGES])

    def table():
        return renewal.conditional_wins(hazards, data.STAGES, entry(), cells, AHEAD)

    def sweep():
        return swept(hazards, entry(), AHEAD)

    assert np.abs(sweep().reshape(-1, len(AHEAD)) - table()).max() < 1e-10
    return table, sweep


def by_lifelines(history, pipeline):
    """Return conditional chances of twelve dates by lifelines' Cox model."""
    import lifelines
    import pandas as pd

    life = fn.outcomes(history)
    closed = life.outcome > 0
    days = np.where(closed, life.closed_on, history.observed_until) - history.created
    deals = np.flatnonzero(days > 0)[:2_000]
    frame = pd.DataFrame(
        {"days": days[deals], "won": life.outcome[deals] == 1, "size": deals % data.STAGES}
    )
    fitted = lifelines.CoxPHFitter().fit(frame, "days", "won")
    asked = pd.DataFrame({"size": pipeline.stage})
    ages = pipeline.days_in_stage
    return lambda: fitted.predict_survival_function(asked, times=AHEAD, conditional_after=ages)


def tables(quick):
    """Yield the table by stage and age, one chance per deal, and the same beside lifelines."""
    deals = 1_000_000 if quick else 10_000_000
    history = data.history(20_000 if quick else 100_000)
    model = fn.DealForecaster("semi-markov").fit(history).model
    pipeline = data.pipeline(deals)
    dates = data.AS_OF + AHEAD
    cells = np.unique(model.cells(pipeline))
    assert len(cells) == data.STAGES * AGES
    table, sweep = kernels()
    yield rounds.measure(
        "Semi-Markov table, 8 stages x 720 ages x 12 dates",
        [
            Contender(TABLE, lambda: model.cell_curves(cells, pipeline, dates), "ours"),
            Contender(
                "cell_curves, first call of a model",
                lambda new: new.cell_curves(cells, pipeline, dates),
                "ours",
                fresh=lambda: (attrs.evolve(model),),
            ),
            Contender("kernel, 8 states", table, "kernel"),
            Contender("sweep backward in age, 8 states", sweep),
        ],
        [Goal(TABLE, at_most=6.0)],
    )
    whole, target = pipeline.days_in_stage, np.empty(deals)
    column = model.cell_curves(cells, pipeline, dates[5:6])[:, 0]
    key = np.searchsorted(cells, model.cells(pipeline)).astype(np.int32)
    np.testing.assert_allclose(
        column[key[:SAMPLE]], model.win_curve(pipeline, dates[5:6])[:SAMPLE, 0]
    )
    yield rounds.measure(
        f"One chance for each deal, {deals:,} deals",
        [
            Contender(LIMIT, lambda: whole.astype(np.float64), "limit"),
            Contender("copying them to an array at hand", lambda: np.copyto(target, whole)),
            Contender(OURS, lambda: model.win_curve(pipeline, dates[5:6]), "ours"),
            Contender(
                "win_curve, first call for a table",
                lambda new: model.win_curve(new, dates[5:6]),
                "ours",
                fresh=lambda: (attrs.evolve(pipeline),),
            ),
            Contender(
                "np.take from a table at hand",
                lambda: np.take(column, key, out=target, mode="clip"),
                "kernel",
            ),
        ],
        [Goal(OURS, LIMIT, at_most=1.6)],
    )
    if not rounds.has("lifelines"):
        return
    some = pipeline.select(np.arange(deals // 10))
    yield rounds.measure(
        f"Chances by 12 dates given stage and age, {len(some):,} deals",
        [
            Contender("win_curve, 12 dates", lambda: model.win_curve(some, dates), "ours"),
            Contender("lifelines, Cox, conditional_after", by_lifelines(history, some)),
        ],
        [Goal("win_curve, 12 dates", "lifelines, Cox, conditional_after", at_least=30.0)],
        rounds=rounds.FEWEST,
    )


if __name__ == "__main__":
    rounds.main(tables)
