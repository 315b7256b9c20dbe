"""The bootstrap: each resample is the fit of the rows drawn, and intervals cover what they should."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.exceptions import ConvergenceWarning

from softreg import SoftmaxRegression, SoftmaxRegressionCV, bootstrap
from softreg.models.inference import bootstrap as resampling


def test_each_resample_is_the_fit_of_its_rows(problem, monkeypatch):
    model = SoftmaxRegression(1e-2).fit(problem.X, problem.y)
    monkeypatch.setattr(resampling, "LOGITS", 3 * 300 * 3)  # three at a time
    found = bootstrap(model, problem.X, problem.y, 7, random_state=5)
    counts = np.random.RandomState(5).multinomial(300, np.full(300, 1 / 300), size=7)
    assert found.coef.shape == (7, 3, 4)
    assert len(found) == 7
    assert found.gap.max() <= 1e-6
    for r in (0, 4, 6):
        drawn = np.repeat(np.arange(300), counts[r])
        alone = SoftmaxRegression(1e-2).fit(problem.X[drawn], problem.y[drawn])
        np.testing.assert_allclose(found.coef[r], alone.coef_, atol=2e-3)


def test_intervals_by_hand(problem):
    model = SoftmaxRegression(1e-2).fit(problem.X, problem.y)
    found = bootstrap(model, problem.X, problem.y, 40, random_state=0)
    low, high = found.coef_interval(0.9)
    t = stats.t.ppf(0.95, 300 - 4 - 1)  # 300 rows, 4 columns
    ends = np.quantile(found.coef, stats.norm.cdf([-1, 1]), axis=0)
    np.testing.assert_allclose(low, model.coef_ - t * (ends[1] - ends[0]) / 2)
    np.testing.assert_allclose(high, model.coef_ + t * (ends[1] - ends[0]) / 2)
    few = problem.X[:3]
    o = np.einsum("nd,bqd->bnq", few, found.coef) + found.intercept[:, None]
    P = np.exp(o) / np.exp(o).sum(axis=2, keepdims=True)
    low, high = found.proba_interval(few, 0.9)
    ends = np.quantile(logit(P), stats.norm.cdf([-1, 1]), axis=0)
    centre = logit(model.predict_proba(few))
    np.testing.assert_allclose(low, expit(centre - t * (ends[1] - ends[0]) / 2))
    np.testing.assert_allclose(high, expit(centre + t * (ends[1] - ends[0]) / 2))
    with pytest.raises(ValueError, match="level=95"):
        found.coef_interval(95)


def test_intervals_of_probabilities_near_one_and_of_weights_that_are_zero():
    X = np.linspace(-1, 1, 60)[:, None] ** 3
    y = (X[:, 0] > 0).astype(int)
    found = bootstrap(SoftmaxRegression(1e-6).fit(X, y), X, y, 30, random_state=0)
    low, high = found.proba_interval([[1000.0], [-1000.0]])
    assert np.isfinite(low).all()
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()
    assert low[0, 1] > 1 - 1e-9
    random = np.random.default_rng(0)
    X, y = random.normal(size=(100, 5)), np.arange(100) % 2
    sparse = SoftmaxRegression(0.1, penalty="l1").fit(X, y)
    drawn = bootstrap(sparse, X, y, 60, random_state=0)
    low, high = drawn.coef_interval()
    some = (drawn.coef != 0).any(axis=0)
    assert (low[some] < high[some]).all()


def test_too_few_rows_of_a_class_are_told():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(60, 4)), (np.arange(60) < 6).astype(int)
    found = bootstrap(SoftmaxRegression(0.1).fit(X, y), X, y, 10, random_state=0)
    assert (found.rows, found.rarest) == (60, 6)
    with pytest.warns(UserWarning, match="the rarest class has 6 rows and there are 4 columns"):
        found.coef_interval()
    with pytest.warns(UserWarning, match="fewer than 2 rows of it for each column"):
        found.proba_interval(X)


def test_the_spread_is_that_of_maximum_likelihood():
    # one feature, two classes: the standard error of the log-odds slope is known from the Fisher information
    random = np.random.default_rng(0)
    X = random.normal(size=(2000, 1))
    y = (random.random(2000) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
    model = SoftmaxRegression(penalty=None).fit(X, y)
    p = model.predict_proba(X)[:, 1]
    Z = np.column_stack([np.ones(2000), X])
    error = np.sqrt(np.linalg.inv(Z.T @ (Z * (p * (1 - p))[:, None]))[1, 1])
    found = bootstrap(model, X, y, 300, random_state=1)
    slope = found.coef[:, 1, 0] - found.coef[:, 0, 0]
    assert slope.std() == pytest.approx(error, rel=0.12)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Of 100 samples of 300 rows, with 60 resamples."""
    draw = np.random.default_rng(0)
    W, b = np.array([[1.0, -0.5, -0.5], [0.3, 0.6, -0.9]]), np.array([0.2, 0.0, -0.2])
    W -= W.mean(axis=1, keepdims=True)

    def truth(X):
        P = np.exp(X @ W + b)
        return P / P.sum(axis=1, keepdims=True)

    new = draw.normal(size=(5, 2))
    proba, weights = [], []
    for r in range(100):
        X = draw.normal(size=(300, 2))
        y = (truth(X).cumsum(axis=1) > draw.random((300, 1))).argmax(axis=1)
        found = bootstrap(SoftmaxRegression(1e-6).fit(X, y), X, y, 60, random_state=r)
        low, high = found.proba_interval(new, 0.9)
        proba.append((low <= truth(new)) & (truth(new) <= high))
        low, high = found.coef_interval(0.9)
        weights.append((low <= W.T) & (high >= W.T))
    assert 0.86 < np.mean(proba) < 0.95
    assert 0.86 < np.mean(weights) < 0.95


def test_weights_frames_soft_labels_and_a_chosen_strength(problem):
    frame = pd.DataFrame(problem.X, columns=list("abcd"))
    chosen = SoftmaxRegressionCV([1e-2, 1e-3]).fit(frame, problem.y)
    found = bootstrap(chosen, frame, problem.y, 5, random_state=0)
    assert found.model.strength == chosen.strength_
    assert found.proba_interval(frame[list("dcba")])[0].shape == (300, 3)
    v = np.ones(300)
    v[:50] = 0
    model = SoftmaxRegression(1e-2).fit(problem.X, problem.codes, v)
    some = bootstrap(model, problem.X, problem.codes, 5, sample_weight=v, random_state=0)
    same = bootstrap(model, problem.X[50:], problem.codes[50:], 5, random_state=0)
    np.testing.assert_array_equal(some.coef, same.coef)
    soft = bootstrap(model, problem.X[50:], np.eye(3)[problem.codes[50:]], 5, random_state=0)
    np.testing.assert_allclose(soft.coef, same.coef, atol=1e-6)


def test_an_l1_model_and_one_without_a_bias(problem):
    for settings in ({"penalty": "l1"}, {"fit_intercept": False}):
        model = SoftmaxRegression(2e-2, **settings).fit(problem.X, problem.y)
        found = bootstrap(model, problem.X, problem.y, 4, random_state=0)
        counts = np.random.RandomState(0).multinomial(300, np.full(300, 1 / 300), size=4)
        alone = SoftmaxRegression(2e-2, **settings).fit(problem.X, problem.y, counts[0])
        np.testing.assert_allclose(found.coef[0], alone.coef_, atol=5e-3)


def test_rare_classes_are_never_lost(problem):
    y = problem.y.astype(object)
    y[:2] = "yak"
    model = SoftmaxRegression(1e-2).fit(problem.X, y)
    found = bootstrap(model, problem.X, y, 30, random_state=0)
    assert np.isfinite(found.coef).all()
    many = np.concatenate([[f"only {i}" for i in range(40)], ["a"] * 10])
    rare = SoftmaxRegression(1.0).fit(np.arange(50.0)[:, None], many)
    with pytest.raises(ValueError, match="nearly every resample loses a class"):
        bootstrap(rare, np.arange(50.0)[:, None], many, 2)


def test_misuse(problem):
    model = SoftmaxRegression(1e-2).fit(problem.X, problem.y)
    with pytest.raises(ValueError, match="n_resamples=0"):
        bootstrap(model, problem.X, problem.y, 0)
    with pytest.raises(ValueError, match="not a dict"):
        bootstrap({"coef_": 1}, problem.X, problem.y)
    with pytest.raises(ValueError, match="cow"):
        bootstrap(model, problem.X, np.where(problem.y == "ant", "cow", problem.y), 2)
    free = SoftmaxRegression(penalty=None).fit(problem.X, problem.y).set_params(max_iter=1)
    with pytest.warns(ConvergenceWarning, match="3 of 3 resamples have not converged"):
        bootstrap(free, problem.X, problem.y, 3, random_state=0)
