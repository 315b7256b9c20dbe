"""The log-uniform sampler of classes that are sorted by frequency, and the correction of sampled logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LogUniform:
    """Draws class k = 0, ..., q - 1 with probability log((k + 2) / (k + 1)) / log(q + 1), with replacement.

    The frequencies of classes that are sorted from frequent to rare are near these where they follow Zipf's law.

    Parameters
    ----------
    q : int
        Number of classes.
    """

    q: int

    def probabilities(self, k: np.ndarray) -> np.ndarray:
        """Return the probability that a draw gives each of the classes k."""
        return np.log1p(1 / (np.asarray(k) + 1.0)) / np.log(self.q + 1)

    def draw(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Return n classes: the inverse of the distribution function log(k + 1) / log(q + 1) at uniform numbers."""
        k = np.floor(np.exp(random.random(n) * np.log(self.q + 1))).astype(np.int64) - 1
        return np.minimum(k, self.q - 1)

    def log_inclusion(self, k: np.ndarray, n: int) -> np.ndarray:
        """Return the log of the probability that each of the classes k is among n draws.

        A sampled softmax subtracts it from the logits of the label and of the classes that were drawn.
        """
        return np.log(-np.expm1(n * np.log1p(-self.probabilities(k))))


def by_frequency(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rank of each class by its number of rows, the most frequent one first, and the class of each rank."""
    order = np.argsort(-np.bincount(y), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank, order
