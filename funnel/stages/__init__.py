"""Stages and funnels: the ladder that deals climb, with ready templates."""

from funnel.stages._funnel import Funnel
from funnel.stages._stage import ForecastCategory, Outcome, Stage

__all__ = ["ForecastCategory", "Funnel", "Outcome", "Stage"]
