"""The browser of the tests of the interactive page, and its pages that stay open for several tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lesson import LessonBrowser, lesson_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LessonBrowser]:
    """The browser of a module; skip where there is none."""
    yield from lesson_browser(tmp_path_factory.mktemp("lesson"))


@pytest.fixture(autouse=True)
def close_pages(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close the pages that a test opened in windows of their own."""
    yield
    if "browser" in request.fixturenames:
        request.getfixturevalue("browser").close_opened()
