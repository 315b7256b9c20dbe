"""A sketch of the curvature from rows drawn among all, each class's own: those of which its models are least sure.

A uniform sample has few rows in doubt where the penalty is weak, because most rows are then sure. On MNIST at strength
1e-6 a stack of folds needs more than 75 steps with blocks from a uniform sample of 6,000 rows, and 13 with blocks of
6,280 rows drawn class by class. The chances come from the logits that the rows keep, so looking at all rows multiplies
nothing; only the rows drawn are copied, a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from softreg.optimize.curvature.cholesky import Gram
from softreg.optimize.curvature.subsampled import (
    CHEAP_BLOCK,
    MAX_CLASSES,
    Sketch,
    distinct,
    drawn,
    needs_diagonal,
    row_weights,
)
from softreg.optimize.objective.cached import Objective
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Rows

ROWS_A_COLUMN, MORE_ROWS, MOST_CHEAP = 3, 6, 20_000
"""A block is summed over so many rows a column (over more where the fit is hard), or, where columns are few, over as
many rows as are cheap."""
KEPT = 128 << 20
"""Blocks that take no more bytes are kept, so that the next sketch is the mean of its own rows and of those before, as
far as these are still in doubt: along a path of strengths that is worth more rows, at no price. (MNIST, 10 strengths:
as many steps with 3 rows a column and their mean as with 4 rows a column alone.)"""
PIECE = 1 << 21
"""Rows are copied this many bytes at a time: they are then still in the cache when they are multiplied."""
TINY = 1e-30
"""The weight of a row that no member counts."""
RARE = 1e-3
"""A column that varies by less than this part among the rows drawn was missed by them."""


def can_importance_sample(rows: Rows, n_classes: int) -> bool:
    """Whether such blocks serve these rows: neither so many columns nor so many classes that others do."""
    return n_classes <= MAX_CLASSES and not needs_diagonal(rows)


class DoubtSketch(Sketch):
    """Blocks `mean of p (1 - p) z z^T` from rows drawn for each class, for stacks whose objective keeps its logits.

    The members of a stack share their blocks, by strength: a row counts as in the mean of their weights.
    """

    def __init__(self) -> None:
        self.hard = False
        """Whether fits take many steps: then more rows pay."""
        self._doubts: dict[float, Array] = {}
        self._before: list[Drawn | None] = []
        self._draws = 0

    def change(self, objective: Objective, theta: Array) -> float:
        """How far the uncertainty of the rows is from that of the last sketch, as a part of it."""
        now = self._doubt(objective)
        moved = sum(float(np.abs(now[s] - self._doubts[s]).sum()) for s in now)
        return moved / max(sum(float(self._doubts[s].sum()) for s in now), 1e-300)

    def drop_members(self, keep: Array) -> None:
        """Blocks are those of the mean of a stack: nothing to forget."""

    def _doubt(self, objective: Objective) -> dict[float, Array]:
        """`p (1 - p) q / (q - 1)` of each class and row (q, n), the mean over the members of each strength, with their
        row weights: the fold that a row is held out from is less sure of it, and does not bend there."""
        strengths, group = np.unique(objective.penalty.strong_convexity, return_inverse=True)
        share = objective.q / max(1, objective.q - 1)

        def part(block: Block) -> Array:
            P, _ = loss.probabilities(objective.logits(block))
            P -= P * P
            V = row_weights(block, objective).astype(P.dtype)
            mass = np.stack([V[group == g].sum(axis=0) for g in range(len(strengths))])
            V *= share / np.maximum(mass, TINY)[group]
            means = [np.einsum("mqb,mb->qb", P[group == g], V[group == g]) for g in range(len(strengths))]
            return np.moveaxis(np.stack(means), 2, 0)

        doubt = np.moveaxis(objective.rows.map(part), 0, 2)
        return dict(zip(strengths.tolist(), doubt, strict=True))

    def _grams(self, objective: Objective, theta: Array) -> tuple[list[list[Callable[[], Gram]]], Array]:
        """For each group of models with one strength the blocks of all classes, and the group of each model."""
        self._doubts = self._doubt(objective)
        weight = objective.rows.map(lambda block: row_weights(block, objective).mean(axis=0))
        weight /= weight.sum()
        strengths, group = np.unique(objective.penalty.strong_convexity, return_inverse=True)
        ridges = [objective.ridge[group == g][0] for g in range(len(strengths))]
        shares = [self._doubts[s] * weight for s in strengths.tolist()]
        return [self._drawn_blocks(objective, *pair) for pair in zip(shares, ridges, strict=True)], group

    def _drawn_blocks(self, objective: Objective, shares: Array, ridge: Array) -> list[Callable[[], Gram]]:
        """The blocks of one group of models from the shares (q, n) of all rows."""
        shares = distinct(shares)
        k = objective.rows.d + 1
        size = max((MORE_ROWS if self.hard else ROWS_A_COLUMN) * k, min(int(CHEAP_BLOCK / k**2), MOST_CHEAP))
        self._draws += 1
        lots: Array = np.random.default_rng(self._draws).random((shares.shape[1],))
        kept = len(shares) * k * k * objective.rows.dtype.itemsize <= KEPT and size < shares.shape[1]
        if len(self._before) != len(shares):
            self._before = [None] * len(shares)

        def block(place: int) -> Gram:
            share, total = shares[place], float(shares[place].sum())
            rows, weight = drawn(share, size, lots)
            now = Drawn(*_gram(objective, rows, weight / max(total, 1e-300)), share / max(total, 1e-300), 1.0)
            if kept:
                now = self._before[place] = now.and_before(self._before[place])
            missed = np.where(now.spread < RARE, 1.0, 0.0)  # a column varies by 1: what no row has shown is filled in
            missed[-1] = 0.0
            return Gram(now.H * objective.rows.dtype.type(total), ridge + total * (missed + 1e-7) + 1e-300)

        return [partial(block, place) for place in range(len(shares))]


@dataclass(frozen=True)
class Drawn:
    """What rows drawn for a class have shown: `mean of z z^T` (k, k) with their doubt as weights, the mean of `z**2`
    (k,), how the doubt was spread over all rows (n,), and for how many draws this stands."""

    H: Array
    spread: Array
    share: Array
    worth: float

    def and_before(self, before: Drawn | None) -> Drawn:
        """The mean of this draw and the ones before, which count less the more the doubt has moved to other rows: as
        much as their variance (1 / worth of one draw's) and the square of that movement together allow."""
        if before is None:
            return self
        moved = float(np.abs(self.share - before.share).sum())
        old = 1 / (1 / before.worth + ROWS_A_COLUMN * moved**2)  # of one draw: about 1 / ROWS_A_COLUMN of the block
        new, rest = 1 / (1 + old), old / (1 + old)
        H = self.H * self.H.dtype.type(new)
        H += before.H * self.H.dtype.type(rest)
        return Drawn(H, new * self.spread + rest * before.spread, self.share, 1 + old)


def _gram(objective: Objective, rows: Array, weight: Array) -> tuple[Array, Array]:
    """Sum of `weight z z^T` (k, k) over these rows and the mean of `z**2` (k,); z ends with a one for the bias."""
    shift, scale = objective.coordinates.for_block()
    k, dtype = objective.rows.d + 1, objective.rows.dtype
    step = max(1, PIECE // (k * dtype.itemsize))
    room, H, more, squares = np.empty((min(step, len(rows)), k), dtype), *np.zeros((2, k, k), dtype), np.zeros(k)
    for a in range(0, len(rows), step):
        some = rows[a : a + step]
        Z = room[: len(some)]
        objective.rows.standardise(some, shift, scale, Z[:, :-1])
        Z[:, -1] = objective.fit_intercept
        squares += np.einsum("ij,ij->j", Z, Z)
        Z *= np.sqrt(weight[a : a + step]).astype(dtype)[:, None]
        H += np.matmul(Z.T, Z, out=more)  # NumPy lets the other threads go on meanwhile, SciPy's BLAS does not
    return H, squares / max(1, len(rows))
