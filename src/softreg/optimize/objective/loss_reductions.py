"""Reductions of the objective with kept logits: frozen records that a backend evaluates on each of its blocks.

Each carries its arguments, can be pickled, and declares in `half_passes` what it costs: 1 for a product of the rows
with weights or with residuals, 0 where only kept logits are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from softreg.optimize.objective.reduction_work import RowSizes, product_operations
from softreg.optimize.objective.stack_state import Point, StackState
from softreg.rows import Array, BackendArray, Block, Sums

Result_co = TypeVar("Result_co", covariant=True)
NOTHING: Sums = (0.0,)
"""The sum of a reduction that only changes kept logits."""


class CountedReduction(Protocol[Result_co]):
    """A reduction with its cost."""

    @property
    def half_passes(self) -> int:
        """Products with the rows, or with their transpose."""
        ...

    def evaluate(self, block: Block) -> Result_co:
        """Return the result for one block."""
        ...


# --- row weights ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mass:
    """Sum of the row weights of each of m models, (m,); (1,) where all have the same weights."""

    m: int
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sum for one block."""
        V = block.weights
        return (np.full(self.m, block.stop - block.start) if V is None else V.sum(axis=1, dtype=np.float64),)


@dataclass(frozen=True, slots=True, eq=False)
class LargestWeight:
    """Largest row weight of each model, (1, m) a block; for `Rows.map`."""

    state: StackState
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Array:
        """Return the largest weights of one block."""
        V, m = self.state.weights(block), self.state.m
        return np.ones((1, m)) if V is None else np.broadcast_to(V.max(axis=1), (m,))[None]


# --- changes of the kept logits -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class KeepLogits:
    """Keep the logits of the point of the state, or of a direction, in place of the versions that it replaces."""

    state: StackState
    prepared: BackendArray
    bias: Array
    replaces: tuple[int, ...]
    half_passes: ClassVar[int] = 1
    sums_nothing: ClassVar[bool] = True

    def evaluate(self, block: Block) -> Sums:
        """Keep the logits of one block."""
        self.state.on(block).keep(self.prepared, self.bias, self.state.point, self.replaces)
        return NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class LogitDifference:
    """Turn the logits of `ahead` into those of the difference `ahead` - point, kept as `version`."""

    state: StackState
    ahead: Point
    version: int
    replaces: tuple[int, ...]
    half_passes: ClassVar[int] = 0
    sums_nothing: ClassVar[bool] = True

    def evaluate(self, block: Block) -> Sums:
        """Change the logits of one block."""
        self.state.on(block).difference(self.ahead, self.state.point, self.version, self.replaces)
        return NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class TakeStep:
    """Turn the kept logits of the point into those of `version`, steps t (m,) along a direction."""

    state: StackState
    direction: Point
    t: Array
    version: int
    half_passes: ClassVar[int] = 0
    sums_nothing: ClassVar[bool] = True

    def evaluate(self, block: Block) -> Sums:
        """Change the logits of one block."""
        self.state.on(block).take_step(self.state.point, self.direction, self.t, self.version)
        return NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class ShiftBias:
    """Turn the kept logits of the point into those of `version`, with a bias shifted by (m, q)."""

    state: StackState
    shift: Array
    version: int
    half_passes: ClassVar[int] = 0
    sums_nothing: ClassVar[bool] = True

    def evaluate(self, block: Block) -> Sums:
        """Change the logits of one block."""
        self.state.on(block).shift_bias(self.state.point, self.shift, self.version)
        return NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class DropMembers:
    """Keep what belongs to the models of a mask, under new versions (old, new); `state` is that after the change."""

    state: StackState
    keep: Array
    renamed: tuple[tuple[int, int], ...]
    half_passes: ClassVar[int] = 0
    sums_nothing: ClassVar[bool] = True

    def evaluate(self, block: Block) -> Sums:
        """Change what is kept of one block."""
        self.state.on(block).drop_members(self.keep, self.renamed)
        return NOTHING


# --- loss and derivatives -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class LossGradient:
    """Loss (m,), residual (m q,) and residual times rows (m q, d) at the point of the state; its logits are kept."""

    state: StackState
    prepared: BackendArray
    bias: Array
    replaces: tuple[int, ...]
    half_passes: ClassVar[int] = 2

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        on = self.state.on(block)
        return on.loss_and_gradient(self.prepared, self.bias, self.state.point.version, self.replaces)


@dataclass(frozen=True, slots=True, eq=False)
class LossAlong:
    """Value, slope and curvature (m,) of the loss at steps t (m,) along a direction, from kept logits."""

    state: StackState
    direction: Point
    t: Array
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        return self.state.on(block).eval_along(self.state.point, self.direction, self.t)


@dataclass(frozen=True, slots=True, eq=False)
class KeptGradient:
    """Loss (m,), residual times rows (m q, d), and the residual as multiplied (m q,) and before rounding (m, q).

    With a shift (m, q) of the kept logits softmax is computed in float64.
    """

    state: StackState
    shift: Array | None
    half_passes: ClassVar[int] = 1

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        return self.state.on(block).gradient(self.state.point, self.shift)


@dataclass(frozen=True, slots=True, eq=False)
class BiasNewton:
    """Residual (m, q) and curvature in the bias (m, q, q) at kept logits plus a shift (m, q)."""

    state: StackState
    shift: Array
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        return self.state.on(block).bias_sums(self.state.point, self.shift)


@dataclass(frozen=True, slots=True, eq=False)
class MixedEntropy:
    """Entropy (m,) of `Q = Y + share * (P - Y)`, plus `<Q - Y, offset>`, at kept logits plus a shift (m, q)."""

    state: StackState
    shift: Array
    share: Array
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        return self.state.on(block).entropy(self.state.point, self.shift, self.share)


# --- without kept logits --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class RecomputedLossGradient:
    """The sums of `LossGradient`, where only the confidence of each row's label is kept."""

    state: StackState
    prepared: BackendArray
    bias: Array
    half_passes: ClassVar[int] = 2

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        on = self.state.on(block)
        return on.recomputed_loss_and_gradient(self.prepared, self.bias, self.state.point.version)


@dataclass(frozen=True, slots=True, eq=False)
class RecomputedLossAlong:
    """The sums of `LossAlong`, from prepared weights and bias at the end of the step and of the direction."""

    state: StackState
    ahead: tuple[BackendArray, Array]
    direction: tuple[BackendArray, Array]
    half_passes: ClassVar[int] = 2

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        return self.state.on(block).recomputed_along(self.ahead, self.direction)


@dataclass(frozen=True, slots=True, eq=False)
class RecomputedBiasNewton:
    """Residual (m, q), and the sum of `V p p^T` (m, q, q) if `full`, otherwise of `V p (1 - p)` (m, q)."""

    state: StackState
    prepared: BackendArray
    bias: Array
    full: bool

    @property
    def half_passes(self) -> int:
        """The matrix takes about as long as another product with the rows."""
        return 1 + self.full

    def work(self, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
        """Return one reading, and the operations of a product and of the matrix."""
        return 1.0, product_operations(sizes, m * q) + self.full * 2.0 * sizes.n * m * q * q

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        return self.state.on(block).recomputed_bias_sums(self.prepared, self.bias, self.full)
