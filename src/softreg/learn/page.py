"""The interactive page as one HTML file that needs no server and makes no request."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from string import Template

from softreg.content_policy import content_policy
from softreg.version import __version__

LANGUAGES = ("en", "zh")
"""Languages of the page; the frame and each part have their texts in a file for each of them, such as `en.json`."""
PARTS = ("image", "loss", "training", "information", "calibration", "quiz")
"""Parts of the lesson in order; each is a folder `parts/NAME` with `NAME.js`, texts, perhaps helpers and `NAME.css`."""
SCRIPTS = (
    *("elements.js", "texts.js", "softmax.js", "colours.js", "address.js", "widgets.js", "figures.js", "frame.js"),
    *("random.js", "distributions.js", "plots.js"),
)
"""Sources of the frame in the order in which they are joined; they share one block scope, which parts see."""


def learn_page(lang: str = "en") -> str:
    """Return the interactive page about softmax regression as HTML.

    The page is a single file without references to others, and its Content-Security-Policy forbids every request. It is
    in English and Chinese; readers can switch between them.

    Parameters
    ----------
    lang : {"en", "zh"}
        Language with which the page opens.

    Returns
    -------
    str
        The page, to be written as UTF-8.

    Raises
    ------
    ValueError
        If the language is another.

    Examples
    --------
    >>> learn_page("zh").splitlines()[:2]
    ['<!doctype html>', '<html lang="zh">']
    """
    if lang not in LANGUAGES:
        raise ValueError(f"lang={lang!r} is not a language of the page; choose from {', '.join(LANGUAGES)}")
    folder = files(__package__)
    texts = {one: {name: read_texts(name, one) for name in ("frame", *PARTS)} for one in LANGUAGES}
    script = "\n".join(
        [
            '"use strict";\n{',
            f"const VERSION = {_literal(__version__)}, TEXTS = {_literal(texts)};",
            *(_read(folder / "script" / name) for name in SCRIPTS),
            *("{\n" + "\n".join(_part_sources(part)) + "\n}" for part in PARTS),
            "start();\n}",
        ]
    )
    style = "\n".join([_read(folder / "page.css"), _read(folder / "script" / "plots.css"), *_styles()])
    return Template(_read(folder / "page.html")).substitute(
        lang=lang,
        title=html.escape(texts[lang]["frame"]["title"]),
        policy=content_policy(script, style),
        style=style,
        script=script,
    )


def read_texts(name: str, lang: str) -> dict[str, str]:
    """Return the texts of the frame or of a part in one language, by key.

    Parameters
    ----------
    name : str
        "frame" or the name of a part.
    lang : str
        The language.

    Returns
    -------
    dict
        Text of each key.
    """
    folder = files(__package__) / "script" if name == "frame" else _part_folder(name)
    texts: dict[str, str] = json.loads(_read(folder / f"{lang}.json"))
    return texts


def _part_folder(part: str) -> Traversable:
    """Return the folder of a part."""
    return files(__package__) / "parts" / part


def _part_sources(part: str) -> list[str]:
    """Return the sources of a part: its helpers in alphabetical order, then `PART.js`."""
    names = [one.name for one in _part_folder(part).iterdir() if one.name.endswith(".js")]
    names.sort(key=lambda name: (name == f"{part}.js", name))
    return [_read(_part_folder(part) / name) for name in names]


def _styles() -> list[str]:
    """Return the style sheets of the parts that have one."""
    return [_read(sheet) for part in PARTS if (sheet := _part_folder(part) / f"{part}.css").is_file()]


def _read(file: Traversable) -> str:
    """Return the text of a file of this folder."""
    return file.read_text(encoding="utf-8")


def _literal(value: object) -> str:
    """Return a value as a literal of JavaScript that can stand inside a `script` element."""
    return json.dumps(value).replace("<", "\\u003c")
