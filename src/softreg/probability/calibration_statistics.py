"""Statistics that the exact test of calibration ranks: surprisal, chi-squares over bins, debiased squared errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softreg.probability.decision import most_likely

Floats = NDArray[np.float64]
LEAST_VARIANCE = 5.0
"""Expected variance of the count of a bin, at least: with less, one row decides."""
ROUNDING = 1e-9
"""Nats: a surprisal that exceeds its sum of 0 by less is 0."""


class CalibrationStatistics:
    """Five statistics of labels for given probabilities: confidence z, class-wise and top chi-square, two errors."""

    def __init__(self, P: Floats, bins: int) -> None:
        n, q = P.shape
        with np.errstate(divide="ignore"):
            self.surprisal = -np.log(P)
        terms = np.where(P > 0, P * np.where(P > 0, self.surprisal, 0.0), 0.0)
        self.entropy = terms.sum(axis=1)
        squares = np.where(P > 0, terms * np.where(P > 0, self.surprisal, 0.0), 0.0).sum(axis=1)
        self.spread = float(np.sqrt(max((squares - self.entropy**2).sum(), 0.0)))
        self.total = float(self.entropy.sum())
        self.top = np.asarray(most_likely(P))
        self.at = np.arange(n)
        self.certain = P[self.at, self.top] == 1
        self.all = Cells([P[:, k] for k in range(q)], bins)
        self.best = Cells([P[self.at, self.top]], bins)

    def __call__(self, labels: NDArray[np.int64], *, errors: bool) -> Floats:
        """Statistics (b, 5) of b vectors of labels (b, n); the last two columns are nan without `errors`."""
        excess = self.surprisal[self.at, labels].sum(axis=1) - self.total
        confidence = excess / self.spread if self.spread > 0 else np.where(excess <= ROUNDING, 0.0, np.inf)
        n = len(self.at)
        classes, error = self.all(labels * n + self.at, errors=errors)
        other = labels != self.top
        top, top_error = self.best(np.where(other, n, self.at), errors=errors)
        # A label of probability 0 has no variance to be compared with: it deviates more than any that can occur.
        classes = np.where(np.isinf(excess), np.inf, classes)
        top = np.where((other & self.certain).any(axis=1), np.inf, top)
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
        cell = np.concatenate(place)
        self.cell = np.append(cell, cells)  # of entry (k, i), in the order k * n + i; and a bin for no event
        p = np.concatenate(columns)
        self.n, self.cells = len(columns[0]), cells
        self.rows = np.bincount(cell, minlength=cells)
        self.expected = np.bincount(cell, p, minlength=cells)
        self.variance = np.bincount(cell, p * (1 - p), minlength=cells)
        self.square = np.bincount(cell, p * p, minlength=cells)
        self.columns, self.mean_variance = len(columns), float(self.variance.sum()) / len(p)
        self.p = p
        self.gain = np.append(1 - 2 * p, 0.0)  # (1 - p)^2 - p^2: how an event changes the sum of squares

    def __call__(self, happened: NDArray[np.int64], *, errors: bool) -> tuple[Floats, Floats]:
        """Chi-square and debiased squared error (b,) of the draws `happened` (b, n).

        They hold the entries whose event occurred; an entry beyond the last stands for no event.
        """
        b, bins = len(happened), self.cells + 1
        cell = (self.cell[happened] + bins * np.arange(b)[:, None]).ravel()
        residual = np.bincount(cell, minlength=b * bins).reshape(b, bins)[:, :-1] - self.expected
        usable = self.variance > 0
        chi = (residual[:, usable] ** 2 / self.variance[usable]).sum(axis=1)
        if not errors:
            return chi, np.full(b, np.nan)
        gains = np.bincount(cell, self.gain[happened].ravel(), minlength=b * bins).reshape(b, bins)[:, :-1]
        pairs = (residual**2 - self.square - gains) / np.maximum(self.rows - 1, 1)
        return chi, pairs[:, self.rows > 1].sum(axis=1) / self.n

    def variance_at(self, error: float) -> float:
        """Mean variance of an event where probabilities are off by `error`: rates below it are then hardly possible."""
        p = np.clip(self.p, min(error, 0.5), max(1 - error, 0.5))
        return float((p * (1 - p)).mean())

    def variance_seen(self, happened: NDArray[np.int64]) -> float:
        """Mean variance of the residuals around the mean of their bin, at least that which the probabilities expect.

        It is larger where events are more frequent than probabilities near 0 say.
        """
        cell = self.cell[happened]
        residual = np.bincount(cell, minlength=self.cells) - self.expected
        squares = self.square + np.bincount(cell, self.gain[happened], minlength=self.cells)
        within = squares - residual**2 / np.maximum(self.rows, 1)
        return max(float(within.sum()) / (len(self.cell) - 1), self.mean_variance)


def _places(p: Floats, bins: int) -> tuple[NDArray[np.int64], int]:
    """Bins of a column of probabilities; those of each half share its variance, and labels do not matter.

    No bin holds probabilities below and above one half: overconfident probabilities are too low there and too high
    here, and in one bin the two would cancel.
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
