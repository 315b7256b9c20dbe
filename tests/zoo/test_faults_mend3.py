"""Faults found from outside: files that would be lost, dates, names of features, costs; each with the right result."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from softreg.cli import main


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("softreg: ")
    assert "Traceback" not in result.output
    return result.stderr


def numbers_and_labels(rows: int = 60) -> str:
    lines = [
        f"{i * 37 % 11},{'a' if i * 7 % 5 > 2 else 'b'},{0.5 + i % 5 / 20},{0.5 - i % 5 / 20}" for i in range(rows)
    ]
    return "\n".join(["x,y,a,b", *lines]) + "\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "i.csv"
    path.write_text(numbers_and_labels())
    return path


@pytest.mark.parametrize(
    ("command", "option", "ending"),
    [
        ("statistics {data} --target y", "--output", ".csv"),
        ("train {data} --target y --strength 0.1", "--model", ".softreg"),
        ("train {data} --target y --strength 0.1", "--report", ".html"),
        ("predict {model} {data}", "-o", ".csv"),
        ("predict {model} {data}", "--output", ".tsv"),
        ("evaluate {model} {data} --target y", "--report", ".html"),
        ("audit {data} --target y", "--report", ".html"),
    ],
)
@pytest.mark.parametrize("how", ["file", "link", "folder", "pattern"])
def test_fault_1_an_output_that_is_an_input_is_refused(
    command: str, option: str, ending: str, how: str, table: Path, tmp_path: Path
) -> None:
    model = tmp_path / "m.softreg"
    if "{model}" in command:
        assert run("train", table, "--target", "y", "--strength", "0.1", "--model", model, "--quiet").exit_code == 0
    folder = tmp_path / "folder"
    folder.mkdir()
    data = folder / f"i{ending}"
    shutil.copy(table, data)
    if ending == ".tsv":
        data.write_text(data.read_text().replace(",", "\t"))
    before, output = data.read_bytes(), data
    if how == "link":
        output = tmp_path / f"link{ending}"
        output.symlink_to(data)
    source = {"folder": str(folder), "pattern": f"{folder}/*{ending}"}.get(how, str(data))
    filled = [part.format(data=source, model=model) for part in command.split()]
    assert "is a file that the command reads, which would be lost; name another" in refused(*filled, option, output)
    assert data.read_bytes() == before


def test_fault_1_the_model_that_is_read_is_kept(table: Path, tmp_path: Path) -> None:
    model, page = tmp_path / "m.softreg", tmp_path / "m.html"
    assert run("train", table, "--target", "y", "--strength", "0.1", "--model", model, "--quiet").exit_code == 0
    shutil.move(model, page)
    assert "which would be lost" in refused("evaluate", page, table, "--report", page)
    other = tmp_path / "other.csv"
    assert run("statistics", table, "--target", "y", "--drop", "a", "--drop", "b", "--output", other).exit_code == 0
    assert run("statistics", table, "--target", "y", "--drop", "a", "--drop", "b", "--output", other).exit_code == 0
