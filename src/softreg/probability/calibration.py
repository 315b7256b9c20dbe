"""Exact test of calibration and debiased calibration error.

The common "expected calibration error" is biased: it adds absolute deviations, sampling error included, and is 0.035
for perfect probabilities of 1,000 rows. The estimates here have mean 0 if the probabilities are calibrated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.bootstrap_intervals import Interval, draws_for, label_drawer
from softreg.probability.calibration_statistics import CalibrationStatistics, Cells
from softreg.probability.check_distributions import check_probabilities
from softreg.probability.labels import check_codes

Floats = NDArray[np.float64]
FIRST_DRAWS, MOST_DRAWS = 999, 9_999
"""Draws of the test, and of its repetition if the first p-value is small."""
MORE_NUMBERS = 25_000_000
"""Largest product of rows and draws of the repetition, which then takes about one second."""
SMALL_P = 0.02
"""p-value at or below which the test is repeated with more draws."""
BLOCK = 100_000
"""Rows times draws whose statistics are computed together."""
STEPS = 10
"""Fixed-point iterations for a detectable error and the variance at that error."""
LEVEL, Z = 0.95, 1.96
"""Confidence level of intervals, and its standard normal quantile."""
POWER, Z_POWER = 0.8, 0.8416
"""Power of detectable errors, and its standard normal quantile."""


@dataclass(frozen=True)
class CalibrationCheck:
    """Result of the calibration test, made by `check_calibration`.

    Attributes
    ----------
    p_value : float
        Share of label draws, the observed labels included, that deviate at least as much as the observed labels do: the
        probability of so large a deviation if the probabilities are right and the rows independent. It is not the
        probability that the probabilities are right.
    p_confidence, p_classes, p_top : float
        p-values of the three statistics of the test.
    confidence : float
        z-score of the mean surprisal: above 0 the probabilities are overconfident, below 0 underconfident.
    error, top_error : float
        Debiased squared calibration errors, summed over all classes and of the most likely class: means of
        (probability - frequency)^2 whose expectation is 0 where the probabilities are right, so that they may be
        negative.
    error_by_chance, top_error_by_chance : float
        Upper 95% limits of the errors if the probabilities are right.
    error_sd, top_error_sd : float
        Standard errors of the two.
    error_interval, top_error_interval : Interval
        The two with their 95% intervals: the errors whose distance from the estimate is at most 1.96 standard errors,
        which grow with the error; from 0 or less where right probabilities have an error as large in 2.5% of samples.
    detectable, top_detectable : float
        Root-mean-square errors of the probability of a class (over rows and classes), and of the most likely class,
        that exceed those 95% limits in about 80% of samples of as many rows, if they are of one sign or change slowly
        with the probability.
    draws : int
        Number of draws of labels.

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
    error_interval: Interval
    top_error_interval: Interval


def check_calibration(
    P: ArrayLike,
    codes: ArrayLike,
    *,
    bins: int = 15,
    draws: int | None = None,
    seed: int = 0,
    top_columns: ArrayLike | None = None,
) -> CalibrationCheck:
    """Test whether the labels are compatible with the predicted probabilities, by an exact Monte Carlo test.

    Labels are drawn from P itself, and three statistics of the observed labels are ranked among theirs:

    1. confidence `|sum_i (-log P[i, y_i] - H(P_i))|`, the score test of a temperature;
    2. classes `sum_c z_c^2` over bins of each class's probability, `z_c = sum_{i in c} (Y_ik - P_ik) / deviation`;
    3. top: the same for the probability of the most likely class.

    The smallest of the three ranks is ranked again, ties broken by the largest standardised statistic, so that
    `p_value` needs no approximation and no correction: if the probabilities are right and the rows independent, it is
    at most a with a probability of at most a, for every a and any number of rows. The test is not valid for rows that
    the model was fitted to, or that depend on each other.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Predicted probabilities.
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    bins : int, default 15
        Approximate largest number of bins of each class. The bins of each half, below and above 1/2, share its variance
        `sum p (1 - p)` evenly, and no bin holds probabilities of both halves.
    draws : int, optional
        Draws of labels; fewer (at least 199) above 50 million rows times draws. None makes 999, and repeats the test
        with up to 9,999 new draws if the p-value is at most 0.02; this keeps the level.
    seed : int, default 0
        Seed of the draws.
    top_columns : array_like of int of shape (n,), optional
        Column of each row for the third statistic; that of the largest probability by default. Where a column stands
        for many classes together, the most likely class may be another one.

    Returns
    -------
    CalibrationCheck
        p-values, errors and detectable errors. A label of probability 0 gives `p_value` = 1 / (draws + 1), the least
        possible, and `confidence` = inf.

    Raises
    ------
    ValueError
        For rows that are no distributions, codes that do not fit, and no rows.

    References
    ----------
    Broecker and Smith, "Increasing the reliability of reliability diagrams" (2007).
    Spiegelhalter, "Probabilistic prediction in patient management" (1986), for statistic 1.

    Examples
    --------
    >>> check = check_calibration([[0.9, 0.1]] * 100, [0] * 50 + [1] * 50)
    >>> check.p_value, check.confidence > 5, round(check.top_error, 2)
    (0.0001, True, 0.16)
    """
    probabilities, y = _checked(P, codes)
    n, q = probabilities.shape
    columns = None
    if top_columns is not None:
        columns = np.asarray(check_codes(top_columns, q, "top_columns"), dtype=np.int64)
    test = CalibrationStatistics(probabilities, bins, columns)
    draw, random = label_drawer(probabilities), np.random.default_rng(seed)
    statistics = _drawn(test, y, draw, random, draws_for(n, FIRST_DRAWS if draws is None else draws))
    p, count = _p_values(statistics), len(statistics) - 1
    more = min(MOST_DRAWS, MORE_NUMBERS // n)
    if draws is None and p[0] <= SMALL_P and more > count:
        # All new: the second p-value is valid by itself, and it is returned only where the first is small.
        p, count = _p_values(_drawn(test, y, draw, random, more, errors=False)), more
    variances = test.error_variances(y)
    error, top = (_error(statistics[:, 3 + j], cells, variances[j], n) for j, cells in enumerate((test.all, test.best)))
    least_rate = 1 - (1 - POWER) ** (1 / n)  # lower rates often give no event at all
    return CalibrationCheck(
        p_value=p[0],
        p_confidence=p[1],
        p_classes=p[2],
        p_top=p[3],
        confidence=float(statistics[0, 0]),
        error=error.value,
        error_by_chance=error.by_chance,
        error_sd=error.sd,
        detectable=max(float(np.sqrt(error.detectable / q)), least_rate),
        top_error=top.value,
        top_error_by_chance=top.by_chance,
        top_error_sd=top.sd,
        top_detectable=max(float(np.sqrt(top.detectable)), least_rate),
        draws=count,
        error_interval=error.interval,
        top_error_interval=top.interval,
    )


def _drawn(
    test: CalibrationStatistics,
    y: NDArray[np.int64],
    draw: Callable[[np.random.Generator, int], NDArray[np.int64]],
    random: np.random.Generator,
    count: int,
    *,
    errors: bool = True,
) -> Floats:
    """Return statistics (1 + count, 5): of the observed labels in row 0, then of `count` draws of labels."""
    at_once = max(1, BLOCK // len(y))
    statistics = [test(y[None], errors=errors)]
    for start in range(0, count, at_once):
        labels = draw(random, min(at_once, count - start))
        statistics.append(test(labels, errors=errors))
    return np.concatenate(statistics)


@dataclass(frozen=True)
class _Error:
    """Debiased squared error, its 95% limit under right probabilities, standard error and detectable squared error."""

    value: float
    by_chance: float
    sd: float
    detectable: float
    interval: Interval


def _error(values: Floats, cells: Cells, variances: tuple[float, float], n: int) -> _Error:
    """Summarise an error from its values for the observed labels, with their `Cells.error_variances`, and for draws."""
    null = np.sort(values[1:])
    index = min(round(0.95 * len(values)) - 1, len(null) - 1)
    limit, spread = float(null[index]), float(null.std())
    # Variance of the estimate at an error of u: that under right probabilities, and 4 u v for means of n residuals; v
    # grows with u where probabilities are near 0 or 1.
    least, q = 0.0, cells.columns
    for _ in range(STEPS):
        v = cells.variance_at(float(np.sqrt(least / q))) * q / n
        middle = limit + 2 * Z_POWER**2 * v
        root = middle**2 - limit**2 + (Z_POWER * spread) ** 2
        least = middle + float(np.sqrt(max(root, 0.0)))
    value, (linear, factor) = float(values[0]), variances
    noise, excess = max(factor, 1.0) * spread**2, max(linear - 2 * factor * spread**2, 0.0)
    # The variance at an error of u is that of no error and a part in proportion to u, from the estimate or, where this
    # is near 0, from the mean variance of the residuals.
    mean_slope = 4 * cells.mean_variance * q / n
    slope = max(excess / max(value, float(np.sqrt(noise))), mean_slope) if noise > 0 else mean_slope
    half = Z**2 * slope / 2
    centre = max(value, 0.0) + half
    width = float(np.sqrt(max(centre**2 - max(value, 0.0) ** 2 + Z**2 * noise, 0.0)))
    low, high = (max(value, 0.0) + half + side * width for side in (-1, 1))
    if value <= null[min(round((1 + LEVEL) / 2 * len(values)) - 1, len(null) - 1)]:  # right probabilities may have it
        low = min(low, 0.0)
    ends = Interval(value, min(low, value), max(high, value))
    return _Error(value, limit, float(np.sqrt(noise + excess)), least, ends)


def _p_values(statistics: Floats) -> tuple[float, ...]:
    """Return the p-value of all three statistics, and of each, for the first row among all rows."""
    return combined_p_values(np.abs(statistics[:, :3]))


def combined_p_values(sizes: Floats) -> tuple[float, ...]:
    """Return Monte Carlo p-values of the first row among all rows: of the smallest rank of its sizes, and of each size.

    The smallest of the ranks is ranked again among those of all rows, ties broken by the largest standardised size, so
    that the first p-value needs no correction for the number of sizes.

    Parameters
    ----------
    sizes : ndarray of shape (1 + b, s)
        Sizes of s statistics: of the observed labels in row 0, then of b draws.

    Returns
    -------
    tuple of float
        The p-value of all sizes together, then of each size.

    Examples
    --------
    >>> combined_p_values(np.array([[3.0, 1.0], [1.0, 2.0], [2.0, 3.0], [0.0, 0.0]]))
    (0.5, 0.25, 0.75)
    """
    p = np.column_stack([_ranks(column) for column in sizes.T])
    least = p.min(axis=1)
    largest = np.max([_standardised(column) for column in sizes.T], axis=0)
    beyond = (least < least[0]) | ((least == least[0]) & (largest >= largest[0]))
    return float(np.mean(beyond)), *(float(value) for value in p[0])


def _standardised(values: Floats) -> Floats:
    """Return deviations from the mean in standard deviations; infinite values stay infinite."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros_like(values)
    mean, sd = values[finite].mean(), values[finite].std()
    rest = np.where(finite, values - mean, 0.0)
    return np.where(finite, rest / sd if sd > 0 else 0.0, np.inf)


def calibration_error(P: ArrayLike, codes: ArrayLike, *, bins: int = 15) -> float:
    """Return the debiased mean squared difference between probabilities and frequencies.

    `sum_k sum_b (n_b / n) U_kb`, where `U_kb = sum_{i != j} r_i r_j / (n_b (n_b - 1))` with r = P_k - Y_k of the n_b
    rows of bin b of class k is an unbiased estimate of the square of the mean of r.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Predicted probabilities.
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    bins : int, default 15
        Approximate largest number of bins of each class.

    Returns
    -------
    float
        The error in the unit of `brier`, from about -q / n to 2: the part of the Brier score that recalibration within
        the bins could remove. Its mean is 0 for perfect probabilities, so that it is then negative about as often as
        positive.

    Raises
    ------
    ValueError
        As `check_calibration`.

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
    """Return for each value the share of values at least as large, itself included: its p-value."""
    ordered = np.sort(values)
    return (len(values) - np.searchsorted(ordered, values, side="left")) / len(values)


def _checked(P: ArrayLike, codes: ArrayLike) -> tuple[Floats, NDArray[np.int64]]:
    """Return checked probabilities (n, q) in float64 and codes (n,)."""
    P = check_probabilities(P)
    if P.ndim != 2 or len(P) == 0:
        raise ValueError(f"P must be a matrix (n, q) of at least one row; seen: shape {P.shape}.")
    y = np.asarray(check_codes(codes, P.shape[1], "codes"), dtype=np.int64)
    if y.shape != (len(P),):
        raise ValueError(f"codes must hold one code for each of {len(P)} rows; seen: shape {y.shape}.")
    return np.minimum(np.asarray(P, dtype=np.float64), 1.0), y
