"""Markdown whose text from models is shown as it is: escaped text, tables, and fenced code."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_CHARACTERS = 200
"""Characters of a name or label that are shown."""
MIN_FENCE = 3
"""Backticks of the fence of a code block, at least."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$^@]|:(?=//)|(?<=www)\.)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: str, longest: int = MAX_CHARACTERS) -> str:
    r"""Return text that Markdown shows as it is, in one line: each special character is escaped.

    Parameters
    ----------
    text : str
        Any text, such as a name of a column.
    longest : int
        Characters that are shown; an ellipsis stands for the others.

    Returns
    -------
    str
        Markdown; white space and control characters are single spaces, and text without any other is "(empty)".

    Examples
    --------
    >>> print(escape("a|b *c* <i>"))
    a\|b \*c\* &lt;i&gt;
    >>> escape("two\nlines"), escape("")
    ('two lines', '(empty)')
    """
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not plain:
        return "(empty)"
    plain = plain if len(plain) <= longest else plain[: longest - 1] + "…"
    return "".join(_ENTITIES.get(c, c) for c in _SPECIAL.sub(r"\\\1", plain))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    r"""Return the lines of a table.

    Parameters
    ----------
    header : sequence of str
        Names of the columns, as Markdown.
    rows : sequence of sequence of str
        Cells, as Markdown.

    Returns
    -------
    list of str
        Lines, an empty one at each end.

    Examples
    --------
    >>> table(["class", "rows"], [["yes", "12"]])
    ['', '| class | rows |', '| --- | --- |', '| yes | 12 |', '']
    """
    lines = [header, ["---"] * len(header), *rows]
    return ["", *(f"| {' | '.join(cells)} |" for cells in lines), ""]


def code_block(code: str, language: str) -> list[str]:
    """Return the lines of a block of code, in a fence that the code does not contain.

    Parameters
    ----------
    code : str
        The code.
    language : str
        Name of the language.

    Returns
    -------
    list of str
        Lines, an empty one at each end.

    Examples
    --------
    >>> code_block("x = 1", "python")
    ['', '```python', 'x = 1', '```', '']
    """
    runs = [len(run) for run in re.findall("`+", code)]
    fence = "`" * max(MIN_FENCE, *(run + 1 for run in runs), MIN_FENCE)
    return ["", f"{fence}{language}", code, fence, ""]


def listed(texts: Sequence[str], most: int) -> str:
    """Return texts, escaped and joined by commas; only the first ones, with the number of the others, where many.

    Parameters
    ----------
    texts : sequence of str
        Names, labels or levels.
    most : int
        Number that is shown.

    Returns
    -------
    str
        Markdown.

    Examples
    --------
    >>> listed(["a", "b", "c"], 2), listed(["a"], 2)
    ('a, b and 1 more', 'a')
    """
    shown = ", ".join(escape(text) for text in texts[:most])
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most:,} more"
