"""The order of the rows in time, as codes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from softreg.tables.columns.column_values import Dates, Levels, Numbers, drop_missing_spellings, read_column, take_rows
from softreg.tables.columns.date_parsing import day_first, parse_dates
from softreg.tables.columns.table_errors import TableError, pluralize, quote, unknown_column_error
from softreg.tables.schema.typed_values import read_numbers
from softreg.typing import Codes, Float64Array

TIME_AND_GROUPS = (
    "Rows are held out either by time or by groups: folds that follow each other in time cannot keep groups together. "
    "Leave one of the two out."
)


def time_codes(table: pa.Table, name: str, target: str, rows: Codes | None = None) -> Codes:
    """Return the order (n,) of the rows in time, from 0; rows of equal times have equal numbers.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    name : str
        Column of dates, times or numbers.
    target : str
        Column of labels, for messages.
    rows : array of int (n,), optional
        Numbers of the rows; all by default.

    Returns
    -------
    array of int64 (n,)
        Codes that ascend with time.

    Raises
    ------
    TableError
        If there is no such column, it is the target, its values are neither dates nor numbers, or a row has no value.

    Examples
    --------
    >>> table = pa.table({"day": ["2024-02-01", "2024-01-31", "2024-02-01"], "y": ["a", "b", "a"]})
    >>> time_codes(table, "day", "y").tolist()
    [1, 0, 1]
    """  # noqa: DOC501
    if name not in table.column_names:
        raise unknown_column_error(name, table.column_names, "column of times")
    if name == target:
        raise TableError(f"{quote(name)} is the target; rows are ordered by another column, of dates or numbers.")
    column = table.column(name) if rows is None else table.column(name).take(pa.array(rows))
    values = _read_times(name, column)
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        row = missing[0] if rows is None else rows[missing[0]]
        cell = column[int(missing[0])].as_py()
        content = "no value" if cell is None or not str(cell).strip() else f"{quote(cell)}, which is no date or number,"
        raise TableError(
            f"The column of times {quote(name)} has {content} in row {row + 1:,} (counted from 1, without the header; "
            f"{pluralize(len(missing), 'row')} in all). Correct it, or remove the rows: they have no place in time.",
            missing if rows is None else rows[missing],
        )
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _read_times(name: str, column: pa.ChunkedArray) -> Float64Array:
    """Return seconds or numbers that order the values, nan where missing; raise `TableError` if there are none."""
    cells = read_column(column, name)
    if isinstance(cells, Dates | Numbers):
        return np.asarray(cells.values, dtype=np.float64)
    if isinstance(cells, Levels) and cells.storage != "boolean":
        numbers, read = read_numbers(name, column)
        if read.all():
            return np.where(np.isfinite(numbers), numbers, np.nan)
        cells = drop_missing_spellings(cells)
        seconds = parse_dates(cells.levels, day_first(cells.levels) is not False)
        times = np.append(seconds, np.nan)[take_rows(cells.codes, None)]
        numeric = np.where(np.isnan(numbers), False, read).sum()
        if np.isfinite(times).sum() >= max(numeric, 1):
            return np.asarray(times)
        if numeric:
            return np.where(read, numbers, np.nan)
    raise TableError(
        f"The column of times {quote(name)} holds neither dates nor numbers (its type is {column.type}), so it gives "
        "the rows no order. Name a column of dates such as 2024-01-31, or of numbers that grow with time."
    )
