"""What `softreg predict` writes beside the probabilities, and predictions of other programs for `softreg audit`."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from softreg.cli.data.probability_columns import class_columns
from softreg.tables import read_table

ROWS = [(f"{i:03d}", f"{(7 * i) % 10}", "yes" if (7 * i) % 10 > 4 else "no") for i in range(40)]


@pytest.fixture
def model(run: Any, tmp_path: Path) -> Path:
    data = tmp_path / "t.csv"
    with data.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id,number", "x", "y"), *ROWS])
    path = tmp_path / "m.softreg"
    result = run("train", data, "--target", "y", "--drop", "id,number", "--model", path, "--strength", "0.1", "--quiet")
    assert result.exit_code == 0, result.stderr
    return path


def format_rows(result: Any) -> list[list[str]]:
    assert result.exit_code == 0, result.stderr
    return list(csv.reader(io.StringIO(result.stdout)))


def test_columns_are_kept_in_front(run: Any, model: Path, tmp_path: Path) -> None:
    data = tmp_path / "t.csv"
    header, *rows = format_rows(run("predict", model, data, "--keep", "id,number", "--keep-target"))
    assert header == ["id,number", "y", "prediction", "no", "yes"]
    assert [(row[0], row[1]) for row in rows] == [(one[0], one[2]) for one in ROWS]
    header, *_ = format_rows(run("predict", model, data, "--keep", "x,y", "--keep", "x"))
    assert header[:3] == ["x", "y", "prediction"]
    refused = run("predict", model, data, "--keep", "idd,number")
    assert refused.exit_code == 2
    assert "there is no column 'idd'" in refused.stderr


def test_kept_columns_in_parquet_and_with_skipped_rows(run: Any, model: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "bad.csv", tmp_path / "out.parquet"
    data.write_text('"id,number",x\na,1\nb,1,2\nc,9\n', encoding="utf-8")
    result = run("predict", model, data, "--keep", "id,number", "--bad-rows", "skip", "-o", out)
    assert result.exit_code == 0, result.stderr
    table = pq.read_table(out)
    assert table.column_names == ["id,number", "row", "prediction", "no", "yes"]
    assert table["id,number"].to_pylist() == ["a", "c"]
    assert table["row"].to_pylist() == [1, 3]


def test_a_kept_column_named_as_a_class(run: Any, model: Path, tmp_path: Path) -> None:
    data = tmp_path / "named.csv"
    data.write_text("x,yes\n1,k\n", encoding="utf-8")
    header, row = format_rows(run("predict", model, data, "--keep", "yes"))
    assert header == ["yes_", "prediction", "no", "yes"]
    assert row[0] == "k"


@pytest.mark.parametrize(("rule", "label"), [("0.9999", "no"), ("yes=0.0001", "yes"), ("no=0.0001", "no")])
def test_a_threshold_decides(run: Any, model: Path, tmp_path: Path, rule: str, label: str) -> None:
    _, *rows = format_rows(run("predict", model, tmp_path / "t.csv", "--threshold", rule))
    assert {row[0] for row in rows} == {label}


@pytest.mark.parametrize("rule", ["2", "x", "maybe=0.5", "yes="])
def test_thresholds_that_are_none(run: Any, model: Path, tmp_path: Path, rule: str) -> None:
    result = run("predict", model, tmp_path / "t.csv", "--threshold", rule)
    assert result.exit_code == 2
    assert f"--threshold {rule}" in result.stderr


def test_standard_input_and_output(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "softreg", "predict", str(model), "-", "-o", "-"]
    with (tmp_path / "t.csv").open("rb") as file:
        piped = subprocess.run(command, stdin=file, capture_output=True, check=True, timeout=120)
    other = subprocess.run([*command[:-3], str(tmp_path / "t.csv")], capture_output=True, check=True, timeout=120)
    assert piped.stdout == other.stdout
    assert len(piped.stdout.splitlines()) == 1 + len(ROWS)


# --- audits of predictions of other programs ---


def audited(run: Any, tmp_path: Path, text: str, *options: str) -> Any:
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    return run("audit", path, "--target", "y", *options)


SAME = "y,0,1\n0,.7,.3\n1,.2,.8\n0,.5,.5\n"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("y,prob_0,prob_1\n0,.7,.3\n1,.2,.8\n0,.5,.5\n", ()),
        ("y,0_p,1_p\n0,.7,.3\n1,.2,.8\n0,.5,.5\n", ()),
        ("y,p(0),p(1),10\n0,.7,.3,5\n1,.2,.8,5\n0,.5,.5,5\n", ()),
        ("y,score\n0,.3\n1,.8\n0,.5\n", ()),
        ("id,y,decision,score\n1,0,0,.3\n2,1,1,.8\n3,0,1,.5\n", ()),
        ("y,a,b\n0,.3,.1\n1,.8,.2\n0,.5,.3\n", ("--score", "a")),
        ("y,a,b\n0,.7,.1\n1,.2,.2\n0,.5,.3\n", ("--score", "a", "--positive", "0")),
    ],
)
def test_the_columns_of_other_programs(run: Any, tmp_path: Path, text: str, options: tuple[str, ...]) -> None:
    expected, result = audited(run, tmp_path, SAME), audited(run, tmp_path, text, *options)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == expected.stdout
    assert "Note: Column" in result.stderr


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("y,a,b\nu,.3,.1\nv,.8,.2\n", (), "no column of probabilities"),
        ("y,score\nu,.3\nv,.8\n", (), "--positive v"),
        ("y,score\n0,3\n1,8\n", ("--score", "score"), "numbers from 0 to 1"),
        ("y,score\n0,.3\n1,\n", ("--score", "score"), "numbers from 0 to 1"),
        ("y,score\na,.3\nb,.8\nc,.5\n", ("--score", "score"), "3 labels"),
        ("y,score\na,.3\nb,.8\n", ("--score", "scor"), "Similar names: 'score'"),
        ("y,score\na,.3\nb,.8\n", ("--score", "score", "--positive", "c"), "holds the labels"),
        ("y,a,b\n0,.3,.1\n1,.8,.2\n", ("--positive", "1"), "--score COLUMN"),
    ],
)
def test_columns_that_would_be_a_guess(
    run: Any, tmp_path: Path, text: str, options: tuple[str, ...], told: str
) -> None:
    result = audited(run, tmp_path, text, *options)
    assert result.exit_code == 2
    assert told in result.stderr


def test_one_label_that_occurs(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("y,score\n1,.3\n1,.8\n", encoding="utf-8")
    table, said = class_columns(read_table(tmp_path / "p.csv"), "y", ["1"], "score", "1")
    assert table.column_names == ["y", "not 1", "1"]
    assert "'score'" in said
