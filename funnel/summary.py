"""Summaries that merge: one way to run in memory, out of core, in threads or on a cluster."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar, runtime_checkable

import attrs

from funnel._progress import shown
from funnel.errors import InsufficientDataError, ValidationError
from funnel.tables import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

__all__ = [
    "HistorySource",
    "MappedSource",
    "Part",
    "Summary",
    "first_of",
    "merge_all",
    "parts_of",
    "summarize",
    "summarize_until",
]

TASKS = 512
"""Most tasks given to an executor at once; with more chunks than that a task merges several."""


@runtime_checkable
class Summary(Protocol):
    """What a model keeps of a history: it merges with the summary of other deals.

    ``merge`` is associative and commutative, and does not change its operands; the summary of a
    history equals the merged summaries of any split of it into whole deals.
    """

    def merge(self, other: Self, /) -> Self:
        """Return the summary of both sets of deals together."""
        ...


@runtime_checkable
class Part(Protocol):
    """A chunk that is read where it is needed: between processes travels where to find it."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def read(self) -> History:
        """Read the chunk.

        Raises
        ------
        ReadError
            When it cannot be read; the message names it.
        """
        ...


class HistorySource(Protocol):
    """Chunks of whole deals that can be gone through more than once.

    A source may have ``parts``, a sequence of `Part`, so that an executor reads them; without, the
    chunks themselves travel. It may have ``progress``, as `funnel.backtest` takes it: what each
    pass over the source tells how far it is.
    """

    def __iter__(self) -> Iterator[History]:
        """Yield the chunks, the same ones each time."""
        ...


S = TypeVar("S", bound=Summary)


def parts_of(source: History | HistorySource, /) -> Iterable[History | Part]:
    """Return the chunks of a source, unread where it has parts; a history is one chunk."""
    if isinstance(source, History):
        return (source,)
    found: Sequence[History | Part] | None = getattr(source, "parts", None)
    return source if found is None else found


def first_of(source: History | HistorySource, /) -> History:
    """Return the first chunk of a source; all chunks share its schema and its observed days.

    Raises
    ------
    InsufficientDataError
        When there is none.
    """
    for part in parts_of(source):
        return _read(part)
    what = "a source needs at least one chunk of history"
    raise InsufficientDataError(what, needed=1, found=0, remedy="Give a source that is not empty.")


def _read(chunk: History | Part) -> History:
    """Return a chunk, read."""
    if isinstance(chunk, History):
        return chunk
    if not isinstance(chunk, Part):
        kind = type(chunk).__name__
        raise ValidationError.from_value("source", "must be a History, or chunks of one", kind, "")
    return chunk.read()


@attrs.frozen(eq=False)
class _MappedPart:
    """A part that is changed where it is read."""

    part: History | Part
    change: Callable[[History], History]

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return "a chunk in memory" if isinstance(self.part, History) else self.part.name

    def read(self) -> History:
        """Read and change the chunk."""
        return self.change(_read(self.part))


@attrs.frozen(eq=False)
class MappedSource:
    """A source whose chunks are changed as they are read, for instance cut at a day.

    Parameters
    ----------
    source : History or HistorySource
        Where the chunks come from.
    change : callable
        ``History -> History``; picklable where the executor runs processes. It must not move deals
        from one chunk to another.

    Examples
    --------
    >>> import operator
    >>> import funnel as fn
    >>> history = fn.datasets.simulate(60, rng=1).history
    >>> past = MappedSource(list(history.chunks(25)), operator.methodcaller("until", "2026-01-31"))
    >>> sum(chunk.n_deals for chunk in past) == history.until("2026-01-31").n_deals
    True
    """

    source: History | HistorySource
    change: Callable[[History], History]

    @property
    def parts(self) -> tuple[Part, ...] | None:
        """The chunks, not read yet; None where the source has no sequence of them."""
        found = parts_of(self.source)
        if not isinstance(found, Sequence):
            return None
        return tuple(_MappedPart(part, self.change) for part in found)

    @property
    def progress(self) -> bool | Callable[[int, int], None]:
        """What passes over the source tell how far they are."""
        return getattr(self.source, "progress", False)

    def __iter__(self) -> Iterator[History]:
        """Yield the changed chunks."""
        return (self.change(_read(part)) for part in parts_of(self.source))


class _Tower(Generic[S]):
    """Summaries that are merged pairwise as they come."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, S]] = []  # (merged leaves, summary), sizes falling

    def add(self, summary: S) -> None:
        """Merge one more."""
        size = 1
        while self._parts and self._parts[-1][0] == size:
            summary = self._parts.pop()[1].merge(summary)
            size *= 2
        self._parts.append((size, summary))

    def total(self) -> S:
        """Return all of them as one."""
        if not self._parts:
            what = "a summary needs at least one chunk of history"
            raise InsufficientDataError(
                what, needed=1, found=0, remedy="Give a source that is not empty."
            )
        parts = (summary for _, summary in reversed(self._parts))
        return functools.reduce(lambda right, left: left.merge(right), parts)


def merge_all(summaries: Iterable[S], /) -> S:
    """Merge summaries pairwise as they come; memory grows with the logarithm of their number.

    Raises
    ------
    InsufficientDataError
        When there is none.

    Examples
    --------
    >>> import attrs
    >>> @attrs.frozen
    ... class Count:
    ...     n: int
    ...     def merge(self, other):
    ...         return Count(self.n + other.n)
    >>> merge_all(Count(n) for n in range(5))
    Count(n=10)
    """
    tower: _Tower[S] = _Tower()
    for summary in summaries:
        tower.add(summary)
    return tower.total()


def summarize(
    source: History | HistorySource,
    function: Callable[[History], S],
    /,
    *,
    executor: Executor | None = None,
) -> S:
    """Apply `function` to each chunk of a source and merge the results.

    Parameters
    ----------
    source : History or HistorySource
        A history counts as one chunk.
    function : callable
        ``History -> summary``; picklable where the executor runs processes.
    executor : concurrent.futures.Executor, optional
        Where to run; in this thread by default. The chunks of a source that has ``parts``, such as
        that of `funnel.scan`, are read there too.

    Returns
    -------
    summary
        The same, whatever the split and the executor.
    """
    parts = parts_of(source)
    count = len(parts) if isinstance(parts, Sequence) else 0
    if executor is None:
        found: Iterable[S] = (function(_read(part)) for part in parts)
    elif isinstance(parts, Sequence):
        size = 1
        while len(parts) > size * TASKS:
            size *= 2  # whole branches of the tree of merges: sums of floats stay as they are
        tasks = [parts[begin : begin + size] for begin in range(0, len(parts), size)]
        count = len(tasks)
        found = executor.map(functools.partial(_summarize_some, function), tasks)
    else:
        found = executor.map(function, map(_read, parts))
    progress = getattr(source, "progress", False)
    return merge_all(shown(found, count, progress, "Chunks") if count else found)


def _summarize_some(function: Callable[[History], S], parts: Sequence[History | Part]) -> S:
    """Read some chunks, one after the other, and merge what `function` makes of them."""
    return merge_all(function(_read(part)) for part in parts)


def summarize_until(
    source: History | HistorySource,
    function: Callable[[History, Sequence[int]], Iterator[S]],
    days: Sequence[int],
    /,
    *,
    executor: Executor | None = None,
) -> Iterator[S]:
    """Yield, for each of many days, the summary of what was known at its end.

    Parameters
    ----------
    source : History or HistorySource
        A history counts as one chunk. Chunks are gone through once, and the summaries of all days
        are held; those of a history are made as they are asked for.
    function : callable
        ``(History, days) -> iterator of summaries``, one for each day; picklable where the
        executor runs processes.
    days : sequence of int
        Ascending.
    executor : concurrent.futures.Executor, optional
        Where chunks are summarised; in this thread by default.
    """
    if not len(days):
        return
    if isinstance(source, History) and executor is None:
        yield from function(source, days)
        return
    towers: list[_Tower[S]] = [_Tower() for _ in days]
    whole = functools.partial(_all, function, days)
    parts = parts_of(source)
    count = len(parts) if isinstance(parts, Sequence) else 0
    found = map(whole, parts) if executor is None else executor.map(whole, parts)
    progress = getattr(source, "progress", False)
    for summaries in shown(found, count, progress, "Chunks") if count else found:
        for tower, summary in zip(towers, summaries, strict=True):
            tower.add(summary)
    for tower in towers:
        yield tower.total()


def _all(
    function: Callable[[History, Sequence[int]], Iterator[S]],
    days: Sequence[int],
    part: History | Part,
) -> tuple[S, ...]:
    """Return the summaries of a chunk, which travel together."""
    return tuple(function(_read(part), days))
