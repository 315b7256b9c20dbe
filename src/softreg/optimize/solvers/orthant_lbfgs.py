"""L-BFGS for penalties with an l1 part and for bounds on the weights: one orthant at a time.

Between sign changes the objective is smooth. Each step solves for the free weights (not zero, or zero with a gradient
larger than the l1 strength) with the sampled curvature of these weights, and ends at zero where a weight would change
its sign. Along the segment to that point the l1 part is linear, so the line search needs no projection. The method
follows Andrew and Gao's OWL-QN, with the two-metric projection of Bertsekas in place of their sign alignment.

A bound is a further end of the interval in which a weight may move: a weight at its bound is free if its gradient
points inwards.

References
----------
Andrew and Gao (2007), Scalable training of L1-regularized log-linear models.
Bertsekas (1982), Projected Newton methods for optimization problems with simple constraints.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from softreg.linalg import solve_factored
from softreg.optimize.curvature.preconditioners import DiagonalPreconditioner, HessianBlocks
from softreg.optimize.curvature.subsampled import SubsampledCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, free_hessians
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.solvers.lbfgs import LBFGS, REVIEWS
from softreg.optimize.solvers.lbfgs_memory import CorrectionPair, dot, two_loop_recursion
from softreg.optimize.solvers.newton import factor_hessian
from softreg.rows import Array

ADDED_DIAGONAL = 1e-9
"""Part of the diagonal that is added to an exact Hessian, so that it has a Cholesky factor."""
MIN_COSINE = 1e-3
"""Cosine between the direction and the steepest descent below which the direction is the diagonally scaled one."""


class OrthantLBFGS(LBFGS):
    """Directions that keep the sign of each weight."""

    def __init__(
        self, curvature: SubsampledCurvature, reviews: Container[int] = REVIEWS, limits: Limits = LIMITS
    ) -> None:
        super().__init__(curvature, reviews)
        self.subsampled, self.limits = curvature, limits
        self.hessian: DiagonalPreconditioner | HessianBlocks | None = None
        self._cache: dict[tuple[int, int], tuple[bytes, Array]] = {}

    def direction(self, objective: Objective, theta: Array, G: Array) -> Array:
        """Return a descent direction (m, q, d + 1) projected onto the current orthant."""
        if self._is_outdated(objective, theta):
            self.hessian = self.subsampled.hessian(objective, theta)
            self.preconditioner = self.hessian if isinstance(self.hessian, DiagonalPreconditioner) else None
            self._cache.clear()
        self.iterations += 1
        l1 = objective.l1_scaled
        sign = np.where(theta != 0, np.sign(theta), -np.sign(G) * (np.abs(G) > l1))
        steepest = np.where((sign != 0) | (l1 == 0), G + l1 * sign, 0.0)
        if objective.penalty.support is not None:
            steepest[..., :-1] *= objective.penalty.support
        interval = Interval.of(objective, sign * (l1 > 0))
        steepest[interval.blocks(theta, steepest)] = 0.0
        free = steepest != 0
        late = self.iterations > self.limits.orthant_hessian_iterations
        if late and exact_hessian_pays(objective, free, self.limits):
            move = _newton(objective, theta, steepest, free, interval)
        else:
            move = interval.truncated(theta, -self._solve_free(steepest, free))
        poor = dot(steepest, move) > -MIN_COSINE * np.sqrt(dot(steepest, steepest) * dot(move, move))
        if poor.any():  # the diagonally scaled steepest descent is always a descent direction
            diagonal_step = interval.truncated(theta, -steepest / self._diagonal(objective))
            move[poor] = diagonal_step[poor]
            self.memory.clear()
        return move

    def _solve_free(self, r: Array, free: Array) -> Array:
        """Return the two-loop recursion restricted to the free weights."""
        pairs = [CorrectionPair.of(pair.step * free, pair.change * free) for pair in self.memory.pairs]
        return two_loop_recursion(r, pairs, lambda v: self._inverse(v, free))

    def _inverse(self, r: Array, free: Array) -> Array:
        if isinstance(self.hessian, DiagonalPreconditioner):
            return np.where(free, self.hessian.solve(r), 0.0)
        assert self.hessian is not None
        out = np.zeros_like(r)
        for j in range(len(r)):
            for k in range(r.shape[1]):
                free_columns = np.flatnonzero(free[j, k])
                if len(free_columns):
                    B = self.hessian.of_class(j, k)
                    out[j, k, free_columns] = solve_factored(self._factor(j, k, B, free_columns), r[j, k, free_columns])
        return out

    def _factor(self, j: int, k: int, B: Array, free_columns: Array) -> Array:
        key = free_columns.tobytes()
        cached = self._cache.get((j, k))
        if cached is None or cached[0] != key:
            cached = self._cache[j, k] = (key, factor_hessian(B[np.ix_(free_columns, free_columns)]).L)
        return cached[1]

    def _diagonal(self, objective: Objective) -> Array:
        """Return the diagonal (m, q, d + 1) of the subsampled Hessian."""
        if isinstance(self.hessian, DiagonalPreconditioner):
            return self.hessian.diagonal
        assert self.hessian is not None
        shape = objective.q, objective.rows.d + 1
        diagonals = [np.stack([np.diag(B) for B in blocks]) for blocks in self.hessian.blocks]
        return np.stack([np.broadcast_to(diagonals[g], shape) for g in self.hessian.group])

    def recession_direction(self, objective: Objective, theta: Array, G: Array, D: Array) -> Array:
        """Return the direction of the curvature alone if all weights are free, otherwise the direction itself."""
        penalty = objective.penalty
        free = penalty.support is None and objective.ridge.shape[1] == 1 and bool(penalty.is_zero.all())
        return super().recession_direction(objective, theta, G, D) if free else D

    def drop_members(self, keep: Array) -> None:
        """Keep only the members marked in `keep` (m,)."""
        super().drop_members(keep)
        self._cache.clear()
        if self.hessian is not None:
            self.hessian = self.hessian.keep(keep)


def exact_hessian_pays(objective: Objective, free: Array, limits: Limits = LIMITS) -> bool:
    """Return True if the exact Hessian of the free weights is cheap."""
    d, most = objective.rows.d, int(free.sum(axis=(1, 2)).max())
    cheap = most**2 <= limits.orthant_hessian_passes * objective.q * d
    return d <= limits.orthant_hessian_columns and most <= limits.orthant_hessian_weights and cheap


@dataclass(frozen=True)
class Interval:
    """The interval (m, q, d + 1) in which each parameter may move: its orthant, within its bounds."""

    low: Array
    high: Array

    @classmethod
    def of(cls, objective: Objective, sign: Array) -> Interval:
        """Return the intervals of parameters with these signs, 0 where a sign may change."""
        low, high = np.where(sign > 0, 0.0, -np.inf), np.where(sign < 0, 0.0, np.inf)
        bounds = objective.bounds_scaled
        if bounds is not None:
            low, high = np.maximum(low, bounds[0]), np.minimum(high, bounds[1])
        return cls(low, high)

    def blocks(self, theta: Array, gradient: Array) -> Array:
        """Return where descent along the gradient would leave the interval at once."""
        return np.asarray(((theta <= self.low) & (gradient > 0)) | ((theta >= self.high) & (gradient < 0)))

    def truncated(self, theta: Array, step: Array) -> Array:
        """Return the step, which ends where a parameter reaches the end of its interval."""
        target = theta + step
        step = np.where(target <= self.low, self.low - theta, step)
        return np.where(target >= self.high, self.high - theta, step)


def _newton(objective: Objective, theta: Array, r: Array, free: Array, interval: Interval) -> Array:
    """Return the step (m, q, d + 1) to the minimum of the quadratic model among the free weights, 0 elsewhere."""
    # weights that would leave their interval stop at its end, and the system is solved for the others
    objective.half_passes += 1
    move = np.zeros_like(r)
    for j, H in enumerate(free_hessians(objective, Columns(objective), free)):
        H[np.diag_indices_from(H)] *= 1 + ADDED_DIAGONAL  # a shift common to all classes has no curvature
        t, g, low, high = (a[j][free[j]] for a in (theta, r, interval.low, interval.high))
        step, fixed = np.zeros_like(g), np.zeros(len(g), dtype=bool)
        while not fixed.all():
            residual = g[~fixed] + H[np.ix_(~fixed, fixed)] @ step[fixed]
            step[~fixed] = -factor_hessian(H[np.ix_(~fixed, ~fixed)]).solve(residual)
            leaves = ~fixed & ((t + step <= low) | (t + step >= high))
            if not leaves.any():
                break
            step[leaves] = np.where(t + step <= low, low - t, high - t)[leaves]
            fixed |= leaves
        move[j][free[j]] = step
    return move
