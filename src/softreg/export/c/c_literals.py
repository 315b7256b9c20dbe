"""Numbers, texts, tables and comments in C."""

from __future__ import annotations

import math
from collections.abc import Iterable

from softreg.export.export_errors import ExportError

LONGEST_LITERAL = 4095
"""Bytes of a string literal that every C99 compiler accepts."""
LINE_LENGTH = 112
"""Characters of a line of a table, without its indentation."""
SHOWN = 40
"""Characters of a refused text that a message shows."""
FIRST_PRINTABLE, LAST_PRINTABLE = 0x20, 0x7E
"""Codes of the printable characters of ASCII."""
ESCAPED = frozenset(b'"\\?@$`')
"""Bytes that a literal holds as octal escapes beside those that are not printable: `??` begins trigraphs, and C99 has
no `@`, `$` and backquote."""


def double_literal(value: float) -> str:
    """Return a float64 as a C expression of the same value.

    Parameters
    ----------
    value : float
        Any number.

    Returns
    -------
    str
        Decimal digits, or an expression of the macros of math.h.

    Examples
    --------
    >>> double_literal(0.1), double_literal(float("-inf"))
    ('0.1', '(-(double)INFINITY)')
    """
    number = float(value)
    if math.isnan(number):
        return "(double)NAN"
    if math.isinf(number):
        return "(double)INFINITY" if number > 0 else "(-(double)INFINITY)"
    return repr(number)


def utf8_text(text: str, what: str) -> bytes:
    """Return the UTF-8 bytes of a text that a C string holds.

    Parameters
    ----------
    text : str
        The text.
    what : str
        What it is, for messages.

    Returns
    -------
    bytes
        UTF-8.

    Raises
    ------
    ExportError
        If it has a zero character, no UTF-8, or more bytes than a literal may have.

    Examples
    --------
    >>> len(utf8_text("naïve", "Level"))
    6
    """
    shown = repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:
        raise ExportError(f"{what} {shown} is no valid Unicode text, so the C header cannot hold it.") from None
    if b"\0" in data:
        raise ExportError(f"{what} {shown} has a zero character, where every C string ends. Rename it before training.")
    if len(data) > LONGEST_LITERAL:
        raise ExportError(
            f"{what} {shown} has {len(data):,} bytes, and a text of C99 at most {LONGEST_LITERAL:,}. Shorten it before "
            "training."
        )
    return data


def string_literal(text: str, what: str) -> str:
    r"""Return a text as a C string literal of its UTF-8 bytes, in ASCII.

    Parameters
    ----------
    text : str
        The text.
    what : str
        What it is, for messages.

    Returns
    -------
    str
        Literal with quotes. Escapes are octal and have three digits, so that no digit after one belongs to it.

    Raises
    ------
    ExportError
        As `utf8_text`.

    Examples
    --------
    >>> print(string_literal('é1 "??/"', "Level"))
    "\303\2511 \042\077\077/\042"
    """
    characters = (
        chr(byte) if FIRST_PRINTABLE <= byte <= LAST_PRINTABLE and byte not in ESCAPED else f"\\{byte:03o}"
        for byte in utf8_text(text, what)
    )
    return f'"{"".join(characters)}"'


def comment_text(text: str) -> str:
    r"""Return a text for a comment in ASCII, which it neither ends nor continues on the next line.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
        The text in quotes, with Python's escapes and a blank within `*/`, `/*` and `??`.

    Examples
    --------
    >>> print(comment_text("a*/ b\n??/ 名"))
    "a* / b\n? ?/ \u540d"
    """
    plain = ascii(text)[1:-1]
    for pair in ("*/", "/*", "??"):
        while pair in plain:
            plain = plain.replace(pair, " ".join(pair))
    return f'"{plain}"'


def table(declaration: str, items: Iterable[str]) -> str:
    """Return the definition of an array of constants.

    Parameters
    ----------
    declaration : str
        Type and name.
    items : iterable of str
        Literals; at least one, since C has no empty arrays.

    Returns
    -------
    str
        Definition, in lines of limited length.

    Examples
    --------
    >>> print(table("double a", ["1.0", "2.0"]), end="")
    static const double a[2] = {
      1.0, 2.0
    };
    """
    lines, width, count = [], 0, 0
    line: list[str] = []
    for item in items:
        if line and width + len(item) > LINE_LENGTH:
            lines.append(", ".join(line))
            line, width = [], 0
        line.append(item)
        width += len(item) + 2
        count += 1
    lines.append(", ".join(line))
    return f"static const {declaration}[{count}] = {{\n  " + ",\n  ".join(lines) + "\n};\n"


def double_table(name: str, values: Iterable[float]) -> str:
    """Return the definition of an array of doubles.

    Parameters
    ----------
    name : str
        Name of the array.
    values : iterable of float
        At least one number.

    Returns
    -------
    str
        Definition.

    Examples
    --------
    >>> print(double_table("a", [1, 0.5]), end="")
    static const double a[2] = {
      1.0, 0.5
    };
    """
    return table(f"double {name}", (double_literal(value) for value in values))


def text_table(name: str, texts: Iterable[str], what: str) -> str:
    r"""Return the definition of an array of texts.

    Parameters
    ----------
    name : str
        Name of the array.
    texts : iterable of str
        At least one text.
    what : str
        What each is, for messages.

    Returns
    -------
    str
        Definition.

    Raises
    ------
    ExportError
        As `utf8_text`.

    Examples
    --------
    >>> print(text_table("a", ["x", "é"], "Level"), end="")
    static const char *const a[2] = {
      "x", "\303\251"
    };
    """
    return table(f"char *const {name}", (string_literal(text, what) for text in texts))
