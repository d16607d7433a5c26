"""Small result tables: text, HTML, JSON and dataframes, from one method that gives columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from funnel._display import html_table, money, percent, text_table
from funnel._frames import FrameBackend, to_frame

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ResultTable"]

Columns = dict[str, np.ndarray[Any, Any]]


class ResultTable:
    """A result that is a table: it displays, travels and converts itself.

    Every small result of the library is one: print it, let a notebook show it, or take `to_frame`,
    `to_columns` or `to_dict`. A subclass writes `to_columns`, names the columns that are shares
    (`percents`), and leaves out of the display (not of the frame) what is in `hidden`.

    Examples
    --------
    >>> import attrs
    >>> import numpy as np
    >>> @attrs.frozen
    ... class Rates(ResultTable):
    ...     percents = frozenset({"rate"})
    ...     def to_columns(self):
    ...         return {"stage": np.array(["Qualify"], dtype=object), "rate": np.array([0.5])}
    >>> print(Rates())
    stage     rate
    -------  -----
    Qualify  50.0%
    >>> Rates().to_dict()["rows"]
    [{'stage': 'Qualify', 'rate': 0.5}]
    """

    __slots__ = ()

    percents: ClassVar[frozenset[str]] = frozenset()
    """Columns shown as percentages."""

    hidden: ClassVar[frozenset[str]] = frozenset()
    """Columns that only frames and JSON hold."""

    def to_columns(self) -> Columns:
        """Return the columns of the table, all of one length."""
        raise NotImplementedError

    @property
    def _title(self) -> str:
        """Return the heading."""
        return ""

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is said below the table."""
        return ()

    def to_frame(self, *, backend: FrameBackend = "pandas") -> Any:  # noqa: ANN401 - a native frame
        """Return the table as a dataframe of `backend`.

        Raises
        ------
        MissingDependencyError
            When narwhals or the library is not installed.
        """
        return to_frame(self.to_columns(), backend)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: a schema version, the rows and the notes."""
        columns = {name: _plain(values) for name, values in self.to_columns().items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return {
            "schema": f"funnel.{type(self).__name__}/1",
            "rows": rows,
            "notes": list(self._notes),
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text."""
        shown = {
            name: _shown(values, percent if name in self.percents else money)
            for name, values in self.to_columns().items()
            if name not in self.hidden
        }
        return list(shown), [list(row) for row in zip(*shown.values(), strict=True)]

    def __str__(self) -> str:
        """Return the table as text."""
        notes = [f"* {note}" for note in self._notes]
        return text_table(*self._cells(), title=self._title, notes=notes)

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(*self._cells(), title=self._title, notes=self._notes)


def _shown(values: np.ndarray[Any, Any], number: Callable[[float], str]) -> list[str]:
    """Return the texts of a column; unknown is an en dash."""
    if values.dtype.kind == "f":
        return [number(value) for value in values.tolist()]
    if values.dtype.kind in "iu":
        return [f"{value:,}" for value in values.tolist()]
    if values.dtype.kind == "M":
        return ["–" if np.isnat(value) else str(value) for value in values]
    return [str(value) for value in values.tolist()]


def _plain(values: np.ndarray[Any, Any]) -> list[Any]:
    """Return a column as JSON types; NaN and missing days are null."""
    if values.dtype.kind == "M":
        return [None if np.isnat(value) else str(value) for value in values]
    if values.dtype.kind == "f":
        return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124
    return list(values.tolist())
