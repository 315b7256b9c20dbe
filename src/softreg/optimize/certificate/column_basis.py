"""An orthonormal basis of the columns of the rows, from their products alone.

The basis is `y = T z` with `sum_i v_i y_i y_i^T = sum_i v_i I`. Without a penalty the optimum does not depend on the
basis of the columns, and in this one the curvature of the loss has no trace of columns that almost depend on each
other. A Cholesky factorisation of the products keeps 8 digits of what a column has of its own; columns with less are
left as residuals, whose products are summed again from the rows, so that up to 12 digits count (Yamamoto, Nakatsukasa,
Yanagisawa and Fukaya 2015, Roundoff error analysis of the CholeskyQR2 algorithm, for one such repetition).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg as sl

from softreg.rows import Array

CLEAR = 1e-8
"""A column of which at least this share of the variance is its own can be divided by it at once."""
OWN = 1e-12
"""A column that differs from a combination of the others by less than this part of its size counts as one of them."""
PASSES = 6
"""Sums over the rows at most; one where the columns are far from dependent, three or four otherwise."""

Products = Callable[[Array], Array]
"""The mean of `v y y^T` for `y = T z`, (r, r), given T (r, d + 1)."""


def orthonormal(products: Products, T: Array) -> Array:
    """Rows T (r, d + 1) of an orthonormal basis of what the given rows (k, d + 1) of T span.

    Example:
        >>> Z = np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0], [1.0, 0.0, 1.0]])
        >>> T = orthonormal(lambda T: T @ Z @ Z.T @ T.T, np.eye(3))
        >>> T.shape, np.allclose(T @ Z @ Z.T @ T.T, np.eye(2))
        ((2, 3), True)
    """
    own, first = np.ones(len(T)), True
    for _ in range(PASSES):
        gram = products(T)
        size = np.sqrt(np.maximum(gram.diagonal(), 0.0))
        own = own if first else own * size
        stay = (size > 0) & (own > OWN)
        T, own, size, gram = T[stay] / size[stay, None], own[stay], size[stay], gram[np.ix_(stay, stay)]
        gram = gram / np.multiply.outer(size, size)
        L, order, rank, _ = sl.lapack.dpstrf(gram, tol=CLEAR, lower=1)
        order = order - 1
        T, own, first = T[order], own[order], False
        root = np.tril(L[:rank, :rank])
        rest = T[rank:] - L[rank:, :rank] @ sl.solve_triangular(root, T[:rank], lower=True)
        T = np.concatenate([sl.solve_triangular(root, T[:rank], lower=True), rest])
        own[:rank] = 1.0
        if rank == len(T):
            return T
    return T[:rank]
