"""The deals of a forecast by cell: sums that say all about many deals, and rows when asked for."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs
import numpy as np

from funnel.forecasting import _moments
from funnel.forecasting._by_group import by_group
from funnel.forecasting._lots import Lots, joined
from funnel.forecasting._rows import ForecastDeals
from funnel.kernels.cells import COUNT

if TYPE_CHECKING:
    from funnel.forecasting._cells import Source
    from funnel.forecasting.amounts import Amounts
    from funnel.typing import FloatArray

__all__ = ["Book", "CellBook", "book_of", "expected_by_group"]


@attrs.frozen(eq=False, slots=False)
class CellBook:
    """Deals of a forecast that are kept by cell, and some rows beside them.

    It stands for `ForecastDeals`, and has the same ways to select.

    Parameters
    ----------
    source : Source
        The deals that exist, by cell.
    more : ForecastDeals or None
        Further rows, such as deals that do not exist yet.
    only_part, only_group : int or None
        Which of the deals are meant.
    spans : tuple of (int, int)
        Periods that were merged, one step after the other.
    """

    source: Source
    more: ForecastDeals | None = None
    only_part: int | None = None
    only_group: int | None = None
    spans: tuple[tuple[int, int], ...] = ()

    @functools.cached_property
    def money(self) -> Lots:
        """The lots in which there is money, or a deal of unknown amount."""
        return self._selected(self.source.money)

    @functools.cached_property
    def lots(self) -> Lots:
        """All lots."""
        return self._selected(self.source.lots)

    def _selected(self, mine: Lots) -> Lots:
        """Return the lots that are meant."""
        if self.only_group is not None:
            mine = self._of_group(mine)
        mine = self._narrowed(mine)
        return mine if self.more is None else joined([mine, self.more.lots])

    def _narrowed(self, mine: Lots) -> Lots:
        """Return the lots of the part that is meant, of merged periods."""
        if self.only_part is not None:
            mine = mine.select(mine.part == self.only_part)
        for span in self.spans:
            mine = mine.merged(*span)
        return mine

    def _of_group(self, mine: Lots) -> Lots:
        """Return the lots of a group; where cells do not tell groups apart, its rows are lots."""
        if self.source.apart:
            return self.source.table(self.only_group).lots
        mine = mine.select(mine.group == self.only_group)
        return attrs.evolve(mine, group=np.zeros_like(mine.group))

    @property
    def existing(self) -> CellBook:
        """The same without the further rows."""
        return self if self.more is None else attrs.evolve(self, more=None)

    @functools.cached_property
    def rows(self) -> ForecastDeals:
        """The deals one by one."""
        found = self.source.table(self.only_group)
        if self.only_part is not None:
            found = found.select(found.part == self.only_part)
        for span in self.spans:
            found = found.merged(*span)
        return found if self.more is None else found.with_rows(self.more)

    def largest(self, count: int) -> Lots:
        """Return those of the deals with the largest amounts, so many, that are meant."""
        return self._of_deals(self.source.largest(count))

    @functools.cached_property
    def sample(self) -> Lots:
        """Those of some deals, taken at even steps, that are meant."""
        return self._of_deals(self.source.sample)

    def _of_deals(self, some: Lots) -> Lots:
        """Return those of some deals that are meant."""
        if self.only_group is not None:
            some = some.select(some.group == self.only_group)
        return self._narrowed(some)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.lots.power(COUNT).sum())

    def of_part(self, part: int) -> CellBook:
        """Return the deals of one part."""
        return attrs.evolve(
            self, only_part=part, more=None if self.more is None else self.more.of_part(part)
        )

    def of_group(self, group: int) -> CellBook:
        """Return the deals of one group, which becomes the only one."""
        if self.only_group is not None:
            return self
        return attrs.evolve(
            self, only_group=group, more=None if self.more is None else self.more.of_group(group)
        )

    def with_rows(self, more: ForecastDeals) -> CellBook:
        """Return these deals and further rows; nothing must have been selected before."""
        return attrs.evolve(self, more=more if self.more is None else self.more.with_rows(more))

    def merged(self, first: int, last: int) -> CellBook:
        """Return the deals with one period instead of some: `first` to `last`, both included."""
        spans = (*self.spans, (first, last))
        return attrs.evolve(
            self, spans=spans, more=None if self.more is None else self.more.merged(first, last)
        )


Book = ForecastDeals | CellBook


def expected_by_group(book: Book, groups: int, unknown: Amounts) -> FloatArray:
    """Return the expected money by group and period, (g, k)."""
    if isinstance(book, ForecastDeals) or book.only_group is not None or not book.source.apart:
        return _moments.expected_by_group(book.money, groups, unknown)
    some = by_group(book.source, unknown.mean, book.only_part)
    for first, last in book.spans:
        some = some[:, first : last + 1].sum(axis=1, keepdims=True)
    if book.more is None:
        found = np.zeros((groups, some.shape[1]))
    else:
        found = _moments.expected_by_group(book.more.money, groups, unknown)
    found[: len(some)] += some
    return found


def book_of(source: Source, more: ForecastDeals | None = None) -> Book:
    """Return the deals of a source, by cell where its model has cells, and further rows."""
    if source.cells is not None:
        source.cells.check(source.pipeline)
        return CellBook(source, more)
    return source.table() if more is None else source.table().with_rows(more)
