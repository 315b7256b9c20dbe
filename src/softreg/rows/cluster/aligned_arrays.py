"""Arrays that were received from another process, aligned in memory.

Such an array may start at any byte; kernels then add its numbers in another order, and the last bits of sums would
depend on how the rows came to a worker.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows.memory.csr import SparseRows
from softreg.rows.memory.dense import DenseRows


def aligned(array: Any) -> Any:
    """Return an array or sparse matrix whose numbers are contiguous and aligned; a copy only where they are not.

    Parameters
    ----------
    array : ndarray, csr_array or None
        The array.

    Returns
    -------
    ndarray, csr_array or None
        The same numbers.

    Examples
    --------
    >>> odd = np.zeros(17, np.uint8)[1:].view(np.float64)
    >>> odd.flags.aligned, aligned(odd).flags.aligned
    (False, True)
    """
    if sp.issparse(array):
        parts = (aligned(array.data), aligned(array.indices), aligned(array.indptr))
        return sp.csr_array(parts, shape=array.shape)
    return np.require(array, requirements=["C", "A"]) if isinstance(array, np.ndarray) else array


def aligned_rows(rows: Any) -> Any:
    """Return rows, or a record with arrays, whose arrays are aligned.

    Parameters
    ----------
    rows : DenseRows, SparseRows or dataclass
        The rows.

    Returns
    -------
    DenseRows, SparseRows or dataclass
        The same rows.
    """
    if isinstance(rows, DenseRows | SparseRows):
        X, labels, weights, offset = (aligned(part) for part in (rows.X, rows.labels, rows.weights, rows.offset))
        return type(rows)(X, labels, weights, offset=offset)
    assert is_dataclass(rows)
    return replace(rows, **{field.name: aligned(getattr(rows, field.name)) for field in fields(rows)})  # type: ignore[type-var]
