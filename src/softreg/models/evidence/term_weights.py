"""Weights of a model at given precisions of its columns, by L-BFGS preconditioned with the factored curvature.

The objective is summed over the rows,

    sum_i v_i CE(y_i, softmax(T Theta z_i + o_i)) + 1 / 2 sum_j s_j ||Theta_j||^2,

with weights Theta (q - 1, w) in orthonormal contrasts T of the classes, in which the penalty is that of all classes.
The preconditioner is the factor of an earlier fit, scaled for the present precisions; where many steps are needed, the
curvature is formed and factored again. Each step reads the rows twice: for the logits along the direction, and for the
gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from softreg.models.evidence.term_curvature import CurvatureFactor, Inverse, TermCurvature
from softreg.optimize.objective.hessian import contrasts
from softreg.optimize.solvers.lbfgs_memory import PairMemory, two_loop_recursion
from softreg.typing import Array, Float64Array, IntArray

MAX_STEPS = 100
"""Most steps of a fit."""
STEPS_PER_FACTOR = 8
"""Steps after which the curvature is formed again."""
SLOPE_SHARE = 0.5
"""Share of the slope at which a step is long enough."""
MAX_TRIALS = 20
"""Most lengths of a step that are tried."""
SHORTEST, FURTHEST = 0.1, 4.0
"""Least share of an interval, and multiple of a length that is too short, at which the next one is tried."""
MIN_COSINE = 1e-10
"""Cosine of a step and the change of the gradient along it from which they are remembered."""


@dataclass(frozen=True, eq=False)
class FitRows:
    """Rows of a fit.

    Attributes
    ----------
    Z : array (n, w)
        Features, the last column ones; products are computed in its precision.
    codes : array of int (n,)
        Codes of the labels.
    n_classes : int
        Number of classes q.
    weight : array of float64 (n,) or None
        Weights of the rows.
    offset : array of float64 (q, n) or None
        Fixed part of the logits.
    """

    Z: Array
    codes: IntArray
    n_classes: int
    weight: Float64Array | None
    offset: Float64Array | None

    def products(self, theta: Float64Array) -> Float64Array:
        """Return the logits (q - 1, n) of weights in contrasts, without the offset."""
        return np.asarray(theta.astype(self.Z.dtype) @ self.Z.T, dtype=np.float64)

    def at(self, M: Float64Array) -> tuple[float, Float64Array]:
        """Return the summed loss, and the probabilities (q, n), at logits (q - 1, n) in contrasts."""
        logits = contrasts(self.n_classes) @ M
        if self.offset is not None:
            logits += self.offset
        logits -= logits.max(axis=0)
        labels = logits[self.codes, np.arange(len(self.codes))]
        P = np.exp(logits, out=logits)
        mass = P.sum(axis=0)
        P /= mass
        losses = np.log(mass) - labels
        return float(losses.sum() if self.weight is None else losses @ self.weight), P

    def residuals(self, P: Float64Array) -> Float64Array:
        """Return the derivative (q - 1, n) of the loss in the logits in contrasts."""
        T = contrasts(self.n_classes)
        R = T.T @ P - T.T[:, self.codes]
        return np.asarray(R if self.weight is None else R * self.weight)


@dataclass(frozen=True, eq=False)
class FitPoint:
    """Weights (q - 1, w), their logits (q - 1, n), probabilities (q, n), and value and gradient of the objective."""

    theta: Float64Array
    M: Float64Array
    P: Float64Array
    value: float
    G: Float64Array


@dataclass(frozen=True, eq=False)
class FittedWeights:
    """The optimum, and the curvature on the way to it with its factor, if one was formed."""

    point: FitPoint
    curvature: TermCurvature | None
    factor: CurvatureFactor | None


class TermFit:
    """The objective at given precisions.

    Parameters
    ----------
    rows : FitRows
        The rows.
    diagonal : array of float64 (w,)
        Precision of the weights of each column, that of the intercept last.

    Examples
    --------
    >>> Z = np.column_stack([np.array([-1.0, 1.0, 0.5, 0.2]), np.ones(4)])
    >>> fit = TermFit(FitRows(Z, np.array([0, 1, 0, 1]), 2, None, None), np.array([1.0, 1e-6]))
    >>> found = fit.minimise(np.zeros((1, 2)), 1e-9)
    >>> bool(np.abs(found.point.G).max() < 1e-4)
    True
    """

    def __init__(self, rows: FitRows, diagonal: Float64Array) -> None:
        self.rows, self.diagonal = rows, diagonal

    def minimise(self, theta: Float64Array, gap: float, inverse: Inverse | None = None) -> FittedWeights:
        """Minimise the objective.

        Parameters
        ----------
        theta : array of float64 (q - 1, w)
            Weights from which the fit starts.
        gap : float
            Estimate of the excess of the objective at which it ends, in nats of the sum.
        inverse : callable, optional
            Approximate inverse of the Hessian times G (q - 1, w); that of the start otherwise.

        Returns
        -------
        FittedWeights
            The optimum.
        """
        point, memory = self.point(theta), PairMemory()
        found = self._factored(point) if inverse is None else FittedWeights(point, None, None)
        for step in range(1, MAX_STEPS + 1):
            inverse = inverse if found.factor is None else found.factor.solve
            assert inverse is not None
            direction = self._direction(point, memory, inverse)
            slope = float(np.vdot(point.G, direction))
            if slope >= 0 and memory.pairs:
                memory.clear()
                continue
            if -slope / 2 <= gap:
                break
            following = self._step(point, direction, slope)
            if following is None and found.factor is not None:
                break
            if following is None:
                found = self._factored(point)
                memory.clear()
                continue
            memory.add((following.theta - point.theta)[None], (following.G - point.G)[None], MIN_COSINE)
            point = following
            if step % STEPS_PER_FACTOR == 0:
                found = self._factored(point)
                memory.clear()
        return replace(found, point=point)

    def _factored(self, point: FitPoint) -> FittedWeights:
        """Return the curvature at a point and its factor."""
        curvature = TermCurvature(self.rows.Z, point.P, self.rows.weight)
        return FittedWeights(point, curvature, curvature.factor(self.diagonal))

    def point(self, theta: Float64Array, M: Float64Array | None = None) -> FitPoint:
        """Return the objective at weights, whose logits are M."""
        M = self.rows.products(theta) if M is None else M
        loss, P = self.rows.at(M)
        ridge = self.diagonal * theta
        G = self.rows.residuals(P).astype(self.rows.Z.dtype) @ self.rows.Z + ridge
        return FitPoint(theta, M, P, loss + float(np.vdot(ridge, theta)) / 2, np.asarray(G, dtype=np.float64))

    def _direction(self, point: FitPoint, memory: PairMemory, inverse: Inverse) -> Float64Array:
        """Return the direction of L-BFGS."""
        return np.asarray(-two_loop_recursion(point.G[None], memory.pairs, lambda r: inverse(r[0])[None])[0])

    def _step(self, point: FitPoint, direction: Float64Array, slope: float) -> FitPoint | None:
        """Return the point at a length at which the slope is small, or None where rounding hides the decrease."""
        along, ridge = self.rows.products(direction), self.diagonal * direction
        linear, square = float(np.vdot(ridge, point.theta)), float(np.vdot(ridge, direction))
        base = point.value - float(np.vdot(self.diagonal * point.theta, point.theta)) / 2
        low, low_slope, high, high_slope, length = 0.0, slope, np.inf, 0.0, 1.0
        for _ in range(MAX_TRIALS):
            loss, P = self.rows.at(point.M + length * along)
            here = float(np.vdot(self.rows.residuals(P), along)) + linear + length * square
            rises = here > 0 and loss + length * linear + length**2 * square / 2 > base
            if abs(here) <= -SLOPE_SHARE * slope and not rises:
                return self.point(point.theta + length * direction, point.M + length * along)
            if here > 0:
                high, high_slope = length, here
            else:
                low, low_slope = length, here
            share = np.clip(low_slope / (low_slope - high_slope), SHORTEST, 1 - SHORTEST)
            length = low + (high - low) * float(share) if high < np.inf else FURTHEST * length
        return None
