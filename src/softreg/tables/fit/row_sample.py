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
        Most rows of the sample; fewer where they would need more than `max_bytes`.
    seen : int
        Rows of the table so far.
    below : float
        Hashed number, in [0, 1), from which on rows are not in the sample.
    max_bytes : int or None
        Most bytes of the sample; `MAX_BYTES` by default.

    Examples
    --------
    >>> whole, first, second = (RowSampler(3, seed=0) for _ in range(3))
    >>> table, mask = pa.table({"x": range(10)}), np.ones(10, dtype=bool)
    >>> whole.add(table, 0, mask)
    >>> first.add(table.slice(0, 6), 0, mask[:6])
    >>> second.add(table.slice(6), 6, mask[6:])
    >>> first.merge(second)
    >>> first.sample()[1].tolist() == whole.sample()[1].tolist()
    True
    """

    def __init__(self, rows: int, seed: int, *, below: float = np.inf, max_bytes: int | None = None) -> None:
        self.rows, self.seed, self.below, self.max_bytes = rows, seed, below, max_bytes
        self.seen = 0
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
        self._limit()

    def merge(self, later: RowSampler) -> None:
        """Add the sample of later rows of the table."""
        self.seen += later.seen
        self.below = min(self.below, later.below)
        self.parts, self.numbers = [*self.parts, *later.parts], [*self.numbers, *later.numbers]
        kept = [keyed_uniform(numbers, self.seed, SAMPLE_STREAM) < self.below for numbers in self.numbers]
        if not all(keep.all() for keep in kept):
            self.parts = [part.filter(pa.array(keep)) for part, keep in zip(self.parts, kept, strict=True)]
            self.numbers = [numbers[keep] for numbers, keep in zip(self.numbers, kept, strict=True)]
        self._limit()

    def _limit(self) -> None:
        """Drop rows where there are twice as many as the sample may have."""
        size = sum(part.nbytes for part in self.parts)
        if sum(map(len, self.numbers)) > 2 * self.rows or size > 2 * self._most_bytes:
            self.trim()

    @property
    def _most_bytes(self) -> int:
        return MAX_BYTES if self.max_bytes is None else self.max_bytes

    def trim(self) -> None:
        """Drop rows beyond the size of the sample."""
        if not self.parts:
            return
        table, numbers = pa.concat_tables(self.parts), np.concatenate(self.numbers)
        self.rows = max(1, min(self.rows, int(self._most_bytes * len(numbers) / max(1, table.nbytes))))
        if len(numbers) > self.rows:
            drawn = keyed_uniform(numbers, self.seed, SAMPLE_STREAM)
            self.below = float(np.partition(drawn, self.rows)[self.rows])
            kept = np.flatnonzero(drawn < self.below)
            table, numbers = table.take(pa.array(kept)), numbers[kept]
        self.parts, self.numbers = [table.combine_chunks()], [numbers]

    def sample(self) -> tuple[pa.Table | None, Int64Array]:
        """Return the rows and their numbers; None without any row."""
        self.trim()
        return (self.parts[0], self.numbers[0]) if self.parts else (None, np.zeros(0, dtype=np.int64))
