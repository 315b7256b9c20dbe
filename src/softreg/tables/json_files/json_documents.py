"""Conversion of JSON documents, such as an array of objects, to JSON lines."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.tables.delimited.chunked_stream import BinaryReader, ChunkedStream, Opener

CHUNK = 1 << 20
"""Bytes read at a time."""
MAX_DOCUMENT_BYTES = 1 << 28
"""Maximum size in bytes of an array element, or of a document that is not an array."""
SPACE = " \t\r\n"
_BREAKS = re.compile(r"[\r\n]+")  # between tokens only: within text of JSON, line breaks are escaped
_NON_SPACE = re.compile(r"[^ \t\r\n]")
_DECODER = json.JSONDecoder()


@dataclass
class JsonDocument:
    """JSON file and the layout of its rows.

    Attributes
    ----------
    layout : str
        "array" (of objects), "records" (an array under a key of one object), "columns", "index" or "split" (as pandas
        writes them), or "lines".
    note : str
        How the file is read, if that was a choice.
    """

    open: Opener
    display_name: str
    layout: str = field(init=False)
    note: str = field(init=False, default="")
    _key: str = field(init=False, default="")

    def __post_init__(self) -> None:
        head = self._head()
        self.layout = "array" if head[:1] == "[" else "lines"
        if head[:1] == "{" and not _is_json_lines(head):
            self._find_layout()

    def lines(self) -> BinaryReader:
        """Return the objects as a binary stream of JSON lines in UTF-8; the file itself if it holds lines."""
        if self.layout == "lines":
            return self.open()
        return LineStream(self._elements() if self.layout == "array" else map(json.dumps, self._records()))

    def _head(self) -> str:
        stream = self.open()
        head = bytes(stream.read(CHUNK))
        return head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip(SPACE)

    def _document(self) -> Any:
        raw = bytes(self.open().read(MAX_DOCUMENT_BYTES + 1))
        if len(raw) > MAX_DOCUMENT_BYTES:
            raise TableError(
                f"{self.display_name!r} is one JSON object of more than {MAX_DOCUMENT_BYTES >> 20} MB. Write it as "
                "JSON lines, an object in each line, which are read in parts."
            )
        return json.loads(raw.decode("utf-8-sig"))

    def _find_layout(self) -> None:
        """Find the rows in a file of one object; a file without rows is read as JSON lines."""
        try:
            document = self._document()
        except (ValueError, RecursionError):
            return
        tables = [key for key, value in document.items() if _is_records(value)]
        if len(tables) == 1:
            self.layout, self._key = "records", tables[0]
            self.note = f"The rows of {self.display_name!r} are those of its key {quote(tables[0])}."
        elif len(tables) > 1:
            raise TableError(
                f"{self.display_name!r} is one JSON object with several tables: {quote_list(tables)}. Write the "
                "required one to a separate file."
            )
        elif _is_split(document):
            self.layout, self.note = "split", f"The rows of {self.display_name!r} are the lists of its key 'data'."
        elif _is_columns(document):
            by_row = not all(key.isdigit() for value in document.values() for key in value)
            self.layout = "index" if by_row else "columns"
            what = "row" if by_row else "column"
            self.note = f"{self.display_name!r} is read as an object with a {what} of the table under each key."

    def _records(self) -> Iterator[dict[str, Any]]:
        document = self._document()
        if self.layout == "records":
            yield from document[self._key]
            return
        if self.layout == "index":
            yield from document.values()
            return
        if self.layout == "split":
            yield from (dict(zip(document["columns"], row, strict=True)) for row in document["data"])
            return
        columns = [value.values() if isinstance(value, dict) else value for value in document.values()]
        for row in zip(*columns, strict=True):
            yield dict(zip(document, row, strict=True))

    def _elements(self) -> Iterator[str]:
        """Yield the text of each element of the array."""
        text = _JsonText(self.open(), self.display_name)
        text.take("[")
        count = 0
        while text.next() != "]":
            if count and not text.take(","):
                raise self._syntax_error(count, text.rest())
            if count and text.next() == "]":
                raise self._syntax_error(count, "]")
            element = text.value()
            if element is None:
                raise self._syntax_error(count, text.rest())
            count += 1
            yield _BREAKS.sub(" ", element)
        text.take("]")
        if text.next():
            raise TableError(f"{self.display_name!r} continues after the end of its array: {quote(text.rest(), 40)}.")

    def _syntax_error(self, count: int, rest: str) -> TableError:
        excerpt = quote(rest, 80) if rest else "the file ends"
        return TableError(
            f"Row {count + 1:,} of {self.display_name!r}, a JSON array, cannot be read: {excerpt}. Expected objects "
            "separated by commas, and ']' after the last. Correct it."
        )


class _JsonText:
    """Text of a UTF-8 stream, read one JSON value at a time."""

    def __init__(self, stream: BinaryReader, display_name: str) -> None:
        self.stream, self.display_name = stream, display_name
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._buffer, self._position, self._ended = "", 0, False

    def next(self) -> str:
        """Return the next character that is not white space; "" at the end."""
        while True:
            match = _NON_SPACE.search(self._buffer, self._position)
            if match:
                self._position = match.start()
                return match[0]
            if not self._read_more():
                return ""

    def take(self, character: str) -> bool:
        """Advance past the next character that is not white space if it equals `character`; return True if it does."""
        same = self.next() == character
        self._position += same
        return same

    def value(self) -> str | None:
        """Return the text of the next value; None if it is not JSON."""
        while not self.next() or (end := _value_end(self._buffer, self._position)) is None:
            if not self._read_more():
                return None
        begin, self._position = self._position, end
        return self._buffer[begin:end]

    def rest(self) -> str:
        """Return the buffered text after the current position."""
        return self._buffer[self._position : self._position + CHUNK]

    def _read_more(self) -> bool:
        """Read the next bytes; return False at the end."""
        if self._ended:
            return False
        unread = self._buffer[self._position :]
        if len(unread) > MAX_DOCUMENT_BYTES:
            raise TableError(
                f"{self.display_name!r} holds a value of more than {MAX_DOCUMENT_BYTES >> 20} MB, or is not JSON."
            )
        raw = bytes(self.stream.read(max(CHUNK, len(unread))))  # doubled for long values
        self._ended = not raw
        self._buffer, self._position = unread + self._decoder.decode(raw, self._ended), 0
        return True


class LineStream(ChunkedStream):
    """Binary stream of lines of text."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def next_chunk(self) -> bytes:
        """Return the next line."""
        line = next(self._lines, None)
        self.ended = line is None
        return b"" if line is None else line.encode("utf-8", "surrogateescape") + b"\n"


def _value_end(text: str, begin: int = 0) -> int | None:
    """Return the end of the value that begins at a position; None if it is incomplete or not JSON."""
    try:
        end: int = _DECODER.raw_decode(text, begin)[1]
    except (ValueError, RecursionError):
        return None
    return end if end < len(text) or text[-1] in "}]" else None  # a number may continue


def _is_json_lines(head: str) -> bool:
    """Return True if text begins with a line that is an object, followed by another object."""
    first, _, rest = head.partition("\n")
    return _value_end(first.strip(SPACE)) is not None and rest.lstrip(SPACE)[:1] == "{"


def _is_records(value: object) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(row, dict) for row in value)


def _is_split(document: dict[str, Any]) -> bool:
    """Return True if an object has the names of the columns and the rows as lists."""
    names, rows = document.get("columns"), document.get("data")
    if not (isinstance(names, list) and isinstance(rows, list) and all(isinstance(name, str) for name in names)):
        return False
    return len(rows) > 0 and all(isinstance(row, list) and len(row) == len(names) for row in rows)


def _is_columns(document: dict[str, Any]) -> bool:
    """Return True if an object has two or more objects as values, all with the same keys."""
    values = list(document.values())
    if len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return False
    return all(value.keys() == values[0].keys() for value in values)
