"""The last steps of fits with an l1 part: Newton's method on the free weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits

from softreg.optimize import elastic_net, minimise
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, free_hessians
from softreg.optimize.problem.limits import LIMITS
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.solvers.orthant_lbfgs import exact_hessian_pays
from softreg.probability import softmax
from softreg.rows import as_rows

Array = NDArray[Any]


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
def test_the_hessian_among_free_weights_is_a_part_of_the_whole_one(home: Any, problem: Any) -> None:
    X, y = problem(n=150, d=4, q=3)
    random = np.random.default_rng(0)
    V = random.uniform(0.5, 2.0, size=(2, 150))
    rows, coordinates = standardise(as_rows(home(X), y, V), centred=True)
    objective = Objective(rows, 3, elastic_net(np.array([0.2, 0.1]), 0.5), coordinates)
    theta = random.normal(size=(2, 3, 5))
    objective.evaluate(theta)
    free = random.random((2, 3, 5)) < 0.6
    free[0, 1] = False  # a class without a free weight
    Z = np.concatenate([(X - coordinates.shift) / coordinates.scale, np.ones((150, 1))], axis=1)
    for j, H in enumerate(free_hessians(objective, Columns(objective), free)):
        P = softmax(Z @ theta[j].T)
        bend = np.einsum("ik,kl->ikl", P, np.eye(3)) - np.einsum("ik,il->ikl", P, P)
        whole = np.einsum("i,ikl,ia,ib->kalb", V[j] / V[j].sum(), bend, Z, Z).reshape(15, 15)
        whole += np.diag(np.tile(objective.ridge[j, 0], 3))
        at = np.flatnonzero(free[j])
        np.testing.assert_allclose(H, whole[np.ix_(at, at)], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("load", "scale", "strength", "passes"), [(load_digits, 16.0, 1e-4, 120), (load_breast_cancer, 1.0, 1e-4, 200)]
)
def test_weak_l1_penalties_end_in_a_few_steps(load: Any, scale: float, strength: float, passes: int) -> None:
    """Blocks for single classes alone take 197 and 1,034 passes."""
    X, y = load(return_X_y=True)
    (found,) = minimise(as_rows(X / scale, y), int(y.max()) + 1, elastic_net(strength, 1.0), solver="orthant-sampled")
    assert found.converged
    assert found.bound == "duality"
    assert found.passes < passes


def test_very_weak_l1_penalties_are_proved() -> None:
    X, y = load_digits(return_X_y=True)
    (found,) = minimise(as_rows(X / 16, y), 10, elastic_net(1e-5, 1.0), solver="orthant-sampled")
    assert found.converged
    assert found.gap <= 1e-6


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("soft", [False, True])
def test_newton_steps_end_where_others_do(ratio: float, soft: bool, problem: Any) -> None:
    X, y = problem(n=200, d=8, q=4)
    labels = y if not soft else 0.7 * np.eye(4)[y] + 0.3 / 4
    V = np.stack([np.ones(200), np.arange(200) % 3 > 0]).astype(float)
    answers = []
    for long in (0, 10**9):
        limits = replace(LIMITS, orthant_hessian_iterations=long)
        penalty = elastic_net(np.array([0.01, 0.003]), ratio)
        found = minimise(as_rows(X, labels, V), 4, penalty, solver="orthant-sampled", tol=1e-11, limits=limits)
        answers.append(found)
    for newton, blocks in zip(*answers, strict=True):
        assert newton.gap <= 1e-11
        assert blocks.gap <= 1e-11
        np.testing.assert_allclose(newton.value, blocks.value, atol=3e-11)
        np.testing.assert_allclose(newton.W, blocks.W, atol=2e-4)


def test_members_without_l1_beside_others(problem: Any) -> None:
    """All weights of such a member are free, and a shift common to its classes has no curvature."""
    limits = replace(LIMITS, orthant_hessian_iterations=0)
    X, y = problem(n=200, d=4, q=3)
    penalty = elastic_net(np.array([0.01, 0.01]), np.array([0.0, 1.0]))
    smooth, lasso = minimise(as_rows(X, y), 3, penalty, tol=1e-10, limits=limits)
    (alone,) = minimise(as_rows(X, y), 3, elastic_net(0.01, 0.0), tol=1e-10, limits=limits)
    np.testing.assert_allclose(smooth.value, alone.value, atol=2e-10)
    assert lasso.gap <= 1e-10
    assert np.abs(smooth.b).max() < 50


def test_no_hessian_where_columns_or_free_weights_are_many(problem: Any) -> None:
    X, y = problem(n=120, d=6, q=3)
    rows, coordinates = standardise(as_rows(X, y), centred=True)
    objective = Objective(rows, 3, elastic_net(np.array([0.1]), 1.0), coordinates)
    free = np.zeros((1, 3, 7), dtype=bool)
    free[0, 0, :5] = True
    assert exact_hessian_pays(objective, free)
    for less in ({"orthant_hessian_columns": 4}, {"orthant_hessian_weights": 4}, {"orthant_hessian_passes": 1}):
        assert not exact_hessian_pays(objective, free, replace(LIMITS, **less)), less
