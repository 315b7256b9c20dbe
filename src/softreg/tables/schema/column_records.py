"""Records of constant, categorical, numeric and list columns, with the reason of the kind and the training levels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.column_values import Lists, take_rows
from softreg.tables.columns.table_errors import TableError, pluralize, quote, quote_list
from softreg.tables.schema.column_hints import ID_NAME, subject_hint
from softreg.tables.schema.kinds import FEW_LEVELS, MAX_LEVELS, Column, Kind
from softreg.typing import Float64Array, RowNumbers


def constant_column(name: str, value: str | None) -> Column:
    """Return the record of a column of one value, or of none."""
    return Column(name, Kind.CONSTANT, "no value in any row" if value is None else f"{quote(value)} in every row")


def category_column(name: str, names: tuple[str, ...], missing: int, how: str, hint: str = "") -> Column:
    """Return the record of a category with these levels."""
    reason = f"{how}{pluralize(len(names), 'level')}: {quote_list(names, 4)}{missing_phrase(missing, ';')}"
    return Column(name, Kind.CATEGORY, reason, names if len(names) <= MAX_LEVELS else (), missing, hint)


def numeric_column(name: str, all_values: Float64Array, rows: RowNumbers | None, *, is_number: bool = False) -> Column:
    """Return the record of a numeric column; nan is missing, and `is_number` excludes an identifier.

    Returns
    -------
    Column
        A number, an identifier or a constant.

    Raises
    ------
    TableError
        If a number is infinite, in training rows or others.
    """
    values = take_rows(all_values, rows)
    infinite = np.flatnonzero(np.isinf(all_values))
    if infinite.size:
        error = infinite_number_error(name, int(infinite[0]) + 1, all_values[infinite[0]])
        error.rows = infinite
        raise error
    known = values[~np.isnan(values)]
    missing = len(values) - len(known)
    if known.size == 0:
        return constant_column(name, None)
    least, greatest = float(known.min()), float(known.max())
    if least == greatest and not missing:
        return constant_column(name, f"{least:.6g}")
    is_whole = bool((known == np.floor(known)).all())
    different = np.unique(known).size if is_whole else 0  # shares count the rows that have a value
    if is_number:
        return Column(
            name, Kind.NUMBER, f"as asked; {least:.6g} to {greatest:.6g}{missing_phrase(missing, ',')}", (), missing
        )
    if ID_NAME.search(name) and 2 * different > known.size:
        evidence = f"every row{' with a value' if missing else ''} has another whole number"
        evidence = evidence if different == known.size else f"{known.size:,} rows have {different:,} different numbers"
        return Column(name, Kind.IDENTIFIER, f"its name says so, and {evidence}", (), missing)
    if different == known.size and len(all_values) > FEW_LEVELS and _is_row_count(all_values):
        return Column(name, Kind.IDENTIFIER, f"it counts the rows, from {np.nanmin(all_values):.0f} on")
    hint = subject_hint(name, known, different, use="number") if is_whole else ""
    return Column(name, Kind.NUMBER, f"{least:.6g} to {greatest:.6g}{missing_phrase(missing, ',')}", (), missing, hint)


def list_column(name: str, column: pa.ChunkedArray, cells: Lists, rows: RowNumbers | None) -> Column:
    """Return the record of a column of tags or vectors; raise `TableError` for vectors of different lengths."""
    column = column if rows is None else column.take(pa.array(rows))
    sizes = pc.list_value_length(column).drop_null()
    missing = len(column) - len(sizes)
    if len(sizes) == 0 or not pc.any(pc.greater(sizes, 0)).as_py():
        return constant_column(name, None)
    least, greatest = (int(end.as_py()) for end in pc.min_max(sizes).values())
    if not cells.vectors:
        return Column(
            name, Kind.TAGS, f"lists of {least:,} to {greatest:,} words{missing_phrase(missing, ',')}", (), missing
        )
    if least != greatest:
        bad = int(pc.index(pc.not_equal(sizes, greatest), True).as_py()) + 1
        raise TableError(
            f"Column {quote(name)} holds lists of numbers of different lengths, {least:,} to {greatest:,} "
            f"(row {bad:,} is not the longest). A vector must have the same length in every row, or be "
            "missing; for labels that a row has any number of, write words."
        )
    return Column(name, Kind.VECTOR, f"vectors of {greatest:,} numbers{missing_phrase(missing, ',')}", (), missing)


def _is_row_count(values: Float64Array) -> bool:
    """Return True if the values of the whole column are 0..n-1 or 1..n, in any order."""
    start = values.min()
    return bool(start in (0.0, 1.0) and np.array_equal(np.sort(values), start + np.arange(len(values))))


def infinite_number_error(name: str, row: int, value: float) -> TableError:
    """Return the error for a number that is not finite.

    Returns
    -------
    TableError
        The error.

    Examples
    --------
    >>> print(infinite_number_error("age", 3, float("inf")))  # doctest: +ELLIPSIS
    Column 'age' has inf in row 3; expected a finite number. Correct it, or leave the field empty ...
    """
    return TableError(
        f"Column {quote(name)} has {value} in row {row:,}; expected a finite number. Correct it, or leave "
        "the field empty if the value is not known, or treat it as a missing value: --na inf (na=['inf'] in Python)."
    )


def missing_phrase(missing: int, mark: str) -> str:
    """Return how many rows have no value, after a comma or semicolon; empty where every row has one."""
    rows = "row" if missing == 1 else "rows"
    return f"{mark} {missing:,} {rows} without a value" if missing else ""
