"""How far a long run is: a bar on the terminal, or a function that is told."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["shown"]

T = TypeVar("T")


def shown(
    results: Iterable[T],
    total: int,
    progress: bool | Callable[[int, int], None],  # noqa: FBT001 - as its callers take it
    what: str,
) -> Iterator[T]:
    """Pass results on, telling how many are done.

    `progress` is a function of the number done and of all, or True for a bar, which needs ``rich``
    and a terminal.
    """
    if callable(progress):
        for number, result in enumerate(results, 1):
            progress(number, total)
            yield result
        return
    if progress and sys.stderr.isatty():
        try:
            from rich.console import Console  # noqa: PLC0415 - an extra
            from rich.progress import track  # noqa: PLC0415
        except ImportError:
            yield from results
            return
        bar = Console(stderr=True)
        yield from track(results, what, total=total, console=bar, transient=True)
        return
    yield from results
