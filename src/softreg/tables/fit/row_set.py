"""A set of row numbers of a table that memory does not hold, at one bit a row of the blocks that have any."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.typing import BoolArray, RowNumbers

RowMask = Callable[[int, int], BoolArray]
"""Which of `count` rows from row number `first` on are meant."""

BLOCK = 1 << 16
"""Rows of a block."""


class RowSet:
    """Row numbers from 0, asked for by runs; a block of 65,536 rows without any takes no memory.

    Example:
        >>> rows = RowSet()
        >>> rows.add(np.array([3, 70_000]))
        >>> rows.mask(2, 3).tolist(), len(rows)
        ([False, True, False], 2)
    """

    def __init__(self) -> None:
        self.blocks: dict[int, NDArray[np.uint8]] = {}
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, numbers: RowNumbers) -> None:
        """Take the numbers of some rows (k,)."""
        for block in np.unique(numbers // BLOCK).tolist():
            held = self._block(block)
            before = int(held.sum())
            held[numbers[numbers // BLOCK == block] - block * BLOCK] = True
            self.size += int(held.sum()) - before
            self.blocks[block] = np.packbits(held)

    def mask(self, first: int, count: int) -> BoolArray:
        """Which of `count` rows from number `first` on are in the set."""
        if not self.blocks:
            return np.zeros(count, dtype=bool)
        blocks = range(first // BLOCK, (first + max(count, 1) - 1) // BLOCK + 1)
        held = np.concatenate([self._block(block) for block in blocks])
        start = first - blocks[0] * BLOCK
        return held[start : start + count]

    def _block(self, block: int) -> BoolArray:
        packed = self.blocks.get(block)
        return np.zeros(BLOCK, dtype=bool) if packed is None else np.unpackbits(packed).astype(bool)


def row_mask(rows: ArrayLike) -> RowMask:
    """Row numbers or a mask of all rows, as a question about any run of them."""
    given = np.asarray(rows)
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "biu":
        raise ValueError(f"rows must be row numbers or a mask, but is {given.dtype} of shape {given.shape}")
    numbers = np.flatnonzero(given) if given.dtype == bool else np.unique(given)
    if numbers.size and numbers[0] < 0:
        raise ValueError(f"rows must be row numbers from 0, but reach from {numbers[0]}")

    def asked(first: int, count: int) -> BoolArray:
        mask = np.zeros(count, dtype=bool)
        low, high = np.searchsorted(numbers, [first, first + count])
        mask[numbers[low:high] - first] = True
        return mask

    return asked
