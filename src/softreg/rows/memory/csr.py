"""Rows in a SciPy CSR matrix or array, with 32- or 64-bit indices."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows.dual_variables import Dual
from softreg.rows.kernels import csr_columns as columns
from softreg.rows.kernels import csr_products
from softreg.rows.kernels import products as kernels
from softreg.rows.kernels.dual_step import dual_steps, row_squares
from softreg.rows.logits import Sums
from softreg.rows.memory.base import MemoryBlock, MemoryRows, class_sums
from softreg.rows.sampling import draw_sample
from softreg.typing import Array

BLOCK_NONZEROS = 400_000
BLOCK_NONZEROS_PER_COLUMN = 20
"""Fewer, larger blocks than for dense rows: the gradient of each block is a dense (k, d) array."""
MIN_BLOCKS, MIN_BLOCK_NONZEROS = 2, 20_000
"""Two threads have work, unless a block would then have fewer stored numbers than `MIN_BLOCK_NONZEROS`."""
MIN_BLOCK_ROWS, MAX_BLOCK_ROWS = 256, 65_536
"""Least and largest number of rows of a block: rows without stored numbers have logits as well."""


@dataclass(eq=False)
class SparseBlock(MemoryBlock):
    """A run of rows of a CSR matrix; it shares the stored numbers of the whole."""

    rows: SparseRows
    held: Any

    @property
    def X(self) -> Any:
        """The rows, a csr_array."""
        return self.held

    def times(self, prepared: Array) -> Array:
        """Return `W @ X.T`, (k, b)."""
        return csr_products.csr_times(self.X, prepared)

    def transposed_times(self, R: Array) -> Array:
        """Return `R @ X`, (k, d)."""
        return csr_products.csr_transposed_times(R, self.X)

    def class_sums(self, w: Array, q: int) -> Array:
        """Return the sums of `w x` over the rows of each class, (k, q, d)."""
        return class_sums(self.labels, w, self.X, q)

    def loss_and_gradient(
        self, prepared: Array, bias: Array, q: int, V: Array | None, logits: Array | None
    ) -> Sums | None:
        """Return loss (m,), residual (k,) and gradient (k, d) from one reading of the rows, or None."""
        if self.rows.offset is not None:
            return None
        return csr_products.csr_loss_and_gradient(self.X, prepared, bias, self.labels, q, V, logits)

    def piece(self, start: int, stop: int) -> SparseBlock:
        """Return rows `start` to `stop` of this block as a block."""
        return SparseBlock(self.rows, self.start + start, self.start + stop, self.X[start:stop])

    def standardised(self, shift: Array, scale: Array) -> Array:
        """Return `(X - shift) / scale` as a dense array (b, d); callers use it for few columns or few rows."""
        dense: Array = self.X.toarray().astype(self.rows.dtype, copy=False)
        dense -= shift.astype(dense.dtype)
        dense /= scale.astype(dense.dtype)
        return dense

    def weighted_squares(self, w: Array, shift: Array, scale: Array) -> Array:
        """Return the sums over the rows of `w z**2` for `z = (X - shift) / scale`, (k, d)."""
        squares = sp.csr_array((self.X.data**2, self.X.indices, self.X.indptr), shape=self.X.shape)
        right = np.ascontiguousarray(w.T)
        total: Array = (squares.T @ right).T.astype(np.float64)
        total -= 2 * shift * (self.X.T @ right).T
        total += shift**2 * w.sum(axis=1, dtype=np.float64)[:, None]
        return np.asarray(np.maximum(total, 0.0) / scale**2)

    def extremes(self) -> tuple[Array, Array]:
        """Return the smallest and largest value of each column, (d,) each, including zeros that are not stored."""
        return columns.extremes(self.X)

    def moments(self, shift: Array, scale: Array) -> tuple[Array, Array]:
        """Return the sums of `z` and `z**2` for `z = (X - shift) / scale`, (d,) each."""
        return columns.moments(self.X, shift, scale)


class SparseRows(MemoryRows[SparseBlock]):
    """Rows of a CSR matrix with their labels and weights; columns are never shifted, so zeros stay zeros.

    Parameters
    ----------
    X : csr_array of shape (n, d)
        Numbers, without duplicate entries.
    labels : ndarray
        Class codes (n,) or label probabilities (n, q).
    weights : ndarray of shape (m, n) or None
        Row weights of each model of a stack, (1, n) for all of them, or None for ones.
    dtype : dtype, optional
        Precision of products; that of X by default.
    offset : ndarray of shape (q, n), optional
        Fixed offset of the logits of each row.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> rows = SparseRows(sp.csr_array(np.eye(3)), np.array([0, 1, 1]))
    >>> rows.n, rows.stored
    (3, 3)
    """

    can_shift = False

    def __init__(
        self, X: Any, labels: Array, weights: Array | None = None, *, dtype: Any = None, offset: Any = None
    ) -> None:
        self.X, self.labels, self.weights, self.offset = X, labels, weights, offset
        self.n, self.d = X.shape
        self.dtype = np.dtype(dtype or X.dtype)
        self.blocks = [self.cut(a, b) for a, b in self._cuts()]
        self._row_squares: Array | None = None

    def _cuts(self) -> list[tuple[int, int]]:
        """Return first and last row + 1 of each block; blocks have about equally many stored numbers."""
        nonzeros = self.stored
        count = max(nonzeros // max(BLOCK_NONZEROS, BLOCK_NONZEROS_PER_COLUMN * self.d), -(-self.n // MAX_BLOCK_ROWS))
        count = min(max(count, min(MIN_BLOCKS, nonzeros // MIN_BLOCK_NONZEROS)), max(1, self.n // MIN_BLOCK_ROWS))
        inner = self._search(np.linspace(0, nonzeros, count + 1)[1:-1])
        edges = np.unique(np.concatenate([[0], inner, [self.n]]))
        return [(int(a), int(b)) for a, b in pairwise(edges)]

    def _search(self, targets: Array) -> Array:
        """Return the rows before which these counts of numbers are stored."""
        return np.searchsorted(self.X.indptr, targets)

    def cut(self, start: int, stop: int) -> SparseBlock:
        """Return rows `start` to `stop` as a block, without a copy where the numbers have the precision of products."""
        X, (a, b) = self.X, self.X.indptr[[start, stop]]
        data = X.data[a:b]
        if data.dtype != np.float64:
            data = data.astype(self.dtype, copy=False)
        held = sp.csr_array((stop - start, self.d), dtype=data.dtype)
        held.data, held.indices, held.indptr = data, X.indices[a:b], X.indptr[start : stop + 1] - a
        return SparseBlock(self, start, stop, held)  # the constructor would copy slices of less than half an array

    def sample(self, size: int, seed: int) -> SparseRows:
        """Return a stratified sample of about `size` rows, with weights that make its sums unbiased."""
        index, weights = draw_sample(self, size, int(self.stored / max(1, self.n) * (self.X.dtype.itemsize + 4)), seed)
        offset = None if self.offset is None else self.offset[:, index]
        return SparseRows(self.X[index], self.labels[index], weights, dtype=self.dtype, offset=offset)

    def take(self, columns: Array) -> SparseRows:
        """Return the same rows with a copy of the columns of these numbers."""
        return SparseRows(self.X[:, columns], self.labels, self.weights, dtype=self.dtype, offset=self.offset)

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Write `(X - shift) / scale` of these rows to `out`."""
        out[:] = self.X[index].toarray()
        out -= shift.astype(out.dtype)
        out *= (1 / scale).astype(out.dtype)

    @property
    def stored(self) -> int:
        """Count of stored numbers."""
        return int(self.X.nnz)

    @property
    def stored_bytes(self) -> int:
        """Bytes of one reading of all rows: numbers, column numbers and the ends of the rows."""
        indices = self.X.indices.dtype.itemsize
        kept = self.dtype if self.X.dtype != np.float64 else self.X.dtype  # see `cut`
        return int(self.X.nnz * (kept.itemsize + indices) + (self.n + 1) * self.X.indptr.dtype.itemsize)

    def row_squares(self) -> Array | None:
        """Return `||x||^2` of each row, (n,), if kernels are compiled."""
        if self._row_squares is None and kernels.supports_csr(self.X):
            self._row_squares = row_squares(self.X)
        return self._row_squares

    def dual_steps(self, order: Array, dual: Dual) -> None:
        """Take a dual coordinate step for each of these rows in turn."""
        dual_steps(self.X, order, dual)

    def add_transposed(self, R: Array, onto: Array) -> None:
        """Add `(R @ X).T` to `onto` (d, k), in one thread."""
        csr_products.csr_transposed_times(R, self.X, onto)

    def prepare(self, W: Array) -> Array:
        """Return weights (k, d) as (d, k) in the precision of the products: one of its rows per stored number."""
        return np.ascontiguousarray(W.T, dtype=self.dtype)

    def labelled(self, labels: Array, weights: Array | None) -> SparseRows:
        """Return the same rows with other labels and weights."""
        return type(self)(self.X, labels, weights, dtype=self.dtype, offset=self.offset)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> SparseRows:
        """Return the same rows, multiplied in float64; `scale` alone divides the columns of a copy.

        A shift would fill the zeros, so none is applied to the stored numbers.

        Parameters
        ----------
        shift, scale : ndarray of shape (d,), optional
        dtype : dtype, optional

        Returns
        -------
        SparseRows
        """
        X = self.X
        if shift is None and scale is not None:
            data = X.data.astype(np.float64) / scale[X.indices]
            X = sp.csr_array((data, X.indices, X.indptr), shape=X.shape)
        return type(self)(X, self.labels, self.weights, dtype=dtype or np.float64, offset=self.offset)
