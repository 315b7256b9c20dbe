"""Sketches of the curvature from a sample of rows, shared by the classes and models of a stack.

The Hessian of mean cross-entropy has, for each class k, the diagonal block `mean of p_k (1 - p_k) z z^T`; rows of which
the model is sure add nothing. Taking these blocks alone and scaling them by q / (q - 1) is exact for two classes and
for uniform probabilities (what the coupling of the classes takes away is the direction that softmax ignores).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.linalg as sl

from softreg.optimize.objective import Objective
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Rows, Sums, in_order

MAX_FEATURES = 4096
"""Above this many columns a factor of d x d costs more than the passes it saves: a diagonal serves."""
EVEN = 0.1
"""This part of a diagonal is spread evenly over the columns, so that none is taken to be flat."""
CHEAP_FEATURES = 256
"""Up to this many columns a factor is cheap even where the rows are fewer; beyond, fewer rows get a diagonal."""
ROWS_A_COLUMN, CHEAP_BLOCK = 2, 1e9
"""A block is summed over about so many rows a column, those of which the model is least sure (measured on MNIST: as
many iterations as with every row of the sample, at half the price), or as many as cost so many multiplications."""
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
    """For each group of models and each class a factor K with `K^T K` = inverse of the block, (q or 1, d + 1, d + 1).

    Kept as the inverse of a Cholesky factor: `K^T (K g)` stays positive definite in any precision. `scale` (m, q)
    multiplies the result.
    """

    factors: tuple[Array, ...]
    group: Array
    scale: Array

    def solve(self, G: Array) -> Array:
        """The inverse of each class's block times its gradient."""
        out = np.empty_like(G)
        for g, K in enumerate(self.factors):
            mine = np.flatnonzero(self.group == g)
            if len(mine) == 0:
                continue
            stack = G[mine].astype(K.dtype)  # (m', q, d + 1)
            if len(K) == 1:  # one factor for all classes: one product
                flat = stack.reshape(-1, stack.shape[-1])
                out[mine] = ((flat @ K[0].T) @ K[0]).reshape(stack.shape)
            else:
                pairs = [(stack[:, k], K[k]) for k in range(len(K))]
                for k, part in enumerate(in_order(lambda pair: (pair[0] @ pair[1].T) @ pair[1], pairs)):
                    out[mine, k] = part
        return np.asarray(out * self.scale[:, :, None])

    def keep(self, members: Array) -> Blocks:
        """The curvature of some models of the stack."""
        return Blocks(self.factors, self.group[members], self.scale[members])


class Sketch:
    """A sample of rows, and how to make a curvature of it."""

    def __init__(self, sample: Rows) -> None:
        self.sample = sample

    def curvature(self, objective: Objective, theta: Array) -> Curvature:
        """The curvature of the loss at `theta`, plus the penalty's, ready to be inverted."""
        found = self.matrices(objective, theta)
        if isinstance(found, Diagonal):
            return found
        blocks, group = found
        dtype = objective.rows.dtype
        factors = tuple(np.stack(list(in_order(lambda H: _inverse_factor(H, dtype), list(B)))) for B in blocks)
        if objective.q <= MAX_CLASSES:
            return Blocks(factors, group, np.ones((objective.m, objective.q)))
        together = np.stack([self._mean[group == g].mean() for g in range(len(blocks))])[group]
        return Blocks(factors, group, together[:, None] / self._mean)

    def matrices(self, objective: Objective, theta: Array) -> Diagonal | tuple[tuple[Array, ...], Array]:
        """The curvature of the loss at `theta`, plus the penalty's: a diagonal where there are many columns, otherwise
        for each group of models with one strength the blocks (q or 1, d + 1, d + 1), and the group of each model."""
        if objective.rows.d > min(MAX_FEATURES, max(objective.rows.n, CHEAP_FEATURES)):
            return self._diagonal(objective)
        w = self._uncertainty(objective, theta)  # (m, q, s)
        mean = w.sum(axis=2) / self._mass(objective)[:, None]  # (m, q)
        self._mean = np.maximum(mean, 1e-10 * mean.max() + 1e-300)
        Z = self._standardised(objective)
        groups, group = np.unique(objective.penalty.l2, return_inverse=True)
        return tuple(self._blocks(objective, Z, w[group == g], group == g) for g in range(len(groups))), group

    def _diagonal(self, objective: Objective) -> Diagonal:
        """The diagonal from all rows, at the logits that they keep: a sample would miss the rare columns of text."""
        m, q = objective.m, objective.q
        shift, scale = objective.coordinates.for_block()

        def part(block: Block) -> Sums:
            P, _ = loss.probabilities(block.memory["logits"])
            w = P * (1 - P) * _weights(block, objective)[:, None]
            flat = w.reshape(m * q, -1).astype(objective.rows.dtype, copy=False)
            return block.weighted_squares(flat, shift, scale).reshape(m, q, -1), w.sum(axis=2, dtype=np.float64)

        squares, mean = objective.rows.sum(part)
        share = q / max(1, q - 1) / objective.mass[:, None]
        mean = np.maximum(mean * share, 1e-300)
        # a column varies by 1, so `mean` is what each would have if its values had nothing to do with the doubt
        diagonal = (1 - EVEN) * squares * share[:, :, None] + EVEN * mean[:, :, None]
        return Diagonal(np.concatenate([diagonal, mean[:, :, None]], axis=2) + objective.ridge[:, None, :])

    def _mass(self, objective: Objective) -> Array:
        V = self.sample.map(lambda block: _weights(block, objective).T)
        return np.asarray(V.sum(axis=0, dtype=np.float64))

    def _uncertainty(self, objective: Objective, theta: Array) -> Array:
        """`V p (1 - p) q / (q - 1)` of each sampled row, (m, q, s)."""
        W, b = objective.coordinates.to_stored(theta)
        m, q = b.shape
        prepared = self.sample.prepare(W.reshape(m * q, -1))

        def part(block: Block) -> Array:
            o = block.times(prepared).reshape(m, q, -1) + b[:, :, None]
            P, _ = loss.probabilities(o)
            w: Array = P * (1 - P) * _weights(block, objective)[:, None]
            return np.moveaxis(w, 2, 0)

        return np.asarray(np.moveaxis(self.sample.map(part), 0, 2) * (q / max(1, q - 1)))

    def _standardised(self, objective: Objective) -> Array:
        """The sampled rows in the solver's coordinates with a one for the bias (if there is one), (s, d + 1)."""
        shift, scale = objective.coordinates.for_block()

        def part(block: Block) -> Array:
            Z = block.standardised(shift, scale)
            return np.concatenate([Z, np.full((len(Z), 1), objective.fit_intercept, dtype=Z.dtype)], axis=1)

        return self.sample.map(part)

    def _blocks(self, objective: Objective, Z: Array, w: Array, members: Array) -> Array:
        """The blocks of one group of models, from the mean of their uncertainties."""
        ridge = objective.ridge[members][0]
        shares = w.sum(axis=0) / self._mass(objective)[members].sum()  # (q, s)
        if objective.q > MAX_CLASSES:
            shares = shares.mean(axis=0, keepdims=True)
        elif objective.q == 2 or np.allclose(shares, shares[:1], rtol=1e-6, atol=0):
            shares = shares[:1]  # two classes are equally uncertain, and so are all at the start
        spread = np.einsum("ij,ij->j", Z, Z) / len(Z)
        unseen = np.maximum(0.0, 1.0 - spread)  # a column varies by 1; what the sample lacks of that is filled in

        lots = np.random.default_rng(0).random(len(Z))
        size = max(ROWS_A_COLUMN * Z.shape[1], int(CHEAP_BLOCK / Z.shape[1] ** 2))

        def block(share: Array) -> Array:
            rows, weight = _drawn(share, size, lots)
            half = Z[rows] * np.sqrt(weight)[:, None].astype(Z.dtype)
            H: Array = (half.T @ half).astype(np.float64)
            H[np.diag_indices_from(H)] += ridge + share.sum() * (unseen + 1e-7) + 1e-300
            return H

        return np.stack(list(in_order(block, list(shares))))


def _drawn(share: Array, size: int, lots: Array) -> tuple[Array, Array]:
    """About `size` rows, each drawn with a chance in proportion to its share and weighted by one over that chance."""
    chance = np.ones_like(share)
    if len(share) > size:
        factor = size / max(share.sum(), 1e-300)
        for _ in range(5):  # rows that are certain to be drawn leave more chances to the others
            chance = np.minimum(1.0, factor * share)
            factor *= size / max(chance.sum(), 1e-300)
    rows = np.flatnonzero(lots < chance)
    return rows, share[rows] / chance[rows]


def _weights(block: Block, objective: Objective) -> Array:
    V = objective.weights(block)
    ones = np.ones((objective.m, block.stop - block.start))
    return ones if V is None else np.broadcast_to(V, ones.shape)


def _inverse_factor(H: Array, dtype: Any) -> Array:
    """K with `K^T K = H^-1` in the precision `dtype`; a little is added to the diagonal where rounding needs it.

    H is scaled to a unit diagonal first, so that a column with a huge ridge does not drown the others.
    """
    size = np.sqrt(np.diag(H))
    unit = (H / size / size[:, None]).astype(dtype)
    factorise, invert = sl.get_lapack_funcs(("potrf", "trtri"), (unit,))
    for jitter in (0.0, 1e-6, 1e-4, 1e-2):
        unit[np.diag_indices_from(unit)] = 1.0 + jitter
        L, failed = factorise(unit, lower=True)
        if not failed:
            K, failed = invert(L, lower=True)
            if not failed:
                return np.asarray(np.tril(K) / size.astype(dtype))
    return np.diag(1 / size).astype(dtype)
