"""Samples of rows: each class in proportion, and none lost, however the labels come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from softreg.typing import Array

MANY = 100_000
"""From so many rows on a sample is not drawn from an order of all of them."""
SAMPLE_BYTES = 64 << 20
"""A sample of rows that do not fit into memory has about so many bytes at most."""


def stratified(labels: Array, size: int, seed: int, least: int = 5) -> tuple[Array, Array]:
    """Indices of about `size` rows, each class in proportion but at least `least` rows of it, and their weights.

    Soft labels count as their most likely class. The weight of a row is the number of rows of its class divided by
    the number drawn, so that weighted sums over the sample estimate sums over all rows without bias.

    Example:
        >>> index, weight = stratified(np.array([0] * 98 + [1] * 2), 10, seed=0)
        >>> len(index), weight.sum()
        (12, np.float64(100.0))
    """
    return stratified_pieces(lambda: [labels], size, seed, least)


def stratified_pieces(
    pieces: Callable[[], Iterable[Array]], size: int, seed: int, least: int = 5
) -> tuple[Array, Array]:
    """`stratified` for labels that come piece by piece: the same sample, however they are cut.

    Example:
        >>> index, weight = stratified_pieces(lambda: [np.zeros(98, int), np.ones(2, int)], 10, seed=0)
        >>> len(index), weight.sum()
        (12, np.float64(100.0))
    """
    random, counts = np.random.default_rng(seed), _counts(pieces())
    n = int(counts.sum())
    take = np.minimum(counts, np.maximum(np.ceil(counts * min(1.0, size / n)).astype(np.int64), least))
    # most of many rows drop out before the rest is shuffled; that too few stay is out of the question
    stay = (take + 9 * np.sqrt(take) + 9) / np.maximum(counts, 1) if n > MANY else None
    order, codes = _survivors(pieces(), None if stay is None else stay.astype(np.float32), random)
    take = np.minimum(take, np.bincount(codes, minlength=len(counts)))
    shuffled = random.permutation(len(order))
    order, codes = order[shuffled], codes[shuffled]
    few = codes.astype(np.int16) if len(counts) < 2**15 else codes  # which NumPy sorts by counting
    together = np.argsort(few, kind="stable")
    order, codes = order[together], codes[together]
    last = np.cumsum(np.bincount(codes, minlength=len(counts)))
    first = np.concatenate([[0], last[:-1]])
    chosen = np.concatenate([np.arange(a, a + k) for a, k in zip(first, take, strict=True)])
    index, codes = order[chosen], codes[chosen]
    rising = np.argsort(index, kind="stable")
    return index[rising], (counts / np.maximum(take, 1))[codes[rising]]


LABELS = 1 << 18
"""So many labels at a time are read to draw a sample."""


def drawn(rows: Any, size: int, row_bytes: int, seed: int) -> tuple[Array, Array]:
    """Places of a stratified sample of the rows, and their weights (1, s) or (m, s).

    Of rows that are more than memory holds it has at most `SAMPLE_BYTES`; a row takes about `row_bytes`.
    """
    if not rows.fits_in_memory:
        size = min(size, max(1, SAMPLE_BYTES // max(1, row_bytes)))

    def pieces() -> Iterator[Array]:
        for a in range(0, rows.n, LABELS):
            yield rows.labels[a : a + LABELS]

    index, share = stratified_pieces(pieces, size, seed)
    return index, share[None, :] if rows.weights is None else rows.weights[:, index] * share


def _codes(labels: Array) -> Array:
    return labels if labels.ndim == 1 else labels.argmax(axis=1)


def _counts(pieces: Iterable[Array]) -> Array:
    """How many rows each class has."""
    counts = np.zeros(0, np.int64)
    for labels in pieces:
        more = np.bincount(_codes(labels), minlength=len(counts))
        more[: len(counts)] += counts
        counts = more
    return counts


def _survivors(pieces: Iterable[Array], stay: Array | None, random: np.random.Generator) -> tuple[Array, Array]:
    """Places and codes of the rows that stay, each with the chance of its class; of all rows where that is None."""
    places, kept, start = [], [], 0
    for labels in pieces:
        codes = _codes(labels)
        some = np.arange(len(codes))
        if stay is not None:
            some = np.flatnonzero(random.random(len(codes), dtype=np.float32) < stay[codes])
        places.append(some + start)
        kept.append(codes[some])
        start += len(codes)
    return np.concatenate(places), np.concatenate(kept)
