"""Separated classes without a penalty: named with class and direction, never a loop; any penalty makes an optimum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.datasets import load_iris

from softreg.optimize import Solution, Status, elastic_net, l2, minimise
from softreg.rows import as_rows

Array = NDArray[Any]
Problem = Callable[..., tuple[Array, Array]]
SOLVERS = ("newton", "lbfgs")


def fit(X: Any, y: Array, q: int, penalty: Any = None, V: Array | None = None, **settings: Any) -> Solution:
    return minimise(as_rows(X, y, V), q, l2(0.0) if penalty is None else penalty, **settings)[0]


def wall(n: int = 80, seed: int = 0) -> tuple[Array, Array]:
    """Two classes on either side of column 1 = 0, with noise in columns 0 and 2."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 3))
    X[:, 1] += np.where(X[:, 1] > 0, 0.3, -0.3)
    return X, (X[:, 1] > 0).astype(int)


@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
@pytest.mark.parametrize("solver", SOLVERS)
def test_complete_separation_is_named(solver: str, home: Any) -> None:
    X, y = wall()
    found = fit(home(X), y, 2, solver=solver)
    assert found.status is Status.SEPARATED
    assert not found.converged
    assert found.separation is not None
    assert found.separation.complete
    assert found.separation.classes == (0, 1)
    assert found.separation.features[0] == 1
    assert ((X @ found.W + found.b).argmax(axis=1) == y).all()
    assert np.isfinite(found.W).all()
    assert found.n_iter < 100


@pytest.mark.parametrize("solver", SOLVERS)
def test_quasi_complete_separation_is_named(solver: str) -> None:
    """Column 2 is 1 only in class 1: its weight runs away, all else has an optimum."""
    random = np.random.default_rng(1)
    X = random.normal(size=(200, 3))
    y = (X[:, 0] + random.normal(size=200) > 0).astype(int)
    X[:, 2] = (y == 1) & (random.random(200) < 0.3)
    found = fit(X, y, 2, solver=solver)
    assert found.status is Status.SEPARATED
    assert found.separation is not None
    assert not found.separation.complete
    assert found.separation.classes == (0, 1)
    assert found.separation.features[0] == 2


@pytest.mark.parametrize("solver", SOLVERS)
def test_one_class_of_three_apart(solver: str) -> None:
    """Setosa stands apart from the other two irises, which overlap."""
    X, y = load_iris(return_X_y=True)
    found = fit(X, y, 3, solver=solver)
    assert found.status is Status.SEPARATED
    assert found.separation is not None
    assert not found.separation.complete
    assert 0 in found.separation.classes


@pytest.mark.parametrize("solver", SOLVERS)
def test_two_binary_columns_that_never_meet(solver: str) -> None:
    """A 2 x 2 table with an empty cell."""
    X = np.repeat([[0.0], [0.0], [1.0]], [10, 5, 7], axis=0)
    y = np.repeat([0, 1, 1], [10, 5, 7])
    found = fit(X, y, 2, solver=solver)
    assert found.status is Status.SEPARATED
    assert found.separation is not None
    assert found.separation.classes == (0, 1)
    assert found.separation.features == (0,)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_separation_has_no_unit(solver: str, size: float) -> None:
    X, y = wall()
    found = fit(X * size + 3 * size, y, 2, solver=solver)
    assert found.status is Status.SEPARATED


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", range(8))
def test_overlapping_classes_are_never_called_separated(solver: str, seed: int, problem: Problem) -> None:
    X, y = problem(n=60, d=3, seed=seed, size=2.0)
    y[:6] = np.arange(6) % 3  # a few wrong labels: nothing is separable for certain
    X[:6] = X[6:12]
    y[6:12] = (y[:6] + 1) % 3
    X[12:18], y[12:18] = X[6:12], (y[:6] + 2) % 3
    found = fit(X, y, 3, solver=solver)
    assert found.separation is None
    assert found.status is Status.CONVERGED


@pytest.mark.parametrize("solver", SOLVERS)
def test_label_noise_or_doubt_heals_separation(solver: str) -> None:
    X, y = wall()
    soft = 0.98 * np.eye(2)[y] + 0.01
    found = fit(X, soft, 2, solver=solver)
    assert found.status is Status.CONVERGED
    # the hard rows among doubtful ones do not separate either
    half = np.eye(2)[y]
    half[::2] = soft[::2]
    assert fit(X, half, 2, solver=solver).status is Status.CONVERGED


@pytest.mark.parametrize("solver", SOLVERS)
def test_rows_of_weight_zero_do_not_prevent_it(solver: str) -> None:
    X, y = wall()
    wrong = np.vstack([X, X[:5]])
    labels = np.r_[y, 1 - y[:5]]
    V = np.r_[np.ones(80), np.zeros(5)][None]
    assert fit(wrong, labels, 2, V=V, solver=solver).status is Status.SEPARATED
    assert fit(wrong, labels, 2, solver=solver).status is Status.CONVERGED


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_separated_model_leaves_its_stack_alone(solver: str) -> None:
    X, y = wall()
    labels = y.copy()
    labels[:8] = 1 - labels[:8]
    V = np.ones((3, 80))
    V[1, :8] = 0.0
    V[2, 20:30] = 0.0
    together = minimise(as_rows(X, labels, V), 2, l2(np.zeros(3)), solver=solver, tol=1e-8)
    assert [found.status for found in together] == [Status.CONVERGED, Status.SEPARATED, Status.CONVERGED]
    for j in (0, 2):
        alone = fit(X, labels, 2, V=V[j : j + 1], solver=solver, tol=1e-8)
        assert together[j].value == pytest.approx(alone.value, abs=2e-8)
        assert together[j].separation is None


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("strength", [1e-10, 1e-6, 1e-2])
def test_any_penalty_makes_an_optimum(solver: str, strength: float) -> None:
    X, y = wall()
    found = fit(X, y, 2, l2(strength), solver=solver)
    assert found.status is Status.CONVERGED
    assert found.separation is None
    assert found.certified


def test_an_l1_part_makes_an_optimum_too() -> None:
    X, y = wall()
    found = fit(X, y, 2, elastic_net(1e-4, 1.0))
    assert found.status is Status.CONVERGED
    assert found.separation is None
    assert found.certified
