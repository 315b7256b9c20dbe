"""Limited-memory BFGS for a stack of models, around a curvature sketch instead of the identity.

Nocedal and Wright, Numerical Optimization, algorithm 7.4, with one recursion for all models of the stack.
"""

from __future__ import annotations

from collections.abc import Callable, Container

import numpy as np
import scipy.linalg as sl

from softreg.optimize.curvature.class_clusters import ClusterSketch
from softreg.optimize.curvature.subsampled import Blocks, Curvature, Sketch
from softreg.optimize.objective.cached import Objective
from softreg.optimize.solvers.newton import Newton
from softreg.rows import Array

MEMORY = 10
EXACT_PARAMETERS = 1000
"""Up to so many, the question whether the likelihood has gone flat is put to the exact Hessian, not to a sketch."""
FEW_NUMBERS = 20_000
"""So few numbers of a stack are scaled and added in one go."""
TINY = 1e-300
"""A product of step and change below this says nothing of the curvature."""
REVIEWS = range(4, 10**9, 8)
"""Iterations at which the sketch is made anew if the rows' uncertainty has changed by more than `CHANGED` of it since.

On MNIST that is so at iteration 4 alone; on pixels of very different size, where the weights have a long way to go, for
as long as they are on it.
"""
CHANGED = 0.15


def dot(a: Array, b: Array) -> Array:
    """The inner product of each model's parameters, (m,), whatever the order in which they lie in memory."""
    if len(a) == 1 and a[0].strides == b[0].strides:  # one long product: BLAS is quicker than einsum
        return np.array([np.vdot(a[0].ravel(order="K"), b[0].ravel(order="K"))])
    return np.asarray(np.einsum("mqd,mqd->m", a, b))


def add_to(r: Array, share: Array, s: Array) -> None:
    """`r += share * s` for each model, in place: with millions of weights, temporary arrays are what costs; with few,
    calls are."""
    if r.size < FEW_NUMBERS:
        r += share[:, None, None] * s
        return
    for j, factor in enumerate(share):
        to, what = r[j].ravel(order="K"), s[j].ravel(order="K")
        if r[j].strides == s[j].strides and np.shares_memory(to, r):
            sl.blas.daxpy(what, to, a=factor)
        else:
            r[j] += factor * s[j]


def recursion(G: Array, pairs: list[tuple[Array, Array, Array]], inverse: Callable[[Array], Array]) -> Array:
    """The two loops over steps, changes of the gradient and their products, around an approximate inverse."""
    r, shares = np.array(G, order="K"), []
    for s, y, sy in reversed(pairs):
        share = np.divide(dot(s, r), sy, out=np.zeros_like(sy), where=sy > TINY)
        add_to(r, -share, y)
        shares.append(share)
    r = inverse(r)
    for (s, y, sy), share in zip(pairs, reversed(shares), strict=True):
        back = np.divide(dot(y, r), sy, out=np.zeros_like(sy), where=sy > TINY)
        add_to(r, share - back, s)
    return r


class LBFGS:
    """Directions from the last steps and a sketched curvature."""

    has_certificate = False
    target_gap = np.inf

    def __init__(self, sketch: Sketch | ClusterSketch, reviews: Container[int] = REVIEWS) -> None:
        self.sketch, self.reviews = sketch, reviews
        self.curvature: Curvature | None = None
        self.pairs: list[tuple[Array, Array, Array]] = []
        self.turns = 0

    def direction(self, objective: Objective, theta: Array, G: Array) -> Array:
        """A descent direction (m, q, d + 1) at parameters `theta` with gradient `G`."""
        if self._outdated(objective, theta):
            self.curvature = None  # two at once would take twice the memory
            self.curvature = self.sketch.curvature(objective, theta, G)
        self.turns += 1
        D = -self._two_loops(G)
        D -= D.mean(axis=1, keepdims=True)  # softmax ignores what all classes share, and the penalty does not like it
        uphill = dot(G, D) >= 0
        if uphill.any():
            self.pairs.clear()
            D[uphill] = -G[uphill]
        return D

    def _outdated(self, objective: Objective, theta: Array) -> bool:
        """Whether it is time for a new sketch."""
        return self.turns == 0 or (self.turns in self.reviews and self.sketch.change(objective, theta) > CHANGED)

    def _two_loops(self, G: Array) -> Array:
        assert self.curvature is not None
        return recursion(G, self.pairs, self._inverse_scaled)

    def _inverse_scaled(self, r: Array) -> Array:
        """The sketch's inverse times r, scaled to what the last step has shown."""
        assert self.curvature is not None
        if not self.pairs:
            return self.curvature.solve(r)
        _, y, sy = self.pairs[-1]
        if isinstance(self.curvature, Blocks) and len(r) > 1:  # one alone is quicker solved for than two
            r, image = np.split(self.curvature.solve(np.concatenate([r, y])), 2)
        else:
            r, image = self.curvature.solve(r), self.curvature.solve(y)
        r *= np.divide(sy, dot(y, image), out=np.ones_like(sy), where=sy > 0)[:, None, None]
        return r

    def update(self, step: Array, change: Array) -> None:
        """Remember a step (m, q, d + 1) and the change of the gradient along it."""
        sy = dot(step, change)
        safe = sy > 1e-14 * np.sqrt(dot(step, step) * dot(change, change))  # else rounding, not curvature
        self.pairs.append((step, change, np.where(safe, sy, 0.0)))
        del self.pairs[:-MEMORY]

    def drop_members(self, keep: Array) -> None:
        """Only the models marked in `keep` stay."""
        self.pairs = [(s[keep], y[keep], sy[keep]) for s, y, sy in self.pairs]
        if self.curvature is not None:
            self.curvature = self.curvature.keep(keep)
        self.sketch.drop_members(keep)

    def reset(self) -> None:
        """Start afresh from the sketch: what was learned belongs to less exact sums."""
        self.pairs.clear()

    def recession_direction(self, objective: Objective, theta: Array, G: Array, D: Array) -> Array:
        """The step that today's curvature alone would take: longest where the likelihood has gone flat."""
        if (objective.q - 1) * G.shape[2] <= EXACT_PARAMETERS:
            return Newton().direction(objective, theta, G)
        step = -self.sketch.curvature(objective, theta, G).solve(G)
        return np.asarray(step - step.mean(axis=1, keepdims=True))

    def decrement_bound(self, objective: Objective, G: Array) -> Array:
        """No proof comes from a sketch: inf."""
        return np.full(objective.m, np.inf)
