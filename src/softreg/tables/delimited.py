"""CSV and TSV to batches of text, with errors that name the line."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from softreg.models.csv_quotes import any_field_size
from softreg.tables.arrays import flags
from softreg.tables.decoding import NO_CHARACTER, ArrowSource, DecodedStream, not_encoded
from softreg.tables.encoding_detection import detected, telling_lines
from softreg.tables.errors import LONGEST_SHOWN, TableError, TableNote, plural, shown
from softreg.tables.footnotes import find_footnotes, footnote_note
from softreg.tables.line_filter import FilteredStream, LineFilter, field_count, line_count
from softreg.tables.read_options import BLANKS, ReadOptions
from softreg.tables.text_layout import TextLayout, find_layout
from softreg.tables.where import input_numbers

BLOCK = 1 << 22  # bytes parsed at a time
LONGEST_ROW = 1 << 30  # bytes; blocks grow up to this where a row does not fit
HEAD = 1 << 16
"""Bytes by which the layout of a file is found; more where they hold few lines."""
FEWEST_LINES = 20
"""Lines that they hold, at least, in a file of so many."""
LONGEST_HEAD = 1 << 24
TAIL = 1 << 13
"""Bytes at the end of a file that may be footnotes."""

_SURROGATE = re.compile("[\ud800-\udfff]")

Opener = Callable[[], Any]


class _OtherEncoding(Exception):
    """The file turned out to have another encoding, so it is read again."""


@dataclass
class Delimited:
    """A file of rows of text; `open` gives its bytes in UTF-8, from the beginning.

    What its lines are is found by its beginning (`find_layout`), as far as `options` do not say it. Lines at its end
    that are no rows are footnotes. Where `bad_rows` is "skip", rows with too many or too few fields, or with bytes that
    are not in the encoding, are left out and kept in `skipped` (row, text); otherwise the first is an error. In a
    tab-separated file whose quotes do not pair up, quotes are plain characters.

    Example:
        >>> raw = b'name,note\\r\\n"Ann, B.",007\\r\\n'
        >>> file = Delimited(lambda: pa.BufferReader(raw), "small.csv")
        >>> [batch.to_pylist() for batch in file.batches()]
        [[{'name': 'Ann, B.', 'note': '007'}]]
    """

    open: Opener
    where: str
    tabs: bool = False
    encoding: str = "utf-8"
    options: ReadOptions = field(default_factory=ReadOptions)
    raw: Opener | None = None
    """The bytes in the encoding of the file."""
    skipped: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Choices that were made in reading."""
    layout: TextLayout = field(init=False)
    _complete: bool = field(init=False)
    """Whether the layout was found by all of the file."""
    _rowless: bool = field(init=False)
    _filter: LineFilter | None = field(init=False, default=None)
    _quotes: bool = field(init=False)
    _last: int | None = field(init=False, default=None)
    """The number of the line at which the footnotes begin."""
    _checked: bool = field(init=False, default=False)
    _short: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        with self._reading():
            head, self._complete = _head(self.open())
        self.layout = find_layout(head, self.where, complete=self._complete, tabs=self.tabs, options=self.options)
        self._rowless = self._complete and line_count(head) < self.layout.first_row - 1
        if any(_SURROGATE.search(name) for name in self.layout.names):
            raise self._not_encoded()
        self._quotes = self.layout.quotes
        if self._quotes and self.layout.delimiter == "\t" and not self._pairs_up():
            self._quotes = False
        self.notes += self.layout.notes
        if self._odd_end(head) and (note := self._find_footnotes()):
            self.notes.append(note)

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.layout.names)

    @property
    def skip(self) -> bool:
        """Whether rows that cannot be read are left out."""
        return self.options.bad_rows == "skip"

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows in batches, every value exactly as written; from the beginning at each call.

        Raises `TableError` naming the line of a row with too many or too few fields, of a quote that is never
        closed, or of bytes that are not in the encoding.
        """
        block, given = BLOCK, 0
        while True:
            self.skipped.clear()
            begun, seen = given, 0
            try:
                for batch in self._parsed(block):
                    fresh = batch.slice(max(0, begun - seen)) if seen < begun else batch
                    seen += batch.num_rows
                    if fresh.num_rows:
                        given += fresh.num_rows
                        yield fresh
                return
            except pa.ArrowInvalid as error:
                if block < LONGEST_ROW and any(words in str(error) for words in ("straddl", "Could not skip")):
                    self._check_quotes()
                    block *= 16
                elif "UTF8" in str(error):
                    if not self._redetect():
                        raise self._not_encoded() from None
                elif self._last is None and (note := self._find_footnotes()):
                    self._warn(note)
                else:
                    raise self._wrong(error) from None
            except _OtherEncoding:
                continue

    def records(self, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """First line and fields of each row that is not a blank line, read by the csv module."""
        text = io.TextIOWrapper(self._stream(), encoding="utf-8-sig", errors="surrogateescape", newline="")
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self._quotes else csv.QUOTE_NONE
        reader = csv.reader(text, delimiter=self.layout.delimiter, quoting=quoting, strict=strict)
        ahead = self.layout.first_row - 1
        for _ in range(ahead):
            text.readline()
        line = ahead + 1
        with any_field_size():
            try:
                for fields in reader:
                    if fields:
                        yield line, fields
                    line = reader.line_num + 1 + ahead
            except csv.Error as error:
                raise TableError(
                    f"The row in line {line:,} of {self.where!r} opens a quote that is not closed as CSV asks "
                    f"({error}), so rows would be swallowed. "
                    'Close it, or write a quote inside a quoted field twice ("").'
                ) from None

    def _stream(self) -> Any:
        """The bytes in UTF-8, with a filter where lines are no rows or runs of blanks separate the fields."""
        layout = self.layout
        self._filter = None
        if not layout.comment and layout.delimiter != BLANKS and self._last is None:
            return self.open()
        self._filter = LineFilter(
            layout.comment,
            layout.delimiter == BLANKS,
            self._quotes,
            delimiter=layout.delimiter,
            width=layout.width,
            first=layout.first_row,
            last=self._last,
        )
        return FilteredStream(self.open(), self._filter)

    def _parsed(self, block: int) -> Iterator[pa.RecordBatch]:
        """Batches of one reading with blocks of so many bytes."""
        layout = self.layout
        names = [f"f{i}" for i in range(layout.width)]
        convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        parse = pa_csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if self._quotes else False,
            newlines_in_values=self._quotes,
            invalid_row_handler=self._leave_out if self.skip else None,  # it reads text, so not where that may be none
        )
        read = pa_csv.ReadOptions(
            column_names=names, block_size=block, use_threads=not self.skip, skip_rows=layout.first_row - 1
        )
        self._short.clear()
        stream = self._stream()
        if self.skip:
            stream = DecodedStream(stream, "utf-8", replace=True)
        source = ArrowSource(stream)
        seen = 0
        with self._reading(), source.errors():
            # A file of Arrow's is read by Arrow alone, any other through the source.
            file = stream if isinstance(stream, pa.NativeFile) else source.open()
            for batch in [] if self._rowless else pa_csv.open_csv(file, read, parse, convert):
                if self.skip and stream.replaced and self._redetect():
                    raise _OtherEncoding
                if self._quotes and not self._checked and _any_break(batch):
                    self._check_quotes()  # a quote left open may have swallowed rows
                rows = self._columns(batch, seen)
                yield self._decodable(rows, seen) if self.skip and stream.replaced else rows
                seen += batch.num_rows

    def _columns(self, batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
        """A batch with the names of the columns; raises `TableError` for what the layout does not allow.

        `before` are the rows ahead of it.
        """
        if self._filter is not None and self._filter.doubtful is not None:
            line, text = self._filter.doubtful
            raise TableError(
                f"Line {line:,} of {self.where!r} begins like the comments ahead of the header and has as many fields "
                f"as a row: {shown(text, 80)}. Put its first field in double quotes if it is a row, or delete it."
            )
        columns = batch.columns
        if self.layout.trailing:
            filled = flags(pc.not_equal(columns[-1], ""))
            if filled.any():
                row = input_numbers(before + np.flatnonzero(filled)[:1], self._short)[0]
                raise TableError(
                    f"Row {row:,} of {self.where!r} has a value behind the last column "
                    f"({shown(columns[-1][int(np.flatnonzero(filled)[0])])}), where the first rows end in a delimiter. "
                    "Name that column in the header, or remove the value."
                )
            columns = columns[:-1]
        schema = pa.schema([pa.field(name, pa.string()) for name in self.layout.names])
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _leave_out(self, row: pa_csv.InvalidRow) -> str:
        """Note a row of the wrong length."""
        number = (row.number or 1) - self.layout.first_row + 1
        self._short.append(number)
        self._note(number, row.text)
        return "skip"

    def _note(self, number: int, text: str) -> None:
        self.skipped.append((number, text[:LONGEST_SHOWN].replace(NO_CHARACTER, "\ufffd")))

    def _decodable(self, batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
        """The rows of a batch without bytes that are not in the encoding; `before` are the rows ahead of it."""
        bad = np.zeros(batch.num_rows, np.bool_)
        for column in batch.columns:
            bad |= flags(pc.match_substring(column, NO_CHARACTER))
        if not bad.any():
            return batch
        numbers = input_numbers(before + np.flatnonzero(bad), self._short)
        for number, row in zip(numbers.tolist(), batch.filter(pa.array(bad)).to_pylist(), strict=True):
            self._note(number, self.layout.delimiter.join(row.values()))
        return batch.filter(pa.array(~bad))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what a broken file raises into a `TableError` that names the line."""
        try:
            yield
        except UnicodeError:
            raise self._not_encoded() from None
        except OSError as error:
            reason = " ".join(str(error).split())
            raise TableError(
                f"{self.where!r} is a damaged or truncated file ({reason}); copy or write it again."
            ) from None

    def _check_quotes(self) -> None:
        """Raise `TableError` where some quote is not closed, by a strict reading of the whole file."""
        with self._reading():
            for _ in self.records(strict=True):
                pass
        self._checked = True

    def _pairs_up(self) -> bool:
        """Whether the quotes of a tab-separated file are quotes: each closed, and every row of the right length."""
        with self._reading():
            stream, held = self.open(), False
            while not held and (raw := stream.read(BLOCK)):
                held = b'"' in raw
        if not held:
            return True
        try:
            with self._reading():
                lengths = {len(fields) for _, fields in self.records(strict=True)}
        except TableError:
            return False
        return len(lengths) <= 1 or self.skip

    def _find_footnotes(self) -> str:
        """Look for lines at the end that are no rows, to leave them out, and give the note on them, or nothing."""
        if self.options.skip_rows is not None or self.layout.width < 2:
            return ""
        with self._reading():
            found = find_footnotes(self.records(), self.layout.width, self.layout.delimiter)
        if found is None:
            return ""
        self._last = found.line
        return footnote_note(found)

    def _odd_end(self, head: bytes) -> bool:
        """Whether the last line of the file may be a footnote, as far as it is read without the lines before it."""
        if not self._complete:
            stream = self.open()
            if not (isinstance(stream, pa.NativeFile) and stream.seekable()):
                return False
            stream.seek(max(0, stream.size() - TAIL))
            head = stream.read()
        lines = [line for line in head.splitlines() if line.strip()][1:]
        last = LineFilter(blanks=self.layout.delimiter == BLANKS).apply(lines[-1]) if lines else b""
        return bool(lines) and field_count(last.decode("utf-8", "replace"), self.layout.delimiter) != self.layout.width

    def _redetect(self) -> bool:
        """Find another encoding where only bytes behind the first ones are not in UTF-8; say whether it was found."""
        if self.options.encoding is not None or self.encoding != "utf-8" or self.raw is None:
            return False
        with self._reading():
            found = detected(telling_lines(self.raw()))
        if found is None:
            return False
        self.encoding, raw = found[0], self.raw
        self.open = lambda: DecodedStream(raw(), found[0])
        self._warn(found[1])
        return True

    def _warn(self, note: str) -> None:
        """Say a choice that is made only when the rows are read."""
        self.notes.append(note)
        warnings.warn(f"{self.where!r}: {note}", TableNote, stacklevel=3)

    def _wrong(self, error: Exception) -> TableError:
        """The error for what Arrow refused, with the line: a row of the wrong length, or bytes that are no text."""
        if "UTF8" in str(error):
            return self._not_encoded()
        expected, delimiter = self.layout.width, self.layout.delimiter
        for row, (line, fields) in enumerate(self.records(), start=1):
            if len(fields) != expected:
                text = shown(delimiter.join(fields), 80)
                much = "many" if len(fields) > expected else "few"
                hint = f"a field with {shown(delimiter)} in it must stand in double quotes."
                if much == "few":
                    hint = "leave a field empty where its value is not known, but keep its delimiter."
                if "\n" in text or any("\n" in field for field in fields):
                    hint = "is a quote opened there and never closed?"
                else:
                    hint += " --bad-rows skip (bad_rows='skip') leaves such rows out."
                return TableError(
                    f"Row {row:,} of {self.where!r} (line {line:,}) has too {much} fields: "
                    f"{plural(len(fields), 'field')} where the header has {expected:,}. The row reads {text}; "
                    f"{hint}"
                )
        return TableError(f"{self.where!r} is not a table in CSV form: {shown(' '.join(str(error).split()), 200)}.")

    def _not_encoded(self) -> TableError:
        """The error for bytes that are not in the encoding, with line and byte."""
        return not_encoded(self.where, self.encoding, self.raw or self.open)


def _head(stream: Any) -> tuple[bytes, bool]:
    """The first lines of a stream, and whether they are all."""
    head = bytes(stream.read(HEAD))
    complete = len(head) < HEAD
    while not complete and line_count(head) < FEWEST_LINES and len(head) < LONGEST_HEAD:
        more = bytes(stream.read(len(head)))
        complete = not more
        head += more
    if not complete:
        cut = max(head.rfind(b"\n"), head.rfind(b"\r", 0, len(head) - 1)) + 1
        head = head[: cut or len(head)]
    return head, complete


def parse_delimited(raw: bytes, where: str, *, tabs: bool = False, header: bool | None = None) -> pa.Table:
    """The table of text that CSV or TSV bytes hold: first line the names, every value exactly as written.

    Raises `TableError` as `Delimited` does; `where` is the name of the file in these messages.

    Example:
        >>> parse_delimited(b'name,note\\r\\n"Ann, B.",007\\r\\n', "small.csv").to_pylist()
        [{'name': 'Ann, B.', 'note': '007'}]
    """
    file = Delimited(lambda: pa.BufferReader(raw), where, tabs, options=ReadOptions(header=header))
    schema = pa.schema([pa.field(name, pa.string()) for name in file.names])
    return pa.Table.from_batches(file.batches(), schema)


def _any_break(batch: pa.RecordBatch) -> bool:
    return any(pc.any(pc.match_substring(column, "\n")).as_py() for column in batch.columns)
