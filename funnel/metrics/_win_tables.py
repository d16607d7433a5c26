"""How win rates are shown: by group and period, and by age."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.metrics._ages import ratio
from funnel.metrics._groups import GroupedTable, Scope
from funnel.stages import Outcome

if TYPE_CHECKING:
    from funnel.typing import FloatArray, IntArray

__all__ = ["WinCurve", "WinRates"]


@attrs.frozen(eq=False)
class WinRates(GroupedTable):
    """Win rates by group and period, see `win_rates`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    within : int or None
        Age at which `rate` and its interval are read; the counts and the other rates are all
        that happened so far.
    cells : (c,) int64
        Group and period of each row.
    cohort : (c, 4) int64
        Deals created in the period by how they stand: open, won, lost, removed.
    closed : (c, 4) int64
        Deals closed in the period: 0, won, lost, removed.
    rate, low, high : (c,) float64
        Aalen-Johansen share of the cohort that is won, with its interval; NaN where unknown.
    undecided : (c,) float64
        Share of the cohort that is still open at the age at which `rate` is read.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset(
        {
            "observed",
            "won_of_closed",
            "won_of_created",
            "won_of_decided",
            "rate",
            "low",
            "high",
            "undecided",
        }
    )

    scope: Scope
    within: int | None
    cells: IntArray
    cohort: IntArray
    closed: IntArray
    rate: FloatArray
    low: FloatArray
    high: FloatArray
    undecided: FloatArray
    notes: tuple[str, ...]

    @property
    def created(self) -> IntArray:
        """Deals created in the period, (c,)."""
        return np.asarray(self.cohort.sum(axis=1))

    @property
    def won_of_closed(self) -> FloatArray:
        """Won / (won + lost) of the deals that closed in the period, (c,)."""
        return ratio(self.closed[:, Outcome.WON], self.closed[:, 1:3].sum(axis=1))

    @property
    def won_of_created(self) -> FloatArray:
        """Won so far / created, of the deals created in the period, (c,)."""
        return ratio(self.cohort[:, Outcome.WON], self.created)

    @property
    def won_of_decided(self) -> FloatArray:
        """Won / (won + lost) so far, of the deals created in the period, (c,)."""
        return ratio(self.cohort[:, Outcome.WON], self.cohort[:, 1:3].sum(axis=1))

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group and period."""
        found = self.scope.columns(self.cells)
        found["created"] = self.created
        for outcome in (Outcome.WON, Outcome.LOST, Outcome.REMOVED, Outcome.OPEN):
            found[outcome.name.lower()] = self.cohort[:, outcome]
        found["closed_won"] = self.closed[:, Outcome.WON]
        found["closed_lost"] = self.closed[:, Outcome.LOST]
        for name in ("won_of_closed", "won_of_created", "won_of_decided"):
            found[name] = getattr(self, name)
        for name in ("rate", "low", "high", "undecided"):
            found[name] = getattr(self, name)
        return found

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Win rates" if self.within is None else f"Win rates within {self.within:,} days"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table, and which columns are of what age."""
        if self.within is None:
            return self.notes
        bound = (
            f"rate, low, high and undecided are within {self.within:,} days of creation; all other "
            "columns count whatever happened so far"
        )
        return (*self.notes, bound)


@attrs.frozen(eq=False)
class WinCurve(GroupedTable):
    """Win rate by age, by group and period of creation; see `win_curve`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    cells : (c,) int64
        Group and period of each curve.
    ages : (a,) int64
        Days since creation.
    deals : (c,) int64
        Deals created.
    at_risk : (c, a) int64
        Deals that could close at that age.
    won, low, high : (c, a) float64
        Share won by the end of that day of age, with its interval; NaN beyond the ages seen.
    lost, still_open : (c, a) float64
        Share lost, and neither won nor lost nor removed, by then.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset(
        {"observed", "won", "low", "high", "lost", "still_open"}
    )

    scope: Scope
    cells: IntArray
    ages: IntArray
    deals: IntArray
    at_risk: IntArray
    won: FloatArray
    low: FloatArray
    high: FloatArray
    lost: FloatArray
    still_open: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and age."""
        n = len(self.ages)
        found = self.scope.columns(self.cells, n)
        found["deals"] = np.repeat(self.deals, n)
        found["age"] = np.tile(self.ages, len(self.cells))
        for name in ("at_risk", "won", "low", "high", "lost", "still_open"):
            found[name] = getattr(self, name).ravel()
        return found

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Win rate by days since creation"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes
