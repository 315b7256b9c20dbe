"""The binary tree of fastText's hierarchical softmax, and the probabilities of its leaves.

fastText gives the probability sigmoid(v . h) of a step to the right at each inner node of a Huffman tree of classes.
Its Python package returns the probabilities of single rows with 1e-5 added to each factor; here all rows of a block go
through the tree at once, without that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tree:
    """A binary tree with q leaves 0, ..., q - 1 and inner nodes q, ..., 2 q - 2, of which the last is the root.

    Attributes
    ----------
    left, right : ndarray of shape (q - 1,)
        Children of the inner nodes.
    """

    left: np.ndarray
    right: np.ndarray

    def leaf_log_probabilities(self, o: np.ndarray) -> np.ndarray:
        """Return the log probabilities (m, q) of the leaves for logits (m, q - 1) of a step to the right."""
        q = len(self.left) + 1
        log_right = -np.logaddexp(0, -o.T)
        log_left = log_right - o.T
        found = np.zeros((2 * q - 1, len(o)), dtype=o.dtype)
        for node in range(q - 2, -1, -1):
            found[self.left[node]] = found[q + node] + log_left[node]
            found[self.right[node]] = found[q + node] + log_right[node]
        return found[:q].T


def huffman_tree(counts: np.ndarray) -> Tree:
    """Return the Huffman tree of classes with these counts, in the order of fastText: from frequent to rare.

    The two nodes of least count are joined, the smaller one on the left; of equal counts the inner node goes first.
    """
    q = len(counts)
    if (np.diff(counts) > 0).any():
        raise ValueError("the counts must not increase")
    count = np.concatenate([counts, np.full(q - 1, np.iinfo(np.int64).max)]).tolist()
    left, right = np.empty(q - 1, dtype=np.int64), np.empty(q - 1, dtype=np.int64)
    leaf, inner = q - 1, q

    def least() -> int:
        nonlocal leaf, inner
        if leaf >= 0 and count[leaf] < count[inner]:
            leaf -= 1
            return leaf + 1
        inner += 1
        return inner - 1

    for node in range(q, 2 * q - 1):
        a, b = least(), least()
        left[node - q], right[node - q] = a, b
        count[node] = count[a] + count[b]
    return Tree(left, right)
