"""Products of CSR rows with a handful of columns: compiled where that is possible, otherwise SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.typing import Array


def _supported(X: Any, *dense: Array) -> bool:
    """Return True if compiled code accepts this CSR matrix with these dense arrays; its data may be wider."""
    wide_enough = X.data.dtype in (dense[0].dtype, np.float64)
    return kernels.supports_csr(X) and kernels._supported(*dense) and wide_enough


def csr_times(X: Any, W: Array) -> Array:
    """Return `(X @ W).T` for CSR rows X, in the precision of W if X has at least that.

    Parameters
    ----------
    X : csr_array of shape (b, d)
    W : ndarray of shape (d, k)

    Returns
    -------
    ndarray of shape (k, b)

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> csr_times(sp.csr_array([[0.0, 2.0], [1.0, 0.0]]), np.array([[1.0], [5.0]]))
    array([[10.,  1.]])
    """
    if not _supported(X, W):
        return np.ascontiguousarray((X @ W).T, dtype=W.dtype)
    out = np.empty((W.shape[1], X.shape[0]), W.dtype)
    kernels._module.csr_times(X.data, X.indices, X.indptr, W, out)
    return out


def csr_transposed_times(R: Array, X: Any, onto: Array | None = None) -> Array:
    """Return `R @ X` for CSR rows X, in Fortran order.

    Parameters
    ----------
    R : ndarray of shape (k, b)
    X : csr_array of shape (b, d)
    onto : ndarray of shape (d, k), optional
        Array in C order and in the dtype of R to which the product is added; its transpose is returned.

    Returns
    -------
    ndarray of shape (k, d)

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> csr_transposed_times(np.array([[1.0, 3.0]]), sp.csr_array([[0.0, 2.0], [1.0, 0.0]]))
    array([[3., 2.]])
    """
    if not _supported(X, R):
        product = np.asarray(X.T @ np.ascontiguousarray(R.T), dtype=R.dtype)
        return np.asarray(product if onto is None else np.add(onto, product, out=onto)).T
    out = np.zeros((X.shape[1], len(R)), R.dtype) if onto is None else onto
    kernels._module.csr_transposed_times(X.data, X.indices, X.indptr, R, out)
    return out.T


def csr_loss_and_gradient(
    X: Any, W: Array, bias: Array, labels: Array, q: int, V: Array | None, logits: Array | None
) -> tuple[Array, Array, Array] | None:
    """Return loss, residual and gradient of softmax models from one reading of CSR rows, or None.

    Parameters
    ----------
    X : csr_array of shape (b, d)
    W : ndarray of shape (d, k)
        k = models x q.
    bias : ndarray of shape (k,)
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.
    q : int
        Number of classes.
    V : ndarray of shape (m, b) or (1, b), or None
        Row weights.
    logits : ndarray of shape (k, b), or None
        Receives `(X @ W).T + bias`, unless it is None.

    Returns
    -------
    tuple of ndarray, or None
        Summed V-weighted cross-entropy (m,) and residual (k,) in float64, and `R @ X` (k, d) in Fortran order. None if
        no compiled code applies.

    Notes
    -----
    The compiled code raises `ValueError` for codes outside 0 .. q - 1 and for shapes that do not match.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> X = sp.csr_array([[0.0, 2.0], [1.0, 0.0]])
    >>> sums = csr_loss_and_gradient(X, np.zeros((2, 2)), np.zeros(2), np.array([0, 1]), 2, None, None)
    >>> sums is None or (sums[0].round(4).tolist(), sums[2].tolist()) == ([1.3863], [[0.5, -1.0], [-0.5, 1.0]])
    True
    """
    if not _supported(X, W, bias) or not (logits is None or kernels._supported(W, logits)):
        return None
    codes = shares = None
    if labels.ndim == 1:
        codes = np.ascontiguousarray(labels, dtype=np.int64)
    else:
        shares = np.ascontiguousarray(labels, dtype=W.dtype)
    weights = None if V is None else np.ascontiguousarray(V, dtype=np.float64)
    loss, sums, G = np.zeros(W.shape[1] // q), np.zeros(W.shape[1]), np.zeros(W.shape, W.dtype)
    rows = (X.data, X.indices, X.indptr)
    kernels._module.csr_loss_and_gradient(*rows, W, bias, codes, shares, weights, logits, loss, sums, G)
    return loss, sums, G.T
