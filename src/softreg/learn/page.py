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
"""Languages of the page; each text has a file for each of them."""
PARTS = ("image", "loss", "training", "information", "calibration", "quiz")
"""Parts of the lesson in order; each is `parts/NAME.js`, and `parts/NAME_*.js` before it where there are such files."""
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
    parts = {part: sources for part in PARTS if (sources := _part_sources(folder / "parts", part))}
    texts = {one: {name: read_texts(name, one) for name in ("frame", *parts)} for one in LANGUAGES}
    script = "\n".join(
        [
            '"use strict";\n{',
            f"const VERSION = {_literal(__version__)}, TEXTS = {_literal(texts)};",
            *(_read(folder / "script" / name) for name in SCRIPTS),
            *("{\n" + "\n".join(sources) + "\n}" for sources in parts.values()),
            "start();\n}",
        ]
    )
    style = "\n".join([_read(folder / "page.css"), *_styles(folder / "parts")])
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
    texts: dict[str, str] = json.loads(_read(files(__package__) / "text" / f"{name}.{lang}.json"))
    return texts


def _part_sources(folder: Traversable, part: str) -> list[str]:
    """Return the sources of a part: `PART_*.js` in alphabetical order, then `PART.js`; none where it has no file."""
    names = sorted(one.name for one in folder.iterdir() if one.name.endswith(".js"))
    own = [name for name in names if name.startswith(f"{part}_")] + [name for name in names if name == f"{part}.js"]
    return [_read(folder / name) for name in own]


def _styles(folder: Traversable) -> list[str]:
    """Return the style sheets of the parts, in alphabetical order."""
    return [_read(folder / name) for name in sorted(one.name for one in folder.iterdir()) if name.endswith(".css")]


def _read(file: Traversable) -> str:
    """Return the text of a file of this folder."""
    return file.read_text(encoding="utf-8")


def _literal(value: object) -> str:
    """Return a value as a literal of JavaScript that can stand inside a `script` element."""
    return json.dumps(value).replace("<", "\\u003c")
