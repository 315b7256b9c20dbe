"""Checks that numbers are finite, with the column and row of the first that is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import scipy.sparse as sp

CHUNK_BYTES = 1 << 26
"""Size of the parts in which an array is searched, in bytes: a mask of a whole memory map might not fit in memory."""


def check_finite(X: Any, names: Sequence[Any] | None = None, what: str = "X", first: int = 0) -> None:
    """Raise `ValueError` for the first number of X that is not finite.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n, d)
        The numbers.
    names : sequence of length d, optional
        Names of the columns, for the message.
    what : str
        Name of the argument, for the message.
    first : int
        Number of the first row, for the message.

    Raises
    ------
    ValueError
        If a number is nan or infinite; the message names its column and row.

    Examples
    --------
    >>> check_finite(np.array([[1.0, 2.0], [np.nan, 3.0]]))
    Traceback (most recent call last):
    ...
    ValueError: Input X contains NaN: column 0 has a missing value in row 1. Fill it, or leave the row out.
    """
    data = X.data if sp.issparse(X) else X
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(data.sum()):  # nan and infinity make the sum non-finite: one pass and no mask in the usual case
            return
    if data is X and len(X) > 1 and X.nbytes > CHUNK_BYTES:
        for a in range(0, len(X), step := -(-len(X) * CHUNK_BYTES // X.nbytes)):
            check_finite(X[a : a + step], names, what, first + a)
        return
    nonfinite = ~np.isfinite(data)
    if not nonfinite.any():
        return  # the numbers are large, and only their sum overflows
    if sp.issparse(X):
        position = int(nonfinite.argmax())
        row = int(np.searchsorted(X.indptr, position, side="right")) - 1
        column, value = X.indices[position], data[position]
    else:
        row, column = np.argwhere(nonfinite)[0]
        value, row = data[row, column], row + first
    where = f"column {int(column)}" if names is None else f"column {names[column]!r}"
    raise_nonfinite(value, int(row), where, names, what)


def raise_nonfinite(
    value: float, row: int, where: str, names: Sequence[Any] | None = None, what: str = "X"
) -> NoReturn:
    """Raise `ValueError` for a number that is not finite, in the column that `where` describes."""
    if np.isnan(value):
        table = ", or use softreg.TableClassifier, which gives missing values their own indicator" if names else ""
        raise ValueError(
            f"Input {what} contains NaN: {where} has a missing value in row {row}. Fill it, or leave the row out"
            f"{table if what == 'X' else ''}."
        )
    raise ValueError(
        f"Input {what} contains infinity: {where} holds {value} in row {row}. Look for a division by zero or an "
        "overflow where it was computed, and correct it or leave the row out."
    )
