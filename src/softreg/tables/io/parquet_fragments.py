"""Fragments of a table in Parquet files: runs of row groups that worker processes read by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.files.typed_files import open_parquet
from softreg.rows.cluster.fragments import FragmentError, modification_record
from softreg.tables.columns.missing_values import replace_missing
from softreg.tables.columns.row_location import with_location
from softreg.tables.columns.table_errors import TableError
from softreg.tables.io.damaged_files import damage_as_table_error
from softreg.tables.io.file_readers import FileReader, ParquetFileReader
from softreg.tables.io.open_table import OpenTable
from softreg.tables.io.sources import SourceFile
from softreg.tables.io.text_metadata import TextMetadata

MIN_FRAGMENT_ROWS = 65_536
"""Rows from which on a fragment is not joined with the next row group: fewer cost more for a task than for the rows."""


@dataclass(eq=False)
class UnloadedRows:
    """Stands for the rows of a fragment in a worker that reads them from the file in each pass."""

    stored: int = 0
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float64))


@dataclass(frozen=True)
class ParquetFragment:
    """Consecutive row groups of a Parquet file.

    Attributes
    ----------
    path : str
        Absolute path of the file, which is the same on all workers.
    display_name : str
        Name of the file in messages.
    file : str
        The same if the table has several files, else "".
    keys : tuple of (str, str or None)
        Values of the partition.
    row_groups : tuple of int
        Numbers of the row groups.
    n_rows : int
        Number of rows.
    first : int
        Number of the first row in the table, from 0.
    first_in_file : int
        Number of the first row in the file, from 0.
    modified : tuple of int
        Modification record of the file when the table was opened.
    """

    path: str
    display_name: str
    file: str
    keys: tuple[tuple[str, str | None], ...]
    row_groups: tuple[int, ...]
    n_rows: int
    first: int
    first_in_file: int
    modified: tuple[int, ...]

    @property
    def name(self) -> str:
        """Text that names the fragment in messages."""
        last = self.first_in_file + self.n_rows
        return f"rows {self.first_in_file + 1:,} to {last:,} of {self.display_name!r}"

    def load(self) -> Any:
        """Return a placeholder: the rows are read in each pass."""
        return UnloadedRows()

    def batches(self, schema: pa.Schema, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in batches as `OpenTable.batches` does, with their locations.

        Parameters
        ----------
        schema : pa.Schema
            Schema of the table.
        columns : sequence of str, optional
            Columns to read; all by default.

        Yields
        ------
        pa.RecordBatch
            At least one row.

        Raises
        ------
        FragmentError
            If the file is gone, or has changed since the table was opened.
        """
        requested = schema if columns is None else pa.schema([schema.field(name) for name in columns], schema.metadata)
        na = TextMetadata.from_schema(requested).na
        self._check_unchanged()
        reader = ParquetFileReader(SourceFile(Path(self.path), "parquet", keys=dict(self.keys)))
        before, kept = self.first - self.first_in_file, self.first_in_file
        for batch in reader.row_group_batches(requested, self.row_groups):
            if batch.num_rows:
                yield with_location(replace_missing(batch, na), kept, [], file=self.file, before=before)
            kept += batch.num_rows
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        """Raise `FragmentError` if the file is gone or has changed."""
        try:
            modified = modification_record(self.path)
        except OSError as error:
            raise FragmentError(
                f"{self.name} cannot be read: {error.strerror} ({error.filename}). Every worker needs the file at this "
                "path."
            ) from error
        if modified != self.modified:
            raise FragmentError(f"{self.name} have changed since the fit began; start the fit anew.")


def parquet_fragments(table: OpenTable) -> list[ParquetFragment]:
    """Return the fragments of a table, in the order of its rows.

    A fragment has the row groups of one file up to the first at which it has `MIN_FRAGMENT_ROWS` rows.

    Parameters
    ----------
    table : OpenTable
        Table in Parquet files.

    Returns
    -------
    list of ParquetFragment
        Fragments with at least one row each.

    Raises
    ------
    TableError
        If a file is no Parquet file on the disk, or the types of a column differ.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import pyarrow.parquet as pq
    >>> from softreg.tables import open_table
    >>> with TemporaryDirectory() as folder:
    ...     pq.write_table(pa.table({"x": range(100_000)}), f"{folder}/x.parquet", row_group_size=40_000)
    ...     [(part.first, part.n_rows, part.row_groups) for part in parquet_fragments(open_table(folder))]
    [(0, 80000, (0, 1)), (80000, 20000, (2,))]
    """
    for reader in table.readers:
        _check_is_parquet(reader.source)
    table.check_types(table.names)
    fragments: list[ParquetFragment] = []
    first = 0
    for reader in table.readers:
        fragments += _file_fragments(reader, first, several=len(table.readers) > 1)
        first = fragments[-1].first + fragments[-1].n_rows if fragments else 0
    return fragments


def _check_is_parquet(source: SourceFile) -> None:
    """Raise `TableError` if a file is not an uncompressed Parquet file that the workers can read."""
    if source.format == "parquet" and source.compression is None and source.origin is None:
        return
    raise TableError(
        f"{source.display_name!r} is not a Parquet file; worker processes read only Parquet, whose parts have known "
        "numbers of rows. Write the table as Parquet files, or leave --cluster out (cluster=None in "
        "Python)."
    )


def _file_fragments(reader: FileReader, first: int, *, several: bool) -> list[ParquetFragment]:
    """Return the fragments of one file, whose first row has the number `first` in the table."""
    source = reader.source
    with damage_as_table_error(source):
        modified = modification_record(str(source.path))
        with open_parquet(source) as file:
            metadata = file.metadata
            rows = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    fragments: list[ParquetFragment] = []
    groups: list[int] = []
    size = begin = 0
    for group, count in enumerate(rows):
        groups.append(group)
        size += count
        if size and (size >= MIN_FRAGMENT_ROWS or group == len(rows) - 1):
            fragments.append(
                ParquetFragment(
                    path=str(source.path.absolute()),
                    display_name=source.display_name,
                    file=source.display_name if several else "",
                    keys=tuple(source.keys.items()),
                    row_groups=tuple(groups),
                    n_rows=size,
                    first=first + begin,
                    first_in_file=begin,
                    modified=modified,
                )
            )
            begin, size, groups = begin + size, 0, []
    return fragments
