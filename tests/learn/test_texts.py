"""Texts of the interactive page: both languages have the same keys and placeholders, and the scripts use each key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

import softreg.learn
from softreg.learn import learn_page
from softreg.learn.page import LANGUAGES, PARTS, read_texts

FOLDER = Path(softreg.learn.__file__).parent
NAMES = ("frame", *PARTS)


def placeholders(text: str) -> set[str]:
    """Names in braces outside formulas."""
    return set(re.findall(r"\{(\w+)\}", re.sub(r"`[^`]*`", "", text)))


def scripts(part: str) -> str:
    """The scripts that may use the texts of a part."""
    paths = [*(FOLDER / "parts" / part).glob("*.js"), *(FOLDER / "script").glob("*.js")]
    return "\n".join(path.read_text("utf-8") for path in paths)


def used_keys(source: str) -> re.Pattern[str]:
    """A pattern of the keys that a script can name: its strings, with anything in place of `${...}`."""
    strings = [text for pair in re.findall(r'"([\w. -]+)"|`([\w. ${}()+*-]+)`', source) for text in pair if text]
    return re.compile("|".join(re.sub(r"\\\$\\\{.*?\\\}", r"[\\w.-]+", re.escape(text)) for text in strings))


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_keys_and_placeholders(name: str) -> None:
    english, chinese = (read_texts(name, lang) for lang in LANGUAGES)
    assert list(english) == list(chinese)
    for key, text in english.items():
        assert placeholders(text) == placeholders(chinese[key]), key
        assert text.count("`") % 2 == chinese[key].count("`") % 2 == 0, key
        assert all(one and one.strip() == one for one in (text, chinese[key])), key


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_used(name: str) -> None:
    used = used_keys(scripts(name))
    questions = r"\.(\w+)$"  # the choices of a question and of radio buttons are strings of their own
    unused = [
        key
        for key in read_texts(name, "en")
        if not used.fullmatch(key)
        and not (used.fullmatch(re.sub(questions, "", key)) and used.fullmatch(key.rsplit(".", 1)[-1]))
        and not (key.startswith("h.") and used.fullmatch(key[2:]))
    ]
    assert not unused


def test_no_text_is_left_in_the_other_language() -> None:
    for name in NAMES:
        for key, text in read_texts(name, "en").items():
            assert key == "language" or not re.search(r"[一-鿿]", text), (name, key)
        for key, text in read_texts(name, "zh").items():
            has_words = re.search(r"[A-Za-z]{4,}", re.sub(r"`[^`]*`|\{\w+\}|softmax|softreg|logit|argmax", "", text))
            assert not has_words or re.search(r"[一-鿿]", text), (name, key)
            assert not re.search(r"[一-鿿][,;:?!]|[,;:?!][一-鿿]", re.sub(r"`[^`]*`", "", text)), (name, key)


LONGEST_LINE = 140


def long_lines(source: str) -> list[str]:
    """Lines of a script that are too long."""
    return [line for line in source.splitlines() if len(line) > LONGEST_LINE]


def unused_names(sources: Sequence[str]) -> list[str]:
    """Functions, classes and constants at the top of scripts that no script uses."""
    names = [
        name for source in sources for name in re.findall(r"^(?:function|class|const) (\w+)", source, re.MULTILINE)
    ]
    found = Counter(
        re.findall(r"\w+", "\n".join(re.sub(r"//[^\n]*|/\*.*?\*/", "", one, flags=re.DOTALL) for one in sources))
    )
    return [name for name in names if found[name] < 2]


def test_the_rules_of_scripts_see() -> None:
    assert long_lines("x" * 140 + "\n" + "y" * 141) == ["y" * 141]
    assert unused_names(["function f() {}\nconst used = 1;", "/* f() */\nclass C extends used {}"]) == ["f", "C"]


def test_lines_of_scripts_are_short_and_their_names_are_used() -> None:
    sources = [path.read_text("utf-8") for path in FOLDER.rglob("*.js")]
    assert [line for source in sources for line in long_lines(source)] == []
    assert unused_names(sources) == []


def test_the_page_is_one_file_without_references() -> None:
    page = learn_page()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)", page)
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "import(",
    ):
        assert forbidden not in page, forbidden
    assert "default-src 'none'" in page


def test_another_language_is_an_error_that_names_the_choices() -> None:
    with pytest.raises(ValueError, match="'fr' is not a language of the page; choose from en, zh"):
        learn_page("fr")
