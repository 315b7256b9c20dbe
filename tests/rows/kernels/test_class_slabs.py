"""The kernels for many classes: every instruction set and NumPy against formulas written in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp, softmax

from softreg.rows.kernels import class_slabs as slabs
from softreg.rows.kernels import products as kernels
from softreg.rows.kernels.class_slabs import NO_CLASS, SLAB, SMALLEST, CsrRun, WideDual
from softreg.rows.kernels.dual_step import best_row

Array = NDArray[Any]
compiled = kernels._module
needs_kernels = pytest.mark.skipif(compiled is None, reason="no compiled kernels here")
PRECISIONS = {"float": (np.float32, np.float32), "double": (np.float64, np.float64), "mixed": (np.float64, np.float32)}


def eighths(random: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    """Small multiples of 1/8, whose sums of products are exact in float32 in every order."""
    return (random.integers(-8, 9, size=shape) / 8).astype(dtype)


def sparse_rows(b: int, d: int, dtype: Any = np.float64, index: Any = np.int32, seed: int = 0) -> tuple[Array, CsrRun]:
    """Rows of which about every fourth is empty, dense and as a run."""
    random = np.random.default_rng(seed)
    X = eighths(random, (b, d), dtype)
    X[random.random((b, d)) < 0.7] = 0
    X[1::4] = 0
    S = sp.csr_array(X)
    return X, CsrRun(S.data, S.indices.astype(index), S.indptr.astype(index), d)


def by_class(Z: Array) -> Array:
    """Return numbers (slabs, rows, SLAB) as (rows, slabs x SLAB)."""
    return np.moveaxis(Z, 1, 0).reshape(Z.shape[1], -1)


def in_slabs(A: Array, dtype: Any) -> Array:
    """Return an array (rows, classes) as (slabs, rows, SLAB) in C order."""
    return np.ascontiguousarray(slabs.slabs_of(A), dtype=dtype)


# --- slab_times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("precision", list(PRECISIONS))
@pytest.mark.parametrize("b", [0, 1, 2, 17])
@pytest.mark.parametrize("strided", [False, True])
def test_products_with_slabs(level: str, b: int, precision: str, index: Any, strided: bool) -> None:
    stored, dtype = PRECISIONS[precision]
    random, d, count, first = np.random.default_rng(b), 19, 3, 2
    X, run = sparse_rows(b, d, stored, index, seed=b)
    W, bias = eighths(random, (d, count * SLAB), dtype), eighths(random, (count, SLAB), dtype)
    expected = X.astype(float) @ W.astype(float)
    weights = slabs.slabs_of(W) if strided else in_slabs(W, dtype)
    for given in (None, bias):
        whole = np.full((b + 5, count * SLAB), 7, dtype)
        out = slabs.slabs_of(whole) if strided else in_slabs(whole, dtype)
        slabs.slab_times(run, weights, out, bias=given, first=first)
        found = by_class(out)
        offset = 0 if given is None else given.reshape(-1)
        np.testing.assert_array_equal(found[first : first + b], expected + offset)
        np.testing.assert_array_equal(np.delete(found, np.arange(first, first + b), axis=0), 7)
        slabs.slab_times(run, weights, out, bias=given, first=first, add=True)
        np.testing.assert_array_equal(by_class(out)[first : first + b], 2 * expected + offset)


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("precision", list(PRECISIONS))
def test_products_go_to_the_rows_that_are_named(level: str, precision: str, add: bool) -> None:
    stored, dtype = PRECISIONS[precision]
    random, b, d = np.random.default_rng(1), 9, 6
    X, run = sparse_rows(b, d, stored)
    W, target = eighths(random, (d, 2 * SLAB), dtype), random.permutation(14)[:b]
    before = eighths(random, (14, 2 * SLAB), dtype)
    out, expected = in_slabs(before, dtype), before.astype(float)
    expected[target] = X.astype(float) @ W + (before[target] if add else 0)
    slabs.slab_times(run, slabs.slabs_of(W), out, target=target, add=add)
    np.testing.assert_array_equal(by_class(out), expected)


def test_products_of_some_of_the_rows(level: str) -> None:
    X, run = sparse_rows(30, 8)
    W = eighths(np.random.default_rng(3), (8, SLAB), np.float64)
    for start, stop in ((0, 30), (5, 6), (7, 7), (11, 30)):
        some, out = run.some(start, stop), np.zeros((1, 31, SLAB))
        slabs.slab_times(some, W[None], out)
        np.testing.assert_array_equal(out[0, : stop - start], X[start:stop] @ W)
        np.testing.assert_array_equal(out[0, stop - start :], 0)
        np.testing.assert_array_equal(some.matrix().toarray(), X[start:stop])


def test_products_of_rows_that_compiled_code_does_not_take(level: str) -> None:
    X, run = sparse_rows(6, 5)
    W = eighths(np.random.default_rng(3), (5, SLAB), np.float64)
    others = {
        "two kinds of indices": CsrRun(run.data, run.indices, run.indptr.astype(np.int64), 5),
        "float32 rows, float64 products": CsrRun(run.data.astype(np.float32), run.indices, run.indptr, 5),
        "every second number": CsrRun(np.repeat(run.data, 2)[::2], run.indices, run.indptr, 5),
    }
    for name, other in others.items():
        out = np.empty((1, 6, SLAB))
        assert not other.compiled(out.dtype)
        slabs.slab_times(other, W[None], out)
        np.testing.assert_array_equal(out[0], X @ W, err_msg=name)


@needs_kernels
def test_products_refuse_arrays_that_do_not_fit() -> None:
    _, run = sparse_rows(4, 5)
    W, out = np.zeros((1, 5, SLAB)), np.zeros((1, 4, SLAB))
    for wrong in ({"first": 1}, {"target": np.array([0, 1, 2, 4])}, {"target": np.array([0, 1, 2, -1])},
                  {"target": np.arange(3)}, {"bias": np.zeros((2, SLAB))}):  # fmt: skip
        with pytest.raises(ValueError, match="do not fit one another"):
            slabs.slab_times(run, W, out, **wrong)
    with pytest.raises(ValueError, match="do not fit one another"):
        slabs.slab_times(run, np.zeros((2, 5, SLAB)), out)


# --- slab_softmax -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("q", [1, 2, 127, 128, 129, 300])
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_softmax_of_slabs(level: str, dtype: Any, q: int, labelled: bool, weighted: bool) -> None:
    random, b, first = np.random.default_rng(q), 7, 3
    count = -(-q // SLAB)
    o = (5 * random.normal(size=(b, q))).astype(dtype)
    whole = np.full((b + 5, count * SLAB), 3, dtype)  # what lies behind the last class is never read
    whole[first : first + b, :q] = o
    codes = random.integers(0, q, b) if labelled else None
    weights = random.integers(0, 4, b).astype(float) if weighted else None
    Z, loss, p = in_slabs(whole, dtype), np.empty(b), np.empty(b)
    slabs.slab_softmax(Z, first, q, codes, weights, loss, p)
    v = np.ones(b) if weights is None else weights
    P = softmax(o.astype(float), axis=1)
    R = P.copy()
    if codes is not None:
        R[np.arange(b), codes] -= 1
    near = {"rtol": 3e-6, "atol": 3e-7} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-14}
    found = by_class(Z)
    np.testing.assert_allclose(found[first : first + b, :q], v[:, None] * R, **near)
    np.testing.assert_array_equal(found[first : first + b, q:], 0)
    np.testing.assert_array_equal(np.delete(found, np.arange(first, first + b), axis=0),
                                  np.delete(whole, np.arange(first, first + b), axis=0))  # fmt: skip
    if codes is None:
        np.testing.assert_allclose(loss, logsumexp(o.astype(float), axis=1), **near)
    else:
        np.testing.assert_allclose(loss, -log_softmax(o.astype(float), axis=1)[np.arange(b), codes], **near)
        np.testing.assert_allclose(p, P[np.arange(b), codes], **near)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_extreme_logits(level: str, dtype: Any) -> None:
    q, codes = 200, np.array([0, 150, 199, 7])
    o = np.zeros((4, 256), dtype)
    o[0, 0], o[1, 3], o[1, 150], o[2, :], o[2, 199], o[3] = 1e4, 1e4, -1e4, -1e4, 1e4, -1e4
    Z, loss, p = in_slabs(o, dtype), np.empty(4), np.empty(4)
    slabs.slab_softmax(Z, 0, q, codes, None, loss, p)
    np.testing.assert_allclose(loss, [0, 2e4, 0, np.log(q)], rtol=1e-6)
    np.testing.assert_allclose(p, [1, 0, 1, 1 / q], rtol=1e-6)
    found = by_class(Z)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-6)
    assert found[1, 3] == 1
    assert found[1, 150] == -1


# --- codes of dual probabilities --------------------------------------------------------------------------------------


def test_codes_are_rounded_and_clipped() -> None:
    every = np.arange(SMALLEST + 1, dtype=np.uint16)
    np.testing.assert_array_equal(slabs.encoded(slabs.decoded(every).astype(np.float64)), every)
    np.testing.assert_array_equal(slabs.encoded(slabs.decoded(every)), every)
    np.testing.assert_array_equal(slabs.encoded(np.array([1e-9, 0.5, -1e4, -np.inf])), [0, 0, SMALLEST, SMALLEST])
    assert slabs.decoded(np.array([NO_CLASS], np.uint16)) == slabs.LOG_OF_ZERO
    assert np.exp(slabs.LOG_OF_ZERO) == 0


def coded(b: int, q: int, seed: int = 0) -> Array:
    """Return codes (b, width) of dual probabilities, from nearly 1 to the smallest."""
    random = np.random.default_rng(seed)
    log_a = log_softmax(6 * random.normal(size=(b, q)), axis=1)
    codes = np.full((b, -(-q // SLAB) * SLAB), NO_CLASS, np.uint16)
    codes[:, :q] = slabs.encoded(log_a)
    codes[0, :q] = SMALLEST
    codes[0, q - 1] = 0
    return codes


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("q", [2, 128, 129, 300])
@pytest.mark.parametrize("shifted", [False, True])
def test_dual_probabilities_and_their_divergence(level: str, dtype: Any, q: int, shifted: bool) -> None:
    random, b, codes = np.random.default_rng(q), 6, coded(6, q)
    width = codes.shape[1]
    shift = np.zeros(width, np.float32)
    if shifted:
        shift[:q] = random.normal(size=q) - 2
    o = np.full((b + 2, width), -1e30, dtype)
    o[:, :q] = 4 * random.normal(size=(b + 2, q))
    o[1, 0], o[2, 1], o[3, :q] = 80, -1e4, o[3, :q] - 1e3
    log_a = np.minimum(slabs.decoded(codes)[:, :q].astype(float) + shift[:q], 0)
    sums = np.exp(log_a).sum(axis=1)
    log_q = log_a - np.log(sums)[:, None]
    logits = o[:b, :q].astype(float)
    Z, total, divergence, mass = in_slabs(o, dtype), np.empty(b), np.empty(b), np.empty(b)
    slabs.wide_alpha(codes, shift if shifted else None, Z, total, divergence=divergence, mass=mass)
    np.testing.assert_allclose(total, sums, rtol=2e-6)
    np.testing.assert_allclose(by_class(Z)[:b, :q], np.exp(log_q), rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(by_class(Z)[:b, q:], 0)
    np.testing.assert_array_equal(by_class(Z)[b:], o[b:])
    np.testing.assert_allclose(mass, logsumexp(logits, axis=1), rtol=2e-6)
    exact = (np.exp(log_q) * (log_q - log_softmax(logits, axis=1))).sum(axis=1)
    np.testing.assert_allclose(divergence, exact, rtol=2e-5, atol=2e-5)


def test_dual_probabilities_of_some_of_the_classes(level: str) -> None:
    codes, q = coded(5, 300), 300
    whole, total = np.empty((3, 5, SLAB), np.float32), np.empty(5)
    slabs.wide_alpha(codes, None, whole, total)
    for s in range(3):
        some = np.empty((1, 5, SLAB), np.float32)
        slabs.wide_alpha(codes[:, s * SLAB : (s + 1) * SLAB], None, some, total, known=True)
        np.testing.assert_allclose(some[0], whole[s], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(by_class(whole)[:, :q].sum(axis=1), 1, rtol=1e-5)


# --- dual steps -------------------------------------------------------------------------------------------------------


def wide_state(run: CsrRun, q: int, weights: Array | None, seed: int = 0) -> WideDual:
    """Return dual probabilities of random rows, and weights and bias that are near those of them."""
    random, n = np.random.default_rng(seed), len(run)
    width = -(-q // SLAB) * SLAB
    W, bias = np.zeros((run.d, width), np.float32), np.full(width, -1e30, np.float32)
    W[:, :q], bias[:q] = random.normal(size=(run.d, q)), 0.1 * random.normal(size=q)
    squares = np.asarray(run.matrix().power(2).sum(axis=1)).ravel()
    rate, scale = 0.2, 0.3
    return WideDual(
        W=W,
        bias=bias,
        bias_weights=np.zeros(width, np.float32),
        codes=coded(n, q, seed),
        curvature=(rate * (squares + scale**2)).astype(np.float32),
        weights=None if weights is None else weights.astype(np.float32),
        divergence=np.full(n, -1, np.float32),
        bias_scale=scale,
        rate=rate,
    )


@pytest.mark.parametrize("q", [2, 128, 129, 300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_step_is_that_of_the_formulas(level: str, q: int, dtype: Any, index: Any, weighted: bool) -> None:
    """Each row in turn: divergence before the step, the best dual probabilities, and weights that follow the codes."""
    X, run = sparse_rows(12, 9, dtype, index)
    weights = np.random.default_rng(2).integers(0, 3, 12).astype(float) if weighted else None
    now = wide_state(run, q, weights)
    for i in (0, 1, 2, 5, 7, 2):
        before, W, pull = now.codes.copy(), now.W.astype(float), now.bias_weights.astype(float)
        o = log_softmax((X[i] @ W + now.bias + now.bias_scale * pull)[:q])
        log_a, v = slabs.decoded(before[i, :q]).astype(float), 1.0 if weights is None else weights[i]
        slabs.wide_dual_steps(run, np.array([i]), now)
        alpha = np.exp(log_a)
        assert now.divergence[i] == pytest.approx(alpha @ (log_a - o) - alpha.sum() + 1, rel=1e-4, abs=1e-4)
        np.testing.assert_array_equal(np.delete(now.codes, i, axis=0), np.delete(before, i, axis=0))
        np.testing.assert_array_equal(now.codes[:, q:], NO_CLASS)
        after = np.exp(slabs.decoded(now.codes[i, :q]).astype(float))
        if v == 0:
            np.testing.assert_array_equal(now.codes, before)
        else:
            best = np.exp(best_row(log_a, o, v * now.curvature[i]))
            np.testing.assert_allclose(after, best, rtol=1e-3, atol=2e-4)
            assert after.sum() == pytest.approx(1, abs=1e-3)
        change = v * now.rate * (alpha - after)
        np.testing.assert_allclose(now.W[:, :q], W[:, :q] + np.outer(X[i], change), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(now.bias_weights[:q], pull[:q] + now.bias_scale * change, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(now.W[:, q:], 0)


@pytest.mark.parametrize("q", [7, 130])
def test_steps_at_extreme_logits_stay_finite(level: str, q: int) -> None:
    X, run = sparse_rows(8, 9)
    now = wide_state(run, q, None)
    now.W[:, :q] *= 1e4
    before = now.W.astype(float)
    codes = now.codes.copy()
    slabs.wide_dual_steps(run, np.array([0, 2, 3, 0]), now)
    for name in ("W", "bias_weights", "divergence"):
        assert np.isfinite(getattr(now, name)).all(), name
    changes = np.exp(slabs.decoded(codes).astype(float)) - np.exp(slabs.decoded(now.codes).astype(float))
    np.testing.assert_allclose(now.W, before + now.rate * X.T @ changes, rtol=1e-6, atol=1e-2)


@needs_kernels
def test_steps_refuse_rows_that_are_not_there() -> None:
    _, run = sparse_rows(4, 5)
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match="do not fit one another"):
            slabs.wide_dual_steps(run, np.array([0, wrong]), wide_state(run, 3, None))


# --- chunks of classes of dense rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("b", [1, 5, 16, 33])
@pytest.mark.parametrize("k", [1, 2, 128])
@pytest.mark.parametrize("weighted", [False, True])
def test_chunks_of_classes(level: str, dtype: Any, b: int, k: int, weighted: bool) -> None:
    random = np.random.default_rng(k + b)
    o = (4 * random.normal(size=(k, b))).astype(dtype)
    bias = random.normal(size=k).astype(dtype)
    codes = random.integers(-2, k + 2, b)  # labels of other chunks among them
    here = np.flatnonzero((codes >= 0) & (codes < k))
    logits = o.astype(float) + bias[:, None]
    Z, top, total, label = o.copy(), np.empty(b, dtype), np.empty(b, dtype), np.full(b, 77, dtype)
    slabs.chunk_exp(Z, bias, codes, top, total, label)
    near = {"rtol": 5e-6, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-13, "atol": 1e-14}
    np.testing.assert_allclose(top, logits.max(axis=0), **near)
    np.testing.assert_allclose(Z, np.exp(logits - logits.max(axis=0)), **near)
    np.testing.assert_allclose(total, Z.sum(axis=0, dtype=float), **near)
    np.testing.assert_allclose(label[here], logits[codes[here], here], **near)
    np.testing.assert_array_equal(np.delete(label, here), 77)

    weight = random.integers(0, 3, b).astype(dtype) if weighted else None
    v = np.ones(b) if weight is None else weight.astype(float)
    P = Z.astype(float) / (3 * Z.sum(axis=0, dtype=float))  # other chunks have two thirds
    factor = (v / (3 * Z.sum(axis=0, dtype=float))).astype(dtype)
    mass, square = np.empty(k), np.empty(k)
    slabs.chunk_residual(Z, factor, weight, codes, mass, square)
    R = v * P
    np.testing.assert_allclose(mass, R.sum(axis=1), rtol=near["rtol"], atol=1e-6 * (dtype == np.float32) + 1e-15)
    np.testing.assert_allclose(square, (v * P * P).sum(axis=1), rtol=2 * near["rtol"], atol=1e-30)
    R[codes[here], here] -= v[here]
    np.testing.assert_allclose(Z, R, **near)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chunks_of_extreme_logits(level: str, dtype: Any) -> None:
    Z = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4]], dtype)
    top, total, label = np.empty(3, dtype), np.empty(3, dtype), np.empty(3, dtype)
    slabs.chunk_exp(Z, np.zeros(2, dtype), np.array([1, 0, 0]), top, total, label)
    np.testing.assert_array_equal(Z, [[1, 1, 0], [0, 1, 1]])
    np.testing.assert_array_equal(total, [1, 2, 1])
    np.testing.assert_array_equal(top, [1e4, -1e4, 1e4])
    np.testing.assert_array_equal(label, [-1e4, -1e4, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 64, 65, 130])
def test_blocked_products(level: str, dtype: Any, k: int) -> None:
    random = np.random.default_rng(k)
    for b, d in ((1, 1), (7, 20), (64, 33)):
        X, W, R = eighths(random, (b, d), dtype), eighths(random, (k, d), dtype), eighths(random, (k, b), dtype)
        out, onto = np.full((k, b), np.nan, dtype), eighths(random, (k, d), dtype)
        expected = onto + R.astype(float) @ X.astype(float)
        kernels.blocked_times(W, X, out)
        np.testing.assert_array_equal(out, W.astype(float) @ X.T.astype(float))
        kernels.blocked_transposed_times(R, X, onto)
        np.testing.assert_array_equal(onto, expected)
