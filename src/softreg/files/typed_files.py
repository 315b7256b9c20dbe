"""Parquet and Arrow files: schemas and record batches with their types, validated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa

from softreg.files.formats import ARROW_MAGIC, DataFile
from softreg.files.streams import open_bytes

READ_ERRORS = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    MemoryError,
)
"""Exceptions that the damaged lengths, offsets, names and types of a Parquet or Arrow file raise."""
MAX_BATCH_ROWS = 1 << 31
"""Largest number of rows of an Arrow batch; a damaged length may be any number."""
COLUMN_BUFFER_BYTES = 1 << 18
"""Bytes of a Parquet column read at a time; whole column chunks would hold a row group in memory."""
MIN_BUFFERED_BYTES = 1 << 26
"""Bytes of a Parquet file from which on it is read through that buffer. Smaller ones are read by columns of row groups:
the buffer takes the memory that a damaged length of a page asks for."""
Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def validated(rows: Rows) -> Rows:
    """Return rows whose offsets, indices and texts are valid.

    Arrow uses lengths and offsets as stored in the file; an invalid one may end the process.

    Parameters
    ----------
    rows : pa.Table or pa.RecordBatch
        Rows of a file.

    Returns
    -------
    pa.Table or pa.RecordBatch
        The same object.

    Raises
    ------
    pyarrow.ArrowInvalid
        If some buffer is invalid.
    """
    if rows.num_rows > MAX_BATCH_ROWS:
        raise pa.ArrowInvalid(f"a batch of {rows.num_rows:,} rows")
    rows.validate(full=True)
    return rows


def open_parquet(file: DataFile) -> Any:
    """Return an open Parquet file, a context manager; a compressed one is decompressed in memory.

    Parameters
    ----------
    file : DataFile
        The file.

    Returns
    -------
    pyarrow.parquet.ParquetFile
    """
    import pyarrow.parquet as pq

    source = pa.BufferReader(open_bytes(file).read()) if file.compression else str(file.path)
    large = not file.compression and file.path.stat().st_size > MIN_BUFFERED_BYTES
    return pq.ParquetFile(
        source,
        pre_buffer=False,
        buffer_size=COLUMN_BUFFER_BYTES if large else 0,
        page_checksum_verification=True,
    )


def parquet_batches(
    file: DataFile, columns: Sequence[str], batch_rows: int, row_groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file in validated batches.

    Parameters
    ----------
    file : DataFile
        The file.
    columns : sequence of str
        Columns to read.
    batch_rows : int
        Largest number of rows of a batch.
    row_groups : sequence of int, optional
        Numbers of the row groups to read; all by default.

    Yields
    ------
    pa.RecordBatch
        Some rows; any of `READ_ERRORS` may be raised.
    """
    with open_parquet(file) as parquet:
        batches = parquet.iter_batches(batch_size=batch_rows, row_groups=row_groups, columns=list(columns))
        yield from map(validated, batches)


def open_arrow(file: DataFile) -> Any:
    """Return a reader of an Arrow IPC file or stream, a context manager; an uncompressed file is mapped.

    Parameters
    ----------
    file : DataFile
        The file.

    Returns
    -------
    pyarrow.ipc.RecordBatchFileReader or pyarrow.ipc.RecordBatchStreamReader
    """
    from pyarrow import ipc

    with open_bytes(file) as raw:
        is_file = bytes(raw.read(len(ARROW_MAGIC))) == ARROW_MAGIC
    if not is_file:
        return ipc.open_stream(open_bytes(file))
    if file.compression:
        return ipc.open_file(pa.BufferReader(open_bytes(file).read()))
    return ipc.open_file(pa.memory_map(str(file.path)))


def arrow_batches(file: DataFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the validated batches of an Arrow IPC file or stream, as long as they are stored.

    Parameters
    ----------
    file : DataFile
        The file.
    columns : sequence of str
        Columns to read.

    Yields
    ------
    pa.RecordBatch
        Some rows; any of `READ_ERRORS` may be raised.
    """
    with open_arrow(file) as reader:
        count = getattr(reader, "num_record_batches", None)
        batches = iter(reader) if count is None else (reader.get_batch(i) for i in range(count))
        for batch in batches:
            yield validated(batch.select(list(columns)))
