"""Plain-text and HTML tables, one renderer for every result of the library."""

from __future__ import annotations

import html
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMERIC = frozenset("0123456789+-.,%~<>=() −–∞")


def money(value: float) -> str:
    """Format an amount in major units; unknown is an en dash."""
    if value != value:  # noqa: PLR0124 - NaN without an import
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.2f}"


def percent(value: float) -> str:
    """Format a probability or share; unknown is an en dash."""
    if value != value:  # noqa: PLR0124
        return "–"
    return f"{100 * value:.1f}%"


def _width(text: str) -> int:
    """Columns that a text takes in a terminal; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _is_numeric(cells: Sequence[str]) -> bool:
    """Tell whether a column reads as numbers, to be aligned to the right."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and all(set(cell) <= _NUMERIC for cell in filled)


def text_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Render rows as aligned text; numbers to the right, words to the left."""
    columns = list(zip(headers, *rows, strict=True))
    right = [_is_numeric(column[1:]) for column in columns]
    widths = [max(_width(cell) for cell in column) for column in columns]

    def line(cells: Sequence[str]) -> str:
        """Pad one row."""
        padded = [
            " " * (width - _width(cell)) + cell if flush else cell + " " * (width - _width(cell))
            for cell, width, flush in zip(cells, widths, right, strict=True)
        ]
        return "  ".join(padded).rstrip()

    body = [line(headers), "  ".join("-" * width for width in widths), *(line(row) for row in rows)]
    head = [title] if title else []
    return "\n".join([*head, *body, *notes])


def html_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    notes: Sequence[str] = (),
) -> str:
    """Render the same table as HTML, every text escaped."""
    columns = list(zip(headers, *rows, strict=True))
    align = ["right" if _is_numeric(column[1:]) else "left" for column in columns]

    def cells(tag: str, row: Sequence[str]) -> str:
        """Render one row of cells."""
        inner = "".join(
            f'<{tag} style="text-align:{side}">{html.escape(cell)}</{tag}>'
            for cell, side in zip(row, align, strict=True)
        )
        return f"<tr>{inner}</tr>"

    caption = f"<caption>{html.escape(title)}</caption>" if title else ""
    body = "".join(cells("td", row) for row in rows)
    foot = "".join(f"<div>{html.escape(note)}</div>" for note in notes)
    return (
        f"<table>{caption}<thead>{cells('th', headers)}</thead><tbody>{body}</tbody></table>{foot}"
    )
