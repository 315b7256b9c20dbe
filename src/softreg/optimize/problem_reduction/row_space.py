"""Row-space reduction: with fewer rows than columns, the same problem in as many dimensions as there are rows.

With a pure l2 penalty the best weights are a combination of the rows (the representer theorem): of C, the rows less any
shift, since the bias is free. With the thin factorisation C^T = Q R, where Q (d, n) has orthonormal columns,

    W = Q U,   C W = R^T U,   ||W|| = ||U||,

so W is best if and only if U is best for the n rows R^T, under the same penalty and with the same bias. Nothing is
squared and nothing is left out: value, gap and certificate of U are those of W.

Kimeldorf and Wahba (1971), Some results on Tchebycheffian spline functions; Hastie and Tibshirani (2004), Efficient
quadratic regularization for expression arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as sl

from softreg.optimize.cost.meter import current_meter
from softreg.optimize.problem.result import Solution
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, Block, DenseRows, Rows
from softreg.rows.column_statistics import Labels, Offsets, RowWeights
from softreg.rows.memory.base import class_major

LAPACK_BLOCK = 64
"""Columns of a block for which LAPACK's workspace is sized."""


@dataclass(frozen=True)
class Reduction:
    """The map between the weights W (d, q) of the columns and U (n, q) of the rows of R^T."""

    rows: Rows
    """The rows R^T (n, n) with the labels and weights of the rows they stand for."""
    reflectors: Array
    tau: Array
    shift: Array

    def back(self, solution: Solution) -> Solution:
        """Return the solution for W from that for U: `W = Q U`, `b - shift W`."""
        W, b = self.weights(solution.W[None], solution.b[None])
        return replace(solution, W=W[0], b=b[0])

    def weights(self, U: Array, b: Array) -> tuple[Array, Array]:
        """Return weights (m, d, q) and bias (m, q) of the columns from U (m, n, q) and its bias."""
        m, n, q = U.shape
        padded = np.zeros((len(self.shift), m * q))
        padded[:n] = U.transpose(1, 0, 2).reshape(n, m * q)  # all models at once: Q is read once
        W = np.ascontiguousarray(self._turned(padded, "N").reshape(-1, m, q).transpose(1, 0, 2))
        return W, np.asarray(b - self.shift @ W)

    def start(self, W: Array, b: Array) -> tuple[Array, Array]:
        """Return a start W (m, d, q) and b (m, q) as one for U, projected onto the space of the rows."""
        m, d, q = W.shape
        columns = np.asarray(W, dtype=np.float64).transpose(1, 0, 2).reshape(d, m * q)
        U = self._turned(columns, "T")[: self.rows.d].reshape(-1, m, q).transpose(1, 0, 2)
        return U, np.asarray(b + self.shift @ W)

    def _turned(self, columns: Array, trans: str) -> Array:
        """Return Q times these columns, or its transpose times them; Q is never formed."""
        space = max(1, columns.shape[1]) * LAPACK_BLOCK
        out, _, failed = sl.lapack.dormqr("L", trans, self.reflectors, self.tau, columns, space)
        if failed:
            raise ArithmeticError(f"LAPACK's dormqr refuses its argument {-failed}")
        return np.ascontiguousarray(out)


@dataclass(frozen=True, slots=True, eq=False)
class CentredRows:
    """The rows (n, d) less the shift of the coordinates, subtracted in float64."""

    coordinates: Coordinates

    def evaluate(self, block: Block) -> Array:
        """Return the rows of one block."""
        d = len(self.coordinates.shift)
        stored = block.standardised(np.zeros(d), np.ones(d)).astype(np.float64)
        return stored * self.coordinates.scale if self.coordinates.explicit else stored - self.coordinates.shift


def reduce(rows: Rows, coordinates: Coordinates) -> Reduction:
    """Return the rows in their own space, from a QR factorisation of the transposed, shifted rows."""
    with current_meter().passes(rows.stored_bytes, 2.0 * rows.d * rows.n**2 - 2.0 / 3 * rows.n**3):
        C = rows.map(CentredRows(coordinates))
        (reflectors, tau), R = sl.qr(C.T, mode="raw", overwrite_a=True, check_finite=False)
    triangle = np.ascontiguousarray(R[: rows.n].T)
    labels = rows.map(Labels())
    weights = rows.map(RowWeights())
    plain = (weights == 1).all()
    offset = class_major(rows.map(Offsets())) if rows.has_offset else None
    reduced = DenseRows(triangle, labels, None if plain else np.ascontiguousarray(weights.T), offset=offset)
    return Reduction(reduced, reflectors, tau, coordinates.shift)
