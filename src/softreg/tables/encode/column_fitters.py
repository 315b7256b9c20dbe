"""The fitter of each kind of column, and the training rows of batches in chunks of a fixed size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from softreg.tables.columns.row_location import WHOLE_TABLE, RowLocation, read_location
from softreg.tables.encode.boolean_encoder import BooleanFitter
from softreg.tables.encode.category_encoder import CategoryFitter
from softreg.tables.encode.column_encoder import ColumnFitter
from softreg.tables.encode.date_encoder import DateFitter
from softreg.tables.encode.list_column_encoders import TagsFitter, VectorFitter
from softreg.tables.encode.normal_scores import NumericSample
from softreg.tables.encode.number_encoder import Form, NumberFitter
from softreg.tables.encode.text.text_encoder import TextFitter
from softreg.tables.schema.kinds import Column, Kind
from softreg.typing import BoolArray, Int64Array, RowNumbers

CHUNK = 16_384
"""Rows of a chunk; sums over chunks of a fixed size do not depend on the batches."""


def make_fitter(column: Column, sample: NumericSample, form: Form | None = None) -> ColumnFitter:
    """Return the fitter for the inferred kind of a column; `form` is the numeric form, if it is given."""
    name = column.name
    if column.kind is Kind.NUMBER:
        return NumberFitter(name, sample, form)
    if column.kind is Kind.BOOLEAN:
        return BooleanFitter(name, (column.levels[0], column.levels[1]))
    if column.kind is Kind.DATE:
        return DateFitter(name, day_first=column.levels != ("month first",))
    others: dict[Kind, Callable[[str], ColumnFitter]] = {
        Kind.CATEGORY: CategoryFitter,
        Kind.TEXT: TextFitter,
        Kind.TAGS: TagsFitter,
        Kind.VECTOR: VectorFitter,
    }
    return others[column.kind](name)


def row_chunks(
    batches: pa.Table | pa.RecordBatch | Iterable[pa.Table | pa.RecordBatch],
    rows: RowNumbers | Callable[[int, int], BoolArray] | None,
) -> Iterator[tuple[pa.Table, RowLocation]]:
    """Yield the chosen rows in tables of `CHUNK` rows with their locations; the last table is shorter.

    Chunks do not depend on how the rows are cut into batches, so that sums over them do not either.

    Parameters
    ----------
    batches : pyarrow.Table, pyarrow.RecordBatch or iterable of them
        The rows.
    rows : array of int (k,), callable or None
        Row numbers, counted through all batches from 0 and taken in ascending order; or `rows(first, count)`, a mask of
        the `count` rows from number `first` on; None for all rows.

    Yields
    ------
    tuple of pyarrow.Table and RowLocation
        At most `CHUNK` rows.
    """
    if isinstance(batches, pa.Table | pa.RecordBatch):
        batches = [batches]
    mask_of = rows if callable(rows) else None
    chosen = None if rows is None or callable(rows) else np.sort(rows)
    waiting: list[tuple[pa.Table, Int64Array, RowLocation]] = []
    size = first = 0
    for batch in batches:
        location = read_location(batch)
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        table = table.replace_schema_metadata(None)
        numbers = np.arange(table.num_rows)
        if mask_of is not None:
            numbers = np.flatnonzero(mask_of(first, table.num_rows))
        elif chosen is not None:
            low, high = np.searchsorted(chosen, [first, first + table.num_rows])
            numbers = chosen[low:high] - first
        if rows is not None:
            table = table.take(pa.array(numbers)) if len(numbers) else table.slice(0, 0)
        offset = location.first if location is not WHOLE_TABLE else first
        first += batch.num_rows
        start = 0
        while start < table.num_rows:
            part = table.slice(start, CHUNK - size)
            numbers_in_file = numbers[start : start + part.num_rows] + offset
            waiting.append((part, numbers_in_file, location))
            start, size = start + part.num_rows, size + part.num_rows
            if size == CHUNK:
                yield _concat_chunks(waiting)
                waiting, size = [], 0
    if waiting:
        yield _concat_chunks(waiting)


def _concat_chunks(waiting: list[tuple[pa.Table, Int64Array, RowLocation]]) -> tuple[pa.Table, RowLocation]:
    """Return the parts of a chunk as one table, with the location of its rows."""
    starts = np.cumsum([0, *(len(numbers) for _, numbers, _ in waiting)]).tolist()
    files = tuple((first, location.file) for first, (_, _, location) in zip(starts, waiting, strict=False))
    numbers = np.concatenate([numbers for _, numbers, _ in waiting])
    where = RowLocation(numbers, 0, files=files)
    tables = [table for table, _, _ in waiting]
    return (tables[0] if len(tables) == 1 else pa.concat_tables(tables)), where
