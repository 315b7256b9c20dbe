"""An independent solver of the group penalty: proximal gradient steps written from the formulas."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp, softmax

from softreg.typing import Float64Array, IntArray


def least_objective(
    X: Float64Array,
    Y: Float64Array,
    strength: float,
    ridge: float = 0.0,
    v: Float64Array | None = None,
    bias: bool = True,
    groups: IntArray | None = None,
) -> float:
    """Return the least objective by a long run of proximal gradient steps with momentum and restarts."""
    codes = np.arange(X.shape[1]) if groups is None else groups
    size = np.bincount(codes)[codes]

    def norms(W: Float64Array) -> Float64Array:
        return np.sqrt(np.bincount(codes, weights=(W**2).sum(axis=1)))[codes]

    (n, d), q = X.shape, Y.shape[1]
    share = np.full(n, 1 / n) if v is None else v / v.sum()

    def objective(W: Float64Array, b: Float64Array) -> float:
        o = X @ W + b
        loss = share @ (logsumexp(o, axis=1) - (Y * o).sum(axis=1))
        return float(loss + strength * (np.sqrt(q / size) * norms(W)).sum() + ridge / 2 * (W**2).sum())

    # in columns of unit spread; those of a group are scaled together, so that its penalty remains a norm
    scale = X.std(axis=0) if bias else np.sqrt((X**2).mean(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    scale = np.exp(np.bincount(codes, weights=np.log(scale)) / np.bincount(codes))[codes]
    Z = (X - X.mean(axis=0) * bias) / scale
    step = 1 / (0.5 * max(1.0, float(np.linalg.eigvalsh((Z * share[:, None]).T @ Z)[-1])) + ridge / scale.min() ** 2)
    radius = strength * np.sqrt(q * size) / scale
    U, c = np.zeros((d, q)), np.zeros(q)
    V, e, momentum = U, c, 1.0
    for _ in range(20_000):
        R = share[:, None] * (softmax(Z @ V + e, axis=1) - Y)
        A = V - step * (Z.T @ R + (ridge / scale**2)[:, None] * V)
        norm = norms(A)
        U1 = A * np.maximum(1 - step * radius / np.maximum(norm, 1e-300), 0)[:, None]
        c1 = e - step * R.sum(axis=0) if bias else c
        restart = ((V - U1) * (U1 - U)).sum() + ((e - c1) * (c1 - c)).sum() > 0
        moved = np.abs(U1 - U).max() + np.abs(c1 - c).max()
        momentum = 1.0 if restart else momentum
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        V, e = U1 + (momentum - 1) / following * (U1 - U), c1 + (momentum - 1) / following * (c1 - c)
        U, c, momentum = U1, c1, following
        if moved < 1e-12:
            break
    W = U / scale[:, None]
    return objective(W, c - (X.mean(axis=0) * bias) @ W)
