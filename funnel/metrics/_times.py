"""Counts of stays and of times between events, and how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.kernels import survival
from funnel.kernels.labels import texts
from funnel.metrics._ages import AgeCounts, Counts, certain, incidence
from funnel.metrics._groups import GroupedTable, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.tables import History
    from funnel.typing import BoolArray, DayArray, FloatArray, IntArray

__all__ = ["DurationSummary", "DurationTable", "TimeSummary", "TimeTable"]

Array = np.ndarray[Any, Any]
NAMED = 3  # rows that a note names


def _quantile_columns(
    shares: FloatArray, days: FloatArray, low: FloatArray, high: FloatArray
) -> dict[str, FloatArray]:
    """(q,), (..., q) x 3 -> one column for each; what was not reached is NaN."""
    found = {}
    for place, share in enumerate(shares.tolist()):
        name = f"p{100 * share:g}"
        for suffix, values in (("", days), ("_low", low), ("_high", high)):
            column = values[..., place].ravel()
            found[name + suffix] = np.where(np.isinf(column), np.nan, column)
    return found


def _bounded(scope: Scope, cells: IntArray, outlasted: BoolArray) -> tuple[str, ...]:
    """(c,), (c * s,) -> a note on rows whose mean is not known; on hold they count."""
    stages = scope.funnel.n_stages
    rows = np.flatnonzero(outlasted)
    if not len(rows):
        return ()
    held = np.array([stage.on_hold for stage in scope.funnel.stages])
    shown = rows[~held[rows % stages]][:NAMED]
    labels = scope.columns(cells[shown // stages])
    labels.pop("observed", None)
    labels["stage"] = texts(scope.funnel.ids)[shown % stages]
    keys = zip(*(values.tolist() for values in labels.values()), strict=True)
    names = ", ".join(" / ".join(name or "(unknown)" for name in key) for key in keys)
    rest = len(rows) - len(shown)
    more = f" and {rest:,} more" if rest else ""
    said = "the restricted mean is a lower bound of the mean where some stays outlast `up_to`"
    return (f"{said}: {names}{more}" if names else f"{said}: stages on hold, in {rest:,} rows",)


@attrs.frozen(eq=False)
class DurationSummary:
    """Stays by cell and stage, ended or not, and by days; merges with that of other deals."""

    scope: Scope
    per: str
    groups: IntArray
    stays: Counts
    ages: AgeCounts
    outside: int
    undated: int

    def merge(self, other: DurationSummary, /) -> DurationSummary:
        """Add the counts of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, windows, columns or periods.
        """
        self.scope.require_same(other.scope)
        return DurationSummary(
            scope=self.scope,
            per=self.per,
            groups=np.union1d(self.groups, other.groups),
            stays=self.stays.merge(other.stays),
            ages=self.ages.merge(other.ages),
            outside=self.outside + other.outside,
            undated=self.undated + other.undated,
        )

    def table(self, *, shares: Sequence[float] = (0.5, 0.9), level: float = 0.95) -> DurationTable:
        """Return one row for each group, period and open stage."""
        from statistics import NormalDist  # noqa: PLC0415  (it loads decimal and fractions)

        asked = np.asarray(shares, dtype=np.float64)
        cells, states = self.scope.shown(self.groups), len(self.scope.funnel.ids)
        stages = self.scope.funnel.n_stages
        where = (cells[:, None] * states + np.arange(stages)).ravel()
        count = np.zeros((len(where), 2), dtype=np.int64)
        place, left = np.divmod(self.stays.key, 2)
        count[np.searchsorted(where, place), left] = self.stays.count
        days, low, high = np.full((3, len(where), len(asked)), np.nan)
        mean, spread, last, outlasting = np.full((4, len(where)), np.nan)
        for part, events, risk in self.ages.blocks(where):
            curve, variance = survival.kaplan_meier(events[:, 0], risk)
            seen = np.asarray((risk > 0).any(axis=1))
            for into, values in zip(
                (days, low, high),
                survival.quantiles(curve, variance, asked, level=level),
                strict=True,
            ):
                into[part] = np.where(seen[:, None], values, np.nan)
            end = np.max(np.where(risk > 0, np.arange(1, risk.shape[1] + 1), 1), axis=1)
            # An exit on day t is t days long: the mean sums S over the ends of the days before.
            rows = np.arange(len(end))
            area = [moment[rows, end - 1] for moment in survival.restricted_mean(curve, variance)]
            for into, values in ((mean, area[0]), (spread, area[1]), (last, end - 1)):
                into[part] = np.where(seen, values, np.nan)
            outlasting[part] = np.where(seen, curve[rows, end], np.nan)
        half = NormalDist().inv_cdf(0.5 + level / 2.0) * np.sqrt(spread)
        shape = (len(cells), stages)
        notes = [*self.scope.notes(), *_bounded(self.scope, cells, outlasting > survival.ROUNDING)]
        if self.outside:
            notes.append(f"{self.outside:,} stays began outside of the periods")
        if self.undated:
            notes.append(f"{self.undated:,} stays began on an unknown day: in counts only")
        return DurationTable(
            scope=self.scope,
            per=self.per,
            shares=asked,
            cells=cells,
            stays=count.sum(axis=1).reshape(shape),
            left=count[:, 1].reshape(shape),
            days=days.reshape(*shape, -1),
            low=low.reshape(*shape, -1),
            high=high.reshape(*shape, -1),
            restricted_mean=mean.reshape(shape),
            mean_low=np.maximum(mean - half, 0.0).reshape(shape),
            mean_high=(mean + half).reshape(shape),
            up_to=last.reshape(shape),
            outlasting=outlasting.reshape(shape),
            notes=tuple(notes),
        )


@attrs.frozen(eq=False)
class DurationTable(GroupedTable):
    """Days in each stage, by group and period; see `stage_durations`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    per : str
        ``"visit"`` or ``"deal"``.
    shares : (q,) float64
        The quantiles.
    cells : (c,) int64
        Group and period of each block of rows.
    stays, left : (c, s) int64
        Stays that began, and how many of them have ended.
    days, low, high : (c, s, q) float64
        Quantiles with their intervals; infinite where not reached, NaN where nothing was seen.
    restricted_mean, mean_low, mean_high : (c, s) float64
        Mean of the days, those beyond `up_to` counted as `up_to`, with its interval. It is the mean
        where no stay is longer, and a lower bound of it elsewhere; a note names these rows.
    up_to : (c, s) float64
        Highest age seen in the row, in days.
    outlasting : (c, s) float64
        Share of the stays that are longer.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"observed", "outlasting"})

    scope: Scope
    per: str
    shares: FloatArray
    cells: IntArray
    stays: IntArray
    left: IntArray
    days: FloatArray
    low: FloatArray
    high: FloatArray
    restricted_mean: FloatArray
    mean_low: FloatArray
    mean_high: FloatArray
    up_to: FloatArray
    outlasting: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and open stage."""
        n = self.scope.funnel.n_stages
        return {
            **self.scope.columns(self.cells, n),
            "stage": np.tile(texts(self.scope.funnel.ids[:n]), len(self.cells)),
            "stays": self.stays.ravel(),
            "left": self.left.ravel(),
            **_quantile_columns(self.shares, self.days, self.low, self.high),
            **{
                name: getattr(self, name).ravel()
                for name in ("restricted_mean", "mean_low", "mean_high", "up_to", "outlasting")
            },
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return f"Days in stage per {self.per}"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


@attrs.frozen(eq=False)
class TimeSummary:
    """Deals by cell and by days to one of several events; merges with that of other deals.

    The causes are the targets, what competes with them, and censoring.
    """

    scope: Scope
    targets: tuple[str, ...]
    groups: IntArray
    deals: Counts
    ages: AgeCounts
    outside: int
    unseen: int

    @classmethod
    def of(  # noqa: PLR0917
        cls,
        history: History,
        scope: Scope,
        targets: tuple[str, ...],
        begun: tuple[IntArray, DayArray],
        ages: tuple[IntArray, IntArray, IntArray],
        seen: BoolArray,
    ) -> TimeSummary:
        """Count deals (m,) by first and last age and cause; those not `seen` have no ages.

        `begun` is the row of the history with which each began, and the day.
        """
        rows, days = begun
        first, last, cause = ages
        causes = len(targets) + 2
        cell = scope.cells(history, rows, days)
        inside = np.flatnonzero((cell >= 0) & seen)
        where = np.where(seen, cell, -1)
        return cls(
            scope=scope,
            targets=targets,
            groups=scope.seen(history, rows),
            deals=Counts.of(cell[inside] * causes + cause[inside]),
            ages=AgeCounts.of(where, first, last, cause, causes),
            outside=int(np.count_nonzero(cell < 0)),
            unseen=int(np.count_nonzero((cell >= 0) & ~seen)),
        )

    def merge(self, other: TimeSummary, /) -> TimeSummary:
        """Add the counts of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, windows, columns or periods.
        """
        self.scope.require_same(other.scope)
        return TimeSummary(
            scope=self.scope,
            targets=self.targets,
            groups=np.union1d(self.groups, other.groups),
            deals=self.deals.merge(other.deals),
            ages=self.ages.merge(other.ages),
            outside=self.outside + other.outside,
            unseen=self.unseen + other.unseen,
        )

    def table(self, *, shares: Sequence[float] = (0.5, 0.9), level: float = 0.95) -> TimeTable:
        """Return one row for each group, period and target."""
        asked = np.asarray(shares, dtype=np.float64)
        cells, n = self.scope.shown(self.groups), len(self.targets)
        count = np.zeros((len(cells), n + 2), dtype=np.int64)
        cell, cause = np.divmod(self.deals.key, n + 2)
        count[np.searchsorted(cells, cell), cause] = self.deals.count
        days, low, high = np.full((3, len(cells), n, len(asked)), np.nan)
        chance, variance = np.full((2, len(cells), n), np.nan)
        for part, events, risk in self.ages.blocks(cells):
            found = incidence(events, risk)
            arrived = events[:, :n].sum(axis=-1)
            seen = np.asarray(found.end > 0)[:, None]
            chance[part] = np.where(seen, found.curve[:, :n, -1], np.nan)
            variance[part] = np.where(seen, found.variance[:, :n, -1], np.nan)
            whole = np.maximum(found.curve[:, :n, -1:], survival.ROUNDING)
            open_ = np.maximum(1.0 - found.curve[:, :n] / whole, 0.0)
            spread = open_ * (1.0 - open_) / np.maximum(arrived, 1)[..., None]
            for into, values in zip(
                (days, low, high),
                survival.quantiles(open_, spread, asked, level=level),
                strict=True,
            ):
                into[part] = np.where((arrived > 0)[..., None], values, np.nan)
        started = count.sum(axis=1)
        bounds = certain(chance, variance, started[:, None], level)
        notes = list(self.scope.notes())
        if self.outside:
            notes.append(f"{self.outside:,} deals began outside of the periods")
        if self.unseen:
            notes.append(f"{self.unseen:,} deals whose beginning was not seen are left out")
        return TimeTable(
            scope=self.scope,
            targets=self.targets,
            shares=asked,
            cells=cells,
            started=started,
            arrived=count[:, :n],
            chance=chance,
            chance_low=bounds[0],
            chance_high=bounds[1],
            days=days,
            low=low,
            high=high,
            notes=tuple(notes),
        )


@attrs.frozen(eq=False)
class TimeTable(GroupedTable):
    """Days until something happens, by group and period; see `time_between` and `sales_cycle`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    targets : tuple of str
        What was waited for, t.
    shares : (q,) float64
        The quantiles.
    cells : (c,) int64
        Group and period of each block of rows.
    started : (c,) int64
        Deals that began.
    arrived : (c, t) int64
        Deals that arrived so far.
    chance, chance_low, chance_high : (c, t) float64
        Aalen-Johansen share that arrives by the highest age seen, with its interval.
    days, low, high : (c, t, q) float64
        Quantiles of the days of those that arrive, with their intervals; NaN where none did.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset(
        {"observed", "chance", "chance_low", "chance_high"}
    )

    scope: Scope
    targets: tuple[str, ...]
    shares: FloatArray
    cells: IntArray
    started: IntArray
    arrived: IntArray
    chance: FloatArray
    chance_low: FloatArray
    chance_high: FloatArray
    days: FloatArray
    low: FloatArray
    high: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and target."""
        n = len(self.targets)
        return {
            **self.scope.columns(self.cells, n),
            "to": np.tile(texts(self.targets), len(self.cells)),
            "started": np.repeat(self.started, n),
            "arrived": self.arrived.ravel(),
            "chance": self.chance.ravel(),
            "chance_low": self.chance_low.ravel(),
            "chance_high": self.chance_high.ravel(),
            **_quantile_columns(self.shares, self.days, self.low, self.high),
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Days until the event, of the deals that come to it"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes
