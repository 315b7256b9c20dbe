"""The site: every public name, every message in Chinese, no warning and no request to other hosts."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from urllib.parse import quote

import pytest

import softreg

SEARCHES = (
    ("en", "calibrating", "calibration"),
    ("zh", "交叉熵", "交叉熵"),
    ("zh", "熵", "熵"),
    ("zh", "SoftmaxRegression", "API"),
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DOCS = Path(__file__).parents[1] / "docs"
ROOMS = (
    "probability", "rows", "optimize", "models", "tables", "report", "cards", "sklearn", "export", "mlflow", "spark",
    "learn", "linear_probe", "monitor",
)  # fmt: skip
DIRECTIVE = re.compile(r"^\.\. (?:autoclass|autofunction|autodata|py:data):: (\S+)$", re.MULTILINE)
LOADED = re.compile(r"""<(?:script|img|iframe|link|source)\b[^>]*?\b(?:src|href)="(https?:)?//""")


def script(name: str) -> ModuleType:
    """A script of docs/, as a module."""
    pytest.importorskip("sphinx", reason="Sphinx is not installed")
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def public_names() -> dict[str, object]:
    """Every public name of softreg and of its packages."""
    names = {f"softreg.{name}": getattr(softreg, name) for name in softreg.__all__ if name != "__version__"}
    for room in ROOMS:
        try:
            module = importlib.import_module(f"softreg.{room}")
        except ImportError:  # an extra that is not installed
            continue
        names |= {f"softreg.{room}.{name}": getattr(module, name) for name in module.__all__}
    return names


def undocumented(names: dict[str, object], documented: list[str]) -> list[str]:
    """Names without an entry, where an object has an entry under any of its names."""
    known = {id(names[name]) for name in documented if name in names}
    return [name for name, value in names.items() if name not in documented and id(value) not in known]


def test_every_public_name_is_in_the_reference() -> None:
    names = public_names()
    documented = [name for page in sorted((DOCS / "api").glob("*.rst")) for name in DIRECTIVE.findall(page.read_text())]
    assert undocumented(names, documented) == []
    assert [name for name in documented if name not in names] == [], "entries of names that are not public"
    assert len(documented) == len(set(documented))


def test_a_name_without_an_entry_is_found() -> None:
    assert undocumented({"softreg.a": 1.5, "softreg.b": "b"}, ["softreg.b"]) == ["softreg.a"]


def test_translations_that_are_missing_or_differ_are_found(tmp_path: Path) -> None:
    translations = script("translations")
    messages = ["Fit the rows.", "Call `fit` once; see [the guide](guide.md).", "0.5 `x` **1,000**", "Old words here."]
    translations.update({"page": messages}, tmp_path)
    assert len(translations.complaints({"page": messages}, tmp_path)) == 3  # a figure needs no translation
    path = tmp_path / "page.po"
    text = path.read_text(encoding="utf-8")
    for message, translation in (
        ("Fit the rows.", "拟合这些行。"),
        (messages[1], "调用 `fit_all` 一次。"),
        ("Old words here.", "旧。"),
    ):
        text = text.replace(f'msgid "{message}"\nmsgstr ""', f'msgid "{message}"\nmsgstr "{translation}"')
    path.write_text(text, encoding="utf-8")
    changed = [*messages[:3], "Old words there."]
    translations.update({"page": changed}, tmp_path)
    found = translations.complaints({"page": changed}, tmp_path)
    assert [line.split(" in the translation")[0] for line in found] == [
        "page: the code 'fit' is missing",
        "page: the code 'fit_all' is not in the source",
        "page: the link 'guide.md' is missing",
        "page: no translation of 'Old words there.'",
    ]
    assert translations.complaints({"other": []}, tmp_path) == ["page.po: there is no such page"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("message", "repeats"),
    [
        ("The rows are fitted.", True),
        ("Weights `the` 0.5", False),
        ("Cover and Thomas, The elements of information theory (2006).", False),
    ],
)
def test_a_sentence_that_is_repeated_is_no_translation(tmp_path: Path, message: str, repeats: bool) -> None:
    translations = script("translations")
    translations.update({"page": [message]}, tmp_path)
    path = tmp_path / "page.po"
    text = path.read_text(encoding="utf-8")
    assert f'msgid "{message}"' in text
    path.write_text(text.replace(f'msgid "{message}"\nmsgstr ""', f'msgid "{message}"\nmsgstr "{message}"'), "utf-8")
    found = translations.complaints({"page": [message]}, tmp_path)
    assert found == [f"page: the translation repeats {message!r}"] * repeats


def test_every_message_is_translated(tmp_path: Path) -> None:
    translations = script("translations")
    found = translations.complaints(translations.extract(tmp_path))
    assert found == [], f"{len(found)} messages; run `make messages` and translate them"


@pytest.mark.slow
def test_the_site(tmp_path: Path) -> None:
    """It is built without a warning of Sphinx; all in one test, as the site is built once."""
    script("build_site").build(tmp_path)
    pages = sorted(page for language in ("en", "zh") for page in (tmp_path / language).rglob("*.html"))
    assert len(pages) > 80
    assert [str(page) for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []
    for page in pages:
        for link in re.findall(r'hreflang="[^"]*"[^>]*href="([^"#]+)"', page.read_text(encoding="utf-8")):
            assert (page.parent / link).resolve().exists(), f"{page}: {link}"
    check_search(tmp_path)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def check_search(site: Path) -> None:
    """The search finds pages in both languages, in a browser where there is one."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return
    if CHROMIUM is None:
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    errors: list[str] = []
    try:
        with sync_playwright() as tools:
            chromium = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = chromium.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            for language, query, found in SEARCHES:
                page.goto(f"http://127.0.0.1:{server.server_port}/{language}/search.html?q={quote(query)}")
                page.wait_for_selector("#search-results li", timeout=60_000)
                assert found.lower() in page.inner_text("#search-results").lower(), query
            chromium.close()
    finally:
        server.shutdown()
        server.server_close()
    assert errors == []


def test_a_request_to_another_host_is_found() -> None:
    assert LOADED.search('<script defer src="https://cdn.example/x.js">')
    assert not LOADED.search('<script src="_static/x.js"></script> <a href="https://example.org">')
