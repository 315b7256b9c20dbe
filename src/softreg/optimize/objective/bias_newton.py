"""Newton's step in the bias of many classes, by conjugate gradients on the probabilities of the rows.

The curvature in the bias is `K = sum_i V_i (diag(p_i) - p_i p_i^T)`, divided by the mass. With n rows and q classes, it
takes n q^2 operations to form K and q^3 to solve with it. A product with K takes 4 n q operations, and conjugate
gradients need no more of them than there are rows (and few, where K is close to its diagonal).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softreg.optimize.objective.base import Stack
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums

MANY_CLASSES = 512
"""Up to so many classes the curvature is formed and factorised."""
ROWS_PER_CLASS = 4
"""With more rows than this for each class, the probabilities would take much more memory than K."""
MOST_PRODUCTS = 300
REDUCED = 1e-3
"""The linear system is solved until its residual is this share of the mean residual, or SMALL."""
SMALL = 1e-15


def by_products(stack: Stack) -> bool:
    """Whether products with K are cheaper than K itself."""
    return stack.q > MANY_CLASSES and stack.rows.n <= ROWS_PER_CLASS * stack.q


class BiasCurvature:
    """The mean residual `r` (m, q) at logits plus a shift (m, q), and the curvature K in the bias there as a map."""

    def __init__(self, stack: Stack, logits: Callable[[Block], Array], shift: Array) -> None:
        self.mass = stack.mass[:, None]
        parts: dict[int, tuple[Array, Array | None]] = {}

        def part(block: Block) -> Sums:
            P, _ = loss.probabilities(logits(block).astype(np.float64) + shift[:, :, None])
            V = stack.weights(block)
            parts[block.start] = P, V
            weighted = P if V is None else P * V[:, None]
            bend = weighted.sum(axis=2) - np.einsum("mqb,mqb->mq", weighted, P)
            predicted = weighted.sum(axis=2)
            return predicted - loss.label_sums(block.labels, V, *shift.shape), predicted, bend

        r, predicted, bend = stack.rows.sum(part)
        self.parts = [parts[start] for start in sorted(parts)]
        """Probabilities (m, q, b) and row weights of each block, in the order of the rows."""
        self.r, self.predicted, self.bend = r / self.mass, predicted / self.mass, bend / self.mass

    def times(self, v: Array) -> Array:
        """`K v` (m, q)."""
        total = np.zeros_like(v)
        for P, V in self.parts:
            mean = np.matmul(v[:, None], P)
            weighted = mean if V is None else mean * V[:, None]
            total += np.matmul(P, weighted.transpose(0, 2, 1))[..., 0]
        return np.asarray(self.predicted * v - total / self.mass)

    def step(self) -> tuple[Array, Array]:
        """Newton's step x (m, q) with `K x = -r`, and the largest entry (m,) of `K x + r`.

        Conjugate gradients with the diagonal of K as preconditioner. K does not see a common shift; x has none.
        """
        left = -(self.r - self.r.mean(axis=1, keepdims=True))
        enough = np.maximum(REDUCED * np.abs(left).max(axis=1), SMALL)
        scale = np.maximum(self.bend, 1e-16 * self.bend.max(axis=1, keepdims=True) + 1e-300)
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
