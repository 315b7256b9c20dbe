"""Extremes and moments of the columns of CSR rows, and duplicate entries: compiled, or the same in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.typing import Array


def extremes(X: Any) -> tuple[Array, Array]:
    """Return the smallest and largest value of each column, including zeros that are not stored.

    Parameters
    ----------
    X : csr_array of shape (n, d)

    Returns
    -------
    low, high : ndarray of shape (d,)

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> extremes(sp.csr_array([[0.0, 2.0], [1.0, 3.0]]))
    (array([0., 2.]), array([1., 3.]))
    """
    n, d = X.shape
    if not kernels.supports_csr(X):
        return X.min(axis=0).toarray().ravel(), X.max(axis=0).toarray().ravel()
    table = np.tile([np.inf, -np.inf, 0.0], (d, 1))
    kernels._module.csr_extremes(X.data, X.indices, table)
    low, high, stored = table.T
    some = stored < n
    return np.where(some, np.minimum(low, 0.0), low), np.where(some, np.maximum(high, 0.0), high)


def moments(X: Any, shift: Array, scale: Array) -> tuple[Array, Array]:
    """Return the sums of `z` and `z**2` for `z = (X - shift) / scale`, in float64.

    Parameters
    ----------
    X : csr_array of shape (n, d)
    shift, scale : ndarray of shape (d,)

    Returns
    -------
    first, second : ndarray of shape (d,)

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> moments(sp.csr_array([[0.0, 2.0], [1.0, 3.0]]), np.array([1.0, 1.0]), np.array([1.0, 2.0]))
    (array([-1. ,  1.5]), array([1.  , 1.25]))
    """
    n, d = X.shape
    zero = -shift / scale  # the standardized value of 0
    if kernels.supports_csr(X):
        table = np.stack([1 / scale, zero, np.zeros(d), np.zeros(d)], axis=1)
        kernels._module.csr_moments(X.data, X.indices, table)
        first, second = table[:, 2], table[:, 3]
    else:
        columns = X.indices
        z = (X.data.astype(np.float64) - shift[columns]) / scale[columns]
        first = np.bincount(columns, weights=z - zero[columns], minlength=d)
        second = np.bincount(columns, weights=z**2 - zero[columns] ** 2, minlength=d)
    return first + n * zero, second + n * zero**2


def may_have_duplicates(X: Any) -> bool:
    """Return True if a row of a CSR matrix may contain a column twice; exact if kernels are compiled.

    Parameters
    ----------
    X : csr_array of shape (n, d)

    Returns
    -------
    bool

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> may_have_duplicates(sp.csr_array(([1.0, 2.0], [0, 0], [0, 2]), shape=(1, 1)))
    True
    """
    if X.has_canonical_format:
        return False
    if not kernels.supports_csr(X):
        return True
    return bool(kernels._module.csr_repeats(X.indices, X.indptr, np.full(X.shape[1], -1, X.indices.dtype)))
