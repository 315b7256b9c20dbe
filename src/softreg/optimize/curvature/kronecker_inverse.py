"""The inverse of a Kronecker Hessian, and conjugate gradients that it preconditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softreg.linalg import TINY, Cholesky, cholesky_with_diagonal
from softreg.optimize.curvature.hessian_products import KroneckerHessian
from softreg.typing import Float64Array, IntArray

JITTER = (0.0, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3, np.inf)
"""Parts of the unit diagonal that are added to a matrix, in turn, until it has a Cholesky factor."""
MOST_FACTORED = 1024
"""Columns with weights up to which the preconditioner of conjugate gradients has a factor for each class."""
LEVEL_RATIO = 2.0
"""Eigenvalues of the class factor within a power of this share a factor of the preconditioner."""
CG_TOLERANCE, MOST_CG_STEPS = 0.2, 40
"""Residual of a Newton system, in the norm of the inverse preconditioner and relative to that of the right-hand side,
at which conjugate gradients stop, and their most steps."""


@dataclass(frozen=True)
class KroneckerInverse:
    """The inverse of a Kronecker Hessian in some columns plus a diagonal that is the same for all classes."""

    basis: Float64Array
    factors: tuple[Cholesky, ...]
    """A factor for eigenvalues of the classes that differ little; none where the inverse is that of the diagonal."""
    factor: IntArray
    """The factor (q,) of each eigenvector of the classes."""
    diagonal: Float64Array
    """The diagonal (q, k) in the eigenbasis of the classes."""

    @classmethod
    def of(cls, kronecker: KroneckerHessian, columns: IntArray, diagonal: Float64Array) -> KroneckerInverse:
        """Return the inverse for these columns (k,) with this diagonal (k,)."""
        gram = np.ascontiguousarray(kronecker.gram[np.ix_(columns, columns)])
        whole = np.multiply.outer(kronecker.values, np.diag(gram)) + diagonal + TINY
        level = np.floor(np.log(kronecker.values / kronecker.values.max()) / np.log(LEVEL_RATIO))
        _, factor = np.unique(level, return_inverse=True)
        if len(columns) > MOST_FACTORED:
            return cls(kronecker.basis, (), factor, whole)
        means = np.bincount(factor, weights=kronecker.values) / np.bincount(factor)
        factors = tuple([cholesky_with_diagonal(value * gram, diagonal + TINY, JITTER) for value in means])
        return cls(kronecker.basis, factors, factor, whole)

    def times(self, B: Float64Array) -> Float64Array:
        """Return the inverse times B, (q, k)."""
        own = self.basis.T @ B
        if not self.factors:
            return np.asarray(self.basis @ (own / self.diagonal))
        for f, of_level in enumerate(self.factors):
            own[self.factor == f] = of_level.solve(own[self.factor == f].T).T
        return np.asarray(self.basis @ own)


def conjugate_gradients(
    times: Callable[[Float64Array], Float64Array], inverse: KroneckerInverse, b: Float64Array
) -> Float64Array:
    """Return an approximate solution x of `times(x) = b`, (q, k)."""
    x, r = np.zeros_like(b), b.copy()
    z = inverse.times(r)
    p, square = z, float((r * z).sum())
    least = CG_TOLERANCE**2 * square
    for _ in range(MOST_CG_STEPS):
        Ap = times(p)
        curvature = float((p * Ap).sum())
        if square <= least or curvature <= 0:
            break
        x += (square / curvature) * p
        r -= (square / curvature) * Ap
        z = inverse.times(r)
        before, square = square, float((r * z).sum())
        p = z + (square / before) * p
    return x
