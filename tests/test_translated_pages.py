"""Translated pages are those of the English pages as they are now; `docs/translated_pages.py` has the rules."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]


def script(path: Path) -> ModuleType:
    """Import a file of `docs`, which is no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


translations = script(ROOT / "docs" / "translated_pages.py")
PAGES = translations.translations()
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

SOURCE = """# Title

[中文](PAGE.zh.md)

Text with a [link](docs/a.md).

## One

```python
x = "text"  # a comment
```

| a | b |
| --- | --- |
| 1 | 2 |

## Two

```
# no heading
```
"""
TRANSLATION = """# 标题

[English](PAGE.md)

带[链接](docs/a.md)的文字。

## 一

```python
x = "文本"  # 注释
```

| 甲 | 乙 |
| --- | --- |
| 1 | 2 |

## 二

```
# no heading
```
"""


def test_the_readme_and_the_notebook_are_translated() -> None:
    assert {"README.zh.md", "docs/notebooks/walkthrough.zh.md"} <= set(NAMES)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_translation_is_that_of_its_page(page: Path) -> None:
    source, text = translations.source_of(page).read_text("utf-8"), page.read_text("utf-8")
    changed = translations.changed_sections(source, text)
    remedy = f"translate these, then: python docs/translated_pages.py stamp {page.relative_to(ROOT)}"
    assert not changed, "\n".join(["changed since the translation:", *changed, remedy])
    assert not translations.differences(source, text)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_both_link_each_other_at_the_top(page: Path) -> None:
    source = translations.source_of(page)
    for here, there in ((source, page), (page, source)):
        top = "\n".join(here.read_text("utf-8").splitlines()[:5])
        assert f"]({there.name})" in top or f"]({there.with_suffix('.ipynb').name})" in top


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_emphasis_beside_chinese_punctuation_is_emphasis(page: Path) -> None:
    html = MarkdownIt().enable("table").render(translations.FENCE.sub("", page.read_text("utf-8")))
    assert "**" not in re.sub("<code>.*?</code>", "", html, flags=re.DOTALL)


def test_the_code_of_the_readme_is_the_same_to_the_letter() -> None:
    blocks = [translations.FENCE.findall((ROOT / name).read_text("utf-8")) for name in ("README.md", "README.zh.md")]
    assert blocks[0] == blocks[1]


# The checks are shown pages that must fail.


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A translated page, with its stamp."""
    (tmp_path / "PAGE.md").write_text(SOURCE, "utf-8")
    (tmp_path / "PAGE.zh.md").write_text(TRANSLATION, "utf-8")
    assert translations.stamp(tmp_path / "PAGE.zh.md") == []
    return tmp_path / "PAGE.zh.md"


def test_a_stamp_is_written_once(page: Path) -> None:
    stamped = page.read_text("utf-8")
    assert translations.stamp(page) == []
    assert page.read_text("utf-8") == stamped
    assert stamped.startswith(TRANSLATION)
    assert translations.changed_sections(SOURCE, stamped) == []
    assert translations.changed_sections(SOURCE, TRANSLATION) == ["the translation has no stamp"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("Text with", "More text with", ["changed: Title"]),
        ("| 1 | 2 |", "| 1 | 3 |", ["changed: One"]),
        ("# a comment", "# another comment", ["changed: One"]),
        ("## Two", "## Three", ["new: Three", "gone: Two"]),
        ("# no heading", "# still no heading", ["changed: Two"]),
        ("## Two", "## New\n\nText.\n\n## Two", ["new: New"]),
    ],
)
def test_a_changed_section_is_named(page: Path, before: str, after: str, told: list[str]) -> None:
    assert translations.changed_sections(SOURCE.replace(before, after), page.read_text("utf-8")) == told


def test_sections_in_another_order_are_told(page: Path) -> None:
    title, one, two = SOURCE.partition("## One")[0], *SOURCE[SOURCE.index("## One") :].split("## Two")
    swapped = f"{title}## Two{two}\n{one}"
    assert translations.changed_sections(swapped, page.read_text("utf-8")) == ["the order of the sections has changed"]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("## 二", "### 二", "levels of headings: [1, 2, 2] in the source, [1, 2, 3] in the translation"),
        ("| 1 | 2 |\n", "", "rows of tables: 3 in the source, 2 in the translation"),
        ("docs/a.md", "docs/b.md", "link only in the source: docs/a.md"),
        ('x = "文本"', 'y = "文本"', 'block 1 differs: y = "文本"  # 注释'),
        ("# no heading", "# 不是标题", "block 2 differs: # 不是标题"),
        ("```\n# no heading\n```\n", "", "blocks of code: 2 in the source, 1 in the translation"),
    ],
)
def test_another_structure_is_told_and_not_stamped(page: Path, before: str, after: str, told: str) -> None:
    page.write_text(page.read_text("utf-8").replace(before, after), "utf-8")
    changed = page.read_text("utf-8")
    assert told in translations.stamp(page)
    assert page.read_text("utf-8") == changed


def test_texts_and_comments_of_python_may_differ() -> None:
    assert translations.same_code("f('a', f'{x:8} b')  # c", "f('甲', f'{x:4} 乙')", "python")
    assert not translations.same_code("f('a', f'{x:8} b')", "f('甲', f'{y:8} 乙')", "python")
    assert not translations.same_code("f('a', 1)", "f('甲', 2)", "python")
    assert not translations.same_code("ls # a", "ls # 甲", "sh")


def test_the_command_names_wrong_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert translations.main(["stamp", "README.md"]) == 2
    assert "README.md is no translation" in capsys.readouterr().out
    assert translations.main(["paint"]) == 2
    assert translations.main(["stamp"]) == 2
