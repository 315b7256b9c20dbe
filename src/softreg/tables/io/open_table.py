"""Files, data frames and arrays as Arrow tables and batches, without changing a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.deprecated import DeprecatedAttributes
from softreg.files.formats import PARQUET_ENDINGS
from softreg.files.prefetch import prefetch
from softreg.tables.columns.arrow_types import common_arrow_type, plain_table
from softreg.tables.columns.column_names import check_names
from softreg.tables.columns.dataframe_index import index_from_metadata, mark_index
from softreg.tables.columns.missing_values import replace_missing
from softreg.tables.columns.row_location import SkippedFileRow, file_row_numbers, mark_absent_columns, with_location
from softreg.tables.columns.table_errors import TableError, emit_notes, quote, quote_list
from softreg.tables.columns.untyped_text import is_untyped, mark_untyped
from softreg.tables.io.damaged_files import check_buffers
from softreg.tables.io.file_readers import FileReader, open_file
from softreg.tables.io.image_readers import open_images
from softreg.tables.io.sources import find_source_files, is_source
from softreg.tables.io.text_metadata import TextMetadata
from softreg.tables.read_options import ReadKeywords, ReadOptions, read_options

__all__ = ["PARQUET_ENDINGS", "OpenTable", "as_table", "check_names", "open_table", "read_table"]
MAX_FILES_NAMED = 2
"""Files that a note lists."""


@dataclass
class OpenTable(DeprecatedAttributes):
    """Table in files that can be read in batches repeatedly; made by `open_table`.

    Attributes
    ----------
    names : list of str
        Names of the columns.
    schema : pa.Schema
        Columns and types that hold the values of all files.
    skipped : list of SkippedFileRow
        File, row number and text of rows of the last pass that could not be read, with `bad_rows="skip"`.
    counts : list of int
        Number of rows of each file in the table that `read` returned.
    type_conflicts : dict of str to str
        Errors of columns for which no type holds the values of all files; such columns have type null.
    options : ReadOptions
        Options of reading.
    """

    readers: list[FileReader]
    names: list[str]
    schema: pa.Schema
    skipped: list[SkippedFileRow] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    """Number of rows of each file in the table that `read` returned."""
    type_conflicts: dict[str, str] = field(default_factory=dict)
    """Errors of columns without a type that holds the values of all files; they have type null."""
    options: ReadOptions = field(default_factory=ReadOptions)
    """How the files are read."""

    def __repr__(self) -> str:
        files = (
            f"{len(self.readers)} files, " if len(self.readers) > 1 else f"{self.readers[0].source.display_name!r}, "
        )
        return f"OpenTable({files}{len(self.names):,} columns: {quote_list(self.names, 6)})"

    @property
    def notes(self) -> list[str]:
        """Sentences on the choices made in reading, each with the option that changes it."""
        files: dict[str, list[str]] = {}
        for reader in self.readers:
            for note in reader.notes:
                files.setdefault(note, []).append(reader.source.display_name)
        if len(self.readers) == 1:
            return list(files)
        notes = []
        for note, names in files.items():
            more = f" and {len(names) - MAX_FILES_NAMED:,} more" if len(names) > MAX_FILES_NAMED else ""
            notes.append(f"{', '.join(map(repr, names[:MAX_FILES_NAMED]))}{more}: {note}")
        return notes

    @property
    def paths(self) -> list[Path]:
        """The files that are read."""
        return [reader.source.file for reader in self.readers]

    def input_rows(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row numbers in the input of rows of the table that `read` returned.

        Parameters
        ----------
        rows : int64 array (m,)
            Positions from 0 in the table.

        Returns
        -------
        int64 array (m,)
            Numbers from 1, counted through all files with the skipped rows.
        """
        skipped_numbers: list[int] = []
        before = 0
        for reader, count in zip(self.readers, self.counts, strict=True):
            skipped_numbers += [before + number for number, _ in reader.skipped]
            before += count + len(reader.skipped)
        return file_row_numbers(rows, skipped_numbers)

    def ignoring(self, columns: Iterable[str]) -> OpenTable:
        """Return the table without the requirement that some unused columns have one type in all files.

        Parameters
        ----------
        columns : iterable of str
            Columns that are not used. Those that differ in type are read as nulls, others unchanged.

        Returns
        -------
        OpenTable
        """
        names = set(columns) & set(self.names)
        kinds = {name: self.schema.field(name).type for name in names}
        differ = {name for name in names if any(_type_in(reader, name) != kinds[name] for reader in self.readers)}
        if not differ:
            return self
        fields = [
            pa.field(column_field.name, pa.null()) if column_field.name in differ else column_field
            for column_field in self.schema
        ]
        schema = pa.schema(fields, self.schema.metadata)
        type_conflicts = {name: message for name, message in self.type_conflicts.items() if name not in differ}
        return replace(self, schema=schema, type_conflicts=type_conflicts)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Return an iterator over the rows in batches, from the beginning at each call; a thread reads ahead.

        Memory is bounded by a few batches, independently of the size of the files. The metadata of the schema of a
        batch hold its location, with which an `Encoder` names the file and the row of an invalid cell.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns to read; all if None.

        Returns
        -------
        iterator of pa.RecordBatch

        Raises
        ------
        TableError
            While iterating, if a file is damaged or differs from the first.
        """
        return prefetch(lambda: self._batches(columns))

    def _batches(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        self.skipped.clear()
        hints = self.schema.metadata
        requested = self.schema if columns is None else pa.schema([self.schema.field(name) for name in columns], hints)
        na = TextMetadata.from_schema(requested).na
        self.check_types(requested.names)
        before = 0
        for reader in self.readers:
            kept, file = 0, reader.source.display_name if len(self.readers) > 1 else ""
            for batch in reader.batches(requested):
                yield with_location(
                    replace_missing(batch, na), kept, [number for number, _ in reader.skipped], file=file, before=before
                )
                kept += batch.num_rows
            before += kept + len(reader.skipped)
            self.skipped += [SkippedFileRow(reader.source.display_name, *row) for row in sorted(reader.skipped)]

    def read(self) -> pa.Table:
        """Read the whole table into memory.

        Returns
        -------
        pa.Table

        Raises
        ------
        TableError
            If the table has no rows, a file is damaged, or a column has no common type.
        """
        self.check_types(self.names)
        tables = [reader.read(self.schema) for reader in self.readers]
        self.counts[:] = [table.num_rows for table in tables]
        self.skipped[:] = [
            SkippedFileRow(r.source.display_name, *row) for r in self.readers for row in sorted(r.skipped)
        ]
        table = replace_missing(pa.concat_tables(tables), TextMetadata.from_schema(self.schema).na)
        if table.num_rows == 0:
            names = quote_list(table.column_names, 20)
            raise TableError(
                f"{self.readers[0].source.display_name!r} has columns ({names}) but no rows; there is nothing to work "
                "on."
            )
        return table

    def check_types(self, columns: Sequence[str]) -> None:
        """Raise `TableError` for the first of these columns that has no common type."""
        for name in columns:
            if name in self.type_conflicts:
                raise TableError(self.type_conflicts[name])


def open_table(source: Any, *, options: ReadOptions | None = None, **keywords: Unpack[ReadKeywords]) -> OpenTable:
    r"""Open a table in one or several files, to read it in batches.

    The source is a file, a pattern such as ``logs/*.csv.gz``, a folder of partitions or a list of files. The ending
    decides on the format: `.parquet`, `.pq` and `.parq` are Parquet and `.arrow`, `.feather` and `.ipc` Arrow, whose
    types are kept; `.jsonl`, `.ndjson` and `.json` hold a JSON object in each line; `.tsv` is separated by tabs;
    other files are text separated by commas, tabs, semicolons, `|` or runs of blanks: by the one that gives all rows
    as many fields as the header, or that a first line such as `sep=;` names. Files that end in `.gz`, `.zst` or
    `.bz2` are decompressed while they are read.

    Every column of a text file is text exactly as written ("007" stays "007", "NA" stays "NA"; an empty field is "");
    the schema interprets it later. Byte-order marks, Windows line ends, quoted fields with commas or line breaks and
    blank lines are supported; comments and titles before the header and footnotes are left out; text that is not
    UTF-8 is read in the encoding detected from its letters. `notes` lists each such choice. In a tab-separated file
    with unbalanced quotes, quotes are ordinary characters.

    A folder of pictures (PNG, JPEG and others), picture files, and arrays of images in `.npy`, `.npz` and IDX files are
    tables with a column `image` of pixels, a column `label` of the names of the folders or of the labels stored beside
    the images, and for picture files a column `file` of their paths.

    Several files are one table if they have the same columns; in JSON lines, a key that no line of a file has is
    missing in all its rows. Folders named `key=value` add a text column `key`.

    Parameters
    ----------
    source : str, os.PathLike or list
        File, pattern, folder or list of files; `container::name` is a table in a container, `-` standard input.
    options : ReadOptions, optional
        Options of reading.
    **keywords
        Fields of `ReadOptions`, instead of `options`. `bad_rows="skip"` leaves out rows with a wrong number of
        fields, with undecodable bytes, or that are not JSON objects with values of the types before.

    Returns
    -------
    OpenTable

    Raises
    ------
    TableError
        If there is no such file, it is empty, is not text or is not in the encoding, the first row reads like data, a
        row has a wrong number of fields, a quote is not closed, a file is damaged, or files differ.

    References
    ----------
    RFC 4180, Common Format and MIME Type for Comma-Separated Values (CSV) Files.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("small.csv").write_text("code,colour\n007,NA\n")
    >>> [batch.to_pylist() for batch in open_table("small.csv").batches()]
    [[{'code': '007', 'colour': 'NA'}]]
    """
    options = read_options(options, keywords)
    images = open_images(source, options)
    if images is not None:
        return OpenTable([images], images.schema.names, images.schema, options=options)
    sources = find_source_files(source)
    readers = [open_file(source, options) for source in sources]
    first = readers[0]
    check_names(first.schema.names, repr(first.source.display_name))
    for reader in readers[1:]:
        check_names(reader.schema.names, repr(reader.source.display_name))
        if set(reader.schema.names) != set(first.schema.names):
            extra = [name for name in reader.schema.names if name not in first.schema.names]
            lack = [name for name in first.schema.names if name not in reader.schema.names]
            if {reader.source.format, first.source.format} == {"json"}:
                continue  # a key that no line of a file has is missing in its rows
            differ = "; ".join(
                f"{how} {quote_list(names)}" for how, names in (("has", extra), ("lacks", lack)) if names
            )
            raise TableError(
                f"{reader.source.display_name!r} has other columns than {first.source.display_name!r}: it {differ}. "
                "Files that are read as one table must have the same columns."
            )
    schema, type_conflicts = _common_schema(readers)
    layout = getattr(getattr(readers[0], "reader", None), "layout", None)
    delimiter = "" if layout is None else layout.delimiter
    schema = TextMetadata.from_options(options, delimiter).add_to(schema)
    return OpenTable(readers, schema.names, schema, type_conflicts=type_conflicts, options=options)


def read_table(source: Any, *, options: ReadOptions | None = None, **keywords: Unpack[ReadKeywords]) -> pa.Table:
    r"""Read a source into memory without changing a value; choices made in reading are issued as `TableNote`.

    Parameters
    ----------
    source : str, os.PathLike or list
        Source, see `open_table`.
    options : ReadOptions, optional
        Options of reading.
    **keywords
        Fields of `ReadOptions`, instead of `options`.

    Returns
    -------
    pa.Table

    Raises
    ------
    TableError
        For the errors of `open_table`, and if there are no rows.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from pathlib import Path
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "small.csv"
    ...     _ = path.write_text("code,colour\n007,NA\n")
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
    """Convert a source, a data frame or an array to an Arrow table.

    The index of a pandas frame is not a column. Names of columns become text. Pandas intervals and periods become
    text, sparse columns dense, and Arrow views, run-end encoded columns and half-precision numbers the plain types of
    their values.

    Parameters
    ----------
    data : source, pa.Table, data frame or array (n, d)
        Path, list of paths, `OpenTable`, Arrow table, frame that narwhals supports (pandas, polars), or matrix, whose
        columns are named by their numbers.
    options : ReadOptions, optional
        Options of reading.
    unused : iterable of str, default=()
        Columns that are not used; those that cannot be converted become null.
    **keywords
        Fields of `ReadOptions`, instead of `options`.

    Returns
    -------
    pa.Table

    Raises
    ------
    TableError
        If two columns have one name, values of a column have several types, or data are neither a path nor a table.

    Examples
    --------
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
    from softreg.tables.io.dataframe_tables import frame_to_arrow
    from softreg.tables.io.numpy_arrays import array_table, is_matrix

    table = array_table(data) if is_matrix(data) else frame_to_arrow(data, frozenset(unused))
    return _with_hints(table, options)


def _with_hints(table: pa.Table, options: ReadOptions) -> pa.Table:
    """Return an in-memory table with the options that concern its text."""
    if options == ReadOptions():
        return table
    schema = TextMetadata.from_options(options).add_to(table.schema)
    return replace_missing(table, options.na).replace_schema_metadata(schema.metadata)


def emit_table_notes(table: OpenTable) -> None:
    """Issue each choice made in reading a table as a `TableNote`."""
    emit_notes(table.notes)


def _common_schema(readers: list[FileReader]) -> tuple[pa.Schema, dict[str, str]]:
    """Return the schema that holds the values of all files, and the errors of columns without a common type."""
    index = frozenset[str]().union(*(index_from_metadata(reader.schema) for reader in readers))
    fields, type_conflicts = [], {}
    absent = {}
    types = [dict(zip(reader.schema.names, reader.schema.types, strict=True)) for reader in readers]
    for name in dict.fromkeys(name for file_types in types for name in file_types):
        absent[name] = [
            reader.source.display_name
            for reader, file_types in zip(readers, types, strict=True)
            if name not in file_types
        ]
        kinds = [file_types.get(name, pa.null()) for file_types in types]
        kind = common_arrow_type(kinds)
        if kind is None:
            other = next(index for index, kind in enumerate(kinds) if kind != kinds[0])
            type_conflicts[name] = (
                f"Column {quote(name)} has the type {kinds[0]} in {readers[0].source.display_name!r} and "
                f"{kinds[other]} in "
                f"{readers[other].source.display_name!r}. Files that are read as one table must have the same types: "
                "write the "
                f"column with one type, or leave it out: --drop {quote(name)} (drop=[{quote(name)}] in Python)."
            )
        column_field = pa.field(name, pa.null() if kind is None else kind)
        texts = [reader.schema.field(name) for reader in readers if name in reader.schema.names]
        fields.append(mark_untyped(column_field) if all(map(is_untyped, texts)) else column_field)
    return mark_absent_columns(mark_index(pa.schema(fields), index), absent), type_conflicts


def _type_in(reader: FileReader, name: str) -> pa.DataType:
    """Return the type of a column in one file; null if the file does not have it."""
    return reader.schema.field(name).type if name in reader.schema.names else pa.null()
