"""Splits by time: the latest rows are held out, and folds train on the past and are judged on what follows."""

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
"""Folds of an expanding window, where there are as many different times."""


def time_codes(table: pa.Table, name: str, target: str, rows: Codes | None = None) -> Codes:
    """The place of each row (n,) in time, from 0: rows of equal times have equal numbers, later ones larger ones.

    Parameters: `table`; `name`, a column of dates, times or numbers; `target`, the column of labels; `rows`, the
    numbers of the rows that count, all where None. Raises `TableError` where there is no such column, where it is the
    target, where its values are neither dates nor numbers, and for a row without a value.

    Example:
        >>> table = pa.table({"day": ["2024-02-01", "2024-01-31", "2024-02-01"], "y": ["a", "b", "a"]})
        >>> time_codes(table, "day", "y").tolist()
        [1, 0, 1]
    """
    if name not in table.column_names:
        raise unknown_column_error(name, table.column_names, "column of times")
    if name == target:
        raise TableError(f"{quote(name)} is the target; rows are ordered by another column, of dates or numbers.")
    column = table.column(name) if rows is None else table.column(name).take(pa.array(rows))
    values = _read_times(name, column)
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        at = missing[0] if rows is None else rows[missing[0]]
        cell = column[int(missing[0])].as_py()
        seen = "no value" if cell is None or not str(cell).strip() else f"{quote(cell)}, which is no date or number,"
        raise TableError(
            f"The column of times {quote(name)} has {seen} in row {at + 1:,} (counted from 1, without the header; "
            f"{pluralize(len(missing), 'row')} in all). Correct it, or remove the rows: they have no place in time.",
            missing if rows is None else rows[missing],
        )
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _read_times(name: str, column: pa.ChunkedArray) -> Float64Array:
    """Seconds or numbers that order the values; nan where there is none."""
    cells = read_column(column, name)
    if isinstance(cells, Dates | Numbers):
        return np.asarray(cells.values, dtype=np.float64)
    if isinstance(cells, Levels) and cells.storage != "boolean":
        numbers, read = read_numbers(name, column)
        if read.all():
            return np.where(np.isfinite(numbers), numbers, np.nan)
        cells = drop_missing_spellings(cells)
        seconds = parse_dates(cells.levels, day_first(cells.levels) is not False)
        moments = np.append(seconds, np.nan)[take_rows(cells.codes, None)]
        numeric = np.where(np.isnan(numbers), False, read).sum()
        if np.isfinite(moments).sum() >= max(numeric, 1):
            return np.asarray(moments)
        if numeric:
            return np.where(read, numbers, np.nan)
    raise TableError(
        f"The column of times {quote(name)} holds neither dates nor numbers (its type is {column.type}), so it gives "
        "the rows no order. Name a column of dates such as 2024-01-31, or of numbers that grow with time."
    )


def split_by_time(moments: Codes, test_size: float = 0.2) -> tuple[Codes, Codes]:
    """Row numbers for training and for test: the latest rows, a share of `test_size` or nearly so, are held out.

    Rows of equal times are on the same side. `moments` (n,) are numbers that grow with time. Returns `(train, test)`,
    sorted row numbers. Raises `TableError` where all rows have one time.

    Example:
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
    """The (train, test) rows of the folds of an expanding window: each is judged on what follows its training rows.

    The rows are cut in time into one part more than there are folds, of about equal size, and fold k trains on the
    first k parts and is judged on the next one. Rows of equal times are in the same part. Without a number of folds
    there are five, or fewer where times are few. Raises `TableError` where there are too few different times.

    Example:
        >>> [(train.tolist(), test.tolist()) for train, test in time_folds(np.array([0, 1, 1, 2]), 2)]
        [([0], [1, 2]), ([0, 1, 2], [3])]
    """
    known, place, counts = np.unique(moments, return_inverse=True, return_counts=True)
    wanted = min(FOLDS, len(known) - 1) if folds is None else folds
    if wanted < 1 or wanted > len(known) - 1:
        raise TableError(
            f"{pluralize(max(wanted, 1), 'fold')} by time must have at least {max(wanted, 1) + 1:,} different times, "
            "and "
            f"the rows to train on have {len(known):,}. Use fewer folds, a finer column of times, or give the strength."
        )
    middle = (np.cumsum(counts) - counts / 2) / len(moments)  # of the rows of each time, in the order of time
    part = np.minimum((middle * (wanted + 1)).astype(np.int64), wanted)
    used, part = np.unique(part, return_inverse=True)
    if len(used) <= wanted and folds is not None:  # some times have very many rows: as many parts as asked, by times
        part = np.arange(len(known)) * (wanted + 1) // len(known)
    of_row = part[place]
    return [(np.flatnonzero(of_row < k), np.flatnonzero(of_row == k)) for k in range(1, int(part.max()) + 1)]
