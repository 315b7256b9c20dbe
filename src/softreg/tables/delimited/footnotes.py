"""Lines at the end of a text file that are not rows, such as the source of the data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from softreg.tables.columns.table_errors import pluralize, quote_list
from softreg.tables.delimited.line_filter import NumberedLine, Record

MAX_FOOTNOTES = 20
"""Maximum number of lines that are left out as footnotes."""
_WORDS = frozenset(("total", "totals", "sum", "source", "sources", "end", "eof", "note", "notes", "average", "mean"))
_RULE = re.compile(r"[-=*_~\s]{3,}")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Footnotes:
    """Number from 1 of the line at which the footnotes begin, and their text."""

    line: int
    lines: tuple[str, ...]


def is_footnote(fields: list[str], width: int, *, blanks: bool = False) -> bool:
    """Return True if a row at the end of a table is a footnote: blank, or one field of several words.

    A single word, which may be the rest of a truncated row, is a footnote only if it is a usual one such as "Total".
    If `blanks` separate the fields, a sentence is several fields; it has a colon or parentheses.

    Returns
    -------
    bool

    Examples
    --------
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
    """Return True if a row has all fields, of which only the first is filled, with text that may be a footnote.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_padded_footnote(["Page 1 of 1", "", ""], 3), is_padded_footnote(["red", "", ""], 3)
    (True, False)
    """
    return len(fields) == width > 2 and not any(map(str.strip, fields[1:])) and is_footnote(fields[:1], width)


def find_footnotes(records: Iterable[Record], width: int, delimiter: str) -> Footnotes | None:
    """Find the footnotes of a table.

    A line after a footnote or a blank line may have several fields, fewer than the rows, if it is a sentence. A row
    with only the first field filled is a footnote if no row before it is like that, and if that column does not
    contain sentences.

    Parameters
    ----------
    records : iterable of Record
        Line number from 1 and fields of each row.
    width : int
        Number of columns.
    delimiter : str
        Delimiter of the fields.

    Returns
    -------
    Footnotes or None
        None if there are no footnotes, or if another row has not `width` fields.

    Examples
    --------
    >>> find_footnotes([Record(2, ["1", "2", "3"]), Record(3, ["Source: x"])], 3, ",")
    Footnotes(line=3, lines=('Source: x',))
    """
    footnotes: list[NumberedLine] = []
    previous_line = rows = sentences = 0
    padded_rows = False
    for line, fields in records:
        padded = is_padded_footnote(fields, width)
        if len(fields) == width and not padded:
            if footnotes:
                return None
            rows, sentences = rows + 1, sentences + is_footnote(fields[:1], width)
        elif len(footnotes) == MAX_FOOTNOTES or not (
            padded or _is_late_note(fields, width, delimiter, line - previous_line, bool(footnotes))
        ):
            return None
        else:
            footnotes.append(NumberedLine(line, (fields[0] if padded else delimiter.join(fields)).strip()))
            padded_rows |= padded
        previous_line = line
    if not footnotes or not rows or (padded_rows and 2 * sentences > rows):
        return None
    return Footnotes(footnotes[0].number, tuple(text for _, text in footnotes if text))


def _is_late_note(fields: list[str], width: int, delimiter: str, gap: int, after_footnote: bool) -> bool:
    """Return True if a row of fewer fields is a footnote: one field, or a sentence after a footnote or a blank line."""
    if any("\n" in field or "\r" in field for field in fields):
        return False  # a quote that is not closed
    several = len(fields) < width and len(" ".join(fields).split()) > 3 and not fields[0].strip()[:1].isdigit()
    return is_footnote(fields, width, blanks=delimiter == " ") or (several and (after_footnote or gap > 1))


def footnote_note(footnotes: Footnotes) -> str:
    """Return the note on footnotes that are left out; "" if they are blank.

    Returns
    -------
    str

    Examples
    --------
    >>> print(footnote_note(Footnotes(3, ("Source: x",))))
    1 line at the end is not read ('Source: x'). With --skip-rows 0 (skip_rows=0), all lines are read.
    """
    count = len(footnotes.lines)
    if not count:
        return ""
    return (
        f"{pluralize(count, 'line')} at the end {'is' if count == 1 else 'are'} not read "
        f"({quote_list(footnotes.lines, 3)}). With --skip-rows 0 (skip_rows=0), all lines are read."
    )
