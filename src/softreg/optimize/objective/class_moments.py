"""Moments of the classes: the rate and mean of each class, and the scatter of the rows about the class means.

They cost no product with weights, and are used for a start (`solvers/class_mean_start.py`), for the clusters of the
curvature (`curvature/class_clusters.py`), and in the certificate for many classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from softreg.optimize.objective.reduction_work import RowSizes, gram_operations, product_operations
from softreg.optimize.objective.stack_state import StackState
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums

if TYPE_CHECKING:
    from softreg.optimize.objective.base import Stack


SCATTER_PASSES, MIN_ROWS_PER_COLUMN = 2, 20
"""The scatter may cost as much as this number of passes, and has at least so many rows per column."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassSums:
    """Sums of the labels (m, q) and of label times row (m, q, d), with the row weights of each model."""

    state: StackState
    half_passes: ClassVar[int] = 0

    def work(self, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
        """Return one reading, and the operations of adding each row to its class."""
        return 1.0, product_operations(sizes, m)

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        V, labels, q = self.state.weights(block), block.labels, self.state.q
        v = np.ones((1, len(labels))) if V is None else V
        if labels.ndim == 1:
            rates = np.stack([np.bincount(labels, weights=of_model, minlength=q) for of_model in v])
            return rates, block.class_sums(v, q)
        Y = (v[:, None] * labels.T).reshape(len(v) * q, -1)
        sums = block.transposed_times(np.ascontiguousarray(Y, dtype=block.dtype))
        return Y.sum(axis=1).reshape(len(v), q), np.ascontiguousarray(sums).reshape(len(v), q, -1)


@dataclass(frozen=True, slots=True, eq=False)
class ScatterSums:
    """Sums of `z z^T` (d, d) for `z = (X - shift) / scale`, rows (q,) and row sums (q, d) of each class.

    Row weights are not used.
    """

    shift: Array
    scale: Array
    q: int

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        labels = block.labels
        codes = labels if labels.ndim == 1 else labels.argmax(axis=1)
        return (
            block.scatter(self.shift, self.scale),
            np.bincount(codes, minlength=self.q),
            block.class_sums(np.ones((1, len(codes))), self.q)[0],
        )


@dataclass(frozen=True, slots=True, eq=False)
class OffsetSums:
    """Sums of the offset (m, q) and of the offset of the label (m,), with the row weights of each model."""

    state: StackState
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block; zeros where there is no offset."""
        m, q, V, offset = self.state.m, self.state.q, self.state.weights(block), block.offset
        if offset is None:
            return np.zeros((m, q)), np.zeros(m)
        v = np.ones((m, offset.shape[1])) if V is None else np.broadcast_to(V, (m, offset.shape[1]))
        return v @ offset.T, v @ loss.given(offset[None], block.labels)[0]


@dataclass(frozen=True)
class OffsetMoments:
    """Mean offset `of_class` (m, q), and mean offset of the label `of_label` (m,)."""

    of_class: Array
    of_label: Array

    def keep(self, members: Array) -> OffsetMoments:
        """Return the moments of the models of this mask."""
        return OffsetMoments(self.of_class[members], self.of_label[members])


@dataclass(frozen=True)
class ClassMoments:
    """Mean label `rates` (m, q), and mean of label times row `sums` (m, q, d) in the solver's coordinates."""

    rates: Array
    sums: Array

    def keep(self, members: Array) -> ClassMoments:
        """Return the moments of the models of this mask."""
        return ClassMoments(self.rates[members], self.sums[members])

    @property
    def means(self) -> Array:
        """The mean row of each class (m, q, d), 0 for a class without rows."""
        rates = self.rates[..., None]
        return np.divide(self.sums, rates, out=np.zeros_like(self.sums), where=rates > 0)


def class_moments(objective: Stack) -> ClassMoments:
    """Return the moments of the labels with the row weights of each model; soft labels count in proportion."""
    m = objective.m
    rates, sums = objective.sum(ClassSums(objective.state))
    rates = np.broadcast_to(rates / objective.mass[:, None], (m, objective.q))
    mean = sums / objective.mass[:, None, None]
    return ClassMoments(rates, objective.coordinates.gradient(mean, rates))


def offset_moments(objective: Stack) -> OffsetMoments:
    """Return the mean offsets with the row weights of each model."""
    of_class, of_label = objective.sum(OffsetSums(objective.state))
    return OffsetMoments(of_class / objective.mass[:, None], of_label / objective.mass)


@dataclass(frozen=True)
class Scatter:
    """Mean of `z z^T` over the rows (`total`), and of the same about the mean of each class (`within`), (d, d) each."""

    total: Array
    within: Array
    whole: bool
    """Whether all rows are used, not only a sample."""


def scatter(objective: Stack) -> Scatter:
    """Return the scatter in the solver's coordinates, from a sample if all rows would cost more than about a pass.

    Row weights are not used; a row with label probabilities belongs to its most likely class.

    Returns
    -------
    Scatter
    """
    rows, q = objective.rows, objective.q
    size = max(SCATTER_PASSES * q * rows.stored / rows.d**2, MIN_ROWS_PER_COLUMN * rows.d)
    whole = size > rows.n / 2
    counted = rows if whole else rows.sample(int(size), seed=0)
    with objective.meter.passes(counted.stored_bytes, gram_operations(counted.n, rows.d)):
        square, count, sums = counted.sum(ScatterSums(*objective.coordinates.for_block(), q))
    means = objective.coordinates.gradient(sums[None], count[None])[0] / np.maximum(count, 1)[:, None]
    total = 0.5 * (square + square.T) / counted.n
    total[objective.coordinates.constant] = 0.0
    total[:, objective.coordinates.constant] = 0.0
    return Scatter(total, total - (means * (count / counted.n)[:, None]).T @ means, whole)
