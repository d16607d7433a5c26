"""Files and dataframes as one thing: named columns that can be fetched."""

from __future__ import annotations

import collections
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from funnel.errors import MissingDependencyError, ReadError, did_you_mean
from funnel.io import _csv
from funnel.io._arrow import Arrow, arrow
from funnel.tables import Findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_PARQUET = b"PAR1"
CODED = 4
"""Bytes that a text takes at most in a column of Parquet where few occur: codes of two bytes."""

_PARQUET_NAMES = {".parquet", ".pq", ".parq"}


@attrs.frozen
class Source:
    """Something with named columns.

    Parameters
    ----------
    name : str
        What it is called in messages.
    columns : tuple of str
        Names of its columns.
    load : callable
        Positions of columns, and which of them should hold dates, to a table of pyarrow with these
        columns in this order, and what was found in reading them.
    findings : Findings
        What had to be found out to open it.
    stream : callable, optional
        Positions of columns to tables of some rows each, in their order; files have it.
    """

    name: str
    columns: tuple[str, ...]
    load: Callable[[Sequence[int], Sequence[int]], tuple[Arrow, Findings]]
    findings: Findings = attrs.field(factory=Findings.empty)
    stream: Callable[[Sequence[int]], Iterator[Arrow]] | None = None


def open_source(
    source: object, *, encoding: str | None, delimiter: str | None, whole: bool = False
) -> Source:
    """Open a path or a dataframe, and demand that it has columns with names of their own.

    With `whole`, a text file is looked through to its end, as `Source.stream` needs it.
    """
    arrow()
    if isinstance(source, str | os.PathLike):
        opened = _open_path(Path(source), encoding, delimiter, whole=whole)
    else:
        opened = _open_frame(source)
    _demand_unique(opened.name, opened.columns)
    return opened


def _demand_unique(name: str, columns: Iterable[str]) -> None:
    """Raise where two columns share a name; columns without one are left alone."""
    counts = collections.Counter(column for column in columns if column)
    twice = [column for column, count in counts.items() if count > 1]
    if twice:
        msg = (
            f"{name} must name every column once; {', '.join(map(repr, twice))} "
            f"{'is' if len(twice) == 1 else 'are'} there more than once. Rename or drop the others."
        )
        raise ReadError(msg)


def _open_path(path: Path, encoding: str | None, delimiter: str | None, *, whole: bool) -> Source:
    """Open a file by what it holds."""
    name = repr(path.name or str(path))
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
        if magic == _PARQUET or path.suffix.lower() in _PARQUET_NAMES:
            return _open_parquet(path, name)
        return _open_csv(path, name, encoding, delimiter, whole=whole)
    except FileNotFoundError as error:
        raise ReadError(_not_there(path)) from error
    except IsADirectoryError as error:
        msg = f"{name} is a directory, not a file. Name one CSV or Parquet file in it."
        raise ReadError(msg) from error
    except PermissionError as error:
        msg = f"{name} may not be read by this user. Ask for permission to read it."
        raise ReadError(msg) from error
    except ReadError:
        raise
    except (OSError, ValueError) as error:
        msg = f"{name} cannot be read: {str(error).splitlines()[0]:.200}"
        raise ReadError(msg) from error


def _not_there(path: Path) -> str:
    """Say that there is no such file, and which ones come close."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}."
    there = folder.iterdir() if os.access(folder, os.R_OK) else ()
    names = sorted(entry.name for entry in there)
    hint = did_you_mean(path.name, names) if names else ""
    return f"there is no file {path.name!r} in {str(folder)!r}. {hint}".rstrip()


def _open_csv(
    path: Path, name: str, encoding: str | None, delimiter: str | None, *, whole: bool
) -> Source:
    """Open a text file."""
    file = (_csv.looked_through if whole else _csv.open_text)(path, name, encoding)
    columns, between = _csv.header(file, delimiter)

    def told(found: _csv.TextFile) -> Findings:
        """Say that a file is in another encoding."""
        if encoding is not None or found.encoding == "utf8":
            return Findings.empty()
        action = f"read as {found.encoding}"
        return Findings.empty().add("file", "not-utf-8", action, [-1], [path.name])

    def load(positions: Sequence[int], dates: Sequence[int]) -> tuple[Arrow, Findings]:
        """Parse some columns."""
        table, read = _csv.read_columns(file, positions, len(columns), between, dates=dates)
        return table, Findings.empty() if read is file else told(read)

    def stream(positions: Sequence[int]) -> Iterator[Arrow]:
        """Parse some columns, block by block."""
        return _csv.stream_columns(file, positions, len(columns), between)

    return Source(name, columns, load, told(file), stream)


def _open_parquet(path: Path, name: str) -> Source:
    """Open a Parquet file."""
    pa = arrow()
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    def explained(error: Exception) -> ReadError:
        """Return one sentence for what pyarrow said."""
        return ReadError(f"{name} is no readable Parquet file: {str(error).splitlines()[0]:.200}")

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise explained(error) from error
    columns = tuple(file.schema_arrow.names)

    def load(positions: Sequence[int], _: Sequence[int]) -> tuple[Arrow, Findings]:
        """Read some columns, texts of which few occur as codes."""
        try:
            coded = pq.ParquetFile(
                path, metadata=file.metadata, read_dictionary=_few(file.metadata)
            )
            table = coded.read(columns=[columns[position] for position in positions])
        except (pa.ArrowException, OSError) as error:
            raise explained(error) from error
        return table.select([columns[position] for position in positions]), Findings.empty()

    def stream(positions: Sequence[int]) -> Iterator[Arrow]:
        """Read some columns, batch by batch."""
        wanted = [columns[position] for position in positions]
        try:
            for batch in file.iter_batches(columns=wanted):
                yield pa.table(batch).select(wanted)
        except (pa.ArrowException, OSError) as error:
            raise explained(error) from error

    return Source(name, columns, load, stream=stream)


def _few(metadata: Arrow) -> list[str]:
    """Return the columns of a Parquet file in which few values occur, by the bytes they take."""
    rows = metadata.num_rows
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    found = []
    for place in range(metadata.num_columns):
        size = sum(group.column(place).total_uncompressed_size for group in groups)
        if size < CODED * rows:
            found.append(metadata.schema.column(place).path)
    return found


def _open_frame(source: object) -> Source:
    """Open a dataframe of any library that narwhals knows."""
    pa = arrow()
    try:
        import narwhals as nw  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingDependencyError("narwhals", "frames") from error
    kind = type(source).__name__
    native: Any = source
    try:
        frame = nw.from_native(native)
        columns = tuple(frame.collect_schema().names())
    except TypeError as error:
        msg = f"a source must be a path or a dataframe, got {source!r:.60} of type {kind}."
        raise ReadError(msg) from error
    except nw.exceptions.NarwhalsError as error:
        msg = f"the {kind} must name every column once: {' '.join(str(error).split()):.200}"
        raise ReadError(msg) from error

    def load(positions: Sequence[int], _: Sequence[int]) -> tuple[Arrow, Findings]:
        """Fetch some columns."""
        part = frame.select([columns[position] for position in positions])
        eager = part.collect() if isinstance(part, nw.LazyFrame) else part
        try:
            return eager.to_arrow(), Findings.empty()
        except pa.ArrowException as error:
            msg = (
                f"the {kind} must have columns of one type each: {error.args[-1]}. "
                "Convert them first."
            )
            raise ReadError(msg) from error

    return Source(f"the {kind}", tuple(map(str, columns)), load)
