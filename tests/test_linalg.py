"""Cholesky factors: solving, inverse and log-determinant against NumPy; jitter, scales and errors."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.linalg import cholesky, cholesky_with_diagonal, inverse_factored, solve_factored


def positive_definite(k: int, seed: int = 0) -> np.ndarray:
    half = np.random.default_rng(seed).normal(size=(2 * k, k))
    return half.T @ half


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_a_factor_solves_inverts_and_gives_the_determinant(k: int, scaled: bool) -> None:
    H = positive_definite(k)
    factor, B = cholesky(H, scaled=scaled), np.random.default_rng(1).normal(size=(k, 2))
    np.testing.assert_allclose(factor.solve(B), np.linalg.solve(H, B), rtol=1e-9)
    np.testing.assert_allclose(factor.solve(B[:, 0]), np.linalg.solve(H, B[:, 0]), rtol=1e-9)
    np.testing.assert_allclose(factor.inverse(), np.linalg.inv(H), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(factor.log_det(), np.linalg.slogdet(H)[1], rtol=1e-10)
    merged = factor.merged()
    np.testing.assert_allclose(merged.L @ merged.L.T, H, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(merged.log_det(), np.linalg.slogdet(H)[1], rtol=1e-10)
    np.testing.assert_allclose(solve_factored(merged.L, B), np.linalg.solve(H, B), rtol=1e-9)
    np.testing.assert_allclose(inverse_factored(merged.L), np.linalg.inv(H), rtol=1e-8, atol=1e-10)


def test_columns_of_very_different_size_keep_their_digits() -> None:
    H, size = positive_definite(4), np.array([1e-90, 1.0, 1e30, 1e100])
    found = cholesky(H * np.multiply.outer(size, size)).solve(size)
    np.testing.assert_allclose(found * size, np.linalg.solve(H, np.ones(4)), rtol=1e-9)


def test_jitter_is_used_where_the_matrix_is_indefinite_and_named() -> None:
    ones = np.ones((3, 3))
    ones[0, 1] = ones[1, 0] = 1 + 1e-5
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        cholesky(ones)
    factor = cholesky(ones, jitter=(0.0, 1e-9, 1e-3))
    assert (factor.jitter, factor.exact) == (1e-3, False)
    diagonal = cholesky(-ones + 3 * np.eye(3), jitter=(0.0, np.inf))
    np.testing.assert_allclose(diagonal.solve(np.ones(3)), 1.0 if diagonal.exact else 0.5)


def test_the_diagonal_alone_stands_in_for_a_matrix_without_a_factor() -> None:
    factor = cholesky(np.array([[4.0, 5.0], [5.0, 4.0]]), jitter=(0.0, np.inf))
    assert not factor.exact
    np.testing.assert_allclose(factor.solve(np.ones(2)), 0.25)
    np.testing.assert_allclose(factor.merged().solve(np.ones(2)), 0.25)


def test_a_diagonal_of_zero_is_an_error_or_counts_as_one() -> None:
    H = np.diag([2.0, 0.0])
    with pytest.raises(np.linalg.LinAlgError, match="diagonal"):
        cholesky(H)
    np.testing.assert_allclose(cholesky(H, unit_where_zero=True).solve(np.ones(2)), [0.5, 1.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_diagonal_of_its_own_is_added_in_the_precision_of_the_matrix(dtype: type) -> None:
    H, more = positive_definite(5).astype(dtype), np.array([0.0, 1.0, 2.0, 1e60, 0.5])
    factor = cholesky_with_diagonal(H, more, (0.0, np.inf))
    assert factor.exact
    assert factor.L.dtype == dtype
    whole = (factor.L @ factor.L.T) * np.multiply.outer(factor.scale, factor.scale)
    np.testing.assert_allclose(whole, H + np.diag(more), rtol=1e-4, atol=1e-4)
