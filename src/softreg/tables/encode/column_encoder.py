"""Protocols of column encoders and column fitters, and the sparse entries of X that encoders return.

A `ColumnFitter` is fitted to the batches of one column and returns a `ColumnEncoder`, which maps cells to features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from softreg.tables.columns.row_location import RowLocation
from softreg.typing import Float64Array, Int64Array

Entry = tuple[Int64Array | int, Float64Array]
"""One feature for all rows, or the feature of each row (n,), -1 for none; and the values (n,)."""


def entries_with_missing(values: Float64Array | list[Float64Array], fill: float, indicator: bool) -> list[Entry]:
    """Return one entry a feature (n,), with missing values replaced by `fill` and an optional indicator feature."""
    columns = values if isinstance(values, list) else [values]
    missing = np.isnan(columns[0])
    some = missing.any()
    entries: list[Entry] = [(i, np.where(missing, fill, one) if some else one) for i, one in enumerate(columns)]
    if indicator:
        entries.append((np.where(missing, len(columns), -1), np.ones(len(missing))))
    return entries


class ColumnEncoder(Protocol):
    """Encoder of one column, which returns either `entries` (a few features a row) or a `block` of a matrix.

    The attribute `name` is the column, `features` are the names of its `width` features, and `remark` states in a few
    words what was fitted.
    """

    @property
    def name(self) -> str:
        """The name of the column."""

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in order."""

    @property
    def width(self) -> int:
        """The number of features."""

    @property
    def remark(self) -> str:
        """A short description of what was fitted; empty where the schema states it."""

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; `from_state` reads it."""


class ColumnFitter(Protocol):
    """Fitter of one column: it is fed batches and returns the fitted `ColumnEncoder`."""

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Update the fit with one batch of the column."""

    def merge(self, later: Any) -> None:
        """Add the fit of the rows that follow, by a fitter of the same column."""

    def encoder(self) -> ColumnEncoder:
        """Return the fitted encoder."""


def csr_from_entries(entries: Sequence[Entry], n: int, width: int) -> sp.csr_array:
    """Return the CSR matrix (n, width) of these entries, without stored zeros.

    Parameters
    ----------
    entries : sequence of (feature, value)
        `feature` is one column of the matrix or a column for each row (n,), -1 for none; `value` (n,). Features ascend
        from entry to entry, so that the indices of each row are sorted.
    n, width : int
        Shape of the matrix.

    Returns
    -------
    scipy.sparse.csr_array
        Indices are 32-bit where these suffice.

    Examples
    --------
    >>> csr_from_entries([(np.array([0, -1]), np.ones(2)), (1, np.array([0.0, 3.0]))], 2, 2).toarray().tolist()
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
