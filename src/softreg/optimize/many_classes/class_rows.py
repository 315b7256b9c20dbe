"""Sparse rows with their labels, as the methods for many classes read them: by runs of rows and slabs of classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import scipy.sparse as sp

from softreg.rows import SparseRows, in_order
from softreg.rows.kernels.class_slabs import SLAB, CsrRun, slab_times
from softreg.typing import Array, Float64Array, IntArray

Result = TypeVar("Result")

RUN_BYTES = 8 << 20
"""Bytes of the logits of a run of rows: they stay in the cache from the product to the softmax."""
MIN_RUN_ROWS = 32
"""Rows of a run, at least."""
GROUP_BYTES = 8 << 20
"""Bytes of the weights of a group of slabs."""


def padded(q: int) -> int:
    """Return the smallest multiple of `SLAB` that is not below q."""
    return -(-q // SLAB) * SLAB


@dataclass(frozen=True)
class ClassRows:
    """CSR rows with labels and the row weights of one model."""

    X: Any
    """The rows, a csr_array (n, d)."""
    labels: Array
    """Codes (n,) or label probabilities (n, q)."""
    weights: Float64Array | None
    """Row weights (n,), or None for ones."""
    q: int
    """Number of classes."""

    @classmethod
    def of(cls, rows: SparseRows, q: int, j: int = 0) -> ClassRows:
        """Return the rows with the weights of model j."""
        V = rows.weights
        weights = None if V is None else np.asarray(V[j % len(V)], dtype=np.float64)
        return cls(rows.X, rows.labels, weights, q)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    @property
    def d(self) -> int:
        """Number of columns."""
        return int(self.X.shape[1])

    @property
    def width(self) -> int:
        """Number of classes, rounded up to whole slabs."""
        return padded(self.q)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the stored rows."""
        return int(self.X.data.nbytes + self.X.indices.nbytes + self.X.indptr.nbytes)

    @property
    def product_operations(self) -> float:
        """Floating-point operations of one product of all rows with the weights."""
        return 2.0 * int(self.X.nnz) * self.width

    @cached_property
    def csr(self) -> CsrRun:
        """The rows as arrays."""
        return CsrRun.of(self.X)

    @cached_property
    def row_weights(self) -> Float64Array:
        """Row weights (n,), which may be ones."""
        return np.ones(self.n) if self.weights is None else self.weights

    @cached_property
    def mass(self) -> float:
        """Sum of the row weights."""
        return float(self.n if self.weights is None else self.weights.sum())

    @cached_property
    def one_hot(self) -> Any:
        """Label probabilities times row weights, a csr_array (n, q) of float64."""
        v = self.row_weights
        if self.labels.ndim == 1:
            return sp.csr_array((v, self.labels, np.arange(self.n + 1)), shape=(self.n, self.q))
        return sp.csr_array(self.labels * v[:, None])

    @cached_property
    def class_mass(self) -> Float64Array:
        """Weighted rows (q,) of each class."""
        if self.labels.ndim == 1:
            return np.bincount(self.labels, weights=self.weights, minlength=self.q).astype(np.float64)
        return np.asarray(self.one_hot.sum(axis=0)).ravel()

    @cached_property
    def column_sums(self) -> Float64Array:
        """Weighted sum (d,) of each column."""
        v = self.row_weights
        return np.asarray(self.X.T @ v, dtype=np.float64)

    def class_sums(self, first: int, last: int) -> Array:
        """Return the weighted sums (d, last - first) of the rows of some classes; 0 for classes behind the last."""
        out = np.zeros((self.d, last - first))
        stop = min(last, self.q)
        if first < stop:
            out[:, : stop - first] = (self.X.T @ self.one_hot[:, first:stop]).toarray()
        return out

    def runs(self) -> list[slice]:
        """Return the rows in runs whose logits stay in the cache."""
        size = max(MIN_RUN_ROWS, RUN_BYTES // (4 * self.width))
        return [slice(a, min(a + size, self.n)) for a in range(0, self.n, size)]

    def groups(self) -> list[slice]:
        """Return the classes in groups of whole slabs, for arrays (d, classes) of limited size."""
        size = max(1, GROUP_BYTES // (4 * self.d * SLAB)) * SLAB
        return [slice(a, min(a + size, self.width)) for a in range(0, self.width, size)]

    def for_runs(self, work: Callable[[slice], Result]) -> Iterator[Result]:
        """Yield the result of `work` for each run of rows, in order, computed by several threads."""
        return in_order(work, self.runs())

    def weights_of(self, run: slice) -> Float64Array | None:
        """Return the weights of a run of rows."""
        return None if self.weights is None else self.weights[run]

    def add_products(self, run: slice, Z: Array, out: Array) -> None:
        """Add `X^T Z` of a run of rows to `out` (slabs, d, SLAB), for Z (slabs, rows, SLAB)."""
        transposed = sp.csr_array(self.X[run].T)
        columns = np.flatnonzero(np.diff(transposed.indptr))
        starts = np.append(transposed.indptr[columns], transposed.indptr[-1]).astype(transposed.indices.dtype)
        X = CsrRun(transposed.data, transposed.indices, starts, len(Z[0]))
        slab_times(X, Z, out, target=columns.astype(np.int64), add=True)


def dual_order(rows: IntArray, run: int, random: np.random.Generator) -> IntArray:
    """Return rows in a random order of runs of neighbours.

    Neighbouring rows often share columns, whose weights are then in the cache.

    Parameters
    ----------
    rows : ndarray of int
        Row numbers in increasing order.
    run : int
        Rows of a run.
    random : numpy.random.Generator

    Returns
    -------
    ndarray of int64

    Examples
    --------
    >>> order = dual_order(np.arange(6), 2, np.random.default_rng(0))
    >>> sorted(order.tolist()), (order[::2] + 1 == order[1::2]).all().item()
    ([0, 1, 2, 3, 4, 5], True)
    """
    run_of = rows // run
    rank = random.permutation(int(run_of[-1]) + 1 if len(rows) else 0)
    return rows[np.argsort(rank[run_of], kind="stable")].astype(np.int64)
