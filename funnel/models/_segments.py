"""Segments that move faster or slower than all deals: shrunk multipliers of pooled hazards."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs
import numpy as np

from funnel.errors import ValidationError
from funnel.kernels import multipliers
from funnel.models._paths import LOSS, WIN, kinds
from funnel.models._segment_counts import SegmentCounts, levels_of
from funnel.results import ResultTable

if TYPE_CHECKING:
    from typing import Any

    from funnel.models._sojourns import Layout
    from funnel.tables import Pipeline
    from funnel.typing import FloatArray, IntArray

__all__ = ["OUTCOMES", "Effect", "SegmentEffects", "Segments", "estimate_effects"]

OUTCOMES = ("advanced", "won", "lost")
"""Moves that are multiplied: up the ladder, to won, to a lost state or removed."""

LEVEL = 0.8
TURNS = 50  # of the columns, at most
CLOSE = 1e-9

Effect = tuple[str, str, str, float, float, float, float, float, float]
"""Column, value, outcome, observed, expected, strength, multiplier, low, high."""

HEADERS = (
    *("column", "value", "outcome", "observed", "expected"),
    *("strength", "multiplier", "low", "high"),
)


@attrs.frozen(eq=False)
class SegmentEffects(ResultTable):
    """By how much the hazards of segments differ from those of all deals.

    Parameters
    ----------
    rows : tuple of tuple
        Column and value (``""`` where it is missing), outcome (a way to leave: advanced, won, or
        lost), moves observed, moves expected from the pooled hazards and the multipliers of the
        other columns, strength a, multiplier ``(observed + a) / (expected + a)``, and the bounds
        of its 80 % interval.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(500, rng=1).history
    >>> fitted = fn.models.semi_markov.SemiMarkov(segments="source").fit(history)
    >>> list(fitted.segments.to_columns())[:4]
    ['column', 'value', 'outcome', 'observed']
    """

    rows: tuple[Effect, ...]

    hidden: ClassVar[frozenset[str]] = frozenset({"strength"})

    def to_columns(self) -> dict[str, Any]:
        """Return one row for each column, value and outcome."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(HEADERS)
        return {
            name: np.array(values, dtype=object if number < 3 else np.float64)
            for number, (name, values) in enumerate(zip(HEADERS, columns, strict=True))
        }

    @property
    def _title(self) -> str:
        """Return the heading."""
        return "Multipliers of hazards by segment"


@attrs.frozen(eq=False)
class Segments:
    """Multipliers by segment, ready to be looked up.

    A segment has a number: its values are digits, one for each column; the last digit of a column
    stands for values that history has not seen.
    """

    layout: Layout
    columns: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    tables: tuple[FloatArray, ...]

    @classmethod
    def of(cls, layout: Layout, effects: tuple[Effect, ...]) -> Segments:
        """Make tables from the rows of effects."""
        columns = tuple(dict.fromkeys(row[0] for row in effects))
        levels = tuple(
            tuple(dict.fromkeys(row[1] for row in effects if row[0] == name)) for name in columns
        )
        tables = []
        for name, known in zip(columns, levels, strict=True):
            table = np.ones((len(known) + 1, len(OUTCOMES)))
            for row in effects:
                if row[0] == name:
                    table[known.index(row[1]), OUTCOMES.index(row[2])] = row[6]
            tables.append(table)
        return cls(layout, columns, levels, tuple(tables))

    def number(self, pipeline: Pipeline) -> IntArray:
        """(n,): the segment of each deal."""
        found = np.zeros(len(pipeline), dtype=np.int64)
        for name, known in zip(self.columns, self.levels, strict=True):
            codes, names = levels_of(pipeline.schema, name, pipeline.columns)
            place = {value: number for number, value in enumerate(known)}
            lookup = np.array([place.get(value, len(known)) for value in names], dtype=np.int64)
            found = found * (len(known) + 1) + lookup[codes]
        return found

    def factor(self, number: int) -> FloatArray:
        """() -> (s, t, 1): multipliers of the hazards of a segment."""
        product = np.ones(len(OUTCOMES) + 1)
        for table in reversed(self.tables):
            number, digit = divmod(number, len(table))
            product[: len(OUTCOMES)] *= table[digit]
        return np.asarray(product[outcome_of(self.layout)][:, :, None])


def outcome_of(layout: Layout) -> IntArray:
    """(s, t): position in `OUTCOMES` of each move; one more for moves that are not multiplied."""
    kind = kinds(layout)
    found = np.full(kind.shape, len(OUTCOMES))
    found[kind == WIN], found[kind == LOSS] = OUTCOMES.index("advanced"), OUTCOMES.index("lost")
    found[:, layout.won] = np.where(
        kind[:, layout.won] == WIN, OUTCOMES.index("won"), len(OUTCOMES)
    )
    return found


def estimate_effects(
    layout: Layout, counts: SegmentCounts, hazards: FloatArray, weight: FloatArray, first: int
) -> tuple[Effect, ...]:
    """Estimate multipliers given the pooled hazards; `weight` is (b,), from bucket `first` on.

    Columns are taken in turns, each given the others, until nothing changes.
    """
    values, expected, observed = _by_segment(layout, counts, hazards, weight, first)
    sizes = [len(known) for known in counts.levels]
    tables = [np.ones((size, len(OUTCOMES))) for size in sizes]
    strengths = np.ones((len(sizes), len(OUTCOMES)))
    margins = [(table, table) for table in tables]
    for _ in range(TURNS):
        before = [table.copy() for table in tables]
        for column, size in enumerate(sizes):
            others = np.ones(expected.shape)
            for other, table in enumerate(tables):
                if other != column:
                    others *= table[values[:, other]]
            margin = (
                _sums(values[:, column], observed, size),
                _sums(values[:, column], expected * others, size),
            )
            for k in range(len(OUTCOMES)):
                pair = margin[0][:, k], margin[1][:, k]
                strengths[column, k] = multipliers.gamma_poisson_strength(*pair)
                tables[column][:, k] = multipliers.shrunk(*pair, strengths[column, k])
            margins[column] = margin
        changes = (np.abs(t - b).max(initial=0.0) for t, b in zip(tables, before, strict=True))
        if max(changes, default=0.0) < CLOSE:
            break
    return tuple(
        row
        for column in range(len(sizes))
        for row in _rows(counts, column, margins[column], strengths[column], tables[column])
    )


def _rows(
    counts: SegmentCounts,
    column: int,
    margin: tuple[FloatArray, FloatArray],
    strength: FloatArray,
    table: FloatArray,
) -> list[Effect]:
    """Return the effects of a column; values that were never at risk are left out."""
    observed, expected = margin
    low, high = multipliers.bounds(observed, expected, strength, LEVEL)
    numbers = np.stack(
        (observed, expected, np.broadcast_to(strength, table.shape), table, low, high), axis=2
    )
    name, known = counts.columns[column], counts.levels[column]
    return [
        (name, known[level], outcome, *numbers[level, k].tolist())
        for level in np.flatnonzero(counts.seen(column)).tolist()
        for k, outcome in enumerate(OUTCOMES)
    ]


def _sums(place: IntArray, values: FloatArray, size: int) -> FloatArray:
    """(c,), (c, o) -> (size, o): sums by place."""
    return np.stack([np.bincount(place, column, minlength=size) for column in values.T], axis=1)


def _by_segment(
    layout: Layout, counts: SegmentCounts, hazards: FloatArray, weight: FloatArray, first: int
) -> tuple[IntArray, FloatArray, FloatArray]:
    """(c, q), (c, o), (c, o): values of each segment, moves expected and observed by outcome."""
    of = outcome_of(layout)
    states, _, days = hazards.shape
    spent = np.zeros((states, len(OUTCOMES) + 1, days + 1))
    for state in range(states):
        for target in np.flatnonzero(hazards[state].any(axis=1)).tolist():
            spent[state, of[state, target], 1:] += np.cumsum(hazards[state, target])
    width = len(counts.columns)
    both = np.concatenate((counts.edges[:, :width], counts.moves[:, :width]))
    values, place = np.unique(both, axis=0, return_inverse=True)
    place = place.reshape(-1)
    bucket, state, age = counts.edges[:, width:].T
    size = len(values)
    # A stay from age a to b adds C(b + 1) - C(a): +1 stands at a, -1 at b + 1.
    due = -spent[state, : len(OUTCOMES), age] * (weight[bucket - first] * counts.opened)[:, None]
    expected = _sums(place[: len(due)], due, size)
    bucket, state, target, _ = counts.moves[:, width:].T
    hit = of[state, target][:, None] == np.arange(len(OUTCOMES))
    seen = hit * (weight[bucket - first] * counts.counts)[:, None]
    observed = _sums(place[len(due) :], seen, size)
    return values, np.maximum(expected, 0.0), observed


def redrawn(effects: tuple[Effect, ...], rng: np.random.Generator) -> tuple[Effect, ...]:
    """Draw each multiplier from Gamma(observed + a, expected + a)."""
    if not effects:
        return effects
    numbers = np.array([row[3:6] for row in effects])
    shape, rate = numbers[:, 0] + numbers[:, 2], numbers[:, 1] + numbers[:, 2]
    drawn = (rng.standard_gamma(shape) / rate).tolist()
    return tuple((*row[:6], value, *row[7:]) for row, value in zip(effects, drawn, strict=True))


def segment_names(value: object) -> tuple[str, ...]:
    """Turn one name into a tuple of one, and other sequences into tuples."""
    if isinstance(value, str):
        return (value,)
    names = tuple(value) if isinstance(value, list | tuple) else None
    if names is None or not all(isinstance(name, str) for name in names):
        rule = "must be names of category columns"
        raise ValidationError.from_value("segments", rule, value, "")
    if len(set(names)) < len(names):
        raise ValidationError.from_value("segments", "must name each column once", value, "")
    return names
