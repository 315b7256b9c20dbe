"""Arrays (d, q) that are used again by one run of dual coordinate ascent after another."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import DTypeLike, NDArray

from softreg.typing import FloatArray


class BufferPool:
    """Arrays (d, q) of one run, with arbitrary content: allocating memory costs more than writing to it."""

    def __init__(self, d: int, q: int) -> None:
        self.shape = (d, q)
        self._slack: FloatArray | None = None

    @cached_property
    def anchor(self) -> NDArray[np.float32]:
        """The anchor of the acceleration."""
        return np.empty(self.shape, np.float32)

    @cached_property
    def previous(self) -> NDArray[np.float32]:
        """The weights at the last move of the anchor."""
        return np.empty(self.shape, np.float32)

    def slack(self, dtype: DTypeLike) -> FloatArray:
        """Return the array for the rounding error of the weights, in the precision of the rows."""
        if self._slack is None or self._slack.dtype != dtype:
            self._slack = np.empty(self.shape, dtype)
        return self._slack
