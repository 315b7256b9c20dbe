"""The decrease of the log loss of some rows by one offset of each class: the calibration gap of a group of rows.

The offsets b maximise `sum_i log softmax(log P_i + b)[y_i] = b . O - sum_i log sum_k P_ik exp(b_k) + constant`, in
which the labels occur only as the counts O of the classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softreg.probability.bootstrap_intervals import Interval

Floats = NDArray[np.float64]
STEPS, LONGEST_STEP = 40, 2.0
"""Newton steps at most, and the largest change of an offset in one."""
RIDGE = 1e-3
"""Penalty `RIDGE / 2 * |b|^2` in nats, which keeps the offsets of classes without a label finite."""
DECREMENT = 1e-8
"""Newton decrement in nats at which the steps end."""
BLOCK = 2_000_000
"""Numbers of an array of draws times rows times classes."""
MOST_NUMBERS = 60_000_000
"""Product of draws, rows and classes from which the gains of draws are those of one quadratic step (the score test)."""
MIN_VARIANCE = 1e-12
"""Variance of the count of a class below which the class cannot differ from its expectation."""


def offset_gains(P: Floats, counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the largest decrease of the summed log loss by class offsets, for several vectors of class counts.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.
    counts : ndarray of int of shape (b, q)
        Rows of each class; each vector sums to n.

    Returns
    -------
    gain : ndarray of shape (b,)
        Decreases in nats, at least 0.
    offsets : ndarray of shape (b, q)
        The offsets, of mean 0.

    Examples
    --------
    >>> gain, offsets = offset_gains(np.full((100, 2), 0.5), np.array([[50, 50], [20, 80]]))
    >>> gain.round(2), offsets.round(2).tolist()
    (array([ 0.  , 19.27]), [[0.0, 0.0], [-0.69, 0.69]])
    """
    distinct, inverse = np.unique(counts, axis=0, return_inverse=True)
    at_once = max(1, BLOCK // P.size)
    parts = [_newton(P, distinct[start : start + at_once]) for start in range(0, len(distinct), at_once)]
    gain, offsets = (np.concatenate(part) for part in zip(*parts, strict=True))
    inverse = np.ravel(inverse)
    return np.maximum(gain, 0.0)[inverse], offsets[inverse]


def _newton(P: Floats, counts: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return gains and offsets of counts (b, q) by Newton steps with a bound on their length."""
    b, (n, q) = np.zeros(counts.shape), P.shape
    identity = RIDGE * np.eye(q)
    value = np.zeros(len(counts))
    for _ in range(STEPS):
        weighted = P * np.exp(b - b.max(axis=1, keepdims=True))[:, None, :]
        total = weighted.sum(axis=2)
        value = (b * counts).sum(axis=1) - (np.log(total).sum(axis=1) + n * b.max(axis=1))
        weighted /= total[:, :, None]
        expected = weighted.sum(axis=1)
        hessian = -np.matmul(weighted.transpose(0, 2, 1), weighted) + identity
        hessian[:, np.arange(q), np.arange(q)] += expected
        gradient = counts - expected - RIDGE * b
        step = np.linalg.solve(hessian, gradient[:, :, None])[:, :, 0]
        if (gradient * step).sum(axis=1).max() <= DECREMENT:
            break
        size = np.abs(step).max(axis=1, keepdims=True)
        b = b + step * np.minimum(1.0, LONGEST_STEP / np.maximum(size, LONGEST_STEP))
    return value, b - b.mean(axis=1, keepdims=True)


class ClassCounts:
    """The counts of the classes among rows of known probabilities: their expectation, covariance and test statistic."""

    def __init__(self, P: Floats) -> None:
        self.expected = P.sum(axis=0)
        covariance = np.diag(self.expected) - P.T @ P
        self.free = np.flatnonzero(np.diag(covariance) > MIN_VARIANCE)
        self.inverse = np.linalg.pinv(covariance[np.ix_(self.free, self.free)], hermitian=True)
        self.freedom = max(len(self.free) - 1, 0)

    def chi_squares(self, counts: NDArray[np.int64]) -> Floats:
        """Return `(O - E)' V^+ (O - E)` (b,) of counts (b, q); inf where a count cannot differ from its expectation."""
        # half of it is the quadratic approximation of the gain by offsets
        rest = counts - self.expected
        fixed = np.delete(rest, self.free, axis=1)
        rest = rest[:, self.free]
        chi = np.einsum("bi,ij,bj->b", rest, self.inverse, rest)
        return np.where((np.abs(fixed) > 0.5).any(axis=1), np.inf, chi)


@dataclass(frozen=True, eq=False)
class OffsetGap:
    """The calibration gap of a group of rows: what one offset of each class would gain.

    Attributes
    ----------
    gap : Interval
        Estimated decrease of the log loss of new rows in nats, with its 95% interval. The estimate is the decrease on
        these rows minus its mean under right probabilities, so that it may be negative.
    by_chance : float
        Upper 95% limit of the estimate if the probabilities are right, from drawn labels.
    offsets : ndarray of shape (q,)
        The offsets that gain it, of mean 0.

    Examples
    --------
    >>> OffsetGap(Interval(0.1, 0.05, 0.2), 0.01, np.array([-0.3, 0.3])).by_chance
    0.01
    """

    gap: Interval
    by_chance: float
    offsets: Floats


def offset_gap(P: Floats, counts: NDArray[np.int64], drawn: NDArray[np.int64], level: float = 0.95) -> OffsetGap:
    """Return the calibration gap of rows by class offsets.

    Twice the summed gain is about noncentral chi-squared, with q - 1 degrees of freedom and the noncentrality
    `2 n gap`. The interval has the noncentralities at which the observed gain is not in a tail of `(1 - level) / 2`,
    and is widened by the ratio of the standard deviation of the gains of the rows to that of this distribution where
    it is larger.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities of the rows.
    counts : ndarray of int of shape (q,)
        Observed rows of each class.
    drawn : ndarray of int of shape (b, q)
        Rows of each class in b draws of labels from P.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    OffsetGap
        The gap. It is inf where a label had probability 0.

    Examples
    --------
    >>> P = np.full((400, 2), 0.5)
    >>> drawn = np.random.default_rng(0).multinomial(400, [0.5, 0.5], size=199)
    >>> right, off = (offset_gap(P, np.array(c), drawn) for c in ([202, 198], [100, 300]))
    >>> right.gap.value < right.by_chance, off.gap.low > off.by_chance, round(off.gap.value, 2)
    (True, True, 0.13)
    """
    n, rates = len(P), ClassCounts(P)
    if not rates.freedom or not np.isfinite(rates.chi_squares(counts[None])[0]):
        value = np.inf if rates.freedom and (counts > 0)[rates.expected == 0].any() else 0.0
        return OffsetGap(Interval(value, value, value), 0.0, np.zeros(P.shape[1]))
    gain, offsets = offset_gains(P, counts[None])
    quadratic = drawn.shape[0] * P.size > MOST_NUMBERS
    chance = rates.chi_squares(drawn) / 2 if quadratic else offset_gains(P, drawn)[0]
    null = np.sort(chance)
    at = min(round(level * (len(null) + 1)) - 1, len(null) - 1)
    value = float(gain[0] - null.mean()) / n
    low, high = _noncentrality(2 * float(gain[0]), rates.freedom, level)
    stretch = _stretch(P, counts, offsets[0])
    low, high = value - (value - low / (2 * n)) * stretch, value + (high / (2 * n) - value) * stretch
    gap = Interval(value, min(max(low, 0.0), value), max(high, value))
    return OffsetGap(gap, float(null[at] - null.mean()) / n, offsets[0])


def _noncentrality(statistic: float, freedom: int, level: float) -> tuple[float, float]:
    """Return the confidence interval of the noncentrality of a chi-squared variable."""
    from scipy.special import chdtr, chndtrinc

    tail = (1 - level) / 2
    central = float(chdtr(freedom, statistic))  # decreases with the noncentrality
    low = float(chndtrinc(statistic, freedom, 1 - tail)) if central > 1 - tail else 0.0
    high = float(chndtrinc(statistic, freedom, tail)) if central > tail else 0.0
    return low, high


def _stretch(P: Floats, counts: NDArray[np.int64], offsets: Floats) -> float:
    """Return by how much the deviation of the mean gain exceeds that of the noncentral distribution, at least 1."""
    # The gain of a row with label k is b_k - log sum_j P_j exp(b_j). Its variance is that over labels from the
    # probabilities with the offsets; the noncentral distribution assumes twice its mean.
    weighted = P * np.exp(offsets - offsets.max())
    after = weighted / weighted.sum(axis=1, keepdims=True)
    shift = offsets - offsets.max() - np.log(weighted.sum(axis=1, keepdims=True))
    mean = (after * shift).sum(axis=1)
    variance = float(((after * shift**2).sum(axis=1) - mean**2).sum())
    assumed = 2 * float(mean.sum())
    return float(np.sqrt(max(variance / assumed, 1.0))) if assumed > 0 else 1.0
