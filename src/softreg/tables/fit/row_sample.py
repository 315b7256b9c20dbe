"""A sample of rows of a table that memory does not hold, spread over all of it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from softreg.splitmix import as_uniform, hashed
from softreg.typing import BoolArray, Float64Array, Int64Array, RowNumbers

ROOM = 128 << 20
"""Bytes that a sample takes, at most: wide rows give fewer of them."""


def uniform(numbers: RowNumbers, seed: int, stream: int) -> Float64Array:
    """A number in [0, 1) for each row number, which depends on nothing but that number, the seed and the stream.

    Example:
        >>> whole = uniform(np.arange(1000), seed=0, stream=1)
        >>> bool((whole[600:] == uniform(np.arange(600, 1000), 0, 1)).all()), bool(abs(whole.mean() - 0.5) < 0.05)
        (True, True)
    """
    start = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)
    return as_uniform(hashed(numbers, start))


class RowSampler:
    """Rows spread over the whole table, as many as there is room for, in its order: those of least random numbers."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.seed = rows, seed
        self.seen, self.below = 0, np.inf
        self.parts: list[pa.Table] = []
        self.numbers: list[Int64Array] = []

    def add(self, table: pa.Table, first: int, mask: BoolArray) -> None:
        """Take the rows of a batch in the mask; its first row has the number `first`."""
        self.seen += int(mask.sum())
        places = np.flatnonzero(mask)
        places = places[uniform(places + first, self.seed, 2) < self.below]
        if len(places) == 0:
            return
        self.parts.append(table.take(pa.array(places)))
        self.numbers.append(places + first)
        if sum(map(len, self.numbers)) > 2 * self.rows or sum(part.nbytes for part in self.parts) > 2 * ROOM:
            self._trim()

    def _trim(self) -> None:
        if not self.parts:
            return
        table, numbers = pa.concat_tables(self.parts), np.concatenate(self.numbers)
        self.rows = max(1, min(self.rows, int(ROOM * len(numbers) / max(1, table.nbytes))))
        if len(numbers) > self.rows:
            drawn = uniform(numbers, self.seed, 2)
            self.below = float(np.partition(drawn, self.rows)[self.rows])
            kept = np.flatnonzero(drawn < self.below)
            table, numbers = table.take(pa.array(kept)), numbers[kept]
        self.parts, self.numbers = [table.combine_chunks()], [numbers]

    def kept(self) -> tuple[pa.Table | None, Int64Array]:
        """The rows and their numbers; None where there was no row."""
        self._trim()
        return (self.parts[0], self.numbers[0]) if self.parts else (None, np.zeros(0, dtype=np.int64))
