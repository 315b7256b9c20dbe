"""Damaged Parquet and Arrow files: one error for the exceptions they raise, and validation of tables of the caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from softreg.files.typed_files import READ_ERRORS
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.io.sources import SourceFile, damaged_file_message, missing_file_message


@contextmanager
def damage_as_table_error(source: SourceFile) -> Iterator[None]:
    """Convert any exception of Arrow while it reads a file to a `TableError` about a damaged file.

    Damaged lengths, names and types raise more than Arrow's own exceptions: `files.typed_files.READ_ERRORS`.

    Parameters
    ----------
    source : SourceFile
        File that is read.

    Yields
    ------
    None

    Raises
    ------
    TableError
        If an exception was raised.

    Examples
    --------
    >>> from pathlib import Path
    >>> with damage_as_table_error(SourceFile(Path("a.parquet"), "parquet")):  # doctest: +ELLIPSIS
    ...     raise OverflowError("length 9e18")
    Traceback (most recent call last):
    softreg.tables.columns.table_errors.TableError: 'a.parquet' is a damaged or truncated Parquet file ...
    """
    try:
        yield
    except TableError:
        raise
    except FileNotFoundError:
        raise TableError(missing_file_message(source.display_name)) from None
    except READ_ERRORS as error:
        raise TableError(damaged_file_message(source, error)) from error


def check_buffers(table: pa.Table) -> pa.Table:
    """Return a table of the caller whose arrays are valid.

    Returns
    -------
    pa.Table
        The same object.

    Raises
    ------
    TableError
        If a column has damaged buffers.

    Examples
    --------
    >>> check_buffers(pa.table({"a": [1, 2]})).num_rows
    2
    """
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            reason = " ".join(str(error).split())
            raise TableError(f"Column {quote(name)} is not a valid Arrow array ({reason}); create it again.") from None
    return table
