"""Features that break peers: far from zero, huge, tiny, constant, outlying; the optimum knows no difference."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.optimize import Solution, elastic_net, l2, minimise
from softreg.probability import softmax
from softreg.rows import as_rows

Array = NDArray[Any]
Problem = Callable[..., tuple[Array, Array]]
SOLVERS = ("newton", "lbfgs")


def fit(X: Any, y: Array, penalty: Any = None, **settings: Any) -> Solution:
    (found,) = minimise(as_rows(X, y), 3, l2(0.0) if penalty is None else penalty, **settings)
    return found


def predicted(X: Any, found: Solution) -> Array:
    """Probabilities of the stored numbers, in float64."""
    X = X.toarray() if sp.issparse(X) else X
    return softmax(X.astype(np.longdouble) @ found.W.astype(np.longdouble) + found.b)


def shifted(far: float, dtype: Any) -> tuple[Array, Array]:
    """The three cases of the reference figures: 2,000 x 5, 3 classes, optimum log loss about 0.446."""
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 5))
    o = 2 * X @ random.normal(size=(5, 3)) + random.gumbel(size=(2000, 3))
    return (X + far).astype(dtype), o.argmax(axis=1)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("strength", [0.0, 1e-4])
@pytest.mark.parametrize(
    ("far", "dtype", "within"),
    [(100, np.float32, 1e-4), (1e4, np.float32, 1e-4), (100, np.float64, 1e-6), (1e4, np.float64, 1e-6)],
)
def test_shifted_features(far: float, dtype: Any, within: float, strength: float, solver: str) -> None:
    X, y = shifted(far, dtype)
    same = X.astype(np.float64) - far  # exact: the same stored numbers, counted from elsewhere
    best = fit(same, y, l2(strength), tol=1e-13)
    # Newton's last step goes far beyond the tolerance; L-BFGS stops at it, and probabilities move with its square root
    tol = 1e-6 if solver == "newton" else within**2 / 100
    found = fit(X, y, l2(strength), solver=solver, tol=tol)
    assert found.converged
    np.testing.assert_allclose(predicted(X, found), predicted(same, best), atol=within)


@pytest.mark.parametrize("far", [1e6, 1e8, -1e10])
def test_shifted_very_far(far: float) -> None:
    X, y = shifted(far, np.float64)
    same = X - far
    best, found = fit(same, y, l2(1e-4), tol=1e-13), fit(X, y, l2(1e-4))
    assert found.converged
    np.testing.assert_allclose(predicted(X, found), predicted(same, best), atol=max(1e-6, 1e-14 * abs(far)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sparse_rows_far_from_zero(dtype: Any, solver: str) -> None:
    X, y = shifted(100, dtype)
    same = X.astype(np.float64) - 100
    best, found = (
        fit(same, y, tol=1e-13),
        fit(sp.csr_array(X), y, solver=solver, tol=1e-6 if solver == "newton" else 1e-10),
    )
    assert found.converged
    np.testing.assert_allclose(predicted(X, found), predicted(same, best), atol=1e-4)


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("size", [1e-200, 1e-30, 1e-6, 1e6, 1e30, 1e200])
def test_scaled_features_without_a_penalty(size: float, solver: str, home: Any, problem: Problem) -> None:
    X, y = problem()
    best, found = fit(X, y, tol=1e-13), fit(home(X * size), y, solver=solver, tol=1e-9)
    if abs(np.log10(size)) > 150:  # the smallest scale that the solver tells apart is 1e-150
        assert np.isfinite(found.value)
        assert np.isfinite(found.W).all()
        return
    assert found.converged
    np.testing.assert_allclose(predicted(X * size, found), predicted(X, best), atol=1e-3 if solver == "lbfgs" else 1e-6)
    np.testing.assert_allclose(found.W * size, best.W, atol=1e-3)


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12, 1e-20, 1e-30])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_penalised_tiny_column_is_as_good_as_none(size: float, solver: str, problem: Problem) -> None:
    X, y = problem()
    without = fit(X[:, 1:], y, l2(1e-4), tol=1e-10)
    found = fit(X * np.array([size, 1, 1, 1]), y, l2(1e-4), solver=solver, tol=1e-9)
    assert found.converged
    assert found.value == pytest.approx(without.value, abs=1e-8)


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("column", [np.full(200, 1e30), 1e200 * np.arange(200.0), 1e-320 * np.arange(200.0)])
def test_extreme_columns_raise_no_warning(column: Array, home: Any, problem: Problem) -> None:
    X, y = problem()
    X[:, 1] = column
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for penalty in (l2(0.0), l2(1e-3), elastic_net(1e-3, 0.5)):
            if column.max() < 1e-303 and penalty.l2[0] == 0:  # its weight would exceed the largest float64
                with pytest.raises(ValueError, match="column 1 varies by less than"):
                    fit(home(X), y, penalty, max_iter=50)
                continue
            assert np.isfinite(fit(home(X), y, penalty, max_iter=50).W).all()


@pytest.mark.parametrize("size", [1e100, 1e150, 1e200, 1e300])
@pytest.mark.parametrize("penalty", [l2(1e-3), elastic_net(1e-3, 0.5), elastic_net(1e-3, 1.0)])
def test_overflow_is_never_taken_for_a_proof(size: float, penalty: Any, problem: Problem) -> None:
    X, y = problem()
    found = fit(X * np.array([1, size, 1, 1]), y, penalty, max_iter=100)
    assert found.gap >= 0
    finer = fit(X * np.array([1, 1e12, 1, 1]), y, penalty, tol=1e-9)  # no penalty to speak of at either size
    assert found.value - finer.value <= found.gap + 1e-8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("strength", [0.0, 1e-4])
def test_columns_of_very_different_size(dtype: Any, solver: str, strength: float, problem: Problem) -> None:
    X, y = problem()
    size = np.array([1e-30, 1.0, 1e6, 1e30])
    raw = (X * size).astype(dtype)
    found = fit(raw, y, l2(strength), solver=solver)
    assert np.isfinite(found.W).all()
    # the penalty all but forbids weight on the tiny column and all but frees the huge ones
    same = raw.astype(np.float64) / size
    if strength:
        same[:, 0] = 0.0
    best = fit(same * np.array([1, 1, 1e6, 1e9]), y, l2(strength), tol=1e-10)
    P = predicted(raw, found)
    np.testing.assert_allclose(P, predicted(same * np.array([1, 1, 1e6, 1e9]), best), atol=5e-3)
    assert found.converged or not found.gap <= 1e-6


@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("strength", [0.0, 1e-3])
@pytest.mark.parametrize("constant", [0.0, 0.1, -1e6, 1e30])
def test_a_constant_column_has_weight_exactly_zero(
    constant: float, strength: float, solver: str, home: Any, problem: Problem
) -> None:
    X, y = problem()
    padded = np.insert(X, 2, constant, axis=1)
    plain, found = fit(home(X), y, l2(strength), solver=solver), fit(home(padded), y, l2(strength), solver=solver)
    np.testing.assert_array_equal(found.W[2], 0.0)
    assert found.converged
    assert found.value == pytest.approx(plain.value, abs=2e-6)
    np.testing.assert_allclose(predicted(home(padded), found), predicted(home(X), plain), atol=2e-3)


def test_a_constant_column_is_cleared_from_a_warm_start(problem: Problem) -> None:
    X, y = problem()
    padded = np.insert(X, 2, 7.0, axis=1)
    for solver in SOLVERS:
        for strength in (0.0, 1e-3):
            start = (np.ones((1, 5, 3)) * [1.0, 0.0, -2.0], np.zeros((1, 3)))
            found = fit(padded, y, l2(strength), solver=solver, start=start)
            assert found.converged
            np.testing.assert_array_equal(found.W[2], 0.0)


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_nothing_but_constant_columns(ratio: float, home: Any) -> None:
    y = np.array([0, 0, 1, 2, 2, 2])
    found = fit(home(np.tile([0.0, 3.0], (6, 1))), y, elastic_net(0.1, ratio))
    assert found.converged
    np.testing.assert_array_equal(found.W, 0.0)
    np.testing.assert_allclose(softmax(found.b), [1 / 3, 1 / 6, 1 / 2], rtol=1e-9)


def test_only_constant_columns_and_no_penalty(problem: Problem) -> None:
    y = np.array([0, 0, 1, 2, 2, 2])
    for solver in SOLVERS:
        found = fit(np.full((6, 2), 3.0), y, l2(0.0), solver=solver)
        assert found.converged
        np.testing.assert_allclose(softmax(found.b), [1 / 3, 1 / 6, 1 / 2], rtol=1e-9)


def test_without_a_bias_a_constant_column_serves_as_one(problem: Problem) -> None:
    X, y = problem()
    padded = np.insert(X, 4, 1.0, axis=1)
    with_bias = fit(X, y, l2(0.0), tol=1e-11)
    found = fit(padded, y, l2(0.0), tol=1e-11, fit_intercept=False)
    np.testing.assert_allclose(predicted(padded, found), predicted(X, with_bias), atol=1e-6)
    np.testing.assert_array_equal(found.b, 0.0)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("strength", [0.0, 1e-3])
def test_collinear_columns(solver: str, strength: float, problem: Problem) -> None:
    X, y = problem()
    twice = np.hstack([X, X[:, :1], X @ np.ones((4, 1))])
    plain, found = fit(X, y, tol=1e-9), fit(twice, y, l2(strength), solver=solver)
    assert np.isfinite(found.W).all()
    if strength == 0:
        assert found.value == pytest.approx(plain.value, abs=2e-6)
        np.testing.assert_allclose(predicted(twice, found), predicted(X, plain), atol=5e-3)
    assert found.converged


@pytest.mark.parametrize("solver", SOLVERS)
def test_more_columns_than_rows(solver: str) -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(20, 40)), np.arange(20) % 3
    found = fit(X, y, l2(1e-3), solver=solver)
    assert found.converged
    other = fit(sp.csr_array(X), y, l2(1e-3), solver=solver)
    assert found.value == pytest.approx(other.value, abs=2e-6)


@pytest.mark.parametrize("outlier", [1e3, 1e6, 1e9])
@pytest.mark.parametrize("solver", SOLVERS)
def test_one_row_far_out(outlier: float, solver: str, problem: Problem) -> None:
    X, y = problem()
    X[0, 0] = outlier
    found = fit(X, y, l2(1e-3), solver=solver)
    assert found.converged
    far = fit(X, y, l2(1e-3), tol=1e-10, solver="lbfgs" if solver == "newton" else "newton")
    assert found.value <= far.value + 1e-6


def test_float32_at_the_ends_of_its_range(problem: Problem) -> None:
    X, y = problem()
    for size in (1e-38, 1e37):
        raw = (X * size).astype(np.float32)
        best = fit(raw.astype(np.float64) / size, y, tol=1e-13)
        found = fit(raw, y)
        assert found.converged
        np.testing.assert_allclose(predicted(raw, found), predicted(raw.astype(np.float64) / size, best), atol=1e-4)
