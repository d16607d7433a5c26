"""Reasons of losses as competing causes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.labels import texts
from funnel.metrics import _journeys
from funnel.metrics._ages import AgeCounts, Counts, at_age, certain, incidence, ratio
from funnel.metrics._groups import STANDARD, GroupedTable, Scope, check_days, check_level
from funnel.stages import Outcome
from funnel.summary import summarize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from funnel.calendars import Calendar, Horizon, Unit
    from funnel.summary import HistorySource
    from funnel.tables import History
    from funnel.typing import FloatArray, IntArray

__all__ = ["LossReasons", "loss_reasons"]


def _reasons(history: History, reason: str | None) -> tuple[tuple[str, ...], IntArray]:
    """Return the names of the reasons, and that of each deal as its last row gives it, (n,)."""
    last = history.bounds[1:] - 1
    if reason is None:
        funnel = history.funnel
        names = tuple(funnel.ids[code] for code in funnel.lost_codes)
        return names, history.stage[last].astype(np.int64) - funnel.lost_codes[0]
    column = history.schema.column(reason)
    if column.kind != "category":
        rule, remedy = "must name a column of categories", f"It is a {column.kind} column."
        raise ValidationError.from_value("reason", rule, reason, remedy)
    code = history.columns[reason][last].astype(np.int64)
    return (*column.categories, ""), np.where(code < 0, len(column.categories), code)


@attrs.frozen(eq=False)
class _Losses:
    """Deals by cell and cause, in all and by age; the causes are the reasons and what is left."""

    scope: Scope
    names: tuple[str, ...]
    groups: IntArray
    deals: Counts
    ages: AgeCounts
    outside: int

    def merge(self, other: _Losses, /) -> _Losses:
        """Add the counts of other deals."""
        self.scope.require_same(other.scope)
        return _Losses(
            scope=self.scope,
            names=self.names,
            groups=np.union1d(self.groups, other.groups),
            deals=self.deals.merge(other.deals),
            ages=self.ages.merge(other.ages),
            outside=self.outside + other.outside,
        )

    def table(self, within: int | None, level: float) -> LossReasons:
        """Return the result."""
        cells, reasons = self.scope.shown(self.groups), len(self.names)
        count = np.zeros((len(cells), reasons + 2), dtype=np.int64)
        cell, cause = np.divmod(self.deals.key, reasons + 2)
        count[np.searchsorted(cells, cell), cause] = self.deals.count
        chance, variance = np.full((2, len(cells), reasons), np.nan)
        for part, events, risk in self.ages.blocks(cells):
            found = incidence(events, risk)
            at, known = at_age(found, within)
            row = np.arange(len(at))
            for values, curve in ((chance, found.curve), (variance, found.variance)):
                values[part] = np.where(known[:, None], curve[row, :reasons, at], np.nan)
        low, high = certain(chance, variance, count.sum(axis=1)[:, None], level)
        notes = list(self.scope.notes())
        if self.outside:
            notes.append(f"{self.outside:,} deals were created outside of the periods")
        shown = np.array(
            [bool(name) or bool(count[:, i].any()) for i, name in enumerate(self.names)]
        )
        return LossReasons(
            scope=self.scope,
            within=within,
            cells=cells,
            reasons=tuple(np.array(self.names, dtype=object)[shown].tolist()),
            deals=count.sum(axis=1),
            lost=count[:, :reasons][:, shown],
            chance=chance[:, shown],
            low=low[:, shown],
            high=high[:, shown],
            notes=tuple(notes),
        )


def _summarize(
    history: History,
    *,
    reason: str | None,
    by: Sequence[str],
    period: Unit | Horizon | None,
    calendar: Calendar,
) -> _Losses:
    """Count the deals of a chunk."""
    scope = Scope.of(history, by, period, calendar)
    found = _journeys.lives(history)
    names, code = _reasons(history, reason)
    n = len(names)
    cell = scope.cells(history, found.first_row, found.created)
    closed = found.outcome != Outcome.OPEN
    cause = np.where(found.outcome == Outcome.LOST, code, np.where(closed, n, n + 1))
    here = np.flatnonzero(cell >= 0)
    return _Losses(
        scope=scope,
        names=names,
        groups=scope.seen(history, found.first_row),
        deals=Counts.of(cell[here] * (n + 2) + cause[here]),
        ages=AgeCounts.of(cell, found.first, found.last, cause, n + 2),
        outside=int(np.count_nonzero(cell < 0)),
    )


@attrs.frozen(eq=False)
class LossReasons(GroupedTable):
    """Losses by reason, group and period of creation; see `loss_reasons`.

    Parameters
    ----------
    scope : Scope
        The groups and periods behind the rows.
    within : int or None
        Age at which `chance` is read.
    cells : (c,) int64
        Group and period of each block of rows.
    reasons : tuple of str
        Names, r; ``""`` is unknown.
    deals : (c,) int64
        Deals created.
    lost : (c, r) int64
        Of these, lost so far for each reason.
    chance, low, high : (c, r) float64
        Aalen-Johansen share of the deals that is lost for the reason, with its interval.
    notes : tuple of str
        What is not in the table.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"observed", "share", "chance", "low", "high"})

    scope: Scope
    within: int | None
    cells: IntArray
    reasons: tuple[str, ...]
    deals: IntArray
    lost: IntArray
    chance: FloatArray
    low: FloatArray
    high: FloatArray
    notes: tuple[str, ...]

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each group, period and reason."""
        n = len(self.reasons)
        names = [name or "(unknown)" for name in self.reasons]
        return {
            **self.scope.columns(self.cells, n),
            "reason": np.tile(texts(names), len(self.cells)),
            "deals": np.repeat(self.deals, n),
            "lost": self.lost.ravel(),
            "share": ratio(self.lost, self.lost.sum(axis=1, keepdims=True)).ravel(),
            "chance": self.chance.ravel(),
            "low": self.low.ravel(),
            "high": self.high.ravel(),
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Reasons of losses"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what is not in the table."""
        return self.notes


def loss_reasons(
    source: History | HistorySource,
    /,
    *,
    reason: str | None = None,
    by: Sequence[str] = (),
    period: Unit | Horizon | None = None,
    within: int | None = None,
    level: float = 0.95,
    calendar: Calendar = STANDARD,
    executor: Executor | None = None,
) -> LossReasons:
    """Say why deals are lost: counts and chances by reason, as competing causes.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals.
    reason : str, optional
        The category column that holds the reason, as it stands in the last row of a lost deal; a
        ``final`` column will do. By default the lost states of the funnel are the reasons.
    by, period, level, calendar, executor
        As for `win_rates`; rows by the period of creation.
    within : int, optional
        Age in days at which the chance is read; the highest age seen by default.

    Returns
    -------
    LossReasons
        ``share`` is that among the losses so far: it favours reasons that strike early. ``chance``
        is the share of all deals that is lost for the reason.

    Raises
    ------
    UnknownColumnError, ValidationError
        As `conversion`.

    Notes
    -----
    ``chance`` is the Aalen-Johansen incidence of the reason beside the others, winning and removal
    (doi:10.1002/sim.2712): open deals are censored, and late ones at risk from the age at which
    they were first seen. The reasons never add up to more than what is not won.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.History.from_columns(
    ...     funnel=fn.Funnel(["Qualify"]), id=["A", "A", "B", "B", "C"],
    ...     stage=["Qualify", "Lost", "Qualify", "Lost", "Qualify"],
    ...     at=["2026-01-05", "2026-01-20", "2026-01-05", "2026-02-10", "2026-01-31"],
    ...     reason=["", "price", "", "timing", ""],
    ... )
    >>> found = loss_reasons(history, reason="reason")
    >>> found.reasons, found.lost[0].tolist(), found.chance[0].tolist()
    (('price', 'timing'), [1, 1], [0.5, 0.5])
    """
    check_level(level)
    if within is not None:
        check_days(within, "within")
    count = functools.partial(_summarize, reason=reason, by=by, period=period, calendar=calendar)
    return summarize(source, count, executor=executor).table(within, level)
