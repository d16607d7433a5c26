"""Named arrays in one file, which is mapped into memory and checked where it is read.

From front to end: a head of 64 bytes (what this is, and the version of the format); the arrays in
little-endian order, each from a multiple of 64 bytes on; a description in JSON (where each array
is, its type, plain values, and a CRC-32 of every block of 1 MiB up to here); and a tail with the
length and the CRC-32 of the description, and once more what this is. Opening reads head, tail and
description; the blocks behind an array are checked when it is first asked for. So a file opens in
a millisecond whatever its size, and a changed byte is an error as soon as it could matter.

A version of funnel reads every format up to its own `VERSION` and refuses later ones. What older
readers can do without is added under a new name, which they do not ask for; anything else raises
`VERSION`.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import uuid
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from funnel.errors import ReadError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Array = np.ndarray[Any, Any]

MAGIC = b"\x89FUNNEL\n"  # no text begins so, and a transfer as text would change the line end
VERSION = 1
BLOCK = 1 << 20
ALIGNED = 64
_HEAD = struct.Struct(f"<{len(MAGIC)}sI{ALIGNED - len(MAGIC) - 4}x")
_TAIL = struct.Struct(f"<QI{len(MAGIC)}s")


def write(
    path: str | os.PathLike[str], kind: str, values: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write plain values and one-dimensional arrays; a file of that name is replaced as a whole.

    Raises
    ------
    ValidationError
        When the file cannot be written; what was there before is left as it was.
    """
    target = Path(path)
    places: dict[str, list[Any]] = {}
    offset = _HEAD.size
    for name, array in arrays.items():
        places[name] = [array.dtype.newbyteorder("<").str, offset, len(array)]
        offset += array.nbytes + -array.nbytes % ALIGNED
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        try:
            with beside.open("xb") as file:
                sums = _write_blocks(file, _parts(arrays))
                whole: dict[str, Any] = {"format": VERSION, "kind": kind}
                whole |= {"values": values, "arrays": places, "sums": sums}
                text = json.dumps(whole, ensure_ascii=False).encode(errors="surrogatepass")
                file.write(text + _TAIL.pack(len(text), zlib.crc32(text), MAGIC))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        rule = f"must be a file that can be written ({error.strerror})"
        raise ValidationError.from_value("path", rule, str(path), "") from error


def _parts(arrays: Mapping[str, Array]) -> Iterator[memoryview]:
    """Yield all bytes before the description."""
    yield memoryview(_HEAD.pack(MAGIC, VERSION))
    for array in arrays.values():
        plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        yield plain.view(np.uint8).data
        yield memoryview(bytes(-array.nbytes % ALIGNED))


def _write_blocks(file: BinaryIO, parts: Iterable[memoryview]) -> list[int]:
    """Write bytes, and return the sum of each block."""
    sums, room = [0], BLOCK
    for part in parts:
        left = part
        while len(left):
            if not room:
                sums.append(0)
                room = BLOCK
            piece, left = left[:room], left[room:]
            file.write(piece)
            sums[-1] = zlib.crc32(piece, sums[-1])
            room -= len(piece)
    return sums


class Stored:
    """A file that `write` wrote, mapped into memory.

    Parameters
    ----------
    path : path
        The file.
    kind : str
        What it must hold.

    Raises
    ------
    ReadError
        When it is not such a file, was cut off or changed, holds something else, or was written
        by a later version.
    """

    def __init__(self, path: str | os.PathLike[str], kind: str) -> None:
        self.name = repr(str(path))
        self._map = _mapped(path, self.name)
        version = self._demand_head()
        whole = self._description()
        try:
            if whole["format"] != version:
                raise self.damaged("its head differs")
            found, self.values = str(whole["kind"]), dict(whole["values"])
            self._places = {name: tuple(place) for name, place in whole["arrays"].items()}
            self._sums = list(whole["sums"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self.damaged(repr(error)) from error
        if found != kind:
            msg = f"{self.name} holds a {found}, not a {kind}. Open it with {found}.open."
            raise ReadError(msg)
        if len(self._sums) != -(-self._end // BLOCK):
            raise self.damaged("sums are missing")
        self._right = np.zeros(len(self._sums), dtype=np.bool_)

    def damaged(self, what: str) -> ReadError:
        """Return the error for a file that is not as it was written."""
        return ReadError(
            f"{self.name} was cut off or changed after it was saved ({what}). Copy it again, or "
            "save the table again from its source."
        )

    def _demand_head(self) -> int:
        """Demand that the file is one of ours, in a format that is known; return which."""
        head = self._map[: _HEAD.size]
        if not head.startswith(MAGIC):
            msg = (
                f"{self.name} is no table that save() wrote. Read other files with "
                "funnel.io.read_history or funnel.io.read_deals."
            )
            raise ReadError(msg)
        if len(head) < _HEAD.size:
            raise self.damaged("its head is not complete")
        version = _HEAD.unpack(head)[1]
        if version > VERSION:
            msg = (
                f"{self.name} has format {version}, and this version of funnel reads formats up to "
                f"{VERSION}. Install the version of funnel that wrote it, or a later one."
            )
            raise ReadError(msg)
        if head != _HEAD.pack(MAGIC, version):
            raise self.damaged("its head differs")
        return int(version)

    def _description(self) -> dict[str, Any]:
        """Return what stands between the arrays and the tail."""
        end = len(self._map) - _TAIL.size
        if end < _HEAD.size:
            raise self.damaged("its end is missing")
        length, total, magic = _TAIL.unpack(self._map[end:])
        text = self._map[max(end - length, _HEAD.size) : end]
        if magic != MAGIC or len(text) != length or zlib.crc32(text) != total:
            raise self.damaged("its end is missing or differs")
        self._end = end - length
        found: dict[str, Any] = json.loads(text.decode(errors="surrogatepass"))
        return found

    def __contains__(self, name: str) -> bool:
        """Tell whether there is an array of this name."""
        return name in self._places

    def length(self, name: str) -> int:
        """Return the number of values of an array."""
        return int(self._place(name)[2])

    def _place(self, name: str) -> tuple[Any, ...]:
        """Return type, place and length of an array."""
        if name not in self._places:
            raise self.damaged(f"it has no {name!r}")
        return self._places[name]

    def array(self, name: str, begin: int = 0, end: int | None = None) -> Array:
        """Return an array, or its values from `begin` up to `end`, without copying.

        Raises
        ------
        ReadError
            When the bytes behind it are not those that were written.
        """
        code, offset, length = self._place(name)
        kind = np.dtype(code)
        last = length if end is None else end
        if kind.kind not in "biuf" or not 0 <= begin <= last <= length:
            raise self.damaged(f"{name!r} is out of place")
        start = offset + begin * kind.itemsize
        self._check(start, offset + last * kind.itemsize, name)
        return np.ndarray(last - begin, dtype=kind, buffer=self._map, offset=start)

    def _check(self, begin: int, end: int, name: str) -> None:
        """Demand that blocks are as they were written; each is looked at once."""
        if end > self._end:
            raise self.damaged(f"{name!r} is out of place")
        view = memoryview(self._map)[: self._end]
        for block in range(begin // BLOCK, -(-end // BLOCK)):
            if not self._right[block]:
                if zlib.crc32(view[block * BLOCK : (block + 1) * BLOCK]) != self._sums[block]:
                    raise self.damaged(f"{name!r} differs")
                self._right[block] = True


def _mapped(path: str | os.PathLike[str], name: str) -> mmap.mmap:
    """Map a file into memory."""
    try:
        with Path(path).open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                msg = f"{name} is empty. Save the table again from its source."
                raise ReadError(msg)
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        msg = f"{name} cannot be opened: {error.strerror}."
        raise ReadError(msg) from error
