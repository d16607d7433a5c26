"""Sums by cell that merge, and the currencies that must agree for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import CurrencyMismatchError
from funnel.kernels.arrays import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from funnel.tables import History
    from funnel.typing import FloatArray, IntArray

__all__ = ["CellSums", "currencies", "require_one"]


def currencies(history: History, rows: IntArray) -> frozenset[str]:
    """Return the currencies of some rows of a history."""
    names = (*history.schema.column("currency").categories, "")
    return frozenset(names[code] for code in np.unique(history.columns["currency"][rows]).tolist())


def require_one(found: Iterable[str]) -> None:
    """Demand that amounts share one currency."""
    names = sorted(found)
    if len(names) > 1:
        raise CurrencyMismatchError(names)


@attrs.frozen(eq=False)
class CellSums:
    """Sums of v things by cell, (c,) and (c, v); cells are sorted. Merges with that of others."""

    cell: IntArray = attrs.field(converter=frozen)
    sums: FloatArray = attrs.field(converter=frozen)

    @classmethod
    def of(cls, cell: IntArray, values: Sequence[np.ndarray[Any, Any]]) -> CellSums:
        """Add up values, (m,) each; what has no cell is left out."""
        used = np.flatnonzero(cell >= 0)
        found, place = np.unique(cell[used], return_inverse=True)
        sums = [np.bincount(place, weights=v[used], minlength=len(found)) for v in values]
        return cls(found, np.stack(sums, axis=1))

    def merge(self, other: CellSums, /) -> CellSums:
        """Add the sums of others."""
        cell, place = np.unique(np.concatenate((self.cell, other.cell)), return_inverse=True)
        total = np.zeros((len(cell), self.sums.shape[1]))
        np.add.at(total, place, np.concatenate((self.sums, other.sums)))
        return CellSums(cell, total)

    def shown(self, n: int) -> tuple[IntArray, FloatArray]:
        """Return the first `n` cells, used or not, and the others that are used; their sums."""
        cell = np.union1d(np.arange(n), self.cell)
        found = np.zeros((len(cell), self.sums.shape[1]))
        found[np.searchsorted(cell, self.cell)] = self.sums
        return cell, found
