"""Conversions of fitted models between scikit-learn and softreg."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model as scikit_learn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler, scale

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV, TableClassifier, explain
from softreg.sklearn import LogisticRegression, from_sklearn, to_sklearn

ROUNDING = 1e-14
"""Relative difference of probabilities; rounding of logits of about 10 is 1e-15 of a probability."""


def problem(q: int) -> tuple[Any, Any]:
    X, y = load_breast_cancer(return_X_y=True) if q == 2 else load_iris(return_X_y=True)
    return scale(X)[:, :6], y


def assert_same_probabilities(a: Any, b: Any, X: Any) -> None:
    np.testing.assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=ROUNDING, atol=1e-15)
    np.testing.assert_array_equal(a.predict(X), b.predict(X))
    assert a.classes_.dtype == b.classes_.dtype


LABELS = {
    "integers": lambda y: y,
    "text": lambda y: np.array(["ä", '"', ""])[y],
    "objects": lambda y: np.array(["ä", '"', ""], dtype=object)[y],
    "small integers": lambda y: y.astype(np.int8),
    "floats": lambda y: y * 1.0,
    "booleans": lambda y: y > 0,
}


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("solver", ["lbfgs", "saga", "newton-cholesky"])
def test_a_fitted_model_of_scikit_learn(tmp_path, q, kind, solver):
    X, y = problem(q)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = scikit_learn.LogisticRegression(solver=solver).fit(X, LABELS[kind](y))
    model = from_sklearn(fitted)
    assert_same_probabilities(model, fitted, X)
    assert not hasattr(model, "solution_")
    model.save(tmp_path / "m.softreg")
    loaded = softreg.load(tmp_path / "m.softreg")
    assert_same_probabilities(loaded, fitted, X)
    assert not hasattr(loaded, "solution_")
    back = to_sklearn(loaded)
    assert back.coef_.tobytes() == fitted.coef_.tobytes()
    assert back.intercept_.tobytes() == fitted.intercept_.tobytes()
    np.testing.assert_array_equal(back.predict_proba(X), fitted.predict_proba(X))


def test_names_of_features_and_explanations():
    X, y = problem(3)
    frame = pd.DataFrame(X, columns=["a", "b,c", '"', "ü"])
    fitted = scikit_learn.LogisticRegression().fit(frame, y)
    model = from_sklearn(fitted)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    assert_same_probabilities(model, fitted, frame)
    assert explain(model, frame).columns == tuple(frame.columns)
    back = to_sklearn(model)
    assert back.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_array_equal(back.predict_proba(frame), fitted.predict_proba(frame))


def test_float32_weights_keep_their_values():
    X, y = problem(2)
    X = X.astype(np.float32)
    fitted = scikit_learn.LogisticRegression().fit(X, y)
    model = from_sklearn(fitted)
    assert model.coef_.dtype == np.float64
    np.testing.assert_array_equal(to_sklearn(model).coef_, fitted.coef_)
    np.testing.assert_allclose(model.predict_proba(X), fitted.predict_proba(X), atol=1e-6)


def test_two_weights_of_any_size_have_an_exact_difference():
    w = np.array([[1.0, 0.1, 1 / 3, 5e-324, 1.5e-323, -5e-324, 2.3e-308, 0.0, 1e300, 1.7e308]])
    fitted = scikit_learn.LogisticRegression().fit(np.eye(10), np.arange(10) % 2)
    fitted.coef_, fitted.intercept_ = w, np.array([0.7])
    model = from_sklearn(fitted)
    assert model.coef_.shape == (2, 10)
    assert to_sklearn(model).coef_.tobytes() == w.tobytes()
    assert to_sklearn(model).intercept_.tobytes() == fitted.intercept_.tobytes()


def test_other_forms_of_logistic_regressions():
    X, y = problem(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [
            scikit_learn.LogisticRegressionCV(Cs=2, use_legacy_attributes=False, l1_ratios=(0,)).fit(X, y),
            scikit_learn.LogisticRegression(C=np.inf).fit(X, y),
            scikit_learn.LogisticRegression(fit_intercept=False, class_weight="balanced").fit(X, y),
            scikit_learn.LogisticRegression(solver="liblinear").fit(X, y == 1),
            scikit_learn.LogisticRegression(solver="saga", l1_ratio=1, C=0.1).fit(X, y).sparsify(),
            GridSearchCV(scikit_learn.LogisticRegression(), {"C": [1, 2]}).fit(X, y).best_estimator_,
        ]
    for fitted in fits:
        model = from_sklearn(fitted)
        assert_same_probabilities(model, fitted, X)
        assert model.fit_intercept == fitted.fit_intercept


def test_a_drop_in_keeps_its_certificate_unless_its_weights_were_changed():
    X, y = problem(2)
    fitted = LogisticRegression(C=0.5).fit(X, y)
    model = from_sklearn(fitted)
    assert model.solution_.gap == fitted.solution_.gap
    assert model is not fitted.regression_
    assert_same_probabilities(model, fitted, X)
    assert type(to_sklearn(model)) is scikit_learn.LogisticRegression
    fitted.coef_ = fitted.coef_ * 2
    model = from_sklearn(fitted)
    assert not hasattr(model, "solution_")
    assert_same_probabilities(model, fitted, X)


def test_a_pipeline_with_scalers_takes_its_rows():
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X * [1, 10, 0.1, 1] + [0, 3, 0, 100], columns=list("abcd"))
    scalers = [
        [StandardScaler()],
        [StandardScaler(with_mean=False)],
        [StandardScaler(with_std=False)],
        [StandardScaler(), "passthrough", StandardScaler()],
        [None],
    ]
    for steps in scalers:
        pipe = make_pipeline(*steps, scikit_learn.LogisticRegression(solver="newton-cholesky")).fit(frame, y)
        model = from_sklearn(pipe)
        np.testing.assert_allclose(model.predict_proba(frame), pipe.predict_proba(frame), rtol=1e-11)
        assert model.feature_names_in_.tolist() == list("abcd")
        np.testing.assert_array_equal(model.classes_, pipe.classes_)
    with pytest.raises(ValueError, match="scaled columns"):
        from_sklearn(make_pipeline(StandardScaler(), scikit_learn.LogisticRegression()).fit(X, y), total_weight=150)
    with pytest.raises(TypeError, match="'minmaxscaler' of the pipeline is MinMaxScaler"):
        from_sklearn(make_pipeline(MinMaxScaler(), scikit_learn.LogisticRegression()).fit(X, y))


class LogisticRegressionOfOldVersions(scikit_learn.LogisticRegression):
    """Has the attribute `multi_class` of versions before 1.8."""

    multi_class = "ovr"


def test_models_that_are_no_softmax_are_refused_with_a_reason():
    X, y = problem(3)
    logistic = scikit_learn.LogisticRegression(solver="newton-cholesky")
    refused = [
        (scikit_learn.SGDClassifier(loss="log_loss").fit(X, y), "one-versus-rest"),
        (OneVsRestClassifier(logistic).fit(X, y), "OneVsRestClassifier: .* separate models"),
        (CalibratedClassifierCV(logistic).fit(X, y), "convert the model that it calibrates"),
        (GridSearchCV(logistic, {"C": [1, 2]}).fit(X, y), "best_estimator_"),
        (scikit_learn.RidgeClassifier().fit(X, y), "model is RidgeClassifier. from_sklearn takes"),
        (scikit_learn.LogisticRegression, "model is a class"),
        (None, "model is NoneType"),
    ]
    for model, told in refused:
        with pytest.raises(TypeError, match=told):
            from_sklearn(model)
    old = LogisticRegressionOfOldVersions().fit(X, y)
    with pytest.raises(ValueError, match="one-versus-rest"):
        from_sklearn(old)
    old = LogisticRegressionOfOldVersions().fit(X, y > 0)
    old.multi_class = "multinomial"
    with pytest.raises(ValueError, match="twice its decision function"):
        from_sklearn(old)
    old = clone(logistic).fit(X, y)
    old.solver = "liblinear"  # as in a file of a version before 1.8
    with pytest.raises(ValueError, match="one-versus-rest"):
        from_sklearn(old)
    with pytest.raises(NotFittedError):
        from_sklearn(scikit_learn.LogisticRegression())
    with pytest.raises(NotFittedError):
        from_sklearn(make_pipeline(StandardScaler(), scikit_learn.LogisticRegression()))
    broken = clone(logistic).fit(X, y)
    broken.coef_[0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        from_sklearn(broken)


# --- to scikit-learn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_fitted_model_of_softreg(q, fit_intercept):
    X, y = problem(q)
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    model = SoftmaxRegression(1e-3, fit_intercept=fit_intercept).fit(frame, np.array(["a", "b", "c"])[y])
    fitted = to_sklearn(model)
    assert type(fitted) is scikit_learn.LogisticRegression
    assert fitted.coef_.shape == ((1, X.shape[1]) if q == 2 else (q, X.shape[1]))
    assert_same_probabilities(fitted, model, frame)
    assert fitted.n_features_in_ == X.shape[1]
    assert fitted.n_iter_.tolist() == [model.n_iter_]
    again = to_sklearn(from_sklearn(fitted))
    assert again.coef_.tobytes() == fitted.coef_.tobytes()
    if q > 2:
        assert from_sklearn(fitted).coef_.tobytes() == model.coef_.tobytes()
    fitted.coef_[:] = 0
    assert abs(model.coef_).max() > 0


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize(
    "parameters",
    [
        {"strength": 0.01},
        {"strength": 0.01, "penalty": "l1"},
        {"strength": 0.01, "penalty": "elasticnet", "l1_ratio": 0.3},
        {"strength": 0.0},
        {"penalty": None},
    ],
)
def test_with_the_sum_of_weights_a_fit_of_scikit_learn_has_the_same_optimum(q, parameters):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 3)), rng.integers(0, q, 200)
    weight = rng.integers(0, 4, 200) * 0.7
    model = SoftmaxRegression(**parameters, tol=1e-14).fit(X, y, weight)
    fitted = to_sklearn(model, total_weight=weight.sum())
    again = clone(fitted).set_params(tol=1e-12, max_iter=50_000).fit(X, y, weight)
    np.testing.assert_allclose(again.coef_, fitted.coef_, atol=1e-5)
    back = from_sklearn(fitted, total_weight=weight.sum())
    assert back.strength == pytest.approx(model.strength if model.penalty else 0.0, rel=1e-14)
    assert back.l1_ratio == pytest.approx(model.l1_ratio, rel=1e-14)
    assert back.penalty == (None if model.strength == 0 else model.penalty)


def test_cross_validated_models_have_the_chosen_strength():
    X, y = problem(3)
    model = SoftmaxRegressionCV(strengths=[1e-3, 1e-2], cv=3).fit(X, y)
    fitted = to_sklearn(model, total_weight=len(y))
    assert_same_probabilities(fitted, model, X)
    assert pytest.approx(1 / (model.strength_ * len(y))) == fitted.C


def test_models_that_scikit_learn_does_not_have_are_refused_with_a_reason():
    X, y = problem(3)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(label=y)
    table = TableClassifier(terms="linear").fit(frame, target="label")
    with pytest.raises(TypeError, match=r"model is TableClassifier.*to_sklearn\(model.model_\)"):
        to_sklearn(table)
    assert_same_probabilities(to_sklearn(table.model_), table.model_, np.asarray(table.encode(frame)))
    with pytest.raises(TypeError, match="model is LogisticRegression; to_sklearn takes"):
        to_sklearn(scikit_learn.LogisticRegression())
    with pytest.raises(NotFittedError):
        to_sklearn(SoftmaxRegression())
    with pytest.raises(ValueError, match="offset"):
        to_sklearn(SoftmaxRegression().fit(X, y, offset=np.zeros((150, 3))))
    group = SoftmaxRegression(penalty="group").fit(X, y)
    assert_same_probabilities(to_sklearn(group), group, X)
    with pytest.raises(ValueError, match="penalty='group', and scikit-learn has no C"):
        to_sklearn(group, total_weight=150)
    with pytest.raises(ValueError, match="bounds, factors or a prior"):
        to_sklearn(SoftmaxRegression(penalty_factors={0: 0.0}).fit(X, y), total_weight=150)
    relaxed = SoftmaxRegressionCV(strengths=[1e-2], penalty="l1", relaxed=[0.1], cv=3).fit(X, y)
    assert_same_probabilities(to_sklearn(relaxed), relaxed, X)
    with pytest.raises(ValueError, match="relaxed penalty"):
        to_sklearn(relaxed, total_weight=150)
    for total in (0, -1, np.inf, np.nan, "150"):
        with pytest.raises(ValueError, match="total_weight"):
            to_sklearn(SoftmaxRegression().fit(X, y), total_weight=total)
        with pytest.raises(ValueError, match="total_weight"):
            from_sklearn(scikit_learn.LogisticRegression().fit(X, y), total_weight=total)
