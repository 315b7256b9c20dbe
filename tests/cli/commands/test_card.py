"""`softreg card`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softreg


def test_a_card_is_written_to_a_file_or_to_stdout(run: Any, trained: Path, tmp_path: Path) -> None:
    done = run("card", trained, "-o", tmp_path / "CARD.md")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    text = (tmp_path / "CARD.md").read_text("utf-8")
    expected = softreg.model_card(softreg.load(trained), file="m.softreg", version=softreg.__version__)
    assert text == expected
    assert run("card", trained).stdout == text
    assert run("card", trained, "-o", "-").stdout == text
    assert "a random sample, stratified by class (80 rows)" in text
    assert "softreg predict m.softreg new.csv" in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize("estimator", [softreg.SoftmaxRegression(), softreg.SoftmaxRegressionCV([0.1, 0.01], cv=2)])
def test_models_of_arrays(run: Any, tmp_path: Path, estimator: Any) -> None:
    estimator.fit(np.arange(20.0)[:, None] % 7, np.arange(20) % 2).save(tmp_path / "m.softreg")
    done = run("card", tmp_path / "m.softreg")
    assert done.exit_code == 0, done.output
    assert "The file holds no evaluation on held-out rows." in done.stdout


def test_errors_name_the_file_and_leave_it(run: Any, trained: Path, tmp_path: Path) -> None:
    before = trained.read_bytes()
    (tmp_path / "link.md").symlink_to(trained)
    for output, words in (
        (tmp_path / "link.md", "would be overwritten"),
        (trained, "should end in .md or .markdown"),
        (tmp_path / "none" / "CARD.md", "does not exist; create it first"),
        (tmp_path, "should end in .md"),
    ):
        done = run("card", trained, "-o", output)
        assert (done.exit_code, done.stdout) == (2, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
    assert trained.read_bytes() == before
    missing = run("card", tmp_path / "other.softreg")
    assert (missing.exit_code, "There is no model file" in missing.stderr) == (2, True)
    (tmp_path / "x.softreg").write_text("no model")
    damaged = run("card", tmp_path / "x.softreg", "-o", tmp_path / "CARD.md")
    assert (damaged.exit_code, "is not a model file of softreg" in damaged.stderr) == (2, True)
    assert not (tmp_path / "CARD.md").exists()
