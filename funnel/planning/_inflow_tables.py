"""How a plan of entries is shown: by week, by period, by stage; and what its levers do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from funnel.results import ResultTable

if TYPE_CHECKING:
    from funnel.typing import BoolArray, DateArray, FloatArray, StringArray

__all__ = ["InflowLevers", "InflowPeriods", "InflowWeeks", "StageEntries"]


@attrs.frozen(eq=False)
class InflowWeeks(ResultTable):
    """What must enter in each calendar week, and the weeks for which it is too late.

    Parameters
    ----------
    first, last : (v,) datetime64[D]
        First and last day; weeks begin on Mondays, the one of the plan is cut in two. The earliest
        weeks that are too late are one row.
    too_late : (v,) bool
        Has the week passed?
    entries : (v,) float64
        New deals needed; in weeks that are too late, those that are missing.
    usual : (v,) float64
        New deals expected anyway; 0 in weeks that are too late. In the first week to come they
        hold those that exist and are not recorded yet.
    money : (v,) float64
        Expected money of the entries within the horizon; 0 where it is too late.
    arrives : (v,) float64
        Share of what deals of the week bring at all that comes within the horizon.
    lost : (v,) float64
        Money that the missing entries would have brought, and that cannot be reached any more.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"arrives"})

    first: DateArray
    last: DateArray
    too_late: BoolArray
    entries: FloatArray
    usual: FloatArray
    money: FloatArray
    arrives: FloatArray
    lost: FloatArray

    @property
    def additional(self) -> FloatArray:
        """Entries beyond the usual ones; below 0 where fewer would do, (v,)."""
        return self.entries - self.usual

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each week."""
        return {
            "first": self.first,
            "last": self.last,
            "too_late": self.too_late,
            "entries": self.entries,
            "usual": self.usual,
            "additional": self.additional,
            "money": self.money,
            "arrives": self.arrives,
            "lost": self.lost,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Entries by week"


@attrs.frozen(eq=False)
class InflowPeriods(ResultTable):
    """Where the money of each period comes from under a plan of entries.

    Parameters
    ----------
    period : (k,) str
        Labels.
    target : (k,) float64
        Money to book.
    booked, open, reopened : (k,) float64
        Expected from deals that exist.
    usual : (k,) float64
        Expected from the new deals that come anyway; for comparison.
    new : (k,) float64
        Expected from the entries of the plan.
    expected : (k,) float64
        All but `usual`.
    too_late : (k,) float64
        Money that only deals created by now could have brought.
    probability : (k,) float64
        Chance of the period to reach its target.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"probability"})

    period: StringArray
    target: FloatArray
    booked: FloatArray
    open: FloatArray
    reopened: FloatArray
    usual: FloatArray
    new: FloatArray
    expected: FloatArray
    too_late: FloatArray
    probability: FloatArray

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each period."""
        return {field.name: getattr(self, field.name) for field in attrs.fields(InflowPeriods)}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Money by period"


@attrs.frozen(eq=False)
class StageEntries(ResultTable):
    """Expected entries into each stage by calendar week: skips and loops included.

    Parameters
    ----------
    first, last : (v * s,) datetime64[D]
        First and last day of the week.
    stage : (v * s,) str
        Ids of the stages, in turn.
    existing, new : (v * s,) float64
        Entries of deals that exist, and of those that enter as planned. A deal may enter a stage
        more than once. New deals enter the stage in which they end their first day.
    stock : (v * s,) float64
        Deals in the stage at the end of the week.
    """

    first: DateArray
    last: DateArray
    stage: StringArray
    existing: FloatArray
    new: FloatArray
    stock: FloatArray

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each week and stage."""
        return {
            "first": self.first,
            "last": self.last,
            "stage": self.stage,
            "entries": self.existing + self.new,
            "existing": self.existing,
            "new": self.new,
            "stock": self.stock,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Entries by week and stage"


@attrs.frozen(eq=False)
class InflowLevers(ResultTable):
    """What one per cent more of each lever does to the horizon under the planned entries.

    Parameters
    ----------
    levers : (m,) str
        ``"inflow"``, ``"average_amount"``, and, where the model has them,
        ``"conversion:<stage>"`` and ``"duration:<stage>"``.
    revenue : (m,) float64
        By how many per cent expected money changes.
    probability : (m,) float64
        By how many percentage points the chance to reach the target changes.
    notes : tuple of str
        What is not among the levers.
    """

    levers: StringArray
    revenue: FloatArray
    probability: FloatArray
    notes: tuple[str, ...] = ()

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each lever."""
        return {"lever": self.levers, "revenue": self.revenue, "probability": self.probability}

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text; elasticities need their decimals."""
        headers, rows = super()._cells()
        pairs = zip(self.revenue.tolist(), self.probability.tolist(), strict=True)
        return headers, [
            [row[0], f"{a:.3f}", f"{b:.3f}"] for row, (a, b) in zip(rows, pairs, strict=True)
        ]

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Change for one per cent of each lever"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not among the levers."""
        return self.notes
