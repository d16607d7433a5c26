"""Forecast a sales pipeline, see where it leaks, and plan what must enter it.

The usual way in::

    import funnel as fn

    history = fn.io.read_history("changes.csv", funnel=..., id="deal", stage="stage", at="day")
    outlook = fn.forecast(history, fn.Horizon.quarters("2026-07-01", 4))

Everything in ``__all__`` is public; optional parts (``fn.io``, ``fn.datasets``, ``fn.testing``)
load when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from funnel import calendars, errors, forecasting, metrics, models, stages, tables
from funnel.backtesting import BacktestReport, backtest, cutoffs_before, cutoffs_every
from funnel.calendars import Calendar, Horizon
from funnel.combinators import Auto, Blend, Calibrated
from funnel.forecasting import Arrivals, DealForecaster, Forecast, forecast
from funnel.opportunity import Opportunity
from funnel.stages import ForecastCategory, Funnel, Outcome, Stage
from funnel.tables import History, Pipeline, outcomes, spells

if TYPE_CHECKING:
    from funnel import datasets, io, testing

__all__ = [
    "Arrivals",
    "Auto",
    "BacktestReport",
    "Blend",
    "Calendar",
    "Calibrated",
    "DealForecaster",
    "Forecast",
    "ForecastCategory",
    "Funnel",
    "History",
    "Horizon",
    "Opportunity",
    "Outcome",
    "Pipeline",
    "Stage",
    "backtest",
    "calendars",
    "cutoffs_before",
    "cutoffs_every",
    "datasets",
    "errors",
    "forecast",
    "forecasting",
    "io",
    "metrics",
    "models",
    "outcomes",
    "spells",
    "stages",
    "tables",
    "testing",
]

_LAZY = frozenset({"datasets", "io", "testing"})


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module or the version
    """Load an optional part when it is first used."""
    if name in _LAZY:
        return importlib.import_module(f"funnel.{name}")
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - rarely asked for

        return version("salesfunnel")
    msg = f"module 'funnel' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*__all__, "__version__"])
