"""What an encoder learns of each column, batch after batch, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from softreg.tables.columns.row_location import WHOLE_TABLE, RowLocation, read_location
from softreg.tables.encode.boolean_encoder import BooleanFitter
from softreg.tables.encode.category_encoder import CategoryFitter
from softreg.tables.encode.column_encoder import ColumnFitter
from softreg.tables.encode.date_encoder import DateFitter
from softreg.tables.encode.list_encoders import TagsFitter, VectorFitter
from softreg.tables.encode.normal_scores import NumericSample
from softreg.tables.encode.number_encoder import Form, NumberFitter
from softreg.tables.encode.text.text_encoder import TextFitter
from softreg.tables.schema.kinds import Column, Kind
from softreg.typing import BoolArray, Int64Array, RowNumbers

CHUNK = 16_384
"""Rows that are learned from at a time, however they are cut into batches: so the answer does not know the batches."""


def make_fitter(column: Column, sample: NumericSample, form: Form | None = None) -> ColumnFitter:
    """The learner for what a column was taken for; a column of numbers may be asked for in a `form`."""
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
    """The chosen rows (all where None) in tables of `CHUNK` rows, and where they stand; the last one is shorter.

    Row numbers count through all batches, from 0, and are taken in rising order; or `rows(first, count)` is a mask of
    the rows from number `first` on.
    """
    if isinstance(batches, pa.Table | pa.RecordBatch):
        batches = [batches]
    asked = rows if callable(rows) else None
    chosen = None if rows is None or callable(rows) else np.sort(rows)
    waiting: list[tuple[pa.Table, Int64Array, RowLocation]] = []
    size = first = 0
    for batch in batches:
        told = read_location(batch)
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        table = table.replace_schema_metadata(None)
        number = np.arange(table.num_rows)
        if asked is not None:
            number = np.flatnonzero(asked(first, table.num_rows))
        elif chosen is not None:
            low, high = np.searchsorted(chosen, [first, first + table.num_rows])
            number = chosen[low:high] - first
        if rows is not None:
            table = table.take(pa.array(number)) if len(number) else table.slice(0, 0)
        offset = told.first if told is not WHOLE_TABLE else first
        first += batch.num_rows
        begin = 0
        while begin < table.num_rows:
            part = table.slice(begin, CHUNK - size)
            here = number[begin : begin + part.num_rows] + offset
            waiting.append((part, here, told))
            begin, size = begin + part.num_rows, size + part.num_rows
            if size == CHUNK:
                yield _concat_chunks(waiting)
                waiting, size = [], 0
    if waiting:
        yield _concat_chunks(waiting)


def _concat_chunks(waiting: list[tuple[pa.Table, Int64Array, RowLocation]]) -> tuple[pa.Table, RowLocation]:
    begins = np.cumsum([0, *(len(numbers) for _, numbers, _ in waiting)]).tolist()
    files = tuple((first, told.file) for first, (_, _, told) in zip(begins, waiting, strict=False))
    numbers = np.concatenate([numbers for _, numbers, _ in waiting])
    where = RowLocation(numbers, 0, files=files)
    tables = [table for table, _, _ in waiting]
    return (tables[0] if len(tables) == 1 else pa.concat_tables(tables)), where
