"""Compiled Newton steps for few numbers: the minimum, what they are left out for, and that a proof follows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression
from softreg.optimize import elastic_net, l2, minimise
from softreg.optimize.solvers import small_start
from softreg.rows import as_rows
from softreg.rows.kernels import products
from softreg.rows.kernels.small_newton import small_newton

compiled = pytest.mark.skipif(
    products._module is None or not hasattr(products._module, "small_newton"), reason="no compiled kernels"
)


def problem(n=90, d=7, q=5, seed=0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * 10 ** random.uniform(-2, 2, d) + random.normal(size=d)
    y = random.integers(0, q, n)
    y[:q] = np.arange(q)
    return X, y


def objective(X, y, fit, strength, weights=None):
    o = X @ fit.W + fit.b
    o -= o.max(axis=1, keepdims=True)
    loss = np.log(np.exp(o).sum(axis=1)) - o[np.arange(len(y)), y]
    return np.average(loss, weights=weights) + strength / 2 * (fit.W**2).sum()


@compiled
@pytest.mark.parametrize("n", [3, 8, 61])
@pytest.mark.parametrize("q", [2, 3])
def test_the_gradient_vanishes_at_the_result(n, q):
    random = np.random.default_rng(n)
    Z = np.concatenate([random.normal(size=(4, n)), np.ones((1, n))])
    y, w, ridge = np.arange(n) % q, random.random(n), np.array([0.1, 0.01, 0.5, 0.2, 0.0])
    w /= w.sum()
    theta = np.zeros((q, 5))
    fit = small_newton(Z, y, w, ridge, theta, goal=1e-12, max_steps=40)
    assert fit is not None
    assert fit.converged
    P = np.exp(theta @ Z - (theta @ Z).max(axis=0))
    P /= P.sum(axis=0)
    P[y, np.arange(n)] -= 1
    np.testing.assert_allclose((w * P) @ Z.T + ridge * theta, 0.0, atol=1e-9)
    assert (np.diff(fit.values) <= 1e-12).all()
    np.testing.assert_allclose(theta.sum(axis=0), 0.0, atol=1e-12)


@compiled
def test_steps_that_do_not_reach_the_goal_are_reported():
    Z, theta = np.vstack([np.arange(6.0), np.ones(6)]), np.zeros((2, 2))
    fit = small_newton(Z, np.arange(6) // 3, np.full(6, 1 / 6), np.array([1e-6, 0.0]), theta, goal=1e-14, max_steps=2)
    assert fit is not None
    assert not fit.converged
    assert fit.steps == 2


@compiled
@pytest.mark.parametrize("store", [np.asarray, np.float32, sp.csr_array])
@pytest.mark.parametrize("q", [2, 5, 40])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_minimum_is_that_of_the_method_alone(monkeypatch, store, q, weighted, intercept):
    X, y = problem(q=q)
    weights = np.random.default_rng(1).random(len(y)) if weighted else None
    rows = as_rows(store(X), y, None if weights is None else weights[None])
    (fit,) = minimise(rows, q, l2(1e-3), fit_intercept=intercept)
    monkeypatch.setattr(small_start, "MAX_NUMBERS", 0)
    (alone,) = minimise(rows, q, l2(1e-3), fit_intercept=intercept)
    assert fit.status == alone.status == "converged"
    assert fit.gap <= 1e-6
    assert fit.bound == "duality"
    assert fit.plan == alone.plan
    assert abs(objective(X, y, fit, 1e-3, weights) - objective(X, y, alone, 1e-3, weights)) <= 2e-6
    assert len(fit.history) >= fit.n_iter
    passes = [entry.passes for entry in fit.history]
    assert passes == sorted(passes)
    assert passes[-1] <= fit.passes


@compiled
def test_separated_classes_and_a_small_strength():
    X = np.concatenate([np.full((20, 3), -1.0), np.full((20, 3), 1.0)]) + np.random.default_rng(0).normal(
        size=(40, 3), scale=0.1
    )
    model = SoftmaxRegression(1e-9).fit(X, np.arange(40) // 20)
    assert model.solution_.certified
    assert model.solution_.gap <= 1e-6
    assert model.score(X, np.arange(40) // 20) == 1.0


def test_the_iterations_of_the_caller_are_an_upper_bound():
    X, y = problem()
    (fit,) = minimise(as_rows(X, y), 5, l2(1e-6), max_iter=2)
    assert fit.n_iter <= 2
    assert fit.status == "stopped at max_iter"


# --- with an l1 part --------------------------------------------------------------------------------------------------


@compiled
@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("ridge", [0.0, 0.05])
def test_the_subgradient_holds_zero_at_the_result_with_an_l1_part(q, ridge):
    random = np.random.default_rng(q)
    n = 61
    Z = np.concatenate([random.normal(size=(6, n)), np.ones((1, n))])
    y, w = np.arange(n) % q, random.random(n)
    w /= w.sum()
    ridges, kink = np.append(np.full(6, ridge), 0.0), np.append(np.full(6, 0.07), 0.0)
    theta = np.zeros((q, 7))
    fit = small_newton(Z, y, w, ridges, theta, goal=1e-13, max_steps=60, kink=kink)
    assert fit is not None
    assert fit.converged
    P = np.exp(theta @ Z - (theta @ Z).max(axis=0))
    P /= P.sum(axis=0)
    P[y, np.arange(n)] -= 1
    G = (w * P) @ Z.T + ridges * theta
    if q == 2:  # each class has half of the difference of the weights
        np.testing.assert_allclose(theta[0], -theta[1], atol=1e-14)
        G, theta = (G[1:] - G[:1]) / 2, theta[1:] - theta[:1]
    assert 0 < np.count_nonzero(theta) < theta.size
    zero = theta == 0
    np.testing.assert_allclose((G + kink * np.sign(theta))[~zero], 0.0, atol=1e-5)
    assert (np.abs(G)[zero] <= (np.broadcast_to(kink, G.shape)[zero] + 1e-5)).all()
    assert (np.diff(fit.values) <= 1e-12).all()


@compiled
@pytest.mark.parametrize("store", [np.asarray, np.float32, sp.csr_array])
@pytest.mark.parametrize("q", [2, 4])
@pytest.mark.parametrize("l1_ratio", [0.3, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("columns", [7, 600])
def test_the_minimum_with_an_l1_part_is_that_of_the_method_alone(
    monkeypatch, store, q, l1_ratio, weighted, intercept, columns
):
    X, y = problem(d=columns, q=q, n=60)
    X = np.clip(X, -30, 30)
    weights = np.random.default_rng(1).random(len(y)) if weighted else None
    rows = as_rows(store(X), y, None if weights is None else weights[None])
    penalty = elastic_net(3e-3, l1_ratio)
    (fit,) = minimise(rows, q, penalty, fit_intercept=intercept)
    monkeypatch.setattr(small_start, "MAX_NUMBERS", 0)
    (alone,) = minimise(rows, q, penalty, fit_intercept=intercept)
    assert fit.status == alone.status == "converged"
    assert fit.gap <= 1e-6
    assert abs(fit.value - alone.value) <= 2e-6
    assert fit.plan is not None
    assert alone.plan is not None
    assert fit.plan.name == alone.plan.name


@compiled
def test_bounds_and_supports_are_left_to_the_method_of_the_plan(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("compiled steps know no bounds")

    monkeypatch.setattr(small_start, "small_newton", refuse)
    X, y = problem()
    model = SoftmaxRegression(1e-3, penalty="l1", bounds=(0.0, np.inf)).fit(X, y)
    assert (model.coef_ >= 0).all()
    assert model.solution_.certified
