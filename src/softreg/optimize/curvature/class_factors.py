"""Cholesky factors of one curvature matrix per class, stored in the form in which they are applied fastest.

Each matrix is scaled to a unit diagonal before it is factored, so that a column with a large ridge does not decide the
rounding errors of the others. Both forms apply `L^-T (L^-1 g)`, which stays positive definite in any precision.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from softreg.linalg import Cholesky, cholesky_with_diagonal, invert_lower
from softreg.rows import Triangle, in_order
from softreg.typing import Array, Float64Array

MAX_INVERTED_ORDER = 128
"""Order up to which inverse factors of all classes are multiplied at once; larger factors are solved with one by one
(measured at order 785 in float32, one thread: 0.2 ms per class, 0.3 ms for ten models, without the time to invert)."""
SIDES_PER_THREAD = 32
"""Right-hand sides of one factor that a thread solves for at a time."""
MIN_THREADED_NUMBERS = 1 << 21
"""Numbers in all factors below which one thread solves: waking another takes about as long as the work."""
JITTER = (0.0, 1e-6, 1e-4, 1e-2, np.inf)
"""Parts of the unit diagonal that are added to it, in turn, until the matrix has a factor in float32."""


@dataclass(frozen=True)
class Gram:
    """A symmetric matrix `H + diag(diagonal)`."""

    H: Array
    """Weighted Gram matrix (k, k) in the precision of the products, in C order."""
    diagonal: Float64Array
    """Ridge (k,) in float64."""

    def as_float64(self) -> Float64Array:
        """Return the matrix in float64.

        Returns
        -------
        Float64Array
            `H + diag(diagonal)` (k, k).

        Examples
        --------
        >>> Gram(np.ones((2, 2), np.float32), np.array([1.0, 2.0])).as_float64()
        array([[2., 1.],
               [1., 3.]])
        """
        H = self.H.astype(np.float64)
        H[np.diag_indices_from(H)] += self.diagonal
        return H

    def factor(self) -> Cholesky:
        """Return the Cholesky factor in the precision of H, with jitter where rounding needs it."""
        return cholesky_with_diagonal(self.H, self.diagonal, JITTER)


GramFactory = Callable[[], Gram]
"""Computes the matrix of one class when it is its turn to be factored."""


@dataclass(frozen=True)
class Inverses:
    """Inverse factors K (q or 1, k, k) of small matrices, `K^T K` = inverse."""

    K: Array

    @classmethod
    def of(cls, grams: Sequence[GramFactory]) -> Inverses:
        """Return the inverse factors of these matrices."""
        factors = list(in_order(lambda gram: gram().factor(), grams))
        return cls(np.stack([_inverse_factor(factor) for factor in factors]))

    def solve(self, G: Array) -> Array:
        """Return the inverse of each class's matrix times its vectors, (m, q, k)."""
        if len(self.K) == 1:
            return np.asarray((G @ self.K[0].T) @ self.K[0])
        columns = G.transpose(1, 2, 0)  # (q, k, m)
        return np.asarray((self.K.transpose(0, 2, 1) @ (self.K @ columns)).transpose(2, 0, 1))


@dataclass(frozen=True)
class Triangles:
    """Factors L (k, k) and scales (k,) of large matrices, one per class or one for all."""

    factors: tuple[tuple[Triangle, Array], ...]

    @classmethod
    def of(cls, grams: Sequence[GramFactory]) -> Triangles:
        """Return the factors of these matrices."""
        return cls(tuple(in_order(_triangle, grams)))

    def solve(self, G: Array) -> Array:
        """Return the inverse of each class's matrix times its vectors, (m, q, k)."""
        k, dtype = G.shape[2], self.factors[0][0].dtype
        scales = np.stack([scale for _, scale in self.factors]).astype(dtype)
        B = np.divide(G.transpose(1, 0, 2), scales[:, None], out=np.empty((G.shape[1], G.shape[0], k), dtype))
        tasks = [
            (L, part)
            for (L, _), sides in zip(self.factors, B.reshape(len(self.factors), -1, k), strict=True)
            for part in (
                np.split(sides, range(SIDES_PER_THREAD, len(sides), SIDES_PER_THREAD)) if L.compiled else [sides]
            )
        ]
        threaded = self.factors[0][0].compiled and len(tasks) * k * k >= MIN_THREADED_NUMBERS
        deque((in_order if threaded else map)(lambda task: task[0].solve(task[1]), tasks), maxlen=0)
        return np.divide(B.transpose(1, 0, 2), scales, out=np.empty(G.shape, G.dtype), casting="same_kind")


def _inverse_factor(factor: Cholesky) -> Array:
    assert factor.scale is not None
    return np.asarray(invert_lower(factor.L) / factor.scale.astype(factor.L.dtype))


def _triangle(gram: GramFactory) -> tuple[Triangle, Array]:
    factor = gram().factor()
    assert factor.scale is not None
    return Triangle.of(factor.L), factor.scale


Factors = Inverses | Triangles


def factors(grams: Sequence[GramFactory], k: int) -> Factors:
    """Return the factors of one matrix (k, k) per class, or of one for all.

    Each matrix is computed when it is its turn, and released afterwards.

    Parameters
    ----------
    grams
        Functions that compute the matrices.
    k
        Order of the matrices.

    Returns
    -------
    Inverses or Triangles
        The form for matrices of this order.

    Examples
    --------
    >>> two = [lambda: Gram(np.eye(2), np.ones(2)), lambda: Gram(np.eye(2), np.zeros(2))]
    >>> factors(two, 2).solve(np.array([[[2.0, 4.0], [2.0, 4.0]]]))
    array([[[1., 2.],
            [2., 4.]]])
    """
    if k <= MAX_INVERTED_ORDER:
        return Inverses.of(grams)
    return Triangles.of(grams)
