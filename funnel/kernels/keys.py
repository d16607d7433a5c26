"""Random keys of names and of rows: the same on every machine.

Shares of deals can be drawn by them, and pasts be told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from funnel.typing import IntArray

__all__ = ["mixed", "of_names", "of_rows", "sums_by_day"]

BLOCK = 1 << 16
ODD = 0x9E3779B97F4A7C15
LIMB = 22  # bits: sums of so short numbers are exact in float64, up to 2^31 of them


def mixed(keys: IntArray) -> IntArray:
    """(n,) -> (n,): uint64 as random ones, one to one (the finaliser of SplitMix64)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def of_names(names: Sequence[str]) -> IntArray:
    """(n,) str -> (n,) uint64: a random key of each name; different names may share one."""
    codes = map(crc32, map(str.encode, names))
    return mixed(np.fromiter(codes, dtype=np.uint64, count=len(names)))


def of_rows(columns: Sequence[np.ndarray[Any, Any]]) -> IntArray:
    """K x (n,) -> (n,): uint64 keys of rows of numbers; the order of the columns matters."""
    factors = [np.uint64(pow(ODD, power, 2**64)) for power in range(1, len(columns) + 1)]
    found = np.empty(len(columns[0]), dtype=np.uint64)
    for begin in range(0, len(found), BLOCK):
        some = slice(begin, begin + BLOCK)
        total = np.zeros(len(found[some]), dtype=np.uint64)
        for column, factor in zip(columns, factors, strict=True):
            part = column[some]
            wide = part if part.dtype.itemsize == 8 else part.astype(np.int64)
            total += wide.view(np.uint64) * factor
        found[some] = mixed(total)
    return found


def sums_by_day(keys: IntArray, day: IntArray, days: int) -> IntArray:
    """(r,), (r,), () -> (days,): sums, modulo 2^64, of the keys of all rows up to each day."""
    total = np.zeros(days, dtype=np.uint64)
    for shift in range(0, 64, LIMB):
        limb = (keys >> np.uint64(shift)) & np.uint64(2**LIMB - 1)
        sums = np.bincount(day, limb, minlength=days)
        total += sums.astype(np.uint64) << np.uint64(shift)
    return np.cumsum(total, dtype=np.uint64)
