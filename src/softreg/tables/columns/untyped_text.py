"""Columns of text whose values were given no type: those of a CSV file, from which numbers are read."""

from __future__ import annotations

import pyarrow as pa

MARK = b"softreg.untyped"
"""In the metadata of the field of a column whose text may stand for numbers or booleans."""


def mark_untyped(field: pa.Field) -> pa.Field:
    """The field, marked as text to which nobody gave a type.

    Example:
        >>> is_untyped(mark_untyped(pa.field("age", pa.string()))), is_untyped(pa.field("age", pa.string()))
        (True, False)
    """
    return field.with_metadata({**(field.metadata or {}), MARK: b""})


def is_untyped(field: pa.Field) -> bool:
    """Whether the text of a column has no type: a CSV file holds nothing but text.

    Text in a data frame, an Arrow table, a Parquet file or JSON lines has the type text, which whoever wrote it chose.

    Example:
        >>> is_untyped(pa.field("code", pa.string()))
        False
    """
    return MARK in (field.metadata or {})
