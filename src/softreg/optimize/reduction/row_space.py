"""Fewer rows than columns: the same problem in as many dimensions as there are rows.

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

from softreg.optimize.problem.penalties import Penalty
from softreg.optimize.problem.result import Solution
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, Block, DenseRows, Rows

FEW, ROWS_A_CLASS = 128, 20
"""Up to so many rows, or so many a class and model, the factorisation costs less than what it saves.

Measured, whole and reduced: 50 x 500 with two classes 7.6 and 2.7 ms, 100 x 1,000 with ten 18 and 10 ms, 60 x 20,000
with two 76 and 31 ms; but 200 x 2,000 with three 24 and 29 ms, 400 x 4,000 with ten 87 and 134 ms.
"""
MOST_ROWS = 2000
"""Above this many rows the matrix R, and the curvature in so many dimensions, would be the larger cost."""
WIDER = 1.5
"""There must be so many columns a row, or little is gained."""
MOST_NUMBERS = 1 << 22
"""The factorisation works on a float64 copy of the rows, which may have so many numbers (32 MB)."""


def row_space_pays(rows: Rows, n_classes: int, penalty: Penalty) -> bool:
    """Whether the problem is smaller in the space of its rows.

    Example:
        >>> from softreg.optimize.problem.penalties import l2
        >>> from softreg.rows import as_rows
        >>> X, y = np.zeros((5, 100)), np.array([0, 1, 0, 1, 0])
        >>> row_space_pays(as_rows(X, y), 2, l2(0.1)), row_space_pays(as_rows(X.T, np.zeros(100, int)), 2, l2(0.1))
        (True, False)
    """
    n, d = rows.n, rows.d
    few = n <= min(MOST_ROWS, max(FEW, ROWS_A_CLASS * n_classes * len(penalty))) and d > WIDER * n
    return few and n * d <= MOST_NUMBERS and bool((penalty.strong_convexity > 0).all()) and penalty.is_smooth


@dataclass(frozen=True)
class Reduction:
    """The way between the weights W (d, q) of the columns and U (n, q) of the rows of R^T."""

    rows: Rows
    """The rows R^T (n, n) with the labels and weights of the rows they stand for."""
    reflectors: Array
    tau: Array
    shift: Array

    def back(self, solution: Solution) -> Solution:
        """What was found for U as the solution for W: `W = Q U`, `b - shift W`."""
        W, b = self.weights(solution.W[None], solution.b[None])
        return replace(solution, W=W[0], b=b[0])

    def weights(self, U: Array, b: Array) -> tuple[Array, Array]:
        """Weights (m, d, q) and bias (m, q) of the columns from those of the rows' space, (m, n, q) and (m, q)."""
        m, n, q = U.shape
        wide = np.zeros((len(self.shift), m * q))
        wide[:n] = U.transpose(1, 0, 2).reshape(n, m * q)  # all models at once: Q is read once
        W = np.ascontiguousarray(self._turned(wide, "N").reshape(-1, m, q).transpose(1, 0, 2))
        return W, np.asarray(b - self.shift @ W)

    def start(self, W: Array, b: Array) -> tuple[Array, Array]:
        """A start W (m, d, q) and b (m, q) as one for U: what lies outside the space of the rows is left out."""
        m, d, q = W.shape
        columns = np.asarray(W, dtype=np.float64).transpose(1, 0, 2).reshape(d, m * q)
        U = self._turned(columns, "T")[: self.rows.d].reshape(-1, m, q).transpose(1, 0, 2)
        return U, np.asarray(b + self.shift @ W)

    def _turned(self, columns: Array, trans: str) -> Array:
        """Q times these columns, or its transpose times them; Q is never formed."""
        space = max(1, columns.shape[1]) * 64
        out, _, failed = sl.lapack.dormqr("L", trans, self.reflectors, self.tau, columns, space)
        if failed:
            raise ArithmeticError(f"LAPACK's dormqr refuses its argument {-failed}")
        return np.ascontiguousarray(out)


def reduce(rows: Rows, coordinates: Coordinates) -> Reduction:
    """The rows in their own space, from a QR factorisation of the transposed, shifted rows."""
    zero, one = np.zeros(rows.d), np.ones(rows.d)

    def part(block: Block) -> Array:
        stored = block.standardised(zero, one).astype(np.float64)  # the shift is taken off in float64
        return stored * coordinates.scale if coordinates.explicit else stored - coordinates.shift

    C = rows.map(part)
    (reflectors, tau), R = sl.qr(C.T, mode="raw", overwrite_a=True, check_finite=False)
    few = np.ascontiguousarray(R[: rows.n].T)
    labels = rows.map(lambda block: block.labels)
    weights = rows.map(
        lambda block: np.ones((block.stop - block.start, 1)) if block.weights is None else block.weights.T
    )
    plain = (weights == 1).all()
    home = DenseRows(few, labels, None if plain else np.ascontiguousarray(weights.T))
    return Reduction(home, reflectors, tau, coordinates.shift)
