"""Lines of text that are no CSV as they stand: rows that were quoted as a whole, and fields separated by "::"."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from softreg.tables.delimited.chunked_stream import ChunkedStream

CHUNK = 1 << 20
"""Bytes that are read at a time."""
HEAD = 1 << 16
"""Bytes at the beginning by which the form of the lines is judged."""
DELIMITERS = (b",", b";", b"\t", b"|")
PAIR = b"::"

Rewrite = Callable[[bytes], bytes]


@dataclass(frozen=True)
class LineRewrite:
    """How each line is rewritten, and a note that says so."""

    rewrite: Rewrite
    note: str


def find_line_rewrite(head: bytes, *, complete: bool) -> LineRewrite | None:
    """The form of the lines of a text in UTF-8 that begins with `head`; None where they are plain.

    Example:
        >>> find_line_rewrite(b"1::F::10\\n2::M::16\\n", complete=True).rewrite(b"1::F::10\\n")
        b'1\\tF\\t10\\n'
    """
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
    lines = [line for line in (lines if complete else lines[:-1]) if line.strip()]
    if len(lines) < 2:
        return None
    if all(_is_quoted(line) for line in lines[1:]) and b'""' in head:
        count = _fields(lines[0])
        if count > 1 and all(_fields(_unquoted(line)) == count and _fields(line) == 1 for line in lines[1:]):
            return LineRewrite(_unquoted, "Each row was quoted as a whole; the quotes around it are removed.")
    others = any(_even(lines, sign) for sign in DELIMITERS)
    if _even(lines, PAIR) and not others and b"\t" not in head and not any(b":::" in line for line in lines):
        return LineRewrite(_separated, "The fields are separated by '::'; --delimiter (delimiter=) names another.")
    return None


def _even(lines: list[bytes], sign: bytes) -> bool:
    """Whether each line holds a sign, and as often as the others."""
    counts = {line.count(sign) for line in lines}
    return len(counts) == 1 and counts != {0}


def _is_quoted(line: bytes) -> bool:
    line = line.rstrip(b"\r\n")
    return len(line) > 1 and line.startswith(b'"') and line.endswith(b'"')


def _unquoted(line: bytes) -> bytes:
    """A line without the quotes around it, if it has any."""
    plain = line.rstrip(b"\r\n")
    return plain[1:-1].replace(b'""', b'"') + line[len(plain) :] if _is_quoted(line) else line


def _separated(line: bytes) -> bytes:
    return line.replace(PAIR, b"\t")


def _fields(line: bytes) -> int:
    """The fields of a line by the delimiter that gives most of them."""
    text = line.decode("utf-8", "replace")
    counts = []
    for delimiter in DELIMITERS:
        try:
            counts.append(len(next(csv.reader([text], delimiter=delimiter.decode()), [])))
        except csv.Error:
            counts.append(0)
    return max(counts)


@dataclass
class RewrittenLines(ChunkedStream):
    """A binary stream of text in UTF-8 whose lines are rewritten as they are read."""

    raw: Any
    rewrite: Rewrite
    _part: bytes = b""

    def more(self) -> bytes:
        """The next lines, rewritten."""
        chunk = bytes(self.raw.read(CHUNK))
        self.ended = not chunk
        text = self._part + chunk
        end = len(text) if self.ended else text.rfind(b"\n") + 1
        self._part = text[end:]
        return b"".join(map(self.rewrite, text[:end].splitlines(keepends=True)))

    def close(self) -> None:
        """Close the stream behind, too."""
        super().close()
        self.raw.close()
