"""A stack of models over the same rows: what tells them apart, and what all solvers ask about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from softreg.optimize.objective.class_moments import ClassMoments, Scatter, class_moments, scatter
from softreg.optimize.problem.penalties import Penalty
from softreg.optimize.problem.standardization import Coordinates
from softreg.rows import Array, Block, BlockLogits, Rows, Sums
from softreg.rows.memory.host_logits import HostSoftmax


class Stack:
    """m models of q classes; `penalty` and the row weights tell them apart."""

    def __init__(
        self, rows: Rows, n_classes: int, penalty: Penalty, coordinates: Coordinates, fit_intercept: bool = True
    ) -> None:
        self.rows, self.q, self.penalty, self.coordinates = rows, n_classes, penalty, coordinates
        self.fit_intercept = fit_intercept
        self.members = np.arange(len(penalty))
        self.half_passes = 0
        self._memories: dict[int, dict[str, Any]] = {}
        self._check_weights()
        self.mass = self._mass()
        self.ridge = self._ridge()

    @cached_property
    def moments(self) -> ClassMoments:
        """Rates and means of the classes."""
        return class_moments(self)

    @cached_property
    def scatter(self) -> Scatter:
        """How the rows scatter about their class's mean and in all; the same for all models."""
        return scatter(self)

    @property
    def m(self) -> int:
        """Models still in the stack."""
        return len(self.members)

    @property
    def passes(self) -> int:
        """Passes over the rows so far; one pass is one product with X and one with its transpose."""
        return (self.half_passes + 1) // 2

    @property
    def rows_read(self) -> int:
        """Rows read so far, all passes together."""
        return self.half_passes * self.rows.n // 2

    def _check_weights(self) -> None:
        def part(block: Block) -> Sums:
            V = block.weights
            return (len(V) if V is not None and len(V) not in (1, self.m) else 0,)

        if self.rows.sum(part)[0]:
            raise ValueError(f"the row weights must be (1, n) or (m, n) for the m = {self.m} models of the penalty")

    def _mass(self) -> Array:
        def part(block: Block) -> Sums:
            V = block.weights
            return (np.full(self.m, block.stop - block.start) if V is None else V.sum(axis=1, dtype=np.float64),)

        return np.broadcast_to(self.rows.sum(part)[0], (self.m,)).astype(np.float64)

    def _ridge(self) -> Array:
        """Curvature (m, d + 1) of the l2 part in the scaled coordinates, none for the bias."""
        ridge = self.penalty.quadratic_diagonal(self.coordinates.scale)
        return np.concatenate([ridge, np.zeros((self.m, 1))], axis=1)

    @property
    def l1_scaled(self) -> Array:
        """The l1 strength (m, d + 1) of each parameter in the scaled coordinates, none for the bias."""
        hold = self.penalty.kink(self.coordinates.scale)
        return np.concatenate([hold, np.zeros((self.m, 1))], axis=1)

    def weights(self, block: Block) -> Array | None:
        """The block's row weights of the models still in the stack."""
        V = block.weights
        return V if V is None or len(V) == 1 or len(V) == self.m else V[self.members]

    def softmax(self, block: Block) -> BlockLogits:
        """What the stack asks of the block's logits: answered by the home of the rows, or in NumPy."""
        own = block.softmax(self.m, self.q, self.members, self.memory(block))
        return own or HostSoftmax(block, self.m, self.q, self.weights(block), self.rows.dtype, self.memory(block))

    def memory(self, block: Block) -> dict[str, Any]:
        """What this stack keeps for the rows of a block (logits, say); other stacks on the same rows keep their own."""
        return self._memories.setdefault(block.start, {})

    def each(self, act: Callable[[Block], object]) -> None:
        """Do something with each block of rows."""

        def part(block: Block) -> Sums:
            act(block)
            return (0.0,)

        self.rows.sum(part)

    def user(self, theta: Array) -> tuple[Array, Array]:
        """Weights (m, q, d) and bias (m, q) for the user's columns."""
        return self.coordinates.to_user(theta)

    def drop_members(self, keep: Array) -> None:
        """Only the models marked in `keep` stay in the stack."""
        self.members, self.mass, self.ridge = self.members[keep], self.mass[keep], self.ridge[keep]
        self.penalty = self.penalty.keep(keep)
        if "moments" in self.__dict__:
            self.moments = self.moments.keep(keep)

        self.each(lambda block: self.softmax(block).drop_members(keep))

    def increase_precision(self) -> None:
        """From now on multiply more exactly, in the end in float64; the logits must be placed again."""
        self.rows = self.rows.with_higher_precision()
        self._memories.clear()

    @property
    def digits(self) -> float:
        """The part of the loss by which two passes over nearly the same parameters may differ."""
        if self.rows.reduced_precision:
            return 1e-4
        return 1e-6 if self.rows.dtype == np.float32 else 1e-11

    def lacks_precision(self) -> bool:
        """Whether products in float64 would be more exact than today's."""
        return bool(self.rows.dtype != np.float64)
