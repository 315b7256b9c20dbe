"""What is said of a column of each kind: the column record with its reason."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.column_values import Lists, take_rows
from softreg.tables.columns.errors import TableError, pluralize, quote, quote_list
from softreg.tables.schema.column_hints import ID_NAME, subject_hint
from softreg.tables.schema.kinds import FEW_LEVELS, MAX_LEVELS, Column, Kind
from softreg.typing import Float64Array, RowNumbers


def constant_column(name: str, value: str | None) -> Column:
    """A column of one value, or of none."""
    return Column(name, Kind.CONSTANT, "no value in any row" if value is None else f"{quote(value)} in every row")


def category_column(name: str, names: tuple[str, ...], missing: int, how: str, hint: str = "") -> Column:
    """A category with these levels."""
    reason = f"{how}{pluralize(len(names), 'level')}: {quote_list(names, 4)}{missing_phrase(missing, ';')}"
    return Column(name, Kind.CATEGORY, reason, names if len(names) <= MAX_LEVELS else (), missing, hint)


def numeric_column(name: str, every: Float64Array, rows: RowNumbers | None, *, sure: bool = False) -> Column:
    """Rules for a column whose values are numbers; nan is missing. `sure` means that it is no identifier."""
    values = take_rows(every, rows)
    bad = np.flatnonzero(np.isinf(every))  # of the rows held out as well: better told now than after the fit
    if bad.size:
        error = infinite_number_error(name, int(bad[0]) + 1, every[bad[0]])
        error.rows = bad
        raise error
    known = values[~np.isnan(values)]
    missing = len(values) - len(known)
    if known.size == 0:
        return constant_column(name, None)
    low, high = float(known.min()), float(known.max())
    if low == high and not missing:
        return constant_column(name, f"{low:.6g}")
    whole = bool((known == np.floor(known)).all())
    different = np.unique(known).size if whole else 0  # shares count the rows that have a value
    if sure:
        return Column(
            name, Kind.NUMBER, f"as asked; {low:.6g} to {high:.6g}{missing_phrase(missing, ',')}", (), missing
        )
    if ID_NAME.search(name) and 2 * different > known.size:
        how = f"every row{' with a value' if missing else ''} has another whole number"
        how = how if different == known.size else f"{known.size:,} rows have {different:,} different numbers"
        return Column(name, Kind.IDENTIFIER, f"its name says so, and {how}", (), missing)
    if different == known.size and len(every) > FEW_LEVELS and _is_row_count(every):
        return Column(name, Kind.IDENTIFIER, f"it counts the rows, from {np.nanmin(every):.0f} on")
    hint = subject_hint(name, known, different, use="number") if whole else ""
    return Column(name, Kind.NUMBER, f"{low:.6g} to {high:.6g}{missing_phrase(missing, ',')}", (), missing, hint)


def list_column(name: str, column: pa.ChunkedArray, cells: Lists, rows: RowNumbers | None) -> Column:
    """Tags or a vector."""
    column = column if rows is None else column.take(pa.array(rows))
    sizes = pc.list_value_length(column).drop_null()
    missing = len(column) - len(sizes)
    if len(sizes) == 0 or not pc.any(pc.greater(sizes, 0)).as_py():
        return constant_column(name, None)
    low, high = (int(end.as_py()) for end in pc.min_max(sizes).values())
    if not cells.vectors:
        return Column(name, Kind.TAGS, f"lists of {low:,} to {high:,} words{missing_phrase(missing, ',')}", (), missing)
    if low != high:
        bad = int(pc.index(pc.not_equal(sizes, high), True).as_py()) + 1
        raise TableError(
            f"Column {quote(name)} holds lists of numbers of different lengths, {low:,} to {high:,} (row {bad:,} is "
            "not the longest). A vector must have the same length in every row, or be missing; for labels that a row "
            "has any number of, write words."
        )
    return Column(name, Kind.VECTOR, f"vectors of {high:,} numbers{missing_phrase(missing, ',')}", (), missing)


def _is_row_count(values: Float64Array) -> bool:
    """Whether the values of the whole column are 0..n-1 or 1..n, in any order."""
    start = values.min()
    return bool(start in (0.0, 1.0) and np.array_equal(np.sort(values), start + np.arange(len(values))))


def infinite_number_error(name: str, row: int, value: float) -> TableError:
    """The error for a number that is not finite.

    Example:
        >>> print(infinite_number_error("age", 3, float("inf")))  # doctest: +ELLIPSIS
        Column 'age' has inf in row 3; expected a finite number. Correct it, or leave the field empty ...
    """
    return TableError(
        f"Column {quote(name)} has {value} in row {row:,}; expected a finite number. Correct it, or leave "
        "the field empty if the value is not known, or treat it as a missing value: --na inf (na=['inf'] in Python)."
    )


def missing_phrase(missing: int, mark: str) -> str:
    """How many rows have no value, behind a comma or semicolon; nothing where every row has one."""
    rows = "row" if missing == 1 else "rows"
    return f"{mark} {missing:,} {rows} without a value" if missing else ""
