"""Stable orders by radix: sixteen bits at a time, for which numpy has a sort in linear time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import BoolArray, IntArray

    Words = np.ndarray[Any, np.dtype[np.uint64]]

__all__ = ["by_code", "by_text"]

WORD = 8  # bytes
DIGIT = 16  # bits
MOST_WORDS, MOST_BITS = 8, 160  # beyond, a hash table is faster


def by_code(codes: IntArray, *, before: IntArray | None = None) -> IntArray:
    """(n,) -> (n,): stable order of codes >= 0; rows that share one stand as in `before`."""
    most = int(codes.max(initial=0))
    return _by_digits(codes, most.bit_length(), before, len(codes))


def by_text(data: np.ndarray[Any, Any], bounds: IntArray) -> tuple[IntArray, BoolArray] | None:
    """Stable order of n texts by their bytes.

    Parameters
    ----------
    data : (b,) uint8
        All texts, one after the other, without NUL.
    bounds : (n + 1,) int
        Where each begins; the last one is where the last text ends.

    Returns
    -------
    order : (n,) int
        Rows in the order of their texts, those of one text as they stand.
    fresh : (n,) bool
        Whether the row at each place of `order` has another text than the one before.

    None where texts differ in more bits than can be sorted faster than hashed.
    """
    keys = _keys(data, bounds)
    if keys is None:
        return None
    length = len(bounds) - 1
    order: IntArray | None = None
    for key, bits in reversed(keys):
        order = _by_digits(key, bits, order, length)
    order = np.arange(length) if order is None else order
    fresh = np.zeros(length, dtype=np.bool_)
    fresh[:1] = True
    for key, _ in keys:
        ranked = key[order]
        fresh[1:] |= ranked[1:] != ranked[:-1]
    return order, fresh


def _keys(data: np.ndarray[Any, Any], bounds: IntArray) -> list[tuple[Words, int]] | None:
    """Return the bits in which n texts differ, the first ones first, as whole numbers (n,)."""
    starts, lengths = bounds[:-1], np.diff(bounds)
    longest, shortest = int(lengths.max(initial=0)), 0 if not len(lengths) else int(lengths.min())
    count = -(-longest // WORD)
    if count > MOST_WORDS:
        return None
    padded = np.concatenate((data, np.zeros(WORD * count + WORD, dtype=np.uint8)))
    view = np.ndarray(len(padded) - WORD + 1, dtype="<u8", buffer=padded, strides=(1,))
    keys: list[tuple[Words, int]] = []
    for begin in range(0, WORD * count, WORD):
        word = view[starts + begin].byteswap()
        if longest == shortest:
            word &= _KEPT[min(longest - begin, WORD)]
        elif begin + WORD > shortest:
            word &= _KEPT[np.clip(lengths - begin, 0, WORD)]
        key, bits = _squeezed(word)
        if keys and keys[-1][1] + bits <= 64:
            before, already = keys[-1]
            keys[-1] = (before << np.uint64(bits)) | key, already + bits
        else:
            keys.append((key, bits))
    return keys if sum(bits for _, bits in keys) <= MOST_BITS else None


_KEPT = np.array([(1 << 64) - (1 << (64 - 8 * kept)) for kept in range(WORD + 1)], dtype=np.uint64)
"""The bytes of a word that belong to a text of which so many bytes are in it."""


def _squeezed(words: Words) -> tuple[Words, int]:
    """(n,) -> (n,), (): words without the bits that all of them share, and how many are left.

    Their order stays: it never depended on a bit that is the same everywhere.
    """
    differ = int(np.bitwise_or.reduce(words)) ^ int(np.bitwise_and.reduce(words))
    squeezed = np.zeros(len(words), dtype=np.uint64)
    bits = at = 0
    while differ >> at:
        at += ((differ >> at) & -(differ >> at)).bit_length() - 1
        run = (~(differ >> at) & ((differ >> at) + 1)).bit_length() - 1
        part = words >> np.uint64(at)
        part &= np.uint64((1 << run) - 1)
        part <<= np.uint64(bits)
        squeezed |= part
        bits, at = bits + run, at + run
    return squeezed, bits


def _by_digits(keys: Any, bits: int, before: IntArray | None, length: int) -> IntArray:  # noqa: ANN401
    """Sort by the lowest digit first, each time keeping the order so far."""
    order = before
    for shift in range(0, bits, DIGIT):
        digit = (keys >> keys.dtype.type(shift)).astype(np.uint16)
        if order is None:
            order = np.argsort(digit, kind="stable")
        else:
            order = order[np.argsort(digit[order], kind="stable")]
    return np.arange(length) if order is None else order
