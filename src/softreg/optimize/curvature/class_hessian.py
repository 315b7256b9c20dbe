"""The exact Hessian of one model as products with a copy of the rows, and preconditioners for its linear systems.

With `J_i = diag(p_i) - p_i p_i^T` the Hessian of loss and l2 part is `sum_i v_i J_i (x) z_i z_i^T + R`. A product with
a matrix of weights is two matrix products in float32. `J_i u` does not change when a constant is added to u; with
`u_k = 0` for the class k of the largest probability, no term is a difference of nearly equal numbers, however close
that probability is to 1.

Conjugate gradients are preconditioned by the diagonal, by the Cholesky factor of one Gram matrix for all classes,
scaled to the diagonal of each, or by a factor for each class. The dearer ones are built once products have cost as
much.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import pairwise

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.curvature.class_factors import Factors, Gram, GramFactory, factors
from softreg.optimize.curvature.preconditioners import BlockPreconditioner, DiagonalPreconditioner, Preconditioner
from softreg.optimize.curvature.subsampled import (
    ADDED_DIAGONAL,
    INEXPENSIVE_PRODUCTS,
    MIN_MEAN_SHARE,
    ROWS_PER_COLUMN,
    draw_rows,
)
from softreg.rows import in_order, thread_count
from softreg.typing import BoolArray, Float64Array, FloatArray, IntArray

THREADED_MULTIPLICATIONS = 8_000_000
"""Multiplications of a product from which on threads share its rows."""
PRODUCT_OVERHEAD = 1_000_000
"""Multiplications that would take as long as the calls of a product."""
FEW_CLASSES = 8
"""Classes below which a product takes no less time: it is limited by the reading of the rows."""
MOST_CLASS_NUMBERS = 1 << 19
"""Numbers q k^2 in the factors of all classes; more leave the cache, and a solution takes longer than products."""
EVEN_SHARE = 0.5
"""Part of a diagonal that is spread evenly over the columns: the sums of a class that few rows concern are noisy."""
FREE_PRODUCTS = 8.0
"""Cost of a preconditioner, in products, up to which the first one is already of its kind."""
UPGRADE = 2.0
"""Products that must have been computed before a dearer kind is built, in units of its cost: with most problems the
products that are left are then as many again."""
MIN_PRODUCTS = 10
"""Products of a linear system up to which its preconditioner serves for the next one."""


class Kind(IntEnum):
    """The preconditioners, from the cheapest to the dearest."""

    DIAGONAL = 0
    COMMON = 1
    """One Gram matrix for all classes, scaled to the diagonal of each."""
    CLASSES = 2
    """A Gram matrix for each class."""


@dataclass(frozen=True)
class ScaledPreconditioner:
    """The inverse of `diag(1 / s_c) M diag(1 / s_c)` for each class c of one model."""

    factors: Factors
    """Factor of M (k, k)."""
    scale: Float64Array
    """s (1, q, k)."""

    def solve(self, G: FloatArray) -> FloatArray:
        """Return the inverse times G, (1, q, k)."""
        return np.asarray(self.scale * self.factors.solve((self.scale * G).astype(np.float32)))

    def keep(self, members: BoolArray) -> ScaledPreconditioner:
        """Return the preconditioner itself: there is only one model."""
        return self


@dataclass(frozen=True)
class ClassHessian:
    """The Hessian of loss and l2 part of one model at one point."""

    Z: FloatArray
    """The rows (n, k) in the solver's coordinates, in float32; the last column is that of the bias."""
    P: FloatArray
    """Probabilities (q, n)."""
    v: FloatArray
    """Weights (n,) of the rows, with sum 1."""
    leading: IntArray
    """Class (1, n) of the largest probability of each row."""
    ridge: Float64Array
    """Curvature (1 or q, k) of the l2 part."""

    @classmethod
    def of(cls, Z: FloatArray, P: FloatArray, v: FloatArray, ridge: Float64Array) -> ClassHessian:
        """Return the Hessian at these probabilities."""
        return cls(Z, P, v, P.argmax(axis=0)[None], ridge)

    @property
    def multiplications(self) -> float:
        """Multiplications of a product."""
        (n, k), q = self.Z.shape, len(self.P)
        return float(2.0 * n * k * q)

    def times(self, D: Float64Array) -> Float64Array:
        """Return the Hessian times D, (q, k)."""
        narrow = D.astype(self.Z.dtype)
        threads = thread_count() if self.multiplications >= THREADED_MULTIPLICATIONS else 1
        ends = np.linspace(0, len(self.Z), threads + 1).astype(int)
        parts = [slice(a, b) for a, b in pairwise(ends)]
        total = sum(in_order(lambda part: self._times(part, narrow), parts))
        return np.asarray(np.asarray(total).astype(np.float64) + self.ridge * D)

    def _times(self, part: slice, D: FloatArray) -> FloatArray:
        """Return the product of some of the rows, without the l2 part."""
        Z, P = self.Z[part], self.P[:, part]
        U = D @ Z.T
        U -= np.take_along_axis(U, self.leading[:, part], axis=0)
        U -= np.einsum("qn,qn->n", P, U)
        U *= P
        U *= self.v[part]
        return np.asarray(U @ Z)

    # --- preconditioners ----------------------------------------------------------------------------------------

    def cost(self, kind: Kind) -> float:
        """Return the time of a preconditioner of this kind in units of that of a product."""
        (n, k), q = self.Z.shape, len(self.P)
        one = min(n, self._sample_size()) * k * k / 2 + k**3 / 3
        if kind is Kind.CLASSES and q * k**2 > MOST_CLASS_NUMBERS:
            return np.inf
        blocks = {Kind.DIAGONAL: 0, Kind.COMMON: 1, Kind.CLASSES: q}[kind]
        return float(blocks * one / (2.0 * n * k * max(q, FEW_CLASSES) + PRODUCT_OVERHEAD))

    def preconditioner(self, kind: Kind) -> Preconditioner:
        """Return the preconditioner of this kind."""
        w = self.v * self.P * (1 - self.P)
        q, k = len(self.P), self.Z.shape[1]
        if kind is Kind.CLASSES:
            ridges = np.broadcast_to(self.ridge, (q, k))
            grams = [self._gram(share, ridge) for share, ridge in zip(w, ridges, strict=True)]
            return BlockPreconditioner((factors(grams, k),), np.zeros(1, np.intp), np.ones((1, q)), self.Z.dtype)
        mean = np.maximum(w.sum(axis=1, dtype=np.float64), TINY)[:, None]
        mean = np.maximum(mean, MIN_MEAN_SHARE * mean.max())
        squares = self.Z * self.Z
        if kind is Kind.DIAGONAL:  # a column of variance 1 has `mean` where it is independent of the shares
            return DiagonalPreconditioner((EVEN_SHARE * mean + (1 - EVEN_SHARE) * (w @ squares) + self.ridge)[None])
        share, ridge = w.mean(axis=0), self.ridge.mean(axis=0)
        common = (share @ squares).astype(np.float64) + TINY
        scale = np.sqrt((common + ridge) / (mean / mean.mean() * common + self.ridge))
        return ScaledPreconditioner(factors([self._gram(share, ridge)], k), scale[None])

    def _sample_size(self) -> int:
        k = int(self.Z.shape[1])
        return max(ROWS_PER_COLUMN * k, int(INEXPENSIVE_PRODUCTS / k**2))

    def _gram(self, share: FloatArray, ridge: Float64Array) -> GramFactory:
        return partial(self._gram_of, share.astype(np.float64), ridge)

    def _gram_of(self, share: Float64Array, ridge: Float64Array) -> Gram:
        draw = draw_rows(share, self._sample_size(), np.random.default_rng(0).random(len(share)))
        rows = self.Z if len(draw.rows) == len(self.Z) else self.Z[draw.rows]
        half = rows * np.sqrt(draw.weight).astype(rows.dtype)[:, None]
        return Gram(half.T @ half, ridge + share.sum() * ADDED_DIAGONAL + TINY)


class ClassPreconditioner:
    """The preconditioner of one model over its steps: built again, or of a dearer kind, as it pays."""

    def __init__(self) -> None:
        self.inverse: Preconditioner | None = None
        self.kind = Kind.DIAGONAL
        self.total = self.since_built = self.last = 0

    def count(self, products: int) -> None:
        """Note the products of a linear system."""
        self.last, self.total, self.since_built = products, self.total + products, self.since_built + products

    def at(self, hessian: ClassHessian) -> Preconditioner:
        """Return the preconditioner for a linear system with this Hessian."""
        costs = {kind: hessian.cost(kind) for kind in Kind}
        kind = max(kind for kind in Kind if costs[kind] <= max(FREE_PRODUCTS, self.total / UPGRADE))
        renewed = self.last > MIN_PRODUCTS and self.since_built >= costs[kind]
        if self.inverse is None or kind > self.kind or renewed:
            self.inverse, self.kind, self.since_built = hessian.preconditioner(kind), kind, 0
        return self.inverse
