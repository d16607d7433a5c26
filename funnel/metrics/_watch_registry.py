"""Rules of the watch list by name: the built-ins, and what installed packages add."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING

from funnel._plugins import discover, made, package
from funnel.errors import PluginError, ValidationError, did_you_mean
from funnel.metrics import _watch_rules as built_in
from funnel.metrics._watch_base import WatchRule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "get_rule", "rule_names"]

GROUP = "funnel.rules"
"""Entry-point group in which packages register rules of the watch list."""

BUILT_IN: Mapping[str, type[WatchRule]] = types.MappingProxyType(
    {
        rule.name: rule
        for rule in (
            built_in.Stale,
            built_in.OverStandard,
            built_in.Timeout,
            built_in.Overdue,
            built_in.NoPromise,
            built_in.Pushed,
            built_in.NoContact,
            built_in.NoNextStep,
            built_in.Unchanged,
            built_in.NoAmount,
            built_in.MovedBack,
            built_in.ContradictoryDates,
        )
    }
)


@functools.cache
def _plugins() -> Mapping[str, EntryPoint]:
    """Find what installed packages register, once."""
    return discover(GROUP, BUILT_IN, "rule")


def rule_names() -> tuple[str, ...]:
    """Return the names of all rules, built-ins first; no plugin is imported.

    Raises
    ------
    PluginError
        When two packages claim one name.

    Examples
    --------
    >>> rule_names()[:3]
    ('stale', 'over-standard', 'timeout')
    """
    return (*BUILT_IN, *sorted(_plugins()))


def get_rule(name: str) -> WatchRule:
    """Return the rule called `name`, with its default parameters.

    Raises
    ------
    ValidationError
        When nothing is registered under the name; the message suggests close ones.
    PluginError
        When the package that provides it cannot be imported, or registers something else.

    Examples
    --------
    >>> get_rule("pushed")
    Pushed(severity='warning', times=2)
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    point = _plugins().get(name)
    if point is None:
        hint = did_you_mean(str(name), rule_names())
        raise ValidationError.from_value("rules", "must name rules", name, hint)
    rule = made(point)
    if not isinstance(rule, WatchRule):
        msg = f"{name!r} of package {package(point)!r} must be a WatchRule, got {rule!r}."
        raise PluginError(msg)
    return rule
