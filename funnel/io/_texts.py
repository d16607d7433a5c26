"""Columns of names: ids, stages, currencies and attributes as codes into distinct texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from funnel.errors import ReadError
from funnel.io._arrow import Arrow, arrow, encode, mask, to_text
from funnel.kernels.labels import texts
from funnel.tables import Findings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.typing import IntArray, StringArray

BLANKS = (
    *("n/a", "#n/a", "na", "nan", "nat", "null", "none", "nil"),
    *("-", "–", "—", "?", "未知", "无"),
)
"""What people write where a number or a date is not known; compared without case."""


class Texts(NamedTuple):
    """Names by code: ``names[codes]``, and -1 where there is none."""

    codes: IntArray
    names: tuple[str, ...]

    def values(self) -> StringArray:
        """Return the text of each row, (n,); empty where there is none."""
        return texts([*self.names, ""])[self.codes]

    def take(self, rows: IntArray) -> Texts:
        """Return some rows; -1 takes nothing and gives no name."""
        codes = np.append(self.codes, np.int32(-1))[rows]
        return Texts(codes, self.names)


def from_names(codes: IntArray, names: Sequence[str]) -> Texts:
    """Give each distinct name one code; an empty name is none."""
    distinct = {name: code for code, name in enumerate(dict.fromkeys(n for n in names if n))}
    lookup = np.array([*(distinct.get(name, -1) for name in names), -1], dtype=np.int32)
    return Texts(lookup[codes], tuple(distinct))


def read_texts(column: Arrow, header: str, *, name: str) -> tuple[Texts, Findings]:
    """Read a column of names; outer blanks are cut and reported, inner NULs refused."""
    compute = arrow().compute
    codes, distinct = encode(to_text(column))
    if mask(compute.match_substring(distinct, "\0")).any():
        msg = f"column {header!r} holds NUL characters: this is no text. Export the table again."
        raise ReadError(msg)
    trimmed = compute.utf8_trim_whitespace(distinct)
    changed = np.append(mask(compute.not_equal(trimmed, distinct)), False)
    findings = Findings.empty()
    if changed.any():
        rows = np.flatnonzero(changed[codes])
        spelt = distinct.take(codes[rows]).to_pylist()
        findings = findings.add(name, "outer-blanks", "cut off", rows, map(repr, spelt))
    names = trimmed.to_pylist()
    if len(names) == len(set(names)) and "" not in names:
        return Texts(codes, tuple(names)), findings
    return from_names(codes, names), findings
