"""Sweeps of coordinate descent over the weights of a quadratic plus `kink |x|` within bounds, compiled and in NumPy.

A sweep moves each weight in turn to the minimum with all others fixed. The Hessian of the quadratic is a matrix, or the
sum over rows of the Hessians of cross-entropy `v J (x) z z^T` with `J = diag(p) - p p^T`, for which the change of the
logits is kept, so that a weight costs a few operations for each row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.typing import Float64Array, FloatArray, IntArray


@dataclass(frozen=True)
class Weights:
    """Weights x (f,) of a quadratic model with coefficients of |x| and bounds (f,); sweeps change x in place."""

    x: Float64Array
    kink: Float64Array
    low: Float64Array
    high: Float64Array

    def minimiser(self, i: int, gradient: float, curvature: float) -> float:
        """Return the minimum over weight i of the quadratic with this slope and curvature plus its kink."""
        target, kink = curvature * float(self.x[i]) - gradient, float(self.kink[i])
        x = (target - kink if target > kink else target + kink if target < -kink else 0.0) / curvature
        return min(max(x, float(self.low[i])), float(self.high[i]))


@dataclass(frozen=True)
class RowHessian:
    """A Hessian as a sum over n rows, with the change of the logits since the start, which sweeps change in place."""

    Z: FloatArray
    """Columns (k, n), float32 as all arrays of the rows."""
    P: FloatArray | None
    """Probabilities (q, n); None where the classes are not coupled."""
    C: FloatArray
    """Probabilities times the weights of the rows (q, n), or the curvature of the logits without coupling."""
    O: FloatArray
    """Change of the logits (q, n)."""
    s: FloatArray | None
    """Mean of O under P, (n,)."""
    group: IntArray
    """Class (f,) of each weight."""
    column: IntArray
    """Column (f,) of each weight."""
    gradient: Float64Array
    """Gradient (f,) at the start."""
    start: Float64Array
    """Weights (f,) at the start."""
    ridge: Float64Array
    """Curvature (f,) of the l2 part."""
    curvature: Float64Array
    """Diagonal (f,) of the Hessian with its l2 part; weights with 0 do not move."""


def sweep_matrix(H: Float64Array, gradient: Float64Array, weights: Weights) -> float:
    """Move each weight to its minimum, for a Hessian H (f, f) and the gradient (f,) at x, which is changed.

    Parameters
    ----------
    H : ndarray of shape (f, f)
    gradient : ndarray of shape (f,)
    weights : Weights

    Returns
    -------
    float
        The largest move squared times curvature.

    Examples
    --------
    >>> free = np.full(2, np.inf)
    >>> weights = Weights(np.zeros(2), np.ones(2), -free, free)
    >>> sweep_matrix(np.diag([2.0, 1.0]), np.array([-5.0, 0.5]), weights), weights.x.tolist()
    (8.0, [2.0, 0.0])
    """
    if kernels._module is not None:
        terms = weights.x, weights.kink, weights.low, weights.high
        return float(kernels._module.sweep_matrix(H, gradient, *terms))
    most, curvature, x = 0.0, H.diagonal().tolist(), weights.x
    for i, h in enumerate(curvature):
        if h > 0:
            move = weights.minimiser(i, float(gradient[i]), h) - float(x[i])
            if move != 0:
                x[i] += move
                gradient += move * H[i]
                most = max(most, move * move * h)
    return most


def sweep_rows(H: RowHessian, weights: Weights) -> float:
    """Move each weight to its minimum, for a Hessian that is a sum over rows.

    Parameters
    ----------
    H : RowHessian
    weights : Weights

    Returns
    -------
    float
        The largest move squared times curvature.

    Examples
    --------
    >>> free, one = np.full(1, np.inf), np.ones(1)
    >>> Z, C, O = (np.array(a, dtype=np.float32) for a in ([[1.0, -1.0]], [[0.5, 0.5]], [[0.0, 0.0]]))
    >>> at, weights = np.zeros(1, dtype=np.int64), Weights(np.zeros(1), one, -free, free)
    >>> H = RowHessian(Z, None, C, O, None, at, at, -3 * one, 0 * one, 0 * one, one)
    >>> sweep_rows(H, weights), weights.x.tolist(), H.O.tolist()
    (4.0, [2.0], [[2.0, -2.0]])
    """
    if kernels._module is not None:
        rows = H.Z, H.P, H.C, H.O, H.s, H.group, H.column, H.gradient, H.start, H.ridge, H.curvature
        return float(kernels._module.sweep_rows(*rows, weights.x, weights.kink, weights.low, weights.high))
    most, x = 0.0, weights.x
    for i, h in enumerate(H.curvature.tolist()):
        if h > 0:
            k, z = H.group[i], H.Z[H.column[i]]
            residual = H.C[k] * (H.O[k] if H.s is None else H.O[k] - H.s)
            slope = float(H.gradient[i]) + float(H.ridge[i]) * float(x[i] - H.start[i]) + float(z @ residual)
            move = weights.minimiser(i, slope, h) - float(x[i])
            if move != 0:
                x[i] += move
                by = z * np.float32(move)
                H.O[k] += by
                if H.s is not None and H.P is not None:
                    np.add(H.s, H.P[k] * by, out=H.s)
                most = max(most, move * move * h)
    return most
