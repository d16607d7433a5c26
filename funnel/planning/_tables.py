"""How a plan is shown: by stage, by share and period, and beside what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.calendars import to_dates
from funnel.kernels.arrays import frozen
from funnel.kernels.labels import texts
from funnel.planning._exact import to_float
from funnel.results import ResultTable
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from funnel.planning._actual import ActualFunnel
    from funnel.planning._classic import Givens
    from funnel.typing import DateArray, FloatArray, StringArray

__all__ = ["ActualToIdeal", "PlanPeriods", "PlanStages"]


def _floats(values: Iterable[Fraction | None]) -> FloatArray:
    """Return numbers as a read-only array; what is not known is NaN."""
    return frozen(np.array([to_float(value) for value in values], dtype=np.float64))


def _dates(days: Iterable[int]) -> DateArray:
    """Return days as read-only dates."""
    return frozen(to_dates(np.array(list(days), dtype=np.int32)))


def _without(
    cells: tuple[list[str], list[list[str]]], silent: Mapping[str, bool]
) -> tuple[list[str], list[list[str]]]:
    """Return headers and rows without the columns that say nothing."""
    headers, rows = cells
    kept = [place for place, name in enumerate(headers) if not silent.get(name)]
    return [headers[place] for place in kept], [[row[place] for place in kept] for row in rows]


@attrs.frozen(eq=False)
class PlanStages(ResultTable):
    """What each stage needs in the whole horizon.

    Parameters
    ----------
    stages : (s,) str
        The ladder.
    conversion : (s,) float64
        Of the deals that come to the stage or past it, the share that comes to the next one or past
        it; the last one to won.
    visits : (s,) float64
        Entries per deal that comes to the stage or past it.
    days : (s,) float64
        Days of an entry in the stage; NaN unknown.
    entries : (s,) float64
        Entries that are needed: deals that skip the stage are not among them, and those that come
        back are again.
    weekly : (s,) float64
        Entries a selling week, on average; NaN unknown.
    stock : (s,) float64
        Deals that the stage must hold, on average: entries a day x days (Little 1961,
        doi:10.1287/opre.9.3.383); NaN unknown.
    peak_stock : (s,) float64
        The same in the busiest period.
    lead_days : (s,) float64
        Days from reaching the stage to the win; NaN unknown.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"conversion"})

    stages: StringArray
    conversion: FloatArray
    visits: FloatArray
    days: FloatArray
    entries: FloatArray
    weekly: FloatArray
    stock: FloatArray
    peak_stock: FloatArray
    lead_days: FloatArray

    @classmethod
    def of(cls, givens: Givens) -> PlanStages:
        """Compute the table."""
        wins, unknown = givens.total_wins, (None,) * len(givens.stages)
        places = range(len(givens.stages))
        return cls(
            stages=texts(givens.stages),
            conversion=_floats(givens.conversions),
            days=_floats(givens.durations or unknown),
            visits=_floats(givens.visits),
            entries=_floats(givens.entries(wins, place) for place in places),
            weekly=_floats(givens.weekly(wins, None, place) for place in places),
            stock=_floats(givens.stock(wins, None, place) for place in places),
            peak_stock=_floats(map(givens.peak_stock, places)),
            lead_days=_floats(givens.lead_days or unknown),
        )

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each stage."""
        names = [field.name for field in attrs.fields(PlanStages)][1:]
        return {"stage": self.stages, **{name: getattr(self, name) for name in names}}

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text, without visits where each deal enters each stage."""
        return _without(super()._cells(), {"visits": bool(np.all(self.visits == 1.0))})

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "By stage"


@attrs.frozen(eq=False)
class PlanPeriods(ResultTable):
    """What each share and period needs; p x k rows, period by period within a share.

    Parameters
    ----------
    share, period : (p * k,) str
        Product or channel (empty where the target is not shared out), and label of the period.
    money : (p * k,) float64
        To book, gross-up included.
    wins, entries : (p * k,) float64
        Deals to win, and new deals that must be created for them.
    weekly, stock, reps : (p * k,) float64
        New deals a selling week, deals in all stages, and reps; NaN unknown.
    create_from, create_by : (p * k,) datetime64[D]
        First and last day on which those deals are created; NaT unknown.
    too_late : (p * k,) float64
        Money that no deal created after the day of the plan can bring.
    """

    share: StringArray
    period: StringArray
    money: FloatArray
    wins: FloatArray
    entries: FloatArray
    weekly: FloatArray
    stock: FloatArray
    reps: FloatArray
    create_from: DateArray
    create_by: DateArray
    too_late: FloatArray

    @classmethod
    def of(cls, givens: Givens) -> PlanPeriods:
        """Compute the table."""
        k = len(givens.periods)
        cells = [(row, period) for row in range(len(givens.shares)) for period in range(k)]
        windows = [givens.entry_window(period, 0) or (NO_DAY, NO_DAY) for _, period in cells]
        wins = [(givens.wins[row][period], period) for row, period in cells]
        return cls(
            share=texts([givens.shares[row][0] for row, _ in cells]),
            period=texts([givens.periods[period] for _, period in cells]),
            money=_floats(givens.money[row][period] for row, period in cells),
            wins=_floats(won for won, _ in wins),
            entries=_floats(won * givens.per_win[0] for won, _ in wins),
            weekly=_floats(givens.new(won, period) for won, period in wins),
            stock=_floats(givens.total_stock(won, period) for won, period in wins),
            reps=_floats(givens.reps(won, period) for won, period in wins),
            create_from=_dates(first for first, _ in windows),
            create_by=_dates(last for _, last in windows),
            too_late=_floats(
                givens.money[row][period] * givens.late_share(period) for row, period in cells
            ),
        )

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each share and period."""
        return {field.name: getattr(self, field.name) for field in attrs.fields(PlanPeriods)}

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and rows as text, without the columns that say nothing."""
        silent = {
            "share": not any(self.share.tolist()),
            "reps": bool(np.isnan(self.reps).all()),
            "create_from": bool(np.isnat(self.create_from).all()),
            "create_by": bool(np.isnat(self.create_by).all()),
            "too_late": not self.too_late.any(),
        }
        return _without(super()._cells(), silent)

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "By period"


@attrs.frozen(eq=False)
class ActualToIdeal(ResultTable):
    """The actual funnel of one window beside the ideal one of the next (去年实际 → 今年理想).

    Parameters
    ----------
    actual : ActualFunnel
        What was.
    ideal : PlanStages
        What must be.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"conversion_actual", "conversion_ideal"})

    actual: ActualFunnel
    ideal: PlanStages

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each stage, what was beside what must be."""
        found: dict[str, Any] = {"stage": self.ideal.stages}
        for name in ("weekly", "conversion", "visits", "days", "stock"):
            found[f"{name}_actual"] = getattr(self.actual, name)
            found[f"{name}_ideal"] = getattr(self.ideal, name)
        return found

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Actual funnel ({self.actual.start} to {self.actual.end}) and ideal funnel"
