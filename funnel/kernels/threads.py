"""How many threads work on one table: the caller takes its share, workers take the others."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ahead", "first_number", "get", "halves", "put", "shared"]

T = TypeVar("T")

LEAST = 1 << 20
"""Fewest rows that a thread is worth: handing work over costs up to half a millisecond."""


def first_number(said: str, cores: int) -> int:
    """Return the number of threads to begin with: what was said, or two where there are two cores.

    Raises
    ------
    ValueError
        When what was said is no whole number.
    """
    if said and not said.isdigit():
        msg = f"FUNNEL_THREADS must be a whole number >= 1, not {said!r}"
        raise ValueError(msg)
    return max(int(said), 1) if said else min(cores, 2)


SETTING = [first_number(os.environ.get("FUNNEL_THREADS", ""), os.cpu_count() or 1)]


def get() -> int:
    """Return the number of threads."""
    return SETTING[0]


def put(number: int) -> None:
    """Change the number of threads; work that runs keeps the number it began with."""
    SETTING[0] = number


def shared(function: Callable[[int, int], T], rows: int, *, least: int | None = None) -> list[T]:
    """Call a function for ranges of rows, ``[begin, end)`` in order, and return what it returns.

    One range where there are few rows: less than `least` for a thread, by default `LEAST`. The
    number of threads changes nothing but the ranges.
    """
    parts = max(min(get(), rows // (least or LEAST)), 1)
    return _beside(function, [rows * part // parts for part in range(parts + 1)])


def halves(function: Callable[[int, int], T], rows: int) -> list[T]:
    """Call a function for two halves of the rows, as `shared` does for its ranges.

    There are two (one where there are few rows) whatever the number of threads, so that what is
    added up of them is rounded alike.
    """
    edges = [0, rows] if rows < 2 * LEAST else [0, rows // 2, rows]
    if get() > 1:
        return _beside(function, edges)
    return [function(*ends) for ends in itertools.pairwise(edges)]


def ahead(found: Iterator[T], rows: int) -> Iterator[T]:
    """Yield what an iterator yields, the next one being made while the caller works with the last.

    Not where there are few rows: the caller makes it when it asks.
    """
    if get() == 1 or rows < LEAST:
        yield from found
        return
    with ThreadPoolExecutor(1, "funnel") as worker:
        later = worker.submit(next, found, None)
        while (one := later.result()) is not None:
            later = worker.submit(next, found, None)
            yield one


def _beside(function: Callable[[int, int], T], edges: list[int]) -> list[T]:
    """Call a function for ranges of rows at the same time, the first one in this thread.

    Workers begin anew each time: they take a tenth of a millisecond, and a fork leaves none behind.
    """
    if len(edges) <= 2:
        return [function(*edges)]
    with ThreadPoolExecutor(len(edges) - 2, "funnel") as workers:
        later = [workers.submit(function, *ends) for ends in itertools.pairwise(edges[1:])]
        first = function(*edges[:2])
        return [first, *(task.result() for task in later)]
