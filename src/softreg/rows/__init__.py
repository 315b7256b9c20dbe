"""Rows with their labels and weights, in memory, on disk or on a device; each backend adds reductions over its blocks.

`backend_protocol.py` is the interface to solvers. May import `probability`. A further backend is a package beside
`memory`.
"""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp

from softreg.lazy import lazy_names
from softreg.rows.backend_protocol import Block, Reduction, Rows, runs
from softreg.rows.checkpoint import CheckpointLog, CheckpointRows
from softreg.rows.dual_variables import Dual
from softreg.rows.gpu.device_array import OnDevice
from softreg.rows.kernels.cholesky_solve import Triangle
from softreg.rows.kernels.csr_columns import may_have_duplicates
from softreg.rows.kernels.products import Kernels, kernels_in_use
from softreg.rows.logits import BackendArray, BlockLogits, LogitStore, ParameterPoint, Sums
from softreg.rows.memory.base import class_major, member_weights
from softreg.rows.memory.csr import SparseRows
from softreg.rows.memory.dense import DenseRows, is_large_memmap, scores
from softreg.rows.ondisk.disk_rows import RowWriter
from softreg.rows.parallel import in_order, one_blas_thread, thread_count
from softreg.typing import Array

__all__ = [
    "Array",
    "BackendArray",
    "Block",
    "BlockLogits",
    "CheckpointLog",
    "CheckpointRows",
    "DenseRows",
    "Dual",
    "Kernels",
    "LogitStore",
    "OnDevice",
    "ParameterPoint",
    "Reduction",
    "RowWriter",
    "Rows",
    "SparseRows",
    "Sums",
    "Triangle",
    "as_rows",
    "in_order",
    "is_large_memmap",
    "kernels_in_use",
    "member_weights",
    "one_blas_thread",
    "runs",
    "scores",
    "thread_count",
]

__getattr__, __dir__ = lazy_names(__name__, {})


def as_rows(X: Any, labels: Array, weights: Array | None = None, offset: Array | None = None) -> Rows:
    """Return the backend for `X`.

    Parameters
    ----------
    X : ndarray, SciPy sparse matrix or array, or OnDevice, of shape (n, d)
    labels : ndarray of shape (n,) or (n, q)
        Codes or label probabilities.
    weights : ndarray of shape (1, n) or (m, n), optional
        Row weights of each model.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits of each row, the same for all models.

    Returns
    -------
    Rows
        `SparseRows` for a sparse matrix, `TorchRows` for `OnDevice`, otherwise `DenseRows`.

    Examples
    --------
    >>> import numpy as np
    >>> as_rows(np.eye(3), np.array([0, 1, 1])).n
    3
    """
    if sp.issparse(X):
        X = X.tocsr()
        if may_have_duplicates(X):  # duplicate entries are summed
            X = X.copy()
            X.sum_duplicates()
        return SparseRows(X, labels, weights, offset=class_major(offset))
    if isinstance(X, OnDevice):
        from softreg.rows.gpu.device_rows import TorchRows

        return TorchRows(X, labels, weights, offset=class_major(offset))
    return DenseRows(X, labels, weights, offset=class_major(offset))
