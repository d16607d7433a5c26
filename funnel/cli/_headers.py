"""Columns that are found by their headers, so that a plain file needs no options.

Nothing is guessed: a header must be one of the names below, and only one may fit. What was found is
said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Mapping, Sequence
from typing import Final

from funnel.errors import ReadError

_Headers = dict[str, tuple[str, ...]]

_STATE: _Headers = {
    "amount": ("amount", "value", "金额", "商机金额"),
    "currency": ("currency", "currency code", "币种"),
    "expected_close": ("expected close", "expected close date", "预计成交日期", "预计签约日期"),
}
_DEAL: _Headers = {
    "id": ("id", "deal", "deal id", "opportunity", "opportunity id", "商机", "商机编号"),
    "created": ("created", "created at", "created on", "created date", "创建日期", "创建时间"),
}
_STAGE: _Headers = {
    "stage": ("stage", "deal stage", "stage name", "阶段", "销售阶段", "商机阶段"),
    "stage_entered": ("stage entered", "stage entered at", "stage entered on", "进入阶段日期"),
}
_CHANGE: _Headers = {
    "at": ("at", "changed", "changed at", "changed on", "change date", "变更日期", "变更时间"),
    "seq": ("seq",),
}

NAMES: Final[Mapping[str, _Headers]] = {
    "states": _DEAL | _STAGE | _CHANGE | _STATE,
    "fields": _DEAL
    | _CHANGE
    | {
        "field": ("field", "property", "字段"),
        "old": ("old", "old value", "旧值"),
        "new": ("new", "new value", "新值"),
    },
    "deals": _DEAL
    | _STAGE
    | _STATE
    | {"closed": ("closed", "closed at", "closed on", "close date", "关闭日期", "成交日期")},
}
"""Headers of each column by layout, compared without case, width, hyphens and underscores."""

ATTRIBUTES: Final[_Headers] = {"owner": ("owner", "负责人")}
"""Headers of further columns of a state."""

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "states": ("id", "stage", "at"),
    "fields": ("id", "at", "field", "new"),
    "deals": ("id", "stage", "created", "closed"),
}


def _plain(header: str) -> str:
    """Return a header as it is compared."""
    folded = unicodedata.normalize("NFKC", header).casefold()
    return re.sub(r"[\s_-]+", " ", folded).strip()


def find(headers: Sequence[str], layout: str, given: Container[str]) -> dict[str, str]:
    """Return the header of each column of a layout that was not given and is there.

    Raises
    ------
    ReadError
        When a column that is needed is not there, or several headers fit one.
    """
    found = {}
    for name, known in {**NAMES[layout], **ATTRIBUTES}.items():
        if name in given:
            continue
        fitting = [header for header in headers if _plain(header) in known]
        if len(fitting) > 1:
            listed = " and ".join(map(repr, fitting))
            msg = f"both {listed} could be {name}. Say which one it is with {option(name)}."
            raise ReadError(msg)
        if fitting:
            found[name] = fitting[0]
    missing = [name for name in NEEDED[layout] if name not in found and name not in given]
    if missing:
        raise ReadError(_missing(missing[0], headers, layout))
    return found


def _missing(name: str, headers: Sequence[str], layout: str) -> str:
    """Say that a column is not there, and how to name it."""
    listed = ", ".join(repr(header) for header in headers[:20] if header)
    more = f" and {len(headers) - 20:,} more" if len(headers) > 20 else ""
    looked = " or ".join(map(repr, NAMES[layout][name][:3]))
    hint = ""
    if name == "at" and any(_plain(header) in NAMES["deals"]["closed"] for header in headers):
        hint = " For a table with one row a deal, say --layout deals."
    return (
        f"{name!r} needs a column, and no header is {looked}; there are {listed}{more}. "
        f"Name it with {option(name)}.{hint}"
    )


def option(name: str) -> str:
    """Return the option that names a column."""
    return f"--{name.replace('_', '-')}"
