"""`softreg statistics --model`: the tests of the terms of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import softreg
from softreg import TableClassifier
from softreg.tables import Terms


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The rows of a fit, other rows, and the model."""
    random = np.random.default_rng(0)
    x, z = random.uniform(-2, 2, 600), random.normal(size=600)
    y = np.where(random.random(600) < 1 / (1 + np.exp(-2 * np.sin(2 * x))), "yes", "no")
    frame = pd.DataFrame({"x": x.round(3), "z": z.round(3), "y": y})
    paths = tmp_path / "fit.csv", tmp_path / "other.csv", tmp_path / "m.softreg"
    frame[:300].to_csv(paths[0], index=False)
    frame[300:].to_csv(paths[1], index=False)
    TableClassifier("y", terms=Terms("linear", smooth=["x", "z"])).fit(paths[0]).save(paths[2])
    return paths


def test_the_tests_are_those_of_python(run: Any, files: tuple[Path, Path, Path]) -> None:
    fit, other, path = files
    model = softreg.load(path)
    done = run("statistics", fit, "--model", path)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"{model.term_tests(fit)}\n"
    done = run("statistics", other, "--model", path, "--refit", "--json")
    found, expected = json.loads(done.stdout), model.term_tests(other, refit=True)
    assert found["refit"]
    assert found["rows"] == 300
    assert [test["p_value"] for test in found["tests"]] == pytest.approx(expected.frame()["p_value"])
    assert not found["tests"][0]["searched"]


def test_refusals(run: Any, files: tuple[Path, Path, Path]) -> None:
    fit, other, path = files
    done = run("statistics", other, "--model", path)
    assert done.exit_code == 2
    assert "other.csv does not have exactly the rows of the fit" in done.stderr
    assert "with --refit" in done.stderr
    assert "--refit fits the terms of a model to DATA" in run("statistics", fit, "--target", "y", "--refit").stderr
    assert "--target and --model exclude each other" in run("statistics", fit, "--target", "y", "--model", path).stderr
    monotone = path.with_name("monotone.softreg")
    TableClassifier("y", terms=Terms("linear", monotone={"x": "+"})).fit(fit).save(monotone)
    assert "with bounds (monotone terms have them)" in run("statistics", fit, "--model", monotone).stderr
    softreg.SoftmaxRegression(0.1).fit([[0.0], [1.0]], [0, 1]).save(path)
    assert "was fitted to an array" in run("statistics", fit, "--model", path).stderr
