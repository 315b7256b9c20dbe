"""Preconditioners from a sample of rows, shared by the classes and models of a stack.

The Hessian of mean cross-entropy has, for each class k, the diagonal block `mean of p_k (1 - p_k) z z^T`; rows whose
class variance `p_k (1 - p_k)` is 0 add nothing. These blocks alone, scaled by q / (q - 1), are exact for two classes
and for uniform probabilities (what the coupling of the classes subtracts is the common shift that softmax ignores).

References
----------
Byrd, Chin, Neveitt and Nocedal (2011), On the use of stochastic Hessian information in optimization methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.curvature.class_factors import Gram, GramFactory, factors
from softreg.optimize.curvature.preconditioners import (
    BlockPreconditioner,
    DiagonalPreconditioner,
    HessianBlocks,
    Preconditioner,
)
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.reduction_work import (
    RowSizes,
    cholesky_operations,
    gram_operations,
    product_operations,
)
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.probability import block_loss as loss
from softreg.rows import BackendArray, Block, Rows, Sums
from softreg.typing import Array, BoolArray, Float64Array, FloatArray, IntArray

EVEN_SHARE = 0.1
"""Part of a diagonal that is spread evenly over the columns, so that none has no curvature."""
ROWS_PER_COLUMN, INEXPENSIVE_PRODUCTS = 2, 1e9
"""A block is summed over about so many rows per column, those of the largest class variance (measured on MNIST: as many
iterations as with every row of the sample, in half the time), or as many as take so many multiplications."""
MIN_MEAN_SHARE = 1e-10
"""Smallest mean variance of a class, as a part of the largest."""
ADDED_DIAGONAL = 1e-7
"""Part of a block's mean variance that is added to its diagonal."""
EQUAL = 1e-6
"""Relative difference up to which the variances of the classes count as equal and share one block."""
DRAW_ROUNDS = 5
"""Rounds in which the probability of drawing is spread again from the rows that are certain to be drawn."""


@dataclass(frozen=True)
class BlockGroups:
    """The blocks of a stack before they are computed."""

    grams: list[list[GramFactory]]
    """For each group of models with one strength the blocks of all classes, or the one of all."""
    group: IntArray
    """Group (m,) of each model."""


class SubsampledCurvature:
    """Computes preconditioners from a fixed sample of rows.

    Above `limits.cluster_classes` classes there is one factor, scaled by the mean variance of each class.
    """

    def __init__(self, sample: Rows, limits: Limits = LIMITS) -> None:
        self.sample, self.limits = sample, limits
        self._variances: Float64Array | None = None

    def relative_change(self, objective: Objective, theta: FloatArray) -> float:
        """Return how much the class variances have changed since the last preconditioner; inf if none exists."""
        if self._variances is None:
            return np.inf
        now = self._class_variances(objective, theta)
        return float(np.abs(now - self._variances).sum() / max(self._variances.sum(), TINY))

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        self._variances = None if self._variances is None else self._variances[keep]

    def preconditioner(self, objective: Objective, theta: FloatArray, G: FloatArray | None = None) -> Preconditioner:
        """Return the preconditioner of the objective at `theta`, at which its gradient is G (m, q, d + 1)."""
        dtype = objective.rows.dtype
        groups = self._block_groups(objective, theta)
        factored = tuple(factors(grams, objective.rows.d + 1) for grams in groups.grams)
        blocks = sum(len(grams) for grams in groups.grams)
        objective.meter.count(0.0, blocks * cholesky_operations(objective.rows.d + 1), dtype)
        if objective.q <= self.limits.cluster_classes:
            return BlockPreconditioner(factored, groups.group, np.ones((objective.m, objective.q)), dtype)
        of_group = np.stack([self._mean[groups.group == g].mean() for g in range(len(factored))])[groups.group]
        return BlockPreconditioner(factored, groups.group, of_group[:, None] / self._mean, dtype)

    def hessian(self, objective: Objective, theta: FloatArray) -> DiagonalPreconditioner | HessianBlocks:
        """Return the approximate Hessian at `theta` in float64: a diagonal, or the blocks of the classes."""
        groups = self._block_groups(objective, theta)
        blocks = tuple(np.stack([gram().as_float64() for gram in grams]) for grams in groups.grams)
        return HessianBlocks(blocks, groups.group)

    def _block_groups(self, objective: Objective, theta: FloatArray) -> BlockGroups:
        w = self._variances = self._class_variances(objective, theta)  # (m, q, s)
        mean = w.sum(axis=2) / self._mass(objective)[:, None]  # (m, q)
        self._mean = np.maximum(mean, MIN_MEAN_SHARE * mean.max() + TINY)
        Z = self._standardized(objective)
        groups, group = np.unique(objective.penalty.quadratic_strength, return_inverse=True)
        grams = [self._blocks(objective, Z, w[group == g], group == g) for g in range(len(groups))]
        return BlockGroups(grams, group)

    def _mass(self, objective: Objective) -> Float64Array:
        """Return the summed weight (m,) of the sampled rows."""
        V = self.sample.map(MemberWeights(objective.state))
        return np.asarray(V.sum(axis=0, dtype=np.float64))

    def _class_variances(self, objective: Objective, theta: FloatArray) -> Float64Array:
        """Return `V p (1 - p) q / (q - 1)` of each sampled row, (m, q, s)."""
        W, b = objective.coordinates.to_stored(theta)
        m, q = b.shape
        prepared = self.sample.prepare(W.reshape(m * q, -1))
        variances = self.sample.map(SampledVariance(objective.state, prepared, b))
        return np.asarray(np.moveaxis(variances, 0, 2) * (q / max(1, q - 1)))

    def _standardized(self, objective: Objective) -> FloatArray:
        """Return the sampled rows in the solver's coordinates with a one for the bias, if there is one, (s, d + 1)."""
        shift, scale = objective.coordinates.for_block()
        return self.sample.map(RowsWithBias(shift, scale, objective.fit_intercept, objective.rows.dtype))

    def _blocks(self, objective: Objective, Z: FloatArray, w: Float64Array, members: BoolArray) -> list[GramFactory]:
        """Return the blocks of one group of models, from the mean of their class variances w (., q, s)."""
        ridges = objective.ridge[members][0]  # (1 or q, d + 1)
        shares = w.sum(axis=0) / self._mass(objective)[members].sum()  # (q, s)
        if objective.q > self.limits.cluster_classes:
            shares, ridges = shares.mean(axis=0, keepdims=True), ridges.mean(axis=0, keepdims=True)
        elif len(ridges) == 1:
            shares = distinct(shares)
        ridges = np.broadcast_to(ridges, (len(shares), ridges.shape[1]))
        spread = np.einsum("ij,ij->j", Z, Z) / len(Z)
        unseen = np.maximum(0.0, 1.0 - spread)  # a column has variance 1; the sample's shortfall is filled in
        uniforms = np.random.default_rng(0).random(len(Z))
        size = max(ROWS_PER_COLUMN * Z.shape[1], int(INEXPENSIVE_PRODUCTS / Z.shape[1] ** 2))
        products = len(shares) * gram_operations(min(size, len(Z)), Z.shape[1])
        objective.meter.count(self.sample.stored_bytes, products, Z.dtype)

        def block(share: Float64Array, ridge: Float64Array) -> Gram:
            draw = draw_rows(share, size, uniforms)
            half = Z[draw.rows] * np.sqrt(draw.weight)[:, None].astype(Z.dtype)
            return Gram(half.T @ half, ridge + share.sum() * (unseen + ADDED_DIAGONAL) + TINY)

        return [partial(block, share, ridge) for share, ridge in zip(shares, ridges, strict=True)]


class DiagonalCurvature(SubsampledCurvature):
    """Computes the diagonal of the Hessian from all rows, at the logits that they keep.

    A sample would miss the rare columns of text.
    """

    def preconditioner(
        self, objective: Objective, theta: FloatArray, G: FloatArray | None = None
    ) -> DiagonalPreconditioner:
        """Return the inverse of the diagonal at `theta`."""
        return self._diagonal(objective)

    def hessian(self, objective: Objective, theta: FloatArray) -> DiagonalPreconditioner:
        """Return the diagonal at `theta`."""
        return self._diagonal(objective)

    def _diagonal(self, objective: Objective) -> DiagonalPreconditioner:
        q = objective.q
        shift, scale = objective.coordinates.for_block()
        squares, mean = objective.sum(DiagonalSums(objective.state, shift, scale))
        share = q / max(1, q - 1) / objective.mass[:, None]
        mean = np.maximum(mean * share, TINY)
        # a column has variance 1, so `mean` is its diagonal element if its values are independent of the variances
        diagonal = (1 - EVEN_SHARE) * squares * share[:, :, None] + EVEN_SHARE * mean[:, :, None]
        return DiagonalPreconditioner(np.concatenate([diagonal, mean[:, :, None]], axis=2) + objective.ridge)


def distinct(shares: Float64Array) -> Float64Array:
    """Return the shares (q, s) of the classes, or (1, s) where all are equal: for two classes, and at uniform p.

    Returns
    -------
    Float64Array
        The distinct shares.

    Examples
    --------
    >>> distinct(np.ones((3, 2))).shape, distinct(np.eye(3)).shape
    ((1, 2), (3, 3))
    """
    return shares[:1] if len(shares) == 2 or np.allclose(shares, shares[:1], rtol=EQUAL, atol=0) else shares


@dataclass(frozen=True)
class Draw:
    """Rows drawn by importance sampling."""

    rows: IntArray
    """Increasing row numbers (k,)."""
    weight: Float64Array
    """Weight (k,): the share divided by the probability of being drawn."""


def draw_rows(share: Float64Array, size: int, uniforms: Float64Array) -> Draw:
    """Draw about `size` rows, each with a probability proportional to its share.

    Parameters
    ----------
    share
        Share (n,) of each row in a sum over all rows.
    size
        Expected number of rows, at most.
    uniforms
        Uniform random number (n,) of each row.

    Returns
    -------
    Draw
        The rows, and the weights with which sums over them are unbiased.
    """
    probability = np.ones_like(share)
    if len(share) > size:
        factor = size / max(share.sum(), TINY)
        for _ in range(DRAW_ROUNDS):
            probability = np.minimum(1.0, factor * share)
            factor *= size / max(probability.sum(), TINY)
    rows = np.flatnonzero(uniforms < probability)
    return Draw(rows, share[rows] / probability[rows])


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalSums:
    """Sums of `w z**2` (m, q, d) and of w (m, q) for `w = V p (1 - p)` and `z = (X - shift) / scale`."""

    state: StackState
    shift: Array
    scale: Array
    half_passes: ClassVar[int] = 0

    def work(self, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
        """Return one reading, and the operations of the squares and their product."""
        return 1.0, product_operations(sizes, m * q) + sizes.stored

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        m, q = self.state.m, self.state.q
        P, _ = loss.probabilities(self.state.logits(block))
        w = P * (1 - P) * row_weights(block, self.state)[:, None]
        flat = w.reshape(m * q, -1).astype(block.dtype, copy=False)
        squares = block.weighted_squares(flat, self.shift, self.scale)
        return squares.reshape(m, q, -1), w.sum(axis=2, dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class SampledVariance:
    """`V p (1 - p)` of each row, model and class, (n, m, q), from prepared weights and bias (m, q)."""

    state: StackState
    prepared: BackendArray
    bias: Array

    def evaluate(self, block: Block) -> Array:
        """Return the variances of the rows of one block."""
        P, _ = loss.probabilities(self.state.logits_at(block, self.prepared, self.bias))
        w: Array = P * (1 - P) * row_weights(block, self.state)[:, None]
        return np.moveaxis(w, 2, 0)


@dataclass(frozen=True, slots=True, eq=False)
class MemberWeights:
    """The row weights (n, m) of the models."""

    state: StackState

    def evaluate(self, block: Block) -> Array:
        """Return the weights of one block."""
        return row_weights(block, self.state).T


@dataclass(frozen=True, slots=True, eq=False)
class KeptProbabilities:
    """The probabilities (n, m, q) at the kept logits."""

    state: StackState
    dtype: type[np.floating[Any]] = np.float32
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Array:
        """Return the probabilities of one block."""
        P, _ = loss.probabilities(self.state.logits(block))
        return np.moveaxis(P, 2, 0).astype(self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class RowsWithBias:
    """The rows in the solver's coordinates (n, d + 1), the last column a one for the bias, or zero without one."""

    shift: Array
    scale: Array
    fit_intercept: bool
    dtype: np.dtype[np.floating]

    def evaluate(self, block: Block) -> Array:
        """Return the rows of one block."""
        Z = np.empty((block.stop - block.start, len(self.shift) + 1), self.dtype)
        Z[:, :-1] = block.standardised(self.shift, self.scale)
        Z[:, -1] = self.fit_intercept
        return Z


def row_weights(block: Block, state: StackState) -> Array:
    """Return the row weights (m, b) of all models, ones where every row counts once."""
    V = state.weights(block)
    ones = np.ones((state.m, block.stop - block.start))
    return ones if V is None else np.broadcast_to(V, ones.shape)
