"""Products and inverses in blocks are those of numpy in one piece."""

import numpy as np
import pytest

from funnel.kernels.products import MULTIPLICATIONS, ROWS, SIDE, gram, inverse, product


@pytest.mark.parametrize("n", [0, 1, MULTIPLICATIONS // 30**2, 1_000])
@pytest.mark.parametrize("p", [0, 1, 30, 90])
def test_products_of_columns(n, p):
    """Whole blocks, a rest, none of both."""
    x = np.random.default_rng(n + p).normal(size=(n, p))
    np.testing.assert_allclose(gram(x), np.einsum("np,nq->pq", x, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("side", [1, SIDE, SIDE + 1, 3 * SIDE])
def test_inverses(side):
    """Several at once, beside the one that numpy gives, and back to the unit matrix."""
    x = np.random.default_rng(side).normal(size=(3, side, side))
    a = x @ x.transpose(0, 2, 1) + side * np.eye(side)
    found = inverse(a)
    np.testing.assert_allclose(found, np.linalg.inv(a), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a @ found, np.broadcast_to(np.eye(side), a.shape), atol=1e-12)


@pytest.mark.parametrize("n", [0, 1, SIDE + 1, ROWS + 700])
@pytest.mark.parametrize("k", [0, 1, SIDE, SIDE + 3])
@pytest.mark.parametrize("m", [0, 2, SIDE, 2 * SIDE + 1])
def test_products(n, k, m):
    """Of any size, also where blocks are not full."""
    rng = np.random.default_rng([n, k, m])
    a, b = rng.normal(size=(n, k)), rng.normal(size=(k, m))
    np.testing.assert_allclose(product(a, b), a @ b, rtol=1e-12, atol=1e-12)
