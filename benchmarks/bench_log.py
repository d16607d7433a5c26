"""From the change log to the duration curves and conversions of all stages.

The survival libraries get ready-made stays, which the library has to cut out of the log first;
polars makes the histogram of stays from the log and stops there, pm4py averages and knows no
censoring.
"""

from __future__ import annotations

import contextlib
import io

import attrs
import data
import numpy as np
import rounds
from rounds import Contender, Goal

import funnel as fn

DAYS = 720
LIMIT, OURS = "reading the log: max() of its three columns", "stage_durations and conversion"


def measures(history):
    """Return the durations of all stages, and what became of all entries."""
    return fn.metrics.stage_durations(history), fn.metrics.conversion(history)


def stays(history):
    """Return days, target and whether it was left, of every stay, by stage."""
    found = fn.spells(history)
    days, left = found.days(), found.target >= 0
    rows = [np.flatnonzero(found.stage == stage) for stage in range(data.STAGES)]
    return [(days[some], found.target[some], left[some]) for some in rows]


def medians(history):
    """Return the median days of each stage as the library finds them."""
    return fn.metrics.stage_durations(history).days[0, :, 0]


def by_sksurv(by_stage):
    """Return Kaplan-Meier and competing-risks curves by scikit-survival."""
    from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator

    ready = []
    for days, target, left in by_stage:
        goals = np.unique(target[left])  # it wants causes without gaps
        cause = np.where(left, np.searchsorted(goals, target) + 1, 0)
        ready.append((days.astype(np.float64), left, cause))

    def survival():
        return [kaplan_meier_estimator(left, days) for days, left, _ in ready]

    def incidence():
        return [cumulative_incidence_competing_risks(cause, days) for days, _, cause in ready]

    return survival, incidence


def by_lifelines(by_stage):
    """Return Kaplan-Meier curves by lifelines."""
    import lifelines

    ready = [(days.astype(np.float64), left) for days, _, left in by_stage]
    return lambda: [lifelines.KaplanMeierFitter().fit(days, left) for days, left in ready]


def by_pm4py(history):
    """Return mean days between stages by pm4py."""
    with contextlib.redirect_stdout(io.StringIO()):  # it greets
        import pm4py
    import pandas as pd

    names = np.array(history.funnel.ids)
    frame = pd.DataFrame(
        {
            "case:concept:name": history.deal.astype(str),
            "concept:name": names[history.stage],
            "time:timestamp": pd.to_datetime(history.at.astype("datetime64[D]"), utc=True),
        }
    )
    log = pm4py.format_dataframe(
        frame,
        case_id="case:concept:name",
        activity_key="concept:name",
        timestamp_key="time:timestamp",
    )
    return lambda: pm4py.discover_performance_dfg(log, perf_aggregation_key="mean")


def by_polars(history):
    """Return the number of stays by stage, target and days by polars."""
    import polars as pl

    frame = pl.DataFrame({name: getattr(history, name) for name in ("deal", "at", "stage")})
    later = (pl.col("deal").shift(-1) == pl.col("deal")).fill_null(value=False)
    days = pl.when(later).then(pl.col("at").shift(-1)).otherwise(data.LAST) - pl.col("at")
    target = pl.when(later).then(pl.col("stage").shift(-1)).otherwise(-1)
    stay = (
        frame.lazy()
        .select("stage", target=target, days=days.clip(0, DAYS - 1))
        .filter(pl.col("stage") < data.STAGES)
    )
    return stay.group_by("stage", "target", "days").len().collect


def tables(quick):
    """Yield the table from the log."""
    deals = 50_000 if quick else 1_000_000
    history = data.history(deals)
    by_stage = stays(history)
    survival, incidence = by_sksurv(by_stage)
    lifelines = by_lifelines(by_stage)
    halves = [days[np.flatnonzero(curve <= 0.5)[0]] for days, curve in survival()]
    np.testing.assert_array_equal(halves, medians(history))
    assert [fitted.median_survival_time_ for fitted in lifelines()] == halves
    polars = by_polars(history)
    assert polars()["len"].sum() == sum(len(days) for days, _, _ in by_stage)
    yield rounds.measure(
        f"Change log to duration curves and conversions of 8 stages, {deals:,} deals, "
        f"{len(history):,} rows",
        [
            Contender(
                LIMIT, lambda: (history.deal.max(), history.at.max(), history.stage.max()), "limit"
            ),
            Contender(OURS, measures, "ours", fresh=lambda: (attrs.evolve(history),)),
            Contender("the same history again", lambda: measures(history), "ours"),
            Contender("scikit-survival, 8 Kaplan-Meier curves", survival),
            Contender("scikit-survival, 8 sets of incidence curves", incidence),
            Contender("lifelines, 8 Kaplan-Meier curves", lifelines),
            Contender("pm4py, mean days between stages", by_pm4py(history), rounds=rounds.FEWEST),
            Contender("polars, 2 threads, log to histogram only", polars),
        ],
        [
            Goal(OURS, LIMIT, at_most=9.0),
            Goal(OURS, "scikit-survival, 8 Kaplan-Meier curves", at_least=45.0),
            Goal(OURS, "lifelines, 8 Kaplan-Meier curves", at_least=8.0),
            Goal(OURS, "pm4py, mean days between stages", at_least=150.0),
            Goal(OURS, "polars, 2 threads, log to histogram only", at_least=1.4),
        ],
        rounds=rounds.FEWEST,
    )


if __name__ == "__main__":
    rounds.main(tables)
