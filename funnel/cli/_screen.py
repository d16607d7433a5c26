"""Results for a terminal: the columns that a reader needs, in tables that fit."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from funnel._display import money, text_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from funnel.results import ResultTable

WIDTH = 100  # of a terminal
UNKNOWN = "–"
OPEN_END = f"– {UNKNOWN}"

Cells = tuple[list[str], list[list[str]]]


def columns(
    result: ResultTable,
    wanted: Mapping[str, str],
    keys: Sequence[str] = (),
    *,
    whole: Sequence[str] = (),
) -> Cells:
    """Return the columns of a result that are wanted, by new headers, after those of `keys`.

    What is wanted is a text with the names of columns in braces, ``"{low} – {high}"``; where all of
    them are unknown, so is the cell. Columns of numbers in `whole` are shown without decimals.
    """
    headers, rows = result._cells()  # noqa: SLF001 - a table of this package
    plain = {name: result.to_columns()[name].round().tolist() for name in whole}
    shown = []
    for place, row in enumerate(rows):
        named = dict(zip(headers, row, strict=True))
        named |= {name: money(values[place]) for name, values in plain.items()}
        shown.append([*(named[key] for key in keys), *(_filled(t, named) for t in wanted.values())])
    return [*keys, *wanted], shown


def _filled(text: str, named: Mapping[str, str]) -> str:
    """Put the cells of a row into a text; an upper end that is not known is infinite."""
    filled = text.format_map(named)
    if filled == text.format_map(dict.fromkeys(named, UNKNOWN)):
        return UNKNOWN
    return filled.removesuffix(UNKNOWN) + "∞" if filled.endswith(OPEN_END) else filled


def spread(cells: Cells, column: str) -> Cells:
    """Turn the values of a column into columns; the last column of all fills them."""
    headers, rows = cells
    at = headers.index(column)
    wide = list(dict.fromkeys(row[at] for row in rows))
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        found.setdefault((*row[:at], *row[at + 1 : -1]), {})[row[at]] = row[-1]
    keys = [name for name in headers[:-1] if name != column]
    body = [[*key, *(filled.get(name, UNKNOWN) for name in wide)] for key, filled in found.items()]
    return [*keys, *wide], body


def table(cells: Cells, *, title: str = "", notes: Iterable[str] = (), keys: int = 1) -> str:
    """Render a table; what is too wide goes on below, with the first `keys` columns repeated."""
    headers, rows = cells
    below = [line for note in notes for line in wrapped(note)]
    if not rows:
        return "\n".join([title, "(nothing)", *below])
    widths = [len(dashes) for dashes in text_table(headers, rows).split("\n")[1].split("  ")]
    blocks: list[list[int]] = [[]]
    used = fixed = sum(width + 2 for width in widths[:keys]) - 2
    for place in range(keys, len(headers)):
        used += widths[place] + 2
        if used > WIDTH and blocks[-1]:
            blocks.append([])
            used = fixed + widths[place] + 2
        blocks[-1].append(place)
    texts = []
    for block in blocks:
        kept = [*range(keys), *block]
        some = [[row[place] for place in kept] for row in rows]
        texts.append(text_table([headers[place] for place in kept], some))
    return "\n".join([*([title] if title else []), "\n\n".join(texts), *below])


def folded(texts: Sequence[str], width: int) -> list[str]:
    """Return lines of at most `width` characters that hold texts, none of which is broken."""
    lines = [""]
    for text in texts:
        joined = f"{lines[-1]}, {text}" if lines[-1] else text
        if len(joined) > width and lines[-1]:
            lines.append(text)
        else:
            lines[-1] = joined
    return lines


def wrapped(text: str, mark: str = "*") -> list[str]:
    """Return a sentence as lines, with a mark before it."""
    return textwrap.wrap(f"{mark} {text}", WIDTH, subsequent_indent="  ", break_long_words=False)


def result(found: ResultTable, *, keys: int = 1) -> str:
    """Render a result as it displays itself, where it fits."""
    title, notes = found._title, found._notes  # noqa: SLF001 - a table of this package
    return table(found._cells(), title=title, notes=notes, keys=keys)  # noqa: SLF001


def page(sections: Iterable[str]) -> str:
    """Join sections that are not empty."""
    return "\n\n".join(filter(None, sections))
