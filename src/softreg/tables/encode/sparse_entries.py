"""Entries of features, a few of them a row, as a sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from softreg.tables.encode.scalar_encoders import Entry


def csr_of_entries(entries: Sequence[Entry], n: int, width: int) -> sp.csr_array:
    """CSR without stored zeros; entries come in the order of the columns, so that indices are sorted.

    Example:
        >>> csr_of_entries([(np.array([0, -1]), np.ones(2)), (1, np.array([0.0, 3.0]))], 2, 2).toarray().tolist()
        [[1.0, 0.0], [0.0, 3.0]]
    """
    if not entries:
        return sp.csr_array((n, width))
    feature = np.stack([np.broadcast_to(feature, n) for feature, _ in entries], axis=1)  # (n, entries a row)
    value = np.stack([value for _, value in entries], axis=1)
    has = (feature >= 0) & (value != 0)
    start = np.concatenate([[0], np.cumsum(has.sum(axis=1))])
    small = start[-1] < 2**31 and width < 2**31
    index = np.int32 if small else np.int64
    return sp.csr_array((value[has], feature[has].astype(index), start.astype(index)), shape=(n, width))
