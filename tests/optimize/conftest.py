"""Problems and an independent optimum to compare with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

Array = NDArray[Any]
Problem = Callable[..., tuple[Array, Array]]


@pytest.fixture(scope="session")
def problem() -> Problem:
    """Rows and codes drawn from a softmax model, with classes that overlap."""

    def draw(n: int = 200, d: int = 4, q: int = 3, seed: int = 0, size: float = 1.0) -> tuple[Array, Array]:
        random = np.random.default_rng(seed)
        X = random.normal(size=(n, d))
        X[:, -1] += 0.5 * X[:, 0]  # columns are correlated, as columns are
        o = size * X @ random.normal(size=(d, q)) + random.gumbel(size=(n, q))
        return X, o.argmax(axis=1)

    return draw


@pytest.fixture(scope="session")
def objective_value() -> Callable[..., float]:
    """`F(X, labels, W, b, l2, l1=0, v=None)` in float64, written from the formula."""
    return value


def value(X: Array, labels: Array, W: Array, b: Array, l2: float, l1: float = 0.0, v: Array | None = None) -> float:
    o = np.asarray(X, dtype=np.float64) @ W + b
    Y = np.eye(o.shape[1])[labels] if labels.ndim == 1 else labels
    rows = logsumexp(o, axis=1) - (Y * o).sum(axis=1)
    return float(np.average(rows, weights=v) + l2 / 2 * (W**2).sum() + l1 * np.abs(W).sum())


@pytest.fixture(scope="session")
def exact() -> Callable[..., tuple[Array, Array, float]]:
    """`exact(X, labels, q, l2, v=None, fit_intercept=True)`: W, b and F* in float64, from the formulas."""

    def solve(
        X: Array, labels: Array, q: int, l2: float, v: Array | None = None, fit_intercept: bool = True
    ) -> tuple[Array, Array, float]:
        X = np.asarray(X, dtype=np.float64)
        n, d = X.shape
        Y = np.eye(q)[labels] if labels.ndim == 1 else labels
        share = np.full(n, 1 / n) if v is None else v / v.sum()
        Z = np.hstack([X, np.full((n, 1), float(fit_intercept))])
        ridge = np.r_[np.full(d, l2), 1e-9 if not fit_intercept else 0.0][:, None]

        def loss(flat: Array) -> tuple[float, Array]:
            T = flat.reshape(d + 1, q)
            o = Z @ T
            mass = logsumexp(o, axis=1)
            P = np.exp(o - mass[:, None])
            F = share @ (mass - (Y * o).sum(axis=1)) + (ridge * T * T).sum() / 2
            return float(F), (Z.T @ (share[:, None] * (P - Y)) + ridge * T).ravel()

        def curvature(flat: Array) -> Array:
            o = Z @ flat.reshape(d + 1, q)
            P = np.exp(o - logsumexp(o, axis=1)[:, None])
            C = -P[:, :, None] * P[:, None, :]
            C[:, range(q), range(q)] += P
            H = np.einsum("n,ni,nkl,nj->ikjl", share, Z, C, Z, optimize=True)
            H[range(d + 1), :, range(d + 1), :] += ridge[:, :, None] * np.eye(q)
            H = H.reshape(q * (d + 1), -1)
            ties = np.kron(np.eye(d + 1), np.ones((q, q)))  # the direction that softmax ignores
            return H + 1e-3 * ties

        flat = minimize(loss, np.zeros((d + 1) * q), jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
        for _ in range(50):  # then plain Newton to the last digit
            F, g = loss(flat)
            step = np.linalg.solve(curvature(flat), g)
            t = 1.0
            while loss(flat - t * step)[0] > F + 1e-15 and t > 1e-8:
                t /= 2
            flat = flat - t * step
            if g @ step < 1e-26:
                break
        T = flat.reshape(d + 1, q)
        return T[:-1], T[-1], loss(flat)[0]

    return solve


@pytest.fixture(scope="session")
def lasso() -> Callable[..., float]:
    """`lasso(X, labels, q, l1, l2)`: close to the least F, by L-BFGS-B on the positive and negative parts of W."""

    def solve(X: Array, labels: Array, q: int, l1: float, l2: float) -> float:
        n, d = X.shape
        Y = np.eye(q)[labels] if labels.ndim == 1 else labels
        size = d * q

        def loss(flat: Array) -> tuple[float, Array]:
            up, down, b = flat[:size], flat[size : 2 * size], flat[2 * size :]
            W = (up - down).reshape(d, q)
            o = X @ W + b
            mass = logsumexp(o, axis=1)
            R = (np.exp(o - mass[:, None]) - Y) / n
            F = (mass - (Y * o).sum(axis=1)).mean() + l2 / 2 * (W**2).sum() + l1 * (up + down).sum()
            G = (X.T @ R + l2 * W).ravel()
            return float(F), np.r_[G + l1, l1 - G, R.sum(axis=0)]

        bounds = [(0, None)] * (2 * size) + [(None, None)] * q
        options = {"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-10}
        return float(minimize(loss, np.zeros(2 * size + q), jac=True, bounds=bounds, options=options).fun)

    return solve
