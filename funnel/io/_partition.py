"""Rows of files distributed by the id of their deal, in one pass and bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import ReadError
from funnel.io._arrow import Arrow, arrow, encode, plain, spelt, to_text
from funnel.io._columns import places
from funnel.io._parts import ROW
from funnel.kernels import keys
from funnel.tables import Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from funnel.io._source import Source
    from funnel.typing import IntArray

    Wishes = Callable[[Source], tuple[dict[str, str], dict[str, tuple[str, ...]]]]

__all__ = ["distribute"]

HELD = 64 * 2**20
"""Bytes of rows that are held before they are written."""


def distribute(
    sources: Sequence[Source], wishes: Wishes, count: int, folder: Path
) -> tuple[list[Path], Findings]:
    """Write the columns of a change log to `count` files, all rows of a deal to one of them.

    Where a row goes depends on its deal's id alone; the order of rows is kept. A file in which no
    row would be is not written.
    """
    chosen = [_chosen(source, wishes) for source in sources]
    findings = sum((found for *_, found in chosen), Findings.empty())
    wanted = _one_schema(sources, chosen)
    buckets = _Buckets(folder, count, wanted)
    row = 0
    try:
        for source, (headers, positions, id_header, _) in zip(sources, chosen, strict=True):
            for table in _tables(source, headers, positions):
                fitting = _cast(table, wanted, source.name)
                place = _bucket(fitting.column(id_header), id_header, count)
                rows = arrow().array(np.arange(row, row + len(place)))
                buckets.add(fitting.append_column(ROW, rows), place)
                row += len(place)
    finally:
        buckets.close()
    if not row:
        msg = f"{sources[0].name} has a header and no rows."
        raise ReadError(msg)
    return buckets.written(), findings


def _chosen(source: Source, wishes: Wishes) -> tuple[list[str], list[int], str, Findings]:
    """Return headers as they were asked for, where they are, that of the id, and findings."""
    wanted, offered = wishes(source)
    positions, findings = places(source, wanted, offered)
    headers = {
        wanted.get(name, source.columns[position]): position for name, position in positions.items()
    }
    id_header = wanted.get("id", source.columns[positions["id"]])
    return list(headers), list(headers.values()), id_header, findings


def _tables(source: Source, headers: list[str], positions: list[int]) -> Iterator[Arrow]:
    """Yield the rows of a file, some at a time, under the headers that were asked for."""
    distinct = list(dict.fromkeys(positions))
    for table in source.stream(distinct) if source.stream else ():
        columns = [
            spelt(plain(table.column(distinct.index(position)), header))
            for header, position in zip(headers, positions, strict=True)
        ]
        yield arrow().table(dict(zip(headers, columns, strict=True)))


def _one_schema(sources: Sequence[Source], chosen: Sequence[Any]) -> Arrow:
    """Return types that hold the columns of all files, from their first rows."""
    pa = arrow()
    schemas = []
    for source, (headers, positions, *_) in zip(sources, chosen, strict=True):
        schemas += [table.schema for table in _first(_tables(source, headers, positions))]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        msg = f"columns must be of one type in all files: {str(error).splitlines()[0]:.200}"
        raise ReadError(msg) from error


def _first(tables: Iterator[Arrow]) -> Iterator[Arrow]:
    """Yield the first of some tables, if there is one."""
    for table in tables:
        yield table
        return


def _cast(table: Arrow, schema: Arrow, name: str) -> Arrow:
    """Return a table with all columns of the schema, in its types."""
    pa = arrow()
    try:
        for field in schema:
            if field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(len(table), field.type))
        return table.select(schema.names).cast(schema)
    except pa.ArrowException as error:
        msg = f"{name} has columns of other types: {str(error).splitlines()[0]:.200}"
        raise ReadError(msg) from error


def _bucket(ids: Arrow, header: str, count: int) -> IntArray:
    """(n,) -> (n,): the bucket of each row; that of rows without an id is the first."""
    texts = arrow().compute.utf8_trim_whitespace(to_text(spelt(plain(ids, header))))
    codes, distinct = encode(texts)
    found = keys.of_names(distinct.to_pylist()) % np.uint64(count)
    return np.append(found.astype(np.int64), 0)[codes]


class _Buckets:
    """Files that rows are added to; what is added is held until it is worth a write."""

    def __init__(self, folder: Path, count: int, schema: Arrow) -> None:
        pa = arrow()
        self._paths = [folder / f"chunk-{number:04d}.parquet" for number in range(count)]
        self._schema = schema.append(pa.field(ROW, pa.int64()))
        self._writers: dict[int, Any] = {}
        self._held: list[list[Arrow]] = [[] for _ in range(count)]
        self._bytes = 0

    def add(self, table: Arrow, place: IntArray) -> None:
        """Add rows, each to its bucket."""
        order = np.argsort(place, kind="stable")
        sorted_rows = table.take(arrow().array(order))
        ends = np.searchsorted(place[order], np.arange(len(self._held) + 1))
        for number in np.unique(place).tolist():
            begin, end = int(ends[number]), int(ends[number + 1])
            self._held[number].append(sorted_rows.slice(begin, end - begin))
        self._bytes += sorted_rows.nbytes
        if self._bytes > HELD:
            self._flush()

    def _flush(self) -> None:
        """Write what is held."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

        for number, tables in enumerate(self._held):
            if tables:
                if number not in self._writers:
                    path = str(self._paths[number])
                    self._writers[number] = pq.ParquetWriter(path, self._schema)
                self._writers[number].write_table(arrow().concat_tables(tables))
                tables.clear()
        self._bytes = 0

    def close(self) -> None:
        """Write the rest."""
        self._flush()
        for writer in self._writers.values():
            writer.close()

    def written(self) -> list[Path]:
        """Return the files that hold rows."""
        return [self._paths[number] for number in sorted(self._writers)]
