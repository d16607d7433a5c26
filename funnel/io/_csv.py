"""Text files: what they are made of, their header, and their columns as texts.

The parser reads every column as text, so that nothing is turned into something else unseen. A file
whose first block looks so is taken for UTF-8, and the parser stops where that is wrong. Then, and
where the first block tells otherwise or lines end in quotation marks, the file is looked through:
binary data, endless lines and other encodings are refused or found in bounded memory.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
import numpy as np

from funnel.errors import ReadError
from funnel.io._arrow import Arrow, arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from funnel.typing import BoolArray

BLOCK = 1 << 22
"""Bytes looked at and parsed at a time; no line may be longer."""

HEADER = 1 << 16
"""Bytes in which the header line ends, if it is not longer than any that was ever seen."""

SMALL = 1 << 20
"""Bytes parsed at a time, or searched, where lines are of the usual length: they stay in the cache.
"""

DELIMITERS = (",", ";", "\t", "|")

_GZIP = b"\x1f\x8b"
_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook; save the sheet as CSV UTF-8"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV UTF-8"),
    (b"SQLite format 3\x00", "an SQLite database; export the table as CSV or Parquet"),
    (b"%PDF", "a PDF document; export the table as CSV"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it, or compress it with gzip"),
    (b"BZh", "compressed with bzip2; unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "compressed with xz; unpack it, or compress it with gzip"),
    (codecs.BOM_UTF16_LE, "text in UTF-16; pass encoding='utf-16'"),
    (codecs.BOM_UTF16_BE, "text in UTF-16; pass encoding='utf-16'"),
)
_RAGGED = re.compile(r"(?:Row #(\d+): )?Expected \d+ columns, got (\d+): (.*)", re.DOTALL)
_PAIRS = re.compile(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]")


@attrs.frozen
class TextFile:
    """A text file that was looked through.

    Parameters
    ----------
    path : Path
        Where it is.
    name : str
        What it is called in messages.
    head : bytes
        Its beginning, at most one block.
    encoding : str
        Of its text.
    wrapped : bool
        Whether lines end within quotation marks.
    content : bytes or None
        The unpacked content of a compressed file; None where the file can be read as it is.
    sure : bool
        Whether all of it was looked through, and not only its first block.
    """

    path: Path
    name: str
    head: bytes
    encoding: str
    wrapped: bool
    content: bytes | None
    sure: bool = True


def _blocks(path: Path, name: str, size: int) -> Iterator[bytes]:
    """Yield the content of a file block by block, unpacked."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
        raw.seek(0)
        stream: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            while block := stream.read(size):
                yield block
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            msg = f"{name} is a damaged or cut-off gzip file ({error}). Copy it again."
            raise ReadError(msg) from error


def open_text(path: Path, name: str, encoding: str | None) -> TextFile:
    """Open a text file by its first block where that is plain UTF-8, else look it through."""
    with path.open("rb") as raw:
        head = raw.read(BLOCK)
    plain = encoding is None and head.strip() and not head.startswith(_GZIP) and b"\0" not in head
    if plain and (b"\n" in head or len(head) < BLOCK):
        _refuse_binary(head, name, explicit=False)
        if _is_utf8(codecs.getincrementaldecoder("utf-8")(), head):
            return TextFile(path, name, head, "utf8", wrapped=False, content=None, sure=False)
    return looked_through(path, name, encoding)


def looked_through(path: Path, name: str, encoding: str | None) -> TextFile:
    """Look a text file through: refuse what is no table, find encoding and quotation marks."""
    with path.open("rb") as raw:
        packed = raw.read(2) == _GZIP
    known = None if encoding is None else _codec(encoding)
    wide = known is not None and "a".encode(known) != b"a"
    decoder = codecs.getincrementaldecoder("utf-8")()
    kept, head, carried, odd, wrapped, other = [], b"", 0, 0, False, b""
    for block in _blocks(path, name, BLOCK):
        if not head:
            head = block
            _refuse_binary(head, name, explicit=wide)
        if b"\0" in block and not wide:
            msg = f"{name} holds NUL bytes: it is no text. Export the table as CSV or Parquet."
            raise ReadError(msg)
        carried = _longest(block, carried, name)
        if not wrapped:
            odd, wrapped = _quotes(block, odd)
        if known is None and not other and not _is_utf8(decoder, block):
            other = block
        if packed:
            kept.append(block)
    if not head.strip():
        msg = f"{name} is empty. It must have a header line and rows."
        raise ReadError(msg)
    if known is None:
        known = _guess(other, name) if other else "utf8"
    return TextFile(path, name, head, known, wrapped, b"".join(kept) if packed else None)


def _codec(encoding: str) -> str:
    """Return the name of an encoding as pyarrow takes it."""
    try:
        name = codecs.lookup(encoding).name
        "a".encode(name)
    except (LookupError, TypeError) as error:
        msg = f"encoding must be one that Python knows, got {encoding!r}, for instance 'cp1252'."
        raise ReadError(msg) from error
    return "utf8" if name in {"utf-8", "utf-8-sig", "ascii"} else name


def _refuse_binary(head: bytes, name: str, *, explicit: bool) -> None:
    """Raise for files whose first bytes tell that they are something else."""
    for magic, what in _MAGIC:
        if head.startswith(magic) and not explicit:
            msg = f"{name} is {what}."
            raise ReadError(msg)


def _longest(block: bytes, carried: int, name: str) -> int:
    """Return how far the last line reaches, after refusing endless ones."""
    first, last = block.find(b"\n"), block.rfind(b"\n")
    if carried + (len(block) if first < 0 else first) > BLOCK:
        msg = (
            f"{name} has a line of more than {BLOCK >> 20} MiB: it is no table, or its lines do "
            "not end where they should. Export it again with one row a line."
        )
        raise ReadError(msg)
    return carried + len(block) if last < 0 else len(block) - last - 1


def _quotes(block: bytes, odd: int) -> tuple[int, bool]:
    """Return whether an odd number of quotes came so far, and whether one had before a line end."""
    if b'"' not in block:
        return odd, bool(odd) and b"\n" in block
    codes = np.frombuffer(block, dtype=np.uint8)
    # One bit a byte: whether the quotes up to it are odd, within each word and then before it.
    inside = _bits(codes == ord('"'))
    for shift in (1, 2, 4, 8, 16, 32):
        inside ^= inside << np.uint64(shift)
    whole = np.bitwise_xor.accumulate(inside >> np.uint64(63)) ^ np.uint64(odd)
    before = np.append(np.uint64(odd), whole[:-1])
    inside ^= np.uint64(0) - before
    return int(whole[-1]), bool((inside & _bits(codes == ord("\n"))).any())


def _bits(marked: BoolArray) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """(n,) -> (n / 64,): marks as bits, the first one the lowest."""
    bits = np.zeros(-(-len(marked) // 64), dtype="<u8")
    bits.view(np.uint8)[: -(-len(marked) // 8)] = np.packbits(marked, bitorder="little")
    return bits


def _wraps(file: TextFile) -> bool:
    """Tell whether a line ends within quotation marks: a parser that cuts there reads nonsense."""
    odd = 0
    for block in _blocks(file.path, file.name, SMALL):
        odd, wrapped = _quotes(block, odd)
        if wrapped:
            return True
    return bool(odd)


def _is_utf8(decoder: codecs.IncrementalDecoder, block: bytes) -> bool:
    """Tell whether the text goes on in UTF-8."""
    if block.isascii():
        # A character that was begun in the block before would need another byte first.
        return decoder.getstate()[0] == b""
    try:
        decoder.decode(block)
    except UnicodeDecodeError:
        return False
    return True


def _guess(block: bytes, name: str) -> str:
    """Return GB18030 for bytes that look like it; other encodings must be named."""
    pairs = _PAIRS.findall(block)
    # Chinese text is written in pairs of high bytes; in western text a high byte stands alone,
    # and the one after it is an ordinary letter.
    if not pairs or sum(pair[1] < 0x80 for pair in pairs) * 3 > len(pairs):
        msg = (
            f"{name} is text neither in UTF-8 nor, by the look of it, in GB18030. "
            "Pass encoding=, for instance 'cp1252' for western European text."
        )
        raise ReadError(msg)
    return "gb18030"


def header(file: TextFile, delimiter: str | None) -> tuple[tuple[str, ...], str]:
    """Return the names of the columns, and the delimiter: the one that makes most columns."""
    decoder = codecs.getincrementaldecoder(file.encoding)(errors="replace")
    head = file.head[:HEADER] if b"\n" in file.head[:HEADER] else file.head
    text = decoder.decode(head).removeprefix("\ufeff")
    if delimiter is not None and len(delimiter) != 1:
        msg = f"delimiter must be one character, got {delimiter!r}."
        raise ReadError(msg)
    found = {}
    for candidate in DELIMITERS if delimiter is None else (delimiter,):
        try:
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=candidate)
            found[candidate] = next(filter(None, rows))
        except (csv.Error, StopIteration) as error:
            msg = f"{file.name} has no readable header line ({error})."
            raise ReadError(msg) from error
    if len(file.head) < BLOCK and "\n" not in text.strip() and "\r" not in text.strip():
        msg = f"{file.name} has a header and no rows."
        raise ReadError(msg)
    best = max(found, key=lambda candidate: len(found[candidate]))
    return tuple(cell.strip() for cell in found[best]), best


def read_columns(
    file: TextFile,
    positions: Sequence[int],
    width: int,
    delimiter: str,
    *,
    dates: Sequence[int] = (),
) -> tuple[Arrow, TextFile]:
    """Return some columns as texts, named by their position in the header, and what the file is.

    Those of `dates` are dates, where all are clean ISO dates.
    """
    pa = arrow()
    columns = _Columns(tuple(positions), width, delimiter)
    if not file.sure and not _wraps(file):
        for typed in (columns._replace(dates=tuple(dates)), columns) if dates else (columns,):
            try:
                return _parse(file, typed, block=SMALL), file
            except (pa.ArrowInvalid, UnicodeError):
                pass  # what is wrong is found out below
    if not file.sure:
        file = looked_through(file.path, file.name, None)
    try:
        return _parse(file, columns, block=BLOCK), file
    except (pa.ArrowInvalid, UnicodeError) as error:
        if _RAGGED.search(str(error)):  # rows are numbered only where one thread reads them
            try:
                return _parse(file, columns, block=BLOCK, threads=False), file
            except pa.ArrowInvalid as numbered:
                raise _explained(file, numbered, width) from numbered
        raise _explained(file, error, width) from error


def stream_columns(
    file: TextFile, positions: Sequence[int], width: int, delimiter: str
) -> Iterator[Arrow]:
    """Yield some columns as texts, a block of rows at a time."""
    pa = arrow()
    import pyarrow.csv as pv  # noqa: PLC0415 - an extra

    try:
        columns = _Columns(tuple(positions), width, delimiter)
        content, options = _how(file, columns, block=BLOCK, threads=False)
        for batch in pv.open_csv(content, **options):
            yield pa.table(batch)
    except (pa.ArrowInvalid, UnicodeError) as error:
        raise _explained(file, error, width) from error


class _Columns(NamedTuple):
    """Which columns are to be parsed, of how many, and which of them as dates."""

    positions: tuple[int, ...]
    width: int
    delimiter: str
    dates: tuple[int, ...] = ()


def _parse(file: TextFile, columns: _Columns, *, block: int, threads: bool = True) -> Arrow:
    """Parse some columns."""
    import pyarrow.csv as pv  # noqa: PLC0415 - an extra

    content, options = _how(file, columns, block=block, threads=threads)
    return pv.read_csv(content, **options)


def _how(
    file: TextFile, columns: _Columns, *, block: int, threads: bool
) -> tuple[Arrow, dict[str, Arrow]]:
    """Return what pyarrow is to read, and how."""
    pa = arrow()
    import pyarrow.csv as pv  # noqa: PLC0415 - an extra

    kinds = {
        str(position): pa.date32() if position in columns.dates else pa.string()
        for position in columns.positions
    }
    content = str(file.path) if file.content is None else pa.BufferReader(file.content)
    return content, {
        "read_options": pv.ReadOptions(
            use_threads=threads,
            block_size=block,
            column_names=[str(position) for position in range(columns.width)],
            skip_rows_after_names=1,
            encoding=file.encoding,
        ),
        "parse_options": pv.ParseOptions(
            delimiter=columns.delimiter, newlines_in_values=file.wrapped
        ),
        "convert_options": pv.ConvertOptions(
            include_columns=list(kinds), column_types=kinds, null_values=[""]
        ),
    }


def _explained(file: TextFile, error: Exception, width: int) -> ReadError:
    """Return one sentence for what pyarrow said."""
    text = str(error)
    ragged = _RAGGED.search(text)
    if ragged:
        number, found, row = ragged.groups()
        return ReadError(
            f"{file.name} must have {width} values in every row like its header; row "
            f"{int(number or 2) - 2} has {found} ({row!r:.80}). "
            "Quote values that hold the delimiter."
        )
    if "straddl" in text:
        return ReadError(
            f"{file.name} has a row of more than {BLOCK >> 20} MiB; a quotation mark may never "
            "be closed. Export it again."
        )
    if "invalid UTF8" in text or isinstance(error, UnicodeError):
        return ReadError(
            f"{file.name} is not text in the encoding {file.encoding}. Pass another encoding=."
        )
    return ReadError(f"{file.name} cannot be read as CSV: {text.splitlines()[0]:.200}")
