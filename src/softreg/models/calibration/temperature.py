"""Temperature and vector scaling: the multinomial model whose features are the log-probabilities of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from softreg.probability import log_softmax, softmax

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
STEPS = 60
"""Newton steps at most; five are usual."""
NEAR = 1e-12
"""Nats: the fit ends where half the Newton decrement is below it."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """`softmax(scale * log P + bias)`, with `scale` and `bias` (q,): one number for all classes is a temperature.

    >>> Scaling(np.array([2.0, 2.0]), np.zeros(2)).apply(np.log([[0.8, 0.2]])).round(3)
    array([[0.941, 0.059]])
    """

    scale: Floats
    bias: Floats

    def apply(self, L: Floats) -> Floats:
        """Probabilities (n, q) for log-probabilities L (n, q)."""
        return cast(Floats, softmax(L * self.scale + self.bias))

    def losses(self, L: Floats, y: Codes) -> Floats:
        """Surprisal (n,) of the labels in nats."""
        o = log_softmax(L * self.scale + self.bias)
        return cast(Floats, -o[np.arange(len(y)), y])


def fit_scaling(L: Floats, y: Codes, *, shared: bool, strength: float | None = None) -> Scaling:
    """Fit scale and bias to labelled log-probabilities by Newton's method; the optimum is unique.

    Minimises over s (q,), b (q,)

    (1 / n) sum_i CE(y_i, softmax(s * L_i + b)) + strength / 2 * (||s - 1||^2 + ||b||^2)

    `shared`: one s for all classes and no bias (a temperature 1 / s).

    Parameters
    ----------
    L : ndarray
        (n, q), finite.
    y : Codes
        Codes (n,). `strength` is 1 / n unless given: it holds the classes of few rows to what they were.

    Returns
    -------
    Scaling
        Fit scale and bias to labelled log-probabilities by Newton's method; the optimum is unique.

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

    def at(theta: Floats) -> Scaling:
        return Scaling(np.full(q, theta[0]), np.zeros(q)) if shared else Scaling(theta[:q], theta[q:])

    def value(theta: Floats) -> float:
        return float(at(theta).losses(L, y).mean() + 0.5 * ridge @ (theta - start) ** 2)

    theta, now = start, value(start)
    for _ in range(STEPS):
        gradient, hessian = _derivatives(at(theta).apply(L), L, y, shared)
        gradient = gradient + ridge * (theta - start)
        hessian[np.diag_indices_from(hessian)] += ridge + 1e-12 * (1 + np.trace(hessian))
        step = -np.linalg.solve(hessian, gradient)
        decrement = float(-gradient @ step)
        if decrement <= 2 * NEAR:
            break
        length = 1.0
        while (after := value(theta + length * step)) > now - 1e-4 * length * decrement and length > 1e-9:
            length /= 2
        if length <= 1e-9:  # what is left is rounding
            break
        theta, now = theta + length * step, after
    return at(theta)


def _derivatives(P: Floats, L: Floats, y: Codes, shared: bool) -> tuple[Floats, Floats]:
    """Return gradient and Hessian of the mean cross-entropy in (s, b), or in the one s that is shared."""
    n, q = P.shape
    weighted = P * L
    given = L[np.arange(n), y]
    if shared:
        mean = weighted.sum(axis=1)
        variance = np.einsum("nq,nq->n", weighted, L) - mean**2
        return np.array([(mean - given).mean()]), np.array([[max(float(variance.mean()), 0.0)]])
    gradient = np.concatenate(
        [weighted.sum(axis=0) - np.bincount(y, given, minlength=q), P.sum(axis=0) - np.bincount(y, minlength=q)]
    )
    B = np.hstack([weighted, P])
    hessian = -(B.T @ B)
    k = np.arange(q)
    hessian[k, k] += np.einsum("nq,nq->q", weighted, L)
    hessian[k, q + k] += weighted.sum(axis=0)
    hessian[q + k, k] += weighted.sum(axis=0)
    hessian[q + k, q + k] += P.sum(axis=0)
    return gradient / n, hessian / n


def least_positive(P: NDArray[np.floating]) -> float:
    """Half the smallest number above zero: what the zeros of a row are read as, together. A forest's is half a vote.

    Returns
    -------
    float
        Half the smallest number above zero: what the zeros of a row are read as, together. A forest's is half a vote.

    Examples
    --------
    >>> least_positive(np.array([[1.0, 0.0], [0.75, 0.25]]))
    0.125
    """
    P = np.asarray(P, dtype=np.float64)
    return float(P[P > 0].min()) / 2 or 5e-324


def without_zeros(P: NDArray[np.floating], floor: float) -> Floats:
    """Probabilities (n, q) in which the zeros of a row share the mass `floor`; a row without zeros stays as it is.

    The share of a zero is at most half the row's own smallest positive number, so that the order of classes stays, and
    rows with zeros are divided by their new sum.

    Returns
    -------
    ndarray
        Probabilities (n, q) in which the zeros of a row share the mass `floor`; a row without zeros stays as it is.

    Examples
    --------
    >>> without_zeros(np.array([[1.0, 0.0], [0.999, 0.001]]), 0.25).tolist()
    [[0.8, 0.2], [0.999, 0.001]]
    """
    positive: Floats = np.array(P, dtype=np.float64)
    rows = np.flatnonzero((positive == 0).any(axis=1))
    if len(rows):
        some = positive[rows]
        zero = some == 0
        least = np.where(zero, np.inf, some).min(axis=1) / 2
        share = np.maximum(np.minimum(floor / zero.sum(axis=1), least), 5e-324)
        some[zero] = np.broadcast_to(share[:, None], zero.shape)[zero]
        positive[rows] = some / some.sum(axis=1, keepdims=True)
    return positive


def log_probabilities(P: NDArray[np.floating], floor: float | None = None) -> tuple[Floats, float]:
    """Finite log-probabilities (n, q) and the floor of their zeros, `least_positive(P)` unless given.

    Returns
    -------
    tuple[ndarray, float]
        Finite log-probabilities (n, q) and the floor of their zeros, `least_positive(P)` unless given.

    Examples
    --------
    >>> L, floor = log_probabilities(np.array([[1.0, 0.0], [0.75, 0.25]]))
    >>> floor, np.exp(L).round(3).tolist()
    (0.125, [[0.889, 0.111], [0.75, 0.25]])
    """
    floor = least_positive(P) if floor is None else floor
    return np.log(without_zeros(P, floor)), floor


def folds(y: Codes, count: int, seed: int) -> NDArray[np.int64]:
    """Return a fold number for each row, so that every class is spread evenly; the same for the same seed.

    Returns
    -------
    ndarray of int64
        A fold number for each row, so that every class is spread evenly; the same for the same seed.

    Examples
    --------
    >>> np.bincount(folds(np.array([0] * 10 + [1] * 5), 5, seed=0)).tolist()
    [3, 3, 3, 3, 3]
    """
    order = np.random.default_rng(seed).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % count
    return fold
