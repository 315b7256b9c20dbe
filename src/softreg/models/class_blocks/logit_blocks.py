"""Logits of rows in blocks of rows and classes, and reductions over the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from softreg.rows.parallel import in_order, one_blas_thread
from softreg.typing import Array, Float64Array

BLOCK_CLASSES = 1024
"""Classes of a block."""
BLOCK_NUMBERS = 1 << 17
"""Logits of a block of one thread: 1 MB in float64, of which a reduction holds up to six more arrays. Measured for 500
rows of 100,000 classes: the moments of mistakes take 9 ns a logit from 2^15 to 2^17 and 34 at 2^19, the others do not
depend on it."""
COPIED_WEIGHTS = 1 << 22
"""Weights of a block of classes that are transposed or converted at a time: 32 MB in float64."""
COPIED_SHARE = 16
"""Of weights that are much larger than that, this part of them is copied at a time."""
LEAST_CLASSES = 64
"""Classes of a block whatever the number of columns, so that products are efficient."""
STREAMED_NUMBERS = 1 << 22
"""Logits (n, q) from which predictions are computed in blocks: 32 MB in float64."""
MAX_FLOAT32_TERMS = 1000.0
"""float32 products are used if no sampled logit is a sum `|x| |w| + |b|` above this: each term is rounded to 6e-8 of
its size. (For images of MNIST the sum is 110 at a strength of 1e-4 and 500 at 1e-6; nearly collinear columns, or
columns far from zero, have weights with sums of 1e4 to 1e8.)"""
SAMPLED_ROWS = 128
"""Evenly spaced rows on which that is decided."""


def is_streamed(n: int, q: int) -> bool:
    """Return whether predictions of n rows of q classes are computed in blocks.

    Parameters
    ----------
    n, q : int
        Numbers of rows and classes.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_streamed(1000, 10), is_streamed(20_000, 20_000)
    (False, True)
    """
    return n * q > STREAMED_NUMBERS


def float32_suffices(coef: Array, intercept: Array, X: Any) -> bool:
    """Return True if float32 products of rows keep the digits of their logits.

    Parameters
    ----------
    coef : ndarray of shape (q, d)
        Weights.
    intercept : ndarray of shape (q,)
        Biases.
    X : ndarray or csr_array of shape (n, d)
        Rows.

    Returns
    -------
    bool

    Examples
    --------
    >>> [float32_suffices(size * np.eye(2), np.zeros(2), np.eye(2)) for size in (1.0, 1e5)]
    [True, False]
    """
    sample = np.linspace(0, X.shape[0] - 1, min(SAMPLED_ROWS, X.shape[0])).astype(np.intp)
    spans = class_spans(*coef.shape)
    threads = one_blas_thread() if len(spans) > 1 else nullcontext()  # many small products wait for threads otherwise
    with np.errstate(over="ignore", invalid="ignore"), threads:
        size = abs(X[sample]).astype(np.float64)
        for first, last in spans:
            terms = size @ np.abs(coef[first:last]).T + np.abs(intercept[first:last])
            if not (terms <= MAX_FLOAT32_TERMS).all():
                return False
    return True


def class_spans(q: int, d: int) -> list[tuple[int, int]]:
    """Return the first class of each block of classes and the one after its last.

    Parameters
    ----------
    q, d : int
        Numbers of classes and columns.

    Returns
    -------
    list of (int, int)

    Examples
    --------
    >>> class_spans(2500, 10)
    [(0, 1024), (1024, 2048), (2048, 2500)]
    """
    copied = max(COPIED_WEIGHTS, q * d // COPIED_SHARE)
    size = max(LEAST_CLASSES, min(BLOCK_CLASSES, copied // max(d, 1)))
    return [(first, min(first + size, q)) for first in range(0, q, size)]


@dataclass(frozen=True, eq=False)
class LogitBlock:
    """Logits of consecutive rows and classes.

    Attributes
    ----------
    rows : slice
        The rows.
    first : int
        The first class.
    logits : ndarray of float64 of shape (b, c)
        The logits; each reduction must leave them as they are.
    """

    rows: slice
    first: int
    logits: Float64Array


class BlockReduction(Protocol):
    """A reduction over blocks; blocks of a run come class by class, and rows of a block of classes in threads."""

    def add(self, block: LogitBlock) -> Any:
        """Add a block to what is kept of its rows, and return its contribution to sums over rows, or None."""
        ...

    def collect(self, first: int, contribution: Any) -> None:
        """Add a contribution to the sums over rows of the classes from `first`; called in the order of the rows."""
        ...


@dataclass(frozen=True, eq=False)
class LogitBlocks:
    """The logits `X W + b + offset` of rows, computed block by block.

    Attributes
    ----------
    coef : ndarray of shape (q, d)
        Weights, float64 or float32.
    intercept : ndarray of shape (q,)
        Biases.
    X : ndarray or csr_array of shape (n, d)
        Finite rows, float64 or float32.
    offset : ndarray of shape (n, q) or callable, optional
        Fixed part of the logits; a function of rows and classes returns its block.
    overflow : callable, optional
        Function from the number of a row to the error that is raised where its logits overflow.

    Raises
    ------
    ValueError
        If a logit overflows, with the row.

    Examples
    --------
    >>> blocks = LogitBlocks(np.eye(2), np.zeros(2), np.ones((3, 2)))
    >>> blocks.n, blocks.q
    (3, 2)
    """

    coef: Array
    intercept: Array
    X: Any
    offset: Float64Array | Callable[[Any, Any], Float64Array] | None = None
    overflow: Callable[[int], Exception] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    @property
    def q(self) -> int:
        """Number of classes."""
        return len(self.coef)

    def take(self, rows: Array) -> LogitBlocks:
        """Return the logits of some rows, given by their numbers."""
        offset = self.offset
        if callable(offset):
            given = offset

            def of_rows(span: Any, classes: Any) -> Float64Array:
                return given(rows[span], classes)

            fixed: Any = of_rows
        else:
            fixed = None if offset is None else offset[rows]
        return LogitBlocks(self.coef, self.intercept, self.X[rows], fixed)

    def reduce(self, *reductions: BlockReduction, only: Array | None = None) -> None:
        """Compute all blocks once, and add each to the reductions.

        Parameters
        ----------
        *reductions : BlockReduction
            What is computed.
        only : ndarray of int, optional
            Codes of the classes that are computed, in ascending order: blocks have these classes alone, and `first`
            counts them. All classes by default.

        Raises
        ------
        ValueError
            If a logit overflows.
        """
        with one_blas_thread():
            dtype = self._product_dtype
            for first, classes in self._class_blocks(only):
                coef = self.coef[classes].astype(dtype, copy=False)
                W = np.ascontiguousarray(coef.T) if sp.issparse(self.X) else coef.T
                spans = list(self._row_spans(coef.shape[0]))

                def contributions(
                    rows: slice, W: Array = W, classes: Any = classes, first: int = first
                ) -> tuple[Any, ...]:
                    block = LogitBlock(rows, first, self._logits(rows, classes, W))
                    return tuple(reduction.add(block) for reduction in reductions)

                for parts in in_order(contributions, spans):
                    for reduction, part in zip(reductions, parts, strict=True):
                        if part is not None:
                            reduction.collect(first, part)

    def _class_blocks(self, only: Array | None) -> Iterator[tuple[int, Any]]:
        """Yield the position of the first class of each block, and its classes as a slice or as codes."""
        count = self.q if only is None else len(only)
        for first, last in class_spans(count, self.coef.shape[1]):
            yield first, slice(first, last) if only is None else only[first:last]

    def _row_spans(self, classes: int) -> Iterator[slice]:
        """Yield the rows of each block of so many classes."""
        size = max(1, BLOCK_NUMBERS // max(classes, 1))
        for start in range(0, self.n, size):
            yield slice(start, min(start + size, self.n))

    @cached_property
    def _product_dtype(self) -> Any:
        """Return the dtype of the products: float32 for rows of float32 whose logits keep their digits in it."""
        is_float32 = self.X.dtype == np.float32 and float32_suffices(self.coef, self.intercept, self.X)
        return np.dtype(np.float32) if is_float32 else np.dtype(np.float64)

    def _logits(self, rows: slice, classes: Any, W: Array) -> Float64Array:
        """Return the logits (b, c) of a block from its weights W (d, c); raise `ValueError` for one that overflows."""
        X, b = self.X[rows], self.intercept[classes]
        with np.errstate(over="ignore", invalid="ignore"):
            o = np.asarray(X.astype(W.dtype, copy=False) @ W).astype(np.float64, copy=False)
            o += b
            if not np.isfinite(o).all() and W.dtype == np.float32:
                o = np.asarray(X.astype(np.float64) @ self.coef[classes].T.astype(np.float64) + b)
        self._check_overflow(o, rows)
        if self.offset is not None:
            o += self.offset(rows, classes) if callable(self.offset) else self.offset[rows, classes]
        return o

    def _check_overflow(self, o: Float64Array, rows: slice) -> None:
        """Raise `ValueError` for the first row of a block whose logits are not finite."""
        finite = np.isfinite(o).all(axis=1)
        if not finite.all():
            row = rows.start + int(finite.argmin())
            if self.overflow is not None:
                raise self.overflow(row)
            raise ValueError(
                f"row {row} of X holds numbers so large that its logits X W + b overflow (the largest is "
                f"{float(abs(self.X[[row]]).max()):g}). Look for a wrong unit or a damaged value in that row."
            )
