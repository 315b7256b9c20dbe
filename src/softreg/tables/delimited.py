"""CSV and TSV to batches of text, with errors that name the line."""

from __future__ import annotations

import csv
import io
import re
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
from softreg.tables.dialect import find_dialect
from softreg.tables.errors import LONGEST_SHOWN, TableError, plural, shown
from softreg.tables.row_index import named_fields
from softreg.tables.typed_text import untyped
from softreg.tables.where import input_numbers

BLOCK = 1 << 22  # bytes parsed at a time
LONGEST_ROW = 1 << 30  # bytes; blocks grow up to this where a row does not fit
HEAD = 1 << 16

_SURROGATE = re.compile("[\ud800-\udfff]")

Opener = Callable[[], Any]


@dataclass
class Delimited:
    """A file of rows of text whose first line names the columns; `open` gives its bytes in UTF-8, from the beginning.

    With `skip`, rows with too many or too few fields, or with bytes that are not in the encoding, are left out and kept
    in `skipped` (row, text); otherwise the first is an error. A first line `sep=;`, as spreadsheets write it, names the
    delimiter. In a tab-separated file whose quotes do not pair up, quotes are plain characters.

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
    skip: bool = False
    raw: Opener | None = None
    """The bytes in the encoding of the file, where that is not UTF-8."""
    skipped: list[tuple[int, str]] = field(default_factory=list)
    delimiter: str = field(init=False)
    announced: bool = field(init=False, default=False)
    """Whether the first line is the `sep=;` of a spreadsheet."""
    quotes: bool = field(init=False, default=True)
    names: list[str] = field(init=False)
    _checked: bool = field(init=False, default=False)
    _short: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        with self._reading():
            head = self.open().read(HEAD)
        dialect = find_dialect(head, tabs=self.tabs, complete=len(head) < HEAD)
        self.delimiter, self.announced = dialect.delimiter, dialect.announced
        if self.delimiter == "\t" and not self._pairs_up():
            self.quotes = False
        with self._reading():
            self.names = named_fields(next(self.records(), (1, []))[1])
        if any(_SURROGATE.search(name) for name in self.names):
            raise self._not_encoded()

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
                if "straddl" not in str(error) or block >= LONGEST_ROW:
                    raise self._wrong(error) from None
                self._check_quotes()
                block *= 16

    def records(self, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
        """First line and fields of each record that is not a blank line, header and all, read by the csv module."""
        text = io.TextIOWrapper(self.open(), encoding="utf-8-sig", errors="surrogateescape", newline="")
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        reader = csv.reader(text, delimiter=self.delimiter, quoting=quoting, strict=strict)
        line = 1 + bool(self.announced and text.readline())
        with any_field_size():
            try:
                for fields in reader:
                    if fields:
                        yield line, fields
                    line = reader.line_num + 1 + self.announced
            except csv.Error as error:
                raise TableError(
                    f"The row in line {line:,} of {self.where!r} opens a quote that is not closed as CSV asks "
                    f"({error}), so rows would be swallowed. "
                    'Close it, or write a quote inside a quoted field twice ("").'
                ) from None

    def _parsed(self, block: int) -> Iterator[pa.RecordBatch]:
        """Batches of one reading with blocks of so many bytes."""
        names = [f"f{i}" for i in range(len(self.names))]
        convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        parse = pa_csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char='"' if self.quotes else False,
            newlines_in_values=self.quotes,
            invalid_row_handler=self._leave_out if self.skip else None,  # it reads text, so not where that may be none
        )
        read = pa_csv.ReadOptions(
            autogenerate_column_names=True,
            block_size=block,
            use_threads=not self.skip,
            skip_rows=int(self.announced),
        )
        schema = pa.schema([pa.field(name, pa.string()) for name in self.names])
        self._short.clear()
        stream = DecodedStream(self.open(), "utf-8", replace=True) if self.skip else self.open()
        source = ArrowSource(stream)
        seen = 0
        with self._reading(), source.errors():
            # A file of Arrow's is read by Arrow alone, any other through the source.
            for batch in pa_csv.open_csv(
                stream if isinstance(stream, pa.NativeFile) else source.open(), read, parse, convert
            ):
                rows = batch.slice(0 if seen else 1)  # without the header
                if self.quotes and not self._checked and _any_break(rows):
                    self._check_quotes()  # a quote left open may have swallowed rows
                rows = pa.RecordBatch.from_arrays(rows.columns, schema=schema)
                yield self._decodable(rows, max(0, seen - 1)) if self.skip and stream.replaced else rows
                seen += batch.num_rows

    def _leave_out(self, row: pa_csv.InvalidRow) -> str:
        """Note a row of the wrong length."""
        number = (row.number or 1) - 1 - self.announced
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
            self._note(number, self.delimiter.join(row.values()))
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

    def _wrong(self, error: Exception) -> TableError:
        """The error for what Arrow refused, with the line: a row of the wrong length, or bytes that are no text."""
        if "UTF8" in str(error):
            return self._not_encoded()
        records = self.records()
        expected = len(next(records, (1, []))[1])
        for row, (line, fields) in enumerate(records, start=1):
            if len(fields) != expected:
                text = shown(self.delimiter.join(fields), 80)
                much = "many" if len(fields) > expected else "few"
                hint = f"a field with {shown(self.delimiter)} in it must stand in double quotes."
                if much == "few":
                    hint = "leave a field empty where its value is not known, but keep its delimiter."
                if "\n" in text or any("\n" in field for field in fields):
                    hint = "is a quote opened there and never closed?"
                return TableError(
                    f"Row {row:,} of {self.where!r} (line {line:,}) has too {much} fields: "
                    f"{plural(len(fields), 'field')} where the header has {expected:,}. The row reads {text}; "
                    f"{hint}"
                )
        return TableError(f"{self.where!r} is not a table in CSV form: {shown(' '.join(str(error).split()), 200)}.")

    def _not_encoded(self) -> TableError:
        """The error for bytes that are not in the encoding, with line and byte."""
        return not_encoded(self.where, self.encoding, self.raw or self.open)


def parse_delimited(raw: bytes, where: str, *, tabs: bool = False) -> pa.Table:
    """The table of text that CSV or TSV bytes hold: first line the names, every value exactly as written.

    Raises `TableError` as `Delimited` does; `where` is the name of the file in these messages.

    Example:
        >>> parse_delimited(b'name,note\\r\\n"Ann, B.",007\\r\\n', "small.csv").to_pylist()
        [{'name': 'Ann, B.', 'note': '007'}]
    """
    file = Delimited(lambda: pa.BufferReader(raw), where, tabs)
    schema = pa.schema([untyped(pa.field(name, pa.string())) for name in file.names])
    return pa.Table.from_batches(file.batches(), schema)


def _any_break(batch: pa.RecordBatch) -> bool:
    return any(pc.any(pc.match_substring(column, "\n")).as_py() for column in batch.columns)
