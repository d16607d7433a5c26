"""Models and forecasters by name: the built-ins, and what installed packages add."""

from __future__ import annotations

import functools
import importlib
import types
from typing import TYPE_CHECKING, Any

from funnel._plugins import discover, made, package
from funnel.errors import UnknownModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "get", "names", "origin"]

GROUP = "funnel.models"
"""Entry-point group in which packages register models and forecasters."""

BUILT_IN: Mapping[str, str] = types.MappingProxyType(
    {
        "textbook": "funnel.models.textbook:Textbook",
        "win-rate": "funnel.models.win_rate:WinRate",
        "semi-markov": "funnel.models.semi_markov:SemiMarkov",
        "hazard-regression": "funnel.models.hazard_regression:HazardRegression",
        "parametric": "funnel.models.parametric:Parametric",
        "stage-duration": "funnel.models.stage_duration:StageDuration",
        "close-date": "funnel.models.close_date:CloseDate",
        "category": "funnel.models.category:Category",
        "learned": "funnel.models.learned:Learned",
        "auto": "funnel.combinators.combine:Auto",
        "run-rate": "funnel.forecasting.baselines:RunRate",
        "seasonal": "funnel.forecasting.baselines:Seasonal",
        "last-period": "funnel.forecasting.baselines:LastPeriod",
    }
)


@functools.cache
def _plugins() -> Mapping[str, EntryPoint]:
    """Find what installed packages register, once."""
    return discover(GROUP, BUILT_IN, "model")


def names() -> tuple[str, ...]:
    """Return the names of all models and forecasters, built-ins first; nothing is imported.

    Raises
    ------
    PluginError
        When two packages claim one name.

    Examples
    --------
    >>> "win-rate" in names()
    True
    """
    return (*BUILT_IN, *sorted(_plugins()))


def origin(name: str) -> str:
    """Return the package that provides a model: ``"salesfunnel"`` for a built-in.

    Raises
    ------
    UnknownModelError
        When there is no such model.
    """
    if name in BUILT_IN:
        return "salesfunnel"
    if name in _plugins():
        return package(_plugins()[name])
    raise UnknownModelError(name, names())


def get(name: str) -> Any:  # noqa: ANN401 - a StageModel or a Forecaster
    """Return the model or forecaster called `name`, with its default parameters.

    Only the package that provides it is imported.

    Raises
    ------
    UnknownModelError
        When nothing is registered under the name; the message suggests close ones.
    PluginError
        When the package that provides it cannot be imported.

    Examples
    --------
    >>> get("win-rate")
    WinRate(minimum=20)
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return getattr(importlib.import_module(module), attribute)()
    point = _plugins().get(name)
    if point is None:
        raise UnknownModelError(name, names())
    return made(point)
