"""Random keys of names: the same on every machine, so that shares of deals can be drawn by them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.typing import IntArray

__all__ = ["mixed", "of_names"]


def mixed(keys: IntArray) -> IntArray:
    """(n,) -> (n,): uint64 as random ones, one to one (the finaliser of SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def of_names(names: Sequence[str]) -> IntArray:
    """(n,) str -> (n,) uint64: a random key of each name; different names may share one."""
    codes = map(crc32, map(str.encode, names))
    return mixed(np.fromiter(codes, dtype=np.uint64, count=len(names)))
