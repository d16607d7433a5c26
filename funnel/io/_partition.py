"""Rows of files distributed by the id of their deal, in one pass and bounded memory."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from funnel.errors import ReadError
from funnel.io import presets
from funnel.io._arrow import Arrow, arrow, encode, plain, spelt, to_text
from funnel.io._columns import places
from funnel.io._parts import ROW
from funnel.io._sheet import wishes
from funnel.io._source import open_source
from funnel.io.changes import HEADERS, needed
from funnel.kernels import keys
from funnel.tables import Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from funnel.io._source import Source
    from funnel.typing import IntArray

    How = Mapping[str, Any]
    Run = Callable[..., Iterator[Any]]

__all__ = ["distribute"]

HELD = 64 * 2**20
"""Bytes of rows that are held before they are written."""

TASK = 2**29
"""Bytes of files that a worker distributes at least: each makes a file for each chunk."""


def distribute(
    paths: Sequence[Path], how: How, count: int, folder: Path, executor: Executor | None
) -> tuple[list[Path], Findings]:
    """Write the columns of a change log to `count` files, all rows of a deal to one of them.

    Where a row goes depends on its deal's id alone; the order of rows is kept. A file in which no
    row would be is not written. With an executor, its workers distribute some files each, and join
    what they have made of them; `folder` is one that all see.
    """
    run = map if executor is None else executor.map
    opened = list(run(functools.partial(_first_rows, how=how), paths))
    schema = _one_schema([types for types, _ in opened if types is not None])
    tasks = [list(paths)] if executor is None else _tasks(paths)
    folders = [folder if len(tasks) == 1 else folder / f"{at:04d}" for at in range(len(tasks))]
    for some in folders:
        some.mkdir(exist_ok=True)
    written = list(
        run(functools.partial(_write, how=how, schema=schema, count=count), tasks, folders)
    )
    if not sum(rows for rows, _ in written):
        msg = f"{paths[0].name!r} has a header and no rows."
        raise ReadError(msg)
    found = written[0][1]
    if len(tasks) > 1:
        found = _joined(written, folder, run)
        for some in folders:
            some.rmdir()
    return found, sum((findings for _, findings in opened), Findings.empty())


def _tasks(paths: Sequence[Path]) -> list[list[Path]]:
    """Return files that stand together, as many as are worth a task."""
    tasks: list[list[Path]] = [[]]
    size = 0
    for path in paths:
        if size >= TASK:
            tasks.append([])
            size = 0
        tasks[-1].append(path)
        size += path.stat().st_size
    return tasks


class _Opened(NamedTuple):
    """A file, headers as they were asked for, where they are, that of the id, and findings."""

    source: Source
    headers: list[str]
    positions: list[int]
    id_header: str
    findings: Findings

    @classmethod
    def of(cls, path: Path, how: How) -> _Opened:
        """Open a file, and find the columns that are asked for."""
        options = {name: how[name] for name in ("encoding", "delimiter")}
        source = open_source(path, **options, whole=True)
        wanted, offered = wishes(
            source,
            {name: how[name] for name in HEADERS},
            how["attributes"],
            presets.find(how["preset"], how["layout"]),
            needed=needed(how["layout"]),
            reader="read_history",
        )
        positions, findings = places(source, wanted, offered)
        headers = {
            wanted.get(name, source.columns[position]): position
            for name, position in positions.items()
        }
        id_header = wanted.get("id", source.columns[positions["id"]])
        return cls(source, list(headers), list(headers.values()), id_header, findings)

    def tables(self) -> Iterator[Arrow]:
        """Yield the rows, some at a time, under the headers that were asked for."""
        stream, distinct = self.source.stream, list(dict.fromkeys(self.positions))
        for table in stream(distinct) if stream else ():
            columns = [
                spelt(plain(table.column(distinct.index(position)), header))
                for header, position in zip(self.headers, self.positions, strict=True)
            ]
            yield arrow().table(dict(zip(self.headers, columns, strict=True)))


def _first_rows(path: Path, *, how: How) -> tuple[Arrow | None, Findings]:
    """Return types of the first rows of a file, None where it has none, and what was found."""
    opened = _Opened.of(path, how)
    types = next((table.schema for table in opened.tables()), None)
    return types, opened.findings


def _write(
    paths: Sequence[Path], folder: Path, *, how: How, schema: Arrow, count: int
) -> tuple[int, list[Path]]:
    """Distribute the rows of some files; return their number, and the files that hold them."""
    if not folder.is_dir():
        msg = (
            f"the folder {str(folder)!r} is not there where rows are distributed. Pass folder=, an "
            "empty one that all workers see under this path."
        )
        raise ReadError(msg)
    buckets, row = _Buckets(folder, count, schema), 0
    try:
        for path in paths:
            opened = _Opened.of(path, how)
            for table in opened.tables():
                fitting = _cast(table, schema, opened.source.name)
                place = _bucket(fitting.column(opened.id_header), opened.id_header, count)
                rows = arrow().array(np.arange(row, row + len(place)))
                buckets.add(fitting.append_column(ROW, rows), place)
                row += len(place)
    finally:
        buckets.close()
    return row, buckets.written()


def _joined(written: Sequence[tuple[int, list[Path]]], folder: Path, run: Run) -> list[Path]:
    """Join what several tasks wrote of each chunk."""
    pieces: dict[str, list[tuple[Path, int]]] = {}
    before = 0
    for rows, paths in written:
        for path in paths:
            pieces.setdefault(path.name, []).append((path, before))
        before += rows
    names = sorted(pieces)
    targets = [folder / name for name in names]
    return list(run(_join, [pieces[name] for name in names], targets))


def _join(pieces: Sequence[tuple[Path, int]], target: Path) -> Path:
    """Write pieces of a chunk, in the order of the source, as one file; they go."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    tables = []
    for path, before in pieces:
        table = pq.read_table(path)
        rows = arrow().compute.add(table.column(ROW), before)
        tables.append(table.set_column(table.num_columns - 1, ROW, rows))
    pq.write_table(arrow().concat_tables(tables), target)
    for path, _ in pieces:
        path.unlink()
    return target


def _one_schema(schemas: Sequence[Arrow]) -> Arrow:
    """Return types that hold the columns of all files, given those of their first rows."""
    pa = arrow()
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        msg = f"columns must be of one type in all files: {str(error).splitlines()[0]:.200}"
        raise ReadError(msg) from error


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
