"""Penalty factors, bounds and priors of SoftmaxRegression and SoftmaxRegressionCV."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.parameters.weight_terms import WeightNames
from softreg.models.serialization.weight_parameters import weight_parameter_from_json, weight_parameter_to_json
from softreg.typing import Array


@pytest.fixture
def iris() -> tuple[pd.DataFrame, pd.Series]:
    X, y = load_iris(return_X_y=True, as_frame=True)
    X.columns = ["sepal length", "sepal width", "petal length", "petal width"]
    return X, y


def drawn(n: int = 2000, d: int = 4, q: int = 3, seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) + 1
    P = np.exp(X @ rng.normal(size=(d, q)))
    y = (rng.random(n)[:, None] > np.cumsum(P / P.sum(axis=1, keepdims=True), axis=1)).sum(axis=1)
    return X, y


# --- penalty factors ------------------------------------------------------------------------------------------------


def test_a_factor_of_zero_leaves_a_column_unshrunk_and_inf_leaves_it_out(iris: Any) -> None:
    X, y = iris
    strong = SoftmaxRegression(10.0, penalty_factors={"sepal length": 0, "sepal width": math.inf}).fit(X, y)
    assert strong.solution_.certified
    assert np.abs(strong.coef_[:, 0]).max() > 1
    assert (strong.coef_[:, 1] == 0).all()
    assert np.abs(strong.coef_[:, 2:]).max() < 0.1
    alone = SoftmaxRegression(penalty=None, tol=1e-9).fit(X[["sepal length"]], y)
    limit = SoftmaxRegression(1e6, penalty_factors={"sepal length": 0}, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(limit.coef_[:, 0], alone.coef_[:, 0], rtol=1e-3)


def test_factors_by_array_by_name_and_by_class_agree(iris: Any) -> None:
    X, y = iris
    by_name = SoftmaxRegression(1e-2, penalty_factors={"petal width": {2: 3.0}}).fit(X, y)
    factors = np.ones((4, 3))
    factors[3, 2] = 3.0
    by_array = SoftmaxRegression(1e-2, penalty_factors=factors).fit(X, y)
    np.testing.assert_allclose(by_name.coef_, by_array.coef_)
    by_number = SoftmaxRegression(1e-2, penalty_factors={3: {2: 3.0}}).fit(X.to_numpy(), y)
    np.testing.assert_allclose(by_name.coef_, by_number.coef_)


def test_cross_validation_adjusts_for_an_unpenalised_column() -> None:
    X, y = drawn(600)
    model = SoftmaxRegressionCV(penalty="l1", penalty_factors={0: 0.0}, cv=3).fit(X, y)
    assert (model.coef_[:, 0] != 0).all()
    assert model.solution_.certified
    again = SoftmaxRegression(model.strength_, penalty="l1", penalty_factors={0: 0.0}).fit(X, y)
    np.testing.assert_allclose(model.coef_, again.coef_, atol=1e-2)
    assert model.best_estimator_.penalty_factors == {0: 0.0}


# --- bounds ---------------------------------------------------------------------------------------------------------


def test_the_probability_of_two_classes_is_monotone(iris: Any) -> None:
    X, y = iris
    labels = np.where(y == 2, "virginica", "other")
    free = SoftmaxRegression(1e-3).fit(X, labels)
    assert free.coef_[1, 1] < 0
    bounded = SoftmaxRegression(1e-3, bounds={"sepal width": "+"}).fit(X, labels)
    assert bounded.solution_.certified
    np.testing.assert_array_equal(bounded.coef_[:, 1], 0.0)
    grid = pd.concat([X.iloc[[60]]] * 20, ignore_index=True)
    grid["petal width"] = np.linspace(0, 4, 20)
    rising = SoftmaxRegression(1e-3, bounds={"petal width": "+"}).fit(X, labels).predict_proba(grid)[:, 1]
    assert (np.diff(rising) >= 0).all()


def test_bounds_against_a_reference_class_limit_contrasts(iris: Any) -> None:
    X, y = iris
    model = SoftmaxRegression(1e-3, bounds={"sepal width": (0.5, 1)}, bounds_reference=0).fit(X, y)
    contrast = model.coef_[1:, 1] - model.coef_[0, 1]
    assert (contrast >= 0.5 - 1e-9).all()
    assert (contrast <= 1 + 1e-9).all()
    assert model.coef_[0, 1] == 0


def test_more_than_two_classes_need_a_class_or_a_reference(iris: Any) -> None:
    X, y = iris
    with pytest.raises(ValueError, match=r"with 3 classes, a bound on a column needs a class.*bounds_reference"):
        SoftmaxRegression(bounds={"sepal width": "+"}).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bounds": {"width": (0, 1)}}, "names the column 'width', which does not exist: columns are 'sepal length'"),
        ({"bounds": {0: {7: "+"}}}, "names the class 7, which is not among"),
        ({"bounds": {0: (2, 1)}}, r"\(2, 1\) for 'sepal length'"),
        ({"bounds": {0: {1: "up"}}}, "'up' for 'sepal length'"),
        ({"bounds": ([1, 2], [3, 4])}, r"shape \(2,\); it is \(4,\)"),
        ({"bounds": {0: {1: (0, 1)}}, "penalty": "group"}, "penalty='l2', 'l1', 'elasticnet' or None"),
        ({"bounds": 1.0}, "a dict by column, or an array"),
        ({"bounds_reference": 1}, "no effect without bounds"),
        ({"bounds": {0: {0: "+"}}, "bounds_reference": 0}, "which is the reference"),
        ({"penalty_factors": {0: -1}}, "-1 for 'sepal length'"),
        ({"penalty_factors": {0: "much"}}, "'much' for 'sepal length'"),
        ({"penalty_factors": [1, 1, math.nan, 1]}, "nan for 'petal length'"),
        ({"prior": 3.0}, r"a pair \(mean, precision\)"),
        ({"prior": (0.0, -1.0)}, "the precision of prior has -1"),
        ({"prior": (0.0, 1.0), "penalty": "l1"}, "takes the place of the penalty"),
        ({"keep_posterior": True, "penalty": "l1"}, "needs penalty='l2' or None"),
        ({"keep_posterior": 1}, "must be True or False"),
    ],
)
def test_bad_input_names_the_column_the_class_and_the_way_out(iris: Any, parameters: Any, message: str) -> None:
    X, y = iris
    with pytest.raises(ValueError, match=message):
        SoftmaxRegression(**parameters).fit(X, y)


def test_combinations_that_cannot_be_say_so(iris: Any) -> None:
    X, y = iris
    with pytest.raises(ValueError, match="cv='loo' takes neither"):
        SoftmaxRegressionCV(cv="loo", bounds={0: {1: "+"}}).fit(X, y)
    with pytest.raises(ValueError, match="relaxed fits take neither"):
        SoftmaxRegressionCV(penalty="l1", relaxed=0.5, penalty_factors=[1, 1, 1, 2]).fit(X, y)
    with pytest.raises(ValueError, match="need all rows at once"):
        SoftmaxRegression(bounds={0: {1: "+"}}).partial_fit(X, y)
    bounded = SoftmaxRegression(bounds={0: {1: "+"}}).fit(X, y)
    with pytest.raises(ValueError, match="standard errors of a model with bounds"):
        softreg.infer(bounded, X, y)


# --- priors ---------------------------------------------------------------------------------------------------------


def test_a_prior_of_mean_zero_is_the_l2_penalty() -> None:
    X, y = drawn()
    ridge = SoftmaxRegression(0.01, tol=1e-10).fit(X, y)
    prior = SoftmaxRegression(prior=(0.0, 0.01 * len(y)), tol=1e-10).fit(X, y)
    np.testing.assert_allclose(prior.coef_, ridge.coef_, atol=1e-4)
    by_name = SoftmaxRegression(prior=({1: 2.0}, {1: {2: 1e9}})).fit(X, y)
    assert by_name.coef_[2, 1] == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("storage", ["array", "sparse", "batches", "weights"])
def test_a_posterior_stands_for_its_rows(storage: str) -> None:
    X, y = drawn(4000)
    half = len(y) // 2
    first = SoftmaxRegression(1 / half, keep_posterior=True, tol=1e-9).fit(X[:half], y[:half])
    whole = SoftmaxRegression(1 / len(y), keep_posterior=True, tol=1e-9).fit(X, y)
    model = SoftmaxRegression(prior=first.posterior(), keep_posterior=True, tol=1e-9)
    if storage == "batches":
        model.fit((X[a : a + 500], y[a : a + 500]) for a in range(half, len(y), 500))
    elif storage == "weights":
        model.fit(X[half:], y[half:], np.full(half, 1.0))
    else:
        model.fit(sp.csr_array(X[half:]) if storage == "sparse" else X[half:], y[half:])
    assert model.solution_.converged
    moved = np.abs(first.coef_ - whole.coef_).max()
    assert np.abs(model.coef_ - whole.coef_).max() < 0.05 * moved
    of_both, of_all = model.posterior().covariance(), whole.posterior().covariance()
    np.testing.assert_allclose(of_both, of_all, atol=0.05 * np.abs(of_all).max())


def test_the_posterior_is_that_of_the_inference() -> None:
    X, y = drawn(800)
    model = SoftmaxRegression(0.0, penalty=None, keep_posterior=True, tol=1e-12).fit(X, y)
    covariance = model.posterior().covariance()
    k = X.shape[1] + 1
    contrast = np.kron([[0, 1, -1]], np.eye(k))
    errors = np.sqrt(np.diag(contrast @ covariance @ contrast.T))
    statsmodels = pytest.importorskip("statsmodels.api")
    fit = statsmodels.MNLogit((y + 1) % 3, np.hstack([X, np.ones((len(y), 1))])).fit(disp=0)  # class 2 is the base
    np.testing.assert_allclose(errors, np.asarray(fit.bse)[:, 1], rtol=1e-4)


def test_a_day_without_a_class_keeps_the_class() -> None:
    X, y = drawn()
    first = SoftmaxRegression(1e-3, keep_posterior=True).fit(X, y)
    rest = y != 2
    model = SoftmaxRegression(prior=first).fit(X[rest], y[rest])
    assert model.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="the class 3 is not among those of the prior"):
        SoftmaxRegression(prior=first).fit(X, y + 1)
    with pytest.raises(ValueError, match="the prior has intercept; fit with fit_intercept=True"):
        SoftmaxRegression(prior=first, fit_intercept=False).fit(X, y)
    with pytest.raises(ValueError, match="the prior is of 4 columns, but X has 2"):
        SoftmaxRegression(prior=first).fit(X[:, :2], y)


def test_many_parameters_keep_the_diagonal() -> None:
    rng = np.random.default_rng(0)
    X, y = sp.random(2000, 500, 0.02, random_state=0, format="csr"), rng.integers(0, 3, 2000)
    first = SoftmaxRegression(1e-3, keep_posterior=True).fit(X[:1000], y[:1000])
    assert not first.posterior().is_full
    assert first.posterior().precision.shape == (3, 501)
    second = SoftmaxRegression(prior=first).fit(X[1000:], y[1000:])
    whole = SoftmaxRegression(0.5e-3).fit(X, y)
    assert second.solution_.converged
    assert np.abs(second.coef_ - whole.coef_).max() < 0.6 * np.abs(first.coef_ - whole.coef_).max()


def test_a_fit_without_a_finite_optimum_keeps_no_posterior(iris: Any) -> None:
    X, y = iris
    with pytest.warns(ConvergenceWarning, match="no finite optimum"):
        model = SoftmaxRegression(penalty=None, keep_posterior=True).fit(X, y)
    with pytest.raises(ValueError, match="this fit has no finite optimum"):
        model.posterior()
    with pytest.warns(ConvergenceWarning, match=r"separated mainly by 'sepal length'\."):
        SoftmaxRegression(0.1, penalty_factors={0: 0}).fit(X, (X["sepal length"] > 5.8).astype(int))


# --- the model file -------------------------------------------------------------------------------------------------


def test_parameters_and_posterior_are_in_the_model_file(iris: Any, tmp_path: Path) -> None:
    X, y = iris
    model = SoftmaxRegression(1e-2, bounds={"sepal width": {1: (None, 0.0)}}, penalty_factors={"petal width": math.inf})
    model.fit(X, y).save(tmp_path / "bounded.softreg")
    loaded = softreg.load(tmp_path / "bounded.softreg")
    assert loaded.bounds == {"sepal width": {1: (None, 0.0)}}
    assert loaded.penalty_factors == {"petal width": math.inf}
    np.testing.assert_array_equal(clone(loaded).fit(X, y).coef_, model.coef_)

    first = SoftmaxRegression(1e-2, keep_posterior=True).fit(X, y)
    second = SoftmaxRegression(prior=first, keep_posterior=True).fit(X, y)
    second.save(tmp_path / "posterior.softreg")
    loaded = softreg.load(tmp_path / "posterior.softreg")
    np.testing.assert_array_equal(loaded.posterior().precision, second.posterior().precision)
    assert loaded.posterior().feature_names == tuple(X.columns)
    with pytest.raises(ValueError, match=r"prior was .* when this model was saved"):
        loaded.fit(X, y)
    with pytest.raises(ValueError, match="did not keep its posterior"):
        SoftmaxRegression().fit(X, y).posterior()


def test_json_of_weight_parameters_is_strict() -> None:
    for value in ({"a": {"x": (0, None)}, 3: "+"}, np.array([[1.0, math.inf]]), (0.5, -math.inf), None, "yes"):
        text = json.dumps(weight_parameter_to_json(value), allow_nan=False)
        back = weight_parameter_from_json(json.loads(text))
        assert repr(back) == repr(value) or np.array_equal(np.asarray(back), np.asarray(value))
    for wrong in ({"items": [1]}, {"number": "nan"}, {"other": 1}, [1]):
        with pytest.raises(ValueError, match="describes no penalty factors"):
            weight_parameter_from_json(wrong)


def test_intervals_of_the_posterior_are_those_of_the_inference() -> None:
    X, y = drawn(500)
    model = SoftmaxRegression(1e-2, keep_posterior=True, tol=1e-11).fit(X, y)
    kept = softreg.posterior_predictions(model, X[:20], level=0.9)
    again = softreg.infer(model, X, y, errors="posterior").predictions(X[:20], level=0.9)
    np.testing.assert_allclose(kept.probabilities, model.predict_proba(X[:20]), atol=1e-9)
    np.testing.assert_allclose(kept.std_errors, again.std_errors, rtol=1e-4)
    np.testing.assert_allclose(kept.low, again.low, rtol=1e-4)
    np.testing.assert_allclose(kept.high, again.high, rtol=1e-4)
    joint = softreg.posterior_predictions(model, X[:20], level=0.9, simultaneous=True)
    assert (joint.low < kept.low).all()
    adjusted = SoftmaxRegression(1e-2, penalty_factors={0: 0.0}, keep_posterior=True).fit(X, y)
    assert (softreg.posterior_predictions(adjusted, X[:5]).std_errors > 0).all()
    with pytest.raises(ValueError, match="did not keep its posterior"):
        softreg.posterior_predictions(SoftmaxRegression(1e-2).fit(X, y), X)


def test_an_array_of_bounds_is_that_of_the_second_of_two_classes() -> None:
    X, y = drawn(300, q=2)
    by_name = SoftmaxRegression(1e-3, bounds={0: "+"}).fit(X, y)
    by_array = SoftmaxRegression(1e-3, bounds=([0] + [-math.inf] * 3, [math.inf] * 4)).fit(X, y)
    np.testing.assert_allclose(by_array.coef_, by_name.coef_)
    interval = SoftmaxRegression(1e-3, bounds=(0.1, 1)).fit(X, y)
    assert (interval.coef_[1] >= 0.1).all()


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_bounds_of_a_constant_column_hold(penalty: Any) -> None:
    rng = np.random.default_rng(0)
    X = np.c_[np.ones(100), rng.normal(size=100)]
    y = (X[:, 1] + rng.logistic(size=100) > 0).astype(int)
    ratio = 0.5 if penalty == "elasticnet" else 0.0
    factors = {1: {0: 0.0}}
    model = SoftmaxRegression(0.01, penalty=penalty, l1_ratio=ratio, bounds={0: (0.3, 1)}, penalty_factors=factors)
    np.testing.assert_allclose(model.fit(X, y).coef_[1, 0], 0.3)
    assert model.solution_.certified


def test_a_prior_determines_the_weight_of_a_constant_column() -> None:
    X, y = drawn(200)
    X[:, 1] = 3.0
    model = SoftmaxRegression(prior=({1: {2: 0.7}}, 5.0)).fit(X, y)
    assert model.coef_[2, 1] == pytest.approx(0.7, abs=1e-6)


def test_l1_with_one_unpenalised_weight_is_certified() -> None:
    X, y = drawn(200, d=3)
    model = SoftmaxRegression(1e-2, penalty="l1", penalty_factors={0: {0: 0}}).fit(X, y)
    assert model.solution_.converged


def test_further_bad_input(iris: Any) -> None:
    X, y = iris
    for parameters, message in (
        ({"bounds": {0: {1: (math.inf, math.inf)}}}, "least < inf"),
        ({"bounds": {0: {1: (0.1, 1)}}, "penalty_factors": {0: math.inf}}, "whose bounds exclude a weight of 0"),
        ({"penalty_factors": {"sepal length": 1, 0: 2}}, "names 'sepal length' twice"),
        ({"prior": SoftmaxRegression(keep_posterior=True)}, "is an estimator that is not fitted"),
    ):
        with pytest.raises(ValueError, match=message):
            SoftmaxRegression(**parameters).fit(X, y)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="need all rows at once"):
        SoftmaxRegression(prior=(0.0, 1.0)).partial_fit(X, y)
    with pytest.raises(ValueError, match="did not keep its posterior"):
        SoftmaxRegression(keep_posterior=True).partial_fit(X, y).posterior()


def test_each_name_is_looked_at_once() -> None:
    """A text has a hundred thousand features, each of which has a factor beside curves of numbers."""

    class Name(str):
        __slots__ = ()

        def __str__(self) -> str:
            looked_at.append(self)
            return str.__str__(self)

    looked_at: list[Name] = []
    names = WeightNames([Name(f"f{j}") for j in (0, 1, 2, 1)], 4, np.array(["no", "yes"]))
    assert [names.column(key, "penalty_factors") for key in ("f2", "f1", "f0", 3)] == [2, 1, 0, 3]
    assert len(looked_at) == 4
    with pytest.raises(ValueError, match="'f3', which does not exist: columns are 'f0', 'f1', 'f2', 'f1'"):
        names.column("f3", "penalty_factors")
