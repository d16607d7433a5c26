"""Names of deals: kept as they were read, and turned into `str` when somebody asks for them."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import factorize, texts

if TYPE_CHECKING:
    from funnel.typing import BoolArray, IntArray, StringArray

    Rows = IntArray | BoolArray | slice

ERRORS = "surrogatepass"  # Python's texts may hold half characters, which strict UTF-8 refuses


class Packed(NamedTuple):
    """m texts one after the other in UTF-8: ``data[bounds[i]:bounds[i + 1]]`` is text i."""

    data: np.ndarray[Any, np.dtype[np.uint8]]
    bounds: IntArray

    @classmethod
    def of(cls, values: StringArray) -> Packed:
        """(m,) -> m texts in UTF-8."""
        cells = values.tolist()
        text = "".join(cells)
        if text.isascii():
            data, lengths = text.encode(), map(len, cells)
        else:
            parts = [cell.encode(errors=ERRORS) for cell in cells]
            data, lengths = b"".join(parts), map(len, parts)
        bounds = np.zeros(len(cells) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(lengths, dtype=np.int64, count=len(cells)), out=bounds[1:])
        return cls(np.frombuffer(data, dtype=np.uint8), bounds)

    def take(self, rows: IntArray) -> Packed:
        """Copy some of the texts."""
        starts = self.bounds[:-1][rows].astype(np.int64)
        bounds = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(self.bounds[1:][rows] - starts, out=bounds[1:])
        place = np.repeat(starts - bounds[:-1], np.diff(bounds))
        place += np.arange(len(place))
        return Packed(self.data[place], bounds)

    def values(self) -> StringArray:
        """Return all of them as `str`."""
        begin, end = int(self.bounds[0]), int(self.bounds[-1])
        data, bounds = self.data[begin:end], self.bounds - begin
        text = data.tobytes().decode(errors=ERRORS)
        if len(text) < len(data):  # places count characters, each of which has one leading byte
            bounds = np.concatenate(([0], np.cumsum((data & 0xC0) != 0x80)))[bounds]
        ends = bounds.tolist()
        found = np.empty(len(ends) - 1, dtype=object)
        found[:] = [text[begin:end] for begin, end in itertools.pairwise(ends)]
        return found


@attrs.frozen(eq=False, slots=False)
class Names:
    """n texts: some of those in `source`, or all in their order.

    Parameters
    ----------
    source : Packed or (m,) ndarray of str
        Texts, not all of which need be used.
    rows : (n,) int, optional
        Which of them.
    """

    source: Packed | StringArray
    rows: IntArray | None = None

    def __getitem__(self, row: int) -> str:
        """Return one name; the others are not touched."""
        return str(self.take(slice(row, row + 1)).values[0])

    def __len__(self) -> int:
        """Return the number of names."""
        if self.rows is not None:
            return len(self.rows)
        return len(self.source.bounds) - 1 if isinstance(self.source, Packed) else len(self.source)

    def take(self, rows: Rows) -> Names:
        """Return some names by mask, positions or slice; their texts are not touched."""
        source = self.__dict__.get("values")
        if source is None and self.rows is not None:
            return Names(self.source, self.rows[rows])
        if isinstance(rows, np.ndarray) and rows.dtype.kind == "i":
            return Names(self.source if source is None else source, cast("IntArray", rows))
        source = self.source if source is None else source
        if isinstance(rows, np.ndarray) and rows.dtype.kind in "iu" and (rows >= 0).all():
            return Names(source, rows.astype(np.int32))  # nothing of the length of all is made
        if isinstance(rows, slice):  # nor here
            return Names(source, np.arange(*rows.indices(len(self)), dtype=np.int32))
        return Names(source, np.arange(len(self), dtype=np.int32)[rows])

    @functools.cached_property
    def values(self) -> StringArray:
        """The names as `str`, (n,)."""
        if isinstance(self.source, Packed):
            return frozen(self.packed().values())
        return self.source if self.rows is None else frozen(self.source[self.rows])

    def packed(self) -> Packed:
        """Return these names alone in UTF-8."""
        if not isinstance(self.source, Packed):
            return Packed.of(self.values)
        return self.source if self.rows is None else self.source.take(self.rows)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes without the names that are not used."""
        return _unpickled, tuple(self.packed())


class Coded(NamedTuple):
    """A column of names by code, which builders of tables take as it is.

    ``codes`` (r,) are places in ``distinct``, -1 where there is no name. Of ids, ``distinct`` is
    sorted and every row has one; ``order`` (r,) then sorts rows by their codes, where it is known.
    """

    codes: IntArray
    distinct: Names
    order: IntArray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, as arrays tell theirs."""
        return self.codes.shape


def to_names(values: Names | StringArray) -> Names:
    """Return names given as an array, or as they are."""
    return values if isinstance(values, Names) else Names(frozen(values))


def _unpickled(*arrays: np.ndarray[Any, Any]) -> Names:
    """Rebuild names in another process."""
    return Names(Packed(*map(frozen, arrays)))


def as_ids(values: Any, what: str = "id") -> StringArray:  # noqa: ANN401 - any array-like
    """Return the names of deals as text, refusing empty ones."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValidationError.from_value(what, "must be one-dimensional", array.shape, "")
    text = texts(array)
    empty = np.flatnonzero(text == "")
    if len(empty):
        raise ValidationError.from_rule(
            what,
            "must name a deal in every row",
            rows=empty[:100],
            count=len(empty),
            total=len(text),
            first=f"row {empty[0]}",
            remedy="Leave these rows out or give them ids.",
        )
    return text


def require_unique(ids: StringArray) -> None:
    """Demand that every deal is there once."""
    found, position = factorize(ids)
    counts = np.bincount(position)
    twice = np.flatnonzero(counts > 1)
    if len(twice):
        msg = (
            f"id must be unique; {len(twice):,} of {len(found):,} deals are there more than once "
            f"(first: {found[twice[0]]!r}, {counts[twice[0]]} rows). "
            "Keep one row per deal, or read the rows as a change log."
        )
        raise ValidationError(msg, column="id", rows=np.flatnonzero(position == twice[0]))


def coded_ids(values: Any) -> Coded:  # noqa: ANN401 - coded or any array-like
    """Return the deal of each row by code, and the names of those that occur in their order."""
    if not isinstance(values, Coded):
        found, deal = factorize(as_ids(values))
        return Coded(deal, to_names(texts(found)))
    used = np.zeros(len(values.distinct), dtype=np.bool_)
    used[values.codes] = True
    if used.all():
        return values
    deal = (np.cumsum(used, dtype=np.int32) - np.int32(1))[values.codes]
    return values._replace(codes=deal, distinct=values.distinct.take(used))
