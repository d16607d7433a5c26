"""How good forecasts would have been in the past, without a glimpse of the future."""

from funnel.backtesting._run import LEVELS, Failure, Record
from funnel.backtesting._scores import Score, ScoreTable
from funnel.backtesting._truth import Truth
from funnel.backtesting._windows import Dropped, Span, Task, cutoffs_before, cutoffs_every
from funnel.backtesting.backtest import BASELINES, backtest
from funnel.backtesting.report import BacktestReport, Best

__all__ = [
    "BASELINES",
    "LEVELS",
    "BacktestReport",
    "Best",
    "Dropped",
    "Failure",
    "Record",
    "Score",
    "ScoreTable",
    "Span",
    "Task",
    "Truth",
    "backtest",
    "cutoffs_before",
    "cutoffs_every",
]
