"""Histories cut into spells: stretches of time over which nothing about a deal changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.kernels import keys
from funnel.models._sojourn_counts import sojourns_until, targets
from funnel.models._sojourns import CLASSES, Layout, Sojourns
from funnel.typing import NO_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from funnel.tables import History
    from funnel.tables.schema import Schema
    from funnel.typing import DayArray, FloatArray, IntArray

__all__ = ["Spells", "covariates", "days_until", "spells_until", "summarize_spells"]

ROW = ("phase", "state", "birth", "begin", "end", "target")
"""Whole numbers of a spell: twice its stage, and one more after the day of entry; its state, the
day of age 0, the first and last day at risk, and the target."""


@attrs.frozen(eq=False)
class Spells:
    """Every stretch of time over which nothing about a deal changes, and the counts of `Sojourns`.

    It has a line for each row of history in an open stage, of at most `sample` deals.

    Parameters
    ----------
    schema : Schema
        Funnel and columns.
    sojourns : Sojourns
        Exposure and moves by state and age.
    rows : (n, 6) int64
        See `ROW`; the target is -1 where the spell ended without a move.
    numbers : (n, p) float64
        Derived state and number columns; NaN unknown.
    codes : (n, q) int32
        The stage before, and category columns; -1 unknown.
    key : (n,) uint64
        Of the deal of each spell, see `kernels.keys`.
    drawn : (m,) uint64
        Keys of the deals whose spells these are, ascending: the first `sample` of all.
    sample : int
        How many deals are drawn, at most.
    """

    schema: Schema
    sojourns: Sojourns
    rows: IntArray
    numbers: FloatArray
    codes: IntArray
    key: IntArray
    drawn: IntArray
    sample: int

    def merge(self, other: Spells, /) -> Spells:
        """Put the spells of other deals beside these, as far as they are drawn."""
        self.schema.require_same(other.schema)
        drawn = _smallest(np.concatenate((self.drawn, other.drawn)), self.sample)
        key = np.concatenate((self.key, other.key))
        kept = key <= drawn.max(initial=0)
        return attrs.evolve(
            self,
            sojourns=self.sojourns.merge(other.sojourns),
            rows=np.concatenate((self.rows, other.rows))[kept],
            numbers=np.concatenate((self.numbers, other.numbers))[kept],
            codes=np.concatenate((self.codes, other.codes))[kept],
            key=key[kept],
            drawn=drawn,
        )

    def ordered(self) -> Spells:
        """Sort the spells, so that sums do not depend on the order of chunks."""
        keys = (*self.numbers.T, *self.codes.T, *self.rows.T[::-1])
        order = np.lexsort(keys)
        return attrs.evolve(
            self, rows=self.rows[order], numbers=self.numbers[order], codes=self.codes[order]
        )

    def values(self) -> dict[str, np.ndarray[Any, Any]]:
        """Values by name of column or derived state."""
        numbers, categories = covariates(self.schema)
        return {
            **dict(zip(numbers, self.numbers.T, strict=True)),
            **dict(zip(categories, self.codes.T, strict=True)),
        }


def covariates(schema: Schema) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of number and of category covariates; what was only known in the end is none."""
    known = [schema.column(name) for name in schema.features()]
    promised = ("pushes",) if "expected_close" in schema.features() else ()
    numbers = [f"column {column.name}" for column in known if column.kind == "number"]
    categories = [f"column {column.name}" for column in known if column.kind == "category"]
    state = [f"state {name}" for name in ("waited", *promised, "reopened")]
    return (*state, *numbers), ("state previous", *categories)


def days_until(created: DayArray, entered: DayArray) -> FloatArray:
    """(n,), (n,) -> (n,): days from creation to stage entry; NaN unknown."""
    known = (created != NO_DAY) & (entered != NO_DAY)
    days = np.where(known, entered.astype(np.int64) - created, 0)
    return np.where(known, np.maximum(days, 0), np.nan)


def summarize_spells(history: History, /, *, sample: int) -> Spells:
    """Count exposure and moves of a chunk, and cut at most `sample` deals into spells."""
    return next(spells_until(history, (history.observed_until,), sample=sample))


def spells_until(history: History, days: Sequence[int], /, *, sample: int) -> Iterator[Spells]:
    """Yield what `summarize_spells` makes of ``history.until(day)``, for ascending days."""
    key = keys.of_names(history.ids.tolist())
    seen = history.at[history.bounds[:-1]]
    for day, sojourns in zip(days, sojourns_until(history, days), strict=True):
        there = seen <= day
        drawn = _smallest(key[there], sample)
        chosen = there & (key <= drawn.max(initial=0))
        some = history if chosen.all() else history.select(chosen)
        known = some.until(np.datetime64(int(day), "D"))
        yield _cut(known, sojourns, key[chosen], drawn, sample)


def _smallest(key: IntArray, count: int) -> IntArray:
    """(n,) -> (m,): the smallest numbers, ascending, at most `count`."""
    return np.sort(key if len(key) <= count else np.partition(key, count - 1)[:count])


def _cut(
    history: History, sojourns: Sojourns, key: IntArray, drawn: IntArray, sample: int
) -> Spells:
    """Cut deals into spells, with the values in force at the end of the day before.

    On the day on which a stage is entered, the values of that day's first row are in force.
    """
    layout, pieces, at = Layout(history.funnel), history.pieces, history.at.astype(np.int64)
    of = pieces.of_row
    state = layout.state(pieces.stage, pieces.visit)
    stop = np.where(pieces.target < 0, history.observed_until, pieces.stop).astype(np.int64)
    late = (pieces.age != 0) & ~pieces.resumed & (stop > pieces.start)
    opens = np.ones(len(of), dtype=np.bool_)
    opens[1:] = of[1:] != of[:-1]
    closes = np.append(opens[1:], True)[: len(of)]
    begin = np.where(opens, (pieces.start + late)[of], at + 1)
    end = np.where(closes, stop[of], np.append(at[1:], 0)[: len(of)])
    working = (state >= 0) & (state < layout.stages * CLASSES) & (pieces.age >= 0)
    rows = np.flatnonzero((begin <= end) & working[of])
    piece = of[rows]
    leaves = np.append(piece[1:] != piece[:-1], True)[: len(piece)]
    target = np.where(leaves, targets(layout, history)[piece], -1)
    birth = pieces.start[piece].astype(np.int64) - pieces.age[piece]
    found: dict[str, Any] = {
        "state waited": days_until(history.created[history.deal[rows]], pieces.entered[piece]),
        "state reopened": pieces.reopened[piece],
        "state previous": pieces.previous[piece],
    }
    found |= {f"column {name}": values[rows] for name, values in history.columns.items()}
    numbers, categories = covariates(history.schema)
    if "state pushes" in numbers:
        found["state pushes"] = history.pushes[rows]
    columns = (state[piece], birth, begin[rows], end[rows], target)
    split, source = _split(np.stack(columns, axis=1).astype(np.int64))
    return Spells(
        schema=history.schema,
        sojourns=sojourns,
        rows=split,
        numbers=np.stack([found[name].astype(np.float64) for name in numbers], axis=1)[source],
        codes=np.stack([found[name].astype(np.int32) for name in categories], axis=1)[source],
        key=key[history.deal[rows]][source],
        drawn=drawn,
        sample=sample,
    )


def _split(rows: IntArray) -> tuple[IntArray, IntArray]:
    """(n, 5) -> (m, 6), (m,): cut spells after the day of entry; lines of `ROW`, and sources."""
    state, birth, begin, end, target = rows.T
    first = np.flatnonzero(begin == birth)
    later = np.flatnonzero(end > birth)
    source = np.concatenate((first, later))
    phase = state[source] // CLASSES * 2
    phase[len(first) :] += 1
    split = np.column_stack((phase, rows[source]))
    split[: len(first), 4] = birth[first]
    split[: len(first), 5] = np.where(end[first] == birth[first], target[first], -1)
    split[len(first) :, 3] = np.maximum(begin[later], birth[later] + 1)
    return split, source
