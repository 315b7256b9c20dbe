"""Splits by time: the latest rows are test rows, and each fold is tested on the rows that follow its training rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from softreg.tables.columns.column_values import Dates, Levels, Numbers, drop_missing_spellings, read_column, take_rows
from softreg.tables.columns.dates import day_first, parse_dates
from softreg.tables.columns.errors import TableError, pluralize, quote, unknown_column_error
from softreg.tables.schema.typed_values import read_numbers
from softreg.typing import Codes, Float64Array

TIME_AND_GROUPS = (
    "Rows are held out either by time or by groups: folds that follow each other in time cannot keep groups together. "
    "Leave one of the two out."
)
FOLDS = 5
"""Default number of folds of an expanding window."""


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


def split_by_time(moments: Codes, test_size: float = 0.2) -> tuple[Codes, Codes]:
    """Split rows into training and test rows: the latest rows, nearly a share of `test_size`, are test rows.

    Parameters
    ----------
    moments : array of int (n,)
        Times; rows of equal times stay together.
    test_size : float
        Share of the rows to hold out.

    Returns
    -------
    train, test : array of int
        Row numbers from 0, sorted.

    Raises
    ------
    TableError
        If all rows have one time.

    Examples
    --------
    >>> train, test = split_by_time(np.array([3, 1, 2, 3, 0]), 0.2)
    >>> train.tolist(), test.tolist()
    ([1, 2, 4], [0, 3])
    """
    counts = np.unique(moments, return_counts=True)[1]
    if len(counts) < 2:
        raise TableError("All rows have the same time, so that none is later than others; use another column.")
    after = len(moments) - np.cumsum(counts)[:-1]  # rows later than each time but the last
    cut = int(np.abs(after - test_size * len(moments)).argmin())
    held = moments > np.unique(moments)[cut]
    return np.flatnonzero(~held), np.flatnonzero(held)


def time_folds(moments: Codes, folds: int | None = None) -> list[tuple[Codes, Codes]]:
    """Return the folds of an expanding window: each is tested on the rows that follow its training rows.

    The rows are cut in time into one part more than there are folds, of about equal size; fold k is trained on the
    first k parts and tested on the next one.

    Parameters
    ----------
    moments : array of int (n,)
        Times; rows of equal times are in the same part.
    folds : int, optional
        Number of folds; by default five, or fewer where there are few times.

    Returns
    -------
    list of tuple of array
        Training and test rows of each fold.

    Raises
    ------
    TableError
        If there are too few different times.

    Examples
    --------
    >>> [(train.tolist(), test.tolist()) for train, test in time_folds(np.array([0, 1, 1, 2]), 2)]
    [([0], [1, 2]), ([0, 1, 2], [3])]
    """
    times, time_index, counts = np.unique(moments, return_inverse=True, return_counts=True)
    n_folds = min(FOLDS, len(times) - 1) if folds is None else folds
    if n_folds < 1 or n_folds > len(times) - 1:
        raise TableError(
            f"{pluralize(max(n_folds, 1), 'fold')} by time must have at least {max(n_folds, 1) + 1:,} different times, "
            "and "
            f"the rows to train on have {len(times):,}. Use fewer folds, a finer column of times, or give the strength."
        )
    middle = (np.cumsum(counts) - counts / 2) / len(moments)  # of the rows of each time, in the order of time
    part = np.minimum((middle * (n_folds + 1)).astype(np.int64), n_folds)
    used, part = np.unique(part, return_inverse=True)
    if (
        len(used) <= n_folds and folds is not None
    ):  # some times have very many rows: the requested number of parts, by distinct times
        part = np.arange(len(times)) * (n_folds + 1) // len(times)
    of_row = part[time_index]
    return [(np.flatnonzero(of_row < k), np.flatnonzero(of_row == k)) for k in range(1, int(part.max()) + 1)]
