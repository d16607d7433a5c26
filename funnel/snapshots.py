"""Some deals of a source as one snapshot: the chunks need not fit into memory together."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from funnel.calendars import to_day
from funnel.stages import Outcome
from funnel.summary import summarize
from funnel.tables import History, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from funnel.summary import HistorySource
    from funnel.typing import BoolArray, DateLike

__all__ = ["open_pipeline", "snapshot_where", "stacked"]


def open_pipeline(
    source: History | HistorySource,
    /,
    as_of: DateLike | None = None,
    *,
    won_since: DateLike | None = None,
    executor: Executor | None = None,
) -> Pipeline:
    """Return the open deals of a source on a day as one snapshot.

    What a metric of one snapshot needs of a table that does not fit into memory: the chunks are
    gone through once, and of their deals only the open ones are held.

    Parameters
    ----------
    source : History or HistorySource
        A history, or chunks of whole deals, such as `funnel.scan` gives.
    as_of : date-like, optional
        At the end of this day; the last day observed by default.
    won_since : date-like, optional
        Deals won on this day or later are held too, as `funnel.metrics.coverage_needed` wants the
        bookings of a period that has begun. None by default.
    executor : concurrent.futures.Executor, optional
        Where the chunks are read; in this thread by default.

    Returns
    -------
    Pipeline
        Sorted by id.

    Raises
    ------
    ValidationError
        When `won_since` is no day, or `as_of` is before the first day observed.
    LeakError
        When `as_of` is after the last day observed.
    InsufficientDataError
        When there is no chunk.
    SchemaMismatchError
        When the chunks have different columns.

    Examples
    --------
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(200, rng=1).history
    >>> early = history.ids < "D100"
    >>> fn.open_pipeline([history.select(early), history.select(~early)])
    Pipeline(7 deals as of 2026-06-30, 7 open, 0 won, 0 lost)
    """
    when = None if as_of is None else np.datetime64(to_day(as_of), "D")
    since = None if won_since is None else to_day(won_since)
    return snapshot_where(source, functools.partial(_wanted, since=since), when, executor=executor)


def snapshot_where(
    source: History | HistorySource,
    keep: Callable[[Pipeline], BoolArray],
    when: np.datetime64 | None = None,
    /,
    *,
    executor: Executor | None = None,
) -> Pipeline:
    """Return the deals of a source for which ``keep(snapshot of their chunk)`` holds, (n,) bool.

    `keep` is pickled where the executor is another process.
    """
    of_chunk = functools.partial(_of_chunk, keep=keep, when=when)
    return summarize(source, of_chunk, executor=executor).table()


def stacked(one: Pipeline, two: Pipeline) -> Pipeline:
    """Return the deals of both tables, which share schema and day.

    Raises
    ------
    SchemaMismatchError
        When the schemas differ.
    """
    one.schema.require_same(two.schema)
    shared = {"schema", "as_of", "columns"}
    names = [str(field.alias) for field in attrs.fields(Pipeline) if field.name not in shared]
    arrays: dict[str, Any] = {
        name: np.concatenate((getattr(one, name), getattr(two, name))) for name in names
    }
    columns = {
        name: np.concatenate((values, two.columns[name])) for name, values in one.columns.items()
    }
    return attrs.evolve(one, columns=columns, **arrays)


@attrs.frozen(eq=False)
class _Deals:
    """Deals of some chunks."""

    tables: tuple[Pipeline, ...]

    def merge(self, other: _Deals, /) -> _Deals:
        """Put the deals of other chunks beside these."""
        return _Deals(self.tables + other.tables)

    def table(self) -> Pipeline:
        """Return all deals in one table, sorted by id, as a snapshot has them."""
        tables = list(self.tables)
        while len(tables) > 1:  # by halves: rows are copied log n times
            pairs = zip(tables[::2], tables[1::2], strict=False)
            tables = [stacked(*pair) for pair in pairs] + tables[len(tables) & ~1 :]
        return tables[0].select(np.argsort(tables[0].ids, kind="stable"))


def _of_chunk(
    history: History, *, keep: Callable[[Pipeline], BoolArray], when: np.datetime64 | None
) -> _Deals:
    """Return the deals of a chunk."""
    pipeline = history.snapshot(when)
    return _Deals((pipeline.select(keep(pipeline)),))


def _wanted(pipeline: Pipeline, *, since: int | None) -> BoolArray:
    """(n,): open deals, and those won since a day."""
    wanted: BoolArray = pipeline.outcome == Outcome.OPEN
    if since is not None:
        wanted |= (pipeline.outcome == Outcome.WON) & (pipeline.closed_on >= since)
    return wanted
