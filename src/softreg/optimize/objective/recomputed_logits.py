"""The objective without kept logits, for so many classes that the logits of all rows would be larger than the rows.

Rows are read in runs whose probabilities fit in the cache and overwrite their logits. Values that `Objective` reads
from kept logits are recomputed from the parameters, so a step other than the full one costs a pass.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.objective.cached_logits import Objective, with_shifted_bias
from softreg.optimize.objective.loss_reductions import (
    LargestWeight,
    RecomputedBiasNewton,
    RecomputedLossAlong,
    RecomputedLossGradient,
)
from softreg.optimize.objective.stack_state import Point
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, Rows

MAX_FULL_CLASSES = 4096
"""Up to this many classes the bias is balanced with the full curvature; beyond, with its diagonal."""
SUFFICIENT_SHIFT = 0.01
"""A Newton step of the bias shorter than this is the last one needed."""
MAX_EIGEN_COLUMNS = 2048
"""Up to this many columns the largest variance in any direction is computed; beyond, the total variance bounds it."""
MAX_BALANCE_STEPS = 10
"""Largest number of Newton steps in the bias, a pass each."""
ADDED_DIAGONAL = 1e-10
"""Share of the mean curvature of the bias that is added to its diagonal, for classes that are never predicted."""


class RecomputedObjective(Objective):
    """F_j(theta_j) for each model j of a stack, evaluated from the parameters alone."""

    keeps_logits = False

    def __init__(
        self, rows: Rows, n_classes: int, penalty: Penalty, coordinates: Coordinates, fit_intercept: bool = True
    ) -> None:
        super().__init__(rows, n_classes, penalty, coordinates, fit_intercept)
        self.balanced_curvature: tuple[Array, Array] | None = None
        """Curvature in the bias (m, q, q) at the last balanced bias, and the last shift (m,) to it."""
        self._shifted: tuple[Point, Array, Point] | None = None
        """The last shifted point: the point before, the shift, and the point after."""

    # --- the point and the direction ----------------------------------------------------------------------------

    def place(self, theta: Array) -> None:
        """Move to `theta`; nothing is computed."""
        self.here, self.logits_are_exact = self.point(theta), True

    def accept(self) -> None:
        """Move to the trial point."""
        assert self.ahead is not None, "try_step comes first"
        self.here, self.ahead, self.logits_are_exact = self.ahead, None, True

    def reject(self) -> None:
        """Make the step to the trial point the direction."""
        assert self.ahead is not None, "try_step comes first"
        self.direction, self.ahead = self.direction_point(self.ahead.theta - self.here.theta), None

    def set_direction(self, direction: Array) -> Array:
        """Return value, slope and curvature (3, m) of the loss at step 1 in this direction: one pass."""
        self.direction = self.direction_point(direction)
        return self.eval_along(np.ones(self.m))

    def take_step(self, t: Array) -> None:
        """Move by steps t (m,) along the direction."""
        assert self.direction is not None, "set_direction or reject comes first"
        self.place(self.here.theta + t[:, None, None] * self.direction.theta)

    def shift_bias(self, shift: Array) -> None:
        """Add a shift (m, q) to the bias."""
        self.here, self.logits_are_exact = self._at_shift(shift), True

    def _at_shift(self, shift: Array) -> Point:
        """Return the parameters with a shifted bias; the same point for the same shift."""
        last = self._shifted
        if last is None or last[0] is not self.here or last[1] is not shift:
            last = self._shifted = (self.here, shift, self.point(with_shifted_bias(self.here.theta, shift)))
        return last[2]

    def drop_members(self, keep: Array) -> None:
        """Keep only the models of this mask in the stack."""
        super().drop_members(keep)
        self.balanced_curvature = self._shifted = None
        self.__dict__.pop("variance_bound", None)

    # --- sums over the rows -------------------------------------------------------------------------------------

    def gradient(self, shift: Array | None = None) -> tuple[Array, Array]:
        """Return mean loss (m,) and gradient (m, q, d + 1), with a shifted bias if one is given: one pass."""
        return self._pass(self.here if shift is None else self._at_shift(shift), ())

    def eval_along(self, t: Array) -> Array:
        """Return mean loss, slope and curvature (3, m) at steps t (m,) along the direction: one pass."""
        assert self.direction is not None, "set_direction or reject comes first"
        ahead = self._prepared(self.here.theta + t[:, None, None] * self.direction.theta)
        return self._mean(self.sum(RecomputedLossAlong(self.state, ahead, self._prepared(self.direction.theta))))

    def _pass(self, point: Point, replaces: tuple[int, ...]) -> tuple[Array, Array]:
        """Return loss and gradient from one reading of each block; the confidence in each label is kept."""
        value, r, G = self.sum(RecomputedLossGradient(self.state_at(point), *self._prepared(point.theta)))
        return self._means(value, G, r, r)

    # --- the balanced bias --------------------------------------------------------------------------------------

    def balance(self) -> tuple[Array, Array]:
        """Return a shift of the bias at which mean prediction and class rates nearly agree.

        Newton's method in q dimensions. Its last step is so small that about a thousandth of it remains, which the
        certificate accounts for.

        Returns
        -------
        shift : ndarray of shape (m, q)
        difference : ndarray of shape (m,)
            Zeros.
        """
        shift = np.zeros((self.m, self.q))
        self.balanced_curvature = None
        if not self.fit_intercept:
            return shift, np.zeros(self.m)
        for _ in range(MAX_BALANCE_STEPS):
            r, K = self._imbalance(shift)
            change = np.clip(-_solve(K, r), -2.0, 2.0)
            shift += change
            moved = np.abs(change).max(axis=1)
            self.balanced_curvature = (K, moved) if K.ndim == 3 else None
            if not (moved > SUFFICIENT_SHIFT).any():
                break
        return shift, np.zeros(self.m)

    def _imbalance(self, shift: Array) -> tuple[Array, Array]:
        """Return the mean residual with a shifted bias, and the mean curvature in the bias: about a pass.

        For more than `MAX_FULL_CLASSES` classes it is half a pass, and only the diagonal of the curvature.

        Returns
        -------
        r : ndarray of shape (m, q)
        K : ndarray of shape (m, q, q) or (m, q)
        """
        full = self.q <= MAX_FULL_CLASSES
        shifted = with_shifted_bias(self.here.theta, shift)
        r, K = self.sum(RecomputedBiasNewton(self.state, *self._prepared(shifted), full))
        r /= self.mass[:, None]
        if not full:
            return r, np.maximum(K / self.mass[:, None], TINY)
        K = -np.tril(K, -1) / self.mass[:, None, None]
        K += K.transpose(0, 2, 1)
        index = np.arange(self.q)
        K[:, index, index] = -K.sum(axis=2)  # softmax is invariant to a common shift, so the rows sum to 0
        return r, K

    def imbalance_cost(self, r: Array) -> tuple[Array, Array]:
        """Return an upper bound of `r K^-1 r` for a mean residual r, and the largest change of a bias that removes r.

        K was summed at a bias that is `moved` away, and no variance changes by more than a factor e^(2 moved) there.

        Parameters
        ----------
        r : ndarray of shape (m, q)

        Returns
        -------
        cost, change : ndarray of shape (m,)
            inf if the curvature was not computed.
        """
        if not r.any():
            return np.zeros(self.m), np.zeros(self.m)
        if self.balanced_curvature is None:
            return np.full(self.m, np.inf), np.full(self.m, np.inf)
        K, moved = self.balanced_curvature
        change = _solve(K, r)
        return np.einsum("mq,mq->m", r, change) * np.exp(2 * moved), np.abs(change).max(axis=1)

    @cached_property
    def variance_bound(self) -> Array:
        """Upper bound (m,) of the variance of the user's columns in any direction, with the row weights."""
        scale = self.coordinates.scale * ~self.coordinates.constant
        if self.rows.d <= MAX_EIGEN_COLUMNS and self.scatter.whole:
            top = np.linalg.eigvalsh(self.scatter.total * scale * scale[:, None])[-1]
        else:
            top = np.square(scale).sum()
        heaviest = self.map(LargestWeight(self.state)).max(axis=0)
        return np.asarray(heaviest * self.rows.n / self.mass * top)


def _solve(K: Array, r: Array) -> Array:
    """Return `K^-1 r` (m, q), for K (m, q, q) that is singular for a common shift, or a diagonal (m, q)."""
    if K.ndim == 2:
        return np.asarray(r / K)
    ties = np.trace(K, axis1=1, axis2=2)[:, None, None] / K.shape[1] + TINY
    flat = ADDED_DIAGONAL * ties * np.eye(K.shape[1])  # a class that is never predicted has no curvature
    return np.stack([np.linalg.solve(k, s) for k, s in zip(K + ties + flat, r, strict=True)])
