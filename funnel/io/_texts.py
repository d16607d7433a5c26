"""Columns of names: ids, stages, currencies and attributes as codes into distinct texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from funnel.errors import ReadError
from funnel.io._arrow import Arrow, arrow, encode, filled, mask, raw, to_text
from funnel.kernels import order
from funnel.kernels.labels import texts
from funnel.tables import Findings
from funnel.tables._names import Coded, Names, Packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.typing import IntArray, StringArray

BLANKS = (
    *("n/a", "#n/a", "na", "nan", "nat", "null", "none", "nil"),
    *("-", "–", "—", "?", "未知", "无"),
)
"""What people write where a number or a date is not known; compared without case."""


class Texts(Coded):
    """Names by code: ``distinct`` in the places ``codes``, and -1 where there is none."""

    __slots__ = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The different names."""
        return tuple(self.distinct.values.tolist())

    def values(self) -> StringArray:
        """Return the text of each row, (n,); empty where there is none."""
        return texts([*self.names, ""])[self.codes]

    def take(self, rows: IntArray) -> Texts:
        """Return some rows; -1 takes nothing and gives no name."""
        some = len(self.codes) and rows.min(initial=0) >= 0
        codes = self.codes if some else np.append(self.codes, np.int32(-1))
        return Texts(codes[rows], self.distinct)


def named(codes: IntArray, names: Sequence[str]) -> Texts:
    """Return names by code; no two of them are the same."""
    return Texts(codes, Names(texts(names)))


def from_names(codes: IntArray, names: Sequence[str]) -> Texts:
    """Give each distinct name one code; an empty name is none."""
    distinct = {name: code for code, name in enumerate(dict.fromkeys(n for n in names if n))}
    lookup = np.array([*(distinct.get(name, -1) for name in names), -1], dtype=np.int32)
    return named(lookup[codes], tuple(distinct))


def read_texts(column: Arrow, header: str, *, name: str) -> tuple[Texts, Findings]:
    """Read a column of names; outer blanks are cut and reported, inner NULs refused."""
    coded = arrow().types.is_dictionary(column.type)
    codes, distinct = encode(column if coded else to_text(column))
    return _trimmed(codes, distinct, header, name=name)


def _trimmed(codes: IntArray, distinct: Arrow, header: str, *, name: str) -> tuple[Texts, Findings]:
    """Cut the outer blanks of distinct texts."""
    compute = arrow().compute
    if mask(compute.match_substring(distinct, "\0")).any():
        msg = f"column {header!r} holds NUL characters: this is no text. Export the table again."
        raise ReadError(msg)
    trimmed = compute.utf8_trim_whitespace(distinct)
    changed = np.append(mask(compute.not_equal(trimmed, distinct)), False)
    if not changed.any() and not mask(compute.equal(distinct, "")).any():
        return Texts(codes, Names(Packed(*raw(distinct)))), Findings.empty()
    rows = np.flatnonzero(changed[codes])
    spelt = distinct.take(codes[rows]).to_pylist()
    findings = Findings.empty().add(name, "outer-blanks", "cut off", rows, map(repr, spelt))
    return from_names(codes, trimmed.to_pylist()), findings


def read_ids(column: Arrow, header: str) -> tuple[Texts, Findings]:
    """Read a column of ids; their codes are their ranks, and -1 where there is none."""
    text = filled(to_text(column), "")
    if len(text) > 1:  # most logs have the rows of a deal side by side: each id is read once
        changed = mask(arrow().compute.not_equal(text.slice(1), text.slice(0, len(text) - 1)))
        begins = np.append(0, np.flatnonzero(changed) + 1)
        if 2 * len(begins) <= len(text):
            ids, findings = _read_ids(text.take(arrow().array(begins)), header)
            if not findings.groups:
                codes = np.repeat(ids.codes, np.diff(begins, append=len(text)))
                return Texts(codes, ids.distinct), findings
    return _read_ids(text, header)


def _read_ids(text: Arrow, header: str) -> tuple[Texts, Findings]:
    """Read ids as texts without nulls."""
    packed = Packed(*raw(text))
    used = packed.data[packed.bounds[0] : packed.bounds[-1]]
    found = order.by_text(*packed) if used.all() else None
    if found is None:
        ids, findings = read_texts(text, header, name="id")
        return _ranked(ids), findings
    rows, fresh = found
    codes = np.empty(len(rows), dtype=np.int32)
    codes[rows] = np.cumsum(fresh, dtype=np.int32) - 1
    first = rows[fresh]
    begin, end = packed.bounds[first], packed.bounds[first + 1]
    if len(first) and begin[0] < end[0]:
        # Letters of ASCII and digits at both ends of all: nothing is to be cut.
        edges = used[np.concatenate((begin, end - 1)) - packed.bounds[0]]
        if ((edges > ord(" ")) & (edges < 0x7F)).all():
            return Texts(codes, Names(packed, first), rows), Findings.empty()
    ids, findings = _trimmed(codes, text.take(arrow().array(first)), header, name="id")
    return _ranked(ids), findings


def _ranked(ids: Texts) -> Texts:
    """Give names codes in their own order."""
    pa = arrow()
    names = pa.array(ids.names, pa.large_string())
    by_name = pa.compute.sort_indices(names)
    rank = np.empty(len(by_name) + 1, dtype=np.int32)
    rank[by_name.to_numpy()] = np.arange(len(by_name), dtype=np.int32)
    rank[-1] = -1
    return Texts(rank[ids.codes], Names(Packed(*raw(names.take(by_name)))))
