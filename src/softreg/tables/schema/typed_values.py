"""Cells of a column as numbers, booleans or levels, with errors that name row and value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.column_values import (
    Dates,
    Levels,
    Lists,
    Numbers,
    encode_levels,
    parse_numbers,
    read_column,
)
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.formats.infer_number_format import infer_numbers
from softreg.tables.schema.kinds import BOOLEAN_WORDS
from softreg.typing import BoolArray, Float64Array

ZEROS, ONES = ("0", "0.0"), ("1", "1.0")
"""Numbers that stand for false and true in a column of booleans."""
TRUTH_WORDS = (BOOLEAN_WORDS[0], BOOLEAN_WORDS[2])
"""The words of columns in which they do."""


def read_levels(name: str, column: pa.ChunkedArray) -> Levels:
    """Return the levels of a column as text; a whole number is its digits, as in a CSV file.

    Returns
    -------
    Levels
        Levels and the code of each row.

    Raises
    ------
    TableError
        If the column holds dates or lists.

    Examples
    --------
    >>> read_levels("code", pa.chunked_array([[1.0, 2.0]])).levels.to_pylist()
    ['1', '2']
    """  # noqa: DOC501
    cells = read_column(column, name)
    if isinstance(cells, Numbers):
        return encode_levels(column, "number")
    if isinstance(cells, Dates):
        raise type_changed_error(name, "words", f"dates ({cells.first})")
    if isinstance(cells, Lists):
        raise type_changed_error(name, "words", f"lists (type {column.type})")
    return cells


def read_numbers(name: str, column: pa.ChunkedArray) -> tuple[Float64Array, BoolArray]:
    """Return the numbers of a column, nan where missing, and a mask of the cells that are numbers or missing.

    Returns
    -------
    values : array of float64 (n,)
        Numbers.
    valid : array of bool (n,)
        Cells that are numbers or missing.

    Raises
    ------
    TableError
        If the column holds dates, lists or booleans.

    Examples
    --------
    >>> read_numbers("age", pa.chunked_array([["31", "?", "NA"]]))
    (array([31., nan, nan]), array([ True, False,  True]))
    """  # noqa: DOC501
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return parse_numbers(pc.fill_null(column, "") if column.null_count else column)
    cells = read_column(column, name)
    if isinstance(cells, Numbers):
        return cells.values, np.ones(len(cells.values), dtype=bool)
    if isinstance(cells, Dates):
        raise type_changed_error(name, "numbers", f"dates ({cells.first})")
    if isinstance(cells, Lists):
        raise type_changed_error(name, "numbers", f"lists (type {column.type})")
    if cells.storage == "boolean" and len(cells.levels):
        raise type_changed_error(name, "numbers", "booleans")
    parsed, ok = parse_numbers(cells.levels)
    return np.append(parsed, np.nan)[cells.codes], np.append(ok, True)[cells.codes]


def read_inferred_numbers(name: str, column: pa.ChunkedArray) -> Float64Array:
    """Return the numbers of a column, nan where there is none; text is read in the format that is inferred from it.

    Returns
    -------
    array of float64 (n,)
        Numbers.

    Examples
    --------
    >>> read_inferred_numbers("price", pa.chunked_array([["$1,200.50", "$7", "?"]]))
    array([1200.5,    7. ,    nan])
    """
    cells = read_column(column, name)
    if isinstance(cells, Levels) and cells.storage != "boolean":
        return np.append(infer_numbers(cells.levels, requested=True).values, np.nan)[cells.codes]
    values, ok = read_numbers(name, column)
    return np.where(ok, values, np.nan)


def require_numbers(name: str, column: pa.ChunkedArray, where: RowLocation) -> Float64Array:
    """Return the numbers of a column, nan where missing.

    Returns
    -------
    array of float64 (n,)
        Finite numbers or nan.

    Raises
    ------
    TableError
        If a cell is no finite number; its row and value are in the message.

    Examples
    --------
    >>> require_numbers("age", pa.chunked_array([["31", ""]]), RowLocation())
    array([31., nan])
    """
    values, ok = read_numbers(name, column)
    if not ok.all():
        bad = int(np.argmin(ok))
        raise TableError(
            f"Column {quote(name)} held numbers in training, but {where.row(bad)} has "
            f"{quote(column[bad].as_py())}. Correct it, or leave the field empty if the number is not known."
        )
    if np.isinf(values).any():
        bad = int(np.argmax(np.isinf(values)))
        raise TableError(
            f"Column {quote(name)} has {values[bad]} in {where.row(bad)}; expected a finite number. Correct it, or "
            "leave the field empty if the value is not known."
        )
    return values


def read_booleans(name: str, words: tuple[str, str], column: pa.ChunkedArray) -> tuple[Float64Array, Levels]:
    """Return 0.0 for false, 1.0 for true, nan for missing and -1.0 for anything else, and the words."""
    cells = read_column(column, name)
    expected = f"{words[1]} or {words[0]}"
    numbers_allowed = words in TRUTH_WORDS
    if isinstance(cells, Numbers):
        if not numbers_allowed:
            raise type_changed_error(name, expected, f"numbers (type {column.type})")
        cells = encode_levels(column, "number")
    if isinstance(cells, Dates):
        raise type_changed_error(name, expected, f"dates ({cells.first})")
    if isinstance(cells, Lists):
        raise type_changed_error(name, expected, f"lists (type {column.type})")
    false, true = {words[0], BOOLEAN_WORDS[0][0]}, {words[1], BOOLEAN_WORDS[0][1]}
    if numbers_allowed:
        false, true = false | set(ZEROS), true | set(ONES)
    folded = [str(level).strip().casefold() for level in cells.levels.to_pylist()]
    values = np.array([1.0 if w in true else 0.0 if w in false else -1.0 for w in folded] + [np.nan])
    numbers: Float64Array = values[cells.codes]
    return numbers, cells


def require_booleans(name: str, words: tuple[str, str], column: pa.ChunkedArray, where: RowLocation) -> Float64Array:
    """Return 0.0 for false, 1.0 for true, nan for missing.

    The words of training count, in any case, and so do true and false, and 1 and 0 where those words were true and
    false or t and f.

    Returns
    -------
    array of float64 (n,)
        Booleans as numbers.

    Raises
    ------
    TableError
        If a cell is anything else; its row and value are in the message.

    Examples
    --------
    >>> require_booleans("loan", ("no", "yes"), pa.chunked_array([["yes", "No", ""]]), RowLocation())
    array([ 1.,  0., nan])
    """
    values, cells = read_booleans(name, words, column)
    bad = np.flatnonzero(values < 0)
    if bad.size:
        raise TableError(
            f"Column {quote(name)} held {words[1]} or {words[0]} in training, but {where.row(bad[0])} has "
            f"{quote(cells.levels[int(cells.codes[bad[0]])])}. Correct it, or leave the field empty if it is not "
            "known."
        )
    return values


def type_changed_error(name: str, trained: str, here: str) -> TableError:
    """Return the error for a column whose type differs from training.

    Returns
    -------
    TableError
        The error.

    Examples
    --------
    >>> print(type_changed_error("age", "numbers", "dates (2020-01-31)"))  # doctest: +ELLIPSIS
    Column 'age' held numbers in training, but holds dates (2020-01-31) here. ...
    """
    return TableError(
        f"Column {quote(name)} held {trained} in training, but holds {here} here. Write it as it was in training."
    )
