"""How many threads work on one table: the caller takes its share, workers take the others."""

from __future__ import annotations

import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["get", "put", "shared"]

T = TypeVar("T")

LEAST = 1 << 20
"""Fewest rows that a thread is worth: handing work over costs up to half a millisecond."""


class _Setting:
    """The number of threads, and the workers beside the caller, made when first needed."""

    def __init__(self) -> None:
        """Begin with the number in the environment, or two where there are two cores."""
        given = os.environ.get("FUNNEL_THREADS", "")
        self.lock = threading.Lock()
        if given and not given.isdigit():
            msg = f"FUNNEL_THREADS must be a whole number >= 1, not {given!r}"
            raise ValueError(msg)
        self.number = max(int(given), 1) if given else min(os.cpu_count() or 1, 2)
        self.workers: ThreadPoolExecutor | None = None

    def pool(self) -> ThreadPoolExecutor:
        """Return the workers."""
        with self.lock:
            if self.workers is None:
                self.workers = ThreadPoolExecutor(self.number - 1, "funnel")
            return self.workers


SETTING = _Setting()


def _forked() -> None:
    """Forget the workers: threads do not survive a fork."""
    SETTING.lock, SETTING.workers = threading.Lock(), None


os.register_at_fork(after_in_child=_forked)


def get() -> int:
    """Return the number of threads."""
    return SETTING.number


def put(number: int) -> None:
    """Change the number of threads; work that runs keeps the number it began with."""
    with SETTING.lock:
        before, SETTING.workers, SETTING.number = SETTING.workers, None, number
    if before is not None:
        before.shutdown(wait=False)


def shared(function: Callable[[int, int], T], rows: int) -> list[T]:
    """Call a function for ranges of rows, ``[begin, end)`` in order, and return what it returns.

    One range where there are few rows. The number of threads changes nothing but the ranges.
    """
    parts = min(SETTING.number, rows // LEAST)
    if parts <= 1:
        return [function(0, rows)]
    edges = [rows * part // parts for part in range(parts + 1)]
    try:
        pool = SETTING.pool()
        later = [pool.submit(function, *ends) for ends in itertools.pairwise(edges[1:])]
    except RuntimeError:  # the setting was changed this very moment
        return [function(0, rows)]
    first = function(0, edges[1])
    return [first, *(task.result() for task in later)]
