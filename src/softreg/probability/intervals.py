"""Confidence intervals for scores of predicted probabilities that keep their level where mistakes are rare.

A percentile bootstrap of 50 rows without a mistake contains no mistake, so its interval for the log loss of a good
model is far too short. The intervals here use an exact interval for the rate of mistakes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.bootstrap_intervals import Interval
from softreg.probability.check_distributions import check_probabilities
from softreg.probability.expected_cost import most_likely
from softreg.probability.labels import check_codes
from softreg.probability.scores import unit_weights

Floats = NDArray[np.float64]
FEW_EVENTS = 10.0
"""Rows with or without an event up to which Wilson's interval covers too little for some proportions."""
TINY_SKEW = 1e-6
"""Skewness, divided by the root of the number of rows, below which it has no effect on an interval."""
PSEUDO_MISTAKES = 1.0
"""Expected mistakes of the model that are added to the observed ones, to estimate the mean cost of a mistake."""


def wilson_interval(successes: float, n: float, level: float = 0.95) -> Interval:
    """Return Wilson's score interval for a proportion.

    `(k + z^2 / 2) / (n + z^2) +- z sqrt(k (n - k) / n + z^2 / 4) / (n + z^2)`

    Parameters
    ----------
    successes : float
        Number of rows with the event, from 0 to `n`.
    n : float
        Number of independent rows, above 0; an effective number of rows need not be an integer.
    level : float, default 0.95
        Confidence level, between 0 and 1.

    Returns
    -------
    Interval
        The proportion with its interval, within [0, 1].

    Raises
    ------
    ValueError
        Where `n` is not positive, `successes` lies outside 0..n, or `level` outside (0, 1).

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference" (1927).

    Examples
    --------
    >>> print(wilson_interval(178, 178))
    1 (0.9789 to 1)
    """
    from scipy.special import ndtri  # here, so that `from softreg import softmax` stays light

    if not (n > 0 and 0 <= successes <= n and 0 < level < 1):
        raise ValueError(
            f"successes is {successes}, n {n} and level {level}; needed: 0 <= successes <= n, n > 0 and 0 < level < 1."
        )
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    middle = (successes + z2 / 2) / (n + z2)
    half = np.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    low = 0.0 if successes == 0 else max(middle - half, 0.0)
    high = 1.0 if successes == n else min(middle + half, 1.0)
    return Interval(successes / n, float(low), float(high))


def proportion_interval(successes: float, n: float, level: float = 0.95) -> Interval:
    """Return a confidence interval for a proportion near 0 or 1 as well: Wilson's, or Clopper and Pearson's.

    With at most `FEW_EVENTS` rows with the event, or without it, the interval is that of Clopper and Pearson, whose
    coverage is at least `level` (up to 100%, as counts are discrete); Wilson's covers less than 90% there for some
    proportions: 86% for an accuracy of 99.7% and 50 rows. With more, it is Wilson's, whose coverage of 95% intervals
    is 93.4 to 96.6% for 50 to 1,000 rows.

    Parameters
    ----------
    successes : float
        Number of rows with the event, from 0 to `n`.
    n : float
        Number of independent rows, above 0; an effective number of rows need not be an integer.
    level : float, default 0.95
        Confidence level, between 0 and 1.

    Returns
    -------
    Interval
        The proportion with its interval, within [0, 1].

    Raises
    ------
    ValueError
        As `wilson_interval`.

    References
    ----------
    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial" (1934).
    Brown, Cai and DasGupta, "Interval estimation for a binomial proportion" (2001).

    Examples
    --------
    >>> print(wilson_interval(49, 50), proportion_interval(49, 50), sep=", ")
    0.98 (0.895 to 0.9965), 0.98 (0.8935 to 0.9995)
    """
    from scipy.special import betaincinv

    found = wilson_interval(successes, n, level)
    if min(successes, n - successes) > FEW_EVENTS:
        return found
    tail, rest = (1 - level) / 2, n - successes
    low = float(betaincinv(successes, rest + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, rest, 1 - tail)) if rest > 0 else 1.0
    return Interval(found.value, min(low, found.value), max(high, found.value))


def score_interval(
    scores: ArrayLike,
    P: ArrayLike,
    codes: ArrayLike,
    *,
    level: float = 0.95,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Return a confidence interval for the expected score of new rows, such as the log loss.

    The rate of mistakes has an exact interval. With t the most likely class of a row, the score of the row is `base +
    miss * extra`: base is the score of class t, miss is 1 where the label is not t, and extra is the score of the label
    minus base. The interval combines

    1. the t interval for the mean of `base`, and
    2. the Clopper-Pearson interval for the rate of mistakes, times the ratio of the standard deviations of
       `miss * extra` and `miss`. The squares of `extra` are averaged over the observed mistakes and one further term:
       the mean of the squares over all rows and classes, weighted by the root of their probability. It allows for
       overconfident probabilities, whose logits are up to twice too large

    as the root of the sum of their squares and twice their covariance. For many mistakes it approaches the t interval.

    Parameters
    ----------
    scores : array_like of shape (n, q)
        Score of row i if its label is k, for example `-log P`; inf where that is infinite.
    P : array_like of shape (n, q)
        Probabilities of the scores.
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    level : float, default 0.95
        Confidence level, between 0 and 1.
    groups : array_like of shape (n,), optional
        Equal values mark rows that depend on each other; standard errors and the number of rows are then those of
        independent groups. Without it, rows are independent.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows in the mean; standard errors are then those of a weighted mean, of at most Kish's effective
        number of rows.
    bounds : (float, float)
        Least and greatest value that a score can have, on new rows too: the ends of the interval lie between them.

    Returns
    -------
    Interval
        Mean score with its interval, within `bounds`; (inf, inf, inf) where the score of a label is infinite. The upper
        end is inf where all probabilities are 0 or 1 and a mistake has an infinite score.

    Raises
    ------
    ValueError
        Where shapes do not fit, for rows of P that are no distributions, and for no rows.

    References
    ----------
    Dobson, Kuulasmaa, Eberle and Scherer, "Confidence intervals for weighted sums of Poisson parameters" (1991), for
    part 2.
    Zou and Donner, "Construction of confidence limits about effect measures" (2008), for the combination.

    Examples
    --------
    >>> P = np.tile([0.95, 0.05], (50, 1))
    >>> print(score_interval(-np.log(P), P, [0] * 50))  # no mistake was observed, but some are possible
    0.05129 (0.05129 to 0.2607)
    """
    P = np.asarray(check_probabilities(P), dtype=np.float64)
    S = np.asarray(scores, dtype=np.float64)
    if P.ndim != 2 or len(P) == 0 or S.shape != P.shape:
        raise ValueError(f"scores and P must be matrices (n, q) of at least one row; seen: {S.shape} and {P.shape}.")
    y = np.asarray(check_codes(codes, P.shape[1], "codes"), dtype=np.int64)
    if y.shape != (len(P),):
        raise ValueError(f"codes must hold one code for each of {len(P)} rows; seen: shape {y.shape}.")
    w = None if sample_weight is None else unit_weights(sample_weight, y.shape)
    if w is not None:
        kept = w > 0  # rows of the weight 0 are left out, an infinite score among them
        S, P, y, w = S[kept], P[kept], y[kept], w[kept] / w[kept].mean()
        groups = None if groups is None else np.asarray(groups)[kept]
    parts = _parts(S, P, y, np.ones(len(y)) if w is None else w)
    return interval_of_parts(parts, level=level, groups=groups, bounds=bounds)


def mean_interval(
    values: ArrayLike,
    *,
    level: float = 0.95,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> Interval:
    """Return a confidence interval for a mean of skewed values, such as differences of losses.

    It is the union of the t interval and Hall's: with g the skewness, s the standard error, n rows and x the quantile
    of the t distribution, the ends of Hall's are `mean - t s` at the t that solves `t + (g / sqrt(n)) (t^2 / 3 + 1 / 6)
    + g^2 t^3 / (27 n) = +-x`. Where few rows have large values, the t interval is too short on their side.

    Parameters
    ----------
    values : array_like of shape (n,)
        One number for each row; an infinite one makes the mean infinite, and its interval has no width.
    level : float, default 0.95
        Confidence level, between 0 and 1.
    groups : array_like of shape (n,), optional
        Equal values mark rows that depend on each other.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    Interval
        The mean with its interval; from -inf to inf for a single row or group.

    Raises
    ------
    ValueError
        If `level` is not between 0 and 1, or there are no rows.

    References
    ----------
    Hall, "On the removal of skewness by transformation" (1992).

    Examples
    --------
    >>> print(mean_interval([0.0, 1.0] * 20), mean_interval([0.0] * 38 + [10.0] * 2), sep=", ")
    0.5 (0.3381 to 0.6619), 0.5 (-0.2059 to 3.277)
    """
    from scipy.special import stdtrit

    v = np.asarray(values, dtype=np.float64)
    if not 0 < level < 1 or v.ndim != 1 or not v.size:
        raise ValueError(f"level is {level} and there are {v.size} values: level lies between 0 and 1, one is least.")
    w = np.ones(len(v)) if sample_weight is None else unit_weights(sample_weight, v.shape)
    v = np.where(w > 0, v, 0.0)
    mean = float(w @ v) / float(w.sum())
    if not np.isfinite(mean):
        return Interval(mean, mean, mean)
    rest = w * (v - mean)
    part = np.asarray(rest[w > 0] if groups is None else np.bincount(np.unique(groups, return_inverse=True)[1], rest))
    n, square = len(part), float(part @ part)
    if n < 2:
        return Interval(mean, -np.inf, np.inf)
    if square == 0:
        return Interval(mean, mean, mean)
    error = float(np.sqrt(n / (n - 1) * square)) / float(w.sum())
    skew = float((part**3).sum()) / square**1.5  # g / sqrt(n)
    x = float(stdtrit(n - 1, 0.5 + level / 2))
    ends = [_hall(skew, x), _hall(skew, -x)]
    return Interval(mean, mean - error * max(x, *ends), mean - error * min(-x, *ends))


def _hall(skew: float, x: float) -> float:
    """Return t with `t + skew (t^2 / 3 + 1 / 6) + skew^2 t^3 / 27 = x`."""
    if abs(skew) < TINY_SKEW:
        return x
    return float(3 / skew * (np.cbrt(1 + skew * (x - skew / 6)) - 1))


def interval_of_parts(
    parts: ScoreParts,
    *,
    level: float = 0.95,
    groups: ArrayLike | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Return the interval of `score_interval` from the parts of the scores.

    Parameters
    ----------
    parts : ScoreParts
        Scores of n rows.
    level : float, default 0.95
        Confidence level, between 0 and 1.
    groups : array_like of shape (n,), optional
        Equal values mark rows that depend on each other.
    bounds : (float, float)
        Least and greatest value that a score can have.

    Returns
    -------
    Interval
        Mean score with its interval.

    Examples
    --------
    >>> base, none = -np.log(np.full(50, 0.95)), np.zeros(50)
    >>> extra = np.log(19.0)
    >>> print(interval_of_parts(ScoreParts(np.ones(50), base, none, none > 0, extra, extra**2)))
    0.05129 (0.05129 to 0.2607)
    """
    value = float((parts.w * (parts.base + parts.observed)).mean())
    if not np.isfinite(value):
        return Interval(value, value, value)
    low, high = _distances(parts, level, None if groups is None else np.asarray(groups))
    low_end, high_end = max(value - low, bounds[0]), min(value + high, bounds[1])
    return Interval(value, min(value, low_end), max(value, high_end))  # a mean has rounding errors


@dataclass(frozen=True, eq=False)
class ScoreParts:
    """Scores (n,) as `base + miss * extra`, with row weights of mean 1; see `score_interval`.

    Attributes
    ----------
    w : ndarray of shape (n,)
        Weights of mean 1, each above 0.
    base : ndarray of shape (n,)
        Score of the most likely class.
    observed : ndarray of shape (n,)
        `miss * extra`: score of the label minus base.
    miss : ndarray of bool of shape (n,)
        Whether the label is not the most likely class.
    mean, square : float
        Expected mean and mean square of `extra` for a mistake.

    Examples
    --------
    >>> one = np.ones(1)
    >>> ScoreParts(one, one, one, one > 0, 0.5, 0.25).mean
    0.5
    """

    w: Floats
    base: Floats
    observed: Floats
    miss: NDArray[np.bool_]
    mean: float
    square: float


def _parts(S: Floats, P: Floats, y: NDArray[np.int64], w: Floats) -> ScoreParts:
    """Split the scores S (n, q) of probabilities P (n, q), codes y (n,) and weights w (n,)."""
    row, top = np.arange(len(y)), np.asarray(most_likely(P))
    base = S[row, top]
    with np.errstate(invalid="ignore"):
        extra = S - base[:, None]
    observed = np.where(y == top, 0.0, extra[row, y])
    weight = np.sqrt(P) * w[:, None]
    weight[row, top] = 0.0
    if not weight.any():  # all probabilities are 0 or 1: all other classes count equally
        weight = np.repeat(w[:, None], P.shape[1], axis=1)
        weight[row, top] = 0.0
    total = float(weight.sum())
    if total == 0:  # one class alone: there are no mistakes
        return ScoreParts(w, base, observed, y != top, 0.0, 0.0)
    extra = np.where(weight > 0, extra, 0.0)
    mean, square = float((weight * extra).sum()) / total, float((weight * extra * extra).sum()) / total
    return ScoreParts(w, base, observed, y != top, mean, square)


def _distances(parts: ScoreParts, level: float, groups: NDArray[np.generic] | None) -> tuple[float, float]:
    """Return the distances of the ends of the interval below and above the mean."""
    from scipy.special import betaincinv, stdtrit

    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but must lie between 0 and 1.")
    n, tail, w = len(parts.base), (1 - level) / 2, parts.w
    inflation, freedom = design_effect(parts.base + parts.observed, groups, w)
    missed = float(w @ parts.miss)
    rows, m = n / inflation, missed / inflation
    low = float(betaincinv(m, rows - m + 1, tail)) if m > 0 else 0.0
    high = float(betaincinv(m + 1, rows - m, 1 - tail)) if m < rows else 1.0
    rate, count = m / rows, missed + PSEUDO_MISTAKES
    mean = (float(w @ parts.observed) + PSEUDO_MISTAKES * parts.mean) / count
    square = (float(w @ parts.observed**2) + PSEUDO_MISTAKES * parts.square) / count
    if np.isinf(square):
        return 0.0, np.inf
    share = count / (n + 2 * PSEUDO_MISTAKES)
    scale = np.sqrt(max((square - share * mean**2) / (1 - share), 0.0))
    ends = (scale * (rate - low), scale * (high - rate))
    below, above = ends if mean >= 0 else ends[::-1]
    if n < 2 or freedom < 1:
        return (np.inf, np.inf) if n < 2 else (float(below), float(above))
    rest = parts.base - float(w @ parts.base) / n
    spread = float(np.sqrt(w @ rest**2 / (n - 1) / rows)) * float(stdtrit(freedom, 1 - tail))
    r = _correlation(rest, parts.observed - float(w @ parts.observed) / n, w)
    below, above = (float(np.sqrt(max(spread**2 + d * d + 2 * r * spread * d, 0.0))) for d in (below, above))
    return below, above


def _correlation(a: Floats, b: Floats, w: Floats) -> float:
    """Return the weighted correlation of centred values; 0 where one of them is constant."""
    size = float(np.sqrt((w @ a**2) * (w @ b**2)))
    return float(w @ (a * b)) / size if size > 0 else 0.0


def design_effect(
    values: Floats, groups: NDArray[np.generic] | None, weights: Floats | None = None
) -> tuple[float, float]:
    """Return the design effect of grouped or weighted rows on the variance of a mean, and the degrees of freedom.

    `G / (G - 1) sum_g (sum_{i in g} w_i (v_i - mean))^2 / sum_i w_i (v_i - mean)^2`, with G groups, G - 1 degrees of
    freedom and weights w of mean 1; at least Kish's factor `n sum_i w_i^2 / (sum_i w_i)^2` for weights, which is 1
    without. Without groups each row is a group.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One number for each row.
    groups : ndarray of shape (n,) or None
        Equal values mark rows of one group.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    effect : float
        Factor by which the variance of the mean grows.
    freedom : float
        Degrees of freedom.

    References
    ----------
    Kish, "Survey Sampling" (1965).

    Examples
    --------
    >>> design_effect(np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]), np.repeat([0, 1, 2, 3], 2))
    (2.6666666666666665, 3.0)
    >>> design_effect(np.array([0.0, 1.0, 0.0, 1.0]), None, np.array([1.5, 1.5, 0.5, 0.5]))
    (1.25, 3.0)
    """
    n = len(values)
    if groups is None and weights is None:
        return 1.0, float(n - 1)
    w = np.ones(n) if weights is None else weights
    group = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(group.max()) + 1
    kish = n * float((w**2).sum()) / float(w.sum()) ** 2
    rest = values - float(w @ values) / float(w.sum())
    total = float(w @ rest**2)
    if count < 2 or total <= 0:  # no variance: rows of a group count as identical
        weight = np.bincount(group, w)
        factor = n / count if weights is None else n * float((weight**2).sum()) / float(w.sum()) ** 2
        return factor, float(max(count - 1, 0))
    between = float((np.bincount(group, w * rest) ** 2).sum()) * (count / (count - 1) if groups is not None else 1.0)
    return min(max(between / total, kish, 1.0), float(n)), float(count - 1)
