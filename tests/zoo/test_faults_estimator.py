"""Rows F13 (text that reads like numbers) and F14 of FAULTS: labels come back, and every tool takes them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner

import softreg
import softreg.tables.columns.untyped_text
from softreg import Calibrator, PredictionSets, SoftmaxRegression, TableClassifier
from softreg.cli import main
from softreg.tables import TableError, TableWarning, as_table, read_table

CODES = (np.arange(60) * 7 % 10 > 4).astype(int)
WORDS = pd.Series(CODES).map({0: "no", 1: "yes"})
DAYS = [[dt.date(2020, 1, 31), dt.date(2021, 1, 31)][code] for code in CODES]
X = pd.DataFrame({"size": CODES * 3.5 + np.arange(60) % 5, "town": ["Bonn", "Kiel", "Ulm"] * 20})

LABELS = {
    "int64": (CODES, [0, 1], "int64"),
    "int8": (CODES.astype("int8"), [0, 1], "int8"),
    "uint8": (pd.Series(CODES, dtype="uint8"), [0, 1], "uint8"),
    "list": (CODES.tolist(), [0, 1], "int64"),
    "float": (CODES.astype(float), [0.0, 1.0], "float64"),
    "bool": (CODES == 1, [False, True], "bool"),
    "strings": (WORDS.to_numpy(str), ["no", "yes"], "<U3"),
    "objects": (WORDS.to_numpy(object), ["no", "yes"], "object"),
    "series of text": (WORDS, ["no", "yes"], "object"),
    "string dtype": (WORDS.astype("string"), ["no", "yes"], "object"),
    "categorical": (WORDS.astype("category"), ["no", "yes"], "object"),
    "categorical integers": (pd.Series(CODES).astype("category"), [0, 1], "int64"),
    "nullable integers": (pd.Series(CODES).astype("Int64"), [0, 1], "int64"),
    "nullable booleans": (pd.Series(CODES == 1).astype("boolean"), [False, True], "bool"),
    "another index": (pd.Series(CODES, index=np.arange(60)[::-1]), [0, 1], "int64"),
    "polars": (pl.Series(CODES), [0, 1], "int64"),
    "polars text": (pl.Series(WORDS.tolist()), ["no", "yes"], "<U3"),
    "polars categories": (pl.Series(WORDS.tolist(), dtype=pl.Categorical), ["no", "yes"], "<U3"),
    "Arrow": (pa.array(CODES), [0, 1], "int64"),
    "Arrow chunks": (pa.chunked_array([CODES[:20], CODES[20:]]), [0, 1], "int64"),
    "Arrow dictionary": (pa.array(WORDS.tolist()).dictionary_encode(), ["no", "yes"], "<U3"),
    "datetime64": (np.array(DAYS, dtype="datetime64[D]"), sorted(set(DAYS)), "datetime64[D]"),
    "timestamps": (pd.to_datetime(pd.Series(DAYS)), [pd.Timestamp(day) for day in sorted(set(DAYS))], None),
    "one column": (pd.DataFrame({"y": CODES}), [0, 1], "int64"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_fault_f14_labels_come_back_as_they_went_in(kind: str) -> None:
    y, classes, dtype = LABELS[kind]
    model = TableClassifier(strength=0.01).fit(X, y)
    assert pd.Series(model.classes_).tolist() == classes or model.classes_.tolist() == classes
    assert dtype is None or model.classes_.dtype == dtype
    predicted = model.predict(X)
    assert predicted.dtype == model.classes_.dtype
    plain = y.to_pylist() if isinstance(y, (pa.Array, pa.ChunkedArray)) else np.asarray(y).ravel()
    assert (predicted == np.asarray(plain)).mean() == model.score(X, y) > 0.7


def test_fault_f14_the_accuracy_of_a_reader(tmp_path: Path) -> None:
    frame = X.assign(survived=CODES)
    frame.to_csv(tmp_path / "titanic.csv", index=False)
    for model in (
        TableClassifier("survived", terms="linear").fit(frame),
        TableClassifier("survived", terms="linear").fit(tmp_path / "titanic.csv"),
        TableClassifier("survived", terms="linear").fit(read_table(tmp_path / "titanic.csv")),
        TableClassifier(terms="linear").fit(X, frame.survived),
        TableClassifier(terms="linear").fit(frame, target="survived"),
        TableClassifier("survived", terms="linear").fit(frame, frame.survived),
    ):
        accuracy = (model.predict(frame) == frame.survived).mean()
        assert accuracy == model.score(frame) == model.score(X, frame.survived) > 0.7


def test_fault_f14_a_model_of_the_command_line_and_a_frame(tmp_path: Path) -> None:
    frame = X.assign(survived=CODES)
    frame.to_csv(tmp_path / "titanic.csv", index=False)
    options = ["--target", "survived", "--model", str(tmp_path / "m.softreg"), "--quiet", "--json"]
    done = CliRunner().invoke(main, ["train", str(tmp_path / "titanic.csv"), *options, "--terms=linear"])
    assert done.exit_code == 0, done.output
    model = softreg.load(tmp_path / "m.softreg")
    assert (model.predict(frame) == frame.survived).mean() > 0.7
    assert json.loads(done.stdout)["strength"] > 0
    assert model.get_params()["strength"] == TableClassifier().strength == "auto"  # one default for both


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        (["0", "1"], [0, 1]),
        (["10", "9"], [9, 10]),
        (["0.5", "1.0"], [0.5, 1.0]),
        (["False", "True"], [False, True]),
        (["007", "1"], ["007", "1"]),
        (["1.10", "1.1"], ["1.1", "1.10"]),
        (["+1", "-1"], ["+1", "-1"]),
        (["no", "1"], ["1", "no"]),
        (["1e3", "1"], ["1", "1e3"]),
    ],
)
def test_fault_f14_labels_in_a_csv_file(tmp_path: Path, written: list[str], classes: list[Any]) -> None:
    lines = [f"{k % 7},{written[k % 2]}" for k in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y", *lines]) + "\n")
    model = TableClassifier("y", strength=0.1).fit(tmp_path / "t.csv")
    assert model.classes_.tolist() == classes
    assert sorted(model.model_.classes_.tolist()) == sorted(written)
    assert model.predict_proba(tmp_path / "t.csv").shape == (40, 2)


def test_fault_f14_a_saved_model_keeps_the_dtype(tmp_path: Path) -> None:
    for y in (CODES.astype("int8"), WORDS.to_numpy(object), CODES == 1, CODES):
        model = TableClassifier(strength=0.01).fit(X, y)
        model.save(tmp_path / "m.softreg")
        again = softreg.load(tmp_path / "m.softreg")
        assert again.classes_.dtype == model.classes_.dtype == y.dtype
        assert again.n_features_in_ == 2


@pytest.mark.parametrize("kind", sorted(LABELS.keys() - {"one column"}))
def test_fault_f14_every_tool_takes_the_labels(kind: str) -> None:
    y = LABELS[kind][0]
    model = TableClassifier(strength=0.01).fit(X, y)
    P = model.predict_proba(X)
    assert softreg.audit(P, y, model.classes_).rows == 60
    assert softreg.label_audit(P, y, model.classes_).classes.tolist() == model.classes_.tolist()
    assert Calibrator().fit(P, y, model.classes_).predict_proba(P).shape == P.shape
    sets = PredictionSets(0.8).fit(P, y, model.classes_)
    assert sets.score(P, y) >= 0.8
    assert softreg.infer(model, X, y).coefficients.estimate.shape == (1, 5)
    assert SoftmaxRegression(0.1).fit(X[["size"]], y).score(X[["size"]], y) > 0.7


def test_fault_f14_explain_a_table_model() -> None:
    model = TableClassifier(strength=0.01).fit(X, CODES)
    why = softreg.explain(model, X[:3], baseline=X)
    assert why.columns == model.feature_names_out_
    assert why.classes == (0, 1)
    sign = np.where(why.predicted == 1, 1.0, -1.0)
    log_odds = sign * model.decision_function(X[:3])
    np.testing.assert_allclose(why.baseline_log_odds + why.log_odds.sum(axis=1), log_odds, atol=1e-10)
    with pytest.raises(TableError, match="not fitted yet"):
        softreg.explain(TableClassifier(), X)


def test_fault_f14_infer_and_bootstrap_of_a_table_model() -> None:
    frame = X.assign(survived=WORDS)
    model = TableClassifier("survived", strength=0.01).fit(frame)
    by_method = model.infer(frame).coefficients
    for found in (softreg.infer(model, frame), softreg.infer(model, X, WORDS)):
        np.testing.assert_array_equal(found.coefficients.estimate, by_method.estimate)
    assert softreg.infer(model, frame, reference="yes").classes[0] == "no"
    low, high = softreg.bootstrap(model, X, WORDS, 20, random_state=0).proba_interval(X)
    P = model.predict_proba(X)
    assert (low <= P).mean() > 0.9
    assert (high >= P).mean() > 0.9
    with pytest.raises(ValueError, match="applies to a matrix X"):
        softreg.infer(model, frame, categories=[["town=Bonn"]])
    with pytest.raises(TableError, match="There are no labels: pass y, or a table with the column 'survived'"):
        softreg.infer(model, X)


def test_fault_f14_the_information_that_columns_of_a_frame_add() -> None:
    model = TableClassifier(strength=0.01)
    for table in (X, pl.from_pandas(X), pa.Table.from_pandas(X, preserve_index=False)):
        size, town = softreg.added_information(table, WORDS, model=model)
        assert (size.name, town.name) == ("size", "town")
        assert size.nats > town.nats
        assert softreg.prequential_codelength(table, WORDS, model=model, shares=(0.5, 1)).bits > 0


def test_fault_f14_prediction_sets_score_is_a_method() -> None:
    P = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]] * 10)
    y = np.array(["a", "b", "a", "b"] * 10)
    sets = PredictionSets(0.8).fit(P, y)
    assert sets.score(P, y) == 1.0
    assert sets.score(P[:2], ["a", "c"]) == 0.5  # a label that is no class lies in no set
    assert sets.score(P[:2], ["a", "a"], sample_weight=[3, 1]) == 0.75
    with pytest.warns(DeprecationWarning, match="score=.*is now PredictionSets.conformity_score"):
        assert PredictionSets(score="cumulative").conformity_score == "cumulative"
    with pytest.raises(TypeError, match="unexpected keyword argument 'scores'"):
        PredictionSets(scores="cumulative")


def test_fault_f14_all_tools_are_names_of_softreg() -> None:
    wanted = {"audit", "label_audit", "Calibrator", "PredictionSets", "TableClassifier", "read_table", "open_table"}
    wanted |= {"explain", "infer", "bootstrap", "table_statistics", "coverage", "TableError", "TableWarning"}
    assert wanted <= set(softreg.__all__)


def test_fault_f14_the_old_second_argument_is_the_rows() -> None:
    frame, rows = X.assign(y=CODES), np.arange(0, 60, 2)
    expected = TableClassifier("y", strength=0.01).fit(frame, rows=rows).predict_proba(X)
    for old in (rows, np.isin(np.arange(60), rows), rows.tolist()):
        with pytest.warns(DeprecationWarning, match="fit\\(data, rows=rows\\)"):
            model = TableClassifier("y", strength=0.01).fit(frame, old)
        np.testing.assert_array_equal(model.predict_proba(X), expected)


# --- weights ------------------------------------------------------------------------------------------------------


def test_weight_zero_leaves_a_row_out_and_two_is_the_row_twice() -> None:
    weight = np.arange(60) % 3
    repeated = X.loc[X.index.repeat(weight)]
    once = TableClassifier(strength=0.01, tol=1e-12).fit(repeated, np.repeat(CODES, weight))
    weighted = TableClassifier(strength=0.01, tol=1e-12).fit(X, CODES, sample_weight=weight)
    np.testing.assert_allclose(weighted.predict_proba(X), once.predict_proba(X), atol=1e-9)
    left = X.assign(town=np.where(weight == 0, "Rom", X.town))
    assert "Rom" not in str(TableClassifier(strength=0.01).fit(left, CODES, sample_weight=weight).describe())


def test_weights_of_a_file_in_batches(tmp_path: Path) -> None:
    frame, weight = X.assign(y=CODES), np.arange(60) % 2 * 1.0
    frame.to_csv(tmp_path / "t.csv", index=False)
    for strength in (0.01, "auto"):
        model = TableClassifier("y", strength=strength, tol=1e-12)
        low = model.fit(tmp_path / "t.csv", sample_weight=weight, memory="low").predict_proba(X)
        high = model.fit(tmp_path / "t.csv", sample_weight=weight).predict_proba(X)
        np.testing.assert_allclose(low, high, atol=1e-6)
    with pytest.raises(ValueError, match="one weight for each of the 60 rows"):
        model.fit(tmp_path / "t.csv", sample_weight=weight[:9], memory="low")
    with pytest.raises(TableError, match="the labels are a column of it"):
        TableClassifier().fit(tmp_path / "t.csv", CODES, memory="low")
    assert TableClassifier(strength=0.01).fit(tmp_path / "t.csv", CODES).score(tmp_path / "t.csv", CODES) > 0.7


# --- text that reads like numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["object", "string", "polars", "Arrow", "Parquet"])
def test_fault_f13_text_of_a_typed_table_stays_text(tmp_path: Path, form: str) -> None:
    data = pd.DataFrame({"zip": ["10115", "24103", "89073"] * 20, "size": X["size"], "y": CODES})
    data.to_parquet(tmp_path / "t.parquet")
    table = {
        "object": data.astype({"zip": object}),
        "string": data.astype({"zip": "string"}),
        "polars": pl.from_pandas(data),
        "Arrow": pa.Table.from_pandas(data),
        "Parquet": tmp_path / "t.parquet",
    }[form]
    with pytest.warns(TableWarning, match=r"column 'zip' holds text that reads like numbers .*number=\['zip'\]"):
        model = TableClassifier("y", strength=0.01).fit(table)
    assert model.describe()[0][1] == "category"
    assert TableClassifier("y", strength=0.01, number="zip").fit(table).describe()[0][1] == "number"


def test_fault_f13_models_of_files_and_frames_read_each_other(tmp_path: Path) -> None:
    data = pd.DataFrame({"floor": ["1", "2", "3"] * 20, "size": X["size"], "y": CODES})
    data.to_csv(tmp_path / "t.csv", index=False)
    of_file = TableClassifier("y", strength=0.01).fit(tmp_path / "t.csv")
    with pytest.warns(TableWarning, match="reads like numbers"):
        of_frame = TableClassifier("y", strength=0.01).fit(data)
    assert (of_file.describe()[0][1], of_frame.describe()[0][1]) == ("number", "category")
    for model in (of_file, of_frame):
        expected = model.predict_proba(data)
        for form in (tmp_path / "t.csv", pd.read_csv(tmp_path / "t.csv"), pl.from_pandas(data)):
            np.testing.assert_allclose(model.predict_proba(form), expected, atol=1e-12)


def test_fault_f13_the_mark_of_untyped_text_stays(tmp_path: Path) -> None:
    (tmp_path / "a=1").mkdir()
    (tmp_path / "a=1" / "t.csv").write_text("x,y\n1,no\n2,yes\n")
    table = read_table(tmp_path)
    for again in (table, table.take([0]), table.slice(1), as_table(table), table.select(["x"])):
        assert softreg.tables.columns.untyped_text.is_untyped(again.schema.field("x"))


def test_fault_f13_an_array_of_text_is_judged_as_a_file() -> None:
    A = np.array([[str(k % 7), "ab"[k % 2]] for k in range(40)])
    model = TableClassifier(strength=0.01).fit(A, np.arange(40) % 2)
    assert [kind for _, kind, _ in model.describe()][:2] == ["number", "category"]
