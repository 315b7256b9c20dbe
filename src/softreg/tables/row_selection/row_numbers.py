"""Row numbers from numbers or a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from softreg.typing import Codes


def row_numbers(rows: ArrayLike | None, n: int) -> Codes | None:
    """Return row numbers from 0 as int64, from numbers or a mask; None stands for all rows.

    Parameters
    ----------
    rows : array-like or None
        Row numbers, or a mask (n,).
    n : int
        Number of rows of the table.

    Returns
    -------
    array of int64 or None
        Row numbers.

    Raises
    ------
    ValueError
        If `rows` are neither, or out of range.

    Examples
    --------
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
