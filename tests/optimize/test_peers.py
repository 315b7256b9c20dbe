"""Against the peers: objectives first, then probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegression

from softreg.optimize import elastic_net, l2, minimise
from softreg.probability import softmax
from softreg.rows import as_rows

Array = NDArray[Any]
Value = Callable[..., float]


def scaled(load: Callable[..., tuple[Array, Array]]) -> tuple[Array, Array]:
    X, y = load(return_X_y=True)
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0), y


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("load", [load_iris, load_wine])
@pytest.mark.parametrize("strength", [1e-3, 0.1])
def test_scikit_learn_for_many_classes(load: Any, strength: float, solver: str, objective_value: Value) -> None:
    X, y = scaled(load)
    peer = LogisticRegression(C=1 / (len(y) * strength), tol=1e-10, max_iter=10_000).fit(X, y)
    (found,) = minimise(as_rows(X, y), 3, l2(strength), solver=solver, tol=1e-12)
    theirs = objective_value(X, y, peer.coef_.T, peer.intercept_, strength)
    assert found.value <= theirs + 1e-12
    assert found.value == pytest.approx(theirs, abs=1e-9)
    np.testing.assert_allclose(softmax(X @ found.W + found.b), peer.predict_proba(X), atol=1e-5)


def test_scikit_learn_on_digits(objective_value: Value) -> None:
    X, y = load_digits(return_X_y=True)
    X = X / 16
    peer = LogisticRegression(C=1 / (len(y) * 1e-2), tol=1e-8, max_iter=10_000).fit(X, y)
    (found,) = minimise(as_rows(X, y), 10, l2(1e-2), tol=1e-10)
    theirs = objective_value(X, y, peer.coef_.T, peer.intercept_, 1e-2)
    assert theirs - 1e-7 < found.value <= theirs + 1e-10
    np.testing.assert_allclose(softmax(X @ found.W + found.b), peer.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("strength", [1e-3, 0.1])
def test_scikit_learns_two_classes_have_half_the_penalty(strength: float) -> None:
    X, y = scaled(load_breast_cancer)
    peer = LogisticRegression(C=2 / (len(y) * strength), tol=1e-10, max_iter=10_000).fit(X, y)
    (found,) = minimise(as_rows(X, y), 2, l2(strength), tol=1e-12)
    np.testing.assert_allclose(softmax(X @ found.W + found.b), peer.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(found.W[:, 1] - found.W[:, 0], peer.coef_[0], atol=1e-4)


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_scikit_learns_elastic_net(ratio: float, objective_value: Value) -> None:
    X, y = scaled(load_wine)
    strength = 0.02
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of renamed parameters; saga needs l1_ratio under either name
        peer = LogisticRegression(
            C=1 / (len(y) * strength), l1_ratio=ratio, solver="saga", tol=1e-9, max_iter=20_000, random_state=0
        )
        if "penalty" in peer.get_params():
            peer.set_params(penalty="elasticnet")
        peer.fit(X, y)
    (found,) = minimise(as_rows(X, y), 3, elastic_net(strength, ratio), tol=1e-10)
    part = {"l2": strength * (1 - ratio), "l1": strength * ratio}
    theirs = objective_value(X, y, peer.coef_.T, peer.intercept_, **part)
    assert theirs - 1e-7 < found.value <= theirs + 1e-10
    np.testing.assert_allclose(softmax(X @ found.W + found.b), peer.predict_proba(X), atol=1e-3)
    np.testing.assert_array_equal(found.W == 0, np.abs(peer.coef_.T) < 1e-7)


def test_statsmodels_without_a_penalty(problem: Callable[..., tuple[Array, Array]]) -> None:
    statsmodels = pytest.importorskip("statsmodels.api")
    X, y = problem(n=400)
    peer = statsmodels.MNLogit(y, statsmodels.add_constant(X)).fit(method="newton", tol=1e-12, disp=0)
    (found,) = minimise(as_rows(X, y), 3, l2(0.0), tol=1e-12)
    assert found.value == pytest.approx(-peer.llf / len(y), abs=1e-12)
    theirs = np.asarray(peer.params)  # (d + 1, q - 1), relative to class 0
    np.testing.assert_allclose(found.W[:, 1:] - found.W[:, :1], theirs[1:], atol=1e-6)
    np.testing.assert_allclose(found.b[1:] - found.b[0], theirs[0], atol=1e-6)


def test_weights_as_in_scikit_learn(problem: Callable[..., tuple[Array, Array]]) -> None:
    X, y = problem()
    v = np.random.default_rng(0).uniform(0, 3, len(y))
    peer = LogisticRegression(C=1 / (v.sum() * 0.01), tol=1e-10, max_iter=10_000).fit(X, y, sample_weight=v)
    (found,) = minimise(as_rows(X, y, v[None]), 3, l2(0.01), tol=1e-12)
    np.testing.assert_allclose(softmax(X @ found.W + found.b), peer.predict_proba(X), atol=1e-5)
