"""Lines at the end of a text file that are no rows, such as the source of the figures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from softreg.tables.columns.errors import pluralize, quote_list

MAX_FOOTNOTES = 20
"""Lines that are left out as footnotes, at most."""
_WORDS = frozenset(("total", "totals", "sum", "source", "sources", "end", "eof", "note", "notes", "average", "mean"))
_RULE = re.compile(r"[-=*_~\s]{3,}")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Footnotes:
    """The line, from 1, at which the footnotes begin, and their text."""

    line: int
    lines: tuple[str, ...]


def is_footnote(fields: list[str], width: int, *, blanks: bool = False) -> bool:
    """Whether a row at the end of a table of `width` columns is no row of it: one field with several words, or blank.

    A single word, which may be what is left of a row that was cut off, is one only where it is usual. Where `blanks`
    separate the fields, a sentence is several fields; it has a colon or stands in parentheses.

    Example:
        >>> is_footnote(["Source: own survey"], 4), is_footnote(["5.1"], 4), is_footnote(["Total"], 4)
        (True, False, True)
    """
    filled = [field.strip() for field in fields if field.strip()]
    if blanks and len(filled) > 1:
        filled = [" ".join(filled)] if any(sign in field for field in filled for sign in ":()") else filled
    if len(fields) >= width or len(filled) > 1:
        return False
    if not filled:
        return len(fields) == 1
    text = filled[0]
    if text[0].isdigit() or '"' in text:
        return False
    if _RULE.fullmatch(text):
        return True
    several = len(text.split()) > 1 or text.endswith((":", ")"))
    return bool(_LETTER.search(text)) and (several or text.casefold().rstrip(":.") in _WORDS)


def is_padded_footnote(fields: list[str], width: int) -> bool:
    """Whether a row has all fields, of which only the first is filled, with what could be a footnote.

    Example:
        >>> is_padded_footnote(["Page 1 of 1", "", ""], 3), is_padded_footnote(["red", "", ""], 3)
        (True, False)
    """
    return len(fields) == width > 2 and not any(map(str.strip, fields[1:])) and is_footnote(fields[:1], width)


def find_footnotes(records: Iterable[tuple[int, list[str]]], width: int, delimiter: str) -> Footnotes | None:
    """The footnotes of a table; None where it has none, or where another row has not `width` fields.

    `records` are the lines, from 1, and the fields of the rows. A line behind a footnote or a blank line may have
    several fields, fewer than the rows, if it is a sentence. A row of which only the first field is filled is a
    footnote where no other row ahead of it is like that, and where that column does not hold sentences.

    Example:
        >>> find_footnotes([(2, ["1", "2", "3"]), (3, ["Source: x"])], 3, ",")
        Footnotes(line=3, lines=('Source: x',))
    """
    found: list[tuple[int, str]] = []
    before = rows = sentences = 0
    padded_rows = False
    for line, fields in records:
        padded = is_padded_footnote(fields, width)
        if len(fields) == width and not padded:
            if found:
                return None
            rows, sentences = rows + 1, sentences + is_footnote(fields[:1], width)
        elif len(found) == MAX_FOOTNOTES or not (
            padded or _is_late_note(fields, width, delimiter, found, line - before)
        ):
            return None
        else:
            found.append((line, (fields[0] if padded else delimiter.join(fields)).strip()))
            padded_rows |= padded
        before = line
    if not found or not rows or (padded_rows and 2 * sentences > rows):
        return None
    return Footnotes(found[0][0], tuple(text for _, text in found if text))


def _is_late_note(fields: list[str], width: int, delimiter: str, found: list[tuple[int, str]], gap: int) -> bool:
    """Whether a row of fewer fields is a footnote: one field, or a sentence behind a footnote or a blank line."""
    if any("\n" in field or "\r" in field for field in fields):
        return False  # a quote that is not closed
    several = len(fields) < width and len(" ".join(fields).split()) > 3 and not fields[0].strip()[:1].isdigit()
    return is_footnote(fields, width, blanks=delimiter == " ") or (several and (bool(found) or gap > 1))


def footnote_note(found: Footnotes) -> str:
    """The note on footnotes that are left out; nothing where they are blank.

    Example:
        >>> print(footnote_note(Footnotes(3, ("Source: x",))))
        1 line at the end is not read ('Source: x'). With --skip-rows 0 (skip_rows=0), all lines are read.
    """
    count = len(found.lines)
    if not count:
        return ""
    return (
        f"{pluralize(count, 'line')} at the end {'is' if count == 1 else 'are'} not read "
        f"({quote_list(found.lines, 3)}). With --skip-rows 0 (skip_rows=0), all lines are read."
    )
