"""Which deals a question is about: the columns and values of its scope, and the currency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ValidationError, did_you_mean
from funnel.kernels.cells import CHUNK
from funnel.kernels.labels import texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from funnel.tables import History
    from funnel.typing import BoolArray

__all__ = ["EVERYWHERE", "currencies", "dated", "require_history", "scope_mask", "scope_notes"]

EVERYWHERE: Mapping[str, Sequence[str]] = {}


def scope_mask(history: History, where: Mapping[str, Sequence[str]]) -> BoolArray:
    """Return the rows whose values are among those asked for, (r,)."""
    mask = np.ones(len(history), dtype=np.bool_)
    for name, wanted in where.items():
        column = dated(history, name, "where")
        if isinstance(wanted, str):
            remedy = f"Put the single value into a tuple: where={{{name!r}: ({wanted!r},)}}."
            rule = "must give a sequence of values by column"
            raise ValidationError.from_value("where", rule, wanted, remedy)
        known = {**{category: code for code, category in enumerate(column)}, "": -1}
        for value in wanted:
            if value not in known:
                rule, hint = f"must name values of {name!r}", did_you_mean(str(value), column)
                raise ValidationError.from_value("where", rule, value, hint)
        mask &= np.isin(history.columns[name], [known[value] for value in wanted])
    return mask


def dated(history: History, name: str, what: str) -> tuple[str, ...]:
    """Return the categories of a column that tells a scope; it must have a history."""
    column = history.schema.column(name)
    if column.kind != "category":
        rule, remedy = "must name columns of categories", f"It is a {column.kind} column."
        raise ValidationError.from_value(what, rule, name, remedy)
    require_history(history, name, what)
    return column.categories


def require_history(history: History, name: str, what: str) -> None:
    """Refuse a column of which only the last value is known."""
    if history.schema.column(name).known == "final":
        rule = "must not need a column of which only the last value is known"
        remedy = f"If it never changes, read it with known={{{name!r}: 'constant'}}."
        raise ValidationError.from_value(what, rule, name, remedy)


def scope_notes(where: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Say what a scope is."""
    return tuple(
        f"only deals with {name} {' or '.join(value or '(unknown)' for value in values)}"
        for name, values in where.items()
    )


def currencies(history: History, end: int) -> tuple[str, ...]:
    """Return the currencies of all known amounts up to a day; ``""`` where none is given."""
    names = texts(["", *history.schema.column("currency").categories])
    found = np.zeros(len(names), dtype=np.bool_)
    for begin in range(0, len(history), CHUNK):
        rows = slice(begin, begin + CHUNK)
        code = history.columns["currency"][rows] + 1
        if not found[code.min() : code.max() + 1].all():  # else there is nothing new in it
            seen = (history.at[rows] <= end) & ~np.isnan(history.columns["amount"][rows])
            found[code[seen]] = True
    return tuple(names[found].tolist())
