"""Change logs that do not fit into memory: chunks of whole deals, read when they are needed."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import attrs

from funnel._progress import shown
from funnel.calendars import to_date
from funnel.errors import ValidationError
from funnel.io._partition import distribute
from funnel.io._parts import FilePart, Survey, survey
from funnel.io._paths import files_of, named
from funnel.io._saved import is_saved, saved_parts
from funnel.summary import merge_all
from funnel.tables import Findings

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from funnel.io._amounts import Decimal
    from funnel.io.changes import Layout
    from funnel.stages import Funnel
    from funnel.summary import Part
    from funnel.tables import History, Schema
    from funnel.tables.schema import Kind, Known
    from funnel.typing import DateLike

__all__ = ["Partition", "Scan", "scan"]

Partition = Literal["id", "files"]
"""How deals come into chunks: by a hash of their id, or as they are, each file being a chunk."""

CHUNK = 64 * 2**20
"""Bytes of text that make a chunk, unless the number of chunks is given."""

PACKED = 4
"""How much more a compressed or Parquet file holds, about."""

MOST = 512
"""Chunks that rows are distributed to at once, each being an open file."""

PLAIN = {".csv", ".tsv", ".txt"}


@attrs.frozen(eq=False, repr=False, slots=False)
class Scan:
    """A change log as chunks of whole deals, which are read each time they are gone through.

    It is a source for every ``fit``, for `funnel.forecast`, `funnel.backtest` and the metrics.
    Memory holds one chunk at a time, and with an executor one for each worker: a part travels to it
    as the place where it is.

    Parameters
    ----------
    parts : tuple of Part
        The chunks, not read.
    schema : Schema
        Funnel and columns; the categories of all chunks.
    observed_from, observed_until : int
        First and last observed day.
    n_deals, n_rows : int
        How many deals and changes there are.
    findings : Findings
        What was repaired; rows are those of the file where each file is a chunk, otherwise they are
        counted through all files.
    progress : bool or callable
        A bar on the terminal for each pass over the chunks, or a function of the number done and of
        all.

    Examples
    --------
    See `scan`.
    """

    parts: tuple[Part, ...]
    schema: Schema
    observed_from: int
    observed_until: int
    n_deals: int
    n_rows: int
    findings: Findings
    progress: bool | Callable[[int, int], None] = False

    def __iter__(self) -> Iterator[History]:
        """Read one chunk after the other.

        Raises
        ------
        ReadError
            When one cannot be read; the message names it.
        """
        return (part.read() for part in self.parts)

    def __len__(self) -> int:
        """Return the number of chunks."""
        return len(self.parts)

    def __repr__(self) -> str:
        """Return one line."""
        first, last = to_date(self.observed_from), to_date(self.observed_until)
        return (
            f"Scan({len(self):,} chunks, {self.n_deals:,} deals, {self.n_rows:,} rows, "
            f"{first} to {last})"
        )


def scan(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    partition: Partition = "id",
    chunks: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    progress: bool | Callable[[int, int], None] = False,
    funnel: Funnel | None = None,
    layout: Layout = "states",
    preset: str | None = None,
    id: str | None = None,
    stage: str | None = None,
    at: str | None = None,
    seq: str | None = None,
    amount: str | None = None,
    currency: str | None = None,
    currency_code: str | None = None,
    created: str | None = None,
    stage_entered: str | None = None,
    expected_close: str | None = None,
    attributes: Sequence[str] | Mapping[str, str] = (),
    field: str | None = None,
    old: str | None = None,
    new: str | None = None,
    fields: Mapping[str, str | None] | None = None,
    kinds: Mapping[str, Kind] | None = None,
    known: Mapping[str, Known] | None = None,
    schema: Schema | None = None,
    decimal: Decimal | None = None,
    day_first: bool | None = None,
    timezone: str = "UTC",
    source_timezone: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    observed_from: DateLike | None = None,
    observed_until: DateLike | None = None,
    strict: bool = False,
) -> Scan:
    """Open a change log of any size: chunks of whole deals with one schema.

    Parameters
    ----------
    source : path or sequence of paths
        A CSV or Parquet file, several of them, or a folder with such files (a Parquet dataset); or
        histories that were saved (`History.save`), which need none of the keywords below.
        Within folders, what begins with ``.`` or ``_`` is left alone.
    partition : {"id", "files"}
        ``"id"``: rows are distributed to chunks by a hash of their deal's id, in one pass over the
        source; the rows of a deal may stand anywhere. ``"files"``: each file holds whole deals and
        is a chunk where it is; nothing is written. That no deal is in two files is checked on
        65,536 deals.
    chunks : int, optional
        To how many chunks rows are distributed; by default a chunk is about 64 MiB of text.
    folder : path, optional
        Where the distributed rows are kept, an empty folder; workers must see it under this path.
        By default a temporary folder, which goes when the scan does.
    executor : concurrent.futures.Executor, optional
        Where rows are distributed, some files by each worker, and chunks are looked through.
    progress : bool or callable
        A bar on the terminal (where ``rich`` is installed and the output is one), or a function of
        the number of chunks done and of all, for this and for each later pass.
    funnel, layout, preset, id, stage, at, seq, amount, currency, currency_code, created
        As in `funnel.io.read_history`.
    stage_entered, expected_close, attributes, field, old, new, fields, kinds, known, schema
        As in `funnel.io.read_history`.
    decimal, day_first, timezone, source_timezone, encoding, delimiter
        As in `funnel.io.read_history`.
    observed_from, observed_until, strict
        As in `funnel.io.read_history`; the days of all chunks by default.

    Returns
    -------
    Scan
        The same deals that `read_history` would find in all rows together.

    Raises
    ------
    ReadError, UnknownColumnError, UnknownStageError, ValidationError, MissingDependencyError
        As `read_history`, naming the chunk.
    SchemaMismatchError
        When a column is of several kinds, or with ``partition="files"`` a deal is in two files.

    Notes
    -----
    All chunks are read once to learn what they share: the categories, the days observed, and what
    was repaired. Later passes read them again. A temporary folder needs as much room as the columns
    that are read, compressed.

    What a column shows of itself (day or month first, decimal comma) must be shown by each chunk:
    pass `day_first` or `decimal` where a chunk is refused for it.

    Examples
    --------
    >>> import tempfile
    >>> import funnel as fn
    >>> import pandas as pd
    >>> changes = pd.DataFrame({
    ...     "deal": ["A", "C", "A", "A"],
    ...     "stage": ["Qualify", "Qualify", "Propose", "Won"],
    ...     "day": ["2026-01-05", "2026-02-01", "2026-01-20", "2026-02-10"],
    ...     "amount": [100, 80, 120, 120],
    ... })
    >>> folder = tempfile.TemporaryDirectory()
    >>> changes.to_parquet(f"{folder.name}/changes.parquet")
    >>> source = fn.scan(
    ...     folder.name, chunks=2, funnel=fn.Funnel(["Qualify", "Propose"]),
    ...     id="deal", stage="stage", at="day", amount="amount",
    ... )
    >>> source
    Scan(2 chunks, 2 deals, 4 rows, 2026-01-05 to 2026-02-10)
    >>> fn.History.concat(source)
    History(2 deals, 4 rows, 2026-01-05 to 2026-02-10, 1 open, 1 won, 0 lost)
    >>> folder.cleanup()
    """
    given = dict(locals())
    how = {name: given[name] for name in given if name not in _OWN}
    if partition not in get_args(Partition):
        raise ValidationError.from_value("partition", "must be 'id' or 'files'", partition, "")
    paths, temporary = files_of(source), None
    if all(map(is_saved, paths)):
        return _saved(paths, progress)
    try:
        if partition == "files":
            parts = tuple(FilePart(name, str(path), how) for name, path in named(paths))
            findings = Findings.empty()
        else:
            kept = _folder(folder)
            temporary = kept if folder is None else None
            parts, findings = _distributed(paths, how, chunks, kept, executor)
        found = _survey(parts, executor, progress)
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    opened = _opened(parts, found, findings, progress)
    if temporary is not None:
        weakref.finalize(opened, shutil.rmtree, temporary, ignore_errors=True)
    return opened


def _saved(
    paths: Sequence[Path],
    progress: bool | Callable[[int, int], None],  # noqa: FBT001 - as `scan` takes it
) -> Scan:
    """Open histories that were saved: they know schema and days, and nothing is looked through."""
    parts, opened = saved_parts(named(paths))
    first = opened[0]
    return Scan(
        parts,
        first.schema,
        first.observed_from,
        first.observed_until,
        sum(one.n_deals for one in opened),
        sum(map(len, opened)),
        sum((one.findings for one in opened), Findings.empty()),
        progress,
    )


_OWN = frozenset({"source", "partition", "chunks", "folder", "executor", "progress"})
"""What is no keyword of `read_history`."""


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    """Return an empty folder to write to."""
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="funnel-"))
    found = Path(folder)
    found.mkdir(parents=True, exist_ok=True)
    if any(found.iterdir()):
        raise ValidationError.from_value(
            "folder", "must be empty", str(folder), "Name another one, or remove what is in it."
        )
    return found


def _distributed(
    paths: Sequence[Path],
    how: Mapping[str, Any],
    chunks: int | None,
    folder: Path,
    executor: Executor | None,
) -> tuple[tuple[FilePart, ...], Findings]:
    """Distribute rows to files by the id of their deal."""
    count = _count(paths) if chunks is None else chunks
    _at_most("chunks", count, MOST)
    written, findings = distribute(paths, how, count, folder, executor)
    again = {**how, "encoding": None, "delimiter": None}
    parts = (FilePart(path.name, str(path), again, numbered=True) for path in written)
    return tuple(parts), findings


def _count(paths: Sequence[Path]) -> int:
    """Return how many chunks files of these sizes make."""
    size = sum(
        path.stat().st_size * (1 if path.suffix.lower() in PLAIN else PACKED)
        for path in paths
        if path.is_file()
    )
    return min(max(-(-size // CHUNK), 1), MOST)


def _at_most(name: str, value: object, most: int) -> None:
    """Demand a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        rule = f"must be a whole number from 1 to {most}"
        raise ValidationError.from_value(name, rule, value, "")


def _survey(
    parts: Sequence[FilePart],
    executor: Executor | None,
    progress: bool | Callable[[int, int], None],  # noqa: FBT001 - as `scan` takes it
) -> Survey:
    """Read all chunks once, and learn what they share."""
    found = map(survey, parts) if executor is None else executor.map(survey, parts)
    return merge_all(shown(found, len(parts), progress, "Looking through chunks"))


def _opened(
    parts: Sequence[FilePart],
    found: Survey,
    findings: Findings,
    progress: bool | Callable[[int, int], None],  # noqa: FBT001 - as `scan` takes it
) -> Scan:
    """Return chunks that share schema and window."""
    if parts[0].numbered:
        found.demand_one_order()
    shared = {
        **parts[0].how,
        "schema": parts[0].how["schema"] or found.schema,
        "observed_from": to_date(found.first),
        "observed_until": to_date(found.last),
    }
    return Scan(
        tuple(attrs.evolve(part, how=shared) for part in parts),
        shared["schema"],
        found.first,
        found.last,
        found.deals,
        found.rows,
        findings + found.findings,
        progress,
    )
