"""Base classes of the backends in the host's memory, and of their blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import scipy.sparse as sp

from softreg.rows.backend_protocol import Reduction, runs, sum_parts
from softreg.rows.dual_variables import Dual
from softreg.rows.logits import BackendArray, BlockLogits, LogitEntry, Sums
from softreg.rows.memory.host_logits import HostLogits
from softreg.rows.parallel import in_order
from softreg.typing import Array

OneBlock = TypeVar("OneBlock")
SCATTER_ROWS = 1024
"""Rows whose standardized copies fit in the cache while they are multiplied."""
ONLY_BLOCKS = "these rows come in blocks; row_squares() returns None"


@dataclass(eq=False)
class MemoryBlock:
    """Position, labels and weights of a run of rows."""

    rows: Any
    start: int
    stop: int

    @property
    def place(self) -> int:
        """Number under which the logits of the block are kept, which no other block has."""
        return int(self.rows.first_place + self.start)

    @property
    def labels(self) -> Array:
        """Codes (b,) or label probabilities (b, q)."""
        labels: Array = self.rows.labels[self.start : self.stop]
        return labels

    @property
    def weights(self) -> Array | None:
        """Row weights of each model (m, b), or None where every row counts once in every model."""
        weights: Array | None = self.rows.weights
        return None if weights is None else weights[:, self.start : self.stop]

    @property
    def offset(self) -> Array | None:
        """Fixed offset (q, b) of the logits, or None where there is none."""
        offset: Array | None = self.rows.offset
        return None if offset is None else offset[:, self.start : self.stop]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of the products."""
        dtype: np.dtype[Any] = self.rows.dtype
        return dtype

    def prepare(self, W: Array) -> BackendArray:
        """Return weights (k, d) in the layout and precision in which the block multiplies them."""
        return self.rows.prepare(W)

    def loss_and_gradient(
        self, prepared: BackendArray, bias: Array, q: int, V: Array | None, logits: Array | None
    ) -> Sums | None:
        """Return None: there is no fused kernel."""
        return None

    def logits(self, m: int, q: int, members: Array, entry: LogitEntry) -> BlockLogits:
        """Return the logits of m models with q classes, as NumPy arrays."""
        block: Any = self
        return HostLogits(block, m, q, member_weights(self.weights, m, members), self.rows.dtype, entry)

    def scatter(self, shift: Array, scale: Array) -> Array:
        """Return the sum over the rows of `z z^T` for `z = (X - shift) / scale`, (d, d) in float64."""
        total = np.zeros((len(shift), len(shift)))
        block: Any = self
        for run in runs(block, SCATTER_ROWS):
            Z = run.standardised(shift, scale)
            total += Z.T @ Z
        return total


class RowsInBlocks:
    """Operations on single rows, for rows that are read block by block: they are not offered."""

    first_place = 0
    """`Block.place` of the first row."""

    def row_squares(self) -> Array | None:
        """Return None: these rows are read block by block."""
        return None

    def dual_steps(self, order: Array, dual: Dual) -> None:
        """Raise `NotImplementedError`: these rows come in blocks."""
        raise NotImplementedError(ONLY_BLOCKS)

    def add_transposed(self, R: Array, onto: Array) -> None:
        """Raise `NotImplementedError`: these rows come in blocks."""
        raise NotImplementedError(ONLY_BLOCKS)


class MemoryRows(RowsInBlocks, Generic[OneBlock]):
    """Sums and maps over a list of blocks, by threads."""

    blocks: list[OneBlock]
    offset: Any
    """Offsets (q, n) of the logits, or None."""
    fits_in_memory = True

    @property
    def storage(self) -> str:
        """Where the rows are."""
        return "memory" if self.fits_in_memory else "disk"

    @property
    def has_offset(self) -> bool:
        """Whether the logits of the rows have an offset."""
        return self.offset is not None

    def sum(self, reduction: Reduction[Sums]) -> Sums:
        """Return the results of all blocks, added in float64 in the order of the rows."""
        blocks: list[Any] = self.blocks
        return sum_parts(in_order(reduction.evaluate, blocks))

    def map(self, reduction: Reduction[Array]) -> Array:
        """Return the results of all blocks, concatenated."""
        blocks: list[Any] = self.blocks
        return np.concatenate(list(in_order(reduction.evaluate, blocks)))

    reduced_precision = False

    def with_higher_precision(self) -> Any:
        """Return the same rows, multiplied in float64."""
        return self.precise(dtype=np.float64)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> Any:
        """Return the same rows, shifted, scaled and cast."""
        raise NotImplementedError


def member_weights(V: Array | None, m: int, members: Array) -> Array | None:
    """Return the row weights of the models of a stack.

    Parameters
    ----------
    V : ndarray of shape (M, b) or (1, b), or None
        Row weights of all models of the stack.
    m : int
        Number of models.
    members : ndarray of shape (m,)
        Their positions in the stack.

    Returns
    -------
    ndarray of shape (m, b) or (1, b), or None
        The row weights.

    Examples
    --------
    >>> member_weights(np.array([[1.0], [2.0], [3.0]]), 2, np.array([0, 2])).tolist()
    [[1.0], [3.0]]
    """
    return V if V is None or len(V) == 1 or len(V) == m else V[members]


def class_major(offset: Array | None) -> Array | None:
    """Return offsets (n, q) as blocks read them, (q, n) in float64; None for None.

    Parameters
    ----------
    offset : ndarray of shape (n, q) or None

    Returns
    -------
    ndarray of shape (q, n) or None

    Examples
    --------
    >>> class_major(np.zeros((3, 2))).shape
    (2, 3)
    """
    return None if offset is None else np.ascontiguousarray(offset.T, dtype=np.float64)


def class_sums(labels: Array, w: Array, X: Any, q: int) -> Array:
    """Return the sums of `w x` over the rows of each class, as a product with a sparse one-hot matrix.

    Parameters
    ----------
    labels : ndarray of shape (b,) or (b, q)
    w : ndarray of shape (k, b)
    X : ndarray or csr_array of shape (b, d)
    q : int

    Returns
    -------
    ndarray of shape (k, q, d)

    Examples
    --------
    >>> class_sums(np.array([1, 1, 0]), np.array([[1.0, 2.0, 3.0]]), np.array([[1.0], [1.0], [1.0]]), 2)
    array([[[3.],
            [3.]]])
    """
    codes, k = labels if labels.ndim == 1 else labels.argmax(axis=1), len(w)
    place = (codes + q * np.arange(k)[:, None]).ravel()
    rows = np.tile(np.arange(len(codes)), k)
    weighted = sp.csr_array((w.ravel().astype(X.dtype), (place, rows)), shape=(k * q, len(codes)))
    sums = weighted @ X
    return np.asarray(sums.toarray() if sp.issparse(sums) else sums).reshape(k, q, -1)
