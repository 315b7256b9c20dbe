"""Quadratic models of single weights: the Hessian as a matrix and as products, and the minimum with an l1 part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from softreg.optimize.curvature import weight_models
from softreg.optimize.curvature.weight_models import (
    FreeProducts,
    MatrixModel,
    ProductModel,
    free_weights,
    hessian_matrix,
    minimise_model,
)
from softreg.rows.kernels.coordinate_sweeps import RowHessian, Weights

Array = Any


def model_rows(q: int, n: int = 400, k: int = 12, ridge: float = 0.01, seed: int = 0) -> RowHessian:
    """Return the Hessian of all weights of q classes; for q = 1 that of a single curvature."""
    random = np.random.default_rng(seed)
    Z = random.normal(size=(k, n)).astype(np.float32)
    Z[1] = Z[0] + 0.1 * Z[1]
    v = np.full(n, 1 / n, np.float32)
    P = np.ascontiguousarray(random.dirichlet(np.ones(max(q, 2)), n).T, dtype=np.float32)
    C = np.ascontiguousarray(P[:1] * P[1:2] * v if q == 1 else P * v)
    column, group = (np.ascontiguousarray(a) for a in np.divmod(np.arange(q * k), q))
    bend = C if q == 1 else C * (1 - P)
    curvature = ridge + (bend.astype(float) @ (Z.astype(float) ** 2).T)[group, column]
    terms = 0.1 * random.normal(size=q * k), np.zeros(q * k), np.full(q * k, ridge), curvature
    s = None if q == 1 else np.zeros(n, np.float32)
    kept = None if q == 1 else P
    return RowHessian(Z, kept, C, np.zeros_like(C), s, group, column, *terms)


def new_weights(rows: RowHessian, kink: float = 0.02) -> Weights:
    free = np.full(len(rows.group), np.inf)
    return Weights(np.zeros(len(free)), np.full(len(free), kink), -free, free)


@pytest.mark.parametrize("q", [1, 2, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_matrix_is_what_the_products_multiply_with(q: int, dtype: Any) -> None:
    rows = model_rows(q)
    H = hessian_matrix(rows, dtype)
    assert H.dtype == np.float64
    np.testing.assert_array_equal(H, H.T)
    np.testing.assert_allclose(H.diagonal(), rows.curvature, rtol=1e-5)
    products = FreeProducts.of(rows, np.arange(len(H)))
    for i in (0, 3, len(H) - 1):
        np.testing.assert_allclose(products.times(np.eye(len(H))[i])[0], H[i], atol=1e-6)


def test_few_columns_are_copied_for_products() -> None:
    rows = model_rows(3)
    some = np.flatnonzero(rows.column < 4)
    products = FreeProducts.of(rows, some)
    assert len(products.Z) == 4
    H = hessian_matrix(rows, np.float64)
    v = np.random.default_rng(1).normal(size=len(some))
    np.testing.assert_allclose(products.times(v)[0], H[np.ix_(some, some)] @ v, atol=1e-5)


@pytest.mark.parametrize("q", [1, 2, 5])
@pytest.mark.parametrize("most_factored", [1024, 0])
def test_matrix_and_products_end_at_the_minimum(q: int, most_factored: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_models, "MOST_FACTORED", most_factored)
    monkeypatch.setattr(MatrixModel, "tolerance", 1e-6)
    rows = model_rows(q)
    H, of_matrix, of_rows = hessian_matrix(rows, np.float64), new_weights(rows), new_weights(rows)
    matrix = MatrixModel(H, rows.gradient.copy())
    minimise_model(matrix, of_matrix)
    model = ProductModel(rows)
    for _ in range(5):
        minimise_model(model, of_rows)
    slope = rows.gradient + H @ of_matrix.x
    np.testing.assert_allclose(matrix.gradient, slope, atol=1e-12)
    at_zero = of_matrix.x == 0
    assert at_zero.any()
    assert (~at_zero).any()
    assert (np.abs(slope[at_zero]) <= 0.02 + 1e-9).all()
    np.testing.assert_allclose(slope[~at_zero], -0.02 * np.sign(of_matrix.x[~at_zero]), atol=1e-9)
    np.testing.assert_allclose(of_rows.x, of_matrix.x, atol=1e-4)
    assert model.products > 0


def test_a_column_with_weights_of_all_classes_has_no_curvature_along_their_shift() -> None:
    """Without an l2 part the Newton system has no solution there: one of the weights is moved to 0."""
    rows = model_rows(3, k=4, ridge=0.0)
    rows = replace(rows, gradient=rows.gradient * 5)
    H, own = hessian_matrix(rows, np.float64), new_weights(rows, 1e-3)
    assert np.linalg.eigvalsh(H)[0] < 1e-8 * np.linalg.eigvalsh(H)[-1]
    minimise_model(MatrixModel(H, rows.gradient.copy()), own, np.arange(12).reshape(4, 3))
    assert np.abs(own.x).max() < 1e3


def test_weights_at_a_bound_or_at_a_kink_are_not_free() -> None:
    own = Weights(np.array([0.0, 0.0, 1.0, -2.0]), np.array([1.0, 0.0, 1.0, 1.0]), np.full(4, -2.0), np.full(4, 5.0))
    assert free_weights(own).tolist() == [False, True, True, False]
