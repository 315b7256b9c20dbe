"""Reader of CSV and TSV files to Arrow batches of text, with errors that name the line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from softreg.tables.columns.arrow_numpy import to_bool
from softreg.tables.columns.row_location import SkippedRow, file_row_numbers
from softreg.tables.columns.table_errors import MAX_ROW_TEXT, TableError, emit_notes, quote
from softreg.tables.columns.untyped_text import mark_untyped
from softreg.tables.delimited.csv_records import CsvRecords
from softreg.tables.delimited.decoding import UNDECODABLE_MARK, ArrowSource, DecodedStream
from softreg.tables.delimited.mixed_encoding import find_encoding
from softreg.tables.read_options import ReadOptions

BLOCK_BYTES = 1 << 22
"""Bytes parsed at a time."""
MAX_ROW_BYTES = 1 << 30
"""Largest block in bytes; blocks grow if a row does not fit."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class _OtherEncoding(Exception):
    """Signal that the file has another encoding than assumed, and is read again."""


@dataclass
class CsvReader(CsvRecords):
    r"""Delimited text file as batches of text; `open` returns its bytes in UTF-8 from the beginning.

    The layout of the lines is inferred from the beginning of the file (`find_layout`) where `options` do not specify
    it. Lines at the end that are not rows are footnotes. With `bad_rows="skip"`, rows with a wrong number of fields,
    or with bytes that are not in the encoding, are left out and kept in `skipped` as (row, text); otherwise the first
    of them raises an error. In a tab-separated file with unbalanced quotes, quotes are ordinary characters.

    Examples
    --------
    >>> raw = b'name,note\r\n"Ann, B.",007\r\n'
    >>> file = CsvReader(lambda: pa.BufferReader(raw), "small.csv")
    >>> [batch.to_pylist() for batch in file.batches()]
    [[{'name': 'Ann, B.', 'note': '007'}]]
    """

    skipped: list[SkippedRow] = field(default_factory=list)
    _checked: bool = field(init=False, default=False)
    _dropped: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.find_layout()
        if any(_SURROGATE.search(name) for name in self.layout.names):
            raise self.encoding_error()

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return list(self.layout.names)

    @property
    def skip(self) -> bool:
        """Whether rows that cannot be read are left out."""
        return self.options.bad_rows == "skip"

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches of text exactly as written, from the beginning at each call.

        Yields
        ------
        pa.RecordBatch
            Rows, all columns of type string.

        Raises
        ------
        TableError
            If a row has a wrong number of fields, a quote is not closed, or bytes are not in the encoding.
        """
        block, yielded = BLOCK_BYTES, 0
        while True:
            self.skipped.clear()
            repeated, row_count = yielded, 0
            try:
                for batch in self._parsed(block):
                    remaining = batch.slice(max(0, repeated - row_count)) if row_count < repeated else batch
                    row_count += batch.num_rows
                    if remaining.num_rows:
                        yielded += remaining.num_rows
                        yield remaining
                return
            except pa.ArrowInvalid as error:
                if block < MAX_ROW_BYTES and any(phrase in str(error) for phrase in ("straddl", "Could not skip")):
                    self._check_quotes()
                    block *= 16
                elif "UTF8" in str(error):
                    if not self._redetect():
                        raise self.encoding_error() from None
                elif self.last is not None or (note := self.find_footnotes()) is None:
                    raise self.invalid_row_error(error) from None
                elif note:
                    self._warn(note)
            except _OtherEncoding:
                continue

    def _check_quotes(self) -> None:
        """Check once that every quote is closed."""
        self.check_quotes()
        self._checked = True

    def _parsed(self, block: int) -> Iterator[pa.RecordBatch]:
        """Yield the batches of one pass with blocks of `block` bytes.

        Yields
        ------
        pa.RecordBatch

        Raises
        ------
        _OtherEncoding
            If later bytes show another encoding.
        """
        layout = self.layout
        names = [f"f{i}" for i in range(layout.width)]
        convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        parse = pa_csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char='"' if self.layout.quotes else False,
            newlines_in_values=self.layout.quotes,
            invalid_row_handler=self._drop_row if self.skip else None,  # it decodes the row
        )
        read = pa_csv.ReadOptions(
            column_names=names, block_size=block, use_threads=not self.skip, skip_rows=layout.first_row - 1
        )
        self._dropped.clear()
        decoded = DecodedStream(self.stream(), "utf-8", replace=True) if self.skip else None
        stream = decoded or self.stream()
        source = ArrowSource(stream)
        row_count = 0
        with self.reading(), source.errors():
            # Arrow reads its own files directly and other streams through the adapter.
            file = stream if isinstance(stream, pa.NativeFile) else source.open()
            for batch in [] if self.rowless else pa_csv.open_csv(file, read, parse, convert):
                if decoded is not None and decoded.replaced and self._redetect():
                    raise _OtherEncoding
                if self.layout.quotes and not self._checked and _any_break(batch):
                    self._check_quotes()  # an unclosed quote may have merged rows
                rows = self._columns(batch, row_count)
                yield self._decodable(rows, row_count) if decoded is not None and decoded.replaced else rows
                row_count += batch.num_rows

    def _columns(self, batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
        """Return a batch with the names of the columns; `before` is the number of rows before it.

        Returns
        -------
        pa.RecordBatch

        Raises
        ------
        TableError
            If a line may be a comment or a row, or if a value follows the last column.
        """
        if self.filter is not None and self.filter.ambiguous is not None:
            line, text = self.filter.ambiguous
            raise TableError(
                f"Line {line:,} of {self.display_name!r} begins like the comments before the header and has as many "
                "fields "
                f"as a row: {quote(text, 80)}. Put its first field in double quotes if it is a row, or delete it."
            )
        columns = batch.columns
        if self.layout.trailing:
            filled = to_bool(pc.not_equal(columns[-1], ""))
            if filled.any():
                row = file_row_numbers(before + np.flatnonzero(filled)[:1], self._dropped)[0]
                raise TableError(
                    f"Row {row:,} of {self.display_name!r} has a value after the last column "
                    f"({quote(columns[-1][int(np.flatnonzero(filled)[0])])}), where the first rows end in a delimiter. "
                    "Name that column in the header, or remove the value."
                )
            columns = columns[:-1]
        schema = pa.schema([pa.field(name, pa.string()) for name in self.layout.names])
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _drop_row(self, row: pa_csv.InvalidRow) -> str:
        """Record a row with a wrong number of fields."""
        number = (row.number or 1) - self.layout.first_row + 1
        self._dropped.append(number)
        self._record_skipped(number, row.text)
        return "skip"

    def _record_skipped(self, number: int, text: str) -> None:
        self.skipped.append(SkippedRow(number, text[:MAX_ROW_TEXT].replace(UNDECODABLE_MARK, "\ufffd")))

    def _decodable(self, batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
        """Return the rows without undecodable bytes; `before` is the number of rows before the batch."""
        undecodable = np.zeros(batch.num_rows, np.bool_)
        for column in batch.columns:
            undecodable |= to_bool(pc.match_substring(column, UNDECODABLE_MARK))
        if not undecodable.any():
            return batch
        numbers = file_row_numbers(before + np.flatnonzero(undecodable), self._dropped)
        for number, row in zip(numbers.tolist(), batch.filter(pa.array(undecodable)).to_pylist(), strict=True):
            self._record_skipped(number, self.layout.delimiter.join(row.values()))
        return batch.filter(pa.array(~undecodable))

    def _redetect(self) -> bool:
        """Detect another encoding if only later bytes are not UTF-8; return True if one was found."""
        if self.options.encoding is not None or self.encoding != "utf-8" or self.raw is None:
            return False
        with self.reading():
            detected = find_encoding(self.raw, skip=self.options.bad_rows == "skip")
        if detected is None:
            return False
        self.encoding, raw = detected.encoding, self.raw
        self.open = lambda: DecodedStream(raw(), detected.encoding)
        self._warn(detected.note)
        return True

    def _warn(self, note: str) -> None:
        """Issue a note on a choice that is made while the rows are read."""
        self.notes.append(note)
        emit_notes([f"{self.display_name!r}: {note}"])


def parse_delimited(raw: bytes, display_name: str, *, tabs: bool = False, header: bool | None = None) -> pa.Table:
    r"""Parse the bytes of a CSV or TSV file as a table of text, every value exactly as written.

    Parameters
    ----------
    raw : bytes
        Content of the file.
    display_name : str
        Name of the file, for errors.
    tabs : bool, default=False
        True if fields are separated by tabs.
    header : bool, optional
        Whether the first line names the columns.

    Returns
    -------
    pa.Table

    Examples
    --------
    >>> parse_delimited(b'name,note\r\n"Ann, B.",007\r\n', "small.csv").to_pylist()
    [{'name': 'Ann, B.', 'note': '007'}]
    """
    file = CsvReader(lambda: pa.BufferReader(raw), display_name, tabs, options=ReadOptions(header=header))
    schema = pa.schema([mark_untyped(pa.field(name, pa.string())) for name in file.names])
    return pa.Table.from_batches(file.batches(), schema)


def _any_break(batch: pa.RecordBatch) -> bool:
    return any(pc.any(pc.match_substring(column, "\n")).as_py() for column in batch.columns)
