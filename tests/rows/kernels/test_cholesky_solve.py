"""Solving with a Cholesky factor, compiled and through SciPy, against SciPy's solution in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg as sl
from numpy.typing import NDArray

from softreg.rows import Triangle
from softreg.rows.kernels import products as kernels

Array = NDArray[Any]
SIZES = [1, 2, 3, 8, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 99, 128, 143, 161, 199, 200, 333]
compiled = kernels._module


def triangle(k: int, dtype: Any, seed: int = 0) -> Array:
    """The Cholesky factor of a matrix with a diagonal of ones or so, in Fortran order; above it nothing but nan."""
    half = np.random.default_rng(seed).normal(size=(k, 2 * k))
    L = np.linalg.cholesky(half @ half.T / (2 * k) + 0.1 * np.eye(k)).astype(dtype)
    L[np.triu_indices(k, 1)] = np.nan
    return np.asfortranarray(L)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("r", [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 25, 33, 50])
def test_both_ways_for_every_number_of_right_hand_sides(level: str, r: int, dtype: Any) -> None:
    for k in SIZES:
        L, B = triangle(k, dtype), np.random.default_rng(k).normal(size=(r, k)).astype(dtype)
        kept, found = Triangle.of(L), B.copy()
        kept.solve(found)
        whole = np.tril(np.nan_to_num(L)).astype(float)
        there = sl.solve_triangular(whole, B.T.astype(float), lower=True)
        expected = sl.solve_triangular(whole, there, lower=True, trans=1).T
        near = 100 * np.finfo(dtype).eps * np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=near, err_msg=f"k = {k}")
        assert kept.compiled == (level != "numpy")
        assert kept.dtype == dtype


def test_by_hand(level: str) -> None:
    L = np.array([[2.0, 0.0], [1.0, 4.0]], order="F")
    for r in (1, 3):
        B = np.tile([8.0, 20.0], (r, 1))  # L u = b gives u = (4, 4), and L^T x = u gives x = (1.5, 1)
        Triangle.of(L).solve(B)
        np.testing.assert_array_equal(B, np.tile([1.5, 1.0], (r, 1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_right_hand_side_does_not_know_its_neighbours(level: str, dtype: Any) -> None:
    if level == "numpy":
        pytest.skip("BLAS promises no such thing")
    B = np.random.default_rng(1).normal(size=(50, 90)).astype(dtype)
    kept, whole = Triangle.of(triangle(90, dtype)), B.copy()
    kept.solve(whole)
    for size in (2, 5, 16, 23):
        for first in range(0, 50 - size, 7):
            part = B[first : first + size].copy()
            kept.solve(part)
            np.testing.assert_array_equal(part, whole[first : first + size])


def test_what_is_kept_is_half_of_the_square(level: str) -> None:
    L = triangle(800, np.float32)
    kept = Triangle.of(L).kept
    assert kept.nbytes == L.nbytes if level == "numpy" else kept.nbytes < 0.52 * L.nbytes


@pytest.mark.parametrize("way", ["C order", "every second"])
def test_triangles_stored_otherwise(level: str, way: str) -> None:
    L = np.nan_to_num(triangle(20, np.float32))
    other = np.ascontiguousarray(L) if way == "C order" else np.repeat(L, 2, axis=1)[:, ::2]
    kept, B = Triangle.of(other), np.ones((3, 20), np.float32)
    assert not kept.compiled
    kept.solve(B)
    np.testing.assert_allclose(B[1], np.linalg.solve((other @ other.T).astype(float), np.ones(20)), rtol=1e-4)


@pytest.mark.skipif(compiled is None, reason="no compiled kernels here")
def test_compiled_code_refuses_shapes_that_do_not_fit() -> None:
    L, panels = triangle(20, np.float32), np.empty(compiled.packed_triangle(20), np.float32)
    assert len(panels) == 16 * 20 + 16 * 4
    compiled.pack_triangle(L.T, panels)
    with pytest.raises(ValueError, match="do not fit one another"):
        compiled.pack_triangle(L.T, panels[1:])
    with pytest.raises(ValueError, match="do not fit one another"):
        compiled.pack_triangle(np.ascontiguousarray(L[:19]), panels)
    with pytest.raises(ValueError, match="do not fit one another"):
        compiled.solve_triangle(panels, np.ones((2, 19), np.float32))
    with pytest.raises(TypeError):
        compiled.solve_triangle(panels, np.ones((2, 20)))
    with pytest.raises(TypeError):
        compiled.solve_triangle(panels, np.ones((20, 2), np.float32).T)
