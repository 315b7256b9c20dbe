"""One file of a source, opened: its columns, and its rows batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_types import plain_column, plain_field
from softreg.tables.columns.errors import TableError, shown
from softreg.tables.columns.row_index import file_index, marked
from softreg.tables.columns.untyped_text import is_untyped, untyped
from softreg.tables.columns.values import decoded
from softreg.tables.delimited import line_forms
from softreg.tables.delimited.decoding import encoding_of
from softreg.tables.delimited.encoding_detection import is_utf8
from softreg.tables.delimited.mixed_encoding import find_encoding
from softreg.tables.io.damage import checked, reading
from softreg.tables.io.sources import Part, check_text, open_bytes, open_text, read_head
from softreg.tables.read_options import ReadOptions

HEAD = 1 << 16
"""Bytes at the beginning of a text file by which its encoding is found."""
ROWS = 65_536
"""Rows of a batch of a typed file, at most."""
BUFFER = 1 << 20
"""Bytes of a column of a Parquet file that are read at a time; a whole row group may be larger than memory."""
EXACT = 2**53
"""Whole numbers up to this are float64 numbers, each of its own."""
LARGE = 1 << 26
"""Bytes of a Parquet file from which on it is read through that buffer. Smaller ones are read by columns of row groups:
the buffer takes the memory that a damaged length of a page asks for."""
CELLS = 4_000_000
"""Cells of such a batch, at most: rows of very many columns come in smaller batches."""


class PartReader(Protocol):
    """One file: `part`, the `schema` of its columns with those of its partition, `skipped` rows, and `notes` on how it
    is read."""

    part: Part
    schema: pa.Schema
    skipped: list[tuple[int, str]]
    notes: list[str]

    def batches(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The rows in batches of these columns and types."""

    def read(self, wanted: pa.Schema) -> pa.Table:
        """All rows."""


def open_part(part: Part, options: ReadOptions) -> PartReader:
    """Open one file; raises `TableError` where it is not of the form that its ending says."""
    if part.path.is_dir():
        raise TableError(f"{part.where!r} is a folder; name the CSV, TSV or Parquet file in it.")
    if not read_head(part, 64).strip(b"\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise TableError(f"{part.where!r} is empty; expected a line of column names and rows below it.")
    if part.form == "parquet":
        return ParquetPart(part)
    if part.form == "arrow":
        return ArrowPart(part)
    options = replace(options, **part.written)
    return TextPart(part, options)


def text_encoding(part: Part, asked: str | None, *, skip: bool = False) -> tuple[str, list[str]]:
    """The encoding of a text file, and notes on it; raises `TableError` where the file is no text.

    It is found by the first bytes, and where these are not UTF-8, by the characters of the lines that are not ASCII.
    """
    head = read_head(part, HEAD)
    try:
        encoding, note = encoding_of(head, asked)
    except TableError as error:
        raise TableError(f"{part.where!r}: {error}") from None
    check_text(part, head, wide=encoding.startswith(("utf-16", "utf-32")))
    if asked is None and encoding == "utf-8" and not is_utf8(head):
        encoding, note = find_encoding(partial(open_bytes, part), skip=skip) or (encoding, note)
    return encoding, [note] if note else []


@dataclass
class Typed:
    """What files of text share: a reader behind, and the columns of the partition."""

    part: Part
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
        index = file_index(schema)
        self.own = {field.name: field for field in schema}
        kept = [(plain_field(field), is_untyped(field)) for field in schema]
        schema = pa.schema([untyped(field) if mark else field for field, mark in kept])
        for name in self.part.keys:
            if name not in names:
                schema = schema.append(untyped(pa.field(name, pa.string())))
        return marked(schema, index)

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
        column = decoded(column)
        try:
            cast = pc.cast(column, wanted.type)
            merged = pa.types.is_decimal(column.type) and pa.types.is_floating(wanted.type)
            exact = not (merged and pc.any(pc.greater(pc.abs(cast), EXACT)).as_py())
        except pa.ArrowException:
            exact = False
        if not exact:
            raise TableError(
                f"Column {shown(wanted.name)} has the type {column.type} in {self.part.where!r} and another in other "
                f"files, so all are read as {wanted.type}, which does not hold every value of this file exactly. Write "
                f"the column with one type in all files, or leave it out: --drop {shown(wanted.name)} "
                f"(drop=[{shown(wanted.name)}] in Python)."
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


class TextPart(Typed):
    """A file of CSV, TSV or JSON lines."""

    def __init__(self, part: Part, options: ReadOptions) -> None:
        from softreg.tables.delimited.csv_text import Delimited
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
                self.schema = self.schema.set(place, untyped(self.schema.field(place)))
                self.notes.append(
                    f"Column {shown(name)} of {part.where!r} holds text beside values of other types, and all are read "
                    "as text; rows of text are left out with --bad-rows skip (bad_rows='skip' in Python)."
                )
        else:
            opened, said = _plain_lines(opened, options)
            self.notes += said
            self.behind = Delimited(opened, tabs=part.form == "tsv", options=options, **texts)
            schema = self._with_keys(pa.schema([pa.field(name, pa.string()) for name in self.behind.names]))
            schema = pa.schema([untyped(one) for one in schema])
            names = self.behind.names[:1] if self.behind.layout.row_names else []
            self.schema = marked(schema, frozenset(names) | file_index(schema))
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
        head = bytes(opened().read(line_forms.HEAD))
    except OSError:  # said where the text is read
        return opened, []
    form = line_forms.line_form(head, complete=len(head) < line_forms.HEAD)
    if form is None:
        return opened, []
    return (lambda: line_forms.RewrittenLines(opened(), form.rewrite)), [form.note]


class ParquetPart(Typed):
    """A Parquet file, with the types that it carries."""

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        if read_head(part, 4) != b"PAR1":
            raise TableError(
                f"{part.where!r} ends in {part.path.suffix} but is not a Parquet file; is it CSV? Then "
                "rename it to .csv."
            )
        with reading(part):
            self.schema = self._with_keys(self._open().schema_arrow)

    def _open(self) -> Any:
        import pyarrow.parquet as pq

        with reading(self.part):
            source = pa.BufferReader(open_bytes(self.part).read()) if self.part.packed else str(self.part.path)
            large = not self.part.packed and self.part.path.stat().st_size > LARGE
            return pq.ParquetFile(
                source, pre_buffer=False, buffer_size=BUFFER if large else 0, page_checksum_verification=True
            )

    def _raw(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        names = self._own(wanted)
        rows = max(256, min(ROWS, CELLS // max(1, len(names))))
        with reading(self.part), self._open() as file:
            yield from map(checked, file.iter_batches(batch_size=rows, columns=names))

    def read(self, wanted: pa.Schema) -> pa.Table:
        """All rows, the columns side by side."""
        with reading(self.part), self._open() as file:
            return self._fitted(checked(file.read(columns=self._own(wanted))), wanted)


class ArrowPart(Typed):
    """An Arrow IPC file or stream (Feather among them), with the types that it carries."""

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        with reading(part):
            self.schema = self._with_keys(self._open().schema)

    def _open(self) -> Any:
        import pyarrow.ipc as ipc

        head = read_head(self.part, 6)
        with reading(self.part):
            if self.part.packed and head == b"ARROW1":
                return ipc.open_file(pa.BufferReader(open_bytes(self.part).read()))
            if head != b"ARROW1":
                return ipc.open_stream(open_bytes(self.part))
            return ipc.open_file(pa.memory_map(str(self.part.path)))

    def _raw(self, wanted: pa.Schema) -> Iterator[pa.RecordBatch]:
        names = self._own(wanted)
        with reading(self.part), self._open() as file:
            count = getattr(file, "num_record_batches", None)
            batches = iter(file) if count is None else (file.get_batch(i) for i in range(count))
            for batch in batches:
                good = checked(batch.select(names))
                for start in range(0, good.num_rows, ROWS):
                    yield good.slice(start, ROWS)
