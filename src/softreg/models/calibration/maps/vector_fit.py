"""Structured vector scaling for many classes: a scale and a bias of each class by Newton's method without a Hessian.

The objective is the mean (weighted) cross-entropy of `softmax(s * l + b)`, plus
`strength (||s - t||^2 + ||b||^2) / (2 n)` with the scale t of temperature scaling. Directions are found by conjugate
gradients, which need products with the Hessian (a few operations for each log-probability) and are preconditioned by
its blocks (2, 2), one a class. The certificate uses that n times the Hessian is at least the strength. Leave-one-out
losses use the blocks in place of the Hessian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.calibration.maps.newton_fit import STEPS, NewtonFit, backtrack
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.probability import log_softmax
from softreg.typing import Float64Array, IntArray

TOLERANCE = 1e-8
"""Nats. The steps end when half the squared Newton decrement is below it."""
PRODUCTS = 60
"""Largest number of products with the Hessian for a direction."""
SHARE, FINE = 0.1, 1e-6
"""Residual of conjugate gradients at which a direction is good enough, relative to the gradient: at first, and for the
certificate."""


@dataclass(frozen=True, eq=False)
class VectorObjective:
    """n times the objective, for parameters (2, q): scales and biases."""

    L: Float64Array
    y: IntArray
    strength: float
    center: Float64Array
    weights: Float64Array | None = None

    def value(self, theta: Float64Array) -> tuple[float, Float64Array]:
        """Return the value and the logarithms (n, q) of the probabilities."""
        o = np.asarray(log_softmax(self.L * theta[0] + theta[1]), dtype=np.float64)
        penalty = self.strength / 2 * float(((theta - self.center) ** 2).sum())
        return penalty - float(self._weighted(o[np.arange(len(self.y)), self.y]).sum()), o

    def _weighted(self, values: Float64Array) -> Float64Array:
        """Return values (n,) or (n, q) times the weights of their rows."""
        if self.weights is None:
            return values
        return values * (self.weights if values.ndim == 1 else self.weights[:, None])

    def gradient(self, theta: Float64Array, P: Float64Array) -> Float64Array:
        """Return the gradient (2, q)."""
        q, P = P.shape[1], self._weighted(P)
        own = self._weighted(self.L[np.arange(len(self.y)), self.y])
        occurred = np.bincount(self.y, self.weights, q)
        loss = [np.einsum("nq,nq->q", P, self.L) - np.bincount(self.y, own, q), P.sum(0) - occurred]
        return np.stack(loss) + self.strength * (theta - self.center)

    def product(self, P: Float64Array, direction: Float64Array) -> Float64Array:
        """Return the product of the Hessian and a direction (2, q)."""
        U = self.L * direction[0]
        U += direction[1]
        U -= np.einsum("nq,nq->n", P, U)[:, None]
        U *= self._weighted(P)
        return np.stack([np.einsum("nq,nq->q", U, self.L), U.sum(axis=0)]) + self.strength * direction

    def inverse_blocks(self, P: Float64Array) -> Float64Array:
        """Return the inverses (2, 2, q) of the diagonal blocks of the Hessian."""
        V = self._weighted(P * (1 - P))
        VL = V * self.L
        a = np.einsum("nq,nq->q", VL, self.L) + self.strength
        b, d = VL.sum(axis=0), V.sum(axis=0) + self.strength
        return np.asarray(np.array([[d, -b], [-b, a]]) / (a * d - b * b))


def fit_vector(
    L: Float64Array, y: IntArray, strength: float, scale: float, weights: Float64Array | None = None
) -> NewtonFit:
    """Fit a scale and a bias of each class.

    Parameters
    ----------
    L : ndarray of shape (n, q)
        Log-probabilities.
    y : ndarray of shape (n,)
        Class codes.
    strength : float
        Strength of the penalty of the differences of the scales from `scale`, and of the biases.
    scale : float
        Scale of temperature scaling.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    NewtonFit
        The minimiser, with parameters (2 q,): scales, then biases.

    Examples
    --------
    >>> L = np.log([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    >>> fit = fit_vector(L, np.array([0, 0, 1, 1]), 1e3, 0.5)
    >>> fit.theta[:2].round(2), fit.gap < 1e-7
    (array([0.5, 0.5]), True)
    """
    n = len(y)
    q = L.shape[1]
    center = np.stack([np.full(q, scale), np.zeros(q)])
    objective, theta = VectorObjective(L, y, strength, center, weights), center
    value, o = objective.value(theta)
    for _ in range(STEPS):
        P = np.exp(o)
        g = objective.gradient(theta, P)
        blocks = objective.inverse_blocks(P)
        step, decrement = _direction(objective, P, g, blocks, SHARE)
        if decrement <= 2 * TOLERANCE * n:
            step, decrement = _direction(objective, P, g, blocks, FINE)
        if decrement <= 2 * TOLERANCE * n:
            break
        shorter = backtrack(objective.value, theta, step, value, decrement)
        if shorter is None:
            break
        theta, value, o = shorter
    largest = 2 * (float((L * L).max()) + 1) / strength
    gap = self_concordant_gap(float(np.sqrt(decrement / n)), float(np.sqrt(n * largest)))
    return NewtonFit(theta.ravel(), value / n, gap, _leave_one_out(L, y, o, blocks, weights))


def _direction(
    objective: VectorObjective, P: Float64Array, g: Float64Array, blocks: Float64Array, share: float
) -> tuple[Float64Array, float]:
    """Return a Newton direction by conjugate gradients, and an upper bound of the squared Newton decrement."""
    x, r = np.zeros_like(g), -g
    z = np.einsum("abq,bq->aq", blocks, r)
    p, rz = z, float((r * z).sum())
    enough = share * np.sqrt(rz)
    for _ in range(PRODUCTS):
        if np.sqrt(max(rz, 0.0)) <= enough or rz <= 0:
            break
        Hp = objective.product(P, p)
        length = rz / float((p * Hp).sum())
        x, r = x + length * p, r - length * Hp
        z = np.einsum("abq,bq->aq", blocks, r)
        before, rz = rz, float((r * z).sum())
        p = z + rz / before * p
    # with H x = -g - r: g' H^-1 g = -g' x - r' x + r' H^-1 r
    return x, max(0.0, float(-(g * x).sum() - (r * x).sum() + (r * r).sum() / objective.strength))


def _leave_one_out(
    L: Float64Array, y: IntArray, o: Float64Array, blocks: Float64Array, weights: Float64Array | None
) -> Float64Array:
    """Return leave-one-out losses (n,) with a diagonal leverage a of the logits of each row."""
    # with residual r, (I - (diag(p) - p p') diag(a))^-1 r is solved by the formula of Sherman and Morrison
    rows = np.arange(len(y))
    a = blocks[0, 0] * L * L + 2 * blocks[0, 1] * L + blocks[1, 1]
    a = a if weights is None else a * weights[:, None]
    p = np.exp(o)
    shrink = 1 / (1 - p * a)
    residual = p.copy()
    residual[rows, y] -= 1
    first, second = shrink * residual, shrink * p
    common = (a * first).sum(axis=1) / (1 + (a * second).sum(axis=1))
    change = a * (first - second * common[:, None])
    return np.asarray(-log_softmax(o + change)[rows, y])
