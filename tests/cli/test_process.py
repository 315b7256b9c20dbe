"""The command as a process: streams, exit codes, signals, a terminal, and how soon it answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from softreg.cli import main

# A fit that says it has begun and then takes for ever, in the place of the real one.
ENDLESS = """
import sys, time
import softreg.tables
def fit(self, *_, **__):
    print("fitting", file=sys.stderr, flush=True)
    time.sleep(60)
softreg.tables.TableClassifier.fit = fit
from softreg.cli import main
main(prog_name="softreg")
"""


def test_stdout_holds_the_object_alone(shell: Any, table: Path) -> None:
    files = ("--model", "m.softreg", "--report", "r.html")
    done = shell("train", "customers.csv", "--target", "buys", "--json", "--terms=linear", *files)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 400
    assert done.stdout.count("\n") == 1
    assert "strength " in done.stderr
    assert "\x1b" not in done.stderr + done.stdout  # no colours or cursor movements outside a terminal
    assert sorted(p.name for p in table.parent.iterdir()) == ["customers.csv", "m.softreg", "r.html"]


def test_an_error_is_one_paragraph_and_exit_code_2(shell: Any) -> None:
    done = shell("train", "missing.csv", "--target", "y")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("softreg: There is no file or folder 'missing.csv'")


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
def test_ctrl_c_ends_with_one_line_and_no_file(table: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    arguments = ["train", str(table), "--target", "buys", "--model", str(tmp_path / "m.softreg")]
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "fitting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err == "softreg: interrupted by Ctrl-C; no incomplete file was written.\n"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("option", ["--model", "--report"])
def test_ctrl_c_while_writing_leaves_what_stood_there(
    run: Any, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    ending = {"--model": "softreg", "--report": "html"}[option]
    old = tmp_path / f"old.{ending}"
    old.write_text("what stood there", "utf-8")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("softreg.atomic_files.os.replace", interrupt)
    done = run("train", table, "--target", "buys", option, old, "--terms=linear")
    assert done.exit_code == 130
    assert "interrupted by Ctrl-C" in done.stderr
    assert old.read_text("utf-8") == "what stood there"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["customers.csv", old.name])


def test_a_full_disk_is_a_complaint(run: Any, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "m.softreg")

    monkeypatch.setattr("softreg.atomic_files.os.fsync", full)
    done = run("train", table, "--target", "buys", "--quiet", "--model", tmp_path / "m.softreg", "--terms=linear")
    assert done.exit_code == 2
    assert done.stderr == "softreg: 'm.softreg' cannot be used: No space left on device.\n"
    assert [p.name for p in tmp_path.iterdir()] == ["customers.csv"]


@pytest.mark.skipif(os.name != "posix", reason="a pipe as POSIX has it")
def test_a_reader_that_leaves_ends_it_silently(trained: Path, tmp_path: Path) -> None:
    rows = "".join(f"{i % 60},pro,yes\n" for i in range(20_000))  # more than a pipe holds
    (tmp_path / "many.csv").write_text("age,plan,member\n" + rows, "utf-8")
    command = [sys.executable, "-m", "softreg", "predict", str(trained), str(tmp_path / "many.csv")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'"prediction"')
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(timeout=60)


@pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")
def test_a_terminal_shows_a_bar(table: Path, tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "softreg", "train", str(table), "--target", "buys", "--json", "--strength", "1e-4"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux ends a pseudo-terminal so
            break
        if not part:
            break
        seen += part
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0, seen
    assert json.loads(out)["rows"] == 400
    for words in (b"Fitting", "━".encode(), b"objective", b"gap"):
        assert words in seen


@pytest.mark.timing
def test_help_answers_at_once() -> None:
    best = min(seconds_of([sys.executable, "-m", "softreg", "--help"]) for _ in range(5))
    empty = min(seconds_of([sys.executable, "-c", "pass"]) for _ in range(5))
    assert best - empty < 0.3


def seconds_of(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


def test_the_group_can_be_called_from_python() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
