"""Answers that are kept, so that nothing is computed twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Kept"]

T = TypeVar("T")


def _one(value: object) -> int:
    """Count an answer as one."""
    del value
    return 1


class Kept(Generic[T]):
    """The latest answers, up to a size in all; safe to use from several threads.

    It travels to other processes without its answers.
    """

    def __init__(self, size: int, weigh: Callable[[T], int] = _one) -> None:
        self._size = size
        self._weigh = weigh
        self._lock = threading.Lock()
        self._answers: OrderedDict[Any, T] = OrderedDict()

    def get(self, key: Any, make: Callable[[], T]) -> T:  # noqa: ANN401 - any hashable key
        """Return the answer under `key`, made if it is not there."""
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        made = make()
        with self._lock:
            self._answers[key] = made
            while sum(map(self._weigh, self._answers.values())) > self._size:
                self._answers.popitem(last=False)
        return made

    def __contains__(self, key: Any) -> bool:  # noqa: ANN401 - any hashable key
        """Tell whether an answer is kept."""
        with self._lock:
            return key in self._answers

    def __reduce__(self) -> tuple[type[Kept[T]], tuple[int, Callable[[T], int]]]:
        """Leave lock and answers behind."""
        return type(self), (self._size, self._weigh)
