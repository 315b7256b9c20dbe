"""Reductions that need neither a loss nor a model: labels, row weights, and moments of the columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from softreg.rows.backend_protocol import Block
from softreg.rows.logits import Sums
from softreg.typing import Array

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of all rows: codes (n,) or label probabilities (n, q)."""

    def evaluate(self, block: Block) -> Array:
        """Return the labels of one block."""
        return block.labels


@dataclass(frozen=True, slots=True)
class RowWeights:
    """The row weights of all models, (n, m); ones (n, 1) where every row counts once."""

    def evaluate(self, block: Block) -> Array:
        """Return the row weights of one block."""
        V = block.weights
        return np.ones((block.stop - block.start, 1)) if V is None else V.T


@dataclass(frozen=True, slots=True)
class HasNoWeights:
    """Whether each block has no row weights, one flag a block."""

    def evaluate(self, block: Block) -> Array:
        """Return the flag of one block."""
        return np.array([block.weights is None])


@dataclass(frozen=True, slots=True)
class Offsets:
    """The offsets of the logits of all rows, (n, q); for rows with offsets."""

    def evaluate(self, block: Block) -> Array:
        """Return the offsets of one block."""
        offset = block.offset
        assert offset is not None
        return offset.T


@dataclass(frozen=True, slots=True, eq=False)
class Standardised:
    """The rows as a dense array (n, d) of `(X - shift) / scale`."""

    shift: Array
    scale: Array

    def evaluate(self, block: Block) -> Array:
        """Return the rows of one block."""
        return block.standardised(self.shift, self.scale)


@dataclass(frozen=True, slots=True)
class ColumnExtremes:
    """Smallest and largest value of each column, (1, 2, d) a block."""

    def evaluate(self, block: Block) -> Array:
        """Return the extremes of one block."""
        return np.array([block.extremes()])


@dataclass(frozen=True, slots=True, eq=False)
class ColumnMoments:
    """Sums of `z` and `z**2` for `z = (X - shift) / scale`, (d,) each."""

    shift: Array
    scale: Array

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        return block.moments(self.shift, self.scale)


@dataclass(frozen=True, slots=True)
class BlockFunction(Generic[Result]):
    """A reduction from a function of a block, for tests and experiments; it can be pickled where the function can."""

    function: Callable[[Any], Result]

    def evaluate(self, block: Block) -> Result:
        """Return the value of the function for one block."""
        return self.function(block)
