"""Sums over the deals of a pipeline, kept with it: it never changes, so that they hold for good."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import attrs
import numpy as np

from funnel.kernels._units import unit_of
from funnel.kernels.arrays import frozen
from funnel.kernels.cells import CHUNK, COUNT, UNKNOWN, power_sums
from funnel.stages import Outcome
from funnel.tables._names import Names
from funnel.tables.codes import span
from funnel.tables.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from funnel.typing import BoolArray, FloatArray, IntArray

__all__ = [
    "Keeping",
    "blocks",
    "cell_sums",
    "common_unit_of",
    "count_open",
    "kept",
    "largest_deals",
    "view",
]

TOGETHER = ((1, UNKNOWN), (2, 3, 4), (COUNT,))
"""Orders that one pass adds up: of the mean of a forecast, of its distribution, of its wins."""

FEW = 1_024
"""Deals that mostly suffice to show that amounts have no common unit."""

KEPT = 32
"""Most statistics that are kept with one table or model; the oldest go first."""


FIELDS = frozenset(attrs.fields_dict(Pipeline))


class _Columns(Mapping[str, Any]):
    """Columns of some deals, cut when they are asked for."""

    def __init__(self, whole: Mapping[str, Any], rows: slice | IntArray) -> None:
        """Keep the whole columns."""
        self.whole, self.rows = whole, rows

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - an array of any kind
        """Return a part of a column."""
        return self.whole[name][self.rows]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self.whole)

    def __len__(self) -> int:
        """Return their number."""
        return len(self.whole)


class _View(Pipeline):
    """Some deals of a pipeline, whose arrays are parts of its arrays."""

    if not TYPE_CHECKING:  # a type checker would take any name for one that is there

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a field
            """Cut a field when it is first asked for: most are never read."""
            whole, rows = self.__dict__["_whole"]
            if name not in FIELDS:
                msg = f"'Pipeline' object has no attribute {name!r}"
                raise AttributeError(msg)
            value = getattr(whole, name)
            if isinstance(value, np.ndarray):
                value = value[rows]
            elif isinstance(value, Names):
                value = value.take(rows)
            elif isinstance(value, Mapping):
                value = _Columns(value, rows)
            self.__dict__[name] = value
            return value


def view(pipeline: Pipeline, rows: slice | IntArray) -> Pipeline:
    """Return some deals without touching a column that is not read, or copying a slice of one."""
    found = _View.__new__(_View)
    found.__dict__["_whole"] = pipeline, rows
    return found


def blocks(pipeline: Pipeline) -> Iterator[tuple[int, Pipeline]]:
    """Yield the deals in blocks that stay in the cache, each with its first row."""
    for begin in range(0, len(pipeline), CHUNK):
        yield begin, view(pipeline, slice(begin, begin + CHUNK))


class Keeping(Protocol):
    """What never changes and keeps what was made of it."""

    @property
    def statistics(self) -> dict[Hashable, Any]:
        """What was made of it, by name."""


def kept(owner: Keeping, key: Hashable, make: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Return a statistic of a table or of a fitted model, made when it is first asked for.

    Two threads may both make it; it is the same.
    """
    found = owner.statistics.get(key)
    if found is None:
        found = owner.statistics[key] = make()
        for old in list(owner.statistics)[:-KEPT]:
            owner.statistics.pop(old, None)
    return found


def cell_sums(
    pipeline: Pipeline, numbering: Hashable, cells: Callable[[Pipeline], IntArray], order: int
) -> FloatArray:
    """Return the sums of a power of the amounts by cell, (c,).

    Parameters
    ----------
    pipeline : Pipeline
        n deals.
    numbering : hashable
        What the cells are: equal ones are added up once.
    cells : callable
        The cell of each of some deals, -1 for none.
    order : int
        1 to 4; `COUNT` for the number of deals, `UNKNOWN` for that of deals of unknown amount.
    """
    powers = next(orders for orders in TOGETHER if order in orders)
    return kept(  # type: ignore[no-any-return]
        pipeline,
        (numbering, powers),
        lambda: dict(
            zip(
                powers,
                power_sums(
                    lambda rows: cells(view(pipeline, rows)),
                    pipeline.amount,
                    powers,
                    complete=not math.isnan(span(pipeline, "amount")[0]),
                ),
                strict=True,
            )
        ),
    )[order]


def largest_deals(pipeline: Pipeline, count: int) -> IntArray:
    """Return the rows of so many of the largest known amounts, the largest first."""

    def search() -> IntArray:
        rows, amounts, floor = np.empty(0, dtype=np.int64), np.empty(0), -np.inf
        # Begin with few deals: what they show spares most of the others.
        starts = (0, *range(4 * count, len(pipeline), CHUNK), len(pipeline))
        for begin, end in itertools.pairwise(starts):
            amount = pipeline.amount[begin:end]
            more = np.flatnonzero(amount > floor)
            rows, amounts = np.append(rows, begin + more), np.append(amounts, amount[more])
            if len(rows) > 2 * count:
                top = np.argpartition(amounts, -count)[-count:]
                rows, amounts = rows[top], amounts[top]
                floor = float(amounts.min())
        return frozen(rows[np.argsort(-amounts, kind="stable")[:count]])

    return kept(pipeline, ("largest", count), search)  # type: ignore[no-any-return]


def common_unit_of(pipeline: Pipeline) -> float:
    """Return the common unit of all known amounts, see `compound.common_unit`."""

    def amounts() -> Iterator[FloatArray]:
        # A few of them show that there is no unit, where there is none.
        for rows in (slice(0, FEW), *(slice(row, row + CHUNK) for row in starts)):
            yield np.fmax(pipeline.amount[rows], 0.0)  # without those that are not known

    starts = range(0, len(pipeline), CHUNK)

    return kept(pipeline, "unit", lambda: unit_of(amounts))  # type: ignore[no-any-return]


def count_open(pipeline: Pipeline, name: Hashable, rule: Callable[[Pipeline], BoolArray]) -> int:
    """Return the number of open deals that a rule, which has a name, holds for."""

    def count() -> int:
        found = 0
        for _, deals in blocks(pipeline):
            holds = rule(deals)
            if holds.any():
                found += int(np.count_nonzero(holds & (deals.outcome == Outcome.OPEN)))
        return found

    return kept(pipeline, ("count", name), count)  # type: ignore[no-any-return]
