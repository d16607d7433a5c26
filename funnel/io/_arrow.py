"""pyarrow, loaded when it is first needed, and columns in the few forms that readers know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from funnel.errors import MissingDependencyError, ReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.typing import IntArray

Arrow = Any
"""An object of pyarrow, which ships no annotations."""

LONGEST = 1 << 31
"""Bytes at which one array of strings ends; longer ones are large strings."""


def arrow() -> Arrow:
    """Return pyarrow with its compute functions, or say how to install it."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.compute  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingDependencyError("pyarrow", "arrow") from error
    return pa


def is_text(kind: Arrow) -> bool:
    """Tell whether a type is one of those that texts have here."""
    types = arrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind))


def plain(column: Arrow, header: str) -> Arrow:
    """Return a column as one array; texts are (large) strings, or codes into them."""
    pa = arrow()
    types = pa.types
    if types.is_dictionary(column.type):
        if types.is_string(column.type.value_type):
            return one_chunk(column.unify_dictionaries())
        column = spelt(column)
    big = types.is_string(column.type) and column.nbytes >= LONGEST
    if big or str(column.type) == "string_view":
        column = column.cast(pa.large_string())
    column = one_chunk(column)
    kind = column.type
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    date = types.is_date(kind) or types.is_timestamp(kind)
    if not (is_text(kind) or number or date or types.is_boolean(kind) or types.is_null(kind)):
        msg = f"column {header!r} must hold texts, numbers or dates, and holds {kind}. Convert it."
        raise ReadError(msg)
    return column


def one_chunk(column: Arrow) -> Arrow:
    """Return the chunks of a column as one array; a single one as it is."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def spelt(column: Arrow) -> Arrow:
    """Return a column whose texts are written out in every row."""
    if arrow().types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column


def to_text(column: Arrow) -> Arrow:
    """Return a column of any known type as texts; whole floats lose their ``.0``."""
    pa = arrow()
    kind = column.type
    if is_text(kind):
        return column
    if pa.types.is_floating(kind):
        # Whole numbers with gaps (ids in a dataframe) come as floats: 17.0 is 17.
        column = pa.compute.if_else(pa.compute.is_nan(column), None, column)
        whole = pa.compute.equal(column, pa.compute.round(column))
        small = pa.compute.less(pa.compute.abs(column), 1e15)
        if pa.compute.all(pa.compute.and_(whole, small)).as_py() is not False:
            column = column.cast(pa.int64())
    return column.cast(pa.string())


def parsed(texts: Arrow, kind: Arrow) -> Arrow | None:
    """Return texts as another type, or None where one of them is none of it."""
    try:
        # A cast goes on to the end and is slow for what is wrong: try a few texts first.
        texts.slice(0, 64).cast(kind)
        return texts.cast(kind)
    except arrow().ArrowInvalid:
        return None


def one_of(texts: Arrow, names: Sequence[str]) -> np.ndarray[Any, Any]:
    """(n,) -> (n,): mask of the texts that are one of these."""
    found = arrow().compute.is_in(texts, value_set=arrow().array(names, texts.type))
    return mask(found)


def encode(texts: Arrow) -> tuple[IntArray, Arrow]:
    """(n,) -> (n,) int32 codes, -1 where null, and the distinct texts that occur."""
    pa = arrow()
    if pa.types.is_dictionary(texts.type):
        codes, distinct = _codes(texts)
        used = np.zeros(len(distinct) + 1, dtype=np.bool_)
        used[codes] = True  # the last one is null
        if used[:-1].all() and len(distinct.unique().drop_null()) == len(distinct):
            return codes, distinct
        texts = spelt(texts)
    return _codes(texts.dictionary_encode())


def _codes(coded: Arrow) -> tuple[IntArray, Arrow]:
    """Return the codes of a column, -1 where null, and what they stand for."""
    codes: np.ndarray[Any, Any] = filled(coded.indices, -1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int32, copy=False), coded.dictionary


def filled(column: Arrow, value: object) -> Arrow:
    """Return a column with a value for null; one without null as it is."""
    return column.fill_null(value) if column.null_count else column


def raw(texts: Arrow) -> tuple[np.ndarray[Any, Any], IntArray]:
    """Return the bytes of m texts without nulls and where each begins, (b,) and (m + 1,)."""
    kind: Any = np.int64 if arrow().types.is_large_string(texts.type) else np.int32
    _, places, data = texts.buffers()
    if not len(texts):
        return np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=kind)
    bounds: IntArray = np.frombuffer(places, dtype=kind)[
        texts.offset : texts.offset + len(texts) + 1
    ]
    return np.frombuffer(data or b"", dtype=np.uint8), bounds


def mask(found: Arrow) -> np.ndarray[Any, Any]:
    """Return a boolean column as an array; null is False."""
    null = False
    array: np.ndarray[Any, Any] = filled(found, null).to_numpy(zero_copy_only=False)
    return array


def numbers(column: Arrow, missing: float) -> np.ndarray[Any, Any]:
    """Return a column of numbers as an array with `missing` for null."""
    array: np.ndarray[Any, Any] = filled(column, missing).to_numpy(zero_copy_only=False)
    return array
