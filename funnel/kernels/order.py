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
    starts, lengths = bounds[:-1], np.diff(bounds)
    count = -(-int(lengths.max(initial=0)) // WORD)
    if count > MOST_WORDS:
        return None
    padded = np.concatenate((data, np.zeros(WORD * max(count, 1), dtype=np.uint8)))
    view = np.ndarray(len(padded) - WORD + 1, dtype="<u8", buffer=padded, strides=(1,))
    short = int(lengths.min(initial=0))
    words = []
    for word in range(count):
        begin = WORD * word
        loaded = view[starts + begin].byteswap()
        if begin + WORD > short:
            loaded &= _KEPT[np.clip(lengths - begin, 0, WORD)]
        words.append(_squeezed(loaded))
    if sum(bits for _, bits in words) > MOST_BITS:
        return None
    order: IntArray | None = None
    for key, bits in reversed(words):
        order = _by_digits(key, bits, order, len(starts))
    order = np.arange(len(starts)) if order is None else order
    fresh = np.zeros(len(starts), dtype=np.bool_)
    fresh[:1] = True
    for key, bits in words:
        if bits:
            ranked = key[order]
            fresh[1:] |= ranked[1:] != ranked[:-1]
    return order, fresh


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
        part = (words >> np.uint64(at)) & np.uint64((1 << run) - 1)
        squeezed |= part << np.uint64(bits)
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
