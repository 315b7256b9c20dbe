"""Scores of labelled rows from blocks of logits: log-probability of the label, most likely classes, moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.class_blocks.logit_blocks import LogitBlocks
from softreg.models.class_blocks.normalizer import LogNormalizer
from softreg.models.class_blocks.top_classes import LabelLogits, LargestLogits
from softreg.typing import Codes, Float64Array, IntArray


@dataclass(frozen=True, eq=False)
class RowScores:
    """What an evaluation needs of the probabilities of n rows, without the probabilities (n, q).

    Attributes
    ----------
    codes : ndarray of int of shape (n,)
        Labels.
    label : ndarray of shape (n,)
        Log-probability of the label.
    top : ndarray of shape (n, k)
        Log-probabilities of the k most likely classes, in descending order.
    top_codes : ndarray of int of shape (n, k)
        These classes; of equal probabilities the first.
    squares : ndarray of shape (n,)
        Sum of the squared probabilities.
    entropy : ndarray of shape (n,)
        Entropy of the probabilities in nats.
    variance : ndarray of shape (n,)
        Variance of the log-probability of a label drawn from the probabilities.
    log_normalizer : ndarray of shape (n,)
        Logarithm of the sum of the exponentials of the logits.

    Examples
    --------
    >>> blocks = LogitBlocks(np.zeros((3, 1)), np.log([0.2, 0.5, 0.3]), np.zeros((1, 1)))
    >>> scores = row_scores(blocks, np.array([2]), 2)
    >>> scores.log_loss.round(3), scores.brier.round(2), scores.rank
    (array([1.204]), array([0.78]), array([1]))
    """

    codes: Codes
    label: Float64Array
    top: Float64Array
    top_codes: IntArray
    squares: Float64Array
    entropy: Float64Array
    variance: Float64Array
    log_normalizer: Float64Array

    @property
    def log_loss(self) -> Float64Array:
        """Log loss (n,) of the labels in nats."""
        return np.asarray(np.maximum(-self.label, 0.0))

    @property
    def brier(self) -> Float64Array:
        """Squared error (n,) of the probabilities, summed over the classes."""
        return np.asarray(self.squares + 1 - 2 * np.exp(self.label))

    @property
    def rank(self) -> IntArray:
        """Rank (n,) of the label among the most likely classes, from 0; k where it is not among them."""
        found = self.top_codes == self.codes[:, None]
        return np.asarray(np.where(found.any(axis=1), found.argmax(axis=1), self.top_codes.shape[1]))


def label_log_losses(blocks: LogitBlocks, codes: Codes) -> Float64Array:
    """Return the log loss of the label of each row.

    Parameters
    ----------
    blocks : LogitBlocks
        Logits of n rows.
    codes : ndarray of int of shape (n,)
        Their labels.

    Returns
    -------
    ndarray of shape (n,)
        Log losses in nats.

    Examples
    --------
    >>> label_log_losses(LogitBlocks(np.zeros((2, 1)), np.zeros(2), np.zeros((1, 1))), np.array([1])).round(4)
    array([0.6931])
    """
    label, normalizer = LabelLogits(codes), LogNormalizer(blocks.n)
    blocks.reduce(label, normalizer)
    return np.asarray(np.maximum(normalizer.log_sum() - label.logits, 0.0))


def row_scores(blocks: LogitBlocks, codes: Codes, k: int) -> RowScores:
    """Return the scores of labelled rows from one pass over the blocks.

    Parameters
    ----------
    blocks : LogitBlocks
        Logits of n rows.
    codes : ndarray of int of shape (n,)
        Their labels.
    k : int
        Number of most likely classes.

    Returns
    -------
    RowScores
        The scores.

    Examples
    --------
    >>> blocks = LogitBlocks(np.zeros((2, 1)), np.zeros(2), np.zeros((1, 1)))
    >>> row_scores(blocks, np.array([1]), 1).entropy.round(4)
    array([0.6931])
    """
    largest, label = LargestLogits(blocks.n, min(k, blocks.q)), LabelLogits(codes)
    normalizer = LogNormalizer(blocks.n, moments=True)
    blocks.reduce(largest, label, normalizer)
    log_sum = normalizer.log_sum()
    return RowScores(
        codes=codes,
        label=label.logits - log_sum,
        top=largest.logits - log_sum[:, None],
        top_codes=largest.codes,
        squares=normalizer.sum_of_squares(),
        entropy=normalizer.entropy(),
        variance=normalizer.variance(),
        log_normalizer=log_sum,
    )
