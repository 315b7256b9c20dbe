"""Options whose value is left out: a default, or an error, but never the next option as the value."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import click
import pytest

from softreg.cli import main


@pytest.fixture
def model(run: Any, table: Path, tmp_path: Path) -> Path:
    """A model with intervals."""
    path = tmp_path / "m.softreg"
    done = run("train", table, "--target", "buys", "--strength", "1e-3", "--model", path, "--intervals")
    assert done.exit_code == 0, done.output
    return path


def test_an_interval_without_a_level_has_0_95(run: Any, table: Path, model: Path, tmp_path: Path) -> None:
    expected = run("predict", model, table, "--interval", "0.95")
    assert expected.exit_code == 0, expected.output
    head = expected.stdout.splitlines()[0]
    assert head.endswith('"none_low","none_high"')
    out = tmp_path / "p.csv"
    for arguments in (["--interval", model, table], [model, "--interval", table], [model, table, "--interval"],
                      [model, table, "--interval", "95%"], [model, table, "--interval=95%"],
                      ["--interval", "--", model, table]):  # fmt: skip
        done = run("predict", *arguments)
        assert (done.exit_code, done.stdout) == (0, expected.stdout), done.stderr
    done = run("predict", model, table, "--interval", "--output", out)
    assert done.exit_code == 0, done.output
    assert out.read_text("utf-8") == expected.stdout
    other = run("predict", model, table, "--interval", "0.5").stdout
    low = [[float(row["none_low"]) for row in csv.DictReader(text.splitlines())] for text in (expected.stdout, other)]
    assert all(a < b for a, b in zip(*low, strict=True))


@pytest.mark.parametrize(
    ("level", "told"),
    [
        ("95", "95 must be between 0 and 1, such as 0.95. Write 0.95 for 95%."),
        ("1", "must be between 0 and 1"),
        ("0%", "must be between 0 and 1"),
        ("nan", "nan must be between 0 and 1"),
        ("-0.5", "must be between 0 and 1"),
        ("1e400", "must be between 0 and 1"),
    ],
)
def test_a_level_that_is_none(run: Any, table: Path, model: Path, level: str, told: str) -> None:
    for command in (["predict", model, table, "--interval"], ["statistics", table, "--target", "buys", "--level"]):
        done = run(*command, level)
        assert (done.exit_code, done.stdout) == (2, "")
        assert told in done.stderr
        assert done.stderr.count("\n") == 1


def test_no_option_takes_another_one_as_its_value(run: Any) -> None:
    tried = 0
    for name, command in main.commands.items():
        options = [one for one in command.params if isinstance(one, click.Option)]
        names = [one.opts[0] for one in options]
        for option in options:
            if option.is_flag or option.count or option.opts[0] == "--interval":
                continue
            for follows in (names[0], f"{names[-1]}=x"):
                done = run(name, option.opts[0], follows)
                assert done.exit_code == 2
                told = f"Option {option.opts[0]!r} requires an argument, and the option {follows.partition('=')[0]!r}"
                assert told in done.stderr
                assert f"{name} --help" in done.stderr
                tried += 1
    assert tried > 150


def test_a_column_with_the_name_of_an_option(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("--model,a\n" + "".join(f"{'xy'[k % 2]},{k * k % 7}\n" for k in range(60)), "utf-8")
    done = run("train", path, "--target=--model", "--strength", "1e-2", "--quiet")
    assert done.exit_code == 0, done.output
    assert "--target=--model.)" in run("train", path, "--target", "--model", "--quiet").stderr
