"""Summaries that merge: one way to run in memory, out of core, in threads or on a cluster."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, runtime_checkable

from funnel.errors import InsufficientDataError
from funnel.tables import History

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

__all__ = ["HistorySource", "Summary", "merge_all", "summarize"]


@runtime_checkable
class Summary(Protocol):
    """What a model keeps of a history: it merges with the summary of other deals.

    ``merge`` is associative and commutative, and does not change its operands; the summary of a
    history equals the merged summaries of any split of it into whole deals.
    """

    def merge(self, other: Self, /) -> Self:
        """Return the summary of both sets of deals together."""
        ...


class HistorySource(Protocol):
    """Chunks of whole deals that can be gone through more than once."""

    def __iter__(self) -> Iterator[History]:
        """Yield the chunks, the same ones each time."""
        ...


S = TypeVar("S", bound=Summary)


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
    tower: list[tuple[int, S]] = []  # (merged leaves, summary), sizes falling from left to right
    for summary in summaries:
        size, merged = 1, summary
        while tower and tower[-1][0] == size:
            merged = tower.pop()[1].merge(merged)
            size *= 2
        tower.append((size, merged))
    if not tower:
        what = "a summary needs at least one chunk of history"
        raise InsufficientDataError(
            what, needed=1, found=0, remedy="Give a source that is not empty."
        )
    return functools.reduce(lambda right, left: left.merge(right), (s for _, s in reversed(tower)))


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
        Where to run; in this thread by default.

    Returns
    -------
    summary
        The same, whatever the split and the executor.
    """
    chunks: Iterable[History] = (source,) if isinstance(source, History) else source
    if executor is None:
        return merge_all(map(function, chunks))
    return merge_all(executor.map(function, chunks))
