"""Forecasters made of others, which learn from how earlier forecasts turned out."""

from funnel.combinators._blended import FittedBlend
from funnel.combinators._choice import Choice
from funnel.combinators._rolling import FittedCombination
from funnel.combinators.combine import Auto, Blend, Calibrated

__all__ = ["Auto", "Blend", "Calibrated", "Choice", "FittedBlend", "FittedCombination"]
