"""Which rows of a table are meant."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from softreg.typing import Codes


def row_numbers(rows: ArrayLike | None, n: int) -> Codes | None:
    """Row numbers from 0 as int64, from numbers or a mask; raises `ValueError` where they are neither.

    Example:
        >>> row_numbers([True, False, True], 3)
        array([0, 2])
    """
    if rows is None:
        return None
    chosen = np.asarray(rows)
    if chosen.dtype == bool and chosen.shape == (n,):
        chosen = np.flatnonzero(chosen)
    if chosen.ndim != 1 or chosen.size == 0 or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(
            f"rows must be row numbers or a mask of {n:,} rows, but is {chosen.dtype} of shape {chosen.shape}"
        )
    if chosen.min() < 0 or chosen.max() >= n:
        raise ValueError(f"rows must lie in 0 to {n - 1}, but reach from {chosen.min()} to {chosen.max()}")
    return chosen.astype(np.int64)
