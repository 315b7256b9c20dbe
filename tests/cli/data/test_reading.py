"""Options that error messages advise: kinds of columns in `statistics`, `--bad-rows` where rows are read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import softreg
from softreg.cli import main

SOURCE = Path(softreg.__file__).parent
SKIP = ("--target", "buys", "--bad-rows", "skip", "--terms=linear", "--quiet")


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """Rows of which one has too many fields, one no label and one a word in a column of numbers."""
    random = np.random.default_rng(0)
    lines = [f"{x:.3f},{'abc'[i % 3]},{'yes' if x + e > 0 else 'no'}"
             for i, (x, e) in enumerate(random.normal(size=(300, 2)))]  # fmt: skip
    lines[10] += ",extra"
    lines[20] = "0.5,a,"
    lines[30] = "oops,a,no"
    path = tmp_path / "messy.csv"
    path.write_text("\n".join(["x,plan,buys", *lines]) + "\n", "utf-8")
    return path


def test_every_option_that_an_error_advises_is_there_in_the_commands_that_read_tables() -> None:
    advised = set()
    for path in (SOURCE / "tables").rglob("*.py"):
        advised |= set(re.findall(r"(?<![-\w])--[a-z]+(?:-[a-z]+)*", path.read_text("utf-8")))
    kinds = {"--drop", "--text", "--category", "--number", "--date"}
    assert kinds | {"--encoding", "--bad-rows"} <= advised
    for name in ("train", "statistics"):
        assert kinds | {"--encoding", "--bad-rows"} <= options(name)
    for name in ("predict", "evaluate", "audit"):
        assert {"--encoding", "--bad-rows"} <= options(name)


def options(command: str) -> set[str]:
    assert isinstance(main, click.Group)
    return {name for parameter in main.commands[command].params for name in parameter.opts}


def test_statistics_leave_out_bad_rows_and_take_columns_for_what_is_asked(run: Any, messy: Path) -> None:
    refused = run("statistics", str(messy), "--target", "buys")
    assert refused.exit_code == 2
    done = run("statistics", str(messy), "--target", "buys", "--bad-rows", "skip", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 297
    assert "row 11" in done.stderr
    assert "left out: row 21." in done.stderr
    assert "left out: 31" in done.stderr
    text = messy.read_text("utf-8").replace(",a,", ",1,").replace(",b,", ",2,").replace(",c,", ",3,")
    messy.write_text(text, "utf-8")
    asked = run("statistics", str(messy), "--target", "buys", "--bad-rows", "skip", "--category", "plan", "--json")
    assert asked.exit_code == 0, asked.stderr
    assert json.loads(asked.stdout)["reference_levels"].keys() == {"plan"}


def test_evaluate_and_audit_leave_out_bad_rows(run: Any, messy: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "m.softreg", tmp_path / "p.csv"
    trained = run("train", str(messy), *SKIP, "--model", str(model))
    assert trained.exit_code == 0, trained.stderr
    assert run("evaluate", str(model), str(messy)).exit_code == 2
    done = run("evaluate", str(model), str(messy), "--bad-rows", "skip", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 297
    assert "left out: row 21." in done.stderr
    assert "left out: 31" in done.stderr
    out.write_text("no,yes,buys\n0.25,0.75,yes\n0.5,0.5\n0.75,0.25,no\n0.5,0.5,\n0.5,0.5,yes\n", "utf-8")
    audited = run("audit", str(out), "--target", "buys", "--bad-rows", "skip", "--json")
    assert audited.exit_code == 0, audited.stderr
    assert json.loads(audited.stdout)["rows"] == 3


def test_evaluate_says_so_where_no_row_can_be_used(run: Any, messy: Path, tmp_path: Path) -> None:
    model, none = tmp_path / "m.softreg", tmp_path / "none.csv"
    run("train", str(messy), *SKIP, "--model", str(model))
    none.write_text("x,plan,buys\n1.0,a,\n2.0,b,\n", "utf-8")
    done = run("evaluate", str(model), str(none), "--bad-rows", "skip")
    assert done.exit_code == 2
    assert "None of the 2 rows can be used" in done.stderr
