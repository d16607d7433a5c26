"""Forecast a sales pipeline, see where it leaks, and plan what must enter it.

The usual way in::

    import funnel as fn

    history = fn.io.read_history("changes.csv", funnel=..., id="deal", stage="stage", at="day")
    outlook = fn.forecast(history, fn.Horizon.quarters("2026-07-01", 4))

Everything in ``__all__`` is public. Names load when they are first used, so that importing the
package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from funnel import (
        backtesting,
        calendars,
        combinators,
        datasets,
        diagnosis,
        errors,
        forecasting,
        io,
        metrics,
        models,
        planning,
        stages,
        tables,
        testing,
    )
    from funnel.backtesting import BacktestReport, cutoffs_before, cutoffs_every
    from funnel.backtesting.backtest import backtest
    from funnel.calendars import Calendar, Horizon
    from funnel.combinators import Auto, Blend, Calibrated
    from funnel.diagnosis import Diagnosis, StandardFunnel, diagnose
    from funnel.forecasting import Arrivals, DealForecaster, Forecast, bridge_history
    from funnel.forecasting.api import forecast
    from funnel.io import scan
    from funnel.opportunity import Opportunity
    from funnel.planning import InflowPlan, Plan, Scenario, plan_inflow, track
    from funnel.planning.api import plan
    from funnel.snapshots import open_pipeline
    from funnel.stages import ForecastCategory, Funnel, Outcome, Stage
    from funnel.tables import History, Pipeline, outcomes, spells
    from funnel.threads import set_threads

__all__ = [
    "Arrivals",
    "Auto",
    "BacktestReport",
    "Blend",
    "Calendar",
    "Calibrated",
    "DealForecaster",
    "Diagnosis",
    "Forecast",
    "ForecastCategory",
    "Funnel",
    "History",
    "Horizon",
    "InflowPlan",
    "Opportunity",
    "Outcome",
    "Pipeline",
    "Plan",
    "Scenario",
    "Stage",
    "StandardFunnel",
    "backtest",
    "backtesting",
    "bridge_history",
    "calendars",
    "combinators",
    "cutoffs_before",
    "cutoffs_every",
    "datasets",
    "diagnose",
    "diagnosis",
    "errors",
    "forecast",
    "forecasting",
    "io",
    "metrics",
    "models",
    "open_pipeline",
    "outcomes",
    "plan",
    "plan_inflow",
    "planning",
    "scan",
    "set_threads",
    "spells",
    "stages",
    "tables",
    "testing",
    "track",
]

_HOME = {
    "Arrivals": "forecasting",
    "Auto": "combinators",
    "BacktestReport": "backtesting",
    "Blend": "combinators",
    "bridge_history": "forecasting",
    "Calendar": "calendars",
    "Calibrated": "combinators",
    "DealForecaster": "forecasting",
    "Diagnosis": "diagnosis",
    "Forecast": "forecasting",
    "ForecastCategory": "stages",
    "Funnel": "stages",
    "History": "tables",
    "Horizon": "calendars",
    "InflowPlan": "planning",
    "Opportunity": "opportunity",
    "Outcome": "stages",
    "Pipeline": "tables",
    "Plan": "planning",
    "Scenario": "planning",
    "Stage": "stages",
    "StandardFunnel": "diagnosis",
    "backtest": "backtesting",
    "cutoffs_before": "backtesting",
    "cutoffs_every": "backtesting",
    "diagnose": "diagnosis",
    "forecast": "forecasting",
    "open_pipeline": "snapshots",
    "outcomes": "tables",
    "plan": "planning",
    "plan_inflow": "planning",
    "scan": "io",
    "set_threads": "threads",
    "spells": "tables",
    "track": "planning",
}
"""Where each name that is no module lives."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module, a class, a function or the version
    """Load a name when it is first used."""
    if name in _HOME:
        found = getattr(importlib.import_module(f"funnel.{_HOME[name]}"), name)
    elif name in __all__:
        found = importlib.import_module(f"funnel.{name}")
    elif name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - rarely asked for

        found = version("salesfunnel")
    else:
        msg = f"module 'funnel' has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = found  # from now on without a detour
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return sorted([*__all__, "__version__"])
