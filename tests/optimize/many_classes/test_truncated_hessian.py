"""The truncated Hessian: exact where all probabilities are kept, and its Newton step solves its own system."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.optimize.many_classes import leading_probabilities
from softreg.optimize.many_classes.leading_probabilities import LeadingProbabilities
from softreg.optimize.many_classes.shared_curvature import ClassSums, SharedCurvature, WithinScatter
from softreg.optimize.many_classes.streamed_loss import StreamedLoss
from softreg.optimize.many_classes.truncated_hessian import TruncatedHessian
from softreg.rows import DenseRows
from softreg.typing import Array

N, D, Q, STRENGTH = 90, 4, 11, 0.02


def hessian(
    monkeypatch: pytest.MonkeyPatch, least: float, weights: Array | None = None, fit_intercept: bool = True
) -> tuple[TruncatedHessian, Array, Array, Array]:
    """Return the Hessian at random weights, the centred rows, the probabilities and the row weights."""
    monkeypatch.setattr(leading_probabilities, "LEAST_PROBABILITY", least)
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(N, D)) + 2, np.concatenate([np.arange(Q), rng.integers(0, Q, N - Q)])
    shift = X.mean(axis=0) if fit_intercept else np.zeros(D)
    loss = StreamedLoss(DenseRows(X, y), Q, STRENGTH, weights, shift)
    loss.keeps_leading = True
    W, bias, G = rng.normal(size=(Q, D)), rng.normal(size=Q) * float(fit_intercept), np.empty((Q, D))
    at = loss.evaluate(W, bias, G)
    sums = ClassSums(loss)
    scatter = WithinScatter.of(loss, sums)
    preconditioner = SharedCurvature(loss, sums, scatter, at, W, G, fit_intercept)
    O = (X - shift) @ W.T + bias
    P = np.exp(O - O.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    v = np.ones(N) if weights is None else weights
    return TruncatedHessian(preconditioner, sums, at, W, G), X - shift, P, v


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_products_are_exact_where_all_probabilities_are_kept(
    monkeypatch: pytest.MonkeyPatch, weighted: bool, fit_intercept: bool
) -> None:
    weights = np.random.default_rng(0).uniform(0, 3, N) if weighted else None
    if weights is not None:
        weights[::7] = 0
    H, X, P, v = hessian(monkeypatch, 0.0, weights, fit_intercept)
    rng = np.random.default_rng(4)
    V, b, out = rng.normal(size=(Q, D)), rng.normal(size=Q) * float(fit_intercept), np.empty((Q, D))
    of_bias, curvature = H.times(V, b, out)
    Z = X @ V.T + b
    R = P * (Z - (P * Z).sum(axis=1, keepdims=True)) * v[:, None] / v.sum()
    np.testing.assert_allclose(out, R.T @ X + STRENGTH * V, atol=1e-6)
    np.testing.assert_allclose(of_bias, R.sum(axis=0) * float(fit_intercept), atol=1e-6)
    assert curvature == pytest.approx(float(np.vdot(V, out) + b @ of_bias), rel=1e-9)


def test_products_are_symmetric_and_positive_with_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    H, _, _, _ = hessian(monkeypatch, 0.2)
    assert H.rest.sum() > 0.05
    size = Q * D + Q
    M = np.empty((size, size))
    for j, unit in enumerate(np.eye(size)):
        out = np.empty((Q, D))
        of_bias, _ = H.times(unit[: Q * D].reshape(Q, D), unit[Q * D :], out)
        M[:, j] = np.concatenate([out.ravel(), of_bias])
    np.testing.assert_allclose(M, M.T, atol=1e-6)
    assert np.linalg.eigvalsh(M).min() > -1e-7


def test_a_step_solves_the_system_of_the_hessian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softreg.optimize.many_classes.truncated_hessian.ACCURACY", 1e-7)
    monkeypatch.setattr("softreg.optimize.many_classes.truncated_hessian.LEAST_PRODUCTS", 200)
    monkeypatch.setattr("softreg.optimize.many_classes.truncated_hessian.MOST_PRODUCTS", 200)
    H, _, _, _ = hessian(monkeypatch, 0.1)
    rng = np.random.default_rng(5)
    G, b = rng.normal(size=(Q, D)), rng.normal(size=Q)
    G, b = G - G.mean(axis=0), b - b.mean()
    D_, solved = H.solve(G, b)
    out = np.empty((Q, D))
    of_bias, _ = H.times(D_, solved, out)
    np.testing.assert_allclose(out, G, atol=1e-4)
    np.testing.assert_allclose(of_bias, b, atol=1e-4)


def test_pairs_are_the_probabilities_that_are_not_small(monkeypatch: pytest.MonkeyPatch) -> None:
    H, _, P, _ = hessian(monkeypatch, 0.05)
    kept = np.zeros((Q, N))
    for k in range(Q):
        span = slice(H.starts[k], H.starts[k + 1])
        kept[k, H.rows[span]] = H.p[span]
    np.testing.assert_allclose(kept[kept > 0], P.T[kept > 0], atol=1e-6)
    assert (kept[P.T > 0.0501] > 0).all()


def test_the_number_of_pairs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading_probabilities, "PAIRS_PER_ROW", 3)
    q, b = 50, 40
    leading = LeadingProbabilities(q, 2 * b)
    rng = np.random.default_rng(0)
    for start in (0, b):
        P = rng.dirichlet(np.full(q, 0.2), b).T.astype(np.float32)
        codes = rng.integers(0, q, b)
        p_label = P[codes, np.arange(b)].astype(np.float64)
        P[codes, np.arange(b)] -= 1
        leading.add(slice(start, start + b), codes, p_label, [(slice(0, q), leading.of_chunk(P, None))])
    kept = leading.matrix()
    assert kept.shape == (q, 2 * b)
    assert 2 * b <= kept.nnz <= 3 * 2 * b
    assert leading.least > leading_probabilities.LEAST_PROBABILITY
