"""Wrong input: each complaint is one clear error that names the place, the value and the way out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError

from softreg import SoftmaxRegression

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def refused(call: object, *parts: str, kind: type[Exception] = ValueError) -> str:
    with pytest.raises(kind) as error:
        call()
    message = str(error.value)
    for part in parts:
        assert part in message, f"{part!r} is not in: {message}"
    assert "np." not in message, message
    assert "Error(" not in message, message
    return message


PARAMETERS = [
    ({"strength": -1}, "strength=-1", ">= 0"),
    ({"strength": float("nan")}, "strength=nan", ">= 0"),
    ({"strength": float("inf")}, "strength=inf", "finite"),
    ({"strength": "much"}, "strength='much'", "number"),
    ({"strength": [0.1]}, "strength=[0.1]", "number"),
    ({"strength": None}, "strength=None", "number"),
    ({"tol": 0}, "tol=0", "> 0"),
    ({"tol": -1e-3}, "tol=-0.001", "> 0"),
    ({"tol": "small"}, "tol='small'", "number"),
    ({"max_iter": -1}, "max_iter=-1", ">= 0"),
    ({"max_iter": 2.5}, "max_iter=2.5", "integer"),
    ({"max_iter": None}, "max_iter=None", "integer"),
    ({"solver": "saga"}, "solver='saga'", "auto, newton, lbfgs"),
    ({"solver": ["newton"]}, "solver=['newton']", "newton"),
    ({"penalty": "ridge"}, "penalty='ridge'", "elasticnet"),
    ({"penalty": "none"}, "penalty='none'", "None"),
    ({"penalty": ["l2"]}, "penalty=['l2']", "elasticnet"),
    ({"penalty": "elasticnet", "l1_ratio": 1.5}, "l1_ratio=1.5", "between 0"),
    ({"penalty": "elasticnet", "l1_ratio": float("nan")}, "l1_ratio=nan", "between 0"),
    ({"penalty": "elasticnet", "l1_ratio": None}, "l1_ratio=None", "between 0"),
    ({"penalty": "elasticnet", "l1_ratio": "half"}, "l1_ratio='half'", "between 0"),
    ({"l1_ratio": 0.5}, "l1_ratio=0.5", "elasticnet"),
    ({"penalty": None, "l1_ratio": 0.5}, "l1_ratio=0.5", "elasticnet"),
    ({"penalty": "l1", "l1_ratio": 0.5}, "l1_ratio=0.5", "elasticnet"),
    ({"penalty": "l1", "solver": "newton"}, "newton", "orthant-sampled"),
    ({"fit_intercept": "no"}, "fit_intercept='no'"),
    ({"warm_start": "yes"}, "warm_start='yes'"),
    ({"verbose": "loud"}, "verbose='loud'"),
    ({"random_state": "seed"}, "'seed'"),
    ({"class_weight": "even"}, "class_weight='even'", "balanced"),
    ({"class_weight": [1, 2, 3]}, "class_weight=[1, 2, 3]", "balanced"),
    ({"class_weight": {"dog": 2}}, "'dog'", "'ant'"),
    ({"class_weight": {"ant": "two"}}, "'ant'", "'two'"),
    ({"class_weight": {"ant": float("inf")}}, "'ant'", "inf"),
    ({"class_weight": {"ant": 0}}, "'ant'", "above zero"),
]


@pytest.mark.parametrize(("settings", "parts"), [(s, p) for s, *p in PARAMETERS], ids=[str(s) for s, *_ in PARAMETERS])
def test_parameters_out_of_range(problem, settings, parts):
    refused(lambda: SoftmaxRegression(**settings).fit(problem.X, problem.y), *parts)


COLUMNS = {
    "text": (lambda n: ["x"] * n, "'v'", "'x'"),
    "numbers written as text": (lambda n: ["1", "2"] * (n // 2), "'v'"),
    "text after numbers written as text": (lambda n: ["1"] * (n - 1) + ["x"], "'v'"),
    "dates": (lambda n: pd.date_range("2020", periods=n).to_pydatetime().tolist(), "'v'"),
    "durations": (lambda n: pd.to_timedelta(range(n), unit="s").to_pytimedelta().tolist(), "'v'"),
    "lists": (lambda n: [[1.0]] * n, "'v'"),
    "null": (lambda n: [1.0] * 7 + [None] + [2.0] * (n - 8), "'v'", "row 7"),
    "nan": (lambda n: [1.0] * 7 + [float("nan")] + [2.0] * (n - 8), "'v'", "row 7"),
    "inf": (lambda n: [1.0] * 7 + [float("inf")] + [2.0] * (n - 8), "'v'", "row 7"),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_that_are_no_numbers_are_named(problem, frame, kind):
    make, *parts = COLUMNS[kind]
    good = FRAMES[frame]({"u": problem.X[:, 0], "v": problem.X[:, 1]})
    bad = FRAMES[frame]({"u": problem.X[:, 0], "v": make(300)})
    refused(lambda: SoftmaxRegression().fit(bad, problem.y), *parts)
    model = SoftmaxRegression().fit(good, problem.y)
    refused(lambda: model.predict_proba(bad), *parts)


def test_pandas_columns_of_odd_kinds(problem):
    for column in (pd.Categorical([1, 2] * 150), problem.X[:, 1] + 1j, [pd.Period("2020")] * 300):
        bad = pd.DataFrame({"u": problem.X[:, 0], "v": column})
        refused(lambda bad=bad: SoftmaxRegression().fit(bad, problem.y), "'v'")


def test_frames_that_are_no_tables(problem):
    double = pd.DataFrame(problem.X[:, :2], columns=["a", "a"])
    refused(lambda: SoftmaxRegression().fit(double, problem.y), "'a'")
    refused(lambda: SoftmaxRegression().fit(pl.DataFrame(problem.X).lazy(), problem.y), "collect", kind=Exception)
    refused(lambda: SoftmaxRegression().fit(pd.DataFrame(index=range(300)), problem.y), "0 feature")
    refused(lambda: SoftmaxRegression().fit(pd.DataFrame({"a": []}), []), "0 sample")


def test_arrays_that_are_no_matrices(problem):
    X, y = problem.X, problem.y
    refused(lambda: SoftmaxRegression().fit(X[:, 0], y), "2D")
    refused(lambda: SoftmaxRegression().fit(X[None], y), "dim 3")
    refused(lambda: SoftmaxRegression().fit(X + 1j, y), "Complex")
    refused(lambda: SoftmaxRegression().fit(np.array([["1", "x"]] * 300), y), "'x'")
    refused(lambda: SoftmaxRegression().fit(X[:0], y[:0]), "0 sample")
    refused(lambda: SoftmaxRegression().fit(X, y[:5]), "300", "5")
    masked = np.ma.masked_array(X, mask=False)
    assert SoftmaxRegression().fit(masked, y).coef_.shape == (3, 4)
    masked[7, 2] = np.ma.masked  # what is masked is missing, and must not be read as the number beneath
    refused(lambda: SoftmaxRegression().fit(masked, y), "7")


LABELS = [
    (lambda p: None, "y"),
    (lambda p: ["ant"] * 300, "one class", "'ant'"),
    (lambda p: np.zeros((300, 2, 2)), "(300, 2, 2)"),
    (lambda p: 3, "()"),
    (lambda p: sp.csr_array(np.eye(3)[p.codes]), "Sparse y"),
    (lambda p: [{"a": 1}] * 300, "row 0"),
    (lambda p: p.codes * 1j, "complex"),
    (lambda p: np.array([["a", "b"]] * 300), "numbers"),
    (lambda p: pd.DataFrame({"a": ["x"] * 300, "b": ["y"] * 300}), "'a'", "'x'"),
    (lambda p: pd.DataFrame({"a": [0.5] * 300, "b": [0.5] * 299 + [None]}), "'b'", "row 299"),
    (lambda p: pd.DataFrame(np.eye(3)[p.codes], columns=["a", "a", "b"]), "'a'"),
    (lambda p: pd.DataFrame(np.eye(4)[p.codes], columns=list("abcd")), "'d'", "no row"),
    (lambda p: np.full((300, 3), 0.3), "row 0", "0.9"),
    (lambda p: 3 * np.eye(3)[p.codes], "row 0", "sum"),
]


@pytest.mark.parametrize(("y", "parts"), [(y, p) for y, *p in LABELS])
def test_labels_that_are_none(problem, y, parts):
    refused(lambda: SoftmaxRegression().fit(problem.X, y(problem)), *parts)


def test_complaints_about_labels_do_not_speak_of_x(problem):
    Y = pd.DataFrame({"a": [0.5] * 300, "b": [0.5] * 299 + [None]})
    assert "Input X" not in refused(lambda: SoftmaxRegression().fit(problem.X, Y), "'b'")


WEIGHTS = [
    (lambda n: [1.0] * 5, "(5,)", "300"),
    (lambda n: np.ones((n, 2)), "(300, 2)"),
    (lambda n: ["a"] + [1.0] * (n - 1), "'a'"),
    (lambda n: pd.array([None] + [1] * (n - 1), dtype="Int64"), "row 0"),
    (lambda n: pl.Series([1, None] * (n // 2)), "row 1"),
    (lambda n: -1, "-1"),
]


@pytest.mark.parametrize(("weight", "parts"), [(w, p) for w, *p in WEIGHTS])
def test_weights_that_are_none(problem, weight, parts):
    refused(lambda: SoftmaxRegression().fit(problem.X, problem.y, weight(300)), *parts)


@pytest.mark.parametrize("make", [list, pd.Series, pl.Series, pa.array, lambda v: np.asarray(v, np.float32)])
def test_weights_of_any_container(problem, make):
    weight = np.arange(300) % 3 + 1.0
    expected = SoftmaxRegression().fit(problem.X, problem.y, weight)
    np.testing.assert_array_equal(SoftmaxRegression().fit(problem.X, problem.y, make(weight)).coef_, expected.coef_)
    np.testing.assert_allclose(
        SoftmaxRegression().fit(problem.X, problem.y, 7.0).coef_,
        SoftmaxRegression().fit(problem.X, problem.y).coef_,
        rtol=1e-12,
    )


def test_class_weights_of_integer_classes(problem):
    by_class = SoftmaxRegression(class_weight={0: 2.0, 2: 0.5}).fit(problem.X, problem.codes)
    by_row = SoftmaxRegression().fit(problem.X, problem.codes, np.array([2.0, 1.0, 0.5])[problem.codes])
    np.testing.assert_allclose(by_class.coef_, by_row.coef_, atol=1e-12)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_prediction_with_the_wrong_rows(problem, model, method):
    call = getattr(model, method)
    refused(lambda: call(problem.X[:, :2]), "2 features", "4 features")
    refused(lambda: call(problem.X[0]), "2D")
    refused(lambda: call(problem.X[:0]), "0 sample")
    refused(lambda: getattr(SoftmaxRegression(), method)(problem.X), "not fitted", kind=NotFittedError)


def test_an_unfitted_model_is_not_saved(tmp_path):
    refused(lambda: SoftmaxRegression().save(tmp_path / "m"), "not fitted", kind=NotFittedError)
    assert not list(tmp_path.iterdir())


def test_rows_so_large_that_logits_overflow_are_named(problem, model):
    X = np.full((3, 4), 1e308)
    X[0] = 1
    message = refused(lambda: model.predict_proba(X * np.sign(model.coef_[0])), "row 1")
    assert "of o " not in message, f"a name from inside: {message}"


def test_a_score_of_labels_of_another_kind(problem, model):
    refused(lambda: model.score(problem.X, problem.y[:5]), "5")
    refused(lambda: model.score(problem.X, np.full((300, 4), 0.25)), "4", "3")
