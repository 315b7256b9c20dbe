"""Where the rows at hand stand in the table or the file, for messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

FILE, ROW = b"softreg.file", b"softreg.row"
LEFT_OUT, BEFORE = b"softreg.left_out", b"softreg.before"


def input_numbers(positions: Any, left_out: Any) -> NDArray[np.int64]:
    """Numbers from 1 in the file of the rows at positions from 0 among those that were kept.

    `left_out` are the numbers of the rows that were not.

    Example:
        >>> input_numbers([0, 1, 2], left_out=[2, 3]).tolist()
        [1, 4, 5]
    """
    gone = np.unique(np.asarray(left_out, np.int64))
    kept_before = gone - 1 - np.arange(len(gone))  # rows kept ahead of each that was not
    places = np.asarray(positions, np.int64)
    return places + 1 + np.searchsorted(kept_before, places, side="right")


@dataclass(frozen=True)
class Where:
    """The rows at hand are `rows` of a table (all where None), which begins behind row `first` of a file.

    Example:
        >>> Where().row(16), Where(np.array([3, 1]), 1000, "a.csv").row(0)
        ('row 17', "row 1,004 of 'a.csv'")
    """

    rows: NDArray[np.int64] | None = None
    first: int = 0
    file: str = ""
    files: tuple[tuple[int, str], ...] = ()
    """Where rows of several files are at hand: the position of the first row of each, and its file."""

    def row(self, position: Any) -> str:
        """The row at a position, counted from 1, in words."""
        file = next((name for first, name in reversed(self.files) if first <= position), self.file)
        return f"row {self.number(position):,}" + (f" of {file!r}" if file else "")

    def number(self, position: Any) -> int:
        """The number of the row at a position, counted from 1."""
        return self.first + int(position if self.rows is None else self.rows[position]) + 1


EVERYWHERE = Where()


def where_of(table: pa.Table | pa.RecordBatch) -> Where:
    """What a batch from a file says of itself; the beginning of a table for any other.

    Example:
        >>> where_of(pa.table({"a": [1]}).replace_schema_metadata({FILE: b"a.csv", ROW: b"10"})).row(0)
        "row 11 of 'a.csv'"
    """
    told = table.schema.metadata or {}
    if ROW not in told:
        return EVERYWHERE
    return Where(None, int(told[ROW]), told.get(FILE, b"").decode())
