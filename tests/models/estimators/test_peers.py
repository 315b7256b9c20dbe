"""Against scikit-learn, on real data and on the shifted cases: objectives first, then probabilities."""

from __future__ import annotations

import csv
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from softreg import SoftmaxRegression


def objective(X: np.ndarray, codes: np.ndarray, W: np.ndarray, b: np.ndarray, strength: float) -> float:
    """Mean cross-entropy + strength / 2 ||W||^2 in float64, W (q, d): written out here, not taken from softreg."""
    o = X.astype(np.float64) @ W.T + b
    top = o.max(axis=1)
    log_mass = np.log(np.exp(o - top[:, None]).sum(axis=1)) + top
    return float((log_mass - o[np.arange(len(o)), codes]).mean() + strength / 2 * (W**2).sum())


@pytest.fixture(scope="module")
def bank(data_folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Raw numbers and one-hot levels, the first of each left out; 36,000 shuffled rows."""
    with open(data_folder / "bank-full.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    head, table = rows[0], np.array(rows[1:])
    columns = []
    for name, values in zip(head[:-1], table.T, strict=False):
        if name in {"age", "balance", "day", "duration", "campaign", "pdays", "previous"}:
            columns.append(values.astype(np.float64)[:, None])
        else:
            columns.append((values[:, None] == np.unique(values)[None, 1:]).astype(np.float64))
    order = np.random.default_rng(0).permutation(len(table))[:36_000]
    return np.hstack(columns)[order], (table[:, -1] == "yes").astype(int)[order]


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bank_data_on_raw_columns_to_the_exact_optimum(bank, solver, dtype):
    X, codes = bank
    strength, n = 1e-5, 36_000
    # scikit-learn's one column is the difference of our two, which halves the penalty: hence the 2 in C
    peer = LogisticRegression(C=2 / (n * strength), solver="newton-cholesky", tol=1e-12, max_iter=100).fit(X, codes)
    W = np.vstack([-peer.coef_[0] / 2, peer.coef_[0] / 2])
    b = np.array([0.0, peer.intercept_[0]])
    best = objective(X, codes, W, b, strength)
    assert 0.235 < best < 0.243
    start = time.perf_counter()
    model = SoftmaxRegression(strength, solver=solver).fit(X.astype(dtype), codes)
    seconds = time.perf_counter() - start
    result = objective(X, codes, model.coef_, model.intercept_, strength)
    assert abs(result - best) < 1e-8
    assert model.solution_.converged
    assert model.solution_.certified
    assert model.solution_.value == pytest.approx(result, abs=1e-8)
    assert result - best <= model.solution_.gap + 1e-12
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-4)
    assert seconds < 60, "scikit-learn's lbfgs takes minutes here, a few passes are enough"


@pytest.mark.parametrize(("solver", "strength"), [("lbfgs", 1e-2), ("lbfgs", 1e-4), ("lbfgs", 1e-6), ("newton", 1e-4)])
def test_digits_against_scikit_learn(strength, solver):
    X, codes = load_digits(return_X_y=True)
    X, codes = X[:1200] / 16, codes[:1200]
    model = SoftmaxRegression(strength, solver=solver, tol=1e-9).fit(X, codes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = LogisticRegression(C=1 / (1200 * strength), tol=1e-6, max_iter=300).fit(X, codes)
    ours = objective(X, codes, model.coef_, model.intercept_, strength)
    theirs = objective(X, codes, peer.coef_, peer.intercept_, strength)
    assert ours <= theirs + 1e-9
    assert theirs - ours < 1e-4
    assert ours == pytest.approx(model.solution_.value, abs=1e-10)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=0.02)


@pytest.mark.parametrize("settings", [{"C": 1.0}, {"C": 0.05}], ids=str)
def test_the_elastic_net_against_scikit_learn(settings):
    X, codes = load_digits(return_X_y=True)
    X, codes = X[:400, 8:40] / 16, codes[:400]
    strength = 1 / (400 * settings["C"])
    ours = SoftmaxRegression(strength, penalty="elasticnet", l1_ratio=0.5, tol=1e-9).fit(X, codes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = LogisticRegression(solver="saga", l1_ratio=0.5, tol=1e-7, max_iter=3000, **settings).fit(X, codes)

    def total(W: np.ndarray, b: np.ndarray) -> float:
        return objective(X, codes, W, b, strength / 2) + strength / 2 * np.abs(W).sum()

    assert total(ours.coef_, ours.intercept_) <= total(peer.coef_, peer.intercept_) + 1e-9
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-3)
    agree = (ours.coef_ == 0) == (peer.coef_ == 0)
    assert agree.mean() > 0.97
    assert (ours.coef_ == 0).any()


CASES = [(np.float32, 100.0, 1e-4), (np.float32, 10_000.0, 1e-4), (np.float64, 10_000.0, 1e-6)]


@pytest.mark.parametrize(("dtype", "shift", "near"), CASES)
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_the_three_shifted_cases(dtype, shift, near, solver):
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 5))
    codes = (2 * X @ random.normal(size=(5, 3)) + random.gumbel(size=(2000, 3))).argmax(axis=1)
    X = (X + shift).astype(dtype)
    Z = X.astype(np.float64) - X.astype(np.float64).mean(axis=0)  # the same stored numbers, moved to their mean
    C = 1 / (2000 * 1e-4)
    best = LogisticRegression(C=C, tol=1e-10, max_iter=5000, solver="newton-cg").fit(Z, codes)
    model = SoftmaxRegression(1e-4, solver=solver).fit(X, codes)
    assert model.solution_.converged
    ours = objective(Z, codes, model.coef_, model.intercept_ + model.coef_ @ X.astype(np.float64).mean(axis=0), 1e-4)
    assert ours - objective(Z, codes, best.coef_, best.intercept_, 1e-4) < 1e-6
    exact = SoftmaxRegression(1e-4, solver=solver, tol=1e-12).fit(X, codes)
    np.testing.assert_allclose(exact.predict_proba(X), best.predict_proba(Z), atol=near)
    # with the default tolerance the objective is within 1e-6 nats, and Newton's last step is far within
    if solver == "newton":
        np.testing.assert_allclose(model.predict_proba(X), best.predict_proba(Z), atol=near)
