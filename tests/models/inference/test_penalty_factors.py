"""Inference for models with a penalty factor for each column."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from softreg import SoftmaxRegression, infer
from softreg.optimize.objective.hessian import contrasts


def problem(q: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Rows of four columns, and labels of q classes that depend on them."""
    random = np.random.default_rng(q)
    X = random.normal(size=(n, 4)) * [1.0, 3.0, 0.2, 1.0] + [0.0, 5.0, 0.0, -1.0]
    W = random.normal(size=(4, q)) / [[1.0], [3.0], [0.2], [1.0]]
    return X, (X @ W + random.gumbel(size=(n, q))).argmax(axis=1)


def dense_hessian(X: np.ndarray, P: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The information of weights and, last, intercept, in contrasts of the classes, one row after the other."""
    T, Z = contrasts(P.shape[1]), np.column_stack([X, np.ones(len(X))])
    size = (P.shape[1] - 1) * Z.shape[1]
    H = np.zeros((size, size))
    for z, p, v in zip(Z, P, weight, strict=True):
        H += v * np.kron(T.T @ (np.diag(p) - np.outer(p, p)) @ T, np.outer(z, z))
    return H


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_posterior_covariance_and_degrees_are_those_of_the_dense_hessian(q: int, weighted: bool) -> None:
    X, y = problem(q)
    n, factors = len(X), np.array([0.0, 0.5, 4.0, 30.0])
    weight = np.random.default_rng(0).integers(1, 4, n).astype(float) if weighted else np.ones(n)
    total = weight.sum()
    offset = np.random.default_rng(1).normal(size=(n, q)) * 0.3
    model = SoftmaxRegression(1 / total, penalty_factors=factors, tol=1e-12).fit(X, y, weight, offset=offset)
    found = infer(model, X, y, weight, errors="posterior", offset=offset)
    H = dense_hessian(X, model.predict_proba(X, offset=offset), weight)
    S = np.diag(np.tile(np.append(factors, 0.0), q - 1))
    C = np.linalg.inv(H + S)
    assert found.df == pytest.approx(np.trace(H @ C), rel=1e-6)
    D = np.eye(q)[1:] - np.eye(q)[0]  # differences from the first class
    to_first = np.kron(D @ contrasts(q), np.eye(5))
    expected = np.sqrt(np.diag(to_first @ C @ to_first.T)).reshape(q - 1, 5)
    error = found.coefficients.std_error
    assert_allclose(error, np.roll(expected, 1, axis=1), rtol=1e-5)
    model_based = infer(model, X, y, weight, errors="model", offset=offset)
    expected = np.sqrt(np.diag(to_first @ (C @ H @ C) @ to_first.T)).reshape(q - 1, 5)
    assert_allclose(model_based.coefficients.std_error, np.roll(expected, 1, axis=1), rtol=1e-5)


def test_equal_factors_are_a_strength() -> None:
    X, y = problem(3)
    one = infer(SoftmaxRegression(0.02).fit(X, y), X, y, errors="posterior")
    two = infer(SoftmaxRegression(0.01, penalty_factors=np.full(4, 2.0)).fit(X, y), X, y, errors="posterior")
    assert_allclose(one.coefficients.std_error, two.coefficients.std_error, rtol=1e-6)
    assert one.df == pytest.approx(two.df)


def test_a_column_that_is_left_out_has_no_error() -> None:
    X, y = problem(2)
    full = SoftmaxRegression(0.01, penalty_factors={2: np.inf}).fit(X, y)
    found = infer(full, X, y, errors="posterior")
    less = infer(SoftmaxRegression(0.01).fit(X[:, [0, 1, 3]], y), X[:, [0, 1, 3]], y, errors="posterior")
    assert found.coefficients.std_error[0, 3] == 0
    assert_allclose(found.coefficients.std_error[0, [0, 1, 2, 4]], less.coefficients.std_error[0], rtol=1e-6)


def test_refusals_say_what_to_do() -> None:
    X, y = problem(2)
    bounded = SoftmaxRegression(0.01, bounds={0: {1: "+"}}).fit(X, y)
    with pytest.raises(ValueError, match=r"with bounds \(monotone terms have them\).*bootstrap"):
        infer(bounded, X, y)
    by_class = SoftmaxRegression(0.01, penalty_factors={0: {1: 3.0}}).fit(X, y)
    with pytest.raises(ValueError, match="column 0 differ between the classes"):
        infer(by_class, X, y)
    prior = SoftmaxRegression(prior=(0.0, 1.0)).fit(X, y)
    with pytest.raises(ValueError, match="with a prior are not defined here"):
        infer(prior, X, y)
    wide = np.random.default_rng(0).normal(size=(30, 4_200))
    many = SoftmaxRegression(0.1, penalty_factors=np.full(4_200, 2.0)).fit(wide, y[:30])
    with pytest.raises(ValueError, match="more than 4,000, the limit for their covariance"):
        infer(many, wide, y[:30])
    twice = np.column_stack([X, X[:, 0]])
    free = SoftmaxRegression(0.01, penalty_factors=[0, 1, 1, 1, 0]).fit(twice, y)
    with pytest.raises(ValueError, match="singular"):
        infer(free, twice, y)


def test_the_summary_names_the_factors() -> None:
    X, y = problem(2)
    model = SoftmaxRegression(0.01, penalty_factors=[1, 2, 3, 40]).fit(X, y)
    text = infer(model, X, y, errors="posterior").summary().text()
    assert "times factors from 1 to 40" in " ".join(text.split())
