"""The compiled kernels and their NumPy twins: one body of tests for both, and for every instruction set at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softreg.probability import block_loss
from softreg.rows import as_rows
from softreg.rows.column_statistics import BlockFunction
from softreg.rows.kernels import csr_products
from softreg.rows.kernels import products as kernels

Array = NDArray[Any]
compiled = kernels._module
LEVELS = ["numpy", *(compiled.levels() if compiled else [])]
SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 50, 63, 100]


def eighths(random: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Small multiples of 1/8: exact in float32, and so are their sums of products, whatever the order."""
    return (random.integers(-8, 9, size=shape) / 8).astype(dtype)


def sparse(random: np.random.Generator, b: int, d: int, dtype: Any) -> Array:
    X = eighths(random, (b, d), dtype)
    X[random.random((b, d)) < 0.7] = 0
    return X


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 2, 5, 6, 7, 10, 12, 13, 20, 32, 48, 49, 70])
def test_dense_products_of_every_size(level: str, dtype: Any, k: int) -> None:
    random = np.random.default_rng(k)
    for b in SIZES:
        d = SIZES[(b * 7 + k) % len(SIZES)]
        X, W, R = (eighths(random, shape, dtype) for shape in ((b, d), (k, d), (k, b)))
        o, G = kernels.times(W, X), kernels.transposed_times(R, X)
        np.testing.assert_array_equal(o, W.astype(float) @ X.T.astype(float))
        np.testing.assert_array_equal(G, R.astype(float) @ X.astype(float))
        assert o.dtype == G.dtype == dtype
        assert o.flags.c_contiguous


@pytest.mark.parametrize("k", [3, 12, 20, 50])
def test_columns_of_zeros_in_some_rows(level: str, k: int) -> None:
    random = np.random.default_rng(k)
    X, R = eighths(random, (300, 200), np.float32), eighths(random, (k, 300), np.float32)
    for c in range(k):
        R[c, 40 * (c % 7) : 40 * (c % 7) + 100] = 0
    R[: k // 2, 256:] = R[:, 128:200] = 0
    np.testing.assert_array_equal(kernels.transposed_times(R, X), R.astype(float) @ X.astype(float))


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 8, 10, 12, 16, 20, 31, 33, 70])
def test_sparse_products_of_every_size(level: str, dtype: Any, index: Any, k: int) -> None:
    random = np.random.default_rng(k)
    for b in (1, 2, 15, 16, 17, 40):
        d = SIZES[(b + k) % len(SIZES)]
        X = sparse(random, b, d, dtype)
        S = sp.csr_array(X)
        S = sp.csr_array((S.data, S.indices.astype(index), S.indptr.astype(index)), shape=S.shape)
        W, R = eighths(random, (d, k), dtype), eighths(random, (k, b), dtype)
        o, G = csr_products.csr_times(S, W), csr_products.csr_transposed_times(R, S)
        np.testing.assert_array_equal(o, (X.astype(float) @ W.astype(float)).T)
        np.testing.assert_array_equal(G, R.astype(float) @ X.astype(float))
        assert o.dtype == G.dtype == dtype
        assert o.flags.c_contiguous


def test_double_rows_meet_float_columns(level: str) -> None:
    random = np.random.default_rng(4)
    X, W, R = (
        sparse(random, 40, 30, np.float64),
        eighths(random, (30, 20), np.float32),
        eighths(random, (20, 40), np.float32),
    )
    o, G = csr_products.csr_times(sp.csr_array(X), W), csr_products.csr_transposed_times(R, sp.csr_array(X))
    np.testing.assert_array_equal(o, (X @ W.astype(float)).T)
    np.testing.assert_array_equal(G, R.astype(float) @ X)
    assert o.dtype == G.dtype == np.float32


KINDS = {"float": (np.float32, np.float32), "double": (np.float64, np.float64), "mixed": (np.float64, np.float32)}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("m", "q", "b"), [(1, 1, 3), (1, 2, 16), (1, 20, 100), (2, 3, 33), (3, 13, 5), (1, 100, 40)])
@pytest.mark.parametrize("soft", [False, True])
def test_a_whole_pass_is_that_of_the_textbook(level: str, kind: str, m: int, q: int, b: int, soft: bool) -> None:
    """One reading of CSR rows against products and loss composed in float64; with and without weights and logits."""
    stored, dtype = KINDS[kind]
    random = np.random.default_rng(q)
    X, W, bias = (
        sparse(random, b, 50, stored),
        4 * eighths(random, (50, m * q), dtype),
        eighths(random, (m * q,), dtype),
    )
    labels = random.dirichlet(np.ones(q), b) if soft else random.integers(0, q, b)
    o = (X @ W.astype(float) + bias).T
    near = {"rtol": 2e-5, "atol": 2e-4} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-11}
    for V in (None, random.random((1, b)), random.random((m, b))):
        kept = np.full(o.shape, np.nan, dtype)
        for logits in (kept, None):
            found = csr_products.csr_loss_and_gradient(sp.csr_array(X), W, bias, labels, q, V, logits)
            if level == "numpy":
                assert found is None
                continue
            loss, R = block_loss.loss_and_residual(o.reshape(m, q, b).copy(), labels, V)
            np.testing.assert_allclose(found[0], loss, **near)
            np.testing.assert_allclose(found[1], R.sum(axis=2).ravel(), **near)
            np.testing.assert_allclose(found[2], R.reshape(m * q, b) @ X, **near)
            np.testing.assert_array_equal(kept, o)


def test_a_pass_where_softmax_is_hard_to_compute(level: str) -> None:
    if level == "numpy":
        pytest.skip("NumPy composes the pass")
    X = sp.csr_array(np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    for dtype, far in ((np.float32, 1e30), (np.float64, 1e300)):
        W = np.array([[far, -far, 0.0], [-80.0, 0.0, -2000.0]], dtype)
        args = (np.array([0, 1, 2]), 3, None, None)
        loss, r, _ = csr_products.csr_loss_and_gradient(X, W, np.zeros(3, dtype), *args)
        np.testing.assert_allclose(loss, 80 + 2 * float(dtype(far)) + np.log(3), rtol=1e-7)
        np.testing.assert_allclose(r, [np.exp(-80) - 1 + 1 + 1 / 3, 1 - 1 + 1 / 3, 1 / 3 - 1], rtol=1e-6)
        loss, r, _ = csr_products.csr_loss_and_gradient(X, W, np.array([np.nan, 0, 0], dtype), *args)
        assert np.isnan(loss).all()
        assert np.isnan(r).all()


@pytest.mark.skipif(compiled is None, reason="no compiled kernels here")
def test_a_pass_refuses_labels_that_are_no_classes() -> None:
    X = sp.csr_array(np.eye(3))
    for wrong in (-1, 2):
        with pytest.raises(ValueError, match="do not fit one another"):
            csr_products.csr_loss_and_gradient(X, np.zeros((3, 2)), np.zeros(2), np.array([0, wrong, 1]), 2, None, None)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_that_of_the_precision(level: str, dtype: Any) -> None:
    random = np.random.default_rng(0)
    X, W = random.normal(size=(2000, 301)).astype(dtype), random.normal(size=(10, 301)).astype(dtype)
    R, eps = random.normal(size=(10, 2000)).astype(dtype), np.finfo(dtype).eps
    exact = W.astype(np.longdouble) @ X.T.astype(np.longdouble)
    np.testing.assert_allclose(kernels.times(W, X), exact, rtol=0, atol=60 * eps * np.sqrt(301))
    exact = R.astype(np.longdouble) @ X.astype(np.longdouble)
    np.testing.assert_allclose(kernels.transposed_times(R, X), exact, rtol=0, atol=60 * eps * np.sqrt(2000))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 7, 16, 33, 511, 512, 513, 1100])
def test_extremes_and_moments_of_columns(level: str, dtype: Any, d: int) -> None:
    random = np.random.default_rng(d)
    for b in (1, 2, 300):
        X = eighths(random, (b, d), dtype)
        low, high = kernels.extremes(X)
        np.testing.assert_array_equal(low, [min(column) for column in X.T])
        np.testing.assert_array_equal(high, [max(column) for column in X.T])
        assert low.dtype == high.dtype == dtype
        shift, scale = random.integers(-3, 4, d) / 8, 2.0 ** random.integers(-2, 3, d)  # sums that are exact
        first, second = kernels.moments(X, shift, scale)
        Z = (X.astype(float) - shift) / scale
        np.testing.assert_array_equal(first, Z.sum(axis=0))
        np.testing.assert_array_equal(second, (Z**2).sum(axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_logits_of_a_row_do_not_know_its_neighbours(level: str, dtype: Any) -> None:
    if level == "numpy":
        pytest.skip("BLAS promises no such thing")
    random = np.random.default_rng(1)
    X, W = random.normal(size=(40, 77)).astype(dtype), random.normal(size=(10, 77)).astype(dtype)
    whole = kernels.times(W, X)
    for r in range(40):
        np.testing.assert_array_equal(kernels.times(W, X[r : r + 1])[:, 0], whole[:, r])
        np.testing.assert_array_equal(kernels.times(W, X[r:])[:, 0], whole[:, r])
    np.testing.assert_array_equal(kernels.times(W[3:5].copy(), X), whole[3:5])


@pytest.mark.skipif(compiled is None, reason="no compiled kernels here")
@pytest.mark.parametrize("name", LEVELS[1:])
def test_many_columns_are_left_to_blas(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    stand_in = SimpleNamespace(
        level=lambda: name,
        times=lambda W, X, out: calls.append(len(W)),
        transposed_times=lambda R, X, out: calls.append(len(R)),
    )
    monkeypatch.setattr(kernels, "_module", stand_in)
    most = kernels.MAX_COMPILED_BYTES[name] // 4
    for k in (1, most, most + 1, 500):
        W, X = np.ones((k, 3), np.float32), np.ones((4, 3), np.float32)
        kernels.times(W, X)
        kernels.transposed_times(np.ones((k, 4), np.float32), X)
    assert calls == [1, 1, most, most]


def others(X: Array) -> dict[str, Array]:
    """The same numbers, stored in ways that compiled code does not take."""
    raw = np.zeros(X.nbytes + 1, np.uint8)
    shifted = raw[1:].view(X.dtype).reshape(X.shape)
    shifted[...] = X
    return {
        "Fortran order": np.asfortranarray(X),
        "every second column": np.repeat(X, 2, axis=1)[:, ::2],
        "some columns": np.concatenate([X, X], axis=1)[:, : X.shape[1]],
        "backwards": X[::-1].copy()[::-1],
        "not aligned": shifted,
        "other byte order": X.astype(X.dtype.newbyteorder()),
        "float64": X.astype(np.float64),
        "float16": X.astype(np.float16),
        "integers": (X * 8).astype(np.int32) / np.float32(8),
    }


@pytest.mark.parametrize("way", list(others(np.zeros((2, 3), np.float32))))
def test_numbers_stored_otherwise(level: str, way: str) -> None:
    random = np.random.default_rng(2)
    X, W, R = (eighths(random, shape, np.float32) for shape in ((33, 18), (7, 18), (7, 33)))
    np.testing.assert_array_equal(kernels.times(W, others(X)[way]), W @ X.T)
    np.testing.assert_array_equal(kernels.times(others(W)[way], X), W @ X.T)
    np.testing.assert_array_equal(kernels.transposed_times(R, others(X)[way]), R @ X)
    np.testing.assert_array_equal(kernels.transposed_times(others(R)[way], X), R @ X)
    S = sp.csr_array(X)
    if way not in ("float16", "other byte order"):  # SciPy knows neither
        np.testing.assert_array_equal(csr_products.csr_times(S, others(W.T.copy())[way]), W @ X.T)
        np.testing.assert_array_equal(csr_products.csr_transposed_times(others(R)[way], S), R @ X)


def test_products_are_added_to_what_is_there(level: str) -> None:
    random = np.random.default_rng(5)
    for dtype in (np.float32, np.float64):
        X, R, onto = (eighths(random, shape, dtype) for shape in ((33, 18), (7, 33), (18, 7)))
        expected = onto + (R @ X).T
        csr_products.csr_transposed_times(R, sp.csr_array(X), onto)
        np.testing.assert_array_equal(onto, expected)


def test_read_only_numbers(level: str) -> None:
    X = np.arange(6.0).reshape(2, 3)
    X.flags.writeable = False
    np.testing.assert_array_equal(kernels.times(X, X), X @ X.T)
    np.testing.assert_array_equal(kernels.transposed_times(np.eye(2), X), X)


@pytest.mark.parametrize(("k", "b", "d"), [(3, 0, 5), (3, 5, 0), (0, 5, 3), (3, 0, 0), (0, 0, 0)])
def test_nothing_to_multiply(level: str, k: int, b: int, d: int) -> None:
    X = np.zeros((b, d), np.float32)
    W, R = np.zeros((k, d), np.float32), np.zeros((k, b), np.float32)
    np.testing.assert_array_equal(kernels.times(W, X), np.zeros((k, b)))
    np.testing.assert_array_equal(kernels.transposed_times(R, X), np.zeros((k, d)))
    if b and d and k:
        return
    S = sp.csr_array((b, d), dtype=np.float32)
    np.testing.assert_array_equal(csr_products.csr_times(S, W.T.copy()), np.zeros((k, b)))
    np.testing.assert_array_equal(csr_products.csr_transposed_times(R, S), np.zeros((k, d)))


def test_infinity_and_nan_stay_in_their_rows(level: str) -> None:
    X = np.ones((9, 21), np.float32)
    X[2, 20], X[5, 3] = np.inf, np.nan
    o = kernels.times(np.ones((2, 21), np.float32), X)
    np.testing.assert_array_equal(o[0], [21, 21, np.inf, 21, 21, np.nan, 21, 21, 21])
    G = kernels.transposed_times(np.ones((2, 9), np.float32), X)
    np.testing.assert_array_equal(G[1], [9] * 3 + [np.nan] + [9] * 16 + [np.inf])


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(0, 1000))
def test_the_two_products_are_transposes_of_one_another(b: int, d: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    X, W, R = (random.normal(size=shape) for shape in ((b, d), (k, d), (k, b)))
    S = sp.csr_array(np.where(random.random((b, d)) < 0.5, X, 0))
    one, other = (kernels.times(W, X) * R).sum(), (kernels.transposed_times(R, X) * W).sum()
    assert one == pytest.approx(other, rel=1e-9, abs=1e-9 * np.abs(R).sum() * np.abs(W).sum())
    one, other = (csr_products.csr_times(S, W.T.copy()) * R).sum(), (csr_products.csr_transposed_times(R, S) * W).sum()
    assert one == pytest.approx(other, rel=1e-9, abs=1e-9 * np.abs(R).sum() * np.abs(W).sum())


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_a_fit_is_the_same_to_the_bit_for_any_number_of_threads(
    level: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(3)
    X = random.normal(size=(3000, 40)).astype(np.float32)
    X[random.random(X.shape) < 0.5] = 0
    monkeypatch.setattr("softreg.rows.memory.dense.BLOCK_BYTES", 1)
    monkeypatch.setattr("softreg.rows.memory.csr.BLOCK_NONZEROS", 1)
    rows, R, W = as_rows(kind(X), np.zeros(3000, int)), random.normal(size=(5, 3000)).astype(np.float32), X[:5]
    answers = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        prepared = rows.prepare(W)
        G = rows.sum(BlockFunction(lambda b: (b.transposed_times(np.ascontiguousarray(R[:, b.start : b.stop])),)))[0]
        answers.append(np.concatenate([G.ravel(), rows.map(BlockFunction(lambda b, p=prepared: b.times(p).T)).ravel()]))
    assert (answers[0] == answers[1]).all()
    assert (answers[0] == answers[2]).all()


@pytest.mark.skipif(compiled is None, reason="no compiled kernels here")
def test_compiled_code_refuses_what_it_cannot_multiply() -> None:
    X, W, out = np.zeros((4, 3)), np.zeros((2, 3)), np.zeros((2, 4))
    compiled.times(W, X, out)
    for wrong in ((W, X[:, :2].copy(), out), (W, X, out[:, :3].copy()), (W[:1], X, out)):
        with pytest.raises(ValueError, match="do not fit one another"):
            compiled.times(*wrong)
    with pytest.raises(TypeError):
        compiled.times(W, np.asfortranarray(X), out)
    with pytest.raises(TypeError):
        compiled.times(W.astype(np.float32), X, out)
    out.flags.writeable = False
    with pytest.raises(TypeError):
        compiled.times(W, X, out)
    S = sp.csr_array(np.eye(4))
    with pytest.raises(ValueError, match="do not fit one another"):
        compiled.csr_times(S.data, S.indices, S.indptr, np.zeros((4, 2)), np.zeros((2, 5)))
    with pytest.raises(ValueError, match="do not fit one another"):
        compiled.csr_times(S.data, S.indices, S.indptr + 1, np.zeros((4, 2)), np.zeros((2, 4)))
    with pytest.raises(ValueError, match="no kernels for the instruction set 'mmx'"):
        compiled.choose("mmx")


def asked(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return done.stdout.strip()


def test_the_environment_turns_them_off() -> None:
    code = "from softreg.rows.kernels.products import kernels_in_use; print(kernels_in_use())"
    assert asked(code, SOFTREG_KERNELS="0") == (
        "Kernels(compiled=False, level=None, reason='SOFTREG_KERNELS turns the compiled ones off')"
    )
    if compiled is not None:
        assert asked(code, SOFTREG_KERNELS="1") == f"Kernels(compiled=True, level={LEVELS[-1]!r}, reason='')"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("raise ModuleNotFoundError", "none were compiled when softreg was installed"),
        ("raise ImportError('wrong ELF class')", "the compiled ones cannot be loaded: wrong ELF class"),
        ("return types.SimpleNamespace(INTERFACE=0)", "the compiled ones belong to other sources"),
    ],
)
def test_a_module_that_cannot_be_used_is_left(found: str, told: str) -> None:
    code = f"""
import importlib, types
true = importlib.import_module
def instead(name, *rest):
    if name != 'softreg.rows.kernels._compiled':
        return true(name, *rest)
    {found}
importlib.import_module = instead
import numpy as np
from softreg.rows.kernels import products as kernels
assert not kernels.kernels_in_use().compiled
print(kernels.kernels_in_use().reason, kernels.times(np.eye(2), np.ones((1, 2))).tolist())
"""
    said = asked(code, SOFTREG_KERNELS="1")
    assert said.startswith(told)
    assert said.endswith("[[1.0], [1.0]]")
