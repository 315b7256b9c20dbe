"""Spellings of a missing value: those recognized in columns of numbers and dates, and those that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.canonical_values import number_key
from softreg.tables.columns.arrow_numpy import string_array, to_bool
from softreg.tables.columns.arrow_types import is_text

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)

MISSING_NUMBERS = ("", "na", "n/a", "#n/a", "nan", "null", "none")
"""Spellings of a missing number in models of earlier versions; compared without case and surrounding blanks."""
MISSING_SPELLINGS = (
    *MISSING_NUMBERS,
    "?", "??", "-", "--", "---", "\u2013", "\u2014", ".", "..", "...", "\u2026", ":", "*", "_", "#", "<na>", "<null>",
    "(null)", "(na)", "(none)", "nil", "n.a.", "n.a", "n\\a", "\\n", "-nan", "#na", "#n/a n/a", "1.#ind", "-1.#ind",
    "1.#qnan", "-1.#qnan", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#null!", "nat", "<nat>", "missing",
    "unknown", "undefined", "not available", "not applicable", "no data",
)  # fmt: skip
"""Spellings of a missing value recognized in columns of numbers and dates; compared without case and surrounding "
"blanks."""


def is_missing_spelling(levels: pa.Array, spellings: Sequence[str] = MISSING_SPELLINGS) -> NDArray[np.bool_]:
    """Find texts that are spellings of a missing value, such as NA or an empty field.

    Case and surrounding blanks are ignored; a null is missing.

    Returns
    -------
    bool array (k,)

    Examples
    --------
    >>> is_missing_spelling(pa.array(["NA", "nothing", " null", "#DIV/0!"]))
    array([ True, False,  True,  True])
    """
    folded = pc.utf8_lower(pc.utf8_trim_whitespace(levels))
    return to_bool(pc.fill_null(pc.is_in(folded, value_set=spelling_array(tuple(spellings), folded.type)), True))


@cache
def spelling_array(spellings: tuple[str, ...], kind: pa.DataType) -> pa.Array:
    """Return the spellings as an Arrow array of a text type.

    Returns
    -------
    pa.Array (k,)

    Examples
    --------
    >>> spelling_array(("na", "?"), pa.string()).to_pylist()
    ['na', '?']
    """
    return string_array(spellings).cast(kind)


def replace_missing(table: Rows, na: Sequence[str]) -> Rows:
    """Replace the spellings `na` by null in every column of a table or batch.

    Text is compared without surrounding blanks; a number is recognized in its usual spellings, with a decimal point
    or comma. Numeric columns are compared by value.

    Parameters
    ----------
    table : pa.Table or pa.RecordBatch
        The rows.
    na : sequence of str
        Spellings of a missing value.

    Returns
    -------
    pa.Table or pa.RecordBatch
        The same object if `na` is empty.

    Examples
    --------
    >>> replace_missing(pa.table({"age": [31, -9], "town": ["Bonn", "-9 "]}), ["-9"]).to_pylist()
    [{'age': 31, 'town': 'Bonn'}, {'age': None, 'town': None}]
    """
    if not na:
        return table
    spellings = expand_spellings(na)
    columns = [_with_nulls(column, spellings) for column in table.columns]
    return type(table).from_arrays(columns, schema=table.schema)


def expand_spellings(na: Sequence[str]) -> list[str]:
    """Return the spellings without surrounding blanks, and for each number its variants with other trailing zeros.

    Returns
    -------
    list of str

    Examples
    --------
    >>> expand_spellings([" NA", "-9.0"])
    ['NA', '-9.0', '-9', '-9.00', '-9,0', '-9,00']
    """
    spellings = []
    for text in (spelling.strip() for spelling in na):
        spellings.append(text)
        key = number_key(text, True)
        if key is not None and "e" not in key:
            point = "" if "." in key else "."
            variants = [key, *(f"{key}{point}{zeros}" for zeros in ("0", "00"))]
            spellings += [*variants, *(variant.replace(".", ",") for variant in variants)]
    return list(dict.fromkeys(spellings))


def _with_nulls(column: pa.ChunkedArray | pa.Array, spellings: list[str]) -> pa.ChunkedArray | pa.Array:
    """Return the column with null in place of each spelling."""
    kind = column.type
    if is_text(kind):
        is_missing = pc.is_in(pc.utf8_trim_whitespace(column), value_set=string_array(spellings).cast(kind))
    elif pa.types.is_dictionary(kind) and is_text(kind.value_type):
        if isinstance(column, pa.ChunkedArray):
            return pa.chunked_array([_with_nulls(chunk, spellings) for chunk in column.chunks], type=kind)
        missing_levels = is_listed_spelling(column.dictionary, spellings)
        missing_rows = (
            pc.fill_null(pa.array(missing_levels).take(column.indices), True) if missing_levels.any() else None
        )
        indices = (
            column.indices
            if missing_rows is None
            else pc.if_else(missing_rows, pa.scalar(None, kind.index_type), column.indices)
        )
        return pa.DictionaryArray.from_arrays(indices, column.dictionary, ordered=kind.ordered)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = _numbers(spellings, kind)
        if not len(values):
            return column
        is_missing = pc.is_in(column, value_set=values)
    else:
        return column
    return pc.if_else(is_missing, pa.scalar(None, kind), column) if pc.any(is_missing).as_py() else column


def is_listed_spelling(levels: pa.Array, spellings: Sequence[str]) -> NDArray[np.bool_]:
    """Find texts that equal one of the spellings, apart from surrounding blanks.

    Returns
    -------
    bool array (k,)

    Examples
    --------
    >>> is_listed_spelling(pa.array(["NA ", "na"]), ["NA"])
    array([ True, False])
    """
    is_listed = pc.is_in(pc.utf8_trim_whitespace(levels), value_set=string_array(spellings).cast(levels.type))
    return to_bool(pc.fill_null(is_listed, False))


def _numbers(spellings: list[str], kind: pa.DataType) -> pa.Array:
    """Return the spellings that are numbers of an Arrow type, in that type."""
    values = []
    for text in spellings:
        try:
            number = float(text)
            value = int(number) if pa.types.is_integer(kind) else number
            pa.scalar(value, kind)
        except (ValueError, OverflowError, pa.ArrowException):
            continue
        if value == number:
            values.append(value)
    return pa.array(values, kind)
