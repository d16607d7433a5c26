"""Stage models: one question, many answers. Find them by name, write your own as a plugin."""

from funnel.models._flow import StageFlow
from funnel.models._segments import SegmentEffects
from funnel.models.base import (
    FittedModel,
    HasCells,
    HasDraw,
    HasFlow,
    HasLevers,
    StageModel,
)
from funnel.models.registry import get, names, origin
from funnel.models.storage import load, save

__all__ = [
    "FittedModel",
    "HasCells",
    "HasDraw",
    "HasFlow",
    "HasLevers",
    "SegmentEffects",
    "StageFlow",
    "StageModel",
    "get",
    "load",
    "names",
    "origin",
    "save",
]
