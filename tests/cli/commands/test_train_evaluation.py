"""What `softreg train` keeps of its evaluation in the model file, and what `softreg inspect` says of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

import softreg
from softreg.tables import labels, read_table

from ..conftest import customers, write_csv


def trained_on(run: Any, folder: Path, *arguments: Any) -> tuple[Any, dict[str, Any]]:
    """The evaluation in the file, and what the command printed."""
    done = run(
        "train", *arguments, "--target", "buys", "--model", folder / "m.softreg", "--json", "--quiet", "--terms=linear"
    )
    assert done.exit_code == 0, done.output
    return softreg.load(folder / "m.softreg").evaluation_, json.loads(done.stdout)


def assert_same(kept: Any, printed: dict[str, Any]) -> None:
    """The file has the figures that were printed."""
    for name in ("log_loss", "accuracy", "brier"):
        score = getattr(kept, name)
        ends = (printed[name], printed[f"{name}_low"], printed[f"{name}_high"])
        assert (score.value, score.low, score.high) == pytest.approx(ends, rel=1e-12)
    assert kept.calibration_error.value == printed["calibration_error"]
    assert kept.calibration_error.high == printed["calibration_error_high"]


def test_the_file_keeps_what_was_printed(run: Any, table: Path, tmp_path: Path) -> None:
    kept, printed = trained_on(run, tmp_path, table, "--seed", 5)
    assert_same(kept, printed)
    assert (kept.rows, kept.held_out, kept.training_rows) == (80, 80, 320)
    assert kept.method == "a random sample, stratified by class"
    assert (kept.data, kept.seed, kept.version) == ("customers.csv", 5, softreg.__version__)
    assert (kept.groups, kept.weighted) == (None, False)
    y = labels(read_table(table), "buys")
    frequency = np.unique(y, return_counts=True)[1]
    counted = np.multiply(kept.training_frequencies, 320) + np.multiply(kept.frequencies, 80)
    assert counted == pytest.approx(frequency)


def test_inspect_shows_the_main_figures(run: Any, table: Path, tmp_path: Path) -> None:
    kept, printed = trained_on(run, tmp_path, table)
    text = run("inspect", tmp_path / "m.softreg").stdout
    assert f"{kept.log_loss.value:.4f} nats ± {kept.log_loss_error:.4f} (1 SE)" in text
    assert f"{kept.baseline_log_loss:.4f} nats by the class frequencies of the training rows alone" in text
    assert "a random sample, stratified by class: 80 rows" in text
    assert "320 rows of customers.csv, seed 0" in text
    record = json.loads(run("inspect", tmp_path / "m.softreg", "--json").stdout)["evaluation"]
    for name in ("log_loss", "log_loss_low", "log_loss_high", "accuracy", "brier_high", "calibration_error"):
        assert record[name] == pytest.approx(printed[name], rel=1e-12)
    assert record["training_rows"] == 320
    assert "reliability" not in record


def test_a_file_without_an_evaluation_says_nothing(run: Any, table: Path, tmp_path: Path) -> None:
    model = softreg.TableClassifier("buys", strength=1e-3).fit(table)
    model.save(tmp_path / "m.softreg")
    assert json.loads(run("inspect", tmp_path / "m.softreg", "--json").stdout)["evaluation"] is None
    assert "evaluated on" not in run("inspect", tmp_path / "m.softreg").stdout


@pytest.mark.parametrize("memory", ["low", "high"])
def test_rows_of_another_file(run: Any, table: Path, tmp_path: Path, memory: str) -> None:
    other = write_csv(tmp_path / "other.csv", *customers(100, seed=9))
    kept, printed = trained_on(run, tmp_path, table, "--test", other, "--memory", memory)
    assert_same(kept, printed)
    assert kept.method == "the rows of the file 'other.csv'"
    assert (kept.rows, kept.held_out, kept.training_rows) == (100, 100, 400)
    share = np.mean(labels(read_table(table), "buys") == "none")
    assert kept.training_frequencies == pytest.approx([1 - share, share])


def test_batches(run: Any, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softreg.tables.fit.table_scan.SAMPLE", 50)
    kept, printed = trained_on(run, tmp_path, table, "--memory", "low", "--strength", "0.01")
    assert_same(kept, printed)
    assert kept.method == "a random sample"
    assert kept.rows == 50 < kept.held_out
    assert kept.held_out + kept.training_rows == 400
    counts = np.multiply(kept.training_frequencies, kept.training_rows)
    assert counts == pytest.approx(counts.round())


def test_rare_classes_are_counted_as_trained(run: Any, tmp_path: Path) -> None:
    header, rows = customers(200)
    for row, label in zip(rows[:2], ["one", "two"], strict=True):
        row[-1] = label
    data = write_csv(tmp_path / "rare.csv", header, rows)
    for memory in ("high", "low"):
        kept, _ = trained_on(run, tmp_path, data, "--rare", "pool", "--memory", memory, "--strength", "0.01")
        assert kept.classes == ("007", "none", "other")
        counts = np.multiply(kept.training_frequencies, kept.training_rows)
        assert counts == pytest.approx(counts.round())
        assert counts[2] in (1, 2)


def test_weights_groups_and_time(run: Any, table: Path, tmp_path: Path) -> None:
    rows = read_table(table)
    n = rows.num_rows
    weights = np.arange(n) % 4
    group, day = np.arange(n) // 5, np.arange(n)
    more = {"w": weights, "person": group, "day": day}
    for name, values in more.items():
        rows = rows.append_column(name, pa.array(values))
    pa_csv.write_csv(rows, tmp_path / "more.csv")
    data = tmp_path / "more.csv"
    weighted, _ = trained_on(run, tmp_path, data, "--weights", "w", "--drop", "person,day", "--strength", "0.01")
    assert weighted.weighted
    assert weighted.held_out + weighted.training_rows == np.count_nonzero(weights)
    total = weights[labels(rows, "buys") == "007"].sum() / weights.sum()
    assert weighted.training_frequencies[0] == pytest.approx(total, abs=0.03)
    scanned, _ = trained_on(
        run, tmp_path, data, "--weights", "w", "--drop", "person,day", "--strength", "0.01", "--memory", "low"
    )
    assert (scanned.weighted, scanned.training_frequencies, scanned.baseline_log_loss) == (True, None, None)
    grouped, _ = trained_on(run, tmp_path, data, "--groups", "person", "--drop", "w,day", "--strength", "0.01")
    assert grouped.method == "whole groups of the column 'person', with nearly the same share of each class"
    assert grouped.groups == math.ceil(grouped.rows / 5)
    latest, _ = trained_on(run, tmp_path, data, "--time", "day", "--drop", "w,person", "--strength", "0.01")
    assert latest.method.startswith("the latest rows by the column 'day'")
    assert (latest.rows, latest.training_rows) == (80, 320)


def test_the_name_of_the_data_has_no_folder(run: Any, table: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    kept, _ = trained_on(run, tmp_path, f"../{tmp_path.name}/customers.csv", "--strength", "0.01")
    assert kept.data == "customers.csv"
    assert str(tmp_path) not in (tmp_path / "m.softreg").read_bytes().decode("latin-1")
