"""How good would forecasts of the loan log have been? Every model, cutoff by cutoff.

The protocol: cutoffs every 4 days from day 24 of the log, scored from the first one that has three
earlier cutoffs at least a horizon before it, and only while the window ends before day 151, when
applications stop coming in:

    python examples/backtest_loans.py ../shared/data/bpi2012
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import loan_applications
import numpy as np

import funnel as fn
from funnel.errors import InsufficientDataError

FIRST, STEP, LAST = 24, 4, 151
HORIZONS = (14, 30)
MODELS = ("auto", "semi-markov", "hazard-regression", "parametric", "win-rate")


def cutoffs(history: fn.History, horizon: int) -> list[np.datetime64]:
    """Return the days at whose end forecasts are scored."""
    days = range(FIRST, LAST, STEP)
    return [
        np.datetime64(history.observed_from + day, "D")
        for day in days
        if day + horizon < LAST and sum(other <= day - horizon for other in days) >= 3
    ]


def backtest(
    history: fn.History, horizon: int, models: tuple[str, ...] = MODELS
) -> fn.BacktestReport:
    """Score the models by the protocol."""
    return fn.backtest(history, models, cutoffs(history, horizon), horizon=horizon)


def main(folder: Path, models: tuple[str, ...] = MODELS) -> None:
    """Print scores, the best one, and how sure that is."""
    history = loan_applications.read(folder)
    for horizon in HORIZONS:
        report = backtest(history, horizon, models)
        print(f"\n{horizon} days ahead\n{report}")
        print(f"best by log score: {report.best()}")
        for other in report.forecasters[1:]:
            try:
                print(f"auto against {other}, log score: {report.compare('auto', other)}")
            except InsufficientDataError as error:
                warnings.warn(f"auto against {other}: {error}", stacklevel=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]) or MODELS)
