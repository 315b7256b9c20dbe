"""Whether labels are compatible with predicted probabilities: an exact test, and the size of the error without bias.

The usual "expected calibration error" is left out on purpose: it adds absolute deviations, sampling error included, and
is 0.035 for perfect probabilities of a thousand rows. The estimates here have mean 0 where the probabilities are right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.bootstrap_intervals import draws_for, label_drawer
from softreg.probability.calibration_statistics import CalibrationStatistics, Cells
from softreg.probability.check_distributions import check_probabilities
from softreg.probability.labels import check_codes

Floats = NDArray[np.float64]
FIRST_DRAWS, MOST_DRAWS = 999, 9_999
"""Draws of a test, and of its repetition where the first p-value is small."""
MORE_NUMBERS = 25_000_000
"""Rows times draws of the repetition, at most: a second or so."""
SMALL_P = 0.02
"""p-value of the first draws at or below which the test is repeated with more."""
BLOCK = 100_000
"""Rows times draws whose statistics are computed at once."""
STEPS = 10
"""Repetitions in which a detectable error and the variance at that error agree."""
POWER, Z_POWER = 0.8, 0.8416
"""Power of detectable errors, and its standard normal quantile."""


@dataclass(frozen=True)
class CalibrationCheck:
    """Whether labels look like draws from the probabilities, made by `check_calibration`.

    Attributes
    ----------
    p_value : float
        Share of label draws, the observed labels included, that deviate at least as much as the observed labels do: the
        probability of so large a deviation if the probabilities are right and the rows independent. It is not the
        probability that the probabilities are right.
    p_confidence, p_classes, p_top : float
        The same of the three parts of the test.
    confidence : float
        z-score of the mean surprisal: above 0 the probabilities are overconfident, below 0 underconfident.
    error, top_error : float
        Debiased squared calibration errors, summed over all classes and of the most likely class: means of
        (probability - frequency)^2 whose expectation is 0 where the probabilities are right, so that they may be
        negative.
    error_by_chance, top_error_by_chance : float
        What these stay below in 95% of draws if the probabilities are right.
    error_sd, top_error_sd : float
        Standard errors of the two.
    detectable, top_detectable : float
        Root-mean-square errors of the probability of a class (over rows and classes), and of the most likely class,
        that exceed those 95% limits in about 80% of samples of as many rows, if they are of one sign or change slowly
        with the probability.
    draws : int
        How many draws of labels were made.

    Examples
    --------
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
    error_sd: float
    detectable: float
    top_error: float
    top_error_by_chance: float
    top_error_sd: float
    top_detectable: float
    draws: int


def check_calibration(
    P: ArrayLike, codes: ArrayLike, *, bins: int = 15, draws: int | None = None, seed: int = 0
) -> CalibrationCheck:
    """Test whether the labels could be draws from the probabilities, row by row: an exact test of calibration.

    Labels are drawn from P itself, and three statistics of the observed labels are ranked among theirs:

    1. confidence `|sum_i (-log P[i, y_i] - H(P_i))|`, the score test of a temperature;
    2. classes `sum_c z_c^2` over bins of each class's probability, `z_c = sum_{i in c} (Y_ik - P_ik) / deviation`;
    3. top: the same for the probability of the most likely class.

    The smallest of the three ranks is ranked once more, ties broken by the largest standardised statistic, so that
    `p_value` needs no approximation and no correction: if the probabilities are right and the rows independent, it is
    at most a with a probability of at most a, for every a and any number of rows. Rows that the model was fitted to, or
    that depend on each other, do not meet this condition.

    Parameters
    ----------
    P : array-like (n, q)
        Predicted probabilities.
    codes : array-like (n,)
        Labels in 0..q-1.
    bins : int
        Bins of each class, about, at most; the bins of each half, below and above 1/2, share its variance
        `sum p (1 - p)` evenly, and no bin holds probabilities of both.
    draws : int, optional
        Draws of labels; fewer above 50 million rows times draws, at least 199. None makes 999, and where their p-value
        is at most 0.02 repeats the test with up to 9,999 new ones; this keeps the level.
    seed : int
        Of the draws.

    Returns
    -------
    CalibrationCheck
        p-values, errors and what could have been detected. A label of probability 0 gives `p_value` = 1 / (draws + 1),
        the least possible, and `confidence` = inf.

    Raises
    ------
    ValueError
        For rows that are no distributions, codes that do not fit, and no rows.

    Examples
    --------
    >>> check = check_calibration([[0.9, 0.1]] * 100, [0] * 50 + [1] * 50)
    >>> check.p_value, check.confidence > 5, round(check.top_error, 2)
    (0.0001, True, 0.16)

    Source: Broecker and Smith, "Increasing the reliability of reliability diagrams" (2007); Spiegelhalter,
    "Probabilistic prediction in patient management" (1986), for statistic 1.
    """
    probabilities, y = _checked(P, codes)
    n, q = probabilities.shape
    test = CalibrationStatistics(probabilities, bins)
    draw, random = label_drawer(probabilities), np.random.default_rng(seed)
    seen = _drawn(test, y, draw, random, draws_for(n, FIRST_DRAWS if draws is None else draws))
    p, made = _p_values(seen), len(seen) - 1
    more = min(MOST_DRAWS, MORE_NUMBERS // n)
    if draws is None and p[0] <= SMALL_P and more > made:
        # All new: the second p-value is valid by itself, and it is returned only where the first is small.
        p, made = _p_values(_drawn(test, y, draw, random, more, errors=False)), more
    variances = test.variances(y)
    error, top = (_error(seen[:, 3 + j], cells, variances[j], n) for j, cells in enumerate((test.all, test.best)))
    one = 1 - (1 - POWER) ** (1 / n)  # rates below it often give not even one event
    return CalibrationCheck(
        p_value=p[0],
        p_confidence=p[1],
        p_classes=p[2],
        p_top=p[3],
        confidence=float(seen[0, 0]),
        error=error.value,
        error_by_chance=error.by_chance,
        error_sd=error.sd,
        detectable=max(float(np.sqrt(error.detectable / q)), one),
        top_error=top.value,
        top_error_by_chance=top.by_chance,
        top_error_sd=top.sd,
        top_detectable=max(float(np.sqrt(top.detectable)), one),
        draws=made,
    )


def _drawn(
    test: CalibrationStatistics,
    y: NDArray[np.int64],
    draw: Callable[[np.random.Generator], NDArray[np.int64]],
    random: np.random.Generator,
    count: int,
    *,
    errors: bool = True,
) -> Floats:
    """Return statistics of the observed labels, row 0, and of `count` draws of labels, some draws at a time."""
    at_once = max(1, BLOCK // len(y))
    found = [test(y[None], errors=errors)]
    for start in range(0, count, at_once):
        labels = np.stack([draw(random) for _ in range(min(at_once, count - start))])
        found.append(test(labels, errors=errors))
    return np.concatenate(found)


@dataclass(frozen=True)
class _Error:
    """A debiased squared error, its 95% limit under right probabilities, its standard error, what could be detected."""

    value: float
    by_chance: float
    sd: float
    detectable: float


def _error(values: Floats, cells: Cells, variance: float, n: int) -> _Error:
    """Summary of an error; `values` are that of the observed labels, whose residuals have `variance`, and of draws."""
    null = np.sort(values[1:])
    at = min(round(0.95 * len(values)) - 1, len(null) - 1)
    limit, spread = float(null[at]), float(null.std())
    # Variance of the estimate at an error of u: that under right probabilities, and 4 u v for means of n residuals; v
    # grows with u where probabilities are near 0 or 1.
    least, q = 0.0, cells.columns
    for _ in range(STEPS):
        v = cells.variance_at(float(np.sqrt(least / q))) * q / n
        middle = limit + 2 * Z_POWER**2 * v
        root = middle**2 - limit**2 + (Z_POWER * spread) ** 2
        least = middle + float(np.sqrt(max(root, 0.0)))
    sd = float(np.sqrt(spread**2 + 4 * max(float(values[0]), 0.0) * variance * q / n))
    return _Error(float(values[0]), limit, sd, least)


def _p_values(seen: Floats) -> tuple[float, float, float, float]:
    """p-value of all three statistics, and of each, for the first row among all rows."""
    size = np.abs(seen[:, :3])
    p = np.column_stack([_ranks(size[:, j]) for j in range(3)])
    least = p.min(axis=1)
    largest = np.max([_standardised(size[:, j]) for j in range(3)], axis=0)
    beyond = (least < least[0]) | ((least == least[0]) & (largest >= largest[0]))
    return float(np.mean(beyond)), float(p[0, 0]), float(p[0, 1]), float(p[0, 2])


def _standardised(values: Floats) -> Floats:
    """Deviations from the mean in standard deviations; infinite values stay infinite."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros_like(values)
    mean, sd = values[finite].mean(), values[finite].std()
    rest = np.where(finite, values - mean, 0.0)
    return np.where(finite, rest / sd if sd > 0 else 0.0, np.inf)


def calibration_error(P: ArrayLike, codes: ArrayLike, *, bins: int = 15) -> float:
    """Return mean squared distance between probabilities and frequencies, without the part that sampling error adds.

    `sum_k sum_b (n_b / n) U_kb`, where U_kb = sum_{i != j} r_i r_j / (n_b (n_b - 1)), r = P_k - Y_k of the n_b rows of
    bin b of class k, is unbiased for the square of the mean of r

    Parameters
    ----------
    P : array_like
        (n, q).
    codes : array_like
        (n,).

    Returns
    -------
    float
        A number in the unit of `brier`, from about -q / n to 2; its mean is 0 for perfect probabilities, so it is
        negative about as often as positive, and the part of the Brier score that recalibration within the bins could
        remove.

    Raises
    ------
    ValueError
        As `check_calibration` does.

    References
    ----------
    Broecker, "Estimating reliability and resolution of probability forecasts" (2012).
    Kumar, Liang and Ma, "Verified uncertainty calibration" (2019).

    Examples
    --------
    >>> round(calibration_error([[0.9, 0.1]] * 100, [0] * 50 + [1] * 50), 2)
    0.31
    """
    probabilities, y = _checked(P, codes)
    return float(CalibrationStatistics(probabilities, bins)(y[None], errors=True)[0, 3])


def _ranks(values: Floats) -> Floats:
    """Return the share of values at least as large as each, itself included: a p-value for every one."""
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
