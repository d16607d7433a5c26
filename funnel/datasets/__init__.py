"""Simulated pipelines whose truth is known: `simulate`, and the `World` that it draws from."""

from funnel.datasets._generate import Simulation, simulate
from funnel.datasets._parts import Amounts, Intake, Level, Mix, Moves, Records, Seasons
from funnel.datasets._truth import Shocks, TrueModel
from funnel.datasets._world import World

__all__ = [
    "Amounts",
    "Intake",
    "Level",
    "Mix",
    "Moves",
    "Records",
    "Seasons",
    "Shocks",
    "Simulation",
    "TrueModel",
    "World",
    "simulate",
]
