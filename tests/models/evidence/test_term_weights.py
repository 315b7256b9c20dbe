"""Weights at given precisions and factors of the information, against SciPy and dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from softreg.models.evidence import term_curvature
from softreg.models.evidence.term_curvature import FactorPreconditioner, TermCurvature
from softreg.models.evidence.term_weights import FitRows, TermFit
from softreg.optimize.objective.hessian import contrasts


def drawn_rows(q: int, *, n: int = 60, d: int = 4, weighted: bool = False) -> FitRows:
    """Rows with features, an intercept, codes, an offset and, if wanted, weights of which some are 0."""
    random = np.random.default_rng(q)
    Z = np.column_stack([random.normal(size=(n, d)), np.ones(n)])
    codes = random.integers(0, q, n)
    weight = random.integers(0, 4, n).astype(np.float64) if weighted else None
    return FitRows(Z, codes, q, weight, random.normal(size=(q, n)))


@pytest.mark.parametrize("q", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_is_the_minimum_of_scipy(q: int, weighted: bool) -> None:
    rows = drawn_rows(q, weighted=weighted)
    diagonal = np.array([0.1, 2.0, 30.0, 1e4, 1e-6])
    n, w = rows.Z.shape
    weight, T, offset = np.ones(n) if rows.weight is None else rows.weight, contrasts(q), rows.offset
    assert offset is not None

    def objective(x: np.ndarray) -> float:
        theta = x.reshape(q - 1, w)
        logs = log_softmax(T @ theta @ rows.Z.T + offset, axis=0)
        return float(-weight @ logs[rows.codes, np.arange(n)] + (diagonal * theta**2).sum() / 2)

    best = minimize(objective, np.zeros((q - 1) * w), method="BFGS", options={"gtol": 1e-6})
    found = TermFit(rows, diagonal).minimise(np.zeros((q - 1, w)), 1e-10)
    assert found.point.value == pytest.approx(best.fun, abs=1e-6)
    assert objective(found.point.theta.ravel()) == pytest.approx(found.point.value, abs=1e-9)
    assert np.abs(found.point.G).max() < 1e-4


@pytest.mark.parametrize("q", [2, 3])
def test_a_poor_preconditioner_costs_steps_and_not_the_minimum(q: int) -> None:
    rows, diagonal = drawn_rows(q), np.array([0.1, 2.0, 30.0, 1e4, 1e-6])
    exact = TermFit(rows, diagonal).minimise(np.zeros((q - 1, 5)), 1e-10)
    for scale in (1e-4, 1.0, 1e4):
        found = TermFit(rows, diagonal).minimise(np.zeros((q - 1, 5)), 1e-10, lambda G, scale=scale: G * scale)
        assert found.point.value == pytest.approx(exact.point.value, abs=1e-6)


def test_the_steps_of_large_weights_are_shortened() -> None:
    """From weights at which all rows have probabilities of 0 or 1, a full Newton step would go far away."""
    rows, diagonal = drawn_rows(2), np.full(5, 0.01)
    near = TermFit(rows, diagonal).minimise(np.zeros((1, 5)), 1e-10)
    far = TermFit(rows, diagonal).minimise(np.full((1, 5), 60.0), 1e-10)
    assert far.point.value == pytest.approx(near.point.value, abs=1e-6)


@pytest.mark.parametrize("q", [2, 3])
def test_factors_of_rows_and_of_columns_agree(q: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(term_curvature, "MAX_FULL_PARAMETERS", 10)  # blocks of the classes, for three of them
    rows = drawn_rows(q, n=15, d=40)
    random = np.random.default_rng(0)
    P = softmax(random.normal(size=(q, 15)), axis=0)
    diagonal = np.append(random.uniform(1e-3, 10, 40), term_curvature.INTERCEPT_PRECISION)
    of_rows = TermCurvature(rows.Z, P, None).factor(diagonal)
    monkeypatch.setattr(term_curvature, "ROWS_PER_COLUMN", 0.0)
    of_columns = TermCurvature(rows.Z, P, None).factor(diagonal)
    assert type(of_rows.parts[0]) is not type(of_columns.parts[0])
    G = random.normal(size=(q - 1, 41))
    assert_allclose(of_rows.solve(G)[:, :-1], of_columns.solve(G)[:, :-1], rtol=1e-3, atol=1e-4)
    assert_allclose(of_rows.variances()[:-1], of_columns.variances()[:-1], rtol=1e-4)
    assert_allclose(of_rows.diagonals()[:, :-1], of_columns.diagonals()[:, :-1], rtol=1e-9)


@pytest.mark.parametrize("q", [2, 3])
def test_some_columns_have_the_products_of_all(q: int) -> None:
    rows = drawn_rows(q)
    P = softmax(np.random.default_rng(1).normal(size=(q, 60)), axis=0)
    whole, kept = TermCurvature(rows.Z, P, None), np.array([0, 2, 4])
    assert len(whole.products) == 1
    some = whole.columns(kept, rows.Z[:, kept])
    assert "products" in vars(some)
    assert_allclose(some.products[0], TermCurvature(rows.Z[:, kept], P, None).products[0], rtol=1e-12, atol=1e-12)


def test_an_earlier_factor_serves_independent_columns_exactly() -> None:
    Z = np.array([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0], [0, 0, 1.0]])
    P, before, now = np.full((2, 5), 0.5), np.array([1.0, 1.0, 1e-6]), np.array([100.0, 0.2, 1e-6])
    curvature = TermCurvature(Z, P, None)
    inverse = FactorPreconditioner(curvature.factor(before), before, np.arange(3))
    G = np.array([[1.0, -2.0, 0.5]])
    assert_allclose(inverse.at(now)(G), curvature.factor(now).solve(G), rtol=1e-9)
    some = np.array([0, 2])
    assert_allclose(inverse.of(some).at(now[some])(G[:, some]), curvature.factor(now).solve(G)[:, some], rtol=1e-9)


def test_the_change_of_curvature_is_relative_to_its_sum() -> None:
    P = np.full((2, 4), 0.5)
    curvature = TermCurvature(np.ones((4, 1)), P, np.array([1.0, 1.0, 2.0, 0.0]))
    assert curvature.change(P) == 0
    other = P.copy()
    other[:, 2], other[:, 3] = (0.1, 0.9), (0.0, 1.0)  # p (1 - p) from 0.25 to 0.09; the last row has no weight
    assert curvature.change(other) == pytest.approx(2 * 0.16 / (2 * 0.25 + 2 * 0.09))
