"""Exact test of the calibration of a group of rows, and the calibration gap of the group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.bootstrap_intervals import Interval, draws_for, label_drawer
from softreg.probability.calibration import (
    BLOCK,
    FIRST_DRAWS,
    MORE_NUMBERS,
    MOST_DRAWS,
    SMALL_P,
    combined_p_values,
)
from softreg.probability.calibration_statistics import CalibrationStatistics
from softreg.probability.check_distributions import check_probabilities
from softreg.probability.class_offsets import ClassCounts, OffsetGap, offset_gap
from softreg.probability.labels import check_codes

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
BINS = 15
"""Approximate largest number of bins of each class in the parts of the test that use bins."""
MAX_CLASSES = 20
"""Classes that are told apart in the counts of classes; all less frequent ones are counted together."""
GAP_DRAWS = 199
"""Draws of labels from which the limit of the gap under right probabilities is computed."""


@dataclass(frozen=True, eq=False)
class GroupCheck:
    """Test of calibration and calibration gap of one group of rows, made by `check_group`.

    Attributes
    ----------
    p_value : float
        Share of label draws, the observed labels included, that deviate at least as much as the observed labels.
    p_rates, p_confidence, p_classes, p_top : float
        p-values of the four statistics of the test.
    confidence : float
        z-score of the mean surprisal: above 0 the probabilities are overconfident, below 0 underconfident.
    draws : int
        Number of draws of labels.
    gap : Interval
        Calibration gap in nats: estimated decrease of the log loss of new rows by one offset of each class, with its
        95% interval.
    gap_by_chance : float
        Upper 95% limit of the gap if the probabilities are right.

    Examples
    --------
    >>> check_group([[0.5, 0.5]] * 8, [0, 1] * 4).p_value
    1.0
    """

    p_value: float
    p_rates: float
    p_confidence: float
    p_classes: float
    p_top: float
    confidence: float
    draws: int
    gap: Interval
    gap_by_chance: float


def check_group(P: ArrayLike, codes: ArrayLike, *, draws: int | None = None, seed: int = 0) -> GroupCheck:
    """Test whether the labels of a group of rows are compatible with their probabilities, by an exact Monte Carlo test.

    The test is that of `check_calibration` with a fourth statistic that groups differ by most often: rates
    `(O - E)' V^+ (O - E)`, with the observed and expected numbers O and E of rows of each class and their covariance
    V under right probabilities. Labels are drawn from P, and the smallest of the four ranks of the observed labels is
    ranked again, so that the p-value is at most a with a probability of at most a if the probabilities are right and
    the rows independent, for any number of rows.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Predicted probabilities of the rows of the group.
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    draws : int, optional
        Draws of labels. None makes 999, and repeats the test with up to 9,999 new draws if the p-value is at most 0.02.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    GroupCheck
        p-values and the calibration gap by class offsets. Of more than 20 classes, rates and gap are those of the 19
        with the largest summed probabilities, and of all others together.

    Raises
    ------
    ValueError
        For rows that are no distributions, codes that do not fit, and no rows.

    Examples
    --------
    >>> P = np.tile([0.7, 0.3], (200, 1))  # 60 of the second class are expected
    >>> right, off = check_group(P, np.arange(200) < 60), check_group(P, np.arange(200) < 100)
    >>> right.p_value > 0.5, off.p_value, off.gap.value > off.gap_by_chance
    (True, 0.0001, True)
    """
    probabilities = np.minimum(np.asarray(check_probabilities(P), dtype=np.float64), 1.0)
    if probabilities.ndim != 2 or len(probabilities) == 0:
        raise ValueError(f"P must be a matrix (n, q) of at least one row; seen: shape {probabilities.shape}.")
    y = np.asarray(check_codes(np.asarray(codes, dtype=np.int64), probabilities.shape[1], "codes"), dtype=np.int64)
    if y.shape != (len(probabilities),):
        raise ValueError(f"codes must hold one code for each of {len(probabilities)} rows; seen: shape {y.shape}.")
    n, random = len(y), np.random.default_rng(seed)
    statistics = _GroupStatistics(probabilities)
    first = statistics.drawn(y, random, draws_for(n, FIRST_DRAWS if draws is None else draws))
    p, count = combined_p_values(first.sizes), len(first.sizes) - 1
    more = min(MOST_DRAWS, MORE_NUMBERS // n)
    if draws is None and p[0] <= SMALL_P and more > count:  # all new, as in `check_calibration`
        p, count = combined_p_values(statistics.drawn(y, random, more).sizes), more
    gap = statistics.gap(first.counts)
    overall, rates, confidence, classes, top = p
    return GroupCheck(overall, rates, confidence, classes, top, first.confidence, count, gap.gap, gap.by_chance)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Sizes (1 + b, 4) and class counts (1 + b, q) of the observed labels and of b draws; z-score of the observed."""

    sizes: Floats
    counts: Codes
    confidence: float


class _GroupStatistics:
    """The four statistics of labels for given probabilities."""

    def __init__(self, P: Floats) -> None:
        self.of_cells, self.draw = CalibrationStatistics(P, BINS), label_drawer(P)
        self.place, q = np.arange(P.shape[1]), P.shape[1]
        if q > MAX_CLASSES:
            frequent = np.argsort(-P.sum(axis=0), kind="stable")[: MAX_CLASSES - 1]
            self.place = np.full(q, MAX_CLASSES - 1)
            self.place[frequent] = np.arange(MAX_CLASSES - 1)
            P = P @ (self.place[:, None] == np.arange(MAX_CLASSES)).astype(np.float64)
        self.P, self.rates = P, ClassCounts(P)

    def drawn(self, y: Codes, random: np.random.Generator, count: int) -> _Drawn:
        """Return the statistics of the observed labels and of `count` draws."""
        at_once = max(1, BLOCK // len(y))
        parts = [self._of(y[None])]
        for start in range(0, count, at_once):
            parts.append(self._of(self.draw(random, min(at_once, count - start))))
        cells, counts = (np.concatenate(part) for part in zip(*parts, strict=True))
        sizes = np.column_stack([self.rates.chi_squares(counts), np.abs(cells[:, :3])])
        return _Drawn(sizes, counts, float(cells[0, 0]))

    def _of(self, labels: Codes) -> tuple[Floats, Codes]:
        """Return the statistics of bins (b, 5) and class counts (b, q) of labels (b, n)."""
        q, b = self.P.shape[1], len(labels)
        index = self.place[labels] + q * np.arange(b)[:, None]
        counts = np.bincount(index.ravel(), minlength=b * q).reshape(b, q)
        return self.of_cells(labels, errors=False), counts

    def gap(self, counts: Codes) -> OffsetGap:
        """Return the gap of the observed counts, row 0, with its limit from the first draws."""
        return offset_gap(self.P, counts[0], counts[1 : 1 + GAP_DRAWS])
