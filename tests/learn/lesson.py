"""The interactive page in a browser, and the comparison of the numbers that it shows with those of softreg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from softreg.learn import learn_page

from ..export.page_browser import Browser, OpenPage, open_browser

TOLERANCE = 1e-12


@cache
def lesson() -> str:
    """The page."""
    return learn_page()


@dataclass
class LessonBrowser:
    """A browser that opens the lesson."""

    browser: Browser
    pages: dict[tuple[int, bool], OpenPage] = field(default_factory=dict)
    """Pages that serve several tests, by width and darkness: to load one again costs a third of a new one."""

    def open_html(self, text: str) -> OpenPage:
        """Open a page in a window of its own."""
        return self.browser.open_html(text)

    def open_lesson(self, *, width: int = 1280, dark: bool = False, fragment: str = "") -> OpenPage:
        """Load the lesson anew; what a page of this width showed before is gone."""
        if (width, dark) not in self.pages:
            opened = self.browser.open_html(lesson(), width=width, dark=dark, fragment=fragment)
            self.browser.contexts.remove(opened.page.context)  # not to be closed with the pages of a test
            self.pages[width, dark] = opened
            return opened
        opened = self.pages[width, dark]
        own = opened.page.url.split("#")[0]
        opened.page.goto("about:blank")
        opened.page.mouse.move(0, 0)
        opened.complaints.clear()
        opened.page.goto(own + fragment)
        opened.settle()
        return opened

    def visit(self, fragment: str, *, width: int = 1280) -> OpenPage:
        """Show the state of an address in the page of this width, as a link in it would, without loading it again."""
        opened = self.pages.get((width, False)) or self.open_lesson(width=width)
        opened.page.evaluate(
            "(fragment) => { history.replaceState(null, '', fragment); dispatchEvent(new Event('hashchange')); }",
            fragment,
        )
        opened.settle()
        return opened

    def close_opened(self) -> None:
        """Close the pages in windows of their own."""
        self.browser.close_pages()


def lesson_browser(folder: Path) -> Iterator[LessonBrowser]:
    """Yield a browser; skip where Playwright or Chromium is missing."""
    for browser in open_browser(folder):
        yield LessonBrowser(browser)


def address(part: str, state: Mapping[str, Any], **others: str) -> str:
    """The fragment that sets values of a part; lists are written with commas."""
    texts = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in state.items()}
    pairs = {**others, **{f"{part}.{name}" if "." not in name else name: text for name, text in texts.items()}}
    return "#" + "&".join(f"{name}={value}" for name, value in pairs.items())


def shown_numbers(opened: OpenPage, part: str) -> list[tuple[str, float]]:
    """Name and value of every number of a part, hidden ones included."""
    opened.settle()
    found = opened.page.evaluate(
        "(part) => [...document.querySelectorAll(`[data-name^='${part}.'][data-value]`)].map("
        "(node) => [node.dataset.name.slice(part.length + 1), node.dataset.value])",
        part,
    )
    return [(name, float(value.replace("Infinity", "inf"))) for name, value in found]


def assert_numbers(opened: OpenPage, part: str, expected: Mapping[str, float], *, tolerance: float = TOLERANCE) -> None:
    """Assert that a part shows exactly these numbers, each to the tolerance (relative for numbers above 1)."""
    shown = shown_numbers(opened, part)
    assert {name for name, _ in shown} == set(expected)
    wrong = [
        f"{part}.{name} is {value!r}, not {expected[name]!r}"
        for name, value in shown
        if not np.isclose(value, expected[name], rtol=tolerance, atol=tolerance)
    ]
    assert not wrong, "\n".join(wrong)
    assert opened.complaints == []
