"""Log loss and rank of the label of held-out rows, block by block, so that no array (n, q) is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from softreg.probability import Interval, proportion_interval
from softreg.typing import Array, Codes, Float64Array

BLOCK_LOGITS = 1 << 21
"""Logits that are computed at a time (16 MB)."""
LEVEL = 0.95
TOP = 5
"""The k of the second accuracy."""


@dataclass(frozen=True, eq=False)
class RowScores:
    """Log loss in nats and rank of the label, from 0, of held-out rows (n,)."""

    loss: Float64Array
    rank: Codes

    @classmethod
    def empty(cls, n: int) -> RowScores:
        """Return scores of n rows that are not known yet."""
        return cls(np.full(n, np.nan), np.zeros(n, dtype=np.int64))

    def log_loss(self) -> Interval:
        """Return the mean log loss with its 95% interval, by the t distribution of independent rows."""
        n, mean = len(self.loss), float(self.loss.mean())
        if n < 2 or not np.isfinite(mean):
            return Interval(mean, 0.0, np.inf)
        half = float(stdtrit(n - 1, 0.5 + LEVEL / 2) * self.loss.std(ddof=1) / np.sqrt(n))
        return Interval(mean, max(0.0, mean - half), mean + half)

    def accuracy(self, k: int = 1) -> Interval:
        """Return the share of rows whose label is among the k most probable classes, with `proportion_interval`."""
        return proportion_interval(float((self.rank < k).sum()), len(self.rank), LEVEL)


def logits_in_blocks(X: Array, rows: Array, W: Float64Array, b: Float64Array) -> Iterator[tuple[slice, Float64Array]]:
    """Yield the logits `X[rows] W + b` in float64, with their place among the rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    rows : ndarray of int, shape (k,)
    W : ndarray of shape (d, q)
    b : ndarray of shape (q,)

    Yields
    ------
    slice, ndarray of shape (block, q)

    Examples
    --------
    >>> [o.tolist() for _, o in logits_in_blocks(np.eye(2), np.array([1]), np.eye(2), np.ones(2))]
    [[[1.0, 2.0]]]
    """
    size = max(1, BLOCK_LOGITS // max(W.shape))
    for a in range(0, len(rows), size):
        place = slice(a, min(a + size, len(rows)))
        yield place, np.asarray(X[rows[place]].astype(np.float64) @ W + b)


def score_rows(X: Array, rows: Array, codes: Codes, W: Float64Array, b: Float64Array) -> RowScores:
    """Return log loss and rank of the labels of some rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    rows, codes : ndarray of int, shape (k,)
        Numbers of the rows, and the codes of their labels.
    W : ndarray of shape (d, q)
    b : ndarray of shape (q,)

    Returns
    -------
    RowScores

    Examples
    --------
    >>> scores = score_rows(np.eye(2), np.array([0, 1]), np.array([0, 0]), np.eye(2), np.zeros(2))
    >>> scores.loss.round(3).tolist(), scores.rank.tolist()
    ([0.313, 1.313], [0, 1])
    """
    scores = RowScores.empty(len(rows))
    for place, o in logits_in_blocks(X, rows, W, b):
        label = codes[place]
        own = o[np.arange(len(o)), label][:, None]
        # of equal logits the first class counts
        scores.rank[place] = (o > own).sum(axis=1) + ((o == own) & (np.arange(o.shape[1]) < label[:, None])).sum(axis=1)
        top = o.max(axis=1, keepdims=True)
        o -= top
        np.exp(o, out=o)
        scores.loss[place] = np.log(o.sum(axis=1)) + (top - own)[:, 0]
    return scores


def probabilities_of_rows(X: Array, rows: Array, W: Float64Array, b: Float64Array) -> Array:
    """Return the class probabilities (k, q) of some rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    rows : ndarray of int, shape (k,)
    W : ndarray of shape (d, q)
    b : ndarray of shape (q,)

    Returns
    -------
    ndarray of float64, shape (k, q)

    Examples
    --------
    >>> probabilities_of_rows(np.zeros((1, 2)), np.array([0]), np.eye(2), np.zeros(2)).tolist()
    [[0.5, 0.5]]
    """
    P = np.empty((len(rows), len(b)))
    for place, o in logits_in_blocks(X, rows, W, b):
        o -= o.max(axis=1, keepdims=True)
        np.exp(o, out=o)
        np.divide(o, o.sum(axis=1, keepdims=True), out=P[place])
    return P
