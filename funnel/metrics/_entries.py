"""Entries into stages and what became of them: counted, merged, and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.metrics import _journeys
from funnel.metrics._ages import AgeCounts, Counts, at_age, certain, incidence, ratio, wilson
from funnel.metrics._groups import STANDARD, GroupedTable, Scope, check_days, check_level
from funnel.metrics._journeys import FATES
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.metrics._journeys import Visits
    from funnel.tables import History
    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "FATES",
    "ConversionSummary",
    "ConversionTable",
    "FlowMatrix",
    "summarize_conversion",
]

CONVERTED, OTHER, CENSORED = range(3)
LATE, YOUNG, MARKS = 1, 2, 4


def summarize_conversion(
    history: History,
    /,
    *,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    within: int | None = None,
    calendar: Calendar = STANDARD,
) -> ConversionSummary:
    """Count the entries into each stage of a history, or of a chunk of whole deals.

    Parameters are those of `conversion`. Summaries of chunks merge to that of the whole history.

    Examples
    --------
    >>> from funnel.testing import fixtures
    >>> history = fixtures.history()
    >>> first, *others = [summarize_conversion(chunk) for chunk in history.chunks(100)]
    >>> for other in others:
    ...     first = first.merge(other)
    >>> first.table().entries[0].tolist()
    [208, 153, 0, 105, 28]
    """
    if within is not None:
        check_days(within, "within")
    scope = Scope.of(history, by, period, calendar)
    found = _journeys.counted_visits(history, scope)
    cell = scope.cells(history, found.row, found.start)
    entered, until = found.entered.astype(np.int64), history.observed_until
    dated = found.entered != NO_DAY
    age_out = np.where(found.target < 0, until, found.stop) - entered
    gone = found.target >= 0
    if within is not None:
        gone = gone & (age_out <= within)
    goal = _goal(history, found, gone, within)
    fate = _journeys.fates(history.funnel, found, goal, gone)
    mark = LATE * (found.start != found.entered)
    if within is not None:
        mark = mark + YOUNG * (~gone & (until - entered < within))
    counted = np.flatnonzero((cell >= 0) & (dated if within is not None else True))
    states = len(history.funnel.ids)
    code = ((cell * states + found.stage) * len(FATES) + fate) * (states + 1)
    code = (code + np.where(gone, goal, states)) * MARKS + mark
    cause = np.where(found.target < 0, CENSORED, np.where(_upward(fate, gone), CONVERTED, OTHER))
    if within is not None:  # what came later than the bound is censored at the bound
        beyond = age_out > within
        cause, age_out = np.where(beyond, CENSORED, cause), np.where(beyond, within, age_out)
    first = _journeys.first_age(found.start - entered, age_out, leaves=cause != CENSORED)
    aged = dated & (cell >= 0) & (found.stage < history.funnel.n_stages)
    where = np.where(aged, cell * states + found.stage, -1)
    return ConversionSummary(
        scope=scope,
        within=within,
        groups=scope.seen(history, found.row),
        flows=Counts.of(code[counted], None if found.number is None else found.number[counted]),
        ages=AgeCounts.of(where, first, age_out, cause, CENSORED + 1, count=found.number),
        outside=_journeys.how_many(cell < 0, found.number),
        undated=_journeys.how_many(~dated & (cell >= 0), found.number),
    )


def _upward(fate: IntArray, gone: BoolArray) -> BoolArray:
    """(m,), (m,) -> (m,): which moves are conversions."""
    return np.asarray(gone & (fate <= _journeys.WON))


def _goal(history: History, found: Visits, gone: BoolArray, within: int | None) -> IntArray:
    """(v,): the state after the visit; of who is still there, on hold or not, the present one."""
    goal = np.where(gone, found.target, found.stage).astype(np.int64)
    stays = np.flatnonzero(~gone)
    if not history.funnel.on_hold.any():
        return goal
    if within is None:
        day = np.full(len(stays), history.observed_until, dtype=np.int64)
    else:
        day = found.entered[stays].astype(np.int64) + within
    # Who was first seen after the bound, and left later, was in the stage at the bound.
    stays, day = stays[day >= found.start[stays]], day[day >= found.start[stays]]
    goal[stays] = _journeys.state_on(history, found.deal[stays], day)
    return goal


@attrs.frozen(eq=False)
class ConversionSummary:
    """Counts of stage entries by what became of them, and by days since the entry.

    It merges with that of other deals; `table` and `matrix` turn it into results.
    """

    scope: Scope
    within: int | None
    groups: IntArray
    flows: Counts
    ages: AgeCounts
    outside: int
    undated: int

    def merge(self, other: ConversionSummary, /) -> ConversionSummary:
        """Add the counts of other deals.

        Raises
        ------
        SchemaMismatchError
            When the summaries are of different schemas, windows, columns or periods.
        """
        self.scope.require_same(other.scope)
        if self.within != other.within:
            rule = "must be the same in all summaries"
            raise ValidationError.from_value("within", rule, (self.within, other.within), "")
        return ConversionSummary(
            scope=self.scope,
            within=self.within,
            groups=np.union1d(self.groups, other.groups),
            flows=self.flows.merge(other.flows),
            ages=self.ages.merge(other.ages),
            outside=self.outside + other.outside,
            undated=self.undated + other.undated,
        )

    def _unpacked(self, cells: IntArray) -> tuple[IntArray, ...]:
        """Return row, stage, fate, target, mark and count of each flow."""
        states = len(self.scope.funnel.ids)
        rest, mark = np.divmod(self.flows.key, MARKS)
        rest, target = np.divmod(rest, states + 1)
        rest, fate = np.divmod(rest, len(FATES))
        cell, stage = np.divmod(rest, states)
        return np.searchsorted(cells, cell), stage, fate, target, mark, self.flows.count

    def _notes(self) -> tuple[str, ...]:
        """Say what is not in the table."""
        notes = list(self.scope.notes())
        if self.outside:
            notes.append(f"{self.outside:,} entries lie outside of the periods")
        if self.undated:
            where = "the rates" if self.within is None else "the table: their age is not known"
            notes.append(f"{self.undated:,} entries on an unknown day are not in {where}")
        return tuple(notes)

    def table(self, *, level: float = 0.95) -> ConversionTable:
        """Return one row for each group, period and open stage."""
        check_level(level)
        funnel, cells = self.scope.funnel, self.scope.shown(self.groups)
        n, states = funnel.n_stages, len(funnel.ids)
        row, stage, fate, _, mark, count = self._unpacked(cells)
        parts = np.zeros((len(cells), states, len(FATES)), dtype=np.int64)
        late, young = np.zeros((2, len(cells), states), dtype=np.int64)
        np.add.at(parts, (row, stage, fate), count)
        np.add.at(late, (row, stage), count * (mark & LATE > 0))
        np.add.at(young, (row, stage), count * (mark & YOUNG > 0))
        parts, late, young = parts[:, :n], late[:, :n], young[:, :n]
        where = (cells[:, None] * states + np.arange(n)).ravel()
        rate, variance = _rates(self.ages, where, self.within)
        low, high = certain(rate, variance, parts.sum(axis=-1).ravel(), level)
        shape = len(cells), n
        return ConversionTable(
            scope=self.scope,
            within=self.within,
            cells=cells,
            parts=parts,
            late=late,
            young=young,
            rate=rate.reshape(shape),
            low=low.reshape(shape),
            high=high.reshape(shape),
            notes=self._notes(),
        )

    def matrix(self, *, level: float = 0.95) -> FlowMatrix:
        """Return the moves from each state to each other one."""
        check_level(level)
        cells, states = self.scope.shown(self.groups), len(self.scope.funnel.ids)
        row, stage, _, target, _, count = self._unpacked(cells)
        moves = np.zeros((len(cells), states, states + 1), dtype=np.int64)
        np.add.at(moves, (row, stage, target), count)
        return FlowMatrix(self.scope, cells, moves, level, self._notes())


def _rates(ages: AgeCounts, where: IntArray, within: int | None) -> tuple[FloatArray, FloatArray]:
    """(c,) -> (c,), (c,): share converted by the bound, and its variance; NaN unknown."""
    rate, variance = np.full((2, len(where)), np.nan)
    for part, events, risk in ages.blocks(where):
        found = incidence(events, risk)
        at, known = at_age(found, within)
        pick = (np.arange(len(at)), CONVERTED, at)
        rate[part] = np.where(known, found.curve[pick], np.nan)
        variance[part] = np.where(known, found.variance[pick], np.nan)
    return rate, variance


@attrs.frozen(eq=False)
class ConversionTable(GroupedTable):
    """What became of the entries into each stage, by group and period: see `conversion`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    within : int or None
        Days that each entry was given.
    cells : (c,) int64
        Group and period of each block of rows.
    parts : (c, s, 7) int64
        Entries by what became of them, in the order of `FATES`.
    late : (c, s) int64
        Of the entries, those first seen in mid-stage.
    young : (c, s) int64
        Of those still there or on hold, the ones that were given less than `within` days.
    rate, low, high : (c, s) float64
        Aalen-Johansen share that advances or is won, with its interval; NaN where unknown.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"observed", "so_far", "rate", "low", "high"})

    scope: Scope
    within: int | None
    cells: IntArray
    parts: IntArray
    late: IntArray
    young: IntArray
    rate: FloatArray
    low: FloatArray
    high: FloatArray
    notes: tuple[str, ...]

    @property
    def entries(self) -> IntArray:
        """Entries, the sum of the seven parts, (c, s)."""
        return np.asarray(self.parts.sum(axis=-1))

    @property
    def so_far(self) -> FloatArray:
        """Share of the entries that has advanced or is won so far, (c, s)."""
        return ratio(self.parts[..., :2].sum(axis=-1), self.entries)

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and open stage."""
        n = self.scope.funnel.n_stages
        found = self.scope.columns(self.cells, n)
        found["stage"] = np.tile(texts(self.scope.funnel.ids[:n]), len(self.cells))
        found["entries"] = self.entries.ravel()
        for position, name in enumerate(FATES):
            found[name.replace(" ", "_")] = self.parts[..., position].ravel()
        found["late"] = self.late.ravel()
        if self.within is not None:
            found["young"] = self.young.ravel()
        for name in ("so_far", "rate", "low", "high"):
            found[name] = getattr(self, name).ravel()
        return found

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Conversion" if self.within is None else f"Conversion within {self.within:,} days"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


@attrs.frozen(eq=False)
class FlowMatrix(GroupedTable):
    """Moves from each state to each other one, by group and period: see `flow_matrix`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    cells : (c,) int64
        Group and period of each matrix.
    moves : (c, s, s + 1) int64
        Visits to each state by the state they went to; the last column counts who is still there.
    level : float
        Level of the intervals.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"observed", "share", "low", "high"})

    scope: Scope
    cells: IntArray
    moves: IntArray
    level: float
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and pair of states between which deals moved."""
        names = texts([*self.scope.funnel.ids, "(still there)"])
        found = self.moves.sum(axis=0)
        found[self.scope.funnel.n_stages :, -1] = 0  # that closed deals stay closed says nothing
        origin, goal = np.nonzero(found)
        counts = self.moves[:, origin, goal].ravel()
        n = self.moves.sum(axis=-1)[:, origin].ravel()
        low, high = wilson(counts, n, self.level)
        return {
            **self.scope.columns(self.cells, len(origin)),
            "from": np.tile(names[origin], len(self.cells)),
            "to": np.tile(names[goal], len(self.cells)),
            "entries": n,
            "moves": counts,
            "share": ratio(counts, n),
            "low": low,
            "high": high,
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Moves between states"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes
