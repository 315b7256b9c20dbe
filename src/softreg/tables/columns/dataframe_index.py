"""Columns that are the row index of a data frame, stored beside its columns; they are not features."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.column_values import as_text
from softreg.tables.columns.table_errors import TableError

MARK = b"softreg.index"
"""Metadata key of the field of an index column."""
_LEVEL = re.compile(r"__index_level_\d+__")
_WHOLE = r"^\s*[+-]?\d+(\.0*)?\s*$"
_PANDAS = b"pandas"
UNNAMED = "Unnamed: {}"
"""Name that pandas gives a column with an empty header field, by its position from 0."""


def index_from_metadata(schema: pa.Schema) -> frozenset[str]:
    """Return the index columns that the metadata of a Parquet file, an Arrow file or an Arrow table name.

    Returns
    -------
    frozenset of str

    Examples
    --------
    >>> sorted(index_from_metadata(pa.schema([("__index_level_0__", pa.int64()), ("age", pa.int64())])))
    ['__index_level_0__']
    """
    named = {field.name for field in schema if MARK in (field.metadata or {}) or _LEVEL.fullmatch(field.name)}
    try:
        pandas_metadata = json.loads((schema.metadata or {}).get(_PANDAS, b"{}"))
        named |= {name for name in pandas_metadata.get("index_columns", ()) if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError):  # not written by pandas
        pass
    return frozenset(named & set(schema.names))


def mark_index(schema: pa.Schema, index: frozenset[str]) -> pa.Schema:
    """Return the schema with index columns marked in the metadata of their fields."""
    mark = {MARK: b""}
    return pa.schema(
        [field.with_metadata({**(field.metadata or {}), **mark}) if field.name in index else field for field in schema]
    )


def name_index_fields(names: list[str]) -> list[str]:
    """Return the fields of a header; empty ones at the beginning get the name that pandas gives them.

    `DataFrame.to_csv` writes the index first, without a name.

    Returns
    -------
    list of str

    Examples
    --------
    >>> name_index_fields(["", "age", ""])
    ['Unnamed: 0', 'age', '']
    """
    named = list(names)
    for position, name in enumerate(names):
        if name.strip() or UNNAMED.format(position) in names or position == len(names) - 1:
            break
        named[position] = UNNAMED.format(position)
    return named


def index_columns(table: pa.Table) -> frozenset[str]:
    """Return the index columns of a table: those named by its metadata, and unnamed ones that number the rows.

    Columns `Unnamed: 0`, `Unnamed: 1`, ... at the beginning of a table are an index if they contain integers only, or
    if they differ in more than half of the rows. A filtered index has gaps, the index of a sample is not sorted, and
    the index of concatenated frames repeats its numbers.

    Returns
    -------
    frozenset of str

    Examples
    --------
    >>> sorted(index_columns(pa.table({"Unnamed: 0": ["4", "7", "12"], "age": ["20", "31", "20"]})))
    ['Unnamed: 0']
    >>> sorted(index_columns(pa.table({"Unnamed: 0": [0, 1, 0, 1], "age": [20, 31, 20, 40]})))
    ['Unnamed: 0']
    """
    named = index_from_metadata(table.schema)
    first = []
    for position, name in enumerate(table.column_names):
        if name != UNNAMED.format(position):
            break
        first.append(name)
    if first and table.num_rows:
        try:
            columns = [as_text(table.column(name), name).combine_chunks() for name in first]
        except TableError:
            return named
        encoded = [column.dictionary_encode() for column in columns]
        codes = [np.asarray(column.indices.fill_null(-1)) for column in encoded]
        named |= {name for name, column in zip(first, encoded, strict=True) if _whole(column.dictionary)}
        if 2 * len(np.unique(np.stack(codes, axis=1), axis=0)) > table.num_rows:
            named |= frozenset(first)
    return named


def _whole(levels: pa.Array) -> bool:
    """Return True if texts are integers; 7.0 is one, as pandas writes an index that had a missing value."""
    valued = levels.filter(pc.match_substring_regex(levels, r"\S"))
    return len(valued) > 0 and bool(pc.all(pc.match_substring_regex(valued, _WHOLE)).as_py())
