"""The protocol of column encoders, and the entries of X that they return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from softreg.tables.columns.row_location import RowLocation
from softreg.typing import Float64Array, Int64Array

# The feature of each row (-1 for none), or one for all, and their values of shape (n,).
Entry = tuple[Int64Array | int, Float64Array]


def entries_with_missing(values: Float64Array | list[Float64Array], fill: float, indicator: bool) -> list[Entry]:
    """Entries of the features (n,) of a column; missing ones are filled in and, where asked, marked by one more."""
    columns = values if isinstance(values, list) else [values]
    missing = np.isnan(columns[0])
    some = missing.any()
    entries: list[Entry] = [(i, np.where(missing, fill, one) if some else one) for i, one in enumerate(columns)]
    if indicator:
        entries.append((np.where(missing, len(columns), -1), np.ones(len(missing))))
    return entries


class ColumnEncoder(Protocol):
    """How one column becomes features: either `entries` (a few of them a row) or a `block` of a matrix."""

    @property
    def name(self) -> str:
        """The name of the column."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""

    @property
    def width(self) -> int:
        """How many features there are."""

    @property
    def remark(self) -> str:
        """What was learned, in a few words; "" where the schema says it all."""

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON."""


class ColumnFitter(Protocol):
    """Learns the code of one column."""

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Take one batch of the column."""

    def encoder(self) -> ColumnEncoder:
        """The code of what was seen."""


def csr_from_entries(entries: Sequence[Entry], n: int, width: int) -> sp.csr_array:
    """CSR without stored zeros; entries come in the order of the columns, so that indices are sorted.

    Example:
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
