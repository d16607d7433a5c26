"""How many threads work on one table: the caller takes its share, workers take the others."""

from __future__ import annotations

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["first_number", "forget", "get", "put", "shared"]

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


class _Setting:
    """The number of threads, and the workers beside the caller, made when first needed."""

    def __init__(self) -> None:
        """Begin with the number in the environment."""
        self.lock = threading.Lock()
        self.number = first_number(os.environ.get("FUNNEL_THREADS", ""), os.cpu_count() or 1)
        self.workers: ThreadPoolExecutor | None = None

    def pool(self) -> ThreadPoolExecutor:
        """Return the workers; a pool that nobody holds any more ends by itself."""
        with self.lock:
            if self.workers is None:
                self.workers = ThreadPoolExecutor(max(self.number - 1, 1), "funnel")
            return self.workers


SETTING = _Setting()


def get() -> int:
    """Return the number of threads."""
    return SETTING.number


def put(number: int) -> None:
    """Change the number of threads; work that runs keeps the number it began with."""
    with SETTING.lock:
        SETTING.workers, SETTING.number = None, number


def forget() -> None:
    """Forget the workers in a new process: threads do not survive a fork."""
    SETTING.lock, SETTING.workers = threading.Lock(), None


os.register_at_fork(after_in_child=forget)


def shared(function: Callable[[int, int], T], rows: int) -> list[T]:
    """Call a function for ranges of rows, ``[begin, end)`` in order, and return what it returns.

    One range where there are few rows. The number of threads changes nothing but the ranges.
    """
    parts = min(SETTING.number, rows // LEAST)
    if parts <= 1:
        return [function(0, rows)]
    edges = [rows * part // parts for part in range(parts + 1)]
    pool = SETTING.pool()
    later = [pool.submit(function, *ends) for ends in itertools.pairwise(edges[1:])]
    first = function(0, edges[1])
    return [first, *(task.result() for task in later)]
