"""What fit and predict take: labels of any kind, label probabilities, frames, dtypes, sparse rows."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression

TEXT = {
    "list": list,
    "tuple": tuple,
    "array": np.asarray,
    "object array": lambda y: y.astype(object),
    "variable-width array": lambda y: y.astype(np.dtypes.StringDType()),
    "pandas": pd.Series,
    "pandas string": lambda y: pd.Series(y, dtype="string"),
    "pandas arrow string": lambda y: pd.Series(y, dtype="string[pyarrow]"),
    "pandas category": lambda y: pd.Series(y, dtype="category"),
    "pandas Categorical": lambda y: pd.Categorical(y, categories=["dog", "cat", "bee", "ant"]),
    "pandas index": pd.Index,
    "pandas shuffled index": lambda y: pd.Series(y, index=np.random.default_rng(0).permutation(len(y))),
    "pandas frame": lambda y: pd.DataFrame({"label": y}),
    "polars": pl.Series,
    "polars Categorical": lambda y: pl.Series(y, dtype=pl.Categorical),
    "polars Enum": lambda y: pl.Series(y, dtype=pl.Enum(["cat", "bee", "ant"])),
    "polars frame": lambda y: pl.DataFrame({"label": y}),
    "pyarrow array": pa.array,
    "pyarrow chunks": lambda y: pa.chunked_array([list(y[:10]), list(y[10:])]),
    "pyarrow dictionary": lambda y: pa.array(y).dictionary_encode(),
    "pyarrow table": lambda y: pa.table({"label": y}),
}


@pytest.mark.parametrize("kind", TEXT)
def test_text_labels_of_any_container(problem, kind):
    y = TEXT[kind](problem.y)
    plain = SoftmaxRegression().fit(problem.X, problem.codes)
    model = SoftmaxRegression().fit(problem.X, y)
    assert model.classes_.tolist() == ["ant", "bee", "cat"]
    np.testing.assert_array_equal(model.coef_, plain.coef_)
    assert model.predict(problem.X[:5]).tolist() == [["ant", "bee", "cat"][k] for k in plain.predict(problem.X[:5])]
    assert model.score(problem.X, y) == plain.score(problem.X, problem.codes)
    streamed = SoftmaxRegression().partial_fit(problem.X, y)
    np.testing.assert_array_equal(streamed.coef_, SoftmaxRegression().partial_fit(problem.X, problem.codes).coef_)


NUMBERS = {
    "int list": lambda c: [int(k) * 5 - 5 for k in c],
    "int8": lambda c: (c * 5 - 5).astype(np.int8),
    "whole floats": lambda c: c * 5.0 - 5,
    "pandas Int64": lambda c: pd.Series(c * 5 - 5, dtype="Int64"),
    "pandas category of integers": lambda c: pd.Series(c * 5 - 5).astype("category"),
    "pandas arrow": lambda c: pd.Series(c * 5 - 5, dtype="int32[pyarrow]"),
    "polars Int16": lambda c: pl.Series(c * 5 - 5, dtype=pl.Int16),
    "pyarrow": lambda c: pa.array(c * 5 - 5),
    "objects": lambda c: np.array([int(k) * 5 - 5 for k in c], dtype=object),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_integer_labels_of_any_container(problem, kind):
    y = NUMBERS[kind](problem.codes)
    model = SoftmaxRegression().fit(problem.X, y)
    assert model.classes_.tolist() == [-5, 0, 5]
    assert model.classes_.dtype.kind in "if"
    np.testing.assert_array_equal(model.predict(problem.X), model.predict_proba(problem.X).argmax(1) * 5 - 5)
    assert model.score(problem.X, y) == np.mean(model.predict(problem.X) == problem.codes * 5 - 5)


BOOLEANS = {
    "list": lambda t: t.tolist(),
    "array": np.asarray,
    "object array": lambda t: t.astype(object),
    "pandas": pd.Series,
    "pandas boolean": lambda t: pd.Series(t, dtype="boolean"),
    "polars": pl.Series,
    "pyarrow": lambda t: pa.array(t.tolist()),
}


@pytest.mark.parametrize("kind", BOOLEANS)
def test_boolean_labels_of_any_container(problem, kind):
    truth = problem.codes == 1
    y = BOOLEANS[kind](truth)
    model = SoftmaxRegression().fit(problem.X, y)
    assert model.classes_.dtype == bool
    assert model.predict(problem.X).dtype == bool
    assert model.score(problem.X, y) == np.mean(model.predict(problem.X) == truth)


@pytest.mark.parametrize(
    "y",
    [
        lambda c: np.array(["2020-01-01", "2021-01-01", "2022-01-01"], "M8[D]")[c],
        lambda c: pd.Series(pd.PeriodIndex(["2020", "2021", "2022"], freq="Y")[c]),
        lambda c: pd.Series(pd.cut(c, 3)),
        lambda c: np.array([b"a", b"b", b"c"])[c],
    ],
    ids=["dates", "periods", "intervals", "bytes"],
)
def test_what_can_be_fitted_can_be_scored(problem, y):
    y = y(problem.codes)
    model = SoftmaxRegression().fit(problem.X, y)
    assert model.score(problem.X, y) == SoftmaxRegression().fit(problem.X, problem.codes).score(
        problem.X, problem.codes
    )


# --- label probabilities ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float64, np.float32, int, bool])
def test_one_hot_labels_are_hard_labels(problem, dtype):
    hard = SoftmaxRegression().fit(problem.X, problem.codes)
    soft = SoftmaxRegression().fit(problem.X, np.eye(3)[problem.codes].astype(dtype))
    assert soft.classes_.tolist() == [0, 1, 2]
    np.testing.assert_allclose(soft.coef_, hard.coef_, atol=1e-9)


def test_label_probabilities_are_fractions_of_rows(problem):
    # a row labelled (0.75, 0.25, 0) is three quarters of a row of class 0 and one quarter of class 1
    Y = np.array([[0.75, 0.25, 0], [0, 0.5, 0.5], [0.125, 0.125, 0.75]])[problem.codes]
    soft = SoftmaxRegression(1e-3).fit(problem.X, Y)
    split = SoftmaxRegression(1e-3).fit(np.repeat(problem.X, 3, axis=0), np.tile([0, 1, 2], 300), Y.ravel())
    np.testing.assert_allclose(soft.coef_, split.coef_, atol=1e-9)
    assert soft.score(problem.X, Y) == soft.score(problem.X, Y.argmax(axis=1))


@pytest.mark.parametrize("names", [["z", "m", "a"], [3, 1, 2]])
def test_a_pandas_frame_of_label_probabilities_names_the_classes(problem, names):
    Y = 0.9 * np.eye(3)[problem.codes] + 0.1 / 3
    model = SoftmaxRegression(class_weight={names[0]: 2.0}).fit(problem.X, pd.DataFrame(Y, columns=names))
    assert model.classes_.tolist() == names
    assert model.predict(problem.X[:1])[0] == names[model.predict_proba(problem.X[:1]).argmax()]
    by_row = SoftmaxRegression().fit(problem.X, Y, Y @ [2.0, 1, 1])
    np.testing.assert_allclose(model.coef_, by_row.coef_, atol=1e-9)


def test_a_matrix_with_one_column_is_a_column_of_labels(problem):
    with pytest.warns(UserWarning, match="column-vector y"):
        model = SoftmaxRegression().fit(problem.X, problem.y[:, None])
    assert model.classes_.tolist() == ["ant", "bee", "cat"]


# --- features -----------------------------------------------------------------------------------------------------

NULLABLE = {
    "pandas Float64": lambda x: pd.array(x, dtype="Float64"),
    "pandas arrow": lambda x: pd.array(x, dtype="double[pyarrow]"),
    "plain": lambda x: x,
}


@pytest.mark.parametrize("kind", NULLABLE)
def test_nullable_columns_without_nulls_are_numbers(problem, kind):
    frame = pd.DataFrame({name: NULLABLE[kind](problem.X[:, k]) for k, name in enumerate("abcd")})
    model = SoftmaxRegression().fit(frame, problem.y)
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression().fit(problem.X, problem.y).coef_)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_columns_of_different_numeric_kinds(problem, frame):
    x, c = problem.X, problem.codes
    columns = {"a": x[:, 0], "f": x[:, 1].astype(np.float32), "i": (x[:, 2] * 9).astype(np.int8), "b": x[:, 3] > 0}
    stacked = np.column_stack([np.asarray(v, dtype=np.float64) for v in columns.values()])
    model = SoftmaxRegression().fit(frame(columns), c)
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression().fit(stacked, c).coef_)
    assert model.feature_names_in_.tolist() == ["a", "f", "i", "b"]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_float32_frames_stay_float32(problem, frame):
    X = problem.X.astype(np.float32)
    model = SoftmaxRegression(solver="lbfgs").fit(frame({n: X[:, k] for k, n in enumerate("abcd")}), problem.y)
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression(solver="lbfgs").fit(X, problem.y).coef_)


def test_frames_of_columns_without_text_names_are_arrays(problem):
    model = SoftmaxRegression().fit(pd.DataFrame(problem.X), problem.y)
    assert not hasattr(model, "feature_names_in_")
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression().fit(problem.X, problem.y).coef_)


@pytest.mark.parametrize("make", [pa.RecordBatch.from_pandas, lambda f: pa.Table.from_pandas(f).slice(0)])
def test_pyarrow_tables_and_batches_have_names(problem, make):
    model = SoftmaxRegression().fit(make(pd.DataFrame(problem.X, columns=list("abcd"))), problem.y)
    assert model.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression().fit(problem.X, problem.y).coef_)


def test_a_frame_for_a_model_of_arrays_is_said(problem):
    model = SoftmaxRegression().fit(problem.X, problem.y)
    with pytest.warns(UserWarning, match="fitted without feature names"):
        model.predict(pd.DataFrame(problem.X, columns=list("abcd")))
    named = SoftmaxRegression().fit(pd.DataFrame(problem.X, columns=list("abcd")), problem.y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        named.predict(problem.X)


def test_float32_rows_give_the_answer_of_the_same_numbers_in_float64(problem):
    X = problem.X.astype(np.float32)
    for solver in ("newton", "lbfgs"):
        single = SoftmaxRegression(solver=solver, tol=1e-11).fit(X, problem.y)
        double = SoftmaxRegression(solver=solver, tol=1e-11).fit(X.astype(np.float64), problem.y)
        assert single.solution_.converged
        assert single.coef_.dtype == np.float64
        np.testing.assert_allclose(single.predict_proba(X), double.predict_proba(X.astype(np.float64)), atol=1e-5)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "bsr", "dok"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_sparse_rows_give_the_answer_of_dense_ones(problem, form, kind):
    X = np.where(problem.X > 0.3, problem.X, 0.0)
    S = getattr(sp, f"{form}_{kind}")(X)
    dense, sparse = SoftmaxRegression(tol=1e-12).fit(X, problem.y), SoftmaxRegression(tol=1e-12).fit(S, problem.y)
    np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-6)
    np.testing.assert_allclose(sparse.predict_proba(S), dense.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(sparse.predict_log_proba(X), dense.predict_log_proba(S), atol=1e-5)


@pytest.mark.parametrize(
    "X",
    [
        lambda X: np.asfortranarray(X),
        lambda X: np.ascontiguousarray(X[::-1])[::-1],
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: X.tolist(),
        lambda X: X.astype(">f8"),
        lambda X: X.astype(object),
        lambda X: X.astype(np.longdouble),
    ],
    ids=["Fortran", "backwards", "strided", "lists", "big endian", "objects", "long double"],
)
def test_layouts_of_the_same_numbers(problem, X):
    model = SoftmaxRegression().fit(X(problem.X), problem.y)
    expected = SoftmaxRegression().fit(problem.X, problem.y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(X(problem.X)), expected.predict_proba(problem.X), rtol=1e-9)


def test_rows_mapped_from_a_file(problem, tmp_path):
    np.save(tmp_path / "X.npy", problem.X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SoftmaxRegression().fit(mapped, problem.y)
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression().fit(problem.X, problem.y).coef_)
