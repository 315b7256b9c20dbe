"""Locations of rows in a table or a file, for messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

FILE, ROW = b"softreg.file", b"softreg.row"
"""Metadata keys of a batch: its file, and the number of rows of the file before the batch."""
LEFT_OUT, BEFORE = b"softreg.left_out", b"softreg.before"
"""Metadata keys: numbers of the rows left out within the batch, and number of rows of the files before."""
ABSENT = b"softreg.absent"
"""Metadata key of a field: names of the files that lack the column, one in each line."""
Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


class SkippedRow(NamedTuple):
    """Row of a file that could not be read: its number from 1, and its text."""

    number: int
    text: str


class SkippedFileRow(NamedTuple):
    """Row of a table in files that could not be read: name of the file, number in it from 1, and text."""

    file: str
    number: int
    text: str


def file_row_numbers(positions: ArrayLike, left_out: ArrayLike) -> NDArray[np.int64]:
    """Return the row numbers in a file of rows given by their position among the rows that were kept.

    Parameters
    ----------
    positions : int or int array (m,)
        Positions from 0 among the rows kept.
    left_out : sequence of int
        Numbers from 1 of the rows that were left out.

    Returns
    -------
    int64 array (m,)
        Row numbers from 1.

    Examples
    --------
    >>> file_row_numbers([0, 1, 2], left_out=[2, 3]).tolist()
    [1, 4, 5]
    """
    skipped_numbers = np.unique(np.asarray(left_out, np.int64))
    kept_before = skipped_numbers - 1 - np.arange(len(skipped_numbers))  # number of rows kept before each row left out
    indices = np.asarray(positions, np.int64)
    return indices + 1 + np.searchsorted(kept_before, indices, side="right")


@dataclass(frozen=True)
class RowLocation:
    """Location of rows in a table or file: `rows` of a table (all if None) that begins after row `first` of a file.

    Attributes
    ----------
    rows : int64 array (n,) or None
        Positions in the table.
    first : int
        Number of rows of the file before the table.
    file : str
        Name of the file; "" if there is one only.
    files : tuple of (int, str)
        For rows of several files, the position of the first row of each and its name.
    left_out : tuple of int
        Numbers of rows between these that could not be read.

    Examples
    --------
    >>> RowLocation().row(16), RowLocation(np.array([3, 1]), 1000, "a.csv").row(0)
    ('row 17', "row 1,004 of 'a.csv'")
    """

    rows: NDArray[np.int64] | None = None
    first: int = 0
    file: str = ""
    files: tuple[tuple[int, str], ...] = ()
    """Where rows of several files are at hand: the position of the first row of each, and its file."""
    left_out: tuple[int, ...] = ()
    """Numbers of rows between these that were left out, as they could not be read."""

    def row(self, position: int) -> str:
        """Describe the row at a position in words, counted from 1."""
        file = next((name for first, name in reversed(self.files) if first <= position), self.file)
        return f"row {self.number(position):,}" + (f" of {file!r}" if file else "")

    def number(self, position: int) -> int:
        """Return the number of the row at a position, counted from 1."""
        index = int(position if self.rows is None else self.rows[position])
        skipped_numbers = [number - self.first for number in self.left_out]
        return self.first + (int(file_row_numbers(index, skipped_numbers)) if skipped_numbers else index + 1)


WHOLE_TABLE = RowLocation()


def read_location(table: pa.Table | pa.RecordBatch) -> RowLocation:
    """Return the location stored in the metadata of a batch; `WHOLE_TABLE` if there is none.

    Returns
    -------
    RowLocation

    Examples
    --------
    >>> read_location(pa.table({"a": [1]}).replace_schema_metadata({FILE: b"a.csv", ROW: b"10"})).row(0)
    "row 11 of 'a.csv'"
    """
    metadata = table.schema.metadata or {}
    if ROW not in metadata:
        return WHOLE_TABLE
    skipped_numbers = tuple(int(number) for number in metadata.get(LEFT_OUT, b"").split())
    return RowLocation(None, int(metadata[ROW]), metadata.get(FILE, b"").decode(), left_out=skipped_numbers)


def with_location(batch: Rows, kept: int, left_out: Sequence[int], *, file: str = "", before: int = 0) -> Rows:
    """Store the location of a batch in the metadata of its schema.

    Parameters
    ----------
    batch : pa.Table or pa.RecordBatch
        The rows.
    kept : int
        Number of rows of the file before the batch that were kept.
    left_out : sequence of int
        Numbers from 1 of the rows of the file that were left out so far.
    file : str, default=""
        Name of the file in messages.
    before : int, default=0
        Number of rows of the files before this one.

    Returns
    -------
    pa.Table or pa.RecordBatch

    Examples
    --------
    >>> input_row_numbers(with_location(pa.record_batch({"a": [5, 6]}), 1, left_out=[1, 3])).tolist()
    [4, 5]
    """
    ends = file_row_numbers([kept, kept + max(1, batch.num_rows) - 1], left_out)
    inside = sorted({number for number in left_out if ends[0] < number < ends[1]})
    metadata = dict(batch.schema.metadata or {})
    metadata |= {ROW: str(ends[0] - 1).encode(), BEFORE: str(before).encode()}
    if file:
        metadata[FILE] = file.encode(errors="replace")
    if inside:
        metadata[LEFT_OUT] = " ".join(map(str, inside)).encode()
    return batch.replace_schema_metadata(metadata)


def input_row_numbers(batch: pa.Table | pa.RecordBatch) -> NDArray[np.int64]:
    """Return the row numbers of a batch, counted from 1 through all files, rows left out included.

    Returns
    -------
    int64 array (n,)

    Examples
    --------
    >>> input_row_numbers(pa.table({"a": [7, 8]})).tolist()
    [1, 2]
    """
    metadata, location = batch.schema.metadata or {}, read_location(batch)
    skipped_numbers = [number - location.first for number in location.left_out]
    return int(metadata.get(BEFORE, 0)) + location.first + file_row_numbers(np.arange(batch.num_rows), skipped_numbers)


def filter_rows(batch: Rows, keep: NDArray[np.bool_]) -> Rows:
    """Return some rows of a batch with their location.

    Parameters
    ----------
    batch : pa.Table or pa.RecordBatch
        The rows.
    keep : bool array (n,)
        True for the rows to keep.

    Returns
    -------
    pa.Table or pa.RecordBatch

    Examples
    --------
    >>> input_row_numbers(filter_rows(pa.record_batch({"a": [5, 6, 7]}), np.array([False, True, True]))).tolist()
    [2, 3]
    """
    metadata: dict[bytes, bytes] = dict(batch.schema.metadata or {})
    location: RowLocation = read_location(batch)
    numbers: NDArray[np.int64] = input_row_numbers(batch)[~keep] - int(metadata.get(BEFORE, 0))
    skipped_numbers = sorted({*location.left_out, *numbers.tolist()})
    metadata |= {ROW: str(location.first).encode(), LEFT_OUT: " ".join(map(str, skipped_numbers)).encode()}
    return batch.filter(pa.array(keep)).replace_schema_metadata(metadata)


def mark_absent_columns(schema: pa.Schema, absent: Mapping[str, Sequence[str]]) -> pa.Schema:
    """Store in each field of a schema the names of the files that lack the column.

    Returns
    -------
    pa.Schema

    Examples
    --------
    >>> files_without_column(mark_absent_columns(pa.schema([("y", pa.int64())]), {"y": ["b.jsonl"]}).field("y"))
    ['b.jsonl']
    """
    fields = []
    for field in schema:
        lines = "\n".join(absent.get(field.name, ()))
        metadata = {**(field.metadata or {}), ABSENT: lines.encode(errors="replace")}
        fields.append(field.with_metadata(metadata) if lines else field)
    return pa.schema(fields)


def files_without_column(field: pa.Field) -> list[str]:
    """Return the names of the files that lack the column, as `mark_absent_columns` stored them."""
    names: bytes = (field.metadata or {}).get(ABSENT, b"")
    return names.decode().splitlines()
