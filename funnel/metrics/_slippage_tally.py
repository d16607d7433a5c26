"""Promises counted by group, period and factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.metrics._promises import PUSHES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.metrics._ages import AgeCounts, Counts
    from funnel.metrics._groups import Scope
    from funnel.tables import History
    from funnel.typing import IntArray

__all__ = ["Factors", "Tally", "level_columns"]


@attrs.frozen
class Factors:
    """Names of the values of each factor; a level is a combination of them."""

    names: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, history: History, per: Sequence[str], known: dict[str, tuple[str, ...]]) -> Factors:
        """Look the factors up."""
        stages = history.funnel.ids[: history.funnel.n_stages]
        values = {"stage": stages, "pushes": PUSHES, **known}
        if isinstance(per, str) or not set(per) <= set(values) or len(set(per)) < len(per):
            rule = f"must be a sequence of different factors of {', '.join(sorted(values))}"
            raise ValidationError.from_value("per", rule, per, "For instance ('stage',).")
        return cls(tuple((name, tuple(values[name])) for name in per))

    @property
    def size(self) -> int:
        """Number of levels."""
        return int(np.prod([len(values) for _, values in self.names], dtype=np.int64))

    def levels(self, codes: dict[str, IntArray], n: int) -> IntArray:
        """Return the level of each entry, (n,)."""
        level = np.zeros(n, dtype=np.int64)
        for name, values in self.names:
            level = level * len(values) + codes[name]
        return level

    def columns(self, cells: int) -> dict[str, Any]:
        """Return the values of the factors, all levels in turn, once for each cell."""
        shape = [len(values) for _, values in self.names]
        codes = np.unravel_index(np.arange(self.size), shape) if shape else ()
        return {
            name: np.tile(texts(values)[code], cells)
            for (name, values), code in zip(self.names, codes, strict=True)
        }


@attrs.frozen(eq=False)
class Tally:
    """Entries by cell, level and result; merges with those of other deals."""

    scope: Scope
    factors: Factors
    groups: IntArray
    counts: Counts
    late: Counts
    days: Counts
    ages: AgeCounts
    outside: int
    pending: int

    def merge(self, other: Tally, /) -> Tally:
        """Add the counts of other deals."""
        self.scope.require_same(other.scope)
        return Tally(
            scope=self.scope,
            factors=self.factors,
            groups=np.union1d(self.groups, other.groups),
            counts=self.counts.merge(other.counts),
            late=self.late.merge(other.late),
            days=self.days.merge(other.days),
            ages=self.ages.merge(other.ages),
            outside=self.outside + other.outside,
            pending=self.pending + other.pending,
        )

    def dense(self, counts: Counts, where: IntArray, width: int) -> IntArray:
        """(w,) -> (w, width): counts by cell and level, and by result."""
        found = np.zeros((len(where), width), dtype=np.int64)
        place, result = np.divmod(counts.key, width)
        found[np.searchsorted(where, place), result] = counts.count
        return found

    def where(self) -> tuple[IntArray, IntArray]:
        """Return the cells that are shown, (c,), and the keys of their levels, (c * l,)."""
        cells = self.scope.shown(self.groups)
        return cells, (cells[:, None] * self.factors.size + np.arange(self.factors.size)).ravel()

    def notes(self) -> tuple[str, ...]:
        """Say what is not in the table."""
        found = []
        if self.outside:
            found.append(f"{self.outside:,} promises lie outside of the periods")
        if self.pending:
            found.append(f"{self.pending:,} cases are left out: their period is not over yet")
        return tuple(found)


def level_columns(scope: Scope, factors: Factors, cells: IntArray) -> dict[str, Any]:
    """Return the columns that name the rows."""
    found = scope.columns(cells, factors.size)
    found.pop("observed", None)
    return {**found, **factors.columns(len(cells))}
