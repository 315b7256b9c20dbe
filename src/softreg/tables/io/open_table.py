"""From files or a frame to Arrow tables and batches in which no value was changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.tables.columns.arrow_types import common_arrow_type, plain_table
from softreg.tables.columns.column_names import check_names
from softreg.tables.columns.dataframe_index import index_from_metadata, mark_index
from softreg.tables.columns.errors import TableError, emit_notes, quote, quote_list
from softreg.tables.columns.missing_values import replace_missing
from softreg.tables.columns.row_location import file_row_numbers, mark_absent_columns, with_location
from softreg.tables.columns.untyped_text import is_untyped, mark_untyped
from softreg.tables.io.damaged_files import check_buffers
from softreg.tables.io.file_formats import PARQUET_ENDINGS
from softreg.tables.io.file_readers import FileReader, open_file
from softreg.tables.io.prefetch import prefetch
from softreg.tables.io.sources import find_source_files, is_source
from softreg.tables.io.text_metadata import TextMetadata
from softreg.tables.read_options import ReadKeywords, ReadOptions, read_options

__all__ = ["PARQUET_ENDINGS", "OpenTable", "as_table", "check_names", "open_table", "read_table"]
MAX_FILES_NAMED = 2
"""Files that a note names, at most."""


@dataclass
class OpenTable:
    """A table in files, to be read batch by batch as often as one likes.

    `names` of its columns; `skipped` rows of the latest reading that could not be read, as (file, number of the row in
    it, text), where `bad_rows` is "skip".
    """

    readers: list[FileReader]
    names: list[str]
    schema: pa.Schema
    skipped: list[tuple[str, int, str]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    """Rows of each file in the table that `read` gave."""
    clashes: dict[str, str] = field(default_factory=dict)
    """What is wrong with columns of which no type holds the values of all files; they are of type null."""
    options: ReadOptions = field(default_factory=ReadOptions)
    """How the files are read."""

    def __repr__(self) -> str:
        files = f"{len(self.readers)} files, " if len(self.readers) > 1 else f"{self.readers[0].part.where!r}, "
        return f"OpenTable({files}{len(self.names):,} columns: {quote_list(self.names, 6)})"

    @property
    def notes(self) -> list[str]:
        """Sentences, each of which says one choice made in reading and the option that changes it."""
        files: dict[str, list[str]] = {}
        for reader in self.readers:
            for note in reader.notes:
                files.setdefault(note, []).append(reader.part.where)
        if len(self.readers) == 1:
            return list(files)
        notes = []
        for note, where in files.items():
            more = f" and {len(where) - MAX_FILES_NAMED:,} more" if len(where) > MAX_FILES_NAMED else ""
            notes.append(f"{', '.join(map(repr, where[:MAX_FILES_NAMED]))}{more}: {note}")
        return notes

    @property
    def paths(self) -> list[Path]:
        """The files that are read."""
        return [reader.part.file for reader in self.readers]

    def input_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers from 1, in all files and with skipped rows, of rows (from 0) of the table that `read` gave."""
        gone: list[int] = []
        before = 0
        for reader, count in zip(self.readers, self.counts, strict=True):
            gone += [before + number for number, _ in reader.skipped]
            before += count + len(reader.skipped)
        return file_row_numbers(rows, gone)

    def ignoring(self, columns: Iterable[str]) -> OpenTable:
        """The same table, where columns that are not used need not be of one type in all files.

        Those that are not are read as nulls. Others are read as they are.
        """
        names = set(columns) & set(self.names)
        kinds = {name: self.schema.field(name).type for name in names}
        differ = {name for name in names if any(_type_in(one, name) != kinds[name] for one in self.readers)}
        if not differ:
            return self
        fields = [pa.field(one.name, pa.null()) if one.name in differ else one for one in self.schema]
        schema = pa.schema(fields, self.schema.metadata)
        clashes = {name: said for name, said in self.clashes.items() if name not in differ}
        return replace(self, schema=schema, clashes=clashes)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in batches, from the beginning at each call; the next ones are read meanwhile.

        `columns` are those that are wanted, all where None. Where a batch comes from stands in the metadata of its
        schema, by which an `Encoder` names file and row of a bad cell. Memory is bounded by a few batches, whatever the
        size of the files. Raises `TableError` where a file is damaged or differs from the first.
        """
        return prefetch(lambda: self._batches(columns))

    def _batches(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        self.skipped.clear()
        hints = self.schema.metadata
        wanted = self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns], hints)
        na = TextMetadata.of(wanted).na
        self._check(wanted.names)
        before = 0
        for reader in self.readers:
            kept, file = 0, reader.part.where if len(self.readers) > 1 else ""
            for batch in reader.batches(wanted):
                yield with_location(
                    replace_missing(batch, na), kept, [number for number, _ in reader.skipped], file=file, before=before
                )
                kept += batch.num_rows
            before += kept + len(reader.skipped)
            self.skipped += [(reader.part.where, number, text) for number, text in sorted(reader.skipped)]

    def read(self) -> pa.Table:
        """The whole table in memory; raises `TableError` where it has no rows."""
        self._check(self.names)
        tables = [reader.read(self.schema) for reader in self.readers]
        self.counts[:] = [table.num_rows for table in tables]
        self.skipped[:] = [(r.part.where, number, text) for r in self.readers for number, text in sorted(r.skipped)]
        table = replace_missing(pa.concat_tables(tables), TextMetadata.of(self.schema).na)
        if table.num_rows == 0:
            names = quote_list(table.column_names, 20)
            raise TableError(
                f"{self.readers[0].part.where!r} has columns ({names}) but no rows; there is nothing to work on."
            )
        return table

    def _check(self, columns: Sequence[str]) -> None:
        """Raise `TableError` for the first of these columns that has no type."""
        for name in columns:
            if name in self.clashes:
                raise TableError(self.clashes[name])


def open_table(source: Any, *, options: ReadOptions | None = None, **keywords: Unpack[ReadKeywords]) -> OpenTable:
    """Open a file, a pattern such as "logs/*.csv.gz", a folder of partitions or a list of files, to read it in batches.

    Endings decide: `.parquet`, `.pq` and `.parq` are Parquet and `.arrow`, `.feather` and `.ipc` Arrow, whose types are
    kept; `.jsonl`, `.ndjson` and `.json` hold a JSON object a line; `.tsv` is separated by tabs; anything else is text
    separated by commas, tabs, semicolons, `|` or runs of blanks: by the one that gives all rows as many fields as the
    header, or that a first line such as `sep=;` names. With `.gz`, `.zst` or `.bz2` behind it, a file is unpacked as it
    is read. Every column of a text file is text exactly as written ("007" stays "007", "NA" stays "NA"; an empty field
    is ""); what it means is decided later, by the schema. Byte-order marks, Windows line ends, quoted fields with
    commas or line breaks in them and blank lines are understood; comments and titles ahead of the header and footnotes
    are left out; text that is not UTF-8 is read in the encoding that its letters show. `notes` says each such choice.
    In a tab-separated file whose quotes do not pair up, quotes are plain characters. Several files are one table, if
    they have the same columns; in JSON lines, a key that no line of a file has is missing in all of its rows. Folders
    named `key=value` make a column `key` of text.

    `options` is a `ReadOptions`, whose fields may be given as keywords instead. `bad_rows="skip"` leaves out rows that
    cannot be read: of too many or too few fields, with bytes that are not in the encoding, or that are no JSON object
    with values of the types before.

    Raises `TableError`: no such file, empty, not text, not in the encoding, a first row that reads like data, a row
    with too many or too few fields, a quote that is never closed, a damaged file, files that differ.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("small.csv").write_text("code,colour\\n007,NA\\n")
        >>> [batch.to_pylist() for batch in open_table("small.csv").batches()]
        [[{'code': '007', 'colour': 'NA'}]]

    Source: RFC 4180 (the form of CSV files).
    """
    options = read_options(options, keywords)
    parts = find_source_files(source)
    readers = [open_file(part, options) for part in parts]
    first = readers[0]
    check_names(first.schema.names, repr(first.part.where))
    for reader in readers[1:]:
        check_names(reader.schema.names, repr(reader.part.where))
        if set(reader.schema.names) != set(first.schema.names):
            extra = [name for name in reader.schema.names if name not in first.schema.names]
            lack = [name for name in first.schema.names if name not in reader.schema.names]
            if {reader.part.form, first.part.form} == {"json"}:
                continue  # a key that no line of a file has is missing in its rows
            differ = "; ".join(
                f"{how} {quote_list(names)}" for how, names in (("has", extra), ("lacks", lack)) if names
            )
            raise TableError(
                f"{reader.part.where!r} has other columns than {first.part.where!r}: it {differ}. Files that are read "
                "as one table must have the same columns."
            )
    schema, clashes = _common(readers)
    layout = getattr(getattr(readers[0], "behind", None), "layout", None)
    delimiter = "" if layout is None else layout.delimiter
    schema = TextMetadata.from_options(options, delimiter).noted(schema)
    return OpenTable(readers, schema.names, schema, clashes=clashes, options=options)


def read_table(source: Any, *, options: ReadOptions | None = None, **keywords: Unpack[ReadKeywords]) -> pa.Table:
    """Read a source into memory without changing a value; sources, options and errors are those of `open_table`.

    Choices made in reading are given as `TableNote`. Raises `TableError` where there are no rows, too.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from pathlib import Path
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "small.csv"
        ...     _ = path.write_text("code,colour\\n007,NA\\n")
        ...     read_table(path).to_pylist()
        [{'code': '007', 'colour': 'NA'}]
    """
    return as_table(source, options=read_options(options, keywords))


def as_table(
    data: Any,
    *,
    options: ReadOptions | None = None,
    unused: Iterable[str] = (),
    **keywords: Unpack[ReadKeywords],
) -> pa.Table:
    """An Arrow table from a path, a list of paths, a pyarrow table, a frame that narwhals knows (pandas, polars) or an
    array (n, d), whose columns are named by their numbers.

    The index of a pandas frame is not a column. Column names become text. Intervals and periods of pandas become their
    names, sparse columns dense ones, and Arrow's views, runs and half-precision numbers the plain types of their
    values. Columns `unused`, as those that are to be dropped, may hold anything: where they cannot be converted, they
    are nulls.

    Raises `TableError`: two columns of one name, a column whose values are not of one type, or data that are neither a
    path nor a frame.

    Example:
        >>> as_table(pa.table({"age": [30, 41]})).column_names
        ['age']
    """
    options = read_options(options, keywords)
    if is_source(data):
        data = open_table(data, options=options)
        emit_table_notes(data)
    if isinstance(data, OpenTable):
        return data.ignoring(unused).read()
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        check_names(data.column_names, "the table")
        return _with_hints(plain_table(check_buffers(data)), options)
    from softreg.tables.io.dataframes import frame_to_arrow
    from softreg.tables.io.numpy_arrays import array_table, is_matrix

    table = array_table(data) if is_matrix(data) else frame_to_arrow(data, frozenset(unused))
    return _with_hints(table, options)


def _with_hints(table: pa.Table, options: ReadOptions) -> pa.Table:
    """A table of memory with what the options say of its text."""
    if options == ReadOptions():
        return table
    schema = TextMetadata.from_options(options).noted(table.schema)
    return replace_missing(table, options.na).replace_schema_metadata(schema.metadata)


def emit_table_notes(table: OpenTable) -> None:
    """Give each choice that was made in reading a table as a `TableNote`."""
    emit_notes(table.notes)


def _common(readers: list[FileReader]) -> tuple[pa.Schema, dict[str, str]]:
    """The schema that holds the values of all files, in the order of the first, and what has no type in it."""
    index = frozenset[str]().union(*(index_from_metadata(reader.schema) for reader in readers))
    fields, clashes = [], {}
    absent = {}
    types = [dict(zip(reader.schema.names, reader.schema.types, strict=True)) for reader in readers]
    for name in dict.fromkeys(name for own in types for name in own):
        absent[name] = [reader.part.where for reader, own in zip(readers, types, strict=True) if name not in own]
        kinds = [own.get(name, pa.null()) for own in types]
        kind = common_arrow_type(kinds)
        if kind is None:
            other = next(place for place, one in enumerate(kinds) if one != kinds[0])
            clashes[name] = (
                f"Column {quote(name)} has the type {kinds[0]} in {readers[0].part.where!r} and {kinds[other]} in "
                f"{readers[other].part.where!r}. Files that are read as one table must have the same types: write the "
                f"column with one type, or leave it out: --drop {quote(name)} (drop=[{quote(name)}] in Python)."
            )
        one = pa.field(name, pa.null() if kind is None else kind)
        texts = [reader.schema.field(name) for reader in readers if name in reader.schema.names]
        fields.append(mark_untyped(one) if all(map(is_untyped, texts)) else one)
    return mark_absent_columns(mark_index(pa.schema(fields), index), absent), clashes


def _type_in(reader: FileReader, name: str) -> pa.DataType:
    """The type of a column in one file; null where the file does not have it."""
    return reader.schema.field(name).type if name in reader.schema.names else pa.null()
