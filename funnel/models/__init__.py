"""Stage models: one question, many answers. Find them by name, write your own as a plugin."""

from funnel.models.base import FittedModel, StageModel
from funnel.models.registry import get, names, origin
from funnel.models.storage import load, save

__all__ = ["FittedModel", "StageModel", "get", "load", "names", "origin", "save"]
