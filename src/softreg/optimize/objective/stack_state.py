"""A stack of models at one point, as reductions read it: models, parameters, and the store of their logits."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import numpy as np

from softreg.optimize.problem.standardization import Coordinates
from softreg.probability.block_loss import LabelConfidence
from softreg.rows import Array, BackendArray, Block, BlockLogits, LogitStore, member_weights

_versions = count()


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Parameters `theta` (m, q, d + 1) of a stack in the coordinates of the solver, named by a unique version."""

    theta: Array
    coordinates: Coordinates
    is_direction: bool = False
    """Whether `theta` is a change of parameters, whose logits have no offset."""
    version: int = field(default_factory=lambda: next(_versions))

    def stored(self) -> tuple[Array, Array]:
        """Return weights (m q, d) and bias (m q,) in the units of the stored numbers."""
        W, b = self.coordinates.to_stored(self.theta)
        return W.reshape(b.size, -1), b.reshape(-1)


@dataclass(frozen=True, slots=True, eq=False)
class StackState:
    """m models of q classes, at the positions `members` (m,) among the row weights, with parameters `point`."""

    m: int
    q: int
    members: Array
    point: Point
    store: LogitStore
    keeps_logits: bool

    def weights(self, block: Block) -> Array | None:
        """Return the block's row weights (m, b) or (1, b) of these models, or None for ones."""
        return member_weights(block.weights, self.m, self.members)

    def on(self, block: Block) -> BlockLogits:
        """Return the operations on the logits of the block."""
        return block.logits(self.m, self.q, self.members, self.store.entry(block.place))

    def logits(self, block: Block) -> Array:
        """Return the block's logits (m, q, b)."""
        if self.keeps_logits:
            return self.on(block).logits(self.point)
        W, b = self.point.stored()
        return self.logits_at(block, block.prepare(W), b.astype(block.dtype), is_direction=self.point.is_direction)

    def logits_at(self, block: Block, prepared: BackendArray, bias: Array, *, is_direction: bool = False) -> Array:
        """Return the block's logits (m, q, b) for prepared weights and m q biases; a direction has no offset."""
        o, bias = block.times(prepared), bias.reshape(-1, 1)
        o = np.add(o, bias, out=o if o.dtype == bias.dtype else None).reshape(self.m, self.q, -1)
        offset = None if is_direction else block.offset
        if offset is not None:
            o += offset
        return o

    def confidence(self, block: Block) -> LabelConfidence:
        """Return the probability of each label of the block, and mass and variance of each class."""
        on = self.on(block)
        parts = on.confidence(self.point) if self.keeps_logits else on.recomputed_confidence(self.point)
        return LabelConfidence(*parts)
