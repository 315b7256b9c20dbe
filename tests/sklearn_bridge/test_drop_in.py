"""`softreg.sklearn.LogisticRegression` against scikit-learn's, its tools around it, and rows that are hard."""

from __future__ import annotations

import pickle
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn import linear_model as scikit_learn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from softreg.sklearn import LogisticRegression
from softreg.sklearn import parameters as parameters_module
from softreg.sklearn.penalty_scale import PenaltyScale, inverse_total, to_scikit_learn, to_softreg

CLOSE = 2e-6
"""Largest difference from weights of scikit-learn that have converged to rounding."""
ROUNDING = 1e-12
"""Difference of objectives per row that rounding explains."""

CONFIGURED = [
    LogisticRegression(),
    LogisticRegression(solver="liblinear"),
    LogisticRegression(solver="saga", l1_ratio=1, tol=1e-7),
    LogisticRegression(solver="saga", l1_ratio=0.5, tol=1e-7),
    LogisticRegression(fit_intercept=False),
]


def known_exceptions(estimator: LogisticRegression) -> dict[str, str]:
    """Checks that a configured estimator cannot pass, and why; the default passes all."""
    if not estimator.fit_intercept:
        return {"check_class_weight_classifiers": "needs an intercept; that of scikit-learn fails it too"}
    if estimator.l1_ratio == 0.5:
        reason = "compares to nine digits; that of scikit-learn fails it too"
        return dict.fromkeys(
            (
                "check_sample_weight_equivalence_on_dense_data",
                "check_sample_weight_equivalence_on_sparse_data",
            ),
            reason,
        )
    return {}


@parametrize_with_checks(CONFIGURED, expected_failed_checks=known_exceptions)
def test_scikit_learn_s_checks_of_estimators(estimator: Any, check: Any) -> None:
    check(estimator)


# --- equal optima ---------------------------------------------------------------------------------------------------


def problem(name: str) -> tuple[Any, Any]:
    X, y = load_iris(return_X_y=True) if name == "three classes" else load_breast_cancer(return_X_y=True)
    return scale(X)[:, :8], y


def objective(X: Any, y: Any, model: Any, weight: Any) -> float:
    """The objective of scikit-learn at the weights of a model, computed from its definition."""
    o = X @ model.coef_.T + model.intercept_
    logits = o if o.shape[1] > 1 else np.c_[np.zeros(len(o)), o]
    logits = logits - logits.max(axis=1, keepdims=True)
    loss = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    penalty = model.l1_ratio * abs(model.coef_).sum() + (1 - model.l1_ratio) / 2 * (model.coef_**2).sum()
    return float(weight @ loss + penalty / model.C)


@pytest.mark.parametrize("name", ["two classes", "three classes"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("C", [0.02, 1.0])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0, 1: 0.3}])
@pytest.mark.parametrize("weighted", [False, True])
def test_l2_weights_are_those_of_a_converged_fit_of_scikit_learn(name, fit_intercept, C, class_weight, weighted):
    X, y = problem(name)
    weight = np.random.default_rng(1).integers(0, 5, len(y)) * 0.37 if weighted else None
    parameters = {"C": C, "fit_intercept": fit_intercept, "class_weight": class_weight, "tol": 1e-7}
    ours = LogisticRegression(**parameters).fit(X, y, weight)
    theirs = scikit_learn.LogisticRegression(**parameters, solver="newton-cg", max_iter=10_000)
    theirs.set_params(tol=1e-12).fit(X, y, weight)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=0, atol=CLOSE)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.intercept_.shape == theirs.intercept_.shape
    assert ours.n_iter_.shape == theirs.n_iter_.shape
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("name", ["two classes", "three classes"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5, 0.1])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_no_weights_of_scikit_learn_have_a_lower_objective_with_an_l1_part(name, l1_ratio, fit_intercept, weighted):
    X, y = problem(name)
    weight = np.random.default_rng(1).integers(0, 5, len(y)) * 0.37 if weighted else np.ones(len(y))
    parameters = {"C": 0.3, "l1_ratio": l1_ratio, "solver": "saga", "fit_intercept": fit_intercept}
    ours = LogisticRegression(**parameters, tol=1e-7).fit(X, y, weight)
    theirs = scikit_learn.LogisticRegression(**parameters, tol=1e-11, max_iter=20_000).fit(X, y, weight)
    lowest, other = objective(X, y, ours, weight), objective(X, y, theirs, weight)
    assert lowest <= other + ROUNDING * len(y)
    # their solver is slow, and for the intercept inexact: where it has converged, weights are equal too
    if other - lowest < 1e-11:
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-4)
    else:
        assert other - lowest < 1e-2 * lowest


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_weights_with_an_l1_part_are_those_of_a_converged_fit_of_scikit_learn(l1_ratio):
    X, y = problem("three classes")
    parameters = {"C": 0.3, "l1_ratio": l1_ratio, "solver": "saga"}
    for labels in (y, y == 2):
        ours = LogisticRegression(**parameters, tol=1e-8).fit(X, labels)
        theirs = scikit_learn.LogisticRegression(**parameters, tol=1e-13, max_iter=50_000).fit(X, labels)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=CLOSE)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=0, atol=CLOSE)
        assert ((ours.coef_ == 0) == (theirs.coef_ == 0)).all()


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_without_penalty_the_weights_are_equal(q, fit_intercept):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 4)), rng.integers(0, q, 300)
    parameters = {"C": np.inf, "fit_intercept": fit_intercept}
    ours = LogisticRegression(**parameters, tol=1e-8).fit(X, y)
    theirs = scikit_learn.LogisticRegression(**parameters, tol=1e-12, solver="newton-cholesky").fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(ours.coef_.sum(axis=0) * (q > 2), 0, atol=1e-10)


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.3, 1.0])
def test_the_penalty_scale_and_its_inverse(q, l1_ratio):
    scale_ = to_softreg(inverse_total(0.4, np.array([2.0, 3.0]), 2), l1_ratio, q)
    inverse = to_scikit_learn(PenaltyScale(scale_.strength, scale_.l1_ratio), q, 5.0)
    assert pytest.approx(0.4, rel=1e-14) == inverse.C
    assert inverse.l1_ratio == pytest.approx(l1_ratio, rel=1e-14, abs=0)


def test_the_tolerance_bounds_the_distance_to_the_optimum():
    X, y = problem("two classes")
    exact = LogisticRegression(tol=1e-9).fit(X, y)
    for tol in (1e-1, 1e-2, 1e-3):
        near = LogisticRegression(tol=tol).fit(X, y)
        assert np.linalg.norm(near.coef_ - exact.coef_) <= tol
        assert near.solution_.gap <= tol**2 / 2 / len(y)


def test_the_solver_chooses_nothing():
    X, y = problem("two classes")
    fits = [
        LogisticRegression(solver=solver).fit(X, y)
        for solver in ("lbfgs", "liblinear", "newton-cg", "newton-cholesky", "sag", "saga")
    ]
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.coef_, fits[0].coef_)


def test_warm_start_begins_with_weights_that_the_user_may_change():
    X, y = problem("three classes")
    model = LogisticRegression(warm_start=True).fit(X, y)
    first = model.coef_
    model.sparsify()
    assert model.fit(X, y).n_iter_[0] <= 1
    np.testing.assert_allclose(model.coef_, first, atol=1e-8)
    model.max_iter = 0
    with pytest.warns(ConvergenceWarning, match="max_iter=0"):
        model.fit(X, y)
    np.testing.assert_allclose(model.coef_, first, atol=1e-8)
    model.set_params(max_iter=100).fit(X[:, :3], y)
    assert model.coef_.shape == (3, 3)
    model.set_params(fit_intercept=False).fit(X[:, :3], y)
    assert (model.intercept_ == 0).all()
    alone = LogisticRegression(fit_intercept=False).fit(X[:, :3], y)
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-4)


# --- certificates and warnings --------------------------------------------------------------------------------------


def test_the_certificate_and_the_model_of_softreg(tmp_path):
    import softreg

    X, y = problem("two classes")
    labels = np.array(["benign", "malign"])[y]
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    model = LogisticRegression(C=2, class_weight={"benign": 2.0}).fit(frame, labels)
    assert model.solution_.converged
    assert model.regression_.solution_ is model.solution_
    np.testing.assert_allclose(
        model.regression_.predict_proba(frame), model.predict_proba(frame), rtol=1e-14, atol=1e-15
    )
    again = clone(model.regression_).fit(frame, labels)
    np.testing.assert_allclose(again.predict_proba(frame), model.predict_proba(frame), atol=1e-3)
    model.regression_.save(tmp_path / "m.softreg")
    loaded = softreg.load(tmp_path / "m.softreg")
    np.testing.assert_array_equal(loaded.predict_proba(frame), model.regression_.predict_proba(frame))
    assert loaded.solution_.gap == model.solution_.gap


def test_warnings_state_what_did_not_converge():
    X, y = problem("three classes")
    with pytest.warns(ConvergenceWarning, match=r"max_iter was reached.* after 2 iterations .* nats") as caught:
        model = LogisticRegression(max_iter=2).fit(X, y)
    assert model.n_iter_[0] == 2
    assert caught[0].filename == __file__
    with pytest.warns(ConvergenceWarning, match="no finite optimum.*'left' and 'right'.*Set C") as caught:
        LogisticRegression(C=np.inf).fit(X, np.where(X[:, 0] > 0, "right", "left"))
    assert caught[0].filename == __file__
    assert not {"strength", "--"} & set(str(caught[0].message).split())


# --- hard rows ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(60, 4)), rng.integers(0, 3, 60)


LABELS = {
    "text": lambda y: np.array(["ä", '"', ""])[y],
    "objects": lambda y: np.array(["ä", '"', ""], dtype=object)[y],
    "booleans": lambda y: y > 0,
    "floats": lambda y: y - 1.0,
    "large integers": lambda y: y + 2**62,
    "dates": lambda y: y.astype("M8[D]"),
    "categories": lambda y: pd.Series(y).astype("category"),
    "strings of pandas": lambda y: pd.Series(y.astype(str), dtype="string"),
    "polars": lambda y: pl.Series(y.astype(str)),
    "list": lambda y: [str(v) for v in y],
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_those_of_scikit_learn(rows, kind):
    X, y = rows[0], LABELS[kind](rows[1])
    ours, theirs = LogisticRegression().fit(X, y), scikit_learn.LogisticRegression().fit(X, y)
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.classes_.dtype == theirs.classes_.dtype
    assert ours.predict(X).dtype == theirs.predict(X).dtype
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.score(X, y) == theirs.score(X, y)


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"C": 0}, "'C' parameter"),
        ({"C": float("nan")}, "'C' parameter"),
        ({"C": None}, "'C' parameter"),
        ({"solver": "newton"}, "'solver' parameter"),
        ({"tol": -1}, "'tol' parameter"),
        ({"l1_ratio": 2}, "'l1_ratio' parameter"),
        ({"class_weight": "heavy"}, "'class_weight' parameter"),
        ({"l1_ratio": 1}, "Solver lbfgs supports only 'l2'"),
        ({"dual": True}, "dual=False"),
        ({"C": np.inf, "solver": "liblinear"}, "liblinear"),
        ({"solver": "liblinear"}, "Only binary classification"),
        ({"class_weight": {7: 1.0}}, "not in class_weight"),
        ({"class_weight": {0: -1.0}}, "finite numbers >= 0"),
        ({"class_weight": {0: 0.0, 1: 0.0, 2: 0.0}}, "weight of zero"),
        ({"class_weight": {0: 0.0}, "fit_intercept": False}, "the class 0 has no row"),
    ],
)  # fmt: skip
def test_an_invalid_parameter_is_an_error(rows, parameters, told):
    with pytest.raises(ValueError, match=told) as caught:
        LogisticRegression(**parameters).fit(*rows)
    assert isinstance(caught.value, InvalidParameterError) == ("' parameter" in told)


@pytest.mark.parametrize(
    ("penalty", "C", "l1_ratio", "expected"),
    [
        ("l2", 2.0, None, (2.0, 0.0)),
        ("l1", 2.0, None, (2.0, 1.0)),
        ("elasticnet", 2.0, 0.3, (2.0, 0.3)),
        (None, 1.0, None, (np.inf, 0.0)),
        ("l2", np.inf, None, (np.inf, 0.0)),
    ],
)
def test_penalties_of_versions_before_the_deprecation(monkeypatch, penalty, C, l1_ratio, expected):
    monkeypatch.setattr(parameters_module, "DEPRECATES_PENALTY", False)
    model = SimpleNamespace(penalty=penalty, C=C, l1_ratio=l1_ratio, solver="saga", dual=False, n_jobs=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        choice = parameters_module.penalty_choice(model)
    assert (choice.C, choice.l1_ratio) == expected


def test_invalid_rows_are_errors_as_in_scikit_learn(rows):
    X, y = rows
    model = LogisticRegression()
    with pytest.raises(ValueError, match="only one class: 1"):
        model.fit(X, np.ones(60, dtype=int))
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.fit(np.where(X > 1, np.nan, X), y)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        model.fit(X, y + 0.5)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:-1])
    with pytest.raises(ValueError, match="row 0 is -1"):
        model.fit(X, y, -np.ones(60))
    with pytest.raises(ValueError, match="all sample weights are zero"):
        model.fit(X, y, np.zeros(60))


def test_a_class_without_weight_has_probability_zero(rows):
    X, y = rows
    kept = y != 1
    for weight, class_weight in ((np.where(y == 1, 0.0, 1.0), None), (None, {1: 0.0})):
        with pytest.warns(ConvergenceWarning, match="the class 1 has no row"):
            model = LogisticRegression(class_weight=class_weight, tol=1e-7).fit(X, y, weight)
        P = model.predict_proba(X)
        assert (P[:, 1] == 0).all()
        assert np.isfinite(model.predict_log_proba(X)).all()
        # the two classes that remain have the vectors -w / 2 and w / 2, whose penalty is half of that of w
        small = scikit_learn.LogisticRegression(C=2.0, tol=1e-12, solver="newton-cg").fit(X[kept], y[kept])
        np.testing.assert_allclose(P[:, [0, 2]], small.predict_proba(X), atol=CLOSE)
    with pytest.warns(ConvergenceWarning, match="the class False has no row"):
        model = LogisticRegression().fit(X, y > 0, (y > 0) * 1.0)
    assert model.predict(X).all()
    assert model.coef_.shape == (1, 4)


def test_zero_weights_are_no_rows(rows):
    X, y = rows
    weight = (np.arange(60) % 4 > 0) * 1.0
    ours = LogisticRegression(tol=1e-8).fit(np.where(weight[:, None], X, 1e6), y, weight)
    np.testing.assert_allclose(ours.coef_, LogisticRegression(tol=1e-8).fit(X[weight > 0], y[weight > 0]).coef_)


@pytest.mark.parametrize("form", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, pd.DataFrame, pl.DataFrame])
def test_forms_of_rows(rows, form):
    X, y = np.where(abs(rows[0]) > 1, rows[0], 0), rows[1]
    held = form(X, schema=["a", "b,c", '"', "ü"]) if form is pl.DataFrame else form(X)
    if form is pd.DataFrame:
        held.columns = ["a", "b,c", '"', "ü"]
    model = LogisticRegression(tol=1e-8).fit(held, y)
    np.testing.assert_allclose(model.coef_, LogisticRegression(tol=1e-8).fit(X, y).coef_, atol=1e-8)
    if form in (pd.DataFrame, pl.DataFrame):
        assert model.feature_names_in_.tolist() == ["a", "b,c", '"', "ü"]
        assert model.regression_.feature_names_in_.tolist() == ["a", "b,c", '"', "ü"]


def test_constant_columns_and_fewer_rows_than_columns(rows):
    X, y = rows
    model = LogisticRegression().fit(np.c_[X, np.ones(60)], y)
    assert (model.coef_[:, -1] == 0).all()
    parameters = {"tol": 1e-8, "fit_intercept": False}
    theirs = scikit_learn.LogisticRegression(**{**parameters, "tol": 1e-12}, solver="newton-cg")
    for Z, labels in ((np.c_[X, np.ones(60)], y), (X.T, np.array([0, 1, 2, 0]))):
        ours = LogisticRegression(**parameters).fit(Z, labels)
        np.testing.assert_allclose(ours.coef_, theirs.fit(Z, labels).coef_, atol=CLOSE)


def test_extreme_C_and_weights(rows):
    X, y = rows
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        free = LogisticRegression(C=np.inf, tol=1e-8).fit(X, y).coef_
        np.testing.assert_allclose(LogisticRegression(C=1e100, tol=1e-8).fit(X, y).coef_, free, atol=CLOSE)
        np.testing.assert_allclose(LogisticRegression(C=1.7e308, tol=1e-8).fit(X, y).coef_, free, atol=CLOSE)
        assert abs(LogisticRegression(C=1e-300).fit(X, y).coef_).max() < 1e-100
        assert abs(LogisticRegression(C=5e-324).fit(X, y).coef_).max() < 1e-100
        heavy = LogisticRegression(tol=1e-8).fit(X, y, np.full(60, 1e307)).coef_
    np.testing.assert_allclose(heavy, free, atol=CLOSE)


def test_float32_rows_give_float32_weights(rows):
    X, y = rows[0].astype(np.float32), rows[1]
    model = LogisticRegression().fit(X, y)
    assert model.coef_.dtype == model.intercept_.dtype == model.predict_proba(X).dtype == np.float32
    np.testing.assert_allclose(model.coef_, LogisticRegression().fit(X.astype(float), y).coef_, atol=1e-5)


# --- tools ----------------------------------------------------------------------------------------------------------


def test_tools_of_scikit_learn(rows):
    X, y = load_iris(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipe, {"logisticregression__C": [1e-3, 1.0]}).fit(X, y)
    assert search.best_params_ == {"logisticregression__C": 1.0}
    theirs = make_pipeline(StandardScaler(), scikit_learn.LogisticRegression())
    np.testing.assert_array_equal(cross_val_score(pipe, X, y), cross_val_score(theirs, X, y))
    assert CalibratedClassifierCV(pipe).fit(X, y).predict_proba(X).shape == (150, 3)


@pytest.mark.slow  # starts processes
def test_fits_in_processes_of_joblib(rows):
    alone = cross_val_score(LogisticRegression(), *rows)
    np.testing.assert_array_equal(cross_val_score(LogisticRegression(), *rows, n_jobs=2), alone)


def test_pickles_and_clones(rows):
    model = LogisticRegression(C=3.0).fit(*rows)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(rows[0]), model.predict_proba(rows[0]))
    assert again.solution_.gap == model.solution_.gap
    assert clone(model).get_params() == model.get_params()
    assert set(model.get_params()) == set(scikit_learn.LogisticRegression().get_params())
    assert isinstance(model, scikit_learn.LogisticRegression)


def test_sample_weights_are_routed(rows):
    with config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, model)
        pipe.fit(*rows, sample_weight=np.arange(60.0))
        Z = StandardScaler().fit_transform(rows[0])
    expected = LogisticRegression().fit(Z, rows[1], np.arange(60.0))
    np.testing.assert_array_equal(pipe[-1].coef_, expected.coef_)


def test_log_probabilities_stay_finite(rows):
    model = LogisticRegression().fit(*rows)
    P = model.predict_log_proba(rows[0])
    np.testing.assert_allclose(P, np.log(model.predict_proba(rows[0])), rtol=1e-12)
    two = LogisticRegression().fit(rows[0], rows[1] > 0)
    np.testing.assert_allclose(two.predict_log_proba(rows[0]), np.log(two.predict_proba(rows[0])), rtol=1e-12)
    assert np.isfinite(model.predict_log_proba(rows[0] * 1e6)).all()
    assert np.isfinite(two.predict_log_proba(rows[0] * 1e6)).all()


def test_callbacks_are_not_called_but_a_warning_says_so(rows):
    model = LogisticRegression()
    model._skl_callbacks = [object()]
    with pytest.warns(UserWarning, match="callbacks are not called"):
        model.fit(*rows)
