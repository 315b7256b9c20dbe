"""`softreg learn`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Any

import pytest

from softreg.learn import learn_page


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a browser was asked to open; the browser starts."""
    addresses: list[str] = []

    def open_address(address: str) -> bool:
        addresses.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_address)
    return addresses


def test_the_page_is_written_and_opened(
    run: Any, opened: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("learn")
    assert done.exit_code == 0, done.output
    page = tmp_path / "softreg-learn.html"
    assert page.read_text("utf-8") == learn_page()
    assert opened == [page.as_uri()]
    assert done.stdout == ""
    assert "softreg-learn.html" in done.stderr
    assert sorted(tmp_path.iterdir()) == [page]


def test_the_language_and_the_file_are_options(run: Any, opened: list[str], tmp_path: Path) -> None:
    done = run("learn", "-o", tmp_path / "lesson.htm", "--lang", "zh", "--no-open")
    assert done.exit_code == 0, done.output
    assert '<html lang="zh">' in (tmp_path / "lesson.htm").read_text("utf-8")
    assert opened == []
    assert run("learn", "--lang", "fr").exit_code == 2


@pytest.mark.parametrize("error", [None, webbrowser.Error("none"), FileNotFoundError()])
def test_a_machine_without_a_browser_is_told(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    def no_browser(address: str) -> bool:
        if error is not None:
            raise error
        return False

    monkeypatch.setattr(webbrowser, "open", no_browser)
    done = run("learn", "-o", tmp_path / "lesson.html")
    assert done.exit_code == 0, done.output
    assert "no browser on this machine" in done.stderr
    assert "lesson.html" in done.stderr
    assert (tmp_path / "lesson.html").exists()


@pytest.mark.parametrize(("name", "words"), [("lesson.pdf", ".html or .htm"), ("none/lesson.html", "does not exist")])
def test_a_file_that_cannot_be_written_is_an_error(
    run: Any, opened: list[str], tmp_path: Path, name: str, words: str
) -> None:
    done = run("learn", "-o", tmp_path / name)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert opened == []
