"""Leave-one-out by one Newton step, against fits without the row."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from softreg import SoftmaxRegression, SoftmaxRegressionCV, log_softmax, softmax
from softreg.models.selection import leave_one_out as leave_one_out_module
from softreg.models.selection.leave_one_out import leave_one_out


def brute(X, y, rows, strength, **more):
    """Log-probabilities of some rows, each from a fit without it."""
    out = []
    for i in rows:
        rest = np.arange(len(y)) != i
        weight = more.get("weight", np.ones(len(y)))
        settings = {k: v for k, v in more.items() if k != "weight"}
        model = SoftmaxRegression(strength, tol=1e-10, **settings).fit(X[rest], y[rest], weight[rest])
        out.append(model.predict_log_proba(X[i : i + 1])[0])
    return np.array(out)


def approximate(X, y, strength, weight=None, l1_ratio=0.0, **settings):
    weight = np.ones(len(y)) if weight is None else weight
    model = SoftmaxRegression(strength, tol=1e-12, l1_ratio=l1_ratio, **settings).fit(X, y, weight)
    parts = model.coef_.T, model.intercept_
    l1, l2 = strength * l1_ratio, strength * (1 - l1_ratio)
    return log_softmax(
        leave_one_out(X, y, weight, weights=parts, l1=l1, l2=l2, fit_intercept=model.fit_intercept)
    ), model


def loss(log_p, y):
    return -log_p[np.arange(len(y)), y]


@pytest.mark.parametrize(("strength", "intercept"), [(1.0, True), (1e-2, True), (1e-2, False), (1e-3, True)])
def test_it_is_near_to_fits_without_the_row(problem, strength, intercept):
    rows = np.arange(0, 300, 10)
    near, model = approximate(problem.X, problem.codes, strength, fit_intercept=intercept)
    exact = brute(problem.X, problem.codes, rows, strength, fit_intercept=intercept)
    seen = loss(model.predict_log_proba(problem.X[rows]), problem.codes[rows]).mean()
    expected, true = loss(near[rows], problem.codes[rows]), loss(exact, problem.codes[rows])
    assert abs(expected.mean() - true.mean()) < 0.02 * abs(true.mean() - seen)  # of what the row's own pull had hidden
    np.testing.assert_allclose(expected, true, atol=3e-3)


def test_weights_and_sparse_rows(problem):
    weight = np.random.default_rng(0).integers(1, 4, 300).astype(float)
    rows = np.arange(0, 300, 15)
    near, _ = approximate(problem.X, problem.codes, 1e-2, weight=weight)
    exact = brute(problem.X, problem.codes, rows, 1e-2, weight=weight)
    np.testing.assert_allclose(loss(near[rows], problem.codes[rows]), loss(exact, problem.codes[rows]), atol=5e-3)
    sparse, _ = approximate(sp.csr_array(problem.X), problem.codes, 1e-2, weight=weight)
    np.testing.assert_allclose(sparse, near, atol=1e-8)


def test_an_elastic_net_moves_the_weights_that_are_not_zero(problem):
    X = np.concatenate([problem.X, np.random.default_rng(5).normal(size=(300, 6))], axis=1)
    rows = np.arange(0, 300, 20)
    settings = {"penalty": "elasticnet", "l1_ratio": 0.5}
    near, model = approximate(X, problem.codes, 2e-2, **settings)
    exact = brute(X, problem.codes, rows, 2e-2, **settings)
    assert (model.coef_ == 0).any()
    np.testing.assert_allclose(loss(near[rows], problem.codes[rows]), loss(exact, problem.codes[rows]), atol=0.02)


def test_blocks_of_classes_where_there_are_many_parameters(problem, monkeypatch):
    whole, model = approximate(problem.X, problem.codes, 1e-2)
    monkeypatch.setattr(leave_one_out_module, "MAX_PARAMETERS", 3)
    blocks, _ = approximate(problem.X, problem.codes, 1e-2)
    seen = loss(model.predict_log_proba(problem.X), problem.codes).mean()
    gain = loss(whole, problem.codes).mean() - seen
    assert abs(loss(blocks, problem.codes).mean() - seen - gain) < 0.4 * gain
    assert not np.array_equal(blocks, whole)
    with pytest.raises(ValueError, match="cv='loo' needs the curvature between all columns, and X has 4"):
        SoftmaxRegressionCV(cv="loo").fit(problem.X, problem.y)


def test_two_classes_with_tiny_signal_follow_the_formula_of_linear_regression():
    # where all probabilities are near 1/2, logistic regression is ridge regression: leverage h / (1 - h)
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 3)), np.tile([0, 1], 20)
    near, model = approximate(X, y, 50.0)
    P = softmax(model.decision_function(X)[:, None] * np.array([0.0, 1.0]))
    ridge = Ridge(alpha=40 * 50.0 * 2).fit(X, 4 * (y - P[:, 1]) + model.decision_function(X))
    Z = np.column_stack([np.ones(40), X])
    H = Z @ np.linalg.solve(Z.T @ Z + np.diag([0, *[4000.0] * 3]), Z.T)
    moved = ridge.predict(X) - (H.diagonal() / (1 - H.diagonal())) * 4 * (y - P[:, 1])
    np.testing.assert_allclose(near[:, 1] - near[:, 0], moved, atol=5e-4)


def test_cv_loo_is_as_many_folds_as_rows(problem):
    X, y = problem.X[:100], problem.codes[:100]
    loo = SoftmaxRegressionCV([1.0, 1e-1, 1e-2], cv="loo").fit(X, y)
    many = SoftmaxRegressionCV([1.0, 1e-1, 1e-2], cv=KFold(100)).fit(X, y)  # one stack of 101 models
    np.testing.assert_allclose(loo.path_.mean, many.path_.mean, atol=4e-3)
    np.testing.assert_allclose(loo.path_.error, many.path_.error, rtol=0.02)
    assert loo.strength_ == many.strength_
    auto = SoftmaxRegressionCV(cv="loo").fit(problem.X, problem.y)
    assert 0 < auto.path_.chosen < len(auto.path_)


def test_what_cv_loo_reports(problem):
    loo = SoftmaxRegressionCV([1e-1, 1e-2], cv="loo").fit(problem.X, problem.y)
    assert loo.scores_.shape == (2, 300)
    assert loo.path_.mean[loo.path_.chosen] == pytest.approx(loss(np.log(loo.oof_proba_), problem.codes).mean())
    assert loo.path_.error[loo.path_.chosen] == pytest.approx(loo.scores_[loo.path_.chosen].std() / np.sqrt(299))


def test_loo_with_brier_soft_labels_and_a_class_of_one_row(problem):
    hard = SoftmaxRegressionCV([1e-2], cv="loo", scoring="brier").fit(problem.X, problem.codes)
    soft = SoftmaxRegressionCV([1e-2], cv="loo", scoring="brier").fit(problem.X, np.eye(3)[problem.codes])
    np.testing.assert_allclose(soft.scores_, hard.scores_, atol=1e-7)
    y = problem.y.astype(object)
    y[3] = "yak"
    with pytest.warns(UserWarning, match="'yak'"):
        one = SoftmaxRegressionCV([1e-2], cv="loo").fit(problem.X, y)
    assert np.isnan(one.scores_[0, 3])
    assert np.isfinite(one.path_.mean[0])
