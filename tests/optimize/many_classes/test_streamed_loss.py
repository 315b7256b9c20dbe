"""The streamed objective and its gradient against the formula, finite differences and other divisions of the work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from softreg.optimize.many_classes import streamed_loss
from softreg.optimize.many_classes.shared_curvature import ClassSums, SharedCurvature, WithinScatter
from softreg.optimize.many_classes.streamed_loss import StreamedLoss
from softreg.rows import as_rows
from softreg.rows.kernels import products as kernels

Array = NDArray[Any]
STRENGTH = 0.03


def draw(n: int, d: int, q: int, seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Return rows, codes, weights (q, d) and bias."""
    random = np.random.default_rng(seed)
    y = random.integers(0, q, n)
    y[: min(n, q)] = np.arange(min(n, q))
    return random.normal(size=(n, d)) + 2, y, random.normal(size=(q, d)), random.normal(size=q)


def loss_of(X: Array, y: Array, q: int, v: Array | None, shift: Array) -> StreamedLoss:
    rows: Any = as_rows(X, y, None if v is None else v[None])
    return StreamedLoss(rows, q, STRENGTH, v, shift)


def formulas(X: Array, y: Array, W: Array, b: Array, v: Array | None, shift: Array) -> dict[str, Any]:
    """Return value, derivatives and the other numbers of an evaluation, in float64."""
    Z, W, n = X.astype(float) - shift, W.astype(float), len(X)
    v = np.ones(n) if v is None else v
    o, Y = Z @ W.T + b, np.eye(len(W))[y]
    lost, P = logsumexp(o, axis=1) - o[np.arange(n), y], softmax(o, axis=1)
    loss = np.average(lost, weights=v)
    share = v / v.sum()
    return {
        "value": loss + STRENGTH / 2 * (W**2).sum(),
        "loss": loss,
        "label_logit": np.average((Z * W[y]).sum(axis=1), weights=v),
        "mean": share @ P,
        "variance": share @ (P * (1 - P)),
        "p_label": P[np.arange(n), y],
        "gradient": ((P - Y) * share[:, None]).T @ Z + STRENGTH * W,
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "d", "q"), [(1, 1, 2), (5, 3, 7), (200, 6, 128), (150, 11, 129), (90, 4, 700)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("runs", ["one", "many"])
def test_value_and_gradient_are_those_of_the_formula(
    n: int, d: int, q: int, dtype: Any, weighted: bool, runs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y, W, b = draw(n, d, q)
    X, W = X.astype(dtype), W.astype(dtype)
    v = np.random.default_rng(1).integers(0, 3, n) + (np.arange(n) == 0.0) if weighted else None
    shift = X.astype(float).mean(axis=0)
    if runs == "many":
        monkeypatch.setattr(streamed_loss, "MAX_RUN_ROWS", 64)
    loss, G = loss_of(X, y, q, v, shift), np.full(W.shape, np.nan, dtype)
    found, expected = loss.evaluate(W, b, G), formulas(X, y, W, b, v, shift)
    near = {"rtol": 2e-4, "atol": 2e-5} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-13}
    np.testing.assert_allclose(G, expected.pop("gradient"), **near)
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, err_msg=name, **near)
    without = loss.evaluate(W, b, None)
    assert (without.value, without.loss, without.label_logit) == (found.value, found.loss, found.label_logit)


@pytest.mark.parametrize("without_kernels", [False, True])
def test_gradient_by_finite_differences(without_kernels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if without_kernels:
        monkeypatch.setattr(kernels, "_module", None)
    X, y, W, b = draw(60, 4, 130)
    loss, G = loss_of(X, y, 130, None, X.mean(axis=0)), np.empty_like(W)
    at, random = loss.evaluate(W, b, G), np.random.default_rng(3)
    for _ in range(5):
        D, e, h = random.normal(size=W.shape), random.normal(size=130), 1e-5
        slope = (loss.evaluate(W + h * D, b + h * e, None).value - loss.evaluate(W - h * D, b - h * e, None).value) / (
            2 * h
        )
        assert np.vdot(G, D) + e @ (at.mean - loss.rates) == pytest.approx(slope, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("mean", [10.0, 30.0, 1000.0])
def test_columns_whose_mean_is_far_above_their_spread(mean: float) -> None:
    """Rows are centred before products in float32, so that the gradient keeps its digits."""
    X, y, W, b = draw(300, 4, 40)
    X = (np.round(X * 64) / 64 + mean).astype(np.float32)
    shift = X.astype(float).mean(axis=0)
    loss, G = loss_of(X, y, 40, None, shift), np.empty(W.shape, np.float32)
    at = loss.evaluate(W.astype(np.float32), b, G)
    expected = formulas(X, y, W.astype(np.float32), b, None, loss.shift)
    np.testing.assert_allclose(loss.shift, shift, rtol=1e-7)
    np.testing.assert_allclose(G, expected["gradient"], rtol=1e-5, atol=1e-7)
    assert at.value == pytest.approx(expected["value"], rel=1e-6)


def test_extreme_logits_are_finite() -> None:
    X, y, W, b = draw(30, 3, 200)
    for factor in (1e4, 1e8):
        G = np.empty_like(W)
        at = loss_of(X, y, 200, None, np.zeros(3)).evaluate(factor * W, b, G)
        expected = formulas(X, y, factor * W, b, None, np.zeros(3))
        assert at.value == pytest.approx(expected["value"], rel=1e-12)
        np.testing.assert_allclose(G, expected["gradient"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_do_not_depend_on_threads(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, W, b = draw(500, 9, 1500)
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        G = np.empty(W.shape, dtype)
        loss = loss_of(X.astype(dtype), y, 1500, None, X.mean(axis=0))
        found.append((loss.evaluate(W.astype(dtype), b, G), G))
    (one, of_one), (two, of_two) = found
    np.testing.assert_array_equal(of_one, of_two)
    assert one.value == two.value
    np.testing.assert_array_equal(one.mean, two.mean)


# --- the shared curvature ---------------------------------------------------------------------------------------------


def shared(X: Array, y: Array, q: int, fit_intercept: bool) -> tuple[StreamedLoss, SharedCurvature, Array]:
    """Return the preconditioner at weights of 0, with the mean class variance."""
    loss = loss_of(X, y, q, None, X.mean(axis=0) if fit_intercept else np.zeros(X.shape[1]))
    W, G, sums = np.zeros((q, X.shape[1])), np.empty((q, X.shape[1])), ClassSums(loss)
    at = loss.evaluate(W, np.zeros(q), G)
    return loss, SharedCurvature(loss, sums, WithinScatter.of(loss, sums), at, W, G, fit_intercept), at.variance


def test_sums_of_classes_and_the_scatter_within_them() -> None:
    X, y, _, _ = draw(80, 5, 7)
    v = np.random.default_rng(2).integers(0, 3, 80) + 0.5
    loss = loss_of(X, y, 7, v, X.mean(axis=0))
    Z, sums = X - X.mean(axis=0), ClassSums(loss)
    (found,) = sums.of(slice(2, 6), v)
    np.testing.assert_allclose(found, [(v[y == c, None] * Z[y == c]).sum(axis=0) for c in range(2, 6)], atol=1e-12)
    S = sum((v[y == c, None] * (Z[y == c] - np.average(Z[y == c], axis=0, weights=v[y == c]))).T
            @ (Z[y == c] - np.average(Z[y == c], axis=0, weights=v[y == c])) for c in range(7)) / v.sum()  # fmt: skip
    scatter = WithinScatter.of(loss, sums)
    np.testing.assert_allclose((scatter.vectors * scatter.values) @ scatter.vectors.T, S, atol=1e-12)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_the_curvature_at_zero_is_nearly_that_of_a_class(fit_intercept: bool) -> None:
    """Where the preconditioner is inverted, its products are those of a class's block, up to a factor."""
    X, y, _, _ = draw(4000, 4, 8)
    loss, curvature, u = shared(X, y, 8, fit_intercept)
    Z = X - loss.shift
    H = u[0] * Z.T @ Z / len(Z) + STRENGTH * np.eye(4)
    inverse = np.stack([curvature.solve(slice(0, 1), row[None], np.zeros(1))[0][0] for row in np.eye(4)])
    spectrum = np.linalg.eigvals(inverse @ H)
    assert np.abs(spectrum.imag).max() < 1e-9
    assert spectrum.real.min() > 0.5
    assert spectrum.real.max() < 2
