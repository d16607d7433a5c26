"""How good are the models on a public log? One table of errors and scores.

    python benchmarks/accuracy.py --data ../shared/data --models win-rate,semi-markov

Protocol for the loan log (BPI Challenge 2012, see examples/loan_applications.py): stages by their
first occurrence; day 0 is the first event; cutoffs every 4 days from day 24, scored
from the first one that has three earlier cutoffs at least H days before it, and only while the
window of H days ends before day 151, when arrivals stop. *Open* is the money won in the window by
applications open at the cutoff, *total* all money won in it. WAPE is scored on the median, bias on
the mean, Brier and log score (probabilities clipped to [0.001, 0.999]) per open application.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import numpy as np

import funnel as fn
from funnel.errors import FunnelWarning

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import loan_applications

FIRST, STEP, LAST = 24, 4, 151
MODELS = "run-rate,win-rate,semi-markov,hazard-regression"


def cutoffs(horizon):
    """Days of the log at which forecasts are scored."""
    days = range(FIRST, LAST, STEP)
    return [
        day
        for day in days
        if day + horizon < LAST and sum(other <= day - horizon for other in days) >= 3
    ]


def one(forecaster, history, day, horizon):
    """Forecast from one cutoff and compare with what then happened."""
    cut = history.observed_from + day
    window = fn.Horizon.custom(np.array([cut + 1, cut + 1 + horizon], dtype=np.int32))
    known, pipeline = (
        history.until(np.datetime64(cut, "D")),
        history.snapshot(np.datetime64(cut, "D")),
    )
    outlook = forecaster.fit(known).forecast(pipeline, window)
    outcomes = fn.outcomes(history)
    inside = (outcomes.outcome == fn.Outcome.WON) & (outcomes.closed_on > cut)
    inside &= outcomes.closed_on <= cut + horizon
    money = np.where(inside, outcomes.amount, 0.0)
    row = {name: position for position, name in enumerate(history.ids.tolist())}
    is_open = pipeline.outcome == fn.Outcome.OPEN
    mine = [row[name] for name in pipeline.ids[is_open].tolist()]
    won = inside[mine]
    open_, total = outlook.parts["open"], outlook
    low, high = total.interval(0.8)
    found = {
        "open": (open_.quantile(0.5)[0], open_.expected[0], money[mine].sum()),
        "total": (total.quantile(0.5)[0], total.expected[0], money.sum()),
        "inside_80": low[0] <= money.sum() <= high[0],
    }
    chance = np.clip(open_.deals.chance[:, 0], 0.001, 0.999)
    if len(chance) == len(won):  # a run rate does not look at deals
        found["brier"] = np.mean((chance - won) ** 2)
        found["log"] = -np.mean(np.where(won, np.log(chance), np.log(1.0 - chance)))
    return found


def score(name, history, horizon):
    """Score one forecaster over all cutoffs."""
    found = fn.models.get(name)
    forecaster = fn.DealForecaster(found) if isinstance(found, fn.models.StageModel) else found
    rows = [one(forecaster, history, day, horizon) for day in cutoffs(horizon)]
    result = {"set": "bpi2012", "horizon": horizon, "model": name}
    for part in ("open", "total") if "log" in rows[0] else ("total",):
        median, mean, actual = np.array([row[part] for row in rows]).T
        result[f"wape_{part}"] = float(np.abs(median - actual).sum() / actual.sum())
        result[f"bias_{part}"] = float((mean - actual).sum() / actual.sum())
    result["coverage_80"] = float(np.mean([row["inside_80"] for row in rows]))
    for key in ("brier", "log"):
        if key in rows[0]:
            result[key] = float(np.mean([row[key] for row in rows]))
    return result | {"cutoffs": len(rows)}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", FunnelWarning)
    history = loan_applications.read(options.data / "bpi2012")
    results = [
        score(name, history, horizon) for horizon in (14, 30) for name in options.models.split(",")
    ]
    keys = [
        "horizon",
        "model",
        "wape_open",
        "wape_total",
        "bias_open",
        "brier",
        "log",
        "coverage_80",
    ]
    print("".join(f"{key:>18}" for key in keys))
    for row in results:
        cells = [row.get(key, "") for key in keys]
        print("".join(f"{c:18.4f}" if isinstance(c, float) else f"{c:>18}" for c in cells))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
