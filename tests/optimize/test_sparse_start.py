"""Sparse rows with an l1 part: compiled steps end where dense rows and NumPy do, and their gaps are proved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression
from softreg.optimize import elastic_net, minimise
from softreg.optimize.curvature.sparse_models import MAX_DENSITY, is_sparse
from softreg.optimize.curvature.weight_models import MatrixModel, hessian_matrix, minimise_model
from softreg.optimize.solvers import proximal_newton
from softreg.rows import as_rows
from softreg.rows.kernels import products
from softreg.rows.kernels.coordinate_sweeps import RowHessian, Weights
from softreg.rows.kernels.sparse_model import Effort, SparseColumns, SparseModel, minimise_sparse

Array = Any
compiled = pytest.mark.skipif(products._module is None, reason="no compiled kernels")
EXACT = Effort(rounds=300, sweeps=2, tolerance=1e-12, steps=50, residual=1e-3)


def problem(n: int = 240, d: int = 300, q: int = 3, seed: int = 0) -> tuple[Any, Array]:
    """CSR rows of which a fiftieth is stored, one column that is constant and one that is empty, and labels."""
    random = np.random.default_rng(seed)
    X = sp.random_array((n, d), density=0.02, rng=random, data_sampler=lambda size: random.normal(1.0, 1.0, size))
    X = sp.lil_array(X)
    X[:, 0], X[:, 1] = 0.0, 1.0
    X = sp.csr_array(X)
    o = X @ (random.normal(size=(d, q)) * (random.random((d, 1)) < 0.2)) * 2
    y = (o + random.gumbel(size=o.shape)).argmax(axis=1)
    y[:q] = np.arange(q)
    return X, y


def value(X: Any, y: Array, fit: Any, l1: float, l2: float, V: Array) -> float:
    """The objective by hand."""
    o = X @ fit.W + fit.b
    o -= o.max(axis=1, keepdims=True)
    loss = np.log(np.exp(o).sum(axis=1)) - o[np.arange(len(y)), y]
    return float(np.average(loss, weights=V) + l1 * np.abs(fit.W).sum() + l2 / 2 * (fit.W**2).sum())


def random_model(seed: int, q: int, n: int = 50, k: int = 12) -> tuple[SparseColumns, Array, Array | None, Array]:
    """Sparse columns with a last one for the bias, the same as a dense array, probabilities and their curvature."""
    random = np.random.default_rng(seed)
    X = sp.csc_array(sp.random_array((n, k), density=0.2, rng=random))
    inverse, zero = np.append(random.uniform(0.5, 2, k), 1.0), np.append(random.normal(0, 0.3, k), 1.0)
    indptr = np.append(X.indptr, X.nnz).astype(np.int64)
    columns = SparseColumns(X.data, X.indices.astype(np.int32), indptr, inverse, zero)
    Z = np.vstack([X.toarray().T, np.zeros(n)]) * inverse[:, None] + zero[:, None]
    P = random.dirichlet(np.ones(max(q, 2)), n).T
    v = np.full(n, 1 / n)
    if q == 1:
        return columns, Z, None, np.ascontiguousarray(P[1:] * P[:1] * v)
    return columns, Z, np.ascontiguousarray(P), np.ascontiguousarray(P * v)


@compiled
@pytest.mark.parametrize("level", products._module.levels() if products._module is not None else [])
@pytest.mark.parametrize("q", [1, 2, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bounded", [False, True])
def test_a_model_has_the_minimum_of_its_hessian_matrix(level: str, q: int, dtype: Any, bounded: bool) -> None:
    columns, Z, P, C = random_model(q, q)
    columns = SparseColumns(columns.data.astype(dtype), *columns.arguments[1:])
    random = np.random.default_rng(5)
    column, group = np.divmod(np.arange(len(Z) * q), q)
    f = len(group)
    ridge = np.where(column == len(Z) - 1, 0.0, 0.01)
    kink = np.where(column == len(Z) - 1, 0.0, 0.004)
    gradient = random.normal(0, 0.02, f)
    bias = np.flatnonzero(column == len(Z) - 1)
    gradient[bias] -= gradient[bias].mean() * (q > 1)
    low = np.full(f, -0.3 if bounded else -np.inf)
    start = np.where(random.random(f) < 0.5, 0.0, random.normal(0, 0.2, f))
    rows = RowHessian(
        Z, P, C, np.zeros_like(C), None, group, column, gradient, start, ridge, ridge.copy()
    )  # fmt: skip
    H = hessian_matrix(rows, np.float64)
    dense = Weights(start.copy(), kink, low, -low)
    sparse = Weights(start.copy(), kink, low, -low)
    matrix = MatrixModel(H, gradient.copy())
    for _ in range(10):
        minimise_model(matrix, dense)
    before = products._module.level()
    products._module.choose(level)
    try:
        read = minimise_sparse(SparseModel(columns, P, C, group, column, gradient, ridge), sparse, EXACT)
    finally:
        products._module.choose(before)
    assert read > 0

    def model(x: Array) -> float:
        move = x - start
        return float(gradient @ move + move @ H @ move / 2 + kink @ np.abs(x))

    assert model(sparse.x) <= model(start)
    np.testing.assert_allclose(model(sparse.x), model(dense.x), atol=1e-8)
    assert (sparse.x >= low).all()


@compiled
@pytest.mark.parametrize("q", [2, 3, 7])
@pytest.mark.parametrize("ratio", [1.0, 0.4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_sparse_rows_end_where_dense_rows_do(q: int, ratio: float, dtype: Any, weighted: bool, bias: bool) -> None:
    X, y = problem(q=q)
    X = X.astype(dtype)
    V = np.random.default_rng(1).uniform(0.2, 2, len(y)) if weighted else np.ones(len(y))
    penalty = elastic_net(0.003, ratio)
    (found,) = minimise(as_rows(X, y, V[None]), q, penalty, tol=1e-7, fit_intercept=bias)
    (dense,) = minimise(as_rows(X.toarray(), y, V[None]), q, penalty, tol=1e-7, fit_intercept=bias)
    assert found.converged
    assert found.bound == "duality"
    assert found.plan is not None
    assert found.plan.name == "proximal-newton"
    assert abs(found.value - dense.value) <= 2e-7
    by_hand = value(X.astype(np.float64), y, found, 0.003 * ratio, 0.003 * (1 - ratio), V)
    assert abs(by_hand - found.value) <= 1e-6
    assert (found.W[: 1 + bias] == 0).all()
    assert (found.W == 0).mean() > 0.3


@compiled
@pytest.mark.parametrize("q", [2, 4])
def test_without_kernels_the_answers_are_the_same(q: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = problem(q=q)
    (fast,) = minimise(as_rows(X, y), q, elastic_net(0.004, 0.8), tol=1e-9)
    monkeypatch.setattr(products, "_module", None)
    assert not is_sparse(as_rows(X, y))
    (slow,) = minimise(as_rows(X, y), q, elastic_net(0.004, 0.8), tol=1e-9)
    assert slow.plan is not None
    assert slow.plan.name == "working-set"
    assert abs(fast.value - slow.value) <= 2e-9
    np.testing.assert_allclose(fast.W, slow.W, atol=1e-3)


@compiled
def test_a_stack_works_on_sparse_columns_and_ends_where_single_fits_do(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = problem(d=80)
    V = np.stack([np.ones(len(y)), np.arange(len(y)) % 3 > 0]).astype(float)
    calls = []

    def counted(*args: Any) -> float:
        calls.append(args)
        return minimise_sparse(*args)

    monkeypatch.setattr(proximal_newton, "minimise_sparse", counted)
    stack = minimise(as_rows(X, y, V), 3, elastic_net(np.array([0.01, 0.004]), 0.7), tol=1e-8)
    assert len(calls) >= 2
    for one, strength, v in zip(stack, (0.01, 0.004), V, strict=True):
        (alone,) = minimise(as_rows(X.toarray(), y, v[None]), 3, elastic_net(strength, 0.7), tol=1e-8)
        assert one.gap <= 1e-8
        assert abs(one.value - alone.value) <= 2e-8


@compiled
def test_a_given_start_few_iterations_and_progress() -> None:
    X, y = problem(q=3)
    seen: list[Any] = []
    (first,) = minimise(as_rows(X, y), 3, elastic_net(0.003, 0.6), tol=1e-6, on_progress=seen.append)
    (again,) = minimise(as_rows(X, y), 3, elastic_net(0.003, 0.6), tol=1e-6, start=(first.W[None], first.b[None]))
    assert again.converged
    assert again.n_iter <= 1 < first.n_iter
    assert len(seen) > first.n_iter
    (short,) = minimise(as_rows(X, y), 3, elastic_net(0.003, 0.6), tol=1e-6, max_iter=1)
    assert short.n_iter == 1
    assert not short.converged
    assert np.isfinite(short.gap)
    assert short.gap >= short.value - first.value


@compiled
def test_dense_enough_rows_keep_the_working_set() -> None:
    X, y = problem()
    random = np.random.default_rng(3)
    full = sp.csr_array(np.where(random.random(X.shape) < 2 * MAX_DENSITY, 1.0, 0.0))
    assert is_sparse(as_rows(X, y))
    assert not is_sparse(as_rows(full, y))
    assert not is_sparse(as_rows(X.toarray(), y))
    fit = minimise(as_rows(full, y), 3, elastic_net(0.01, 1.0))[0]
    assert fit.plan is not None
    assert fit.plan.name == "working-set"


@compiled
def test_columns_far_from_zero_and_of_very_different_size() -> None:
    X, y = problem(q=2)
    X = sp.csr_array(X * 10.0 ** np.random.default_rng(0).uniform(-3, 3, X.shape[1]))
    model = SoftmaxRegression(1e-4, penalty="elasticnet", l1_ratio=0.5, tol=1e-6).fit(X, y)
    dense = SoftmaxRegression(1e-4, penalty="elasticnet", l1_ratio=0.5, tol=1e-6).fit(X.toarray(), y)
    assert abs(model.solution_.value - dense.solution_.value) <= 2e-6
