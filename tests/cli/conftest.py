"""Small tables and a way to call the command."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from softreg.cli import main

Run = Callable[..., Result]
Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run() -> Run:
    """Call `softreg ...` in this process; stdout and stderr apart."""
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Call `python -m softreg ...` as a person does, in a folder of its own."""

    def call(*arguments: object, code: str | None = None) -> subprocess.CompletedProcess[str]:
        start = ["-m", "softreg"] if code is None else ["-c", code]
        command = [sys.executable, *start, *map(str, arguments)]
        environment = {**os.environ, "PYTHONWARNINGS": "default"}
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment, timeout=120
        )

    return call


def write_csv(path: Path, header: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def customers(n: int = 400, seed: int = 0) -> tuple[list[str], list[list[object]]]:
    """Numbers (some missing), a category, a boolean, and a label that depends on all of them."""
    draw = np.random.default_rng(seed)
    age = draw.normal(45, 12, n).round(1)
    plan = draw.choice(["basic", "family", "pro"], n)
    member = draw.choice(["no", "yes"], n)
    push = (age - 45) / 12 + 1.5 * (plan == "pro") - (plan == "basic") + (member == "yes")
    buys = draw.random(n) < 1 / (1 + np.exp(-push))
    shown = np.where(draw.random(n) < 0.1, "", age.astype(str))
    label = np.where(buys, "007", "none")
    return ["age", "plan", "member", "buys"], [list(r) for r in zip(shown, plan, member, label, strict=True)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """customers.csv with the target `buys`."""
    return write_csv(tmp_path / "customers.csv", *customers())


@pytest.fixture
def trained(run: Run, table: Path, tmp_path: Path) -> Path:
    """A model file trained on customers.csv."""
    done = run("train", table, "--target", "buys", "--model", tmp_path / "m.softreg", "--quiet", "--terms=linear")
    assert done.exit_code == 0, done.output
    return tmp_path / "m.softreg"
