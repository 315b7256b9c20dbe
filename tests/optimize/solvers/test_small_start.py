"""Compiled Newton steps for few numbers: the minimum, what they are left out for, and that a proof follows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression
from softreg.optimize import elastic_net, l2, minimisation, minimise
from softreg.optimize.solvers import small_start
from softreg.rows import as_rows
from softreg.rows.kernels import products
from softreg.rows.kernels.small_newton import small_newton, standard_columns

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
@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("k", [2, 5, 9, 18])
@pytest.mark.parametrize("n", [8, 61, 300, 1000])
def test_gradient_loss_and_logits_are_those_at_the_result(q, k, n):
    random = np.random.default_rng(n + k)
    Z = np.concatenate([random.standard_t(2, size=(k - 1, n)), np.ones((1, n))])
    y, w, ridge = random.integers(0, q, n), random.random(n), np.append(random.uniform(1e-4, 1e-2, k - 1), 0.0)
    y[:q] = np.arange(q)
    w /= w.sum()
    found = []
    for exact in (False, True) if q == 2 else (False,):
        theta = np.zeros((q, k))
        fit = small_newton(Z, y, w, ridge, theta, goal=1e-5, max_steps=60, exact=exact, with_logits=not exact)
        assert fit is not None
        assert fit.converged
        o = theta @ Z
        P = np.exp(o - o.max(axis=0))
        P /= P.sum(axis=0)
        assert fit.loss == pytest.approx(-(w * np.log(P[y, np.arange(n)])).sum(), rel=1e-9)
        P[y, np.arange(n)] -= 1
        np.testing.assert_allclose(fit.gradient, (w * P) @ Z.T, atol=1e-12)
        np.testing.assert_allclose(fit.gradient[:, -1], 0.0, atol=1e-12)  # the bias is balanced
        if not exact:
            np.testing.assert_allclose(fit.logits, o, atol=1e-10)
        found.append(fit.loss + (ridge * theta**2).sum() / 2)
    assert max(found) - min(found) <= 1e-5


@compiled
def test_the_loss_of_confident_rows_has_all_its_digits():
    Z, theta = np.array([[-40.0, 40.0] * 4, [1.0] * 8]), np.zeros((2, 2))
    fit = small_newton(
        Z, np.array([0, 1] * 4), np.full(8, 1 / 8), np.array([1e-9, 0.0]), theta, goal=1e-15, max_steps=60, exact=True
    )
    assert fit is not None
    assert fit.loss == pytest.approx(np.log1p(np.exp(-40 * (theta[1, 0] - theta[0, 0]))), rel=1e-12)
    assert 0 < fit.loss < 1e-8


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_standard_columns_are_written_in_float64(dtype):
    random = np.random.default_rng(0)
    X, shift, scale = random.normal(size=(37, 3)).astype(dtype), random.normal(size=3), random.random(3) + 0.5
    out = np.zeros((4, 40))
    assert standard_columns(X, shift, scale, 0.5, 2, out)
    np.testing.assert_allclose(out[:3, 2:39], ((X.astype(np.float64) - shift) / scale).T, rtol=1e-15)
    assert (out[3, 2:39] == 0.5).all()
    assert (out[:, :2] == 0).all()
    assert (out[:, 39:] == 0).all()
    assert not standard_columns(X.astype(int), shift, scale, 0.5, 2, out)


@compiled
@pytest.mark.parametrize(("n", "d"), [(20_000, 4), (3_000, 60), (511, 5), (512, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_classes_with_many_rows_have_exact_steps(monkeypatch, n, d, dtype):
    X, y = problem(n=n, d=d, q=2)
    X = X.astype(dtype)
    rows = as_rows(X, y)
    (fit,) = minimise(rows, 2, l2(1e-4))
    monkeypatch.setattr(small_start, "MAX_EXACT_NUMBERS", 0)
    monkeypatch.setattr(small_start, "MAX_NUMBERS", 0)
    (alone,) = minimise(rows, 2, l2(1e-4))
    assert fit.certified
    assert fit.gap <= 1e-6
    assert fit.plan == alone.plan
    X = X.astype(np.float64)
    lowest = objective(X, y, alone, 1e-4)
    assert objective(X, y, fit, 1e-4) <= lowest + 1e-9
    assert fit.value == pytest.approx(objective(X, y, fit, 1e-4), abs=1e-12)
    np.testing.assert_allclose(fit.W, alone.W, rtol=1e-4, atol=1e-5 * np.abs(alone.W).max())


@compiled
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("q", [2, 4])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6, 1e-9])
def test_the_gap_is_an_upper_bound_at_every_tolerance(l1_ratio, q, tol):
    X, y = problem(n=120, d=30, q=q, seed=3)
    X = np.clip(X, -30, 30)
    penalty = elastic_net(1e-3, l1_ratio)
    (best,) = minimise(as_rows(X, y), q, penalty, tol=1e-11)
    (fit,) = minimise(as_rows(X, y), q, penalty, tol=tol)
    assert fit.certified
    assert fit.value - best.value <= fit.gap + 1e-13
    assert fit.gap <= tol
    if tol > 1e-8:  # finer gaps with an l1 part alone are left to the method of the plan
        assert fit.history[-1].gap == fit.gap


@compiled
def test_a_coarse_tolerance_takes_fewer_steps():
    X, y = problem(n=200, d=20, q=2)
    steps = [minimise(as_rows(X, y), 2, l2(1e-5), tol=tol)[0].n_iter for tol in (1e-2, 1e-4, 1e-6)]
    assert steps == sorted(steps)
    assert steps[0] < steps[2]


@compiled
def test_the_method_of_the_plan_goes_on_where_the_gap_is_not_proved(monkeypatch):
    X, y = problem()
    rows = as_rows(X, y)
    (proved,) = minimise(rows, 5, l2(1e-3))
    monkeypatch.setattr(small_start, "_certified", lambda *args: (np.inf, np.inf))
    (fit,) = minimise(rows, 5, l2(1e-3))
    assert fit.certified
    assert fit.n_iter > proved.n_iter
    np.testing.assert_allclose(fit.W, proved.W, atol=1e-6)


@compiled
def test_few_numbers_with_more_columns_than_a_working_set_needs():
    random = np.random.default_rng(4)
    X = random.normal(size=(40, 700)).astype(np.float32)
    y = (X[:, :3].sum(axis=1) + random.logistic(size=40) > 0).astype(int)
    (fit,) = minimise(as_rows(X, y), 2, elastic_net(1e-3, 1.0))
    (alone,) = minimise(as_rows(X, y), 2, elastic_net(1e-3, 1.0), solver="working-set")
    assert fit.certified
    assert alone.certified
    assert fit.plan is not None
    assert fit.plan.name == "working-set"
    assert abs(fit.value - alone.value) <= 1e-6


@compiled
@pytest.mark.parametrize("q", [2, 4])
@pytest.mark.parametrize("scale", [1.0, 1e-14])
@pytest.mark.parametrize("weighted", [False, True])
def test_few_rows_of_many_columns_are_the_same_in_their_own_space(monkeypatch, q, scale, weighted):
    X, y = problem(n=40, d=300, q=q)
    X[:, 7] *= scale
    weights = np.random.default_rng(1).random(len(y)) if weighted else None
    rows = as_rows(X, y, None if weights is None else weights[None])
    (fit,) = minimise(rows, q, l2(1e-2))
    monkeypatch.setattr(minimisation, "MAX_KINKED_NUMBERS", 0)
    (alone,) = minimise(rows, q, l2(1e-2))
    assert fit.certified
    assert fit.plan == alone.plan
    np.testing.assert_allclose(fit.W, alone.W, rtol=1e-4, atol=1e-6 * np.abs(alone.W).max())
    assert fit.value == pytest.approx(objective(X, y, fit, 1e-2, weights), rel=1e-9)


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
