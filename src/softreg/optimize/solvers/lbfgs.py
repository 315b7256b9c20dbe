"""Limited-memory BFGS for a stack of models, preconditioned by a subsampled curvature instead of the identity."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np

from softreg.optimize.curvature.class_clusters import ClassClusterCurvature
from softreg.optimize.curvature.preconditioners import BlockPreconditioner, Preconditioner
from softreg.optimize.curvature.subsampled import SubsampledCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.solvers.lbfgs_memory import LossPair, PairMemory, PathMemory, dot, two_loop_recursion
from softreg.optimize.solvers.newton import Newton
from softreg.typing import BoolArray, Float64Array, FloatArray

MAX_EXACT_PARAMETERS = 1000
"""Parameters up to which the recession direction comes from the exact Hessian instead of a sample."""
REVIEWS = range(4, 10**9, 8)
"""Iterations at which the preconditioner is computed again if it has changed by more than `MIN_CHANGE`.

On MNIST that is so at iteration 4 alone; for pixels of very different size, where the weights are far from the optimum
for long, as long as they are.
"""
MIN_CHANGE = 0.15
"""Relative change of the rows' class variances p (1 - p) from which a preconditioner is computed again."""
MIN_COSINE = 1e-14
"""Cosine between a step and the change of the gradient below which the pair is rounding, not curvature."""


class LBFGS:
    """Directions from the last correction pairs and a subsampled preconditioner."""

    keeps_signs = True
    has_certificate = False
    searches_closely = False
    target_gap = np.inf

    def __init__(
        self, curvature: SubsampledCurvature | ClassClusterCurvature, reviews: Container[int] = REVIEWS
    ) -> None:
        self.curvature, self.reviews = curvature, reviews
        self.preconditioner: Preconditioner | None = None
        self.memory = PairMemory()
        self.iterations = 0

    def direction(self, objective: Objective, theta: FloatArray, G: FloatArray) -> FloatArray:
        """Return a descent direction (m, q, d + 1) at parameters `theta` with gradient `G`."""
        if self._is_outdated(objective, theta):
            self.preconditioner = None  # two at once would take twice the memory
            self.preconditioner = self.curvature.preconditioner(objective, theta, G)
        self.iterations += 1
        D = -two_loop_recursion(G, self.memory.pairs, self._scaled_inverse)
        D -= D.mean(axis=1, keepdims=True)  # softmax ignores a common shift of all classes, and the penalty grows by it
        ascends = dot(G, D) >= 0
        if ascends.any():
            self.memory.clear()
            D[ascends] = -G[ascends]
        return D

    def _is_outdated(self, objective: Objective, theta: FloatArray) -> bool:
        """Return whether the preconditioner is to be computed again."""
        if self.iterations == 0:
            return True
        return self.iterations in self.reviews and self.curvature.relative_change(objective, theta) > MIN_CHANGE

    def _scaled_inverse(self, r: FloatArray) -> FloatArray:
        """Return the preconditioner's inverse times r, scaled to the curvature along the last step."""
        assert self.preconditioner is not None
        if not self.memory.pairs:
            return self.preconditioner.solve(r)
        pair = self.memory.pairs[-1]
        y, sy = pair.change, pair.product
        # one solve for both reads the factors once; for a single model two solves are faster
        if isinstance(self.preconditioner, BlockPreconditioner) and len(r) > 1:
            r, image = np.split(self.preconditioner.solve(np.concatenate([r, y])), 2)
        else:
            r, image = self.preconditioner.solve(r), self.preconditioner.solve(y)
        r *= np.divide(sy, dot(y, image), out=np.ones_like(sy), where=sy > 0)[:, None, None]
        return r

    def update(self, step: FloatArray, change: FloatArray) -> None:
        """Add a step (m, q, d + 1) and the change of the gradient along it to the memory."""
        self.memory.add(step, change, MIN_COSINE)

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        self.memory.drop_members(keep)
        if self.preconditioner is not None:
            self.preconditioner = self.preconditioner.keep(keep)
        self.curvature.drop_members(keep)

    def reset(self) -> None:
        """Forget the correction pairs: they come from sums in lower precision."""
        self.memory.clear()

    def recession_direction(self, objective: Objective, theta: FloatArray, G: FloatArray, D: FloatArray) -> FloatArray:
        """Return the Newton step of the current curvature alone, longest where the likelihood is flat."""
        if (objective.q - 1) * G.shape[2] <= MAX_EXACT_PARAMETERS:
            return Newton().direction(objective, theta, G)
        step = -self.curvature.preconditioner(objective, theta, G).solve(G)
        return np.asarray(step - step.mean(axis=1, keepdims=True))

    def decrement_bound(self, objective: Objective, G: FloatArray) -> Float64Array:
        """Return inf (m,): a subsampled curvature proves nothing."""
        return np.full(objective.m, np.inf)


class PathLBFGS(LBFGS):
    """L-BFGS that starts from the correction pairs of the previous fit of a path, and returns its own for the next."""

    def __init__(
        self,
        curvature: SubsampledCurvature | ClassClusterCurvature,
        ridge: Float64Array,
        pairs: Sequence[LossPair] = (),
        reviews: Container[int] = REVIEWS,
    ) -> None:
        super().__init__(curvature, reviews)
        self.path_memory = PathMemory(ridge)
        self.memory.pairs = self.path_memory.initial_pairs(pairs)

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        self.path_memory.store(self.memory.pairs, ~keep)
        super().drop_members(keep)
        self.path_memory.drop_members(keep)

    def loss_pairs(self) -> list[LossPair]:
        """Return the last pairs of each model, without the ridge's share of the change."""
        self.path_memory.store(self.memory.pairs, np.ones(len(self.path_memory.positions), dtype=bool))
        return self.path_memory.loss_pairs()
