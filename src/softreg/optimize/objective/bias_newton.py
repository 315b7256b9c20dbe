"""Newton's step in the bias of many classes, by conjugate gradients on the probabilities of the rows.

The curvature in the bias is `K = sum_i V_i (diag(p_i) - p_i p_i^T)`, divided by the mass. With n rows and q classes, it
takes n q^2 operations to form K and q^3 to factorize it. A product with K takes 4 n q operations, and conjugate
gradients need at most as many products as there are rows, and few if K is close to its diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.objective.base import Stack
from softreg.optimize.objective.loss_reductions import NOTHING
from softreg.optimize.objective.stack_state import StackState
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums

MAX_FACTORIZED_CLASSES = 512
"""Up to this many classes the curvature is formed and factorized."""
ROWS_PER_CLASS = 4
"""With more rows per class than this, the probabilities would take much more memory than K."""
MAX_PRODUCTS = 300
RELATIVE_RESIDUAL = 1e-3
"""The linear system is solved until its residual is this share of the mean residual, or `ABSOLUTE_RESIDUAL`."""
ABSOLUTE_RESIDUAL = 1e-15
MIN_SCALE = 1e-16
"""Smallest diagonal element of the preconditioner, relative to the largest."""


def products_are_cheaper(stack: Stack) -> bool:
    """Return True if products with K cost less than forming K."""
    return stack.q > MAX_FACTORIZED_CLASSES and stack.rows.n <= ROWS_PER_CLASS * stack.q


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
        self.state.store.entry(block.place).arrays[self.version] = P
        weighted = P if V is None else P * V[:, None]
        diagonal = weighted.sum(axis=2) - np.einsum("mqb,mqb->mq", weighted, P)
        class_mass = weighted.sum(axis=2)
        return class_mass - loss.label_sums(block.labels, V, *self.shift.shape), class_mass, diagonal


@dataclass(frozen=True, slots=True, eq=False)
class BiasProduct:
    """The sum of `V p p^T v` (m, q) for a vector v (m, q), from the probabilities kept by `BiasDiagonal`."""

    state: StackState
    shift: Array
    version: int
    v: Array
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        P = self.state.store.entry(block.place).arrays.get(self.version)
        P, V = _probabilities(self.state, self.shift, block) if P is None else P, self.state.weights(block)
        mean = np.matmul(self.v[:, None], P)
        weighted = mean if V is None else mean * V[:, None]
        return (np.matmul(P, weighted.transpose(0, 2, 1))[..., 0],)


@dataclass(frozen=True, slots=True, eq=False)
class Discard:
    """Free the arrays kept as `version`."""

    state: StackState
    version: int
    half_passes: ClassVar[int] = 0
    sums_nothing: ClassVar[bool] = True

    def evaluate(self, block: Block) -> Sums:
        """Free the array of one block."""
        self.state.store.entry(block.place).discard((self.version,))
        return NOTHING


def _probabilities(state: StackState, shift: Array, block: Block) -> Array:
    return loss.probabilities(state.logits(block).astype(np.float64) + shift[:, :, None])[0]


class BiasCurvature:
    """Mean residual `r` (m, q) at logits plus a shift (m, q), and the curvature K in the bias there as a linear map."""

    def __init__(self, stack: Stack, shift: Array) -> None:
        self.stack, self.mass = stack, stack.mass[:, None]
        self.shift, self.version = shift.copy(), stack.point(stack.here.theta).version
        r, class_mass, diagonal = stack.sum(BiasDiagonal(stack.state, self.shift, self.version))
        self.r, self.class_mass, self.diagonal = r / self.mass, class_mass / self.mass, diagonal / self.mass

    def times(self, v: Array) -> Array:
        """Return `K v` (m, q)."""
        (total,) = self.stack.sum(BiasProduct(self.stack.state, self.shift, self.version, v))
        return np.asarray(self.class_mass * v - total / self.mass)

    def close(self) -> None:
        """Free the probabilities."""
        self.stack.sum(Discard(self.stack.state, self.version))

    def step(self) -> tuple[Array, Array]:
        """Return Newton's step by conjugate gradients with the diagonal of K as preconditioner.

        K is singular for a common shift of all classes; the step has none.

        Returns
        -------
        x : ndarray of shape (m, q)
            Solution of `K x = -r`.
        residual : ndarray of shape (m,)
            Largest entry of `K x + r`.
        """
        residual = -(self.r - self.r.mean(axis=1, keepdims=True))
        tolerance = np.maximum(RELATIVE_RESIDUAL * np.abs(residual).max(axis=1), ABSOLUTE_RESIDUAL)
        scale = np.maximum(self.diagonal, MIN_SCALE * self.diagonal.max(axis=1, keepdims=True) + TINY)
        x, direction, product = np.zeros_like(residual), np.zeros_like(residual), np.ones(len(residual))
        for _ in range(MAX_PRODUCTS):
            unsolved = np.abs(residual).max(axis=1) > tolerance
            if not unsolved.any():
                break
            z = residual / scale
            before, product = product, np.einsum("mq,mq->m", residual, z)
            direction = z + (product / before)[:, None] * direction
            image = self.times(direction)
            size = np.einsum("mq,mq->m", direction, image)
            go = unsolved & (size > 0)
            share = np.where(go, product / np.where(go, size, 1.0), 0.0)[:, None]
            x, residual = x + share * direction, residual - share * image
            if not go.any():
                break
        return x - x.mean(axis=1, keepdims=True), np.abs(residual).max(axis=1)
