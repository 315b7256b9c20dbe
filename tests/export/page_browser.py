"""The page of a program in a browser, and what the tests read from it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from softreg.export import Program
from softreg.export.page.page import page_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class OpenPage:
    """An open page; `complaints` are messages of the console, errors, and requests for anything but the page."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Wait for the next frame, after which the answer is that of the values."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def probabilities(self) -> list[float]:
        """The exact probabilities that are shown, by class; nan for those among the others."""
        self.settle()
        found = self.page.evaluate(
            "() => [...document.querySelectorAll('#bars li:not([hidden])')].map("
            "(row) => [row.dataset.place, Number(row.dataset.probability)])"
        )
        return [p for _, p in sorted((int(place), p) for place, p in found if place != "others")]

    def predicted(self) -> Any:
        """The predicted class; None without a prediction."""
        self.settle()
        text = self.page.get_attribute("#answer", "data-label")
        return None if text is None else json.loads(text)

    def column(self, name: str) -> Any:
        """The group of controls of a column."""
        return self.page.get_by_role("group", name=name, exact=True)

    def changes(self) -> list[Any]:
        """The buttons that apply a change, once the search has ended."""
        self.page.wait_for_function(
            "() => !document.getElementById('changes').classList.contains('old')", timeout=60_000
        )
        return list(self.page.locator("#change-list button").all())


class Browser:
    """Chromium, which opens pages of programs as files."""

    def __init__(self, chromium: Any, folder: Path) -> None:
        self.chromium, self.folder, self.opened = chromium, folder, 0
        self.contexts: list[Any] = []

    def close_pages(self) -> None:
        """Close all pages."""
        while self.contexts:
            self.contexts.pop().close()

    def open(self, program: Program, *, width: int = 1280, dark: bool = False, fragment: str = "") -> OpenPage:
        """Open the page of a program."""
        return self.open_html(page_html(program), width=width, dark=dark, fragment=fragment)

    def open_html(self, text: str, *, width: int = 1280, dark: bool = False, fragment: str = "") -> OpenPage:
        """Open a page."""
        self.opened += 1
        path = self.folder / f"page{self.opened}.html"
        path.write_text(text, encoding="utf-8", newline="\n")
        context = self.chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
        )
        self.contexts.append(context)
        context.set_default_timeout(60_000)
        opened = OpenPage(context.new_page())
        own = path.as_uri()
        opened.page.on("console", lambda message: opened.complaints.append(f"{message.type}: {message.text}"))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on(
            "request",
            lambda request: (
                None
                if request.url.split("#")[0] == own or request.url.startswith("data:")
                else opened.complaints.append(request.url)
            ),
        )
        opened.page.goto(own + fragment)
        opened.settle()
        return opened


def open_browser(folder: Path) -> Any:
    """Yield a browser; skip where Playwright or Chromium is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield Browser(chromium, folder)
        chromium.close()
