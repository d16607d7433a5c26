"""Which column of a source is which of ours."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from funnel.errors import ReadError, UnknownColumnError, ValidationError
from funnel.io._arrow import Arrow, plain, spelt
from funnel.tables import Findings, History

if TYPE_CHECKING:
    from funnel.io._source import Source

FRAME = frozenset(
    {"id", "stage", "at", "seq", "created", "closed", "stage_entered", "booked_amount"}
    | {"field", "old", "new"}
)
"""Columns that say which deal, where and when; all others are part of its state."""

DATES = frozenset({"at", "created", "closed", "stage_entered", "expected_close"})
"""Columns that hold dates, whatever they are called in the source."""

RESERVED = FRAME | (set(inspect.signature(History.from_columns).parameters) - {"attributes"})
"""Names with a meaning of their own; attributes need others."""


@attrs.frozen
class Sheet:
    """The columns of a source that were asked for, by our names.

    Parameters
    ----------
    source : str
        What the source is called in messages.
    length : int
        Number of rows.
    columns : mapping of str to pyarrow array
        By our names.
    headers : mapping of str to str
        What each column is called in the source.
    findings : Findings
        What had to be found out.
    """

    source: str
    length: int
    columns: Mapping[str, Arrow]
    headers: Mapping[str, str]
    findings: Findings

    def __contains__(self, name: str) -> bool:
        """Tell whether a column was asked for and is there."""
        return name in self.columns

    def column(self, name: str) -> tuple[Arrow, str]:
        """Return a column and its header; texts are written out."""
        return spelt(self.columns[name]), self.headers[name]

    def coded(self, name: str) -> tuple[Arrow, str]:
        """Return a column and its header; texts may be codes into distinct ones."""
        return self.columns[name], self.headers[name]


def attribute_columns(attributes: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return the header of each attribute by the name that it shall have."""
    if isinstance(attributes, str):
        attributes = (attributes,)
    named = dict(attributes) if isinstance(attributes, Mapping) else {a: a for a in attributes}
    taken = sorted(RESERVED & named.keys())
    if taken:
        raise ValidationError.from_value(
            "attributes",
            "must have names of their own",
            taken[0],
            f"Rename it: attributes={{'other_name': {named[taken[0]]!r}}}.",
        )
    return named


def places(
    source: Source, wanted: Mapping[str, str], offered: Mapping[str, Sequence[str]]
) -> tuple[dict[str, int], Findings]:
    """Return where columns are: `wanted` must be there, of `offered` the first header that is.

    Raises
    ------
    UnknownColumnError
        When a wanted column is not there; the message proposes the closest ones.
    """
    findings = source.findings
    positions: dict[str, int] = {}
    for name, header in wanted.items():
        position, exact = _find(source, header)
        if not exact:
            spelt = source.columns[position]
            findings = findings.add(name, "header-spelling", f"taken for {header!r}", [-1], [spelt])
        positions[name] = position
    for name, headers in offered.items():
        there = [header for header in headers if header in source.columns]
        if name not in positions and there:
            positions[name] = source.columns.index(there[0])
    return positions, findings


def pick(
    source: Source, wanted: Mapping[str, str], offered: Mapping[str, Sequence[str]] | None = None
) -> Sheet:
    """Fetch columns, see `places`.

    Raises
    ------
    UnknownColumnError
        When a wanted column is not there.
    ReadError
        When the source has no rows.
    """
    positions, findings = places(source, wanted, offered or {})
    distinct = list(dict.fromkeys(positions.values()))
    others = {position for name, position in positions.items() if name not in DATES}
    table, odd = source.load(distinct, [place for place in distinct if place not in others])
    if not table.num_rows:
        msg = f"{source.name} has a header and no rows."
        raise ReadError(msg)
    headers_of = {name: source.columns[position] for name, position in positions.items()}
    columns: dict[str, Any] = {
        name: plain(table.column(distinct.index(position)), headers_of[name])
        for name, position in positions.items()
    }
    return Sheet(source.name, table.num_rows, columns, headers_of, odd + findings)


def _find(source: Source, header: str) -> tuple[int, bool]:
    """Return where a column is, and whether it is spelt just so."""
    if header in source.columns:
        return source.columns.index(header), True
    folded = [column.strip().casefold() for column in source.columns]
    found = [i for i, column in enumerate(folded) if column == str(header).strip().casefold()]
    if len(found) != 1:
        raise UnknownColumnError(str(header), [column for column in source.columns if column])
    return found[0], False
