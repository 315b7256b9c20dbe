"""`penalty="group"` of the estimators: selection of whole columns, the strength by cross-validation, model files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV, infer

X, y = load_iris(return_X_y=True)
NOISE = np.random.default_rng(0).normal(size=(len(X), 6))
WIDE = np.hstack([X, NOISE])


def test_all_classes_of_a_column_are_in_or_out() -> None:
    model = SoftmaxRegression(0.05, penalty="group", tol=1e-9).fit(WIDE, y)
    live = (model.coef_ != 0).any(axis=0)
    assert (model.coef_[:, live] != 0).all()
    assert live[:4].any()
    assert not live[4:].any()
    assert model.solution_.gap <= 1e-9
    assert model.solution_.bound == "duality"


def test_the_strength_by_cross_validation_and_the_model_file(tmp_path: Path) -> None:
    model = SoftmaxRegressionCV(penalty="group", rule="1se").fit(WIDE, y)
    assert model.path_.nonzero[0] == 0  # the path begins where all weights are 0
    assert 0 < (model.coef_ != 0).any(axis=0).sum() < 10
    model.save(tmp_path / "cv.softreg")
    loaded = softreg.load(tmp_path / "cv.softreg")
    assert loaded.penalty == "group"
    np.testing.assert_array_equal(loaded.predict_proba(WIDE), model.predict_proba(WIDE))
    one = SoftmaxRegression(model.strength_, penalty="group").fit(WIDE, y)
    np.testing.assert_allclose(one.coef_, model.coef_, atol=1e-2)
    one.save(tmp_path / "one.softreg")
    assert softreg.load(tmp_path / "one.softreg").penalty == "group"
    np.testing.assert_array_equal(model.best_estimator_.coef_, model.coef_)


def test_what_the_group_penalty_cannot() -> None:
    with pytest.raises(ValueError, match="has no effect with penalty='group'"):
        SoftmaxRegression(0.1, penalty="group", l1_ratio=0.5).fit(X, y)
    with pytest.raises(ValueError, match="needs all rows at once"):
        SoftmaxRegression(0.1, penalty="group").partial_fit(X, y)
    with pytest.raises(ValueError, match="cv='loo'"):
        SoftmaxRegressionCV(penalty="group", cv="loo").fit(X, y)
    with pytest.raises(ValueError, match="relaxed"):
        SoftmaxRegressionCV(penalty="group", relaxed=0.5).fit(X, y)
    with pytest.raises(ValueError, match="fit the selected columns"):
        infer(SoftmaxRegression(0.05, penalty="group").fit(X, y), X, y)
    with pytest.raises(ValueError, match=r"solver='newton'.*GroupPenalty"):
        SoftmaxRegression(0.1, penalty="group", solver="newton").fit(X, y)
