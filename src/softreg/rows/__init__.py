"""Where the rows live; each home adds partial sums over blocks of rows and knows no loss."""

from __future__ import annotations

from typing import Any

import scipy.sparse as sp

from softreg.rows.base import Array, Block, Rows, Sums, runs
from softreg.rows.columns import repeats
from softreg.rows.dense import DenseRows, scores, vast
from softreg.rows.device import OnDevice
from softreg.rows.dual import Dual
from softreg.rows.journal import JournalRows, Log
from softreg.rows.kernels import Kernels, kernels_in_use
from softreg.rows.softmax import Softmax
from softreg.rows.sparse import SparseRows
from softreg.rows.stream import RowWriter
from softreg.rows.threads import in_order, one_blas_thread, thread_count
from softreg.rows.triangle import Triangle

__all__ = [
    "Array",
    "Block",
    "DenseRows",
    "Dual",
    "JournalRows",
    "Kernels",
    "Log",
    "OnDevice",
    "RowWriter",
    "Rows",
    "Softmax",
    "SparseRows",
    "Sums",
    "Triangle",
    "as_rows",
    "in_order",
    "kernels_in_use",
    "one_blas_thread",
    "runs",
    "scores",
    "thread_count",
    "vast",
]


def as_rows(X: Any, labels: Array, weights: Array | None = None) -> Rows:
    """The home that fits `X`: sparse for a SciPy sparse matrix or array, a device for `OnDevice`, dense otherwise.

    Example:
        >>> import numpy as np
        >>> as_rows(np.eye(3), np.array([0, 1, 1])).n
        3
    """
    if sp.issparse(X):
        X = X.tocsr()
        if repeats(X):  # entries given twice mean their sum
            X = X.copy()
            X.sum_duplicates()
        return SparseRows(X, labels, weights)
    if isinstance(X, OnDevice):
        from softreg.rows.torch import TorchRows

        return TorchRows(X, labels, weights)
    return DenseRows(X, labels, weights)
