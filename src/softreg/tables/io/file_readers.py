"""One file of a source, opened: its columns, and its rows batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_types import plain_column, plain_field
from softreg.tables.columns.column_values import decode_dictionary
from softreg.tables.columns.dataframe_index import index_from_metadata, mark_index
from softreg.tables.columns.errors import TableError, quote
from softreg.tables.columns.untyped_text import is_untyped, mark_untyped
from softreg.tables.delimited import line_rewriting
from softreg.tables.delimited.decoding import declared_encoding
from softreg.tables.delimited.encoding_detection import is_utf8
from softreg.tables.delimited.mixed_encoding import find_encoding
from softreg.tables.io.damaged_files import damage_as_table_error, validated
from softreg.tables.io.sources import SourceFile, check_text, open_bytes, open_text, read_head
from softreg.tables.read_options import ReadOptions

HEAD_BYTES = 1 << 16
"""Bytes at the beginning of a text file by which its encoding is found."""
MAX_BATCH_ROWS = 65_536
"""Rows of a batch of a typed file, at most."""
COLUMN_BUFFER_BYTES = 1 << 20
"""Bytes of a column of a Parquet file that are read at a time; a whole row group may be larger than memory."""
MAX_EXACT_INTEGER = 2**53
"""Whole numbers up to this are float64 numbers, each of its own."""
MIN_BUFFERED_BYTES = 1 << 26
"""Bytes of a Parquet file from which on it is read through that buffer. Smaller ones are read by columns of row groups:
the buffer takes the memory that a damaged length of a page asks for."""
MAX_BATCH_CELLS = 4_000_000
"""Cells of such a batch, at most: rows of very many columns come in smaller batches."""


class FileReader(Protocol):
    """One file: `part`, the `schema` of its columns with those of its partition, `skipped` rows, and `notes` on how it
    is read."""

    part: SourceFile
    schema: pa.Schema
    skipped: list[tuple[int, str]]
    notes: list[str]

    def batches(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows in batches of these columns and types."""

    def read(self, wanted: pa.Schema) -> pa.Table:
        """All rows."""


def open_file(part: SourceFile, options: ReadOptions) -> FileReader:
    """Open one file; raises `TableError` where it is not of the form that its ending says."""
    if part.path.is_dir():
        raise TableError(f"{part.where!r} is a folder; name the CSV, TSV or Parquet file in it.")
    if not read_head(part, 64).strip(b"\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise TableError(f"{part.where!r} is empty; expected a line of column names and rows below it.")
    if part.form == "parquet":
        return ParquetFileReader(part)
    if part.form == "arrow":
        return ArrowFileReader(part)
    options = replace(options, **part.written)
    return TextFileReader(part, options)


def text_encoding(part: SourceFile, asked: str | None, *, skip: bool = False) -> tuple[str, list[str]]:
    """The encoding of a text file, and notes on it; raises `TableError` where the file is no text.

    It is found by the first bytes, and where these are not UTF-8, by the characters of the lines that are not ASCII.
    """
    head = read_head(part, HEAD_BYTES)
    try:
        encoding, note = declared_encoding(head, asked)
    except TableError as error:
        raise TableError(f"{part.where!r}: {error}") from None
    check_text(part, head, wide=encoding.startswith(("utf-16", "utf-32")))
    if asked is None and encoding == "utf-8" and not is_utf8(head):
        encoding, note = find_encoding(partial(open_bytes, part), skip=skip) or (encoding, note)
    return encoding, [note] if note else []


@dataclass
class BaseFileReader:
    """What files of text share: a reader behind, and the columns of the partition."""

    part: SourceFile
    skipped: list[tuple[int, str]] = field(default_factory=list)
    notes: list[str] = field(init=False)
    schema: pa.Schema = field(init=False)
    own: dict[str, pa.Field] = field(init=False)
    """The fields of the file itself, by name."""

    def __post_init__(self) -> None:
        self.notes = list(self.part.notes)

    def _with_keys(self, schema: pa.Schema) -> pa.Schema:
        """The plain types of the columns, those of an index marked, and the keys of the partition behind them."""
        names = schema.names  # raises where a damaged name is no text
        index = index_from_metadata(schema)
        self.own = {field.name: field for field in schema}
        kept = [(plain_field(field), is_untyped(field)) for field in schema]
        schema = pa.schema([mark_untyped(field) if mark else field for field, mark in kept])
        for name in self.part.keys:
            if name not in names:
                schema = schema.append(mark_untyped(pa.field(name, pa.string())))
        return mark_index(schema, index)

    def _fitted(self, batch: pa.RecordBatch | pa.Table, wanted: pa.Schema) -> pa.Table:
        """The rows with the columns and types that are wanted; a column of type null is not looked at."""
        columns = []
        for one in wanted:
            if pa.types.is_null(one.type) or not (one.name in self.own or one.name in self.part.keys):
                columns.append(pa.nulls(batch.num_rows, one.type))
            elif one.name in self.part.keys:
                columns.append(pa.repeat(pa.scalar(self.part.keys[one.name], pa.string()), batch.num_rows))
            else:
                column = batch.column(one.name)
                column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
                columns.append(self._cast(plain_column(column, one.name, self.own[one.name]), one))
        return pa.Table.from_arrays(columns, schema=wanted)

    def _cast(self, column: pa.ChunkedArray, wanted: pa.Field) -> pa.ChunkedArray:
        """A column in the type that holds the values of all files."""
        if column.type == wanted.type:
            return column
        column = decode_dictionary(column)
        try:
            cast = pc.cast(column, wanted.type)
            merged = pa.types.is_decimal(column.type) and pa.types.is_floating(wanted.type)
            exact = not (merged and pc.any(pc.greater(pc.abs(cast), MAX_EXACT_INTEGER)).as_py())
        except pa.ArrowException:
            exact = False
        if not exact:
            raise TableError(
                f"Column {quote(wanted.name)} has the type {column.type} in {self.part.where!r} and another in other "
                f"files, so all are read as {wanted.type}, which does not hold every value of this file exactly. Write "
                f"the column with one type in all files, or leave it out: --drop {quote(wanted.name)} "
                f"(drop=[{quote(wanted.name)}] in Python)."
            )
        return cast

    def batches(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows in batches of these columns and types."""
        for batch in self._raw(wanted):
            yield from self._fitted(batch, wanted).to_batches()

    def read(self, wanted: pa.Schema) -> pa.Table:
        """All rows."""
        return pa.Table.from_batches(self.batches(wanted), wanted)

    def _raw(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError

    def _own(self, wanted: pa.Schema) -> list[str]:
        """The columns to read from the file itself."""
        return [one.name for one in wanted if one.name not in self.part.keys and not pa.types.is_null(one.type)]


class TextFileReader(BaseFileReader):
    """A file of CSV, TSV or JSON lines."""

    def __init__(self, part: SourceFile, options: ReadOptions) -> None:
        from softreg.tables.delimited.csv_reader import CsvReader
        from softreg.tables.json_files.json_documents import JsonDocument
        from softreg.tables.json_files.json_lines import JsonLines

        super().__init__(part)
        encoding, said = text_encoding(part, options.encoding, skip=options.bad_rows == "skip")
        self.notes += said
        texts: dict[str, Any] = {"where": part.where, "encoding": encoding, "raw": partial(open_bytes, part)}
        opened = partial(open_text, part, encoding)
        self.behind: Any
        if part.form == "json":
            document = JsonDocument(opened, part.where)
            unit = "Line" if document.form == "lines" else "Row"
            self.behind = JsonLines(document.lines, unit=unit, skip=options.bad_rows == "skip", **texts)
            self.notes += [document.note] * bool(document.note)
            self.schema = self._with_keys(self.behind.schema)
            for name in self.behind.mixed:
                place = self.schema.get_field_index(name)
                self.schema = self.schema.set(place, mark_untyped(self.schema.field(place)))
                self.notes.append(
                    f"Column {quote(name)} of {part.where!r} holds text beside values of other types, and all are read "
                    "as text; rows of text are left out with --bad-rows skip (bad_rows='skip' in Python)."
                )
        else:
            opened, said = _plain_lines(opened, options)
            self.notes += said
            self.behind = CsvReader(opened, tabs=part.form == "tsv", options=options, **texts)
            schema = self._with_keys(pa.schema([pa.field(name, pa.string()) for name in self.behind.names]))
            schema = pa.schema([mark_untyped(one) for one in schema])
            names = self.behind.names[:1] if self.behind.layout.row_names else []
            self.schema = mark_index(schema, frozenset(names) | index_from_metadata(schema))
            self.notes += self.behind.notes
        self.skipped = self.behind.skipped

    def _raw(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        batches: Iterator[pa.RecordBatch] = self.behind.batches()
        return batches


def _plain_lines(opened: Any, options: ReadOptions) -> tuple[Any, list[str]]:
    """What opens the text, its lines rewritten where they are no CSV as they stand, and notes on that."""
    if options.delimiter is not None:
        return opened, []
    try:
        head = bytes(opened().read(line_rewriting.HEAD))
    except OSError:  # said where the text is read
        return opened, []
    form = line_rewriting.find_line_rewrite(head, complete=len(head) < line_rewriting.HEAD)
    if form is None:
        return opened, []
    return (lambda: line_rewriting.RewrittenLines(opened(), form.rewrite)), [form.note]


class ParquetFileReader(BaseFileReader):
    """A Parquet file, with the types that it carries."""

    def __init__(self, part: SourceFile) -> None:
        super().__init__(part)
        if read_head(part, 4) != b"PAR1":
            raise TableError(
                f"{part.where!r} ends in {part.path.suffix} but is not a Parquet file; is it CSV? Then "
                "rename it to .csv."
            )
        with damage_as_table_error(part):
            self.schema = self._with_keys(self._open().schema_arrow)

    def _open(self) -> Any:
        import pyarrow.parquet as pq

        with damage_as_table_error(self.part):
            source = pa.BufferReader(open_bytes(self.part).read()) if self.part.packed else str(self.part.path)
            large = not self.part.packed and self.part.path.stat().st_size > MIN_BUFFERED_BYTES
            return pq.ParquetFile(
                source,
                pre_buffer=False,
                buffer_size=COLUMN_BUFFER_BYTES if large else 0,
                page_checksum_verification=True,
            )

    def _raw(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        names = self._own(wanted)
        rows = max(256, min(MAX_BATCH_ROWS, MAX_BATCH_CELLS // max(1, len(names))))
        with damage_as_table_error(self.part), self._open() as file:
            yield from map(validated, file.iter_batches(batch_size=rows, columns=names))

    def read(self, wanted: pa.Schema) -> pa.Table:
        """All rows, the columns side by side."""
        with damage_as_table_error(self.part), self._open() as file:
            return self._fitted(validated(file.read(columns=self._own(wanted))), wanted)


class ArrowFileReader(BaseFileReader):
    """An Arrow IPC file or stream (Feather among them), with the types that it carries."""

    def __init__(self, part: SourceFile) -> None:
        super().__init__(part)
        with damage_as_table_error(part):
            self.schema = self._with_keys(self._open().schema)

    def _open(self) -> Any:
        import pyarrow.ipc as ipc

        head = read_head(self.part, 6)
        with damage_as_table_error(self.part):
            if self.part.packed and head == b"ARROW1":
                return ipc.open_file(pa.BufferReader(open_bytes(self.part).read()))
            if head != b"ARROW1":
                return ipc.open_stream(open_bytes(self.part))
            return ipc.open_file(pa.memory_map(str(self.part.path)))

    def _raw(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        names = self._own(wanted)
        with damage_as_table_error(self.part), self._open() as file:
            count = getattr(file, "num_record_batches", None)
            batches = iter(file) if count is None else (file.get_batch(i) for i in range(count))
            for batch in batches:
                good = validated(batch.select(names))
                for start in range(0, good.num_rows, MAX_BATCH_ROWS):
                    yield good.slice(start, MAX_BATCH_ROWS)
