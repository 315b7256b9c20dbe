"""Sets of row numbers of a table that is larger than memory, with one bit a row in the blocks that have any."""

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
    """Set of row numbers from 0; a block of 65,536 rows without any takes no memory.

    Examples
    --------
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
        """Add row numbers (k,)."""
        for block in np.unique(numbers // BLOCK).tolist():
            members = self._block(block)
            before = int(members.sum())
            members[numbers[numbers // BLOCK == block] - block * BLOCK] = True
            self.size += int(members.sum()) - before
            self.blocks[block] = np.packbits(members)

    def mask(self, first: int, count: int) -> BoolArray:
        """Return a mask of `count` rows from number `first` on."""
        if not self.blocks:
            return np.zeros(count, dtype=bool)
        blocks = range(first // BLOCK, (first + max(count, 1) - 1) // BLOCK + 1)
        members = np.concatenate([self._block(block) for block in blocks])
        start = first - blocks[0] * BLOCK
        return members[start : start + count]

    def _block(self, block: int) -> BoolArray:
        packed = self.blocks.get(block)
        return np.zeros(BLOCK, dtype=bool) if packed is None else np.unpackbits(packed).astype(bool)


def row_mask(rows: ArrayLike) -> RowMask:
    """Return a function that masks runs of rows, from row numbers or a mask; raise `ValueError` for anything else."""
    given = np.asarray(rows)
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "biu":
        raise ValueError(f"rows must be row numbers or a mask, but is {given.dtype} of shape {given.shape}")
    numbers = np.flatnonzero(given) if given.dtype == bool else np.unique(given)
    if numbers.size and numbers[0] < 0:
        raise ValueError(f"rows must be row numbers from 0, but reach from {numbers[0]}")

    def mask_function(first: int, count: int) -> BoolArray:
        mask = np.zeros(count, dtype=bool)
        start, stop = np.searchsorted(numbers, [first, first + count])
        mask[numbers[start:stop] - first] = True
        return mask

    return mask_function
