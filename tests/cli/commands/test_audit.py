"""`softreg audit` and `--cost`: probabilities from any file, and decisions by them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softreg.probability import log_loss, operating_point, softmax


def write_csv(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture
def predictions(tmp_path: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """A file of 600 rows with three classes, one of which never occurs, and another column."""
    random = np.random.default_rng(0)
    o = random.normal(scale=1.5, size=(600, 3)) - [0, 0, 40]
    P = softmax(o)
    y = (random.random(600) < P[:, 1]).astype(int)
    names = np.array(["no", "yes", "maybe"])
    rows = [[names[k], *map(repr, p.tolist()), f"text {i}"] for i, (k, p) in enumerate(zip(y, P, strict=True))]
    return write_csv(tmp_path / "p.csv", ["given", "no", "yes", "maybe", "note"], rows), P, y


def test_the_figures_are_those_of_the_columns(run: Any, predictions: tuple) -> None:
    path, P, y = predictions
    done = run("audit", path, "--target", "given", "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert (figures["rows"], figures["classes"]) == (600, 3)
    assert figures["log_loss"] == pytest.approx(log_loss(P, y))
    assert figures["log_loss_low"] < figures["log_loss"] < figures["log_loss_high"]
    assert figures["calibration_p"] > 0.01


def test_lines_for_a_person_and_a_report(run: Any, predictions: tuple, tmp_path: Path) -> None:
    path, _, _ = predictions
    done = run("audit", path, "--target", "given", "--report", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    for words in (
        "log loss",
        "95% interval",
        "calibration",
        "AUC",
        "mean of each class against the rest",
        "no, yes, maybe",
    ):
        assert words in done.stdout
    page = (tmp_path / "r.html").read_text()
    assert 'id="calibration"' in page
    assert 'id="training"' not in page  # nobody trained anything here
    assert re.search(r"text \d+", page)  # other columns stand beside the rows


def test_costs_decide(run: Any, predictions: tuple) -> None:
    path, P, y = predictions
    done = run("audit", path, "--target", "given", "--cost", "yes:no=20", "--cost", "no:yes=2")
    cost = np.array([[0, 2, 1], [20, 0, 1], [1, 1, 0]])
    paid = operating_point(P, y, cost).paid
    assert paid.low < paid.value < paid.high
    line = f"cost per row   {paid.value:.4g}  95% interval {paid.low:.4g} to {paid.high:.4g}; each row at its least"
    assert line in " ".join(done.stdout.split("\n"))


def test_predictions_of_predict_are_understood(run: Any, trained: Path, table: Path, tmp_path: Path) -> None:
    run("predict", trained, table, "--output", tmp_path / "p.csv")
    lines, given = (tmp_path / "p.csv").read_text().splitlines(), table.read_text().splitlines()
    joined = [f"{a},{b.split(',')[-1]}" for a, b in zip(lines, given, strict=True)]
    (tmp_path / "both.csv").write_text("\n".join(joined))
    ours = json.loads(run("audit", tmp_path / "both.csv", "--target", "buys", "--json").stdout)
    theirs = json.loads(run("evaluate", trained, table, "--json").stdout)
    for figure in ("log_loss", "accuracy", "calibration_gap", "calibration_p"):
        assert ours[figure] == pytest.approx(theirs[figure])


def test_evaluate_tells_costs_in_the_report_too(run: Any, trained: Path, table: Path, tmp_path: Path) -> None:
    done = run("evaluate", trained, table, "--cost", "007:none=3", "--report", tmp_path / "r.html")
    assert "best constant" in done.stdout
    page = (tmp_path / "r.html").read_text()
    assert "Costs of decisions" in page
    assert "Importance of columns" in page


@pytest.mark.parametrize(
    ("header", "rows", "options", "told"),
    [
        (["y", "a"], [["a", 1], ["b", 0], ["c", 0]], (), "The label 'b' in column 'y' has no column of probabilities"),
        (
            ["y", "a", "b"],
            [["a", 0.5, 0.2], ["b", 0.5, 0.5]],
            (),
            "of row 1 (counted from 1, without the header) sum",
        ),
        (["y", "a", "b"], [["a", 0.5, "?"], ["b", 0.5, 0.5]], (), "'b' must contain the probabilities of a class"),
        (["y", "a", "b"], [["a", 0.5, 0.5], ["b", 0.5, 0.5]], ("--cost", "a:c=1"), "--cost 'a:c=1' is not"),
        (["y", "a", "b"], [["a", 0.5, 0.5], ["b", 0.5, 0.5]], ("--cost", "a:b=x"), "--cost 'a:b=x' is not"),
    ],
)
def test_what_does_not_fit_is_told(
    run: Any, tmp_path: Path, header: list, rows: list, options: tuple, told: str
) -> None:
    path = write_csv(tmp_path / "p.csv", header, rows)
    done = run("audit", path, "--target", "y", *options)
    assert done.exit_code != 0
    assert told in " ".join(done.stderr.split())


def test_labels_with_colons_can_have_costs(run: Any, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "p.csv", ["y", "a:1", "b=2"], [["a:1", 0.5, 0.5], ["b=2", 0.5, 0.5]] * 5)
    done = run("audit", path, "--target", "y", "--cost", "a:1:b=2=7")
    assert done.exit_code == 0, done.output
    assert "cost per row" in done.stdout
