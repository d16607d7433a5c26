"""What installed packages register under a group of entry points; found without importing it."""

from __future__ import annotations

import os
import types
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from funnel.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping


def discover(group: str, built_in: Container[str], kind: str) -> Mapping[str, EntryPoint]:
    """Return the entry points of a group by name; none where ``FUNNEL_NO_PLUGINS`` is set.

    Raises
    ------
    PluginError
        When a package takes a built-in name of this `kind`, or two claim one name.
    """
    if os.environ.get("FUNNEL_NO_PLUGINS", "") not in {"", "0"}:
        return types.MappingProxyType({})
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        if point.name in built_in:
            msg = (
                f"package {package(point)!r} registers {point.name!r}, which is a built-in {kind}. "
                f"Its name must have a prefix, such as 'acme.{point.name}'."
            )
            raise PluginError(msg)
        other = found.get(point.name)
        if other is not None and (other.value, package(other)) != (point.value, package(point)):
            msg = (
                f"packages {package(other)!r} and {package(point)!r} both register "
                f"{point.name!r}. Uninstall one of them, or set FUNNEL_NO_PLUGINS=1."
            )
            raise PluginError(msg)
        found[point.name] = point
    return types.MappingProxyType(found)


def package(point: EntryPoint) -> str:
    """Name the distribution behind an entry point."""
    return point.dist.name if point.dist is not None else point.value


def made(point: EntryPoint) -> object:
    """Import what an entry point names, and call it without arguments.

    Raises
    ------
    PluginError
        When that fails; the message names the package.
    """
    try:
        return point.load()()
    except Exception as error:
        msg = (
            f"{point.name!r} of package {package(point)!r} cannot be loaded: "
            f"{type(error).__name__}: {error}. Repair or uninstall it."
        )
        raise PluginError(msg) from error
