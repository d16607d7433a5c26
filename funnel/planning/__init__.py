"""The funnel that reaches a target: classic plans, solved for any unknown, and scenarios."""

from funnel.planning._actual import ActualFunnel
from funnel.planning._tables import ActualToIdeal, PlanPeriods, PlanStages
from funnel.planning.api import plan
from funnel.planning.plan import Plan
from funnel.planning.scenarios import Elasticities, Scenario, ScenarioTable

__all__ = [
    "ActualFunnel",
    "ActualToIdeal",
    "Elasticities",
    "Plan",
    "PlanPeriods",
    "PlanStages",
    "Scenario",
    "ScenarioTable",
    "plan",
]
