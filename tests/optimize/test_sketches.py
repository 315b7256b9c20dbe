"""Curvature sketches change the way to the optimum, never the optimum; their blocks are blocks of the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.optimize import elastic_net, l2, minimise, precondition
from softreg.optimize.coordinates import standardise
from softreg.optimize.newton import Newton
from softreg.optimize.objective import Objective
from softreg.optimize.precondition import Blocks, Diagonal, Sketch
from softreg.probability import softmax
from softreg.rows import as_rows

Array = NDArray[Any]
Problem = Callable[..., tuple[Array, Array]]


@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
@pytest.mark.parametrize(("features", "classes"), [(3, 32), (4096, 2), (4096, 32)])
@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_every_sketch_leads_to_the_same_optimum(
    home: Any, features: int, classes: int, ratio: float, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = problem(n=400, d=6, q=4)
    penalty = elastic_net(np.array([1e-2, 1e-3]), ratio)
    plain = minimise(as_rows(X, y), 4, penalty, solver="newton" if ratio == 0 else "lbfgs", tol=1e-9)
    monkeypatch.setattr(precondition, "MAX_FEATURES", features)
    monkeypatch.setattr(precondition, "MAX_CLASSES", classes)
    for one, other in zip(plain, minimise(as_rows(home(X), y), 4, penalty, solver="lbfgs", tol=1e-8), strict=True):
        assert other.converged
        assert other.value == pytest.approx(one.value, abs=1e-7)
        assert other.passes < 120


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_first_direction_is_newtons_for_two_classes(home: Any, weighted: bool, problem: Problem) -> None:
    """With all rows in the sample, the blocks are exact for two classes."""
    X, y = problem(q=2)
    V = np.random.default_rng(0).uniform(0, 2, (1, len(y))) if weighted else None
    rows, coordinates = standardise(as_rows(home(X), y, V), centred=True)
    objective = Objective(rows, 2, l2(0.01), coordinates)
    at = np.random.default_rng(1).normal(size=(1, 2, 5))
    at -= at.mean(axis=1, keepdims=True)
    objective.place(at)
    G = objective.gradient()[1] + objective.ridge[:, None, :] * at
    exact = Newton().direction(objective, at, G)
    sketched = -Sketch(rows).curvature(objective, at).solve(G)
    np.testing.assert_allclose(sketched - sketched.mean(axis=1, keepdims=True), exact, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize(("features", "kind"), [(4096, Blocks), (3, Diagonal)])
def test_a_sketch_is_positive_definite(
    features: int, kind: type, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precondition, "MAX_FEATURES", features)
    X, y = problem(n=50, d=8)
    X[:, 3] = X[:, 2]
    X[:, 4] = 1.0
    rows, coordinates = standardise(as_rows(X, y), centred=True)
    objective = Objective(rows, 3, l2(np.array([0.0, 1.0])), coordinates)
    at = np.random.default_rng(1).normal(size=(2, 3, 9)) * 10
    objective.place(at)
    curvature = Sketch(rows).curvature(objective, at)
    assert isinstance(curvature, kind)
    for seed in range(5):
        G = np.random.default_rng(seed).normal(size=(2, 3, 9))
        G[..., 4] = 0.0
        assert (np.einsum("mqd,mqd->m", G, curvature.solve(G)) > 0).all()
    few = curvature.keep(np.array([False, True]))
    np.testing.assert_allclose(few.solve(G[1:]), curvature.solve(G)[1:], rtol=1e-6)


@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
def test_the_diagonal_is_that_of_the_hessian_but_for_the_even_part(
    home: Any, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precondition, "MAX_FEATURES", 2)
    monkeypatch.setattr(precondition, "EVEN", 0.0)
    X, y = problem(n=70, d=4, q=2)
    X[X < 0.3] = 0.0
    V = np.random.default_rng(0).uniform(0, 2, (1, len(y)))
    rows, coordinates = standardise(as_rows(home(X), y, V), centred=True)
    objective = Objective(rows, 2, l2(0.01), coordinates)
    at = np.random.default_rng(1).normal(size=(1, 2, 5))
    at -= at.mean(axis=1, keepdims=True)
    objective.place(at)
    found = Sketch(rows).curvature(objective, at)
    assert isinstance(found, Diagonal)
    # for two classes the contrast's Hessian is 2 p (1 - p) z z^T, which is what a class's block is scaled to
    Z = np.concatenate([(X - coordinates.shift) / coordinates.scale, np.ones((70, 1))], axis=1)
    p = softmax(Z @ at[0].T)[:, 0]
    by_hand = 2 * (V[0] * p * (1 - p)) @ Z**2 / V.sum() + objective.ridge[0]
    np.testing.assert_allclose(found.diagonal[0], [by_hand, by_hand], rtol=1e-4)
