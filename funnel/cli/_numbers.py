"""Numbers, and lists and mappings of them, as they are typed on a command line."""

from __future__ import annotations

import re
from fractions import Fraction

import typer

NUMBER = re.compile(r"[+-]?[0-9_]{1,30}(\.[0-9_]{0,30})?(/[0-9_]{1,30})?")
UNKNOWN = "?"

Numbers = list[Fraction | None]
Named = dict[str, Fraction | None]


def number(text: str, option: str) -> Fraction:
    """Read ``0.6``, ``3/5``, ``60%`` or ``10_000``, exactly."""
    plain, share = text.strip(), 1
    if plain.endswith("%"):
        plain, share = plain[:-1].strip(), 100
    try:
        return Fraction(NUMBER.fullmatch(plain)[0]) / share  # type: ignore[index]
    except (TypeError, ValueError, ZeroDivisionError):
        rule = f"must hold numbers such as 0.6, 3/5 or 60%, got {text.strip()!r}"
        raise typer.BadParameter(rule, param_hint=option) from None


def numbers(text: str, option: str, separator: str = ",") -> list[Fraction]:
    """Read a list of numbers."""
    return [number(part, option) for part in text.split(separator)]


def length(text: str, option: str, rule: str = "must be days or weeks, such as 7d or 2w") -> int:
    """Read a length in days or weeks, at least a day."""
    found = re.fullmatch(r"\s*0*([1-9][0-9]{0,3})\s*([dwDW])\s*", text)
    if found is None:
        raise typer.BadParameter(f"{rule}, got {text!r}", param_hint=option)
    return int(found[1]) * (7 if found[2] in "wW" else 1)


def by_name(text: str, option: str) -> dict[str, Fraction]:
    """Read ``NAME=NUMBER,NAME=NUMBER``."""
    return {name: number(value, option) for name, value in _pairs(text, option).items()}


def by_stage(text: str, option: str) -> Numbers | Named:
    """Read a number for each stage, in order or by name; ``?`` is what is solved for."""
    if "=" in text:
        return {name: _known(value, option) for name, value in _pairs(text, option).items()}
    return [_known(part, option) for part in text.split(",")]


def _known(text: str, option: str) -> Fraction | None:
    """Read a number, or that it is not known."""
    return None if text.strip() == UNKNOWN else number(text, option)


def _pairs(text: str, option: str) -> dict[str, str]:
    """Split texts by name."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or not name:
            rule = f"must be NAME=NUMBER for each part, got {part.strip()!r}"
            raise typer.BadParameter(rule, param_hint=option)
        if name in found:
            raise typer.BadParameter(f"{name!r} is there twice", param_hint=option)
        found[name] = value
    return found
