"""`softreg probe`: a table of strengths, a model, a report, and errors without a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import softreg
from softreg.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["probe", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random = np.random.default_rng(0)
    means = random.normal(size=(7, 8)) * 1.5
    for name in ("train", "test"):
        y = random.integers(0, 7, 400)
        np.save(tmp_path / f"{name}.npy", (means[y] + random.normal(size=(400, 8))).astype(np.float16))
        (tmp_path / f"{name}.txt").write_text("\n".join(map(str, y)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_table_has_every_strength_and_the_chosen_one() -> None:
    result = run("train.npy", "train.txt", "--test", "test.npy", "test.txt", "--strengths", "1e-1,1e-2,1e-3")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("chosen") == 1
    for text in ("test log loss", "test top-5", "calibration", "float16", "proved by duality"):
        assert text in result.stdout
    assert result.stderr.count("held-out log loss") == 3


def test_the_json_is_that_of_python(folder: Path) -> None:
    result = run("train.npy", "train.txt", "--strengths", "1e-1,1e-2", "--json", "--quiet", "--save", "m.softreg")
    said = json.loads(result.stdout)
    expected = softreg.probe("train.npy", "train.txt", strengths=[1e-1, 1e-2])
    assert said["strength"] == expected.strength
    assert said["log_loss"] == pytest.approx(expected.log_loss.value)
    assert [s["strength"] for s in said["strengths"]] == [0.1, 0.01]
    assert said["strengths"][0]["accuracy_low"] < said["strengths"][0]["accuracy"]
    model = softreg.load(folder / "m.softreg")
    assert np.allclose(model.coef_, expected.model.coef_)
    assert "softreg" not in result.stderr.replace("m.softreg", "")


def test_the_report_has_the_path_and_no_coefficients(folder: Path) -> None:
    result = run("train.npy", "train.txt", "--report", "r.html", "--unit-rows", "--save", "m.softreg")
    assert result.exit_code == 0, result.output
    page = (folder / "r.html").read_text()
    assert "Linear probe of train.npy" in page
    assert "strength of the penalty" in page
    assert "coefficient" not in page.lower().split("glossary")[0]
    assert "rows of unit length" in result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tran.npy", "train.txt"), "no file 'tran.npy'. Nearest by name: 'train.npy'"),
        (("train.npy", "labels.txt"), "no file 'labels.txt'"),
        (("train.npy", "nothing"), "holds one array (400, 8) without a name, so there is no 'nothing' in it"),
        (("train.npy", "train.txt", "--strengths", "weak"), "neither auto nor numbers with commas"),
        (("train.npy", "train.txt", "--save", "m.pkl"), "should end in .softreg"),
        (("train.npy", "train.txt", "--report", "train.npy"), "should end in .html"),
        (("train.npy", "train.txt", "--folds", "1"), "--folds"),
    ],
)
def test_errors_name_the_file_and_the_way_out(arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_missing_torch_is_an_error_of_the_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "X.pt").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    result = run("X.pt", "train.txt")
    assert (result.exit_code, "pip install 'softreg[torch]'" in result.stderr) == (2, True)
