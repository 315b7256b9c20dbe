"""Whether a table is read into memory as a whole or in batches."""

from __future__ import annotations

from typing import Literal

from softreg.tables.columns.table_errors import TableError
from softreg.tables.io.open_table import OpenTable

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
    sizes = (
        reader.source.path.stat().st_size * (COMPRESSION if reader.source.compression else 1)
        for reader in table.readers
    )
    return sum(sizes) > LARGE
