"""How a waterfall is shown, and the deals behind its bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_date
from funnel.errors import ValidationError, did_you_mean
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.metrics._groups import GroupedTable, Scope
from funnel.metrics._waterfall_moves import BAR, BARS, MINOR, Moves

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray, StringArray

__all__ = ["Waterfall", "WaterfallDeals"]

ENDS = np.isin(BARS, ("start", "end"))


@attrs.frozen(eq=False, str=False)
class WaterfallDeals(GroupedTable):
    """The deals behind one bar, the largest change first; see `Waterfall.deals`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    bar : str
        The bar.
    ids : (m,) str
        Deals; one that moved in several groups or periods has a row in each.
    cells : (m,) int64
        Group and period of each row.
    moves : (m,) int64
        How often the deal moved by this bar.
    amount : (m,) float64
        What that changed in the pipeline, in major units; unknown amounts count as 0.
    unknown : (m,) int64
        What that changed in the number of deals with an unknown amount.
    """

    scope: Scope
    bar: str
    ids: StringArray
    cells: IntArray
    moves: IntArray
    amount: FloatArray
    unknown: IntArray

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each deal, group and period."""
        return {
            **_group_columns(self.scope, self.cells, 1),
            "deal": self.ids,
            "moves": self.moves,
            "amount": self.amount,
            "unknown": self.unknown,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Deals behind {self.bar!r}"


@attrs.frozen(eq=False, str=False)
class Waterfall(GroupedTable):
    """The way from one open pipeline to another, by group and period; see `waterfall`.

    All bars but the last add up to the last, in deals, in cents and in unknown amounts.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    start, end : int
        Days since 1970-01-01; their ends.
    currency : str
        Of all amounts.
    cells : (c,) int64
        Group and period of each block of rows.
    moves : (c, b) int64
        Moves behind each bar of `BARS`.
    count : (c, b) int64
        Change of the number of deals; deals that are there at `start` and `end`.
    cents : (c, b) int64
        Change of the money in hundredths of a major unit; unknown amounts count as 0.
    unknown : (c, b) int64
        Change of the number of deals whose amount is unknown.
    detail : Moves
        Every move.
    notes : tuple of str
        What has to be known to read the table.
    """

    scope: Scope
    start: int
    end: int
    currency: str
    cells: IntArray
    moves: IntArray
    count: IntArray
    cents: IntArray
    unknown: IntArray
    detail: Moves
    notes: tuple[str, ...]

    @property
    def amount(self) -> FloatArray:
        """Change of the money in major units, (c, b)."""
        return self.cents / MINOR

    def deals(self, bar: str, /) -> WaterfallDeals:
        """Return the deals behind a bar, the largest change first.

        Raises
        ------
        ValidationError
            When there is no such bar; the message suggests close ones.
        """
        if bar not in BAR:
            hint = did_you_mean(str(bar), BARS)
            raise ValidationError.from_value("bar", "must be a bar of the waterfall", bar, hint)
        moves = self.detail
        at = np.flatnonzero(moves.bar == BAR[bar])
        key = moves.deal[at] * (int(moves.cell.max(initial=0)) + 1) + moves.cell[at]
        found, first, place = np.unique(key, return_index=True, return_inverse=True)
        times, cents, unknown = np.zeros((3, len(found)), dtype=np.int64)
        for into, values in ((times, 1), (cents, moves.cents[at]), (unknown, moves.unknown[at])):
            np.add.at(into, place, values)
        ids, cells = moves.ids[moves.deal[at[first]]], moves.cell[at[first]]
        order = np.lexsort((cells, ids, -np.abs(cents)))
        return WaterfallDeals(
            scope=self.scope,
            bar=bar,
            ids=frozen(ids[order]),
            cells=frozen(cells[order]),
            moves=frozen(times[order]),
            amount=frozen(cents[order] / MINOR),
            unknown=frozen(unknown[order]),
        )

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and bar."""
        return {
            **_group_columns(self.scope, self.cells, len(BARS)),
            "bar": np.tile(texts(BARS), len(self.cells)),
            "moves": self.moves.ravel(),
            "deals": self.count.ravel(),
            "amount": self.amount.ravel(),
            "unknown": self.unknown.ravel(),
        }

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text, without bars in which nothing moved anywhere."""
        headers, rows = super()._cells()
        used = self.moves.sum(axis=0) > 0
        keep = np.tile(used | ENDS, len(self.cells)).tolist()
        return headers, [row for row, kept in zip(rows, keep, strict=True) if kept]

    @property
    def _title(self) -> str:
        """Return the heading."""
        unit = f", {self.currency}" if self.currency else ""
        return f"Open pipeline from {to_date(self.start)} to {to_date(self.end)}{unit}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what has to be known."""
        return self.notes


def _group_columns(scope: Scope, cells: IntArray, times: int) -> dict[str, Any]:
    """Name groups and periods; periods of promises need not lie in the observed window."""
    found = scope.columns(cells, times)
    found.pop("observed", None)
    return found
