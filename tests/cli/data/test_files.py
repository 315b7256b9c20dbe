"""Files of every kind through the commands: patterns, encodings, bad rows, and predictions from file to file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

import softreg
from softreg.models import read_model
from softreg.tables import TableClassifier, read_table
from softreg.tables.fit.predictor import TablePredictor


def test_predictions_stream_from_a_folder_to_every_form(run: Any, table: Path, trained: Path, tmp_path: Path) -> None:
    rows = read_table(table)
    expected = softreg.load(trained).predict_proba(rows)
    (tmp_path / "parts").mkdir()
    for i in range(4):
        pq.write_table(rows.slice(100 * i, 100), tmp_path / "parts" / f"{i}.parquet")
    for name in ("o.parquet", "o.arrow", "o.csv", "o.tsv"):
        done = run("predict", trained, tmp_path / "parts", "-o", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert "400 predictions" in done.stderr
        found = feather.read_table(tmp_path / name) if name == "o.arrow" else read_table(tmp_path / name)
        P = np.array([found[k].cast(pa.float64()).to_numpy() for k in ("007", "none")]).T
        np.testing.assert_allclose(P, expected, rtol=1e-12)
        assert found["prediction"].to_pylist() == ["007" if p > q else "none" for p, q in expected]
    shown = run("predict", trained, str(tmp_path / "parts" / "*.parquet"))
    assert shown.stdout.encode() == (tmp_path / "o.csv").read_bytes()


def test_the_light_predictor_is_the_model(trained: Path, table: Path) -> None:
    stored, rows = read_model(trained), read_table(table)
    light = TablePredictor.from_state(stored.arrays, stored.metadata)
    many = pa.concat_tables([rows] * 60)
    for part in (rows, many):
        assert light.probabilities(part).tobytes() == softreg.load(trained).predict_proba(part).tobytes()
    with pytest.raises(ValueError, match="not the state of a table model"):
        TablePredictor.from_state({}, stored.metadata)


def test_predict_imports_no_solver(trained: Path, table: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from softreg.cli import main; main(standalone_mode=False); "
        "print(*sorted(set(sys.modules) & {'sklearn', 'pandas', 'scipy.stats', 'matplotlib', 'softreg.optimize'}))"
    )
    command = [sys.executable, "-c", code, "predict", str(trained), str(table), "-o", str(tmp_path / "o.parquet")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_failed_prediction_leaves_no_file(run: Any, trained: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "in" / "a.csv", tmp_path / "in" / "b.csv"
    good.parent.mkdir()
    good.write_text("age,plan,member\n" + "40,pro,yes\n" * 5)
    bad.write_text("age,plan,member\n41,pro,yes\nold,pro,no\n")
    done = run("predict", trained, good.parent, "-o", tmp_path / "o.csv")
    assert done.exit_code == 2
    assert "row 2 of" in done.stderr
    assert "b.csv" in done.stderr
    assert "has 'old'" in done.stderr
    assert not (tmp_path / "o.csv").exists()
    done = run("predict", trained, good.parent, "-o", tmp_path / "o.csv", "--bad-rows", "skip")
    assert done.exit_code == 0, done.output
    assert "6 predictions" in done.stderr
    assert "1 row holds a value that is not of its column's kind and was left out: 7" in done.stderr
    assert "would be overwritten" in run("predict", trained, good, "-o", good).stderr


def test_training_skips_bad_rows_and_lists_them(run: Any, table: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(table.read_text() + "1,2\nold,pro,yes,007\n40,pro,yes,\n")
    assert run("train", path, "--target", "buys").exit_code == 2
    done = run("train", path, "--target", "buys", "--bad-rows", "skip", "--json", "--strength", "1e-3")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == 400
    assert "1 row could not be read and was left out: row 401 ('1,2')" in done.stderr
    assert "1 of 402 rows has no label in 'buys' and is left out: row 403." in done.stderr
    assert "1 row holds a value that is not of its column's kind and was left out: 402" in done.stderr


def test_kinds_and_encodings_from_the_command_line(run: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    rows = [(rng.integers(1, 9), "schön, gut" if k else "böse", "ja" if k else "nein") for k in y]
    path = tmp_path / "t.csv"
    lines = ["größe,wort,y", *(f'{a},"{b}",{c}' for a, b, c in rows)]
    path.write_bytes("\r\n".join(lines).encode("latin-1"))
    plain = run("train", path, "--target", "y", "--terms=linear")
    assert "is decoded as windows-1252 (it holds 'größe'); --encoding" in plain.stderr
    done = run(
        "train", path, "--target", "y", "--encoding", "latin-1", "--text", "wort", "--category", "größe",
        "--model", tmp_path / "m.softreg", "--strength", "1e-3",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    kinds = {name: kind for name, kind, _ in softreg.load(tmp_path / "m.softreg").describe()}
    assert kinds == {"größe": "category", "wort": "text", "y": "target"}
    assert "1 category and 1 text" in done.stdout
    shown = run("predict", tmp_path / "m.softreg", path, "--encoding", "latin-1")
    assert shown.exit_code == 0, shown.output
    assert run("evaluate", tmp_path / "m.softreg", path, "--encoding", "latin-1").exit_code == 0
    assert "words" in run("inspect", tmp_path / "m.softreg").stdout


def test_newsgroups_from_raw_text(data_folder: Path) -> None:
    rows = read_table(data_folder / "newsgroups.parquet").slice(0, 3000)
    model = TableClassifier("newsgroup", drop="id", strength=1e-5).fit(rows, rows=np.arange(2500))
    assert model.encoder_.sparse
    test = rows.slice(2500)
    assert np.mean(model.predict(test) == np.array(test["newsgroup"].to_pylist())) > 0.84


def test_sms_spam_reaches_the_known_log_loss(run: Any, data_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "sms.tsv"
    path.write_bytes(b"label\ttext\n" + (data_folder / "sms-spam.tsv").read_bytes())
    losses = []
    for seed in range(3):
        done = run("train", path, "--target", "label", "--seed", seed, "--json", "--quiet")
        assert done.exit_code == 0, done.output
        losses.append(json.loads(done.stdout)["log_loss"])
    assert np.mean(losses) <= 0.042


def test_bank_by_default_tames_heavy_tails(run: Any, data_folder: Path) -> None:
    done = run("train", data_folder / "bank-full.csv", "--target", "y", "--seed", "0", "--json", "--terms=linear")
    assert json.loads(done.stdout)["log_loss"] <= 0.231
    assert any("balance" in line and "heavy tail" in line for line in done.stderr.splitlines())


def test_a_csv_that_arrow_writes_is_read_back(tmp_path: Path) -> None:
    made = pa.table({"a,b 😀": ["x", 'y "z"'], "c": ["1", "2"]})
    pa_csv.write_csv(made, tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv").to_pydict() == made.to_pydict()
