"""JSON documents, such as an array of objects, as the lines of objects that `JsonLines` reads."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from softreg.tables.columns.errors import TableError, quote, quote_list
from softreg.tables.delimited.chunked_stream import ChunkedStream

CHUNK = 1 << 20
"""Bytes read at a time."""
MAX_DOCUMENT_BYTES = 1 << 28
"""Bytes of an element of an array, or of a document that is no array, at most."""
SPACE = " \t\r\n"
_BREAKS = re.compile(r"[\r\n]+")  # between tokens only: within text of JSON, line breaks are escaped
_SOMETHING = re.compile(r"[^ \t\r\n]")
_DECODER = json.JSONDecoder()


@dataclass
class JsonDocument:
    """What a file of JSON is: an array of objects, records under a key of one object, columns, or lines of objects.

    `form` is "array", "records", "columns", "index", "split" or "lines"; `note` says how the file is read where that
    was a choice.
    """

    open: Callable[[], Any]
    where: str
    form: str = field(init=False)
    note: str = field(init=False, default="")
    _key: str = field(init=False, default="")

    def __post_init__(self) -> None:
        head = self._head()
        self.form = "array" if head[:1] == "[" else "lines"
        if head[:1] == "{" and not _is_lines(head):
            self._judge()

    def lines(self) -> Any:
        """The objects, one a line, as a binary stream in UTF-8; the file itself where it holds lines."""
        if self.form == "lines":
            return self.open()
        return LineStream(self._elements() if self.form == "array" else map(json.dumps, self._records()))

    def _head(self) -> str:
        stream = self.open()
        head = bytes(stream.read(CHUNK))
        return head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip(SPACE)

    def _document(self) -> Any:
        raw = bytes(self.open().read(MAX_DOCUMENT_BYTES + 1))
        if len(raw) > MAX_DOCUMENT_BYTES:
            raise TableError(
                f"{self.where!r} is one JSON object of more than {MAX_DOCUMENT_BYTES >> 20} MB. Write it as JSON "
                "lines, an object in each line, which are read in parts."
            )
        return json.loads(raw.decode("utf-8-sig"))

    def _judge(self) -> None:
        """Find the rows in a file of one object; where there are none, it is read as a file of lines."""
        try:
            document = self._document()
        except (ValueError, RecursionError):
            return
        tables = [key for key, value in document.items() if _is_records(value)]
        if len(tables) == 1:
            self.form, self._key = "records", tables[0]
            self.note = f"The rows of {self.where!r} are those of its key {quote(tables[0])}."
        elif len(tables) > 1:
            raise TableError(
                f"{self.where!r} is one JSON object with several tables: {quote_list(tables)}. Write the one that is "
                "wanted to a file of its own."
            )
        elif _is_split(document):
            self.form, self.note = "split", f"The rows of {self.where!r} are the lists of its key 'data'."
        elif _is_columns(document):
            by_row = not all(key.isdigit() for value in document.values() for key in value)
            self.form = "index" if by_row else "columns"
            what = "row" if by_row else "column"
            self.note = f"{self.where!r} is read as an object with a {what} of the table under each key."

    def _records(self) -> Iterator[dict[str, Any]]:
        document = self._document()
        if self.form == "records":
            yield from document[self._key]
            return
        if self.form == "index":
            yield from document.values()
            return
        if self.form == "split":
            yield from (dict(zip(document["columns"], row, strict=True)) for row in document["data"])
            return
        columns = [value.values() if isinstance(value, dict) else value for value in document.values()]
        for row in zip(*columns, strict=True):
            yield dict(zip(document, row, strict=True))

    def _elements(self) -> Iterator[str]:
        """The text of each element of the array."""
        text = _Text(self.open(), self.where)
        text.take("[")
        count = 0
        while text.next() != "]":
            if count and not text.take(","):
                raise self._broken(count, text.rest())
            if count and text.next() == "]":
                raise self._broken(count, "]")
            element = text.value()
            if element is None:
                raise self._broken(count, text.rest())
            count += 1
            yield _BREAKS.sub(" ", element)
        text.take("]")
        if text.next():
            raise TableError(f"{self.where!r} goes on behind the end of its array: {quote(text.rest(), 40)}.")

    def _broken(self, count: int, rest: str) -> TableError:
        found = quote(rest, 80) if rest else "the file ends"
        return TableError(
            f"Row {count + 1:,} of {self.where!r}, a JSON array, cannot be read: {found}. Expected objects with commas "
            "between them and ']' behind the last. Correct it."
        )


class _Text:
    """The text of a stream in UTF-8, value by value; `size` is the most that one value may take."""

    def __init__(self, stream: Any, where: str) -> None:
        self.stream, self.where = stream, where
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._held, self._at, self._ended = "", 0, False

    def next(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            found = _SOMETHING.search(self._held, self._at)
            if found:
                self._at = found.start()
                return found[0]
            if not self._more():
                return ""

    def take(self, character: str) -> bool:
        """Go behind the next character that is no space, if it is this one."""
        same = self.next() == character
        self._at += same
        return same

    def value(self) -> str | None:
        """The text of the next value; None where there is none that is JSON."""
        while not self.next() or (end := _end(self._held, self._at)) is None:
            if not self._more():
                return None
        begin, self._at = self._at, end
        return self._held[begin:end]

    def rest(self) -> str:
        """What is held of the text behind."""
        return self._held[self._at : self._at + CHUNK]

    def _more(self) -> bool:
        """Read on; False at the end."""
        if self._ended:
            return False
        held = self._held[self._at :]
        if len(held) > MAX_DOCUMENT_BYTES:
            raise TableError(f"{self.where!r} holds a value of more than {MAX_DOCUMENT_BYTES >> 20} MB, or is no JSON.")
        raw = bytes(self.stream.read(max(CHUNK, len(held))))  # twice as much each time, for values that are long
        self._ended = not raw
        self._held, self._at = held + self._decoder.decode(raw, self._ended), 0
        return True


class LineStream(ChunkedStream):
    """A binary stream of lines of text."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def more(self) -> bytes:
        """The next line."""
        line = next(self._lines, None)
        self.ended = line is None
        return b"" if line is None else line.encode("utf-8", "surrogateescape") + b"\n"


def _end(text: str, begin: int = 0) -> int | None:
    """Where the value that begins at a place ends; None where it does not, or is no JSON."""
    try:
        end: int = _DECODER.raw_decode(text, begin)[1]
    except (ValueError, RecursionError):
        return None
    return end if end < len(text) or text[-1] in "}]" else None  # a number may go on


def _is_lines(head: str) -> bool:
    """Whether text begins with a line that is an object, with another line behind it."""
    first, _, rest = head.partition("\n")
    return _end(first.strip(SPACE)) is not None and rest.lstrip(SPACE)[:1] == "{"


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(row, dict) for row in value)


def _is_split(document: dict[str, Any]) -> bool:
    """Whether an object has the names of the columns, and the rows as lists."""
    names, rows = document.get("columns"), document.get("data")
    if not (isinstance(names, list) and isinstance(rows, list) and all(isinstance(name, str) for name in names)):
        return False
    return len(rows) > 0 and all(isinstance(row, list) and len(row) == len(names) for row in rows)


def _is_columns(document: dict[str, Any]) -> bool:
    """Whether an object has objects, two or more, with the same keys."""
    values = list(document.values())
    if len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return False
    return all(value.keys() == values[0].keys() for value in values)
