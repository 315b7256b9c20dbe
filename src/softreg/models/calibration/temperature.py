"""Temperature and vector scaling, and log-probabilities without zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from softreg.probability import log_softmax, softmax

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
STEPS = 60
"""Largest number of Newton steps; five are usual."""
NEAR = 1e-12
"""Nats. The fit ends when half the squared Newton decrement is below it."""
ARMIJO = 1e-4
"""Sufficient decrease of the line search, as a share of the decrease that the slope predicts."""
SHORTEST = 1e-9
"""Step length below which differences of the objective are rounding errors."""
JITTER = 1e-12
"""Added to the diagonal of the Hessian, relative to its trace."""
SMALLEST = 5e-324
"""Smallest positive number in double precision."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """The map `softmax(scale * log P + bias)`.

    Attributes
    ----------
    scale, bias : ndarray of shape (q,)
        Scale and bias of each class; temperature scaling has one scale for all classes and no bias.

    Examples
    --------
    >>> Scaling(np.array([2.0, 2.0]), np.zeros(2)).apply(np.log([[0.8, 0.2]])).round(3)
    array([[0.941, 0.059]])
    """

    scale: Floats
    bias: Floats

    def apply(self, L: Floats) -> Floats:
        """Return probabilities (n, q) for log-probabilities L (n, q)."""
        return cast(Floats, softmax(L * self.scale + self.bias))

    def losses(self, L: Floats, y: Codes) -> Floats:
        """Return the log loss (n,) of the labels in nats."""
        o = log_softmax(L * self.scale + self.bias)
        return cast(Floats, -o[np.arange(len(y)), y])


def fit_scaling(
    L: Floats, y: Codes, *, shared: bool, strength: float | None = None, weights: Floats | None = None
) -> Scaling:
    """Fit temperature or vector scaling by Newton's method.

    The objective over s (q,) and b (q,) is strictly convex for a positive strength::

        (1 / n) sum_i CE(y_i, softmax(s * L_i + b)) + strength / 2 * (||s - 1||^2 + ||b||^2)

    Parameters
    ----------
    L : ndarray of shape (n, q)
        Finite log-probabilities.
    y : ndarray of shape (n,)
        Class codes.
    shared : bool
        Whether all classes share one s and have no bias (temperature 1 / s).
    strength : float, optional
        Strength of the penalty, 1 / n by default; it keeps classes with few rows near the identity.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    Scaling
        The minimiser.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks" (2017).

    Examples
    --------
    >>> L = np.log([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    >>> fit_scaling(L, np.array([0, 0, 1, 1]), shared=True, strength=0.0).scale.round(3)
    array([0.5, 0.5])
    """
    n, q = L.shape
    strength = 1.0 / n if strength is None else strength
    ridge = np.full(1 if shared else 2 * q, strength)
    start = np.ones(1) if shared else np.concatenate([np.ones(q), np.zeros(q)])

    def scaling(theta: Floats) -> Scaling:
        return Scaling(np.full(q, theta[0]), np.zeros(q)) if shared else Scaling(theta[:q], theta[q:])

    def value(theta: Floats) -> float:
        return float(np.average(scaling(theta).losses(L, y), weights=weights) + 0.5 * ridge @ (theta - start) ** 2)

    theta, current = start, value(start)
    for _ in range(STEPS):
        gradient, hessian = _derivatives(scaling(theta).apply(L), L, y, shared, weights)
        gradient = gradient + ridge * (theta - start)
        hessian[np.diag_indices_from(hessian)] += ridge + JITTER * (1 + np.trace(hessian))
        step = -np.linalg.solve(hessian, gradient)
        decrement = float(-gradient @ step)
        if decrement <= 2 * NEAR:
            break
        length = 1.0
        while (after := value(theta + length * step)) > current - ARMIJO * length * decrement and length > SHORTEST:
            length /= 2
        if length <= SHORTEST:
            break
        theta, current = theta + length * step, after
    return scaling(theta)


def _derivatives(P: Floats, L: Floats, y: Codes, shared: bool, weights: Floats | None) -> tuple[Floats, Floats]:
    """Return gradient and Hessian of the mean cross-entropy with respect to (s, b), or to the shared s."""
    n, q = P.shape
    weighted = P * L
    given = L[np.arange(n), y]
    if shared:
        mean = weighted.sum(axis=1)
        variance = np.einsum("nq,nq->n", weighted, L) - mean**2
        slope, curvature = (float(np.average(values, weights=weights)) for values in (mean - given, variance))
        return np.array([slope]), np.array([[max(curvature, 0.0)]])
    B = np.hstack([weighted, P])
    if weights is not None:  # B by the roots, its sums and the given ones by the weights
        B, weighted, P, given = (
            B * np.sqrt(weights)[:, None],
            weighted * weights[:, None],
            P * weights[:, None],
            given * weights,
        )
    occurred = np.bincount(y, weights, minlength=q)
    gradient = np.concatenate([weighted.sum(axis=0) - np.bincount(y, given, minlength=q), P.sum(axis=0) - occurred])
    hessian = -(B.T @ B)
    k = np.arange(q)
    hessian[k, k] += np.einsum("nq,nq->q", weighted, L)
    hessian[k, q + k] += weighted.sum(axis=0)
    hessian[q + k, k] += weighted.sum(axis=0)
    hessian[q + k, q + k] += P.sum(axis=0)
    return gradient / n, hessian / n


def least_positive(P: NDArray[np.floating]) -> float:
    """Return half the smallest positive probability, the mass that the zeros of a row share.

    Returns
    -------
    float
        A positive number; half a vote for a forest.

    Examples
    --------
    >>> least_positive(np.array([[1.0, 0.0], [0.75, 0.25]]))
    0.125
    """
    P = np.asarray(P, dtype=np.float64)
    return float(P[P > 0].min()) / 2 or SMALLEST


def without_zeros(P: NDArray[np.floating], floor: float) -> Floats:
    """Replace zeros: those of a row share the mass `floor`, and the row is divided by its new sum.

    The share of a zero is at most half of the smallest positive probability of its row, so the order of the classes is
    kept. Rows without zeros are unchanged.

    Returns
    -------
    ndarray of shape (n, q)
        Positive probabilities.

    Examples
    --------
    >>> without_zeros(np.array([[1.0, 0.0], [0.999, 0.001]]), 0.25).tolist()
    [[0.8, 0.2], [0.999, 0.001]]
    """
    positive: Floats = np.array(P, dtype=np.float64)
    if not positive.all():
        rows = np.flatnonzero(positive == 0) // positive.shape[1]  # sorted, once for each zero
        rows = rows[np.append(True, rows[1:] > rows[:-1])]
        changed = positive[rows]
        zero = changed == 0
        least = np.where(zero, np.inf, changed).min(axis=1) / 2
        share = np.maximum(np.minimum(floor / zero.sum(axis=1), least), SMALLEST)
        changed[zero] = np.broadcast_to(share[:, None], zero.shape)[zero]
        positive[rows] = changed / changed.sum(axis=1, keepdims=True)
    return positive


def log_probabilities(P: NDArray[np.floating], floor: float | None = None) -> tuple[Floats, float]:
    """Return finite log-probabilities.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.
    floor : float, optional
        Mass that the zeros of a row share; `least_positive(P)` by default.

    Returns
    -------
    L : ndarray of shape (n, q)
        Log-probabilities.
    floor : float
        The mass that was used.

    Examples
    --------
    >>> L, floor = log_probabilities(np.array([[1.0, 0.0], [0.75, 0.25]]))
    >>> floor, np.exp(L).round(3).tolist()
    (0.125, [[0.889, 0.111], [0.75, 0.25]])
    """
    floor = least_positive(P) if floor is None else floor
    return np.log(without_zeros(P, floor)), floor
