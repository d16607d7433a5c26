"""How good are the models on public logs? One table of errors and scores.

    python benchmarks/accuracy.py --data ../shared/data --models auto,semi-markov [--json FILE]

The loan log (BPI Challenge 2012) by the protocol of examples/backtest_loans.py; the CRM set
month by month. WAPE is scored on the median, bias on the mean, Brier and log score (probabilities
clipped to [0.001, 0.999]) per open deal, averaged over cutoffs.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path

import attrs
import numpy as np

import funnel as fn
from funnel.errors import FunnelWarning
from funnel.models.textbook import Textbook

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import backtest_loans
import crm_opportunities
import loan_applications

MODELS = "auto,semi-markov,hazard-regression,parametric,learned,win-rate,close-date,stage-duration"
KEYS = (
    "wape_open",
    "wape_total",
    "bias_open",
    "brier",
    "log",
    "crps_total",
    "coverage_50",
    "coverage_80",
    "cutoffs",
)


def loans(folder):
    """Windows of the loan log: history, cutoffs and days by horizon."""
    history = loan_applications.read(folder / "bpi2012")
    for horizon in backtest_loans.HORIZONS:
        cutoffs = backtest_loans.cutoffs(history, horizon)
        yield "bpi2012", taught(history, cutoffs[0]), cutoffs, horizon


def taught(history, day):
    """Return the history with the probabilities that someone would have typed on a day.

    Of a stage: the share won of those that reached it, which is the product of the conversions from
    there on.
    """
    rates = fn.metrics.conversion(history.until(day)).rate
    chances = np.cumprod(rates[::-1])[::-1].tolist()
    stages = zip(history.funnel.stages, chances, strict=True)
    typed = [attrs.evolve(stage, win_probability=chance) for stage, chance in stages]
    funnel = attrs.evolve(history.funnel, stages=typed)
    return attrs.evolve(history, schema=attrs.evolve(history.schema, funnel=funnel))


def crm(folder):
    """Windows of the CRM set: every ten days of its last half year."""
    history = crm_opportunities.read(folder / "crm_sales_opportunities")
    cutoffs = fn.cutoffs_every(history, 10, horizon=30, first="2017-07-01")
    yield "crm_sales_opportunities", history, cutoffs, 30


def scores(name, history, cutoffs, horizon, models):
    """Rows of one set and horizon."""
    # Deals that promise no day would be left out by the textbook: it is asked to win them all.
    textbook = fn.DealForecaster(Textbook(undated_after=1))
    forecasters = {**{model: model for model in models}, "textbook": textbook}
    report = fn.backtest(history, forecasters, cutoffs, horizon=horizon)
    table = report.scores.to_columns()
    for place, model in enumerate(table["forecaster"].tolist()):
        values = {key: table[key][place].item() for key in KEYS}
        clean = {key: None if np.isnan(value) else value for key, value in values.items()}
        yield {"set": name, "horizon": horizon, "model": model, **clean}


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", FunnelWarning)
    models = options.models.split(",")
    rows = [
        row
        for windows in (loans, crm)
        for window in windows(options.data)
        for row in scores(*window, models)
    ]
    names = ("set", "horizon", "model", *KEYS)
    cells = [[_text(row[name]) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in (names, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


def _text(value):
    """Four decimals for a number, an en dash for none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
