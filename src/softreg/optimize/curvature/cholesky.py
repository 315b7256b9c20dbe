"""Cholesky factors of one matrix a class, kept in the way in which their inverses are applied soonest.

Each matrix is scaled to a unit diagonal before it is factored, so that a column with a huge ridge does not drown the
others, and both ways apply `L^-T (L^-1 g)`, which stays positive definite in any precision.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from softreg.rows import Array, Triangle, in_order

SMALL_FACTOR = 128
"""Up to this order, all classes' inverse factors are multiplied at once; above, each class's factor is solved with
(measured at order 785 in float32, one thread: 0.2 ms a class, 0.3 for ten models, and no time spent on inverting)."""
TOGETHER = 32
"""A thread solves for so many right-hand sides of one factor at a time."""
WORTH_THREADS = 1 << 21
"""Factors with fewer numbers than that are solved with by one thread: to wake another takes about as long."""


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

    factors: tuple[tuple[Triangle, Array], ...]

    @classmethod
    def of(cls, grams: list[Callable[[], Gram]]) -> Triangles:
        """The factors of these matrices."""
        return cls(tuple(in_order(_triangle, grams)))

    def solve(self, G: Array) -> Array:
        """The inverse of each class's matrix times its vectors, (m, q, k)."""
        k, dtype = G.shape[2], self.factors[0][0].dtype
        sizes = np.stack([size for _, size in self.factors]).astype(dtype)
        B = np.divide(G.transpose(1, 0, 2), sizes[:, None], out=np.empty((G.shape[1], G.shape[0], k), dtype))
        todo = [
            (L, part)
            for (L, _), mine in zip(self.factors, B.reshape(len(self.factors), -1, k), strict=True)
            for part in (np.split(mine, range(TOGETHER, len(mine), TOGETHER)) if L.compiled else [mine])
        ]
        side_by_side = self.factors[0][0].compiled and len(todo) * k * k >= WORTH_THREADS
        deque((in_order if side_by_side else map)(lambda one: one[0].solve(one[1]), todo), maxlen=0)
        return np.divide(B.transpose(1, 0, 2), sizes, out=np.empty(G.shape, G.dtype), casting="same_kind")


def _triangle(gram: Callable[[], Gram]) -> tuple[Triangle, Array]:
    L, size = gram().factor()
    return Triangle.of(L), size


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
    return Triangles.of(grams)
