"""Whether probabilities mean what they say: an exact test of it, and the size of the error without bias.

The usual "expected calibration error" is left out on purpose: it adds up absolute deviations, chance included, and
reads 0.035 for perfect probabilities of a thousand rows. What stands here is 0 on average where nothing is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.decision import most_likely
from softreg.probability.labels import check_codes
from softreg.probability.resampling import draws_for, label_drawer
from softreg.probability.simplex import check_probabilities

Floats = NDArray[np.float64]
LEAST_VARIANCE = 5.0
"""Expected variance of the count of a bin, at least: with less, one row decides."""


@dataclass(frozen=True)
class CalibrationCheck:
    """Whether labels look like draws from the probabilities, made by `check_calibration`.

    `p_value` is the probability that perfect probabilities look at least as wrong; `p_confidence`, `p_classes`,
    `p_top` are those of its three parts. `confidence` is the z-score of the surprisal: above 0 the probabilities are
    too sure of themselves, below 0 not sure enough. `error` and `top_error` are debiased squared calibration errors (of
    all classes, and of the most likely one): means of (probability - frequency)^2 that are 0 on average where nothing
    is wrong, so that they may be negative. `error_by_chance` and `top_error_by_chance` are what they stay below in 95%
    of cases, were the probabilities right.

    >>> check_calibration([[0.5, 0.5]] * 8, [0, 1] * 4).p_value
    1.0
    """

    p_value: float
    p_confidence: float
    p_classes: float
    p_top: float
    confidence: float
    error: float
    error_by_chance: float
    top_error: float
    top_error_by_chance: float
    draws: int


def check_calibration(
    P: ArrayLike, codes: ArrayLike, *, bins: int = 15, draws: int = 999, seed: int = 0
) -> CalibrationCheck:
    """Ask whether the labels could be draws from the probabilities, row by row: the exact test of calibration.

    Labels are drawn from P itself `draws` times, and three statistics of the given labels are ranked among theirs:

    1. confidence `|sum_i (-log P[i, y_i] - H(P_i))|`, the score test of a temperature;
    2. classes `sum_c z_c^2` over bins of each class's probability, `z_c = sum_{i in c} (Y_ik - P_ik) / deviation`;
    3. top: the same for the probability of the most likely class.

    The smallest of the three ranks is ranked once more, so that `p_value` needs no approximation and no correction:
    under perfect probabilities it is at most 5% in 5% of cases, however few or uneven the rows.

    P: (n, q). codes: (n,) in 0..q-1. bins: of each class, at most; bins share its variance `sum p (1 - p)` evenly.
    draws: fewer above 50,000 rows, at least 199. A label that was held impossible gives p = 1 / (draws + 1) and
    confidence inf. Raises `ValueError` for rows that are no distributions, codes that do not fit, and no rows.

    >>> check = check_calibration([[0.9, 0.1]] * 100, [0] * 50 + [1] * 50)
    >>> check.p_value, check.confidence > 5, round(check.top_error, 2)
    (0.001, True, 0.16)

    Source: Broecker and Smith, "Increasing the reliability of reliability diagrams" (2007); Spiegelhalter,
    "Probabilistic prediction in patient management" (1986), for statistic 1.
    """
    probabilities, y = _checked(P, codes)
    n = len(y)
    test = _Statistics(probabilities, bins)
    draw, random = label_drawer(probabilities), np.random.default_rng(seed)
    count = draws_for(n, draws)
    seen = np.array([test(y), *(test(draw(random)) for _ in range(count))])  # (1 + draws, 5); row 0 is ours
    p = np.column_stack([_ranks(np.abs(seen[:, j])) for j in range(3)])
    least = p.min(axis=1)
    error, top = seen[:, 3], seen[:, 4]
    at = round(0.95 * (count + 1)) - 1
    return CalibrationCheck(
        p_value=float(np.mean(least <= least[0])),
        p_confidence=float(p[0, 0]),
        p_classes=float(p[0, 1]),
        p_top=float(p[0, 2]),
        confidence=float(seen[0, 0]),
        error=float(error[0]),
        error_by_chance=float(np.sort(error[1:])[min(at, count - 1)]),
        top_error=float(top[0]),
        top_error_by_chance=float(np.sort(top[1:])[min(at, count - 1)]),
        draws=count,
    )


def calibration_error(P: ArrayLike, codes: ArrayLike, *, bins: int = 15) -> float:
    """Mean squared distance between probabilities and frequencies, without the part that chance adds.

    `sum_k sum_b (n_b / n) U_kb`, where U_kb = sum_{i != j} r_i r_j / (n_b (n_b - 1)), r = P_k - Y_k of the n_b rows of
    bin b of class k, is unbiased for the square of the mean of r

    P: (n, q). codes: (n,). Returns a number in the unit of `brier`, from about -q / n to 2; its mean is 0 for perfect
    probabilities, so it is negative about as often as positive, and the part of the Brier score that recalibration
    within the bins could remove. Raises as `check_calibration` does.

    >>> round(calibration_error([[0.9, 0.1]] * 100, [0] * 50 + [1] * 50), 2)
    0.31

    Source: Broecker, "Estimating reliability and resolution of probability forecasts" (2012); Kumar, Liang and Ma,
    "Verified uncertainty calibration" (2019).
    """
    probabilities, y = _checked(P, codes)
    return float(_Statistics(probabilities, bins)(y)[3])


class _Statistics:
    """Five numbers of labels for given probabilities: confidence z, class-wise and top chi-square, two errors."""

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
        self.all = _Cells([P[:, k] for k in range(q)], bins)
        self.best = _Cells([P[self.at, self.top]], bins)

    def __call__(self, y: NDArray[np.int64]) -> tuple[float, float, float, float, float]:
        excess = float(self.surprisal[self.at, y].sum()) - self.total
        confidence = excess / self.spread if self.spread > 0 else (0.0 if excess <= 1e-9 else np.inf)
        hit = np.flatnonzero(y == self.top)
        classes, error = self.all(y * len(self.at) + self.at)
        top, top_error = self.best(hit)
        return confidence, classes, top, error, top_error


class _Cells:
    """Bins of some columns of probabilities, and what the events that happened make of them."""

    def __init__(self, columns: list[Floats], bins: int) -> None:
        place, cells = [], 0
        for p in columns:
            bin_of, count = _equal_variance(p, bins)
            place.append(bin_of + cells)
            cells += count
        self.cell = np.concatenate(place)  # of entry (k, i), in the order k * n + i
        p = np.concatenate(columns)
        self.n, self.cells = len(columns[0]), cells
        self.rows = np.bincount(self.cell, minlength=cells)
        self.expected = np.bincount(self.cell, p, minlength=cells)
        self.variance = np.bincount(self.cell, p * (1 - p), minlength=cells)
        self.square = np.bincount(self.cell, p * p, minlength=cells)
        self.gain = 1 - 2 * p  # (1 - p)^2 - p^2: how an event changes the sum of squares

    def __call__(self, happened: NDArray[np.int64]) -> tuple[float, float]:
        """Chi-square and debiased squared error, where `happened` names the entries whose event took place."""
        cell = self.cell[happened]
        residual = np.bincount(cell, minlength=self.cells) - self.expected
        squares = self.square + np.bincount(cell, self.gain[happened], minlength=self.cells)
        usable = self.variance > 0
        chi = float((residual[usable] ** 2 / self.variance[usable]).sum())
        pairs = (residual**2 - squares) / np.maximum(self.rows - 1, 1)
        return chi, float(pairs[self.rows > 1].sum() / self.n)


def _equal_variance(p: Floats, bins: int) -> tuple[NDArray[np.int64], int]:
    """Bins of a column of probabilities that share its variance; they depend on p alone, never on labels."""
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


def _ranks(values: Floats) -> Floats:
    """The share of values at least as large as each, itself included: a p-value for every one."""
    ordered = np.sort(values)
    return (len(values) - np.searchsorted(ordered, values, side="left")) / len(values)


def _checked(P: ArrayLike, codes: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    P = check_probabilities(P)
    if P.ndim != 2 or len(P) == 0:
        raise ValueError(f"P must be a matrix (n, q) of at least one row; seen: shape {P.shape}.")
    y = np.asarray(check_codes(codes, P.shape[1], "codes"), dtype=np.int64)
    if y.shape != (len(P),):
        raise ValueError(f"codes must hold one code for each of {len(P)} rows; seen: shape {y.shape}.")
    return np.minimum(np.asarray(P, dtype=np.float64), 1.0), y
