"""Cross-validation with an offset: folds use the offset of their rows, in fits and in scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold

from softreg import SoftmaxRegression, SoftmaxRegressionCV, bootstrap, load

Array = NDArray[Any]


def problem(q: int, n: int = 300, d: int = 4) -> tuple[Array, Array, Array]:
    random = np.random.default_rng(0)
    X, offset = random.normal(size=(n, d)), 2 * random.normal(size=(n, q))
    W = np.zeros((d, q))
    W[:3] = random.normal(size=(3, q))
    return X, (random.gumbel(size=(n, q)) + X @ W + offset).argmax(axis=1), offset


@pytest.mark.parametrize("q", [2, 5])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
@pytest.mark.parametrize("d", [4, 300], ids=["few columns", "screened"])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array], ids=["dense", "sparse"])
def test_folds_are_separate_fits_with_their_rows_offsets(q: int, penalty: Any, d: int, form: Any) -> None:
    X, y, offset = problem(q, d=d)
    X, folds = form(X), list(KFold(3, shuffle=True, random_state=1).split(X))
    strengths = [0.3, 0.03]
    model = SoftmaxRegressionCV(strengths, cv=folds, penalty=penalty, tol=1e-9).fit(X, y, offset=offset)
    for k, (train, test) in enumerate(folds):
        for s, strength in enumerate(strengths):
            fold = SoftmaxRegression(strength, penalty=penalty, tol=1e-8).fit(X[train], y[train], offset=offset[train])
            loss = log_loss(y[test], fold.predict_proba(X[test], offset[test]), labels=range(q))
            assert model.scores_[s, k] == pytest.approx(loss, abs=2e-4)
    whole = SoftmaxRegression(model.strength_, penalty=penalty, tol=1e-9).fit(X, y, offset=offset)
    np.testing.assert_allclose(model.predict_proba(X, offset), whole.predict_proba(X, offset), atol=2e-3)
    with pytest.raises(ValueError, match="fitted with an offset"):
        model.predict(X)


@pytest.mark.parametrize("scoring", ["log_loss", "brier", "accuracy", "roc_auc", "neg_brier_score"])
def test_scores_are_those_of_logits_with_the_offset(scoring: str) -> None:
    X, y, offset = problem(2)
    with_offset = SoftmaxRegressionCV([0.1], cv=3, scoring=scoring).fit(X, y, offset=offset)
    plain = SoftmaxRegressionCV([0.1], cv=3, scoring=scoring).fit(X, y)
    better = np.sign(with_offset.path_.mean[0] - plain.path_.mean[0])
    assert better == (1 if scoring in ("accuracy", "roc_auc", "neg_brier_score") else -1)


def test_an_automatic_path_starts_at_the_model_of_the_offset_alone() -> None:
    X, y, offset = problem(3)
    model = SoftmaxRegressionCV(penalty="l1").fit(X, y, offset=offset)
    assert model.path_.nonzero[0] == 0
    best = model.path_.mean.min()
    assert best < SoftmaxRegressionCV(penalty="l1").fit(X, y).path_.mean.min() - 0.1
    assert model.best_estimator_.has_offset_


def test_leave_one_out_is_near_the_fits_without_a_row() -> None:
    X, y, offset = problem(3, n=60)
    model = SoftmaxRegressionCV([0.05], cv="loo").fit(X, y, offset=offset)
    losses = []
    for i in range(60):
        rest = np.arange(60) != i
        fit = SoftmaxRegression(0.05, tol=1e-10).fit(X[rest], y[rest], offset=offset[rest])
        losses.append(-np.log(fit.predict_proba(X[[i]], offset[[i]])[0, y[i]]))
    assert model.path_.mean[0] == pytest.approx(np.mean(losses), abs=2e-3)


def test_folds_without_a_class_use_the_offsets_of_the_others() -> None:
    X, y, offset = problem(3, n=90)
    y = np.where(y == 2, 0, y)
    y[:6] = 2
    folds = [(np.arange(6, 90), np.arange(6)), (np.arange(45), np.arange(45, 90))]
    with pytest.warns(UserWarning, match="hold out all rows of a class"):
        model = SoftmaxRegressionCV([0.1], cv=folds).fit(X, y, offset=offset)
    fold = SoftmaxRegression(0.1, tol=1e-8).fit(X[:45], y[:45], offset=offset[:45])
    loss = log_loss(y[45:], fold.predict_proba(X[45:], offset[45:]), labels=range(3))
    assert model.scores_[0, 1] == pytest.approx(loss, abs=2e-4)


def test_relaxed_fits_and_the_model_file(tmp_path: Any) -> None:
    X, y, offset = problem(3)
    model = SoftmaxRegressionCV([0.1, 0.02], penalty="elasticnet", l1_ratio=0.9, relaxed=[1.0, 0.5], cv=3).fit(
        X, y, offset=offset
    )
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(X, offset), model.predict_proba(X, offset))


def test_resamples_have_the_offsets_of_their_rows() -> None:
    X, y, offset = problem(2)
    model = SoftmaxRegression(0.01).fit(X, y, offset=offset)
    drawn = bootstrap(model, X, y, 30, offset=offset, random_state=0)
    low, high = drawn.coef_interval(0.99)
    assert ((low < model.coef_) & (model.coef_ < high)).all()
    low, high = drawn.proba_interval(X, 0.99, offset)
    inside = (low <= model.predict_proba(X, offset)) & (model.predict_proba(X, offset) <= high)
    assert inside.mean() > 0.95
    with pytest.raises(ValueError, match="fitted with an offset"):
        bootstrap(model, X, y, 30)


def test_a_class_that_only_the_latest_rows_have():
    """No fold in the order of time has training rows of the class: the probabilities of the folds are 0 for it."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 2)), np.array(["a", "b", "c"])[np.r_[np.arange(100) % 2, np.full(20, 2)]]
    folds = [(np.arange(start), np.arange(start, start + 40)) for start in (40, 80)]
    with pytest.warns(UserWarning, match="hold out all rows of a class"):
        model = SoftmaxRegressionCV([0.1, 0.01], cv=folds).fit(X, y)
    assert model.oof_proba_.shape == (120, 3)
    assert (model.oof_proba_[40:, 2] == 0).all()
    assert np.isnan(model.oof_proba_[:40]).all()
    assert np.isfinite(model.scores_).all()
    assert list(model.classes_) == ["a", "b", "c"]


def test_a_fold_whose_weights_are_nothing_beside_the_others_has_no_score():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    y = (X[:, 0] + rng.normal(size=100) > 0).astype(int)
    weight = np.where(np.arange(100) < 20, 1e-300, 1e300)
    parts = np.arange(100).reshape(5, 20)
    folds = [(np.setdiff1d(parts, part), part) for part in parts]
    model = SoftmaxRegressionCV([0.1, 0.01], cv=folds).fit(X, y, sample_weight=weight)
    rest = SoftmaxRegressionCV([0.1, 0.01], cv=[(train[train >= 20] - 20, test - 20) for train, test in folds[1:]])
    assert np.isnan(model.scores_[:, 0]).all()
    np.testing.assert_allclose(model.scores_[:, 1:], rest.fit(X[20:], y[20:]).scores_, atol=1e-5)
