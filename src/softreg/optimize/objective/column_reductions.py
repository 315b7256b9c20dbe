"""Reductions of one model on the standardised columns of the rows, in float64, for exact Newton steps.

`member` is the position of the model among the row weights. `T` (r, d + 1) maps the columns z to a basis y = T z; None
stands for the columns themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from softreg.optimize.objective.hessian import Columns
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums

MAX_PAIRWISE_CLASSES = 12
"""Up to this many classes the Hessian is summed pair by pair."""
MAX_PAIR_PRODUCT = 1 << 20
"""Largest count of numbers in a product for several pairs at once."""


def member_row_weights(block: Block, member: int) -> Array | None:
    """Return the block's row weights (b,) of one model, or None for ones."""
    V = block.weights
    return V if V is None else V[member if len(V) > 1 else 0]


def column_logits(theta: Array, Z: Array, offset: Array | None, run: slice) -> Array:
    """Return the logits (q, b) of one model at parameters theta (q, d + 1) for a run of rows.

    Parameters
    ----------
    theta : ndarray of shape (q, d + 1)
    Z : ndarray of shape (d + 1, b)
        Columns of the rows.
    offset : ndarray of shape (q, n) or None
        Offset of the logits of the whole block.
    run : slice
        The rows of the block.

    Returns
    -------
    ndarray of shape (q, b)

    Examples
    --------
    >>> column_logits(np.ones((2, 1)), np.ones((1, 3)), np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]), slice(0, 3))
    array([[2., 3., 4.],
           [1., 1., 1.]])
    """
    o = theta @ Z
    if offset is not None:
        o += offset[:, run]
    return np.asarray(o)


@dataclass(frozen=True, slots=True)
class MemberMass:
    """Sum of the row weights of one model."""

    member: int

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        V = member_row_weights(block, self.member)
        return (float(block.stop - block.start) if V is None else V.sum(dtype=np.float64),)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnProducts:
    """The sum of `v y y^T`, (r, r)."""

    columns: Columns
    member: int
    T: Array | None = None
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        size = len(self.columns.shift) + 1 if self.T is None else len(self.T)
        V, total = member_row_weights(block, self.member), np.zeros((size, size))
        for run, Z in self.columns.runs(block):
            Y = Z if self.T is None else self.T @ Z
            total += (Y if V is None else Y * V[run]) @ Y.T
        return (total,)


@dataclass(frozen=True, slots=True, eq=False)
class ColumnCrossProducts:
    """The sum of `v z y^T`, (d + 1, r)."""

    columns: Columns
    member: int
    T: Array

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        V, total = member_row_weights(block, self.member), np.zeros(self.T.shape[::-1])
        for run, Z in self.columns.runs(block):
            Y = self.T @ Z
            total += Z @ (Y if V is None else Y * V[run]).T
        return (total,)


@dataclass(frozen=True, slots=True, eq=False)
class MemberLossGradient:
    """The loss and its gradient (q, r) at parameters theta (q, d + 1)."""

    columns: Columns
    member: int
    theta: Array
    T: Array | None = None

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        size = self.theta.shape[1] if self.T is None else len(self.T)
        V, value, G = member_row_weights(block, self.member), 0.0, np.zeros((len(self.theta), size))
        offset = block.offset
        for run, Z in self.columns.runs(block):
            v = None if V is None else V[None, run]
            o = column_logits(self.theta, Z, offset, run)
            row_loss, R = loss.loss_and_residual(o[None], block.labels[run], v)
            value += float(row_loss[0])
            G += R[0] @ (Z if self.T is None else self.T @ Z).T
        return value, G


@dataclass(frozen=True, slots=True, eq=False)
class MemberHessian:
    """The sum of `v p_k p_l y y^T` for each pair of classes k < l, (e, r, r), at parameters theta (q, d + 1).

    With a `share` below 1 only that share of the rows of each block counts.
    """

    columns: Columns
    member: int
    theta: Array
    T: Array
    share: float

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        q, r = len(self.theta), len(self.T)
        V, sums = member_row_weights(block, self.member), np.zeros((q * (q - 1) // 2, r, r))
        offset = block.offset
        for run, Z in self._runs(block):
            P = loss.probabilities(column_logits(self.theta, Z, offset, run)[None])[0][0]
            add_pairs(sums, P if V is None else P * np.sqrt(V[run]), self.T @ Z)
        return (sums,)

    def _runs(self, block: Block) -> Iterator[tuple[slice, Array]]:
        if self.share == 1.0:
            return self.columns.runs(block)
        return self.columns.runs(block.piece(0, max(1, int(self.share * (block.stop - block.start)))))


@dataclass(frozen=True, slots=True, eq=False)
class LogitRange:
    """The largest range of the change of a row's logits for a direction theta (q, d + 1), one number a block."""

    columns: Columns
    theta: Array

    def evaluate(self, block: Block) -> Array:
        """Return the largest range of one block."""
        most = 0.0
        for _, Z in self.columns.runs(block):
            o = self.theta @ Z
            most = max(most, float((o.max(axis=0) - o.min(axis=0)).max()))
        return np.array([most])


@dataclass(frozen=True, slots=True, eq=False)
class LargestLeverage:
    """The largest leverage `y^T H y` of a row for a matrix H (r, r), one number a block."""

    columns: Columns
    H: Array
    T: Array | None = None
    half_passes: ClassVar[int] = 1

    def evaluate(self, block: Block) -> Array:
        """Return the largest leverage of one block."""
        most = -np.inf
        for _, Z in self.columns.runs(block):
            Y = Z if self.T is None else self.T @ Z
            most = max(most, float(np.einsum("ji,ji->i", self.H @ Y, Y).max()))
        return np.array([most])


def add_pairs(sums: Array, P: Array, Y: Array) -> None:
    """Add `sum_i p_ik p_il y_i y_i^T` for each pair of classes k < l to sums (e, r, r); P (q, b) and Y (r, b)."""
    first, q = 0, len(P)
    for k in range(q - 1):
        last = first + q - 1 - k
        if q <= MAX_PAIRWISE_CLASSES:
            for e in range(first, last):
                half = Y * np.sqrt(P[k] * P[k + 1 + e - first])
                sums[e] += half @ half.T
        else:
            step = max(1, MAX_PAIR_PRODUCT // Y.size)
            for a in range(first, last, step):
                others = P[k + 1 + a - first : k + 1 + min(a + step, last) - first]
                sums[a : a + len(others)] += (others[:, None] * (Y * P[k])) @ Y.T
        first = last
