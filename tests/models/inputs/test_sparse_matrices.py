"""Sparse features of every format: damaged ones are refused before a kernel reads them, sound ones mean their sum."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression, SoftmaxRegressionCV, bootstrap, explain, infer
from softreg.models.inputs.sparse_matrices import checked_sparse

HOSTILE = Path(__file__).with_name("hostile_sparse.py")
FORMATS = ("csr", "csc", "coo", "bsr", "lil", "dok", "dia")


@pytest.fixture
def rows() -> Any:
    return sp.random_array((60, 6), density=0.4, format="csr", rng=0)


y = np.arange(60) % 3


def damaged(X: Any, name: str, place: int, value: int) -> Any:
    X = X.copy()
    getattr(X, name)[place] = value
    return X


DAMAGE = [
    ("csr", "indices", 3, 6, "has a stored number in column 6, but there are 6 columns, 0 to 5"),
    ("csr", "indices", 3, -1, "in column -1"),
    ("csr", "indptr", 2, 1000, "indptr decreases from 1000 to"),
    ("csr", "indptr", -1, 10**6, "indptr ends with 1000000, but only 144 numbers are stored"),
    ("csr", "indptr", 0, 1, "indptr begins with 1"),
    ("csc", "indices", 0, 99, "row 99 has a stored number in column 0, but there are 60 rows"),
    ("bsr", "indices", 0, 99, "in column 99"),
    ("coo", "row", 1, 60, "row 60 has a stored number in column"),
    ("coo", "col", 1, -2, "in column -2"),
]


@pytest.mark.parametrize(("kind", "name", "place", "value", "message"), DAMAGE)
def test_fault_e4_damaged_indices_are_refused_by_row(
    rows: Any, kind: str, name: str, place: int, value: int, message: str
) -> None:
    X = damaged(rows.asformat(kind), name, place, value)
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression().fit(X, y)


@pytest.mark.parametrize(
    "name", ["fit", "predict", "partial_fit", "cv", "batches", "score", "infer", "explain", "bootstrap"]
)
def test_fault_a19_every_way_in_refuses_them(rows: Any, name: str) -> None:
    model, bad = SoftmaxRegression(1e-2).fit(rows, y), damaged(rows, "indices", 5, 2**30)
    ways = {
        "fit": lambda: SoftmaxRegression().fit(bad, y),
        "predict": lambda: model.predict_proba(bad),
        "partial_fit": lambda: SoftmaxRegression().partial_fit(bad, y),
        "cv": lambda: SoftmaxRegressionCV([1e-1], cv=3).fit(bad, y),
        "batches": lambda: SoftmaxRegression().fit(iter([(rows, y), (bad, y)])),
        "score": lambda: model.score(bad, y),
        "infer": lambda: infer(model, bad, y),
        "explain": lambda: explain(model, bad),
        "bootstrap": lambda: bootstrap(model, bad, y, 2),
    }
    with pytest.raises(ValueError, match="damaged CSR matrix: row"):
        ways[name]()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_every_format_and_index_is_the_same_matrix(rows: Any, kind: str, index: Any) -> None:
    X = rows.asformat(kind)
    if hasattr(X, "indptr"):
        X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    assert (checked_sparse(X).toarray() == rows.toarray()).all()
    assert SoftmaxRegression().fit(X, y).coef_ == pytest.approx(SoftmaxRegression().fit(rows, y).coef_, abs=1e-12)


def test_what_is_given_twice_or_out_of_order_means_its_sum(rows: Any) -> None:
    twice = sp.csr_array((np.repeat(rows.data / 2, 2), np.repeat(rows.indices, 2), rows.indptr * 2), shape=rows.shape)
    turned = rows.copy()
    for a, b in zip(rows.indptr, rows.indptr[1:], strict=False):
        turned.indices[a:b], turned.data[a:b] = rows.indices[a:b][::-1], rows.data[a:b][::-1]
    rows.has_canonical_format  # noqa: B018  asked here, so that the flag is stored
    stale = rows.copy()
    assert stale.has_canonical_format
    stale.indices, stale.data, stale.indptr = twice.indices, twice.data, twice.indptr
    expected = SoftmaxRegression().fit(rows, y)
    for X in (twice, turned, stale):
        before = X.indices.copy()
        result = SoftmaxRegression().fit(X, y)
        assert result.coef_ == pytest.approx(expected.coef_, abs=1e-6)
        assert result.predict_proba(X) == pytest.approx(expected.predict_proba(rows), abs=1e-6)
        part = SoftmaxRegression().partial_fit(X, y).coef_
        assert part == pytest.approx(SoftmaxRegression().partial_fit(rows, y).coef_, abs=1e-9)
        assert (X.indices == before).all()


def test_numbers_that_are_not_pruned_are_not_read(rows: Any) -> None:
    spare = rows.copy()
    spare.data, spare.indices = np.append(rows.data, np.nan), np.append(rows.indices, np.int32(99))
    assert (checked_sparse(spare) != rows).nnz == 0


@pytest.mark.parametrize("dtype", [object, complex, np.float16, bool, np.int8, np.longdouble])
def test_stored_numbers_of_other_kinds(rows: Any, dtype: Any) -> None:
    X = rows.copy()
    X.data = rows.data.round().astype(dtype)
    if dtype in (object, complex):
        with pytest.raises(ValueError, match=f"sparse matrix of {np.dtype(dtype)}, and features are real numbers"):
            SoftmaxRegression().fit(X, y)
    else:
        dense = X.data.astype(float)
        same = sp.csr_array((dense, rows.indices, rows.indptr), shape=rows.shape)
        assert SoftmaxRegression().fit(X, y).coef_ == pytest.approx(SoftmaxRegression().fit(same, y).coef_, abs=1e-3)


def hostile(seed: int, count: int, timeout: float) -> str:
    """What the process says that is handed so many damaged matrices."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", HOSTILE, str(seed), str(count)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"exit code {done.returncode}: {done.stderr[-3000:]}"
    return done.stdout


def test_fault_e4_a_few_hundred_hostile_matrices() -> None:
    assert "of 300 refused" in hostile(1, 300, 120)


@pytest.mark.slow
def test_fault_e4_ten_thousand_hostile_matrices() -> None:
    assert "of 10000 refused" in hostile(2, 10_000, 1800)
