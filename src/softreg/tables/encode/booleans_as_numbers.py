"""Columns of 0 and 1 in training that hold true and false later, as SQLite and CSV files have the same booleans."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_types import is_text
from softreg.tables.columns.column_values import decode_dictionary
from softreg.tables.columns.missing_values import is_missing_spelling
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.number_encoder import NumberCode
from softreg.tables.schema.kinds import BOOLEAN_WORDS

FALSE, TRUE = BOOLEAN_WORDS[0]


def as_trained(code: object, column: pa.ChunkedArray, unseen: UnseenValues | None = None) -> pa.ChunkedArray:
    """The column with 0 and 1 in place of false and true, where its numbers were from 0 to 1 in training.

    Other columns, and text in which anything else than true, false and missing values occurs, stay as they are. Rows
    that are read so are counted in `unseen`.

    Example:
        >>> code = NumberCode("member", 0.5, 0.5, False, span=(0.0, 1.0))
        >>> as_trained(code, pa.chunked_array([["True", "false", ""]])).to_pylist()
        [1.0, 0.0, None]
    """
    if not isinstance(code, NumberCode) or code.span != (0.0, 1.0):
        return column
    if pa.types.is_dictionary(column.type):
        column = decode_dictionary(column)
    if pa.types.is_boolean(column.type):
        found = pc.cast(column, pa.float64())
    elif is_text(column.type):
        levels = pc.drop_null(pc.unique(column))
        words = pc.utf8_lower(pc.utf8_trim_whitespace(levels))
        known = is_missing_spelling(levels)
        true, false = (np.array([word == one for word in words.to_pylist()], dtype=bool) for one in (TRUE, FALSE))
        if not (known | true | false).all() or not (true | false).any():
            return column
        values = pa.array(np.where(true, 1.0, 0.0), mask=known & ~true & ~false)
        places = pc.index_in(column, value_set=levels)
        found = pc.take(values, places)
    else:
        return column
    rows = len(found) - found.null_count
    if unseen is not None and rows:
        feature = "true is read as 1, false as 0"
        unseen.add(code.name, rows, [FALSE, TRUE], feature=feature, what="boolean")
    return found
