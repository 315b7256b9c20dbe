"""Rows in a SciPy CSR matrix or array, with 32- or 64-bit indices."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows.dual_variables import Dual
from softreg.rows.kernels import csr_columns as columns
from softreg.rows.kernels import products as kernels
from softreg.rows.kernels.dual_step import dual_steps, row_squares
from softreg.rows.logits import Sums
from softreg.rows.memory.base import MemoryBlock, MemoryRows, class_sums
from softreg.rows.sampling import drawn
from softreg.typing import Array

BLOCK_NONZEROS = 400_000
BLOCK_NONZEROS_A_COLUMN = 20
"""Fewer, larger blocks than for dense rows: each block's gradient is a dense (k, d) array, however sparse the rows."""
LEAST_BLOCKS, FEW = 2, 20_000
"""Two threads have work, unless that would be fewer stored numbers a block than `FEW`."""
SHORTEST, LONGEST = 256, 65_536
"""Rows of a block, at least and at most: rows without stored numbers have logits as well."""


@dataclass(eq=False)
class SparseBlock(MemoryBlock):
    """A run of rows of a CSR matrix; it shares the numbers of the whole."""

    rows: SparseRows
    held: Any

    @property
    def X(self) -> Any:
        """The rows, a csr_array."""
        return self.held

    def times(self, prepared: Array) -> Array:
        """`W @ X.T`, (k, b)."""
        return kernels.csr_times(self.X, prepared)

    def transposed_times(self, R: Array) -> Array:
        """`R @ X`, (k, d)."""
        return kernels.csr_transposed_times(R, self.X)

    def class_sums(self, w: Array, q: int) -> Array:
        """Sums of `w x` over the rows of each class, (k, q, d)."""
        return class_sums(self.labels, w, self.X, q)

    def loss_and_gradient(
        self, prepared: Array, bias: Array, q: int, V: Array | None, logits: Array | None
    ) -> Sums | None:
        """Loss (m,), residual (k,) and gradient (k, d) from one reading of the rows, where kernels are compiled."""
        return kernels.csr_loss_and_gradient(self.X, prepared, bias, self.labels, q, V, logits)

    def piece(self, start: int, stop: int) -> SparseBlock:
        """Rows `start` to `stop` of this block as a block of their own."""
        return SparseBlock(self.rows, self.start + start, self.start + stop, self.X[start:stop])

    def standardised(self, shift: Array, scale: Array) -> Array:
        """`(X - shift) / scale`, (b, d), dense: asked for only where d is small or the rows are few."""
        dense: Array = self.X.toarray().astype(self.rows.dtype, copy=False)
        dense -= shift.astype(dense.dtype)
        dense /= scale.astype(dense.dtype)
        return dense

    def weighted_squares(self, w: Array, shift: Array, scale: Array) -> Array:
        """Sums over the rows of `w z**2` for `z = (X - shift) / scale`, (k, d): only stored numbers are squared."""
        squares = sp.csr_array((self.X.data**2, self.X.indices, self.X.indptr), shape=self.X.shape)
        right = np.ascontiguousarray(w.T)
        total: Array = (squares.T @ right).T.astype(np.float64)
        total -= 2 * shift * (self.X.T @ right).T
        total += shift**2 * w.sum(axis=1, dtype=np.float64)[:, None]
        return np.asarray(np.maximum(total, 0.0) / scale**2)

    def extremes(self) -> tuple[Array, Array]:
        """Smallest and largest value of each column, (d,) each, zeros that are not stored among them."""
        return columns.extremes(self.X)

    def moments(self, shift: Array, scale: Array) -> tuple[Array, Array]:
        """Sums of `z` and `z**2` for `z = (X - shift) / scale`, (d,) each."""
        return columns.moments(self.X, shift, scale)


class SparseRows(MemoryRows[SparseBlock]):
    """Rows of a CSR matrix X (n, d) with their labels and weights; zeros stay zeros, whatever the shift."""

    can_shift = False

    def __init__(self, X: Any, labels: Array, weights: Array | None = None, *, dtype: Any = None) -> None:
        self.X, self.labels, self.weights = X, labels, weights
        self.n, self.d = X.shape
        self.dtype = np.dtype(dtype or X.dtype)
        self.blocks = [self.cut(a, b) for a, b in self._cuts()]

    def _cuts(self) -> list[tuple[int, int]]:
        """First and last row + 1 of each block: about equally many stored numbers in all."""
        nonzeros = self.stored
        count = max(nonzeros // max(BLOCK_NONZEROS, BLOCK_NONZEROS_A_COLUMN * self.d), -(-self.n // LONGEST))
        count = min(max(count, min(LEAST_BLOCKS, nonzeros // FEW)), max(1, self.n // SHORTEST))
        inner = self._search(np.linspace(0, nonzeros, count + 1)[1:-1])
        edges = np.unique(np.concatenate([[0], inner, [self.n]]))
        return [(int(a), int(b)) for a, b in pairwise(edges)]

    def _search(self, targets: Array) -> Array:
        """Before which rows so many numbers are stored."""
        return np.searchsorted(self.X.indptr, targets)

    def cut(self, start: int, stop: int) -> SparseBlock:
        """Rows `start` to `stop` as a block: the stored numbers themselves; float products of double ones cost no copy,
        the other way round they do."""
        X, (a, b) = self.X, self.X.indptr[[start, stop]]
        data = X.data[a:b]
        if data.dtype != np.float64:
            data = data.astype(self.dtype, copy=False)
        held = sp.csr_array((stop - start, self.d), dtype=data.dtype)
        held.data, held.indices, held.indptr = data, X.indices[a:b], X.indptr[start : stop + 1] - a
        return SparseBlock(self, start, stop, held)  # the constructor would copy what is less than half of an array

    def sample(self, size: int, seed: int) -> SparseRows:
        """About `size` rows, each class in proportion but never lost, with weights that make up for the share."""
        index, weights = drawn(self, size, int(self.stored / max(1, self.n) * (self.X.dtype.itemsize + 4)), seed)
        return SparseRows(self.X[index], self.labels[index], weights, dtype=self.dtype)

    def take(self, columns: Array) -> SparseRows:
        """The same rows with the columns of these numbers alone: a copy of those."""
        return SparseRows(self.X[:, columns], self.labels, self.weights, dtype=self.dtype)

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Write `(X - shift) / scale` of these rows to `out`."""
        out[:] = self.X[index].toarray()
        out -= shift.astype(out.dtype)
        out *= (1 / scale).astype(out.dtype)

    @property
    def stored(self) -> int:
        """How many numbers the rows hold."""
        return int(self.X.nnz)

    def row_squares(self) -> Array | None:
        """`||x||^2` of each row, (n,), where kernels are compiled."""
        return row_squares(self.X) if kernels.knows_csr(self.X) else None

    def dual_steps(self, order: Array, dual: Dual) -> None:
        """A dual coordinate step for each of these rows in turn."""
        dual_steps(self.X, order, dual)

    def add_transposed(self, R: Array, onto: Array) -> None:
        """`onto += (R @ X).T`, (d, k), in one thread."""
        kernels.csr_transposed_times(R, self.X, onto)

    def prepare(self, W: Array) -> Array:
        """Weights (k, d) as (d, k) in the precision of the products: one row of them for each stored number."""
        return np.ascontiguousarray(W.T, dtype=self.dtype)

    def labelled(self, labels: Array, weights: Array | None) -> SparseRows:
        """The same rows with other labels and weights."""
        return type(self)(self.X, labels, weights, dtype=self.dtype)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> SparseRows:
        """The same rows, multiplied in float64; a shift would fill the zeros, so none is applied to the numbers.

        With a `scale` alone the columns are divided by it, in a copy.
        """
        X = self.X
        if shift is None and scale is not None:
            data = X.data.astype(np.float64) / scale[X.indices]
            X = sp.csr_array((data, X.indices, X.indptr), shape=X.shape)
        return type(self)(X, self.labels, self.weights, dtype=dtype or np.float64)
