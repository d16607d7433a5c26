"""Products and inverses of matrices of middling size, in the caller's thread.

BLAS gives such work to all its threads, which wait for one another without sleeping. Where a core
has something else to do (a container with a share of the cores, other processes), what takes a
tenth of a millisecond then takes ten. Blocks below its threshold stay in the caller's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from funnel.typing import FloatArray

__all__ = ["gram", "inverse", "product"]

SIDE = 64
"""Side of the blocks, and of the largest matrix that is inverted at once."""

MULTIPLICATIONS = SIDE**3
"""Most multiplications of a product that OpenBLAS does not spread over threads."""

ROWS = 1024
"""Rows of a product that are worked on together, so that they stay in the cache."""


def product(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the product of two matrices.

    ``(n, k), (k, m) -> (n, m)``

    Examples
    --------
    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    found = np.empty((len(a), b.shape[1]))
    inner, wide = (max(min(side, SIDE), 1) for side in b.shape)
    rows = MULTIPLICATIONS // (inner * wide)
    for begin in range(0, len(a), ROWS):
        some = a[begin : begin + ROWS]
        whole = len(some) - len(some) % rows
        for column in range(0, b.shape[1], SIDE):
            total, rest = np.zeros((whole // rows, rows, 1)), np.zeros((len(some) - whole, 1))
            for row in range(0, len(b), SIDE):
                left = some[:, row : row + SIDE]
                right = np.ascontiguousarray(b[row : row + SIDE, column : column + SIDE])
                total = total + left[:whole].reshape(whole // rows, rows, left.shape[1]) @ right
                rest = rest + left[whole:] @ right
            target = found[begin : begin + ROWS, column : column + SIDE]
            target[:whole] = total.reshape(whole, total.shape[2])
            target[whole:] = rest
    return found


def gram(x: FloatArray) -> FloatArray:
    """Return the products of all pairs of columns, x'x.

    ``(n, p) -> (p, p)``

    Examples
    --------
    >>> gram(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[10.0, 14.0], [14.0, 20.0]]
    """
    rows = max(MULTIPLICATIONS // max(x.shape[1], 1) ** 2, 1)
    whole = len(x) - len(x) % rows
    blocks = x[:whole].reshape(whole // rows, rows, x.shape[1])
    total = (blocks.transpose(0, 2, 1) @ blocks).sum(axis=0)
    rest = x[whole:]
    # A copy: of the same array numpy would ask for a symmetric product, which has no threshold.
    return np.asarray(total + rest.T @ rest.copy(), dtype=np.float64)


def inverse(a: FloatArray) -> FloatArray:
    """Return the inverse of symmetric positive definite matrices.

    ``(..., p, p) -> (..., p, p)``

    Notes
    -----
    Large ones by halves: with A = [[B, C], [C', D]] and the Schur complement S = D - C' inv(B) C,
    the blocks of inv(A) are inv(B) + H inv(S) H', -H inv(S) and inv(S), where H = inv(B) C.

    Examples
    --------
    >>> inverse(np.array([[2.0, 0.0], [0.0, 4.0]])).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    side = a.shape[-1]
    if side <= SIDE:
        return np.asarray(np.linalg.inv(a), dtype=np.float64)
    half = side // 2
    first, last = slice(0, half), slice(half, None)
    one, across = inverse(a[..., first, first]), a[..., first, last]
    lent = one @ across
    two = inverse(a[..., last, last] - across.swapaxes(-1, -2) @ lent)
    found = np.empty_like(a)
    corner = lent @ two
    found[..., first, first] = one + corner @ lent.swapaxes(-1, -2)
    found[..., first, last] = -corner
    found[..., last, first] = -corner.swapaxes(-1, -2)
    found[..., last, last] = two
    return found
