"""Faults of booleans, missing values and missing labels in several files, and of score columns."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softreg
from softreg.tables import TableClassifier

from .helpers import label, predicted, run, run_successfully, scores

STRENGTH = ["--target", "y", "--strength", "0.01", "--quiet"]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("p_no", ["yes", "no"]),
        ("P(No)", ["yes", "no"]),
        ("prob_0", ["1", "0"]),
        ("prob_1", ["0", "1"]),
        ("sick_prob", ["well", "sick"]),
        ("yes", ["no", "yes"]),
        ("note", ["no", "yes"]),
        ("no_vs_yes", ["no", "yes"]),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_fault_the_class_of_a_score_is_the_one_in_its_name(
    name: str, labels: list[str], named: bool, tmp_path: Path
) -> None:
    data = scores(tmp_path / "scores.csv", name, labels)
    result = run_successfully("audit", data, "--target", "y", "--json", *(["--score", name] if named else []))
    assert f"the class '{labels[1]}'" in result.stderr
    assert pd.read_json(io.StringIO(result.stdout), typ="series")["log_loss"] < 0.6


def written(frame: pd.DataFrame, folder: Path) -> list[str]:
    frame.to_csv(folder / "t.csv", index=False)
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "t.parquet")
    frame.to_json(folder / "t.json", orient="records")
    with sqlite3.connect(folder / "t.db") as connection:
        frame.to_sql("t", connection, index=False)
    return [str(folder / name) for name in ("t.csv", "t.parquet", "t.json", "t.db::t")]


@pytest.mark.parametrize("place", range(4))
def test_fault_booleans_of_one_file_are_zeros_and_ones_of_another(place: int, tmp_path: Path) -> None:
    frame = pd.DataFrame({"member": [bool(i % 2) for i in range(80)], "x": [i % 7 for i in range(80)]})
    frame["y"] = [label(i) == "a" for i in range(80)]
    files, model = written(frame, tmp_path), tmp_path / "m.softreg"
    run_successfully("train", files[place], *STRENGTH, "--model", model)
    expected = predicted(model, files[place])

    def loss(file: str) -> float:
        shown = run_successfully("evaluate", model, file, "--json", "--bad-rows", "skip").stdout
        return float(json.loads(shown)["log_loss"])

    for other in files:
        assert np.array_equal(predicted(model, other), expected)
        assert loss(other) == loss(files[place])


def test_fault_booleans_that_are_read_as_numbers_are_said() -> None:
    frame = pd.DataFrame({"member": [0, 1, 1] * 20, "x": [i % 7 for i in range(60)], "y": list("aabb") * 15})
    model = TableClassifier("y", strength=0.1).fit(frame)
    words = frame.assign(member=np.where(frame.member == 1, "TRUE", "false"))
    for other in (frame.assign(member=frame.member == 1), words, words.astype({"member": "category"})):
        with pytest.warns(softreg.tables.TableWarning, match="true is read as 1, false as 0"):
            assert np.array_equal(model.predict_proba(other), model.predict_proba(frame))
    with pytest.raises(softreg.tables.TableError, match="'maybe'"):
        model.predict_proba(frame.assign(member=["maybe", "True", "False"] * 20))
    wider = TableClassifier("y", strength=0.1).fit(frame.assign(member=frame.member * 2))
    with pytest.raises(softreg.tables.TableError, match="member"):
        wider.predict_proba(frame.assign(member=frame.member == 1))


def test_fault_a_number_in_a_column_of_booleans_that_is_neither_0_nor_1() -> None:
    frame = pd.DataFrame({"member": [True, False, True] * 20, "y": list("aabb") * 15})
    model = TableClassifier("y", strength=0.1).fit(frame)
    with pytest.raises(softreg.tables.TableError, match="row 2 has '2'"):
        model.predict_proba(pd.DataFrame({"member": [1, 2, 0]}))


@pytest.mark.parametrize("na", ["-9", "-9.0", " -9.00"])
def test_fault_a_missing_number_has_the_same_spelling_in_every_file(na: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, -9.0, 3.0] * 20, "i": [1, -9, 2] * 26 + [1, 2]})
    frame["c"], frame["y"] = ["u", "-9", "w", "v"] * 20, [label(i) for i in range(80)]
    files = written(frame, tmp_path)
    frame.to_csv(tmp_path / "comma.csv", sep=";", decimal=",", index=False)
    for file in [*files, str(tmp_path / "comma.csv")]:
        model = tmp_path / "m.softreg"
        run_successfully("train", file, *STRENGTH, f"--na={na}", "--model", model)
        shown = run_successfully("inspect", model).stdout
        for expected in ("1 to 3, ", "1 to 2, ", "3 levels: 'u', 'v', 'w'"):
            assert expected in shown, file


def test_fault_a_spelling_with_leading_zeros_is_text() -> None:
    from softreg.tables.columns.missing_values import expand_spellings

    assert expand_spellings(["007", "1e3", "x"]) == [
        "007",
        "1e3",
        "1000",
        "1000.0",
        "1000.00",
        "1000,0",
        "1000,00",
        "x",
    ]


def broken(path: Path) -> Path:
    lines = ["x,z,y", *(f"{i % 7},{i % 5},{label(i)}" for i in range(60))]
    lines[5], lines[9], lines[12] = "1,2,", "1,2,a,9,9", "3,?,"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_fault_missing_labels_are_no_values_of_another_kind(tmp_path: Path) -> None:
    data, model = broken(tmp_path / "d.csv"), tmp_path / "m.softreg"
    trained = run_successfully("train", data, *STRENGTH, "--bad-rows", "skip", "--model", model)
    others = [
        run_successfully("evaluate", model, data, "--bad-rows", "skip"),
        run_successfully("statistics", data, "--target", "y", "--bad-rows", "skip"),
    ]
    for result in (trained, *others):
        assert "2 of 59 rows have no label in 'y' and are left out: rows 5, 12" in result.stderr
        assert "1 row could not be read and was left out: row 9" in result.stderr
        assert "of its column's kind" not in result.stderr
    assert "--missing-target" in trained.stderr
    assert "--missing-target" not in others[1].stderr


def test_fault_missing_labels_are_refused_beside_skipped_rows(tmp_path: Path) -> None:
    data, model = broken(tmp_path / "d.csv"), tmp_path / "m.softreg"
    run_successfully("train", data, *STRENGTH, "--bad-rows", "skip", "--model", model)
    for arguments in (["train", data, *STRENGTH], ["evaluate", model, data]):
        result = run(*arguments, "--bad-rows", "skip", "--missing-target", "error")
        assert result.exit_code == 2
        assert "no label in 2 rows: 5, 12" in result.stderr
