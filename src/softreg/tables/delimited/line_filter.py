"""Filter of text lines: comments, footnotes and runs of blanks become plain delimited text."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import NamedTuple

from softreg.tables.delimited.chunked_stream import BinaryReader, ChunkedStream

CHUNK = 1 << 22
"""Bytes that are filtered at a time."""
_QUOTED_OR_BLANKS = re.compile(rb'("(?:[^"]|"")*")|[ \t]+')


class NumberedLine(NamedTuple):
    """Line of a text file, with its number."""

    number: int
    text: str


class Record(NamedTuple):
    """Fields of a row, with the number from 1 of its first line."""

    line: int
    fields: list[str]


@dataclass
class LineFilter:
    r"""Filter of UTF-8 lines: comments and footnotes become empty lines, blanks are normalized.

    A line within a quoted field is not a comment. A line that begins with the comment character and could be a row,
    such as `#ff0000,red` in a table of two columns, is kept and recorded in `ambiguous`.

    Examples
    --------
    >>> LineFilter(comment="#").apply(b'a,b\n# c\n"d\n#e",1\n')
    b'a,b\n\n"d\n#e",1\n'
    >>> LineFilter(blanks=True).apply(b' 1.5   "a  b"\n')
    b'1.5 "a  b"\n'
    """

    comment: str = ""
    """The character that a comment begins with; none where empty."""
    blanks: bool = False
    quotes: bool = True
    last: int | None = None
    """Number from 1 of the first line of the footnotes, which are not rows."""
    first: int = 1
    """Number of the first line that is filtered; earlier lines are unchanged."""
    delimiter: str = ","
    unpad: str = ""
    """Which blanks after a delimiter are removed: "all", or those before a "quote"; none if empty."""
    width: int = 0
    """The number of fields of a row; 0 where it is not known."""
    ambiguous: NumberedLine | None = None
    """The first line that may be a comment or a row, with its number."""
    line: int = 0
    """How many lines were seen."""
    _open: bool = False
    """Whether a quoted field goes on in the next line."""

    def apply(self, stream: bytes) -> bytes:
        """Return the filtered lines of some bytes, which end with a line or with the text."""
        mark = self.comment.encode()
        plain = not self.blanks and not self.unpad and self.last is None
        if plain and (not mark or mark not in stream):
            self.line += count_line_ends(stream)
            self._open ^= self.quotes and stream.count(b'"') % 2 == 1
            return stream
        return b"".join(map(self._filtered, stream.splitlines(keepends=True)))

    def _filtered(self, line: bytes) -> bytes:
        self.line += 1
        content = line.removeprefix(b"\xef\xbb\xbf") if self.line == 1 else line
        if self.line < self.first:
            return line
        if self.last is not None and self.line >= self.last:
            return _line_end(line)
        in_quoted_field = self._open
        self._open ^= self.quotes and line.count(b'"') % 2 == 1
        if in_quoted_field:
            return line
        if self.comment and is_comment(content, self.comment.encode()):
            if not self._may_be_row(content):
                self._open = False
                return _line_end(line)
            self.ambiguous = self.ambiguous or NumberedLine(self.line, content.strip().decode("utf-8", "replace"))
        if self._open or not (self.blanks or self.unpad):
            return line
        return _single_blanks(content) if self.blanks else self._unpadded(line)

    def _unpadded(self, line: bytes) -> bytes:
        """Return a line without blanks after its delimiters."""
        before_quote = b'(?=")' if self.unpad == "quote" else b""
        delimiter = re.escape(self.delimiter.encode())
        pattern = b'("(?:[^"]|"")*")|(' + delimiter + b")[ \t]+" + before_quote
        return re.sub(pattern, lambda match: match[1] or match[2], line)

    def _may_be_row(self, line: bytes) -> bool:
        """Return True if a comment has as many fields as a row, and no blank after the comment character."""
        mark = self.comment.encode()
        next_character = line.lstrip(b" \t").removeprefix(mark)[:1]
        if self.width < 2 or not next_character.strip() or next_character == mark:
            return False
        text = (_single_blanks(line) if self.blanks else line).decode("utf-8", "replace").strip("\r\n")
        return len(split_fields(text, self.delimiter)) == self.width


def is_comment(line: bytes, mark: bytes) -> bool:
    """Return True if a line begins with the comment character.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_comment(b"  # a", b"#"), is_comment(b"a # b", b"#")
    (True, False)
    """
    return line.lstrip(b" \t").startswith(mark)


def split_fields(line: str, delimiter: str) -> list[str]:
    """Return the fields of a line; an empty list if it is not valid CSV.

    Returns
    -------
    list of str

    Examples
    --------
    >>> split_fields('a,"b,c"', ",")
    ['a', 'b,c']
    """
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _line_end(line: bytes) -> bytes:
    return line[len(line.rstrip(b"\r\n")) :]


def _single_blanks(line: bytes) -> bytes:
    """Return a line with single blanks outside quotes, and none at its ends."""
    end = _line_end(line)
    if b'"' not in line:
        return b" ".join(line.split()) + end
    text = line[: len(line) - len(end)]
    return _QUOTED_OR_BLANKS.sub(lambda match: match[1] or b" ", text).strip(b" ") + end


@dataclass
class FilteredStream(ChunkedStream):
    r"""Binary stream of UTF-8 text filtered by a `LineFilter`.

    Examples
    --------
    >>> import io
    >>> FilteredStream(io.BytesIO(b"a\n#b\nc"), LineFilter(comment="#")).read()
    b'a\n\nc'
    """

    stream: BinaryReader
    filter: LineFilter
    _remainder: bytes = b""
    """The beginning of a line that is not read to its end."""

    def next_chunk(self) -> bytes:
        """Return the next lines, filtered."""
        chunk = bytes(self.stream.read(CHUNK))
        self.ended = not chunk
        text = self._remainder + chunk
        cut = len(text)
        if chunk:
            cut = max(text.rfind(b"\n"), text.rfind(b"\r", 0, len(text) - 1)) + 1
        self._remainder = text[cut:]
        return self.filter.apply(text[:cut])

    def close(self) -> None:
        """Close this stream and the underlying one."""
        super().close()
        self.stream.close()


def count_line_ends(stream: bytes) -> int:
    r"""Count the line ends in some bytes: line feed, carriage return, or both.

    Returns
    -------
    int

    Examples
    --------
    >>> count_line_ends(b"a\r\nb\n")
    2
    """
    return stream.count(b"\n") + stream.count(b"\r") - stream.count(b"\r\n")
