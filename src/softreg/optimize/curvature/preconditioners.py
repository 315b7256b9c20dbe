"""Approximate inverse Hessians of a stack of models: the protocol, and those that hold a diagonal or blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from softreg.optimize.curvature.class_factors import Factors
from softreg.typing import Array, BoolArray, Float64Array, FloatArray, IntArray


class Preconditioner(Protocol):
    """An approximate inverse Hessian of each model of a stack."""

    def solve(self, G: FloatArray) -> FloatArray:
        """Return the approximate inverse Hessian times G, (m, q, d + 1)."""
        ...

    def keep(self, members: BoolArray) -> Preconditioner:
        """Return the preconditioner of some models of the stack."""
        ...


@dataclass(frozen=True)
class DiagonalPreconditioner:
    """The inverse of a diagonal."""

    diagonal: Float64Array
    """Diagonal (m, q, d + 1) of the Hessian."""

    def solve(self, G: FloatArray) -> FloatArray:
        """Return G divided by the diagonal."""
        return np.asarray(G / self.diagonal)

    def keep(self, members: BoolArray) -> DiagonalPreconditioner:
        """Return the preconditioner of some models of the stack."""
        return DiagonalPreconditioner(self.diagonal[members])


@dataclass(frozen=True)
class BlockPreconditioner:
    """The inverse of one block per class, or of one scaled block for all classes; models of one strength share them."""

    factors: tuple[Factors, ...]
    """Cholesky factors of the blocks of each group of models."""
    group: IntArray
    """Group (m,) of each model."""
    scale: Float64Array
    """Factor (m, q) of the result."""
    dtype: np.dtype[np.floating]
    """Precision of the products."""

    def solve(self, G: FloatArray) -> FloatArray:
        """Return the inverse of each class's block times its gradient.

        G may hold the stack several times over, for which the factors are read but once.

        Returns
        -------
        FloatArray
            Array of the shape of G.
        """
        times = len(G) // len(self.group)
        group, scale = np.tile(self.group, times), np.tile(self.scale, (times, 1))
        out = np.empty_like(G)
        for g, factors in enumerate(self.factors):
            in_group = np.flatnonzero(group == g)
            if len(in_group):
                out[in_group] = factors.solve(G[in_group].astype(self.dtype))
        out *= scale[:, :, None]
        return out

    def keep(self, members: BoolArray) -> BlockPreconditioner:
        """Return the preconditioner of some models of the stack."""
        return BlockPreconditioner(self.factors, self.group[members], self.scale[members], self.dtype)


@dataclass(frozen=True)
class HessianBlocks:
    """Diagonal blocks of the Hessians of a stack; models of one strength share them."""

    blocks: tuple[Float64Array, ...]
    """Blocks (q or 1, d + 1, d + 1) of each group of models."""
    group: IntArray
    """Group (m,) of each model."""

    def keep(self, members: BoolArray) -> HessianBlocks:
        """Return the blocks of some models of the stack."""
        return HessianBlocks(self.blocks, self.group[members])

    def of_class(self, j: int, k: int) -> Array:
        """Return the block (d + 1, d + 1) of class k of model j."""
        blocks = self.blocks[self.group[j]]
        return np.asarray(blocks[k % len(blocks)])
