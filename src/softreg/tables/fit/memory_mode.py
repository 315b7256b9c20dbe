"""Whether a table is read into memory as a whole or in batches."""

from __future__ import annotations

from typing import Literal

from softreg.tables.columns.table_errors import TableError
from softreg.tables.io.open_table import OpenTable
from softreg.tables.io.sources import SourceFile

LARGE = 512 << 20
"""Bytes of files above which a table is read in batches."""

COMPRESSION = 4
"""Assumed ratio of the sizes of uncompressed and compressed files."""

Memory = Literal["auto", "low", "high"]


def is_large(table: OpenTable, memory: Memory = "auto") -> bool:
    """Return True if a table is trained on in batches: `memory` is "low", or it is "auto" and the files are large.

    Returns
    -------
    bool
        Whether the table is read in batches.

    Raises
    ------
    TableError
        If `memory` is another word.
    """
    if memory not in ("auto", "low", "high"):
        raise TableError(f"memory is {memory!r}; expected 'auto', 'low' or 'high'.")
    if memory != "auto":
        return memory == "low"
    return sum(_size(reader.source) for reader in table.readers) > LARGE


def _size(source: SourceFile) -> int:
    """Return the number of bytes of the uncompressed values of a file, or an estimate."""
    if source.size is not None:
        return source.size
    return source.path.stat().st_size * (COMPRESSION if source.compression else 1)
