"""Readers of single files: schema and batches of CSV, JSON, Parquet and Arrow files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from softreg.files.formats import PARQUET_MAGIC
from softreg.files.typed_files import arrow_batches, open_arrow, open_parquet, parquet_batches, validated
from softreg.tables.columns.arrow_types import plain_column, plain_field
from softreg.tables.columns.column_values import decode_dictionary
from softreg.tables.columns.dataframe_index import index_from_metadata, mark_index
from softreg.tables.columns.row_location import SkippedRow
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.columns.untyped_text import is_untyped, mark_untyped
from softreg.tables.delimited import line_rewriting
from softreg.tables.delimited.chunked_stream import Opener
from softreg.tables.delimited.decoding import declared_encoding
from softreg.tables.delimited.encoding_detection import EncodingGuess, is_utf8
from softreg.tables.delimited.mixed_encoding import find_encoding
from softreg.tables.io.damaged_files import damage_as_table_error
from softreg.tables.io.sources import SourceFile, check_text, open_bytes, open_text, read_head
from softreg.tables.read_options import ReadOptions

HEAD_BYTES = 1 << 16
"""Bytes read to find the encoding of a text file."""
MAX_BATCH_ROWS = 65_536
"""Maximum number of rows of a batch of a typed file."""
MAX_EXACT_INTEGER = 2**53
"""Largest integer below which float64 represents every integer."""
MAX_BATCH_CELLS = 4_000_000
"""Maximum number of cells of a batch; rows with many columns come in smaller batches."""


class FileReader(Protocol):
    """Reader of one file.

    Attributes
    ----------
    source : SourceFile
        The file.
    schema : pa.Schema
        Columns, with those of the partition.
    skipped : list of SkippedRow
        Number and text of rows that could not be read.
    notes : list of str
        Choices made in reading.
    """

    source: SourceFile
    schema: pa.Schema
    skipped: list[SkippedRow]
    notes: list[str]

    def batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches with these columns and types."""

    def read(self, requested: pa.Schema) -> pa.Table:
        """Return all rows."""


def open_file(source: SourceFile, options: ReadOptions) -> FileReader:
    """Open one file.

    Parameters
    ----------
    source : SourceFile
        File of known format.
    options : ReadOptions
        Options of reading.

    Returns
    -------
    FileReader

    Raises
    ------
    TableError
        If the file is a folder, is empty, or does not have the format of its ending.
    """
    if source.path.is_dir():
        raise TableError(
            f"{source.display_name!r} is a folder; name the CSV, TSV or Parquet file in it. "
            "A folder of pictures is read alone."
        )
    if not read_head(source, 64).strip(b"\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise TableError(f"{source.display_name!r} is empty; expected a line of column names and rows below it.")
    if source.format == "parquet":
        return ParquetFileReader(source)
    if source.format == "arrow":
        return ArrowFileReader(source)
    options = replace(options, **source.read_options)
    return TextFileReader(source, options)


def text_encoding(source: SourceFile, declared: str | None, *, skip: bool = False) -> EncodingGuess:
    """Return the encoding of a text file, and the note on it.

    The encoding is inferred from the first bytes, and if these are not UTF-8, from the lines with non-ASCII
    characters.

    Parameters
    ----------
    source : SourceFile
        File.
    declared : str or None
        Encoding that the user requested.
    skip : bool, default=False
        True if undecodable rows are left out.

    Returns
    -------
    EncodingGuess
        Standard name and note.

    Raises
    ------
    TableError
        If the file is not text, or the requested encoding does not exist.
    """
    head = read_head(source, HEAD_BYTES)
    try:
        guess = declared_encoding(head, declared)
    except TableError as error:
        raise TableError(f"{source.display_name!r}: {error}") from None
    check_text(source, head, wide=guess.encoding.startswith(("utf-16", "utf-32")))
    if declared is None and guess.encoding == "utf-8" and not is_utf8(head):
        guess = find_encoding(partial(open_bytes, source), skip=skip) or guess
    return guess


@dataclass
class BaseFileReader:
    """Base of the readers: columns of the partition, and conversion to the types of all files."""

    source: SourceFile
    skipped: list[SkippedRow] = field(default_factory=list)
    notes: list[str] = field(init=False)
    schema: pa.Schema = field(init=False)
    file_fields: dict[str, pa.Field] = field(init=False)
    """The fields of the file itself, by name."""

    def __post_init__(self) -> None:
        self.notes = list(self.source.notes)

    def _plain_schema(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema of plain types, with index columns marked and the partition columns appended."""
        names = schema.names  # raises if a damaged name is not text
        index = index_from_metadata(schema)
        self.file_fields = {field.name: field for field in schema}
        kept = [(plain_field(field), is_untyped(field)) for field in schema]
        schema = pa.schema([mark_untyped(field) if mark else field for field, mark in kept])
        for name in self.source.keys:
            if name not in names:
                schema = schema.append(mark_untyped(pa.field(name, pa.string())))
        return mark_index(schema, index)

    def _conform(self, batch: pa.RecordBatch | pa.Table, requested: pa.Schema) -> pa.Table:
        """Return the rows with the requested columns and types; a column of type null is not read."""
        columns = []
        for column_field in requested:
            if pa.types.is_null(column_field.type) or not (
                column_field.name in self.file_fields or column_field.name in self.source.keys
            ):
                columns.append(pa.nulls(batch.num_rows, column_field.type))
            elif column_field.name in self.source.keys:
                columns.append(pa.repeat(pa.scalar(self.source.keys[column_field.name], pa.string()), batch.num_rows))
            else:
                column = batch.column(column_field.name)
                column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
                columns.append(
                    self._cast(
                        plain_column(column, column_field.name, self.file_fields[column_field.name]), column_field
                    )
                )
        return pa.Table.from_arrays(columns, schema=requested)

    def _cast(self, column: pa.ChunkedArray, target: pa.Field) -> pa.ChunkedArray:
        """Return a column in the type that holds the values of all files; raise `TableError` if it is not exact."""
        if column.type == target.type:
            return column
        column = decode_dictionary(column)
        try:
            cast = pc.cast(column, target.type)
            merged = pa.types.is_decimal(column.type) and pa.types.is_floating(target.type)
            exact = not (merged and pc.any(pc.greater(pc.abs(cast), MAX_EXACT_INTEGER)).as_py())
        except pa.ArrowException:
            exact = False
        if not exact:
            raise TableError(
                f"Column {quote(target.name)} has the type {column.type} in {self.source.display_name!r} and another "
                "in other "
                f"files, so all are read as {target.type}, which does not hold every value of this file exactly. Write "
                f"the column with one type in all files, or leave it out: --drop {quote(target.name)} "
                f"(drop=[{quote(target.name)}] in Python)."
            )
        return cast

    def batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches with these columns and types."""
        for batch in self._read_batches(requested):
            yield from self._conform(batch, requested).to_batches()

    def read(self, requested: pa.Schema) -> pa.Table:
        """Return all rows."""
        return pa.Table.from_batches(self.batches(requested), requested)

    def _read_batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError

    def _file_columns(self, requested: pa.Schema) -> list[str]:
        """Return the names of the columns to read from the file itself."""
        return [
            column_field.name
            for column_field in requested
            if column_field.name not in self.source.keys and not pa.types.is_null(column_field.type)
        ]


class TextFileReader(BaseFileReader):
    """Reader of a CSV, TSV or JSON file."""

    def __init__(self, source: SourceFile, options: ReadOptions) -> None:
        from softreg.tables.delimited.csv_reader import CsvReader
        from softreg.tables.json_files.json_documents import JsonDocument
        from softreg.tables.json_files.json_lines_reader import JsonLines

        super().__init__(source)
        guess = text_encoding(source, options.encoding, skip=options.bad_rows == "skip")
        self.notes += [guess.note] * bool(guess.note)
        texts: dict[str, Any] = {
            "display_name": source.display_name,
            "encoding": guess.encoding,
            "raw": partial(open_bytes, source),
        }
        opened: Opener = partial(open_text, source, guess.encoding)
        self.reader: JsonLines | CsvReader
        if source.format == "json":
            document = JsonDocument(opened, source.display_name)
            unit = "Line" if document.layout == "lines" else "Row"
            self.reader = JsonLines(document.lines, unit=unit, skip=options.bad_rows == "skip", **texts)
            self.notes += [document.note] * bool(document.note)
            self.schema = self._plain_schema(self.reader.schema)
            for name in self.reader.mixed:
                index = self.schema.get_field_index(name)
                self.schema = self.schema.set(index, mark_untyped(self.schema.field(index)))
                self.notes.append(
                    f"Column {quote(name)} of {source.display_name!r} holds text beside values of other types, and "
                    "all are read "
                    "as text; rows of text are left out with --bad-rows skip (bad_rows='skip' in Python)."
                )
        else:
            opened, rewrite_notes = _rewrite_lines(opened, options)
            self.notes += rewrite_notes
            self.reader = CsvReader(opened, tabs=source.format == "tsv", options=options, **texts)
            schema = self._plain_schema(pa.schema([pa.field(name, pa.string()) for name in self.reader.names]))
            schema = pa.schema([mark_untyped(column_field) for column_field in schema])
            names = self.reader.names[:1] if self.reader.layout.row_names else []
            self.schema = mark_index(schema, frozenset(names) | index_from_metadata(schema))
            self.notes += self.reader.notes
        self.skipped = self.reader.skipped

    def _read_batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        batches: Iterator[pa.RecordBatch] = self.reader.batches()
        return batches


def _rewrite_lines(opened: Opener, options: ReadOptions) -> tuple[Opener, list[str]]:
    """Return the function that opens the text, with lines rewritten if needed, and notes about it."""
    if options.delimiter is not None:
        return opened, []
    try:
        head = bytes(opened().read(line_rewriting.HEAD))
    except OSError:  # reported when the text is read
        return opened, []
    form = line_rewriting.find_line_rewrite(head, complete=len(head) < line_rewriting.HEAD)
    if form is None:
        return opened, []
    return (lambda: line_rewriting.RewrittenLines(opened(), form.rewrite)), [form.note]


class ParquetFileReader(BaseFileReader):
    """Reader of a Parquet file, with its types."""

    def __init__(self, source: SourceFile) -> None:
        super().__init__(source)
        if read_head(source, len(PARQUET_MAGIC)) != PARQUET_MAGIC:
            raise TableError(
                f"{source.display_name!r} ends in {source.path.suffix} but is not a Parquet file; is it CSV? Then "
                "rename it to .csv."
            )
        with damage_as_table_error(source):
            self.schema = self._plain_schema(open_parquet(source).schema_arrow)

    def row_group_batches(self, requested: pa.Schema, row_groups: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of some row groups in batches with these columns and types."""
        for batch in self._read_batches(requested, row_groups):
            yield from self._conform(batch, requested).to_batches()

    def _read_batches(self, requested: pa.Schema, row_groups: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        names = self._file_columns(requested)
        rows = max(256, min(MAX_BATCH_ROWS, MAX_BATCH_CELLS // max(1, len(names))))
        with damage_as_table_error(self.source):
            yield from parquet_batches(self.source, names, rows, row_groups)

    def read(self, requested: pa.Schema) -> pa.Table:
        """Return all rows, read by column."""
        with damage_as_table_error(self.source), open_parquet(self.source) as file:
            return self._conform(validated(file.read(columns=self._file_columns(requested))), requested)


class ArrowFileReader(BaseFileReader):
    """Reader of an Arrow IPC file or stream (including Feather), with its types."""

    def __init__(self, source: SourceFile) -> None:
        super().__init__(source)
        with damage_as_table_error(source):
            self.schema = self._plain_schema(open_arrow(source).schema)

    def _read_batches(self, requested: pa.Schema) -> Iterator[pa.RecordBatch]:
        with damage_as_table_error(self.source):
            for batch in arrow_batches(self.source, self._file_columns(requested)):
                for start in range(0, batch.num_rows, MAX_BATCH_ROWS):
                    yield batch.slice(start, MAX_BATCH_ROWS)
