"""Stratified samples of rows: each class in proportion, with a least number of rows, for any order of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from softreg.typing import Array

MIN_ROWS_TO_THIN = 100_000
"""From this many rows on, most rows are dropped at random before the rest is shuffled."""
SAMPLE_BYTES = 64 << 20
"""Largest size in bytes of a sample of rows that do not fit in memory."""


LEAST_PER_CLASS = 5
"""Least number of sampled rows of each class, as far as it has them."""


def sampled_counts(counts: Array, size: int, least: int = LEAST_PER_CLASS) -> Array:
    """Return how many rows of each class, of which there are `counts` (q,), a sample of about `size` rows has."""
    share = min(1.0, size / int(counts.sum()))
    return np.asarray(np.minimum(counts, np.maximum(np.ceil(counts * share).astype(np.int64), least)))


def stratified(labels: Array, size: int, seed: int, least: int = LEAST_PER_CLASS) -> tuple[Array, Array]:
    """Return a stratified sample: indices of about `size` rows, and their weights.

    Soft labels count as their most likely class. The weight of a row is the number of rows of its class divided by the
    number drawn, so that weighted sums over the sample are unbiased estimates of sums over all rows.

    Parameters
    ----------
    labels : ndarray of shape (n,) or (n, q)
    size, seed : int
    least : int
        Least number of rows of each class.

    Returns
    -------
    index : ndarray of int
        In increasing order.
    weight : ndarray of float

    Examples
    --------
    >>> index, weight = stratified(np.array([0] * 98 + [1] * 2), 10, seed=0)
    >>> len(index), weight.sum()
    (12, np.float64(100.0))
    """
    return stratified_pieces(lambda: [labels], size, seed, least)


def stratified_pieces(
    pieces: Callable[[], Iterable[Array]], size: int, seed: int, least: int = LEAST_PER_CLASS
) -> tuple[Array, Array]:
    """Return the sample of `stratified` for labels that are read in pieces; it does not depend on where they are cut.

    Parameters
    ----------
    pieces : callable
        Returns an iterable over the labels, from the first row.
    size, seed, least : int
        As in `stratified`.

    Returns
    -------
    index : ndarray of int
    weight : ndarray of float

    Examples
    --------
    >>> index, weight = stratified_pieces(lambda: [np.zeros(98, int), np.ones(2, int)], 10, seed=0)
    >>> len(index), weight.sum()
    (12, np.float64(100.0))
    """
    random, counts = np.random.default_rng(seed), _counts(pieces())
    n = int(counts.sum())
    take = sampled_counts(counts, size, least)
    # drop most rows before the rest is shuffled; the margin of 9 standard deviations leaves enough rows
    stay = (take + 9 * np.sqrt(take) + 9) / np.maximum(counts, 1) if n > MIN_ROWS_TO_THIN else None
    order, codes = _survivors(pieces(), None if stay is None else stay.astype(np.float32), random)
    take = np.minimum(take, np.bincount(codes, minlength=len(counts)))
    shuffled = random.permutation(len(order))
    order, codes = order[shuffled], codes[shuffled]
    keys = codes.astype(np.int16) if len(counts) < 2**15 else codes  # NumPy radix-sorts int16
    together = np.argsort(keys, kind="stable")
    order, codes = order[together], codes[together]
    last = np.cumsum(np.bincount(codes, minlength=len(counts)))
    first = np.concatenate([[0], last[:-1]])
    chosen = np.concatenate([np.arange(a, a + k) for a, k in zip(first, take, strict=True)])
    index, codes = order[chosen], codes[chosen]
    rising = np.argsort(index, kind="stable")
    return index[rising], (counts / np.maximum(take, 1))[codes[rising]]


LABELS_PER_READ = 1 << 18
"""Count of labels that are read at a time to draw a sample."""


def draw_sample(rows: Any, size: int, row_bytes: int, seed: int) -> tuple[Array, Array]:
    """Return the indices of a stratified sample of a backend's rows, and their weights.

    Parameters
    ----------
    rows : Rows
    size : int
    row_bytes : int
        Size of a row; a sample of rows that do not fit in memory has at most `SAMPLE_BYTES`.
    seed : int

    Returns
    -------
    index : ndarray of shape (s,)
    weights : ndarray of shape (1, s) or (m, s)
    """
    if not rows.fits_in_memory:
        size = min(size, max(1, SAMPLE_BYTES // max(1, row_bytes)))

    def pieces() -> Iterator[Array]:
        for a in range(0, rows.n, LABELS_PER_READ):
            yield rows.labels[a : a + LABELS_PER_READ]

    index, share = stratified_pieces(pieces, size, seed)
    return index, share[None, :] if rows.weights is None else rows.weights[:, index] * share


def class_codes(labels: Array) -> Array:
    """Return the class of each row; of label probabilities (n, q), the most likely one."""
    return labels if labels.ndim == 1 else labels.argmax(axis=1)


def _counts(pieces: Iterable[Array]) -> Array:
    """Return the number of rows of each class."""
    counts = np.zeros(0, np.int64)
    for labels in pieces:
        more = np.bincount(class_codes(labels), minlength=len(counts))
        more[: len(counts)] += counts
        counts = more
    return counts


def _survivors(pieces: Iterable[Array], stay: Array | None, random: np.random.Generator) -> tuple[Array, Array]:
    """Return indices and codes of the rows kept, each with the probability of its class; of all rows for None."""
    places, kept, start = [], [], 0
    for labels in pieces:
        codes = class_codes(labels)
        some = np.arange(len(codes))
        if stay is not None:
            some = np.flatnonzero(random.random(len(codes), dtype=np.float32) < stay[codes])
        places.append(some + start)
        kept.append(codes[some])
        start += len(codes)
    return np.concatenate(places), np.concatenate(kept)
