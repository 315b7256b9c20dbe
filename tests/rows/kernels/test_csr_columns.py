"""What is asked of CSR columns before a fit: compiled and NumPy say the same, and it is what dense arithmetic says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.rows import as_rows
from softreg.rows.column_statistics import BlockFunction
from softreg.rows.kernels import csr_columns as columns
from softreg.rows.kernels import products as kernels

Array = NDArray[Any]


@pytest.fixture(params=["numpy", "compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "numpy":
        monkeypatch.setattr(kernels, "_module", None)
    elif kernels._module is None:
        pytest.skip("no compiled kernels here")
    return str(request.param)


def table(index: Any = np.int32, dtype: Any = np.float64) -> tuple[Any, Array]:
    """A full column, an empty one, one below and one above zero, and some of both."""
    random = np.random.default_rng(0)
    X = random.normal(size=(50, 8)) * (random.random((50, 8)) < 0.4)
    X[:, 0], X[:, 1], X[:, 2], X[:, 3] = 5 + random.random(50), 0.0, -np.abs(X[:, 2]), np.abs(X[:, 3])
    X = X.astype(dtype)
    S = sp.csr_array(X)
    return sp.csr_array((S.data, S.indices.astype(index), S.indptr.astype(index)), shape=S.shape), X


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_and_moments(way: str, index: Any, dtype: Any) -> None:
    S, X = table(index, dtype)
    low, high = columns.extremes(S)
    np.testing.assert_array_equal(low, X.min(axis=0))
    np.testing.assert_array_equal(high, X.max(axis=0))
    shift, scale = np.linspace(-2, 3, 8), np.linspace(0.5, 4, 8)
    z = (X.astype(float) - shift) / scale
    first, second = columns.moments(S, shift, scale)
    np.testing.assert_allclose(first, z.sum(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(second, (z**2).sum(axis=0), rtol=1e-12)


def test_columns_named_twice_are_added_up(way: str) -> None:
    twice = sp.csr_array((np.array([1.0, 2.0, 4.0]), np.array([2, 2, 0]), np.array([0, 2, 3])), shape=(2, 3))
    assert columns.may_have_duplicates(twice)
    total = as_rows(twice, np.array([0, 1])).sum(
        BlockFunction(lambda block: (block.transposed_times(np.ones((1, 2))),))
    )[0]
    np.testing.assert_array_equal(total, [[4.0, 0.0, 3.0]])
    np.testing.assert_array_equal(twice.data, [1.0, 2.0, 4.0])  # the caller's matrix stays as it was


def test_unsorted_rows_are_not_copied() -> None:
    if kernels._module is None:
        pytest.skip("no compiled kernels here")
    mixed = sp.csr_array((np.array([1.0, 2.0, 4.0]), np.array([2, 0, 0]), np.array([0, 2, 3])), shape=(2, 3))
    assert not columns.may_have_duplicates(mixed)
    rows = as_rows(mixed, np.array([0, 1]))
    assert np.shares_memory(rows.blocks[0].X.data, mixed.data)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(
        rows.map(BlockFunction(lambda block: block.times(rows.prepare(np.eye(3))).T)), [[2, 0, 1], [4, 0, 0]]
    )
