"""Rules of the watch list by name: the built-ins, and what installed packages add."""

from __future__ import annotations

import functools
import os
import types
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from funnel.errors import PluginError, ValidationError, did_you_mean
from funnel.metrics import _watch_rules as built_in
from funnel.metrics._watch_base import WatchRule

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Find what installed packages register, without importing any of it."""
    if os.environ.get("FUNNEL_NO_PLUGINS", "") not in {"", "0"}:
        return types.MappingProxyType({})
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in BUILT_IN:
            msg = (
                f"package {_package(point)!r} registers {point.name!r}, which is a built-in rule. "
                f"Its name must have a prefix, such as 'acme.{point.name}'."
            )
            raise PluginError(msg)
        other = found.get(point.name)
        if other is not None and (other.value, _package(other)) != (point.value, _package(point)):
            msg = (
                f"packages {_package(other)!r} and {_package(point)!r} both register "
                f"{point.name!r}. Uninstall one of them, or set FUNNEL_NO_PLUGINS=1."
            )
            raise PluginError(msg)
        found[point.name] = point
    return types.MappingProxyType(found)


def _package(point: EntryPoint) -> str:
    """Name the distribution behind an entry point."""
    return point.dist.name if point.dist is not None else point.value


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
    try:
        rule = point.load()()
    except Exception as error:
        msg = (
            f"{name!r} of package {_package(point)!r} cannot be loaded: "
            f"{type(error).__name__}: {error}. Repair or uninstall it."
        )
        raise PluginError(msg) from error
    if not isinstance(rule, WatchRule):
        msg = f"{name!r} of package {_package(point)!r} must be a WatchRule, got {rule!r}."
        raise PluginError(msg)
    return rule
