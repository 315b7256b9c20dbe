"""From a table to probabilities: the same from every source, by column name, and through a file."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone

import softreg
from softreg.models.serialization import model_file as storage
from softreg.probability import Classes
from softreg.probability.scores import log_loss
from softreg.tables import (
    Encoder,
    TableClassifier,
    TableError,
    TableWarning,
    infer_schema,
    labels,
    read_table,
    split_rows,
)


def made_up(n: int = 300, seed: int = 0) -> pa.Table:
    """Numbers, booleans, categories, holes; labels that readers like to spoil."""
    rng = np.random.default_rng(seed)
    age, job, loan = rng.normal(40, 9, n).round(1), rng.integers(0, 3, n), rng.random(n) < 0.4
    noise = rng.gumbel(size=(n, 3))
    y = np.argmax(np.stack([(age - 40) / 5, job - 1.0, 2.0 * loan], axis=1) + noise, axis=1)
    return pa.table(
        {
            "age, in years": [None if i % 11 == 0 else float(a) for i, a in enumerate(age)],
            "job 😀": [None if i % 13 == 0 else ["cook", "smith, black", 'the "boss"'][j] for i, j in enumerate(job)],
            "loan": loan.tolist(),
            "children": rng.integers(0, 4, n),
            "label": [["007", "NA", "None"][k] for k in y],
        }
    )


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return made_up()


@pytest.fixture(scope="module")
def fitted(table: pa.Table) -> TableClassifier:
    return TableClassifier("label", terms="linear").fit(table)


def test_labels_stay_as_written(fitted: TableClassifier, table: pa.Table) -> None:
    assert fitted.classes_.tolist() == ["007", "NA", "None"]
    P = fitted.predict_proba(table)
    assert P.shape == (300, 3)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    assert fitted.predict(table).tolist() == [fitted.classes_[k] for k in P.argmax(axis=1)]
    assert np.mean(fitted.predict(table) == labels(table, "label")) > 0.6


def test_what_was_learned_is_there_to_see(fitted: TableClassifier) -> None:
    assert fitted.feature_names_out_ == (
        "age, in years",
        "age, in years=missing",
        "job 😀=cook",
        "job 😀=smith, black",
        'job 😀=the "boss"',
        "job 😀=missing",
        "loan=true",
        "children",
    )
    assert [kind for _, kind, _ in fitted.schema_.describe()] == [
        "number",
        "category",
        "boolean",
        "number",
        "target",
    ]
    assert fitted.model_.coef_.shape == (3, 8)


def test_mean_prediction_is_the_class_rate(fitted: TableClassifier, table: pa.Table) -> None:
    _, counts = np.unique(labels(table, "label"), return_counts=True)
    np.testing.assert_allclose(fitted.predict_proba(table).mean(axis=0), counts / 300, atol=2e-3)


@pytest.fixture(scope="module")
def sources(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sources")
    pa_csv.write_csv(table, folder / "t.csv")
    (folder / "windows.csv").write_bytes(b"\xef\xbb\xbf" + (folder / "t.csv").read_bytes().replace(b"\n", b"\r\n"))
    pa_csv.write_csv(table, folder / "t.tsv", pa_csv.WriteOptions(delimiter="\t"))
    pq.write_table(table, folder / "t.parquet")
    return {
        "csv": str(folder / "t.csv"),
        "windows": folder / "windows.csv",
        "tsv": folder / "t.tsv",
        "parquet": folder / "t.parquet",
        "pandas": table.to_pandas(),
        "pandas with categories": table.to_pandas().astype({"job 😀": "category"}),
        "polars": pl.from_arrow(table),
        "polars, lazy": pl.from_arrow(table).lazy(),
        "chunked": pa.concat_tables([table.slice(0, 100), table.slice(100)]),
    }


KINDS = (
    "csv", "windows", "tsv", "parquet", "pandas", "pandas with categories", "polars", "polars, lazy", "chunked",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_the_same_probabilities(
    sources: dict[str, Any], kind: str, fitted: TableClassifier, table: pa.Table
) -> None:
    expected = fitted.predict_proba(table)
    np.testing.assert_array_equal(fitted.predict_proba(sources[kind]), expected)
    trained = TableClassifier("label", terms="linear").fit(sources[kind])
    assert trained.feature_names_out_ == fitted.feature_names_out_
    np.testing.assert_array_equal(trained.predict_proba(table), expected)


def test_columns_are_matched_by_name(fitted: TableClassifier, table: pa.Table) -> None:  # bug zoo, row 26
    expected = fitted.predict_proba(table)
    for names in (table.column_names[::-1], sorted(table.column_names), table.column_names[:-1]):
        np.testing.assert_array_equal(fitted.predict_proba(table.select(names)), expected)


def test_labels_in_the_table_to_predict_are_not_looked_at(fitted: TableClassifier, table: pa.Table) -> None:
    other = table.set_column(4, "label", pa.array([None] * 300))
    np.testing.assert_array_equal(fitted.predict_proba(other), fitted.predict_proba(table))


def test_new_columns_are_warned_of_and_not_used(fitted: TableClassifier, table: pa.Table) -> None:
    with pytest.warns(TableWarning, match="1 column that the model was not trained with, not used: 'x'"):
        P = fitted.predict_proba(table.append_column("x", pa.array(range(300))))
    np.testing.assert_array_equal(P, fitted.predict_proba(table))


def test_a_missing_column_is_named(fitted: TableClassifier, table: pa.Table) -> None:
    with pytest.raises(TableError, match="lacks 2 columns 'age, in years', 'loan'"):
        fitted.predict(table.select(["children", "job 😀"]))


def test_a_table_without_rows_has_predictions_without_rows(fitted: TableClassifier, table: pa.Table) -> None:
    assert fitted.predict_proba(table.slice(0, 0)).shape == (0, 3)
    assert fitted.predict(table.slice(0, 0)).tolist() == []


def test_a_retyped_column_is_named(fitted: TableClassifier, table: pa.Table) -> None:
    words = pa.array(["1"] * 16 + ["abc"] + ["1"] * 283)
    with pytest.raises(TableError, match="Column 'children' held numbers in training, but row 17 has 'abc'"):
        fitted.predict(table.set_column(3, "children", words))


def test_training_rows_alone_decide(table: pa.Table) -> None:
    codes = Classes(labels(table, "label")).encode(labels(table, "label"))
    train, test = split_rows(codes, 0.2, 1)
    linear = TableClassifier("label", terms="linear")
    part, chosen = clone(linear).fit(table.take(train)), clone(linear).fit(table, rows=train)
    mask = np.isin(np.arange(300), train)
    np.testing.assert_array_equal(chosen.predict_proba(table.take(test)), part.predict_proba(table.take(test)))
    np.testing.assert_array_equal(linear.fit(table, mask).predict_proba(table), part.predict_proba(table))


def test_a_level_of_the_held_out_rows_is_not_learned() -> None:
    data = pa.table({"job": ["a", "b", "c", "a"], "x": [1.0, 2.0, None, 4.0], "y": ["n", "y", "n", "y"]})
    model = TableClassifier("y").fit(data, rows=[0, 1, 3])
    assert model.feature_names_out_ == ("job=a", "job=b", "x")


@pytest.mark.parametrize("rows", [[300], [-1], [], [0.5], [True]])
def test_rows_that_are_not_there(table: pa.Table, rows: list[Any]) -> None:
    with pytest.raises(ValueError, match="rows must"):
        TableClassifier("label").fit(table, rows=rows)


def test_columns_left_out_are_warned_of_and_never_needed(table: pa.Table) -> None:
    more = table.append_column("id", pa.array(range(1000, 1300))).append_column("same", pa.array(["y"] + ["x"] * 299))
    with pytest.warns(TableWarning) as caught:
        model = TableClassifier("label", drop="children", terms="linear").fit(more, rows=np.arange(1, 300))
    assert [str(w.message) for w in caught] == list(model.schema_.warnings)
    assert "'id' looks like an identifier" in model.schema_.warnings[1]
    without = table.select(["age, in years", "job 😀", "loan"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(model.predict_proba(more), model.predict_proba(without))


def test_weights_by_label(table: pa.Table) -> None:
    even = TableClassifier("label", terms="linear", class_weight={"007": 50.0}).fit(table)
    assert np.mean(even.predict(table) == "007") > 0.8


def test_a_class_that_is_not_among_the_training_rows(table: pa.Table) -> None:
    rows = np.flatnonzero(labels(table, "label") != "NA")
    assert TableClassifier("label", terms="linear").fit(table, rows=rows).classes_.tolist() == ["007", "None"]
    with pytest.raises(TableError, match="one class only: every row is 'NA'"):
        TableClassifier("label").fit(table, rows=np.flatnonzero(labels(table, "label") == "NA"))


def test_an_unfitted_model_says_so(table: pa.Table) -> None:
    with pytest.raises(TableError, match="not fitted"):
        TableClassifier("label").predict(table)


def test_state_round_trip(fitted: TableClassifier, table: pa.Table) -> None:
    arrays, metadata = fitted.to_state()
    again = TableClassifier.from_state(arrays, json.loads(json.dumps(metadata, allow_nan=False)))
    assert again.predict_proba(table).tobytes() == fitted.predict_proba(table).tobytes()
    assert again.schema_ == fitted.schema_
    assert again.encoder_ == fitted.encoder_
    assert again.classes_.tolist() == fitted.classes_.tolist()
    assert (again.target, again.strength, again.tol) == (fitted.target, fitted.strength, fitted.tol)
    with pytest.raises(ValueError, match="not the state of a table model"):
        TableClassifier.from_state(arrays, {"schema": metadata["schema"]})


def test_saved_and_loaded(fitted: TableClassifier, table: pa.Table, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m.softreg")
    again = softreg.load(tmp_path / "m.softreg")
    assert isinstance(again, TableClassifier)
    assert again.predict_proba(table).tobytes() == fitted.predict_proba(table).tobytes()


def test_many_levels_are_learned_sparse() -> None:
    rng = np.random.default_rng(0)
    town = rng.integers(0, 400, 4000)
    data = pa.table(
        {"town": [f"t{i}" for i in town], "x": rng.normal(size=4000), "y": np.where(town % 2, "odd", "even")}
    )
    model = TableClassifier("y", terms="linear").fit(data)
    assert model.encoder_.sparse
    assert np.mean(model.predict(data) == labels(data, "y")) > 0.99
    assert model.predict_proba(pa.table({"town": ["nowhere"], "x": [0.0]})).shape == (1, 2)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bank_data_reach_the_known_log_loss(data_folder: Path, seed: int) -> None:
    table = read_table(data_folder / "bank-full.csv")
    y = labels(table, "y")
    train, test = split_rows(Classes(y).encode(y), 0.2, seed)
    model = TableClassifier("y", terms="linear").fit(table, rows=train)
    assert model.schema_.warnings == ()
    P = model.predict_proba(table.take(test))
    assert log_loss(P, Classes(model.classes_).encode(y[test])) <= 0.250


@pytest.mark.timing
def test_bank_data_are_read_and_encoded_within_a_second(data_folder: Path) -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        table = read_table(data_folder / "bank-full.csv")
        X = Encoder.fit(infer_schema(table, "y"), table).transform(table)
        seconds.append(time.perf_counter() - start)
    lines = (data_folder / "bank-full.csv").read_bytes().count(b"\n")
    assert X.shape == (lines - 1, 48)
    assert min(seconds) < 1.0


def test_a_pandas_frame_is_not_changed(table: pa.Table) -> None:
    frame = table.to_pandas()
    before = frame.copy()
    TableClassifier("label", terms="linear").fit(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("use", [lambda model: model.save("never.softreg"), lambda model: model.to_state()])
def test_an_unfitted_classifier_says_so(use: Any) -> None:
    with pytest.raises(TableError, match="not fitted yet"):
        use(TableClassifier("t"))


def test_a_warning_made_an_error_leaves_nothing_half_fitted() -> None:
    table = pa.table({"id": list(range(30)), "a": [float(i % 7) for i in range(30)], "t": ["u", "v"] * 15})
    model = TableClassifier("t")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TableWarning):
            model.fit(table)
    assert not hasattr(model, "schema_")


def test_a_model_of_the_first_format_is_read(
    fitted: TableClassifier, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrays, metadata = fitted.to_state()
    for code in metadata["encoder"]["codes"]:
        for name in ("knots", "scores", "pooled"):
            code.pop(name, None)
    del metadata["asked"]
    monkeypatch.setattr(storage, "FORMAT_VERSION", 1)
    storage.write_model(tmp_path / "m", "table", arrays, metadata)
    monkeypatch.undo()
    again = softreg.load(tmp_path / "m")
    assert again.predict_proba(table).tobytes() == fitted.predict_proba(table).tobytes()


def test_kinds_that_were_asked_for_are_kept(table: pa.Table, tmp_path: Path) -> None:
    model = TableClassifier("label", category="children", text=["job 😀"], terms="linear").fit(table)
    assert [kind for _, kind, _ in model.describe()][1:4] == ["text", "boolean", "category"]
    model.save(tmp_path / "m")
    again = softreg.load(tmp_path / "m")
    assert (again.category, again.text, again.number) == (("children",), ("job 😀",), ())
    with pytest.raises(TableError, match="'loan' is asked for as a number and as a text"):
        TableClassifier("label", number="loan", text="loan").fit(table)
