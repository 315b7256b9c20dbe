"""Lines of a delimited text file as records of fields, parsed by the `csv` module, with errors that name the line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, Literal, cast

import pyarrow as pa

from softreg.files.unclosed_quotes import unlimited_field_size
from softreg.tables.columns.table_errors import TableError, pluralize, quote
from softreg.tables.delimited.chunked_stream import BinaryReader, Opener
from softreg.tables.delimited.decoding import decoding_error
from softreg.tables.delimited.file_layout import TextLayout, find_layout
from softreg.tables.delimited.footnotes import find_footnotes, footnote_note, is_footnote, is_padded_footnote
from softreg.tables.delimited.line_filter import FilteredStream, LineFilter, Record, count_line_ends, split_fields
from softreg.tables.read_options import BLANKS, ReadOptions

CHUNK = 1 << 22
"""Bytes searched for quotes at a time."""
HEAD = 1 << 16
"""Bytes read to infer the layout; more if they contain few lines."""
MIN_HEAD_LINES = 20
"""Minimum number of lines read to infer the layout."""
MAX_HEAD = 1 << 24
"""Maximum number of bytes read to infer the layout, unless a line is longer."""
TAIL = 1 << 13
"""Bytes at the end of a file that are searched for a footnote."""


@dataclass
class CsvRecords:
    r"""Lines of a delimited text file; `open` returns its bytes in UTF-8 from the beginning.

    Examples
    --------
    >>> lines = CsvRecords(lambda: pa.BufferReader(b"Title\n\na,b\n1,2\n"), "small.csv")
    >>> lines.find_layout()
    >>> lines.layout.names, list(lines.records())
    (('a', 'b'), [Record(line=4, fields=['1', '2'])])
    """

    open: Opener
    display_name: str
    tabs: bool = False
    encoding: str = "utf-8"
    options: ReadOptions = field(default_factory=ReadOptions)
    raw: Opener | None = None
    """The bytes in the encoding of the file."""
    notes: list[str] = field(default_factory=list)
    """Choices that were made in reading."""
    layout: TextLayout = field(init=False)
    rowless: bool = field(init=False, default=False)
    """Whether the file ends with its header."""
    filter: LineFilter | None = field(init=False, default=None)
    """Filter of the latest pass."""
    last: int | None = field(init=False, default=None)
    """The number of the line at which the footnotes begin."""

    def find_layout(self) -> None:
        """Infer the layout from the lines at the beginning and at the end of the file."""
        with self.reading():
            head, complete = _head(self.open())
        self.layout = find_layout(head, self.display_name, complete=complete, tabs=self.tabs, options=self.options)
        self.rowless = complete and count_line_ends(head) < self.layout.first_row - 1
        if self.layout.quotes and self.layout.delimiter == "\t" and not self._has_balanced_quotes():
            self.layout = replace(self.layout, quotes=False)
        self.notes += self.layout.notes
        if self._may_end_in_footnote(head, complete) and (note := self.find_footnotes()):
            self.notes.append(note)

    def records(self, *, strict: bool = False) -> Iterator[Record]:
        """Yield the first line number and the fields of each row that is not blank, parsed by the `csv` module.

        Parameters
        ----------
        strict : bool, default=False
            Raise an error for malformed quotes.

        Yields
        ------
        Record
            Number of the first line, from 1, and the fields.

        Raises
        ------
        TableError
            If a quote is not closed.
        """
        text = io.TextIOWrapper(
            cast("IO[bytes]", self.stream()), encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.layout.quotes else csv.QUOTE_NONE
        reader = csv.reader(text, delimiter=self.layout.delimiter, quoting=quoting, strict=strict)
        ahead = self.layout.first_row - 1
        for _ in range(ahead):
            text.readline()
        line = ahead + 1
        with unlimited_field_size():
            try:
                for fields in reader:
                    if fields:
                        yield Record(line, fields)
                    line = reader.line_num + 1 + ahead
            except csv.Error as error:
                raise TableError(
                    f"The row in line {line:,} of {self.display_name!r} opens a quote that is not closed as CSV "
                    f"requires ({error}), so rows would be merged. "
                    'Close it, or write a quote inside a quoted field twice ("").'
                ) from None

    def stream(self) -> BinaryReader:
        """Return the bytes in UTF-8, filtered if lines are not rows or runs of blanks separate the fields."""
        layout = self.layout
        self.filter = None
        if not (layout.comment or layout.delimiter == BLANKS or layout.unpad or self.last):
            return self.open()
        self.filter = LineFilter(
            layout.comment,
            layout.delimiter == BLANKS,
            self.layout.quotes,
            delimiter=layout.delimiter,
            unpad=layout.unpad,
            width=layout.width,
            first=layout.first_row,
            last=self.last,
        )
        return FilteredStream(self.open(), self.filter)

    def find_footnotes(self) -> str | None:
        """Find lines at the end that are not rows, so that they are left out.

        Returns
        -------
        str or None
            Note on the footnotes; "" if they are blank, None if there are none.
        """
        if self.options.skip_rows is not None or self.layout.width < 2:
            return None
        with self.reading():
            footnotes = find_footnotes(self.records(), self.layout.width, self.layout.delimiter)
        if footnotes is None:
            return None
        self.last = footnotes.line
        return footnote_note(footnotes)

    def _may_end_in_footnote(self, head: bytes, complete: bool) -> bool:
        """Return True if the last line of the file, read without the lines before it, may be a footnote."""
        if not complete:
            stream = self.open()
            if not (isinstance(stream, pa.NativeFile) and stream.seekable()):
                return False
            stream.seek(max(0, stream.size() - TAIL))
            head = stream.read()
        lines = [line for line in head.splitlines() if line.strip()][1:]
        layout = self.layout
        lines_filter = LineFilter(
            blanks=layout.delimiter == BLANKS, quotes=layout.quotes, delimiter=layout.delimiter, unpad=layout.unpad
        )
        last = lines_filter.apply(lines[-1]) if lines else b""
        fields = split_fields(last.decode("utf-8", "replace"), layout.delimiter)
        return bool(lines) and (len(fields) != layout.width or is_padded_footnote(fields, layout.width))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Convert errors of a damaged file to a `TableError` that names the line.

        Yields
        ------
        None

        Raises
        ------
        TableError
            For undecodable bytes and errors of the operating system.
        """
        try:
            yield
        except UnicodeError:
            raise self.encoding_error() from None
        except OSError as error:
            reason = " ".join(str(error).split())
            raise TableError(
                f"{self.display_name!r} is a damaged or truncated file ({reason}); copy or write it again."
            ) from None

    def check_quotes(self) -> None:
        """Raise `TableError` if a quote is not closed, by a strict parse of the whole file."""
        with self.reading():
            for _ in self.records(strict=True):
                pass

    def _has_balanced_quotes(self) -> bool:
        """Return True if the quotes of a tab-separated file are balanced and all rows have the right width."""
        with self.reading():
            stream, has_quotes = self.open(), False
            while not has_quotes and (raw := stream.read(CHUNK)):
                has_quotes = b'"' in raw
        if not has_quotes:
            return True
        try:
            with self.reading():
                rows = [fields for _, fields in self.records(strict=True)]
                header_is_short = self.layout.row_names and len(rows[0]) == self.layout.width - 1  # the header
                irregular = [fields for fields in rows[int(header_is_short) :] if len(fields) != self.layout.width]
        except TableError:
            return False
        return self.options.bad_rows == "skip" or all(is_footnote(fields, self.layout.width) for fields in irregular)

    def invalid_row_error(self, error: Exception) -> TableError:
        """Return the error for a row that Arrow rejected, with its line: a wrong number of fields, or invalid text."""
        if "UTF8" in str(error):
            return self.encoding_error()
        expected, delimiter = self.layout.width, self.layout.delimiter
        for row, (line, fields) in enumerate(self.records(), start=1):
            if len(fields) != expected:
                text = quote(delimiter.join(fields), 80)
                amount = "many" if len(fields) > expected else "few"
                hint = f"a field that contains {quote(delimiter)} must be in double quotes."
                if amount == "few":
                    hint = "leave a field empty if its value is not known, but keep its delimiter."
                if "\n" in text or any("\n" in field for field in fields):
                    hint = "is a quote opened there and never closed?"
                else:
                    hint += " --bad-rows skip (bad_rows='skip') leaves such rows out."
                return TableError(
                    f"Row {row:,} of {self.display_name!r} (line {line:,}) has too {amount} fields: "
                    f"{pluralize(len(fields), 'field')} where the header has {expected:,}. The row reads {text}; "
                    f"{hint}"
                )
        return TableError(
            f"{self.display_name!r} is not a table in CSV form: {quote(' '.join(str(error).split()), 200)}."
        )

    def encoding_error(self) -> TableError:
        """Return the error for bytes that are not in the encoding, with line and byte."""
        return decoding_error(self.display_name, self.encoding, self.raw or self.open)


def _head(stream: BinaryReader) -> tuple[bytes, bool]:
    """Return the first lines of a stream, and whether they are all lines."""
    head = bytes(stream.read(HEAD))
    complete = len(head) < HEAD
    while not complete and count_line_ends(head) < MIN_HEAD_LINES and len(head) < MAX_HEAD:
        more = bytes(stream.read(len(head)))
        complete = not more
        head += more
    if not complete:
        cut = max(head.rfind(b"\n"), head.rfind(b"\r", 0, len(head) - 1)) + 1
        head = head[: cut or len(head)]
    return head, complete
