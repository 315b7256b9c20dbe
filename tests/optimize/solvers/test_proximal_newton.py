"""Proximal Newton on a working set of weights: the optima of an independent solver, few iterations, exact zeros."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_breast_cancer, load_digits

from softreg.optimize import elastic_net, minimise
from softreg.optimize.plan import LIMITS
from softreg.optimize.problem.elastic_net import ElasticNet
from softreg.optimize.problem.weighted_elastic_net import WeightedElasticNet, WeightTerms
from softreg.optimize.solvers import proximal_newton
from softreg.probability import softmax
from softreg.rows import as_rows

Array = Any
PRODUCTS = replace(LIMITS, proximal_matrix_weights=0)
"""Limits with which all Hessians are products."""


def check_conditions(X: Array, y: Array, found: Any, l1: float, l2: float) -> None:
    """Check the conditions of an optimum by hand."""
    P = softmax(X @ found.W + found.b)
    residual = P - np.eye(P.shape[1])[y]
    slope = X.T @ residual / len(y) + l2 * found.W
    live = found.W != 0
    np.testing.assert_allclose(slope[live], -l1 * np.sign(found.W[live]), atol=2e-4 * l1)
    assert (np.abs(slope[~live]) <= l1 * (1 + 1e-6)).all()
    np.testing.assert_allclose(residual.mean(axis=0), 0, atol=1e-8)


@pytest.mark.parametrize("q", [2, 3, 6])
@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("limits", [LIMITS, PRODUCTS])
@pytest.mark.parametrize("store", [np.asarray, sp.csr_array])
def test_the_optimum_is_that_of_an_independent_solver(
    q: int, ratio: float, limits: Any, store: Any, problem: Any, lasso: Callable[..., float]
) -> None:
    X, y = problem(n=200, d=10, q=q)
    (found,) = minimise(
        as_rows(store(X), y), q, elastic_net(0.02, ratio), solver="proximal-newton", tol=1e-9, limits=limits
    )
    assert found.converged
    assert found.bound == "duality"
    assert found.n_iter < 20
    assert abs(found.value - lasso(X, y, q, 0.02 * ratio, 0.02 * (1 - ratio))) <= 1e-7
    check_conditions(X, y, found, 0.02 * ratio, 0.02 * (1 - ratio))


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("limits", [LIMITS, PRODUCTS])
def test_stacks_with_weights_end_where_orthant_wise_steps_do(ratio: float, limits: Any, problem: Any) -> None:
    X, y = problem(n=200, d=8, q=4)
    V = np.stack([np.ones(200), np.arange(200) % 3 > 0]).astype(float)
    rows, penalty = as_rows(X, y, V), elastic_net(np.array([0.01, 0.003]), ratio)
    found = minimise(rows, 4, penalty, solver="proximal-newton", tol=1e-10, limits=limits)
    for one, other in zip(found, minimise(rows, 4, penalty, solver="orthant-sampled", tol=1e-10), strict=True):
        assert one.gap <= 1e-10
        np.testing.assert_allclose(one.value, other.value, atol=3e-10)
        np.testing.assert_allclose(one.W, other.W, atol=2e-3)


@pytest.mark.parametrize(
    ("load", "scale", "strength"),
    [(load_digits, 16.0, 1e-4), (load_digits, 16.0, 1e-5), (load_breast_cancer, 1.0, 1e-4)],
)
def test_weak_penalties_take_few_iterations(load: Any, scale: float, strength: float) -> None:
    """Orthant-wise L-BFGS with exact late steps takes 30, 169 and 35."""
    X, y = load(return_X_y=True)
    solver = "proximal-newton"
    (found,) = minimise(as_rows(X / scale, y), int(y.max()) + 1, elastic_net(strength, 1.0), solver=solver)
    assert found.converged
    assert found.n_iter <= 25
    assert found.passes <= 50


@pytest.mark.parametrize("limits", [LIMITS, PRODUCTS])
def test_correlated_columns_and_a_weak_penalty(limits: Any) -> None:
    """Orthant-wise L-BFGS takes 998 iterations."""
    random = np.random.default_rng(0)
    A = random.normal(size=(10, 40))
    X = random.normal(size=(1000, 10)) @ A + 0.3 * random.normal(size=(1000, 40))
    y = (0.3 * X[:, :5] + random.gumbel(size=(1000, 5))).argmax(axis=1)
    (found,) = minimise(as_rows(X, y), 5, elastic_net(1e-4, 1.0), limits=limits)
    assert found.converged
    assert found.n_iter <= 60


def test_weights_that_are_far_from_the_optimum_at_the_start(problem: Any) -> None:
    X, y = problem(n=200, d=6, q=3)
    random = np.random.default_rng(0)
    start = 5 * random.normal(size=(1, 6, 3)), random.normal(size=(1, 3))
    (cold,) = minimise(as_rows(X, y), 3, elastic_net(0.02, 1.0), solver="proximal-newton")
    (warm,) = minimise(as_rows(X, y), 3, elastic_net(0.02, 1.0), solver="proximal-newton", start=start)
    assert warm.converged
    np.testing.assert_allclose(warm.value, cold.value, atol=2e-6)


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("limits", [LIMITS, PRODUCTS])
def test_bounds_and_factors_of_single_weights(q: int, limits: Any, problem: Any) -> None:
    X, y = problem(n=200, d=6, q=q)
    random = np.random.default_rng(1)
    terms = WeightTerms(
        random.uniform(0.5, 2, (q, 6)), np.ones((1, 6)), np.full((q, 6), -0.2), random.uniform(0.1, 0.5, (q, 6))
    )
    penalty = WeightedElasticNet(np.array([0.01]), np.array([0.01]), terms)
    options = {"tol": 1e-9, "limits": limits}
    (found,) = minimise(as_rows(X, y), q, penalty, solver="proximal-newton", **options)
    (other,) = minimise(as_rows(X, y), q, penalty, solver="orthant-sampled", tol=1e-9)
    assert found.converged
    assert (terms.upper + 1e-12 >= found.W.T).all()
    assert (terms.lower - 1e-12 <= found.W.T).all()
    np.testing.assert_allclose(found.value, other.value, atol=3e-9)


def test_a_support_and_no_bias(problem: Any) -> None:
    X, y = problem(n=150, d=6, q=3)
    support = np.random.default_rng(0).random((1, 3, 6)) < 0.6
    penalty = ElasticNet(np.array([0.01]), np.array([0.0]), support)
    for fit_intercept in (True, False):
        options = {"fit_intercept": fit_intercept, "tol": 1e-8}
        (found,) = minimise(as_rows(X, y), 3, penalty, solver="proximal-newton", **options)
        (other,) = minimise(as_rows(X, y), 3, penalty, solver="orthant-sampled", **options)
        assert (found.W.T[~support[0]] == 0).all()
        np.testing.assert_allclose(found.value, other.value, atol=3e-8)


def test_a_sample_of_the_rows_gives_the_curvature_of_those_too_many_to_copy(
    monkeypatch: pytest.MonkeyPatch, problem: Any
) -> None:
    monkeypatch.setattr(proximal_newton, "MOST_NUMBERS", 6000)
    X, y = problem(n=2000, d=8, q=3)
    (found,) = minimise(as_rows(X, y), 3, elastic_net(0.01, 1.0), tol=1e-8)
    (whole,) = minimise(as_rows(X, y), 3, elastic_net(0.01, 1.0), solver="orthant-sampled", tol=1e-8)
    assert found.converged
    np.testing.assert_allclose(found.value, whole.value, atol=3e-8)


def test_columns_are_copied_as_the_working_set_grows(monkeypatch: pytest.MonkeyPatch, problem: Any) -> None:
    monkeypatch.setattr(proximal_newton, "COPIED_AT_ONCE", 0)
    monkeypatch.setattr(proximal_newton, "FIRST_WEIGHTS", 3)
    for store in (np.asarray, sp.csr_array):
        X, y = problem(n=200, d=10, q=3)
        (found,) = minimise(as_rows(store(X), y), 3, elastic_net(0.01, 1.0), solver="proximal-newton", tol=1e-9)
        assert found.converged
        check_conditions(X, y, found, 0.01, 0.0)


def test_float32_rows_are_certified_in_higher_precision(problem: Any) -> None:
    X, y = problem(n=3000, d=20, q=4)
    (found,) = minimise(as_rows(X.astype(np.float32), y), 4, elastic_net(1e-4, 1.0), tol=1e-8)
    assert found.converged
    assert found.n_iter <= 25


@pytest.mark.parametrize("tol", [1e-8, 1e-10])
def test_a_start_whose_proof_fails_by_rounding(tol: float, monkeypatch: Any) -> None:
    """The estimated gap was -7e-18 there, and a proof was tried 1,000 times without a step in between."""
    monkeypatch.setattr("softreg.optimize.solvers.small_start.LEAST_GOAL", 1e-17)
    random = np.random.default_rng(1)
    X = random.normal(size=(3000, 20))
    y = (X @ random.normal(size=(20, 4)) + random.gumbel(size=(3000, 4))).argmax(axis=1)
    (found,) = minimise(as_rows(X, y), 4, elastic_net(1e-4, 1.0), tol=tol)
    assert found.converged
    assert found.n_iter <= 40
    assert found.passes <= 100
