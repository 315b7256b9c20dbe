"""Sketches of the curvature from a sample of rows, shared by the classes and models of a stack.

The Hessian of mean cross-entropy has, for each class k, the diagonal block `mean of p_k (1 - p_k) z z^T`; rows of which
the model is sure add nothing. Taking these blocks alone and scaling them by q / (q - 1) is exact for two classes and
for uniform probabilities (what the coupling of the classes takes away is the direction that softmax ignores).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from softreg.optimize.curvature.cholesky import Factors, Gram, factors
from softreg.optimize.objective.cached import Objective
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Rows, Sums

MAX_FEATURES = 4096
"""Above this many columns a factor of d x d costs more than the passes it saves: a diagonal serves."""
EVEN = 0.1
"""This part of a diagonal is spread evenly over the columns, so that none is taken to be flat."""
CHEAP_FEATURES = 256
"""Up to this many columns a factor is cheap even where the rows are fewer; beyond, fewer rows get a diagonal."""
ROWS_A_COLUMN, CHEAP_BLOCK = 2, 1e9
"""A block is summed over about so many rows a column, those of which the model is least sure (measured on MNIST: as
many iterations as with every row of the sample, at half the price), or as many as cost so many multiplications."""
PRODUCTS_A_NANOSECOND = 12.0
"""Multiplications of a block and its factor in a nanosecond, one thread, float64 (measured at order 2,575: 13)."""
MAX_CLASSES = 32
"""Above this many classes one factor serves all, scaled by each class's mean p (1 - p)."""


class Curvature(Protocol):
    """An approximate Hessian of each model of a stack."""

    def solve(self, G: Array) -> Array:
        """The approximate Hessian's inverse times G, (m, q, d + 1)."""
        ...

    def keep(self, members: Array) -> Curvature:
        """The curvature of some models of the stack."""
        ...


@dataclass(frozen=True)
class Diagonal:
    """One number a parameter, (m, q, d + 1)."""

    diagonal: Array

    def solve(self, G: Array) -> Array:
        """G divided by the diagonal."""
        return np.asarray(G / self.diagonal)

    def keep(self, members: Array) -> Diagonal:
        """The curvature of some models of the stack."""
        return Diagonal(self.diagonal[members])


@dataclass(frozen=True)
class Blocks:
    """For each group of models, factors of one block a class, or of one for all classes; `scale` (m, q) multiplies the
    result."""

    factors: tuple[Factors, ...]
    group: Array
    scale: Array
    dtype: Any

    def solve(self, G: Array) -> Array:
        """The inverse of each class's block times its gradient; G may hold the stack several times over, which reads
        the factors but once."""
        times = len(G) // len(self.group)
        group, scale = np.tile(self.group, times), np.tile(self.scale, (times, 1))
        out = np.empty_like(G)
        for g, kept in enumerate(self.factors):
            mine = np.flatnonzero(group == g)
            if len(mine):
                out[mine] = kept.solve(G[mine].astype(self.dtype))
        out *= scale[:, :, None]
        return out

    def keep(self, members: Array) -> Blocks:
        """The curvature of some models of the stack."""
        return Blocks(self.factors, self.group[members], self.scale[members], self.dtype)


def needs_diagonal(rows: Rows) -> bool:
    """Whether there are so many columns that a diagonal has to do, which needs no sample."""
    return rows.d > min(MAX_FEATURES, max(rows.n, CHEAP_FEATURES))


def sketch_time(rows: Rows, q: int) -> float:
    """Nanoseconds that a sketch takes: the block of each class, multiplied and factored; 0 where a diagonal serves.

    Sparse columns do not make it cheaper: 2,575 of them take 2.7 s a class, a pass over 30,000 one-hot rows 0.01 s.
    """
    if needs_diagonal(rows):
        return 0.0
    order = rows.d + 1.0
    size = min(float(rows.n), max(ROWS_A_COLUMN * order, CHEAP_BLOCK / order**2))
    n_blocks = 1 if q == 2 or q > MAX_CLASSES else q
    return n_blocks * (size * order**2 + order**3 / 3) / PRODUCTS_A_NANOSECOND


class Sketch:
    """A sample of rows, and how to make a curvature of it."""

    def __init__(self, sample: Rows) -> None:
        self.sample = sample
        self._shares: Array | None = None

    def change(self, objective: Objective, theta: Array) -> float:
        """How far the uncertainty of the sampled rows is from that of the last sketch, as a part of it; inf for a
        diagonal, which has no sample."""
        if self._shares is None:
            return np.inf
        now = self._uncertainty(objective, theta)
        return float(np.abs(now - self._shares).sum() / max(self._shares.sum(), 1e-300))

    def drop_members(self, keep: Array) -> None:
        """Only the models marked in `keep` stay."""
        self._shares = None if self._shares is None else self._shares[keep]

    def curvature(self, objective: Objective, theta: Array, G: Array | None = None) -> Curvature:
        """The curvature of the loss at `theta`, plus the penalty's, ready to be inverted."""
        if needs_diagonal(objective.rows):
            return self._diagonal(objective)
        dtype = objective.rows.dtype
        groups, group = self._grams(objective, theta)
        kept = tuple(factors(grams, objective.rows.d + 1) for grams in groups)
        if objective.q <= MAX_CLASSES:
            return Blocks(kept, group, np.ones((objective.m, objective.q)), dtype)
        together = np.stack([self._mean[group == g].mean() for g in range(len(kept))])[group]
        return Blocks(kept, group, together[:, None] / self._mean, dtype)

    def matrices(self, objective: Objective, theta: Array) -> Diagonal | tuple[tuple[Array, ...], Array]:
        """The curvature of the loss at `theta`, plus the penalty's, in float64: a diagonal where there are many
        columns, otherwise for each group of models with one strength the blocks (q or 1, d + 1, d + 1), and the group
        of each model."""
        if needs_diagonal(objective.rows):
            return self._diagonal(objective)
        groups, group = self._grams(objective, theta)
        return tuple(np.stack([gram().as_float64() for gram in grams]) for grams in groups), group

    def _grams(self, objective: Objective, theta: Array) -> tuple[list[list[Callable[[], Gram]]], Array]:
        """For each group of models with one strength the blocks of all classes (or the one of all), and the groups."""
        w = self._shares = self._uncertainty(objective, theta)  # (m, q, s)
        mean = w.sum(axis=2) / self._mass(objective)[:, None]  # (m, q)
        self._mean = np.maximum(mean, 1e-10 * mean.max() + 1e-300)
        Z = self._standardised(objective)
        groups, group = np.unique(objective.penalty.strong_convexity, return_inverse=True)
        return [self._blocks(objective, Z, w[group == g], group == g) for g in range(len(groups))], group

    def _diagonal(self, objective: Objective) -> Diagonal:
        """The diagonal from all rows, at the logits that they keep: a sample would miss the rare columns of text."""
        m, q = objective.m, objective.q
        shift, scale = objective.coordinates.for_block()

        def part(block: Block) -> Sums:
            P, _ = loss.probabilities(objective.logits(block))
            w = P * (1 - P) * row_weights(block, objective)[:, None]
            flat = w.reshape(m * q, -1).astype(objective.rows.dtype, copy=False)
            return block.weighted_squares(flat, shift, scale).reshape(m, q, -1), w.sum(axis=2, dtype=np.float64)

        squares, mean = objective.rows.sum(part)
        share = q / max(1, q - 1) / objective.mass[:, None]
        mean = np.maximum(mean * share, 1e-300)
        # a column varies by 1, so `mean` is what each would have if its values had nothing to do with the doubt
        diagonal = (1 - EVEN) * squares * share[:, :, None] + EVEN * mean[:, :, None]
        return Diagonal(np.concatenate([diagonal, mean[:, :, None]], axis=2) + objective.ridge[:, None, :])

    def _mass(self, objective: Objective) -> Array:
        V = self.sample.map(lambda block: row_weights(block, objective).T)
        return np.asarray(V.sum(axis=0, dtype=np.float64))

    def _uncertainty(self, objective: Objective, theta: Array) -> Array:
        """`V p (1 - p) q / (q - 1)` of each sampled row, (m, q, s)."""
        W, b = objective.coordinates.to_stored(theta)
        m, q = b.shape
        prepared = self.sample.prepare(W.reshape(m * q, -1))

        def part(block: Block) -> Array:
            o = block.times(prepared).reshape(m, q, -1) + b[:, :, None]
            P, _ = loss.probabilities(o)
            w: Array = P * (1 - P) * row_weights(block, objective)[:, None]
            return np.moveaxis(w, 2, 0)

        return np.asarray(np.moveaxis(self.sample.map(part), 0, 2) * (q / max(1, q - 1)))

    def _standardised(self, objective: Objective) -> Array:
        """The sampled rows in the solver's coordinates with a one for the bias (if there is one), (s, d + 1)."""
        shift, scale = objective.coordinates.for_block()

        Z = np.ones((self.sample.n, self.sample.d + 1), objective.rows.dtype)

        def part(block: Block) -> Sums:
            Z[block.start : block.stop, :-1] = block.standardised(shift, scale)
            return (0.0,)

        self.sample.sum(part)
        Z[:, -1] = objective.fit_intercept
        return Z

    def _blocks(self, objective: Objective, Z: Array, w: Array, members: Array) -> list[Callable[[], Gram]]:
        """The blocks of one group of models, from the mean of their uncertainties."""
        ridge = objective.ridge[members][0]
        shares = w.sum(axis=0) / self._mass(objective)[members].sum()  # (q, s)
        shares = shares.mean(axis=0, keepdims=True) if objective.q > MAX_CLASSES else distinct(shares)
        spread = np.einsum("ij,ij->j", Z, Z) / len(Z)
        unseen = np.maximum(0.0, 1.0 - spread)  # a column varies by 1; what the sample lacks of that is filled in

        lots = np.random.default_rng(0).random(len(Z))
        size = max(ROWS_A_COLUMN * Z.shape[1], int(CHEAP_BLOCK / Z.shape[1] ** 2))

        def block(share: Array) -> Gram:
            rows, weight = drawn(share, size, lots)
            half = Z[rows] * np.sqrt(weight)[:, None].astype(Z.dtype)
            return Gram(half.T @ half, ridge + share.sum() * (unseen + 1e-7) + 1e-300)

        return [partial(block, share) for share in shares]


class DiagonalSketch(Sketch):
    """A diagonal, however few the columns are."""

    def matrices(self, objective: Objective, theta: Array) -> Diagonal:
        """The diagonal of the curvature of the loss at `theta`, plus the penalty's, from all rows."""
        return self._diagonal(objective)


def distinct(shares: Array) -> Array:
    """The shares (q, s) of the classes, or (1, s) where all are alike: of two classes, and of all at the start.

    Example:
        >>> distinct(np.ones((3, 2))).shape, distinct(np.eye(3)).shape
        ((1, 2), (3, 3))
    """
    return shares[:1] if len(shares) == 2 or np.allclose(shares, shares[:1], rtol=1e-6, atol=0) else shares


def drawn(share: Array, size: int, lots: Array) -> tuple[Array, Array]:
    """About `size` rows, each drawn with a chance in proportion to its share and weighted by one over that chance."""
    chance = np.ones_like(share)
    if len(share) > size:
        factor = size / max(share.sum(), 1e-300)
        for _ in range(5):  # rows that are certain to be drawn leave more chances to the others
            chance = np.minimum(1.0, factor * share)
            factor *= size / max(chance.sum(), 1e-300)
    rows = np.flatnonzero(lots < chance)
    return rows, share[rows] / chance[rows]


def row_weights(block: Block, objective: Objective) -> Array:
    """The row weights (m, b) of all models, ones where every row counts once."""
    V = objective.weights(block)
    ones = np.ones((objective.m, block.stop - block.start))
    return ones if V is None else np.broadcast_to(V, ones.shape)
