"""TableClassifier under the protocol of scikit-learn: its own checks, model selection, pipelines and meta-estimators.

Checks that are not made, and why:

- `check_sample_weight_equivalence_on_dense_data` with strength="auto": a weight of 2 is a row given twice in the
  objective and in what numbers are standardised by, but the folds that choose the strength are made of rows, and a row
  given twice may stand in two of them. With a given strength the check is made.
- `check_array_api_input`: scikit-learn itself skips it where SCIPY_ARRAY_API is not set.
- Checks of sparse input are made and pass by a clear refusal: a table is dense.
- Names of columns are matched whatever their order (`check_dataframe_column_names_consistency` asks for an error).
"""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from softreg import TableClassifier
from softreg.tables import TableError, TableWarning

FIXED = 0.01


def not_made(estimator: TableClassifier) -> dict[str, str]:
    """The checks of scikit-learn that do not hold, with the reason."""
    if estimator.strength != "auto":
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": "folds are made of rows, not of weights"}


@parametrize_with_checks([TableClassifier(strength=FIXED), TableClassifier()], expected_failed_checks=not_made)
def test_scikit_learn_s_own_checks(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)
        check(estimator)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Rows with a shuffled index: whatever matches by index is seen."""
    random, n = np.random.default_rng(0), 300
    table = {
        "age": random.normal(40, 10, n),
        "sex": random.choice(["f", "m"], n),
        "cabin": random.integers(1, 4, n).astype(float),
    }
    data = pd.DataFrame(table, index=random.permutation(n) + 1000)
    log_odds = (data.age - 40) / 5 + (data.sex == "f")
    data["survived"] = (random.random(n) < 1 / (1 + np.exp(-log_odds))).astype(int)
    return data


@pytest.fixture(scope="module")
def X(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="survived")


@pytest.fixture(scope="module")
def y(frame: pd.DataFrame) -> pd.Series:
    return frame.survived.map({0: "no", 1: "yes"})


def test_parameters_come_from_the_signature(X: pd.DataFrame, y: pd.Series) -> None:
    model = TableClassifier("y", category="cabin", strength=0.5)
    assert clone(model).get_params() == model.get_params()
    assert model.get_params()["category"] == "cabin"
    assert model.set_params(category=(), strength=FIXED).strength == FIXED
    assert repr(TableClassifier(strength=2.0)) == "TableClassifier(strength=2.0)"
    assert is_classifier(model)
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.predict(X)
    assert "TableClassifier" in model._repr_html_()


def test_what_is_there_after_fit(X: pd.DataFrame, y: pd.Series) -> None:
    model = TableClassifier(strength=FIXED).fit(X, y)
    assert model.n_features_in_ == 3
    assert model.feature_names_in_.tolist() == ["age", "sex", "cabin"]
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.n_iter_ >= 1
    check_is_fitted(model)
    o = model.decision_function(X)
    P = model.predict_proba(X)
    np.testing.assert_allclose(1 / (1 + np.exp(-o)), P[:, 1], atol=1e-12)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(P), atol=1e-12)
    assert model.decision_function(X[:0]).shape == (0,)
    assert not hasattr(TableClassifier(strength=FIXED).fit(X.to_numpy(), y), "feature_names_in_")


@pytest.mark.parametrize("form", ["pandas", "polars", "arrow", "numpy"])
def test_cross_validation(frame: pd.DataFrame, X: pd.DataFrame, y: pd.Series, form: str) -> None:
    tables = {
        "pandas": X,
        "polars": pl.from_pandas(X),
        "arrow": pa.Table.from_pandas(X, preserve_index=False),
        "numpy": X.to_numpy(),
    }
    scores = cross_val_score(TableClassifier(strength=FIXED), tables[form], y.to_numpy())
    assert scores.mean() == pytest.approx(0.83, abs=0.01)


def test_cross_validation_of_a_table_with_its_labels(frame: pd.DataFrame, y: pd.Series) -> None:
    model = TableClassifier("survived", strength=FIXED)
    beside = cross_val_score(model, frame, frame.survived)
    assert beside.mean() == pytest.approx(0.83, abs=0.01)  # the column of the target is no feature
    assert cross_val_score(model, frame).mean() == pytest.approx(0.83, abs=0.02)


def test_a_target_in_the_features_is_no_feature(frame: pd.DataFrame) -> None:
    with pytest.warns(TableWarning, match="the column 'survived', whose values are the labels y"):
        model = TableClassifier(strength=FIXED).fit(frame, frame.survived)
    assert model.feature_names_in_.tolist() == ["age", "sex", "cabin"]
    dropped = TableClassifier("survived", drop=["survived", "sex"], strength=FIXED).fit(frame, frame.survived)
    assert [kind for _, kind, _ in dropped.describe()] == ["number", "dropped", "number", "target"]
    other = TableClassifier(strength=FIXED).fit(frame, frame.age.rename("sex") > 40)  # of a name that is a feature's
    assert other.schema_.target == "y"
    assert other.n_features_in_ == 4


def test_every_scorer_finds_what_it_needs(X: pd.DataFrame, y: pd.Series) -> None:
    scoring = ["accuracy", "neg_log_loss", "roc_auc", "balanced_accuracy", "neg_brier_score"]
    scores = cross_validate(TableClassifier(strength=FIXED), X, y == "yes", scoring=scoring)
    assert all(np.isfinite(scores[f"test_{name}"]).all() for name in scoring)
    assert cross_val_predict(TableClassifier(strength=FIXED), X, y, method="predict_proba").shape == (300, 2)


def test_a_search_over_the_strength_and_the_kinds(X: pd.DataFrame, y: pd.Series) -> None:
    grid = {"strength": [1e-3, 10.0, "auto"], "category": [(), ("cabin",)]}
    search = GridSearchCV(TableClassifier(), grid, cv=3).fit(X, y)
    assert search.best_params_["strength"] != 10.0
    assert (search.predict(X) == y).mean() == pytest.approx(0.83, abs=0.01)


@pytest.mark.parametrize("container", ["pandas", "polars", "default"])
def test_a_pipeline_whose_steps_give_frames(X: pd.DataFrame, y: pd.Series, container: Any) -> None:
    scale = ColumnTransformer([("s", StandardScaler(), ["age"])], remainder="passthrough")
    scale.set_params(verbose_feature_names_out=False)
    pipe = make_pipeline(scale, TableClassifier(strength=FIXED)).set_output(transform=container).fit(X, y)
    assert pipe.score(X, y) == pytest.approx(0.83, abs=0.01)
    assert [kind for _, kind, _ in pipe[-1].describe()][:3] == ["number", "category", "number"]
    if container != "default":
        assert pipe[-1].feature_names_in_.tolist() == ["age", "sex", "cabin"]


def test_a_pipeline_with_a_function_that_adds_a_column(X: pd.DataFrame, y: pd.Series) -> None:
    pipe = make_pipeline(FunctionTransformer(lambda X: X.assign(old=X.age > 60)), TableClassifier(strength=FIXED))
    pipe.fit(X, y, tableclassifier__sample_weight=np.ones(len(X)))
    assert pipe[-1].feature_names_in_.tolist() == ["age", "sex", "cabin", "old"]
    assert cross_val_score(pipe, X, y).mean() == pytest.approx(0.83, abs=0.02)


def test_weights_are_routed(X: pd.DataFrame, y: pd.Series) -> None:
    weight = np.where(y == "yes", 1.0, 0.25)
    with sklearn.config_context(enable_metadata_routing=True):
        model = TableClassifier(strength=FIXED).set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        weighted = cross_validate(model, X, y, params={"sample_weight": weight}, return_estimator=True)
    plain = TableClassifier(strength=FIXED).fit(X, y)
    assert weighted["estimator"][0].predict_proba(X)[:, 1].mean() > plain.predict_proba(X)[:, 1].mean() + 0.05


def test_meta_estimators(frame: pd.DataFrame, X: pd.DataFrame, y: pd.Series) -> None:
    model, named = TableClassifier(strength=FIXED), TableClassifier("survived", strength=FIXED)
    assert (CalibratedClassifierCV(model, cv=3).fit(X, y).predict(X) == y).mean() > 0.8
    pair = [("a", model), ("b", TableClassifier(strength=1.0))]
    assert VotingClassifier(pair, voting="soft").fit(X, y).score(X, y) > 0.8
    assert StackingClassifier(pair, cv=3).fit(X, y).score(X, y) > 0.8
    with_target = frame.assign(survived=y)  # the meta-estimator replaces the labels by codes; the column is no feature
    assert 0.8 < VotingClassifier([("a", named)], voting="soft").fit(with_target, y).score(with_target, y) < 0.9


def test_inspection(X: pd.DataFrame, y: pd.Series) -> None:
    model = TableClassifier(strength=FIXED).fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=3, random_state=0).importances_mean
    assert importance.argmax() == 0
    average = partial_dependence(model, X, ["age"], grid_resolution=5).average[0]
    assert (np.diff(average) > 0).all()
    levels = partial_dependence(model, X, ["sex"], categorical_features=["sex"])
    assert levels.average[0, 0] > levels.average[0, 1]


def test_copies_predict_the_same(X: pd.DataFrame, y: pd.Series) -> None:
    model = TableClassifier(strength=FIXED).fit(X, y)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


def test_columns_of_an_array_are_matched_by_their_place(X: pd.DataFrame, y: pd.Series) -> None:
    model = TableClassifier(strength=FIXED).fit(X, y)
    with pytest.warns(TableWarning, match="does not have valid feature names"):
        P = model.predict_proba(X.to_numpy())
    np.testing.assert_allclose(P, model.predict_proba(X))
    with pytest.raises(ValueError, match="X has 2 features, but TableClassifier is expecting 3 features as input"):
        model.predict(X.to_numpy()[:, :2])
    numbered = TableClassifier(category=2, drop=[0], strength=FIXED).fit(X.to_numpy(), y)
    assert [kind for _, kind, _ in numbered.describe()] == ["dropped", "category", "category", "target"]
    frame = X.set_axis(range(3), axis=1)
    np.testing.assert_allclose(numbered.predict_proba(frame), numbered.predict_proba(X.to_numpy()))


def test_what_cannot_be_a_table() -> None:
    model, y = TableClassifier(strength=FIXED), [0, 1, 0, 1]
    with pytest.raises(TableError, match="requires y to be passed, but the target y is None"):
        model.fit(np.eye(4))
    with pytest.raises(TableError, match="inconsistent numbers of samples: X has 4 rows and y 3 labels"):
        model.fit(np.eye(4), y[:3])
    with pytest.raises(TableError, match=r"Expected 2D array, got 1D array instead \(shape \(4,\)\)"):
        model.fit(np.arange(4.0), y)
    with pytest.raises(TableError, match="Column '0' holds values of the type int, str"):
        model.fit(np.array([[1], ["a"], [2], ["b"]], dtype=object), y)
    with pytest.raises(TableError, match="y has 2 columns; expected one label for each row"):
        model.fit(np.eye(4), pd.DataFrame({"a": y, "b": y}))
    with pytest.raises(TableError, match="strength is 'best'; expected a number of at least 0, or 'auto'"):
        TableClassifier(strength="best").fit(np.eye(4), y)


def test_a_structured_array_and_rows_in_lists() -> None:
    y = np.array([0, 1] * 20)
    rows = [[float(k % 7) + 3 * label, "ab"[k % 2]] for k, label in enumerate(y)]
    model = TableClassifier(strength=FIXED).fit(rows, y)
    assert [kind for _, kind, _ in model.describe()][:2] == ["number", "category"]
    records = np.array([tuple(row) for row in rows], dtype=[("size", "f4"), ("kind", "U1")])
    named = TableClassifier(strength=FIXED).fit(records, y)
    assert named.feature_names_in_.tolist() == ["size", "kind"]
    np.testing.assert_allclose(named.predict_proba(records), model.predict_proba(rows), atol=1e-6)
