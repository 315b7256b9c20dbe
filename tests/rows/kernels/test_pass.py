"""Loss and gradient, or predictions, in one reading of dense rows, against the same composed of NumPy's products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softreg import SoftmaxRegression
from softreg.probability import block_loss, softmax
from softreg.rows import DenseRows, as_rows, scores
from softreg.rows.column_statistics import BlockFunction
from softreg.rows.kernels import products as kernels

Array = NDArray[Any]
compiled = kernels._module
LEVELS = compiled.levels() if compiled else []
needs_compiled = pytest.mark.skipif(compiled is None, reason="no compiled kernels here")


@pytest.fixture(params=LEVELS)
def one_level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    best = compiled.level()
    compiled.choose(request.param)
    monkeypatch.setitem(kernels.MAX_COMPILED_BYTES, request.param, 10_000)
    yield request.param
    compiled.choose(best)


def composed(logits: Array, X: Array, q: int, labels: Array, V: Array | None) -> tuple[Array, Array, Array]:
    """The same sums in float64, from the logits (k, b)."""
    o = logits.astype(np.float64).reshape(-1, q, logits.shape[1])
    with np.errstate(invalid="ignore"):
        value, R = block_loss.loss_and_residual(o, labels, V)
    flat = R.reshape(logits.shape)
    return value, flat.sum(axis=1), flat @ X.astype(np.float64)


def problem(seed: int, b: int, d: int, q: int, m: int, soft: bool, weights: int, dtype: Any) -> Any:
    random = np.random.default_rng(seed)
    X, W = random.normal(size=(b, d)).astype(dtype), random.normal(size=(m * q, d)).astype(dtype)
    bias = random.normal(size=m * q).astype(dtype)
    labels = random.dirichlet(np.ones(q), size=b) if soft else random.integers(0, q, size=b)
    V = [None, random.random((1, b)), random.random((m, b))][weights]
    return X, W, bias, labels, V


def check(X: Array, W: Array, bias: Array, q: int, labels: Array, V: Array | None) -> None:
    logits = np.full((len(W), len(X)), np.nan, X.dtype)
    done = kernels.loss_and_gradient(W, bias, X, q, labels, V, logits)
    assert done is not None
    eps, b, d = np.finfo(X.dtype).eps, len(X), X.shape[1]
    size = 1 + np.abs(W).max(initial=0) * np.abs(X).max(initial=0) * d + np.abs(bias).max()
    np.testing.assert_allclose(logits, W.astype(float) @ X.T + bias[:, None], rtol=0, atol=4 * eps * size)
    names = ("loss", "residual", "gradient")
    scales = (size * b, b, b * max(1, np.abs(X).max(initial=0)))
    for name, got, true, scale in zip(names, done, composed(logits, X, q, labels, V), scales, strict=True):
        np.testing.assert_allclose(got, true, rtol=0, atol=20 * eps * scale, err_msg=name)
    assert done[0].dtype == done[1].dtype == np.float64
    assert done[2].dtype == X.dtype
    alone = kernels.loss_and_gradient(W, bias, X, q, labels, V, None)
    assert alone is not None
    for one, other in zip(done, alone, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("q", [1, 2, 3, 5, 6, 7, 10, 12, 13, 26, 33])
def test_a_pass_of_every_size(one_level: str, dtype: Any, q: int) -> None:
    for i, b in enumerate((1, 2, 15, 16, 17, 33, 100, 300, 523)):
        d = (0, 1, 3, 16, 17, 31, 32, 63, 64, 100)[(i * 7 + q) % 10]
        check(*(p := problem(i, b, d, q, 1 + i % 3, i % 2 == 0, i % 3, dtype))[:3], q, *p[3:])


@needs_compiled
@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 10**6), st.integers(1, 400), st.integers(0, 90), st.integers(1, 14), st.integers(1, 4),
    st.booleans(), st.integers(0, 2), st.sampled_from([np.float32, np.float64]), st.sampled_from(LEVELS or ["none"]),
)  # fmt: skip
def test_a_pass_is_the_sum_of_its_parts(
    seed: int, b: int, d: int, q: int, m: int, soft: bool, weights: int, dtype: Any, level: str
) -> None:
    best = compiled.level()
    compiled.choose(level)
    try:
        X, W, bias, labels, V = problem(seed, b, d, q, m, soft, weights, dtype)
        if kernels._few_columns(W, readings=2):
            check(X, W, bias, q, labels, V)
    finally:
        compiled.choose(best)


@pytest.mark.parametrize("d", [784, 900, 1024, 2000])
def test_rows_longer_than_a_tile(one_level: str, d: int) -> None:
    X, W, bias, labels, V = problem(d, 70, d, 5, 2, False, 2, np.float32)
    check(X, W, bias, 5, labels, V)


def test_by_hand(one_level: str) -> None:
    X, W, labels, V = np.array([[1.0], [3.0]]), np.zeros((4, 1)), np.array([0, 1]), np.array([[1.0, 2.0], [0.0, 1.0]])
    done = kernels.loss_and_gradient(W, np.zeros(4), X, 2, labels, V, None)
    assert done is not None
    loss, residual, G = done  # all probabilities are 1/2
    np.testing.assert_allclose(loss, np.log(2) * np.array([3, 1]), rtol=1e-15)
    np.testing.assert_array_equal(residual, [-0.5 + 1, 0.5 - 1, 0.5, -0.5])
    np.testing.assert_array_equal(G, [[-0.5 + 3], [0.5 - 3], [1.5], [-1.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exponentials_and_logarithms_to_a_few_units_in_the_last_place(one_level: str, dtype: Any) -> None:
    random, eps = np.random.default_rng(7), np.finfo(dtype).eps
    X, W = np.ones((1, 1), dtype), np.zeros((3, 1), dtype)
    for spread in np.concatenate([np.logspace(-6, 2.8, 300), [0.0]]):
        bias = (random.normal(size=3) * spread).astype(dtype)
        done = kernels.loss_and_gradient(W, bias, X, 3, np.zeros(1, int), None, None)
        assert done is not None
        below = (bias - bias.max()).astype(np.longdouble)
        e, tiny = np.exp(below), np.finfo(dtype).tiny  # what is smaller may as well be 0
        log_mass, P = np.log1p(np.sort(e)[:-1].sum()), e / e.sum()
        assert abs(done[0][0] - (log_mass - below[0])) <= 3 * eps * max(log_mass + abs(below[0]), tiny / eps)
        assert (np.abs(done[1] - P + [1, 0, 0]) <= 4 * eps * np.maximum(P, [1, tiny / eps, tiny / eps])).all()


@pytest.mark.parametrize(("q", "m"), [(10, 5), (7, 5), (3, 2), (12, 1), (13, 2)])
def test_rows_held_out_of_a_fold_add_nothing(one_level: str, q: int, m: int) -> None:
    """Whole strips of them: the first, the last, all models at once; the gradient of a fold is that of its rows."""
    X, W, bias, labels, V = problem(q, 900, 784, q, m, False, 2, np.float32)
    for j in range(m):
        V[j, 150 * j : 150 * j + 300] = 0
    V[:, 700:800] = 0
    check(X, W, bias, q, labels, V)
    done = kernels.loss_and_gradient(W, bias, X, q, labels, V, None)
    assert done is not None
    for j in range(m):
        own, columns = V[j] > 0, slice(j * q, (j + 1) * q)
        alone = kernels.loss_and_gradient(W[columns], bias[columns], X[own], q, labels[own], V[j : j + 1, own], None)
        assert alone is not None
        np.testing.assert_allclose(done[2][columns], alone[2], rtol=0, atol=1e-4)
    none = kernels.loss_and_gradient(W, bias, X, q, labels, 0 * V, None)
    assert none is not None
    assert not none[0].any()
    assert not none[2].any()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38, -1e38])
def test_logits_that_are_no_numbers_or_huge(one_level: str, soft: bool, bad: float) -> None:
    X = np.ones((40, 1), np.float32)
    X[17] = bad
    W, bias = np.array([[1.0], [0.0], [-1.0]], np.float32), np.zeros(3, np.float32)
    labels = np.full((40, 3), 1 / 3) if soft else np.zeros(40, int)
    done = kernels.loss_and_gradient(W, bias, X, 3, labels, None, None)
    assert done is not None
    with np.errstate(invalid="ignore"):
        o = W * X.T + bias[:, None]
    true = composed(o, X, 3, labels, None)
    for got, want in zip(done, true, strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(got, want.astype(got.dtype), rtol=1e-5)


def test_a_class_without_probability(one_level: str) -> None:
    X, bias = np.ones((20, 1)), np.array([0.0, -np.inf, -800.0])
    done = kernels.loss_and_gradient(np.zeros((3, 1)), bias, X, 3, np.zeros(20, int), None, None)
    assert done is not None
    assert done[0] == 0
    np.testing.assert_array_equal(done[1], [0, 0, 0])  # exp(-800) is 0 as well
    done = kernels.loss_and_gradient(np.zeros((3, 1)), bias, X, 3, np.ones(20, int), None, None)
    assert done is not None
    assert done[0] == np.inf


def test_a_code_that_is_no_class_shows(one_level: str) -> None:
    for code in (-1, 2, 2**32, 2**62):
        labels = np.array([0, 1, code])
        done = kernels.loss_and_gradient(np.zeros((2, 1)), np.zeros(2), np.ones((3, 1)), 2, labels, None, None)
        assert done is not None
        assert np.isnan(done[0])


@needs_compiled
def test_many_columns_and_other_arrays_are_left_to_the_caller() -> None:
    X, W, bias, labels, V = problem(0, 30, 8, 4, 1, False, 1, np.float32)
    assert kernels.loss_and_gradient(W, bias, X, 4, labels, V, None) is not None
    for wrong in (X.astype(np.float64), np.asfortranarray(X), X[::-1], X.astype(np.float16)):
        assert kernels.loss_and_gradient(W, bias, wrong, 4, labels, V, None) is None
    assert kernels.loss_and_gradient(W, bias.astype(float), X, 4, labels, V, None) is None
    assert kernels.loss_and_gradient(W, bias, X, 4, labels, V, np.empty((30, 4), np.float32).T) is None
    most, narrow = 2 * kernels.MAX_COMPILED_BYTES[compiled.level()] // 4, kernels.MAX_NARROW_FEATURES
    few_features = compiled.level() != "baseline"  # then any number of columns is taken
    for k, d, taken in ((most, 8, True), (most + 1, 8, few_features), (most + 1, narrow + 1, False)):
        W, X = np.zeros((k, d), np.float32), np.zeros((30, d), np.float32)
        done = kernels.loss_and_gradient(W, np.zeros(k, np.float32), X, k, labels, V, None)
        assert (done is not None) == taken


@needs_compiled
def test_compiled_code_refuses_shapes_that_do_not_fit() -> None:
    X, W, bias, labels, V = problem(0, 30, 8, 4, 2, False, 2, np.float32)
    rest = lambda: (np.empty(2), np.empty(8), np.empty((8, 8), np.float32))  # noqa: E731
    compiled.loss_and_gradient(W, bias, X, labels, None, V, None, *rest())
    for wrong in (
        (W, bias[:7], X, labels, None, V, None),
        (W, bias, X[:, :7].copy(), labels, None, V, None),
        (W, bias, X, labels[:29], None, V, None),
        (W, bias, X, None, None, V, None),
        (W, bias, X, labels, None, V[:, :29].copy(), None),
        (W, bias, X, labels, None, np.ones((3, 30)), None),
        (W, bias, X, labels, None, V, np.empty((8, 29), np.float32)),
        (W[:7], bias[:7], X, labels, None, V, None),
    ):
        with pytest.raises(ValueError, match="do not fit one another"):
            compiled.loss_and_gradient(*wrong, *rest())


def test_where_the_rows_lie_in_memory_changes_no_bit(one_level: str) -> None:
    X, W, bias, labels, V = problem(3, 90, 192, 10, 1, False, 1, np.float32)
    raw, answers = np.empty(X.size + 32, np.float32), []
    for offset in range(0, 32, 3):
        moved = raw[offset : offset + X.size].reshape(X.shape)
        moved[...] = X
        answers.append(kernels.loss_and_gradient(W, bias, moved, 10, labels, V, None))
    for other in answers[1:]:
        assert other is not None
        for one, two in zip(answers[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_pass_over_blocks_is_the_same_to_the_bit_for_any_number_of_threads(
    one_level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softreg.rows.memory.dense.BLOCK_BYTES", 1)
    X, W, bias, labels, _ = problem(4, 3000, 40, 5, 1, False, 0, np.float32)
    rows, answers = as_rows(X, labels), []
    assert len(rows.blocks) > 6
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        answers.append(
            rows.sum(BlockFunction(lambda b: b.loss_and_gradient(rows.prepare(W), bias, 5, b.weights, None)))
        )
    for other in answers[1:]:
        for one, two in zip(answers[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@needs_compiled
def test_shifted_rows_have_passes_too() -> None:
    X, W, bias, labels, _ = problem(5, 400, 6, 3, 1, False, 0, np.float64)
    shift, scale = np.arange(6.0), np.arange(1.0, 7.0)
    rows = DenseRows((X * scale + shift).astype(np.float32), labels).precise(shift, scale, np.float64)
    (block,) = rows.blocks
    done = block.loss_and_gradient(rows.prepare(W), bias, 3, None, None)
    true = composed(W @ block.X.T + bias[:, None], block.X, 3, labels, None)
    for got, want in zip(done, true, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-11)


# --- predictions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("q", [1, 2, 3, 10, 13, 33])
def test_scores_are_logits_or_their_softmax(one_level: str, dtype: Any, q: int) -> None:
    for i, b in enumerate((1, 7, 8, 9, 17, 300)):
        X, W, _, _, _ = problem(i, b, (1, 5, 16, 40, 100, 784)[i], q, 1, False, 0, dtype)
        bias = np.linspace(-1, 1, q)
        o, P = scores(W, bias, X), scores(W, bias, X, probabilities=True)
        assert o is not None
        assert P is not None
        true = X.astype(float) @ W.T.astype(float) + bias
        np.testing.assert_allclose(o, true, rtol=0, atol=4 * np.finfo(dtype).eps * (1 + np.abs(true).max()) * b**0.5)
        np.testing.assert_allclose(P, softmax(o), rtol=1e-14, atol=1e-300)
        np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-15)
        assert o.dtype == P.dtype == np.float64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_of_numbers_that_are_none(one_level: str, bad: float) -> None:
    X, W = np.ones((50, 20), np.float32), np.ones((3, 20), np.float32)
    W[:, 11] = 0  # even where the weights are 0
    assert scores(W, np.zeros(3), X) is not None
    X[33, 11] = bad
    assert scores(W, np.zeros(3), X) is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_rows_are_predicted_like_few(level: str, dtype: Any) -> None:
    random = np.random.default_rng(8)
    X = random.normal(size=(1500, 50)).astype(dtype)
    model = SoftmaxRegression(max_iter=5, tol=1.0).fit(X[:200], random.integers(0, 3, 200))
    for answer in (model.predict_proba, model.predict_log_proba, model.decision_function):
        many, few = answer(X), np.concatenate([answer(X[a : a + 100]) for a in range(0, 1500, 100)])
        np.testing.assert_allclose(many, few, rtol=0, atol=2e-5 if dtype == np.float32 else 1e-12)
        assert many.dtype == np.float64
    np.testing.assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    X[1234, 5] = np.nan
    with pytest.raises(ValueError, match="column 5 has a missing value in row 1234"):
        model.predict_proba(X)
    X[1234, 5] = np.finfo(dtype).max
    model.coef_[:, 5] = [1e300, 0, 0]
    with pytest.raises(ValueError, match="row 1234 of X holds numbers so large"):
        model.predict_proba(X)
