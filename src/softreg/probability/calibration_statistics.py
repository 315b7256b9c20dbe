"""Statistics of the exact calibration test: surprisal, chi-squares over bins, debiased squared errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softreg.probability.expected_cost import most_likely

Floats = NDArray[np.float64]
LEAST_VARIANCE = 5.0
"""Least expected variance of the event count of a bin; below it, a single row determines the statistic."""
ROUNDING = 1e-9
"""Summed surprisal in nats that counts as 0 where the expected surprisal has no variance."""


class CalibrationStatistics:
    """Five statistics of labels for given probabilities: confidence z, class-wise and top chi-square, two errors.

    A label puts its row into one bin of its class and, if that class is the most likely one, into one bin of the most
    likely class. Pairs of these two bins are counted in one pass over each draw of labels; the count of a bin is the
    sum over its pairs.
    """

    def __init__(self, P: Floats, bins: int, top: NDArray[np.int64] | None = None) -> None:
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
        self.top, self.at = np.asarray(most_likely(P) if top is None else top), np.arange(n)
        self.certain = P[self.at, self.top] == 1
        self.all = Cells([P[:, k] for k in range(q)], bins)
        top = self.first + self.top
        self.best = Cells([P.ravel()[top]], bins)
        none = self.best.cells
        pair = self.all.cell.reshape(q, n).T.ravel() * (none + 1) + none
        pair[top] += self.best.cell - none
        occupied = np.flatnonzero(np.bincount(pair))
        number = np.zeros(occupied[-1] + 1, dtype=np.int64)
        number[occupied] = np.arange(len(occupied))
        self.pair = number[pair]
        self.class_bin, self.top_bin = np.divmod(occupied, none + 1)

    def __call__(self, labels: NDArray[np.int64], *, errors: bool) -> Floats:
        """Return statistics (b, 5) of b vectors of labels (b, n); the last two columns are nan without `errors`."""
        b, size = len(labels), len(self.class_bin)
        entry = self.first + labels
        excess = self.surprisal.take(entry).sum(axis=1) - self.total
        pair = (self.pair.take(entry) + size * np.arange(b)[:, None]).ravel()
        counts = np.bincount(pair, minlength=b * size).reshape(b, size)
        gains = None
        if errors:
            sums = np.bincount(pair, self.gain.take(entry).ravel(), minlength=b * size)
            gains = np.asarray(sums.reshape(b, size), dtype=np.float64)
        confidence = excess / self.spread if self.spread > 0 else np.where(excess <= ROUNDING, 0.0, np.inf)
        classes, error = self.all.deviations(self.class_bin, counts, gains)
        top, top_error = self.best.deviations(self.top_bin, counts, gains)
        # A label of probability 0 deviates more than any possible label, and has no variance for a comparison.
        classes = np.where(np.isinf(excess), np.inf, classes)
        if self.certain.any():
            top = np.where(((labels != self.top) & self.certain).any(axis=1), np.inf, top)
        return np.column_stack([confidence, classes, top, error, top_error])

    def error_variances(self, y: NDArray[np.int64]) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return `Cells.error_variances` of all classes and of the most likely one, for observed labels (n,)."""
        return self.all.error_variances(y * len(self.at) + self.at), self.best.error_variances(self.at[y == self.top])


class Cells:
    """Bins of some columns of probabilities, with the expected count and variance of the events in each."""

    def __init__(self, columns: list[Floats], bins: int) -> None:
        cell, cells = [], 0
        for p in columns:
            bin_of, count = _equal_variance_bins(p, bins)
            cell.append(bin_of + cells)
            cells += count
        self.cell = np.concatenate(cell)  # of entry (k, i), in the order k * n + i
        p = np.concatenate(columns)
        self.n, self.cells = len(columns[0]), cells
        self.rows = np.bincount(self.cell, minlength=cells)
        self.expected = np.bincount(self.cell, p, minlength=cells)
        self.variance = np.bincount(self.cell, p * (1 - p), minlength=cells)
        self.square = np.bincount(self.cell, p * p, minlength=cells)
        self.columns, self.mean_variance = len(columns), float(self.variance.sum()) / len(p)
        self.p = p

    def deviations(
        self, bin_of: NDArray[np.int64], counts: NDArray[np.int64], gains: Floats | None
    ) -> tuple[Floats, Floats]:
        """Return chi-square and debiased squared error of b draws from counts over s sets of entries.

        Parameters
        ----------
        bin_of : ndarray of int of shape (s,)
            Bin of each set; the number of bins stands for no bin.
        counts : ndarray of int of shape (b, s)
            Number of events in each set.
        gains : ndarray of shape (b, s) or None
            Sum of `1 - 2 p` over the events of each set, the change `(1 - p)^2 - p^2` of the sum of squares.

        Returns
        -------
        chi : ndarray of shape (b,)
            Chi-square.
        error : ndarray of shape (b,)
            Debiased squared error; nan without `gains`.
        """
        residual = self._summed(bin_of, counts) - self.expected
        usable = self.variance > 0
        chi = (residual[:, usable] ** 2 / self.variance[usable]).sum(axis=1)
        if gains is None:
            return chi, np.full(len(counts), np.nan)
        pairs = (residual**2 - self.square - self._summed(bin_of, gains)) / np.maximum(self.rows - 1, 1)
        return chi, pairs[:, self.rows > 1].sum(axis=1) / self.n

    def _summed(self, bin_of: NDArray[np.int64], values: NDArray[np.int64] | Floats) -> Floats:
        """Return sums (b, cells) of values (b, s) over the sets of each bin."""
        b, bins = len(values), self.cells + 1
        index = (bin_of + bins * np.arange(b)[:, None]).ravel()
        sums = np.bincount(index, values.ravel(), minlength=b * bins).reshape(b, bins)
        return np.asarray(sums[:, :-1], dtype=np.float64)

    def variance_at(self, error: float) -> float:
        """Return the mean variance of an event if the probabilities are off by `error`."""
        p = np.clip(self.p, min(error, 0.5), max(1 - error, 0.5))
        return float((p * (1 - p)).mean())

    def error_variances(self, happened: NDArray[np.int64]) -> tuple[float, float]:
        """Return two parts of the sampling variance of the debiased squared error.

        With m_b the mean of the residuals r of bin b, row i changes the error by `(1/n) sum_k (2 m_b r_ik - m_b^2)`
        over its entries. The variance of the mean of these is the variance of the error, but for the noise of m_b.

        Parameters
        ----------
        happened : ndarray of int
            Entries whose event occurred.

        Returns
        -------
        variance : float
            Variance of that mean, with the observed m_b. If the true m_b are 0, it is twice the variance of the error.
        factor : float
            Ratio of the variance of the error that follows from the variances of the observed residuals within bins to
            that under right probabilities, if the true m_b are 0. It exceeds 1 where events are more frequent than
            small probabilities predict.
        """
        residual = self.p.copy()
        residual[happened] -= 1
        mean = np.bincount(self.cell, residual, minlength=self.cells) / np.maximum(self.rows, 1)
        squares = np.bincount(self.cell, residual**2, minlength=self.cells)
        within = (squares - self.rows * mean**2) / np.maximum(self.rows - 1, 1)
        expected = self.variance / np.maximum(self.rows, 1)
        several = self.rows > 1
        scale = float((expected[several] ** 2).sum())
        factor = float((within[several] ** 2).sum()) / scale if scale > 0 else 1.0
        of_entry = mean[self.cell]
        change = (of_entry * (2 * residual - of_entry)).reshape(self.columns, self.n).sum(axis=0)
        return float(change.var()) / self.n, factor


def _equal_variance_bins(p: Floats, bins: int) -> tuple[NDArray[np.int64], int]:
    """Return bins of a column of probabilities that share the variance of each half; labels have no influence.

    No bin holds probabilities below and above one half: overconfident probabilities are too low in one half and too
    high in the other, and the two deviations would cancel in one bin.

    Parameters
    ----------
    p : ndarray of shape (n,)
        Probabilities.
    bins : int
        Approximate largest number of bins.

    Returns
    -------
    bin_of : ndarray of int64 of shape (n,)
        Bin of each row.
    count : int
        Number of bins.
    """
    upper, variance = p >= 0.5, p * (1 - p)
    bin_of, count, total = np.zeros(len(p), dtype=np.int64), 0, float(variance.sum())
    for half in (~upper, upper):
        if half.any():
            share = float(variance[half].sum()) / total if total > 0 else 0.0
            half_bin, half_count = _bins_of_half(p[half], max(1, round(bins * share)))
            bin_of[half] = half_bin + count
            count += half_count
    return bin_of, count


def _bins_of_half(p: Floats, bins: int) -> tuple[NDArray[np.int64], int]:
    """Return the bin of each probability, and their number, at most `bins`; the bins share the variance evenly."""
    order = np.argsort(p, kind="stable")
    ordered = p[order]
    sums = np.cumsum(ordered * (1 - ordered))
    total = float(sums[-1])
    count = int(np.clip(total // LEAST_VARIANCE, 1, bins))
    if total <= 0:
        return np.zeros(len(p), dtype=np.int64), 1
    # Equal probabilities share the bin of their middle, so that the order of the rows has no effect.
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    last = np.append(first[1:], len(p)) - 1
    middle = (sums[last] + sums[first]) / (2 * total)
    bin_of = np.empty(len(p), dtype=np.int64)
    bin_of[order] = np.repeat(np.minimum((middle * count).astype(np.int64), count - 1), last - first + 1)
    return bin_of, count
