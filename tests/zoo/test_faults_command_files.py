"""Faults of commands: outputs that overwrite inputs, folders without files, files that disappear."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from softreg.tables.io.sources import SourceFile

from .helpers import run, run_refused


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
    assert "is an input file of the command and would be overwritten" in run_refused(*filled, option, output)
    assert data.read_bytes() == before


def test_fault_1_the_model_that_is_read_is_kept(table: Path, tmp_path: Path) -> None:
    model, page = tmp_path / "m.softreg", tmp_path / "m.html"
    assert run("train", table, "--target", "y", "--strength", "0.1", "--model", model, "--quiet").exit_code == 0
    shutil.move(model, page)
    assert "would be overwritten" in run_refused("evaluate", page, table, "--report", page)
    other = tmp_path / "other.csv"
    assert run("statistics", table, "--target", "y", "--drop", "a", "--drop", "b", "--output", other).exit_code == 0
    assert run("statistics", table, "--target", "y", "--drop", "a", "--drop", "b", "--output", other).exit_code == 0


def test_fault_10_folders_without_files_and_files_that_go(table: Path, tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "_log.csv").write_text("x\n1\n")
    message = run_refused("train", folder, "--target", "y")
    assert "is a folder without data files (names that begin with a dot or an underscore do not count)" in message
    assert "name a file, a pattern" in message
    for name in ("p.csv", "p.parquet", "p.arrow", "p.jsonl", "p.csv.gz"):
        parts = [
            SourceFile(folder / name, name.split(".")[1].replace("jsonl", "json"), "gzip" if "gz" in name else None)
        ]
        monkeypatch.setattr("softreg.tables.io.open_table.find_source_files", lambda source, parts=parts: parts)
        message = run_refused("train", folder, "--target", "y")
        assert f"{name}' no longer exists: it was removed while the files were read. Run it again" in message
