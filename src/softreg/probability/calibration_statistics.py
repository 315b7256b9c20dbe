"""Statistics that the exact test of calibration ranks: surprisal, chi-squares over bins, debiased squared errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.probability.decision import most_likely

Floats = NDArray[np.float64]
LEAST_VARIANCE = 5.0
"""Expected variance of the count of a bin, at least: with less, one row decides."""
ROUNDING = 1e-9
"""Nats: a surprisal that exceeds its sum of 0 by less is 0."""


class CalibrationStatistics:
    """Five statistics of labels for given probabilities: confidence z, class-wise and top chi-square, two errors.

    A label puts its row into one bin of its class, and into one of the most likely class if it is that. Pairs of these
    two bins are counted, so that each draw of labels is read once; the counts of the bins are sums of those of pairs.
    """

    def __init__(self, P: Floats, bins: int) -> None:
        n, q = P.shape
        with np.errstate(divide="ignore"):
            surprisal = -np.log(P)
        terms = np.where(P > 0, P * np.where(P > 0, surprisal, 0.0), 0.0)
        self.entropy = terms.sum(axis=1)
        squares = np.where(P > 0, terms * np.where(P > 0, surprisal, 0.0), 0.0).sum(axis=1)
        self.spread = float(np.sqrt(max((squares - self.entropy**2).sum(), 0.0)))
        self.total = float(self.entropy.sum())
        self.first = np.arange(n) * q  # entry (i, k) is number i * q + k
        self.surprisal, self.gain = surprisal.ravel(), 1 - 2 * P.ravel()
        self.top, self.at = np.asarray(most_likely(P)), np.arange(n)
        self.certain = P[self.at, self.top] == 1
        self.all = Cells([P[:, k] for k in range(q)], bins)
        top = self.first + self.top
        self.best = Cells([P.ravel()[top]], bins)
        none = self.best.cells
        pair = self.all.cell.reshape(q, n).T.ravel() * (none + 1) + none
        pair[top] += self.best.cell - none
        seen = np.flatnonzero(np.bincount(pair))
        place = np.zeros(seen[-1] + 1, dtype=np.int64)
        place[seen] = np.arange(len(seen))
        self.pair = place[pair]
        self.class_bin, self.top_bin = np.divmod(seen, none + 1)

    def __call__(self, labels: NDArray[np.int64], *, errors: bool) -> Floats:
        """Return statistics (b, 5) of b vectors of labels (b, n); the last two columns are nan without `errors`."""
        b, size = len(labels), len(self.class_bin)
        entry = self.first + labels
        excess = self.surprisal.take(entry).sum(axis=1) - self.total
        pair = (self.pair.take(entry) + size * np.arange(b)[:, None]).ravel()
        counts = np.bincount(pair, minlength=b * size).reshape(b, size)
        gains = (
            np.bincount(pair, self.gain.take(entry).ravel(), minlength=b * size).reshape(b, size) if errors else None
        )
        confidence = excess / self.spread if self.spread > 0 else np.where(excess <= ROUNDING, 0.0, np.inf)
        classes, error = self.all.deviations(self.class_bin, counts, gains)
        top, top_error = self.best.deviations(self.top_bin, counts, gains)
        # A label of probability 0 has no variance to be compared with: it deviates more than any that can occur.
        classes = np.where(np.isinf(excess), np.inf, classes)
        if self.certain.any():
            top = np.where(((labels != self.top) & self.certain).any(axis=1), np.inf, top)
        return np.column_stack([confidence, classes, top, error, top_error])

    def variances(self, y: NDArray[np.int64]) -> tuple[float, float]:
        """Variance of an event within the bins, of all classes and of the most likely one, for observed labels (n,)."""
        return self.all.variance_seen(y * len(self.at) + self.at), self.best.variance_seen(self.at[y == self.top])


class Cells:
    """Bins of some columns of probabilities, with the expected count and variance of the events in each."""

    def __init__(self, columns: list[Floats], bins: int) -> None:
        place, cells = [], 0
        for p in columns:
            bin_of, count = _places(p, bins)
            place.append(bin_of + cells)
            cells += count
        self.cell = np.concatenate(place)  # of entry (k, i), in the order k * n + i
        p = np.concatenate(columns)
        self.n, self.cells = len(columns[0]), cells
        self.rows = np.bincount(self.cell, minlength=cells)
        self.expected = np.bincount(self.cell, p, minlength=cells)
        self.variance = np.bincount(self.cell, p * (1 - p), minlength=cells)
        self.square = np.bincount(self.cell, p * p, minlength=cells)
        self.columns, self.mean_variance = len(columns), float(self.variance.sum()) / len(p)
        self.p = p

    def deviations(
        self, bin_of: NDArray[np.int64], counts: NDArray[Any], gains: NDArray[Any] | None
    ) -> tuple[Floats, Floats]:
        """Return chi-square and debiased squared error (b,) of b draws; the error is nan without `gains`.

        Of each of s sets of entries: its bin (s,), beyond the last for none, the number of events in it (b, s), and the
        sum of 1 - 2 p over them (b, s), by which they change the sum of squares: (1 - p)^2 - p^2.

        Returns
        -------
        tuple[ndarray, ndarray]
            Chi-square and debiased squared error (b,) of b draws; the error is nan without `gains`.
        """
        residual = self._summed(bin_of, counts) - self.expected
        usable = self.variance > 0
        chi = (residual[:, usable] ** 2 / self.variance[usable]).sum(axis=1)
        if gains is None:
            return chi, np.full(len(counts), np.nan)
        pairs = (residual**2 - self.square - self._summed(bin_of, gains)) / np.maximum(self.rows - 1, 1)
        return chi, pairs[:, self.rows > 1].sum(axis=1) / self.n

    def _summed(self, bin_of: NDArray[np.int64], values: NDArray[Any]) -> Floats:
        """Return sums (b, cells) of values (b, s) over the sets of each bin."""
        b, bins = len(values), self.cells + 1
        place = (bin_of + bins * np.arange(b)[:, None]).ravel()
        sums = np.bincount(place, values.ravel(), minlength=b * bins).reshape(b, bins)
        return np.asarray(sums[:, :-1], dtype=np.float64)

    def variance_at(self, error: float) -> float:
        """Return the mean variance of an event if the probabilities are off by `error`."""
        p = np.clip(self.p, min(error, 0.5), max(1 - error, 0.5))
        return float((p * (1 - p)).mean())

    def variance_seen(self, happened: NDArray[np.int64]) -> float:
        """Return the mean variance of the residuals around the mean of their bin, at least the expected one.

        It is larger where events are more frequent than probabilities near 0 say. `happened` are the entries whose
        event occurred.

        Returns
        -------
        float
            Mean variance of the residuals around the mean of their bin.
        """
        cell = self.cell[happened]
        residual = np.bincount(cell, minlength=self.cells) - self.expected
        squares = self.square + np.bincount(cell, 1 - 2 * self.p[happened], minlength=self.cells)
        within = squares - residual**2 / np.maximum(self.rows, 1)
        return max(float(within.sum()) / len(self.cell), self.mean_variance)


def _places(p: Floats, bins: int) -> tuple[NDArray[np.int64], int]:
    """Return bins of a column of probabilities; those of each half share its variance, and labels do not matter.

    No bin holds probabilities below and above one half: overconfident probabilities are too low there and too high
    here, and in one bin the two would cancel.

    Returns
    -------
    tuple[ndarray of int64, int]
        Bins of a column of probabilities; those of each half share its variance, and labels do not matter.
    """
    upper, variance = p >= 0.5, p * (1 - p)
    bin_of, count, total = np.zeros(len(p), dtype=np.int64), 0, float(variance.sum())
    for half in (~upper, upper):
        if half.any():
            share = float(variance[half].sum()) / total if total > 0 else 0.0
            place, made = _equal_variance(p[half], max(1, round(bins * share)))
            bin_of[half] = place + count
            count += made
    return bin_of, count


def _equal_variance(p: Floats, bins: int) -> tuple[NDArray[np.int64], int]:
    """At most so many bins of probabilities that share their variance."""
    order = np.argsort(p, kind="stable")
    ordered = p[order]
    sums = np.cumsum(ordered * (1 - ordered))
    total = float(sums[-1])
    count = int(np.clip(total // LEAST_VARIANCE, 1, bins))
    if total <= 0:
        return np.zeros(len(p), dtype=np.int64), 1
    # Equal probabilities share a bin, that of their middle: else the order of the rows would decide.
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    last = np.append(first[1:], len(p)) - 1
    middle = (sums[last] + sums[first]) / (2 * total)
    bin_of = np.empty(len(p), dtype=np.int64)
    bin_of[order] = np.repeat(np.minimum((middle * count).astype(np.int64), count - 1), last - first + 1)
    return bin_of, count
