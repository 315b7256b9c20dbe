"""The objective of one model of many classes on dense rows: value and gradient from one reading of the rows.

Rows are read in runs, classes in chunks. The exponentials of a chunk are taken relative to the largest logit of the
chunk, and merged when all chunks of the run are known, as for a log-sum-exp of parts:

    log sum exp = M + log sum_c s_c exp(m_c - M),   m_c and s_c: largest logit and sum of exponentials of chunk c.

Only the exponentials of one run are kept, and the gradient is summed in one array. Each class is summed in an order
that does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.linalg import TINY
from softreg.optimize.cost.meter import current_meter
from softreg.optimize.many_classes.leading_probabilities import LeadingProbabilities
from softreg.rows import DenseRows, in_order
from softreg.rows.kernels.class_slabs import chunk_exp, chunk_residual
from softreg.rows.kernels.products import blocked_times, blocked_transposed_times
from softreg.typing import Array, Float64Array, FloatArray

CHUNK = 128
"""Classes of a chunk: its exponentials for a run of rows stay in the cache."""
CHUNKS_PER_TASK = 4
"""Chunks that a thread takes at a time."""
RUN_BYTES = 256 << 20
"""Bytes of the exponentials of a run of rows."""
MIN_RUN_ROWS, MAX_RUN_ROWS = 64, 2048
"""Rows of a run."""
SAMPLE_ROWS = 2000
"""Rows on which lengths of steps are compared before a pass over all rows."""
LANES = 64
"""Rows of a run are a multiple of this."""


@dataclass(frozen=True)
class Evaluation:
    """Objective and derivatives at one point."""

    value: float
    """Mean loss plus penalty."""
    loss: float
    """Mean loss."""
    label_logit: float
    """Mean logit of the label, without the bias."""
    mean: Float64Array
    """Mean probability (q,) of each class."""
    variance: Float64Array
    """Mean of p (1 - p), (q,)."""
    p_label: Float64Array
    """Probability (n,) of each label."""
    leading: sp.csr_array | None = None
    """The probabilities (q, n) that are not small, where they are collected."""

    @property
    def predicted_rates(self) -> Float64Array:
        """Mean probability (q,) of each class, divided by the sum of these, which rounding changes."""
        return np.asarray(self.mean / self.mean.sum())


class StreamedLoss:
    """Mean cross-entropy plus `strength / 2 ||W||^2` of one model, for weights (q, d) of centred columns.

    Runs of rows are centred before they are multiplied: sums in float32 would lose digits in columns whose mean is some
    times their spread.

    Parameters
    ----------
    rows : DenseRows
        In memory, in the user's columns, with labels as codes.
    q : int
        Number of classes.
    strength : float
    weights : ndarray of shape (n,) or None
        Row weights.
    shift : ndarray of shape (d,)
        Subtracted from the columns.
    dtype : dtype, optional
        Precision of products and weights; that of the rows by default.
    """

    def __init__(
        self,
        rows: DenseRows,
        q: int,
        strength: float,
        weights: Float64Array | None,
        shift: Float64Array,
        dtype: Any = None,
    ) -> None:
        self.X, self.codes, self.weights = rows.X, rows.labels.astype(np.int64, copy=False), weights
        self.n, self.d, self.q, self.strength = rows.n, rows.d, q, strength
        self.dtype: Any = np.dtype(dtype or rows.dtype)
        self.shift = shift.astype(self.dtype).astype(np.float64)
        self.mass = float(rows.n if weights is None else weights.sum())
        self.rates = np.bincount(self.codes, weights=weights, minlength=q) / self.mass
        size = RUN_BYTES // (self.dtype.itemsize * q) // LANES * LANES
        self.run_rows = int(min(max(size, MIN_RUN_ROWS), MAX_RUN_ROWS, -(-rows.n // LANES) * LANES))
        self.passes = 0.0
        self.keeps_leading = False
        """Whether evaluations with a gradient collect the probabilities that are not small."""

    @cached_property
    def row_weights(self) -> Float64Array:
        """Row weights (n,), which may be ones."""
        return np.ones(self.n) if self.weights is None else self.weights

    @property
    def chunks(self) -> list[slice]:
        """The classes in chunks."""
        return [slice(a, min(a + CHUNK, self.q)) for a in range(0, self.q, CHUNK)]

    def by_chunks(self, work: Callable[[int, slice], Any]) -> list[Any]:
        """Return `work(number, chunk)` for all chunks, in order, computed by several threads."""
        numbered = list(enumerate(self.chunks))
        tasks = [numbered[a : a + CHUNKS_PER_TASK] for a in range(0, len(numbered), CHUNKS_PER_TASK)]
        return [result for part in in_order(lambda task: [work(*one) for one in task], tasks) for result in part]

    def dot(self, A: FloatArray, B: FloatArray) -> float:
        """Return the sum of the products of the entries of two arrays (q, d)."""
        return float(sum(self.by_chunks(lambda _, chunk: float(np.vdot(A[chunk], B[chunk])))))

    def add(self, factor: float, A: FloatArray, onto: FloatArray) -> None:
        """Add a multiple of an array (q, d) to another, in place."""

        def of_chunk(_: int, chunk: slice) -> None:
            onto[chunk] += A.dtype.type(factor) * A[chunk]

        self.by_chunks(of_chunk)

    def runs(self) -> list[slice]:
        """Return the rows in runs."""
        return [slice(a, min(a + self.run_rows, self.n)) for a in range(0, self.n, self.run_rows)]

    def on_sample(self) -> StreamedLoss:
        """Return the objective of some of the rows, on which lengths of steps are compared."""
        index = np.unique(np.linspace(0, self.n - 1, min(self.n, SAMPLE_ROWS)).astype(int))
        some = DenseRows(np.ascontiguousarray(self.X[index], dtype=self.dtype), self.codes[index])
        weights = None if self.weights is None else self.weights[index]
        return StreamedLoss(some, self.q, self.strength, weights, self.shift, self.dtype)

    def rows_of(self, run: slice) -> Array:
        """Return a run of centred rows in the precision of the products, in C order."""
        rows = np.ascontiguousarray(self.X[run], dtype=self.dtype)
        return rows - self.shift.astype(self.dtype) if self.shift.any() else rows

    def evaluate(self, W: FloatArray, bias: Float64Array, G: FloatArray | None) -> Evaluation:
        """Return the objective at weights W (q, d) and bias (q,) of the centred columns.

        Parameters
        ----------
        W : ndarray of shape (q, d)
        bias : ndarray of shape (q,)
        G : ndarray of shape (q, d) or None
            Receives the derivatives of the objective with respect to the weights.

        Returns
        -------
        Evaluation
        """
        products = 1 if G is None else 2
        self.passes += products / 2
        with current_meter().passes(self.X.nbytes, products * 2.0 * self.n * self.d * self.q, self.dtype):
            return self._evaluate(W, bias, G)

    def _evaluate(self, W: FloatArray, bias: Float64Array, G: FloatArray | None) -> Evaluation:
        stored_bias = bias.astype(self.dtype)
        room = np.empty((self.q, self.run_rows), self.dtype)
        mean, square, p_label = np.zeros(self.q), np.zeros(self.q), np.empty(self.n)
        loss = label_sum = 0.0
        leading = None
        if G is not None:
            G[:] = 0
            leading = LeadingProbabilities(self.q, self.n) if self.keeps_leading else None
        for run in self.runs():
            part = _Run(self, run, room)
            lost, of_label = part.forward(W, stored_bias)
            p_label[run] = np.exp(-lost)
            v = 1.0 if self.weights is None else self.weights[run]
            loss += float((lost * v).sum())
            label_sum += float(((of_label - stored_bias[self.codes[run]]) * v).sum())
            found = part.backward(G, mean, square, leading)
            if leading is not None:
                leading.add(run, part.codes, p_label[run], found)
        del room, part  # before the arrays of the leading probabilities are made
        mean, square = mean / self.mass, square / self.mass
        squares = self._finish(W, G)
        loss, label_logit = loss / self.mass, label_sum / self.mass
        value = loss + self.strength / 2 * squares
        pairs = None if leading is None else leading.matrix()
        return Evaluation(value, loss, label_logit, mean, mean - square, p_label, pairs)

    def _finish(self, W: FloatArray, G: FloatArray | None) -> float:
        """Turn the sums of `(p - y) x` in G into derivatives; return `||W||^2`."""

        def of_chunk(_: int, chunk: slice) -> float:
            if G is not None:
                g = G[chunk]
                g *= W.dtype.type(1 / self.mass)
                g += W.dtype.type(self.strength) * W[chunk]
            w = W[chunk].astype(np.float64, copy=False)
            return float(np.vdot(w, w))

        return float(sum(self.by_chunks(of_chunk)))


class _Run:
    """One run of rows: its exponentials, and then its probabilities."""

    def __init__(self, loss: StreamedLoss, run: slice, room: FloatArray) -> None:
        self.loss, self.X, self.codes = loss, loss.rows_of(run), loss.codes[run]
        self.size = len(self.X)
        self.room = room.reshape(-1)[: loss.q * self.size].reshape(loss.q, self.size)
        self.weights = None if loss.weights is None else loss.weights[run].astype(loss.dtype)
        self.tops = np.empty((len(loss.chunks), self.size), loss.dtype)
        self.factor = np.empty_like(self.tops)

    def forward(self, W: FloatArray, bias: FloatArray) -> tuple[Float64Array, Float64Array]:
        """Compute the exponentials; return cross-entropy and logit of the label of each row."""
        label, sums = np.empty(self.size, self.loss.dtype), np.empty_like(self.tops)

        def of_chunk(number: int, chunk: slice) -> None:
            Z = self.room[chunk]
            blocked_times(W[chunk], self.X, Z)
            chunk_exp(Z, bias[chunk], self.codes - chunk.start, self.tops[number], sums[number], label)

        self.loss.by_chunks(of_chunk)
        tops, top = self.tops.astype(np.float64), self.tops.max(axis=0).astype(np.float64)
        share = np.exp(tops - top)
        total = np.einsum("cb,cb->b", sums.astype(np.float64), share)
        factor = share / total
        self.factor[:] = factor if self.weights is None else factor * self.weights
        of_label = label.astype(np.float64)
        return np.log(np.maximum(total, TINY)) + top - of_label, of_label

    def backward(
        self, G: FloatArray | None, mean: Float64Array, square: Float64Array, leading: LeadingProbabilities | None
    ) -> list[tuple[slice, tuple[Array, ...]]]:
        """Add the sums of p and p^2 of each class, and of `(p - y) x` to G; return the leading probabilities."""

        def of_chunk(number: int, chunk: slice) -> tuple[slice, tuple[Array, ...]]:
            Z, k = self.room[chunk], chunk.stop - chunk.start
            masses, squares = np.empty(k), np.empty(k)
            chunk_residual(Z, self.factor[number], self.weights, self.codes - chunk.start, masses, squares)
            mean[chunk] += masses
            square[chunk] += squares
            found = () if leading is None else leading.of_chunk(Z, self.weights)
            if G is not None:
                blocked_transposed_times(Z, self.X, G[chunk])
            return chunk, found

        return self.loss.by_chunks(of_chunk)
