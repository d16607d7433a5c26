"""Some deals and rows of a history."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.kernels import trace
from funnel.kernels.arrays import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.tables.history import History
    from funnel.typing import BoolArray

__all__ = ["part", "subset"]


def subset(
    history: History,
    deals: BoolArray,
    keep: BoolArray,
    columns: Mapping[str, np.ndarray[Any, Any]],
    *,
    of: History | None = None,
) -> History:
    """Keep some deals and rows of a history; `columns` are already cut to the rows.

    `of` is the history itself, where rows are whole deals or the first rows of deals, up to the
    last day: what is derived of a row depends on earlier ones only, and is handed on.
    """
    number = np.cumsum(deals) - 1
    found = attrs.evolve(
        history,
        ids=history._ids.take(deals),  # noqa: SLF001 - names that nobody asked for stay so
        created=frozen(history.created[deals]),
        first_entered=frozen(history.first_entered[deals]),
        deal=frozen(number[history.deal[keep]].astype(np.int32)),
        at=frozen(history.at[keep]),
        stage=frozen(history.stage[keep]),
        columns=types.MappingProxyType({name: frozen(values) for name, values in columns.items()}),
    )
    derived = {} if of is None else of.__dict__
    if "pieces" in derived:
        last, whole = history.observed_until, derived["pieces"]
        kept = deals[whole.deal] & (whole.start <= last)
        pieces = trace.some_pieces(whole, kept, keep, number, last=last)
        found.__dict__["pieces"] = type(whole)(*map(frozen, pieces))
    if "pushes" in derived:
        found.__dict__["pushes"] = frozen(derived["pushes"][keep])
    return found


def part(history: History, begin: int, end: int) -> History:
    """Keep the deals from `begin` up to `end`, which stand side by side."""
    deals, rows = slice(begin, end), slice(*history.bounds[[begin, end]].tolist())
    columns = {name: frozen(values[rows]) for name, values in history.columns.items()}
    return attrs.evolve(
        history,
        ids=history._ids.take(deals),  # noqa: SLF001 - names that nobody asked for stay so
        created=frozen(history.created[deals]),
        first_entered=frozen(history.first_entered[deals]),
        deal=frozen(history.deal[rows] - np.int32(begin)),
        at=frozen(history.at[rows]),
        stage=frozen(history.stage[rows]),
        columns=types.MappingProxyType(columns),
    )
