"""L-BFGS for penalties with an l1 part: one orthant at a time.

Between sign changes the objective is smooth, so each step solves for the weights that are free (not zero, or zero and
pulled away harder than l1 holds them), with the sketched curvature of just those weights, and stops at zero where a
weight would change sign. On the straight way to that point the l1 part is linear, so the line search stays free. The
idea is Andrew and Gao's (2007, OWL-QN) with the two-metric projection of Bertsekas (1982) in place of their alignment.
"""

from __future__ import annotations

from collections.abc import Container

import numpy as np

from softreg.linalg import solve_factored
from softreg.optimize.curvature.preconditioners import DiagonalPreconditioner, HessianBlocks
from softreg.optimize.curvature.subsampled import SubsampledCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, free_hessians
from softreg.optimize.solvers.lbfgs import LBFGS, REVIEWS
from softreg.optimize.solvers.lbfgs_memory import CorrectionPair, dot, two_loop_recursion
from softreg.optimize.solvers.newton import factor_hessian
from softreg.rows import Array

LONG = 20
"""Steps after which the free weights, where they are few, get their exact Hessian: blocks for single classes leave out
how the classes hang together, and that is what is left then. Passes to a gap of 1e-6 with l1 alone, before and after:
digits at 1e-4 197 and 62, at 1e-5 none (stalled at 2e-3) and 401; 8,000 images of MNIST at 3e-3 668 and 60; breast
cancer (569 x 30, as they are) at 1e-4 1,034 and 68; wine at 1e-4 116 and 148."""
FLAT = 1e-9
"""The part of the diagonal that is added to an exact Hessian, so that it has a factor."""
MOST_FREE, DEAR = 1000, 200
"""Free weights of a model are few if they are no more than this, and their Hessian is no dearer than so many passes."""
WIDEST = 8192
"""Rows of more columns than this would take too much memory in the solver's coordinates, 2,048 at a time."""
MIN_COSINE = 1e-3
"""Cosine between the direction and the steepest descent below which each coordinate is scaled by itself."""


class OrthantLBFGS(LBFGS):
    """Directions that keep each weight on its side of zero."""

    def __init__(self, curvature: SubsampledCurvature, reviews: Container[int] = REVIEWS) -> None:
        super().__init__(curvature, reviews)
        self.subsampled = curvature
        self.hessian: DiagonalPreconditioner | HessianBlocks | None = None
        self._cache: dict[tuple[int, int], tuple[bytes, Array]] = {}

    def direction(self, objective: Objective, theta: Array, G: Array) -> Array:
        """Return a descent direction (m, q, d + 1) projected onto the current orthant."""
        if self._is_outdated(objective, theta):
            self.hessian = self.subsampled.hessian(objective, theta)
            self.preconditioner = self.hessian if isinstance(self.hessian, DiagonalPreconditioner) else None
            self._cache.clear()
        self.iterations += 1
        hold = objective.l1_scaled[:, None, :]
        side = np.where(theta != 0, np.sign(theta), -np.sign(G) * (np.abs(G) > hold))
        steepest = np.where((side != 0) | (hold == 0), G + hold * side, 0.0)
        if objective.penalty.support is not None:
            steepest[..., :-1] *= objective.penalty.support
        free = steepest != 0
        if self.iterations > LONG and exact_hessian_pays(objective, free):
            way = _newton(objective, theta, steepest, free, side * (hold > 0))
        else:
            way = _within(theta, -self._solve_free(steepest, free), side, hold)
        poor = dot(steepest, way) > -MIN_COSINE * np.sqrt(dot(steepest, steepest) * dot(way, way))
        if poor.any():  # each coordinate for itself: always downhill
            plain = _within(theta, -steepest / self._diagonal(objective), side, hold)
            way[poor] = plain[poor]
            self.memory.clear()
        return way

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
                where = np.flatnonzero(free[j, k])
                if len(where):
                    B = self.hessian.of_class(j, k)
                    out[j, k, where] = solve_factored(self._factor(j, k, B, where), r[j, k, where])
        return out

    def _factor(self, j: int, k: int, B: Array, where: Array) -> Array:
        key = where.tobytes()
        known = self._cache.get((j, k))
        if known is None or known[0] != key:
            known = self._cache[j, k] = (key, factor_hessian(B[np.ix_(where, where)]).L)
        return known[1]

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
        return D if objective.penalty.support is not None else super().recession_direction(objective, theta, G, D)

    def drop_members(self, keep: Array) -> None:
        """Only the models marked in `keep` stay."""
        super().drop_members(keep)
        self._cache.clear()
        if self.hessian is not None:
            self.hessian = self.hessian.keep(keep)


def exact_hessian_pays(objective: Objective, free: Array) -> bool:
    """Whether the Hessian among the free weights is cheap."""
    most = int(free.sum(axis=(1, 2)).max())
    return objective.rows.d <= WIDEST and most <= MOST_FREE and most**2 <= DEAR * objective.q * objective.rows.d


def _newton(objective: Objective, theta: Array, r: Array, free: Array, side: Array) -> Array:
    """Return the step (m, q, d + 1) to the minimum of the quadratic model among the free weights, 0 elsewhere."""
    # weights that would change their sign `side` (0 for those without one) end at 0, and the others are solved again
    objective.half_passes += 1
    way = np.zeros_like(r)
    for j, H in enumerate(free_hessians(objective, Columns(objective), free)):
        H[np.diag_indices_from(H)] *= 1 + FLAT  # what all classes share bends nothing
        t, s, g = (a[j][free[j]] for a in (theta, side, r))
        step, held = np.zeros_like(g), np.zeros(len(g), dtype=bool)
        while not held.all():
            step[held] = -t[held]
            rest = g[~held] + H[np.ix_(~held, held)] @ step[held]
            step[~held] = -factor_hessian(H[np.ix_(~held, ~held)]).solve(rest)
            crosses = ~held & (s != 0) & ((t + step) * s <= 0)
            if not crosses.any():
                break
            held |= crosses
        step[held] = -t[held]
        way[j][free[j]] = step
    return way


def _within(theta: Array, step: Array, side: Array, hold: Array) -> Array:
    """Return the step, truncated at zero where a penalised weight would change its sign."""
    target = theta + step
    crosses = (hold > 0) & (target * side <= 0)
    return np.where(crosses, -theta, step)
