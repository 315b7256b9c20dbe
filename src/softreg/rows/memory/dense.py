"""Rows in a NumPy array: float32 or float64, C or Fortran order, read-only or memory-mapped."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.rows.logits import Sums
from softreg.rows.memory.base import MemoryBlock, MemoryRows, class_sums
from softreg.rows.parallel import in_order
from softreg.rows.sampling import draw_sample
from softreg.typing import Array

BLOCK_BYTES = 16 << 20
"""Size of a block in bytes, about: few blocks, so that Python has little to do, but enough for many threads. A smaller
array whose rows are not contiguous (part of a wider one, say) is copied, since the kernels need contiguous rows."""
MIN_BLOCK_ROWS, MAX_BLOCK_ROWS = 256, 16384
"""Least and largest number of rows of a block."""
LARGE_MEMMAP_BYTES = 256 << 20
"""Mapped files of fewer bytes are treated as arrays in memory, as those of joblib are."""
ONE_BLOCK_BYTES = 1 << 20
"""Rows of fewer bytes than this are one block, since a second thread does not pay."""


@dataclass(eq=False)
class DenseBlock(MemoryBlock):
    """A run of rows of an array."""

    rows: DenseRows

    @property
    def X(self) -> Array:
        """The numbers to multiply (b, d): the stored ones, or a shifted and cast copy of this block alone."""
        return self.rows.ready(self.rows.X[self.start : self.stop])

    def times(self, prepared: Array) -> Array:
        """Return `W @ X.T`, (k, b)."""
        return kernels.times(prepared, self.X)

    def transposed_times(self, R: Array) -> Array:
        """Return `R @ X`, (k, d)."""
        return kernels.transposed_times(R, self.X)

    def class_sums(self, w: Array, q: int) -> Array:
        """Return the sums of `w x` over the rows of each class, (k, q, d)."""
        return class_sums(self.labels, w, self.X, q)

    def piece(self, start: int, stop: int) -> DenseBlock:
        """Return rows `start` to `stop` of this block as a block."""
        return DenseBlock(self.rows, self.start + start, self.start + stop)

    def loss_and_gradient(
        self, prepared: Array, bias: Array, q: int, V: Array | None, logits: Array | None
    ) -> Sums | None:
        """Return loss (m,), residual (k,) and gradient (k, d) from one reading of the rows, or None."""
        if self.rows.offset is not None:
            return None
        return kernels.loss_and_gradient(prepared, bias, self.X, q, self.labels, V, logits)

    def standardised(self, shift: Array, scale: Array) -> Array:
        """Return `(X - shift) / scale`, (b, d)."""
        X = self.X
        return np.asarray((X - shift.astype(X.dtype)) / scale.astype(X.dtype))

    def weighted_squares(self, w: Array, shift: Array, scale: Array) -> Array:
        """Return the sums over the rows of `w z**2` for `z = (X - shift) / scale`, (k, d)."""
        return np.asarray(w @ self.standardised(shift, scale) ** 2)

    def extremes(self) -> tuple[Array, Array]:
        """Return the smallest and largest value of each column, (d,) each."""
        return kernels.extremes(self.X)

    def moments(self, shift: Array, scale: Array) -> tuple[Array, Array]:
        """Return the sums of `z` and `z**2` for `z = (X - shift) / scale`, (d,) each."""
        return kernels.moments(self.X, shift, scale)


class DenseRows(MemoryRows[DenseBlock]):
    """Rows of an array with their labels and weights.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Numbers, float32 or float64; a memory map is used in place.
    labels : ndarray
        Class codes (n,) or label probabilities (n, q).
    weights : ndarray of shape (m, n) or None
        Row weights of each model of a stack, (1, n) for all of them, or None for ones.
    shift, scale : ndarray of shape (d,), optional
        Blocks are shifted and scaled by these before they are multiplied.
    dtype : dtype, optional
        Precision of products; that of X by default.
    offset : ndarray of shape (q, n), optional
        Fixed offset of the logits of each row.

    Examples
    --------
    >>> rows = DenseRows(np.ones((5, 2)), np.array([0, 1, 1, 0, 1]))
    >>> rows.n, rows.d, len(rows.blocks)
    (5, 2, 1)
    """

    can_shift = True

    def __init__(
        self,
        X: Array,
        labels: Array,
        weights: Array | None = None,
        *,
        shift: Array | None = None,
        scale: Array | None = None,
        dtype: Any = None,
        offset: Any = None,
    ) -> None:
        small = isinstance(X, np.ndarray) and X.nbytes <= BLOCK_BYTES
        self.X, self.labels, self.weights = np.ascontiguousarray(X) if small else X, labels, weights
        self.shift, self.scale, self.offset = shift, scale, offset
        self.n, self.d = X.shape
        self.fits_in_memory = isinstance(X, np.ndarray) and not is_large_memmap(X)
        self.dtype = np.dtype(dtype or X.dtype)
        size = block_rows(self.n, self.d * X.dtype.itemsize)
        self.blocks = [DenseBlock(self, a, min(a + size, self.n)) for a in range(0, self.n, size)]

    def sample(self, size: int, seed: int) -> DenseRows:
        """Return a stratified sample of about `size` rows, with weights that make its sums unbiased."""
        index, weights = draw_sample(self, size, self.d * self.X.dtype.itemsize, seed)
        offset = None if self.offset is None else self.offset[:, index]
        sampled = DenseRows(self.X[index], self.labels[index], weights, dtype=self.dtype, offset=offset)
        return sampled if self.shift is None else sampled.precise(self.shift, self.scale, self.dtype)

    def take(self, columns: Array) -> DenseRows:
        """Return the same rows with a copy of the columns of these numbers."""
        shift, scale = (None if a is None else a[columns] for a in (self.shift, self.scale))
        X = np.take(self.X, columns, axis=1)
        state = {"dtype": self.dtype, "offset": self.offset}
        return DenseRows(X, self.labels, self.weights, shift=shift, scale=scale, **state)

    def cut(self, start: int, stop: int) -> DenseBlock:
        """Return rows `start` to `stop` as a block, without a copy."""
        return DenseBlock(self, start, stop)

    def ready(self, X: Array) -> Array:
        """Return stored numbers as they are multiplied: unchanged, or a shifted and cast copy."""
        if self.shift is None and X.dtype == self.dtype:
            return X
        # far from zero, float32 products lose digits; this subtraction of close numbers does not
        wide = X.astype(np.result_type(X.dtype, self.dtype))
        if self.shift is not None and self.scale is not None:
            wide -= self.shift.astype(wide.dtype)
            wide /= self.scale.astype(wide.dtype)
        return wide.astype(self.dtype, copy=False)

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Write `(X - shift) / scale` of these rows to `out`."""
        if self.shift is None and self.X.dtype == out.dtype and isinstance(self.X, np.ndarray):
            np.take(self.X, index, axis=0, out=out, mode="clip")  # the other modes copy twice
        else:
            out[:] = self.ready(self.X[index])
        out -= shift.astype(out.dtype)
        out *= (1 / scale).astype(out.dtype)

    @property
    def stored(self) -> int:
        """Count of stored numbers."""
        return int(self.X.size)

    @property
    def stored_bytes(self) -> int:
        """Bytes of one reading of all rows."""
        return int(self.n * self.d * self.X.dtype.itemsize)

    def prepare(self, W: Array) -> Array:
        """Return weights (k, d) in the precision of the products."""
        return np.ascontiguousarray(W, dtype=self.dtype)

    def labelled(self, labels: Array, weights: Array | None) -> DenseRows:
        """Return the same rows with other labels and weights."""
        state = {"shift": self.shift, "scale": self.scale, "dtype": self.dtype, "offset": self.offset}
        return type(self)(self.X, labels, weights, **state)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> DenseRows:
        """Return the same rows; each block is shifted, scaled and cast before it is multiplied."""
        if shift is None:
            shift, scale = self.shift, self.scale
        state = {"dtype": dtype or self.dtype, "offset": self.offset}
        return type(self)(self.X, self.labels, self.weights, shift=shift, scale=scale, **state)


def is_large_memmap(X: Any) -> bool:
    """Return True if an array is a memory-mapped file that may be larger than memory.

    Parameters
    ----------
    X : object

    Returns
    -------
    bool

    Examples
    --------
    >>> is_large_memmap(np.zeros((2, 2)))
    False
    """
    base: Any = X
    while isinstance(X, np.ndarray) and X.nbytes >= LARGE_MEMMAP_BYTES and base is not None:
        if isinstance(base, (np.memmap, mmap.mmap)):
            return True
        base = getattr(base, "base", None)
    return False


def block_rows(n: int, row_bytes: int) -> int:
    """Return the number of rows in a block: about `BLOCK_BYTES`, and the same in an even number of blocks.

    Parameters
    ----------
    n : int
    row_bytes : int

    Returns
    -------
    int

    Examples
    --------
    >>> block_rows(60_000, 784 * 4), block_rows(5_000, 8)
    (5000, 5000)
    """
    size = min(max(BLOCK_BYTES // max(1, row_bytes), MIN_BLOCK_ROWS), MAX_BLOCK_ROWS)
    if n <= size and n * row_bytes <= ONE_BLOCK_BYTES:
        return max(1, n)
    pairs = -(-n // (2 * size))
    return max(MIN_BLOCK_ROWS, -(-n // (2 * pairs)))


def scores(W: Array, bias: Array, X: Array, probabilities: bool = False) -> Array | None:
    """Return the logits `X @ W.T + bias` or their softmax, by threads in one reading of X; or None.

    Parameters
    ----------
    W : ndarray of shape (q, d)
    bias : ndarray of shape (q,)
    X : ndarray of shape (n, d)
    probabilities : bool

    Returns
    -------
    ndarray of float64 of shape (n, q), or None
        None if no compiled kernel applies, or a logit is not finite; the caller then handles that case.

    Examples
    --------
    >>> P = scores(np.eye(2), np.zeros(2), np.ones((1, 2)), probabilities=True)
    >>> P is None or P.tolist() == [[0.5, 0.5]]
    True
    """
    n, d = X.shape
    out = np.empty((n, len(W)))
    size = block_rows(n, d * X.dtype.itemsize)
    spans = [slice(a, a + size) for a in range(0, n, size)]
    done = in_order(lambda span: kernels.scores(W, bias, X[span], out[span], probabilities), spans)
    return out if all(done) else None
