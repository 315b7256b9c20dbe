"""Sums over the rows of the probabilities of each class, and moments of the scores of possible labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.class_blocks.logit_blocks import LogitBlock
from softreg.models.class_blocks.row_scores import RowScores
from softreg.typing import Float64Array


class ClassSums:
    """Weighted sums of the probabilities of each class, and their variances as sums of independent labels.

    Parameters
    ----------
    log_normalizer : ndarray of shape (n,)
        Log-normalizer of each row.
    weights : ndarray of shape (n,)
        Weights of the rows.
    q : int
        Number of classes.

    Attributes
    ----------
    expected : ndarray of shape (q,)
        `sum_i w_i p_ik`.
    variance : ndarray of shape (q,)
        `sum_i w_i^2 p_ik (1 - p_ik)`.

    Examples
    --------
    >>> from softreg.models.class_blocks.logit_blocks import LogitBlocks
    >>> sums = ClassSums(np.log([2.0, 2.0]), np.ones(2), 2)
    >>> LogitBlocks(np.zeros((2, 1)), np.zeros(2), np.zeros((2, 1))).reduce(sums)
    >>> sums.expected, sums.variance
    (array([1., 1.]), array([0.5, 0.5]))
    """

    def __init__(self, log_normalizer: Float64Array, weights: Float64Array, q: int) -> None:
        self.log_normalizer, self.weights = log_normalizer, weights
        self.expected, self.variance = np.zeros(q), np.zeros(q)

    def add(self, block: LogitBlock) -> tuple[Float64Array, Float64Array]:
        """Return the sums of a block."""
        w = self.weights[block.rows]
        p = np.exp(block.logits - self.log_normalizer[block.rows, None])
        return w @ p, w**2 @ (p * (1 - p))

    def collect(self, first: int, contribution: tuple[Float64Array, Float64Array]) -> None:
        """Add the sums of a block."""
        span = slice(first, first + len(contribution[0]))
        self.expected[span] += contribution[0]
        self.variance[span] += contribution[1]


@dataclass(frozen=True)
class Moments:
    """Mean and mean square of the extra score of a mistake."""

    mean: float
    square: float


class MistakeMoments:
    """Moments of the extra score of a label other than the most likely class, weighted by the root of its probability.

    They are those of `softreg.probability.score_interval`. The extra score of class k over the most likely class t is
    `log p_t - log p_k` for the log loss, `2 (p_t - p_k)` for the Brier score, and the first minus `c (r_k - r_t)` for
    the skill, with the surprisals r of the class rates.

    Parameters
    ----------
    scores : RowScores
        Scores of the n rows.
    weights : ndarray of shape (n,)
        Weights of the rows.
    baseline : ndarray of shape (q,)
        c r.

    Attributes
    ----------
    mass, first, second : ndarray of shape (n,)
        Sums over the other classes of the roots of the probabilities, and of the extra log loss and its square weighted
        by them.

    Examples
    --------
    >>> from softreg.models.class_blocks.logit_blocks import LogitBlocks
    >>> from softreg.models.class_blocks.row_scores import row_scores
    >>> blocks = LogitBlocks(np.zeros((2, 1)), np.log([0.8, 0.2]), np.zeros((1, 1)))
    >>> moments = MistakeMoments(row_scores(blocks, np.array([0]), 1), np.ones(1), np.zeros(2))
    >>> blocks.reduce(moments)
    >>> round(moments.log_loss().mean, 4), round(moments.brier().mean, 4)
    (1.3863, 1.2)
    """

    def __init__(self, scores: RowScores, weights: Float64Array, baseline: Float64Array) -> None:
        self.scores, self.weights, self.baseline = scores, weights, baseline
        self.mass, self.first, self.second = np.zeros((3, len(weights)))
        self._brier, self._skill = np.zeros(2), np.zeros(2)

    def add(self, block: LogitBlock) -> tuple[Float64Array, Float64Array]:
        """Add the sums of a block to its rows, and return those of Brier score and skill."""
        rows, scores = block.rows, self.scores
        log_top, top = scores.top[rows, :1], scores.top_codes[rows, :1]
        log_p = block.logits - scores.log_normalizer[rows, None]
        root = np.exp(log_p / 2)
        place = top[:, 0] - block.first
        inside = np.flatnonzero((place >= 0) & (place < log_p.shape[1]))
        root[inside, place[inside]] = 0.0
        extra = log_top - log_p
        weighted = root * extra
        self.mass[rows] += root.sum(axis=1)
        self.first[rows] += weighted.sum(axis=1)
        self.second[rows] += np.einsum("ij,ij->i", weighted, extra)
        w = self.weights[rows]
        brier = 2 * (np.exp(log_top) - np.exp(log_p))
        baseline = self.baseline[block.first : block.first + log_p.shape[1]]
        skill = extra - (baseline - self.baseline[top])
        return _weighted_sums(w, root, brier), _weighted_sums(w, root, skill)

    def collect(self, first: int, contribution: tuple[Float64Array, Float64Array]) -> None:
        """Add the sums of a block."""
        self._brier += contribution[0]
        self._skill += contribution[1]

    def log_loss(self, factor: Float64Array | None = None) -> Moments:
        """Return the moments of the log loss, of which each row is multiplied by a factor (n,)."""
        f = np.ones(len(self.mass)) if factor is None else factor
        return self._moments(np.array([self.weights @ (f * self.first), self.weights @ (f**2 * self.second)]))

    def brier(self) -> Moments:
        """Return the moments of the Brier score."""
        return self._moments(self._brier)

    def skill(self) -> Moments:
        """Return the moments of the log loss minus the scaled surprisal of the class rates."""
        return self._moments(self._skill)

    def _moments(self, sums: Float64Array) -> Moments:
        """Return means from sums; 0 where no other class has a probability above 0."""
        total = float(self.weights @ self.mass)
        return Moments(float(sums[0]) / total, float(sums[1]) / total) if total > 0 else Moments(0.0, 0.0)


def _weighted_sums(w: Float64Array, root: Float64Array, extra: Float64Array) -> Float64Array:
    """Return the sums over rows and classes of an extra score and of its square."""
    weighted = root * extra
    return np.array([w @ weighted.sum(axis=1), w @ np.einsum("ij,ij->i", weighted, extra)])
