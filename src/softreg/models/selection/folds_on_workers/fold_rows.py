"""Rows of a cluster with the weights of each fold, and the sums over folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.selection.scorers import row_scores
from softreg.rows import Block, Sums
from softreg.rows.cluster.worker import PLACE_BITS, loaded_rows
from softreg.splitmix import keyed_uniform
from softreg.typing import Array, IntArray

FOLD_STREAM = 6
"""Stream of the hashed row numbers that decide on the folds."""
RUN_ROWS = 8192
"""Rows whose scores are computed at a time."""


@dataclass(frozen=True)
class RowFolds:
    """Folds of rows, drawn from the hashed numbers of the rows.

    Parameters
    ----------
    count : int
        Number of folds K.
    seed : int
        Seed of the draw.

    Examples
    --------
    >>> RowFolds(2, seed=0).of(0, 8)
    array([0, 1, 1, 0, 1, 1, 1, 0])
    """

    count: int
    seed: int

    def of(self, place: int, n: int) -> IntArray:
        """Return the fold (n,) of rows whose first one has this `Block.place`."""
        drawn = keyed_uniform(np.arange(n, dtype=np.uint64) + np.uint64(place), self.seed, FOLD_STREAM)
        return np.asarray((drawn * self.count).astype(np.intp))


@dataclass(frozen=True)
class FoldFragment:
    """The rows of a fragment with a line of weights for each member of a stack.

    Parameters
    ----------
    source : Fragment
        The rows with their sample weights.
    number : int
        Position among all fragments.
    folds : RowFolds
        The folds.
    members : tuple of int
        Fold that is held out from each member; -1 for none.
    class_weights : tuple of tuple of float, or None
        Factor of the weights of each class, for each member.
    """

    source: Any
    number: int
    folds: RowFolds
    members: tuple[int, ...]
    class_weights: tuple[tuple[float, ...], ...] | None

    @property
    def name(self) -> str:
        """Text that names the fragment in messages."""
        return str(self.source.name)

    def load(self) -> Any:
        """Return the rows; their numbers are not copied."""
        rows = loaded_rows(self.source)
        fold = self.folds.of(self.number << PLACE_BITS, rows.n)
        V = np.ones((1, rows.n)) if rows.weights is None else rows.weights
        weights = V * (fold != np.array(self.members)[:, None])
        if self.class_weights is not None:
            factor, labels = np.array(self.class_weights), rows.labels
            weights *= factor[:, labels] if labels.ndim == 1 else factor @ labels.T
        return rows.labelled(rows.labels, weights)


@dataclass(frozen=True, slots=True, eq=False)
class FoldClassMass:
    """The weight (K, q) of each class in each fold."""

    folds: RowFolds
    q: int

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        n = block.stop - block.start
        fold = self.folds.of(block.place, n)
        w = np.ones(n) if block.weights is None else block.weights[0]
        if block.labels.ndim == 1:
            mass = np.bincount(fold * self.q + block.labels, w, self.folds.count * self.q)
            return (mass.reshape(self.folds.count, self.q),)
        return (np.stack([(w * (fold == k)) @ block.labels for k in range(self.folds.count)]),)


@dataclass(frozen=True, slots=True, eq=False)
class FoldScores:
    """The weighted sum (K,) of a score of the rows of each fold, by the member that holds the fold out.

    `W` (K, q, d) and `b` (K, q) are the parameters of these members, `name` is one of `scorers.OWN_SCORES`.
    """

    folds: RowFolds
    W: Array
    b: Array
    name: str

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        n, (K, q, d) = block.stop - block.start, self.W.shape
        fold, sums = self.folds.of(block.place, n), np.zeros(K)
        prepared = block.prepare(self.W.reshape(K * q, d))
        w = np.ones(n) if block.weights is None else block.weights[0]
        for a in range(0, n, RUN_ROWS):
            run = slice(a, min(a + RUN_ROWS, n))
            o = block.piece(run.start, run.stop).times(prepared).reshape(K, q, -1)
            own = o[fold[run], :, np.arange(o.shape[2])].astype(np.float64) + self.b[fold[run]]
            if block.offset is not None:
                own += block.offset[:, run].T
            scores = row_scores(self.name, own, block.labels[run])
            sums += np.bincount(fold[run], w[run] * scores, K)
        return (sums,)
