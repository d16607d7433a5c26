"""Saved histories as chunks: ranges of deals of files that are mapped into memory."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.errors import ReadError
from funnel.tables import History
from funnel.tables._files import MAGIC

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["SavedPart", "is_saved", "saved_parts"]

ROWS = 1_000_000
"""Changes of a chunk, about."""


@attrs.frozen
class SavedPart:
    """A range of the deals of a saved history.

    Parameters
    ----------
    name : str
        What it is called in messages.
    path : str
        Where the file is.
    begin, end : int
        Deals from `begin` to before `end`.
    """

    name: str
    path: str
    begin: int
    end: int

    def read(self) -> History:
        """Read the deals; see `funnel.summary.Part`."""
        try:
            history = History.open(self.path)
            number = np.arange(history.n_deals)
            return history.select((number >= self.begin) & (number < self.end))
        except ReadError as error:
            msg = f"chunk {self.name!r} cannot be read: {error}"
            raise ReadError(msg) from error


def is_saved(path: Path) -> bool:
    """Tell whether a file is a table that was saved."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def saved_parts(named: Sequence[tuple[str, Path]]) -> tuple[tuple[SavedPart, ...], list[History]]:
    """Return the chunks of saved histories, and the histories, which must share schema and days.

    Raises
    ------
    SchemaMismatchError
        When they do not.
    """
    opened = [History.open(path) for _, path in named]
    nobody = [one.select(np.zeros(one.n_deals, dtype=np.bool_)) for one in opened]
    History.concat(nobody)  # raises where schema, days or time zone differ
    parts = []
    for (name, path), history in zip(named, opened, strict=True):
        count = max(-(-len(history) // ROWS), 1)
        edges = np.linspace(0, history.n_deals, count + 1).astype(int).tolist()
        for begin, end in itertools.pairwise(edges):
            label = name if count == 1 else f"{name}, deals {begin:,} to {end - 1:,}"
            parts.append(SavedPart(label, str(path), begin, end))
    return tuple(parts), opened
