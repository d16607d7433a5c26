"""The funnel that reaches a target: classic plans, plans with lags, scenarios, and tracking."""

from funnel.planning._actual import ActualFunnel
from funnel.planning._inflow_tables import (
    InflowLevers,
    InflowPeriods,
    InflowWeeks,
    StageEntries,
)
from funnel.planning._tables import ActualToIdeal, PlanPeriods, PlanStages
from funnel.planning.api import plan, plan_inflow
from funnel.planning.lagged import InflowPlan
from funnel.planning.plan import Plan
from funnel.planning.scenarios import Elasticities, Scenario, ScenarioTable
from funnel.planning.tracking import Tracking, track

__all__ = [
    "ActualFunnel",
    "ActualToIdeal",
    "Elasticities",
    "InflowLevers",
    "InflowPeriods",
    "InflowPlan",
    "InflowWeeks",
    "Plan",
    "PlanPeriods",
    "PlanStages",
    "Scenario",
    "ScenarioTable",
    "StageEntries",
    "Tracking",
    "plan",
    "plan_inflow",
    "track",
]
