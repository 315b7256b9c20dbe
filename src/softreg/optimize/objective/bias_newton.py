"""Newton's step in the bias of many classes, by conjugate gradients on the probabilities of the rows.

The curvature in the bias is `K = sum_i V_i (diag(p_i) - p_i p_i^T)`, divided by the mass. With n rows and q classes, it
takes n q^2 operations to form K and q^3 to solve with it. A product with K takes 4 n q operations, and conjugate
gradients need no more of them than there are rows (and few, where K is close to its diagonal).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.objective.base import Stack
from softreg.optimize.objective.reductions import NOTHING
from softreg.optimize.objective.stack_state import StackState
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums

MANY_CLASSES = 512
"""Up to so many classes the curvature is formed and factorised."""
ROWS_PER_CLASS = 4
"""With more rows than this for each class, the probabilities would take much more memory than K."""
MOST_PRODUCTS = 300
REDUCED = 1e-3
"""The linear system is solved until its residual is this share of the mean residual, or SMALL."""
SMALL = 1e-15
MIN_SCALE = 1e-16
"""Diagonal element of the preconditioner, at least, as a part of the largest."""


def by_products(stack: Stack) -> bool:
    """Whether products with K are cheaper than K itself."""
    return stack.q > MANY_CLASSES and stack.rows.n <= ROWS_PER_CLASS * stack.q


@dataclass(frozen=True, slots=True, eq=False)
class BiasDiagonal:
    """Residual (m, q), and the sums of `V p` and `V p (1 - p)` (m, q), at kept logits plus a shift (m, q).

    The probabilities of the rows are kept as `version` for `BiasProduct`.
    """

    state: StackState
    shift: Array
    version: int
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        P, V = _probabilities(self.state, self.shift, block), self.state.weights(block)
        self.state.store.entry(block.start).arrays[self.version] = P
        weighted = P if V is None else P * V[:, None]
        bend = weighted.sum(axis=2) - np.einsum("mqb,mqb->mq", weighted, P)
        predicted = weighted.sum(axis=2)
        return predicted - loss.label_sums(block.labels, V, *self.shift.shape), predicted, bend


@dataclass(frozen=True, slots=True, eq=False)
class BiasProduct:
    """The sum of `V p p^T v` (m, q) for a vector v (m, q), from the probabilities that `BiasDiagonal` has kept."""

    state: StackState
    shift: Array
    version: int
    v: Array
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        P = self.state.store.entry(block.start).arrays.get(self.version)
        P, V = _probabilities(self.state, self.shift, block) if P is None else P, self.state.weights(block)
        mean = np.matmul(self.v[:, None], P)
        weighted = mean if V is None else mean * V[:, None]
        return (np.matmul(P, weighted.transpose(0, 2, 1))[..., 0],)


@dataclass(frozen=True, slots=True, eq=False)
class Discard:
    """Free what is kept as `version`."""

    state: StackState
    version: int
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Free it for one block."""
        self.state.store.entry(block.start).discard((self.version,))
        return NOTHING


def _probabilities(state: StackState, shift: Array, block: Block) -> Array:
    return loss.probabilities(state.logits(block).astype(np.float64) + shift[:, :, None])[0]


class BiasCurvature:
    """The mean residual `r` (m, q) at logits plus a shift (m, q), and the curvature K in the bias there as a map."""

    def __init__(self, stack: Stack, shift: Array) -> None:
        self.stack, self.mass = stack, stack.mass[:, None]
        self.shift, self.version = shift.copy(), stack.point(stack.here.theta).version
        r, predicted, bend = stack.sum(BiasDiagonal(stack.state, self.shift, self.version))
        self.r, self.predicted, self.bend = r / self.mass, predicted / self.mass, bend / self.mass

    def times(self, v: Array) -> Array:
        """Return `K v` (m, q)."""
        (total,) = self.stack.sum(BiasProduct(self.stack.state, self.shift, self.version, v))
        return np.asarray(self.predicted * v - total / self.mass)

    def close(self) -> None:
        """Free the probabilities."""
        self.stack.sum(Discard(self.stack.state, self.version))

    def step(self) -> tuple[Array, Array]:
        """Newton's step x (m, q) with `K x = -r`, and the largest entry (m,) of `K x + r`.

        Conjugate gradients with the diagonal of K as preconditioner. K does not see a common shift; x has none.
        """
        left = -(self.r - self.r.mean(axis=1, keepdims=True))
        enough = np.maximum(REDUCED * np.abs(left).max(axis=1), SMALL)
        scale = np.maximum(self.bend, MIN_SCALE * self.bend.max(axis=1, keepdims=True) + TINY)
        x, direction, product = np.zeros_like(left), np.zeros_like(left), np.ones(len(left))
        for _ in range(MOST_PRODUCTS):
            open_ = np.abs(left).max(axis=1) > enough
            if not open_.any():
                break
            z = left / scale
            before, product = product, np.einsum("mq,mq->m", left, z)
            direction = z + (product / before)[:, None] * direction
            bent = self.times(direction)
            size = np.einsum("mq,mq->m", direction, bent)
            go = open_ & (size > 0)
            share = np.where(go, product / np.where(go, size, 1.0), 0.0)[:, None]
            x, left = x + share * direction, left - share * bent
            if not go.any():
                break
        return x - x.mean(axis=1, keepdims=True), np.abs(left).max(axis=1)
