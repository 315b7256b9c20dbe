"""Products of chosen pairs of a class and a row: compiled, and the same in NumPy.

The pairs lie class by class as the entries of a CSR array of shape (classes, rows): those of class c are
`starts[c]` to `starts[c + 1]`, and `rows` holds their rows.
"""

from __future__ import annotations

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.typing import Array

GATHERED = 1 << 20
"""Numbers of gathered rows that NumPy multiplies at a time."""


def pair_dots(X: Array, V: Array, rows: Array, starts: Array, out: Array) -> None:
    """Write the product of the vector of each class with each of its rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    V : ndarray of shape (k, d)
    rows : ndarray of int32 of shape (m,)
    starts : ndarray of int64 of shape (k + 1,)
    out : ndarray of shape (m,)
        Entries `starts[0]` to `starts[k]` are written.

    Examples
    --------
    >>> out = np.zeros(2)
    >>> pair_dots(np.eye(2), np.array([[3.0, 4.0]]), np.array([1, 0], np.int32), np.array([0, 2]), out)
    >>> out.tolist()
    [4.0, 3.0]
    """
    if _compiled(X, V, out):
        kernels._module.pair_dots(X, V, rows, starts, out)
        return
    owners = np.repeat(np.arange(len(V)), np.diff(starts))
    first, step = int(starts[0]), max(1, GATHERED // max(X.shape[1], 1))
    for a in range(first, int(starts[-1]), step):
        part = slice(a, min(a + step, int(starts[-1])))
        gathered = X[rows[part]].astype(V.dtype, copy=False)
        out[part] = np.einsum("md,md->m", gathered, V[owners[part.start - first : part.stop - first]])


def pair_sums(X: Array, weights: Array, rows: Array, starts: Array, out: Array) -> None:
    """Write the weighted sum of the rows of each class.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weights : ndarray of shape (m,)
    rows : ndarray of int32 of shape (m,)
    starts : ndarray of int64 of shape (k + 1,)
    out : ndarray of shape (k, d)

    Examples
    --------
    >>> out = np.empty((1, 2))
    >>> pair_sums(np.eye(2), np.array([3.0, 4.0]), np.array([1, 0], np.int32), np.array([0, 2]), out)
    >>> out.tolist()
    [[4.0, 3.0]]
    """
    if _compiled(X, weights, out):
        kernels._module.pair_sums(X, weights, rows, starts, out)
        return
    step = max(1, GATHERED // max(X.shape[1], 1))
    for c in range(len(out)):
        out[c] = 0
        for a in range(int(starts[c]), int(starts[c + 1]), step):
            part = slice(a, min(a + step, int(starts[c + 1])))
            out[c] += weights[part] @ X[rows[part]].astype(out.dtype, copy=False)


def _compiled(X: Array, *others: Array) -> bool:
    """Return True if compiled code multiplies these arrays, which must have one precision."""
    same = all(other.dtype == X.dtype and other.flags.c_contiguous for other in others)
    return kernels._module is not None and X.dtype in (np.float32, np.float64) and X.flags.c_contiguous and same
