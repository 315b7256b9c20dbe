"""Which rows make a sample: each class in proportion, none lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MANY = 100_000
"""From so many rows on a sample is not drawn from an order of all of them."""


def stratified(labels: Array, size: int, seed: int, least: int = 5) -> tuple[Array, Array]:
    """Indices of about `size` rows, each class in proportion but at least `least` rows of it, and their weights.

    Soft labels count as their most likely class. The weight of a row is the number of rows of its class divided by
    the number drawn, so that weighted sums over the sample estimate sums over all rows without bias.

    Example:
        >>> index, weight = stratified(np.array([0] * 98 + [1] * 2), 10, seed=0)
        >>> len(index), weight.sum()
        (12, np.float64(100.0))
    """
    codes = labels if labels.ndim == 1 else labels.argmax(axis=1)
    n, random, counts = len(codes), np.random.default_rng(seed), np.bincount(codes)
    take = np.minimum(counts, np.maximum(np.ceil(counts * min(1.0, size / n)).astype(np.int64), least))
    order = np.arange(n)
    if n > MANY:  # most rows drop out before the rest is shuffled; that too few stay is out of the question
        stay = (take + 9 * np.sqrt(take) + 9) / np.maximum(counts, 1)
        order = np.flatnonzero(random.random(n, dtype=np.float32) < stay.astype(np.float32)[codes])
        take = np.minimum(take, np.bincount(codes[order], minlength=len(counts)))
    order = random.permutation(order)
    few = codes.astype(np.int16) if len(counts) < 2**15 else codes  # which NumPy sorts by counting
    order = order[np.argsort(few[order], kind="stable")]
    last = np.cumsum(np.bincount(codes[order], minlength=len(counts)))
    first = np.concatenate([[0], last[:-1]])
    index = np.concatenate([order[a : a + k] for a, k in zip(first, take, strict=True)])
    index.sort()
    weight = counts[codes[index]] / take[codes[index]]
    return index, weight
