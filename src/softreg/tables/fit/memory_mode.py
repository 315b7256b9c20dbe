"""Whether a table is read into memory as a whole or in batches."""

from __future__ import annotations

from typing import Literal

from softreg.tables.columns.errors import TableError
from softreg.tables.io.open_table import OpenTable

LARGE = 512 << 20
"""Bytes of files from which on a table is not read into memory as a whole; compressed files count four times."""

PACKED = 4

Memory = Literal["auto", "low", "high"]


def is_large(table: OpenTable, memory: Memory = "auto") -> bool:
    """Whether a table is to be trained on in batches: `memory` says so, or leaves it to the size of the files.

    Raises `TableError` for another word.
    """
    if memory not in ("auto", "low", "high"):
        raise TableError(f"memory is {memory!r}; expected 'auto', 'low' or 'high'.")
    if memory != "auto":
        return memory == "low"
    sizes = (one.source.path.stat().st_size * (PACKED if one.source.compression else 1) for one in table.readers)
    return sum(sizes) > LARGE
