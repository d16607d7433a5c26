"""Chunks of a scanned source: what a file holds is read where it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import FunnelError, ReadError, SchemaMismatchError
from funnel.io._values import moved
from funnel.io.changes import read_history
from funnel.kernels import keys
from funnel.tables import Column, Findings, Schema
from funnel.tables.schema import CORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.stages import Funnel
    from funnel.tables import History
    from funnel.typing import IntArray, StringArray

__all__ = ["ROW", "FilePart", "Survey", "survey"]

ROW = "row of the source"
"""Column of distributed rows that says where each of them was."""

SAMPLE = 65_536
"""Deals that are looked for in other files: those with the lowest keys."""


@attrs.frozen(eq=False)
class FilePart:
    """A file of whole deals, and how it is to be read.

    Parameters
    ----------
    name : str
        What it is called in messages.
    path : str
        Where it is.
    how : mapping of str
        Keywords of `read_history`.
    numbered : bool
        Has it a column with the rows of the source?
    """

    name: str
    path: str
    how: Mapping[str, Any]
    numbered: bool = attrs.field(default=False, kw_only=True)

    def read(self) -> History:
        """Read the file; see `funnel.summary.Part`."""
        try:
            history = read_history(self.path, **self.how)
            if not self.numbered or not len(history.findings):
                return history
            return attrs.evolve(history, findings=moved(history.findings, self._rows()))
        except FunnelError as error:
            error.args = (f"chunk {self.name!r} cannot be read: {error.args[0]}", *error.args[1:])
            raise
        except Exception as error:
            msg = f"chunk {self.name!r} cannot be read: {type(error).__name__}: {error}"
            raise ReadError(msg) from error

    def _rows(self) -> IntArray:
        """Return the row of the source that each row comes from."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        rows: IntArray = pq.read_table(self.path, columns=[ROW]).column(ROW).to_numpy()
        return rows


@attrs.frozen(eq=False)
class Survey:
    """What must be known of all chunks before one of them is used.

    Parameters
    ----------
    names : tuple of str
        Chunks.
    funnel : Funnel
    columns : mapping of str to tuple
        Kind, ``known`` and the set of categories of each column.
    first, last : int
        Observed days.
    deals, rows : int
        How many there are.
    findings : Findings
        What was repaired.
    newest_first : tuple of str
        Chunks whose changes of one day were read from the last row to the first.
    ties : tuple of str
        Other chunks with several changes of a deal on one day.
    sample : (m,) str, (m,) uint64, (m,) int
        Some deals, their keys, ascending, and their chunks: to find deals that are in two.
    """

    names: tuple[str, ...]
    funnel: Funnel
    columns: Mapping[str, tuple[Any, Any, frozenset[str]]]
    first: int
    last: int
    deals: int
    rows: int
    findings: Findings
    newest_first: tuple[str, ...]
    ties: tuple[str, ...]
    sample: tuple[StringArray, IntArray, IntArray]

    def merge(self, other: Survey, /) -> Survey:
        """Join what is known of other chunks.

        Raises
        ------
        SchemaMismatchError
            When a column holds something else there, or a deal is in both.
        """
        return Survey(
            self.names + other.names,
            self.funnel,
            _joined(self, other),
            min(self.first, other.first),
            max(self.last, other.last),
            self.deals + other.deals,
            self.rows + other.rows,
            self.findings + other.findings,
            self.newest_first + other.newest_first,
            self.ties + other.ties,
            _sampled(self, other),
        )

    @property
    def schema(self) -> Schema:
        """The schema of all chunks, as one table of all rows would have it."""
        names = (*CORE, *sorted(self.columns.keys() - set(CORE)))
        columns = []
        for name in names:
            kind, known, categories = self.columns[name]
            columns.append(Column(name, kind, known=known, categories=tuple(sorted(categories))))
        return Schema(self.funnel, tuple(columns))

    def demand_one_order(self) -> None:
        """Raise where changes of one day would be read in two directions."""
        if self.newest_first and self.ties:
            msg = (
                f"changes of one day seem to run backwards in chunk {self.newest_first[0]!r}, and "
                f"forwards in chunk {self.ties[0]!r}. Pass seq=, a column that orders them."
            )
            raise ReadError(msg)


def survey(part: FilePart) -> Survey:
    """Read a chunk, and say what others must know of it."""
    history = part.read()
    order = history.schema.columns
    number = keys.of_names(history.ids.tolist())
    some = np.argsort(number, kind="stable")[:SAMPLE]
    same = (history.deal[1:] == history.deal[:-1]) & (history.at[1:] == history.at[:-1])
    backwards = (part.name,) if history.findings.count("newest-first") else ()
    return Survey(
        (part.name,),
        history.funnel,
        {one.name: (one.kind, one.known, frozenset(one.categories)) for one in order},
        history.observed_from,
        history.observed_until,
        history.n_deals,
        len(history),
        history.findings,
        backwards,
        (part.name,) if same.any() and not backwards else (),
        (history.ids[some], number[some], np.zeros(len(some), dtype=np.int64)),
    )


def _joined(one: Survey, two: Survey) -> dict[str, tuple[Any, Any, frozenset[str]]]:
    """Return the columns of both; a chunk without one knows nothing of it."""
    found = {**two.columns, **one.columns}
    for name in one.columns.keys() & two.columns.keys():
        (kind, known, categories), (other, _, more) = one.columns[name], two.columns[name]
        # A column that is empty throughout a chunk holds no categories, whatever it is elsewhere.
        kinds = {k for k, names in ((kind, categories), (other, more)) if k != "category" or names}
        if len(kinds) > 1:
            msg = (
                f"column {name!r} must be of one kind; it is a {kind} in chunk {one.names[0]!r} "
                f"and a {other} in chunk {two.names[0]!r}. Pass kinds={{{name!r}: ...}}."
            )
            raise SchemaMismatchError(msg, column=name)
        found[name] = (next(iter(kinds), kind), known, categories | more)
    return found


def _sampled(one: Survey, two: Survey) -> tuple[StringArray, IntArray, IntArray]:
    """Return the sample of both, after looking for deals that are in both."""
    ids, number, chunk = (np.concatenate(pair) for pair in zip(one.sample, two.sample, strict=True))
    chunk[len(one.sample[0]) :] += len(one.names)
    order = np.lexsort((ids, number))[:SAMPLE]
    ids, number, chunk = ids[order], number[order], chunk[order]
    twice = np.flatnonzero(ids[1:] == ids[:-1])
    if len(twice):
        names = one.names + two.names
        first, second = (names[chunk[twice[0] + step]] for step in (0, 1))
        msg = (
            f"each file must hold whole deals; {len(twice):,} of {len(ids):,} deals looked at are "
            f"in several (first: {str(ids[twice[0]])!r}, in {first!r} and {second!r}). Scan with "
            "partition='id', which brings the rows of a deal together."
        )
        raise SchemaMismatchError(msg, column="id", count=len(twice))
    return ids, number, chunk
