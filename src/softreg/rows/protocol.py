"""What a solver may ask of the data, wherever the rows live.

A home of rows (memory, a sparse matrix, a file, a cluster) has one job: hand out blocks of rows and add up what a
function makes of each. It knows no loss and no model.

Inside a block arrays are *class-major*: logits are (k, b) for k = models x classes and b rows, because sums and maxima
over a handful of classes are then long vector operations (measured: three times as fast as (b, k) in NumPy).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.rows.parallel import in_order

if TYPE_CHECKING:
    from softreg.rows.kernels.dual_step import Dual
    from softreg.rows.logits import BlockLogits

Array = NDArray[Any]
OneBlock = TypeVar("OneBlock")
Sums = tuple[Any, ...]
"""Arrays and numbers that can be added, one tuple a block."""
SCATTER_ROWS = 1024
"""Rows whose standardised copies stay in the cache while they are multiplied."""


class Block(Protocol):
    """A run of consecutive rows with their labels and weights."""

    start: int
    stop: int
    memory: dict[str, Array]
    """What a part wants to keep beside these rows until the next sum (logits, say); it lives where the rows live."""

    @property
    def labels(self) -> Array:
        """Codes (b,) or label probabilities (b, q)."""
        ...

    @property
    def weights(self) -> Array | None:
        """Row weights of each model (m, b), or None where every row counts once in every model."""
        ...

    def times(self, prepared: Array) -> Array:
        """The product (k, b) of weights made ready by `Rows.prepare` with the rows: `W @ X.T`."""
        ...

    def transposed_times(self, R: Array) -> Array:
        """The product (k, d) of one number a row, (k, b), with the rows: `R @ X`."""
        ...

    def piece(self, start: int, stop: int) -> Block:
        """Rows `start` to `stop` of this block, counted from its first, as a block of their own; nothing is copied."""
        ...

    def loss_and_gradient(
        self, prepared: Array, bias: Array, q: int, V: Array | None, logits: Array | None
    ) -> Sums | None:
        """All that softmax regression sums over these rows from one reading of them, or None where a home has no such
        thing: the caller then composes it from `times` and `transposed_times`.

        This is all that a home may know of the loss, since it pays only while a row is still in the cache. Row j of
        the weights `prepared` (k, d), k = models x q, belongs to class `j % q` of model `j // q`; `bias` (k,); `V` are
        row weights (m, b), (1, b) or None. `logits` (k, b) receives `W @ X.T + bias`, unless it is None. Returns the
        summed cross-entropy (m,) and residual (k,) in float64, and residual times rows, (k, d).
        """
        ...

    def softmax(self, m: int, q: int, members: Array, memory: dict[str, Any] | None = None) -> BlockLogits | None:
        """What the solver asks of the logits of m models with q classes, where a home answers that itself; or None.

        `members` (m,) are the places of these models among the row weights; `memory` is where logits are kept, by
        default the block's own.
        """
        ...

    def class_sums(self, w: Array, q: int) -> Array:
        """Sums of `w x` over the rows of each class, (k, q, d), for weights w (k, b): no product with a one-hot matrix.

        A row with label probabilities belongs to its most likely class.
        """
        ...

    def standardised(self, shift: Array, scale: Array) -> Array:
        """The rows as a dense array (b, d) of `(X - shift) / scale`."""
        ...

    def weighted_squares(self, w: Array, shift: Array, scale: Array) -> Array:
        """Sums over the rows of `w z**2` for `z = (X - shift) / scale`, (k, d) for weights w (k, b)."""
        ...

    def scatter(self, shift: Array, scale: Array) -> Array:
        """Sum over the rows of `z z^T` for `z = (X - shift) / scale`, (d, d) in float64."""
        ...

    def extremes(self) -> tuple[Array, Array]:
        """Smallest and largest value of each column, (d,) each."""
        ...

    def moments(self, shift: Array, scale: Array) -> tuple[Array, Array]:
        """Sums over the rows of `z` and of `z**2` for `z = (X - shift) / scale`, (d,) each, in float64."""
        ...


class Rows(Protocol):
    """The only thing a solver needs of the data."""

    n: int
    d: int
    dtype: np.dtype[Any]
    fits_in_memory: bool
    """Whether blocks may keep a number for every row and class in memory; not where rows are more than fit there."""

    def sum(self, part: Callable[[Block], Sums]) -> Sums:
        """`part(block)` added over all blocks in float64, in an order that depends on the data alone."""
        ...

    def map(self, part: Callable[[Block], Array]) -> Array:
        """What `part` makes of each block, one after another: one output row for each row, or one for each block."""
        ...

    def sample(self, size: int, seed: int) -> Rows:
        """About `size` rows in memory, each class in proportion but never lost; weights make up for the share."""
        ...

    def standardise(self, index: Array, shift: Array, scale: Array, out: Array) -> None:
        """Write `(X - shift) / scale` of the rows of these increasing numbers (k,) to `out` (k, d): memory that is
        used again, since fresh memory costs more than the copy."""
        ...

    @property
    def stored(self) -> int:
        """How many numbers the home keeps: n d, or fewer where zeros are left out."""
        ...

    def prepare(self, W: Array) -> Array:
        """Weights (k, d) in the layout and precision in which blocks multiply them."""
        ...

    def row_squares(self) -> Array | None:
        """`||x||^2` of each row, (n,), where steps for single rows are quick; None where rows only come in blocks."""
        ...

    def dual_steps(self, order: Array, dual: Dual) -> None:
        """A dual coordinate step for each of these rows in turn (where there are `row_squares`)."""
        ...

    def add_transposed(self, R: Array, onto: Array) -> None:
        """`onto += (R @ X).T` for R (k, n) and `onto` (d, k), one dtype and C order, by the thread that asks (where
        there are `row_squares`): nothing of the size (d, k) is made for it."""
        ...

    @property
    def can_shift(self) -> bool:
        """Whether `precise` can shift the numbers themselves (a sparse home cannot: zeros must stay zeros)."""
        ...

    def labelled(self, labels: Array, weights: Array | None) -> Rows:
        """The same rows with other labels and weights (m, n); nothing is copied."""
        ...

    @property
    def reduced_precision(self) -> bool:
        """Whether products have fewer digits than `dtype` (TF32 on a GPU): enough far from the optimum, not near it."""
        ...

    def with_higher_precision(self) -> Rows:
        """The same rows with more exact products: those of `dtype` after coarse ones, float64 after float32."""
        ...

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> Rows:
        """The same rows, where each block is shifted, scaled and cast before it is multiplied.

        Slower than products with the stored numbers, and needed where those would lose digits: values far from
        zero compared with their spread, or a tolerance below the precision of the stored numbers.
        """
        ...


@dataclass(eq=False)
class MemoryBlock:
    """What the blocks of all homes in memory have in common: their place among the rows."""

    rows: Any
    start: int
    stop: int
    memory: dict[str, Array] = field(default_factory=dict, kw_only=True)

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

    def loss_and_gradient(
        self, prepared: Array, bias: Array, q: int, V: Array | None, logits: Array | None
    ) -> Sums | None:
        """None: the caller composes the pass."""
        return None

    def softmax(self, m: int, q: int, members: Array, memory: dict[str, Any] | None = None) -> BlockLogits | None:
        """None: the solver composes it in NumPy."""
        return None

    def scatter(self, shift: Array, scale: Array) -> Array:
        """Sum over the rows of `z z^T` for `z = (X - shift) / scale`, (d, d) in float64."""
        total = np.zeros((len(shift), len(shift)))
        whole: Any = self
        for run in runs(whole, SCATTER_ROWS):
            Z = run.standardised(shift, scale)
            total += Z.T @ Z
        return total


class MemoryRows(Generic[OneBlock]):
    """What all homes in memory have in common: sums and maps over their list of blocks, by threads."""

    blocks: list[OneBlock]
    fits_in_memory = True

    def sum(self, part: Callable[[OneBlock], Sums]) -> Sums:
        """`part(block)` added over all blocks in float64, in the order of the rows."""
        return add_up(in_order(part, self.blocks))

    def map(self, part: Callable[[OneBlock], Array]) -> Array:
        """What `part` makes of each block, one after another."""
        return np.concatenate(list(in_order(part, self.blocks)))

    reduced_precision = False

    def with_higher_precision(self) -> Any:
        """The same rows, multiplied in float64."""
        return self.precise(dtype=np.float64)

    def precise(self, shift: Array | None = None, scale: Array | None = None, dtype: Any = None) -> Any:
        """The same rows, shifted, scaled and cast: each home in its own way."""
        raise NotImplementedError

    def row_squares(self) -> Array | None:
        """None: these rows come in blocks."""
        return None

    def dual_steps(self, order: Array, dual: Dual) -> None:
        """Not here."""
        raise NotImplementedError("these rows come in blocks; row_squares() says so")

    def add_transposed(self, R: Array, onto: Array) -> None:
        """Not here."""
        raise NotImplementedError("these rows come in blocks; row_squares() says so")


def runs(block: Block, rows: int) -> list[Block]:
    """A block in runs of at most so many rows, in order; what a run keeps in its memory is lost with it."""
    size = block.stop - block.start
    return [block.piece(a, min(a + rows, size)) for a in range(0, size, rows)]


def class_sums(labels: Array, w: Array, X: Any, q: int) -> Array:
    """Sums of `w x` over the rows of each class, (k, q, d), for weights w (k, b) and rows X (b, d), dense or CSR.

    Example:
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


def add_up(parts: Any) -> Sums:
    """The sum of tuples of arrays, in float64 and in the order given.

    Example:
        >>> add_up([(np.float32(1), np.ones(2)), (np.float32(2), np.ones(2))])
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
