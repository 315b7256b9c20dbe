"""`softreg export`, and the method `export` of models."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV, TableClassifier
from softreg.export.targets import ENDINGS

FIRST = {".onnx": b"\x08", ".sql": b"-- ", ".js": b"// ", ".mjs": b"// ", ".h": b"/*", ".html": b"<!"}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_ending_names_the_target(run: Any, trained: Path, tmp_path: Path, ending: str) -> None:
    if ending == ".onnx":
        pytest.importorskip("onnx", reason="onnx is not installed")
    path, other = tmp_path / f"model{ending}", tmp_path / f"other{ending}"
    done = run("export", trained, "-o", path)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert f"Program of the model: {path}" in done.stderr
    assert path.read_bytes().startswith(FIRST[ending])
    softreg.load(trained).export(other)
    assert path.read_bytes() == other.read_bytes()


def test_options_reach_the_printers(run: Any, trained: Path, tmp_path: Path) -> None:
    sql, header = tmp_path / "m.sql", tmp_path / "m.h"
    assert run("export", trained, "-o", sql, "--dialect", "postgres", "--table", "shop.rows").exit_code == 0
    assert '"shop"."rows"' in sql.read_text("utf-8")
    assert "PostgreSQL" in sql.read_text("utf-8")
    assert run("export", trained, "-o", header, "--to", "c", "--name", "buys").exit_code == 0
    assert "int buys_predict(" in header.read_text("ascii")


def test_a_database_predicts_like_the_command(run: Any, trained: Path, table: Path, tmp_path: Path) -> None:
    predicted = run("predict", trained, table)
    assert run("export", trained, "-o", tmp_path / "m.sql", "--dialect", "sqlite").exit_code == 0
    rows = softreg.read_table(table).to_pylist()
    with sqlite3.connect(":memory:") as database:
        names = list(rows[0])
        database.execute(f"CREATE TABLE input ({', '.join(names)})")
        marks = ", ".join("?" * len(names))
        database.executemany(f"INSERT INTO input VALUES ({marks})", [tuple(row.values()) for row in rows])
        found = database.execute((tmp_path / "m.sql").read_text("utf-8")).fetchall()
    header, *shown = csv.reader(predicted.stdout.splitlines())
    assert header == ["prediction", *softreg.load(trained).model_.classes_]
    assert [row[len(names)] for row in found] == [cells[0] for cells in shown]
    P = np.array([cells[1:] for cells in shown], dtype=float)
    np.testing.assert_allclose(np.array([row[len(names) + 1 :] for row in found]), P, atol=1e-12)


def test_a_named_target_takes_an_ending_of_no_target(run: Any, trained: Path, tmp_path: Path) -> None:
    for name in ("query.txt", "query"):
        done = run("export", trained, "-o", tmp_path / name, "--to", "sql")
        assert done.exit_code == 0, done.stderr
        assert "SELECT" in (tmp_path / name).read_text(encoding="utf-8")


def test_errors_leave_files_as_they_are(run: Any, trained: Path, tmp_path: Path) -> None:
    before = trained.read_bytes()
    (tmp_path / "link.sql").symlink_to(trained)
    (tmp_path / "x.softreg").write_text("no model")
    for arguments, words in (
        ((trained, "-o", tmp_path / "m.txt"), "should end in .onnx"),
        ((trained, "-o", tmp_path / "m.js", "--to", "sql"), "should end in .sql"),
        ((trained, "-o", "-", "--to", "sql"), "not to stdout"),
        ((trained, "-o", tmp_path / "none" / "m.js"), "create it first"),
        ((trained, "-o", tmp_path / "link.sql"), "would be overwritten"),
        ((trained, "-o", tmp_path / "m.h", "--name", "a b"), "name='a b'"),
        ((trained, "-o", tmp_path / "m.sql", "--table", ""), "table is empty"),
        ((trained, "-o", tmp_path / "m.sql", "--dialect", "oracle"), "oracle"),
        ((trained, "-o", tmp_path / "m.sql", "--to", "java"), "java"),
        ((trained, "-o", tmp_path / "m.js", "--dialect", "duckdb"), "--dialect has no effect on the target js"),
        ((trained, "-o", tmp_path / "m.h", "--table", "rows"), "--table has no effect on the target c"),
        ((trained, "-o", tmp_path / "m.sql", "--name", "m"), "--name has no effect on the target sql"),
        ((trained,), "--output"),
        ((tmp_path / "nothing.softreg", "-o", tmp_path / "m.js"), "There is no model file"),
        ((tmp_path / "x.softreg", "-o", tmp_path / "m.js"), "is not a model file"),
    ):
        done = run("export", *arguments)
        assert (done.exit_code, done.stdout) == (2, ""), arguments
        assert words in done.stderr, arguments
        assert "Traceback" not in done.stderr
    assert trained.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in ENDINGS) == ["link.sql"]


def test_free_text_is_refused_by_name_and_leaves_the_file(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    table = pa.table({"the body": ["good news", "bad news", "good", "bad"] * 20, "y": ["u", "v", "u", "v"] * 20})
    TableClassifier(strength=0.1, text=["the body"]).fit(table, target="y").save(tmp_path / "m.softreg")
    for ending in (".sql", ".onnx", ".h"):
        (tmp_path / f"m{ending}").write_text("kept")
        done = run("export", tmp_path / "m.softreg", "-o", tmp_path / f"m{ending}")
        assert done.exit_code == 2
        assert "'the body'" in done.stderr
        assert (tmp_path / f"m{ending}").read_text() == "kept"
    assert run("export", tmp_path / "m.softreg", "-o", tmp_path / "m.js").exit_code == 0


def test_notes_name_columns_that_are_to_be_prepared(run: Any, tmp_path: Path) -> None:
    table = pa.table({"price": [f"${k},{k}00.50" for k in range(1, 9)] * 9, "y": (["u"] * 4 + ["v"] * 4) * 9})
    TableClassifier(strength=0.1, number="price").fit(table, target="y").save(tmp_path / "m.softreg")
    done = run("export", tmp_path / "m.softreg", "-o", tmp_path / "m.js")
    assert "Note: column 'price': Numbers were text in training; pass the number itself, without $" in done.stderr


def test_dates_without_a_type_of_dates_have_a_note(run: Any, tmp_path: Path) -> None:
    days = np.array(["2020-01-01", "2021-06-30", "2022-12-31"] * 20, dtype="M8[D]")
    table = pa.table({"when": days, "y": ["u", "v", "u", "v"] * 15})
    TableClassifier(strength=0.1).fit(table, target="y").save(tmp_path / "m.softreg")
    assert (
        "column 'when': pass times as seconds" in run("export", tmp_path / "m.softreg", "-o", tmp_path / "m.h").stderr
    )
    assert "Note" not in run("export", tmp_path / "m.softreg", "-o", tmp_path / "m.js").stderr


def test_wrong_arguments_of_the_method(tmp_path: Path) -> None:
    model = SoftmaxRegression(0.1).fit(np.arange(6.0)[:, None], [0, 0, 1, 1, 0, 1])
    for path, options in (
        ("m.txt", {}),
        ("m", {"to": "java"}),
        ("m.sql", {"dialect": "oracle"}),
        ("m.sql", {"table": ""}),
        ("m.h", {"name": "2m"}),
        ("m.js", {"class_rates": [0.5, 0.5]}),
    ):
        with pytest.raises(softreg.ExportError):
            model.export(tmp_path / path, **options)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        model.export(tmp_path / "none" / "m.js")
    model.export(tmp_path / "any name", to="js")
    assert (tmp_path / "any name").read_text("ascii").startswith("// ")
    for unfitted in (SoftmaxRegression(), SoftmaxRegressionCV(), TableClassifier()):
        with pytest.raises(softreg.ExportError, match="not fitted"):
            unfitted.export(tmp_path / "m.js")
