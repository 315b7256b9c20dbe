"""Models in MLflow: loaded without pickle, the same values, and columns that survive MLflow's checks of types."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

import softreg.mlflow
from softreg import SoftmaxRegression, SoftmaxRegressionCV, TableClassifier
from softreg.tables import Terms

pd = pytest.importorskip("pandas", reason="MLflow's pyfunc models take data frames")
mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
pytest.importorskip("mlflow.pyfunc", reason="mlflow-skinny is not installed")

NAMES = ["a|b", "two words", "x.y", "é☃", "'\"", "0", "prediction", "a=b", "<i>"]
"""Odd names of columns."""
N = 160


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pickle, no network, and a store of its own for each test."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    store = (tmp_path / "store").as_uri()
    mlflow.set_tracking_uri(store)
    mlflow.set_registry_uri(store)


def labels(*parts: Any) -> np.ndarray:
    """Labels that depend a little on numbers."""
    draw = np.random.default_rng(1)
    score = sum(np.nan_to_num(np.asarray(part, dtype=float)) for part in parts)
    return np.where(score + draw.logistic(size=N) > np.median(score), "yes", "no")


def round_trip(model: Any, folder: Path) -> Any:
    """The model as MLflow loads it."""
    softreg.mlflow.save_model(model, folder / "saved")
    return mlflow.pyfunc.load_model(str(folder / "saved"))


def assert_equal(loaded: Any, model: Any, data: Any) -> None:
    """Equal to the last bit."""
    found, expected = loaded.predict(data), model.predict_proba(data)
    assert isinstance(found, pd.DataFrame)
    assert list(found.columns) == [str(label) for label in softreg.mlflow.signature.class_texts(model)]
    assert np.array_equal(found.to_numpy(), expected)


def mixed_frame() -> Any:
    """Columns of every kind with missing values."""
    draw = np.random.default_rng(0)
    number = draw.normal(size=N)
    day = pd.Series(np.datetime64("2020-01-01", "ns") + draw.integers(0, 900, N).astype("timedelta64[D]"))
    frame = pd.DataFrame(
        {
            "number": np.where(draw.random(N) < 0.1, np.nan, number),
            "heavy": np.exp(draw.normal(8, 2, N)),
            "town": pd.Series(draw.choice(["Bonn", "Kiel", "Ulm"], N), dtype=object),
            "code": draw.choice([3.0, 7.0, 11.5], N),
            "whole": draw.choice([3, 7, 11], N),
            "member": pd.Series([None if k % 9 == 0 else bool(k % 2) for k in range(N)], dtype=object),
            "since": day.where(draw.random(N) > 0.1),
            "vector": pd.Series([draw.normal(size=3).tolist() for _ in range(N)], dtype=object),
            "tags": pd.Series([list(draw.choice(["x", "y", "z"], k % 3)) for k in range(N)], dtype=object),
        }
    )
    frame.loc[5:9, "town"] = None
    frame.loc[7, "vector"] = None
    frame.loc[3, "tags"] = None
    return frame.assign(y=labels(number))


def mixed_model() -> TableClassifier:
    return TableClassifier("y", strength=1e-2, category=["code", "whole"]).fit(mixed_frame())


def test_a_saved_model_holds_no_pickle_and_needs_none(tmp_path: Path) -> None:
    model = mixed_model()
    loaded = round_trip(model, tmp_path)
    files = {path.name for path in (tmp_path / "saved").rglob("*") if path.is_file()}
    assert files == {
        "MLmodel", "MODEL_CARD.md", "conda.yaml", "input_example.json", "model.softreg", "python_env.yaml",
        "requirements.txt", "serving_input_example.json",
    }  # fmt: skip
    requirements = (tmp_path / "saved" / "requirements.txt").read_text("utf-8").splitlines()
    assert all("==" in line for line in requirements)
    names = [line.split("==")[0] for line in requirements]
    assert "cloudpickle" not in names
    assert f"softreg=={softreg.__version__}" in requirements
    assert f"numpy=={np.__version__}" in requirements
    assert not any(path.suffix in (".pkl", ".pickle") for path in (tmp_path / "saved").rglob("*"))
    assert_equal(loaded, model, mixed_frame().drop(columns="y"))
    assert "The file holds no evaluation" in (tmp_path / "saved" / "MODEL_CARD.md").read_text("utf-8")


def test_the_index_and_the_order_of_rows_are_kept(tmp_path: Path) -> None:
    model, frame = mixed_model(), mixed_frame().drop(columns="y")
    loaded = round_trip(model, tmp_path)
    some = frame.iloc[[5, 3, 8]]
    assert loaded.predict(some).index.tolist() == [5, 3, 8]
    assert np.array_equal(loaded.predict(some).to_numpy(), model.predict_proba(frame)[[5, 3, 8]])
    shuffled = some[list(reversed(some.columns))].assign(extra=1)
    assert np.array_equal(loaded.predict(shuffled).to_numpy(), model.predict_proba(some))


def test_the_signature_names_types_and_optional_columns() -> None:
    signature = softreg.mlflow.signature_of(mixed_model())
    types = {spec.name: (str(spec.type).removeprefix("DataType."), spec.required) for spec in signature.inputs.inputs}
    assert types == {
        "number": ("double", False),
        "heavy": ("double", True),
        "town": ("string", False),
        "code": ("double", True),
        "whole": ("long", True),
        "member": ("boolean", False),
        "since": ("datetime", False),
        "vector": ("Array(double)", False),
        "tags": ("Array(string)", False),
    }
    outputs = [
        (spec.name, str(spec.type).removeprefix("DataType."), spec.required) for spec in signature.outputs.inputs
    ]
    assert outputs == [("no", "double", True), ("yes", "double", True), ("prediction", "string", False)]
    assert [param.name for param in signature.params.params] == ["method"]


def test_columns_without_values_may_be_absent_where_training_had_missing_ones(tmp_path: Path) -> None:
    model, frame = mixed_model(), mixed_frame().drop(columns="y")
    loaded = round_trip(model, tmp_path)
    optional = ["number", "town", "member", "since", "vector", "tags"]
    empty = frame.assign(**dict.fromkeys(optional))
    assert np.array_equal(loaded.predict(frame.drop(columns=optional)).to_numpy(), model.predict_proba(empty))
    with pytest.raises(Exception, match="heavy"):
        loaded.predict(frame.drop(columns="heavy"))


def test_the_input_example_is_made_from_the_model_and_predicts(tmp_path: Path) -> None:
    model = mixed_model()
    loaded = round_trip(model, tmp_path)
    example = softreg.mlflow.input_example_of(model)
    assert_equal(loaded, model, example)
    stored = loaded.input_example if hasattr(loaded, "input_example") else None
    assert stored is None or list(stored.columns) == list(example.columns)
    serving = json.loads((tmp_path / "saved" / "serving_input_example.json").read_text("utf-8"))
    assert serving["dataframe_split"]["columns"] == list(example.columns)
    rows = mixed_frame()[["number", "heavy"]].to_numpy()
    assert not (rows == example[["number", "heavy"]].to_numpy()).all(axis=1).any()


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(np.datetime64("2024-01-01", "us") + np.arange(N).astype("timedelta64[h]")),
        pd.Series(np.datetime64("2024-01-01", "ns") + np.arange(N).astype("timedelta64[D]")).where(
            np.arange(N) % 5 > 0
        ),
        pd.Series([True, False, None, True] * (N // 4), dtype=object),
        pd.Series([True, False] * (N // 2)),
        pd.Series(["yes", "no", None, "no"] * (N // 4), dtype=object),
        pd.Series(["a", "b", "", "c"] * (N // 4)),
        pd.Series([1.5, 2.0, np.nan, 7.25] * (N // 4)),
        pd.Series(np.arange(N, dtype=np.int32) % 50),
        pd.Series(np.arange(N, dtype=np.float32) % 50 / 2),
        pd.Series([2**60, 2**60 + 1] * (N // 2)),
        pd.Series(pd.Categorical(["u", "v"] * (N // 2))).astype(object),
    ],
    ids=[
        "hours",
        "days",
        "booleans?",
        "booleans",
        "words?",
        "text",
        "numbers?",
        "int32",
        "float32",
        "long",
        "category",
    ],
)
@pytest.mark.parametrize("as_category", [False, True])
def test_values_of_each_type_survive(tmp_path: Path, column: Any, as_category: bool) -> None:
    """Alone in a table, as its inferred kind and as a category."""
    frame = pd.DataFrame({"x": column, "z": np.random.default_rng(0).normal(size=N)})
    y = labels(frame["z"])
    classifier = TableClassifier("y", strength=1e-2, category=["x"] if as_category else [])
    if as_category and column.dtype.kind == "M":
        with pytest.raises(softreg.TableError, match="cannot be used as a category"):
            classifier.fit(frame.assign(y=y))
        return
    model = classifier.fit(frame.assign(y=y))
    kind = next(c.kind.value for c in model.schema_.columns if c.name == "x")
    if kind == "number" and column.dtype == np.int64:
        frame = frame.astype({"x": float})  # MLflow does not convert int64 to double
    loaded = round_trip(model, tmp_path)
    assert_equal(loaded, model, frame)
    assert_equal(loaded, model, frame.iloc[:1])
    whole = kind == "number" and np.issubdtype(column.dtype, np.integer)
    as_dict = {name: list(frame[name].astype(float) if whole else frame[name]) for name in frame}
    assert np.array_equal(loaded.predict(as_dict).to_numpy(), model.predict_proba(frame))


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_of_columns_and_classes_survive(tmp_path: Path, name: str) -> None:
    x = np.random.default_rng(0).normal(size=N)
    frame = pd.DataFrame({name: x, "town": np.where(x > 0.1, "Bonn", "Ulm")})
    y = np.where(labels(x) == "yes", name or "empty", "other")
    model = TableClassifier("target", strength=1e-2).fit(frame.assign(target=y))
    loaded = round_trip(model, tmp_path)
    assert_equal(loaded, model, frame)
    predicted = loaded.predict(frame, params={"method": "predict"})
    assert list(predicted.columns) == ["prediction_" if name == "prediction" else "prediction"]
    assert predicted.iloc[:, 0].tolist() == model.predict(frame).tolist()


@pytest.mark.parametrize(
    "classes",
    [
        [0, 1, 5],
        [True, False],
        [0.5, 1.5],
        np.array(["2020-01-31", "2021-01-31"], "datetime64[D]"),
        ['"', "", "é|"][::2],
    ],
    ids=["integers", "booleans", "floats", "dates", "text"],
)
def test_labels_of_each_type(tmp_path: Path, classes: Any) -> None:
    X = pd.DataFrame({"a": np.random.default_rng(0).normal(size=N)})
    y = np.asarray(classes)[np.arange(N) % len(classes)]
    for k, model in enumerate((TableClassifier(strength=1e-2).fit(X, y), SoftmaxRegression().fit(X, y.astype(str)))):
        loaded = round_trip(model, tmp_path / str(k))
        assert_equal(loaded, model, X)
        found = loaded.predict(X, params={"method": "predict"})["prediction"].to_numpy()
        assert found.astype(str).tolist() == model.predict(X).astype(found.dtype).astype(str).tolist()


def test_dicts_of_text_alone(tmp_path: Path) -> None:
    """MLflow makes one row of a dict whose values are all lists of text."""
    frame = pd.DataFrame({"town": ["Bonn", "Ulm"] * (N // 2), "job": ["cook", "smith", "cook", "tailor"] * (N // 4)})
    model = TableClassifier("y", strength=1e-2).fit(frame.assign(y=labels(np.arange(N) % 2)))
    loaded = round_trip(model, tmp_path)
    for rows in (1, 2, 7):
        some = frame.iloc[:rows]
        assert np.array_equal(loaded.predict(some.to_dict("list")).to_numpy(), model.predict_proba(some))
    assert np.array_equal(loaded.predict(frame.iloc[0].to_dict()).to_numpy(), model.predict_proba(frame.iloc[:1]))


def test_a_dict_with_lists_is_one_row(tmp_path: Path) -> None:
    model, frame = mixed_model(), mixed_frame().drop(columns="y")
    row = frame.iloc[12]
    loaded = round_trip(model, tmp_path)
    assert np.array_equal(loaded.predict(row.to_dict()).to_numpy(), model.predict_proba(frame.iloc[12:13]))


def test_a_csv_file_read_by_pandas(tmp_path: Path) -> None:
    """Whole numbers of a CSV file are int64 in pandas, which MLflow does not convert; amounts with a sign are text."""
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": draw.integers(18, 90, N), "price": [f"1.{k:03},50 €" for k in draw.integers(0, 999, N)]}
    )
    frame.assign(y=labels(frame["age"])).to_csv("t.csv", index=False)
    model = TableClassifier("y", strength=1e-2).fit("t.csv")
    read = pd.read_csv("t.csv").drop(columns="y")
    assert read["age"].dtype == np.int64
    loaded = round_trip(model, tmp_path)
    with pytest.raises(Exception, match=r"column age\. Can not safely convert int64 to float64"):
        loaded.predict(read)
    assert_equal(loaded, model, read.astype({"age": float}))


def test_curves_and_interactions(tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    frame = pd.DataFrame({"age": draw.normal(40, 9, N), "wage": draw.normal(size=N), "job": draw.choice(["a", "b"], N)})
    y = labels(np.sin(frame["age"] / 3), frame["wage"] * (frame["job"] == "a"))
    terms = Terms("linear", smooth=["age"], interactions=["wage:job", "age:wage"])
    model = TableClassifier(terms=terms).fit(frame, y)
    assert model.encoder_.pairs
    signature = softreg.mlflow.signature.signature_of(model)
    assert [(spec.name, str(spec.type)) for spec in signature.inputs.inputs] == [
        ("age", "DataType.double"),
        ("wage", "DataType.double"),
        ("job", "DataType.string"),
    ]
    loaded = round_trip(model, tmp_path)
    assert_equal(loaded, model, frame)
    assert loaded.predict(softreg.mlflow.signature.input_example_of(model)).shape == (1, 2)


def test_a_model_with_curves_of_an_array(tmp_path: Path) -> None:
    X = np.random.default_rng(6).normal(size=(N, 3))
    model = TableClassifier(terms=Terms("linear", smooth=["0"], interactions=["0:1"])).fit(X, labels(X[:, 0] ** 2))
    assert model.n_features_in_ == 3
    loaded = round_trip(model, tmp_path)
    assert_equal(loaded, model, X)


def test_offsets_are_inputs(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, N))
    frame = pd.DataFrame({"x": x[0], "base": x[1]})
    model = TableClassifier("y", strength=1e-2, offset={"yes": "base"}).fit(frame.assign(y=labels(x[0])))
    loaded = round_trip(model, tmp_path)
    assert_equal(loaded, model, frame)
    with pytest.raises(Exception, match="base"):
        loaded.predict(frame[["x"]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("estimator", [SoftmaxRegression(strength=1e-2), SoftmaxRegressionCV([0.1, 0.01], cv=2)])
def test_models_of_arrays_and_frames(tmp_path: Path, estimator: Any, dtype: Any) -> None:
    X = np.random.default_rng(0).normal(size=(N, 4)).astype(dtype)
    y = np.arange(N) % 3
    model = estimator.fit(X, y)
    X = X.astype(float)  # MLflow converts no arrays
    loaded = round_trip(model, tmp_path / "array")
    assert np.array_equal(loaded.predict(X).to_numpy(), model.predict_proba(X))
    assert list(loaded.predict(X).columns) == ["0", "1", "2"]
    assert np.array_equal(loaded.predict(pd.DataFrame(X)).to_numpy(), model.predict_proba(X))
    assert np.array_equal(loaded.predict(sp.csr_matrix(X)).to_numpy(), model.predict_proba(sp.csr_matrix(X)))
    named = pd.DataFrame(X, columns=["b", "a|", "c d", "é"])
    model = estimator.fit(named, y)
    loaded = round_trip(model, tmp_path / "frame")
    assert_equal(loaded, model, named.astype(float))
    shuffled = named.astype(float)[["é", "b", "c d", "a|"]]
    assert np.array_equal(loaded.predict(shuffled).to_numpy(), model.predict_proba(named.astype(float)))


def test_a_table_model_of_an_array(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(N, 3))
    X[::7, 1] = np.nan
    model = TableClassifier(strength=1e-2).fit(X, np.arange(N) % 2)
    assert_equal(round_trip(model, tmp_path), model, X)


def test_logged_and_registered_models_are_loaded_by_name(tmp_path: Path) -> None:
    model, frame = mixed_model(), mixed_frame().drop(columns="y")
    with mlflow.start_run() as run:
        info = softreg.mlflow.log_model(model, "churn", registered_model_name="churn of |")
    for uri in (info.model_uri, "models:/churn of |/1", f"runs:/{run.info.run_id}/churn"):
        assert np.array_equal(mlflow.pyfunc.load_model(uri).predict(frame).to_numpy(), model.predict_proba(frame))
        native = softreg.mlflow.load_model(uri)
        assert isinstance(native, TableClassifier)
        assert np.array_equal(native.predict_proba(frame), model.predict_proba(frame))


def test_a_sqlite_store(tmp_path: Path) -> None:
    for needed in ("sqlalchemy", "alembic"):
        pytest.importorskip(needed, reason=f"a store in SQLite needs {needed}, which mlflow-skinny does not bring")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    model, frame = mixed_model(), mixed_frame().drop(columns="y")
    with mlflow.start_run():
        softreg.mlflow.log_model(model, "churn", registered_model_name="churn")
    loaded = mlflow.pyfunc.load_model("models:/churn/1")
    assert np.array_equal(loaded.predict(frame).to_numpy(), model.predict_proba(frame))


def test_options_of_save_model(tmp_path: Path) -> None:
    model, frame = mixed_model(), mixed_frame().drop(columns="y")
    softreg.mlflow.save_model(
        model, tmp_path / "m", signature=False, input_example=False, extra_pip_requirements=["a==1"], metadata={"k": 1}
    )
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "m"))
    assert loaded.metadata.signature is None
    assert loaded.metadata.metadata == {"k": 1}
    assert not (tmp_path / "m" / "input_example.json").exists()
    assert "a==1" in (tmp_path / "m" / "requirements.txt").read_text("utf-8").splitlines()
    assert np.array_equal(loaded.predict(frame).to_numpy(), model.predict_proba(frame))
    softreg.mlflow.save_model(model, tmp_path / "own", pip_requirements=["softreg", "mlflow-skinny"])
    lines = (tmp_path / "own" / "requirements.txt").read_text("utf-8").splitlines()
    assert set(lines) == {"softreg", "mlflow-skinny"}


def test_errors_are_sentences(tmp_path: Path) -> None:
    model, frame = mixed_model(), mixed_frame().drop(columns="y")
    loaded = round_trip(model, tmp_path)
    with pytest.raises(Exception, match="method is 'argmax'; expected 'predict_proba' or 'predict'"):
        loaded.predict(frame, params={"method": "argmax"})
    with pytest.raises(FileExistsError, match="is not an empty folder"):
        softreg.mlflow.save_model(model, tmp_path / "saved")
    with pytest.raises(TypeError, match="and not of dict"):
        softreg.mlflow.save_model({}, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    with pytest.raises(ValueError, match="not fitted"):
        softreg.mlflow.save_model(TableClassifier("y"), tmp_path / "other")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"it has no file 'model\.softreg'"):
        softreg.mlflow.load_model(str(tmp_path / "empty"))
    file = tmp_path / "saved" / "model.softreg"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(ValueError, match="damaged or cut short"):
        softreg.mlflow.load_model(str(tmp_path / "saved"))
    with pytest.raises(Exception, match="damaged or cut short"):
        mlflow.pyfunc.load_model(str(tmp_path / "saved"))


def test_int64_is_refused_by_mlflow_for_numbers_that_were_floats(tmp_path: Path) -> None:
    """The rule of MLflow that the docstring of `signature_of` states, with the way out."""
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=N)})
    model = TableClassifier("y", strength=1e-2).fit(frame.assign(y=labels(frame["x"])))
    loaded = round_trip(model, tmp_path)
    whole = pd.DataFrame({"x": [3, -2]})
    with pytest.raises(Exception, match="Can not safely convert int64 to float64"):
        loaded.predict(whole)
    assert_equal(loaded, model, whole.astype({"x": float}))


@pytest.mark.parametrize("missing", ["mlflow", "pandas"])
def test_without_mlflow_a_sentence_names_the_extra(
    missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; import softreg.mlflow"
    subprocess.run([sys.executable, "-c", code], check=True)
    model = mixed_model()
    monkeypatch.setattr("softreg.mlflow.environment.find_spec", lambda name: None if name == missing else object())
    for call in (
        lambda: softreg.mlflow.save_model(model, tmp_path / "m"),
        lambda: softreg.mlflow.log_model(model),
        lambda: softreg.mlflow.load_model(str(tmp_path)),
        lambda: softreg.mlflow.signature_of(model),
    ):
        with pytest.raises(ImportError, match=rf"needs {missing}: pip install 'softreg\[mlflow\]'"):
            call()


def test_the_module_is_not_mlflow_itself() -> None:
    assert mlflow.__name__ == "mlflow"
    assert softreg.mlflow is not mlflow
    assert hasattr(mlflow, "start_run")


def test_tables_of_arrow_are_fitted_as_frames(tmp_path: Path) -> None:
    table = pa.table({"x": np.random.default_rng(0).normal(size=N), "y": labels(np.arange(N))})
    model = TableClassifier("y", strength=1e-2).fit(table)
    assert_equal(round_trip(model, tmp_path), model, table.to_pandas()[["x"]])
