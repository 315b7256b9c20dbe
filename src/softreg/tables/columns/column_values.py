"""Normalized values of a column: float64 numbers, or distinct levels with a code for each row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.tables.columns.arrow_numpy import to_bool, to_float64, to_int64
from softreg.tables.columns.arrow_types import is_text, plain_column, unsupported_type_message
from softreg.tables.columns.date_parsing import arrow_to_seconds
from softreg.tables.columns.missing_values import MISSING_NUMBERS, is_missing_spelling, spelling_array
from softreg.tables.columns.table_errors import TableError, quote
from softreg.typing import Array
from softreg.value_text import encode_as_text, to_text

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"


@dataclass(frozen=True)
class Numbers:
    """Values of a numeric column, float64 (n,); NaN where missing."""

    values: NDArray[np.float64]


@dataclass(frozen=True)
class Levels:
    """Values of a text column: distinct values `levels` (k,) and integer `codes` (n,), -1 where missing.

    `storage` is the original type: "text", "category" (a dictionary type), "boolean" or "number".
    """

    levels: pa.Array
    codes: NDArray[np.int64]
    storage: str

    def first_row(self, level: int) -> int:
        """Return the number of the first row with a level, counted from 1."""
        return int(np.argmax(self.codes == level)) + 1


@dataclass(frozen=True)
class Dates:
    """Values of a date or time column in seconds (n,), NaN where missing, and its `first` value as text."""

    first: str
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Lists:
    """Marker of a column of lists of text (`vectors` False) or of numbers (`vectors` True)."""

    vectors: bool


ColumnValues = Numbers | Levels | Dates | Lists


def read_column(column: pa.ChunkedArray, name: str) -> ColumnValues:
    """Return the normalized values of one column.

    A null and blank text are missing. Durations are in seconds.

    Parameters
    ----------
    column : pa.ChunkedArray (n,)
        Values of any type.
    name : str
        Name of the column, for errors.

    Returns
    -------
    Numbers, Levels, Dates or Lists

    Raises
    ------
    TableError
        If the type is not supported (structs, bytes, lists of lists), or if Arrow cannot convert the values, such as
        times of an unknown zone.

    Examples
    --------
    >>> read_column(pa.chunked_array([["b", "", "a", "b"]]), "colour").codes
    array([ 0, -1,  2,  0])
    """
    column = plain_column(column, name)
    try:
        values = _cells(column)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise TableError(unsupported_type_message(name, column.type, error)) from error
    if values is None:
        raise TableError(unsupported_type_message(name, column.type))
    return values


def _cells(column: pa.ChunkedArray) -> ColumnValues | None:
    """Return the normalized values of a column of a plain type; None if the type is not supported."""
    kind = column.type
    if pa.types.is_dictionary(kind) and not _is_binary(kind.value_type):
        return encode_levels(column, "category")
    if is_text(kind):
        return encode_levels(column, "text")
    if pa.types.is_boolean(kind):
        return encode_levels(column, "boolean")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Numbers(to_float64(pc.cast(column, pa.float64(), safe=False)))
    if pa.types.is_duration(kind):
        return Numbers(arrow_to_seconds(column))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        present = column.drop_null()
        first = str(pc.cast(present[:1], pa.string())[0]) if len(present) else ""
        return Dates(re.sub(r"\.0+(?!\d)", "", first), arrow_to_seconds(column))
    if pa.types.is_null(kind):
        return Levels(pa.array([], pa.string()), np.full(len(column), -1, dtype=np.int64), "text")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = kind.value_type
        if is_text(inner) or pa.types.is_dictionary(inner) or pa.types.is_null(inner):
            return Lists(vectors=False)
        if pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_decimal(inner):
            return Lists(vectors=True)
    return None


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def decode_dictionary(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values of a dictionary column row by row; any other column unchanged.

    Returns
    -------
    pa.ChunkedArray (n,)

    Examples
    --------
    >>> decode_dictionary(pa.chunked_array([pa.array([1.5, 1.5]).dictionary_encode()])).to_pylist()
    [1.5, 1.5]
    """
    if not pa.types.is_dictionary(column.type):
        return column
    parts = [chunk.dictionary.take(chunk.indices) for chunk in column.chunks]
    return pa.chunked_array(parts, type=column.type.value_type)


def encode_levels(column: pa.ChunkedArray, storage: str) -> Levels:
    """Return the distinct values of a column as text (see `softreg.value_text`) and their codes; blank text is missing.

    Parameters
    ----------
    column : pa.ChunkedArray (n,)
        Values of a type that can be written as text; otherwise `TypeError`.
    storage : str
        Original type, see `Levels`.

    Returns
    -------
    Levels

    Examples
    --------
    >>> cells = encode_levels(pa.chunked_array([[2.0, None, 1e10]]), "number")
    >>> cells.levels.to_pylist(), cells.codes.tolist()
    (['2', '10000000000'], [0, -1, 1])
    """
    encoded = encode_as_text(column)
    levels, codes = encoded.dictionary, to_int64(encoded.indices)
    blank = to_int64(pc.binary_length(pc.utf8_trim_whitespace(levels)), 0) == 0
    if blank.any():
        codes = np.append(np.where(blank, -1, np.arange(len(levels))), -1)[codes]
    return Levels(levels, codes, storage)


def as_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return a column as text, null where missing; other types are written by `softreg.value_text`.

    Parameters
    ----------
    column : pa.ChunkedArray (n,)
        Values of any type.
    name : str
        Name of the column, for errors.

    Returns
    -------
    pa.ChunkedArray (n,)

    Raises
    ------
    TableError
        If the type cannot be written as text.

    Examples
    --------
    >>> as_text(pa.chunked_array([[7, None]]), "code").to_pylist()
    ['7', None]
    """
    column = decode_dictionary(plain_column(column, name))
    if is_text(column.type):
        return column
    try:
        return pa.chunked_array([to_text(column)])
    except TypeError:
        raise TableError(
            f"Column {quote(name)} has the type {column.type}, which cannot be read as text. Leave it out: --drop "
            f"{quote(name)} (drop=[{quote(name)}] in Python)."
        ) from None


def display_texts(column: pa.ChunkedArray) -> list[str]:
    """Return the values of a column of any type as text for display, "" where missing.

    Returns
    -------
    list of str

    Examples
    --------
    >>> display_texts(pa.chunked_array([[{"a": 1}, None]]))
    ["{'a': 1}", '']
    """
    try:
        return ["" if value is None else str(value) for value in column.to_pylist()]
    except (pa.ArrowException, ValueError, OverflowError):  # times outside the range of `datetime`
        try:
            return ["" if text is None else text for text in as_text(column, "").to_pylist()]
        except TableError:
            return [f"({column.type})"] * len(column)


def parse_numbers(
    levels: pa.Array, spellings: Sequence[str] = MISSING_NUMBERS
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Parse texts as numbers.

    A number is written as 12, -1.5, .5 or 1e-3; surrounding blanks are ignored. Overflow gives infinity, as does
    "inf".

    Parameters
    ----------
    levels : pa.Array (k,)
        Distinct texts.
    spellings : sequence of str
        Spellings of a missing number, compared without case.

    Returns
    -------
    values : float64 array (k,)
        NaN for a missing number.
    ok : bool array (k,)
        False if the text is neither a number nor missing ("1,5", "1 000", "abc").

    Examples
    --------
    >>> values, ok = parse_numbers(pa.array(["1.5", "NA", "1,5"]))
    >>> values[:2], ok
    (array([1.5, nan]), array([ True,  True, False]))
    """
    try:  # most columns contain numbers only
        values = to_float64(pc.cast(levels, pa.float64()))
        if not np.isnan(values).any():
            return values, np.ones(len(values), dtype=bool)
    except pa.ArrowInvalid:
        pass
    text = pc.utf8_trim_whitespace(levels)
    missing = pc.is_in(pc.utf8_lower(text), value_set=spelling_array(tuple(spellings), text.type))
    null = pa.nulls(1, text.type)[0]
    written = pc.if_else(missing, null, text)
    try:
        numbers = pc.cast(written, pa.float64())
    except pa.ArrowInvalid:  # some text is not a number: find which before the cast
        number = pc.match_substring_regex(written, _NUMBER)
        numbers = pc.cast(pc.if_else(number, written, null), pa.float64())
    values = to_float64(numbers)
    return values, to_bool(missing) | ~np.isnan(values)


def drop_missing_spellings(cells: Levels, spellings: Sequence[str] = MISSING_NUMBERS) -> Levels:
    """Return the column with spellings of a missing value, such as NA, coded as missing.

    Returns
    -------
    Levels

    Examples
    --------
    >>> drop_missing_spellings(Levels(pa.array(["2020-01-31", "NA"]), np.array([1, 0]), "text")).codes
    array([-1,  0])
    """
    missing = is_missing_spelling(cells.levels, spellings)
    if not missing.any():
        return cells
    return Levels(
        cells.levels, np.append(np.where(missing, -1, np.arange(len(missing))), -1)[cells.codes], cells.storage
    )


def count_levels(codes: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Count the rows of each of `size` levels; missing rows (-1) are not counted.

    Returns
    -------
    int64 array (size,)

    Examples
    --------
    >>> count_levels(np.array([0, -1, 2, 2]), 3)
    array([1, 0, 2])
    """
    return np.bincount(codes + 1, minlength=size + 1)[1:]


def take_rows(values: Array, rows: NDArray[np.int64] | None) -> Array:
    """Return the values of some rows; all values if `rows` is None.

    Returns
    -------
    array (m,)

    Examples
    --------
    >>> take_rows(np.array([5, 6, 7]), np.array([2, 0]))
    array([7, 5])
    """
    return values if rows is None else values[rows]
