"""What a person reads: true, in plain words, on lines of their own, whatever stands in the file."""

from __future__ import annotations

import errno
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from softreg.atomic_files import atomic_path
from softreg.cli.console.aligned_text import MIN_SHOWN_GAP, align_columns, format_labels
from softreg.cli.console.command_errors import _os_error_text
from softreg.cli.console.progress_bars import show_fit_progress
from softreg.optimize import Progress


def complaint(done: Any) -> str:
    """The one line on stderr."""
    assert done.exit_code == 2, (done.output, done.exception)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("softreg: ")
    return str(lines[0])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train",), "Missing argument 'DATA'. See `softreg train --help`."),
        (("train", "t.csv"), "There is no file or folder 't.csv'"),
        (("train", "t.csv", "--target", "y", "--strength", "much"), "'much' is not a valid"),
        (("trian", "t.csv"), "Did you mean 'train'? See `softreg --help`."),
        (("--verison",), "See `softreg --help`."),
    ],
)
def test_a_command_that_is_not_understood_is_told_in_one_line(run: Any, arguments: tuple[str, ...], told: str) -> None:
    assert told in complaint(run(*arguments))


def test_labels_that_the_model_does_not_know_are_named_with_column_and_row(run: Any, table: Path) -> None:
    model = table.with_name("m.softreg")
    run("train", table, "--target", "buys", "--model", model, "--quiet", "--terms=linear")
    other = table.with_name("other.csv")
    lines = table.read_text("utf-8").splitlines()
    for row, label in ((3, "perhaps"), (5, "later"), (6, "perhaps")):  # counted from 1, without the header
        lines[row] = lines[row].rsplit(",", 1)[0] + "," + label
    other.write_text("\n".join(lines) + "\n", "utf-8")
    said = complaint(run("evaluate", model, other))
    assert "Column 'buys' has the label 'perhaps' in row 3" in said
    assert "3 of 400 rows" in said
    assert "007, none" in said


def test_warnings_wait_until_the_bar_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *_, **__: told.append(str(message)))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with show_fit_progress(1e-6) as listener:
            warnings.warn("left out", UserWarning, stacklevel=1)
            assert told == []
            listener(Progress(passes=1, value=0.3, gap=1e-3, seconds=0.1))
        assert told == ["left out"]
        warnings.warn("later", UserWarning, stacklevel=1)
    assert told == ["left out", "later"]


def test_no_figure_claims_more_digits_than_arithmetic_has(
    run: Any, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with show_fit_progress(1e-6) as listener:
        listener(Progress(passes=9, value=0.3, gap=4.7e-20, seconds=0.1))
    assert "gap 1.0e-12 nats" in capsys.readouterr().err
    model = table.with_name("m.softreg")
    done = run("train", table, "--target", "buys", "--json", "--quiet", "--strength", "0.1", "--model", model)
    assert json.loads(done.stdout)["gap"] >= MIN_SHOWN_GAP
    assert json.loads(run("inspect", model, "--json").stdout)["gap"] >= MIN_SHOWN_GAP


def test_what_moves_the_cursor_is_shown_as_an_escape(run: Any, tmp_path: Path) -> None:
    assert align_columns([("a\x1b[31m", "b\nc")], indent="") == r"a\x1b[31m  b\nc"
    assert align_columns([("größe 🙂", "x"), ("12345678", "y")], indent="") == "größe 🙂  x\n12345678  y"
    rows = "".join(f'{i % 7},"y{i % 2}\nz"\n' for i in range(60))
    (tmp_path / "t.csv").write_text("a\x1b[31m,t\n" + rows, "utf-8")
    done = run("train", tmp_path / "t.csv", "--target", "t", "--terms=linear")
    assert done.exit_code == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert r"y0\nz, y1\nz" in done.stdout


def test_long_labels_are_cut() -> None:
    assert format_labels(["x" * 99, "y"]) == "x" * 39 + "…, y"


def test_a_full_disk_is_told_in_words_with_the_file(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "p.csv"):
            raise OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space left on device")

    with pytest.raises(OSError) as caught:  # noqa: PT011
        fill()
    assert _os_error_text(caught.value) == f"{str(tmp_path / 'p.csv')!r} cannot be used: No space left on device."
    assert list(tmp_path.iterdir()) == []
    unnamed = OSError(errno.ENOSPC, "anything")
    assert _os_error_text(unnamed) == "The result could not be written: No space left on device."


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_result_that_finds_no_room_is_an_error(shell: Any, table: Path) -> None:
    code = "import sys; sys.stdout = open('/dev/full', 'w'); from softreg.cli import main; main(prog_name='softreg')"
    options = ("--model", "m.softreg", "--quiet", "--terms=linear")
    assert shell("train", table, "--target", "buys", *options).returncode == 0
    done = shell("predict", "m.softreg", table, code=code)
    assert done.returncode == 2
    assert done.stderr == "softreg: The result could not be written: No space left on device.\n"


def test_a_folder_in_the_place_of_a_result_is_named_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "m.softreg").mkdir()

    def write() -> None:
        with atomic_path(tmp_path / "m.softreg") as draft:
            draft.write_bytes(b"x")

    with pytest.raises(OSError) as caught:  # noqa: PT011
        write()
    assert caught.value.filename == str(tmp_path / "m.softreg")
    assert caught.value.filename2 is None


def test_the_list_of_commands_has_whole_sentences(run: Any) -> None:
    assert "..." not in run("--help").stdout.split("Commands:")[1]


def test_a_fit_without_penalty_is_called_one(run: Any, table: Path) -> None:
    model = table.with_name("m.softreg")
    run("train", table, "--target", "buys", "--model", model, "--quiet", "--strength", "0")
    assert re.search(r"strength +no penalty", run("inspect", model).stdout)
