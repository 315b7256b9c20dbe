"""Rows that are larger than memory: written once to scratch files, then read block by block by the threads.

Blocks are cut at the same rows as those of the backends in memory and multiplied by the same kernels, so the sums are
the same to the last bit. Nothing that grows with the rows is kept (`fits_in_memory` is False).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows.kernels.csr_columns import may_have_duplicates
from softreg.rows.memory.csr import SparseBlock, SparseRows
from softreg.rows.memory.dense import DenseRows
from softreg.rows.ondisk.arrays import FileArray, FileColumn, FileCSR, FileOffset
from softreg.typing import Array

MAX_IN_MEMORY_BYTES = 64 << 20
"""Rows of at most this size in bytes are read back into memory."""


class DiskBlock(SparseBlock):
    """A run of rows of a `FileCSR`, read on demand."""

    @property
    def X(self) -> Any:
        """The rows, a csr_array."""
        rows = self.rows
        return rows.X.rows(self.start, self.stop, None if rows.X.dtype == np.float64 else rows.dtype)


class DiskSparseRows(SparseRows):
    """Rows of a `FileCSR` (n, d)."""

    fits_in_memory = False

    def _search(self, targets: Array) -> Array:
        positions: Array = self.X.searchsorted(targets)
        return positions

    @property
    def stored_bytes(self) -> int:
        """Bytes of one reading of all rows."""
        return int(self.X.nbytes)

    def cut(self, start: int, stop: int) -> SparseBlock:
        """Return rows `start` to `stop` as a block that reads them on demand."""
        return DiskBlock(self, start, stop, None)

    def row_squares(self) -> Array | None:
        """Return None: these rows are read block by block."""
        return None


class RowWriter:
    """Writes rows, labels and weights batch by batch; `finish` returns their backend.

    Parameters
    ----------
    folder : Path, optional
        Folder of the scratch files; see `cache_folder`.

    Examples
    --------
    >>> writer = RowWriter()
    >>> writer.append(np.eye(3), np.array([0, 1, 1]), None)
    >>> writer.finish().n
    3
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.X: FileArray | FileCSR | None = None
        self.labels: FileArray | None = None
        self.weights: FileArray | None = None
        self.offset: FileArray | None = None
        self.n = 0

    def append(self, X: Any, labels: Array, weights: Array | None, offset: Array | None = None) -> None:
        """Write a batch of rows.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (b, d)
            float32 or float64, of the same kind in all batches.
        labels : ndarray of shape (b,) or (b, q)
            Codes, whose classes `finish` may map, or label probabilities.
        weights : ndarray of shape (b,), optional
        offset : ndarray of shape (b, q), optional
            Fixed part of the logits, in all batches or in none.

        Raises
        ------
        OSError
            If the disk is full.
        """
        if self.X is None:
            make = FileCSR if sp.issparse(X) else FileArray
            self.X = make(X.dtype, X.shape[1], self.folder)
            hard = labels.ndim == 1
            self.labels = FileArray(np.int32 if hard else np.float64, None if hard else labels.shape[1], self.folder)
            self.weights = None if weights is None else FileArray(np.float64, None, self.folder)
            self.offset = None if offset is None else FileArray(np.float64, offset.shape[1], self.folder)
        assert self.labels is not None
        if sp.issparse(X) and may_have_duplicates(X):  # duplicate entries are summed
            X = X.copy()
            X.sum_duplicates()
        self.X.append(X)
        self.labels.append(labels)
        if self.weights is not None:
            self.weights.append(weights if weights is not None else np.ones(X.shape[0]))
        if self.offset is not None:
            assert offset is not None
            self.offset.append(offset)
        self.n += X.shape[0]

    def close(self) -> None:
        """Free the space on the disk, including that of the rows that `finish` has returned."""
        for part in (self.X, self.labels, self.weights, self.offset):
            if part is not None:
                part.close()

    def finish(
        self,
        codes: Array | None = None,
        class_weights: Array | None = None,
        scale: float = 1.0,
        *,
        weighted: bool = True,
        offset_order: Array | None = None,
    ) -> Any:
        """Return the backend of all rows written.

        Parameters
        ----------
        codes : ndarray of shape (k,), optional
            The class of each code that was written.
        class_weights : ndarray of shape (q,), optional
            Factors of the row weights by class.
        scale : float
            Factor of all row weights.
        weighted : bool
            Whether the row weights that were written are used.
        offset_order : ndarray of shape (q,), optional
            The column of the written offsets that belongs to each class; by default they are in the order of the codes.

        Returns
        -------
        Rows
        """
        assert self.X is not None
        assert self.labels is not None
        hard, row_weights = self.labels.ndim == 1, self.weights if weighted else None

        def class_of(values: Array, key: Any) -> Array:
            return values if codes is None or not hard else codes[values]

        labels = FileColumn(self.labels, class_of, self.labels.ndim)

        def weigh(values: Array, key: Any) -> Array:
            w = np.full(len(values), scale) if row_weights is None else values * scale
            if class_weights is not None:
                Y = labels[key]
                w *= class_weights[Y] if hard else Y @ class_weights
            return w

        plain = row_weights is None and class_weights is None
        weights: Any = None if plain else FileColumn(row_weights or self.labels, weigh, 2)
        sparse = isinstance(self.X, FileCSR)
        offset = None if self.offset is None else FileOffset(self.offset, offset_order)
        if self.X.nbytes <= MAX_IN_MEMORY_BYTES:
            whole = (slice(None), slice(0, self.n))
            columns, fixed = (None if part is None else part[whole] for part in (weights, offset))
            return (SparseRows if sparse else DenseRows)(self.X.read_all(), labels[0 : self.n], columns, offset=fixed)
        make: Any = DiskSparseRows if sparse else DenseRows  # a `FileArray` supports slices
        return make(self.X, labels, weights, offset=offset)
