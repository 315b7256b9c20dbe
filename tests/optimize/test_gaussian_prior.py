"""Fits with a precision matrix of all parameters, and the Hessian of the summed loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from softreg.optimize import Status, l2, minimise
from softreg.optimize.gaussian_prior import loss_precision, minimise_with_prior
from softreg.optimize.problem.quadratic_form import QuadraticForm
from softreg.rows import as_rows
from softreg.typing import Array


def drawn(seed: int) -> tuple[Array, Array, int, QuadraticForm]:
    rng = np.random.default_rng(seed)
    n, d, q = rng.integers(20, 120), rng.integers(1, 5), rng.integers(2, 5)
    X = rng.normal(size=(n, d)) * rng.uniform(0.2, 3, d) + rng.normal(size=d) * 3
    if seed % 3 == 0:
        X[:, 0] = 2.5  # a constant column: its weights are determined by the prior
    p = q * (d + 1)
    A = rng.normal(size=(p + 2, p))
    return X, rng.integers(0, q, n), int(q), QuadraticForm(rng.normal(size=(q, d + 1)), A.T @ A)


def objective(z: Array, X: Array, y: Array, prior: QuadraticForm) -> tuple[float, Array]:
    n, d = X.shape
    q = len(prior.center)
    T, Y = z.reshape(q, d + 1), np.eye(q)[y]
    o = X @ T[:, :d].T + T[:, d]
    top = o.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(o - top).sum(axis=1))
    R = (np.exp(o - total[:, None]) - Y) / n
    v = z - prior.center.ravel()
    value = (total - (o * Y).sum(axis=1)).mean() + v @ prior.matrix @ v / (2 * n)
    G = np.concatenate([R.T @ X, R.sum(axis=0)[:, None]], axis=1)
    return value, G.ravel() + prior.matrix @ v / n


@pytest.mark.parametrize("seed", range(9))
def test_the_mode_is_certified_and_that_of_scipy(seed: int) -> None:
    X, y, q, prior = drawn(seed)
    fit = minimise_with_prior(as_rows(X, y), q, prior, tol=1e-10)
    options = {"gtol": 1e-10, "maxiter": 5000}
    reference = minimize(objective, prior.center.ravel(), (X, y, prior), "BFGS", jac=True, options=options)
    assert fit.status is Status.CONVERGED
    assert fit.bound == "self-concordance"
    assert fit.value == pytest.approx(reference.fun, abs=1e-9)
    assert fit.value - fit.gap <= reference.fun + 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_the_precision_of_the_loss_is_its_second_derivative(seed: int) -> None:
    X, y, q, prior = drawn(seed)
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(X.shape[1], q)), rng.normal(size=q)
    H = loss_precision(as_rows(X, y), W, b, diagonal=False)
    none = QuadraticForm(prior.center, np.zeros_like(prior.matrix))
    z, h = np.concatenate([W.T, b[:, None]], axis=1).ravel(), 1e-5
    steps = h * np.eye(len(z))
    by_hand = [(objective(z + s, X, y, none)[1] - objective(z - s, X, y, none)[1]) * len(y) / (2 * h) for s in steps]
    np.testing.assert_allclose(H, by_hand, atol=1e-5 * np.abs(H).max())
    diagonal = loss_precision(as_rows(X, y), W, b, diagonal=True)
    np.testing.assert_allclose(np.diag(H).reshape(diagonal.shape), diagonal, rtol=1e-9, atol=1e-9)


def test_yesterdays_posterior_and_todays_rows_are_all_rows_to_second_order() -> None:
    rng = np.random.default_rng(1)
    d, q, strength = 4, 3, 1.0
    truth = rng.normal(size=(d, q))
    errors = []
    for n in (2_000, 8_000, 32_000):
        X = rng.normal(size=(n, d)) + 1
        P = np.exp(X @ truth)
        y = (rng.random(n)[:, None] > np.cumsum(P / P.sum(axis=1, keepdims=True), axis=1)).sum(axis=1)
        half = n // 2
        (first,) = minimise(as_rows(X[:half], y[:half]), q, l2(strength / half), tol=1e-12)
        precision = loss_precision(as_rows(X[:half], y[:half]), first.W, first.b, diagonal=False)
        precision += np.diag(np.tile(np.append(np.full(d, strength), 0.0), q))
        mean = np.concatenate([first.W.T, first.b[:, None]], axis=1)
        both = minimise_with_prior(as_rows(X[half:], y[half:]), q, QuadraticForm(mean, precision), tol=1e-12)
        (whole,) = minimise(as_rows(X, y), q, l2(strength / n), tol=1e-12)
        errors.append(np.abs(both.W - whole.W).max() / np.abs(first.W - whole.W).max())
    assert errors[0] < 0.1  # of the distance that today's rows move the estimate
    assert errors[2] < errors[0]
