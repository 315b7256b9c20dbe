"""Faults A10 to A13, B4, C5, C6 and C8: labels and levels of every type, and names of columns."""

from __future__ import annotations

import os
import threading
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss

from softreg import SoftmaxRegression, TableClassifier, load, open_rows
from softreg.tables import TableError, TableWarning, as_table, open_table

N = 400
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=N)
TRUE = X + RANDOM.logistic(size=N) > 0
LARGE = [Decimal(2**53 + int(v)) for v in TRUE]
"""Two labels that float64 cannot tell apart."""


def quiet(model: TableClassifier, data: Any) -> Any:
    """Probabilities, without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.predict_proba(data)


# A10: codes


CODES = 10_000_000_000 + RANDOM.integers(0, 5, N)
LABELS = np.where(RANDOM.random(N) < 0.1 + 0.8 * (CODES % 2), "a", "b")
TABLE = pd.DataFrame({"code": CODES, "x": X, "y": LABELS})


@pytest.fixture(scope="module", params=["integers", "floats", "CSV", "decimals"])
def trained(request: Any, tmp_path_factory: pytest.TempPathFactory) -> TableClassifier:
    data: Any = TABLE
    if request.param == "floats":
        data = TABLE.assign(code=TABLE["code"].astype(float))
    elif request.param == "decimals":
        data = as_table(TABLE)
        decimal = data.column("code").cast(pa.decimal128(30, 2))
        data = data.set_column(0, "code", decimal)
    elif request.param == "CSV":
        data = tmp_path_factory.mktemp("csv") / "train.csv"
        TABLE.to_csv(data, index=False)
    return TableClassifier("y", category=["code"], strength=1e-3).fit(data)


def test_fault_a10_a_code_is_one_level_whatever_type_holds_it(trained: TableClassifier, tmp_path: Path) -> None:
    expected = TableClassifier("y", category=["code"], strength=1e-3).fit(TABLE).predict_proba(TABLE)
    floats = TABLE.assign(code=TABLE["code"].astype(float))
    floats.to_csv(tmp_path / "floats.csv", index=False)
    TABLE.to_csv(tmp_path / "integers.csv", index=False)
    decimals = pa.table({"code": pa.array(CODES).cast(pa.decimal128(30, 4)), "x": X})
    forms = [TABLE, floats, tmp_path / "floats.csv", tmp_path / "integers.csv", decimals]
    for data in [*forms, pl.from_pandas(floats), floats.assign(code=floats["code"].astype("category"))]:
        np.testing.assert_allclose(quiet(trained, data), expected, atol=1e-12)
    floats.loc[0, "code"] = np.nan  # which is what makes integers floats in pandas
    with pytest.warns(TableWarning, match=r"column 'code': 1 of 400 rows \(0.25%\) holds no value"):
        P = trained.predict_proba(floats)
    np.testing.assert_allclose(P[1:], expected[1:], atol=1e-12)


def test_fault_a10_two_writers_of_one_table_make_one_level(tmp_path: Path) -> None:
    TABLE[:200].to_csv(tmp_path / "a.csv", index=False)
    TABLE[200:].assign(code=TABLE["code"].astype(float)).to_csv(tmp_path / "b.csv", index=False)
    options: Any = {"category": ["code"], "strength": 1e-3}
    both = TableClassifier("y", **options).fit(open_table([tmp_path / "a.csv", tmp_path / "b.csv"]))
    assert both.feature_names_out_ == TableClassifier("y", **options).fit(TABLE).feature_names_out_


def test_fault_a10_versions_are_no_numbers() -> None:
    version = np.array(["1.1", "1.2", "1.10"])[np.arange(N) % 3]
    data = pd.DataFrame({"version": version, "y": LABELS})
    model = TableClassifier("y", category=["version"], terms="linear").fit(data)
    assert model.feature_names_out_ == ("version=1.1", "version=1.10", "version=1.2")
    with pytest.warns(TableWarning, match="such as '1.20'; such rows get no feature"):
        model.predict_proba(data.replace("1.2", "1.20"))


def test_fault_a10_text_of_a_number_is_the_level_of_a_column_of_numbers(tmp_path: Path) -> None:
    tenths = np.where(TRUE, 0.1, 0.0)
    model = TableClassifier("y", category=["t"], strength=1e-3).fit(pd.DataFrame({"t": tenths, "y": LABELS}))
    pd.DataFrame({"t": np.where(TRUE, "0.10", "0.00")}).to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_array_equal(quiet(model, tmp_path / "t.csv"), model.predict_proba(pd.DataFrame({"t": tenths})))


def test_fault_a10_unseen_levels_are_reported(trained: TableClassifier) -> None:
    new = TABLE.assign(code=np.where(np.arange(N) < 50, 7, CODES), x=X)
    with pytest.warns(TableWarning) as caught:
        trained.predict_proba(new)
    assert [str(w.message) for w in caught] == [
        "column 'code': 50 of 400 rows (12.5%) hold a level not seen in training, such as '7'; such rows get "
        "no feature of this column"
    ]


def test_fault_a10_rare_levels_of_training_were_seen(tmp_path: Path) -> None:
    town = np.array([f"t{k}" for k in np.minimum(np.arange(N) // 10, 30)])
    town[:2] = "seldom", "rarely"
    data = pd.DataFrame({"town": town, "x": X, "y": LABELS})
    TableClassifier("y", terms="linear").fit(data).save(tmp_path / "m.softreg")
    model = load(tmp_path / "m.softreg")
    quiet(model, data)
    with pytest.warns(TableWarning, match=r"1 of 400 rows \(0.25%\) .* 'nowhere'; such rows get the feature of rare"):
        model.predict_proba(data.assign(town=np.where(np.arange(N) == 5, "nowhere", town)))


# A11 to A13: labels


def test_fault_a11_negative_zero_is_the_label_zero(tmp_path: Path) -> None:
    y = np.where(TRUE, 1.0, np.where(X < 0, -0.0, 0.0))
    for data in (pd.DataFrame({"x": X, "y": y}), pl.DataFrame({"x": X, "y": y}), pa.table({"x": X, "y": y})):
        assert TableClassifier("y", strength=1e-3).fit(data).classes_.tolist() == [0.0, 1.0]
    pq.write_table(pa.table({"x": X, "y": y}), tmp_path / "t.parquet", row_group_size=100)
    assert SoftmaxRegression(1e-3).fit(open_rows(tmp_path / "t.parquet", "y")).classes_.tolist() == [0.0, 1.0]
    levels = TableClassifier("y", category=["c"], terms="linear").fit(pd.DataFrame({"x": X, "c": y, "y": LABELS}))
    assert levels.feature_names_out_ == ("x", "c=0", "c=1")


def test_fault_a12_decimal_labels_are_exact(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": X, "y": LARGE}, schema_overrides={"y": pl.Decimal(38, 0)})
    arrow = frame.to_arrow()
    pq.write_table(arrow, tmp_path / "t.parquet")
    expected = [2**53, 2**53 + 1]
    for data in (frame, arrow, tmp_path / "t.parquet"):
        model = TableClassifier("y", strength=1e-3).fit(data)
        assert model.classes_.tolist() == expected
        assert set(model.predict(data)) == set(LARGE)
    rows = open_rows(tmp_path / "t.parquet", "y")
    for fitted in (SoftmaxRegression(1e-3).fit(rows), SoftmaxRegression(1e-3).fit(X[:, None], frame["y"])):
        assert fitted.classes_.tolist() == expected
    assert SoftmaxRegression(1e-3).fit(X[:, None], arrow.column("y")).classes_.tolist() == expected


@pytest.mark.parametrize("hole", ["", "  "])
def test_fault_a13_a_missing_label_in_a_csv_is_refused(hole: str, tmp_path: Path) -> None:
    y = np.where(np.arange(N) == 7, hole, LABELS)
    pd.DataFrame({"x": X, "y": y}).to_csv(tmp_path / "t.csv", index=False)
    rows = open_rows(tmp_path / "t.csv", "y")
    with pytest.raises(ValueError, match=r"y has no label in row 7 \(1 of 400 rows"):
        SoftmaxRegression(1e-3).fit(rows)
    assert SoftmaxRegression(1e-3).fit(pd.DataFrame({"x": X}), LABELS).predict(rows).shape == (N,)  # labels are unused
    for column in (pa.array([None, *LABELS[1:]]), pa.array([None, *LABELS[1:]]).dictionary_encode()):
        pq.write_table(pa.table({"x": X, "y": column}), tmp_path / "t.parquet")
        with pytest.raises(ValueError, match="no label in row 0"):
            SoftmaxRegression(1e-3).fit(open_rows(tmp_path / "t.parquet", "y"))


# C5 and C6: what different programs write


def test_fault_c5_booleans_of_two_programs_are_one_label(tmp_path: Path) -> None:
    pd.DataFrame({"x": X[:200], "y": TRUE[:200]}).to_csv(tmp_path / "a.csv", index=False)  # True
    pl.DataFrame({"x": X[200:], "y": TRUE[200:]}).write_csv(tmp_path / "b.csv")  # true
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for memory in ("high", "low"):
        model = TableClassifier("y", strength=1e-3).fit(open_table(paths), memory=memory)
        assert model.classes_.tolist() == [False, True]
        assert model.model_.classes_.tolist() == ["false", "true"]
    assert SoftmaxRegression(1e-3).fit(open_rows(paths, "y")).classes_.tolist() == ["false", "true"]
    one = TableClassifier("y", strength=1e-3).fit(tmp_path / "a.csv")
    assert one.model_.classes_.tolist() == ["False", "True"]  # as it is written


def test_fault_c6_decimal_features_in_open_rows(tmp_path: Path) -> None:
    cents = pa.array([Decimal(f"{v:.2f}") for v in X], pa.decimal128(9, 2))
    coded = pa.array(np.round(X)).dictionary_encode()
    pq.write_table(pa.table({"a": cents, "b": coded, "y": LABELS}), tmp_path / "t.parquet")
    rows = open_rows(tmp_path / "t.parquet", "y")
    plain = pd.DataFrame({"a": np.round(X, 2), "b": np.round(X)})
    expected = SoftmaxRegression(1e-3).fit(plain, LABELS).predict_proba(plain)
    np.testing.assert_allclose(SoftmaxRegression(1e-3).fit(rows).predict_proba(rows), expected, atol=1e-6)


def test_fault_c6_dictionaries_beside_text(tmp_path: Path) -> None:
    y = pa.array(LABELS)
    for name, column in (("a", y), ("b", y.dictionary_encode()), ("c", y.cast(pa.large_string()))):
        pq.write_table(pa.table({"x": X, "y": column}), tmp_path / f"{name}.parquet")
    for names in ("abc", "cba", "ba"):
        rows = open_rows([tmp_path / f"{name}.parquet" for name in names], "y")
        assert SoftmaxRegression(1e-3).fit(rows).classes_.tolist() == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names are POSIX's")
@pytest.mark.parametrize("name", ["pipe.csv", "pipe"])
def test_fault_c6_numbers_from_a_pipe(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": X, "y": LABELS})
    os.mkfifo(tmp_path / name)
    writer = threading.Thread(target=lambda: frame.to_csv(tmp_path / name, index=False))
    writer.start()
    rows = open_rows(tmp_path / name, "y")
    writer.join()
    copy = rows.paths[0]
    model = SoftmaxRegression(1e-3).fit(rows)
    np.testing.assert_allclose(model.predict_proba(rows), model.predict_proba(frame[["x"]]))
    assert copy.exists()
    del rows
    assert not copy.exists()


# C8: labels come back as they went in


@pytest.mark.parametrize(
    "labels",
    [
        TRUE.astype(np.int64),
        np.where(TRUE, 2**64 - 1, 3).astype(np.uint64),
        TRUE,
        np.where(TRUE, 12.5, -1.5),
        np.where(TRUE, 0.1, -0.5).astype(np.float32),
        np.where(TRUE, 1.0, 0.0),
        np.where(TRUE, "yes", "no"),
        pd.Categorical(TRUE.astype(int)),
    ],
    ids=["int", "uint", "bool", "halves", "float32", "floats", "text", "categories"],
)
def test_fault_c8_labels_come_back_as_they_went_in(labels: Any, tmp_path: Path) -> None:
    data = pd.DataFrame({"x": X, "y": labels})
    share = np.mean((X > 0) == TRUE)
    TableClassifier("y", strength=1e-3).fit(data).save(tmp_path / "m.softreg")
    for model in (TableClassifier("y", strength=1e-3).fit(data), load(tmp_path / "m.softreg")):
        assert model.classes_.tolist() == sorted(set(data["y"].tolist()))
        assert abs((model.predict(data) == data["y"]).mean() - share) < 0.05
        assert model.model_.classes_.dtype.kind == "U"
    batches = tmp_path / "t.parquet"
    data.to_parquet(batches)
    low = TableClassifier("y", strength=1e-3).fit(batches, memory="low")
    np.testing.assert_array_equal(low.classes_, model.classes_)
    np.testing.assert_allclose(low.predict_proba(data), model.predict_proba(data), atol=1e-6)


def test_fault_c8_numbers_are_in_their_order() -> None:
    y = np.searchsorted(np.quantile(X, np.linspace(0, 1, 13)[1:-1]), X) - 1
    data = pd.DataFrame({"x": X, "y": y})
    model = TableClassifier("y", strength=1e-4).fit(data)
    assert model.classes_.tolist() == list(range(-1, 11))
    assert model.model_.classes_.tolist() == [str(k) for k in range(-1, 11)]
    P = model.predict_proba(data)
    assert log_loss(y, P) < 1.5  # scikit-learn takes the columns for the sorted labels
    assert model.model_.solution_.W.shape == (1, 12)
    np.testing.assert_array_equal(model.model_.solution_.W, model.model_.coef_.T)
    weighted = TableClassifier("y", strength=1e-4, class_weight={10: 50.0}).fit(data)
    assert (weighted.predict(data) == 10).sum() > (model.predict(data) == 10).sum()
    assert model.infer(data, reference=10).reference == 11


# B4: names of columns


def test_fault_b4_columns_named_by_numbers() -> None:
    data = pd.DataFrame({0: X, 1: TRUE.astype(int), 2: RANDOM.normal(size=N)})
    model = TableClassifier(1, strength=1e-3).fit(data)
    assert (model.predict(data) == data[1]).mean() > 0.6
    assert model.feature_names_out_ == ("0", "2")
    for drop in ([0], 0, ["0"], np.array([0])):
        assert TableClassifier(1, drop=drop, strength=1e-3).fit(data).feature_names_out_ == ("2",)
    assert (
        TableClassifier(np.int64(1), category=[2], strength=1e-3).fit(data).schema_.columns[2].kind.value == "category"
    )
    grouped = data.assign(g=np.arange(N) // 4).rename(columns={"g": 3})
    model = TableClassifier(1, groups=3, strength="auto", terms="linear").fit(grouped)
    assert model.feature_names_out_ == ("0", "2")
    assert model.to_state()[1]["choice"]["groups"] == "3"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": None}, "the target y is None: name the column of labels"),
        ({"target": "y", "drop": [None]}, "the name of a column is None"),
        ({"target": 7}, "There is no target column '7'"),
        ({"target": "\ud800"}, "There is no target column"),
        ({"target": "y", "drop": [7]}, "There is no column to drop '7'"),
    ],
)
def test_fault_b4_names_that_are_not_there(options: Any, words: str) -> None:
    with pytest.raises(TableError, match=words):
        TableClassifier(**options).fit(pd.DataFrame({"x": X, "y": LABELS}))


@pytest.mark.parametrize("kind", ["integer", "boolean", "decimal", "float64", "of tomorrow"])
def test_fault_c8_a_model_file_with_labels_of_another_type_is_refused(kind: str) -> None:
    arrays, metadata = TableClassifier("y", strength=1e-3).fit(pd.DataFrame({"x": X, "y": LABELS})).to_state()
    assert metadata["labels"] == "text"
    with pytest.raises(ValueError, match="type"):
        TableClassifier.from_state(arrays, {**metadata, "labels": kind})
    del metadata["labels"]  # as in files of earlier versions
    assert TableClassifier.from_state(arrays, metadata).classes_.tolist() == ["a", "b"]
