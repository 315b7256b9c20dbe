"""`softreg statistics`: its options, its files, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ...people import people, with_gaps


def test_options_of_the_command(run: Any, tmp_path: Path) -> None:
    data = tmp_path / "people.csv"
    with_gaps().assign(times=np.arange(500) % 3 + 1).to_csv(data, index=False)
    out, effects = tmp_path / "coefficients.csv", tmp_path / "effects.csv"
    done = run(
        "statistics", data, "--target", "buys", "--weights", "times", "--reference-level", "town=Ulm", "--level", "0.9",
        "--output", out, "--effects", effects, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["weights"] == {"column": "times", "kind": "frequency"}
    assert told["missing"] == {"buys": 3, "age": 20, "town": 10, "member": 2}
    assert told["rows_left_out"] == 30
    assert told["reference_levels"] == {"town": "Ulm"}
    assert told["level"] == 0.9
    assert told["overall"]["kind"] == "likelihood ratio"
    assert "Note: 30 of 500 rows left out" in done.stderr
    with out.open() as file:
        lines = list(csv.DictReader(file))
    assert [line["column"] for line in lines] == ["(intercept)", "age", "town=Bonn", "town=Kiel", "member=yes", "child"]
    assert lines[0]["odds_ratio"] == ""
    assert float(lines[1]["odds_ratio"]) == pytest.approx(np.exp(float(lines[1]["estimate"])))
    assert float(lines[1]["odds_ratio_lower"]) == pytest.approx(np.exp(float(lines[1]["lower"])))
    with effects.open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["effect"]) for line in lines] == pytest.approx(told["effects"]["effect"])
    assert {line["class"] for line in lines} == {"no", "yes"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--weight-kind", "sampling"], "requires the column of weights"),
        (["--reference-level", "Ulm"], "expected COLUMN=LEVEL"),
        (["--reference-level", "town=Rome"], "its levels are 'Bonn', 'Kiel', 'Ulm'"),
        (["--reference-level", "town=Ulm", "--reference-level", "town=Kiel"], "twice"),
        (["--level", "95"], "must be between 0 and 1"),
        (["--weights", "street"], "no column of weights 'street'"),
        (["--formula", "open('a')"], "may call only"),
        (["--formula", "buys ~ age"], None),
        (["--missing", "error"], "30 of 500 rows lack a value|3 of 500 rows lack a value"),
        (["--weights", "buys"], "is the target"),
    ],
)
def test_the_command_refuses_in_one_paragraph(run: Any, tmp_path: Path, more: list[str], told: str | None) -> None:
    data = tmp_path / "people.csv"
    with_gaps().to_csv(data, index=False)
    done = run("statistics", data, "--target", "buys", *more)
    assert done.exit_code == (0 if told is None else 2), done.output
    assert "Traceback" not in done.output
    if told is not None:
        assert any(part in done.stderr for part in told.split("|"))


def test_a_formula_names_the_target_of_the_command(run: Any, tmp_path: Path) -> None:
    data = tmp_path / "people.csv"
    people().to_csv(data, index=False)
    done = run("statistics", data, "--formula", "buys ~ age * town + bs(age, df=4)")
    assert done.exit_code == 0, done.output
    assert "age:town" in done.stdout
    assert "There is no target" in run("statistics", data, "--formula", "age * town").stderr
    assert "There is no target" in run("statistics", data).stderr
