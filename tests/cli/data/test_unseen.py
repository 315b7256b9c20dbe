"""What the commands say of levels that training did not have, and of labels that another program wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from softreg.tables import as_table
from softreg.tables.io import file_readers

N = 1000
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=N)
CITY = RANDOM.choice(["Bonn", "Trier", "Ulm"], N)
TABLE = pd.DataFrame({"x": X, "city": CITY, "y": X + RANDOM.logistic(size=N) > 0})
NEW = TABLE.assign(city=np.where(np.arange(N) % 8 == 0, np.where(X > 0, "Kiel", "Jena"), CITY))
LINE = (
    "Warning: column 'city': 125 of 1,000 rows (12.5%) hold a level not seen in training, such as 'Jena', 'Kiel'; such "
    "rows get no feature of this column"
)


@pytest.fixture
def model(run: Any, tmp_path: Path) -> Path:
    TABLE.to_csv(tmp_path / "train.csv", index=False)
    path = tmp_path / "m.softreg"
    done = run("train", tmp_path / "train.csv", "--target", "y", "--model", path, "--strength", "1e-3")
    assert done.exit_code == 0, done.output
    assert "not seen" not in done.stderr
    return path


def test_fault_a10_predict_reports_unseen_levels_once(
    run: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_readers, "MAX_BATCH_ROWS", 100)
    pq.write_table(as_table(NEW), tmp_path / "new.parquet")  # in ten batches
    NEW.to_csv(tmp_path / "new.csv", index=False)
    TABLE.to_csv(tmp_path / "same.csv", index=False)
    for name in ("new.parquet", "new.csv"):
        done = run("predict", model, tmp_path / name, "--output", tmp_path / "out.csv")
        assert done.exit_code == 0
        lines = [line for line in done.stderr.splitlines() if "city" in line]
        assert len(lines) == 1
        assert sorted(lines[0]) == sorted(LINE)  # which of the two comes first is the order of the rows
    assert "Warning" not in run("predict", model, tmp_path / "same.csv", "--output", tmp_path / "out.csv").stderr


def test_fault_a10_evaluate_reports_unseen_levels_once(run: Any, model: Path, tmp_path: Path) -> None:
    NEW.to_csv(tmp_path / "new.csv", index=False)
    done = run("evaluate", model, tmp_path / "new.csv", "--report", tmp_path / "page.html")
    assert done.stderr.count("hold a level not seen in training") == 1


def test_fault_c5_evaluate_reads_the_booleans_of_another_program(run: Any, model: Path, tmp_path: Path) -> None:
    figures = []
    lower = TABLE["y"].map({True: "true", False: "false"})
    TABLE.to_csv(tmp_path / "a.csv", index=False)
    TABLE.assign(y=lower).to_csv(tmp_path / "b.csv", index=False)
    TABLE.to_parquet(tmp_path / "c.parquet")
    for name in ("a.csv", "b.csv", "c.parquet"):
        done = run("evaluate", model, tmp_path / name, "--json")
        assert done.exit_code == 0, done.stderr
        figures.append({**json.loads(done.stdout), "seconds": 0})
    assert figures[0] == figures[1] == figures[2]


def test_fault_c8_numbers_of_classes_are_in_order_on_the_command_line(run: Any, tmp_path: Path) -> None:
    y = np.searchsorted(np.quantile(X, np.linspace(0, 1, 13)[1:-1]), X)
    data, path = tmp_path / "t.parquet", tmp_path / "m.softreg"
    TABLE.assign(y=y).to_parquet(data)
    report = ("--report", tmp_path / "page.html")
    options = ("--target", "y", "--model", path, "--strength", "1e-4", "--json")
    held = json.loads(run("train", data, *options, *report).stdout)
    low = json.loads(run("train", data, *options, "--memory", "low").stdout)
    assert held["log_loss"] < 1.6
    assert low["log_loss"] < 1.6
    head, first = run("predict", path, data).stdout.splitlines()[:2]
    assert head == ",".join(f'"{name}"' for name in ["prediction", *range(12)])
    assert first.split(",")[0] == f'"{np.argmax([float(v) for v in first.split(",")[1:]])}"'
    evaluated = run("evaluate", path, data, "--json")
    assert json.loads(evaluated.stdout)["log_loss"] < 1.6
    for program in (y.astype(float), y.astype(str)):  # a label is its number, whatever type holds it
        TABLE.assign(y=program).to_csv(tmp_path / "other.csv", index=False)
        other = run("evaluate", path, tmp_path / "other.csv", "--json")
        assert json.loads(other.stdout)["log_loss"] == json.loads(evaluated.stdout)["log_loss"]
    (tmp_path / "other.csv").write_text("x,city,y\n1.5,Bonn,99\n")
    strange = run("evaluate", path, tmp_path / "other.csv")
    assert strange.exit_code == 2
    assert "has the label '99' in row 1" in strange.stderr
