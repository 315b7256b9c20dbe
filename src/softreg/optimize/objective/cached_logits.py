"""Mean cross-entropy plus penalty of a stack of models, with logits kept between passes.

The parameters of a stack are `theta` (m, q, d + 1) in the coordinates of `problem/standardization.py`: weights of the
standardized columns, then the bias. Logits (m, q, b) are kept for each block between sums, so the logits of
`theta + t * direction` cost no further pass over X for any number of step lengths t.
"""

from __future__ import annotations

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.objective.base import Stack
from softreg.optimize.objective.bias_newton import BiasCurvature, products_are_cheaper
from softreg.optimize.objective.loss_reductions import (
    BiasNewton,
    KeepLogits,
    KeptGradient,
    LogitDifference,
    LossAlong,
    LossGradient,
    MixedEntropy,
    ShiftBias,
    TakeStep,
)
from softreg.optimize.objective.stack_state import Point
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, BackendArray, Rows, Sums

MAX_BALANCE_STEPS = 20
"""Largest number of Newton steps in the bias."""
BALANCE_TOLERANCE = 1e-14
"""Difference between mean prediction and class rate below which the bias is balanced."""


class Objective(Stack):
    """F_j(theta_j) for each model j of a stack, evaluated on kept logits."""

    logits_are_exact = False
    """Whether the kept logits are a product with X, not a sum of many small steps."""

    def __init__(
        self, rows: Rows, n_classes: int, penalty: Penalty, coordinates: Coordinates, fit_intercept: bool = True
    ) -> None:
        super().__init__(rows, n_classes, penalty, coordinates, fit_intercept)
        self.ahead: Point | None = None
        """The trial point."""
        self.direction: Point | None = None
        """The direction whose logits are kept."""
        self._spare: tuple[int, ...] = ()
        """The version before the last accepted step, whose memory the next trial point reuses."""

    # --- the point and the direction ----------------------------------------------------------------------------

    def _prepared(self, theta: Array) -> tuple[BackendArray, Array]:
        """Return weights and bias (m q,) of these parameters as blocks multiply them."""
        W, b = self.coordinates.to_stored(theta)
        return self.rows.prepare(W.reshape(b.size, -1)), b.reshape(-1).astype(self.rows.dtype)

    def place(self, theta: Array) -> None:
        """Keep the logits of `theta` (half a pass)."""
        before, self.here = self.here, self.point(theta)
        self.sum(KeepLogits(self.state, *self._prepared(theta), (before.version,)))
        self.logits_are_exact = True

    def evaluate(self, theta: Array) -> tuple[Array, Array]:
        """Return mean loss (m,) and its gradient (m, q, d + 1) at `theta`, whose logits are kept: one pass."""
        before, self.here = self.here, self.point(theta)
        self.logits_are_exact = True
        return self._pass(self.here, (before.version,))

    def try_step(self, theta: Array) -> tuple[Array, Array]:
        """Return mean loss and gradient at `theta`: one pass.

        The logits of both points are kept. Then `accept` moves to `theta`, or `reject` makes their difference the
        direction.

        Parameters
        ----------
        theta : ndarray of shape (m, q, d + 1)

        Returns
        -------
        loss : ndarray of shape (m,)
        gradient : ndarray of shape (m, q, d + 1)
        """
        replaces = self._spare if self.ahead is None else (self.ahead.version,)
        if not replaces and self.direction is not None:
            replaces = (self.direction.version,)
        self.ahead, self._spare = self.point(theta), ()
        return self._pass(self.ahead, replaces)

    def accept(self) -> None:
        """Move to the trial point."""
        assert self.ahead is not None, "try_step comes first"
        self._spare, self.here, self.ahead, self.logits_are_exact = (self.here.version,), self.ahead, None, True

    def reject(self) -> None:
        """Make the step to the trial point the direction: no pass over X."""
        assert self.ahead is not None, "try_step comes first"
        before = () if self.direction is None else (self.direction.version,)
        self.direction = self.direction_point(self.ahead.theta - self.here.theta)
        self.sum(LogitDifference(self.state, self.ahead, self.direction.version, before))
        self.ahead = None

    def _pass(self, point: Point, replaces: tuple[int, ...]) -> tuple[Array, Array]:
        """Return loss and gradient from one reading of each block; the logits are kept."""
        value, r, G = self.sum(LossGradient(self.state_at(point), *self._prepared(point.theta), replaces))
        return self._means(value, G, r, r)

    def set_direction(self, direction: Array) -> Array:
        """Keep the change of the logits for a unit step along a direction: half a pass.

        Returns
        -------
        ndarray of shape (3, m)
            Mean loss, slope and curvature at step 1.
        """
        before = () if self.direction is None else (self.direction.version,)
        self.direction = self.direction_point(direction)
        self.sum(KeepLogits(self.state_at(self.direction), *self._prepared(direction), before))
        return self.eval_along(np.ones(self.m))

    def eval_along(self, t: Array) -> Array:
        """Return mean loss, slope and curvature (3, m) at steps t (m,) along the direction: no pass over X."""
        assert self.direction is not None, "set_direction or reject comes first"
        return self._mean(self.sum(LossAlong(self.state, self.direction, t)))

    def _mean(self, sums: Sums) -> Array:
        return np.stack([total / self.mass for total in sums])

    def take_step(self, t: Array) -> None:
        """Move by steps t (m,) along the direction, and update the kept logits."""
        assert self.direction is not None, "set_direction or reject comes first"
        moved = self.point(self.here.theta + t[:, None, None] * self.direction.theta)
        self.sum(TakeStep(self.state, self.direction, t, moved.version))
        self.here, self.logits_are_exact = moved, False

    def drop_members(self, keep: Array) -> None:
        """Keep only the models of this mask in the stack."""
        super().drop_members(keep)
        self.ahead, self.direction, self._spare = None, None, ()

    # --- sums over the rows -------------------------------------------------------------------------------------

    def gradient(self, shift: Array | None = None) -> tuple[Array, Array]:
        """Return mean loss and gradient at the kept logits: half a pass.

        Parameters
        ----------
        shift : ndarray of shape (m, q), optional
            Shift of the logits; the softmax is then computed in float64, for the certificate.

        Returns
        -------
        loss : ndarray of shape (m,)
        gradient : ndarray of shape (m, q, d + 1)
        """
        value, G, r, exact = self.sum(KeptGradient(self.state, shift))
        return self._means(value, G, r, exact)

    def _means(self, value: Array, G: Array, r: Array, exact: Array) -> tuple[Array, Array]:
        """Return mean loss and gradient from sums over the rows.

        Parameters
        ----------
        value : ndarray of shape (m,)
            Sum of the losses.
        G : ndarray of shape (m q, d)
            Sum of residual times row.
        r, exact : ndarray of shape (m q,) or (m, q)
            Sum of the residuals after and before rounding to the precision of the products.

        Returns
        -------
        loss : ndarray of shape (m,)
        gradient : ndarray of shape (m, q, d + 1)
        """
        G = G.reshape(self.m, self.q, -1)  # a view: sparse backends return it in Fortran order
        r, exact = r.reshape(self.m, self.q), exact.reshape(self.m, self.q)
        bias = exact if self.fit_intercept else np.zeros_like(exact)
        full = np.concatenate([self.coordinates.gradient(G, r), bias[..., None]], axis=-1)
        full /= self.mass[:, None, None]
        return value / self.mass, full

    def balance(self) -> tuple[Array, Array]:
        """Return the shift of the bias at which mean prediction and class rates agree.

        Newton's method in q dimensions on the kept logits, in float64; no pass over X. Along a shift of size s no
        product of two probabilities changes by more than a factor e^(4 s), so a Newton step leaves at most
        (e^(4 s) - 1) s / 2, and the last step needs no evaluation.

        Returns
        -------
        shift : ndarray of shape (m, q)
        difference : ndarray of shape (m,)
            Upper bound of the remaining difference between mean prediction and class rate.
        """
        shift = np.zeros((self.m, self.q))
        if not self.fit_intercept:
            return shift, np.zeros(self.m)
        for _ in range(MAX_BALANCE_STEPS):
            left, change, unsolved = self._bias_step(shift)
            if (left < BALANCE_TOLERANCE).all() or not np.isfinite(change).all():
                break
            size = np.abs(change).max(axis=1)
            shift += np.clip(change, -2.0, 2.0)
            left = np.expm1(4 * np.minimum(size, 2.0)) * size / 2 + unsolved
            if (left < BALANCE_TOLERANCE).all():
                break
        return shift, left

    def _bias_step(self, shift: Array) -> tuple[Array, Array, Array]:
        """Return the largest mean residual at a shift, Newton's step from there, and the error of its linear system.

        Parameters
        ----------
        shift : ndarray of shape (m, q)

        Returns
        -------
        residual : ndarray of shape (m,)
        step : ndarray of shape (m, q)
        error : ndarray of shape (m,)
            Largest residual of the linear system; 0 if a factorization solves it.
        """
        if products_are_cheaper(self):
            curvature = BiasCurvature(self, shift)
            step = curvature.step()
            curvature.close()
            return np.abs(curvature.r).max(axis=1), *step
        r, K = self.sum(BiasNewton(self.state, shift))
        r, K = r / self.mass[:, None], K / self.mass[:, None, None]
        ties = np.trace(K, axis1=1, axis2=2)[:, None, None] / self.q + TINY  # softmax is invariant in this direction
        change = -_solved(K + ties, r)
        return np.abs(r).max(axis=1), change, np.zeros(self.m)

    def shift_bias(self, shift: Array) -> None:
        """Add a shift (m, q) to the bias and to the kept logits."""
        shifted = self.point(with_shifted_bias(self.here.theta, shift))
        self.sum(ShiftBias(self.state, shift, shifted.version))
        self.here = shifted

    def entropy(self, shift: Array, share: Array) -> Array:
        """Return the mean (m,) of the entropy of `Q = Y + share * (P - Y)` at the kept logits plus `shift`.

        Where rows have an offset, the mean of `<Q - Y, offset>` is added, as in the dual objective.

        Returns
        -------
        ndarray of shape (m,)
        """
        return np.asarray(self.sum(MixedEntropy(self.state, shift, share))[0] / self.mass)


def with_shifted_bias(theta: Array, shift: Array) -> Array:
    """Return a copy of parameters (m, q, d + 1) whose bias is shifted by (m, q)."""
    shifted = theta.copy()
    shifted[..., -1] += shift
    return shifted


def _solved(A: Array, b: Array) -> Array:
    """Return the solutions x (m, q) of A x = b for symmetric A (m, q, q); the shortest one if A is singular.

    A class whose probability is 0 in every row makes the curvature singular, and has no residual.

    Returns
    -------
    ndarray of shape (m, q)
    """
    try:
        return np.asarray(np.linalg.solve(A, b[..., None])[..., 0])
    except np.linalg.LinAlgError:
        return np.asarray((np.linalg.pinv(A, hermitian=True) @ b[..., None])[..., 0])
