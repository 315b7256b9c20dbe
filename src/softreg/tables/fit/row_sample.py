"""A uniform sample of the rows of a table that is larger than memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from softreg.splitmix import keyed_uniform
from softreg.typing import BoolArray, Int64Array

MAX_BYTES = 128 << 20
"""Most bytes of a sample."""
SAMPLE_STREAM = 2
"""Stream of the hashed row numbers that decide on the rows of a sample."""


class RowSampler:
    """Uniform sample without replacement, in the order of the rows: those of the least hashed numbers.

    Attributes
    ----------
    rows : int
        Most rows of the sample; fewer where they would need more than `MAX_BYTES`.
    seen : int
        Rows of the table so far.
    """

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.seed = rows, seed
        self.seen, self.below = 0, np.inf
        self.parts: list[pa.Table] = []
        self.numbers: list[Int64Array] = []

    def add(self, table: pa.Table, first: int, mask: BoolArray) -> None:
        """Add the rows of a batch in the mask; its first row has the number `first`."""
        self.seen += int(mask.sum())
        positions = np.flatnonzero(mask)
        positions = positions[keyed_uniform(positions + first, self.seed, SAMPLE_STREAM) < self.below]
        if len(positions) == 0:
            return
        self.parts.append(table.take(pa.array(positions)))
        self.numbers.append(positions + first)
        if sum(map(len, self.numbers)) > 2 * self.rows or sum(part.nbytes for part in self.parts) > 2 * MAX_BYTES:
            self._trim()

    def _trim(self) -> None:
        """Drop rows beyond the size of the sample."""
        if not self.parts:
            return
        table, numbers = pa.concat_tables(self.parts), np.concatenate(self.numbers)
        self.rows = max(1, min(self.rows, int(MAX_BYTES * len(numbers) / max(1, table.nbytes))))
        if len(numbers) > self.rows:
            drawn = keyed_uniform(numbers, self.seed, SAMPLE_STREAM)
            self.below = float(np.partition(drawn, self.rows)[self.rows])
            kept = np.flatnonzero(drawn < self.below)
            table, numbers = table.take(pa.array(kept)), numbers[kept]
        self.parts, self.numbers = [table.combine_chunks()], [numbers]

    def sample(self) -> tuple[pa.Table | None, Int64Array]:
        """Return the rows and their numbers; None without any row."""
        self._trim()
        return (self.parts[0], self.numbers[0]) if self.parts else (None, np.zeros(0, dtype=np.int64))
