"""Damaged Parquet and Arrow files: one error for what they raise, and a check of what they give before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pyarrow as pa

from softreg.tables.columns.errors import TableError, quote
from softreg.tables.io.sources import SourceFile, damaged_file_error

MAX_BATCH_ROWS = 1 << 31
"""Rows of a batch of an Arrow file, at most; a damaged length may say any number."""
Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


@contextmanager
def damage_as_table_error(part: SourceFile) -> Iterator[None]:
    """Raise the `TableError` of a damaged file for whatever Arrow raises while it reads one.

    Damaged lengths, names and types make it raise more than its own errors: `OverflowError`, `MemoryError`,
    `UnicodeDecodeError`, `KeyError` and others.

    Example:
        >>> from pathlib import Path
        >>> with damage_as_table_error(SourceFile(Path("a.parquet"), "parquet")):  # doctest: +ELLIPSIS
        ...     raise OverflowError("length 9e18")
        Traceback (most recent call last):
        softreg.tables.columns.errors.TableError: 'a.parquet' is a damaged or truncated Parquet file (length 9e18); ...
    """
    try:
        yield
    except TableError:
        raise
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise damaged_file_error(part, error) from error


def validated(rows: Rows) -> Rows:
    """The rows, of which every offset, index and text is valid; raises `ArrowInvalid` where one is not.

    Arrow reads lengths and offsets as they stand in the file; code that uses a wrong one may end the process.
    """
    if rows.num_rows > MAX_BATCH_ROWS:
        raise pa.ArrowInvalid(f"a batch of {rows.num_rows:,} rows")
    rows.validate(full=True)
    return rows


def check_buffers(table: pa.Table) -> pa.Table:
    """The table of a caller, whose arrays are valid; raises `TableError` for a column of damaged buffers.

    Example:
        >>> check_buffers(pa.table({"a": [1, 2]})).num_rows
        2
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            reason = " ".join(str(error).split())
            raise TableError(f"Column {quote(name)} is no valid Arrow array ({reason}); make it again.") from None
    return table
