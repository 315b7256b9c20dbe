"""Rewriting of lines that are not CSV as they stand: rows quoted as a whole, and fields separated by "::"."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass

from softreg.tables.delimited.chunked_stream import BinaryReader, ChunkedStream

CHUNK = 1 << 20
"""Bytes that are read at a time."""
HEAD = 1 << 16
"""Bytes at the beginning from which the form of the lines is inferred."""
DELIMITERS = (b",", b";", b"\t", b"|")
PAIR = b"::"

Rewrite = Callable[[bytes], bytes]


@dataclass(frozen=True)
class LineRewrite:
    """Function that rewrites each line, and a note about it."""

    rewrite: Rewrite
    note: str


def find_line_rewrite(head: bytes, *, complete: bool) -> LineRewrite | None:
    r"""Find how the lines of a UTF-8 text that begins with `head` must be rewritten.

    Parameters
    ----------
    head : bytes
        Beginning of the text.
    complete : bool
        True if `head` is the whole text.

    Returns
    -------
    LineRewrite or None
        None if the lines are plain.

    Examples
    --------
    >>> find_line_rewrite(b"1::F::10\n2::M::16\n", complete=True).rewrite(b"1::F::10\n")
    b'1\tF\t10\n'
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
    """Return True if each line contains a delimiter equally often, at least once."""
    counts = {line.count(sign) for line in lines}
    return len(counts) == 1 and counts != {0}


def _is_quoted(line: bytes) -> bool:
    line = line.rstrip(b"\r\n")
    return len(line) > 1 and line.startswith(b'"') and line.endswith(b'"')


def _unquoted(line: bytes) -> bytes:
    """Return a line without surrounding quotes."""
    plain = line.rstrip(b"\r\n")
    return plain[1:-1].replace(b'""', b'"') + line[len(plain) :] if _is_quoted(line) else line


def _separated(line: bytes) -> bytes:
    return line.replace(PAIR, b"\t")


def _fields(line: bytes) -> int:
    """Return the largest number of fields that a delimiter gives for a line."""
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
    """Binary stream of UTF-8 text whose lines are rewritten as they are read."""

    stream: BinaryReader
    rewrite: Rewrite
    _remainder: bytes = b""

    def next_chunk(self) -> bytes:
        """Return the next lines, rewritten."""
        chunk = bytes(self.stream.read(CHUNK))
        self.ended = not chunk
        text = self._remainder + chunk
        end = len(text) if self.ended else text.rfind(b"\n") + 1
        self._remainder = text[end:]
        return b"".join(map(self.rewrite, text[:end].splitlines(keepends=True)))

    def close(self) -> None:
        """Close this stream and the underlying one."""
        super().close()
        self.stream.close()
