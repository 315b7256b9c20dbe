"""Where the rows at hand stand in the table or the file, for messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

FILE, ROW = b"softreg.file", b"softreg.row"
"""Keys of a batch's metadata: its file, and the number of rows of the file ahead of its first."""
LEFT_OUT, BEFORE = b"softreg.left_out", b"softreg.before"
"""The numbers of rows left out between its first and last, and how many rows the files before have."""
ABSENT = b"softreg.absent"
"""Key of a field's metadata: the files of which no line has the column, a name a line."""
Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def file_row_numbers(positions: Any, left_out: Any) -> NDArray[np.int64]:
    """Numbers from 1 in the file of the rows at positions from 0 among those that were kept.

    `left_out` are the numbers of the rows that were not.

    Example:
        >>> file_row_numbers([0, 1, 2], left_out=[2, 3]).tolist()
        [1, 4, 5]
    """
    gone = np.unique(np.asarray(left_out, np.int64))
    kept_before = gone - 1 - np.arange(len(gone))  # rows kept ahead of each that was not
    places = np.asarray(positions, np.int64)
    return places + 1 + np.searchsorted(kept_before, places, side="right")


@dataclass(frozen=True)
class RowLocation:
    """The rows at hand are `rows` of a table (all where None), which begins behind row `first` of a file.

    Example:
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

    def row(self, position: Any) -> str:
        """The row at a position, counted from 1, in words."""
        file = next((name for first, name in reversed(self.files) if first <= position), self.file)
        return f"row {self.number(position):,}" + (f" of {file!r}" if file else "")

    def number(self, position: Any) -> int:
        """The number of the row at a position, counted from 1."""
        place = int(position if self.rows is None else self.rows[position])
        gone = [number - self.first for number in self.left_out]
        return self.first + (int(file_row_numbers(place, gone)) if gone else place + 1)


WHOLE_TABLE = RowLocation()


def read_location(table: pa.Table | pa.RecordBatch) -> RowLocation:
    """What a batch from a file says of itself; the beginning of a table for any other.

    Example:
        >>> read_location(pa.table({"a": [1]}).replace_schema_metadata({FILE: b"a.csv", ROW: b"10"})).row(0)
        "row 11 of 'a.csv'"
    """
    told = table.schema.metadata or {}
    if ROW not in told:
        return WHOLE_TABLE
    gone = tuple(int(number) for number in told.get(LEFT_OUT, b"").split())
    return RowLocation(None, int(told[ROW]), told.get(FILE, b"").decode(), left_out=gone)


def with_location(batch: Rows, kept: int, left_out: Sequence[int], *, file: str = "", before: int = 0) -> Rows:
    """A batch that says of itself where it is from: behind `kept` rows of its file, of which `left_out` were not kept.

    `file` is named in messages; `before` is the number of rows of the files ahead of this one.

    Example:
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
    """The numbers from 1 of the rows of a batch, counted through all files and with the rows that were left out.

    Example:
        >>> input_row_numbers(pa.table({"a": [7, 8]})).tolist()
        [1, 2]
    """
    told, where = batch.schema.metadata or {}, read_location(batch)
    gone = [number - where.first for number in where.left_out]
    return int(told.get(BEFORE, 0)) + where.first + file_row_numbers(np.arange(batch.num_rows), gone)


def filter_rows(batch: Rows, keep: NDArray[np.bool_]) -> Rows:
    """Some rows of a batch, which still says of itself where they are from.

    Example:
        >>> input_row_numbers(filter_rows(pa.record_batch({"a": [5, 6, 7]}), np.array([False, True, True]))).tolist()
        [2, 3]
    """
    told: dict[bytes, bytes] = dict(batch.schema.metadata or {})
    where: RowLocation = read_location(batch)
    numbers: NDArray[np.int64] = input_row_numbers(batch)[~keep] - int(told.get(BEFORE, 0))
    gone = sorted({*where.left_out, *numbers.tolist()})
    told |= {ROW: str(where.first).encode(), LEFT_OUT: " ".join(map(str, gone)).encode()}
    return batch.filter(pa.array(keep)).replace_schema_metadata(told)


def mark_absent_columns(schema: pa.Schema, absent: Mapping[str, Sequence[str]]) -> pa.Schema:
    """The schema, whose fields say which files lack the column.

    Example:
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
    """The files of which no line has the column, as `mark_absent_columns` noted them."""
    names: bytes = (field.metadata or {}).get(ABSENT, b"")
    return names.decode().splitlines()
