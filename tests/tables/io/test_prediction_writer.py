"""Predictions to a file: exact, whole or not at all."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from softreg.tables import TableError, prediction_table, predictions_csv, read_table, write_predictions

P = np.array([[1 / 3, 2 / 3], [1e-17, 1 - 1e-17], [0.25, 0.75]])
CLASSES = ['no, "never"', "yes 😀"]
PREDICTED = [CLASSES[1], CLASSES[1], CLASSES[1]]


def test_csv_is_read_back_exactly() -> None:
    text = predictions_csv(CLASSES, P, PREDICTED).decode()
    header, *rows = csv.reader(io.StringIO(text))
    assert header == ["prediction", *CLASSES]
    assert [row[0] for row in rows] == PREDICTED
    np.testing.assert_array_equal([[float(x) for x in row[1:]] for row in rows], P)


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.CSV"])
def test_text_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_predictions(path, CLASSES, P, np.array(PREDICTED))
    table = read_table(path)
    assert table.column_names == ["prediction", *CLASSES]
    np.testing.assert_array_equal(np.array(table[2].to_pylist(), float), P[:, 1])
    assert ("\t" in path.read_text()) == (name == "p.tsv")


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    write_predictions(path, CLASSES, P, PREDICTED)
    assert pq.read_table(path).equals(prediction_table(CLASSES, P, PREDICTED))
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]


def test_a_class_called_prediction() -> None:
    assert prediction_table(["prediction", "x"], [[1, 0]], ["x"]).column_names == [
        "prediction_",
        "prediction",
        "x",
    ]
    both = ["prediction", "prediction_"]
    assert prediction_table(both, [[1, 0]], ["x"]).column_names == ["prediction__", *both]


def test_no_rows() -> None:
    assert predictions_csv(["a", "b"], np.zeros((0, 2)), []) == b'"prediction","a","b"\n'


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match=r"P is \(3, 2\); expected \(1, 2\)"):
        prediction_table(CLASSES, P, ["x"])


@pytest.mark.parametrize("name", ["p.xlsx", "p", "p.csv.gz"])
def test_an_ending_that_says_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(TableError, match=r"supported formats: .*\.parquet"):
        write_predictions(tmp_path / name, CLASSES, P, PREDICTED)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="does not exist"):
        write_predictions(tmp_path / "no" / "p.csv", CLASSES, P, PREDICTED)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("before")
    with pytest.raises(ValueError, match="expected"):
        write_predictions(path, CLASSES, P, ["x"])
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
