"""Cholesky factors of one matrix a class, kept in the way in which their inverses are applied soonest.

Each matrix is scaled to a unit diagonal before it is factored, so that a column with a huge ridge does not drown the
others, and both ways apply `L^-T (L^-1 g)`, which stays positive definite in any precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from softreg.rows import Array, in_order

SMALL_FACTOR = 128
"""Up to this order, all classes' inverse factors are multiplied at once; above, each class's factor is solved with
(measured at order 785: 0.09 ms a class, and no time spent on inverting the factor)."""


@dataclass(frozen=True)
class Gram:
    """A symmetric matrix `H + diag(more)`: H (k, k) in the precision of the products, `more` (k,) in float64."""

    H: Array
    more: Array

    def whole(self) -> Array:
        """The matrix in float64.

        Example:
            >>> Gram(np.ones((2, 2), np.float32), np.array([1.0, 2.0])).whole()
            array([[2., 1.],
                   [1., 3.]])
        """
        H = self.H.astype(np.float64)
        H[np.diag_indices_from(H)] += self.more
        return H

    def factor(self) -> tuple[Array, Array]:
        """L (k, k) lower and in Fortran order, size (k,), with `L L^T = H / size / size^T`; a little is added to the
        diagonal where rounding needs it."""
        size = np.sqrt(np.diag(self.H).astype(np.float64) + self.more)
        shrink = (1 / size).astype(self.H.dtype)
        (factorise,) = sl.get_lapack_funcs(("potrf",), (self.H,))
        for jitter in (0.0, 1e-6, 1e-4, 1e-2):
            unit = self.H * shrink
            unit *= shrink[:, None]
            unit[np.diag_indices_from(unit)] = 1.0 + jitter
            L, failed = factorise(unit.T, lower=True, overwrite_a=True)
            if not failed:
                return L, size
        return np.asfortranarray(np.eye(len(size), dtype=self.H.dtype)), size


@dataclass(frozen=True)
class Inverses:
    """The inverse factors K (q or 1, k, k) of small matrices, `K^T K` = inverse."""

    K: Array

    @classmethod
    def of(cls, grams: list[Callable[[], Gram]]) -> Inverses:
        """The factors of these matrices."""
        pairs = list(in_order(lambda gram: gram().factor(), grams))
        (invert,) = sl.get_lapack_funcs(("trtri",), (pairs[0][0],))
        return cls(np.stack([np.tril(invert(L, lower=True)[0]) / size.astype(L.dtype) for L, size in pairs]))

    def solve(self, G: Array) -> Array:
        """The inverse of each class's matrix times its vectors, (m, q, k)."""
        if len(self.K) == 1:
            return np.asarray((G @ self.K[0].T) @ self.K[0])
        columns = G.transpose(1, 2, 0)  # (q, k, m)
        return np.asarray((self.K.transpose(0, 2, 1) @ (self.K @ columns)).transpose(2, 0, 1))


@dataclass(frozen=True)
class Triangles:
    """The factors L (k, k) and sizes (k,) of large matrices, one for each class or one for all."""

    factors: tuple[tuple[Array, Array], ...]

    def solve(self, G: Array) -> Array:
        """The inverse of each class's matrix times its vectors, (m, q, k)."""
        m, q, k = G.shape
        if len(self.factors) == 1:
            return _solve(self.factors[0], G.reshape(m * q, k)).reshape(G.shape)
        # no threads: SciPy's BLAS holds the interpreter, so they would but wait for one another
        return np.stack([_solve(factor, G[:, c]) for c, factor in enumerate(self.factors)], axis=1)


def _solve(factor: tuple[Array, Array], G: Array) -> Array:
    """The inverse times each row of G (r, k)."""
    L, size = factor
    B = (G / size.astype(G.dtype)).T  # (k, r), Fortran order
    if len(G) == 1:
        (solve,) = sl.get_blas_funcs(("trsv",), (L,))
        b = solve(L, solve(L, B[:, 0], lower=1), lower=1, trans=1)
        return np.asarray(b / size.astype(G.dtype))[None]
    (solve,) = sl.get_blas_funcs(("trsm",), (L,))
    B = solve(1.0, L, solve(1.0, L, B, lower=1), lower=1, trans_a=1)
    return np.asarray(B.T / size.astype(G.dtype))


Factors = Inverses | Triangles


def factors(grams: list[Callable[[], Gram]], k: int) -> Factors:
    """The factors of one matrix (k, k) a class, or of one for all; each is made when it is its turn, then forgotten.

    Example:
        >>> two = [lambda: Gram(np.eye(2), np.ones(2)), lambda: Gram(np.eye(2), np.zeros(2))]
        >>> factors(two, 2).solve(np.array([[[2.0, 4.0], [2.0, 4.0]]]))
        array([[[1., 2.],
                [2., 4.]]])
    """
    if k <= SMALL_FACTOR:
        return Inverses.of(grams)
    return Triangles(tuple(in_order(lambda gram: gram().factor(), grams)))
