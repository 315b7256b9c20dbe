"""Text columns without a declared type, such as those of a CSV file, from which numbers are parsed."""

from __future__ import annotations

import pyarrow as pa

MARK = b"softreg.untyped"
"""Metadata key of a field whose text may represent numbers or booleans."""


def mark_untyped(field: pa.Field) -> pa.Field:
    """Return the field, marked as text without a declared type.

    Returns
    -------
    pa.Field

    Examples
    --------
    >>> is_untyped(mark_untyped(pa.field("age", pa.string()))), is_untyped(pa.field("age", pa.string()))
    (True, False)
    """
    return field.with_metadata({**(field.metadata or {}), MARK: b""})


def is_untyped(field: pa.Field) -> bool:
    """Return True if the text of a column has no declared type, as in a CSV file.

    Text in a data frame, an Arrow table, a Parquet file or JSON lines was declared as text.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_untyped(pa.field("code", pa.string()))
    False
    """
    return MARK in (field.metadata or {})
