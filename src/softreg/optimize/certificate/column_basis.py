"""An orthonormal basis of the columns of the rows, from their products alone.

The basis is `y = T z` with `sum_i v_i y_i y_i^T = sum_i v_i I`. Without a penalty the optimum does not depend on the
basis of the columns, and in this one almost dependent columns do not make
the Hessian ill-conditioned. A Cholesky factorisation of the products is accurate for columns whose residual, after
projection on the others, has at least 1e-8 of their variance. The products of the other residuals are summed again from
the rows, so that residuals down to 1e-12 count.

References
----------
Yamamoto, Nakatsukasa, Yanagisawa and Fukaya (2015), Roundoff error analysis of the CholeskyQR2 algorithm (for one such
repetition).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.linalg as sl

from softreg.rows import Array

CLEAR_SHARE = 1e-8
"""Share of a column's variance that its residual has at least, so that the factorisation can divide by it."""
DEPENDENT_NORM = 1e-12
"""Norm of a column's residual, relative to the column, up to which the column counts as dependent."""
PASSES = 6
"""Largest number of sums over the rows: one if the columns are far from dependent, otherwise usually three or four."""

Products = Callable[[Array], Array]
"""The mean of `v y y^T` for `y = T z`, (r, r), given T (r, d + 1)."""


def orthonormal(products: Products, T: Array) -> Array:
    """Return an orthonormal basis of the span of the given rows of T.

    Parameters
    ----------
    products : callable
        The mean of `v y y^T` for `y = T z`, (r, r), as a function of T (r, d + 1).
    T : array of shape (k, d + 1)
        Combinations of the columns.

    Returns
    -------
    array of shape (r, d + 1)
        The basis, r <= k.

    Examples
    --------
    >>> Z = np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0], [1.0, 0.0, 1.0]])
    >>> T = orthonormal(lambda T: T @ Z @ Z.T @ T.T, np.eye(3))
    >>> T.shape, np.allclose(T @ Z @ Z.T @ T.T, np.eye(2))
    ((2, 3), True)
    """
    residual_norm, first = np.ones(len(T)), True
    for _ in range(PASSES):
        gram = products(T)
        size = np.sqrt(np.maximum(gram.diagonal(), 0.0))
        residual_norm = residual_norm if first else residual_norm * size
        keep = (size > 0) & (residual_norm > DEPENDENT_NORM)
        T, residual_norm, size, gram = (
            T[keep] / size[keep, None],
            residual_norm[keep],
            size[keep],
            gram[np.ix_(keep, keep)],
        )
        gram = gram / np.multiply.outer(size, size)
        L, order, rank, _ = sl.lapack.dpstrf(gram, tol=CLEAR_SHARE, lower=1)
        order = order - 1
        T, residual_norm, first = T[order], residual_norm[order], False
        root = np.tril(L[:rank, :rank])
        residuals = T[rank:] - L[rank:, :rank] @ sl.solve_triangular(root, T[:rank], lower=True)
        T = np.concatenate([sl.solve_triangular(root, T[:rank], lower=True), residuals])
        residual_norm[:rank] = 1.0
        if rank == len(T):
            return T
    return T[:rank]
