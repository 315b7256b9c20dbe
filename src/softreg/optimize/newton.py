"""Newton's method with the exact Hessian, for models of few parameters, and the proof that its decrement gives.

The classes share one redundant direction (softmax ignores what is added to all of them), so the Hessian is formed for
q - 1 orthonormal contrasts of the classes, where it is positive definite.

The certificate: for any direction v, the loss h(t) = F(theta + t v) has |h'''| <= s h'' with s the largest range, over
the rows, of the change of their logits (the third cumulant of a variable of range s is at most s times its variance).
With the Newton decrement delta and R such that s <= R ||v||_H this integrates to

    F - F* <= (u + (1 - u) log(1 - u)) / R^2   with u = R delta < 1,

which is delta^2 / 2 for small u. The argument follows Bach (2010), Self-concordant analysis for logistic regression.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl

from softreg.optimize.objective import Objective
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums


def contrasts(q: int) -> Array:
    """Orthonormal columns (q, q - 1), each of sum zero (Helmert's).

    Example:
        >>> contrasts(2).round(4).T
        array([[ 0.7071, -0.7071]])
    """
    T = np.zeros((q, q - 1))
    for k in range(1, q):
        T[:k, k - 1] = 1.0
        T[k, k - 1] = -k
    return np.asarray(T / np.linalg.norm(T, axis=0))


RUN = 1024
"""Rows at a time whose weighted copies stay in the cache (measured: half the time of whole blocks)."""


def _add_curvature(H: Array, Z: Array, P: Array, V: Array | None, T: Array) -> None:
    """Add `sum_i V_i T^T (diag(p_i) - p_i p_i^T) T (x) z_i z_i^T` of each model to H (m, a, k, a, k)."""
    Q = np.einsum("qa,mqb->mab", T, P)
    for j in range(len(P)):
        for r in range(T.shape[1]):
            for c in range(r + 1):
                share = T[:, r] * T[:, c] @ P[j] - Q[j, r] * Q[j, c]
                if V is not None:
                    share *= V[j % len(V)]
                half = Z.T @ (Z * share[:, None])
                H[j, r, :, c] += half
                if c < r:
                    H[j, c, :, r] += half.T


class Newton:
    """Directions from the exact Hessian of each model."""

    proves = True
    goal = 1e-13

    def __init__(self) -> None:
        self.factors: list[tuple[Array, bool]] = []

    def direction(self, objective: Objective, theta: Array, G: Array) -> Array:
        """The Newton direction (m, q, d + 1) at parameters `theta` with gradient `G`."""
        T = contrasts(objective.q)
        self.factors = [_factor(H) for H in self._hessian(objective, T)]
        reduced = np.einsum("qa,mqd->mad", T, G)
        D = np.stack([-_solve(f, g.ravel()).reshape(g.shape) for (f, _), g in zip(self.factors, reduced, strict=True)])
        return np.asarray(np.einsum("qa,mad->mqd", T, D))

    def _hessian(self, objective: Objective, T: Array) -> Array:
        """Hessians (m, p, p) for p = (q - 1) x (d + 1) parameters."""
        m, a, k = objective.m, T.shape[1], objective.rows.d + 1
        shift, scale = objective.coordinates.for_block()
        objective.half_passes += 1

        def part(block: Block) -> Sums:
            P, _ = loss.probabilities(block.memory["logits"].astype(np.float64))
            V = objective.weights(block)
            Z = block.standardised(shift, scale).astype(np.float64)
            Z = np.concatenate([Z, np.full((len(Z), 1), float(objective.fit_intercept))], axis=1)
            H = np.zeros((m, a, k, a, k))
            for at in range(0, len(Z), RUN):
                run = slice(at, at + RUN)
                _add_curvature(H, Z[run], P[:, :, run], None if V is None else V[:, run], T)
            return (H,)

        H = objective.rows.sum(part)[0] / objective.mass[:, None, None, None, None]
        index = np.arange(k)
        for r in range(a):
            H[:, r, index, r, index] += objective.ridge
        return np.asarray(H.reshape(m, a * k, a * k))

    def decrement_bound(self, objective: Objective, G: Array) -> Array:
        """The certified gap (m,) at gradient `G`; inf where it proves nothing, as with a Hessian bent to be factored.

        Call it right after `direction` at the same parameters.
        """
        T = contrasts(objective.q)
        reduced = np.einsum("qa,mqd->mad", T, G)
        bounds = np.full(objective.m, np.inf)
        for j, ((f, exact), g) in enumerate(zip(self.factors, reduced, strict=True)):
            if exact:
                delta = float(np.sqrt(max(0.0, g.ravel() @ _solve(f, g.ravel()))))
                bounds[j] = self_concordant_gap(delta, _range_bound(objective, f, T.shape[1]))
        return bounds

    def telling(self, objective: Objective, theta: Array, G: Array, D: Array) -> Array:
        """Newton's own direction: what converges hardly moves, what runs away moves by about 1."""
        return D

    def learn(self, step: Array, change: Array) -> None:
        """Nothing to remember: each Hessian is exact."""

    def leave(self, keep: Array) -> None:
        """Only the models marked in `keep` stay."""
        self.factors = [f for f, k in zip(self.factors, keep, strict=False) if k]

    def forget(self) -> None:
        """Nothing was remembered."""


def self_concordant_gap(decrement: float, R: float) -> float:
    """`(u + (1 - u) log(1 - u)) / R^2` with `u = R * decrement`; inf for u >= 1.

    Example:
        >>> round(self_concordant_gap(1e-3, 1.0) / 5e-7, 3)
        1.0
    """
    u = R * decrement
    if u >= 1 or not np.isfinite(u):
        return float("inf")
    if u < 1e-4:  # the series: the closed form would cancel
        return decrement**2 * (0.5 + u / 6 + u * u / 12 * 1.001)
    return float((u + (1 - u) * np.log1p(-u)) / R**2)


def _range_bound(objective: Objective, factor: Array, a: int) -> float:
    """R with `range of a row's change of logits <= R ||v||_H`: from the leverage of the rows."""
    k = objective.rows.d + 1
    inverse = _solve(factor, np.eye(len(factor)))
    trace = inverse.reshape(a, k, a, k).trace(axis1=0, axis2=2)
    shift, scale = objective.coordinates.for_block()
    objective.half_passes += 1

    def part(block: Block) -> Array:
        Z = block.standardised(shift, scale).astype(np.float64)
        Z = np.concatenate([Z, np.full((len(Z), 1), float(objective.fit_intercept))], axis=1)
        return np.array([np.einsum("ij,ij->i", Z @ trace, Z).max()])

    return float(np.sqrt(2 * max(0.0, objective.rows.map(part).max())))


def _factor(H: Array) -> tuple[Array, bool]:
    """A lower Cholesky factor of H, and whether H was factored as it is.

    H is scaled to a unit diagonal first, so that a column with a huge ridge does not drown the others.
    """
    size = np.diag(H)
    size = np.sqrt(np.where(size > 0, size, 1.0))  # a column that never varies, without penalty: its weight stays 0
    unit = H / size / size[:, None]
    unit[np.diag_indices_from(unit)] = 1.0
    for jitter in (0.0, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3):
        try:
            L = np.linalg.cholesky(unit + jitter * np.eye(len(H)))
        except np.linalg.LinAlgError:
            continue
        if jitter or np.diag(L).min() > 1e-7:
            return size[:, None] * L, jitter == 0.0
    return np.diag(size), False


def _solve(L: Array, g: Array) -> Array:
    return np.asarray(sl.cho_solve((L, True), g, check_finite=False))
