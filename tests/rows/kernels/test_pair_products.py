"""Products of chosen pairs of a class and a row: compiled and NumPy agree with the definition."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.rows.kernels import pair_products
from softreg.rows.kernels import products as kernels
from softreg.rows.kernels.pair_products import pair_dots, pair_sums
from softreg.typing import Array


def pairs(n: int, k: int, m: int, seed: int = 0) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(seed)
    classes = np.sort(rng.integers(0, k, m))
    return classes, rng.integers(0, n, m).astype(np.int32), np.searchsorted(classes, np.arange(k + 1))


@pytest.fixture(params=["compiled", "numpy"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "numpy":
        monkeypatch.setattr(kernels, "_module", None)
        monkeypatch.setattr(pair_products, "GATHERED", 64)
    elif kernels._module is None:
        pytest.skip("needs compiled kernels")
    return str(request.param)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "d", "k", "m"), [(1, 1, 1, 1), (9, 7, 5, 40), (30, 131, 4, 90), (5, 300, 6, 3), (4, 3, 2, 0)]
)
def test_products_are_those_of_the_pairs(backend: str, dtype: type, n: int, d: int, k: int, m: int) -> None:
    rng = np.random.default_rng(1)
    X, V = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=(k, d)).astype(dtype)
    weights = rng.normal(size=m).astype(dtype)
    classes, rows, starts = pairs(n, k, m)
    out, sums = np.full(m, np.nan, dtype), np.full((k, d), np.nan, dtype)
    pair_dots(X, V, rows, starts, out)
    pair_sums(X, weights, rows, starts, sums)
    tolerance = 1e-4 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(out, np.einsum("md,md->m", X[rows], V[classes]), atol=tolerance)
    expected = np.zeros((k, d))
    np.add.at(expected, classes, weights[:, None] * X[rows].astype(np.float64))
    np.testing.assert_allclose(sums, expected, atol=tolerance)


def test_only_the_pairs_of_the_classes_are_written(backend: str) -> None:
    X, V = np.eye(3), np.arange(6.0).reshape(2, 3)
    _, rows, starts = pairs(3, 4, 20)
    whole, part = np.zeros(20), np.full(20, -7.0)
    pair_dots(X, np.concatenate([V, V]), rows, starts, whole)
    pair_dots(X, V, rows, starts[2:], part)
    assert (part[: starts[2]] == -7).all()
    np.testing.assert_array_equal(part[starts[2] :], whole[starts[2] :])


@pytest.mark.parametrize("layout", ["float16", "fortran", "double"])
def test_rows_of_any_layout(layout: str) -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(12, 5))
    stored = {"float16": X.astype(np.float16), "fortran": np.asfortranarray(X), "double": X}[layout]
    V = rng.normal(size=(3, 5)).astype(np.float32)
    classes, rows, starts = pairs(12, 3, 30)
    out = np.zeros(30, np.float32)
    pair_dots(stored, V, rows, starts, out)
    np.testing.assert_allclose(
        out, np.einsum("md,md->m", X[rows], V[classes]), atol=2e-2 if layout == "float16" else 1e-5
    )


@pytest.mark.parametrize("fault", ["row", "starts", "length"])
def test_compiled_code_refuses_pairs_outside_the_arrays(fault: str) -> None:
    if kernels._module is None:
        pytest.skip("needs compiled kernels")
    rows, starts, out = np.array([0, 1], np.int32), np.array([0, 2]), np.zeros(2)
    if fault == "row":
        rows = np.array([0, 3], np.int32)
    elif fault == "starts":
        starts = np.array([2, 0])
    else:
        out = np.zeros(1)
    with pytest.raises(ValueError):  # noqa: PT011
        pair_dots(np.eye(3), np.ones((1, 3)), rows, starts, out)
