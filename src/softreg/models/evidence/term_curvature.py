"""The information of rows about the weights of a model, and its factors with a precision for each column.

In q - 1 orthonormal contrasts of the classes, the information of the rows is

    H = sum_i v_i (T^T (diag(p_i) - p_i p_i^T) T) (x) (x_i x_i^T),

and the penalty adds the precision of each column to its diagonal. Above a number of parameters, the blocks between
contrasts of three or more classes are left out: then the matrix of class k is
`q / (q - 1) sum_i v_i p_ik (1 - p_ik) x_i x_i^T`, which is exact for any number of classes at equal probabilities.

Of many more columns than rows, the matrix of the rows is factored in place of that of the columns: with the rows
B = V^(1/2) X S^(-1/2) and K = 1 + B B^T,

    (H + S)^-1 = S^(-1/2) (1 - B^T K^-1 B) S^(-1/2),    log det(H + S) = log det K + log det S.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from softreg.linalg import TINY, Cholesky, cholesky, cholesky_with_diagonal
from softreg.optimize.objective.hessian import contrasts
from softreg.typing import Array, Float64Array, IntArray

MAX_FULL_PARAMETERS = 1_500
"""Most parameters of the whole Hessian of three or more classes: with more, blocks between contrasts cost more than
they change."""
INTERCEPT_PRECISION = 1e-6
"""Precision of an intercept, which keeps the matrix of a class without rows definite."""
JITTER = (0.0, 1e-7, 1e-5, 1e-3)
"""Numbers added to the unit diagonal until the matrix, whose products may be in float32, has a factor."""
LEAST_WEIGHT = 1e-10
"""Least curvature of a row."""
ROWS_PER_COLUMN = 0.6
"""Rows per column up to which the matrix of the rows is factored: its products take twice as long, and are not kept."""
LEAST_ROW_PRECISION = 1e-4
"""Least precision of a column at which that of the rows is exact enough: its elements are as large as the inverse."""
ROW_INTERCEPT_PRECISION = 1e-5
"""Precision of the intercept there."""

Inverse = Callable[[Float64Array], Float64Array]
"""An approximate inverse of the Hessian, as a function of G (q - 1, w)."""


class TermCurvature:
    """The information of rows at given probabilities.

    Parameters
    ----------
    Z : array (n, w)
        Features, the last column ones; products are computed in its precision.
    P : array of float64 (q, n)
        Probabilities of the rows.
    weight : array of float64 (n,), optional
        Weights of the rows.

    Examples
    --------
    >>> Z, P = np.array([[-1.0, 1.0], [1.0, 1.0]]), np.full((2, 2), 0.5)
    >>> float(TermCurvature(Z, P, None).factor(np.array([1.0, 1e-6])).variances()[0].round(3))
    0.5
    """

    def __init__(self, Z: Array, P: Float64Array, weight: Float64Array | None) -> None:
        self.Z, self.P, self.weight = Z, P, weight
        self.q, self.width = len(P), Z.shape[1]
        self.is_whole = self.q == 2 or (self.q - 1) * self.width <= MAX_FULL_PARAMETERS

    def change(self, P: Float64Array) -> float:
        """Return the change of the curvatures of the rows at other probabilities, relative to their sum."""
        v, new = self.P * (1 - self.P), P * (1 - P)
        if self.weight is not None:
            v, new = v * self.weight, new * self.weight
        return float(np.abs(new - v).sum() / max(new.sum(), TINY))

    def factor(self, diagonal: Float64Array) -> CurvatureFactor:
        """Return the factor with these precisions (w,) of the columns, the intercept's last."""
        few = len(self.Z) <= ROWS_PER_COLUMN * self.width and diagonal[:-1].min(initial=1.0) >= LEAST_ROW_PRECISION
        if few and (self.q == 2 or not self.is_whole):
            return CurvatureFactor(self, [_RowFactor(half, diagonal) for half in self._halves()])
        repeated = np.tile(diagonal, self.q - 1) if self.is_whole else diagonal
        return CurvatureFactor(self, [cholesky_with_diagonal(H, repeated, JITTER) for H in self.products])

    def columns(self, kept: IntArray, Z: Array) -> TermCurvature:
        """Return the curvature of some of the columns, whose features are Z (n, w); the last one is the last."""
        some = TermCurvature(Z, self.P, self.weight)
        if "products" in self.__dict__ and some.is_whole == self.is_whole:
            repeats = len(self.products[0]) // self.width
            places = (np.arange(repeats)[:, None] * self.width + kept).ravel()
            some.products = [H[np.ix_(places, places)] for H in self.products]
        return some

    @cached_property
    def products(self) -> list[Float64Array]:
        """The information in contrasts ((q - 1) w, same), or the blocks (w, w) of all classes."""
        if self.is_whole and self.q > 2:
            return [self._whole()]
        return [np.asarray(half.T @ half, dtype=np.float64) for half in self._halves()]

    def _halves(self) -> list[Array]:
        """Return the rows times the roots of their curvatures, for the contrast of two classes or for each class."""
        if self.q == 2:
            return [self._half(2 * self.P[0] * self.P[1])]
        return [self._half(p * (1 - p) * (self.q / (self.q - 1))) for p in self.P]

    def _half(self, v: Float64Array) -> Array:
        """Return the rows times the roots of v (n,)."""
        v = v if self.weight is None else v * self.weight
        return np.asarray(self.Z * np.sqrt(np.maximum(v, LEAST_WEIGHT)).astype(self.Z.dtype)[:, None])

    def _whole(self) -> Float64Array:
        """Return the information ((q - 1) w, same) in contrasts of the classes."""
        q, w = self.q, self.width
        T = contrasts(q)
        mean = T.T @ self.P
        H = np.empty((q - 1, w, q - 1, w))
        for a in range(q - 1):
            for b in range(a):
                v = (T[:, a] * T[:, b]) @ self.P - mean[a] * mean[b]
                v = v if self.weight is None else v * self.weight
                product = (self.Z * v.astype(self.Z.dtype)[:, None]).T @ self.Z
                H[a, :, b], H[b, :, a] = product, product.T
            half = self._half(T[:, a] ** 2 @ self.P - mean[a] ** 2)
            H[a, :, a] = half.T @ half
        return H.reshape((q - 1) * w, -1)


class CurvatureFactor:
    """The factor of information plus precisions: of the whole matrix, or of a block for each class."""

    def __init__(self, curvature: TermCurvature, parts: Sequence[Cholesky | _RowFactor]) -> None:
        self.q, self.is_whole, self.width, self.parts = curvature.q, curvature.is_whole, curvature.width, parts

    def solve(self, G: Float64Array) -> Float64Array:
        """Return the inverse times G (q - 1, w)."""
        if self.is_whole:
            return np.asarray(self.parts[0].solve(G.ravel()).reshape(G.shape))
        T = contrasts(self.q)
        return np.asarray(T.T @ np.stack([part.solve(g) for part, g in zip(self.parts, T @ G, strict=True)]))

    def variances(self) -> Float64Array:
        """Return the diagonal of the inverse, summed over the contrasts, (w,)."""
        share = 1.0 if self.is_whole else (self.q - 1) / self.q
        diagonals = np.concatenate([part.inverse_diagonal() for part in self.parts])
        return np.asarray(share * diagonals.reshape(-1, self.width).sum(axis=0))

    def log_det(self) -> float:
        """Return the logarithm of the determinant."""
        share = 1.0 if self.is_whole else (self.q - 1) / self.q
        return float(share * sum(part.log_det() for part in self.parts))

    def diagonals(self) -> Float64Array:
        """Return the diagonal of information plus precisions of each contrast, or of their mean, (q - 1 or 1, w)."""
        mean = np.mean([part.diagonal() for part in self.parts], axis=0)
        return np.asarray(mean.reshape(-1, self.width))


class FactorPreconditioner:
    """The inverse of an earlier factor, for other precisions of some of its columns.

    With information h_j and precisions s_j before and t_j now, row and column j of the inverse are scaled by the root
    of `(h_j + s_j) / (h_j + t_j)`: exact for columns that are independent of the others.

    Parameters
    ----------
    factor : CurvatureFactor
        The factor.
    diagonal : array of float64 (w,)
        Precisions of its columns.
    columns : array of int (v,)
        Columns whose inverse is wanted; the others count as unknown.

    Examples
    --------
    >>> Z, P = np.array([[-1.0, 1.0], [1.0, 1.0]]), np.full((2, 2), 0.5)
    >>> before = np.array([1.0, 1e-6])
    >>> inverse = FactorPreconditioner(TermCurvature(Z, P, None).factor(before), before, np.arange(2))
    >>> inverse.at(np.array([4.0, 1e-6]))(np.ones((1, 2)))[0].round(3).tolist()
    [0.2, 1.0]
    """

    def __init__(self, factor: CurvatureFactor, diagonal: Float64Array, columns: IntArray) -> None:
        self.factor, self.diagonal, self.columns = factor, diagonal, columns

    def of(self, columns: IntArray) -> FactorPreconditioner:
        """Return the preconditioner of some of these columns (k,)."""
        return FactorPreconditioner(self.factor, self.diagonal, self.columns[columns])

    def at(self, diagonal: Float64Array) -> Inverse:
        """Return the approximate inverse at precisions (v,), for G (q - 1, v)."""
        total = self.factor.diagonals()[:, self.columns]
        shrunk = np.sqrt(total / np.maximum(total + diagonal - self.diagonal[self.columns], diagonal))

        def inverse(G: Float64Array) -> Float64Array:
            whole = np.zeros((len(G), len(self.diagonal)))
            whole[:, self.columns] = G * shrunk
            return np.asarray(self.factor.solve(whole)[:, self.columns] * shrunk)

        return inverse


class _RowFactor:
    """The factor of `1 + B B^T` for the rows B, with the operations of a factor of the columns."""

    def __init__(self, half: Array, diagonal: Float64Array) -> None:
        self.precision = np.append(diagonal[:-1], max(diagonal[-1], ROW_INTERCEPT_PRECISION))
        self.root = np.sqrt(self.precision)
        self.B = half / self.root
        K = self.B @ self.B.T
        K[np.diag_indices_from(K)] += 1.0
        self.K = cholesky(K, jitter=JITTER)

    def solve(self, b: Float64Array) -> Float64Array:
        """Return the inverse times b (w,)."""
        scaled = b / self.root
        return np.asarray((scaled - self.B.T @ self.K.solve(self.B @ scaled)) / self.root)

    def diagonal(self) -> Float64Array:
        """Return the diagonal (w,) of information plus precisions."""
        return np.asarray(self.precision * (1 + np.einsum("ij,ij->j", self.B, self.B)))

    def inverse_diagonal(self) -> Float64Array:
        """Return the diagonal (w,) of the inverse."""
        half = self.K.half_solve(self.B)
        return np.asarray(np.maximum(1 - np.einsum("ij,ij->j", half, half), 0.0) / self.precision)

    def log_det(self) -> float:
        """Return the logarithm of the determinant."""
        return float(self.K.log_det() + np.log(self.precision).sum())
