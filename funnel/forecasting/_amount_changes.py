"""How the amounts of won deals had changed since each stage: the summary, and how far to trust it.

The *change* of a deal in a stage is its booked amount over the amount that was known there, less
one. It is looked at as a forecast would: at the end of each day that the deal spent in the stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels.cells import places
from funnel.kernels.labels import texts
from funnel.results import ResultTable
from funnel.stages import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funnel.stages import Funnel
    from funnel.tables import History, Pipeline
    from funnel.typing import BoolArray, FloatArray, IntArray, StringArray

__all__ = [
    "PRIOR",
    "Cells",
    "Effects",
    "StageRatios",
    "credibility",
    "effects",
    "summarize_changes",
]

PRIOR = 20.0
"""Won deals that the belief in unchanged amounts, and in what all stages have in common, is worth
at least."""

STEEPEST = 9.0
"""Ten times as much counts as the largest change: beyond it, the amount was not a price."""

Key = tuple[str, ...]
"""Stage id and segment values."""


@attrs.frozen(eq=False)
class Cells:
    """Sums over won deals of a number that each has in some stages, by stage and segment.

    Parameters
    ----------
    keys : tuple of (stage, value, ...)
        Cells: stage ids and segment values, sorted.
    sums : (c, 6) float64
        By cell: deals, sum of their numbers and of the squares; and the same with each deal
        counting once over all its cells.
    deals, capped : int
        Deals with a number, and those whose number was cut to the largest.
    """

    keys: tuple[Key, ...]
    sums: FloatArray
    deals: int
    capped: int

    def merge(self, other: Cells, /) -> Cells:
        """Add the deals of another chunk."""
        keys = tuple(sorted({*self.keys, *other.keys}))
        place = {key: number for number, key in enumerate(keys)}
        sums = np.zeros((len(keys), 6))
        for part in (self, other):
            sums[[place[key] for key in part.keys]] += part.sums
        return Cells(keys, sums, self.deals + other.deals, self.capped + other.capped)

    def relative_to(self, scale: float) -> Cells:
        """Return the sums of each number over `scale`, less one."""
        n, first, second = (self.sums[:, at::3] for at in range(3))
        linear = first / scale
        sums = np.empty_like(self.sums)
        sums[:, 0::3], sums[:, 1::3] = n, linear - n
        sums[:, 2::3] = second / scale**2 - 2.0 * linear + n
        return attrs.evolve(self, sums=sums)


@attrs.frozen(eq=False)
class StageRatios(ResultTable):
    """Booked amounts over those known before, by stage.

    Parameters
    ----------
    stages : (s,) str
        Stage ids; the last row, ``"(other)"``, holds for all others.
    deals : (s,) int64
        Won deals that were seen in the stage.
    ratio, sd : (s,) float64
        Mean and standard deviation of the ratio.
    notes : tuple of str
        What was found while fitting.
    """

    percents: ClassVar[frozenset[str]] = frozenset({"ratio", "sd"})

    stages: StringArray
    deals: IntArray
    ratio: FloatArray
    sd: FloatArray
    notes: tuple[str, ...] = ()

    def to_columns(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return one row for each stage."""
        return {"stage": self.stages, "deals": self.deals, "ratio": self.ratio, "sd": self.sd}

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Booked amounts over those known before"

    @property
    def _notes(self) -> tuple[str, ...]:
        """Return what was found while fitting."""
        return self.notes


@attrs.frozen(eq=False)
class Effects:
    """The mean and the variance of a relative change by stage, and what a segment adds.

    Parameters
    ----------
    common : (2,) float64
        Mean and variance in a stage of which nothing is known.
    stages : mapping of str to (3,) float64
        Mean, variance and deals by stage id.
    segments : mapping of (value, ...) to float
        What is added to the mean.
    """

    common: FloatArray
    stages: Mapping[str, FloatArray]
    segments: Mapping[Key, float]

    def table(self, names: tuple[str, ...], notes: tuple[str, ...]) -> StageRatios:
        """Return the ratios of the stages in this order, and last that of all others."""
        known = [name for name in names if name in self.stages]
        rows = np.stack([*(self.stages[name] for name in known), np.append(self.common, 0.0)])
        mean, variance, deals = rows.T
        label = texts([*known, "(other)"])
        return StageRatios(label, deals.astype(np.int64), 1.0 + mean, np.sqrt(variance), notes)

    def of(self, pipeline: Pipeline, by: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
        """(n,), (n,): mean and standard deviation of each deal's change; the mean is >= -1."""
        mean, sd = (column[pipeline.stage] for column in self.by_stage(pipeline.funnel))
        if self.segments:
            keys, codes = pipeline.groups(by)
            mean = mean + np.array([self.segments.get(key, 0.0) for key in keys])[codes]
        return np.maximum(mean, -1.0), sd

    def by_stage(self, funnel: Funnel) -> tuple[FloatArray, FloatArray]:
        """(states,), (states,): mean and standard deviation by code of the stage."""
        table = np.stack([self.stages.get(name, self.common)[:2] for name in funnel.ids])
        return np.maximum(table[:, 0], -1.0), np.sqrt(table[:, 1])


def effects(cells: Cells) -> Effects:
    """Estimate the effects of stages and segments.

    The mean of all deals leans on 0 as if `PRIOR` more deals had no change; that of a stage leans
    on the mean of all, and what a segment adds on 0, by `credibility`.
    """
    stages, segments = ([key[0] for key in cells.keys], [key[1:] for key in cells.keys])
    names, stage = _numbered(stages)
    n, first, second = _added(cells.sums[:, :3], stage, len(names))
    once, total, square = cells.sums[:, 3:].sum(axis=0).tolist()
    common = total / (once + PRIOR)
    spread = _about(common, once, total, square) / (once + PRIOR)
    trust = n / (n + credibility(n, first, second))
    mean = common + trust * (first / n - common)
    variance = (_about(mean, n, first, second) + PRIOR * spread) / (n + PRIOR)
    by_stage = np.stack((mean, variance, n), axis=1)
    groups, segment = _numbered(segments)
    usual = mean[stage]
    once, total, square = cells.sums[:, 3:].T
    rest = np.stack((once, total - once * usual, _about(usual, once, total, square)), axis=1)
    m, first, second = _added(rest, segment, len(groups))
    added = first / (m + credibility(m, first, second))
    return Effects(
        np.array([common, spread]),
        dict(zip(names, by_stage, strict=True)),
        {} if len(groups) < 2 else dict(zip(groups, added.tolist(), strict=True)),
    )


def _numbered(labels: list[Any]) -> tuple[list[Any], IntArray]:
    """Return the different labels, sorted, and the position of each."""
    names = sorted(set(labels))
    place = {name: number for number, name in enumerate(names)}
    return names, np.array([place[label] for label in labels], dtype=np.int64)


def _added(sums: FloatArray, group: IntArray, count: int) -> FloatArray:
    """(c, 3), (c,) -> (3, g): sums by group."""
    return np.stack([np.bincount(group, column, minlength=count) for column in sums.T])


def _about(mean: Any, n: Any, first: Any, second: Any) -> Any:  # noqa: ANN401 - floats or arrays
    """Sum of squares about a mean."""
    return np.maximum(second - 2.0 * mean * first + n * mean**2, 0.0)


def credibility(count: FloatArray, total: FloatArray, square: FloatArray) -> float:
    """(g,), (g,), (g,) -> (): observations that the common mean is worth beside a group's own.

    Counts, sums and sums of squares by group. The ratio of the variance within groups to that of
    the groups' means, by moments (Bühlmann and Gisler 2005, doi:10.1007/3-540-29273-X, section
    4.8), at least `PRIOR`; infinite where groups differ no more than chance.
    """
    n, groups = float(count.sum()), len(count)
    if groups < 2 or n <= groups:
        return np.inf
    mean = total / count
    within = float(np.maximum(square - total * mean, 0.0).sum()) / (n - groups)
    away = float(count @ (mean - total.sum() / n) ** 2) - (groups - 1) * within
    between = away / (n - float(count @ count) / n)
    # What is left of equal means is rounding.
    if between <= 1e-9 * float(square.sum()) / n:
        return np.inf
    return max(PRIOR, within / between)


def summarize_changes(history: History, by: tuple[str, ...], /) -> tuple[Cells, Cells, IntArray]:
    """Return how known amounts changed until they were booked, and what unknown ones came to.

    And last the deals of these, (m,).
    Only ``dated`` amounts have something to tell. A state that did not last to the end of a day
    is left out, as are amounts of 0, and those in another currency than booked.
    """
    for name in by:
        _require_segment(history, name)
    rows, booked = _rows(history)
    amount = history.columns["amount"][rows]
    known, unknown = amount > 0.0, np.isnan(amount)
    change = booked[known] / amount[known] - 1.0
    return (
        _cells(history, rows[known], np.minimum(change, STEEPEST), by, change > STEEPEST),
        _cells(history, rows[unknown], booked[unknown], by, np.zeros(0, dtype=np.bool_)),
        np.unique(history.deal[rows[unknown]]),
    )


def _require_segment(history: History, name: str) -> None:
    """Demand a column of categories whose values are known while a deal is open."""
    column = history.schema.column(name)
    if column.kind == "category" and column.known != "final":
        return
    what = f"{name!r} is a {column.kind} column, known={column.known!r}"
    rule = "must name columns of categories that are known while a deal is open"
    raise ValidationError.from_value("by", rule, name, what + ".")


def _rows(history: History) -> tuple[IntArray, FloatArray]:
    """(m,), (m,): rows of won deals that stood at the end of a day before, and what was booked."""
    last = history.bounds[1:] - 1
    booked = history.columns["amount"][last][history.deal]
    if history.schema.column("amount").known != "dated":
        return np.empty(0, dtype=np.int64), np.empty(0)
    states, currency = history.funnel.outcomes, history.columns["currency"]
    won = (states[history.stage[last]] == Outcome.WON)[history.deal]
    alive = np.isin(states[history.stage], (Outcome.OPEN, Outcome.LOST))
    comparable = ~np.isnan(booked) & (currency == currency[last][history.deal])
    # The last row of a won deal is its win, so that another row of it follows each of these.
    lasting = np.diff(history.at, append=0) > 0
    rows = np.flatnonzero(won & alive & comparable & lasting)
    return rows, booked[rows]


def _cells(
    history: History, rows: IntArray, value: FloatArray, by: tuple[str, ...], cut: BoolArray
) -> Cells:
    """Add up the numbers of rows by cell, each deal's in a cell being its mean over the days."""
    code, keys = _keys(history, rows, by)
    pair, where = _distinct(history.deal[rows].astype(np.int64) * len(keys) + code)
    deal, cell = np.divmod(pair, max(len(keys), 1))
    days = np.diff(history.at, append=0)[rows].astype(np.float64)
    whole = np.bincount(where, days, minlength=len(pair))
    moments = [
        np.bincount(where, days * value**order, minlength=len(pair)) / whole for order in range(3)
    ]
    times = np.unique(deal, return_counts=True)[1]
    share = np.repeat(1.0 / times, times)
    sums = [
        np.bincount(cell, weight * moment, minlength=len(keys))
        for weight in (np.ones(len(pair)), share)
        for moment in moments
    ]
    capped = len(np.unique(history.deal[rows[: len(cut)]][cut]))
    return Cells(keys, np.stack(sums, axis=1), len(times), capped)


def _distinct(cell: IntArray) -> tuple[IntArray, IntArray]:
    """(m,) -> (c,), (m,): the different cells, and the place of each among them."""
    return places(lambda rows: cell[rows], len(cell))


def _keys(
    history: History, rows: IntArray, by: tuple[str, ...]
) -> tuple[IntArray, tuple[Key, ...]]:
    """(m,) -> (m,), c keys: the cell of each row, and stage and segment of each cell."""
    labels: list[tuple[str, ...]] = [history.funnel.ids]
    code = history.stage[rows].astype(np.int64)
    for name in by:
        labels.append((*history.schema.column(name).categories, ""))
        # The code -1, unknown, is that of the last label.
        code = code * len(labels[-1]) + history.columns[name][rows] % len(labels[-1])
    found, codes = _distinct(code)
    places = np.stack(np.unravel_index(found, [len(label) for label in labels]), axis=1)
    names = [
        tuple(label[place] for label, place in zip(labels, row, strict=True))
        for row in places.tolist()
    ]
    keys, rank = _numbered(names)
    return rank[codes], tuple(keys)
