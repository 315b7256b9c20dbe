"""The interface between solvers and data, independent of where the rows are stored.

A backend (memory, a sparse matrix, a file, a device) divides the rows into blocks and adds the results of a reduction
on each of them. It depends on no loss and no model.

Inside a block arrays are *class-major*: logits are (k, b) for k = models x classes and b rows, because sums and maxima
over a handful of classes are then long vector operations (measured: three times as fast as (b, k) in NumPy).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import numpy as np

from softreg.rows.dual_variables import Dual
from softreg.rows.logits import BackendArray, BlockLogits, LogitEntry, Sums
from softreg.typing import Array

Result_co = TypeVar("Result_co", covariant=True)


class Block(Protocol):
    """A run of consecutive rows with their labels and weights."""

    start: int
    stop: int

    @property
    def place(self) -> int:
        """Number under which the logits of the block are kept, which no other block has."""
        ...

    @property
    def labels(self) -> Array:
        """Codes (b,) or label probabilities (b, q)."""
        ...

    @property
    def weights(self) -> Array | None:
        """Row weights of each model (m, b), or None where every row counts once in every model."""
        ...

    @property
    def offset(self) -> Array | None:
        """Fixed offset (q, b) of the logits at any parameters, the same for all models, or None where there is none."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of the products."""
        ...

    def prepare(self, W: Array) -> BackendArray:
        """Return weights (k, d) in the layout and precision in which the block multiplies them."""
        ...

    def times(self, prepared: BackendArray) -> Array:
        """Return the product (k, b) of weights from `Rows.prepare` with the rows: `W @ X.T`."""
        ...

    def transposed_times(self, R: Array) -> Array:
        """Return the product (k, d) of one number a row, (k, b), with the rows: `R @ X`."""
        ...

    def piece(self, start: int, stop: int) -> Block:
        """Return rows `start` to `stop`, counted from the first of this block, as a block; nothing is copied."""
        ...

    def loss_and_gradient(
        self, prepared: BackendArray, bias: Array, q: int, V: Array | None, logits: Array | None
    ) -> Sums | None:
        """Return loss, residual and gradient of softmax regression from one reading of the rows, or None.

        None if the backend has no fused kernel, or the rows have an offset: the caller then composes the sums from
        `times` and `transposed_times`. A fused kernel is faster only while a row is in the cache, so this is the one
        place where a backend computes the loss.

        Parameters
        ----------
        prepared : array
            Weights (k, d) from `Rows.prepare`, k = models x q; row j belongs to class `j % q` of model `j // q`.
        bias : array of shape (k,)
        q : int
            Number of classes.
        V : array of shape (m, b) or (1, b), or None
            Row weights.
        logits : array of shape (k, b), or None
            Receives `W @ X.T + bias`, unless it is None.

        Returns
        -------
        tuple or None
            Summed cross-entropy (m,) and residual (k,) in float64, and residual times rows, (k, d).
        """
        ...

    def logits(self, m: int, q: int, members: Array, entry: LogitEntry) -> BlockLogits:
        """Return the logits of m models with q classes on this block.

        Parameters
        ----------
        m, q : int
        members : ndarray of shape (m,)
            Positions of these models among the row weights.
        entry : LogitEntry
            Store of the logits.

        Returns
        -------
        BlockLogits
        """
        ...

    def class_sums(self, w: Array, q: int) -> Array:
        """Return the sums of `w x` over the rows of each class.

        A row with label probabilities belongs to its most likely class.

        Parameters
        ----------
        w : ndarray of shape (k, b)
        q : int

        Returns
        -------
        ndarray of shape (k, q, d)
        """
        ...

    def standardised(self, shift: Array, scale: Array) -> Array:
        """Return the rows as a dense array (b, d) of `(X - shift) / scale`."""
        ...

    def weighted_squares(self, w: Array, shift: Array, scale: Array) -> Array:
        """Return the sums over the rows of `w z**2` for `z = (X - shift) / scale`, (k, d) for weights w (k, b)."""
        ...

    def scatter(self, shift: Array, scale: Array) -> Array:
        """Return the sum over the rows of `z z^T` for `z = (X - shift) / scale`, (d, d) in float64."""
        ...

    def extremes(self) -> tuple[Array, Array]:
        """Return the smallest and largest value of each column, (d,) each."""
        ...

    def moments(self, shift: Array, scale: Array) -> tuple[Array, Array]:
        """Return the sums over the rows of `z` and `z**2` for `z = (X - shift) / scale`, (d,) each, in float64."""
        ...


class Reduction(Protocol[Result_co]):
    """What is computed on each block: a frozen record that carries its arguments and can be pickled.

    `Rows.sum` adds the results of the blocks, `Rows.map` concatenates them. A reduction with `sums_nothing = True` only
    changes kept logits and returns `(0.0,)`: backends that do not keep logits leave it out.
    """

    def evaluate(self, block: Block) -> Result_co:
        """Return the result for one block."""
        ...


class Rows(Protocol):
    """The rows of a data set as a solver sees them."""

    n: int
    d: int
    dtype: np.dtype[Any]
    fits_in_memory: bool
    """Whether a number for every row and class fits in memory."""

    @property
    def has_offset(self) -> bool:
        """Whether the logits of the rows have an offset; samples, copies and relabelled rows keep it."""
        ...

    def sum(self, reduction: Reduction[Sums]) -> Sums:
        """Return the results of all blocks, added in float64 in an order that depends on the data alone."""
        ...

    def map(self, reduction: Reduction[Array]) -> Array:
        """Return the results of all blocks, concatenated: one entry for each row, or one for each block."""
        ...

    def sample(self, size: int, seed: int) -> Rows:
        """Return about `size` rows in memory, stratified by class; weights make up for the share."""
        ...

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Write `(X - shift) / scale` of the rows with these increasing numbers (k,) to `out` (k, d)."""
        ...

    @property
    def stored(self) -> int:
        """Count of stored numbers: n d, or fewer where zeros are left out."""
        ...

    @property
    def stored_bytes(self) -> int:
        """Bytes that one reading of all rows reads, without labels and weights."""
        ...

    @property
    def storage(self) -> str:
        """Where the rows are: "memory", "disk", "workers" (of a cluster) or "device" (a GPU)."""
        ...

    def prepare(self, W: Array) -> BackendArray:
        """Return weights (k, d) in the layout and precision in which blocks multiply them."""
        ...

    def row_squares(self) -> Array | None:
        """Return `||x||^2` of each row, (n,), where steps for single rows are fast; None for access by block only."""
        ...

    def dual_steps(self, order: Array, dual: Dual) -> None:
        """Take a dual coordinate step for each of these rows in turn (where there are `row_squares`)."""
        ...

    def add_transposed(self, R: Array, onto: Array) -> None:
        """Add `(R @ X).T` to `onto` (d, k) in place, for R (k, n) of the same dtype in C order, in one thread.

        Available where there are `row_squares`; no temporary of the size (d, k) is made.
        """
        ...

    @property
    def can_shift(self) -> bool:
        """Whether `precise` can shift the numbers (a sparse backend cannot: zeros must stay zeros)."""
        ...

    def labelled(self, labels: Array, weights: Array | None) -> Rows:
        """Return the same rows with other labels and weights (m, n); nothing is copied."""
        ...

    @property
    def reduced_precision(self) -> bool:
        """Whether products have fewer digits than `dtype` (TF32 on a GPU)."""
        ...

    def with_higher_precision(self) -> Rows:
        """Return the same rows with more exact products: `dtype` after reduced precision, float64 after float32."""
        ...

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> Rows:
        """Return the same rows, where each block is shifted, scaled and cast before it is multiplied.

        Slower than products with the stored numbers. Required where those would lose digits: values far from zero
        compared with their standard deviation, or a tolerance below the precision of the stored numbers.

        Parameters
        ----------
        shift, scale : ndarray of shape (d,), optional
        dtype : dtype, optional

        Returns
        -------
        Rows
        """
        ...


def runs(block: Block, rows: int) -> list[Block]:
    """Return a block in runs of rows, in order.

    Parameters
    ----------
    block : Block
        The block.
    rows : int
        Largest number of rows of a run.

    Returns
    -------
    list of Block
        The runs.

    Examples
    --------
    >>> from softreg.rows import as_rows
    >>> (block,) = as_rows(np.ones((5, 2)), np.zeros(5, int)).blocks
    >>> [run.stop - run.start for run in runs(block, 2)]
    [2, 2, 1]
    """
    size = block.stop - block.start
    return [block.piece(a, min(a + rows, size)) for a in range(0, size, rows)]


def sum_parts(parts: Iterable[Sums]) -> Sums:
    """Return the sum of tuples of arrays, in float64 and in the order given.

    Parameters
    ----------
    parts : iterable of tuples
        Arrays or numbers, of the same shapes in each tuple.

    Returns
    -------
    tuple of arrays
        The sums.

    Raises
    ------
    ValueError
        If there is nothing to add.

    Examples
    --------
    >>> sum_parts([(np.float32(1), np.ones(2)), (np.float32(2), np.ones(2))])
    (array(3.), array([2., 2.]))
    """
    total: list[Array] | None = None
    for part in parts:
        if total is None:
            total = [np.array(piece, dtype=np.float64, order="K") for piece in part]
        else:
            for whole, piece in zip(total, part, strict=True):
                whole += piece
    if total is None:
        raise ValueError("there are no rows to sum over")
    return tuple(total)
