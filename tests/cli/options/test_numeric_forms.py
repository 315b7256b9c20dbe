"""The commands with forms of columns of numbers (F5) and with numbers beyond the range of training (F6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softreg
from softreg.tables.io import file_readers

N = 3000


def heavy(form: str) -> pa.Table:
    """A lognormal column `x` that the labels depend on linearly, or by its logarithm."""
    draw = np.random.default_rng(0)
    u = draw.normal(size=N)
    x = np.exp(1.1 * u)
    o = 1.5 * u if form == "scores" else 2 * (x - x.mean()) / x.std()
    y = np.where(draw.random(N) < 1 / (1 + np.exp(-o)), "yes", "no")
    return pa.table({"x": x, "z": draw.normal(size=N), "y": y})


def test_fault_f5_on_the_command_line(run: Any, tmp_path: Path) -> None:
    path, model = tmp_path / "t.parquet", tmp_path / "m.softreg"
    pq.write_table(heavy("scores"), path)
    done = run("train", path, "--target", "y", "--model", model, "--as", "x=both", "--strength", "1e-3")
    assert done.exit_code == 0, done.output
    assert "x=score" in softreg.load(model).feature_names_out_
    for wrong in ("x=log", "=both", "x"):
        done = run("train", path, "--target", "y", "--as", wrong)
        assert done.exit_code == 2
        assert "COLUMN=scores" in done.stderr
    done = run("train", path, "--target", "y", "--model", model, "--terms=linear")
    assert "by normal scores: held-out log loss" in done.stderr
    assert "by normal scores: held-out log loss" in run("inspect", model).stdout


def test_fault_f6_the_commands_count_rows_over_batches(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, model = heavy("linear"), tmp_path / "m.softreg"
    pq.write_table(table, tmp_path / "t.parquet")
    x = table["x"].to_numpy().copy()
    x[[3, 1500, 2999]] = 5 * x.max()
    pq.write_table(table.set_column(0, "x", [x]), tmp_path / "new.parquet")
    done = run("train", tmp_path / "t.parquet", "--target", "y", "--model", model, "--quiet", "--terms=linear")
    assert done.exit_code == 0
    monkeypatch.setattr(file_readers, "MAX_BATCH_ROWS", 500)
    for command in ("predict", "evaluate"):
        done = run(command, model, tmp_path / "new.parquet")
        assert done.exit_code == 0, done.output
        assert done.stderr.count("3 of 3,000 rows (0.1%) hold a number far outside those of training") == 1
        assert "inf" not in done.stdout


def test_fault_f6_train_says_it_of_the_rows_held_out(run: Any, tmp_path: Path) -> None:
    table = heavy("linear")
    x = table["x"].to_numpy().copy()
    said = 0
    for row in range(6):  # some of these rows are held out
        x[row] = 5 * x[10:].max()
        pq.write_table(table.set_column(0, "x", [x]), tmp_path / "t.parquet")
        done = run("train", tmp_path / "t.parquet", "--target", "y", "--quiet", "--strength", "1e-3", "--seed", row)
        assert done.exit_code == 0
        assert "inf " not in done.stdout
        said += "held-out rows: column 'x': 1 of 600 rows" in done.stderr
        x[row] = 1.0
    assert 1 <= said <= 5
