"""`softreg train` on tables that memory does not hold, and fits that are killed and taken up again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from softreg import load
from softreg.rows.checkpoint import FILE_NAME

# A training that is killed, as by the system, when the fit itself has made some passes.
KILLED = """
import os, signal, sys
from softreg.models import SoftmaxRegression
def passes(self):
    def listener(now):
        if now.passes >= 2:
            os.kill(os.getpid(), signal.SIGKILL)
    return listener
SoftmaxRegression._on_progress = passes
from softreg.cli import main
main(prog_name="softreg")
"""


def figures(done: Any) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("strength", ["auto", "1e-3"])
def test_batches_give_nearly_the_figures_of_memory(run: Any, table: Path, tmp_path: Path, strength: str) -> None:
    arguments = ("train", table, "--target", "buys", "--json", "--strength", strength, "--terms=linear")
    low = figures(run(*arguments, "--memory", "low", "--model", tmp_path / "low.softreg"))
    high = figures(run(*arguments, "--memory", "high"))
    assert (low["rows"], low["columns"], low["classes"]) == (400, 3, 2)
    assert low["log_loss"] == pytest.approx(high["log_loss"], abs=0.15)  # other rows are held out
    assert low["gap"] <= 1e-6
    again = run("evaluate", tmp_path / "low.softreg", table, "--json")
    assert figures(again)["log_loss"] == pytest.approx(high["log_loss"], abs=0.15)


def test_a_sample_is_told(run: Any, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softreg.tables.fit.table_scan.SAMPLE", 60)
    done = run("train", table, "--target", "buys", "--memory", "low", "--terms=linear")
    assert done.exit_code == 0, done.output
    assert "60 of these evaluated" in done.stdout
    assert "chosen on a sample of 60 of the" in done.stderr
    assert "strength 0.1" in done.stderr
    assert "pass " in done.stderr


def test_seeds_hold_other_rows_out(run: Any, table: Path) -> None:
    words = ("train", table, "--target", "buys", "--memory", "low", "--terms=linear", "--json", "--quiet", "--seed")
    losses = [figures(run(*words, seed)) for seed in (0, 1, 0)]
    assert losses[0]["log_loss"] == losses[2]["log_loss"] != losses[1]["log_loss"]


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize(("memory", "strength"), [("low", "auto"), ("high", "1e-6")])
def test_a_killed_fit_is_taken_up(run: Any, table: Path, tmp_path: Path, memory: str, strength: str) -> None:
    folder = tmp_path / "kept"

    def arguments(name: str) -> list[str]:
        words = ["train", table, "--target", "buys", "--memory", memory, "--strength", strength, "--terms=linear"]
        return [*map(str, words), "--quiet", "--model", str(tmp_path / name), "--checkpoint", str(folder)]

    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments("m.softreg")], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (folder / FILE_NAME).stat().st_size > 0
    assert not (tmp_path / "m.softreg").exists()
    done = run(*arguments("m.softreg"), "--resume")
    assert done.exit_code == 0, done.output
    assert not (folder / FILE_NAME).exists()
    whole = run(*arguments("whole.softreg"))
    assert whole.exit_code == 0, whole.output
    continued, never = load(tmp_path / "m.softreg"), load(tmp_path / "whole.softreg")
    assert continued.model_.coef_.tobytes() == never.model_.coef_.tobytes()
    assert continued.model_.intercept_.tobytes() == never.model_.intercept_.tobytes()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--resume"], "--checkpoint DIR"),
        (["--resume", "--checkpoint", "none"], "There is no fit to resume in 'none'"),
        (["--checkpoint", "kept", "--strength", "0"], "strength above 0"),
        (["--memory", "low", "--report", "r.html"], "--report requires all rows in memory"),
        (["--memory", "low", "--bad-rows", "skip"], "--bad-rows skip requires all rows in memory"),
        (["--memory", "low", "--test-size", "1e-9"], "None of the 400 rows is held out"),
    ],
)
def test_what_cannot_be(run: Any, table: Path, given: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(table.parent)
    done = run("train", table, "--target", "buys", *given)
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [p.name for p in table.parent.iterdir()] == [table.name]
