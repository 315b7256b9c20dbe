"""Faults of commands found from outside: files that would be lost, costs, amounts, files that go."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import Result

import softreg
from softreg.tables import TableClassifier
from softreg.tables.io.sources import SourceFile

from .test_faults_mend3 import refused, run


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
    assert "is an input file of the command and would be overwritten" in refused(*filled, option, output)
    assert data.read_bytes() == before


def test_fault_1_the_model_that_is_read_is_kept(table: Path, tmp_path: Path) -> None:
    model, page = tmp_path / "m.softreg", tmp_path / "m.html"
    assert run("train", table, "--target", "y", "--strength", "0.1", "--model", model, "--quiet").exit_code == 0
    shutil.move(model, page)
    assert "would be overwritten" in refused("evaluate", page, table, "--report", page)
    other = tmp_path / "other.csv"
    assert run("statistics", table, "--target", "y", "--drop", "a", "--drop", "b", "--output", other).exit_code == 0
    assert run("statistics", table, "--target", "y", "--drop", "a", "--drop", "b", "--output", other).exit_code == 0


def audited(tmp_path: Path, *costs: str) -> Result:
    path = tmp_path / "p.csv"
    path.write_text(
        "y,no,yes\n" + "".join(f"{'yes' if i % 3 else 'no'},{0.2 + i % 5 / 10},{0.8 - i % 5 / 10}\n" for i in range(60))
    )
    return run("audit", path, "--target", "y", *(word for cost in costs for word in ("--cost", cost)))


def test_fault_8_gains_of_right_decisions_are_costs_below_0_and_those_of_wrong_ones_are_refused(tmp_path: Path) -> None:
    assert "cost per row" in audited(tmp_path, "yes:yes=-40", "yes:no=0").stdout
    assert "cost per row" in audited(tmp_path, "yes:yes=2", "yes:no=60").stdout
    for costs in (("yes:no=-1",), ("yes:yes=-2", "yes:no=-3")):
        done = audited(tmp_path, *costs)
        assert done.exit_code == 2
        assert "deciding 'no' where 'yes' is observed is a gain, and above that of the right decision" in done.stderr
    assert audited(tmp_path, "yes:yes=-3", "yes:no=-2").exit_code == 0


@pytest.mark.parametrize(("form", "told"), [("${}", "'$'"), ("{}%", "percent signs"), ("€ {}", "'€'")])
@pytest.mark.parametrize("comma", [False, True])
@pytest.mark.parametrize("asked", [(), ("--number", "c")])
def test_fault_9_numbers_with_a_sign_are_numbers(
    form: str, told: str, comma: bool, asked: tuple[str, ...], tmp_path: Path
) -> None:
    values = [form.format(f"{9417 + 7 * i}.15") for i in range(60)]
    if comma:
        values = [value.replace(",", "").replace(".", ",") for value in values]
    path = tmp_path / "f.tsv"
    path.write_text("c\ty\n" + "".join(f"{value}\t{'ab'[i * 7 % 5 > 2]}\n" for i, value in enumerate(values)))
    done = run("train", path, "--target", "y", "--strength", "0.1", *asked)
    assert done.exit_code == 0, done.stderr
    assert "column 'c' is read as numbers with" in done.stderr
    assert told in done.stderr
    assert ("decimal comma" in done.stderr) == comma


def test_fault_9_words_are_still_left_to_softreg() -> None:
    table = pa.table({"c": ["x1", "x2"] * 30, "y": ["a", "b"] * 30})
    with pytest.raises(softreg.tables.TableError, match=r"row 1 has 'x1'. Correct the value, treat it"):
        TableClassifier("y", number="c", strength=0.1).fit(table)


def test_fault_10_folders_without_files_and_files_that_go(table: Path, tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "_log.csv").write_text("x\n1\n")
    message = refused("train", folder, "--target", "y")
    assert "is a folder without data files (names that begin with a dot or an underscore do not count)" in message
    assert "name a file, a pattern" in message
    for name in ("p.csv", "p.parquet", "p.arrow", "p.jsonl", "p.csv.gz"):
        parts = [
            SourceFile(folder / name, name.split(".")[1].replace("jsonl", "json"), "gzip" if "gz" in name else None)
        ]
        monkeypatch.setattr("softreg.tables.io.open_table.find_source_files", lambda source, parts=parts: parts)
        message = refused("train", folder, "--target", "y")
        assert f"{name}' is no longer there: it was removed while the files were read. Run it again" in message
