"""Rows that are more than memory holds: written once to a cache on the disk, then read block by block by the threads.

The blocks are those of the backends in memory, cut at the same places and multiplied by the same kernels, so the
sums are the same to the last bit. Blocks keep nothing that grows with the rows (`fits_in_memory` is False).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows.kernels.csr_columns import repeats
from softreg.rows.memory.csr import SparseBlock, SparseRows
from softreg.rows.memory.dense import DenseRows
from softreg.rows.ondisk.arrays import FileArray, FileColumn, FileCSR
from softreg.typing import Array

SMALL = 64 << 20
"""Rows of no more bytes than this are read back into memory, where more can be done with them."""


class StreamBlock(SparseBlock):
    """A run of rows of a `FileCSR`, read when they are asked for."""

    @property
    def X(self) -> Any:
        """The rows, a csr_array."""
        rows = self.rows
        return rows.X.rows(self.start, self.stop, None if rows.X.dtype == np.float64 else rows.dtype)


class StreamSparse(SparseRows):
    """Rows of a `FileCSR` (n, d)."""

    fits_in_memory = False

    def _search(self, targets: Array) -> Array:
        found: Array = self.X.cuts(targets)
        return found

    def cut(self, start: int, stop: int) -> SparseBlock:
        """Rows `start` to `stop` as a block that reads them when they are asked for."""
        return StreamBlock(self, start, stop, None)

    def row_squares(self) -> Array | None:
        """None: these rows come in blocks."""
        return None


class RowWriter:
    """Rows, labels and weights, written batch by batch; `finish` returns their backend.

    Labels are codes (b,), whose meaning `finish` may still change, or label probabilities (b, q).
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.X: FileArray | FileCSR | None = None
        self.labels: FileArray | None = None
        self.weights: FileArray | None = None
        self.n = 0

    def append(self, X: Any, labels: Array, weights: Array | None) -> None:
        """Write a batch: X (b, d) float32 or float64, dense or CSR, as all before; raises `OSError` for a full disk."""
        if self.X is None:
            make = FileCSR if sp.issparse(X) else FileArray
            self.X = make(X.dtype, X.shape[1], self.folder)
            hard = labels.ndim == 1
            self.labels = FileArray(np.int32 if hard else np.float64, None if hard else labels.shape[1], self.folder)
            self.weights = None if weights is None else FileArray(np.float64, None, self.folder)
        assert self.labels is not None
        if sp.issparse(X) and repeats(X):  # entries given twice mean their sum
            X = X.copy()
            X.sum_duplicates()
        self.X.append(X)
        self.labels.append(labels)
        if self.weights is not None:
            self.weights.append(weights if weights is not None else np.ones(X.shape[0]))
        self.n += X.shape[0]

    def close(self) -> None:
        """Free the space on the disk, also that of the rows that `finish` has returned."""
        for part in (self.X, self.labels, self.weights):
            if part is not None:
                part.close()

    def finish(
        self, codes: Array | None = None, class_weights: Array | None = None, scale: float = 1.0, weighted: bool = True
    ) -> Any:
        """Return the backend of all rows written.

        `codes` (k,) says which class each code that was written stands for, None leaves all as they are;
        `class_weights` (q,) and `scale` multiply the row weights, which count only where `weighted`.
        """
        assert self.X is not None
        assert self.labels is not None
        hard, own = self.labels.ndim == 1, self.weights if weighted else None

        def name(values: Array, key: Any) -> Array:
            return values if codes is None or not hard else codes[values]

        labels = FileColumn(self.labels, name, self.labels.ndim)

        def weigh(values: Array, key: Any) -> Array:
            w = np.full(len(values), scale) if own is None else values * scale
            if class_weights is not None:
                Y = labels[key]
                w *= class_weights[Y] if hard else Y @ class_weights
            return w

        plain = own is None and class_weights is None
        weights: Any = None if plain else FileColumn(own or self.labels, weigh, 2)
        sparse = isinstance(self.X, FileCSR)
        if self.X.nbytes <= SMALL:
            columns = None if weights is None else weights[:, 0 : self.n]
            return (SparseRows if sparse else DenseRows)(self.X.whole(), labels[0 : self.n], columns)
        make: Any = StreamSparse if sparse else DenseRows  # a `FileArray` is sliced as arrays are
        return make(self.X, labels, weights)
